//! Removes nodes that do nothing, and broadcasts that their element-wise readers do by themselves.

use super::nodes::broadcasts_to;
use super::pass::{OptimizeError, OptimizeOptions, OptimizeReport};
use crate::graph::op::{Op, ReduceKind};
use crate::graph::{Graph, NodeId};

/// See the file's header.
pub fn run(graph: &mut Graph, _: &OptimizeOptions, report: &mut OptimizeReport) -> Result<(), OptimizeError> {
    for id in graph.topological_order() {
        if let Some(operand) = same_as(graph, id) {
            graph.replace_uses(id, operand);
            report.identities += 1;
        } else if matches!(graph.node(id).op, Op::Pointwise(_)) {
            drop_broadcasts(graph, id, report);
        }
    }
    Ok(())
}

/// The operand that equals the node.
fn same_as(graph: &Graph, id: NodeId) -> Option<NodeId> {
    let node = graph.node(id);
    let operand = *graph.operands(id).first()?;
    let same_shape = node.epilogue.is_none() && graph.node(operand).shape == node.shape;
    let does_nothing = match &node.op {
        Op::Reshape | Op::Broadcast => true,
        Op::Slice { starts, steps } => starts.iter().all(|s| *s == 0) && steps.iter().all(|s| *s == 1),
        Op::Transpose { permutation } => permutation.iter().enumerate().all(|(i, p)| i == *p),
        Op::Concat { .. } => graph.operands(id).len() == 1,
        Op::Pad { before, after, .. } => before.iter().chain(after).all(|p| *p == 0),
        Op::Reduce { kind, .. } => match kind {
            ReduceKind::Sum | ReduceKind::Mean | ReduceKind::Max | ReduceKind::Min | ReduceKind::Product => true,
            ReduceKind::SumSquare
            | ReduceKind::MeanSquare
            | ReduceKind::L1
            | ReduceKind::L2
            | ReduceKind::MaxNumber => false,
        },
        Op::Input
        | Op::Constant(_)
        | Op::Pointwise(_)
        | Op::Einsum { .. }
        | Op::Conv { .. }
        | Op::Fold { .. }
        | Op::Unfold { .. }
        | Op::Scatter { .. }
        | Op::Pool { .. }
        | Op::Softmax { .. }
        | Op::Normalize { .. }
        | Op::Attention { .. }
        | Op::ArgReduce { .. }
        | Op::Gather { .. }
        | Op::Resize { .. }
        | Op::Kernel(_) => false,
    };
    (same_shape && does_nothing).then_some(operand)
}

/// An element-wise node reads the operand of a `Broadcast` directly, as long as the others still give it its shape.
fn drop_broadcasts(graph: &mut Graph, id: NodeId, report: &mut OptimizeReport) {
    for position in 0..graph.operands(id).len() {
        let mut operands = graph.operands(id);
        let broadcast = operands[position];
        if matches!(graph.node(broadcast).op, Op::Broadcast) {
            operands[position] = graph.operands(broadcast)[0];
            if broadcasts_to(graph, &operands, &graph.node(id).shape) {
                graph.set_operands(id, &operands);
                report.identities += 1;
            }
        }
    }
}
