//! Follows the input of a softmax back to the einsum of queries and keys, through scales, masks and views.

use super::{Axes, axes_of};
use crate::graph::constant::Dtype;
use crate::graph::op::Op;
use crate::graph::pointwise::{BinaryOp, Instruction, Literal, Operand, UnaryOp};
use crate::graph::{Graph, NodeId};
use crate::optimize::{program, single_user};

/// A term of the scores that is added, or takes their place, by position.
#[derive(Debug, Clone, PartialEq)]
pub struct Mask {
    /// What kind.
    pub kind: MaskKind,
    /// Axes of the tensor that it is broadcast to.
    pub axes: Axes,
}

/// What a mask does.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum MaskKind {
    /// Added.
    Additive(NodeId),
    /// Scores where the condition is `keep`, else `fill`.
    Where {
        /// The condition, a truth value.
        condition: NodeId,
        /// The value of the condition that keeps a score.
        keep: bool,
        /// What the others are replaced by.
        fill: f32,
    },
}

/// softmax's input: masks(scale · einsum).
#[derive(Debug)]
pub struct Scores {
    /// The einsum of queries and keys.
    pub einsum: NodeId,
    /// The scale.
    pub scale: f64,
    /// The masks, first to last.
    pub masks: Vec<Mask>,
    /// Axes of the value, in labels of the einsum.
    pub axes: Axes,
}

/// The scores that a value is, when it is scores.
pub fn trace_scores(graph: &Graph, id: NodeId) -> Option<Scores> {
    single_user(graph, id)?;
    let node = graph.node(id);
    if node.epilogue.is_some() || node.dtype != Dtype::F32 {
        return None;
    }
    match &node.op {
        Op::Einsum { output, .. } => {
            Some(Scores { einsum: id, scale: 1.0, masks: vec![], axes: axes_of(output, &node.shape) })
        }
        Op::Reshape | Op::Transpose { .. } => {
            let mut scores = trace_scores(graph, graph.operands(id)[0])?;
            scores.axes = labels_after_view(graph, id, &scores.axes)?;
            Some(scores)
        }
        Op::Pointwise(_) => (0..graph.operands(id).len()).find_map(|position| {
            let operand = graph.operands(id)[position];
            if graph.node(operand).shape != node.shape || graph.constant(operand).is_some() {
                return None;
            }
            let scores = trace_scores(graph, operand)?;
            through_program(graph, id, position as u32, scores)
        }),
        _ => None,
    }
}

/// The axes of a reshape or transpose of a tensor with `axes`; `None` when it splits or merges axes.
pub fn labels_after_view(graph: &Graph, view: NodeId, axes: &Axes) -> Option<Axes> {
    let node = graph.node(view);
    match &node.op {
        Op::Transpose { permutation } => Some(permutation.iter().map(|p| axes[*p]).collect()),
        Op::Reshape => {
            let from = &graph.node(*graph.operands(view).first()?).shape;
            let large = |shape: &[usize]| shape.iter().copied().filter(|d| *d != 1).collect::<Vec<_>>();
            let mut labels = axes.iter().flatten();
            (large(from) == large(&node.shape))
                .then(|| node.shape.iter().map(|d| if *d == 1 { None } else { labels.next().copied() }).collect())
        }
        _ => None,
    }
}

/// What an instruction of a program over scores holds.
#[derive(Debug, Clone)]
enum Step {
    /// The scores so far.
    Scores { scale: f64, masks: Vec<Mask> },
    /// A number.
    Number(f32),
    /// Another operand of the node, perhaps negated (truth values only).
    Other { operand: NodeId, negated: bool },
}

/// The scores after an element-wise node that reads them at `position`.
fn through_program(graph: &Graph, id: NodeId, position: u32, scores: Scores) -> Option<Scores> {
    let program = program(graph, id)?;
    let operands = graph.operands(id);
    let mut steps: Vec<Step> = Vec::new();
    for instruction in &program.instructions {
        let at = |operand: Operand| match operand {
            Operand::Input(i) if i == position => Step::Scores { scale: scores.scale, masks: scores.masks.clone() },
            Operand::Input(i) => Step::Other { operand: operands[i as usize], negated: false },
            Operand::Result(i) => steps[i as usize].clone(),
        };
        let step = match *instruction {
            Instruction::Literal(Literal::F32(bits)) => Step::Number(f32::from_bits(bits)),
            Instruction::Binary(op, a, b) => combine(op, at(a), at(b), &scores.axes)?,
            Instruction::Select { condition, then, otherwise } => {
                select(at(condition), at(then), at(otherwise), &scores.axes)?
            }
            Instruction::Unary(UnaryOp::Not, a) => match at(a) {
                Step::Other { operand, negated } => Step::Other { operand, negated: !negated },
                Step::Scores { .. } | Step::Number(_) => return None,
            },
            Instruction::Literal(Literal::I32(_) | Literal::Bool(_))
            | Instruction::Unary(..)
            | Instruction::Cast(..) => return None,
        };
        steps.push(step);
    }
    match steps.pop()? {
        Step::Scores { scale, masks } => Some(Scores { einsum: scores.einsum, scale, masks, axes: scores.axes }),
        Step::Number(_) | Step::Other { .. } => None,
    }
}

fn combine(op: BinaryOp, a: Step, b: Step, axes: &Axes) -> Option<Step> {
    let (scores, other, swapped) = match (a, b) {
        (scores @ Step::Scores { .. }, other) => (scores, other, false),
        (other, scores @ Step::Scores { .. }) => (scores, other, true),
        _ => return None,
    };
    let Step::Scores { scale, mut masks } = scores else { return None };
    match (op, other) {
        (BinaryOp::Mul, Step::Number(factor)) if masks.is_empty() => {
            Some(Step::Scores { scale: scale * f64::from(factor), masks })
        }
        (BinaryOp::Div, Step::Number(divisor)) if masks.is_empty() && !swapped => {
            Some(Step::Scores { scale: scale / f64::from(divisor), masks })
        }
        (BinaryOp::Add, Step::Other { operand, negated: false }) => {
            masks.push(Mask { kind: MaskKind::Additive(operand), axes: axes.clone() });
            Some(Step::Scores { scale, masks })
        }
        // A number that is added to all scores does not change their softmax.
        (BinaryOp::Add, Step::Number(v)) if v.abs() < 1e3 => Some(Step::Scores { scale, masks }),
        _ => None,
    }
}

fn select(condition: Step, then: Step, otherwise: Step, axes: &Axes) -> Option<Step> {
    let Step::Other { operand, negated } = condition else { return None };
    let (scores, fill, keep) = match (then, otherwise) {
        (scores @ Step::Scores { .. }, Step::Number(fill)) => (scores, fill, true),
        (Step::Number(fill), scores @ Step::Scores { .. }) => (scores, fill, false),
        _ => return None,
    };
    let Step::Scores { scale, mut masks } = scores else { return None };
    let kind = MaskKind::Where { condition: operand, keep: keep != negated, fill };
    masks.push(Mask { kind, axes: axes.clone() });
    Some(Step::Scores { scale, masks })
}
