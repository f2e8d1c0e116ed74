//! Small graphs for every pass, random graphs, and real models, judged by the interpreter.

use super::{OptimizeOptions, OptimizeReport, optimize};
use crate::graph::constant::{Constant, Dtype};
use crate::graph::interpret::interpret;
use crate::graph::op::Op;
use crate::graph::pointwise::{BinaryOp, Pointwise, UnaryOp};
use crate::graph::verify::verify;
use crate::graph::{Graph, GraphPort, NodeId};
use flashmem_plan_format::plan::ElementType;

mod attention;
mod goldens;
mod models;
mod norms;
mod pointwise;
mod random;
mod structure;

/// A graph under construction.
#[derive(Default)]
struct Build {
    graph: Graph,
}

impl Build {
    fn input(&mut self, shape: &[usize]) -> NodeId {
        let name = format!("x{}", self.graph.inputs.len());
        let node = self.graph.add_shaped(Op::Input, &[], name.clone(), shape.to_vec(), Dtype::F32);
        self.graph.inputs.push(GraphPort { name, element: ElementType::F32, node });
        node
    }

    /// A constant with different values everywhere.
    fn constant(&mut self, shape: &[usize]) -> NodeId {
        let values = samples(shape.iter().product(), 7);
        self.values(shape, &values)
    }

    fn values(&mut self, shape: &[usize], values: &[f32]) -> NodeId {
        self.graph.add_constant(Constant::from_f32(shape.to_vec(), values), "c")
    }

    fn scalar(&mut self, like: NodeId, value: f32) -> NodeId {
        let shape = vec![1; self.graph.node(like).shape.len()];
        self.values(&shape, &[value])
    }

    fn add(&mut self, op: Op, operands: &[NodeId]) -> NodeId {
        let name = op.name().to_lowercase();
        self.graph.add(op, operands, name).expect("the test's shapes fit")
    }

    fn shaped(&mut self, op: Op, operand: NodeId, shape: &[usize]) -> NodeId {
        let dtype = self.graph.node(operand).dtype;
        self.graph.add_shaped(op, &[operand], "view", shape.to_vec(), dtype)
    }

    fn reshape(&mut self, operand: NodeId, shape: &[usize]) -> NodeId {
        self.shaped(Op::Reshape, operand, shape)
    }

    fn transpose(&mut self, operand: NodeId, permutation: &[usize]) -> NodeId {
        self.add(Op::Transpose { permutation: permutation.to_vec() }, &[operand])
    }

    fn unary(&mut self, op: UnaryOp, a: NodeId) -> NodeId {
        self.add(Op::Pointwise(Pointwise::unary(op, Dtype::F32)), &[a])
    }

    fn binary(&mut self, op: BinaryOp, a: NodeId, b: NodeId) -> NodeId {
        self.add(Op::Pointwise(Pointwise::binary(op, Dtype::F32)), &[a, b])
    }

    fn with(&mut self, op: BinaryOp, a: NodeId, value: f32) -> NodeId {
        let value = self.scalar(a, value);
        self.binary(op, a, value)
    }

    fn einsum(&mut self, a: &str, b: &str, output: &str, operands: [NodeId; 2]) -> NodeId {
        let op = Op::Einsum { a: a.into(), b: b.into(), output: output.into() };
        self.add(op, &operands)
    }

    fn output(&mut self, node: NodeId) {
        let name = format!("y{}", self.graph.outputs.len());
        self.graph.outputs.push(GraphPort { name, element: ElementType::F32, node });
    }
}

/// Values in [-2, 2), the same every time.
fn samples(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..count)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((state >> 40) as f32 / (1_u32 << 24) as f32) * 4.0 - 2.0
        })
        .collect()
}

/// Largest difference of two lists of f32 words, relative to the largest value where this is above 1.
fn difference(a: &[Vec<u32>], b: &[Vec<u32>]) -> f32 {
    assert_eq!(a.len(), b.len());
    let mut worst = 0.0_f32;
    for (a, b) in a.iter().zip(b) {
        assert_eq!(a.len(), b.len());
        let largest = a.iter().map(|w| f32::from_bits(*w).abs()).filter(|v| v.is_finite()).fold(1.0, f32::max);
        for (x, y) in a.iter().zip(b) {
            let (x, y) = (f32::from_bits(*x), f32::from_bits(*y));
            if x != y && !(x.is_nan() && y.is_nan()) {
                let d = ((x - y) / largest).abs();
                worst = worst.max(if d.is_nan() { f32::INFINITY } else { d });
            }
        }
    }
    worst
}

/// Optimises, checks the graph and that it computes the same, and gives the result.
fn check(build: Build) -> (Graph, OptimizeReport) {
    let before = build.graph;
    assert_eq!(verify(&before), [], "the test's graph is well formed");
    let mut after = before.clone();
    let report = optimize(&mut after, &OptimizeOptions::default()).expect("optimisation succeeds");
    assert_eq!(verify(&after), []);
    let inputs: Vec<Vec<u32>> = before
        .inputs
        .iter()
        .enumerate()
        .map(|(i, port)| {
            let count = before.node(port.node).shape.iter().product();
            samples(count, i as u64 + 1).into_iter().map(f32::to_bits).collect()
        })
        .collect();
    let d = difference(&interpret(&before, &inputs), &interpret(&after, &inputs));
    assert!(d <= 1e-5, "optimisation changed the result by {d}\n{}", dump(&after));
    (after, report)
}

/// The operators in execution order, without inputs and constants.
fn operators(graph: &Graph) -> Vec<&'static str> {
    let order = graph.topological_order().into_iter().map(|id| graph.node(id).op.name());
    order.filter(|name| !["Input", "Constant"].contains(name)).collect()
}

/// The graph as text.
fn dump(graph: &Graph) -> String {
    let mut text = String::new();
    for id in graph.topological_order() {
        let (node, operands) = (graph.node(id), graph.operands(id));
        let operands: Vec<usize> = operands.iter().map(|o| o.index()).collect();
        let (op, epilogue) = (&node.op, &node.epilogue);
        text += &format!("{} {:?} {op:?} {epilogue:?} {operands:?} {}\n", id.index(), node.shape, graph.label(id));
    }
    text
}
