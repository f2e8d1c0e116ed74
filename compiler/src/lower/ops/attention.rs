//! Attention: one kernel with online softmax, so that no score matrix exists.
//!
//! Leading axes merge into at most (batch, head). Head sizes above what the kernels hold are refused; the optimiser does not
//! form such nodes.

use super::contraction::output_for;
use super::copy::dense;
use super::strided::{word, workgroups};
use crate::cost::Cost;
use crate::cost::OperatorClass;
use crate::graph::NodeId;
use crate::graph::op::{EmptyRow, Op};
use crate::kernels::params::Params;
use crate::kernels::{Kernel, MAX_SCORE_OPERANDS};
use crate::lower::context::{Call, Lowering};
use crate::lower::error::LowerError;
use crate::lower::view::{View, merge_axes};
use crate::profile::Tiles;

/// Leading axes of all tensors merged to (batch, head); `None` when more are left.
fn leading(views: &[&View]) -> Option<([usize; 2], Vec<[i64; 2]>)> {
    let axes = views[0].shape.len() - 2;
    let strides: Vec<Vec<i64>> = views.iter().map(|v| v.strides[..axes].to_vec()).collect();
    let (shape, strides) = merge_axes(&views[0].shape[..axes], &strides);
    let pad = |list: &[i64]| match list {
        [] => Some([0, 0]),
        [head] => Some([0, *head]),
        [batch, head] => Some([*batch, *head]),
        _ => None,
    };
    let sizes = match shape.as_slice() {
        [] => [1, 1],
        [head] => [1, *head],
        [batch, head] => [*batch, *head],
        _ => return None,
    };
    Some((sizes, strides.iter().map(|s| pad(s)).collect::<Option<_>>()?))
}

/// Lowers an attention node.
pub fn lower(lowering: &mut Lowering<'_>, id: NodeId) -> Result<(), LowerError> {
    let graph = lowering.graph();
    let node = graph.node(id);
    let Op::Attention { scale, score, empty_row } = &node.op else { unreachable!("dispatched on the operator") };
    let no_kernel = |reason| LowerError::NoKernel { node: graph.label(id), op: "Attention", reason };
    let operands = graph.operands(id);
    let rank = node.shape.len();
    let (rows, keys) = (node.shape[rank - 2], graph.node(operands[1]).shape[rank - 2]);
    let (head_dim, value_dim) = (graph.node(operands[0]).shape[rank - 1], node.shape[rank - 1]);
    let kernel = match head_dim {
        _ if head_dim != value_dim => return Err(no_kernel("keys and values have different sizes")),
        0..=64 => match lowering.options().tiles {
            Tiles::Gpu => Kernel::Attention,
            Tiles::Software => Kernel::AttentionWide,
        },
        65..=128 => match lowering.options().tiles {
            Tiles::Gpu => Kernel::Attention128,
            Tiles::Software => Kernel::AttentionWide128,
        },
        _ => return Err(no_kernel("a head is larger than 128")),
    };
    let own = graph.op_operand_count(id);
    let mut inputs: Vec<View> = operands[..own].iter().map(|o| lowering.view(*o)).collect();
    let mut score_shape = node.shape.clone();
    score_shape[rank - 1] = keys;
    for operand in &mut inputs[3..] {
        *operand = operand.broadcast(&score_shape);
    }
    let mut out = output_for(lowering, id);
    out.split_epilogue();
    let merged = |inputs: &[View], out: &View| leading(&inputs.iter().chain([out]).collect::<Vec<_>>());
    let (sizes, strides) = match merged(&inputs, &out.view) {
        Some(found) => found,
        None => {
            for input in &mut inputs {
                *input = dense(lowering, input);
            }
            out.view = lowering.output(&node.shape);
            merged(&inputs, &out.view).expect("dense tensors merge their leading axes into one")
        }
    };
    let full = |i: usize, view: &View| {
        [strides[i][0], strides[i][1], view.strides[rank - 2], view.strides[rank - 1]].map(word)
    };
    let empty_sum = match empty_row {
        EmptyRow::Nan => f32::NAN,
        EmptyRow::Zero => 1.0,
    };
    let of_score = |i: usize| inputs[3..].get(i).map(|view| (word(view.offset), full(3 + i, view)));
    let mut score_offsets = [0; 4];
    let mut score_strides = [0; 4 * MAX_SCORE_OPERANDS];
    for ((i, offset), place) in score_offsets.iter_mut().enumerate().zip(score_strides.chunks_exact_mut(4)) {
        let (at, strides) = of_score(i).unwrap_or_default();
        *offset = at;
        place.copy_from_slice(&strides);
    }
    let params = Params::new()
        .set("rows", rows)
        .set("keys", keys)
        .set("head_dim", head_dim)
        .set("scale", *scale)
        .set("infinity", f32::INFINITY)
        .set("empty_sum", empty_sum)
        .set("nan", f32::NAN)
        .set("q_offset", inputs[0].offset)
        .set("k_offset", inputs[1].offset)
        .set("v_offset", inputs[2].offset)
        .set("out_offset", out.view.offset)
        .set("q_stride", full(0, &inputs[0]))
        .set("k_stride", full(1, &inputs[1]))
        .set("v_stride", full(2, &inputs[2]))
        .set("out_stride", full(inputs.len(), &out.view))
        .set("score_offsets", score_offsets)
        .set("score_strides", score_strides);
    let scores = (sizes[0] * sizes[1] * rows * keys) as f64;
    lowering.call(
        Call::of(kernel, out.view.tensor)
            .params(params)
            .reads(inputs.iter().map(|v| v.tensor))
            .link(score.clone())
            .over(workgroups([rows.div_ceil(kernel.tile().0), sizes[1], sizes[0]]))
            .cost(Cost {
                class: OperatorClass::Hierarchical,
                flops: 4.0 * scores * head_dim as f64,
                bytes: 4.0 * (sizes[0] * sizes[1] * (2 * rows + 2 * keys) * head_dim) as f64,
            }),
    );
    out.finish(lowering, id)
}
