//! Operators on the lines along one axis: the order of their elements, and cumulative sums.

use super::copy::dense;
use super::strided::{Four, cost, four, linear, other_axes, word};
use crate::graph::NodeId;
use crate::graph::constant::Dtype;
use crate::kernels::Kernel;
use crate::lower::LowerError;
use crate::lower::context::{Call, Lowering};
use crate::lower::view::View;
use crate::schedule::OperatorClass;

/// The operand and a dense output, with the axes that count the lines merged.
struct Lines {
    x: View,
    out: View,
    merged: Four,
    lines: usize,
}

fn lines(lowering: &mut Lowering<'_>, id: NodeId, axis: usize) -> Lines {
    let graph = lowering.graph();
    let node = graph.node(id);
    let mut x = lowering.view(graph.operands(id)[0]);
    let outer = other_axes(x.shape.len(), &[axis]);
    let out = lowering.output(&node.shape);
    if four(&outer, &[&x, &out]).is_none() {
        x = dense(lowering, &x, Dtype::F32, &node.name);
    }
    let merged = four(&outer, &[&x, &out]).expect("dense tensors merge the axes on either side of one");
    let lines = outer.iter().map(|a| x.shape[*a]).product();
    lowering.set_view(id, out.clone());
    Lines { x, out, merged, lines }
}

fn merged_words(merged: &Four) -> Vec<u32> {
    merged.extents.iter().chain(merged.strides.iter().flatten()).copied().collect()
}

/// Lowers a top-k; its epilogue is left.
pub fn top_k(lowering: &mut Lowering<'_>, id: NodeId, axis: usize, k: usize, largest: bool) -> Result<(), LowerError> {
    let graph = lowering.graph();
    let node = graph.node(id);
    let dtype = graph.node(graph.operands(id)[0]).dtype;
    let Lines { x, out, merged, lines } = lines(lowering, id, axis);
    if out.is_empty() {
        return Ok(());
    }
    let columns = x.shape[axis];
    let (workgroups, width) = linear(lines * columns);
    let mut params = vec![(lines * columns) as u32, columns as u32, k as u32, width];
    params.extend([u32::from(largest), u32::from(dtype == Dtype::F32), word(x.offset), word(x.strides[axis])]);
    params.extend([word(out.strides[axis]), 0, 0, 0]);
    params.extend(merged_words(&merged));
    let compared = lines * columns * columns;
    lowering.call(Call {
        kernel: Kernel::TopK,
        expression: None,
        params,
        output: out.tensor,
        inputs: vec![x.tensor],
        workgroups,
        weight_texels: None,
        node: node.name.clone(),
        cost: cost(OperatorClass::Hierarchical, lines * columns, out.len(), compared),
    });
    Ok(())
}

/// Lowers a cumulative sum; its epilogue is left.
pub fn cumulative(
    lowering: &mut Lowering<'_>,
    id: NodeId,
    axis: usize,
    exclusive: bool,
    reverse: bool,
) -> Result<(), LowerError> {
    let node = lowering.graph().node(id);
    let Lines { x, out, merged, lines } = lines(lowering, id, axis);
    if out.is_empty() {
        return Ok(());
    }
    let (workgroups, width) = linear(lines);
    let mut params = vec![lines as u32, x.shape[axis] as u32, width, u32::from(node.dtype != Dtype::I32)];
    params.extend([u32::from(exclusive), u32::from(reverse), word(x.offset), word(x.strides[axis])]);
    params.extend([word(out.strides[axis]), 0, 0, 0]);
    params.extend(merged_words(&merged));
    lowering.call(Call {
        kernel: Kernel::Cumulative,
        expression: None,
        params,
        output: out.tensor,
        inputs: vec![x.tensor],
        workgroups,
        weight_texels: None,
        node: node.name.clone(),
        cost: cost(OperatorClass::Hierarchical, out.len(), out.len(), out.len()),
    });
    Ok(())
}
