//! Operators that move elements and compute nothing.

use super::context::{Outcome, Translator, size, variant};
use crate::graph::constant::Dtype;
use crate::graph::op::{Op, PadMode};
use crate::graph::pointwise::{BinaryOp, Pointwise};
use crate::import::expression::ExpressionBuilder;
use tract_onnx::prelude::TypedNode;
use tract_onnx::tract_core::ops::Downsample;
use tract_onnx::tract_core::ops::array::{MultiBroadcastTo, Pad, PadMode as TractPadMode, Slice, Tile, TypedConcat};
use tract_onnx::tract_core::ops::change_axes::AxisOp;
use tract_onnx::tract_core::ops::identity::Identity;

/// Adding, removing, moving and reshaping axes.
pub fn axis_op(t: &mut Translator<'_>, node: &TypedNode, op: &AxisOp) -> Outcome {
    let x = t.input(node, 0)?;
    if let AxisOp::Move(from, to) = op {
        let mut permutation: Vec<usize> = (0..t.shape(x).len()).collect();
        let axis = permutation.remove(*from);
        permutation.insert(*to, axis);
        return Ok(vec![t.transpose(x, permutation)?]);
    }
    let (shape, _) = t.output_fact(node)?;
    Ok(vec![t.reshape(x, &shape)])
}

/// The input itself.
pub fn identity(t: &mut Translator<'_>, node: &TypedNode, _op: &Identity) -> Outcome {
    Ok(vec![t.input(node, 0)?])
}

/// Concatenation. Operands without elements give nothing to it.
pub fn concat(t: &mut Translator<'_>, node: &TypedNode, op: &TypedConcat) -> Outcome {
    let mut inputs = t.inputs(node)?;
    if inputs.iter().any(|id| !t.shape(*id).contains(&0)) {
        inputs.retain(|id| !t.shape(*id).contains(&0));
    }
    if let [only] = inputs.as_slice() {
        return Ok(vec![*only]);
    }
    Ok(vec![t.emit(Op::Concat { axis: op.axis }, &inputs)?])
}

fn strided(t: &mut Translator<'_>, node: &TypedNode, axis: usize, start: usize, step: isize) -> Outcome {
    let x = t.input(node, 0)?;
    let (shape, _) = t.output_fact(node)?;
    let rank = shape.len();
    let (mut starts, mut steps) = (vec![0; rank], vec![1; rank]);
    starts[axis] = start;
    steps[axis] = step;
    if shape.contains(&0) {
        return variant("an empty result");
    }
    if shape == t.shape(x) && step == 1 {
        return Ok(vec![x]);
    }
    Ok(vec![t.emit_shaped(Op::Slice { starts, steps }, x, shape)])
}

/// A range of one axis.
pub fn slice(t: &mut Translator<'_>, node: &TypedNode, op: &Slice) -> Outcome {
    strided(t, node, op.axis, size(&op.start)?, 1)
}

/// Every n-th element of one axis; a negative stride starts at the end.
pub fn downsample(t: &mut Translator<'_>, node: &TypedNode, op: &Downsample) -> Outcome {
    let x = t.input(node, 0)?;
    let start = if op.stride > 0 { op.modulo } else { t.shape(x)[op.axis].saturating_sub(1) };
    strided(t, node, op.axis, start, op.stride)
}

/// Padding. Negative padding, which tract holds as wrapped unsigned numbers, cuts elements off first.
pub fn pad(t: &mut Translator<'_>, node: &TypedNode, op: &Pad) -> Outcome {
    let mut x = t.input(node, 0)?;
    // Padding holds f32: bits of other integers are exchanged around padding with 0.
    let mut exchanged = None;
    let mode = match &op.mode {
        TractPadMode::Constant(value) if t.dtype(x) == Dtype::I32 => {
            let Ok(value) = i32::try_from(value.cast_to_scalar::<i64>()?) else {
                return variant("a value that does not fit a 32-bit integer");
            };
            let is_exact = f64::from(value as f32) == f64::from(value);
            exchanged = (!is_exact).then_some(value);
            PadMode::Constant(if is_exact { value as f32 } else { 0.0 })
        }
        TractPadMode::Constant(value) => PadMode::Constant(value.cast_to_scalar::<f32>()?),
        TractPadMode::Reflect => PadMode::Reflect,
        TractPadMode::Edge => PadMode::Edge,
    };
    let signed: Vec<(isize, isize)> = op.pads.iter().map(|(b, a)| (*b as isize, *a as isize)).collect();
    if signed.iter().any(|(before, after)| *before < 0 || *after < 0) {
        let cut = |pad: isize| pad.min(0).unsigned_abs();
        let shape: Option<Vec<usize>> =
            t.shape(x).iter().zip(&signed).map(|(d, (b, a))| d.checked_sub(cut(*b))?.checked_sub(cut(*a))).collect();
        let Some(shape) = shape.filter(|s| !s.contains(&0)) else {
            return variant("negative padding that leaves nothing");
        };
        let starts = signed.iter().map(|(before, _)| cut(*before)).collect();
        x = t.emit_shaped(Op::Slice { starts, steps: vec![1; shape.len()] }, x, shape);
    }
    let before: Vec<usize> = signed.iter().map(|(before, _)| before.max(&0).unsigned_abs()).collect();
    let after: Vec<usize> = signed.iter().map(|(_, after)| after.max(&0).unsigned_abs()).collect();
    if before.iter().chain(&after).all(|p| *p == 0) {
        return Ok(vec![x]);
    }
    let Some(bits) = exchanged else { return Ok(vec![t.emit(Op::Pad { before, after, mode }, &[x])?]) };
    let x = t.pointwise(exchange(bits), &[x])?;
    let padded = t.emit(Op::Pad { before, after, mode }, &[x])?;
    Ok(vec![t.pointwise(exchange(bits), &[padded])?])
}

/// An integer with these bits exchanged, which no integer leaves 32 bits by.
fn exchange(bits: i32) -> Pointwise {
    let mut p = ExpressionBuilder::default();
    let (x, bits) = (p.input(Dtype::I32), p.integer(bits));
    p.binary(BinaryOp::BitXor, x, bits);
    p.finish()
}

/// Repetition of whole axes: each becomes (repeats, size), the first broadcast.
pub fn tile(t: &mut Translator<'_>, node: &TypedNode, op: &Tile) -> Outcome {
    let x = t.input(node, 0)?;
    let (target, _) = t.output_fact(node)?;
    let (mut split, mut repeated) = (vec![], vec![]);
    for (extent, repeats) in t.shape(x).iter().zip(&op.multipliers) {
        let repeats = size(repeats)?;
        if repeats != 1 {
            split.push(1);
            repeated.push(repeats);
        }
        split.push(*extent);
        repeated.push(*extent);
    }
    if split == repeated {
        return Ok(vec![x]);
    }
    let x = t.reshape(x, &split);
    let x = t.emit_shaped(Op::Broadcast, x, repeated);
    Ok(vec![t.reshape(x, &target)])
}

/// Broadcast to a shape; missing axes are in front.
pub fn broadcast(t: &mut Translator<'_>, node: &TypedNode, _op: &MultiBroadcastTo) -> Outcome {
    let x = t.input(node, 0)?;
    let (target, _) = t.output_fact(node)?;
    let mut shape = vec![1; target.len().saturating_sub(t.shape(x).len())];
    shape.extend(t.shape(x));
    let x = t.reshape(x, &shape);
    if shape == target {
        return Ok(vec![x]);
    }
    Ok(vec![t.emit_shaped(Op::Broadcast, x, target)])
}
