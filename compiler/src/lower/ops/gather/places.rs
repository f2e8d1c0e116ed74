//! Which gathers read rows that the host knows, and which rows these are.

use super::indices::{Piece, pieces};
use crate::graph::constant::{Constant, Dtype};
use crate::graph::op::Op;
use crate::graph::{Graph, NodeId};
use flashmem_plan_format::plan::ElementType;
use flashmem_plan_format::validate::MAX_ROW_BYTES;

/// Largest table that stays in memory for indices that are computed.
const MAX_RESIDENT_BYTES: usize = 16 << 20;

/// The indices of a row gather.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowPlaces {
    /// Extents of their places, whose rows stand in row-major order.
    pub shape: Vec<usize>,
    /// What they are, box by box.
    pub pieces: Vec<Piece>,
}

/// The indices of a gather whose rows the host reads, if this is what the node does.
pub fn row_places(graph: &Graph, id: NodeId) -> Option<RowPlaces> {
    let Op::Gather { axis: 0 } = graph.node(id).op else { return None };
    let operands = graph.operands(id);
    let table = graph.constant(operands[0])?;
    let row_bytes = 4 * table.shape[1..].iter().product::<usize>() as u64;
    let places = reshaped(graph, operands[1]);
    let shape = graph.node(places).shape.clone();
    let stored = table.dtype() == Dtype::F32 && !table.is_empty() && row_bytes <= MAX_ROW_BYTES;
    if !stored || u32::try_from(table.shape[0]).is_err() || shape.contains(&0) {
        return None;
    }
    if !is_large(table) && (table.shape.len() != 2 || !is_wide_input(graph, places)) {
        return None;
    }
    Some(RowPlaces { shape, pieces: pieces(graph, places)? })
}

/// Whether a table is too large to stay in memory.
pub fn is_large(table: &Constant) -> bool {
    table.len() * 4 > MAX_RESIDENT_BYTES
}

/// The tensor that a chain of reshapes begins with.
fn reshaped(graph: &Graph, mut id: NodeId) -> NodeId {
    while matches!(graph.node(id).op, Op::Reshape) && graph.node(id).epilogue.is_none() {
        id = graph.operands(id)[0];
    }
    id
}

/// Whether a node is a public input of 32 or 64 bits.
fn is_wide_input(graph: &Graph, id: NodeId) -> bool {
    let wide = |element| matches!(element, ElementType::I32 | ElementType::I64);
    graph.inputs.iter().any(|input| input.node == id && wide(input.element))
}

/// The table of which a gather reads single rows from the file.
pub fn row_table(graph: &Graph, id: NodeId) -> Option<NodeId> {
    row_places(graph, id).map(|_| graph.operands(id)[0])
}
