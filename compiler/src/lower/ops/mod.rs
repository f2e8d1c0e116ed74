//! One function an operator family: a node becomes kernel calls or a view.
//!
//! `lower_node` is the one registration point. Nothing here decides memory or time.

mod copy;
mod views;

use super::LowerError;
use super::context::Lowering;
use crate::graph::NodeId;
use crate::graph::op::Op;
pub use copy::{dense, lower_outputs};

/// Lowers one node whose operands are lowered.
pub fn lower_node(lowering: &mut Lowering<'_>, id: NodeId) -> Result<(), LowerError> {
    match &lowering.graph().node(id).op {
        Op::Input => views::input(lowering, id),
        Op::Constant(_) => Ok(()),
        Op::Reshape | Op::Transpose { .. } | Op::Broadcast | Op::Slice { .. } => views::view(lowering, id),
        Op::Pointwise(_) => todo!(),
        Op::Einsum { .. } => todo!(),
        Op::Conv { .. } => todo!(),
        Op::ConvTranspose { .. } => todo!(),
        Op::Attention { .. } => todo!(),
        Op::Pool { .. } => todo!(),
        Op::Softmax { .. } => todo!(),
        Op::Normalize { .. } => todo!(),
        Op::Reduce { .. } => todo!(),
        Op::ArgReduce { .. } => todo!(),
        Op::Gather { .. } => todo!(),
        Op::Concat { .. } => todo!(),
        Op::Pad { .. } => todo!(),
        Op::Resize { .. } => todo!(),
    }
}
