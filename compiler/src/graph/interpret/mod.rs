//! The reference interpreter of graphs: naive, on the CPU, for every operator and its epilogue.
//!
//! It is the oracle for optimisation, lowering and kernels, and folds constants. Sums and products are accumulated in f64,
//! so that it is better than what it judges. Only large products are made fast, with the same bits (`products.rs`), since
//! precision is chosen by running whole networks. It deliberately ignores layouts: every tensor is dense, row-major, one 4-byte
//! device word an element, and is held until its last reader has run.

mod arithmetic;
mod movement;
mod products;
mod windows;
mod words;

pub use movement::source_indices;
pub use words::{bytes_of, words_of};

use super::op::{EmptyRow, Op};
use super::pointwise::Pointwise;
use super::tensor::{Tensor, broadcast_strides, for_each_index, offset};
use super::{Graph, NodeId};
use std::collections::BTreeMap;

/// An element-wise program over operands that broadcast to `shape`.
fn pointwise(program: &Pointwise, operands: &[&Tensor], shape: &[usize]) -> Tensor {
    let reads: Vec<Vec<usize>> = operands.iter().map(|o| broadcast_strides(&o.shape)).collect();
    let mut words = Vec::with_capacity(shape.iter().product());
    let mut inputs = vec![0; operands.len()];
    for_each_index(shape, |index| {
        for ((input, operand), read) in inputs.iter_mut().zip(operands).zip(&reads) {
            *input = operand.words[offset(index, read)];
        }
        words.push(program.evaluate(&inputs));
    });
    Tensor { shape: shape.to_vec(), dtype: program.dtype(), words }
}

/// The result of one operator without its epilogue; `shape` is the node's.
///
/// # Panics
/// On `Op::Input`, whose value the caller holds, and on operands that `verify` rejects.
pub fn evaluate(op: &Op, operands: &[&Tensor], shape: &[usize]) -> Tensor {
    match op {
        Op::Input => unreachable!("the caller supplies inputs"),
        Op::Constant(c) => Tensor::from_constant(c),
        Op::Pointwise(p) => pointwise(p, operands, shape),
        Op::Einsum { a, b, output } => arithmetic::einsum([a, b], output, [operands[0], operands[1]], shape),
        Op::Conv { window, groups } => windows::conv(window, *groups, operands[0], operands[1], shape),
        Op::Fold { window, .. } => windows::fold(window, operands[0], shape),
        Op::Pool { window, kind } => windows::pool(window, *kind, operands[0], shape),
        Op::Softmax { axis, log } => arithmetic::softmax(operands[0], *axis, *log),
        Op::Normalize { kind, axes, epsilon } => arithmetic::normalize(*kind, axes, *epsilon, operands[0]),
        Op::Attention { scale, score, empty_row } => {
            let scores = arithmetic::scores(*scale, operands[0], operands[1]);
            let masked = |scores: &Tensor| {
                let score = score.as_ref()?;
                Some(pointwise(score, &[&[scores], &operands[3..]].concat(), &scores.shape))
            };
            // A row is hidden by what is −∞ whatever the products are.
            let without = Tensor { words: vec![f32::NAN.to_bits(); scores.words.len()], ..scores.clone() };
            let without = masked(&without).filter(|_| *empty_row == EmptyRow::Zero);
            let scores = masked(&scores).unwrap_or(scores);
            arithmetic::attention(&scores, without.as_ref(), operands[2], shape)
        }
        Op::Reduce { kind, axes } => arithmetic::reduce(*kind, axes, operands[0], shape),
        Op::ArgReduce { axis, max, last } => arithmetic::arg_reduce(*axis, *max, *last, operands[0], shape),
        Op::Gather { axis } => movement::gather(*axis, operands[0], operands[1], shape),
        Op::Scatter { reduction } => movement::scatter(*reduction, operands[0], operands[1], operands[2]),
        Op::Reshape | Op::Transpose { .. } | Op::Broadcast | Op::Slice { .. } | Op::Unfold { .. } => {
            movement::view(op, operands[0], shape)
        }
        Op::Concat { axis } => movement::concat(*axis, operands, shape),
        Op::Pad { before, mode, .. } => movement::pad(before, *mode, operands[0], shape),
        Op::Resize { axes, fill } => movement::resize(axes, *fill, operands[0], shape),
        Op::Kernel(own) => own.behaviour().evaluate(operands, shape),
    }
}

/// The value of a node from those of its operands, epilogue included.
pub fn evaluate_node(graph: &Graph, id: NodeId, operands: &[&Tensor]) -> Tensor {
    let own = graph.op_operand_count(id);
    let node = graph.node(id);
    let result = evaluate(&node.op, &operands[..own], &node.shape);
    if node.epilogue.is_some() { epilogue(graph, id, &result, &operands[own..]) } else { result }
}

/// What a node's epilogue makes of its operator's result and the operands behind the operator's own.
pub fn epilogue(graph: &Graph, id: NodeId, result: &Tensor, operands: &[&Tensor]) -> Tensor {
    let node = graph.node(id);
    match &node.epilogue {
        None => result.clone(),
        Some(program) => {
            let mut inputs = vec![result];
            inputs.extend_from_slice(operands);
            pointwise(program, &inputs, &node.shape)
        }
    }
}

/// A node that was evaluated.
pub struct Evaluated<'a> {
    /// The node.
    pub id: NodeId,
    /// Its operands.
    pub operands: &'a [&'a Tensor],
    /// Its operator's result, before the epilogue; `None` where there is no epilogue.
    pub result: Option<&'a Tensor>,
    /// Its value.
    pub value: &'a Tensor,
}

/// Runs a graph: one list of device words for each public input, in order; the same for the outputs.
///
/// # Panics
/// When the inputs do not fit the graph's, or the graph is not what `verify` accepts.
pub fn interpret(graph: &Graph, inputs: &[Vec<u32>]) -> Vec<Vec<u32>> {
    walk(graph, inputs, &mut |_| ())
}

/// Runs a graph, and shows every node that is evaluated, operands first.
///
/// # Panics
/// As [`interpret`].
pub fn walk(graph: &Graph, inputs: &[Vec<u32>], visit: &mut dyn FnMut(&Evaluated<'_>)) -> Vec<Vec<u32>> {
    assert_eq!(inputs.len(), graph.inputs.len(), "one list of words for each public input");
    let mut values: BTreeMap<NodeId, Tensor> = BTreeMap::new();
    for (port, words) in graph.inputs.iter().zip(inputs) {
        let node = graph.node(port.node);
        assert_eq!(words.len(), node.shape.iter().product::<usize>(), "input `{}`", port.name);
        values.insert(port.node, Tensor { shape: node.shape.clone(), dtype: node.dtype, words: words.clone() });
    }
    let order = graph.topological_order();
    // Readers that are still to run; public outputs are read in the end.
    let mut readers: BTreeMap<NodeId, usize> = BTreeMap::new();
    let all = order.iter().flat_map(|id| graph.operands(*id)).chain(graph.outputs.iter().map(|port| port.node));
    all.for_each(|id| *readers.entry(id).or_default() += 1);
    for id in order {
        let ids = graph.operands(id);
        if !values.contains_key(&id) {
            let operands: Vec<&Tensor> = ids.iter().map(|o| &values[o]).collect();
            let own = graph.op_operand_count(id);
            let node = graph.node(id);
            let result = evaluate(&node.op, &operands[..own], &node.shape);
            let value = if node.epilogue.is_some() {
                let value = epilogue(graph, id, &result, &operands[own..]);
                visit(&Evaluated { id, operands: &operands, result: Some(&result), value: &value });
                value
            } else {
                visit(&Evaluated { id, operands: &operands, result: None, value: &result });
                result
            };
            values.insert(id, value);
        }
        for operand in ids {
            let left = readers.get_mut(&operand).expect("every operand has a reader");
            *left -= 1;
            if *left == 0 {
                values.remove(&operand);
            }
        }
    }
    graph.outputs.iter().map(|port| values[&port.node].words.clone()).collect()
}

#[cfg(test)]
mod tests;
