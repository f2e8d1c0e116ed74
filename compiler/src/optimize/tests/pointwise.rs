//! Literals, programs, activations, and fusion into epilogues.

use super::{Build, check, operators};
use crate::graph::constant::Dtype;
use crate::graph::op::Op;
use crate::graph::pointwise::{BinaryOp, Instruction, Operand, Pointwise, UnaryOp};
use crate::graph::{Graph, NodeId};

/// The instructions of the only element-wise node.
fn instructions(graph: &Graph) -> Vec<Instruction> {
    let mut programs = graph
        .node_ids()
        .into_iter()
        .filter_map(|id| if let Op::Pointwise(p) = &graph.node(id).op { Some(p.instructions.clone()) } else { None });
    programs.next_back().expect("an element-wise node is left")
}

/// What a chain of element-wise nodes over one input becomes.
fn reduced(chain: impl FnOnce(&mut Build, NodeId) -> NodeId) -> Vec<Instruction> {
    let mut b = Build::default();
    let x = b.input(&[3, 7]);
    let y = chain(&mut b, x);
    b.output(y);
    let (graph, _) = check(b);
    assert_eq!(operators(&graph), ["Pointwise"]);
    instructions(&graph)
}

fn alone(op: UnaryOp) -> Vec<Instruction> {
    vec![Instruction::Unary(op, Operand::Input(0))]
}

#[test]
fn gelu_erf() {
    let found = reduced(|b, x| {
        let u = b.with(BinaryOp::Div, x, std::f32::consts::SQRT_2);
        let e = b.unary(UnaryOp::Erf, u);
        let e = b.with(BinaryOp::Add, e, 1.0);
        let y = b.binary(BinaryOp::Mul, x, e);
        b.with(BinaryOp::Mul, y, 0.5)
    });
    assert_eq!(found, alone(UnaryOp::GeluErf));
}

#[test]
fn what_reads_a_value_twice_in_every_step_is_followed_once() {
    let found = reduced(|b, x| (0..50).fold(x, |y, _| b.binary(BinaryOp::Mul, y, y)));
    assert_eq!(found.len(), 50);
    let found = reduced(|b, x| {
        let many = (0..50).fold(x, |y, _| b.binary(BinaryOp::Add, y, y));
        let t = b.unary(UnaryOp::Tanh, many);
        let t = b.with(BinaryOp::Add, t, 1.0);
        b.binary(BinaryOp::Mul, x, t)
    });
    assert_eq!(found.len(), 54, "50 sums, tanh, a literal, a sum and a product");
}

#[test]
fn gelu_tanh_with_pow() {
    let found = reduced(|b, x| {
        let cube = b.with(BinaryOp::Pow, x, 3.0);
        let cube = b.with(BinaryOp::Mul, cube, 0.044_715);
        let sum = b.binary(BinaryOp::Add, x, cube);
        let sum = b.with(BinaryOp::Mul, sum, 0.797_884_6);
        let t = b.unary(UnaryOp::Tanh, sum);
        let t = b.with(BinaryOp::Add, t, 1.0);
        let half = b.with(BinaryOp::Mul, x, 0.5);
        b.binary(BinaryOp::Mul, half, t)
    });
    assert_eq!(found, alone(UnaryOp::GeluTanh));
}

#[test]
fn silu_and_hard_swish() {
    let found = reduced(|b, x| {
        let s = b.unary(UnaryOp::Sigmoid, x);
        b.binary(BinaryOp::Mul, x, s)
    });
    assert_eq!(found, alone(UnaryOp::Silu));
    let found = reduced(|b, x| {
        let s = b.with(BinaryOp::Add, x, 3.0);
        let s = b.with(BinaryOp::Max, s, 0.0);
        let s = b.with(BinaryOp::Min, s, 6.0);
        let y = b.binary(BinaryOp::Mul, x, s);
        b.with(BinaryOp::Mul, y, 1.0 / 6.0)
    });
    assert_eq!(found, alone(UnaryOp::HardSwish));
}

#[test]
fn softplus_that_does_not_overflow() {
    let found = reduced(|b, x| {
        let magnitude = b.unary(UnaryOp::Abs, x);
        let e = b.unary(UnaryOp::Neg, magnitude);
        let e = b.unary(UnaryOp::Exp, e);
        let e = b.with(BinaryOp::Add, e, 1.0);
        let rest = b.unary(UnaryOp::Log, e);
        let positive = b.with(BinaryOp::Max, x, 0.0);
        b.binary(BinaryOp::Add, positive, rest)
    });
    assert_eq!(found, alone(UnaryOp::Softplus));
}

#[test]
fn other_constants_are_no_gelu() {
    let found = reduced(|b, x| {
        let s = b.with(BinaryOp::Mul, x, 1.702);
        let s = b.unary(UnaryOp::Sigmoid, s);
        b.binary(BinaryOp::Mul, x, s)
    });
    assert_eq!(found.len(), 4);
}

#[test]
fn powers_and_neutral_elements() {
    let found = reduced(|b, x| {
        let y = b.with(BinaryOp::Pow, x, 2.0);
        let y = b.with(BinaryOp::Mul, y, 1.0);
        b.with(BinaryOp::Add, y, 0.0)
    });
    assert_eq!(found, [Instruction::Binary(BinaryOp::Mul, Operand::Input(0), Operand::Input(0))]);
}

#[test]
fn a_broadcast_survives_as_shape() {
    let mut b = Build::default();
    let x = b.input(&[1, 4]);
    let zeros = b.values(&[3, 1], &[0.0; 3]);
    let y = b.binary(BinaryOp::Add, x, zeros);
    b.output(y);
    let (graph, _) = check(b);
    assert_eq!(graph.node(graph.outputs[0].node).shape, [3, 4]);
}

#[test]
fn bias_activation_and_residual_become_the_later_epilogue() {
    let mut b = Build::default();
    let x = b.input(&[1, 6, 8]);
    let (w, v) = (b.constant(&[8, 8]), b.values(&[8, 8], &super::samples(64, 3)));
    let bias = b.constant(&[1, 1, 8]);
    let left = b.einsum("amk", "kn", "amn", [x, w]);
    let right = b.einsum("amk", "kn", "amn", [left, v]);
    let other = b.einsum("amk", "kn", "amn", [x, v]);
    let right = b.binary(BinaryOp::Add, right, bias);
    let right = b.unary(UnaryOp::Relu, right);
    let y = b.binary(BinaryOp::Add, other, right);
    b.output(y);
    let (graph, report) = check(b);
    assert_eq!(operators(&graph), ["Einsum", "Einsum", "Einsum"]);
    assert_eq!(report.epilogues_fused, 3);
    let last = *graph.topological_order().last().expect("not empty");
    assert!(graph.node(last).epilogue.is_some());
}

#[test]
fn fusion_passes_through_a_reshape() {
    let mut b = Build::default();
    let x = b.input(&[16, 8]);
    let residual = b.input(&[1, 16, 12]);
    let w = b.constant(&[8, 12]);
    let bias = b.constant(&[1, 1, 12]);
    let y = b.einsum("mk", "kn", "mn", [x, w]);
    let y = b.reshape(y, &[1, 16, 12]);
    let y = b.binary(BinaryOp::Add, y, bias);
    let y = b.binary(BinaryOp::Add, residual, y);
    b.output(y);
    let (graph, _) = check(b);
    assert_eq!(operators(&graph), ["Reshape", "Einsum", "Reshape"]);
}

#[test]
fn operands_that_do_not_fit_stay_outside() {
    let mut b = Build::default();
    let x = b.input(&[2, 3, 4, 8]);
    let w = b.constant(&[8, 8]);
    let odd = b.constant(&[2, 1, 4, 8]);
    let y = b.einsum("abmk", "kn", "abmn", [x, w]);
    let y = b.binary(BinaryOp::Add, y, odd);
    b.output(y);
    let (graph, _) = check(b);
    assert_eq!(operators(&graph), ["Einsum", "Pointwise"]);
}

#[test]
fn keep_apart_undoes_a_fusion() {
    let mut b = Build::default();
    let x = b.input(&[4, 8]);
    let w = b.constant(&[8, 8]);
    let y = b.einsum("mk", "kn", "mn", [x, w]);
    let y = b.unary(UnaryOp::Relu, y);
    b.output(y);
    let mut graph = b.graph;
    let keep_apart = graph.origins.ids(graph.node(y).origin).iter().copied().collect();
    let options = crate::optimize::OptimizeOptions { keep_apart, ..Default::default() };
    crate::optimize::optimize(&mut graph, &options).expect("optimisation succeeds");
    assert_eq!(operators(&graph), ["Einsum", "Pointwise"]);
}

#[test]
fn what_is_kept_apart_fuses_with_its_neighbours() {
    let mut b = Build::default();
    let x = b.input(&[4, 8]);
    let w = b.constant(&[8, 8]);
    let bias = b.constant(&[1, 8]);
    let y = b.einsum("mk", "kn", "mn", [x, w]);
    let sum = b.binary(BinaryOp::Add, y, bias);
    let y = b.unary(UnaryOp::Relu, sum);
    b.output(y);
    let mut graph = b.graph;
    let keep_apart = graph.origins.ids(graph.node(sum).origin).iter().copied().collect();
    let options = crate::optimize::OptimizeOptions { keep_apart, ..Default::default() };
    crate::optimize::optimize(&mut graph, &options).expect("optimisation succeeds");
    assert_eq!(operators(&graph), ["Einsum", "Pointwise"]);
}

/// A gated layer: silu(x G) (x U), whose parts are in one order whether they are fused or kept apart.
#[test]
fn weights_have_one_order_whatever_is_fused() {
    let products = |apart: bool| {
        let mut b = Build::default();
        let x = b.input(&[4, 8]);
        let (gate_weight, up_weight) = (b.constant(&[8, 8]), b.values(&[8, 8], &[0.5; 64]));
        let gate = b.einsum("mk", "kn", "mn", [x, gate_weight]);
        let sigmoid = b.unary(UnaryOp::Sigmoid, gate);
        let silu = b.binary(BinaryOp::Mul, gate, sigmoid);
        let up = b.einsum("mk", "kn", "mn", [x, up_weight]);
        let y = b.binary(BinaryOp::Mul, silu, up);
        b.output(y);
        let mut graph = b.graph;
        let origins = [sigmoid, silu, y].map(|id| graph.origins.ids(graph.node(id).origin).to_vec());
        let keep_apart = origins.into_iter().flatten().filter(|_| apart).collect();
        let options = crate::optimize::OptimizeOptions { keep_apart, ..Default::default() };
        crate::optimize::optimize(&mut graph, &options).expect("optimisation succeeds");
        let order = graph.topological_order();
        order.into_iter().filter(|id| matches!(graph.node(*id).op, Op::Einsum { .. })).collect::<Vec<_>>()
    };
    assert_eq!(products(true).len(), 2);
    assert_eq!(products(true), products(false));
}

#[test]
fn casts_collapse() {
    let mut b = Build::default();
    let x = b.input(&[5]);
    let zero = b.scalar(x, 0.0);
    let positive = b.binary(BinaryOp::Greater, x, zero);
    let i = b.add(Op::Pointwise(Pointwise::cast(Dtype::Bool, Dtype::I32)), &[positive]);
    let f = b.add(Op::Pointwise(Pointwise::cast(Dtype::I32, Dtype::F32)), &[i]);
    b.output(f);
    let (graph, _) = check(b);
    assert_eq!(instructions(&graph).len(), 3);
}
