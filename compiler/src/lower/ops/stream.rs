//! Large constants of element-wise operators: pages of the stream that are unpacked into an activation where they are needed.
//!
//! A position table of many megabytes would otherwise stay resident from beginning to end. Only what one node reads once is
//! streamed: a constant with several readers stays in the constants buffer, and so does one that half precision cannot hold
//! when weights are stored in it (a mask; `half.rs`).

use super::contraction::pages_of;
use super::strided::{cost, linear};
use crate::cost::OperatorClass;
use crate::graph::constant::Dtype;
use crate::graph::op::Op;
use crate::graph::{Graph, NodeId};
use crate::kernels::Kernel;
use crate::kernels::params::Params;
use crate::lower::context::{Call, Lowering, Site};
use crate::lower::error::LowerError;
use crate::lower::program::Packing;

/// Constants of at least this size are streamed, in bytes on the device.
const STREAMED_BYTES: usize = 512 << 10;

/// Most elements that lie side by side in the packing; any power of two gives the same order of texels.
const MAX_COLUMNS: usize = 256;

/// Streams the large constants among the element-wise operands of a node, and makes what is unpacked their view.
pub fn operands(lowering: &mut Lowering<'_>, id: NodeId) -> Result<(), LowerError> {
    for (_, operand) in streamed_constants(lowering.graph(), id) {
        if let Some(columns) = streamed_columns(lowering.graph(), operand) {
            unpack(lowering, operand, columns)?;
        }
    }
    Ok(())
}

/// The large constants among the element-wise operands of a node that are streamed, with their positions.
pub fn streamed_constants(graph: &Graph, id: NodeId) -> Vec<(usize, NodeId)> {
    let own = match graph.node(id).op {
        Op::Pointwise(_) => 0,
        _ => graph.op_operand_count(id),
    };
    let operands = graph.operands(id).into_iter().enumerate().skip(own);
    operands.filter(|(_, operand)| streamed_columns(graph, *operand).is_some()).collect()
}

/// Whether a constant is streamed: the columns of its packing.
fn streamed_columns(graph: &Graph, id: NodeId) -> Option<usize> {
    let constant = graph.constant(id)?;
    let columns = 1 << constant.len().trailing_zeros().min(MAX_COLUMNS.trailing_zeros());
    let large = constant.len() * 4 >= STREAMED_BYTES && columns >= 4 && constant.dtype() == Dtype::F32;
    (large && graph.use_count(id) == 1 && !graph.kept_f32.contains(&id)).then_some(columns)
}

fn unpack(lowering: &mut Lowering<'_>, id: NodeId, columns: usize) -> Result<(), LowerError> {
    let graph = lowering.graph();
    let constant = graph.constant(id).expect("the caller found a constant").clone();
    lowering.enter(Site::Node(id));
    let out = lowering.output(&constant.shape);
    // One panel, so that texel t holds elements 4 t to 4 t + 3.
    let packing = Packing {
        group_stride: 0,
        k_shape: vec![constant.len() / columns],
        k_strides: vec![columns],
        n_shape: vec![columns],
        n_strides: vec![1],
        groups: 1,
        panel_width: columns,
        constant,
    };
    let weight = lowering.weight(id, packing);
    let (start, texels) = (lowering.weight_at(weight).texel_offset, lowering.weight_at(weight).texels);
    let (page, limit) = (lowering.options().page, u64::from(lowering.options().max_pages_per_call));
    let mut first = start;
    while first < start + texels {
        let borders = (first / u64::from(page.texels()) + limit) * u64::from(page.texels());
        let range = first..borders.min(start + texels);
        debug_assert!(pages_of(page, &range) <= limit, "cut at page borders");
        let count = (range.end - range.start) as usize;
        let (workgroups, width) = linear(count);
        let base = (range.start % u64::from(page.texels())) as u32;
        let offset = ((range.start - start) * 4) as u32;
        first = range.end;
        lowering.call(
            Call::of(Kernel::Unpack, out.tensor)
                .params(
                    Params::new()
                        .set("count", count)
                        .set("width", width)
                        .set("weight_base", base)
                        .set("page_shift", page.texels().trailing_zeros())
                        .set("out_offset", offset),
                )
                .over(workgroups)
                .weights(range)
                .cost(cost(OperatorClass::Elemental, 4 * count, 4 * count, 0)),
        );
    }
    lowering.set_view(id, out);
    Ok(())
}
