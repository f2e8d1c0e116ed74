//! Recurrent operators: what tract reads over without a word is spelled out, and an LSTM gets the zero states that it leaves out.

use super::outcome::Rewritten;
use super::steps::{Attribute, Steps};
use super::unrolled::unrolled;
use crate::import::reason::Reason;
use tract_onnx::pb::NodeProto;

/// `LSTM`, `GRU` and `RNN`: tract's own where it has the form.
pub fn recurrent(s: &mut Steps<'_>) -> Result<Rewritten, Reason> {
    let node = s.node;
    let standard: &[&str] = match node.op_type.as_str() {
        "LSTM" => &["sigmoid", "tanh", "tanh"],
        "GRU" => &["sigmoid", "tanh"],
        _ => &["tanh"],
    };
    let other = node.attribute.iter().any(|a| match a.name.as_str() {
        "direction" => a.s == b"reverse",
        "activations" => {
            let names = a.strings.iter().map(|s| String::from_utf8_lossy(s).to_lowercase());
            !names.zip(standard.iter().cycle()).all(|(name, standard)| name == *standard)
        }
        "activation_alpha" | "activation_beta" => !a.floats.is_empty(),
        "clip" => true,
        "input_forget" => a.i != 0,
        _ => false,
    });
    if other || s.operand(4).is_some() {
        unrolled(s)
    } else if node.op_type == "LSTM" {
        with_states(node, s)
    } else {
        Ok(Rewritten::Unchanged)
    }
}

/// Positions of the first hidden and cell state.
const STATES: [usize; 2] = [5, 6];

/// tract's own zero states have one sequence, whatever the batch; these have as many as the input.
fn with_states(node: &NodeProto, s: &mut Steps<'_>) -> Result<Rewritten, Reason> {
    if STATES.iter().all(|position| s.operand(*position).is_some()) {
        return Ok(Rewritten::Unchanged);
    }
    let x = s.needed(0)?;
    let hidden = s.int_attribute("hidden_size").ok_or("without hidden_size")?;
    let directions = if s.text_attribute("direction") == Some("bidirectional") { 2 } else { 1 };
    let batch_first = s.int_attribute("layout").unwrap_or(0) != 0;
    let batch = if batch_first { s.shape(x, 0, 1) } else { s.shape(x, 1, 2) };
    let (directions, hidden) = (s.ints(&[directions]), s.ints(&[hidden]));
    let sizes = if batch_first { [&batch, &directions, &hidden] } else { [&directions, &batch, &hidden] };
    let shape = s.op("Concat", &sizes.map(String::as_str), &[("axis", Attribute::Int(0))]);
    let zero = s.number_like(0.0, x);
    let zeros = s.op("Expand", &[&zero, &shape], &[]);
    let mut whole = node.clone();
    whole.input.resize(whole.input.len().max(7), String::new());
    for position in STATES {
        if whole.input[position].is_empty() {
            whole.input[position].clone_from(&zeros);
        }
    }
    s.nodes.push(whole);
    Ok(Rewritten::Replaced)
}

/// `CausalConvWithState`: a convolution of every channel for itself over the last elements of the sequence before and this one;
/// the state is as many elements as the next sequence needs.
pub fn causal_convolution(s: &mut Steps<'_>) -> Result<Rewritten, Reason> {
    let (x, weight) = (s.needed(0)?, s.needed(1)?);
    let Some([channels, _, width]) = s.known.shape(weight) else {
        return Err("weights whose shape is not known".into());
    };
    let (channels, width) = (*channels as i64, *width as i64);
    if width < 2 {
        return Err(Reason::form("weights of {} elements, which leave no state", [width.into()]));
    }
    let past = match s.operand(3) {
        Some(past) => past.to_owned(),
        None => {
            let (planes, before) = (s.shape(x, 0, 2), s.ints(&[width - 1]));
            let shape = s.op("Concat", &[&planes, &before], &[("axis", Attribute::Int(0))]);
            let zero = s.number_like(0.0, x);
            s.op("Expand", &[&zero, &shape], &[])
        }
    };
    let whole = s.op("Concat", &[&past, x], &[("axis", Attribute::Int(2))]);
    let operands: Vec<&str> = [whole.as_str(), weight].into_iter().chain(s.operand(2)).collect();
    let attributes = [("group", Attribute::Int(channels)), ("kernel_shape", Attribute::Ints(&[width]))];
    let y = s.op("Conv", &operands, &attributes);
    let y = match s.text_attribute("activation") {
        Some("silu" | "swish") => s.op("Swish", &[&y], &[]),
        Some(_) | None => y,
    };
    s.give(0, &y);
    let (from, to, axis) = (s.ints(&[1 - width]), s.ints(&[i64::MAX]), s.ints(&[2]));
    let state = s.op("Slice", &[&whole, &from, &to, &axis], &[]);
    s.give(1, &state);
    Ok(Rewritten::Replaced)
}
