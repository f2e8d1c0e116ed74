//! Recurrences, unrolled: a body that tract runs once a step becomes its nodes, once for each step.
//!
//! Only recurrences whose number of steps is known and small are translated. The fused cells that tract makes of an LSTM or
//! a GRU become element-wise programs between their products.

use super::context::{Outcome, Refusal, Translator, variant};
use crate::graph::NodeId;
use crate::graph::constant::{Constant, Dtype};
use crate::graph::op::Op;
use crate::graph::pointwise::{BinaryOp, Pointwise, UnaryOp};
use crate::import::expression::ExpressionBuilder;
use crate::import::reason::Reason;
use tract_onnx::prelude::TypedNode;
use tract_onnx::tract_core::ops::gru_cell::GruEpilogue;
use tract_onnx::tract_core::ops::gru_seq::GruSeq;
use tract_onnx::tract_core::ops::lstm_cell::LstmEpilogue;
use tract_onnx::tract_core::ops::scan::{InputMapping, Scan, ScanInfo};

/// Most steps that are unrolled.
const MAX_STEPS: usize = 64;

/// Most nodes that a recurrence unrolls to.
const MAX_NODES: usize = 8192;

/// `size` elements along an axis from `start` on.
fn part(t: &mut Translator<'_>, x: NodeId, axis: usize, start: usize, size: usize) -> NodeId {
    let mut shape = t.shape(x);
    if shape[axis] == size {
        return x;
    }
    let mut starts = vec![0; shape.len()];
    starts[axis] = start;
    shape[axis] = size;
    let steps = vec![1; shape.len()];
    t.emit_shaped(Op::Slice { starts, steps }, x, shape)
}

/// Where step `step` of `steps` lies along a scanned axis; a negative chunk counts from the end.
const fn place(info: &ScanInfo, step: usize, steps: usize) -> usize {
    let size = info.chunk.unsigned_abs();
    if info.chunk < 0 { (steps - 1 - step) * size } else { step * size }
}

fn joined(t: &mut Translator<'_>, mut parts: Vec<NodeId>, info: &ScanInfo) -> Result<NodeId, Refusal> {
    if info.chunk < 0 {
        parts.reverse();
    }
    match parts.as_slice() {
        [] => variant("a recurrence of no steps"),
        [only] => Ok(*only),
        _ => t.emit(Op::Concat { axis: info.axis }, &parts),
    }
}

fn steps_of(t: &Translator<'_>, op: &Scan, inputs: &[NodeId]) -> Result<usize, Refusal> {
    let mut steps = None;
    for (mapping, id) in op.input_mapping.iter().zip(inputs) {
        if let InputMapping::Scan(info) = mapping {
            let (size, chunk) = (t.shape(*id)[info.axis], info.chunk.unsigned_abs());
            if chunk == 0 || size % chunk != 0 || steps.is_some_and(|s| s != size / chunk) {
                return variant("a recurrence over parts of different sizes");
            }
            steps = Some(size / chunk);
        }
    }
    match steps {
        Some(steps) if (1..=MAX_STEPS).contains(&steps) && steps * op.body.nodes().len() <= MAX_NODES => Ok(steps),
        Some(steps) => variant(Reason::form("a recurrence of {} steps", [steps.into()])),
        None => variant("a recurrence of an unknown number of steps"),
    }
}

/// A scan.
pub fn scan<'m>(t: &mut Translator<'m>, node: &'m TypedNode, op: &'m Scan) -> Outcome {
    if op.skip != 0 {
        return variant("a recurrence that skips steps");
    }
    let inputs = t.inputs(node)?;
    let steps = steps_of(t, op, &inputs)?;
    let is_state = |m: &&InputMapping| m.is_state();
    let mut states: Vec<NodeId> =
        op.input_mapping.iter().zip(&inputs).filter(|(m, _)| is_state(m)).map(|(_, id)| *id).collect();
    let state_outputs = op.output_mapping.iter().filter(|m| m.state).count();
    if states.len() != state_outputs {
        return variant("a recurrence with a state that is not carried on");
    }
    let mut scanned: Vec<Vec<NodeId>> = vec![Vec::new(); op.output_mapping.len()];
    let mut last = Vec::new();
    t.with_body(&op.body, |t| -> Result<(), Refusal> {
        for step in 0..steps {
            let mut carried = states.iter();
            let mut operands = Vec::with_capacity(inputs.len());
            for (mapping, id) in op.input_mapping.iter().zip(&inputs) {
                operands.push(match mapping {
                    InputMapping::Full => *id,
                    InputMapping::State => *carried.next().expect("as many states as state inputs"),
                    InputMapping::Scan(info) => {
                        part(t, *id, info.axis, place(info, step, steps), info.chunk.unsigned_abs())
                    }
                });
            }
            last = t.run_body(&operands)?;
            states = op.output_mapping.iter().zip(&last).filter(|(m, _)| m.state).map(|(_, id)| *id).collect();
            scanned.iter_mut().zip(&last).for_each(|(list, id)| list.push(*id));
        }
        Ok(())
    })?;
    let mut outputs = vec![None; node.outputs.len()];
    for ((mapping, parts), id) in op.output_mapping.iter().zip(scanned).zip(&last) {
        if let Some((slot, info)) = &mapping.scan {
            outputs[*slot] = Some(joined(t, parts, info)?);
        }
        if let Some(slot) = mapping.last_value_slot {
            outputs[slot] = Some(*id);
        }
    }
    outputs.into_iter().map(|id| id.map_or_else(|| variant("a recurrence with an output of nothing"), Ok)).collect()
}

/// The gates of a pre-activation, which lie one after the other along its last axis.
fn gates(t: &mut Translator<'_>, x: NodeId, count: usize, hidden: usize) -> Vec<NodeId> {
    let axis = t.shape(x).len() - 1;
    (0..count).map(|gate| part(t, x, axis, gate * hidden, hidden)).collect()
}

/// New hidden and cell state of an LSTM, from the sums of its gates (i, o, f, c) and the old cell state.
pub fn lstm_cell(t: &mut Translator<'_>, node: &TypedNode, op: &LstmEpilogue) -> Outcome {
    let (sums, old) = (t.input(node, 0)?, t.input(node, 1)?);
    let gates = gates(t, sums, 4, op.hidden);
    let mut p = ExpressionBuilder::default();
    let (i, f, c) = (p.input(Dtype::F32), p.input(Dtype::F32), p.input(Dtype::F32));
    let old_value = p.input(Dtype::F32);
    let (i, f) = (p.unary(UnaryOp::Sigmoid, i), p.unary(UnaryOp::Sigmoid, f));
    let c = p.unary(UnaryOp::Tanh, c);
    let kept = p.binary(BinaryOp::Mul, f, old_value);
    let added = p.binary(BinaryOp::Mul, i, c);
    p.binary(BinaryOp::Add, kept, added);
    let cell = t.pointwise(p.finish(), &[gates[0], gates[2], gates[3], old])?;
    let mut p = ExpressionBuilder::default();
    let (o, cell_value) = (p.input(Dtype::F32), p.input(Dtype::F32));
    let o = p.unary(UnaryOp::Sigmoid, o);
    let squashed = p.unary(UnaryOp::Tanh, cell_value);
    p.binary(BinaryOp::Mul, o, squashed);
    let hidden = t.pointwise(p.finish(), &[gates[1], cell])?;
    Ok(vec![hidden, cell])
}

/// New hidden state of a GRU, from the sums of its gates (z, r, h) on either side and the old hidden state.
fn gru_state(t: &mut Translator<'_>, x: NodeId, h: NodeId, old: NodeId, hidden: usize) -> Result<NodeId, Refusal> {
    let (x, h) = (gates(t, x, 3, hidden), gates(t, h, 3, hidden));
    let mut p = ExpressionBuilder::default();
    let mut input = || p.input(Dtype::F32);
    let (xz, hz, xr, hr, xh, hh, old_value) = (input(), input(), input(), input(), input(), input(), input());
    let z = p.binary(BinaryOp::Add, xz, hz);
    let z = p.unary(UnaryOp::Sigmoid, z);
    let r = p.binary(BinaryOp::Add, xr, hr);
    let r = p.unary(UnaryOp::Sigmoid, r);
    let reset = p.binary(BinaryOp::Mul, r, hh);
    let sum = p.binary(BinaryOp::Add, xh, reset);
    let candidate = p.unary(UnaryOp::Tanh, sum);
    let difference = p.binary(BinaryOp::Sub, old_value, candidate);
    let kept = p.binary(BinaryOp::Mul, z, difference);
    p.binary(BinaryOp::Add, candidate, kept);
    t.pointwise(p.finish(), &[x[0], h[0], x[1], h[1], x[2], h[2], old])
}

/// One step of a GRU.
pub fn gru_cell(t: &mut Translator<'_>, node: &TypedNode, op: &GruEpilogue) -> Outcome {
    let (x, h, old) = (t.input(node, 0)?, t.input(node, 1)?, t.input(node, 2)?);
    Ok(vec![gru_state(t, x, h, old, op.hidden)?])
}

/// (…, in) times a weight (out, in).
fn transposed_product(t: &mut Translator<'_>, x: NodeId, weight: NodeId) -> Result<NodeId, Refusal> {
    let rank = t.shape(x).len() as u8;
    let a: Vec<u8> = (0..rank).collect();
    let output = (0..rank - 1).chain([rank]).collect();
    t.emit(Op::Einsum { a, b: vec![rank, rank - 1], output }, &[x, weight])
}

/// `count` elements of a bias from `start` on, added along the last axis.
fn biased(t: &mut Translator<'_>, x: NodeId, bias: NodeId, start: usize, count: usize) -> Result<NodeId, Refusal> {
    let elements: usize = t.shape(bias).iter().product();
    let bias = t.reshape(bias, &[elements]);
    let bias = part(t, bias, 0, start, count);
    t.pointwise(Pointwise::binary(BinaryOp::Add, Dtype::F32), &[x, bias])
}

/// A whole GRU: input (batch, steps, in), or its product with the input's weight, recurrent weight, bias, first state.
pub fn gru_sequence(t: &mut Translator<'_>, node: &TypedNode, op: &GruSeq) -> Outcome {
    let inputs = t.inputs(node)?;
    let hidden = op.hidden;
    let (batch, steps) = (t.shape(inputs[0])[0], t.shape(inputs[0])[1]);
    if !(1..=MAX_STEPS).contains(&steps) {
        return variant(Reason::form("a recurrence of {} steps", [steps.into()]));
    }
    let recurrent = inputs[if op.projected { 1 } else { 2 }];
    let bias = op.has_bias.then(|| inputs[if op.projected { 2 } else { 3 }]);
    let mut sums = inputs[0];
    if !op.projected {
        sums = transposed_product(t, sums, inputs[1])?;
        if let Some(bias) = bias {
            sums = biased(t, sums, bias, 0, 3 * hidden)?;
        }
    }
    let mut state = t.reshape(inputs[inputs.len() - 1], &[batch, hidden]);
    let mut states = Vec::new();
    let info = ScanInfo { axis: 1, chunk: op.chunk };
    for step in 0..steps {
        let x = part(t, sums, 1, place(&info, step, steps), 1);
        let x = t.reshape(x, &[batch, 3 * hidden]);
        let mut h = transposed_product(t, state, recurrent)?;
        if let Some(bias) = bias {
            h = biased(t, h, bias, 3 * hidden, 3 * hidden)?;
        }
        state = gru_state(t, x, h, state, hidden)?;
        states.push(t.reshape(state, &[batch, 1, hidden]));
    }
    let last = t.reshape(state, &[batch, 1, hidden]);
    if !op.emit_y {
        // Nothing reads the sequence, which tract leaves empty.
        let nothing = t.emit_constant(Constant::from_f32(vec![batch, 0, hidden], &[]));
        return Ok(vec![nothing, last]);
    }
    Ok(vec![joined(t, states, &info)?, last])
}
