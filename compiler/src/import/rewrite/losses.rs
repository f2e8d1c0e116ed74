//! Loss functions, which evaluation graphs keep: negative log likelihood, and softmax cross entropy over it.
//!
//! The forms are those of the specification's function bodies. What targets may be is known to the translation
//! of the gathers (`translate/indexing.rs`).

use super::outcome::Rewritten;
use super::steps::{Attribute, Steps};
use crate::import::reason::Reason;

/// −input[n, target[n, …], …] · weight[target], reduced.
pub fn negative_log_likelihood(s: &mut Steps<'_>) -> Result<Rewritten, Reason> {
    let (input, target) = (s.needed(0)?, s.needed(1)?);
    let loss = likelihood(s, input, target)?;
    s.give(0, &loss);
    Ok(Rewritten::Replaced)
}

/// The same of the logarithm of the softmax over axis 1, which is the second output.
pub fn softmax_cross_entropy(s: &mut Steps<'_>) -> Result<Rewritten, Reason> {
    let (scores, target) = (s.needed(0)?, s.needed(1)?);
    // Before version 13, a softmax merges all later axes into its own.
    let log = if s.known.opset >= 13 {
        s.op("LogSoftmax", &[scores], &[("axis", Attribute::Int(1))])
    } else {
        let largest = s.reduce("ReduceMax", scores, &[1], true);
        let shifted = s.op("Sub", &[scores, &largest], &[]);
        let powers = s.op("Exp", &[&shifted], &[]);
        let sum = s.reduce("ReduceSum", &powers, &[1], true);
        let logarithm = s.op("Log", &[&sum], &[]);
        s.op("Sub", &[&shifted, &logarithm], &[])
    };
    let loss = likelihood(s, &log, target)?;
    s.give(0, &loss);
    s.give(1, &log);
    Ok(Rewritten::Replaced)
}

fn likelihood(s: &mut Steps<'_>, input: &str, target: &str) -> Result<String, Reason> {
    let weight = s.operand(2);
    let ignored = s.int_attribute("ignore_index");
    let mut place = s.unsqueeze(target, &[1]);
    let mut keep = None;
    if let Some(ignored) = ignored {
        let wide = s.op("Cast", &[&place], &[("to", Attribute::Int(7))]);
        let index = s.int(ignored);
        let hidden = s.op("Equal", &[&wide, &index], &[]);
        let zero = s.int(0);
        place = s.op("Where", &[&hidden, &zero, &wide], &[]);
        keep = Some(s.op("Not", &[&hidden], &[]));
    }
    let zero = s.number_like(0.0, input);
    let picked = s.op("GatherElements", &[input, &place], &[("axis", Attribute::Int(1))]);
    let picked = s.op("Neg", &[&picked], &[]);
    let mut factor = weight.map(|weight| s.op("Gather", &[weight, &place], &[("axis", Attribute::Int(0))]));
    let mut loss = picked;
    if let Some(keep) = &keep {
        loss = s.op("Where", &[keep, &loss, &zero], &[]);
        let one = s.number_like(1.0, input);
        let kept = factor.as_deref().unwrap_or(&one).to_owned();
        factor = Some(s.op("Where", &[keep, &kept, &zero], &[]));
    }
    if let (Some(factor), true) = (&factor, weight.is_some()) {
        loss = s.op("Mul", &[&loss, factor], &[]);
    }
    match (s.text_attribute("reduction").unwrap_or("mean"), factor) {
        ("none", _) => Ok(s.squeeze(&loss, &[1])),
        ("sum", _) => Ok(s.reduce_all("ReduceSum", &loss)),
        ("mean", None) => Ok(s.reduce_all("ReduceMean", &loss)),
        ("mean", Some(factor)) => {
            let total = s.reduce_all("ReduceSum", &loss);
            let weights = s.reduce_all("ReduceSum", &factor);
            Ok(s.op("Div", &[&total, &weights], &[]))
        }
        (other, _) => Err(Reason::form("reduction {}", [other.into()])),
    }
}
