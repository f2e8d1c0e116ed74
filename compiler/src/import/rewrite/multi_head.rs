//! Attention with as many heads of keys as of queries, as ONNX Runtime's optimiser and exporters for it write it:
//! MultiHeadAttention, and DecoderMaskedMultiHeadAttention, which has one query over a cache of fixed room.
//!
//! Queries, keys and values come in operands of their own or packed into one, a bias of all three in another. A mask of keys has one
//! number a sequence (how many are there) or one a key; what it hides gets `mask_filter_value` added to its score, as there.

use super::language::{EXCHANGED, as_wide, heads, heads_apart, joined_heads};
use super::outcome::Rewritten;
use super::steps::{Attribute, Steps};
use crate::graph::kernel_op::{CachedAttention, TensorScatter};
use crate::import::reason::Reason;

/// What is added to the scores of hidden keys where the node does not say it.
const FILTER: f32 = -10000.0;

/// Queries, keys and values with heads apart, from operands 0 to 2 and the bias at a position.
fn operands(s: &mut Steps<'_>, heads: i64, bias: Option<usize>) -> Result<[String; 3], Reason> {
    let query = s.needed(0)?;
    let rank = |s: &Steps<'_>, x: &str| s.known.rank(x).map_or(3, |(rank, _)| rank);
    let mut parts = match (rank(s, query), s.operand(1), s.operand(2)) {
        (5, None, None) => [0, 1, 2].map(|part| unpacked(s, query, part)),
        (3, None, None) => thirds(s, query, heads),
        (3, Some(key), None) if rank(s, key) == 5 => {
            [heads_apart(s, query, heads), unpacked(s, key, 0), unpacked(s, key, 1)]
        }
        (3, Some(key), Some(value)) if rank(s, key) == 4 && rank(s, value) == 4 => {
            [heads_apart(s, query, heads), key.to_owned(), value.to_owned()]
        }
        (3, Some(key), Some(value)) if rank(s, key) == 3 && rank(s, value) == 3 => {
            [query, key, value].map(|x| heads_apart(s, x, heads))
        }
        _ => return Err("queries, keys and values in no form of the operator".into()),
    };
    if let Some(bias) = bias.and_then(|position| s.operand(position)) {
        // Keys and values that have their heads apart have the bias already, which counts as the queries' size.
        let own = if s.operand(1).is_some_and(|key| rank(s, key) == 4) { 1 } else { 3 };
        let mut from = s.ints(&[0]);
        let column = s.ints(&[heads, 1, -1]);
        for part in &mut parts[..own] {
            let size = s.shape(part, 3, 4);
            let heads = s.ints(&[heads]);
            let size = s.op("Mul", &[&size, &heads], &[]);
            let to = s.op("Add", &[&from, &size], &[]);
            let slice = s.op("Slice", &[bias, &from, &to], &[]);
            let slice = s.op("Reshape", &[&slice, &column], &[]);
            *part = s.op("Add", &[part, &slice], &[]);
            from = to;
        }
    }
    Ok(parts)
}

/// One part of (batch, rows, heads, parts, size) as (batch, heads, rows, size).
fn unpacked(s: &mut Steps<'_>, x: &str, part: i64) -> String {
    let part = s.int(part);
    let own = s.op("Gather", &[x, &part], &[("axis", Attribute::Int(3))]);
    s.op("Transpose", &[&own], &EXCHANGED)
}

/// (batch, rows, 3 · heads · size) in its three parts.
fn thirds(s: &mut Steps<'_>, x: &str, heads: i64) -> [String; 3] {
    let all = heads_apart(s, x, 3 * heads);
    [0, 1, 2].map(|part| {
        let [from, to, axis] = [part * heads, (part + 1) * heads, 1].map(|value| s.ints(&[value]));
        s.op("Slice", &[&all, &from, &to, &axis], &[])
    })
}

/// What is added to scores: the bias of one operand, and what hides the keys that the mask of another excludes.
fn score_bias(s: &mut Steps<'_>, mask: usize, bias: usize, q: &str, keys: &str) -> Result<Option<String>, Reason> {
    let bias = s.operand(bias).map(str::to_owned);
    let Some(mask) = s.operand(mask) else { return Ok(bias) };
    let seen = match s.known.rank(mask).map(|(rank, _)| rank) {
        // The first numbers are lengths, whatever follows.
        Some(1) => {
            let (start, batch) = (s.ints(&[0]), s.shape(q, 0, 1));
            let lengths = s.op("Slice", &[mask, &start, &batch], &[]);
            let lengths = as_wide(s, &lengths);
            let lengths = s.unsqueeze(&lengths, &[1, 2, 3]);
            let (zero, one, count) = (s.int(0), s.int(1), s.shape(keys, 2, 3));
            let count = s.squeeze(&count, &[0]);
            let places = s.op("Range", &[&zero, &count, &one], &[]);
            s.op("Less", &[&places, &lengths], &[])
        }
        Some(rank @ (2 | 3)) => {
            let wide = as_wide(s, mask);
            let mask = s.unsqueeze(&wide, if rank == 2 { &[1, 2] } else { &[1] });
            let zero = s.int(0);
            s.op("Greater", &[&mask, &zero], &[])
        }
        Some(rank) => return Err(Reason::form("a mask with {} axes", [rank.into()])),
        None => return Err("a mask whose number of axes is not known".into()),
    };
    let filter = s.float_attribute("mask_filter_value").unwrap_or(FILTER);
    let (kept, hidden) = (s.number_like(0.0, q), s.number_like(filter, q));
    let hiding = s.op("Where", &[&seen, &kept, &hidden], &[]);
    Ok(Some(bias.map_or(hiding.clone(), |bias| s.op("Add", &[&bias, &hiding], &[]))))
}

/// What is given where the scale is the usual one.
fn scale(s: &Steps<'_>) -> Option<f32> {
    s.float_attribute("scale").filter(|scale| *scale != 0.0)
}

/// Attention to all keys, in terms of ONNX's Attention; `pasts` stand before them.
fn to_all(s: &mut Steps<'_>, [q, k, v]: &[String; 3], bias: Option<&str>, pasts: [Option<&str>; 2]) -> [String; 3] {
    let inputs = [q, k, v, bias.unwrap_or(""), pasts[0].unwrap_or(""), pasts[1].unwrap_or("")];
    let mut attributes = vec![("is_causal", Attribute::Int(s.int_attribute("unidirectional").unwrap_or(0)))];
    attributes.extend(scale(s).map(|scale| ("scale", Attribute::Float(scale))));
    s.three("Attention", &inputs, &attributes)
}

/// ONNX Runtime's MultiHeadAttention.
pub fn multi_head_attention(s: &mut Steps<'_>) -> Result<Rewritten, Reason> {
    let heads = heads(s, "num_heads")?;
    let parts = operands(s, heads, Some(3))?;
    let pasts = [s.operand(6), s.operand(7)];
    let keys = match pasts[0] {
        Some(past) => s.op("Concat", &[past, &parts[1]], &[("axis", Attribute::Int(2))]),
        None => parts[1].clone(),
    };
    let bias = score_bias(s, 4, 5, &parts[0], &keys)?;
    let [y, keys, values] = to_all(s, &parts, bias.as_deref(), pasts);
    s.give(1, &keys);
    s.give(2, &values);
    let y = joined_heads(s, &y);
    s.give(0, &y);
    Ok(Rewritten::Replaced)
}

/// ONNX Runtime's DecoderMaskedMultiHeadAttention: one query, whose key and value are put into a cache of fixed room, or which reads
/// the keys and values of an encoder.
pub fn decoder_masked_attention(s: &mut Steps<'_>) -> Result<Rewritten, Reason> {
    let heads = heads(s, "num_heads")?;
    let parts = operands(s, heads, Some(10))?;
    let (Some(past_key), Some(past_value)) = (s.operand(5), s.operand(6)) else {
        let bias = score_bias(s, 3, 4, &parts[0], &parts[1])?;
        let [y, keys, values] = to_all(s, &parts, bias.as_deref(), [None; 2]);
        s.give(1, &keys);
        s.give(2, &values);
        let y = joined_heads(s, &y);
        s.give(0, &y);
        return Ok(Rewritten::Replaced);
    };
    if s.int_attribute("past_present_share_buffer").unwrap_or(0) == 0 {
        return Err("past keys without past_present_share_buffer".into());
    }
    let length = as_wide(s, s.needed(7)?);
    let batch = s.shape(&parts[0], 0, 1);
    let (list, one) = (s.ints(&[-1]), s.ints(&[1]));
    let length = s.op("Reshape", &[&length, &one], &[]);
    let before = s.op("Expand", &[&length, &batch], &[]);
    let before = s.op("Reshape", &[&before, &list], &[]);
    let append = TensorScatter { axis_from_end: 2, circular: false };
    let keys = s.kernel_op(append.clone(), &[past_key, &parts[1], &before]);
    let values = s.kernel_op(append, &[past_value, &parts[2], &before]);
    s.give(1, &keys);
    s.give(2, &values);
    let bias = score_bias(s, 3, 4, &parts[0], &keys)?;
    let attention = CachedAttention {
        causal: true,
        sinks: false,
        bias: bias.is_some(),
        scale: scale(s),
        softcap: None,
        window: None,
    };
    let operands: Vec<&str> =
        [&parts[0], &keys, &values, &before].into_iter().chain(&bias).map(String::as_str).collect();
    let y = s.kernel_op(attention, &operands);
    let y = joined_heads(s, &y);
    s.give(0, &y);
    Ok(Rewritten::Replaced)
}
