//! Whether the readers of a product can take it as a part of a larger tensor, without a copy that they do not need otherwise.
//!
//! Views are followed with where elements would lie in either case. What chooses a kernel by how its operand lies is no such
//! reader: its bits would depend on it.

use crate::graph::kernel_op::KernelOp;
use crate::graph::op::Op;
use crate::graph::{Graph, NodeId};
use crate::lower::product::product;
use crate::lower::view::View;

/// Axes that lines may have beside the one along which they are normalised.
const LINE_AXES: usize = 4;

/// Axes of what attention reads: two before rows and elements.
const ATTENTION_AXES: usize = 4;

/// Batch axes of a product of activations.
const BATCH_AXES: usize = 3;

/// Whether all readers of a node can take it as `part`, which lies as `own` otherwise.
pub fn fit(graph: &Graph, id: NodeId, part: &View, own: &View) -> bool {
    let is_result = graph.results().any(|result| result.node == id);
    !(is_result && own.is_dense()) && graph.users(id).into_iter().all(|user| fits(graph, id, user, [part, own]))
}

fn fits(graph: &Graph, id: NodeId, user: NodeId, [part, own]: [&View; 2]) -> bool {
    let node = graph.node(user);
    let operands = graph.operands(user);
    let positions = || operands.iter().enumerate().filter(|(_, operand)| **operand == id).map(|(position, _)| position);
    let below = |end: usize| positions().all(|position| position < end);
    let through = |view: [View; 2]| node.epilogue.is_none() && fit(graph, user, &view[0], &view[1]);
    // A dense copy is made of both, or of none.
    let copied_alike = part.is_dense() || !own.is_dense();
    match &node.op {
        Op::Pointwise(_) => true,
        Op::Reshape => match (part.reshaped(&node.shape), own.reshaped(&node.shape)) {
            (Some(part), Some(own)) => through([part, own]),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        },
        Op::Transpose { permutation } => through([part, own].map(|view| view.transposed(permutation))),
        Op::Broadcast => through([part, own].map(|view| view.broadcast(&node.shape))),
        Op::Slice { starts, steps } => through([part, own].map(|view| view.sliced(starts, steps, &node.shape))),
        Op::Attention { .. } => below(3) && part.shape.len() <= ATTENTION_AXES,
        Op::Normalize { axes, .. } => below(1) && axes.len() == 1 && part.shape.len() <= LINE_AXES + 1,
        Op::Concat { .. } => below(graph.op_operand_count(user)),
        Op::Einsum { .. } => below(2) && is_small_product(graph, user),
        Op::Kernel(own_kernel) => match own_kernel {
            KernelOp::Rotary(_) => below(1),
            KernelOp::CachedAttention(_) => below(3),
            KernelOp::TensorScatter(_) => positions().all(|position| position == 1) && copied_alike,
            KernelOp::LinearAttention(_) => copied_alike,
            KernelOp::Cumulative(_)
            | KernelOp::DeformableColumns(_)
            | KernelOp::Det(_)
            | KernelOp::GridSample(_)
            | KernelOp::Inverse(_)
            | KernelOp::MaxRoiPool(_)
            | KernelOp::RoiAlign(_)
            | KernelOp::TopK(_) => false,
        },
        Op::Input
        | Op::Constant(_)
        | Op::Unfold { .. }
        | Op::Conv { .. }
        | Op::Fold { .. }
        | Op::Scatter { .. }
        | Op::Pool { .. }
        | Op::Softmax { .. }
        | Op::Reduce { .. }
        | Op::ArgReduce { .. }
        | Op::Gather { .. }
        | Op::Pad { .. }
        | Op::Resize { .. } => false,
    }
}

/// Whether a product is one of activations whose strides the kernel takes, whatever they are.
fn is_small_product(graph: &Graph, id: NodeId) -> bool {
    product(graph, id).is_some_and(|product| {
        let kinds = &product.kinds;
        let single = [&kinds.m, &kinds.n, &kinds.k].into_iter().all(|labels| labels.len() <= 1);
        !product.is_weighted(graph) && single && kinds.batch.len() <= BATCH_AXES
    })
}
