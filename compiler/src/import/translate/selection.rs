//! Operators on whole axes: the first elements by value, one-hot vectors, triangles, cumulative sums.

use super::context::{Outcome, Translator, variant};
use super::indexing::{elements_along, wrapped};
use crate::graph::constant::{Constant, Dtype};
use crate::graph::kernel_op::{Accumulation, Cumulative, TopK};
use crate::graph::pointwise::{BinaryOp, Operand};
use crate::import::expression::ExpressionBuilder;
use tract_onnx::prelude::{Tensor, TypedNode};
use tract_onnx::tract_core::ops::array::{CumSum, OneHot, Topk, Trilu};

/// The first elements of every line by value, and their indices. Always in order, which ONNX allows when it asks for none.
pub fn top_k(t: &mut Translator<'_>, node: &TypedNode, op: &Topk) -> Outcome {
    let x = t.input(node, 0)?;
    let (shape, _) = t.output_fact(node)?;
    let indices = t.emit(TopK { axis: op.axis, k: shape[op.axis], largest: op.largest }.into(), &[x])?;
    let values = elements_along(t, x, indices, op.axis)?;
    Ok(vec![values, indices])
}

/// A value that tract holds as a tensor of one element, as a literal.
fn literal(p: &mut ExpressionBuilder, value: &Tensor, dtype: Dtype) -> Result<Operand, super::context::Refusal> {
    Ok(match dtype {
        Dtype::F32 => p.float(value.cast_to_scalar::<f32>()?),
        Dtype::Bool => p.boolean(value.cast_to_scalar::<bool>()?),
        Dtype::I32 => match i32::try_from(value.cast_to_scalar::<i64>()?) {
            Ok(value) => p.integer(value),
            Err(_) => return variant("a value that does not fit a 32-bit integer"),
        },
    })
}

/// `on` where the place along a new axis is the index, `off` elsewhere.
pub fn one_hot(t: &mut Translator<'_>, node: &TypedNode, op: &OneHot) -> Outcome {
    let index = t.input(node, 0)?;
    let (target, value) = t.output_fact(node)?;
    let mut index_shape = t.shape(index);
    index_shape.insert(op.axis, 1);
    let index_dtype = t.dtype(index);
    let index = t.reshape(index, &index_shape);
    let mut place_shape = vec![1; target.len()];
    place_shape[op.axis] = op.dim;
    let places: Vec<i32> = (0..op.dim as i32).collect();
    let places = t.emit_constant(Constant::from_i32(place_shape, &places));
    let mut p = ExpressionBuilder::default();
    let (index_value, place) = (p.input(index_dtype), p.input(Dtype::I32));
    let index_value = if index_dtype == Dtype::I32 { index_value } else { p.cast(index_value, Dtype::I32) };
    let index_value = wrapped(&mut p, index_value, op.dim);
    let on = literal(&mut p, &op.on, value)?;
    let off = literal(&mut p, &op.off, value)?;
    let here = p.binary(BinaryOp::Equal, index_value, place);
    p.select(here, on, off);
    Ok(vec![t.pointwise(p.finish(), &[index, places])?])
}

/// The upper or lower triangle; zero elsewhere.
pub fn trilu(t: &mut Translator<'_>, node: &TypedNode, op: &Trilu) -> Outcome {
    let (x, diagonal) = (t.input(node, 0)?, t.input(node, 1)?);
    let shape = t.shape(x);
    let [.., rows, columns] = shape.as_slice() else {
        return variant("of fewer than two axes");
    };
    let places = |count: usize| (0..count as i32).collect::<Vec<_>>();
    let leading = vec![1; shape.len() - 2];
    let row = t.emit_constant(Constant::from_i32([&leading[..], &[*rows, 1]].concat(), &places(*rows)));
    let column = t.emit_constant(Constant::from_i32([&leading[..], &[1, *columns]].concat(), &places(*columns)));
    let diagonal = t.reshape(diagonal, &vec![1; shape.len()]);
    let dtype = t.dtype(x);
    let mut p = ExpressionBuilder::default();
    let value = p.input(dtype);
    let (row_value, column_value) = (p.input(Dtype::I32), p.input(Dtype::I32));
    let diagonal_value = p.input(Dtype::I32);
    let offset = p.binary(BinaryOp::Sub, column_value, row_value);
    let compare = if op.upper { BinaryOp::GreaterEqual } else { BinaryOp::LessEqual };
    let kept = p.binary(compare, offset, diagonal_value);
    let zero = match dtype {
        Dtype::F32 => p.float(0.0),
        Dtype::I32 => p.integer(0),
        Dtype::Bool => p.boolean(false),
    };
    p.select(kept, value, zero);
    Ok(vec![t.pointwise(p.finish(), &[x, row, column, diagonal])?])
}

/// Sums of the elements up to each place along an axis.
pub fn cumulative_sum(t: &mut Translator<'_>, node: &TypedNode, op: &CumSum) -> Outcome {
    let x = t.input(node, 0)?;
    let cumulative =
        Cumulative { accumulation: Accumulation::Sum, axis: op.axis, exclusive: op.exclusive, reverse: op.reverse };
    Ok(vec![t.emit(cumulative.into(), &[x])?])
}
