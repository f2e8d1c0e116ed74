//! Simplifies every element-wise program, standing alone or as an epilogue, and its operand list.
//!
//! The same node in two positions becomes one input; inputs that the program no longer reads go, as long as the others
//! still broadcast to the node's shape; programs that do nothing go.

use super::expression::{Simplified, simplify};
use super::nodes::broadcasts_to;
use super::pass::{OptimizeError, OptimizeOptions, OptimizeReport};
use crate::graph::op::Op;
use crate::graph::pointwise::{Instruction, Operand, Pointwise, UnaryOp};
use crate::graph::{Graph, NodeId};
use crate::narrow::index32;

/// See the file's header.
pub fn run(graph: &mut Graph, _: &OptimizeOptions, report: &mut OptimizeReport) -> Result<(), OptimizeError> {
    for id in graph.topological_order() {
        if let Op::Pointwise(program) = &graph.node(id).op {
            standalone(graph, id, program.clone(), report);
        }
        if let Some(program) = graph.node(id).epilogue.clone() {
            epilogue(graph, id, program, report);
        }
    }
    Ok(())
}

fn activation_count(program: &Pointwise) -> usize {
    let activation = |i: &&Instruction| {
        matches!(i, Instruction::Unary(UnaryOp::GeluErf | UnaryOp::GeluTanh | UnaryOp::Silu | UnaryOp::HardSwish, _))
    };
    program.instructions.iter().filter(activation).count()
}

fn count(report: &mut OptimizeReport, before: &Pointwise, after: &Pointwise) {
    if before != after {
        report.programs_simplified += 1;
        report.activations += activation_count(after).saturating_sub(activation_count(before));
    }
}

fn standalone(graph: &mut Graph, id: NodeId, program: Pointwise, report: &mut OptimizeReport) {
    let operands = graph.operands(id);
    let (merged, operands) = merge_equal_operands(program.clone(), operands);
    match simplify(&merged) {
        Simplified::Identity(input) => {
            let operand = operands[input as usize];
            if graph.node(operand).shape == graph.node(id).shape {
                graph.replace_uses(id, operand);
            } else {
                let (shape, dtype) = (graph.node(id).shape.clone(), graph.node(id).dtype);
                let origin = graph.node(id).origin;
                let broadcast = graph.add_shaped(Op::Broadcast, &[operand], origin, shape, dtype);
                graph.replace_uses(id, broadcast);
            }
            report.identities += 1;
        }
        Simplified::Pointwise(mut simpler) => {
            let mut kept = operands;
            for position in (0..kept.len()).rev() {
                let mut fewer = kept.clone();
                fewer.remove(position);
                if !reads(&simpler, index32(position)) && broadcasts_to(graph, &fewer, &graph.node(id).shape) {
                    simpler = without_input(&simpler, index32(position));
                    kept = fewer;
                }
            }
            count(report, &program, &simpler);
            graph.set_operands(id, &kept);
            graph.node_mut(id).op = Op::Pointwise(simpler);
        }
    }
}

fn epilogue(graph: &mut Graph, id: NodeId, program: Pointwise, report: &mut OptimizeReport) {
    let own = graph.op_operand_count(id);
    let operands = graph.operands(id);
    // The operator's result is input 0 and nobody's operand; the node itself stands for it here.
    let inputs: Vec<NodeId> = std::iter::once(id).chain(operands[own..].iter().copied()).collect();
    let (merged, mut inputs) = merge_equal_operands(program.clone(), inputs);
    let simpler = match simplify(&merged) {
        Simplified::Identity(0) => {
            graph.set_operands(id, &operands[..own]);
            graph.node_mut(id).epilogue = None;
            report.identities += 1;
            return;
        }
        // A result that nobody reads: the operator is dead weight, but so rare that it may stay.
        Simplified::Identity(_) => return,
        Simplified::Pointwise(p) => p,
    };
    let mut simpler = simpler;
    for position in (1..inputs.len()).rev() {
        if !reads(&simpler, index32(position)) {
            simpler = without_input(&simpler, index32(position));
            inputs.remove(position);
        }
    }
    count(report, &program, &simpler);
    let operands: Vec<NodeId> = operands[..own].iter().chain(&inputs[1..]).copied().collect();
    graph.set_operands(id, &operands);
    graph.node_mut(id).epilogue = Some(simpler);
}

/// Whether a program reads an input.
pub fn reads(program: &Pointwise, input: u32) -> bool {
    let found = std::cell::Cell::new(false);
    for instruction in &program.instructions {
        instruction.map_operands(|operand| {
            found.set(found.get() || operand == Operand::Input(input));
            operand
        });
    }
    found.get()
}

/// The program without an input that it does not read.
pub fn without_input(program: &Pointwise, position: u32) -> Pointwise {
    let rename = |operand: Operand| match operand {
        Operand::Input(i) if i > position => Operand::Input(i - 1),
        Operand::Input(_) | Operand::Result(_) => operand,
    };
    let mut inputs = program.inputs.clone();
    inputs.remove(position as usize);
    Pointwise { inputs, instructions: program.instructions.iter().map(|i| i.map_operands(rename)).collect() }
}

/// One input for every distinct operand.
pub fn merge_equal_operands(mut program: Pointwise, mut operands: Vec<NodeId>) -> (Pointwise, Vec<NodeId>) {
    let mut position = 1;
    while position < operands.len() {
        match operands[..position].iter().position(|o| *o == operands[position]) {
            Some(first) => {
                program = program.merge_inputs(index32(first), index32(position));
                operands.remove(position);
            }
            None => position += 1,
        }
    }
    (program, operands)
}
