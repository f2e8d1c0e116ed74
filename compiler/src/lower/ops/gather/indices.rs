//! Indices that the host can compute: elements of public inputs and constants behind views, joins and integer programs.
//!
//! Views are pushed down to the tensors that are read, so that each becomes one strided walk over the places of the indices, and
//! the programs on the way become one. Where indices are joined from several tensors, they fall into boxes of places, each with a
//! program of its own; padding is a join. Numbers of a constant list at computed places are looked up. Of floats, only the
//! conversion to integers is the host's; whatever is neither a view, a join nor element-wise is the device's.

use crate::graph::constant::Dtype;
use crate::graph::op::{Op, PadMode};
use crate::graph::pointwise::{BinaryOp, Instruction, Literal, Operand, Pointwise, UnaryOp};
use crate::graph::{Graph, NodeId};
use crate::lower::view::{TensorId, View, merge_axes};
use crate::narrow::index32;
use flashmem_plan_format::indices::Walk;
use flashmem_plan_format::row_indices::{
    IndexBinary, IndexInstruction, IndexOperand, IndexSource, IndexUnary, IndexValue, MAX_CONSTANT_ELEMENTS,
    MAX_INSTRUCTIONS, MAX_OPERANDS, MAX_TABLE_ELEMENTS, MAX_TABLES, RowIndices,
};
use std::collections::BTreeMap;

/// Most boxes that the places of one gather fall into.
const MAX_PIECES: usize = 64;
/// Most views between a tensor and the indices.
const MAX_STEPS: usize = 64;

/// A box of the indices' places, and what they are there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// First place.
    pub starts: Vec<usize>,
    /// Extents.
    pub shape: Vec<usize>,
    /// The indices.
    pub indices: RowIndices,
}

/// The indices `id` in boxes that do not overlap; `None` where some are computed on the device.
pub fn pieces(graph: &Graph, id: NodeId) -> Option<Vec<Piece>> {
    let shape = &graph.node(id).shape;
    let mut boxes = vec![(vec![0; shape.len()], shape.clone())];
    let mut pieces = Vec::new();
    while let Some((starts, extents)) = boxes.pop() {
        match Extraction::indices(graph, id, &starts, &extents) {
            Ok(indices) => pieces.push(Piece { starts, shape: extents, indices }),
            Err(Blocked::Device) => return None,
            Err(Blocked::Joint { axis, cuts }) => {
                let ends = cuts.iter().copied().chain([extents[axis]]);
                for (from, to) in [0].into_iter().chain(cuts.iter().copied()).zip(ends) {
                    let (mut starts, mut extents) = (starts.clone(), extents.clone());
                    starts[axis] += from;
                    extents[axis] = to - from;
                    boxes.push((starts, extents));
                }
            }
        }
        if boxes.len() + pieces.len() > MAX_PIECES {
            return None;
        }
    }
    pieces.sort_unstable_by(|a, b| a.starts.cmp(&b.starts));
    Some(pieces)
}

/// How the elements of a tensor lie in one that is made of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Reshape(Vec<usize>),
    Transpose(Vec<usize>),
    Broadcast(Vec<usize>),
    Slice {
        starts: Vec<usize>,
        steps: Vec<isize>,
        shape: Vec<usize>,
    },
    /// From `start` on along `axis` of a larger one, of which nothing else is looked at.
    Part {
        axis: usize,
        start: usize,
        shape: Vec<usize>,
    },
}

/// Why a box of indices is no single program.
#[derive(Debug, PartialEq, Eq)]
enum Blocked {
    /// Something is computed on the device.
    Device,
    /// It is joined from several tensors, and falls apart before these places of an axis.
    Joint { axis: usize, cuts: Vec<usize> },
}

/// A view of a tensor whose places lie as `view` says, behind the steps, the last of which is next to the tensor.
fn behind(steps: &[Step], mut view: View) -> Option<View> {
    for step in steps.iter().rev() {
        view = match step {
            Step::Reshape(shape) => view.reshaped(shape)?,
            Step::Transpose(permutation) => view.transposed(permutation),
            Step::Broadcast(shape) => view.broadcast(shape),
            Step::Slice { starts, steps, shape } => view.sliced(starts, steps, shape),
            Step::Part { axis, start, shape } => {
                View { offset: view.offset - *start as i64 * view.strides[*axis], shape: shape.clone(), ..view }
            }
        };
    }
    Some(view)
}

/// One program in the making.
struct Extraction<'g> {
    graph: &'g Graph,
    /// From the box of indices down to the node that is looked at.
    steps: Vec<Step>,
    operands: Vec<(IndexSource, View)>,
    tables: Vec<(NodeId, Vec<i32>)>,
    instructions: Vec<IndexInstruction>,
    /// What nodes are behind the steps to them: a node with several readers is followed once.
    known: BTreeMap<(NodeId, Vec<Step>), IndexValue>,
}

impl<'g> Extraction<'g> {
    fn indices(graph: &'g Graph, id: NodeId, starts: &[usize], extents: &[usize]) -> Result<RowIndices, Blocked> {
        let mut this = Self {
            graph,
            steps: Vec::new(),
            operands: Vec::new(),
            tables: Vec::new(),
            instructions: Vec::new(),
            known: BTreeMap::new(),
        };
        if graph.node(id).shape != extents {
            let (starts, shape) = (starts.to_vec(), extents.to_vec());
            this.steps.push(Step::Slice { starts, steps: vec![1; extents.len()], shape });
        }
        let value = this.value(id)?;
        this.finish(value, extents)
    }

    /// The program whose last value is `value`, with walks over merged axes.
    fn finish(mut self, value: IndexValue, extents: &[usize]) -> Result<RowIndices, Blocked> {
        let count = self.instructions.len();
        let last = count.checked_sub(1).map_or(IndexValue::Operand(0), |last| IndexValue::Result(index32(last)));
        if value != last {
            self.push(IndexInstruction::Select { condition: value, then: value, otherwise: value })?;
        }
        let mut tables: Vec<Vec<i32>> = self.tables.into_iter().map(|(_, numbers)| numbers).collect();
        if self.operands.is_empty() {
            let all = RowIndices { operands: vec![], tables, instructions: self.instructions };
            let source = IndexSource::Constant(vec![all.evaluate(&[], &mut Vec::new())]);
            let view =
                View { tensor: TensorId(0), offset: 0, shape: extents.to_vec(), strides: vec![0; extents.len()] };
            (self.operands, tables, self.instructions) = (vec![(source, view)], vec![], vec![]);
        }
        let strides: Vec<Vec<i64>> = self.operands.iter().map(|(_, view)| view.strides.clone()).collect();
        let (shape, strides) = merge_axes(extents, &strides);
        let shape: Vec<u64> = shape.iter().map(|extent| *extent as u64).collect();
        let operands = self.operands.into_iter().zip(strides).map(|((source, view), strides)| {
            let offset = u64::try_from(view.offset).map_err(|_| Blocked::Device)?;
            Ok(IndexOperand { source, walk: Walk { offset, shape: shape.clone(), strides } })
        });
        Ok(RowIndices { operands: operands.collect::<Result<_, _>>()?, tables, instructions: self.instructions })
    }

    /// What a node is at the places that the steps lead to.
    fn value(&mut self, id: NodeId) -> Result<IndexValue, Blocked> {
        if self.steps.len() > MAX_STEPS {
            return Err(Blocked::Device);
        }
        let key = (id, self.steps.clone());
        if let Some(value) = self.known.get(&key) {
            return Ok(*value);
        }
        let value = self.with_epilogue(id)?;
        self.known.insert(key, value);
        Ok(value)
    }

    fn with_epilogue(&mut self, id: NodeId) -> Result<IndexValue, Blocked> {
        let node = self.graph.node(id);
        let value = self.operator(id)?;
        let Some(program) = &node.epilogue else { return Ok(value) };
        let others = &self.graph.operands(id)[self.graph.op_operand_count(id)..];
        let mut inputs = vec![value];
        for operand in others {
            inputs.push(self.spread(&node.shape, *operand)?);
        }
        self.run(program, &inputs)
    }

    /// What a node's operator gives, without its epilogue.
    fn operator(&mut self, id: NodeId) -> Result<IndexValue, Blocked> {
        let node = self.graph.node(id);
        let operands = &self.graph.operands(id)[..self.graph.op_operand_count(id)];
        let step = match &node.op {
            Op::Input | Op::Constant(_) => return self.tensor(id),
            Op::Pointwise(program) => {
                let inputs = operands.iter().map(|operand| self.spread(&node.shape, *operand));
                let inputs: Vec<IndexValue> = inputs.collect::<Result<_, _>>()?;
                return self.run(program, &inputs);
            }
            Op::Concat { axis } => return self.part(id, *axis),
            Op::Pad { before, after, mode: PadMode::Constant(value) } => {
                return self.padded(operands[0], before, after, *value);
            }
            Op::Gather { axis: 0 } => return self.looked_up(operands[0], operands[1]),
            Op::Reshape => Step::Reshape(node.shape.clone()),
            Op::Transpose { permutation } => Step::Transpose(permutation.clone()),
            Op::Broadcast => Step::Broadcast(node.shape.clone()),
            Op::Slice { starts, steps } => {
                Step::Slice { starts: starts.clone(), steps: steps.clone(), shape: node.shape.clone() }
            }
            Op::Unfold { .. }
            | Op::Einsum { .. }
            | Op::Conv { .. }
            | Op::Fold { .. }
            | Op::Scatter { .. }
            | Op::Attention { .. }
            | Op::Pool { .. }
            | Op::Softmax { .. }
            | Op::Normalize { .. }
            | Op::Reduce { .. }
            | Op::ArgReduce { .. }
            | Op::Gather { axis: 1.. }
            | Op::Pad { mode: PadMode::Reflect | PadMode::Edge, .. }
            | Op::Kernel(_)
            | Op::Resize { .. } => return Err(Blocked::Device),
        };
        self.below(step, operands[0])
    }

    /// An operand that broadcasts to `shape`.
    fn spread(&mut self, shape: &[usize], id: NodeId) -> Result<IndexValue, Blocked> {
        if self.graph.node(id).shape == shape {
            return self.value(id);
        }
        self.below(Step::Broadcast(shape.to_vec()), id)
    }

    fn below(&mut self, step: Step, id: NodeId) -> Result<IndexValue, Blocked> {
        self.steps.push(step);
        let value = self.value(id);
        self.steps.pop();
        value
    }

    /// Elements of an input or of a constant.
    fn tensor(&mut self, id: NodeId) -> Result<IndexValue, Blocked> {
        let source = match self.graph.constant(id) {
            Some(constant) => {
                if constant.is_empty() || constant.len() > MAX_CONSTANT_ELEMENTS {
                    return Err(Blocked::Device);
                }
                let words: Vec<i32> = (0..constant.len()).map(|i| constant.device_word_at(i) as i32).collect();
                if words.iter().all(|word| *word == words[0]) {
                    return self.push(IndexInstruction::Literal(words[0]));
                }
                IndexSource::Constant(words)
            }
            None => {
                let position = self.graph.inputs.iter().position(|input| input.node == id).ok_or(Blocked::Device)?;
                IndexSource::Input(index32(position))
            }
        };
        let view = behind(&self.steps, View::dense(TensorId(0), &self.graph.node(id).shape)).ok_or(Blocked::Device)?;
        let operand = (source, view);
        let position = self.operands.iter().position(|known| *known == operand).unwrap_or_else(|| {
            self.operands.push(operand);
            self.operands.len() - 1
        });
        if self.operands.len() > MAX_OPERANDS {
            Err(Blocked::Device)
        } else {
            Ok(IndexValue::Operand(index32(position)))
        }
    }

    /// The number of a constant list of integers at a place.
    fn looked_up(&mut self, list: NodeId, at: NodeId) -> Result<IndexValue, Blocked> {
        let numbers = self.graph.constant(list).filter(|numbers| {
            numbers.shape.len() == 1
                && numbers.dtype() == Dtype::I32
                && (1..=MAX_TABLE_ELEMENTS).contains(&numbers.len())
        });
        let numbers = numbers.ok_or(Blocked::Device)?;
        let place = self.value(at)?;
        let table = self.tables.iter().position(|(known, _)| *known == list).unwrap_or_else(|| {
            self.tables.push((list, (0..numbers.len()).map(|i| numbers.device_word_at(i) as i32).collect()));
            self.tables.len() - 1
        });
        if self.tables.len() > MAX_TABLES {
            return Err(Blocked::Device);
        }
        self.push(IndexInstruction::Lookup { table: index32(table), at: place })
    }

    /// What a join is, where all places are in one of its operands.
    fn part(&mut self, id: NodeId, axis: usize) -> Result<IndexValue, Blocked> {
        let shape = &self.graph.node(id).shape;
        let operands = &self.graph.operands(id)[..self.graph.op_operand_count(id)];
        let mut starts = Vec::with_capacity(operands.len());
        let mut end = 0;
        for operand in operands {
            starts.push(end);
            end += self.graph.node(*operand).shape[axis];
        }
        let found = self.joined(shape, axis, &starts)?;
        let step = Step::Part { axis, start: starts[found], shape: shape.clone() };
        self.below(step, operands[found])
    }

    /// Which operand of a join has all places; those along `axis` begin at `starts`.
    fn joined(&self, shape: &[usize], axis: usize, starts: &[usize]) -> Result<usize, Blocked> {
        // Operands that begin at or before a place of the axis, less one: those without elements are passed over.
        let operand_at = |place: i64| starts.partition_point(|start| *start as i64 <= place).saturating_sub(1);
        let mut along = vec![0; shape.len()];
        along[axis] = 1;
        let places = View { tensor: TensorId(0), offset: 0, shape: shape.to_vec(), strides: along };
        let places = behind(&self.steps, places).ok_or(Blocked::Device)?;
        let spans = places.shape.iter().zip(&places.strides).map(|(extent, stride)| (*extent as i64 - 1) * stride);
        let (mut first, mut last) = (places.offset, places.offset);
        spans.for_each(|span| {
            first += span.min(0);
            last += span.max(0);
        });
        let (from, to) = (operand_at(first), operand_at(last));
        if from == to { Ok(from) } else { Err(cut(&places, operand_at)) }
    }

    /// What a padded tensor is, where all places are in it or in its padding: one axis after the other a join with `fill`.
    fn padded(&mut self, id: NodeId, before: &[usize], after: &[usize], fill: f32) -> Result<IndexValue, Blocked> {
        let fill = match self.graph.node(id).dtype {
            Dtype::F32 => fill.to_bits().cast_signed(),
            Dtype::I32 | Dtype::Bool => fill as i32,
        };
        let inner = self.graph.node(id).shape.clone();
        let depth = self.steps.len();
        let mut value = None;
        for axis in 0..inner.len() {
            // Padded along this axis and those behind it.
            let padded = |other: usize| if other < axis { 0 } else { before[other] + after[other] };
            let shape: Vec<usize> = inner.iter().enumerate().map(|(axis, size)| size + padded(axis)).collect();
            let starts = [0, before[axis], before[axis] + inner[axis]];
            match self.joined(&shape, axis, &starts) {
                Ok(1) => self.steps.push(Step::Part { axis, start: before[axis], shape }),
                Ok(_) => value = Some(self.push(IndexInstruction::Literal(fill))),
                Err(blocked) => value = Some(Err(blocked)),
            }
            if value.is_some() {
                break;
            }
        }
        let value = value.unwrap_or_else(|| self.value(id));
        self.steps.truncate(depth);
        value
    }

    /// Appends an instruction, or finds it.
    fn push(&mut self, instruction: IndexInstruction) -> Result<IndexValue, Blocked> {
        let position = self.instructions.iter().position(|known| *known == instruction).unwrap_or_else(|| {
            self.instructions.push(instruction);
            self.instructions.len() - 1
        });
        if self.instructions.len() > MAX_INSTRUCTIONS {
            return Err(Blocked::Device);
        }
        Ok(IndexValue::Result(index32(position)))
    }

    /// What a program gives for values of its inputs.
    fn run(&mut self, program: &Pointwise, inputs: &[IndexValue]) -> Result<IndexValue, Blocked> {
        let mut results: Vec<IndexValue> = Vec::with_capacity(program.instructions.len());
        for (position, instruction) in program.instructions.iter().enumerate() {
            if program.instruction_dtype(index32(position)) == Dtype::F32 {
                return Err(Blocked::Device);
            }
            let value = |operand: Operand| match operand {
                Operand::Input(input) => inputs[input as usize],
                Operand::Result(result) => results[result as usize],
            };
            let result = match *instruction {
                Instruction::Literal(Literal::I32(number)) => self.push(IndexInstruction::Literal(number))?,
                Instruction::Literal(Literal::Bool(boolean)) => self.push(IndexInstruction::Literal(boolean.into()))?,
                Instruction::Literal(Literal::F32(_)) => return Err(Blocked::Device),
                Instruction::Unary(op, a) => self.unary(op, value(a))?,
                Instruction::Binary(op, a, b) => {
                    let op = binary(op).filter(|_| program.operand_dtype(a) != Dtype::F32).ok_or(Blocked::Device)?;
                    self.push(IndexInstruction::Binary(op, value(a), value(b)))?
                }
                Instruction::Select { condition, then, otherwise } => self.push(IndexInstruction::Select {
                    condition: value(condition),
                    then: value(then),
                    otherwise: value(otherwise),
                })?,
                Instruction::Cast(a, to) => match (program.operand_dtype(a), to) {
                    (Dtype::I32 | Dtype::Bool, Dtype::I32) | (Dtype::Bool, Dtype::Bool) => value(a),
                    (Dtype::I32, Dtype::Bool) => self.push(IndexInstruction::Unary(IndexUnary::Bool, value(a)))?,
                    (Dtype::F32, Dtype::I32) => self.push(IndexInstruction::Unary(IndexUnary::Truncate, value(a)))?,
                    (Dtype::F32, Dtype::Bool) | (Dtype::F32 | Dtype::I32 | Dtype::Bool, Dtype::F32) => {
                        return Err(Blocked::Device);
                    }
                },
            };
            results.push(result);
        }
        results.last().copied().ok_or(Blocked::Device)
    }

    /// A function of one integer. Those of floats do not come here.
    fn unary(&mut self, op: UnaryOp, a: IndexValue) -> Result<IndexValue, Blocked> {
        let function = match op {
            UnaryOp::Abs => IndexUnary::Abs,
            UnaryOp::Neg => IndexUnary::Neg,
            UnaryOp::Sign => IndexUnary::Sign,
            UnaryOp::Not => IndexUnary::Not,
            UnaryOp::BitNot => IndexUnary::BitNot,
            UnaryOp::Relu => {
                let zero = self.push(IndexInstruction::Literal(0))?;
                return self.push(IndexInstruction::Binary(IndexBinary::Max, a, zero));
            }
            UnaryOp::Exp
            | UnaryOp::Log
            | UnaryOp::Sqrt
            | UnaryOp::Rsqrt
            | UnaryOp::Reciprocal
            | UnaryOp::Sigmoid
            | UnaryOp::Tanh
            | UnaryOp::Erf
            | UnaryOp::Silu
            | UnaryOp::GeluErf
            | UnaryOp::GeluTanh
            | UnaryOp::Softplus
            | UnaryOp::HardSwish
            | UnaryOp::Floor
            | UnaryOp::Ceil
            | UnaryOp::Round
            | UnaryOp::RoundToF16
            | UnaryOp::Sin
            | UnaryOp::Cos
            | UnaryOp::Tan
            | UnaryOp::Asin
            | UnaryOp::Acos
            | UnaryOp::Atan
            | UnaryOp::Sinh
            | UnaryOp::Cosh
            | UnaryOp::Asinh
            | UnaryOp::Acosh
            | UnaryOp::Atanh
            | UnaryOp::IsNan
            | UnaryOp::IsInf => return Err(Blocked::Device),
        };
        self.push(IndexInstruction::Unary(function, a))
    }
}

/// Where a box of places falls apart: before these of the axis along which the places of a join move fastest.
fn cut(places: &View, operand_at: impl Fn(i64) -> usize) -> Blocked {
    let mut axes: Vec<usize> = (0..places.shape.len()).filter(|axis| places.strides[*axis] != 0).collect();
    axes.sort_by_key(|axis| std::cmp::Reverse(places.strides[*axis].abs()));
    let cuts = |axis: usize| -> Vec<usize> {
        let operand = |at: usize| operand_at(places.offset + at as i64 * places.strides[axis]);
        (1..places.shape[axis]).filter(|at| operand(*at) != operand(*at - 1)).collect()
    };
    let found = axes.into_iter().map(|axis| (axis, cuts(axis))).find(|(_, cuts)| !cuts.is_empty());
    found.map_or(Blocked::Device, |(axis, cuts)| Blocked::Joint { axis, cuts })
}

/// The same function of two integers or booleans.
const fn binary(op: BinaryOp) -> Option<IndexBinary> {
    Some(match op {
        BinaryOp::Add => IndexBinary::Add,
        BinaryOp::Sub => IndexBinary::Sub,
        BinaryOp::Mul => IndexBinary::Mul,
        BinaryOp::Div => IndexBinary::Div,
        BinaryOp::Pow => return None,
        BinaryOp::Min => IndexBinary::Min,
        BinaryOp::Max => IndexBinary::Max,
        BinaryOp::Fmod => IndexBinary::Fmod,
        BinaryOp::FloorMod => IndexBinary::FloorMod,
        BinaryOp::Equal => IndexBinary::Equal,
        BinaryOp::NotEqual => IndexBinary::NotEqual,
        BinaryOp::Less => IndexBinary::Less,
        BinaryOp::LessEqual => IndexBinary::LessEqual,
        BinaryOp::Greater => IndexBinary::Greater,
        BinaryOp::GreaterEqual => IndexBinary::GreaterEqual,
        BinaryOp::And => IndexBinary::And,
        BinaryOp::Or => IndexBinary::Or,
        BinaryOp::Xor => IndexBinary::Xor,
        BinaryOp::BitAnd => IndexBinary::BitAnd,
        BinaryOp::BitOr => IndexBinary::BitOr,
        BinaryOp::BitXor => IndexBinary::BitXor,
        BinaryOp::ShiftLeft => IndexBinary::ShiftLeft,
        BinaryOp::ShiftRight => IndexBinary::ShiftRight,
    })
}

#[cfg(test)]
mod tests;
