//! Merges views with the views that they read: reshape of reshape, transpose of transpose.
//!
//! A transpose that only moves axes of size 1 is a reshape. No copy is made here; lowering decides what a view costs.

use super::pass::{OptimizeError, OptimizeOptions, OptimizeReport};
use crate::graph::op::Op;
use crate::graph::{Graph, NodeId};

/// See the file's header.
pub fn run(graph: &mut Graph, _: &OptimizeOptions, report: &mut OptimizeReport) -> Result<(), OptimizeError> {
    for id in graph.topological_order() {
        if let Op::Transpose { permutation } = &graph.node(id).op {
            let shape = &graph.node(graph.operands(id)[0]).shape;
            let order: Vec<usize> = permutation.iter().copied().filter(|p| shape[*p] != 1).collect();
            if order.is_sorted() {
                graph.node_mut(id).op = Op::Reshape;
                report.views_merged += 1;
            }
        }
        merge(graph, id, report);
    }
    Ok(())
}

/// Lets a view of a view read through the inner one.
fn merge(graph: &mut Graph, id: NodeId, report: &mut OptimizeReport) {
    let Some(operand) = graph.operands(id).first().copied() else { return };
    let (outer, inner) = (&graph.node(id).op, &graph.node(operand).op);
    let merged = if let Op::Transpose { permutation: outer } = outer
        && let Op::Transpose { permutation: inner } = inner
    {
        Op::Transpose { permutation: outer.iter().map(|p| inner[*p]).collect() }
    } else if matches!((outer, inner), (Op::Reshape, Op::Reshape) | (Op::Broadcast, Op::Broadcast)) {
        outer.clone()
    } else {
        return;
    };
    let source = graph.operands(operand)[0];
    graph.node_mut(id).op = merged;
    graph.set_operands(id, &[source]);
    report.views_merged += 1;
}
