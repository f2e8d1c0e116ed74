//! Which keys a query sees: what is added to the scores of `Attention`.
//!
//! Mask, causality, window and counts of valid keys make one sum, 0 or the mask's own number where a key is seen and −∞ where it
//! is not. Positions count from the first key: query i stands at i, behind a past of P keys at P + i, and with n valid keys at
//! n − queries + i, so that the last query sees the last valid key.

use super::super::steps::{Attribute, Steps};
use crate::import::reason::Reason;
use tract_onnx::pb::tensor_proto::DataType;

/// Beyond any sequence, and within the integers of the device.
pub(in crate::import::rewrite) const LARGEST_WINDOW: usize = 1 << 30;

/// From this version on, a mask may be shorter than the keys, and hides the rest.
const SHORT_MASKS_24: i64 = 24;

/// What is added to the scores, when anything is: it broadcasts to (batch, heads, queries, keys).
pub fn bias(s: &mut Steps<'_>, q: &str, k: &str) -> Result<Option<String>, Reason> {
    let mask = match s.operand(3) {
        None => None,
        Some(mask) => Some(mask_bias(s, mask, q, k)?),
    };
    let Some(visible) = visible(s, q, k)? else { return Ok(mask) };
    let visible = hiding(s, &visible, q);
    Ok(Some(mask.map_or(visible.clone(), |mask| s.op("Add", &[&mask, &visible], &[]))))
}

/// Whether a bias hides every key of a query, with one key's axis of size 1. NaN hides nothing.
pub fn hidden_rows(s: &mut Steps<'_>, bias: &str) -> String {
    let nothing = s.number_like(f32::NEG_INFINITY, bias);
    let hidden = s.op("Equal", &[bias, &nothing], &[]);
    let hidden = s.op("Cast", &[&hidden], &[("to", Attribute::Int(1))]);
    let all = s.reduce("ReduceMin", &hidden, &[-1], true);
    let half = s.floats(&[], &[0.5]);
    s.op("Greater", &[&all, &half], &[])
}

/// 0 where true, −∞ elsewhere, in the type of `like`.
fn hiding(s: &mut Steps<'_>, visible: &str, like: &str) -> String {
    let (kept, hidden) = (s.number_like(0.0, like), s.number_like(f32::NEG_INFINITY, like));
    s.op("Where", &[visible, &kept, &hidden], &[])
}

fn mask_bias(s: &mut Steps<'_>, mask: &str, q: &str, k: &str) -> Result<String, Reason> {
    let kind = s.known.element_type(mask).ok_or("a mask whose type is not known")?;
    let bias = if kind == DataType::Bool as i32 { hiding(s, mask, q) } else { mask.to_owned() };
    if s.known.opset < SHORT_MASKS_24 || covers_all_keys(s, mask) {
        return Ok(bias);
    }
    // As many hidden keys as there are keys at all, behind the mask; the first ones of the whole.
    let (before, keys) = (s.shape(&bias, 0, -1), s.shape(k, 2, 3));
    let shape = s.op("Concat", &[&before, &keys], &[("axis", Attribute::Int(0))]);
    let hidden = s.number_like(f32::NEG_INFINITY, q);
    let hidden = s.op("Expand", &[&hidden, &shape], &[]);
    let longer = s.op("Concat", &[&bias, &hidden], &[("axis", Attribute::Int(-1))]);
    let (start, axis) = (s.ints(&[0]), s.ints(&[-1]));
    Ok(s.op("Slice", &[&longer, &start, &keys, &axis], &[]))
}

/// Whether the mask is known to have a column for every key.
fn covers_all_keys(s: &Steps<'_>, mask: &str) -> bool {
    let size =
        |x: &str, from_behind: usize| s.known.shape(x).and_then(|shape| shape.iter().rev().nth(from_behind).copied());
    let now = s.operand(1).and_then(|k| size(k, 1));
    let past = s.operand(4).map_or(Some(0), |past| size(past, 1));
    matches!((size(mask, 0), now, past), (Some(columns), Some(now), Some(past)) if columns == now + past)
}

/// Whether a query sees a key, by their places; `None` when each sees all.
fn visible(s: &mut Steps<'_>, q: &str, k: &str) -> Result<Option<String>, Reason> {
    let causal = s.int_attribute("is_causal").unwrap_or(0) != 0;
    let (left, right) = (window(s, "left_window_size")?, window(s, "right_window_size")?);
    let columns = places(s, k, 0);
    let mut conditions = Vec::new();
    if causal || left.is_some() || right.is_some() {
        let positions = positions(s, q);
        if causal {
            conditions.push(s.op("LessOrEqual", &[&columns, &positions], &[]));
        }
        if let Some(size) = left {
            let size = s.int(size);
            let first = s.op("Sub", &[&positions, &size], &[]);
            conditions.push(s.op("GreaterOrEqual", &[&columns, &first], &[]));
        }
        if let Some(size) = right {
            let size = s.int(size);
            let last = s.op("Add", &[&positions, &size], &[]);
            conditions.push(s.op("LessOrEqual", &[&columns, &last], &[]));
        }
    }
    if let Some(valid) = s.operand(6) {
        let valid = s.unsqueeze(valid, &[1, 2, 3]);
        conditions.push(s.op("Less", &[&columns, &valid], &[]));
    }
    Ok(conditions.into_iter().reduce(|a, b| s.op("And", &[&a, &b], &[])))
}

/// Keys on one side of a query that it sees; `None` for all.
fn window(s: &Steps<'_>, name: &str) -> Result<Option<i64>, Reason> {
    match s.int_attribute(name).unwrap_or(-1) {
        -1 => Ok(None),
        size @ 0.. => Ok(Some(size.min(LARGEST_WINDOW as i64))),
        size => Err(Reason::form("{} {}", [name.into(), size.into()])),
    }
}

/// The place of every query among the keys: (queries, 1), or (batch, 1, queries, 1) where counts of valid keys decide.
fn positions(s: &mut Steps<'_>, q: &str) -> String {
    let rows = places(s, q, 1);
    if let Some(past) = s.operand(4) {
        let past = s.shape(past, 2, 3);
        return s.op("Add", &[&rows, &past], &[]);
    }
    let Some(valid) = s.operand(6) else { return rows };
    let queries = s.shape(q, 2, 3);
    let first = s.op("Sub", &[valid, &queries], &[]);
    let first = s.unsqueeze(&first, &[1, 2, 3]);
    s.op("Add", &[&rows, &first], &[])
}

/// 0, 1, … along axis 2 of `x`, with an axis of size 1 put in at `unit`.
fn places(s: &mut Steps<'_>, x: &str, unit: i64) -> String {
    let size = s.shape(x, 2, 3);
    let size = s.squeeze(&size, &[0]);
    let (start, step) = (s.int(0), s.int(1));
    let range = s.op("Range", &[&start, &size, &step], &[]);
    s.unsqueeze(&range, &[unit])
}
