//! Normalisation over any axes: rows of columns, scale and shift in the epilogue.
//!
//! Few long rows are cut into parts on devices with many invocations: one kernel measures the parts, another normalises.
//! Axes that one stride cannot walk are brought together by a transposed copy; the result is then a transposed view.

use super::contraction::{Output, attach_epilogue};
use super::copy::dense;
use super::strided::{Four, by_rows, cost, four, lanes, other_axes, single_stride, workgroups};
use crate::cost::OperatorClass;
use crate::graph::NodeId;
use crate::graph::constant::Dtype;
use crate::graph::op::NormKind;
use crate::kernels::params::Params;
use crate::kernels::{Kernel, MAX_EPILOGUE_OPERANDS};
use crate::lower::context::{Call, Lowering};
use crate::lower::error::LowerError;
use crate::lower::view::View;
use crate::profile::Tiles;

/// Rows from which on there is a workgroup for every multiprocessor, columns that keep 256 invocations busy, and parts whose
/// moments an invocation adds up.
const MANY_ROWS: usize = 256;
const MIN_PART: usize = 1024;
const MAX_PARTS: usize = 32;

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
fn operand_words(output: &Output, outer: &[usize], axes: &[usize]) -> Option<[u32; 4 * MAX_EPILOGUE_OPERANDS]> {
    if output.expression.as_ref().is_some_and(|program| program.dtype() != Dtype::F32) {
        return None;
    }
    let places =
        output.epilogue_views.iter().map(|view| Some((single_stride(outer, view)?, single_stride(axes, view)?)));
    let places = places.collect::<Option<Vec<_>>>()?;
    Some(attach_epilogue(&output.epilogue_views, |i| (0, places[i].0, places[i].1)))
}

/// Columns of a part, and parts of a row, where rows are too few and too long for one workgroup each to keep a device busy.
fn parts(tiles: Tiles, rows: usize, columns: usize) -> Option<(usize, usize)> {
    let pays = match tiles {
        Tiles::Gpu => rows <= MANY_ROWS && columns >= 2 * MIN_PART,
        Tiles::Software => false,
    };
    let part = columns.div_ceil(MAX_PARTS).max(MIN_PART);
    pays.then(|| (part, columns.div_ceil(part)))
}

/// Invocations that share a part: a workgroup of `moments.wgsl`.
const MOMENT_LANES: usize = 256;

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
    let mut output = Output::new(lowering, id, out.clone());
    if out.is_empty() {
        output.split_epilogue();
        return output.finish(lowering, id);
    }
    let walk = rows(&outer, axes, &x, &out).expect("outer axes and columns lie together in both tensors");

    let table = operand_words(&output, &outer, axes).unwrap_or_else(|| {
        output.split_epilogue();
        attach_epilogue(&[], |_| (0, 0, 0))
    });
    let columns: usize = axes.iter().map(|a| node.shape[*a]).product();
    let row_count = out.len() / columns;
    let read = Params::new()
        .set("columns", columns)
        .set("x_offset", x.offset)
        .set("x_stride", walk.x_stride)
        .set("centre", kind == NormKind::Layer)
        .set("extents", walk.outer.extents)
        .set("x_row_strides", walk.outer.strides[0]);
    let mut inputs = vec![x.tensor];
    let (kernel, placed, workgroups) = match parts(lowering.options().tiles, row_count, columns) {
        Some((part, parts)) => {
            let read = read.set("part", part);
            let moments = lowering.output(&[row_count, parts, 4]);
            let workgroups = workgroups([parts, row_count, 1]);
            lowering.call(
                Call::of(Kernel::Moments, moments.tensor)
                    .params(read.clone().set("width", parts).set("lanes", MOMENT_LANES))
                    .reads([x.tensor])
                    .over(workgroups)
                    .cost(cost(OperatorClass::Hierarchical, 2 * out.len(), moments.len(), 6 * out.len())),
            );
            inputs.push(moments.tensor);
            (Kernel::NormalizeParts, read.set("parts", parts), workgroups)
        }
        None => {
            let lanes = lanes(row_count, columns, walk.x_stride);
            let workgroups = by_rows(row_count, lanes);
            let placed = read.set("rows", row_count).set("lanes", lanes).set("width", workgroups[0]);
            (Kernel::Normalize, placed, workgroups)
        }
    };
    let params = placed
        .set("out_stride", walk.out_stride)
        .set("out_row_strides", walk.outer.strides[1])
        .set("epsilon", epsilon)
        .set("operands", table);
    inputs.extend(output.epilogue_views.iter().map(|view| view.tensor));
    lowering.call(
        Call::of(kernel, out.tensor)
            .params(params)
            .reads(inputs)
            .link(output.expression.clone())
            .over(workgroups)
            .cost(cost(OperatorClass::Hierarchical, 3 * out.len(), out.len(), 8 * out.len())),
    );
    output.finish(lowering, id)
}
