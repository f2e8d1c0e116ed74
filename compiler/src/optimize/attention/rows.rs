//! Weights that are 0 in rows without any key: `where(row, 0, softmax)`, which attention does by hiding the row's scores.

use super::axes::Axes;
use super::scores::{Scores, term};
use crate::graph::constant::Dtype;
use crate::graph::pointwise::{Instruction, Literal, Operand, Pointwise};
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
