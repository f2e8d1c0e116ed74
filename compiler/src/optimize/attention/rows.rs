//! Weights that are 0 in rows without any key: `where(row, 0, softmax)`, which attention does by hiding the row's scores.
//!
//! Kernels tell such a row from one whose scores are −∞ by themselves by what a score of NaN becomes: −∞ where the row is
//! hidden, NaN elsewhere. So the steps before have to keep a NaN; a selection among scores and others deliberately does not match.

use super::axes::Axes;
use super::scores::{Scores, term};
use crate::graph::constant::Dtype;
use crate::graph::pointwise::{BinaryOp, Instruction, Literal, Operand, Pointwise, UnaryOp};
use crate::graph::{Graph, NodeId};
use crate::optimize::nodes::program;

/// Takes the node `choice`, which reads `weights` with these axes, into the scores: those of the rows that it replaces by 0 become
/// −∞. `None` when it is something else.
pub fn hide_rows(
    graph: &Graph,
    choice: NodeId,
    weights: NodeId,
    axes: &Axes,
    keys: u8,
    scores: &mut Scores,
) -> Option<()> {
    let program = program(graph, choice)?;
    let [
        Instruction::Literal(Literal::F32(bits)),
        Instruction::Select { condition: Operand::Input(condition), then, otherwise },
    ] = program.instructions[..]
    else {
        return None;
    };
    let operands = graph.operands(choice);
    let is_weights = |operand| matches!(operand, Operand::Input(i) if operands[i as usize] == weights);
    let hides = match (then, otherwise) {
        (Operand::Result(0), kept) if is_weights(kept) => true,
        (kept, Operand::Result(0)) if is_weights(kept) => false,
        _ => return None,
    };
    let row = term(graph, operands[condition as usize], axes);
    let fits = f32::from_bits(bits) == 0.0
        && scores.program.as_ref().is_none_or(keeps_nan)
        && graph.node(choice).shape == graph.node(weights).shape
        && !row.axes.contains(&Some(keys));
    if !fits {
        return None;
    }
    let (score, hidden) = (Operand::Input(0), Operand::Result(0));
    let (then, otherwise) = if hides { (hidden, score) } else { (score, hidden) };
    let hide = Pointwise {
        inputs: vec![Dtype::F32, Dtype::Bool],
        instructions: vec![
            Instruction::Literal(Literal::F32(f32::NEG_INFINITY.to_bits())),
            Instruction::Select { condition: Operand::Input(1), then, otherwise },
        ],
    };
    scores.apply(&hide, vec![vec![row]]);
    Some(())
}

/// Whether a program gives NaN where its input 0 is NaN, whatever the others are.
fn keeps_nan(program: &Pointwise) -> bool {
    let mut kept: Vec<bool> = Vec::with_capacity(program.instructions.len());
    for instruction in &program.instructions {
        let is_nan = |operand: Operand| match operand {
            Operand::Input(input) => input == 0,
            Operand::Result(result) => kept[result as usize],
        };
        let keeps = match *instruction {
            Instruction::Literal(_) | Instruction::Cast(..) => false,
            Instruction::Unary(op, a) => is_nan(a) && keeps_nan_alone(op),
            Instruction::Binary(op, a, b) => (is_nan(a) || is_nan(b)) && keeps_nan_of_either(op),
            Instruction::Select { then, otherwise, .. } => is_nan(then) && is_nan(otherwise),
        };
        kept.push(keeps);
    }
    kept.last().is_some_and(|last| *last)
}

fn keeps_nan_alone(op: UnaryOp) -> bool {
    !matches!(op, UnaryOp::IsNan | UnaryOp::IsInf | UnaryOp::Not | UnaryOp::BitNot)
}

/// A power is 1 in two cases in which an operand is NaN.
fn keeps_nan_of_either(op: BinaryOp) -> bool {
    matches!(op, BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul | BinaryOp::Div | BinaryOp::Min | BinaryOp::Max)
}
