//! Which operand of a product or convolution is a streamed weight.

use super::contraction::StreamedWeight;
use super::einsum;
use crate::graph::op::Op;
use crate::graph::{Graph, NodeId};

/// The streamed weight of a product or convolution.
pub fn streamed_weight(graph: &Graph, id: NodeId) -> Option<StreamedWeight> {
    if !matches!(graph.node(id).op, Op::Conv { .. }) {
        return einsum::streamed_weight(graph, id);
    }
    let rank = graph.constant(*graph.operands(id).get(1)?)?.shape.len();
    Some(StreamedWeight { position: 1, channel_axes: vec![0], output_axes: vec![1], k_axes: (1..rank).collect() })
}
