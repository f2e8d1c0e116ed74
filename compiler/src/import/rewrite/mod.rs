//! ONNX nodes that become other ONNX nodes before tract sees them.
//!
//! A rewrite says an operator in terms of others: because tract does not know it, knows only a form of it, or reads it
//! differently from the specification. The registry (`operators/`) names a rewrite for an operator; what it gives is
//! rewritten again until nothing changes. Both the import and the reference run see the rewritten model. It deliberately
//! changes no meaning: what cannot be said in other operators is refused, with a reason.

mod attention;
mod between;
mod contributed;
mod elementwise;
mod language;
mod legacy;
mod linear;
mod losses;
mod movement;
mod norms;
mod pooling;
mod quantization;
mod recurrent;
mod reductions;
mod spectral;
mod steps;
mod unrolled;
mod wide;

pub use attention::attention;
pub use between::{quantized_add, quantized_concat, quantized_mul, quantized_of_one, quantized_softmax};
pub use contributed::{embed_layer_normalization, fused_conv, fused_matmul, gelu};
pub use elementwise::{bit_cast, celu, einsum, equal, mish, pow, selu, softplus, swiglu, swish};
pub use language::{group_query_attention, multi_head_attention, rotary_embedding};
pub use legacy::{broadcast, cast, concat, prelu, reshape, tile, top_k};
pub use linear::gemm;
pub use losses::{negative_log_likelihood, softmax_cross_entropy};
pub use movement::{
    affine_grid, center_crop_pad, col2im, compress, constant_of_shape, cumulative_sum, gather_nd, one_hot, pad, resize,
    reverse_sequence, space_to_depth, split, triangle, upsample,
};
pub use norms::{batch_normalization, local_response, skip_normalization};
pub use pooling::max_unpool;
pub use quantization::{dequantize, quantize, quantize_dynamically, quantized_product};
pub use recurrent::{causal_convolution, recurrent};
pub use reductions::{
    global_lp_pool, global_max_pool, l2_norm, log_softmax, log_sum_exp, lp_normalization, lp_pool, mean_variance,
    reduction,
};
pub use spectral::short_time_fourier;
pub use steps::{Attribute, Known, Steps, floats, integers};
pub use wide::{clip, comparison, wide_comparison};

use super::kernel_op::KernelNode;
use crate::import::reason::{Reason, Unsupported};
use crate::import::support::find;
use std::collections::BTreeMap;
use tract_onnx::pb::{GraphProto, NodeProto, TypeProto, type_proto};

/// What a rewrite did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rewritten {
    /// The node stays.
    Unchanged,
    /// The steps take its place.
    Replaced,
}

/// A rewrite: `Err` is why this node cannot be expressed.
pub type Rewrite = fn(&mut Steps<'_>) -> Result<Rewritten, Reason>;

/// Shapes by name.
pub type Shapes = BTreeMap<String, Vec<usize>>;

/// How often one node is rewritten at most; no chain of rewrites is that long.
const MAX_ROUNDS: usize = 8;

/// Rewrites a graph in place; `shapes` are those that it does not say. Returns the operators of `operators/` by the names
/// of the nodes that stand for them, and what cannot be rewritten.
pub fn rewrite(graph: &mut GraphProto, opset: i64, shapes: Shapes) -> (BTreeMap<String, KernelNode>, Unsupported) {
    let mut known = Known::of(graph, opset);
    known.shapes.extend(shapes);
    let mut kernel_ops = BTreeMap::new();
    let mut refused = Unsupported::default();
    let mut done = Vec::with_capacity(graph.node.len());
    for mut node in std::mem::take(&mut graph.node) {
        type_inputs(&mut node, &known);
        let (inside, unsupported) = rewrite_bodies(&mut node, opset);
        kernel_ops.extend(inside);
        refused.extend(unsupported);
        let original = node.op_type.clone();
        let name = node.name.clone();
        let mut waiting = vec![(node, 0)];
        while let Some((node, round)) = waiting.pop() {
            let rule = find(&node.domain, &node.op_type).and_then(|operator| operator.rewrite);
            let mut steps = Steps::new(&node, &known);
            match rule.map_or(Ok(Rewritten::Unchanged), |rule| rule(&mut steps)) {
                Ok(Rewritten::Replaced) if round < MAX_ROUNDS => {
                    let (nodes, initialisers) = (steps.nodes, steps.initialisers);
                    kernel_ops.extend(steps.kernel_ops);
                    for tensor in &initialisers {
                        known.add_tensor(&tensor.name, tensor);
                    }
                    // Later steps may ask for the type of earlier ones.
                    nodes.iter().for_each(|node| known.add_node(node));
                    graph.initializer.extend(initialisers);
                    waiting.extend(nodes.into_iter().rev().map(|node| (node, round + 1)));
                }
                Ok(Rewritten::Replaced | Rewritten::Unchanged) => done.push(node),
                Err(reason) => refused.add(&original, Some(reason), &name),
            }
        }
    }
    graph.node = done;
    (kernel_ops, refused)
}

/// Inputs of a `Scan` body that say no type have those of the operands.
fn type_inputs(node: &mut NodeProto, known: &Known) {
    if node.op_type != "Scan" {
        return;
    }
    let NodeProto { input, attribute, .. } = node;
    for body in attribute.iter_mut().filter_map(|attribute| attribute.g.as_mut()) {
        for (inner, operand) in body.input.iter_mut().zip(input.iter()) {
            let typed = inner.r#type.as_ref().is_some_and(|t| match &t.value {
                Some(type_proto::Value::TensorType(tensor)) => tensor.elem_type != 0,
                None => false,
            });
            if let (false, Some(elem_type)) = (typed, known.element_type(operand)) {
                let tensor = type_proto::Tensor { elem_type, shape: None };
                let value = Some(type_proto::Value::TensorType(tensor));
                inner.r#type = Some(TypeProto { value, ..TypeProto::default() });
            }
        }
    }
}

/// Rewrites the graphs that a node has as attributes; returns what [`rewrite`] does.
fn rewrite_bodies(node: &mut NodeProto, opset: i64) -> (BTreeMap<String, KernelNode>, Unsupported) {
    let (mut kernel_ops, mut refused) = (BTreeMap::new(), Unsupported::default());
    // Branches become nodes of the graph, and are rewritten then.
    if super::conditions::chooses(node) {
        return (kernel_ops, refused);
    }
    for body in node.attribute.iter_mut().flat_map(|attribute| attribute.g.iter_mut().chain(&mut attribute.graphs)) {
        for (index, inner) in body.node.iter_mut().enumerate() {
            inner.name = format!("{}.{index}.{}", node.name, inner.name);
        }
        let (inside, unsupported) = rewrite(body, opset, Shapes::new());
        kernel_ops.extend(inside);
        refused.extend(unsupported);
    }
    (kernel_ops, refused)
}
