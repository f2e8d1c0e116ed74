//! Indices that may lie outside their axis, which ONNX calls an error and kernels do not look for.
//!
//! Constant ones are refused here. Those that a public input holds, behind views, joins, sums with a constant, or with one
//! value that is replaced, become bounds of that input, which the host checks before a run. All others are computed: kernels
//! limit them to the axis, and with `check_indices` they are public outputs with bounds, which the host checks after a run.

use super::context::{Refusal, Translator};
use crate::graph::constant::Dtype;
use crate::graph::interpret::evaluate_node;
use crate::graph::op::Op;
use crate::graph::pointwise::{BinaryOp, Instruction, Literal, Operand, Pointwise};
use crate::graph::tensor::Tensor;
use crate::graph::{Graph, NodeId};
use crate::import::error::ImportError;
use crate::lower::view::{TensorId, View};
use crate::narrow::index32;
use flashmem_plan_format::indices::{IndexBound, IndexPort, Walk};
use std::ops::RangeInclusive;

/// Values that stand for the elements of an axis, those that count from its end included.
pub fn of_axis(size: usize) -> RangeInclusive<i64> {
    -(size as i64)..=size as i64 - 1
}

/// Part of the indices: elements of an input or a constant, and what is done to them.
struct Piece {
    /// The input or the constant, seen as the indices see it.
    view: View,
    source: NodeId,
    /// What is added to an element.
    shift: i64,
    /// An element that is replaced, and by what, before anything is added.
    replaced: Option<(i64, i64)>,
}

impl Piece {
    fn new(graph: &Graph, source: NodeId) -> Self {
        let view = View::dense(TensorId(0), &graph.node(source).shape);
        Self { view, source, shift: 0, replaced: None }
    }

    /// Only the elements at `component` of the last axis.
    fn at(mut self, component: Option<usize>) -> Option<Self> {
        if let Some(component) = component {
            self.view.offset += component as i64 * self.view.strides.pop()?;
            self.view.shape.pop()?;
        }
        Some(self)
    }
}

/// The indices as one piece, where they are elements of one tensor.
fn piece(graph: &Graph, id: NodeId) -> Option<Piece> {
    let node = graph.node(id);
    if node.epilogue.is_some() {
        return None;
    }
    let operand = || graph.operands(id).first().copied();
    let mut found = match &node.op {
        Op::Input | Op::Constant(_) => return Some(Piece::new(graph, id)),
        Op::Pointwise(program) => return changed(graph, id, program),
        Op::Reshape | Op::Transpose { .. } | Op::Broadcast | Op::Slice { .. } => piece(graph, operand()?)?,
        Op::Einsum { .. }
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
        | Op::Concat { .. }
        | Op::Pad { .. }
        | Op::Resize { .. }
        | Op::Kernel(_) => return None,
    };
    found.view = match &node.op {
        Op::Reshape => found.view.reshaped(&node.shape)?,
        Op::Transpose { permutation } => found.view.transposed(permutation),
        Op::Broadcast => found.view.broadcast(&node.shape),
        Op::Slice { starts, steps } => found.view.sliced(starts, steps, &node.shape),
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
        | Op::Concat { .. }
        | Op::Pad { .. }
        | Op::Resize { .. }
        | Op::Kernel(_) => return None,
    };
    Some(found)
}

/// What an element-wise program makes of one tensor: a sum with a constant, or one value replaced.
fn changed(graph: &Graph, id: NodeId, program: &Pointwise) -> Option<Piece> {
    let operands = graph.operands(id);
    let (operand, shift, replaced) = match replaced(graph, &operands, program) {
        Some((operand, replaced)) => (operand, 0, Some(replaced)),
        None if operands.len() == 1 => (operands[0], shift(program)?, None),
        None => return None,
    };
    let mut found = piece(graph, operand)?;
    found.view = found.view.broadcast(&graph.node(id).shape);
    if let Some((value, by)) = replaced {
        if found.replaced.is_some() {
            return None;
        }
        found.replaced = Some((value - found.shift, by - found.shift));
    }
    found.shift += shift;
    Some(found)
}

/// What a program of one input adds to it.
fn shift(program: &Pointwise) -> Option<i64> {
    /// A value: the input and a number, or a number.
    #[derive(Clone, Copy)]
    enum Term {
        Input(i64),
        Number(i64),
    }
    let mut terms: Vec<Term> = Vec::new();
    for instruction in &program.instructions {
        let at = |operand: Operand| match operand {
            Operand::Input(_) => Term::Input(0),
            Operand::Result(i) => terms[i as usize],
        };
        let term = match *instruction {
            Instruction::Literal(Literal::I32(value)) => Term::Number(value.into()),
            Instruction::Binary(BinaryOp::Add, a, b) => match (at(a), at(b)) {
                (Term::Input(a), Term::Number(b)) | (Term::Number(b), Term::Input(a)) => Term::Input(a + b),
                (Term::Input(_), Term::Input(_)) | (Term::Number(_), Term::Number(_)) => return None,
            },
            Instruction::Binary(BinaryOp::Sub, a, b) => match (at(a), at(b)) {
                (Term::Input(a), Term::Number(b)) => Term::Input(a - b),
                (Term::Input(_) | Term::Number(_), Term::Input(_)) | (Term::Number(_), Term::Number(_)) => return None,
            },
            Instruction::Cast(a, Dtype::I32) if program.operand_dtype(a) != Dtype::F32 => at(a),
            Instruction::Literal(_)
            | Instruction::Unary(..)
            | Instruction::Binary(..)
            | Instruction::Select { .. }
            | Instruction::Cast(..) => return None,
        };
        terms.push(term);
    }
    match terms.pop()? {
        Term::Input(shift) => Some(shift),
        Term::Number(_) => None,
    }
}

/// The operand of `x == value ? by : x`, the value, and what takes its place.
fn replaced(graph: &Graph, operands: &[NodeId], program: &Pointwise) -> Option<(NodeId, (i64, i64))> {
    let [Instruction::Literal(Literal::I32(by)), Instruction::Select { condition, then, otherwise }] =
        program.instructions[..]
    else {
        return None;
    };
    let (Operand::Input(condition), Operand::Result(0), Operand::Input(x)) = (condition, then, otherwise) else {
        return None;
    };
    let (condition, x) = (operands[condition as usize], operands[x as usize]);
    let Op::Pointwise(compared) = &graph.node(condition).op else { return None };
    let [Instruction::Literal(Literal::I32(value)), Instruction::Binary(BinaryOp::Equal, a, b)] =
        compared.instructions[..]
    else {
        return None;
    };
    let compares = matches!((a, b), (Operand::Input(0), Operand::Result(0)) | (Operand::Result(0), Operand::Input(0)));
    (compares && graph.operands(condition) == [x]).then(|| (x, (value.into(), by.into())))
}

/// The pieces that the indices are, in any order; `None` where some are computed.
fn pieces(graph: &Graph, id: NodeId, component: Option<usize>) -> Option<Vec<Piece>> {
    if let Some(found) = piece(graph, id) {
        return Some(vec![found.at(component)?]);
    }
    let (node, operands) = (graph.node(id), graph.operands(id));
    if node.epilogue.is_some() {
        return None;
    }
    match &node.op {
        Op::Concat { axis } if component.is_some() && *axis + 1 == node.shape.len() => {
            let mut at = component?;
            for operand in operands {
                let size = *graph.node(operand).shape.last()?;
                if at < size {
                    return pieces(graph, operand, Some(at));
                }
                at -= size;
            }
            None
        }
        Op::Concat { .. } => {
            let lists =
                operands.iter().map(|operand| pieces(graph, *operand, component)).collect::<Option<Vec<_>>>()?;
            Some(lists.into_iter().flatten().collect())
        }
        Op::Reshape if component.is_none() || graph.node(operands[0]).shape.last() == node.shape.last() => {
            pieces(graph, operands[0], component)
        }
        Op::Transpose { .. } if component.is_none() => pieces(graph, operands[0], None),
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
        | Op::Reshape
        | Op::Transpose { .. }
        | Op::Broadcast
        | Op::Slice { .. }
        | Op::Pad { .. }
        | Op::Resize { .. }
        | Op::Kernel(_) => None,
    }
}

/// The value of a node that depends on constants alone.
fn constant(graph: &Graph, id: NodeId) -> Tensor {
    let operands: Vec<Tensor> = graph.operands(id).iter().map(|operand| constant(graph, *operand)).collect();
    evaluate_node(graph, id, &operands.iter().collect::<Vec<_>>())
}

impl Translator<'_> {
    /// Says that the elements of `indices`, those at `component` of the last axis if one is given, are to be in `range`.
    ///
    /// # Errors
    /// A constant index outside.
    pub fn bound(
        &mut self,
        indices: NodeId,
        component: Option<usize>,
        range: RangeInclusive<i64>,
    ) -> Result<(), Refusal> {
        let graph = self.graph();
        if self.is_constant(indices) {
            let value = constant(graph, indices);
            let step = component.map_or(1, |_| value.shape.last().copied().unwrap_or(1).max(1));
            let elements = value.words.iter().enumerate().skip(component.unwrap_or(0)).step_by(step);
            let outside = elements.map(|(at, word)| (at, i64::from(*word as i32))).find(|(_, i)| !range.contains(i));
            return outside.map_or(Ok(()), |(position, index)| {
                Err(Refusal::Fatal(self.index_error(position as u64, index, &range)))
            });
        }
        match pieces(graph, indices, component) {
            Some(pieces) => pieces.into_iter().try_for_each(|piece| self.bound_piece(&piece, &range)),
            None => {
                self.computed_indices(indices, component, range);
                Ok(())
            }
        }
    }

    fn index_error(&self, position: u64, index: i64, range: &RangeInclusive<i64>) -> ImportError {
        let (least, most) = range.clone().into_inner();
        ImportError::IndexRange { node: self.name(), position, index, least, most }
    }

    fn bound_piece(&mut self, piece: &Piece, range: &RangeInclusive<i64>) -> Result<(), Refusal> {
        let (least, most) = (range.start() - piece.shift, range.end() - piece.shift);
        let by_in_range = |by: i64| (least..=most).contains(&by);
        let except = piece.replaced.filter(|(_, by)| by_in_range(*by)).map(|(value, _)| value);
        let graph = self.graph();
        // What a broadcast repeats is looked at once.
        let axes = piece.view.shape.iter().zip(&piece.view.strides).filter(|(_, stride)| **stride != 0);
        let mut bound = IndexBound {
            port: IndexPort::Input(0),
            walk: Walk {
                offset: piece.view.offset as u64,
                shape: axes.clone().map(|(extent, _)| *extent as u64).collect(),
                strides: axes.map(|(_, stride)| *stride).collect(),
            },
            least,
            most,
            except,
            node: self.origin(),
        };
        if let Some(constant) = graph.constant(piece.source) {
            let value = |position: u64| i64::from(constant.device_word_at(position as usize) as i32);
            let outside = bound.walk.positions().map(|at| (at, value(at))).find(|(_, value)| !bound.allows(*value));
            return outside.map_or(Ok(()), |(position, value)| {
                Err(Refusal::Fatal(self.index_error(position, value + piece.shift, range)))
            });
        }
        let position = graph.inputs.iter().position(|port| port.node == piece.source);
        // A placeholder of something unsupported is no input, and the model is refused.
        if let Some(position) = position.filter(|_| !bound.walk.shape.contains(&0)) {
            bound.port = IndexPort::Input(index32(position));
            self.add_bound(bound);
        }
        Ok(())
    }

    /// Bounds the only input that indices are computed from, where its own range is known.
    pub fn bound_source(&mut self, indices: NodeId, range: RangeInclusive<i64>) -> Result<(), Refusal> {
        let graph = self.graph();
        let (mut stack, mut leaves) = (vec![indices], Vec::new());
        while let Some(id) = stack.pop() {
            match piece(graph, id) {
                Some(found) if graph.constant(found.source).is_some() => {}
                Some(found) => leaves.push(found),
                None => stack.extend(graph.operands(id)),
            }
        }
        leaves.sort_by_key(|leaf| (leaf.source, leaf.view.offset, leaf.shift));
        leaves.dedup_by_key(|leaf| leaf.source);
        match &leaves[..] {
            [leaf] if leaf.replaced.is_none() => {
                let source = Piece::new(graph, leaf.source);
                self.bound_piece(&source, &range)
            }
            _ => Ok(()),
        }
    }
}
