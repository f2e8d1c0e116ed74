//! That what is scaled never leaves the range of halves, whatever the inputs are, and what is taken to be bounded.

use super::scales;
use crate::graph::constant::{Constant, Dtype};
use crate::graph::interpret::walk;
use crate::graph::op::{EmptyRow, NormKind, Op, Window};
use crate::graph::pointwise::{BinaryOp, Pointwise, UnaryOp};
use crate::graph::{Graph, GraphPort, NodeId};
use flashmem_plan_format::plan::ElementType;
use half::f16;

/// Rows and columns of what the graphs compute.
const SHAPE: [usize; 2] = [6, 64];

fn numbers(seed: u32, count: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9) | 1;
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as f32 / u32::MAX as f32 * 2.0 - 1.0
    };
    (0..count).map(next).collect()
}

struct Network {
    graph: Graph,
    constants: u32,
}

impl Network {
    fn new() -> (Self, NodeId) {
        let mut graph = Graph::default();
        let x = graph.add_shaped(Op::Input, &[], "x", SHAPE.to_vec(), Dtype::F32);
        graph.inputs.push(GraphPort { name: "x".into(), element: ElementType::F32, node: x });
        (Self { graph, constants: 0 }, x)
    }

    fn constant(&mut self, shape: &[usize], size: f32) -> NodeId {
        self.constants += 1;
        let values: Vec<f32> = numbers(self.constants, shape.iter().product()).iter().map(|v| v * size).collect();
        self.graph.add_constant(Constant::from_f32(shape.to_vec(), &values), "c")
    }

    fn op(&mut self, op: Op, operands: &[NodeId]) -> NodeId {
        self.graph.add(op, operands, "y").expect("fits")
    }

    fn norm(&mut self, x: NodeId, kind: NormKind) -> NodeId {
        let axes = vec![self.graph.node(x).shape.len() - 1];
        let y = self.op(Op::Normalize { kind, axes, epsilon: 1e-5 }, &[x]);
        let (scale, shift) = (self.constant(&[1, SHAPE[1]], 3.0), self.constant(&[1, SHAPE[1]], 0.5));
        let y = self.op(Op::Pointwise(Pointwise::binary(BinaryOp::Mul, Dtype::F32)), &[y, scale]);
        self.op(Op::Pointwise(Pointwise::binary(BinaryOp::Add, Dtype::F32)), &[y, shift])
    }

    fn product(&mut self, x: NodeId) -> NodeId {
        let weight = self.constant(&[SHAPE[1], SHAPE[1]], 0.2);
        self.op(Op::Einsum { a: vec![0, 1], b: vec![1, 2], output: vec![0, 2] }, &[x, weight])
    }

    fn unary(&mut self, op: UnaryOp, x: NodeId) -> NodeId {
        self.op(Op::Pointwise(Pointwise::unary(op, Dtype::F32)), &[x])
    }

    fn binary(&mut self, op: BinaryOp, a: NodeId, b: NodeId) -> NodeId {
        self.op(Op::Pointwise(Pointwise::binary(op, Dtype::F32)), &[a, b])
    }

    /// Whether products know a scale, in order; no element that is scaled may overflow.
    fn scaled(mut self, output: NodeId) -> Vec<bool> {
        self.graph.outputs.push(GraphPort { name: "y".into(), element: ElementType::F32, node: output });
        let graph = &self.graph;
        let scales = scales(graph);
        let spike: Vec<f32> = (0..SHAPE[0] * SHAPE[1]).map(|i| if i % 64 == i / 64 { 1e6 } else { 0.0 }).collect();
        let rows = [1.0, 1e-12, 1e12, 3e37].map(|size| numbers(7, spike.len()).iter().map(|v| v * size).collect());
        for x in rows.into_iter().chain([spike]) {
            let words: Vec<u32> = x.iter().map(|value: &f32| value.to_bits()).collect();
            walk(graph, &[words], &mut |evaluated| {
                let Some(scale) = scales.get(&evaluated.id) else { return };
                for word in &evaluated.operands[0].words {
                    let value = f32::from_bits(*word);
                    let fits = f16::from_f32(value * scale).is_finite() || !value.is_finite();
                    assert!(fits, "{value} times {scale} at {:?}", graph.node(evaluated.id).op);
                }
            });
        }
        let is_product = |id: &NodeId| matches!(graph.node(*id).op, Op::Einsum { .. } | Op::Conv { .. });
        graph.topological_order().iter().filter(|id| is_product(id)).map(|id| scales.contains_key(id)).collect()
    }
}

#[test]
fn products_behind_norms_are_scaled_and_those_of_inputs_are_not() {
    let (mut network, x) = Network::new();
    let first = network.product(x);
    let normed = network.norm(first, NormKind::Layer);
    let hidden = network.product(normed);
    let gated = network.unary(UnaryOp::GeluErf, hidden);
    let y = network.product(gated);
    let sum = network.binary(BinaryOp::Add, y, first);
    let last = network.product(sum);
    assert_eq!(network.scaled(last), [false, true, true, false]);
}

#[test]
fn gates_attention_and_views_pass_bounds_on() {
    let (mut network, x) = Network::new();
    let normed = network.norm(x, NormKind::Rms);
    let (gate, up) = (network.product(normed), network.product(normed));
    let gate = network.unary(UnaryOp::Silu, gate);
    let both = network.binary(BinaryOp::Mul, gate, up);
    let down = network.product(both);
    let again = network.norm(down, NormKind::Rms);
    let qkv: Vec<NodeId> = (0..3).map(|_| network.product(again)).collect();
    let attention = Op::Attention { scale: 0.125, score: None, empty_row: EmptyRow::Nan };
    let seen = network.op(attention, &qkv);
    let turned = network.op(Op::Transpose { permutation: vec![1, 0] }, &[seen]);
    let back = network.op(Op::Transpose { permutation: vec![1, 0] }, &[turned]);
    let y = network.product(back);
    assert_eq!(network.scaled(y), [true; 7]);
}

#[test]
fn clips_and_probabilities_are_bounds_and_exponentials_are_none() {
    let (mut network, x) = Network::new();
    let limits = [0.0, 6.0].map(|limit| network.graph.add_constant(Constant::from_f32(vec![1, 1], &[limit]), "limit"));
    let clipped = network.binary(BinaryOp::Max, x, limits[0]);
    let clipped = network.binary(BinaryOp::Min, clipped, limits[1]);
    let a = network.product(clipped);
    let b = network.op(Op::Softmax { axis: 1, log: false }, &[a]);
    let b = network.product(b);
    let c = network.unary(UnaryOp::Exp, b);
    let c = network.product(c);
    let d = network.unary(UnaryOp::Tanh, c);
    let d = network.product(d);
    let e = network.op(Op::Softmax { axis: 1, log: true }, &[d]);
    let e = network.product(e);
    assert_eq!(network.scaled(e), [true, true, false, true, false]);
}

#[test]
fn a_long_chain_without_norms_leaves_no_bits() {
    let (mut network, x) = Network::new();
    let mut y = network.norm(x, NormKind::Layer);
    for _ in 0..12 {
        y = network.product(y);
    }
    let scaled = network.scaled(y);
    let count = scaled.iter().take_while(|scaled| **scaled).count();
    assert!((2..12).contains(&count) && scaled[count..].iter().all(|scaled| !scaled), "{scaled:?}");
}

#[test]
fn convolutions_know_what_their_padding_and_windows_add_up_to() {
    let (mut network, x) = Network::new();
    let normed = network.norm(x, NormKind::Layer);
    let image = network.graph.add_shaped(Op::Reshape, &[normed], "image", vec![1, 6, 8, 8], Dtype::F32);
    let weight = network.constant(&[6, 6, 3, 3], 0.2);
    let window = Window {
        kernel: vec![3, 3],
        strides: vec![1, 1],
        dilations: vec![1, 1],
        pads_before: vec![1, 1],
        pads_after: vec![1, 1],
    };
    let y = network.op(Op::Conv { window: window.clone(), groups: 1 }, &[image, weight]);
    let y = network.unary(UnaryOp::Relu, y);
    let weight = network.constant(&[4, 6, 3, 3], 0.2);
    let y = network.op(Op::Conv { window, groups: 1 }, &[y, weight]);
    assert_eq!(network.scaled(y), [true, true]);
}
