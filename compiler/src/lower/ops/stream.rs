//! Large constants of element-wise operators: pages of the stream that are unpacked into an activation where they are needed.
//!
//! A position table of many megabytes would otherwise stay resident from beginning to end. Only what one node reads once is
//! streamed: a constant with several readers stays in the constants buffer.

use super::contraction::pages_of;
use super::strided::{cost, linear};
use crate::cost::OperatorClass;
use crate::graph::NodeId;
use crate::kernels::Kernel;
use crate::kernels::params::Params;
use crate::lower::context::{Call, Lowering};
use crate::lower::program::Packing;
use crate::lower::site::Site;
use crate::lower::streamed::{COLUMNS, streamed_constants};

/// Streams the large constants among the element-wise operands of a node, and makes what is unpacked their view.
pub fn operands(lowering: &mut Lowering<'_>, id: NodeId) {
    for (_, operand) in streamed_constants(lowering.graph(), id) {
        unpack(lowering, operand);
    }
}

fn unpack(lowering: &mut Lowering<'_>, id: NodeId) {
    let graph = lowering.graph();
    let constant = graph.constant(id).expect("the caller found a constant").clone();
    lowering.enter(Site::Node(id));
    let out = lowering.output(&constant.shape);
    // One panel of one quad, so that k counts the quads of the constant.
    let packing = Packing {
        group_stride: 0,
        k_shape: vec![constant.len() / COLUMNS],
        k_strides: vec![COLUMNS],
        n_shape: vec![COLUMNS],
        n_strides: vec![1],
        groups: 1,
        panel_width: COLUMNS,
        constant,
    };
    let weight = lowering.float_weight(id, packing);
    let placed = lowering.weight_at(weight);
    let (start, texels, depth) = (placed.texel_offset, placed.texels, u64::from(placed.encoding.depth()));
    let quads = placed.packing.k() as u64;
    let (page, limit) = (lowering.options().page, u64::from(lowering.options().max_pages_per_call));
    let mut first = start;
    while first < start + texels {
        let borders = (first / u64::from(page.texels()) + limit) * u64::from(page.texels());
        let range = first..borders.min(start + texels);
        debug_assert!(pages_of(page, &range) <= limit, "cut at page borders");
        let count = (((range.end - start) * depth).min(quads) - (range.start - start) * depth) as usize;
        let (workgroups, width) = linear(count);
        let base = (range.start % u64::from(page.texels())) as u32;
        let offset = ((range.start - start) * depth * COLUMNS as u64) as u32;
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
}
