//! ONNX Runtime's operators on 8-bit integers that are element-wise, or pool, join or normalise: dequantized, computed in floats, and
//! quantized again, which is what they are defined as.
//!
//! ONNX Runtime computes some of them from tables or with scales that are divided before; its results may be a step of the
//! scale away from these where a quotient lies next to a half. Products are not here (`import/quantized/products.rs`).

use super::outcome::Rewritten;
use super::quantization::{float, quotient, range};
use super::steps::{Attribute, Steps};
use crate::import::reason::Reason;

/// From this version on, `Softmax` is along one axis.
const ONE_AXIS_SOFTMAX: i64 = 13;

/// The floats of the operand at a position, which its scale and zero point follow.
fn dequantized(s: &mut Steps<'_>, position: usize) -> Result<String, Reason> {
    let (x, scale) = (s.needed(position)?, s.needed(position + 1)?);
    Ok(match s.operand(position + 2) {
        Some(zero) => s.op("DequantizeLinear", &[x, scale, zero], &[]),
        None => s.op("DequantizeLinear", &[x, scale], &[]),
    })
}

/// Gives floats as integers, by the scale at a position and the zero point behind it.
fn give_quantized(s: &mut Steps<'_>, y: &str, scale: usize) -> Result<Rewritten, Reason> {
    let zero = s.operand(scale + 1).ok_or("without a zero point of the result")?;
    let y = s.op("QuantizeLinear", &[y, s.needed(scale)?, zero], &[]);
    s.give(0, &y);
    Ok(Rewritten::Replaced)
}

/// saturate(round(a op b / scale + zero point)): a half goes to the even integer after the zero point is added, as in ONNX Runtime.
fn of_two(s: &mut Steps<'_>, op: &str) -> Result<Rewritten, Reason> {
    let (a, b) = (dequantized(s, 0)?, dequantized(s, 3)?);
    let y = s.op(op, &[&a, &b], &[]);
    let zero = s.operand(7).ok_or("without a zero point of the result")?;
    let element = s.known.element_type(zero).and_then(|element| Some((element, range(element)?)));
    let (element, (low, high)) = element.ok_or("a zero point of an unknown type")?;
    let quotient = quotient(s, &y, s.needed(6)?);
    let zero = float(s, zero);
    let shifted = s.op("Add", &[&quotient, &zero], &[]);
    let whole = s.op("Round", &[&shifted], &[]);
    let bounded = s.clip(&whole, low, high);
    let y = s.op("Cast", &[&bounded], &[("to", Attribute::Int(element.into()))]);
    s.give(0, &y);
    Ok(Rewritten::Replaced)
}

/// `QLinearAdd`.
pub fn quantized_add(s: &mut Steps<'_>) -> Result<Rewritten, Reason> {
    of_two(s, "Add")
}

/// `QLinearMul`.
pub fn quantized_mul(s: &mut Steps<'_>) -> Result<Rewritten, Reason> {
    of_two(s, "Mul")
}

/// The operators of one operand, by the standard operator of the same attributes.
pub fn quantized_of_one(s: &mut Steps<'_>) -> Result<Rewritten, Reason> {
    let op = s.node.op_type.strip_prefix("QLinear").unwrap_or_default().to_owned();
    let x = dequantized(s, 0)?;
    let mut node = s.node.clone();
    node.attribute.retain(|attribute| attribute.name != "channels_last");
    let y = s.like(&node, &op, &[&x]);
    give_quantized(s, &y, 3)
}

/// `QLinearSoftmax`, in the form of the standard operator's version that it names.
pub fn quantized_softmax(s: &mut Steps<'_>) -> Result<Rewritten, Reason> {
    let version = s.int_attribute("opset").unwrap_or(0);
    if version < ONE_AXIS_SOFTMAX {
        return Err(Reason::form("opset = {}", [version.into()]));
    }
    let x = dequantized(s, 0)?;
    let axis = s.int_attribute("axis").unwrap_or(-1);
    let y = s.op("Softmax", &[&x], &[("axis", Attribute::Int(axis))]);
    give_quantized(s, &y, 3)
}

/// `QLinearConcat`: the result's scale and zero point stand first.
pub fn quantized_concat(s: &mut Steps<'_>) -> Result<Rewritten, Reason> {
    let axis = s.int_attribute("axis").unwrap_or(0);
    let parts: Vec<String> =
        (2..s.node.input.len()).step_by(3).map(|position| dequantized(s, position)).collect::<Result<_, _>>()?;
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let y = s.op("Concat", &parts, &[("axis", Attribute::Int(axis))]);
    give_quantized(s, &y, 0)
}
