//! Softmax, RMS normalisation and reductions.
//!
//! A softmax over several neighbouring axes runs over one merged axis. Means, L1 and L2 norms arrive from tract as sums with
//! element-wise operators around them and stay so.

use super::context::{Outcome, Translator, variant};
use crate::graph::constant::Dtype;
use crate::graph::op::{NormKind, Op, ReduceKind};
use crate::graph::pointwise::{BinaryOp, Pointwise};
use crate::import::expression::ExpressionBuilder;
use tract_onnx::prelude::TypedNode;
use tract_onnx::tract_core::ops::nn::{Reduce, Reducer, RmsNorm, Softmax, SoftmaxKind};

/// Softmax or its logarithm.
pub fn softmax(t: &mut Translator<'_>, node: &TypedNode, op: &Softmax) -> Outcome {
    if op.quant_output_dt.is_some() {
        return variant("quantized");
    }
    let log = match op.kind {
        SoftmaxKind::Softmax => false,
        SoftmaxKind::LogSoftmax => true,
    };
    let x = t.input(node, 0)?;
    let mut axes = op.axes.to_vec();
    axes.sort_unstable();
    let Some(first) = axes.first().copied() else {
        return variant("over no axis");
    };
    if axes.iter().enumerate().any(|(i, axis)| *axis != first + i) {
        return variant("over axes that are not neighbours");
    }
    let shape = t.shape(x);
    let end = first + axes.len();
    let merged = [&shape[..first], &[shape[first..end].iter().product()], &shape[end..]].concat();
    let x = t.reshape(x, &merged);
    let y = t.emit(Op::Softmax { axis: first, log }, &[x])?;
    Ok(vec![t.reshape(y, &shape)])
}

/// x / √(mean of squares + ε).
pub fn rms_norm(t: &mut Translator<'_>, node: &TypedNode, op: &RmsNorm) -> Outcome {
    let x = t.input(node, 0)?;
    let epsilon = op.eps.cast_to_scalar::<f32>()?;
    Ok(vec![t.emit(Op::Normalize { kind: NormKind::Rms, axes: vec![op.axis], epsilon }, &[x])?])
}

/// Reduction; the axes stay.
pub fn reduce(t: &mut Translator<'_>, node: &TypedNode, op: &Reduce) -> Outcome {
    let x = t.input(node, 0)?;
    let mut axes = op.axes.to_vec();
    axes.sort_unstable();
    let kind = match op.reducer {
        Reducer::ArgMax(last) => return arg_reduce(t, x, &axes, true, last),
        Reducer::ArgMin(last) => return arg_reduce(t, x, &axes, false, last),
        Reducer::Max => ReduceKind::Max,
        Reducer::Min => ReduceKind::Min,
        Reducer::Prod => ReduceKind::Product,
        Reducer::Sum => ReduceKind::Sum,
        Reducer::MeanOfSquares => ReduceKind::MeanSquare,
        Reducer::All => return boolean(t, x, axes, ReduceKind::Min),
        Reducer::Any => return boolean(t, x, axes, ReduceKind::Max),
    };
    if t.dtype(x) == Dtype::Bool {
        return boolean(t, x, axes, kind);
    }
    Ok(vec![t.emit(Op::Reduce { kind, axes }, &[x])?])
}

fn arg_reduce(t: &mut Translator<'_>, x: crate::graph::NodeId, axes: &[usize], max: bool, last: bool) -> Outcome {
    let [axis] = axes else {
        return variant("over several axes");
    };
    Ok(vec![t.emit(Op::ArgReduce { axis: *axis, max, last }, &[x])?])
}

/// Booleans reduce as integers.
fn boolean(t: &mut Translator<'_>, x: crate::graph::NodeId, axes: Vec<usize>, kind: ReduceKind) -> Outcome {
    let from = t.dtype(x);
    let mut x = x;
    if from != Dtype::Bool {
        x = t.pointwise(Pointwise::cast(from, Dtype::Bool), &[x])?;
    }
    let x = t.pointwise(Pointwise::cast(Dtype::Bool, Dtype::I32), &[x])?;
    let y = t.emit(Op::Reduce { kind, axes }, &[x])?;
    // Of nothing, the largest integer and the smallest are no booleans.
    let mut p = ExpressionBuilder::default();
    let (value, zero) = (p.input(Dtype::I32), p.integer(0));
    let comparison = if kind == ReduceKind::Max { BinaryOp::Greater } else { BinaryOp::NotEqual };
    p.binary(comparison, value, zero);
    Ok(vec![t.pointwise(p.finish(), &[y])?])
}
