//! Attention and rotary embeddings as ONNX Runtime's own operators have them, which its builder of language models writes.
//!
//! A cache of keys and values has room for a number of tokens, of which some are there: `seqlens_k`, one less than the tokens that
//! are valid when the node has run, says how many, at run time. New keys are put behind those that are there, and the result is
//! given as the present, of the past's size or of `total_sequence_length` where that is more. What the present holds behind the
//! valid tokens is the past's.

use super::attention::LARGEST_WINDOW;
use super::outcome::Rewritten;
use super::steps::{Attribute, Steps};
use crate::graph::kernel_op::{CachedAttention, Rotary, TensorScatter};
use crate::import::reason::Reason;
use tract_onnx::pb::tensor_proto::DataType;

/// Axes (batch, rows, heads, size) exchanged with (batch, heads, rows, size).
pub(super) const EXCHANGED: [(&str, Attribute<'static>); 1] = [("perm", Attribute::Ints(&[0, 2, 1, 3]))];

const ALONG_0: [(&str, Attribute<'static>); 1] = [("axis", Attribute::Int(0))];

/// A number of heads.
pub(super) fn heads(s: &Steps<'_>, name: &str) -> Result<i64, Reason> {
    s.int_attribute(name).filter(|heads| *heads > 0).ok_or_else(|| Reason::form("without {}", [name.into()]))
}

/// ONNX Runtime's GroupQueryAttention.
pub fn group_query_attention(s: &mut Steps<'_>) -> Result<Rewritten, Reason> {
    let (query_heads, key_heads) = (heads(s, "num_heads")?, heads(s, "kv_num_heads")?);
    if query_heads % key_heads != 0 {
        return Err(Reason::form("{} heads that share {}", [query_heads.into(), key_heads.into()]));
    }
    let [mut q, mut k, v] = queries_keys_values(s, query_heads, key_heads)?;
    for (x, position, own) in [(&mut q, 14, "q_norm_epsilon"), (&mut k, 15, "k_norm_epsilon")] {
        let Some(weight) = s.operand(position) else { continue };
        let epsilon = s.float_attribute(own).or_else(|| s.float_attribute("qk_norm_epsilon")).unwrap_or(1e-6);
        *x = s.op("SimplifiedLayerNormalization", &[x, weight], &[("epsilon", Attribute::Float(epsilon))]);
    }
    let before = tokens_before(s, &q)?;
    let (past_key, past_value) = (cache(s, 3, &k)?, cache(s, 4, &v)?);
    if s.int_attribute("do_rotary").unwrap_or(0) != 0 {
        let tables = [s.needed(7)?.to_owned(), s.needed(8)?.to_owned()];
        let (positions, tables) = match s.operand(9) {
            Some(positions) => (positions.to_owned(), tables),
            None => {
                fits_table(s, &tables[0])?;
                (positions(s, &before, &q), tables.map(|table| rows_of_cache(s, &table, &past_key)))
            }
        };
        let rotary = Rotary { interleaved: s.int_attribute("rotary_interleaved").unwrap_or(0) != 0 };
        for x in [&mut q, &mut k] {
            *x = s.kernel_op(rotary.clone(), &[x, &tables[0], &tables[1], &positions]);
        }
    }
    let append = TensorScatter { axis_from_end: 2, circular: false };
    let keys = s.kernel_op(append.clone(), &[&past_key, &k, &before]);
    let values = s.kernel_op(append, &[&past_value, &v, &before]);
    s.give(1, &keys);
    s.give(2, &values);

    let sinks = match (s.operand(11), s.int_attribute("smooth_softmax").unwrap_or(-1)) {
        (Some(sinks), _) => Some(sinks.to_owned()),
        (None, 1) => Some(s.floats(&[query_heads as usize], &vec![0.0; query_heads as usize])),
        (None, _) => None,
    };
    let positive = |name: &str| s.float_attribute(name).filter(|value| *value != 0.0);
    let attention = CachedAttention {
        causal: s.int_attribute("causal") != Some(0),
        sinks: sinks.is_some(),
        bias: s.operand(10).is_some(),
        scale: positive("scale"),
        softcap: positive("softcap"),
        window: s
            .int_attribute("local_window_size")
            .and_then(|window| Some(usize::try_from(window).ok()?.min(LARGEST_WINDOW))),
    };
    if !attention.causal && attention.window.is_some() {
        return Err("local_window_size without causal".into());
    }
    let operands = [&q, &keys, &values, &before].into_iter().chain(&sinks).map(String::as_str);
    let operands: Vec<&str> = operands.chain(s.operand(10)).collect();
    let y = s.kernel_op(attention, &operands);
    let y = joined_heads(s, &y);
    s.give(0, &y);
    Ok(Rewritten::Replaced)
}

/// Queries, keys and values with heads apart, from three operands or from one that has all.
fn queries_keys_values(s: &mut Steps<'_>, query_heads: i64, key_heads: i64) -> Result<[String; 3], Reason> {
    let query = s.needed(0)?;
    if let (Some(key), Some(value)) = (s.operand(1), s.operand(2)) {
        let operands = [(query, query_heads), (key, key_heads), (value, key_heads)];
        return Ok(operands.map(|(x, heads)| heads_apart(s, x, heads)));
    }
    if s.operand(1).is_some() || s.operand(2).is_some() {
        return Err("keys or values without the other".into());
    }
    let shape = s.ints(&[0, 0, query_heads + 2 * key_heads, -1]);
    let split = s.op("Reshape", &[query, &shape], &[]);
    let packed = s.op("Transpose", &[&split], &EXCHANGED);
    let ends = [query_heads, query_heads + key_heads, query_heads + 2 * key_heads];
    Ok([(0, ends[0]), (ends[0], ends[1]), (ends[1], ends[2])].map(|(from, to)| {
        let [from, to, axis] = [from, to, 1].map(|value| s.ints(&[value]));
        s.op("Slice", &[&packed, &from, &to, &axis], &[])
    }))
}

/// (batch, rows, heads · size) as (batch, heads, rows, size).
pub(super) fn heads_apart(s: &mut Steps<'_>, x: &str, heads: i64) -> String {
    let shape = s.ints(&[0, 0, heads, -1]);
    let split = s.op("Reshape", &[x, &shape], &[]);
    s.op("Transpose", &[&split], &EXCHANGED)
}

pub(super) fn joined_heads(s: &mut Steps<'_>, x: &str) -> String {
    let rows = s.op("Transpose", &[x], &EXCHANGED);
    let shape = s.ints(&[0, 0, -1]);
    s.op("Reshape", &[&rows, &shape], &[])
}

pub(super) fn as_wide(s: &mut Steps<'_>, x: &str) -> String {
    s.op("Cast", &[x], &[("to", Attribute::Int(DataType::Int64 as i64))])
}

/// How many tokens are in front of the first query, for every batch entry: none where all tokens are new, as ONNX Runtime has it.
fn tokens_before(s: &mut Steps<'_>, q: &str) -> Result<String, Reason> {
    let list = s.ints(&[-1]);
    let [valid, total] = [s.needed(5)?, s.needed(6)?].map(|x| {
        let wide = as_wide(s, x);
        s.op("Reshape", &[&wide, &list], &[])
    });
    let (new, one, zero) = (s.shape(q, 2, 3), s.ints(&[1]), s.ints(&[0]));
    let end = s.op("Add", &[&valid, &one], &[]);
    let before = s.op("Sub", &[&end, &new], &[]);
    let all_new = s.op("Equal", &[&total, &new], &[]);
    Ok(s.op("Where", &[&all_new, &zero, &before], &[]))
}

/// The cache that new keys or values are put into: the past, with room for all tokens where their number is known.
fn cache(s: &mut Steps<'_>, position: usize, new: &str) -> Result<String, Reason> {
    let total = s.needed(6)?;
    let is_computed = s.known.shape(total).is_some() && !s.known.is_constant(total);
    let past = s.operand(position);
    if let (Some(past), true) = (past, is_computed) {
        return Ok(past.to_owned());
    }
    let list = s.ints(&[-1]);
    let total = as_wide(s, total);
    let total = s.op("Reshape", &[&total, &list], &[]);
    let (outer, size) = (s.shape(new, 0, 2), s.shape(new, 3, 4));
    let more = match past {
        Some(past) => {
            let (capacity, zero) = (s.shape(past, 2, 3), s.ints(&[0]));
            let more = s.op("Sub", &[&total, &capacity], &[]);
            s.op("Max", &[&more, &zero], &[])
        }
        None => total,
    };
    let shape = s.op("Concat", &[&outer, &more, &size], &ALONG_0);
    let zero = s.number_like(0.0, new);
    let rest = s.op("Expand", &[&zero, &shape], &[]);
    Ok(match past {
        Some(past) => s.op("Concat", &[past, &rest], &[("axis", Attribute::Int(2))]),
        None => rest,
    })
}

/// Positions (batch, rows) of the queries.
fn positions(s: &mut Steps<'_>, before: &str, q: &str) -> String {
    let [zero, one] = [0, 1].map(|value| s.int(value));
    let rows = s.shape(q, 2, 3);
    let rows = s.squeeze(&rows, &[0]);
    let row = s.op("Range", &[&zero, &rows, &one], &[]);
    let column = s.unsqueeze(before, &[1]);
    s.op("Add", &[&column, &row], &[])
}

/// A cache has no room for positions that the table of angles does not have, as far as both sizes are known.
fn fits_table(s: &Steps<'_>, table: &str) -> Result<(), Reason> {
    let rows = s.known.shape(table).and_then(|shape| shape.first().copied());
    let capacity = s.operand(3).and_then(|past| s.known.shape(past)).and_then(|shape| shape.get(2).copied());
    match rows.zip(capacity) {
        Some((rows, capacity)) if capacity > rows => Err(Reason::form(
            "a cache with room for {} tokens, and angles of {} positions",
            [capacity.into(), rows.into()],
        )),
        Some(_) | None => Ok(()),
    }
}

/// The rows of a table of angles that a position in the cache may have.
fn rows_of_cache(s: &mut Steps<'_>, table: &str, cache: &str) -> String {
    let (zero, capacity) = (s.ints(&[0]), s.shape(cache, 2, 3));
    s.op("Slice", &[table, &zero, &capacity], &[])
}

/// ONNX Runtime's RotaryEmbedding.
pub fn rotary_embedding(s: &mut Steps<'_>) -> Result<Rewritten, Reason> {
    let (x, ids, cos, sin) = (s.needed(0)?, s.needed(1)?, s.needed(2)?, s.needed(3)?);
    let joined = match s.known.rank(x) {
        Some((4, _)) => false,
        Some((3, _)) | None => true,
        Some((rank, _)) => return Err(Reason::form("an operand with {} axes", [rank.into()])),
    };
    let apart = match (joined, s.int_attribute("num_heads").filter(|heads| *heads > 0), s.known.shape(cos)) {
        (false, _, _) => x.to_owned(),
        (true, Some(heads), _) => heads_apart(s, x, heads),
        (true, None, Some([_, half])) => {
            let shape = s.ints(&[0, 0, -1, 2 * *half as i64]);
            let split = s.op("Reshape", &[x, &shape], &[]);
            s.op("Transpose", &[&split], &EXCHANGED)
        }
        (true, None, _) => return Err("three axes without num_heads, and a table of angles that is computed".into()),
    };
    // One number is the position of the first row of every line.
    let positions = match s.known.rank(ids) {
        Some((1, _)) => {
            let (batch, one) = (s.shape(&apart, 0, 1), s.ints(&[1]));
            let shape = s.op("Concat", &[&batch, &one], &ALONG_0);
            let first = s.op("Expand", &[ids, &shape], &[]);
            let list = s.squeeze(&first, &[1]);
            positions(s, &list, &apart)
        }
        Some((2, _)) | None => ids.to_owned(),
        Some((rank, _)) => return Err(Reason::form("positions with {} axes", [rank.into()])),
    };
    let rotary = Rotary { interleaved: s.int_attribute("interleaved").unwrap_or(0) != 0 };
    let turned = s.kernel_op(rotary, &[&apart, cos, sin, &positions]);
    let y = if joined { joined_heads(s, &turned) } else { turned };
    s.give(0, &y);
    Ok(Rewritten::Replaced)
}
