//! Inputs and views: operators that move no data.
//!
//! A reshape that strides cannot express copies its operand into dense order first.

use super::copy::dense;
use crate::graph::NodeId;
use crate::graph::op::Op;
use crate::lower::context::Lowering;

/// A public input: a dense tensor of its own.
pub fn input(lowering: &mut Lowering<'_>, id: NodeId) {
    let shape = lowering.graph().node(id).shape.clone();
    let view = match lowering.graph().state_of(id) {
        Some(state) => lowering.state(state, &shape),
        None => lowering.output(&shape),
    };
    lowering.set_view(id, view);
}

/// Reshape, transpose, broadcast, slice or unfold.
pub fn view(lowering: &mut Lowering<'_>, id: NodeId) {
    let graph = lowering.graph();
    let node = graph.node(id);
    let operand = graph.operands(id)[0];
    let from = lowering.view(operand);
    let to = match &node.op {
        Op::Reshape => match from.reshaped(&node.shape) {
            Some(view) => view,
            None => {
                let copied = dense(lowering, &from);
                copied.reshaped(&node.shape).expect("a dense tensor takes any shape of its size")
            }
        },
        Op::Transpose { permutation } => from.transposed(permutation),
        Op::Broadcast => from.broadcast(&node.shape),
        Op::Slice { starts, steps } => from.sliced(starts, steps, &node.shape),
        Op::Unfold { kernel, strides, dilations } => from.unfolded(kernel, strides, dilations, &node.shape),
        op @ (Op::Input
        | Op::Constant(_)
        | Op::Pointwise(_)
        | Op::Einsum { .. }
        | Op::Conv { .. }
        | Op::Fold { .. }
        | Op::Pool { .. }
        | Op::Softmax { .. }
        | Op::Normalize { .. }
        | Op::Attention { .. }
        | Op::Reduce { .. }
        | Op::ArgReduce { .. }
        | Op::Gather { .. }
        | Op::Scatter { .. }
        | Op::Concat { .. }
        | Op::Pad { .. }
        | Op::Resize { .. }
        | Op::Kernel(_)) => unreachable!("{} is not a view", op.name()),
    };
    lowering.set_view(id, to);
}
