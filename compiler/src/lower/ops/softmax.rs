//! Softmax along one axis of any stride.

use super::copy::dense;
use super::strided::{by_rows, cost, four, lanes, other_axes};
use crate::cost::OperatorClass;
use crate::graph::NodeId;
use crate::kernels::Kernel;
use crate::kernels::params::Params;
use crate::lower::context::{Call, Lowering};
use crate::lower::error::LowerError;

/// Lowers a softmax; its epilogue is left.
pub fn lower(lowering: &mut Lowering<'_>, id: NodeId, axis: usize, log: bool) -> Result<(), LowerError> {
    let graph = lowering.graph();
    let node = graph.node(id);
    let mut x = lowering.view(graph.operands(id)[0]);
    let outer = other_axes(node.shape.len(), &[axis]);
    if four(&outer, &[&x, &crate::lower::view::View::dense(x.tensor, &node.shape)]).is_none() {
        x = dense(lowering, &x);
    }
    let out = lowering.output(&node.shape);
    lowering.set_view(id, out.clone());
    if out.is_empty() {
        return Ok(());
    }
    let merged = four(&outer, &[&x, &out]).expect("dense tensors merge the axes on either side of one");
    let columns = node.shape[axis];
    let rows = out.len() / columns;
    let lanes = lanes(rows, columns, x.strides[axis]);
    let workgroups = by_rows(rows, lanes);
    let params = Params::new()
        .set("rows", rows)
        .set("columns", columns)
        .set("lanes", lanes)
        .set("width", workgroups[0])
        .set("x_offset", x.offset)
        .set("x_stride", x.strides[axis])
        .set("out_stride", out.strides[axis])
        .set("log_result", log)
        .set("extents", merged.extents)
        .set("x_row_strides", merged.strides[0])
        .set("out_row_strides", merged.strides[1]);
    lowering.call(Call::of(Kernel::Softmax, out.tensor).params(params).reads([x.tensor]).over(workgroups).cost(cost(
        OperatorClass::Hierarchical,
        3 * out.len(),
        out.len(),
        40 * out.len(),
    )));
    Ok(())
}
