//! Moves a slice before the operator that makes more than is read.
//!
//! A model that drops tokens late (the class token of a vision transformer) computes less, and the slice no longer stands
//! between a softmax and its einsum, where it would hide an attention. Only what the slice alone reads is moved over.

use super::nodes::{add, single_user};
use super::pass::{OptimizeError, OptimizeOptions, OptimizeReport};
use crate::graph::op::Op;
use crate::graph::{Graph, NodeId};

/// A slice of every axis: first element, step, count.
type Cut = Vec<(usize, isize, usize)>;

/// See the file's header.
pub fn run(graph: &mut Graph, _: &OptimizeOptions, report: &mut OptimizeReport) -> Result<(), OptimizeError> {
    // All the way up at once: later passes match what a slice in between would hide.
    loop {
        let before = report.slices_moved;
        for id in graph.topological_order() {
            if let Some((producer, cuts)) = movable(graph, id) {
                move_before(graph, id, producer, &cuts)?;
                report.slices_moved += 1;
            }
        }
        if report.slices_moved == before {
            return Ok(());
        }
        // What the slices read before is unread now, and must not count as a reader.
        graph.prune();
    }
}

/// The operator that a slice reads, and the cuts of that operator's operands which have the same effect.
fn movable(graph: &Graph, id: NodeId) -> Option<(NodeId, Vec<Option<Cut>>)> {
    let Op::Slice { starts, steps } = &graph.node(id).op else { return None };
    let producer = graph.operands(id)[0];
    let node = graph.node(producer);
    if single_user(graph, producer).is_none() || node.epilogue.is_some() {
        return None;
    }
    let cut: Cut = (0..starts.len()).map(|i| (starts[i], steps[i], graph.node(id).shape[i])).collect();
    let is_cut = |axis: usize| cut[axis] != (0, 1, node.shape[axis]);
    let operands = graph.operands(producer);
    let cuts: Vec<Option<Cut>> = match &node.op {
        Op::Softmax { axis, .. } if !is_cut(*axis) => vec![Some(cut.clone())],
        Op::Pointwise(_) => {
            let of = |operand: &NodeId| {
                let shape = &graph.node(*operand).shape;
                let axes = (0..shape.len()).map(|i| if shape[i] == 1 { (0, 1, 1) } else { cut[i] });
                let own: Cut = axes.collect();
                (0..shape.len()).any(|i| own[i] != (0, 1, shape[i])).then_some(own)
            };
            operands.iter().map(of).collect()
        }
        Op::Einsum { a, b, output } => {
            let of = |(labels, operand): (&Vec<u8>, &NodeId)| {
                let shape = &graph.node(*operand).shape;
                let axes = labels
                    .iter()
                    .zip(shape)
                    .map(|(label, dim)| output.iter().position(|l| l == label).map_or((0, 1, *dim), |axis| cut[axis]));
                let own: Cut = axes.collect();
                own.iter().zip(shape).any(|(c, dim)| *c != (0, 1, *dim)).then_some(own)
            };
            [a, b].into_iter().zip(&operands).map(of).collect()
        }
        Op::Input
        | Op::Constant(_)
        | Op::Conv { .. }
        | Op::Fold { .. }
        | Op::Unfold { .. }
        | Op::Pool { .. }
        | Op::Softmax { .. }
        | Op::Normalize { .. }
        | Op::Attention { .. }
        | Op::Reduce { .. }
        | Op::ArgReduce { .. }
        | Op::Gather { .. }
        | Op::Scatter { .. }
        | Op::Reshape
        | Op::Transpose { .. }
        | Op::Broadcast
        | Op::Slice { .. }
        | Op::Concat { .. }
        | Op::Pad { .. }
        | Op::Resize { .. }
        | Op::Kernel(_) => return None,
    };
    // One slice stays one slice of an activation; weights are not cut.
    let mut changed = operands.iter().zip(&cuts).filter(|(_, cut)| cut.is_some());
    let einsum = matches!(node.op, Op::Einsum { .. });
    let activations = changed.clone().filter(|(o, _)| graph.constant(**o).is_none()).count();
    let constants = changed.any(|(o, _)| graph.constant(*o).is_some());
    (activations == 1 && !(einsum && constants)).then_some((producer, cuts))
}

fn move_before(graph: &mut Graph, slice: NodeId, producer: NodeId, cuts: &[Option<Cut>]) -> Result<(), OptimizeError> {
    let mut operands = graph.operands(producer);
    let slice_origin = graph.node(slice).origin;
    for (operand, cut) in operands.iter_mut().zip(cuts) {
        if let Some(cut) = cut {
            let op = Op::Slice { starts: cut.iter().map(|c| c.0).collect(), steps: cut.iter().map(|c| c.1).collect() };
            let shape = cut.iter().map(|c| c.2).collect();
            let dtype = graph.node(*operand).dtype;
            *operand = graph.add_shaped(op, &[*operand], slice_origin, shape, dtype);
        }
    }
    let (op, origin) = (graph.node(producer).op.clone(), graph.node(producer).origin);
    let smaller = add(graph, op, &operands, origin)?;
    graph.replace_uses(slice, smaller);
    Ok(())
}
