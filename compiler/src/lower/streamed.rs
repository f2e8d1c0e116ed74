//! What of a node streams: the weight of a product or convolution, and large constants of element-wise operands.
//!
//! It deliberately looks at the graph only.

use super::product::product;
use crate::graph::constant::Dtype;
use crate::graph::op::Op;
use crate::graph::{Graph, NodeId};

/// Constants of at least this size are streamed, in bytes on the device.
const STREAMED_BYTES: usize = 512 << 10;

/// Elements that lie side by side in the packing: a quad.
pub const COLUMNS: usize = 4;

/// The weight of a node that is streamed, and its output channels.
pub struct StreamedWeight {
    /// Position among the node's operands.
    pub position: usize,
    /// Axes of the weight that the result has too, ascending.
    pub channel_axes: Vec<usize>,
    /// These axes in the result.
    pub output_axes: Vec<usize>,
    /// Axes of the weight that are summed over, in the order in which they are stored and summed.
    pub k_axes: Vec<usize>,
}

/// The streamed weight of a product or convolution.
pub fn streamed_weight(graph: &Graph, id: NodeId) -> Option<StreamedWeight> {
    if !matches!(graph.node(id).op, Op::Conv { .. }) {
        return weight_of_einsum(graph, id);
    }
    let rank = graph.constant(*graph.operands(id).get(1)?)?.shape.len();
    Some(StreamedWeight { position: 1, channel_axes: vec![0], output_axes: vec![1], k_axes: (1..rank).collect() })
}

/// That of an einsum: its channels are the axes that the output has.
fn weight_of_einsum(graph: &Graph, id: NodeId) -> Option<StreamedWeight> {
    let Op::Einsum { output, .. } = &graph.node(id).op else { return None };
    let product = product(graph, id).filter(|product| product.is_weighted(graph))?;
    let place = |(axis, label): (usize, &u8)| Some((axis, output.iter().position(|l| l == label)?));
    let (channel_axes, output_axes) = product.b.iter().enumerate().filter_map(place).unzip();
    let axis = |label: &u8| product.b.iter().position(|l| l == label).expect("a k label is in both operands");
    let k_axes = product.kinds.k.iter().map(axis).collect();
    Some(StreamedWeight { position: usize::from(!product.swapped), channel_axes, output_axes, k_axes })
}

/// Whether a node is a convolution with a filter of one channel for every output.
pub fn is_depthwise(graph: &Graph, id: NodeId) -> bool {
    let Op::Conv { groups, .. } = graph.node(id).op else { return false };
    groups > 1 && graph.node(graph.operands(id)[0]).shape.get(1) == Some(&groups)
}

/// The large constants among the element-wise operands of a node that are streamed, with their positions.
pub fn streamed_constants(graph: &Graph, id: NodeId) -> Vec<(usize, NodeId)> {
    let own = if matches!(graph.node(id).op, Op::Pointwise(_)) { 0 } else { graph.op_operand_count(id) };
    let operands = graph.operands(id).into_iter().enumerate().skip(own);
    operands.filter(|(_, operand)| is_streamed(graph, *operand)).collect()
}

/// Whether a constant is streamed.
fn is_streamed(graph: &Graph, id: NodeId) -> bool {
    graph.use_count(id) == 1
        && graph.constant(id).is_some_and(|constant| {
            let large = constant.len() * 4 >= STREAMED_BYTES;
            large && constant.len().is_multiple_of(COLUMNS) && constant.dtype() == Dtype::F32
        })
}
