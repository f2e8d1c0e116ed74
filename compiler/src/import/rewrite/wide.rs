//! Comparisons and limits of 64-bit integers with constants beyond 32 bits, where the answer follows from the other side: it has
//! at most 32 bits on the device, or the run fails.

use super::legacy;
use super::outcome::Rewritten;
use super::steps::{Attribute, Steps};
use crate::import::reason::Reason;
use tract_onnx::pb::tensor_proto::DataType;

const LEAST: i64 = i32::MIN as i64;
const MOST: i64 = i32::MAX as i64;

/// Comparisons in order: `<`, `≤`, `>`, `≥`.
pub fn comparison(s: &mut Steps<'_>) -> Result<Rewritten, Reason> {
    if legacy::broadcast(s)? == Rewritten::Replaced {
        return Ok(Rewritten::Replaced);
    }
    wide_comparison(s)
}

/// A comparison with a 64-bit constant of which an element is beyond 32 bits.
pub fn wide_comparison(s: &mut Steps<'_>) -> Result<Rewritten, Reason> {
    let (a, b) = (s.needed(0)?, s.needed(1)?);
    let op = s.node.op_type.as_str();
    let exchanged = match op {
        "Less" => "Greater",
        "LessOrEqual" => "GreaterOrEqual",
        "Greater" => "Less",
        "GreaterOrEqual" => "LessOrEqual",
        other => other,
    };
    let (x, op, constant) = match (beyond(s, a), beyond(s, b)) {
        (None, Some(constant)) => (a, op, constant),
        (Some(constant), None) => (b, exchanged, constant),
        (None, None) | (Some(_), Some(_)) => return Ok(Rewritten::Unchanged),
    };
    let limited: Vec<i64> = constant.values.iter().map(|value| (*value).clamp(LEAST, MOST)).collect();
    let limited = s.shaped_ints(&constant.shape, &limited);
    let compared = s.op(op, &[x, &limited], &[]);
    // Where the constant is, once it was limited, taken for one that the other side can reach.
    let (wrong, right): (fn(i64) -> bool, bool) = match op {
        "Less" => (|value| value > MOST, true),
        "Greater" => (|value| value < LEAST, true),
        "LessOrEqual" => (|value| value < LEAST, false),
        "GreaterOrEqual" => (|value| value > MOST, false),
        _ => (|value| !(LEAST..=MOST).contains(&value), false),
    };
    let mask: Vec<i64> = constant.values.iter().map(|value| i64::from(wrong(*value) == right)).collect();
    let mask = s.shaped_ints(&constant.shape, &mask);
    let mask = s.op("Cast", &[&mask], &[("to", Attribute::Int(DataType::Bool as i64))]);
    let y = s.op(if right { "Or" } else { "And" }, &[&compared, &mask], &[]);
    s.give(0, &y);
    Ok(Rewritten::Replaced)
}

/// A constant of 64-bit integers.
struct Constant {
    values: Vec<i64>,
    shape: Vec<usize>,
}

/// A constant of which an element is beyond 32 bits.
fn beyond(s: &Steps<'_>, name: &str) -> Option<Constant> {
    let values = s.known.integers(name).filter(|_| s.known.element_type(name) == Some(DataType::Int64 as i32))?;
    let shape = s.known.shape(name)?.to_vec();
    let wide = values.iter().any(|value| !(LEAST..=MOST).contains(value));
    wide.then(|| Constant { values: values.to_vec(), shape })
}

/// A limit that no integer of 32 bits reaches is none.
pub fn clip(s: &mut Steps<'_>) -> Result<Rewritten, Reason> {
    if legacy::clip(s)? == Rewritten::Replaced {
        return Ok(Rewritten::Replaced);
    }
    let limit = |position: usize| {
        let name = s.operand(position)?;
        let values = s.known.integers(name).filter(|_| s.known.element_type(name) == Some(DataType::Int64 as i32))?;
        values.first().copied()
    };
    let (low, high) = (limit(1).is_some_and(|low| low <= LEAST), limit(2).is_some_and(|high| high >= MOST));
    if !low && !high {
        return Ok(Rewritten::Unchanged);
    }
    let x = s.needed(0)?;
    let low = s.operand(1).filter(|_| !low).unwrap_or_default();
    let high = s.operand(2).filter(|_| !high).unwrap_or_default();
    let y = match (low, high) {
        ("", "") => s.op("Identity", &[x], &[]),
        (low, "") => s.op("Clip", &[x, low], &[]),
        (low, high) => s.op("Clip", &[x, low, high], &[]),
    };
    s.give(0, &y);
    Ok(Rewritten::Replaced)
}
