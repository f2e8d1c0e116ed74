//! How large the activations of products can become, and the power of two by which they can be made halves.
//!
//! Where matrices of halves are multiplied, rows must be brought into the range of halves. A kernel can look for the largest
//! element while it runs, which takes a tenth of its time. Behind a norm, a softmax or a clip nobody needs to look: elements
//! are bounded whatever the inputs are, and sums of so many of them times known weights are, too. This follows intervals from
//! there to the products that read them. It also follows how large elements typically are, of weights that are independent of
//! what they are multiplied with: where the bound is beyond that by more than `MAX_HEADROOM`, halves would lack bits, and the
//! kernel looks. It deliberately knows no kernel.

use super::half::in_parallel;
use super::half::range::{Channels, exp2};
use super::streamed::streamed_weight;
use crate::graph::constant::{Constant, Dtype};
use crate::graph::op::{NormKind, Op, PadMode, PoolKind, ReduceKind};
use crate::graph::pointwise::{BinaryOp, Instruction, Literal, Operand, Pointwise, UnaryOp};
use crate::graph::{Graph, NodeId};
use flashmem_plan_format::encoding::Encoding;
use std::collections::{BTreeMap, BTreeSet};

/// Most bits between the typical and the largest possible element. Scaled elements are below 2¹⁵, and halves have all of their bits
/// from 2⁻¹⁴ up: those of a thousandth of the typical size keep theirs.
const MAX_HEADROOM: f64 = 18.0;
/// Exponent below which the largest element is brought.
const TOP: i32 = 15;
/// What f32's own rounding, and that of weights to halves, may add to a bound.
const SLACK: f64 = 1.01;
/// What rounding to blocks of small integers may make of a sum of magnitudes: at most half a step for each of a block's 32, of which
/// the largest has 7 or more.
const BLOCKS: f64 = 4.0;
/// Bits that a result is taken to be smaller than its bound where only the bound is known.
const UNKNOWN_HEADROOM: f64 = 4.0;
/// Bounds beyond these powers of two say nothing.
const MAX_EXPONENT: f64 = 100.0;

/// Where elements lie that are not NaN, and how large they typically are.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Extent {
    low: f64,
    high: f64,
    typical: f64,
}

impl Extent {
    /// Nothing is known.
    const ANY: Self = Self { low: f64::NEG_INFINITY, high: f64::INFINITY, typical: f64::INFINITY };

    fn of(low: f64, high: f64, typical: f64) -> Self {
        if low.is_nan() || high.is_nan() { Self::ANY } else { Self { low, high, typical } }
    }

    /// As far in both directions.
    fn symmetric(size: f64, typical: f64) -> Self {
        Self::of(-size, size, typical)
    }

    /// Of a function that has these limits, whatever it is given.
    fn within(low: f64, high: f64) -> Self {
        Self::of(low, high, low.abs().max(high) * (-UNKNOWN_HEADROOM).exp2())
    }

    fn size(self) -> f64 {
        self.low.abs().max(self.high.abs())
    }

    fn is_known(self) -> bool {
        self.size().is_finite()
    }

    /// The same with typical elements that are no larger than the largest.
    fn settled(self) -> Self {
        let known = if self.typical.is_finite() { self.typical } else { self.size() * (-UNKNOWN_HEADROOM).exp2() };
        Self { typical: known.min(self.size()), ..self }
    }

    fn united(self, other: Self) -> Self {
        Self::of(self.low.min(other.low), self.high.max(other.high), self.typical.max(other.typical))
    }

    /// Times something between −factor and factor.
    fn times(self, factor: f64, typical: f64) -> Self {
        if self.is_known() { Self::symmetric(self.size() * factor, self.typical * typical) } else { Self::ANY }
    }
}

/// For every product or convolution that streams a weight: the power of two by which the elements of what it multiplies are below
/// 2¹⁵, as far as that follows from the graph and leaves halves their bits.
pub fn scales(graph: &Graph) -> BTreeMap<NodeId, f32> {
    let ids: Vec<NodeId> = graph.topological_order();
    let products: Vec<(NodeId, NodeId)> = ids.iter().filter_map(|id| Some((*id, multiplied(graph, *id)?))).collect();
    let needed = needed(graph, products.iter().map(|(_, x)| *x));
    let weighted: Vec<NodeId> = ids.iter().copied().filter(|id| needed.contains(id)).collect();
    let sums = in_parallel(&weighted, |id| sums_of(graph, *id));
    let sums: BTreeMap<NodeId, Sums> =
        weighted.into_iter().zip(sums).filter_map(|(id, sums)| Some((id, sums?))).collect();
    let mut extents = BTreeMap::new();
    for id in ids.iter().filter(|id| needed.contains(id)) {
        let extent = extent(graph, *id, &sums, &extents);
        extents.insert(*id, extent);
    }
    products.into_iter().filter_map(|(id, x)| Some((id, scale(extents[&x])?))).collect()
}

/// The power of two for elements of this extent.
fn scale(extent: Extent) -> Option<f32> {
    let Extent { typical, .. } = extent.settled();
    let exponent = (extent.size() * SLACK).log2();
    let fits = exponent.abs() <= MAX_EXPONENT && typical > 0.0 && exponent - typical.log2() <= MAX_HEADROOM;
    fits.then(|| exp2(TOP - 1 - exponent.floor() as i32) as f32)
}

/// What a node multiplies a streamed weight with.
fn multiplied(graph: &Graph, id: NodeId) -> Option<NodeId> {
    let weight = streamed_weight(graph, id)?;
    graph.operands(id).get(1 - weight.position).copied()
}

/// The nodes that extents of these follow from.
fn needed(graph: &Graph, wanted: impl Iterator<Item = NodeId>) -> BTreeSet<NodeId> {
    let (mut found, mut open) = (BTreeSet::new(), wanted.collect::<Vec<_>>());
    while let Some(id) = open.pop() {
        if found.insert(id) {
            open.extend(followed(graph, id));
        }
    }
    found
}

/// The operands of a node that its extent follows from.
fn followed(graph: &Graph, id: NodeId) -> Vec<NodeId> {
    let (operands, own) = (graph.operands(id), graph.op_operand_count(id));
    let of_op: Vec<NodeId> = match &graph.node(id).op {
        Op::Pointwise(_) | Op::Concat { .. } => operands[..own].to_vec(),
        Op::Einsum { .. } | Op::Conv { .. } => multiplied(graph, id).into_iter().collect(),
        Op::Attention { .. } => vec![operands[2]],
        Op::Reshape
        | Op::Transpose { .. }
        | Op::Broadcast
        | Op::Slice { .. }
        | Op::Unfold { .. }
        | Op::Gather { .. }
        | Op::Pad { .. }
        | Op::Pool { .. }
        | Op::Resize { .. }
        | Op::Reduce { .. } => vec![operands[0]],
        Op::Input
        | Op::Constant(_)
        | Op::Fold { .. }
        | Op::Softmax { .. }
        | Op::Normalize { .. }
        | Op::ArgReduce { .. }
        | Op::Scatter { .. }
        | Op::Kernel(_) => Vec::new(),
    };
    of_op.into_iter().chain(operands[own..].iter().copied()).collect()
}

/// Of the channels of a weight: the largest sum of magnitudes, and the root of the mean sum of squares.
#[derive(Debug, Clone, Copy)]
struct Sums {
    magnitudes: f64,
    squares: f64,
}

fn sums_of(graph: &Graph, id: NodeId) -> Option<Sums> {
    let weight = streamed_weight(graph, id)?;
    let constant = graph.constant(graph.operands(id)[weight.position])?;
    let channels = Channels::of(&constant.shape, &weight.channel_axes);
    let mut magnitudes = vec![0.0_f64; channels.count];
    let mut squares = 0.0_f64;
    channels.values(constant, |channel, value| {
        magnitudes[channel] += f64::from(value).abs();
        squares += f64::from(value) * f64::from(value);
    });
    let largest = magnitudes.iter().fold(0.0, |a: f64, b| if b.is_nan() { f64::NAN } else { a.max(*b) });
    let in_blocks = matches!(graph.encodings.get(&graph.operands(id)[weight.position]), Some(Encoding::Block(_)));
    let largest = if in_blocks { largest * BLOCKS } else { largest };
    Some(Sums { magnitudes: largest, squares: (squares / channels.count.max(1) as f64).sqrt() })
}

/// The extent of a node's elements, given those of the nodes that it follows from.
fn extent(graph: &Graph, id: NodeId, sums: &BTreeMap<NodeId, Sums>, known: &BTreeMap<NodeId, Extent>) -> Extent {
    let node = graph.node(id);
    let (operands, own) = (graph.operands(id), graph.op_operand_count(id));
    let of = |id: &NodeId| known.get(id).copied().unwrap_or(Extent::ANY);
    let columns = |axes: &[usize]| axes.iter().map(|axis| node.shape[*axis]).product::<usize>() as f64;
    let first = || of(&operands[0]);
    let value = match &node.op {
        Op::Constant(constant) => of_constant(constant),
        Op::Pointwise(program) => of_program(program, operands[..own].iter().map(of).collect()),
        Op::Normalize { kind: NormKind::Layer | NormKind::Rms, axes, .. } => {
            Extent::symmetric(columns(axes).sqrt() * SLACK, 1.0)
        }
        Op::Softmax { axis, log: false } => Extent::of(0.0, SLACK, 1.0 / node.shape[*axis].max(1) as f64),
        Op::Einsum { .. } | Op::Conv { .. } => match (sums.get(&id), multiplied(graph, id)) {
            (Some(sums), Some(x)) => of(&x).settled().times(sums.magnitudes * SLACK, sums.squares),
            _ => Extent::ANY,
        },
        Op::Attention { .. } => {
            let keys = graph.node(operands[1]).shape.iter().rev().nth(1).copied().unwrap_or(1).max(1) as f64;
            let Extent { low, high, typical } = of(&operands[2]).settled();
            Extent::of(low.min(0.0) * SLACK, high.max(0.0) * SLACK, typical / keys.sqrt())
        }
        Op::Concat { .. } => operands[..own].iter().map(of).reduce(Extent::united).unwrap_or(Extent::ANY),
        Op::Reshape
        | Op::Transpose { .. }
        | Op::Broadcast
        | Op::Slice { .. }
        | Op::Unfold { .. }
        | Op::Gather { .. } => first(),
        Op::Pad { mode: PadMode::Constant(value), .. } => {
            let value = f64::from(*value);
            first().united(Extent::of(value, value, 0.0))
        }
        Op::Pad { mode: PadMode::Reflect | PadMode::Edge, .. } => first(),
        Op::Pool { kind: PoolKind::Max, .. } => first(),
        Op::Pool { kind: PoolKind::Average { .. }, .. } => of_mean(first()),
        Op::Reduce { kind: ReduceKind::Mean, .. } => of_mean(first()),
        Op::Reduce { kind: ReduceKind::Max | ReduceKind::Min, .. } => first(),
        Op::Resize { axes, fill } => {
            let x = first().united(Extent::of(f64::from(*fill), f64::from(*fill), 0.0));
            let weights = axes.iter().filter(|taps| !taps.is_kept()).map(|taps| {
                let lines = taps.weights.chunks(taps.window).map(|line| line.iter().map(|w| f64::from(w.abs())).sum());
                lines.fold(1.0, f64::max)
            });
            x.times(weights.product::<f64>() * SLACK, 1.0)
        }
        Op::Input
        | Op::Fold { .. }
        | Op::Pool { kind: PoolKind::MaxIndex | PoolKind::Norm { .. }, .. }
        | Op::Softmax { log: true, .. }
        | Op::Reduce { .. }
        | Op::ArgReduce { .. }
        | Op::Scatter { .. }
        | Op::Kernel(_) => Extent::ANY,
    };
    match &node.epilogue {
        None => value,
        Some(program) => of_program(program, [value].into_iter().chain(operands[own..].iter().map(of)).collect()),
    }
}

/// Of means of elements, and of the padding among them.
fn of_mean(x: Extent) -> Extent {
    Extent::of(x.low.min(0.0) * SLACK, x.high.max(0.0) * SLACK, x.typical)
}

fn of_constant(constant: &Constant) -> Extent {
    if constant.dtype() != Dtype::F32 || constant.is_empty() {
        return Extent::ANY;
    }
    let mut values = vec![0.0; constant.len()];
    constant.read_f32(0, &mut values);
    let values = || values.iter().map(|value| f64::from(*value));
    if !values().all(f64::is_finite) {
        return Extent::ANY;
    }
    let squares: f64 = values().map(|value| value * value).sum();
    let (low, high) = (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max));
    Extent::of(low, high, (squares / constant.len() as f64).sqrt())
}

/// Of what an element-wise program gives.
fn of_program(program: &Pointwise, inputs: Vec<Extent>) -> Extent {
    let mut results: Vec<Extent> = Vec::with_capacity(program.instructions.len());
    for instruction in &program.instructions {
        let of = |operand: Operand| match operand {
            Operand::Input(i) => inputs[i as usize],
            Operand::Result(i) => results[i as usize],
        };
        let result = match *instruction {
            Instruction::Literal(Literal::F32(bits)) => {
                let value = f64::from(f32::from_bits(bits));
                Extent::of(value, value, value.abs())
            }
            Instruction::Literal(Literal::I32(_) | Literal::Bool(_)) => Extent::ANY,
            Instruction::Unary(op, a) if program.operand_dtype(a) == Dtype::F32 => of_unary(op, of(a)),
            Instruction::Binary(op, a, b) if program.operand_dtype(a) == Dtype::F32 => of_binary(op, of(a), of(b)),
            Instruction::Select { then, otherwise, .. } => of(then).united(of(otherwise)),
            Instruction::Cast(a, Dtype::F32) if program.operand_dtype(a) == Dtype::Bool => Extent::within(0.0, 1.0),
            Instruction::Unary(..) | Instruction::Binary(..) | Instruction::Cast(..) => Extent::ANY,
        };
        results.push(result);
    }
    results.pop().unwrap_or(Extent::ANY)
}

fn of_unary(op: UnaryOp, x: Extent) -> Extent {
    let Extent { low, high, typical } = x;
    // Functions between 0 or a little less and x itself.
    let gate = |least: f64| Extent::of(least, high.max(0.0) * SLACK, typical / 4.0);
    match op {
        UnaryOp::Abs => Extent::of(0.0, x.size(), typical),
        UnaryOp::Neg => Extent::of(-high, -low, typical),
        UnaryOp::Relu => gate(0.0),
        UnaryOp::Silu => gate(-0.3),
        UnaryOp::GeluErf | UnaryOp::GeluTanh => gate(-0.2),
        UnaryOp::HardSwish => gate(-0.4),
        UnaryOp::Softplus => Extent::of(0.0, high.max(0.0) + 0.7, typical),
        UnaryOp::Sqrt => Extent::of(0.0, high.max(0.0).sqrt(), typical.sqrt()),
        UnaryOp::Sigmoid => Extent::within(0.0, 1.0),
        UnaryOp::Tanh | UnaryOp::Erf | UnaryOp::Sin | UnaryOp::Cos | UnaryOp::Sign => Extent::within(-1.0, 1.0),
        UnaryOp::Atan => Extent::within(-1.6, 1.6),
        UnaryOp::Floor | UnaryOp::Ceil | UnaryOp::Round => Extent::of(low - 1.0, high + 1.0, typical),
        UnaryOp::Exp
        | UnaryOp::Log
        | UnaryOp::Rsqrt
        | UnaryOp::Reciprocal
        | UnaryOp::RoundToF16
        | UnaryOp::Tan
        | UnaryOp::Asin
        | UnaryOp::Acos
        | UnaryOp::Sinh
        | UnaryOp::Cosh
        | UnaryOp::Asinh
        | UnaryOp::Acosh
        | UnaryOp::Atanh
        | UnaryOp::IsNan
        | UnaryOp::IsInf
        | UnaryOp::Not
        | UnaryOp::BitNot => Extent::ANY,
    }
}

/// How large elements of one typically are where the other is a limit.
fn clipped(a: Extent, b: Extent) -> f64 {
    match (a.low == a.high, b.low == b.high) {
        (true, _) => b.typical,
        (false, true) => a.typical,
        (false, false) => a.typical.max(b.typical),
    }
}

fn of_binary(op: BinaryOp, a: Extent, b: Extent) -> Extent {
    let larger = a.typical.max(b.typical);
    match op {
        BinaryOp::Add => Extent::of(a.low + b.low, a.high + b.high, larger),
        BinaryOp::Sub => Extent::of(a.low - b.high, a.high - b.low, larger),
        BinaryOp::Mul if a.is_known() && b.is_known() => {
            let corners = [a.low * b.low, a.low * b.high, a.high * b.low, a.high * b.high];
            let (low, high) =
                corners.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), c| (l.min(*c), h.max(*c)));
            Extent::of(low, high, a.typical * b.typical)
        }
        BinaryOp::Div if b.is_known() && b.low * b.high > 0.0 => {
            let least = b.low.abs().min(b.high.abs());
            a.times(1.0 / least, 1.0 / b.typical.max(least))
        }
        BinaryOp::Min => Extent::of(a.low.min(b.low), a.high.min(b.high), clipped(a, b)),
        BinaryOp::Max => Extent::of(a.low.max(b.low), a.high.max(b.high), clipped(a, b)),
        BinaryOp::Mul
        | BinaryOp::Div
        | BinaryOp::Pow
        | BinaryOp::Fmod
        | BinaryOp::FloorMod
        | BinaryOp::Equal
        | BinaryOp::NotEqual
        | BinaryOp::Less
        | BinaryOp::LessEqual
        | BinaryOp::Greater
        | BinaryOp::GreaterEqual
        | BinaryOp::And
        | BinaryOp::Or
        | BinaryOp::Xor
        | BinaryOp::BitAnd
        | BinaryOp::BitOr
        | BinaryOp::BitXor
        | BinaryOp::ShiftLeft
        | BinaryOp::ShiftRight => Extent::ANY,
    }
}

#[cfg(test)]
mod tests;
