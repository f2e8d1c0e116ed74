//! Adds up what is added to scores one after the other, so that attention reads one tensor instead of several.
//!
//! (score + a) + b becomes score + (a + b) where the sum is no larger than one of both.

use super::scores::{Scores, Term, reads_operand};
use crate::graph::pointwise::{BinaryOp, Instruction, Operand, Pointwise};
use crate::graph::{Graph, NodeId};
use crate::kernels::MAX_SCORE_OPERANDS;
use crate::optimize::programs::without_input;
use std::collections::BTreeSet;

/// The scores that a value is, in the form that attention takes, when it is scores.
pub fn scores_of(graph: &Graph, id: NodeId) -> Option<Scores> {
    let mut scores = Scores::traced(graph, id)?;
    let constant = |terms: &[Term]| terms.iter().all(|t| graph.constant(t.node).is_some());
    while merge(&mut scores, constant) {}
    while scores.operands.len() > MAX_SCORE_OPERANDS && merge(&mut scores, |_| true) {}
    (scores.operands.len() <= MAX_SCORE_OPERANDS).then_some(scores)
}

/// Merges one pair of operands whose terms are all `allowed`; `false` when there is none.
fn merge(scores: &mut Scores, allowed: impl Fn(&[Term]) -> bool) -> bool {
    let Some(program) = &scores.program else { return false };
    let fits = |a: u32, b: u32| {
        let (a, b) = (&scores.operands[a as usize - 1], &scores.operands[b as usize - 1]);
        let (of_a, of_b) = (labels(a), labels(b));
        allowed(a) && allowed(b) && (of_a.is_subset(&of_b) || of_b.is_subset(&of_a))
    };
    let pairs = (0..program.instructions.len()).filter_map(|index| pair(program, index));
    let Some(found) = pairs.into_iter().find(|p| fits(p.inner, p.outer)) else { return false };
    let skip = |operand| if operand == Operand::Result(found.skipped) { found.score } else { operand };
    let instructions = program.instructions.iter().map(|i| i.map_operands(skip)).collect();
    // The instruction that is skipped still reads the inner operand, and nothing reads its result.
    let joined = Pointwise { inputs: program.inputs.clone(), instructions };
    let renamed = |operand| if operand == Operand::Input(found.inner) { Operand::Input(found.outer) } else { operand };
    let instructions = joined.instructions.iter().map(|i| i.map_operands(renamed)).collect();
    let joined = without_input(&Pointwise { inputs: joined.inputs, instructions }, found.inner);
    let inner = scores.operands[found.inner as usize - 1].clone();
    scores.operands[found.outer as usize - 1].extend(inner);
    scores.operands.remove(found.inner as usize - 1);
    scores.program = Some(joined);
    scores.simplify();
    true
}

/// The labels of the axes that a sum has.
fn labels(terms: &[Term]) -> BTreeSet<u8> {
    terms.iter().flat_map(|t| t.axes.iter().flatten().copied()).collect()
}

/// (score + inner) + outer: the inputs, the instruction of the inner sum, and what it adds to.
struct Pair {
    inner: u32,
    outer: u32,
    skipped: u32,
    score: Operand,
}

/// The pair whose outer sum is instruction `index`.
fn pair(program: &Pointwise, index: usize) -> Option<Pair> {
    let (sum, outer) = sum_with_input(&program.instructions[index])?;
    let Operand::Result(skipped) = sum else { return None };
    let (score, inner) = sum_with_input(&program.instructions[skipped as usize])?;
    let once = |operand| program.instructions.iter().filter(|i| reads_operand(i, operand)).count() == 1;
    let alone = once(sum) && once(Operand::Input(inner)) && once(Operand::Input(outer)) && inner != outer;
    alone.then_some(Pair { inner, outer, skipped, score })
}

/// A sum with an input that is not the score: the other side, and the input.
fn sum_with_input(instruction: &Instruction) -> Option<(Operand, u32)> {
    let Instruction::Binary(BinaryOp::Add, a, b) = *instruction else { return None };
    let mask = |operand: Operand| if let Operand::Input(i @ 1..) = operand { Some(i) } else { None };
    mask(b).map(|i| (a, i)).or_else(|| mask(a).map(|i| (b, i)))
}
