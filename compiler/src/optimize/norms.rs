//! Recovers layer and RMS normalisation from mean, difference, mean of squares, ε, root and product.
//!
//! Scale and shift stay element-wise readers; fusion makes them the epilogue. Instance and group normalisation are layer
//! norms over the spatial axes. Kernels normalise over trailing axes, so that other axes are moved there by a transpose and
//! moved back.

use super::nodes::{add, program, transpose};
use super::pass::{OptimizeError, OptimizeOptions, OptimizeReport};
use super::pattern::{Value, binary, literal, unary, value, with_literal};
use crate::graph::op::{NormKind, Op, ReduceKind};
use crate::graph::origin::OriginSet;
use crate::graph::pointwise::{BinaryOp, UnaryOp};
use crate::graph::{Graph, NodeId};

/// A norm of a tensor.
struct Norm {
    x: NodeId,
    kind: NormKind,
    axes: Vec<usize>,
    epsilon: f32,
}

/// See the file's header.
pub fn run(graph: &mut Graph, _: &OptimizeOptions, report: &mut OptimizeReport) -> Result<(), OptimizeError> {
    for id in graph.topological_order() {
        let found = spelled_out(graph, id).or_else(|| rms_of_difference(graph, id));
        if let Some(norm) = found.or_else(|| not_trailing(graph, id)) {
            let origin = graph.node(id).origin;
            let new = build(graph, &norm, origin)?;
            graph.replace_uses(id, new);
            report.norms += 1;
        }
    }
    Ok(())
}

/// The norm over trailing axes, between transposes where its axes are not.
fn build(graph: &mut Graph, norm: &Norm, origin: OriginSet) -> Result<NodeId, OptimizeError> {
    let rank = graph.node(norm.x).shape.len();
    let mut forward: Vec<usize> = (0..rank).filter(|a| !norm.axes.contains(a)).collect();
    forward.extend(&norm.axes);
    let mut back = vec![0; rank];
    forward.iter().enumerate().for_each(|(to, from)| back[*from] = to);
    let x = transpose(graph, norm.x, forward, origin)?;
    let axes = (rank - norm.axes.len()..rank).collect();
    let normalized = add(graph, Op::Normalize { kind: norm.kind, axes, epsilon: norm.epsilon }, &[x], origin)?;
    transpose(graph, normalized, back, origin)
}

/// A norm that is one already, over other than trailing axes.
fn not_trailing(graph: &Graph, id: NodeId) -> Option<Norm> {
    let node = graph.node(id);
    let Op::Normalize { kind, axes, epsilon } = &node.op else { return None };
    let first = node.shape.len() - axes.len();
    if node.epilogue.is_some() || axes.iter().enumerate().all(|(i, a)| *a == first + i) {
        return None;
    }
    Some(Norm { x: graph.operands(id)[0], kind: *kind, axes: axes.clone(), epsilon: *epsilon })
}

/// An RMS norm of x − mean(x).
fn rms_of_difference(graph: &Graph, id: NodeId) -> Option<Norm> {
    let node = graph.node(id);
    let Op::Normalize { kind: NormKind::Rms, axes, epsilon } = &node.op else { return None };
    if node.epilogue.is_some() {
        return None;
    }
    let difference = graph.operands(id)[0];
    let x = centred(graph, difference, axes)?;
    Some(Norm { x, kind: NormKind::Layer, axes: axes.clone(), epsilon: *epsilon })
}

/// x, when `id` is x minus its mean over the axes.
fn centred(graph: &Graph, id: NodeId, axes: &[usize]) -> Option<NodeId> {
    program(graph, id)?;
    let (whole, mean) = binary(graph, value(graph, id), BinaryOp::Sub)?;
    let Value::Node(mean) = mean else { return None };
    let node = graph.node(mean);
    let over_axes = matches!(&node.op, Op::Reduce { kind: ReduceKind::Mean, axes: found } if found == axes);
    let x = *graph.operands(mean).first()?;
    let same_shape = graph.node(x).shape == graph.node(id).shape;
    (over_axes && node.epilogue.is_none() && same_shape && value(graph, x) == whole).then_some(x)
}

/// d · 1/√(mean d² + ε) in any of its spellings.
fn spelled_out(graph: &Graph, id: NodeId) -> Option<Norm> {
    program(graph, id)?;
    let at = value(graph, id);
    let divided = || binary(graph, at, BinaryOp::Div).and_then(|(d, s)| Some((d, under_root(graph, s)?)));
    let multiplied = || {
        let (a, b) = binary(graph, at, BinaryOp::Mul)?;
        let right = under_inverse_root(graph, b).map(|v| (a, v));
        right.or_else(|| under_inverse_root(graph, a).map(|v| (b, v)))
    };
    let (whole, variance) = divided().or_else(multiplied)?;
    // ε of 0 is not added.
    let (mean_square, epsilon) = with_literal(graph, variance, BinaryOp::Add).unwrap_or((variance, 0.0));
    let Value::Node(reduce) = mean_square else { return None };
    let (d, axes) = squares_of(graph, reduce)?;
    if value(graph, d) != whole || graph.node(d).shape != graph.node(id).shape {
        return None;
    }
    Some(match centred(graph, d, &axes) {
        Some(x) => Norm { x, kind: NormKind::Layer, axes, epsilon },
        None => Norm { x: d, kind: NormKind::Rms, axes, epsilon },
    })
}

/// d and the axes, when a node is the mean of d².
fn squares_of(graph: &Graph, id: NodeId) -> Option<(NodeId, Vec<usize>)> {
    let Op::Reduce { kind, axes } = &graph.node(id).op else { return None };
    if graph.node(id).epilogue.is_some() {
        return None;
    }
    let operand = graph.operands(id)[0];
    match kind {
        ReduceKind::MeanSquare => Some((operand, axes.clone())),
        ReduceKind::Mean => {
            let (a, b) = binary(graph, value(graph, operand), BinaryOp::Mul)?;
            let inner = *graph.operands(operand).first()?;
            (a == b && value(graph, inner) == a).then(|| (inner, axes.clone()))
        }
        ReduceKind::Sum
        | ReduceKind::SumSquare
        | ReduceKind::Max
        | ReduceKind::Min
        | ReduceKind::MaxNumber
        | ReduceKind::Product
        | ReduceKind::L1
        | ReduceKind::L2 => None,
    }
}

/// v of √v.
fn under_root(graph: &Graph, at: Value) -> Option<Value> {
    let power = || with_literal(graph, at, BinaryOp::Pow).filter(|(_, e)| *e == 0.5).map(|(v, _)| v);
    unary(graph, at, UnaryOp::Sqrt).or_else(power)
}

/// v of 1/√v.
fn under_inverse_root(graph: &Graph, at: Value) -> Option<Value> {
    let power = || with_literal(graph, at, BinaryOp::Pow).filter(|(_, e)| *e == -0.5).map(|(v, _)| v);
    let reciprocal = || unary(graph, at, UnaryOp::Reciprocal).and_then(|s| under_root(graph, s));
    let one_over = || {
        let (one, s) = binary(graph, at, BinaryOp::Div)?;
        literal(graph, one).filter(|v| *v == 1.0)?;
        under_root(graph, s)
    };
    unary(graph, at, UnaryOp::Rsqrt).or_else(power).or_else(reciprocal).or_else(one_over)
}
