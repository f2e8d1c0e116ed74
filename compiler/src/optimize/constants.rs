//! Computes what depends on constants alone, and turns uniform constants into literals.
//!
//! A reshape shares the bytes. Elements that only move keep their storage (f16 stays f16). Constants are never blown up by
//! a broadcast, and a transpose that only einsums read is left to their labels.

use super::nodes::broadcasts_to;
use super::pass::{OptimizeError, OptimizeOptions, OptimizeReport};
use crate::graph::constant::{Constant, Dtype, Storage};
use crate::graph::interpret::evaluate;
use crate::graph::op::Op;
use crate::graph::pointwise::Literal;
use crate::graph::tensor::Tensor;
use crate::graph::{Graph, NodeId};
use crate::narrow::index32;
use std::sync::Arc;

/// Results of up to this many elements may be larger than what they are computed from.
const SMALL_ELEMENTS: usize = 1 << 16;

/// See the file's header.
pub fn run(graph: &mut Graph, options: &OptimizeOptions, report: &mut OptimizeReport) -> Result<(), OptimizeError> {
    for id in graph.topological_order() {
        if let Some(constant) = folded(graph, id, options) {
            graph.set_operands(id, &[]);
            graph.node_mut(id).op = Op::Constant(constant);
            report.constants_folded += 1;
        } else {
            literals(graph, id, report);
        }
    }
    Ok(())
}

/// The value of a node, when it is constant and worth computing.
fn folded(graph: &Graph, id: NodeId, options: &OptimizeOptions) -> Option<Constant> {
    let node = graph.node(id);
    if node.epilogue.is_some() {
        return None;
    }
    let ids = graph.operands(id);
    let operands: Vec<&Constant> = ids.iter().map(|o| graph.constant(*o)).collect::<Option<_>>()?;
    let elements: usize = node.shape.iter().product();
    let largest = operands.iter().map(|c| c.len()).max()?;
    if let Some(same) = still_quantized(graph, id, operands[0]) {
        return Some(same);
    }
    if elements * 4 > options.fold_limit_bytes || largest * 4 > options.fold_limit_bytes {
        return matches!(node.op, Op::Reshape).then(|| operands[0].reshaped(node.shape.clone())).flatten();
    }
    let moves = match &node.op {
        Op::Reshape => return operands[0].reshaped(node.shape.clone()),
        Op::Transpose { .. } => {
            if is_absorbed(graph, id) {
                return None;
            }
            true
        }
        Op::Broadcast if elements > largest => return None,
        Op::Broadcast | Op::Slice { .. } | Op::Concat { .. } | Op::Gather { .. } => true,
        Op::Pointwise(_) | Op::Reduce { .. } if elements > largest.max(SMALL_ELEMENTS) => return None,
        Op::Pointwise(_) | Op::Reduce { .. } => false,
        Op::Input
        | Op::Constant(_)
        | Op::Einsum { .. }
        | Op::Conv { .. }
        | Op::Fold { .. }
        | Op::Unfold { .. }
        | Op::Scatter { .. }
        | Op::Pool { .. }
        | Op::Softmax { .. }
        | Op::Normalize { .. }
        | Op::Attention { .. }
        | Op::ArgReduce { .. }
        | Op::Pad { .. }
        | Op::Resize { .. }
        | Op::Kernel(_) => return None,
    };
    let tensors: Vec<Tensor> = operands.iter().map(|c| Tensor::from_constant(c)).collect();
    let result = evaluate(&node.op, &tensors.iter().collect::<Vec<_>>(), &node.shape);
    let half = operands.iter().filter(|c| c.dtype() == Dtype::F32).all(|c| c.storage == Storage::F16);
    if moves && half && result.dtype == Dtype::F32 {
        let bytes: Vec<u8> = result.to_f32().iter().flat_map(|v| half::f16::from_f32(*v).to_le_bytes()).collect();
        return Constant::new(node.shape.clone(), Storage::F16, Arc::new(bytes));
    }
    Some(result.to_constant())
}

/// Whether the transpose `id` becomes labels of its readers.
fn is_absorbed(graph: &Graph, id: NodeId) -> bool {
    let users = graph.users(id);
    !users.is_empty() && users.iter().all(|user| matches!(graph.node(*user).op, Op::Einsum { .. }))
}

/// A view of a constant of small integers that is one as well.
fn still_quantized(graph: &Graph, id: NodeId, constant: &Constant) -> Option<Constant> {
    let quantized = constant.as_quantized()?;
    let node = graph.node(id);
    let same = if matches!(node.op, Op::Reshape) {
        quantized.reshaped(&node.shape)?
    } else if let Op::Transpose { permutation } = &node.op {
        (!is_absorbed(graph, id)).then(|| quantized.transposed(permutation))?
    } else if let Op::Slice { starts, steps } = &node.op
        && steps.iter().all(|step| *step == 1)
    {
        let mut ranges = starts.iter().zip(&node.shape).map(|(start, size)| *start..start + size).enumerate();
        ranges.try_fold(quantized.clone(), |part, (axis, range)| part.part(axis, &range))?
    } else {
        return None;
    };
    Some(Constant::from_quantized(same))
}

/// The one value of a uniform constant.
pub fn uniform_literal(constant: &Constant) -> Option<Literal> {
    let first = (!constant.is_empty()).then(|| constant.device_word_at(0))?;
    let uniform = (1..constant.len()).all(|i| constant.device_word_at(i) == first);
    uniform.then_some(match constant.dtype() {
        Dtype::F32 => Literal::F32(first),
        Dtype::I32 => Literal::I32(first as i32),
        Dtype::Bool => Literal::Bool(first != 0),
    })
}

/// Uniform operands of a program become literals, as long as the others still give the node its shape.
fn literals(graph: &mut Graph, id: NodeId, report: &mut OptimizeReport) {
    let standalone = graph.node(id).epilogue.is_none();
    if standalone && !matches!(graph.node(id).op, Op::Pointwise(_)) {
        return;
    }
    let own = if standalone { 0 } else { graph.op_operand_count(id) };
    for position in (own..graph.operands(id).len()).rev() {
        let operands = graph.operands(id);
        let mut rest = operands.clone();
        rest.remove(position);
        let Some(literal) = graph.constant(operands[position]).and_then(uniform_literal) else { continue };
        if standalone && !broadcasts_to(graph, &rest, &graph.node(id).shape) {
            continue;
        }
        graph.set_operands(id, &rest);
        let node = graph.node_mut(id);
        if let Some(epilogue) = &mut node.epilogue {
            *epilogue = epilogue.with_literal((position - own + 1) as u32, literal);
        } else if let Op::Pointwise(program) = &mut node.op {
            *program = program.with_literal(index32(position), literal);
        }
        report.literals += 1;
    }
}
