//! One function an operator family: a node becomes kernel calls or a view.
//!
//! `lower_node` is the one registration point. Nothing here decides memory or time.

mod attention;
mod concat;
mod conv;
mod copy;
mod einsum;
mod gather;
mod heavy;
mod normalize;
mod pad;
mod pointwise;
mod pool;
mod reduce;
mod resize;
mod softmax;
mod stream;
mod strided;
#[cfg(test)]
mod tests;
mod views;

use super::LowerError;
use super::context::Lowering;
use crate::graph::op::Op;
use crate::graph::{Graph, NodeId};
pub use copy::lower_outputs;

/// Lowers one node whose operands are lowered.
pub fn lower_node(lowering: &mut Lowering<'_>, id: NodeId) -> Result<(), LowerError> {
    stream::operands(lowering, id)?;
    match &lowering.graph().node(id).op {
        Op::Input => views::input(lowering, id),
        Op::Constant(_) => Ok(()),
        Op::Reshape | Op::Transpose { .. } | Op::Broadcast | Op::Slice { .. } => {
            views::view(lowering, id)?;
            pointwise::epilogue(lowering, id)
        }
        Op::Pointwise(program) => pointwise::lower(lowering, id, program),
        Op::Einsum { .. } => einsum::lower(lowering, id),
        Op::Conv { .. } => conv::lower(lowering, id),
        Op::ConvTranspose { .. } => unreachable!("`without_kernels` refuses it before any node is lowered"),
        Op::Attention { .. } => attention::lower(lowering, id),
        Op::Pool { window, kind } => {
            pool::lower(lowering, id, window, *kind)?;
            pointwise::epilogue(lowering, id)
        }
        Op::Softmax { axis, log } => {
            softmax::lower(lowering, id, *axis, *log)?;
            pointwise::epilogue(lowering, id)
        }
        Op::Normalize { kind, axes, epsilon } => normalize::lower(lowering, id, *kind, axes, *epsilon),
        Op::Reduce { kind, axes } => {
            reduce::lower(lowering, id, *kind, axes)?;
            pointwise::epilogue(lowering, id)
        }
        Op::ArgReduce { axis, max, last } => {
            reduce::lower_arg(lowering, id, *axis, *max, *last)?;
            pointwise::epilogue(lowering, id)
        }
        Op::Gather { axis } => {
            gather::lower(lowering, id, *axis)?;
            pointwise::epilogue(lowering, id)
        }
        Op::Concat { axis } => {
            concat::lower(lowering, id, *axis)?;
            pointwise::epilogue(lowering, id)
        }
        Op::Pad { before, mode, .. } => {
            pad::lower(lowering, id, before, *mode)?;
            pointwise::epilogue(lowering, id)
        }
        Op::Resize { kind, coordinates, scales } => {
            resize::lower(lowering, id, *kind, *coordinates, scales)?;
            pointwise::epilogue(lowering, id)
        }
    }
}

/// Operators of the graph that have no kernel, with the ONNX names of their nodes, so that all are reported at once.
pub fn without_kernels(graph: &Graph) -> Vec<(&'static str, Vec<String>)> {
    let mut missing: std::collections::BTreeMap<&'static str, Vec<String>> = std::collections::BTreeMap::new();
    for id in graph.topological_order() {
        let node = graph.node(id);
        if let Op::ConvTranspose { .. } = node.op {
            missing.entry(node.op.name()).or_default().push(node.name.clone());
        }
    }
    missing.into_iter().collect()
}
