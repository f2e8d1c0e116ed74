//! 64-bit integers on a device that has 32 bits: what is shown to fit, what is checked at run time, what is refused.
//!
//! Ranges go through the imported graph, from the inputs (which the host refuses beyond 32 bits) and constants on. Where a
//! result of a 64-bit type may leave 32 bits, the graph gets a check beside it: a word that is 0 when nothing has left, which
//! the runtime reads after every run. So no run gives an integer that has wrapped. Sums and products over axes are checked by
//! their magnitudes in f32, against half of what fits. What no check is known for is refused by the node's name. Integers of
//! 32 bits and fewer wrap, as in ONNX.

mod program;
mod range;

use super::error::ImportError;
use crate::graph::constant::{Constant, Dtype};
use crate::graph::kernel_op::KernelOp;
use crate::graph::op::{Op, PoolKind, ReduceKind, ScatterKind};
use crate::graph::pointwise::{BinaryOp, Instruction, Literal, Operand, Pointwise, UnaryOp};
use crate::graph::{Graph, GraphPort, NodeId, ShapeError};
use flashmem_plan_format::plan::ElementType;
use range::{Range, UNKNOWN, WORD};
use std::collections::{BTreeMap, BTreeSet};

/// Magnitudes of sums that are taken to fit: half of what does, as f32 rounds.
const SAFE_MAGNITUDE: f32 = 1_073_741_824.0;

/// Constants of more floats are not looked through.
const MAX_FLOATS: usize = 1 << 16;

/// Adds the checks that a graph needs; `wide` are the nodes of 64-bit integers.
///
/// # Errors
/// [`ImportError::WideInteger`] for a node that may leave 32 bits and that no check is known for.
pub fn check(graph: &mut Graph, wide: &BTreeSet<NodeId>) -> Result<(), ImportError> {
    let mut ranges: BTreeMap<NodeId, Range> = BTreeMap::new();
    for id in graph.topological_order() {
        let operands: Vec<Range> = graph.operands(id).iter().map(|o| ranges[o]).collect();
        let dtype = graph.node(id).dtype;
        let (exact, leaving) = if let Op::Pointwise(program) = &graph.node(id).op {
            program::ranges(program, &operands)
        } else {
            (whole(graph, id, &operands), vec![])
        };
        let leaves = dtype == Dtype::I32 && (!exact.fits() || !leaving.is_empty());
        if leaves && wide.contains(&id) {
            let word = if let Op::Pointwise(program) = &graph.node(id).op {
                let test = program::overflow(program, &leaving);
                let operands = graph.operands(id);
                add(graph, id, Op::Pointwise(test), &operands)?
            } else {
                too_large(graph, id)?
            };
            push(graph, id, word)?;
        }
        ranges.insert(id, if dtype == Dtype::I32 && !exact.fits() { WORD } else { exact });
    }
    Ok(())
}

fn add(graph: &mut Graph, of: NodeId, op: Op, operands: &[NodeId]) -> Result<NodeId, ImportError> {
    let origin = graph.node(of).origin;
    let added = graph.add(op, operands, origin);
    added.map_err(|error: ShapeError| ImportError::Rejected { node: graph.label(of), error })
}

/// Makes one check of a tensor of words.
fn push(graph: &mut Graph, of: NodeId, words: NodeId) -> Result<(), ImportError> {
    let axes = (0..graph.node(words).shape.len()).collect();
    let node = add(graph, of, Op::Reduce { kind: ReduceKind::Max, axes }, &[words])?;
    let name = graph.label(of);
    graph.checks.push(GraphPort { name, element: ElementType::I32, node });
    Ok(())
}

/// The range of a node that is not element-wise, before anything wraps.
fn whole(graph: &Graph, id: NodeId, operands: &[Range]) -> Range {
    let node = graph.node(id);
    let shape_of = |operand: usize| graph.node(graph.operands(id)[operand]).shape.as_slice();
    let zero = Range::new(0.0, 0.0);
    let union = || operands.iter().copied().reduce(Range::union).unwrap_or(UNKNOWN);
    match &node.op {
        Op::Input => input(graph, id),
        Op::Constant(constant) => constant_range(constant),
        Op::Reshape
        | Op::Transpose { .. }
        | Op::Broadcast
        | Op::Slice { .. }
        | Op::Unfold { .. }
        | Op::Gather { .. }
        | Op::Concat { .. } => {
            if matches!(node.op, Op::Concat { .. }) {
                union()
            } else {
                operands[0]
            }
        }
        Op::Pad { .. } => operands[0].union(zero).union(pad_value(&node.op)),
        Op::Pool { kind: PoolKind::MaxIndex, .. } => index(shape_of(0)[2..].iter().product()),
        Op::Pool { kind: PoolKind::Max | PoolKind::Average { .. }, .. } => operands[0].union(zero),
        Op::Pool { kind: PoolKind::Norm { .. }, window } => {
            Range::new(0.0, operands[0].magnitude()).times(window.kernel.iter().product())
        }
        Op::ArgReduce { axis, .. } => index(shape_of(0)[*axis]),
        Op::Softmax { log: false, .. } => Range::new(0.0, 1.0),
        Op::Einsum { a, b, output } => {
            let summed = |labels: &[u8], shape: &[usize]| -> Vec<(u8, usize)> {
                labels.iter().copied().zip(shape.iter().copied()).filter(|(l, _)| !output.contains(l)).collect()
            };
            let terms: BTreeMap<u8, usize> = summed(a, shape_of(0)).into_iter().chain(summed(b, shape_of(1))).collect();
            operands[0].product(operands[1]).times(terms.values().product())
        }
        Op::Reduce { kind, axes } => {
            let count: usize = axes.iter().map(|axis| shape_of(0)[*axis]).product();
            reduced(*kind, operands[0], count)
        }
        Op::Scatter { reduction } => {
            let count = shape_of(1).iter().product();
            match reduction {
                ScatterKind::Replace | ScatterKind::Min | ScatterKind::Max => operands[0].union(operands[2]),
                ScatterKind::Add => {
                    let added = operands[2].union(zero).times(count);
                    Range::new(operands[0].low + added.low, operands[0].high + added.high)
                }
                ScatterKind::Mul => {
                    let largest = operands[0].magnitude() * operands[2].magnitude().max(1.0).powf(count as f64);
                    Range::new(-largest, largest)
                }
            }
        }
        Op::Kernel(op) => match op {
            KernelOp::Cumulative(sum) => operands[0].union(zero).times(shape_of(0)[sum.axis]),
            KernelOp::TopK(top) => index(shape_of(0)[top.axis]),
            KernelOp::TensorScatter(_) => union(),
            KernelOp::DeformableColumns(_)
            | KernelOp::Det(_)
            | KernelOp::GridSample(_)
            | KernelOp::Inverse(_)
            | KernelOp::LinearAttention(_)
            | KernelOp::MaxRoiPool(_)
            | KernelOp::CachedAttention(_)
            | KernelOp::RoiAlign(_)
            | KernelOp::Rotary(_) => UNKNOWN,
        },
        // Weights of taps sum up to one, but cubic ones may be negative.
        Op::Resize { axes, fill } => {
            let convex = axes.iter().all(|taps| taps.weights.iter().all(|w| *w >= 0.0));
            let filled = operands[0].union(Range::around([f64::from(*fill)])).union(zero);
            if convex { filled.rounded() } else { UNKNOWN }
        }
        Op::Pointwise(_)
        | Op::Conv { .. }
        | Op::Fold { .. }
        | Op::Softmax { log: true, .. }
        | Op::Normalize { .. }
        | Op::Attention { .. } => UNKNOWN,
    }
}

fn index(count: usize) -> Range {
    Range::new(0.0, count.saturating_sub(1) as f64)
}

fn pad_value(op: &Op) -> Range {
    if let Op::Pad { mode: crate::graph::op::PadMode::Constant(value), .. } = op {
        Range::around([f64::from(*value)])
    } else {
        Range::new(0.0, 0.0)
    }
}

fn input(graph: &Graph, id: NodeId) -> Range {
    let port = graph.inputs.iter().find(|port| port.node == id);
    match port.map(|port| port.element) {
        Some(ElementType::I32 | ElementType::I64) => WORD,
        Some(ElementType::U8) => Range::new(0.0, 255.0),
        Some(ElementType::I8) => Range::new(-128.0, 127.0),
        Some(ElementType::Bool) => Range::new(0.0, 1.0),
        Some(ElementType::F32 | ElementType::F16) | None => UNKNOWN,
    }
}

fn constant_range(constant: &Constant) -> Range {
    let count = constant.len();
    match constant.dtype() {
        Dtype::Bool => Range::new(0.0, 1.0),
        Dtype::I32 => Range::around((0..count).map(|i| f64::from(constant.device_word_at(i) as i32))),
        Dtype::F32 if count <= MAX_FLOATS => Range::around((0..count).map(|i| f64::from(constant.f32_at(i)))),
        Dtype::F32 => UNKNOWN,
    }
}

fn reduced(kind: ReduceKind, x: Range, count: usize) -> Range {
    let square = Range::new(0.0, x.magnitude().powi(2));
    match kind {
        ReduceKind::Max | ReduceKind::Min | ReduceKind::MaxNumber | ReduceKind::Mean => x,
        ReduceKind::Sum => x.times(count),
        ReduceKind::L1 => Range::new(0.0, x.magnitude()).times(count),
        ReduceKind::SumSquare => square.times(count),
        ReduceKind::MeanSquare => square,
        ReduceKind::L2 => Range::new(0.0, x.magnitude() * (count as f64).sqrt()),
        ReduceKind::Product => {
            let largest = x.magnitude().max(1.0).powf(count as f64);
            Range::new(-largest, largest)
        }
    }
}

/// A tensor of words, 1 where the magnitudes that a node adds up or multiplies come near to what 32 bits hold.
fn too_large(graph: &mut Graph, id: NodeId) -> Result<NodeId, ImportError> {
    let (op, operands) = (graph.node(id).op.clone(), graph.operands(id));
    let sum = |axes: Vec<usize>| Op::Reduce { kind: ReduceKind::Sum, axes };
    let all = |shape: &[usize]| (0..shape.len()).collect::<Vec<usize>>();
    let magnitude = match op {
        Op::Reduce { kind: ReduceKind::Sum | ReduceKind::L1, axes } => {
            let x = magnitudes(graph, id, operands[0], 1, 0.0)?;
            add(graph, id, sum(axes), &[x])?
        }
        Op::Reduce { kind: ReduceKind::SumSquare, axes } => {
            let x = magnitudes(graph, id, operands[0], 2, 0.0)?;
            add(graph, id, sum(axes), &[x])?
        }
        Op::Reduce { kind: ReduceKind::Product, axes } => {
            let x = magnitudes(graph, id, operands[0], 1, 1.0)?;
            add(graph, id, Op::Reduce { kind: ReduceKind::Product, axes }, &[x])?
        }
        Op::Kernel(KernelOp::Cumulative(cumulative)) => {
            let x = magnitudes(graph, id, operands[0], 1, 0.0)?;
            add(graph, id, sum(vec![cumulative.axis]), &[x])?
        }
        Op::Einsum { .. } => {
            let a = magnitudes(graph, id, operands[0], 1, 0.0)?;
            let b = magnitudes(graph, id, operands[1], 1, 0.0)?;
            add(graph, id, op, &[a, b])?
        }
        Op::Scatter { reduction: ScatterKind::Add } => {
            let sums = [operands[0], operands[2]].map(|operand| {
                let axes = all(&graph.node(operand).shape);
                let x = magnitudes(graph, id, operand, 1, 0.0)?;
                add(graph, id, sum(axes), &[x])
            });
            let [data, updates] = sums;
            add(graph, id, Op::Pointwise(Pointwise::binary(BinaryOp::Add, Dtype::F32)), &[data?, updates?])?
        }
        Op::Input
        | Op::Constant(_)
        | Op::Pointwise(_)
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
        | Op::Concat { .. }
        | Op::Pad { .. }
        | Op::Resize { .. }
        | Op::Kernel(_) => return Err(ImportError::WideInteger { node: graph.label(id), op: op.name() }),
    };
    let at = Operand::Result;
    let test = Pointwise {
        inputs: vec![Dtype::F32],
        instructions: vec![
            Instruction::Literal(Literal::F32(SAFE_MAGNITUDE.to_bits())),
            Instruction::Binary(BinaryOp::Less, Operand::Input(0), at(0)),
            Instruction::Unary(UnaryOp::Not, at(1)),
            Instruction::Cast(at(2), Dtype::I32),
        ],
    };
    add(graph, id, Op::Pointwise(test), &[magnitude])
}

/// |x| as floats, multiplied with itself `power` times, and at least `least`.
fn magnitudes(graph: &mut Graph, of: NodeId, x: NodeId, power: u32, least: f32) -> Result<NodeId, ImportError> {
    let at = Operand::Result;
    let mut instructions = vec![
        Instruction::Cast(Operand::Input(0), Dtype::F32),
        Instruction::Unary(UnaryOp::Abs, at(0)),
        Instruction::Literal(Literal::F32(least.to_bits())),
        Instruction::Binary(BinaryOp::Max, at(1), at(2)),
    ];
    if power == 2 {
        instructions.push(Instruction::Binary(BinaryOp::Mul, at(3), at(3)));
    }
    let program = Pointwise { inputs: vec![graph.node(x).dtype], instructions };
    add(graph, of, Op::Pointwise(program), &[x])
}
