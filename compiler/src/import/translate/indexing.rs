//! Operators that read or place elements by computed indices.
//!
//! Those that are no plain gather become one over flattened data, with the flat indices computed element-wise, and so do
//! scatters. Indices outside their axis are refused or bounded (`indices.rs`).

use super::context::{Outcome, Refusal, Translator, variant};
use super::indices::of_axis;
use crate::graph::NodeId;
use crate::graph::constant::{Constant, Dtype};
use crate::graph::op::{Op, ReduceKind, ScatterKind};
use crate::graph::pointwise::{BinaryOp, Pointwise};
use crate::import::expression::ExpressionBuilder;
use std::ops::RangeInclusive;
use tract_onnx::prelude::TypedNode;
use tract_onnx::tract_core::ops::array::{
    Gather, GatherElements, GatherNd, ScatterElements, ScatterNd, ScatterReduction,
};

/// What indices of an axis may be: where a loss function makes them of its targets, none counts from the end.
fn labels(t: &Translator<'_>, size: usize) -> RangeInclusive<i64> {
    match t.op_type() {
        Some("NegativeLogLikelihoodLoss" | "SoftmaxCrossEntropyLoss") => 0..=size as i64 - 1,
        _ => of_axis(size),
    }
}

/// Slices at indices.
pub fn gather(t: &mut Translator<'_>, node: &TypedNode, op: &Gather) -> Outcome {
    let inputs = t.inputs(node)?;
    let size = t.shape(inputs[0]).get(op.axis).copied().unwrap_or(0);
    t.bound(inputs[1], None, labels(t, size))?;
    Ok(vec![t.emit(Op::Gather { axis: op.axis }, &inputs)?])
}

/// `index < 0 ? index + size : index`.
pub fn wrapped(
    p: &mut ExpressionBuilder,
    index: crate::graph::pointwise::Operand,
    size: usize,
) -> crate::graph::pointwise::Operand {
    let zero = p.integer(0);
    let size = p.integer(size as i32);
    let negative = p.binary(BinaryOp::Less, index, zero);
    let from_end = p.binary(BinaryOp::Add, index, size);
    p.select(negative, from_end, index)
}

fn strides(shape: &[usize]) -> Vec<usize> {
    (0..shape.len()).map(|axis| shape[axis + 1..].iter().product()).collect()
}

/// The flat index into data of `shape` of every element of `indices`, which counts along `axis` on its own line.
fn along_lines(t: &mut Translator<'_>, indices: NodeId, shape: &[usize], axis: usize) -> Result<NodeId, Refusal> {
    let target = t.shape(indices);
    if i32::try_from(shape.iter().product::<usize>()).is_err() {
        return variant("data too large for 32-bit indices");
    }
    let strides = strides(shape);
    // Where each line starts: the flat index of an element of the result without its place along the axis.
    let mut base = vec![0_i32];
    let mut base_shape = target;
    base_shape[axis] = 1;
    for (size, stride) in base_shape.iter().zip(&strides) {
        base = base.iter().flat_map(|b| (0..*size).map(move |i| b + (i * stride) as i32)).collect();
    }
    let base = t.emit_constant(Constant::from_i32(base_shape, &base));
    let mut p = ExpressionBuilder::default();
    let (index, start) = (p.input(Dtype::I32), p.input(Dtype::I32));
    let index = wrapped(&mut p, index, shape[axis]);
    let stride = p.integer(strides[axis] as i32);
    let place = p.binary(BinaryOp::Mul, index, stride);
    p.binary(BinaryOp::Add, place, start);
    t.pointwise(p.finish(), &[indices, base])
}

/// One element for each index, on the index's own line along the axis.
pub fn elements_along(t: &mut Translator<'_>, data: NodeId, indices: NodeId, axis: usize) -> Result<NodeId, Refusal> {
    let shape = t.shape(data);
    let flat = along_lines(t, indices, &shape, axis)?;
    let data = t.reshape(data, &[shape.iter().product()]);
    t.emit(Op::Gather { axis: 0 }, &[data, flat])
}

/// One element for each index, on the index's own line along the axis.
pub fn gather_elements(t: &mut Translator<'_>, node: &TypedNode, op: &GatherElements) -> Outcome {
    let (data, indices) = (t.input(node, 0)?, t.input(node, 1)?);
    let size = t.shape(data)[op.axis];
    if t.op_type() == Some("ReverseSequence") {
        // Places follow from the lengths, which are from 0 to the size of the axis.
        t.bound_source(indices, 0..=size as i64)?;
    }
    t.bound(indices, None, labels(t, size))?;
    Ok(vec![elements_along(t, data, indices, op.axis)?])
}

/// Says what each component of index vectors into axes of these sizes may be.
fn bound_vectors(t: &mut Translator<'_>, indices: NodeId, sizes: &[usize]) -> Result<(), Refusal> {
    match sizes {
        [size] => t.bound(indices, None, of_axis(*size)),
        _ => sizes.iter().enumerate().try_for_each(|(i, size)| t.bound(indices, Some(i), of_axis(*size))),
    }
}

/// Slices at index vectors.
pub fn gather_nd(t: &mut Translator<'_>, node: &TypedNode, op: &GatherNd) -> Outcome {
    let (data, indices) = (t.input(node, 0)?, t.input(node, 1)?);
    let (shape, index_shape) = (t.shape(data), t.shape(indices));
    let Some((depth, outer)) = index_shape.split_last() else {
        return variant("a scalar index");
    };
    let (batch, shape) = shape.split_at(op.batch_dims);
    let (indexed, rest) = shape.split_at(*depth);
    bound_vectors(t, indices, indexed)?;
    let flat = match (batch, indexed) {
        (_, []) => return variant("an empty index"),
        ([], [_]) => t.reshape(indices, outer),
        _ => flat_indices(t, indices, indexed, outer, batch.len())?,
    };
    let merged: Vec<usize> = [batch.iter().chain(indexed).product()].iter().chain(rest).copied().collect();
    let data = t.reshape(data, &merged);
    Ok(vec![t.emit(Op::Gather { axis: 0 }, &[data, flat])?])
}

/// Σ index · stride over the last axis of `indices`; the first `batch` axes of `outer` count whole tables of `sizes`.
fn flat_indices(
    t: &mut Translator<'_>,
    indices: NodeId,
    sizes: &[usize],
    outer: &[usize],
    batch: usize,
) -> Result<NodeId, Refusal> {
    let table: usize = sizes.iter().product();
    let tables: usize = outer[..batch].iter().product();
    if table.checked_mul(tables).is_none_or(|rows| i32::try_from(rows).is_err()) {
        return variant("data too large for 32-bit indices");
    }
    let row = |values: Vec<usize>| {
        let shape = [vec![1; outer.len()], vec![values.len()]].concat();
        Constant::from_i32(shape, &values.iter().map(|v| *v as i32).collect::<Vec<_>>())
    };
    let stride_row = t.emit_constant(row(strides(sizes)));
    let size_row = t.emit_constant(row(sizes.to_vec()));
    let mut p = ExpressionBuilder::default();
    let (index, size, stride) = (p.input(Dtype::I32), p.input(Dtype::I32), p.input(Dtype::I32));
    let zero = p.integer(0);
    let negative = p.binary(BinaryOp::Less, index, zero);
    let from_end = p.binary(BinaryOp::Add, index, size);
    let index = p.select(negative, from_end, index);
    p.binary(BinaryOp::Mul, index, stride);
    let places = t.pointwise(p.finish(), &[indices, size_row, stride_row])?;
    let flat = t.emit(Op::Reduce { kind: ReduceKind::Sum, axes: vec![outer.len()] }, &[places])?;
    let flat = t.reshape(flat, outer);
    if tables == 1 {
        return Ok(flat);
    }
    let starts: Vec<i32> = (0..tables).map(|b| (b * table) as i32).collect();
    let starts_shape = [&outer[..batch], vec![1; outer.len() - batch].as_slice()].concat();
    let starts = t.emit_constant(Constant::from_i32(starts_shape, &starts));
    t.pointwise(Pointwise::binary(BinaryOp::Add, Dtype::I32), &[flat, starts])
}

const fn scatter_kind(reduction: ScatterReduction) -> ScatterKind {
    match reduction {
        ScatterReduction::None => ScatterKind::Replace,
        ScatterReduction::Add => ScatterKind::Add,
        ScatterReduction::Mul => ScatterKind::Mul,
        ScatterReduction::Min => ScatterKind::Min,
        ScatterReduction::Max => ScatterKind::Max,
    }
}

/// Rows of the data, seen as (rows, inner), combined with one row of updates for each index.
fn scatter(
    t: &mut Translator<'_>,
    data: NodeId,
    rows: NodeId,
    updates: NodeId,
    inner: usize,
    reduction: ScatterReduction,
) -> Outcome {
    let shape = t.shape(data);
    let count: usize = t.shape(rows).iter().product();
    let matrix = [shape.iter().product::<usize>() / inner.max(1), inner];
    let data = t.reshape(data, &matrix);
    let rows = t.reshape(rows, &[count]);
    let updates = t.reshape(updates, &[count, inner]);
    let y = t.emit(Op::Scatter { reduction: scatter_kind(reduction) }, &[data, rows, updates])?;
    Ok(vec![t.reshape(y, &shape)])
}

/// One update for each index, on the index's own line along the axis.
pub fn scatter_elements(t: &mut Translator<'_>, node: &TypedNode, op: &ScatterElements) -> Outcome {
    let (data, indices, updates) = (t.input(node, 0)?, t.input(node, 1)?, t.input(node, 2)?);
    let shape = t.shape(data);
    t.bound(indices, None, of_axis(shape[op.axis]))?;
    let rows = along_lines(t, indices, &shape, op.axis)?;
    scatter(t, data, rows, updates, 1, op.reduction)
}

/// One slice of updates for each index vector.
pub fn scatter_nd(t: &mut Translator<'_>, node: &TypedNode, op: &ScatterNd) -> Outcome {
    let (data, indices, updates) = (t.input(node, 0)?, t.input(node, 1)?, t.input(node, 2)?);
    let (shape, index_shape) = (t.shape(data), t.shape(indices));
    let Some((depth, outer)) = index_shape.split_last().filter(|(depth, _)| **depth > 0) else {
        return variant("an empty index");
    };
    let (indexed, rest) = shape.split_at(*depth);
    bound_vectors(t, indices, indexed)?;
    let rows = flat_indices(t, indices, indexed, outer, 0)?;
    scatter(t, data, rows, updates, rest.iter().product(), op.reduction)
}
