//! Every operator with a kernel, as the operator models use it: its result has the shape that it infers, and cutting its
//! operands as it says gives parts of its result.

use crate::graph::constant::Dtype;
use crate::graph::interpret::evaluate_node;
use crate::graph::kernel_op::{KernelOp, KernelOpKind, Operands};
use crate::graph::op::Op;
use crate::graph::tensor::{Tensor, for_each_index, offset, strides};
use crate::import::{ImportOptions, import};
use std::collections::{BTreeMap, BTreeSet};

/// Some value of an input: floats in [−1, 1), integers 0 and 1.
fn some_value(shape: &[usize], dtype: Dtype) -> Tensor {
    let hash = |i: usize| (i as u32 + 1).wrapping_mul(0x9e37_79b9) >> 8;
    let word = |i: usize| match dtype {
        Dtype::F32 => (hash(i) as f32 / (1 << 23) as f32 - 1.0).to_bits(),
        Dtype::I32 | Dtype::Bool => hash(i) >> 23,
    };
    let count = shape.iter().product();
    Tensor { shape: shape.to_vec(), dtype, words: (0..count).map(word).collect() }
}

fn part(whole: &Tensor, axis: usize, from: usize, to: usize) -> Tensor {
    let mut shape = whole.shape.clone();
    shape[axis] = to - from;
    let own = strides(&whole.shape);
    let mut words = Vec::new();
    for_each_index(&shape, |index| words.push(whole.words[offset(index, &own) + from * own[axis]]));
    Tensor { shape, dtype: whole.dtype, words }
}

fn evaluate(op: &KernelOp, operands: &[&Tensor]) -> Tensor {
    let list: Vec<(&[usize], Dtype)> = operands.iter().map(|o| (o.shape.as_slice(), o.dtype)).collect();
    let (shape, dtype) = op.behaviour().infer(&Operands::new(op.kind().name(), &list)).expect("the operands fit");
    let value = op.behaviour().evaluate(operands, &shape);
    assert_eq!((&value.shape, value.dtype, value.words.len()), (&shape, dtype, shape.iter().product()), "{op:?}");
    value
}

fn check(op: &KernelOp, operands: &[&Tensor]) {
    let whole = evaluate(op, operands);
    for axis in 0..whole.shape.len() {
        let (Some(axes), size) = (op.behaviour().cut(axis), whole.shape[axis]) else { continue };
        for (from, to) in [(0, size / 2), (size / 2, size)].into_iter().filter(|(from, to)| from < to) {
            let cut = |(operand, along): (&&Tensor, Option<usize>)| match along {
                Some(along) => part(operand, along, from, to),
                None => (*operand).clone(),
            };
            let parts: Vec<Tensor> = operands.iter().zip(&axes).map(|(o, a)| cut((o, *a))).collect();
            let value = evaluate(op, &parts.iter().collect::<Vec<_>>());
            assert_eq!(value, part(&whole, axis, from, to), "{op:?} along axis {axis}");
        }
    }
}

#[test]
fn results_have_their_shapes_and_parts_are_parts_of_the_whole() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/models/ops");
    let mut seen = BTreeSet::new();
    for entry in std::fs::read_dir(folder).expect("the folder exists") {
        let path = entry.expect("readable").path();
        let Some(graph) = path.extension().filter(|e| *e == "onnx").and_then(|_| {
            // Models that are refused or need options are other tests' business.
            import(&path, &ImportOptions::default()).ok().map(|imported| imported.graph)
        }) else {
            continue;
        };
        if !graph.node_ids().iter().any(|id| matches!(graph.node(*id).op, Op::Kernel(_))) {
            continue;
        }
        let mut values = BTreeMap::new();
        for id in graph.topological_order() {
            let node = graph.node(id);
            let ids = graph.operands(id);
            let operands: Vec<&Tensor> = ids.iter().map(|o| &values[o]).collect();
            if let Op::Kernel(op) = &node.op {
                check(op, &operands);
                seen.insert(op.kind());
            }
            let is_input = matches!(node.op, Op::Input);
            let value =
                if is_input { some_value(&node.shape, node.dtype) } else { evaluate_node(&graph, id, &operands) };
            values.insert(id, value);
        }
    }
    assert_eq!(seen, KernelOpKind::ALL.iter().copied().collect(), "every operator has a model");
}
