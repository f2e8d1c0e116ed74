//! Per-channel factors behind a convolution go into its weight: batch normalisation becomes weight and bias.
//!
//! (conv + b) · s is conv' + b · s. Only what alone reads the convolution is folded. The scaled weight is a new f32
//! constant. Einsums keep their factors, which are as cheap in their epilogue, so that their weights stay mapped.

use super::nodes::{program, single_user};
use super::pass::{OptimizeError, OptimizeOptions, OptimizeReport};
use crate::graph::constant::Constant;
use crate::graph::op::Op;
use crate::graph::pointwise::{BinaryOp, Instruction, Literal, Operand};
use crate::graph::{Graph, NodeId};

/// See the file's header.
pub fn run(graph: &mut Graph, options: &OptimizeOptions, report: &mut OptimizeReport) -> Result<(), OptimizeError> {
    for id in graph.topological_order() {
        if fold(graph, id, options).is_some() {
            report.scales_folded += 1;
        }
    }
    Ok(())
}

/// Per-channel values of a constant of shape (1, channels, 1…), or of one number.
fn channel_values(constant: &Constant, channels: usize) -> Option<Vec<f32>> {
    let along_channels = constant.shape.iter().enumerate().all(|(axis, dim)| *dim == 1 || axis == 1);
    match constant.len() {
        1 => Some(vec![constant.f32_at(0); channels]),
        n if n == channels && along_channels => Some(constant.to_f32()),
        _ => None,
    }
}

/// The other operand and the per-channel values, when a node is `op` of a tensor and per-channel constants.
fn per_channel(graph: &Graph, id: NodeId, op: BinaryOp) -> Option<(NodeId, Vec<f32>)> {
    let program = program(graph, id)?;
    let operands = graph.operands(id);
    let channels = *graph.node(id).shape.get(1)?;
    match program.instructions.as_slice() {
        [Instruction::Binary(found, Operand::Input(_), Operand::Input(_))] if *found == op && operands.len() == 2 => {
            let constant = |i: usize| graph.constant(operands[i]).and_then(|c| channel_values(c, channels));
            constant(1).map(|v| (operands[0], v)).or_else(|| constant(0).map(|v| (operands[1], v)))
        }
        [Instruction::Literal(Literal::F32(bits)), Instruction::Binary(found, a, b)] if *found == op => {
            let one_each =
                matches!((a, b), (Operand::Input(0), Operand::Result(0)) | (Operand::Result(0), Operand::Input(0)));
            (one_each && operands.len() == 1).then(|| (operands[0], vec![f32::from_bits(*bits); channels]))
        }
        _ => None,
    }
}

/// Folds a product into the convolution before it; `None` when there is nothing to fold.
fn fold(graph: &mut Graph, product: NodeId, options: &OptimizeOptions) -> Option<()> {
    let (operand, scale) = per_channel(graph, product, BinaryOp::Mul)?;
    let shift = per_channel(graph, operand, BinaryOp::Add);
    let conv = shift.as_ref().map_or(operand, |(inner, _)| *inner);
    let node = graph.node(conv);
    let owned = single_user(graph, operand) == Some(product) && single_user(graph, conv).is_some();
    let fits = matches!(node.op, Op::Conv { .. }) && node.epilogue.is_none() && node.shape == graph.node(product).shape;
    if !owned || !fits {
        return None;
    }
    let weight_id = graph.operands(conv)[1];
    let weight = graph.constant(weight_id)?;
    if weight.len() * 4 > options.fold_limit_bytes {
        return None;
    }
    let row = weight.len() / weight.shape[0];
    let values: Vec<f32> = weight.to_f32().iter().enumerate().map(|(i, v)| v * scale[i / row]).collect();
    let scaled = Constant::from_f32(weight.shape.clone(), &values);
    let origin = graph.node(weight_id).origin;
    let scaled = graph.add_constant(scaled, origin);
    let x = graph.operands(conv)[0];
    graph.set_operands(conv, &[x, scaled]);
    match shift {
        None => graph.replace_uses(product, conv),
        Some((_, shift)) => {
            let values: Vec<f32> = shift.iter().zip(&scale).map(|(b, s)| b * s).collect();
            let mut shape = vec![1; graph.node(conv).shape.len()];
            shape[1] = values.len();
            let origin = graph.node(operand).origin;
            let shift = graph.add_constant(Constant::from_f32(shape, &values), origin);
            graph.node_mut(operand).op = Op::Pointwise(crate::graph::pointwise::Pointwise::binary(
                BinaryOp::Add,
                crate::graph::constant::Dtype::F32,
            ));
            graph.set_operands(operand, &[conv, shift]);
            graph.replace_uses(product, operand);
        }
    }
    Some(())
}
