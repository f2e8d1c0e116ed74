//! Equal nodes become one: the same operator and epilogue on the same operands, and constants of equal bytes.

use super::pass::{OptimizeError, OptimizeOptions, OptimizeReport};
use crate::graph::constant::Constant;
use crate::graph::op::Op;
use crate::graph::{Graph, NodeId};
use std::collections::BTreeMap;

/// Larger constants are equal only when they share their memory.
const COMPARED_BYTES: usize = 4096;

/// See the file's header.
pub fn run(graph: &mut Graph, _: &OptimizeOptions, report: &mut OptimizeReport) -> Result<(), OptimizeError> {
    let mut constants: BTreeMap<(String, usize, Vec<u8>), NodeId> = BTreeMap::new();
    let mut nodes: BTreeMap<(String, Vec<NodeId>), NodeId> = BTreeMap::new();
    for id in graph.topological_order() {
        let first = match &graph.node(id).op {
            Op::Input => continue,
            Op::Constant(c) => *constants.entry(constant_key(c)).or_insert(id),
            Op::Pointwise(_)
            | Op::Einsum { .. }
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
            | Op::Kernel(_) => *nodes.entry((node_key(graph, id), graph.operands(id))).or_insert(id),
        };
        if first != id {
            graph.replace_uses(id, first);
            report.duplicates += 1;
        }
    }
    Ok(())
}

/// What makes two constants equal: shape and storage, then the address of large bytes or small bytes themselves.
fn constant_key(constant: &Constant) -> (String, usize, Vec<u8>) {
    let text = format!("{constant:?}");
    match constant.dense_bytes() {
        Some(bytes) if bytes.len() <= COMPARED_BYTES => (text, 0, bytes.to_vec()),
        Some(_) | None => (text, constant.address(), vec![]),
    }
}

/// What makes two nodes equal, beside their operands. `Debug` prints every field, and floats so that they read back equal.
fn node_key(graph: &Graph, id: NodeId) -> String {
    let node = graph.node(id);
    format!("{:?} {:?} {:?} {:?}", node.op, node.epilogue, node.shape, node.dtype)
}
