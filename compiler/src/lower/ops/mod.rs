//! One function an operator family: a node becomes kernel calls or a view.
//!
//! `lower_node` is the one registration point. Nothing here decides memory or time.

mod attention;
mod concat;
mod contraction;
mod conv;
pub mod copy;
mod einsum;
pub mod elements;
mod fold;
pub mod gather;
pub mod kernel_op;
pub mod lines;
mod normalize;
mod pad;
mod pointwise;
mod pool;
mod reduce;
mod resize;
mod scatter;
mod siblings;
mod softmax;
mod stream;
pub mod strided;
#[cfg(test)]
mod tests;
mod views;

use super::context::Lowering;
use super::error::LowerError;
use super::site::Site;
use crate::graph::NodeId;
use crate::graph::op::Op;
pub use copy::lower_outputs;

/// Lowers one node whose operands are lowered. What only the host reads becomes nothing.
pub fn lower_node(lowering: &mut Lowering<'_>, id: NodeId) -> Result<(), LowerError> {
    if lowering.host().is_only_host(id) && lowering.graph().state_of(id).is_none() {
        return Ok(());
    }
    if let Some((position, siblings)) = lowering.siblings(id).filter(|_| lowering.options().joins_siblings) {
        return if lowering.has_view(id) { Ok(()) } else { siblings::lower(lowering, position, siblings) };
    }
    stream::operands(lowering, id);
    lowering.enter(Site::Node(id));
    let op = &lowering.graph().node(id).op;
    match op {
        Op::Input => {
            views::input(lowering, id);
            Ok(())
        }
        Op::Constant(_) => Ok(()),
        Op::Reshape | Op::Transpose { .. } | Op::Broadcast | Op::Slice { .. } | Op::Unfold { .. } => {
            views::view(lowering, id);
            Ok(())
        }
        Op::Pointwise(program) => pointwise::lower(lowering, id, program),
        Op::Einsum { .. } => einsum::lower(lowering, id),
        Op::Conv { .. } => conv::lower(lowering, id),
        Op::Fold { window, .. } => fold::lower(lowering, id, window),
        Op::Scatter { reduction } => scatter::lower(lowering, id, *reduction),
        Op::Attention { .. } => attention::lower(lowering, id),
        Op::Pool { window, kind } => pool::lower(lowering, id, window, *kind),
        Op::Softmax { axis, log } => softmax::lower(lowering, id, *axis, *log),
        Op::Normalize { kind, axes, epsilon } => normalize::lower(lowering, id, *kind, axes, *epsilon),
        Op::Reduce { kind, axes } => reduce::lower(lowering, id, *kind, axes),
        Op::ArgReduce { axis, max, last } => reduce::lower_arg(lowering, id, *axis, *max, *last),
        Op::Gather { axis } => gather::lower(lowering, id, *axis),
        Op::Concat { axis } => concat::lower(lowering, id, *axis),
        Op::Pad { before, mode, .. } => pad::lower(lowering, id, before, *mode),
        Op::Kernel(own) => kernel_op::lower(lowering, id, own),
        Op::Resize { axes, fill } => resize::lower(lowering, id, axes, *fill),
    }?;
    if sees_to_its_epilogue(op) { Ok(()) } else { pointwise::epilogue(lowering, id) }
}

/// Whether the lowering of an operator runs the node's epilogue, in its kernel or behind it; else a kernel of its own follows.
const fn sees_to_its_epilogue(op: &Op) -> bool {
    match op {
        Op::Input
        | Op::Constant(_)
        | Op::Pointwise(_)
        | Op::Einsum { .. }
        | Op::Conv { .. }
        | Op::Attention { .. }
        | Op::Normalize { .. } => true,
        Op::Reshape
        | Op::Transpose { .. }
        | Op::Broadcast
        | Op::Slice { .. }
        | Op::Unfold { .. }
        | Op::Fold { .. }
        | Op::Scatter { .. }
        | Op::Pool { .. }
        | Op::Softmax { .. }
        | Op::Reduce { .. }
        | Op::ArgReduce { .. }
        | Op::Gather { .. }
        | Op::Concat { .. }
        | Op::Pad { .. }
        | Op::Kernel(_)
        | Op::Resize { .. } => false,
    }
}
