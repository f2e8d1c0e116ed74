//! `Attention` of ONNX 23 to 25 in its parts, from which the optimiser recovers fused attention where it can, or as
//! attention to a cache where only a number of its keys is valid.
//!
//! Grouped heads, past keys and values, counts of valid keys, masks, causality, windows, soft caps and the four forms of the
//! scores' output are here. As in onnx 1.23 and ONNX Runtime, a soft cap comes before the mask, and a query whose mask hides every
//! key gives 0. Where masks and counts say it is `visibility.rs`.

use super::outcome::Rewritten;
use super::steps::{Attribute, Steps};
use crate::graph::kernel_op::CachedAttention;
use crate::import::reason::Reason;
use visibility::{bias, hidden_rows};

mod visibility;

pub(super) use visibility::LARGEST_WINDOW;

/// The operands, heads apart: (batch, heads, sequence, size).
struct Heads {
    q: String,
    /// The past included.
    k: String,
    /// The past included.
    v: String,
    /// Whether the node's operands have three axes.
    joined: bool,
}

/// See the file's header.
pub fn attention(s: &mut Steps<'_>) -> Result<Rewritten, Reason> {
    check(s)?;
    let heads = heads(s)?;
    s.give(1, &heads.k);
    s.give(2, &heads.v);

    if let Some(attention) = of_cache(s) {
        let (valid, queries) = (s.needed(6)?, s.shape(&heads.q, 2, 3));
        let before = s.op("Sub", &[valid, &queries], &[]);
        let y = s.kernel_op(attention, &[&heads.q, &heads.k, &heads.v, &before]);
        give_joined(s, &heads, y);
        return Ok(Rewritten::Replaced);
    }
    let products = products(s, &heads);
    let capped = match s.float_attribute("softcap").filter(|cap| *cap > 0.0) {
        None => products.clone(),
        Some(cap) => {
            let cap = s.number_like(cap, &heads.q);
            let ratio = s.op("Div", &[&products, &cap], &[]);
            let bent = s.op("Tanh", &[&ratio], &[]);
            s.op("Mul", &[&bent, &cap], &[])
        }
    };
    let bias = bias(s, &heads.q, &heads.k)?;
    let masked = bias.as_ref().map_or_else(|| capped.clone(), |bias| s.op("Add", &[&capped, bias], &[]));
    let mut weights = s.op("Softmax", &[&masked], &[("axis", Attribute::Int(-1))]);
    if let Some(bias) = &bias {
        let (hidden, zero) = (hidden_rows(s, bias), s.number_like(0.0, &heads.q));
        weights = s.op("Where", &[&hidden, &zero, &weights], &[]);
    }
    match s.int_attribute("qk_matmul_output_mode").unwrap_or(0) {
        0 => s.give(3, &products),
        1 => s.give(3, &capped),
        2 => s.give(3, &masked),
        3 => s.give(3, &weights),
        other => return Err(Reason::form("qk_matmul_output_mode {}", [other.into()])),
    }
    let values = for_every_query(s, &heads, &heads.v);
    let y = s.op("MatMul", &[&weights, &values], &[]);
    give_joined(s, &heads, y);
    Ok(Rewritten::Replaced)
}

/// Gives the result, with the heads as the operands have them.
fn give_joined(s: &mut Steps<'_>, heads: &Heads, mut y: String) {
    if heads.joined {
        let joined = s.op("Transpose", &[&y], &[("perm", Attribute::Ints(&[0, 2, 1, 3]))]);
        let shape = s.ints(&[0, 0, -1]);
        y = s.op("Reshape", &[&joined, &shape], &[]);
    }
    s.give(0, &y);
}

/// Attention to a cache of which a number of valid keys is there: the kernel that walks over these alone, where it has the form.
fn of_cache(s: &Steps<'_>) -> Option<CachedAttention> {
    s.operand(6)?;
    if s.operand(3).is_some() || s.uses_output(3) {
        return None;
    }
    let heads = s.int_attribute("kv_num_heads").unwrap_or(1).max(1) as usize;
    let size = |position: usize| match *s.known.shape(s.operand(position)?)? {
        [_, _, all] => Some(all / heads),
        [_, _, _, size] => Some(size),
        _ => None,
    };
    let (size, of_values) = (size(1)?, size(2)?);
    let causal = s.int_attribute("is_causal").unwrap_or(0) != 0;
    let window = |name: &str| s.int_attribute(name).unwrap_or(-1);
    let (left, right) = (window("left_window_size"), window("right_window_size"));
    let sides = if causal { left >= -1 && right >= -1 } else { left == -1 && right == -1 };
    let has_form = sides && size == of_values && CachedAttention::takes(size);
    has_form.then_some(CachedAttention {
        causal,
        sinks: false,
        bias: false,
        scale: s.float_attribute("scale"),
        softcap: s.float_attribute("softcap").filter(|cap| *cap > 0.0),
        // The query's own key counts.
        window: usize::try_from(left).ok().map(|left| left.min(LARGEST_WINDOW) + 1),
    })
}

/// Refuses what has no defined result. Softmax is computed in f32 whatever `softmax_precision` says.
fn check(s: &Steps<'_>) -> Result<(), Reason> {
    if s.operand(4).is_some() != s.operand(5).is_some() {
        return Err("past keys or past values without the other".into());
    }
    if s.operand(4).is_some() && s.operand(6).is_some() {
        return Err("nonpad_kv_seqlen beside past keys".into());
    }
    if let Some(scale) = s.float_attribute("scale").filter(|scale| !(0.0..f32::INFINITY).contains(scale)) {
        return Err(Reason::form("scale {}", [scale.into()]));
    }
    let allowed = |name: &str, values: &[i64]| match s.int_attribute(name) {
        Some(value) if !values.contains(&value) => Err(Reason::form("{} {}", [name.into(), value.into()])),
        Some(_) | None => Ok(()),
    };
    allowed("is_causal", &[0, 1])?;
    // f32, f16, f64 and bfloat16.
    allowed("softmax_precision", &[1, 10, 11, 16])
}

fn heads(s: &mut Steps<'_>) -> Result<Heads, Reason> {
    let rank = (0..3).filter_map(|i| s.known.rank(s.operand(i)?)).map(|(rank, _)| rank).next();
    let counts = (s.int_attribute("q_num_heads"), s.int_attribute("kv_num_heads"));
    let (of_q, of_k) = match (rank, counts) {
        (Some(4), _) | (None, (None, None)) => (None, None),
        (Some(3) | None, (Some(q), Some(k))) => (Some(q), Some(k)),
        (Some(3) | None, _) => return Err("three axes without q_num_heads and kv_num_heads".into()),
        (Some(rank), _) => return Err(Reason::form("operands with {} axes", [rank.into()])),
    };
    if rank == Some(4) {
        agrees(s, 0, counts.0)?;
        agrees(s, 1, counts.1)?;
    }
    let q = split_heads(s, 0, of_q)?;
    let k = split_heads(s, 1, of_k)?;
    let v = split_heads(s, 2, of_k)?;
    let (k, v) = (with_past(s, 4, &k), with_past(s, 5, &v));
    Ok(Heads { q, k, v, joined: of_q.is_some() })
}

/// With four axes a number of heads says nothing new.
fn agrees(s: &Steps<'_>, position: usize, heads: Option<i64>) -> Result<(), Reason> {
    let own = s.operand(position).and_then(|x| s.known.shape(x)).and_then(|shape| shape.get(1).copied());
    match own.zip(heads) {
        Some((own, heads)) if own as i64 != heads => {
            Err(Reason::form("{} heads of operand {}, which has {}", [heads.into(), position.into(), own.into()]))
        }
        Some(_) | None => Ok(()),
    }
}

/// (batch, sequence, heads · size) as (batch, heads, sequence, size); with four axes it is so already.
fn split_heads(s: &mut Steps<'_>, position: usize, heads: Option<i64>) -> Result<String, Reason> {
    let x = s.needed(position)?;
    let Some(heads) = heads else { return Ok(x.to_owned()) };
    // Refused by inference where the operand turns out to have another number of axes.
    let x = s.op("Transpose", &[x], &[("perm", Attribute::Ints(&[0, 1, 2]))]);
    let shape = s.ints(&[0, 0, heads, -1]);
    let split = s.op("Reshape", &[&x, &shape], &[]);
    Ok(s.op("Transpose", &[&split], &[("perm", Attribute::Ints(&[0, 2, 1, 3]))]))
}

fn with_past(s: &mut Steps<'_>, position: usize, now: &str) -> String {
    match s.operand(position) {
        None => now.to_owned(),
        Some(past) => s.op("Concat", &[past, now], &[("axis", Attribute::Int(2))]),
    }
}

/// scale · q kᵀ. The queries are scaled, so that products in f16 do not overflow.
fn products(s: &mut Steps<'_>, heads: &Heads) -> String {
    let scale = match s.float_attribute("scale") {
        Some(scale) => s.number_like(scale, &heads.q),
        None => {
            let depth = s.shape(&heads.q, 3, 4);
            let depth = s.op("Cast", &[&depth], &[("to", Attribute::Int(1))]);
            let root = s.op("Sqrt", &[&depth], &[]);
            let one = s.floats(&[1], &[1.0]);
            let scale = s.op("Div", &[&one, &root], &[]);
            s.op("CastLike", &[&scale, &heads.q], &[])
        }
    };
    let keys = for_every_query(s, heads, &heads.k);
    let transposed = s.op("Transpose", &[&keys], &[("perm", Attribute::Ints(&[0, 1, 3, 2]))]);
    let scaled = s.op("Mul", &[&heads.q, &scale], &[]);
    s.op("MatMul", &[&scaled, &transposed], &[])
}

/// Keys or values with each head repeated for the queries' heads that share it: the first few share the first.
fn for_every_query(s: &mut Steps<'_>, heads: &Heads, x: &str) -> String {
    let (requested, own) = (s.shape(&heads.q, 1, 2), s.shape(&heads.k, 1, 2));
    let ratio = s.op("Div", &[&requested, &own], &[]);
    let one = s.ints(&[1, 1]);
    let repeats = s.op("Concat", &[&one, &ratio, &one], &[("axis", Attribute::Int(0))]);
    let apart = s.unsqueeze(x, &[2]);
    let repeated = s.op("Expand", &[&apart, &repeats], &[]);
    let (batch, rest) = (s.shape(x, 0, 1), s.shape(x, 2, 4));
    let shape = s.op("Concat", &[&batch, &requested, &rest], &[("axis", Attribute::Int(0))]);
    s.op("Reshape", &[&repeated, &shape], &[])
}
