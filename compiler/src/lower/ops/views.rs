//! Inputs and views: operators that move no data.
//!
//! A reshape that strides cannot express copies its operand into dense order first.

use super::copy::dense;
use crate::graph::NodeId;
use crate::graph::op::Op;
use crate::lower::context::Lowering;
use crate::lower::error::LowerError;

/// A public input: a dense tensor of its own, unless only the host reads it.
pub fn input(lowering: &mut Lowering<'_>, id: NodeId) -> Result<(), LowerError> {
    let shape = lowering.graph().node(id).shape.clone();
    if super::gather::only_indexes_rows(lowering, id) {
        return Ok(());
    }
    let view = lowering.output(&shape);
    lowering.set_view(id, view);
    Ok(())
}

/// Reshape, transpose, broadcast, slice or unfold.
pub fn view(lowering: &mut Lowering<'_>, id: NodeId) -> Result<(), LowerError> {
    let graph = lowering.graph();
    let node = graph.node(id);
    let operand = graph.operands(id)[0];
    if !lowering.has_view(operand) && graph.constant(operand).is_none() {
        // A view of an input that only the host reads, on the way to a row gather.
        return Ok(());
    }
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
        op => unreachable!("{} is not a view", op.name()),
    };
    lowering.set_view(id, to);
    Ok(())
}
