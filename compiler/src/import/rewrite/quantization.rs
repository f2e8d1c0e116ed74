//! Quantization in terms of divisions, roundings and conversions.
//!
//! tract multiplies by the reciprocal of a scale where ONNX divides, which rounds some elements to the next integer, and takes
//! constant scales only. A node stays as it is where the type of its operands cannot be told;
//! the translation then refuses what tract would get wrong, f16 scales among it. Scales of blocks are repeated for the elements
//! of their block; how many there are is computed where the model does not say the shape. Constants that are dequantized do not
//! come here (`import/quantized/`).

use super::outcome::Rewritten;
use super::steps::{Attribute, Steps};
use crate::import::reason::Reason;
use tract_onnx::pb::tensor_proto::DataType;

/// Smallest and largest value of a narrow integer type.
#[expect(clippy::wildcard_enum_match_arm, reason = "ONNX's types: those that are taken are few")]
pub(super) fn range(element: i32) -> Option<(f32, f32)> {
    match DataType::try_from(element).ok()? {
        DataType::Uint8 => Some((0.0, 255.0)),
        DataType::Int8 => Some((-128.0, 127.0)),
        DataType::Uint16 => Some((0.0, 65_535.0)),
        DataType::Int16 => Some((-32_768.0, 32_767.0)),
        _ => None,
    }
}

fn cast(s: &mut Steps<'_>, x: &str, to: i32) -> String {
    s.op("Cast", &[x], &[("to", Attribute::Int(i64::from(to)))])
}

pub(super) fn float(s: &mut Steps<'_>, x: &str) -> String {
    cast(s, x, DataType::Float as i32)
}

/// How a scale or zero point becomes one that broadcasts to `x`.
enum Placement {
    /// Under this shape.
    Shape(Vec<i64>),
    /// Along this axis, or as one element, whatever the ranks are.
    Along(i64),
    /// Elements of an axis repeated, as many times as a block has elements.
    Repeated { axis: i64, block: i64 },
}

/// How the scale or zero point `name` broadcasts to `x`; `None` when that cannot be told.
///
/// # Errors
/// Blocks of a tensor that has no such axis.
fn placement(s: &Steps<'_>, name: &str, x: &str) -> Result<Option<Placement>, Reason> {
    let Some(element) = s.known.element_type(name) else { return Ok(None) };
    let is_half = [DataType::Float16, DataType::Bfloat16].iter().any(|t| *t as i32 == element);
    let axis = s.int_attribute("axis").unwrap_or(1);
    let from_start = |rank: usize| {
        let axis = usize::try_from(if axis < 0 { axis + rank as i64 } else { axis }).ok();
        axis.filter(|axis| *axis < rank)
    };
    if let Some(block) = s.int_attribute("block_size").filter(|block| *block != 0) {
        if let Some((rank, _)) = s.known.rank(x).filter(|(rank, _)| from_start(*rank).is_none()) {
            return Err(Reason::form("axis {} of {} axes", [axis.into(), rank.into()]));
        }
        if block < 1 || is_half {
            return Err(Reason::form("block_size = {}, or scales that are not float", [block.into()]));
        }
        return Ok(Some(Placement::Repeated { axis, block }));
    }
    if is_half {
        return Ok(None);
    }
    Ok(match (s.known.rank(name), s.known.rank(x)) {
        (Some((_, true)), _) => Some(Placement::Shape(vec![])),
        (Some((1, false)), Some((x_rank, _))) => from_start(x_rank)
            .map(|axis| Placement::Shape((0..x_rank).map(|i| if i == axis { -1 } else { 1 }).collect())),
        (_, _) => Some(Placement::Along(axis)),
    })
}

/// A scale or zero point as floats that broadcast.
fn parameter(s: &mut Steps<'_>, name: &str, x: &str, placement: &Placement) -> String {
    let value = float(s, name);
    match placement {
        Placement::Shape(shape) => {
            let shape = s.ints(shape);
            s.op("Reshape", &[&value, &shape], &[])
        }
        // −1 stands for the elements of the axis, or for the one, and 1 for every axis behind it.
        Placement::Along(axis) => {
            let mut shape = s.ints(&[-1]);
            if *axis != -1 {
                let behind = s.shape(x, axis + 1, i64::MAX);
                let ones = s.op("Div", &[&behind, &behind], &[]);
                shape = s.op("Concat", &[&shape, &ones], &[("axis", Attribute::Int(0))]);
            }
            s.op("Reshape", &[&value, &shape], &[])
        }
        Placement::Repeated { axis, block } => {
            let places = places(s, x, *axis, *block);
            s.op("Gather", &[&value, &places], &[("axis", Attribute::Int(*axis))])
        }
    }
}

/// The block of every element along an axis of `x`.
fn places(s: &mut Steps<'_>, x: &str, axis: i64, block: i64) -> String {
    let own = s.known.shape(x).and_then(|shape| {
        let axis = usize::try_from(if axis < 0 { axis + shape.len() as i64 } else { axis }).ok()?;
        shape.get(axis).copied()
    });
    if let Some(size) = own {
        let places: Vec<i64> = (0..size as i64).map(|place| place / block).collect();
        return s.ints(&places);
    }
    let size = s.shape(x, axis, if axis == -1 { i64::MAX } else { axis + 1 });
    let size = s.squeeze(&size, &[0]);
    let (zero, one, block) = (s.int(0), s.int(1), s.int(block));
    let every = s.op("Range", &[&zero, &size, &one], &[]);
    s.op("Div", &[&every, &block], &[])
}

/// The high half of a float's digits, and the rest: x · 4097 − (x · 4097 − x), which no product of halves rounds.
fn halves(s: &mut Steps<'_>, x: &str) -> (String, String) {
    let factor = s.floats(&[], &[4097.0]);
    let scaled = s.op("Mul", &[x, &factor], &[]);
    let rest = s.op("Sub", &[&scaled, x], &[]);
    let high = s.op("Sub", &[&scaled, &rest], &[]);
    let low = s.op("Sub", &[x, &high], &[]);
    (high, low)
}

/// x / scale, corrected by the exact remainder: a device's own division may be a few units off, and a quotient that lies on
/// a half must not miss it.
pub(super) fn quotient(s: &mut Steps<'_>, x: &str, scale: &str) -> String {
    let quotient = s.op("Div", &[x, scale], &[]);
    // Infinities stay out of the differences below.
    let quotient = s.clip(&quotient, -1e9, 1e9);
    let product = s.op("Mul", &[&quotient, scale], &[]);
    let (quotient_high, quotient_low) = halves(s, &quotient);
    let (scale_high, scale_low) = halves(s, scale);
    let mut error = s.op("Mul", &[&quotient_high, &scale_high], &[]);
    error = s.op("Sub", &[&error, &product], &[]);
    for (a, b) in [(&quotient_high, &scale_low), (&quotient_low, &scale_high), (&quotient_low, &scale_low)] {
        let part = s.op("Mul", &[a, b], &[]);
        error = s.op("Add", &[&error, &part], &[]);
    }
    let rest = s.op("Sub", &[x, &product], &[]);
    let rest = s.op("Sub", &[&rest, &error], &[]);
    let correction = s.op("Div", &[&rest, scale], &[]);
    s.op("Add", &[&quotient, &correction], &[])
}

/// saturate(round(x / scale) + zero point) as `to`.
fn rounded(s: &mut Steps<'_>, x: &str, scale: &str, zero: Option<&str>, to: i32) -> Result<String, Reason> {
    let (low, high) = range(to).ok_or("an element type without a range")?;
    let quotient = quotient(s, x, scale);
    let mut value = s.op("Round", &[&quotient], &[]);
    if let Some(zero) = zero {
        value = s.op("Add", &[&value, zero], &[]);
    }
    let bounded = s.clip(&value, low, high);
    Ok(cast(s, &bounded, to))
}

/// `QuantizeLinear`.
pub fn quantize(s: &mut Steps<'_>) -> Result<Rewritten, Reason> {
    let (x, scale, zero) = (s.needed(0)?, s.needed(1)?, s.operand(2));
    let stated = s.int_attribute("output_dtype").unwrap_or(0) as i32;
    let to = match zero {
        Some(zero) => s.known.element_type(zero),
        None if stated != 0 => Some(stated),
        None => Some(DataType::Uint8 as i32),
    };
    let scale_shape = placement(s, scale, x)?;
    let zero_shape = zero.map_or(Ok(Some(Placement::Shape(vec![]))), |zero| placement(s, zero, x))?;
    let (Some(to), Some(scale_shape), Some(zero_shape)) = (to, scale_shape, zero_shape) else {
        return Ok(Rewritten::Unchanged);
    };
    if range(to).is_none() {
        return Ok(Rewritten::Unchanged);
    }
    let is_huge = s.known.floats(scale).is_some_and(|scales| scales.iter().any(|scale| scale.abs() > 1e30));
    let scale = parameter(s, scale, x, &scale_shape);
    let zero = zero.map(|zero| parameter(s, zero, x, &zero_shape));
    let x = float(s, x);
    // Halves of a huge scale would be infinite: both sides are made smaller by a power of two.
    let (x, scale) = if is_huge {
        let smaller = s.floats(&[], &[2_f32.powi(-64)]);
        (s.op("Mul", &[&x, &smaller], &[]), s.op("Mul", &[&scale, &smaller], &[]))
    } else {
        (x, scale)
    };
    let y = rounded(s, &x, &scale, zero.as_deref(), to)?;
    s.give(0, &y);
    Ok(Rewritten::Replaced)
}

/// `DequantizeLinear`.
pub fn dequantize(s: &mut Steps<'_>) -> Result<Rewritten, Reason> {
    let (x, scale, zero) = (s.needed(0)?, s.needed(1)?, s.operand(2));
    let scale_shape = placement(s, scale, x)?;
    let zero_shape = zero.map_or(Ok(Some(Placement::Shape(vec![]))), |zero| placement(s, zero, x))?;
    let (Some(scale_shape), Some(zero_shape)) = (scale_shape, zero_shape) else {
        return Ok(Rewritten::Unchanged);
    };
    let scale = parameter(s, scale, x, &scale_shape);
    let mut value = float(s, x);
    if let Some(zero) = zero {
        let zero = parameter(s, zero, x, &zero_shape);
        value = s.op("Sub", &[&value, &zero], &[]);
    }
    let y = s.op("Mul", &[&value, &scale], &[]);
    s.give(0, &y);
    Ok(Rewritten::Replaced)
}

/// `QLinearMatMul` with scales in f16: they become floats, which tract takes alone.
pub fn quantized_product(s: &mut Steps<'_>) -> Result<Rewritten, Reason> {
    let node = s.node;
    let is_half = |name: &str| s.known.element_type(name) == Some(DataType::Float16 as i32);
    if !SCALES.iter().any(|scale| s.operand(*scale).is_some_and(is_half)) {
        return Ok(Rewritten::Unchanged);
    }
    let mut whole = node.clone();
    for scale in SCALES {
        whole.input[scale] = float(s, &node.input[scale]);
    }
    s.nodes.push(whole);
    Ok(Rewritten::Replaced)
}

/// Positions of the scales of a `QLinearMatMul`.
const SCALES: [usize; 3] = [1, 4, 6];

/// `DynamicQuantizeLinear`: scale and zero point of the range that the tensor and zero span.
pub fn quantize_dynamically(s: &mut Steps<'_>) -> Result<Rewritten, Reason> {
    let x = s.needed(0)?;
    let to = DataType::Uint8 as i32;
    let (zero, one, steps) = (s.floats(&[], &[0.0]), s.floats(&[], &[1.0]), s.floats(&[], &[255.0]));
    let (low, high) = (s.reduce_all("ReduceMin", x), s.reduce_all("ReduceMax", x));
    let (low, high) = (s.op("Min", &[&low, &zero], &[]), s.op("Max", &[&high, &zero], &[]));
    let span = s.op("Sub", &[&high, &low], &[]);
    let divided = quotient(s, &span, &steps);
    let flat = s.op("Equal", &[&high, &low], &[]);
    let scale = s.op("Where", &[&flat, &one, &divided], &[]);
    let below = s.op("Sub", &[&zero, &low], &[]);
    let point = rounded(s, &below, &scale, None, to)?;
    let shift = float(s, &point);
    let y = rounded(s, x, &scale, Some(&shift), to)?;
    s.give(0, &y);
    s.give(1, &scale);
    s.give(2, &point);
    Ok(Rewritten::Replaced)
}
