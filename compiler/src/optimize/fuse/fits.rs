//! Which operands an epilogue may read: what lowering can say of them.

use crate::graph::op::Op;

/// Whether an epilogue of `op` may read an operand of this shape: lowering gives it one stride for all leading axes, one for
/// the second to last and one for the last axis of einsums and norms; convolutions read one element a channel or all.
pub fn epilogue_operand_fits(op: &Op, node_shape: &[usize], operand_shape: &[usize]) -> bool {
    if operand_shape.len() != node_shape.len() {
        return false;
    }
    let varies = |axis: usize| operand_shape[axis] != 1;
    let full = |axis: usize| operand_shape[axis] == node_shape[axis];
    let rank = node_shape.len();
    let scalar = !(0..rank).any(varies);
    match op {
        Op::Einsum { .. } | Op::Normalize { .. } => {
            let leading = rank.saturating_sub(2);
            !(0..leading).any(varies) || (0..leading).all(full)
        }
        Op::Conv { .. } => {
            let per_channel = (0..rank).all(|axis| !varies(axis) || axis == 1);
            scalar || per_channel || (0..rank).all(full)
        }
        Op::Input
        | Op::Constant(_)
        | Op::Pointwise(_)
        | Op::Fold { .. }
        | Op::Unfold { .. }
        | Op::Scatter { .. }
        | Op::Pool { .. }
        | Op::Softmax { .. }
        | Op::Attention { .. }
        | Op::Reduce { .. }
        | Op::ArgReduce { .. }
        | Op::Gather { .. }
        | Op::Reshape
        | Op::Transpose { .. }
        | Op::Broadcast
        | Op::Slice { .. }
        | Op::Concat { .. }
        | Op::Pad { .. }
        | Op::Resize { .. }
        | Op::Kernel(_) => false,
    }
}
