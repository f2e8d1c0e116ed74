//! The first versions of operators, in the form of later ones.
//!
//! Before version 7, operators of two operands said by attributes how the second lies in the first; other operators had as
//! attributes what are operands now, or the other way round. Each rewrite leaves later versions alone.

use super::outcome::Rewritten;
use super::steps::{Attribute, Steps};
use crate::import::builders::ALIGN;
use crate::import::reason::Reason;
use tract_onnx::pb::tensor_proto::DataType;

/// From this version on, operands broadcast from their last axes.
const BROADCAST_7: i64 = 7;

/// Copies of a tensor that one node may join.
const MAX_COPIES: usize = 64;

/// The second operand with its axes from `axis` of the first on: its own, then axes of size 1.
fn align(s: &mut Steps<'_>, axis: i64) -> Result<String, Reason> {
    let (a, b) = (s.needed(0)?, s.needed(1)?);
    Ok(s.op(ALIGN, &[a, b], &[("axis", Attribute::Int(axis))]))
}

/// Arithmetic, logic and comparisons whose second operand has an `axis`. Without one, its last axes are those of the first, as they
/// still are.
pub fn broadcast(s: &mut Steps<'_>) -> Result<Rewritten, Reason> {
    let Some(axis) = s.int_attribute("axis").filter(|_| s.known.opset < BROADCAST_7) else {
        return Ok(Rewritten::Unchanged);
    };
    if s.int_attribute("broadcast").unwrap_or(0) == 0 {
        return Err("axis without broadcast".into());
    }
    let aligned = align(s, axis)?;
    let y = s.op(&s.node.op_type, &[s.needed(0)?, &aligned], &[]);
    s.give(0, &y);
    Ok(Rewritten::Replaced)
}

/// Slopes of channels: they lie along axis 1.
pub fn prelu(s: &mut Steps<'_>) -> Result<Rewritten, Reason> {
    if s.known.opset >= BROADCAST_7 {
        return Ok(Rewritten::Unchanged);
    }
    let (x, slope) = (s.needed(0)?, align(s, 1)?);
    let zero = s.number_like(0.0, x);
    let negative = s.op("Less", &[x, &zero], &[]);
    let below = s.op("Mul", &[x, &slope], &[]);
    let y = s.op("Where", &[&negative, &below, x], &[]);
    s.give(0, &y);
    Ok(Rewritten::Replaced)
}

/// The first `Cast` names its type.
pub fn cast(s: &mut Steps<'_>) -> Result<Rewritten, Reason> {
    let Some(name) = s.text_attribute("to").filter(|name| !name.is_empty()) else { return Ok(Rewritten::Unchanged) };
    let to = match name {
        "FLOAT" => DataType::Float,
        "FLOAT16" => DataType::Float16,
        "DOUBLE" => DataType::Double,
        "INT32" => DataType::Int32,
        "INT64" => DataType::Int64,
        "INT8" => DataType::Int8,
        "UINT8" => DataType::Uint8,
        "BOOL" => DataType::Bool,
        other => return Err(Reason::form("to {}", [other.into()])),
    };
    let y = s.op("Cast", &[s.needed(0)?], &[("to", Attribute::Int(to as i64))]);
    s.give(0, &y);
    Ok(Rewritten::Replaced)
}

/// The first `Reshape` has its shape as an attribute.
pub fn reshape(s: &mut Steps<'_>) -> Result<Rewritten, Reason> {
    if s.operand(1).is_some() {
        return Ok(Rewritten::Unchanged);
    }
    let shape = s.ints_attribute("shape").ok_or("without shape")?;
    let shape = s.ints(shape);
    let y = s.op("Reshape", &[s.needed(0)?, &shape], &[]);
    s.give(0, &y);
    Ok(Rewritten::Replaced)
}

/// The first `Concat` joins along axis 1 where it says none.
pub fn concat(s: &mut Steps<'_>) -> Result<Rewritten, Reason> {
    if s.int_attribute("axis").is_some() {
        return Ok(Rewritten::Unchanged);
    }
    let inputs: Vec<&str> = s.node.input.iter().map(String::as_str).collect();
    let y = s.op("Concat", &inputs, &[("axis", Attribute::Int(1))]);
    s.give(0, &y);
    Ok(Rewritten::Replaced)
}

/// The first `Tile` repeats along one axis; count and axis have the element type of the data.
pub fn tile(s: &mut Steps<'_>) -> Result<Rewritten, Reason> {
    let Some(axis) = s.operand(2) else { return Ok(Rewritten::Unchanged) };
    let number = |name: &str| {
        let float = |name| s.known.floats(name)?.first().map(|value| *value as i64);
        s.known.integers(name).and_then(|list| list.first().copied()).or_else(|| float(name))
    };
    let count = number(s.needed(1)?).and_then(|count| usize::try_from(count).ok());
    let count = count.filter(|count| (1..=MAX_COPIES).contains(count)).ok_or("repeats that are not 1 to 64")?;
    let axis = number(axis).ok_or("an axis that is computed")?;
    let y = s.op("Concat", &vec![s.needed(0)?; count], &[("axis", Attribute::Int(axis))]);
    s.give(0, &y);
    Ok(Rewritten::Replaced)
}

/// The first `TopK` has its count as an attribute.
pub fn top_k(s: &mut Steps<'_>) -> Result<Rewritten, Reason> {
    let Some(k) = s.int_attribute("k").filter(|_| s.operand(1).is_none()) else { return Ok(Rewritten::Unchanged) };
    let mut node = s.node.clone();
    node.input.push(s.ints(&[k]));
    node.attribute.retain(|attribute| attribute.name != "k");
    s.nodes.push(node);
    Ok(Rewritten::Replaced)
}

/// The first `Clip` is of floats only, and tract does not know it; its bounds are attributes.
pub fn clip(s: &mut Steps<'_>) -> Result<Rewritten, Reason> {
    if s.known.opset >= 6 {
        return Ok(Rewritten::Unchanged);
    }
    let mut y = s.needed(0)?.to_owned();
    for (name, op) in [("min", "Max"), ("max", "Min")] {
        if let Some(bound) = s.float_attribute(name) {
            let bound = s.number_like(bound, s.needed(0)?);
            y = s.op(op, &[&y, &bound], &[]);
        }
    }
    s.give(0, &y);
    Ok(Rewritten::Replaced)
}
