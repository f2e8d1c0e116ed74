//! Matrix products and every other contraction.
//!
//! tract lets an axis of size 1 stand for a broadcast one, and lets an axis occur in one operand alone; ours does neither, so
//! such axes are dropped or summed first. Contractions of one operand are a sum and a transpose. An axis that occurs twice
//! in one tensor, and contractions of three operands, are refused.

use super::context::{Outcome, Refusal, Translator, variant};
use crate::graph::NodeId;
use crate::graph::op::{Op, ReduceKind};
use tract_onnx::prelude::TypedNode;
use tract_onnx::tract_core::ops::change_axes::InOut;
use tract_onnx::tract_core::ops::einsum::EinSum;

/// An operand with one label an axis.
struct Labelled {
    id: NodeId,
    labels: Vec<u8>,
}

fn labels(op: &EinSum, tensor: InOut) -> Result<Vec<u8>, Refusal> {
    let mut labels = vec![None; op.axes.rank(tensor)];
    for (label, axis) in op.axes.iter_all_axes().enumerate() {
        let positions = axis.interface(tensor);
        if positions.len() > 1 {
            return variant("an axis that occurs twice in one tensor");
        }
        let label = u8::try_from(label).or_else(|_| variant("more than 256 axes"))?;
        for position in positions {
            labels[*position] = Some(label);
        }
    }
    labels.into_iter().map(|l| l.map_or_else(|| variant("an axis without a label"), Ok)).collect()
}

/// Keeps the axes that `keep` says, the others having size 1.
fn drop_axes(t: &mut Translator<'_>, operand: Labelled, keep: impl Fn(u8) -> bool) -> Labelled {
    let shape = t.shape(operand.id);
    let kept: Vec<usize> = (0..shape.len()).filter(|axis| keep(operand.labels[*axis])).collect();
    let target: Vec<usize> = kept.iter().map(|axis| shape[*axis]).collect();
    let labels = kept.iter().map(|axis| operand.labels[*axis]).collect();
    Labelled { id: t.reshape(operand.id, &target), labels }
}

/// Sums the axes that `keep` does not say.
fn sum_axes(t: &mut Translator<'_>, operand: Labelled, keep: impl Fn(u8) -> bool) -> Result<Labelled, Refusal> {
    let shape = t.shape(operand.id);
    let gone = (0..shape.len()).filter(|axis| !keep(operand.labels[*axis]));
    let axes: Vec<usize> = gone.filter(|axis| shape[*axis] != 1).collect();
    let id = match axes.as_slice() {
        [] => operand.id,
        _ => t.emit(Op::Reduce { kind: ReduceKind::Sum, axes }, &[operand.id])?,
    };
    Ok(drop_axes(t, Labelled { id, labels: operand.labels }, keep))
}

fn size_of(t: &Translator<'_>, operand: &Labelled, label: u8) -> Option<usize> {
    let axis = operand.labels.iter().position(|l| *l == label)?;
    Some(t.shape(operand.id)[axis])
}

/// Drops the axes of size 1 that broadcast against a larger axis of the other operand.
fn drop_broadcast(t: &mut Translator<'_>, operand: Labelled, other: &Labelled) -> Labelled {
    let shape = t.shape(operand.id);
    let broadcasts: Vec<u8> = operand
        .labels
        .iter()
        .zip(&shape)
        .filter(|(label, size)| **size == 1 && size_of(t, other, **label).is_some_and(|s| s != 1))
        .map(|(label, _)| *label)
        .collect();
    drop_axes(t, operand, |label| !broadcasts.contains(&label))
}

/// The axes of `operand` in the order of `output`, with axes of size 1 for labels that it does not have.
fn arrange(t: &mut Translator<'_>, operand: Labelled, output: &[u8]) -> Result<NodeId, Refusal> {
    let present = output.iter().filter_map(|l| operand.labels.iter().position(|x| x == l)).collect();
    let id = t.transpose(operand.id, present)?;
    let sizes = output.iter().map(|l| size_of(t, &operand, *l).unwrap_or(1)).collect::<Vec<_>>();
    Ok(t.reshape(id, &sizes))
}

/// Σ over the axes that the output does not have.
pub fn einsum(t: &mut Translator<'_>, node: &TypedNode, op: &EinSum) -> Outcome {
    if op.q_params.is_some() {
        return variant("quantised");
    }
    let output = labels(op, InOut::Out(0))?;
    let mut operands = Vec::new();
    for (position, id) in t.inputs(node)?.into_iter().enumerate() {
        operands.push(Labelled { id, labels: labels(op, InOut::In(position))? });
    }
    let second = operands.pop();
    let first = operands.pop();
    match (first, second, operands.is_empty()) {
        (None, Some(only), true) => {
            let summed = sum_axes(t, only, |label| output.contains(&label))?;
            Ok(vec![arrange(t, summed, &output)?])
        }
        (Some(a), Some(b), true) => Ok(vec![product(t, a, b, &output)?]),
        _ => variant("three or more operands"),
    }
}

fn product(t: &mut Translator<'_>, a: Labelled, b: Labelled, output: &[u8]) -> Result<NodeId, Refusal> {
    let a = drop_broadcast(t, a, &b);
    let b = drop_broadcast(t, b, &a);
    let b_labels = b.labels.clone();
    let a = sum_axes(t, a, |label| output.contains(&label) || b_labels.contains(&label))?;
    let a_labels = a.labels.clone();
    let b = sum_axes(t, b, |label| output.contains(&label) || a_labels.contains(&label))?;
    let computed: Vec<u8> =
        output.iter().copied().filter(|label| a.labels.contains(label) || b.labels.contains(label)).collect();
    let op = Op::Einsum { a: a.labels, b: b.labels, output: computed.clone() };
    let id = t.emit(op, &[a.id, b.id])?;
    arrange(t, Labelled { id, labels: computed }, output)
}
