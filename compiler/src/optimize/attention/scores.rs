//! Follows the input of a softmax back to the einsum of queries and keys.
//!
//! Views that only permute axes and element-wise nodes may stand in between. What the element-wise nodes do to a score becomes
//! one program, which attention runs on every score as it stands: masks, biases, caps and roundings keep their order and their
//! values, those of rows without any key included. Only a factor at its beginning is distinguished.

use super::axes::{Axes, axes_of};
use crate::graph::constant::Dtype;
use crate::graph::op::Op;
use crate::graph::pointwise::{BinaryOp, Instruction, Literal, Operand, Pointwise};
use crate::graph::{Graph, NodeId};
use crate::narrow::index32;
use crate::optimize::expression::{Simplified, simplify};
use crate::optimize::fuse::input_first;
use crate::optimize::nodes::{program, single_user};
use crate::optimize::programs::{merge_equal_operands, reads, without_input};

/// A tensor that a score program reads, and the labels of its axes.
#[derive(Debug, Clone, PartialEq)]
pub struct Term {
    /// The tensor.
    pub node: NodeId,
    /// Its axes, in labels of the einsum.
    pub axes: Axes,
}

/// softmax's input: program(scale · einsum, sums of terms).
#[derive(Debug)]
pub struct Scores {
    /// The einsum of queries and keys.
    pub einsum: NodeId,
    /// The scale.
    pub scale: f64,
    /// What is done with a scaled score, its input 0; `None` for nothing.
    pub program: Option<Pointwise>,
    /// The program's other inputs, each the sum of its terms.
    pub operands: Vec<Vec<Term>>,
    /// Axes of the value, in labels of the einsum.
    pub axes: Axes,
}

impl Scores {
    /// The scores that a value is, with whatever operands, when it is scores.
    pub fn traced(graph: &Graph, id: NodeId) -> Option<Self> {
        let mut scores = trace(graph, id)?;
        scores.simplify();
        scores.take_scale();
        Some(scores)
    }

    /// Puts an element-wise program behind the scores, whose input 0 they are and whose others are `operands`.
    pub fn apply(&mut self, program: &Pointwise, operands: Vec<Vec<Term>>) {
        self.program = Some(match &self.program {
            None => program.clone(),
            Some(inner) => input_first(&inner.then(program, 0), index32(operands.len())),
        });
        self.operands.splice(0..0, operands);
    }

    /// Simplifies the program, and drops what it does not read.
    pub fn simplify(&mut self) {
        let Some(mut program) = self.program.take() else { return };
        for position in (1..self.operands.len()).rev() {
            if let Some(first) = self.operands[..position].iter().position(|o| *o == self.operands[position]) {
                program = program.merge_inputs(index32(first) + 1, index32(position) + 1);
                self.operands.remove(position);
            }
        }
        let mut program = match simplify(&program) {
            Simplified::Identity(0) => {
                self.operands.clear();
                return;
            }
            // A tensor in place of the scores: nothing is left of them, and no pattern of attention either.
            Simplified::Identity(_) => program,
            Simplified::Pointwise(simpler) => simpler,
        };
        for position in (0..self.operands.len()).rev() {
            if !reads(&program, index32(position) + 1) {
                program = without_input(&program, index32(position) + 1);
                self.operands.remove(position);
            }
        }
        self.program = Some(program);
    }

    /// Takes out the factor by which the program begins.
    fn take_scale(&mut self) {
        let Some(program) = &self.program else { return };
        let score = Operand::Input(0);
        let readers = program.instructions.iter().enumerate().filter(|(_, i)| reads_operand(i, score));
        let [(index, Instruction::Binary(op, a, Operand::Result(literal)))] = readers.collect::<Vec<_>>()[..] else {
            return;
        };
        let Instruction::Literal(Literal::F32(bits)) = program.instructions[*literal as usize] else { return };
        let factor = f64::from(f32::from_bits(bits));
        let factor = if *op == BinaryOp::Div { 1.0 / factor } else { factor };
        let is_factor = matches!(op, BinaryOp::Mul | BinaryOp::Div) && *a == score;
        if !is_factor || !factor.is_finite() || factor == 0.0 {
            return;
        }
        self.scale *= factor;
        if index + 1 == program.instructions.len() {
            self.program = None;
            return;
        }
        let result = Operand::Result(index32(index));
        let skip = |operand| if operand == result { score } else { operand };
        let instructions = program.instructions.iter().map(|i| i.map_operands(skip)).collect();
        self.program = Some(Pointwise { inputs: program.inputs.clone(), instructions });
        self.simplify();
    }
}

/// Whether an instruction has an operand.
pub fn reads_operand(instruction: &Instruction, operand: Operand) -> bool {
    let found = std::cell::Cell::new(false);
    instruction.map_operands(|o| {
        found.set(found.get() || o == operand);
        o
    });
    found.get()
}

/// A tensor that broadcasts to one with `axes`, and the labels that its own axes have.
pub fn term(graph: &Graph, node: NodeId, axes: &Axes) -> Term {
    let own = graph.node(node).shape.iter().zip(axes).map(|(dim, l)| if *dim == 1 { None } else { *l }).collect();
    Term { node, axes: own }
}

fn trace(graph: &Graph, id: NodeId) -> Option<Scores> {
    single_user(graph, id)?;
    let node = graph.node(id);
    if node.epilogue.is_some() || node.dtype != Dtype::F32 {
        return None;
    }
    match &node.op {
        Op::Einsum { output, .. } => {
            let axes = axes_of(output, &node.shape);
            Some(Scores { einsum: id, scale: 1.0, program: None, operands: vec![], axes })
        }
        Op::Reshape | Op::Transpose { .. } => {
            let mut scores = trace(graph, graph.operands(id)[0])?;
            scores.axes = labels_after_view(graph, id, &scores.axes)?;
            Some(scores)
        }
        Op::Pointwise(_) => through_program(graph, id),
        Op::Input
        | Op::Constant(_)
        | Op::Conv { .. }
        | Op::Fold { .. }
        | Op::Unfold { .. }
        | Op::Pool { .. }
        | Op::Softmax { .. }
        | Op::Normalize { .. }
        | Op::Attention { .. }
        | Op::Reduce { .. }
        | Op::ArgReduce { .. }
        | Op::Gather { .. }
        | Op::Scatter { .. }
        | Op::Broadcast
        | Op::Slice { .. }
        | Op::Concat { .. }
        | Op::Pad { .. }
        | Op::Resize { .. }
        | Op::Kernel(_) => None,
    }
}

/// The scores after an element-wise node.
fn through_program(graph: &Graph, id: NodeId) -> Option<Scores> {
    let (program, operands) = merge_equal_operands(program(graph, id)?.clone(), graph.operands(id));
    let whole =
        |operand: NodeId| graph.node(operand).shape == graph.node(id).shape && graph.constant(operand).is_none();
    let (position, mut scores) = operands.iter().enumerate().find_map(|(position, operand)| {
        whole(*operand).then(|| trace(graph, *operand)).flatten().map(|s| (position, s))
    })?;
    let others = operands.iter().enumerate().filter(|(other, _)| *other != position);
    let others = others.map(|(_, operand)| vec![term(graph, *operand, &scores.axes)]).collect();
    scores.apply(&input_first(&program, index32(position)), others);
    Some(scores)
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
        Op::Input
        | Op::Constant(_)
        | Op::Pointwise(_)
        | Op::Einsum { .. }
        | Op::Conv { .. }
        | Op::Fold { .. }
        | Op::Unfold { .. }
        | Op::Pool { .. }
        | Op::Softmax { .. }
        | Op::Normalize { .. }
        | Op::Attention { .. }
        | Op::Reduce { .. }
        | Op::ArgReduce { .. }
        | Op::Gather { .. }
        | Op::Scatter { .. }
        | Op::Broadcast
        | Op::Slice { .. }
        | Op::Concat { .. }
        | Op::Pad { .. }
        | Op::Resize { .. }
        | Op::Kernel(_) => None,
    }
}
