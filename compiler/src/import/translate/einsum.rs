//! Matrix products and every other contraction.
//!
//! tract lets an axis of size 1 stand for a broadcast one, lets an axis occur in one operand alone or twice in one, and takes
//! any number of operands; ours does none of it: such axes are dropped, summed or reduced to their diagonal first, and
//! operands are multiplied two at a time. Contractions of one operand are a sum and a transpose. Integers are multiplied
//! exactly: see [`integer_product`].

use super::context::{Outcome, Refusal, Translator, variant};
use crate::graph::NodeId;
use crate::graph::constant::Dtype;
use crate::graph::op::{Op, PadMode, ReduceKind};
use crate::graph::pointwise::{BinaryOp, Pointwise};
use crate::import::reason::Reason;
use tract_onnx::prelude::TypedNode;
use tract_onnx::tract_core::ops::change_axes::InOut;
use tract_onnx::tract_core::ops::einsum::EinSum;

/// Products of nine-bit integers that a float adds up exactly: 255² · 256 < 2²⁴.
const EXACT_TERMS: usize = 256;

/// Most elements of the products of two integer operands that are formed before they are summed.
const INTEGER_ELEMENTS: usize = 4 << 20;

/// An operand with one label an axis.
#[derive(Debug, Clone)]
pub struct Labelled {
    /// The tensor.
    pub id: NodeId,
    /// Its axes.
    pub labels: Vec<u8>,
}

/// The labels of a tensor of an einsum, axis by axis. An axis of the contraction may occur twice in one tensor.
pub fn labels(op: &EinSum, tensor: InOut) -> Result<Vec<u8>, Refusal> {
    let mut labels = vec![None; op.axes.rank(tensor)];
    for (label, axis) in op.axes.iter_all_axes().enumerate() {
        let label = u8::try_from(label).or_else(|_| variant("more than 256 axes"))?;
        for position in axis.interface(tensor) {
            labels[*position] = Some(label);
        }
    }
    labels.into_iter().map(|l| l.map_or_else(|| variant("an axis without a label"), Ok)).collect()
}

/// Reduces axes that share a label to their diagonal: with both at the end and merged, every (n + 1)-th element.
fn diagonal(t: &mut Translator<'_>, mut operand: Labelled) -> Result<Labelled, Refusal> {
    loop {
        let labels = &operand.labels;
        let twice =
            (0..labels.len()).find_map(|i| (i + 1..labels.len()).find(|j| labels[*j] == labels[i]).map(|j| (i, j)));
        let Some((i, j)) = twice else { return Ok(operand) };
        let shape = t.shape(operand.id);
        let (rank, size) = (shape.len(), shape[i]);
        if shape[j] != size {
            return variant("a diagonal of axes of different sizes");
        }
        let rest: Vec<usize> = (0..rank).filter(|axis| *axis != i && *axis != j).collect();
        let turned = t.transpose(operand.id, rest.iter().copied().chain([i, j]).collect())?;
        let outer: Vec<usize> = rest.iter().map(|axis| shape[*axis]).collect();
        let merged = t.reshape(turned, &[&outer[..], &[size * size]].concat());
        let (mut steps, last) = (vec![1; rank - 1], rank - 2);
        steps[last] = size as isize + 1;
        let slice = Op::Slice { starts: vec![0; rank - 1], steps };
        let id = t.emit_shaped(slice, merged, [&outer[..], &[size]].concat());
        let labels = rest.iter().map(|axis| labels[*axis]).chain([labels[i]]).collect();
        operand = Labelled { id, labels };
    }
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
pub fn arrange(t: &mut Translator<'_>, operand: Labelled, output: &[u8]) -> Result<NodeId, Refusal> {
    let present = output.iter().filter_map(|l| operand.labels.iter().position(|x| x == l)).collect();
    let id = t.transpose(operand.id, present)?;
    let sizes = output.iter().map(|l| size_of(t, &operand, *l).unwrap_or(1)).collect::<Vec<_>>();
    Ok(t.reshape(id, &sizes))
}

/// Σ over the axes that the output does not have.
pub fn einsum(t: &mut Translator<'_>, node: &TypedNode, op: &EinSum) -> Outcome {
    let output = labels(op, InOut::Out(0))?;
    let mut operands = Vec::new();
    for (position, id) in t.inputs(node)?.into_iter().enumerate() {
        operands.push(diagonal(t, Labelled { id, labels: labels(op, InOut::In(position))? })?);
    }
    operands.reverse();
    let Some(mut product) = operands.pop() else { return variant("no operand") };
    while let Some(next) = operands.pop() {
        // What a later operand has is not summed yet.
        let requested = |label: u8| output.contains(&label) || operands.iter().any(|o| o.labels.contains(&label));
        let mut kept: Vec<u8> = output.clone();
        let both = product.labels.iter().chain(&next.labels);
        for label in both {
            if requested(*label) && !kept.contains(label) {
                kept.push(*label);
            }
        }
        kept.retain(|label| product.labels.contains(label) || next.labels.contains(label));
        product = multiply(t, product, next, &kept)?;
    }
    let summed = sum_axes(t, product, |label| output.contains(&label))?;
    Ok(vec![arrange(t, summed, &output)?])
}

/// The product of two operands with the axes `kept`, in this order where they have them.
fn multiply(t: &mut Translator<'_>, a: Labelled, b: Labelled, kept: &[u8]) -> Result<Labelled, Refusal> {
    let a = drop_broadcast(t, a, &b);
    let b = drop_broadcast(t, b, &a);
    let b_labels = b.labels.clone();
    let a = sum_axes(t, a, |label| kept.contains(&label) || b_labels.contains(&label))?;
    let a_labels = a.labels.clone();
    let b = sum_axes(t, b, |label| kept.contains(&label) || a_labels.contains(&label))?;
    let labels: Vec<u8> =
        kept.iter().copied().filter(|label| a.labels.contains(label) || b.labels.contains(label)).collect();
    let id = if t.dtype(a.id) == Dtype::F32 {
        let op = Op::Einsum { a: a.labels, b: b.labels, output: labels.clone() };
        t.emit(op, &[a.id, b.id])?
    } else {
        integer_sum(t, &a, &b, &labels)?
    };
    Ok(Labelled { id, labels })
}

/// A product of integers: all products, then their sums.
fn integer_sum(t: &mut Translator<'_>, a: &Labelled, b: &Labelled, output: &[u8]) -> Result<NodeId, Refusal> {
    let dtype = t.dtype(a.id);
    if dtype != Dtype::I32 {
        return variant(Reason::form("a product of {}", [dtype.into()]));
    }
    let mut all: Vec<u8> = output.to_vec();
    all.extend(a.labels.iter().filter(|l| !output.contains(l)));
    all.extend(b.labels.iter().filter(|l| !output.contains(l) && !a.labels.contains(l)));
    let (left, right) = (arrange(t, a.clone(), &all)?, arrange(t, b.clone(), &all)?);
    let elements: usize = t.shape(left).iter().zip(t.shape(right)).map(|(l, r)| (*l).max(r)).product();
    if elements > INTEGER_ELEMENTS {
        return variant("a large product of integers");
    }
    let products = t.pointwise(Pointwise::binary(BinaryOp::Mul, dtype), &[left, right])?;
    let summed = sum_axes(t, Labelled { id: products, labels: all }, |label| output.contains(&label))?;
    Ok(summed.id)
}

/// The exact product, as i32, of floats that hold integers of at most nine bits. Sums of up to [`EXACT_TERMS`] products are
/// exact in f32; longer ones are cut into such and added up as integers.
pub fn integer_product(
    t: &mut Translator<'_>,
    (a, a_labels): (NodeId, Vec<u8>),
    (b, b_labels): (NodeId, Vec<u8>),
    output: &[u8],
) -> Result<NodeId, Refusal> {
    let contracted: Vec<u8> =
        a_labels.iter().copied().filter(|l| b_labels.contains(l) && !output.contains(l)).collect();
    let left = Labelled { id: a, labels: a_labels };
    let sizes: Vec<usize> = contracted.iter().map(|l| size_of(t, &left, *l).unwrap_or(1)).collect();
    let right = Labelled { id: b, labels: b_labels };
    if sizes.iter().product::<usize>() <= EXACT_TERMS {
        let op = Op::Einsum { a: left.labels, b: right.labels, output: output.to_vec() };
        let product = t.emit(op, &[left.id, right.id])?;
        return t.pointwise(Pointwise::cast(Dtype::F32, Dtype::I32), &[product]);
    }
    // The longest contracted axis is cut; the others must leave room for at least one of its elements.
    let longest = (0..sizes.len()).max_by_key(|i| sizes[*i]).expect("a long product contracts an axis");
    let others = sizes.iter().product::<usize>() / sizes[longest];
    let length = EXACT_TERMS / others.max(1);
    if length == 0 {
        return variant("a product of integers over several long axes");
    }
    let label = contracted[longest];
    let chunk = (0..=u8::MAX).find(|l| !left.labels.contains(l) && !right.labels.contains(l));
    let chunk = chunk.map_or_else(|| variant("more than 256 axes"), Ok)?;
    let left = cut(t, left, label, chunk, length)?;
    let right = cut(t, right, label, chunk, length)?;
    let with_chunk: Vec<u8> = [chunk].iter().chain(output).copied().collect();
    let op = Op::Einsum { a: left.labels, b: right.labels, output: with_chunk.clone() };
    let products = t.emit(op, &[left.id, right.id])?;
    let whole = t.pointwise(Pointwise::cast(Dtype::F32, Dtype::I32), &[products])?;
    let summed = sum_axes(t, Labelled { id: whole, labels: with_chunk }, |l| l != chunk)?;
    Ok(summed.id)
}

/// Splits the axis `label` into (chunk, label) with `length` elements a chunk, padded with zeros.
fn cut(t: &mut Translator<'_>, operand: Labelled, label: u8, chunk: u8, length: usize) -> Result<Labelled, Refusal> {
    let axis = operand.labels.iter().position(|l| *l == label).expect("the axis is contracted");
    let mut shape = t.shape(operand.id);
    let missing = shape[axis].next_multiple_of(length) - shape[axis];
    let mut id = operand.id;
    if missing != 0 {
        let mut after = vec![0; shape.len()];
        after[axis] = missing;
        id = t.emit(Op::Pad { before: vec![0; shape.len()], after, mode: PadMode::Constant(0.0) }, &[id])?;
        shape[axis] += missing;
    }
    shape[axis] /= length;
    shape.insert(axis + 1, length);
    let mut labels = operand.labels;
    labels.insert(axis, chunk);
    Ok(Labelled { id: t.reshape(id, &shape), labels })
}
