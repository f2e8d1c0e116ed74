//! Operators that tract spells in ways that overflow, underflow or cancel, spelled in our graph's operators instead.
//!
//! A rewrite names one (`rewrite/reductions.rs`); inside tract's model it stands for itself, as the operators of
//! `operators/` do, with the inference and the interpreter of our graph; translation puts its nodes into the graph. So shapes
//! are known when it is spelled. Every operator takes one tensor of f32. It deliberately knows no ONNX attribute.

use super::expression::ExpressionBuilder;
use super::windows::forward_window;
use crate::graph::constant::Dtype;
use crate::graph::interpret::interpret;
use crate::graph::op::{Op, PoolKind, ReduceKind};
use crate::graph::origin::OriginSet;
use crate::graph::pointwise::{BinaryOp, Pointwise, UnaryOp};
use crate::graph::tensor::Tensor;
use crate::graph::{Graph, GraphPort, NodeId, ShapeError};
use flashmem_plan_format::plan::ElementType;
use tract_onnx::tract_core::ops::cnn::PoolSpec;

/// Norms below this have squares that add up to 0 in f32, and are 0 for ONNX Runtime and the reference evaluator.
const NO_NORM: f32 = 2.6e-23;

/// What MeanVarianceNormalization adds to a deviation.
const MEAN_VARIANCE_EPSILON: f32 = 1e-9;

/// Which axes; they may count from the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Axes {
    /// All.
    All,
    /// All but the first two.
    Spatial,
    /// These.
    Of(Vec<i64>),
}

/// An operator.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "a model has a few of them, each made once")]
pub enum Composed {
    /// x − max − ln Σ exp(x − max), along an axis, or all from there on.
    LogSoftmax {
        /// The axis.
        axis: i64,
        /// Whether later axes belong to it.
        merges: bool,
    },
    /// max + ln Σ exp(x − max).
    LogSumExp {
        /// Over these.
        axes: Axes,
        /// Whether they stay, with size 1.
        keep: bool,
    },
    /// (Σ |x|^p)^(1 / p).
    Norm {
        /// p, at least 1.
        p: f32,
        /// Over these.
        axes: Axes,
        /// Whether they stay, with size 1.
        keep: bool,
    },
    /// The largest number of every plane; NaN is left out, as by a window that covers the plane.
    LargestOfPlane,
    /// x / (Σ |x|^p)^(1 / p), or 0.
    Normalized {
        /// p: 1 or 2.
        p: f32,
        /// Along this axis.
        axis: i64,
    },
    /// (x − mean) / (deviation + 10⁻⁹).
    MeanVariance {
        /// Over these.
        axes: Axes,
    },
    /// (Σ |x|^p)^(1 / p) over a window.
    NormPool {
        /// p.
        p: u32,
        /// The window.
        window: PoolSpec,
    },
}

/// Nodes being added to a graph.
struct Build<'g> {
    graph: &'g mut Graph,
    origin: OriginSet,
}

impl Build<'_> {
    fn shape(&self, id: NodeId) -> Vec<usize> {
        self.graph.node(id).shape.clone()
    }

    fn add(&mut self, op: Op, operands: &[NodeId]) -> Result<NodeId, ShapeError> {
        self.graph.add(op, operands, self.origin)
    }

    fn reshape(&mut self, id: NodeId, shape: Vec<usize>) -> NodeId {
        if self.graph.node(id).shape == shape {
            return id;
        }
        self.graph.add_shaped(Op::Reshape, &[id], self.origin, shape, Dtype::F32)
    }

    fn reduce(&mut self, kind: ReduceKind, axes: &[usize], x: NodeId) -> Result<NodeId, ShapeError> {
        self.add(Op::Reduce { kind, axes: axes.to_vec() }, &[x])
    }

    fn unary(&mut self, op: UnaryOp, x: NodeId) -> Result<NodeId, ShapeError> {
        self.add(Op::Pointwise(Pointwise::unary(op, Dtype::F32)), &[x])
    }

    fn binary(&mut self, op: BinaryOp, a: NodeId, b: NodeId) -> Result<NodeId, ShapeError> {
        self.add(Op::Pointwise(Pointwise::binary(op, Dtype::F32)), &[a, b])
    }

    /// f(x, value).
    fn with(&mut self, op: BinaryOp, x: NodeId, value: f32) -> Result<NodeId, ShapeError> {
        let mut p = ExpressionBuilder::default();
        let (x_value, value) = (p.input(Dtype::F32), p.float(value));
        p.binary(op, x_value, value);
        self.add(Op::Pointwise(p.finish()), &[x])
    }

    /// x without axes of size 1.
    fn dropped(&mut self, x: NodeId, axes: &[usize], keep: bool) -> NodeId {
        let shape = self.shape(x);
        let left = (0..shape.len()).filter(|a| keep || !axes.contains(a)).map(|a| shape[a]).collect();
        self.reshape(x, left)
    }

    /// What takes the place of a largest element: itself, but `or` where it is infinite, or 0 where `zero`.
    fn finite(&mut self, largest: NodeId, or: f32, zero: bool) -> Result<NodeId, ShapeError> {
        let mut p = ExpressionBuilder::default();
        let x = p.input(Dtype::F32);
        let mut unfit = p.unary(UnaryOp::IsInf, x);
        if zero {
            let nothing = p.float(0.0);
            let is_zero = p.binary(BinaryOp::Equal, x, nothing);
            unfit = p.binary(BinaryOp::Or, unfit, is_zero);
        }
        let or = p.float(or);
        p.select(unfit, or, x);
        self.add(Op::Pointwise(p.finish()), &[largest])
    }

    fn log_softmax(&mut self, x: NodeId, axis: usize, merges: bool) -> Result<NodeId, ShapeError> {
        let shape = self.shape(x);
        let end = if merges { shape.len() } else { axis + 1 };
        let merged = [&shape[..axis], &[shape[axis..end].iter().product()], &shape[end..]].concat();
        let x = self.reshape(x, merged);
        let y = self.add(Op::Softmax { axis, log: true }, &[x])?;
        Ok(self.reshape(y, shape))
    }

    fn log_sum_exp(&mut self, x: NodeId, axes: &[usize]) -> Result<NodeId, ShapeError> {
        let largest = self.reduce(ReduceKind::Max, axes, x)?;
        let largest = self.finite(largest, 0.0, false)?;
        let shifted = self.binary(BinaryOp::Sub, x, largest)?;
        let powers = self.unary(UnaryOp::Exp, shifted)?;
        let sum = self.reduce(ReduceKind::Sum, axes, powers)?;
        let logarithm = self.unary(UnaryOp::Log, sum)?;
        self.binary(BinaryOp::Add, logarithm, largest)
    }

    fn norm(&mut self, p: f32, x: NodeId, axes: &[usize]) -> Result<NodeId, ShapeError> {
        if p == 1.0 || p == 2.0 {
            return self.reduce(if p == 1.0 { ReduceKind::L1 } else { ReduceKind::L2 }, axes, x);
        }
        let magnitude = self.unary(UnaryOp::Abs, x)?;
        let largest = self.reduce(ReduceKind::Max, axes, magnitude)?;
        let scale = self.finite(largest, 1.0, true)?;
        let ratio = self.binary(BinaryOp::Div, magnitude, scale)?;
        let power = self.with(BinaryOp::Pow, ratio, p)?;
        let sum = self.reduce(ReduceKind::Sum, axes, power)?;
        let root = self.with(BinaryOp::Pow, sum, 1.0 / p)?;
        self.binary(BinaryOp::Mul, root, scale)
    }

    fn normalized(&mut self, p: f32, x: NodeId, axis: usize) -> Result<NodeId, ShapeError> {
        let norm = self.norm(p, x, &[axis])?;
        let least = if p == 2.0 { NO_NORM } else { f32::MIN_POSITIVE };
        let mut program = ExpressionBuilder::default();
        let (x_value, norm_value) = (program.input(Dtype::F32), program.input(Dtype::F32));
        let (least, zero) = (program.float(least), program.float(0.0));
        let is_none = program.binary(BinaryOp::Less, norm_value, least);
        let ratio = program.binary(BinaryOp::Div, x_value, norm_value);
        program.select(is_none, zero, ratio);
        self.add(Op::Pointwise(program.finish()), &[x, norm])
    }

    /// Centred twice: the second time takes out the rounding of the first mean.
    fn mean_variance(&mut self, x: NodeId, axes: &[usize]) -> Result<NodeId, ShapeError> {
        let count: usize = axes.iter().map(|a| self.graph.node(x).shape[*a]).product();
        let mean = self.reduce(ReduceKind::Mean, axes, x)?;
        let centred = self.binary(BinaryOp::Sub, x, mean)?;
        let rest = self.reduce(ReduceKind::Mean, axes, centred)?;
        let centred = self.binary(BinaryOp::Sub, centred, rest)?;
        let norm = self.reduce(ReduceKind::L2, axes, centred)?;
        let deviation = self.with(BinaryOp::Mul, norm, (1.0 / (count as f64).sqrt()) as f32)?;
        let divisor = self.with(BinaryOp::Add, deviation, MEAN_VARIANCE_EPSILON)?;
        self.binary(BinaryOp::Div, centred, divisor)
    }

    fn norm_pool(&mut self, p: u32, spec: &PoolSpec, x: NodeId) -> Result<NodeId, ShapeError> {
        let shape = self.shape(x);
        let refused = |reason| ShapeError::Shape { op: "LpPool", operand: 0, shape: shape.clone(), reason };
        if shape.len() != spec.rank() + 2 {
            return Err(refused("batch, channels and the axes of the window"));
        }
        let (window, _) = forward_window(spec, &shape).map_err(|_| refused("the window fits"))?;
        self.add(Op::Pool { window, kind: PoolKind::Norm { p } }, &[x])
    }
}

impl Composed {
    /// Short name for error messages.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::LogSoftmax { .. } => "LogSoftmax",
            Self::LogSumExp { .. } => "ReduceLogSumExp",
            Self::Norm { .. } => "Norm",
            Self::LargestOfPlane => "GlobalMaxPool",
            Self::Normalized { .. } => "LpNormalization",
            Self::MeanVariance { .. } => "MeanVarianceNormalization",
            Self::NormPool { .. } => "LpPool",
        }
    }

    /// Adds its nodes to a graph.
    ///
    /// # Errors
    /// When the operand does not fit.
    pub fn spell(&self, graph: &mut Graph, x: NodeId, origin: OriginSet) -> Result<NodeId, ShapeError> {
        let found = graph.node(x).dtype;
        if found != Dtype::F32 {
            return Err(ShapeError::Dtype { op: self.name(), operand: 0, expected: Dtype::F32, found });
        }
        let shape = graph.node(x).shape.clone();
        let axes = |axes: &Axes| self.resolved(axes, &shape);
        let mut build = Build { graph, origin };
        match self {
            Self::LogSoftmax { axis, merges } => {
                let axis = axes(&Axes::Of(vec![*axis]))?;
                build.log_softmax(x, axis[0], *merges)
            }
            Self::LogSumExp { axes: over, keep } => {
                let over = axes(over)?;
                let y = build.log_sum_exp(x, &over)?;
                Ok(build.dropped(y, &over, *keep))
            }
            Self::Norm { p, axes: over, keep } => {
                let over = axes(over)?;
                let y = build.norm(*p, x, &over)?;
                Ok(build.dropped(y, &over, *keep))
            }
            Self::LargestOfPlane => build.reduce(ReduceKind::MaxNumber, &axes(&Axes::Spatial)?, x),
            Self::Normalized { p, axis } => {
                let axis = axes(&Axes::Of(vec![*axis]))?;
                build.normalized(*p, x, axis[0])
            }
            Self::MeanVariance { axes: over } => build.mean_variance(x, &axes(over)?),
            Self::NormPool { p, window } => build.norm_pool(*p, window, x),
        }
    }

    /// Axes in ascending order.
    fn resolved(&self, axes: &Axes, shape: &[usize]) -> Result<Vec<usize>, ShapeError> {
        let rank = shape.len();
        let outside = || ShapeError::Shape {
            op: self.name(),
            operand: 0,
            shape: shape.to_vec(),
            reason: "the axes are within the rank, and each is named once",
        };
        let list = match axes {
            Axes::All => return Ok((0..rank).collect()),
            Axes::Spatial => return Ok((2..rank).collect()),
            Axes::Of(list) => list,
        };
        let resolve = |axis: &i64| {
            let from_start = if *axis < 0 { axis + rank as i64 } else { *axis };
            usize::try_from(from_start).ok().filter(|a| *a < rank).ok_or_else(outside)
        };
        let mut found = list.iter().map(resolve).collect::<Result<Vec<_>, _>>()?;
        found.sort_unstable();
        if found.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(outside());
        }
        Ok(found)
    }

    /// Shape of the result.
    ///
    /// # Errors
    /// When the operand does not fit.
    pub fn infer(&self, shape: &[usize], dtype: Dtype) -> Result<Vec<usize>, ShapeError> {
        let mut graph = Graph::default();
        let x = graph.add_shaped(Op::Input, &[], "", shape.to_vec(), dtype);
        let y = self.spell(&mut graph, x, OriginSet::NONE)?;
        Ok(graph.node(y).shape.clone())
    }

    /// The value, by the interpreter.
    ///
    /// # Errors
    /// When the operand does not fit.
    pub fn evaluate(&self, x: &Tensor) -> Result<Tensor, ShapeError> {
        let mut graph = Graph::default();
        let node = graph.add_shaped(Op::Input, &[], "x", x.shape.clone(), x.dtype);
        let y = self.spell(&mut graph, node, OriginSet::NONE)?;
        let port = |name: &str, node| GraphPort { name: name.to_owned(), element: ElementType::F32, node };
        graph.inputs.push(port("x", node));
        graph.outputs.push(port("y", y));
        let shape = graph.node(y).shape.clone();
        let words = interpret(&graph, std::slice::from_ref(&x.words)).remove(0);
        Ok(Tensor { shape, dtype: Dtype::F32, words })
    }
}

#[cfg(test)]
mod tests {
    use super::{Axes, Composed};
    use crate::graph::constant::Dtype;
    use crate::graph::tensor::Tensor;

    fn value(op: &Composed, shape: &[usize], x: &[f32]) -> Vec<f32> {
        let x = Tensor::from_f32(shape.to_vec(), x.iter().copied());
        op.evaluate(&x).expect("the operand fits").to_f32()
    }

    #[test]
    fn values_at_the_ends_of_f32() {
        let lse = Composed::LogSumExp { axes: Axes::Of(vec![-1]), keep: false };
        let infinity = f32::INFINITY;
        let found = value(&lse, &[4, 2], &[1e30, -1e30, -infinity, -infinity, infinity, 0., 0., 0.]);
        assert_eq!(found, [1e30, -infinity, infinity, std::f32::consts::LN_2]);
        let unit = |p| Composed::Normalized { p, axis: 1 };
        let large = 2_f32.powi(100);
        let found = value(&unit(2.0), &[3, 2], &[0., 0., 3. * large, -4. * large, 1e-30, 0.]);
        assert_eq!(found, [0., 0., 0.6, -0.8, 0., 0.]);
        assert_eq!(value(&unit(1.0), &[2, 2], &[0., 0., 1. / large, -3. / large]), [0., 0., 0.25, -0.75]);
        let cubic = Composed::Norm { p: 3.0, axes: Axes::Spatial, keep: true };
        let found = value(&cubic, &[1, 2, 2], &[3e30, 0., 0., 0.]);
        assert_eq!(found, [3e30, 0.]);
        let log = Composed::LogSoftmax { axis: 0, merges: false };
        assert_eq!(value(&log, &[2, 1], &[0., -1e30]), [0., -1e30]);
    }

    #[test]
    fn shapes_and_refusals() {
        let lse = |axes: &[i64], keep| Composed::LogSumExp { axes: Axes::Of(axes.to_vec()), keep };
        assert_eq!(lse(&[-1, 0], false).infer(&[2, 3, 4], Dtype::F32), Ok(vec![3]));
        assert_eq!(lse(&[1], true).infer(&[2, 3, 4], Dtype::F32), Ok(vec![2, 1, 4]));
        for axes in [&[3][..], &[-4], &[0, -3]] {
            let error = lse(axes, true).infer(&[2, 3, 4], Dtype::F32).expect_err("axes outside, or twice");
            assert!(error.to_string().contains("axes are within the rank"), "{error}");
        }
        assert!(lse(&[0], true).infer(&[2], Dtype::I32).is_err());
    }
}
