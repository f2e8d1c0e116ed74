//! Normalisation over any axes: rows of columns, scale and shift in the epilogue.
//!
//! Axes that one stride cannot walk are brought together by a transposed copy; the result is then a transposed view.

use super::contraction::loops_too_long;
use super::copy::dense;
use super::strided::{Four, by_rows, cost, four, lanes, other_axes, single_stride, word};
use crate::cost::OperatorClass;
use crate::graph::NodeId;
use crate::graph::constant::Dtype;
use crate::graph::op::NormKind;
use crate::graph::pointwise::Pointwise;
use crate::kernels::Kernel;
use crate::kernels::params::Params;
use crate::lower::context::{Call, Lowering};
use crate::lower::error::LowerError;
use crate::lower::view::View;

/// Operands that an epilogue may have.
const MAX_OPERANDS: usize = 4;

/// How the kernel walks input and output.
struct Rows {
    outer: Four,
    x_stride: i64,
    out_stride: i64,
}

fn rows(outer: &[usize], axes: &[usize], x: &View, out: &View) -> Option<Rows> {
    Some(Rows {
        outer: four(outer, &[x, out])?,
        x_stride: single_stride(axes, x)?,
        out_stride: single_stride(axes, out)?,
    })
}

/// The epilogue's operand words, when the kernel can address every operand by (row, column).
fn operand_words(program: &Pointwise, operands: &[View], outer: &[usize], axes: &[usize]) -> Option<Vec<u32>> {
    if operands.len() > MAX_OPERANDS || program.dtype() != Dtype::F32 {
        return None;
    }
    let mut words = Vec::new();
    for view in operands {
        let (m, n) = (single_stride(outer, view)?, single_stride(axes, view)?);
        words.extend([word(view.offset), 0, word(m), word(n)]);
    }
    Some(words)
}

/// Lowers a normalisation with its epilogue.
pub fn lower(
    lowering: &mut Lowering<'_>,
    id: NodeId,
    kind: NormKind,
    axes: &[usize],
    epsilon: f32,
) -> Result<(), LowerError> {
    let graph = lowering.graph();
    let node = graph.node(id);
    let mut x = lowering.view(graph.operands(id)[0]);
    let outer = other_axes(node.shape.len(), axes);
    let natural = View::dense(x.tensor, &node.shape);
    let out = if rows(&outer, axes, &x, &natural).is_some() {
        lowering.output(&node.shape)
    } else {
        let order: Vec<usize> = outer.iter().chain(axes).copied().collect();
        let mut inverse = vec![0; order.len()];
        order.iter().enumerate().for_each(|(position, axis)| inverse[*axis] = position);
        x = dense(lowering, &x.transposed(&order)).transposed(&inverse);
        let shape: Vec<usize> = order.iter().map(|a| node.shape[*a]).collect();
        lowering.output(&shape).transposed(&inverse)
    };
    lowering.set_view(id, out.clone());
    if out.is_empty() {
        return super::pointwise::epilogue(lowering, id);
    }
    let walk = rows(&outer, axes, &x, &out).expect("outer axes and columns lie together in both tensors");

    let operands: Vec<View> = graph.operands(id)[graph.op_operand_count(id)..]
        .iter()
        .map(|o| lowering.view(*o).broadcast(&node.shape))
        .collect();
    let linked = node.epilogue.as_ref().filter(|e| !loops_too_long(lowering, Some(e)));
    let linked = linked.and_then(|e| Some((e, operand_words(e, &operands, &outer, axes)?)));

    let columns: usize = axes.iter().map(|a| node.shape[*a]).product();
    let row_count = out.len() / columns;
    let lanes = lanes(row_count, columns, walk.x_stride);
    let workgroups = by_rows(row_count, lanes);
    let mut table: Vec<u32> = linked.iter().flat_map(|(_, words)| words.iter().copied()).collect();
    table.resize(4 * MAX_OPERANDS, 0);
    let params = Params::new()
        .set("rows", row_count)
        .set("columns", columns)
        .set("lanes", lanes)
        .set("width", workgroups[0])
        .set("x_offset", x.offset)
        .set("x_stride", walk.x_stride)
        .set("out_stride", walk.out_stride)
        .set("centre", kind == NormKind::Layer)
        .set("extents", walk.outer.extents)
        .set("x_row_strides", walk.outer.strides[0])
        .set("out_row_strides", walk.outer.strides[1])
        .set("epsilon", epsilon)
        .set("operands", table);
    let mut inputs = vec![x.tensor];
    if linked.is_some() {
        inputs.extend(operands.iter().map(|v| v.tensor));
    }
    lowering.call(
        Call::of(Kernel::Normalize, out.tensor)
            .params(params)
            .reads(inputs)
            .link(linked.as_ref().map(|(e, _)| (*e).clone()))
            .over(workgroups)
            .cost(cost(OperatorClass::Hierarchical, 3 * out.len(), out.len(), 8 * out.len())),
    );
    if linked.is_none() {
        return super::pointwise::epilogue(lowering, id);
    }
    Ok(())
}
