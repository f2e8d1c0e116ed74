//! What passes ask of nodes, and how they make them.
//!
//! It deliberately chooses nothing: which node to make is the pass's.

use super::pass::OptimizeError;
use crate::graph::op::Op;
use crate::graph::origin::OriginSet;
use crate::graph::pointwise::Pointwise;
use crate::graph::{Graph, NodeId};

/// Adds a node whose operator a pass chose.
pub fn add(graph: &mut Graph, op: Op, operands: &[NodeId], origin: OriginSet) -> Result<NodeId, OptimizeError> {
    let added = graph.add(op, operands, origin);
    added.map_err(|error| OptimizeError::Shape { node: graph.origins.label(origin, OriginSet::NONE), error })
}

/// `node` under another shape of as many elements: itself, or a `Reshape` of it.
pub fn reshape(graph: &mut Graph, node: NodeId, shape: &[usize], origin: OriginSet) -> NodeId {
    if graph.node(node).shape == shape {
        return node;
    }
    let dtype = graph.node(node).dtype;
    graph.add_shaped(Op::Reshape, &[node], origin, shape.to_vec(), dtype)
}

/// `node` with its axes permuted: itself, or a `Transpose` of it.
pub fn transpose(
    graph: &mut Graph,
    node: NodeId,
    permutation: Vec<usize>,
    origin: OriginSet,
) -> Result<NodeId, OptimizeError> {
    if permutation.iter().enumerate().all(|(i, p)| i == *p) {
        return Ok(node);
    }
    add(graph, Op::Transpose { permutation }, &[node], origin)
}

/// The node that alone reads `id`, when it is not a public output either. It may read it in several positions.
pub fn single_user(graph: &Graph, id: NodeId) -> Option<NodeId> {
    let users = graph.users(id);
    let public = graph.results().any(|o| o.node == id);
    (users.len() == 1 && !public).then(|| users[0])
}

/// The program of a `Pointwise` node.
pub fn program(graph: &Graph, id: NodeId) -> Option<&Pointwise> {
    if let Op::Pointwise(program) = &graph.node(id).op { Some(program) } else { None }
}

/// Whether operands of these shapes broadcast to exactly `shape`.
pub fn broadcasts_to(graph: &Graph, operands: &[NodeId], shape: &[usize]) -> bool {
    !operands.is_empty()
        && (0..shape.len()).all(|axis| operands.iter().any(|o| graph.node(*o).shape[axis] == shape[axis]))
}
