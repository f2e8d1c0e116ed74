//! Parts of tensors and windows, for passes that compute an operator in several.

use super::split::ranges;
use crate::graph::op::{Op, Window};
use crate::graph::{Graph, NodeId};
use std::ops::Range;

/// Parts of an axis of `size` for `all` terms, of which a part may have `terms`; `None` when they are few enough.
pub fn parts_of(size: usize, all: usize, terms: usize) -> Option<Vec<Range<usize>>> {
    (all > terms && size > 1).then(|| ranges(size, all.div_ceil(terms).min(size)).collect())
}

/// Elements `range` along an axis of a tensor: a constant of its own, or a slice.
pub fn part(graph: &mut Graph, id: NodeId, axis: usize, range: &Range<usize>) -> NodeId {
    let node = graph.node(id);
    let (origin, dtype, mut shape) = (node.origin, node.dtype, node.shape.clone());
    if *range == (0..shape[axis]) {
        return id;
    }
    if let Some(part) = graph.constant(id).and_then(|constant| constant.part(axis, range)) {
        return graph.add_constant(part, origin);
    }
    let (mut starts, steps) = (vec![0; shape.len()], vec![1; shape.len()]);
    (starts[axis], shape[axis]) = (range.start, range.len());
    graph.add_shaped(Op::Slice { starts, steps }, &[id], origin, shape, dtype)
}

/// What taps `range` along an axis of a window read of `size` elements for `outputs` results, and the window that does it;
/// `None` where they read nothing but padding.
pub fn part_of_window(
    window: &Window,
    axis: usize,
    range: &Range<usize>,
    size: usize,
    outputs: usize,
) -> Option<(Range<usize>, Window)> {
    let (dilation, pad) = (window.dilations[axis], window.pads_before[axis] as i64);
    let first = (range.start * dilation) as i64 - pad;
    let end = ((outputs - 1) * window.strides[axis] + (range.end - 1) * dilation) as i64 - pad + 1;
    let read = first.max(0) as usize..(end.max(0) as usize).min(size);
    if read.start >= read.end {
        return None;
    }
    let mut window = window.clone();
    window.kernel[axis] = range.len();
    window.pads_before[axis] = (-first).max(0) as usize;
    window.pads_after[axis] = (end - size as i64).max(0) as usize;
    Some((read, window))
}

/// What a node's epilogue makes of `value`, which is the node's own result.
pub fn with_epilogue(graph: &mut Graph, id: NodeId, value: NodeId) -> NodeId {
    let node = graph.node(id).clone();
    let Some(epilogue) = node.epilogue else { return value };
    let own = graph.op_operand_count(id);
    let operands: Vec<NodeId> = [value].into_iter().chain(graph.operands(id).into_iter().skip(own)).collect();
    let origin = graph.result_origin(id);
    graph.add_shaped(Op::Pointwise(epilogue), &operands, origin, node.shape, node.dtype)
}
