//! Puts a tensor's axes into another order, with axes of size 1 where they are requested.

use super::axes::Axes;
use crate::graph::origin::OriginSet;
use crate::graph::{Graph, NodeId};
use crate::optimize::nodes::{reshape, transpose};
use crate::optimize::pass::OptimizeError;

/// `node`, whose axes are `from`, as a tensor whose axes are `to`, which has all their labels: labels that are only in `to` and
/// `None` are axes of size 1. Returns the node itself, a reshape, a transpose, or a reshape of a transpose.
pub fn arrange(
    graph: &mut Graph,
    node: NodeId,
    from: &Axes,
    to: &Axes,
    origin: OriginSet,
) -> Result<NodeId, OptimizeError> {
    let shape = graph.node(node).shape.clone();
    let position = |label: u8| from.iter().position(|l| *l == Some(label));
    let sizes: Vec<usize> = to.iter().map(|l| l.and_then(position).map_or(1, |axis| shape[axis])).collect();
    let order: Vec<usize> = to.iter().flatten().filter_map(|l| position(*l)).collect();
    if order.is_sorted() {
        return Ok(reshape(graph, node, &sizes, origin));
    }
    let units: Vec<usize> = (0..from.len()).filter(|axis| from[*axis].is_none()).collect();
    let permutation = if from.len() == to.len() {
        // As many axes of size 1 as are requested: one transpose does it all.
        let mut units = units.into_iter();
        to.iter().filter_map(|l| l.and_then(position).or_else(|| units.next())).collect()
    } else {
        units.into_iter().chain(order).collect()
    };
    let permuted = transpose(graph, node, permutation, origin)?;
    Ok(reshape(graph, permuted, &sizes, origin))
}
