//! What optimisation leaves of committed networks, as golden files: a line a node, with its program in words.
//!
//! `BLESS=1` rewrites them.

use super::models::imported;
use crate::graph::op::Op;
use crate::graph::pointwise::{Instruction, Literal, Operand, Pointwise};
use crate::graph::{Graph, NodeId};
use crate::optimize::optimize;
use crate::optimize::pass::OptimizeOptions;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

/// An operand of an instruction: an input of the program, or an earlier result.
fn operand(operand: Operand) -> String {
    match operand {
        Operand::Input(i) => format!("x{i}"),
        Operand::Result(i) => format!("r{i}"),
    }
}

fn instruction(instruction: &Instruction) -> String {
    match *instruction {
        Instruction::Literal(Literal::F32(bits)) => f32::from_bits(bits).to_string(),
        Instruction::Literal(Literal::I32(value)) => value.to_string(),
        Instruction::Literal(Literal::Bool(value)) => value.to_string(),
        Instruction::Unary(op, a) => format!("{op:?}({})", operand(a)),
        Instruction::Binary(op, a, b) => format!("{op:?}({}, {})", operand(a), operand(b)),
        Instruction::Select { condition, then, otherwise } => {
            format!("{} ? {} : {}", operand(condition), operand(then), operand(otherwise))
        }
        Instruction::Cast(a, to) => format!("{to:?}({})", operand(a)),
    }
}

/// A program's instructions in order.
fn program(program: &Pointwise) -> String {
    let steps = program.instructions.iter().enumerate().map(|(i, step)| format!("r{i} = {}", instruction(step)));
    steps.collect::<Vec<_>>().join("; ")
}

fn operator(op: &Op) -> String {
    match op {
        Op::Constant(constant) => format!("Constant {:?}", constant.dtype()),
        Op::Pointwise(own) => format!("Pointwise {{ {} }}", program(own)),
        Op::Attention { scale, score, empty_row } => {
            let score = score.as_ref().map_or_else(|| "none".to_owned(), program);
            format!("Attention {{ scale {scale}, score {{ {score} }}, empty row {empty_row:?} }}")
        }
        Op::Einsum { a, b, output } => {
            let labels = |list: &[u8]| list.iter().map(|label| char::from(b'a' + label % 26)).collect::<String>();
            format!("Einsum {},{}->{}", labels(a), labels(b), labels(output))
        }
        Op::Input
        | Op::Conv { .. }
        | Op::Fold { .. }
        | Op::Unfold { .. }
        | Op::Pool { .. }
        | Op::Softmax { .. }
        | Op::Normalize { .. }
        | Op::Reduce { .. }
        | Op::ArgReduce { .. }
        | Op::Gather { .. }
        | Op::Scatter { .. }
        | Op::Reshape
        | Op::Transpose { .. }
        | Op::Broadcast
        | Op::Slice { .. }
        | Op::Concat { .. }
        | Op::Pad { .. }
        | Op::Resize { .. }
        | Op::Kernel(_) => format!("{op:?}"),
    }
}

/// The graph in order of computation, numbered anew; constants stand in place with their shapes.
fn text(graph: &Graph) -> String {
    let mut numbers: BTreeMap<NodeId, usize> = BTreeMap::new();
    let mut text = String::new();
    for id in graph.topological_order() {
        let node = graph.node(id);
        if matches!(node.op, Op::Constant(_)) {
            continue;
        }
        let number = numbers.len();
        numbers.insert(id, number);
        let operands = graph.operands(id).into_iter().map(|operand| match numbers.get(&operand) {
            Some(number) => format!("%{number}"),
            None => format!("{:?}{:?}", graph.node(operand).dtype, graph.node(operand).shape),
        });
        let operands: Vec<String> = operands.collect();
        let epilogue = node.epilogue.as_ref().map_or_else(String::new, |own| format!(" then {{ {} }}", program(own)));
        let operator = operator(&node.op);
        writeln!(text, "%{number} = {operator}{epilogue} ({})", operands.join(", ")).expect("writing to a string");
        writeln!(text, "    {:?}{:?} {}", node.dtype, node.shape, graph.label(id)).expect("writing to a string");
    }
    for port in &graph.outputs {
        writeln!(text, "output {} = %{}", port.name, numbers[&port.node]).expect("writing to a string");
    }
    text
}

#[test]
fn optimised_networks_are_those_of_the_golden_files() {
    for name in ["vit", "gptneo-s", "resnet50"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../tests/models/tiny/{name}.onnx"));
        let mut graph = imported(&path).expect("a committed network is imported");
        optimize(&mut graph, &OptimizeOptions::default()).expect("optimisation succeeds");
        crate::blessed::check(&format!("graphs/{name}.txt"), &text(&graph));
    }
}
