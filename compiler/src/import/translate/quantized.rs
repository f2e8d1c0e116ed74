//! Quantization: narrow integers are i32 on the device, and products of them are exact.
//!
//! tract multiplies by the reciprocal of a scale where ONNX divides; import rewrites such nodes before tract sees them
//! (`rewrite/quantization.rs`), so that only the rows here are left. Results saturate and halves round to even.

use super::context::{Outcome, Refusal, Translator, variant};
use super::einsum::{Labelled, arrange, integer_product, labels};
use crate::graph::NodeId;
use crate::graph::constant::Dtype;
use crate::graph::pointwise::{BinaryOp, UnaryOp};
use crate::import::expression::ExpressionBuilder;
use crate::import::reason::Reason;
use tract_onnx::prelude::{DatumType, TypedNode};
use tract_onnx::tract_core::ops::change_axes::InOut;
use tract_onnx::tract_core::ops::einsum::EinSum;
use tract_onnx::tract_core::ops::quant::DequantizeLinearF32;

/// Positions of the operands that tract gives a quantized product or convolution, after the two factors.
pub const BIAS: usize = 2;
const A_ZERO: usize = 3;
const A_SCALE: usize = 4;
const B_ZERO: usize = 5;
const B_SCALE: usize = 6;
const C_ZERO: usize = 7;
const C_SCALE: usize = 8;

/// (x − zero point) · scale.
pub fn dequantize(t: &mut Translator<'_>, node: &TypedNode, op: &DequantizeLinearF32) -> Outcome {
    let x = t.input(node, 0)?;
    let mut p = ExpressionBuilder::default();
    let value = p.input(t.dtype(x));
    let zero = p.integer(op.zero_point);
    let centred = p.binary(BinaryOp::Sub, value, zero);
    let float = p.cast(centred, Dtype::F32);
    let scale = p.float(op.scale);
    p.binary(BinaryOp::Mul, float, scale);
    Ok(vec![t.pointwise(p.finish(), &[x])?])
}

/// Smallest and largest value of a narrow integer type.
#[expect(clippy::wildcard_enum_match_arm, reason = "tract's types: those that bundles have are few")]
fn range(datum: DatumType) -> Option<(i32, i32)> {
    match datum.unquantized() {
        DatumType::U8 => Some((0, 255)),
        DatumType::I8 => Some((-128, 127)),
        _ => None,
    }
}

/// x − zero point, as a float that holds a nine-bit integer; `zero` broadcasts to x.
pub fn centred(
    t: &mut Translator<'_>,
    node: &TypedNode,
    input: usize,
    x: NodeId,
    zero: NodeId,
) -> Result<NodeId, Refusal> {
    let datum = t.datum_type(node, input)?;
    if range(datum).is_none() {
        return variant(Reason::form("a quantized operand of {}", [datum.into()]));
    }
    let mut p = ExpressionBuilder::default();
    let (value, zero_value) = (p.input(Dtype::I32), p.input(Dtype::I32));
    let difference = p.binary(BinaryOp::Sub, value, zero_value);
    p.cast(difference, Dtype::F32);
    t.pointwise(p.finish(), &[x, zero])
}

/// Whether an operand is known to be `value` everywhere.
fn is_known(t: &Translator<'_>, node: &TypedNode, input: usize, value: f32) -> bool {
    let known = t.known(node, input).and_then(|k| k.cast_to::<f32>().ok().map(std::borrow::Cow::into_owned));
    known.is_some_and(|k| {
        k.try_as_plain_ram().ok().and_then(|p| p.as_slice::<f32>().ok().map(|s| s.iter().all(|v| *v == value)))
            == Some(true)
    })
}

/// More than twice what an integer of 16 bits holds: results that are farther out are cut to the type's ends.
const FAR: f32 = 1_048_576.0;

/// saturate(round(sum · (a scale · b scale / c scale)) + c zero point); a sum that stays i32 is left alone. `place` makes an
/// operand broadcast to the sum.
pub fn requantized(
    t: &mut Translator<'_>,
    node: &TypedNode,
    sum: NodeId,
    to: DatumType,
    mut place: impl FnMut(&mut Translator<'_>, usize) -> Result<NodeId, Refusal>,
) -> Result<NodeId, Refusal> {
    let unscaled =
        [A_SCALE, B_SCALE, C_SCALE].iter().all(|i| is_known(t, node, *i, 1.0)) && is_known(t, node, C_ZERO, 0.0);
    if to.unquantized() == DatumType::I32 && unscaled {
        return Ok(sum);
    }
    let Some((low, high)) = range(to) else {
        return variant(Reason::form("quantized to {}", [to.into()]));
    };
    let mut operands = vec![sum];
    for input in [A_SCALE, B_SCALE, C_SCALE, C_ZERO] {
        operands.push(place(t, input)?);
    }
    let mut p = ExpressionBuilder::default();
    let sum = p.input(Dtype::I32);
    let (a, b, c) = (p.input(Dtype::F32), p.input(Dtype::F32), p.input(Dtype::F32));
    let zero = p.input(Dtype::I32);
    let product = p.binary(BinaryOp::Mul, a, b);
    let scale = p.binary(BinaryOp::Div, product, c);
    let float = p.cast(sum, Dtype::F32);
    let scaled = p.binary(BinaryOp::Mul, float, scale);
    let rounded = p.unary(UnaryOp::Round, scaled);
    // Far beyond what any zero point brings back, and such that adding it cannot wrap.
    let [least, most] = [-FAR, FAR].map(|bound| p.float(bound));
    let above = p.binary(BinaryOp::Max, rounded, least);
    let near = p.binary(BinaryOp::Min, above, most);
    let whole = p.cast(near, Dtype::I32);
    let shifted = p.binary(BinaryOp::Add, whole, zero);
    let (low, high) = (p.integer(low), p.integer(high));
    let bounded = p.binary(BinaryOp::Max, shifted, low);
    p.binary(BinaryOp::Min, bounded, high);
    t.pointwise(p.finish(), &operands)
}

/// A quantized einsum: both factors, bias, and zero point and scale of either factor and of the result.
pub fn product(t: &mut Translator<'_>, node: &TypedNode, op: &EinSum) -> Outcome {
    let output = labels(op, InOut::Out(0))?;
    let to = op.q_params.map_or_else(|| variant("quantized without a type"), Ok)?;
    let (a_labels, b_labels) = (labels(op, InOut::In(0))?, labels(op, InOut::In(1))?);
    let placed = |t: &mut Translator<'_>, input: usize, like: &[u8]| {
        let id = t.input(node, input)?;
        arrange(t, Labelled { id, labels: labels(op, InOut::In(input))? }, like)
    };
    let (a, b) = (t.input(node, 0)?, t.input(node, 1)?);
    let a_zero = placed(t, A_ZERO, &a_labels)?;
    let b_zero = placed(t, B_ZERO, &b_labels)?;
    let a = centred(t, node, 0, a, a_zero)?;
    let b = centred(t, node, 1, b, b_zero)?;
    let (a, b) = broadcast_batches(t, (a, &a_labels), (b, &b_labels))?;
    // An axis of the result that is in no factor has size 1.
    let own: Vec<u8> = output.iter().copied().filter(|label| a.1.contains(label) || b.1.contains(label)).collect();
    let sum = integer_product(t, a, b, &own)?;
    let (shape, _) = t.output_fact(node)?;
    let mut sum = t.reshape(sum, &shape);
    if !is_known(t, node, BIAS, 0.0) {
        let bias = placed(t, BIAS, &output)?;
        sum = add(t, sum, bias)?;
    }
    let y = requantized(t, node, sum, to, |t, input| placed(t, input, &output))?;
    Ok(vec![t.reshape(y, &shape)])
}

/// i32 sum.
pub fn add(t: &mut Translator<'_>, a: NodeId, b: NodeId) -> Result<NodeId, Refusal> {
    t.pointwise(crate::graph::pointwise::Pointwise::binary(BinaryOp::Add, Dtype::I32), &[a, b])
}

type Factor = (NodeId, Vec<u8>);

/// Drops axes of size 1 that stand for larger ones of the other factor.
fn broadcast_batches(
    t: &mut Translator<'_>,
    (a, a_labels): (NodeId, &[u8]),
    (b, b_labels): (NodeId, &[u8]),
) -> Result<(Factor, Factor), Refusal> {
    let (a_shape, b_shape) = (t.shape(a), t.shape(b));
    let size = |labels: &[u8], shape: &[usize], label: u8| labels.iter().position(|l| *l == label).map(|i| shape[i]);
    let kept = |own: &[u8], own_shape: &[usize], other: &[u8], other_shape: &[usize]| -> Vec<usize> {
        (0..own.len())
            .filter(|i| own_shape[*i] != 1 || size(other, other_shape, own[*i]).is_none_or(|s| s == 1))
            .collect()
    };
    let a_kept = kept(a_labels, &a_shape, b_labels, &b_shape);
    let b_kept = kept(b_labels, &b_shape, a_labels, &a_shape);
    let pick = |t: &mut Translator<'_>, id: NodeId, shape: &[usize], labels: &[u8], kept: &[usize]| {
        let target: Vec<usize> = kept.iter().map(|i| shape[*i]).collect();
        (t.reshape(id, &target), kept.iter().map(|i| labels[*i]).collect::<Vec<u8>>())
    };
    Ok((pick(t, a, &a_shape, a_labels, &a_kept), pick(t, b, &b_shape, b_labels, &b_kept)))
}

/// Operand of a quantized convolution: one value, or one a channel of a result (batch, channels, spatial…).
pub fn per_channel(
    t: &mut Translator<'_>,
    node: &TypedNode,
    input: usize,
    rank: usize,
    axis: usize,
) -> Result<NodeId, Refusal> {
    let id = t.input(node, input)?;
    let mut shape = vec![1; rank];
    shape[axis] = t.shape(id).iter().product();
    Ok(t.reshape(id, &shape))
}

/// Zero points of the input and of the kernel of a quantized convolution.
pub const CONVOLUTION_ZEROS: [usize; 2] = [A_ZERO, B_ZERO];
