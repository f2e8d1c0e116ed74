//! From tract's typed operators to ours: the table of translations, and the walk over the model.
//!
//! [`TRANSLATIONS`] is the one registration point. Each entry translates one tract operator type into any number of our
//! nodes; every result is compared with the shape and type that tract inferred. Operators that have no entry, or that refuse,
//! are collected and reported together.

mod context;
mod convolution;
mod einsum;
mod elementwise;
mod fourier;
mod indexing;
mod indices;
mod normalization;
mod pool;
mod quantized;
mod recurrent;
mod resize;
mod selection;
mod shape;
mod unfold;

use super::error::ImportError;
use super::kernel_op::{KernelNode, OwnOp};
use super::model::Model;
use crate::graph::op::Op;
use crate::graph::{Graph, NodeId};
use context::{Outcome, Refusal, Translator, variant};
use std::collections::BTreeSet;
use tract_onnx::prelude::{TypedModel, TypedNode};
use tract_onnx::tract_core::ops;

/// A translation of one tract operator type.
struct Translation {
    /// tract's name of the operator.
    tract: &'static str,
    /// `None` when the node is of another type.
    translate: for<'m> fn(&mut Translator<'m>, &'m TypedNode) -> Option<Outcome>,
}

macro_rules! translations {
    ($($name:literal: $op:ty => $translate:path,)*) => {
        &[$(Translation {
            tract: $name,
            translate: |translator, node| node.op_as::<$op>().map(|op| $translate(translator, node, op)),
        }),*]
    };
}

/// Every operator that import understands.
const TRANSLATIONS: &[Translation] = translations! {
    "Unary": ops::element_wise::ElementWiseOp => elementwise::unary,
    "Binary": ops::binary::TypedBinOp => elementwise::binary,
    "Iff": ops::logic::Iff => elementwise::select,
    "Cast": ops::cast::Cast => elementwise::cast,
    "EinSum": ops::einsum::EinSum => contraction,
    "Conv": ops::cnn::Conv => convolution::conv,
    "Deconv": ops::cnn::Deconv => convolution::deconv,
    "MaxPool": ops::cnn::MaxPool => pool::max_pool,
    "SumPool": ops::cnn::SumPool => pool::sum_pool,
    "Softmax": ops::nn::Softmax => normalization::softmax,
    "RmsNorm": ops::nn::RmsNorm => normalization::rms_norm,
    "Reduce": ops::nn::Reduce => normalization::reduce,
    "AxisOp": ops::change_axes::AxisOp => shape::axis_op,
    "Identity": ops::identity::Identity => shape::identity,
    "Concat": ops::array::TypedConcat => shape::concat,
    "Slice": ops::array::Slice => shape::slice,
    "Downsample": ops::Downsample => shape::downsample,
    "Pad": ops::array::Pad => shape::pad,
    "Tile": ops::array::Tile => shape::tile,
    "MultiBroadcastTo": ops::array::MultiBroadcastTo => shape::broadcast,
    "Gather": ops::array::Gather => indexing::gather,
    "GatherElements": ops::array::GatherElements => indexing::gather_elements,
    "GatherNd": ops::array::GatherNd => indexing::gather_nd,
    "ScatterElements": ops::array::ScatterElements => indexing::scatter_elements,
    "ScatterNd": ops::array::ScatterNd => indexing::scatter_nd,
    "Topk": ops::array::Topk => selection::top_k,
    "OneHot": ops::array::OneHot => selection::one_hot,
    "Trilu": ops::array::Trilu => selection::trilu,
    "CumSum": ops::array::CumSum => selection::cumulative_sum,
    "Scan": ops::scan::Scan => recurrent::scan,
    "LstmEpilogue": ops::lstm_cell::LstmEpilogue => recurrent::lstm_cell,
    "GruEpilogue": ops::gru_cell::GruEpilogue => recurrent::gru_cell,
    "GruSeq": ops::gru_seq::GruSeq => recurrent::gru_sequence,
    "DequantizeLinearF32": ops::quant::DequantizeLinearF32 => quantized::dequantize,
    "Resize": ops::nn::Resize => resize::resize,
    "NearestUpsample": ops::nn::NearestUpsample => resize::nearest_upsample,
    "Fft": ops::fft::Fft => fourier::transform,
    "KernelOperator": KernelNode => kernel_operator,
    "OnnxResize": tract_onnx_opl::resize::Resize => resize::onnx_resize,
};

/// A contraction, quantized or not.
fn contraction(t: &mut Translator<'_>, node: &TypedNode, op: &ops::einsum::EinSum) -> Outcome {
    if op.q_params.is_some() { quantized::product(t, node, op) } else { einsum::einsum(t, node, op) }
}

/// An operator of ours that went through tract.
fn kernel_operator(t: &mut Translator<'_>, node: &TypedNode, op: &KernelNode) -> Outcome {
    let operands = t.inputs(node)?;
    Ok(vec![match &op.op {
        OwnOp::Kernel(op) => {
            let shapes: Vec<Vec<usize>> = operands.iter().map(|operand| t.shape(*operand)).collect();
            for (operand, range) in op.behaviour().indices(&shapes) {
                t.bound(operands[operand], None, range)?;
            }
            t.emit(Op::Kernel(op.clone()), &operands)?
        }
        OwnOp::Composed(op) => t.spell(op, operands[0])?,
    }])
}

/// tract's names of the operators that import translates.
pub fn supported_operators() -> impl Iterator<Item = &'static str> {
    TRANSLATIONS.iter().map(|t| t.tract)
}

/// Translates one node.
fn translate_node<'m>(translator: &mut Translator<'m>, node: &'m TypedNode) -> Outcome {
    let outcome = translate_operator(translator, node);
    translator.note_width(node);
    outcome
}

fn translate_operator<'m>(translator: &mut Translator<'m>, node: &'m TypedNode) -> Outcome {
    let outcome = TRANSLATIONS.iter().find_map(|t| (t.translate)(translator, node));
    if let Some(Ok(outputs)) = &outcome
        && (node.op_is::<ops::einsum::EinSum>()
            || node.op_is::<ops::nn::Reduce>()
            || node.op_is::<ops::array::CumSum>()
            || node.op_is::<ops::array::ScatterElements>()
            || node.op_is::<ops::array::ScatterNd>())
    {
        // Sums and products of narrow integers may have left their range.
        return Ok(vec![elementwise::wrapped(translator, node, outputs[0])?]);
    }
    outcome.or_else(|| pool::flat_indices(translator, node)).unwrap_or(Err(Refusal::Operator))
}

/// Translates a typed model; `model` gives the ports, the weights and the ONNX nodes. With the graph come its nodes of 64-bit
/// integers, which have 32 bits on the device. `check_indices` makes computed indices public outputs.
pub fn translate(
    typed: &TypedModel,
    model: Model,
    check_indices: bool,
) -> Result<(Graph, BTreeSet<NodeId>), ImportError> {
    let order = super::guarded::guarded(super::failure::Stage::Translate, || typed.eval_order())?;
    let mut translator = Translator::new(typed, model, check_indices, translate_node)?;
    for id in order {
        let node = &typed.nodes()[id];
        if node.op_is::<ops::konst::Const>() || node.op_is::<ops::source::TypedSource>() {
            continue;
        }
        translator.enter(node);
        let outcome = super::stopped::stopped(|| translate_node(&mut translator, node));
        let outcome = outcome.unwrap_or_else(|_| variant("this form of the operator"));
        translator.leave(node, outcome)?;
    }
    translator.finish()
}
