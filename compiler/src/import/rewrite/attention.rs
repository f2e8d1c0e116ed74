//! `Attention` of ONNX 23 in its parts, from which the optimiser recovers fused attention where it can.
//!
//! Grouped heads, past keys and values, masks, causality, soft caps and the four forms of the scores' output are here. A
//! count of valid keys (`nonpad_kv_seqlen`) is refused.

use super::Rewritten;
use super::steps::{Attribute, Steps};
use tract_onnx::pb::tensor_proto::DataType;

/// See the file's header.
pub fn attention(s: &mut Steps<'_>) -> Result<Rewritten, String> {
    if s.operand(6).is_some() {
        return Err("nonpad_kv_seqlen".to_owned());
    }
    let heads = s.int_attribute("q_num_heads").zip(s.int_attribute("kv_num_heads"));
    let q = split_heads(s, 0, heads.map(|h| h.0))?;
    let k = split_heads(s, 1, heads.map(|h| h.1))?;
    let v = split_heads(s, 2, heads.map(|h| h.1))?;
    let (k, v) = (with_past(s, 4, &k), with_past(s, 5, &v));
    s.give(1, &k);
    s.give(2, &v);

    let (shared_k, shared_v) = (for_every_query(s, &q, &k), for_every_query(s, &q, &v));
    let scale = match s.float_attribute("scale") {
        Some(scale) => s.number_like(scale, &q),
        None => {
            let depth = s.shape(&q, 3, 4);
            let depth = s.op("Cast", &[&depth], &[("to", Attribute::Int(1))]);
            let root = s.op("Sqrt", &[&depth], &[]);
            let one = s.floats(&[1], &[1.0]);
            let scale = s.op("Div", &[&one, &root], &[]);
            s.op("CastLike", &[&scale, &q], &[])
        }
    };
    let transposed = s.op("Transpose", &[&shared_k], &[("perm", Attribute::Ints(&[0, 1, 3, 2]))]);
    let products = s.op("MatMul", &[&q, &transposed], &[]);
    let scores = s.op("Mul", &[&products, &scale], &[]);
    let masked = masked(s, &scores, &q, &k)?;
    let capped = match s.float_attribute("softcap").filter(|cap| *cap != 0.0) {
        None => masked.clone(),
        Some(cap) => {
            let cap = s.number_like(cap, &q);
            let ratio = s.op("Div", &[&masked, &cap], &[]);
            let bent = s.op("Tanh", &[&ratio], &[]);
            s.op("Mul", &[&bent, &cap], &[])
        }
    };
    let weights = s.op("Softmax", &[&capped], &[("axis", Attribute::Int(-1))]);
    match s.int_attribute("qk_matmul_output_mode").unwrap_or(0) {
        0 => s.give(3, &scores),
        1 => s.give(3, &masked),
        2 => s.give(3, &capped),
        3 => s.give(3, &weights),
        other => return Err(format!("qk_matmul_output_mode {other}")),
    }
    let mut y = s.op("MatMul", &[&weights, &shared_v], &[]);
    if heads.is_some() {
        let joined = s.op("Transpose", &[&y], &[("perm", Attribute::Ints(&[0, 2, 1, 3]))]);
        let shape = s.ints(&[0, 0, -1]);
        y = s.op("Reshape", &[&joined, &shape], &[]);
    }
    s.give(0, &y);
    Ok(Rewritten::Replaced)
}

/// (batch, sequence, heads · size) as (batch, heads, sequence, size); with four axes it is so already.
fn split_heads(s: &mut Steps<'_>, position: usize, heads: Option<i64>) -> Result<String, String> {
    let x = s.needed(position)?;
    let Some(heads) = heads else { return Ok(x.to_owned()) };
    let shape = s.ints(&[0, 0, heads, -1]);
    let split = s.op("Reshape", &[x, &shape], &[]);
    Ok(s.op("Transpose", &[&split], &[("perm", Attribute::Ints(&[0, 2, 1, 3]))]))
}

fn with_past(s: &mut Steps<'_>, position: usize, now: &str) -> String {
    match s.operand(position) {
        None => now.to_owned(),
        Some(past) => s.op("Concat", &[past, now], &[("axis", Attribute::Int(2))]),
    }
}

/// Keys or values with each head repeated for the queries' heads that share it.
fn for_every_query(s: &mut Steps<'_>, q: &str, x: &str) -> String {
    let (wanted, own) = (s.shape(q, 1, 2), s.shape(x, 1, 2));
    let ratio = s.op("Div", &[&wanted, &own], &[]);
    let one = s.ints(&[1, 1]);
    let repeats = s.op("Concat", &[&one, &ratio, &one], &[("axis", Attribute::Int(0))]);
    let apart = s.unsqueeze(x, &[2]);
    let repeated = s.op("Expand", &[&apart, &repeats], &[]);
    let (batch, rest) = (s.shape(x, 0, 1), s.shape(x, 2, 4));
    let shape = s.op("Concat", &[&batch, &wanted, &rest], &[("axis", Attribute::Int(0))]);
    s.op("Reshape", &[&repeated, &shape], &[])
}

/// The scores with mask and causality.
fn masked(s: &mut Steps<'_>, scores: &str, q: &str, k: &str) -> Result<String, String> {
    let mut sum = scores.to_owned();
    if let Some(mask) = s.operand(3) {
        let kind = s.known.element_type(mask).ok_or("a mask whose type is not known")?;
        let bias = if kind == DataType::Bool as i32 {
            let (kept, hidden) = (s.number_like(0.0, q), s.number_like(f32::NEG_INFINITY, q));
            s.op("Where", &[mask, &kept, &hidden], &[])
        } else {
            mask.to_owned()
        };
        sum = s.op("Add", &[&sum, &bias], &[]);
    }
    if s.int_attribute("is_causal").unwrap_or(0) == 0 {
        return Ok(sum);
    }
    let past = s.operand(4).map(|past| s.shape(past, 2, 3));
    let rows = places(s, q, 1);
    let rows = past.map_or(rows.clone(), |past| s.op("Add", &[&rows, &past], &[]));
    let columns = places(s, k, 0);
    let later = s.op("Less", &[&rows, &columns], &[]);
    let (kept, hidden) = (s.number_like(0.0, q), s.number_like(f32::NEG_INFINITY, q));
    let bias = s.op("Where", &[&later, &hidden, &kept], &[]);
    Ok(s.op("Add", &[&sum, &bias], &[]))
}

/// 0, 1, … along axis 2 of `x`, with an axis of size 1 put in at `unit`.
fn places(s: &mut Steps<'_>, x: &str, unit: i64) -> String {
    let size = s.shape(x, 2, 3);
    let size = s.squeeze(&size, &[0]);
    let (start, step) = (s.int(0), s.int(1));
    let range = s.op("Range", &[&start, &size, &step], &[]);
    s.unsqueeze(&range, &[unit])
}
