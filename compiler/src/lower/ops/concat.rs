//! Concatenation: every operand is copied into its part of the output.

use super::copy::copy_into;
use crate::graph::NodeId;
use crate::lower::context::Lowering;
use crate::lower::error::LowerError;
use crate::lower::view::View;

/// Lowers a concatenation; its epilogue is left.
pub fn lower(lowering: &mut Lowering<'_>, id: NodeId, axis: usize) -> Result<(), LowerError> {
    let graph = lowering.graph();
    let node = graph.node(id);
    let operands = &graph.operands(id)[..graph.op_operand_count(id)];
    let views: Vec<View> = operands.iter().map(|o| lowering.view(*o)).collect();
    let out = lowering.output(&node.shape);
    let mut offset = 0;
    for view in &views {
        let part = View {
            tensor: out.tensor,
            offset: offset as i64 * out.strides[axis],
            shape: view.shape.clone(),
            strides: out.strides.clone(),
        };
        copy_into(lowering, view, &part);
        offset += view.shape[axis];
    }
    lowering.set_view(id, out);
    Ok(())
}
