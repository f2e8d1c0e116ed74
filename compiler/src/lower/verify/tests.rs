//! The checker of lowering on a program with all kinds of tensors, whole and with one mistake of every kind.

use super::{Violation, verify};
use crate::graph::constant::{Constant, Dtype};
use crate::graph::op::Op;
use crate::graph::pointwise::{BinaryOp, Pointwise, UnaryOp};
use crate::graph::{Graph, GraphPort, NodeId};
use crate::lower::program::Program;
use crate::lower::view::TensorId;
use crate::lower::{LowerOptions, lower};
use flashmem_plan_format::plan::{Buffer, ElementType, Encoding, PageGeometry};

fn port(graph: &mut Graph, name: &str, node: NodeId) -> GraphPort {
    let element = if graph.node(node).dtype == Dtype::F32 { ElementType::F32 } else { ElementType::I64 };
    GraphPort { name: name.into(), element, node }
}

fn input(graph: &mut Graph, name: &str, shape: &[usize], dtype: Dtype) -> NodeId {
    let node = graph.add_shaped(Op::Input, &[], name, shape.to_vec(), dtype);
    let port = port(graph, name, node);
    graph.inputs.push(port);
    node
}

fn lowered(graph: &Graph) -> Program {
    let options = LowerOptions { page: PageGeometry { rows: 16 }, ..LowerOptions::default() };
    lower(graph, &options).unwrap_or_else(|e| panic!("{e}"))
}

/// Rows of a table and an input through a streamed product, a resident constant, views, two calls into one tensor and a product
/// of activations.
fn program() -> Program {
    let mut graph = Graph::default();
    let x = input(&mut graph, "x", &[8, 16], Dtype::F32);
    let indices = input(&mut graph, "indices", &[8], Dtype::I32);
    let constant = |graph: &mut Graph, shape: &[usize], name: &str| {
        graph.add_constant(Constant::from_f32(shape.to_vec(), &vec![0.5; shape.iter().product()]), name)
    };
    let table = constant(&mut graph, &[50, 16], "table");
    let weights = constant(&mut graph, &[16, 24], "weights");
    let bias = constant(&mut graph, &[1, 24], "bias");
    let mut add = |op: Op, operands: &[NodeId], name: &str| graph.add(op, operands, name).expect("the operands fit");
    let rows = add(Op::Gather { axis: 0 }, &[table, indices], "rows");
    let sum = add(Op::Pointwise(Pointwise::binary(BinaryOp::Add, Dtype::F32)), &[x, rows], "sum");
    let product = Op::Einsum { a: vec![0, 1], b: vec![1, 2], output: vec![0, 2] };
    let streamed = add(product.clone(), &[sum, weights], "streamed");
    let wide = add(Op::Softmax { axis: 1, log: false }, &[streamed], "softmax");
    let column = add(Op::Reduce { kind: crate::graph::op::ReduceKind::Sum, axes: vec![1] }, &[bias], "column");
    let scaled = add(Op::Pointwise(Pointwise::unary(UnaryOp::Neg, Dtype::F32)), &[wide], "negative");
    let turned = add(Op::Transpose { permutation: vec![1, 0] }, &[wide], "turned");
    let also = add(Op::Transpose { permutation: vec![1, 0] }, &[scaled], "also turned");
    let joined = add(Op::Concat { axis: 1 }, &[turned, also], "joined");
    let back = add(Op::Transpose { permutation: vec![1, 0] }, &[sum], "back");
    let dynamic = add(product, &[joined, back], "dynamic");
    for (name, node) in [("dynamic", dynamic), ("softmax", wide), ("column", column)] {
        let port = port(&mut graph, name, node);
        graph.outputs.push(port);
    }
    lowered(&graph)
}

/// Puts a tensor elsewhere, and all that binds it with it.
fn put(program: &mut Program, tensor: usize, offset_bytes: u64) {
    program.tensors.table[tensor].slice.offset_bytes = offset_bytes;
    let slice = program.tensors.table[tensor].slice;
    for (step, call) in program.steps.iter_mut().zip(&program.tensors.calls) {
        let bound = step.bindings.iter_mut().zip(&call.tensors).filter(|(_, id)| id.0 as usize == tensor);
        bound.for_each(|(binding, _)| *binding = slice);
    }
    let tensors = &program.tensors;
    let inputs = program.inputs.iter_mut().zip(tensors.inputs.iter().copied());
    let results = tensors.results.iter().map(|id| Some(*id));
    let checks =
        program.checks.iter_mut().zip(results.clone()).filter(|(_, id)| id.is_some_and(|id| id.0 as usize == tensor));
    checks.for_each(|(check, _)| check.slice = slice);
    let results = program.outputs.iter_mut().zip(results.skip(program.checks.len()));
    let moved = inputs.chain(results).filter(|(_, id)| id.is_some_and(|id| id.0 as usize == tensor));
    moved.for_each(|(port, _)| port.slice = Some(slice));
    let gathers = program.row_gathers.iter_mut().zip(&tensors.gathered).filter(|(_, id)| id.0 as usize == tensor);
    gathers.for_each(|(gather, _)| gather.destination = slice);
}

/// First and last step that touches a tensor, inputs from before the first and results to after the last.
fn life(program: &Program, tensor: usize) -> (i64, i64) {
    let id = TensorId(tensor as u32);
    let steps = (0_i64..).zip(&program.tensors.calls).filter(|(_, call)| call.tensors.contains(&id));
    let mut steps: Vec<i64> = steps.map(|(step, _)| step).collect();
    let tensors = &program.tensors;
    if tensors.inputs.contains(&Some(id)) || tensors.gathered.contains(&id) {
        steps.insert(0, -1);
    }
    if tensors.results.contains(&id) {
        steps.push(i64::from(u32::MAX));
    }
    (steps[0], steps[steps.len() - 1])
}

#[test]
fn what_lowering_makes_is_right() {
    let program = program();
    assert_eq!(verify(&program), []);
    assert!(program.steps.len() >= 7 && program.row_gathers.len() == 1 && !program.constants.is_empty());
    assert!(program.tensors.table.iter().any(|tensor| tensor.writes == 2), "two calls write one tensor");
    assert!(program.tensors.calls.iter().all(|call| call.views.len() > 1), "views are noted");
}

#[test]
fn a_tensor_that_is_moved_onto_another_that_lives_is_found() {
    let whole = program();
    let in_arena = |tensor: &usize| whole.tensors.table[*tensor].slice.buffer == Buffer::Activations;
    let all: Vec<usize> = (0..whole.tensors.table.len()).filter(in_arena).collect();
    let mut pairs = 0;
    for (tensor, onto) in all.iter().flat_map(|a| all.iter().map(move |b| (*a, *b))).filter(|(a, b)| a != b) {
        let ((first, last), (from, to)) = (life(&whole, tensor), life(&whole, onto));
        if first <= to && from <= last {
            let mut moved = whole.clone();
            put(&mut moved, tensor, whole.tensors.table[onto].slice.offset_bytes);
            let found = verify(&moved);
            let clash = |v: &Violation| {
                matches!(
                    v,
                    Violation::NotWritten { .. } | Violation::Overwritten { .. } | Violation::HostOverlap { .. }
                )
            };
            assert!(found.iter().any(clash), "{tensor} onto {onto}: {found:?}");
            pairs += 1;
        }
    }
    assert!(pairs > 20, "{pairs}");
    let mut outside = whole.clone();
    put(&mut outside, all[0], whole.activation_bytes);
    assert!(verify(&outside).iter().any(|v| matches!(v, Violation::Outside { .. })));
    let mut alone = whole.clone();
    alone.tensors.table[all[0]].slice.offset_bytes += 256;
    assert!(verify(&alone).iter().any(|v| matches!(v, Violation::Bindings { .. } | Violation::Port { .. })));
}

#[test]
fn a_view_that_is_stretched_or_shifted_is_found() {
    let whole = program();
    let views =
        || whole.tensors.calls.iter().enumerate().flat_map(|(c, call)| (0..call.views.len()).map(move |v| (c, v)));
    let check = |change: &dyn Fn(&mut crate::lower::view::View), at: (usize, usize), what: &str| {
        let mut changed = whole.clone();
        change(&mut changed.tensors.calls[at.0].views[at.1]);
        let found = verify(&changed);
        assert!(found.iter().any(|v| matches!(v, Violation::View { .. })), "{what} {at:?}: {found:?}");
    };
    assert!(views().count() > 10);
    for at in views() {
        let view = &whole.tensors.calls[at.0].views[at.1];
        let elements = whole.tensors.table[view.tensor.0 as usize].elements as i64;
        check(&|view| view.offset -= elements, at, "before");
        check(&|view| view.offset += elements, at, "behind");
        for axis in (0..view.shape.len()).filter(|axis| view.shape[*axis] > 1 && view.strides[*axis] > 0) {
            check(&|view| view.strides[axis] *= elements, at, "stride");
            check(&|view| view.shape[axis] += elements as usize, at, "size");
            check(&|view| view.strides[axis] = -view.strides[axis], at, "reversed");
        }
    }
    let mut foreign = whole.clone();
    foreign.tensors.calls[0].views[0].tensor = whole.tensors.results[0];
    assert!(verify(&foreign).iter().any(|v| matches!(v, Violation::View { step: 0, .. })));
}

#[test]
fn a_call_that_is_dropped_or_comes_too_early_is_found() {
    let whole = program();
    for step in 0..whole.steps.len() {
        let mut dropped = whole.clone();
        dropped.steps.remove(step);
        assert!(verify(&dropped).iter().any(|v| matches!(v, Violation::Length { .. })), "step {step}");
        dropped.tensors.calls.remove(step);
        let found = verify(&dropped);
        assert!(found.iter().any(|v| matches!(v, Violation::Writes { found: 0 | 1, .. })), "step {step}: {found:?}");
        let unread = |v: &Violation| matches!(v, Violation::NotWritten { .. } | Violation::ResultLost { .. });
        let only = whole.tensors.table[whole.tensors.calls[step].tensors[0].0 as usize].writes == 1;
        assert!(!only || found.iter().any(unread), "step {step}: {found:?}");
    }
    let first_reader = |step: usize| {
        let output = whole.tensors.calls[step].tensors[0];
        whole.tensors.calls.iter().position(|call| call.tensors[1..].contains(&output))
    };
    for (step, reader) in (0..whole.steps.len()).filter_map(|step| Some((step, first_reader(step)?))) {
        let mut early = whole.clone();
        early.steps.swap(step, reader);
        early.tensors.calls.swap(step, reader);
        assert!(verify(&early).iter().any(|v| matches!(v, Violation::NotWritten { .. })), "{step} and {reader}");
    }
}

#[test]
fn weights_and_ports_that_are_not_whole_are_found() {
    let whole = program();
    let mut changed = whole.clone();
    let reader = changed.steps.iter().position(|step| step.weight_texels.is_some()).expect("a streamed product");
    let texels = changed.steps[reader].weight_texels.clone().expect("it reads weights");
    changed.steps[reader].weight_texels = Some(texels.start..whole.texels() + 1);
    assert!(matches!(verify(&changed)[..], [Violation::WeightRange { .. }]));
    let mut changed = whole.clone();
    changed.steps[reader].encoding = Some(Encoding::F16);
    assert!(matches!(verify(&changed)[..], [Violation::WeightRange { .. }]));
    let mut changed = whole.clone();
    changed.weights[0].texels += 8;
    assert!(matches!(verify(&changed)[..], [Violation::Weight { .. }]));
    let mut changed = whole.clone();
    changed.outputs[0].shape[0] += 1;
    assert!(matches!(verify(&changed)[..], [Violation::Port { .. }]));
    let mut changed = whole.clone();
    changed.tensors.gathered[0] = changed.tensors.results[0];
    assert!(verify(&changed).iter().any(|v| matches!(v, Violation::Gather { gather: 0 })));
    let mut changed = whole;
    changed.tensors.results[0].0 = u32::MAX;
    assert_eq!(verify(&changed), [Violation::Unknown { tensor: u32::MAX }]);
}

/// A cache that is updated where it lies and read then, and a vector that is replaced.
fn remembering() -> Program {
    let mut graph = Graph::default();
    let update = input(&mut graph, "update", &[1, 2, 4], Dtype::F32);
    let cache = input(&mut graph, "cache", &[1, 6, 4], Dtype::F32);
    let vector = input(&mut graph, "vector", &[1, 6, 4], Dtype::F32);
    let append = crate::graph::kernel_op::TensorScatter { axis_from_end: 2, circular: false };
    let mut add = |op: Op, operands: &[NodeId], name: &str| graph.add(op, operands, name).expect("the operands fit");
    let next = add(Op::Kernel(append.into()), &[cache, update], "append");
    let sum = add(Op::Pointwise(Pointwise::binary(BinaryOp::Add, Dtype::F32)), &[next, vector], "sum");
    let exp = add(Op::Softmax { axis: 2, log: false }, &[sum], "softmax");
    for (name, node) in [("softmax", exp), ("append", next), ("sum", sum)] {
        let port = port(&mut graph, name, node);
        graph.outputs.push(port);
    }
    graph.states = 2;
    lowered(&graph)
}

#[test]
fn states_are_changed_as_they_may_be() {
    let program = remembering();
    assert_eq!(verify(&program), []);
    assert_eq!(program.steps.len(), 3);
    let found = |edit: fn(&mut Program)| {
        let mut wrong = program.clone();
        edit(&mut wrong);
        verify(&wrong)
    };
    // The cache is read before its update.
    let early = found(|program| {
        program.steps.swap(0, 1);
        program.tensors.calls.swap(0, 1);
    });
    assert!(early.iter().any(|v| matches!(v, Violation::StateUse { step: 0, state: 0, .. })), "{early:?}");
    // The update writes what is replaced behind the run.
    let written = found(|program| {
        let (vector, slice) = (program.tensors.states[1].0, program.states[1].slice);
        (program.tensors.calls[0].tensors[0], program.steps[0].bindings[0]) = (vector, slice);
    });
    assert!(written.iter().any(|v| matches!(v, Violation::StateUse { step: 0, state: 1, .. })), "{written:?}");
    let apart = found(|program| program.states[1].slice.offset_bytes = 0);
    assert!(apart.contains(&Violation::StatePlace { state: 1 }), "{apart:?}");
    let elsewhere = found(|program| program.states[1].next = None);
    assert!(elsewhere.contains(&Violation::StatePlace { state: 1 }), "{elsewhere:?}");
    // What the state is next is overwritten.
    let lost = found(|program| {
        let next = program.tensors.states[1].1.expect("it is replaced").0 as usize;
        let softmax = program.tensors.results[0].0 as usize;
        let offset_bytes = program.tensors.table[next].slice.offset_bytes;
        put(program, softmax, offset_bytes);
    });
    assert!(lost.iter().any(|v| matches!(v, Violation::Overwritten { .. })), "{lost:?}");
    assert!(lost.iter().any(|v| matches!(v, Violation::ResultLost { .. })), "{lost:?}");
}
