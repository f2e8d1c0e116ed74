//! Operators that read or place elements by computed indices.
//!
//! Those that are no plain gather become one over flattened data, with the flat indices computed element-wise; a cumulative
//! sum becomes a product with a triangle. Scatters deliberately have no translation.

use super::context::{Outcome, Refusal, Translator, variant};
use super::program::Program;
use crate::graph::NodeId;
use crate::graph::constant::{Constant, Dtype};
use crate::graph::op::{Op, ReduceKind};
use crate::graph::pointwise::{BinaryOp, Pointwise};
use tract_onnx::prelude::TypedNode;
use tract_onnx::tract_core::ops::array::{CumSum, Gather, GatherElements, GatherNd, OneHot, Trilu};

/// The longest axis whose cumulative sum is a product with a triangle of its size squared.
const LONGEST_SUM: usize = 2048;

/// Slices at indices.
pub fn gather(t: &mut Translator<'_>, node: &TypedNode, op: &Gather) -> Outcome {
    let inputs = t.inputs(node)?;
    Ok(vec![t.emit(Op::Gather { axis: op.axis }, &inputs)?])
}

/// `index < 0 ? index + size : index`.
fn wrapped(p: &mut Program, index: crate::graph::pointwise::Operand, size: usize) -> crate::graph::pointwise::Operand {
    let zero = p.integer(0);
    let size = p.integer(size as i32);
    let negative = p.binary(BinaryOp::Less, index, zero);
    let from_end = p.binary(BinaryOp::Add, index, size);
    p.select(negative, from_end, index)
}

fn strides(shape: &[usize]) -> Vec<usize> {
    (0..shape.len()).map(|axis| shape[axis + 1..].iter().product()).collect()
}

/// One element for each index, on the index's own line along the axis.
pub fn gather_elements(t: &mut Translator<'_>, node: &TypedNode, op: &GatherElements) -> Outcome {
    let (data, indices) = (t.input(node, 0)?, t.input(node, 1)?);
    let (shape, target) = (t.shape(data), t.shape(indices));
    let elements: usize = shape.iter().product();
    if i32::try_from(elements).is_err() {
        return variant("data too large for 32-bit indices");
    }
    let strides = strides(&shape);
    // Where each line starts: the flat index of an element of the result without its place along the axis.
    let mut base = vec![0_i32];
    let mut base_shape = target.clone();
    base_shape[op.axis] = 1;
    for (size, stride) in base_shape.iter().zip(&strides) {
        base = base.iter().flat_map(|b| (0..*size).map(move |i| b + (i * stride) as i32)).collect();
    }
    let base = t.emit_constant(Constant::from_i32(base_shape, &base));
    let mut p = Program::default();
    let (index, start) = (p.input(Dtype::I32), p.input(Dtype::I32));
    let index = wrapped(&mut p, index, shape[op.axis]);
    let stride = p.integer(strides[op.axis] as i32);
    let place = p.binary(BinaryOp::Mul, index, stride);
    p.binary(BinaryOp::Add, place, start);
    let flat = t.pointwise(p.finish(), &[indices, base])?;
    let data = t.reshape(data, &[elements]);
    Ok(vec![t.emit(Op::Gather { axis: 0 }, &[data, flat])?])
}

/// Slices at index vectors.
pub fn gather_nd(t: &mut Translator<'_>, node: &TypedNode, op: &GatherNd) -> Outcome {
    if op.batch_dims != 0 {
        return variant("batch_dims");
    }
    let (data, indices) = (t.input(node, 0)?, t.input(node, 1)?);
    let (shape, index_shape) = (t.shape(data), t.shape(indices));
    let Some((depth, outer)) = index_shape.split_last() else {
        return variant("a scalar index");
    };
    let (indexed, rest) = shape.split_at(*depth);
    let flat = match indexed {
        [] => return variant("an empty index"),
        [_] => t.reshape(indices, outer),
        _ => flat_indices(t, indices, indexed, outer)?,
    };
    let merged: Vec<usize> = [indexed.iter().product()].iter().chain(rest).copied().collect();
    let data = t.reshape(data, &merged);
    Ok(vec![t.emit(Op::Gather { axis: 0 }, &[data, flat])?])
}

/// Σ index · stride over the last axis of `indices`.
fn flat_indices(t: &mut Translator<'_>, indices: NodeId, sizes: &[usize], outer: &[usize]) -> Result<NodeId, Refusal> {
    let row = |values: Vec<usize>| {
        let shape = [vec![1; outer.len()], vec![values.len()]].concat();
        Constant::from_i32(shape, &values.iter().map(|v| *v as i32).collect::<Vec<_>>())
    };
    let stride_row = t.emit_constant(row(strides(sizes)));
    let size_row = t.emit_constant(row(sizes.to_vec()));
    let mut p = Program::default();
    let (index, size, stride) = (p.input(Dtype::I32), p.input(Dtype::I32), p.input(Dtype::I32));
    let zero = p.integer(0);
    let negative = p.binary(BinaryOp::Less, index, zero);
    let from_end = p.binary(BinaryOp::Add, index, size);
    let index = p.select(negative, from_end, index);
    p.binary(BinaryOp::Mul, index, stride);
    let places = t.pointwise(p.finish(), &[indices, size_row, stride_row])?;
    let flat = t.emit(Op::Reduce { kind: ReduceKind::Sum, axes: vec![outer.len()] }, &[places])?;
    Ok(t.reshape(flat, outer))
}

/// `on` where the place along a new axis is the index, `off` elsewhere.
pub fn one_hot(t: &mut Translator<'_>, node: &TypedNode, op: &OneHot) -> Outcome {
    let index = t.input(node, 0)?;
    let (target, value) = t.output_fact(node)?;
    if value != Dtype::F32 {
        return variant("of integers");
    }
    let mut index_shape = t.shape(index);
    index_shape.insert(op.axis, 1);
    let index_dtype = t.dtype(index);
    let index = t.reshape(index, &index_shape);
    let mut place_shape = vec![1; target.len()];
    place_shape[op.axis] = op.dim;
    let places: Vec<i32> = (0..op.dim as i32).collect();
    let places = t.emit_constant(Constant::from_i32(place_shape, &places));
    let mut p = Program::default();
    let (index_value, place) = (p.input(index_dtype), p.input(Dtype::I32));
    let index_value = if index_dtype == Dtype::I32 { index_value } else { p.cast(index_value, Dtype::I32) };
    let index_value = wrapped(&mut p, index_value, op.dim);
    let on = p.float(op.on.cast_to_scalar::<f32>()?);
    let off = p.float(op.off.cast_to_scalar::<f32>()?);
    let here = p.binary(BinaryOp::Equal, index_value, place);
    p.select(here, on, off);
    Ok(vec![t.pointwise(p.finish(), &[index, places])?])
}

/// The upper or lower triangle; zero elsewhere.
pub fn trilu(t: &mut Translator<'_>, node: &TypedNode, op: &Trilu) -> Outcome {
    let x = t.input(node, 0)?;
    let Some(diagonal) = t.known(node, 1) else {
        return variant("a diagonal that is computed");
    };
    let diagonal = diagonal.cast_to_scalar::<i64>()?;
    let shape = t.shape(x);
    let [.., rows, columns] = shape.as_slice() else {
        return variant("of fewer than two axes");
    };
    let kept = |row: usize, column: usize| {
        let offset = column as i64 - row as i64;
        if op.upper { offset >= diagonal } else { offset <= diagonal }
    };
    let mask: Vec<bool> = (0..*rows).flat_map(|r| (0..*columns).map(move |c| kept(r, c))).collect();
    let mask_shape = [vec![1; shape.len() - 2], vec![*rows, *columns]].concat();
    let mask = t.emit_constant(Constant::from_bool(mask_shape, &mask));
    let dtype = t.dtype(x);
    let mut p = Program::default();
    let (mask_value, value) = (p.input(Dtype::Bool), p.input(dtype));
    let zero = match dtype {
        Dtype::F32 => p.float(0.0),
        Dtype::I32 => p.integer(0),
        Dtype::Bool => p.truth(false),
    };
    p.select(mask_value, value, zero);
    Ok(vec![t.pointwise(p.finish(), &[mask, x])?])
}

/// Sums of the elements up to each place along an axis.
pub fn cumulative_sum(t: &mut Translator<'_>, node: &TypedNode, op: &CumSum) -> Outcome {
    let mut x = t.input(node, 0)?;
    let dtype = t.dtype(x);
    let shape = t.shape(x);
    let size = shape[op.axis];
    if size > LONGEST_SUM {
        return variant(format!("over an axis longer than {LONGEST_SUM}"));
    }
    if dtype != Dtype::F32 {
        x = t.pointwise(Pointwise::cast(dtype, Dtype::F32), &[x])?;
    }
    let counts = |from: usize, to: usize| {
        let ordered = if op.reverse { from >= to } else { from <= to };
        ordered && !(op.exclusive && from == to)
    };
    let triangle: Vec<f32> =
        (0..size).flat_map(|from| (0..size).map(move |to| f32::from(u8::from(counts(from, to))))).collect();
    let triangle = t.emit_constant(Constant::from_f32(vec![size, size], &triangle));
    let a: Vec<u8> = (0..shape.len() as u8).collect();
    let (from, to) = (op.axis as u8, shape.len() as u8);
    let output = a.iter().map(|label| if *label == from { to } else { *label }).collect();
    let mut y = t.emit(Op::Einsum { a, b: vec![from, to], output }, &[x, triangle])?;
    if dtype != Dtype::F32 {
        y = t.pointwise(Pointwise::cast(Dtype::F32, dtype), &[y])?;
    }
    Ok(vec![y])
}
