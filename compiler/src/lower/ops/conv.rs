//! Convolution: an implicit matrix product over output pixels, or a depthwise kernel.
//!
//! A 1-D convolution is a 2-D one of height 1. 1×1 convolutions of stride 1 without padding are products with contiguous
//! pixels. Weights are streamed; a runtime weight and three spatial axes are refused.

use super::contraction::{
    Output, Panels, Parts, attach_epilogue, conv_kernel, output_for, panel_calls, product_kernel,
};
use super::copy::dense;
use super::strided::workgroups;
use crate::cost::Cost;
use crate::cost::OperatorClass;
use crate::graph::NodeId;
use crate::graph::op::{Op, Window};
use crate::kernels::MAX_EPILOGUE_OPERANDS;
use crate::kernels::params::Params;
use crate::kernels::{Kernel, PANEL};
use crate::lower::context::{Call, Lowering};
use crate::lower::error::{LowerError, LowerOptions};
use crate::lower::program::Packing;
use crate::lower::streamed::is_depthwise;
use crate::lower::view::{View, element_strides, merge_axes};
use flashmem_plan_format::plan::Encoding;
use std::ops::Range;

/// Everything about one convolution, in two spatial axes.
struct Geometry {
    images: usize,
    channels: usize,
    outputs: usize,
    groups: usize,
    input: [usize; 2],
    output: [usize; 2],
    kernel: [usize; 2],
    strides: [usize; 2],
    dilations: [usize; 2],
    pads: [usize; 2],
}

impl Geometry {
    fn of(x: &[usize], out: &[usize], window: &Window, groups: usize) -> Option<Self> {
        let two = |list: &[usize], missing: usize| match list {
            [w] => Some([missing, *w]),
            [h, w] => Some([*h, *w]),
            _ => None,
        };
        Some(Self {
            images: x[0],
            channels: x[1],
            outputs: out[1],
            groups,
            input: two(&x[2..], 1)?,
            output: two(&out[2..], 1)?,
            kernel: two(&window.kernel, 1)?,
            strides: two(&window.strides, 1)?,
            dilations: two(&window.dilations, 1)?,
            pads: two(&window.pads_before, 0)?,
        })
    }

    const fn pixels(&self) -> usize {
        self.output[0] * self.output[1]
    }

    fn is_pointwise(&self) -> bool {
        self.groups == 1
            && self.kernel == [1, 1]
            && self.strides == [1, 1]
            && self.pads == [0, 0]
            && self.input == self.output
    }
}

/// Lowers a convolution.
pub fn lower(lowering: &mut Lowering<'_>, id: NodeId) -> Result<(), LowerError> {
    let graph = lowering.graph();
    let node = graph.node(id);
    let Op::Conv { window, groups } = &node.op else { unreachable!("dispatched on the operator") };
    let no_kernel = |reason| LowerError::NoKernel { node: graph.label(id), op: "Conv", reason };
    let operands = graph.operands(id);
    let (x, weight) = (operands[0], operands[1]);
    let Some(constant) = graph.constant(weight).cloned() else {
        return Err(no_kernel("its weight is not a constant"));
    };
    let geometry = Geometry::of(&graph.node(x).shape, &node.shape, window, *groups)
        .ok_or_else(|| no_kernel("it has more than two spatial axes"))?;
    let mut input = lowering.view(x);
    if !pixels_are_dense(&input) {
        input = dense(lowering, &input);
    }
    let mut out = output_for(lowering, id);
    if !pixels_are_dense(&out.view) {
        out = Output::in_node_order(lowering, id);
    }
    let strides: Option<Vec<(i64, i64, i64)>> = out.epilogue_views.iter().map(operand_strides).collect();
    let operand_words = match strides {
        Some(strides) => attach_epilogue(&out.epilogue_views, |i| strides[i]),
        None => {
            out.split_epilogue();
            attach_epilogue(&[], |_| (0, 0, 0))
        }
    };
    let is_depthwise = is_depthwise(graph, id);
    let parts = if is_depthwise { Parts::whole(0) } else { parts_of(lowering.options(), &geometry, &out) };
    let operand_words = if parts.count > 1 { attach_epilogue(&[], |_| (0, 0, 0)) } else { operand_words };
    let apart = out.in_parts(lowering, parts.count);
    let call = Convolution {
        parts,
        apart,
        geometry: &geometry,
        input: &input,
        out: &out,
        options: lowering.options(),
        x_scale: lowering.x_scale(id),
        operand_words,
    };
    if is_depthwise {
        call.depthwise(lowering, weight, constant)?;
    } else {
        call.products(lowering, weight, constant)?;
    }
    out.finish(lowering, id)
}

/// The parts of the sums of one image.
fn parts_of(options: &LowerOptions, geometry: &Geometry, out: &Output) -> Parts {
    let g = geometry;
    let (columns, terms) = (g.outputs / g.groups, g.channels / g.groups * g.kernel[0] * g.kernel[1]);
    let kernel = match (g.images, g.is_pointwise()) {
        (1, true) => product_kernel(options, g.pixels(), columns, 1),
        (1, false) => conv_kernel(options, g.pixels(), columns, g.groups),
        _ => return Parts::whole(terms),
    };
    Parts::of(options, kernel, [g.pixels(), columns, g.groups, terms], out.epilogue_operands())
}

/// Whether the spatial axes lie densely one row after the other.
fn pixels_are_dense(view: &View) -> bool {
    let spatial = View {
        tensor: view.tensor,
        offset: view.offset,
        shape: view.shape[2..].to_vec(),
        strides: view.strides[2..].to_vec(),
    };
    spatial.is_dense()
}

/// (batch, pixel, channel) strides of an epilogue operand; `None` when its pixels need more than one stride.
fn operand_strides(view: &View) -> Option<(i64, i64, i64)> {
    let (pixels, strides) = merge_axes(&view.shape[2..], &[view.strides[2..].to_vec()]);
    let pixel = match pixels.len() {
        0 => 0,
        1 => strides[0][0],
        _ => return None,
    };
    Some((view.strides[0], pixel, view.strides[1]))
}

struct Convolution<'a> {
    parts: Parts,
    /// Elements from one part of the sums to the next.
    apart: usize,
    geometry: &'a Geometry,
    input: &'a View,
    out: &'a Output,
    options: &'a LowerOptions,
    x_scale: f32,
    operand_words: [u32; 4 * MAX_EPILOGUE_OPERANDS],
}

impl Convolution<'_> {
    fn inputs(&self) -> Vec<crate::lower::view::TensorId> {
        [self.input.tensor].into_iter().chain(self.out.epilogue_views.iter().map(|v| v.tensor)).collect()
    }

    fn cost(&self, outputs: usize, taps: usize) -> Cost {
        let g = self.geometry;
        let elements = g.images * g.pixels() * outputs;
        Cost {
            class: OperatorClass::Reusable,
            flops: 2.0 * (elements * taps) as f64,
            bytes: 4.0 * (elements + g.images * g.channels * g.input[0] * g.input[1]) as f64,
        }
    }

    /// What every convolution says: the window, where the operand's and the result's channels lie, and the epilogue's operands.
    fn spatial_params(&self) -> Params {
        let (g, x, out) = (self.geometry, self.input, &self.out.view);
        let pairs = [
            (["in_h", "in_w"], g.input),
            (["out_h", "out_w"], g.output),
            (["kernel_h", "kernel_w"], g.kernel),
            (["stride_h", "stride_w"], g.strides),
            (["dilation_h", "dilation_w"], g.dilations),
            (["pad_h", "pad_w"], g.pads),
        ];
        let window =
            pairs.iter().fold(Params::new(), |params, ([h, w], [height, width])| params.set(h, *height).set(w, *width));
        window
            .set("x_stride_batch", x.strides[0])
            .set("x_stride_channel", x.strides[1])
            .set("out_offset", out.offset)
            .set("out_stride_batch", if self.parts.count > 1 { self.apart as i64 } else { out.strides[0] })
            .set("out_stride_channel", out.strides[1])
            .set("operands", self.operand_words)
    }

    fn products(
        &self,
        lowering: &mut Lowering<'_>,
        weight: NodeId,
        constant: crate::graph::constant::Constant,
    ) -> Result<(), LowerError> {
        let g = self.geometry;
        let per_group = g.outputs / g.groups;
        let channels = g.channels / g.groups;
        let strides = element_strides(&constant.shape);
        let packing = Packing {
            group_stride: per_group * strides[0],
            k_shape: constant.shape[1..].to_vec(),
            k_strides: strides[1..].to_vec(),
            n_shape: vec![per_group],
            n_strides: vec![strides[0]],
            groups: g.groups,
            panel_width: PANEL,
            constant,
        };
        let taps = packing.k();
        let weight = lowering.weight(weight, packing);
        let page = lowering.options().page;
        let placed = lowering.weight_at(weight);
        let range = placed.texel_offset..placed.texel_offset + placed.texels;
        let group_texels = placed.texels / g.groups as u64;
        let together = super::contraction::pages_of(page, &range) <= u64::from(lowering.options().max_pages_per_call);
        // All groups in one call when their pages fit, else group by group.
        let groups: Vec<(usize, usize)> =
            if together { vec![(0, g.groups)] } else { (0..g.groups).map(|group| (group, 1)).collect() };
        for (first_group, group_count) in groups {
            let limit_range = (group_count > 1).then(|| range.clone());
            let group = Panels::of(lowering.weight_at(weight), first_group);
            panel_calls(lowering, &group, |panels, texels, base| {
                let n_count = (panels.end * PANEL).min(per_group) - panels.start * PANEL;
                if g.is_pointwise() {
                    return self.pointwise_call(n_count, panels.start * PANEL, texels, base, page.texels());
                }
                let x_offset = self.input.offset + (first_group * channels) as i64 * self.input.strides[1];
                let first_output = first_group * per_group;
                let out = &self.out.view;
                let params = self
                    .spatial_params()
                    .set("n_count", n_count)
                    .set("n0", panels.start * PANEL + first_output)
                    .set("n_per_group", per_group)
                    .set("groups", group_count)
                    .set("weight_base", base)
                    .set("weight_group_stride", group_texels as usize)
                    .set("page_shift", page.texels().trailing_zeros())
                    .set("channels", channels)
                    .set("m", g.pixels())
                    .set("k", taps)
                    .set("x_offset", x_offset)
                    .set("x_scale", self.x_scale)
                    .set("parts", self.parts.count)
                    .set("part", self.parts.terms);
                let kernel = match self.parts.count {
                    1 => conv_kernel(self.options, g.pixels(), n_count, g.images * group_count),
                    _ => Kernel::ConvTiled,
                };
                let tile = kernel.tile();
                let columns = n_count.div_ceil(tile.1);
                Call::of(kernel, out.tensor)
                    .params(params)
                    .reads(self.inputs())
                    .link(self.out.expression.clone())
                    .over(workgroups([g.pixels().div_ceil(tile.0), columns, g.images * group_count * self.parts.count]))
                    .weights(limit_range.clone().unwrap_or(texels))
                    .cost(self.cost(n_count * group_count, taps))
            })?;
        }
        Ok(())
    }

    fn pointwise_call(&self, n_count: usize, n0: usize, texels: Range<u64>, base: u32, page_texels: u32) -> Call {
        let g = self.geometry;
        let (x, out) = (self.input, &self.out.view);
        let rows = g.pixels();
        // A single pixel with many channels is a row vector; lanes along rows would idle.
        let kernel = match self.parts.count {
            1 => product_kernel(self.options, rows, n_count, g.images),
            _ => Kernel::MatmulTiled,
        };
        let params = Params::new()
            .set("m", rows)
            .set("n_count", n_count)
            .set("k", g.channels)
            .set("weight_base", base)
            .set("n0", n0)
            .set("page_shift", page_texels.trailing_zeros())
            .set("batch_1", 1_u32)
            .set("batch_2", g.images)
            .set("x_offset", x.offset)
            .set("x_stride_m", 1_u32)
            .set("x_stride_k", x.strides[1])
            .set("out_offset", out.offset)
            .set("out_stride_m", 1_u32)
            .set("out_stride_n", out.strides[1])
            .set("x_batch_stride", [0, 0, x.strides[0]].as_slice())
            .set("x_scale", self.x_scale)
            .set("out_batch_stride", [0, 0, out.strides[0], self.apart as i64].as_slice())
            .set("parts", self.parts.count)
            .set("part", self.parts.terms)
            .set("operands", self.operand_words);
        let tile = kernel.tile();
        Call::of(kernel, out.tensor)
            .params(params)
            .reads(self.inputs())
            .link(self.out.expression.clone())
            .over(workgroups([rows.div_ceil(tile.0), n_count.div_ceil(tile.1), g.images * self.parts.count]))
            .weights(texels)
            .cost(self.cost(n_count, g.channels))
    }

    fn depthwise(
        &self,
        lowering: &mut Lowering<'_>,
        weight: NodeId,
        constant: crate::graph::constant::Constant,
    ) -> Result<(), LowerError> {
        let g = self.geometry;
        let taps = g.kernel[0] * g.kernel[1];
        let rows = Packing {
            constant,
            group_stride: 0,
            k_shape: vec![g.outputs],
            k_strides: vec![taps],
            n_shape: vec![taps],
            n_strides: vec![1],
            groups: 1,
            panel_width: taps.next_multiple_of(4),
        };
        // Filters as columns, and their taps as k.
        let panels = Packing {
            k_shape: rows.n_shape.clone(),
            k_strides: rows.n_strides.clone(),
            n_shape: rows.k_shape.clone(),
            n_strides: rows.k_strides.clone(),
            panel_width: PANEL,
            ..rows.clone()
        };
        let tap_quads = rows.panel_quads() as u64;
        let weight = lowering.weight_of_either(weight, panels, rows);
        let placed = lowering.weight_at(weight).clone();
        let (page, limit) = (lowering.options().page, lowering.options().max_pages_per_call);
        if matches!(placed.encoding, Encoding::Block(_)) {
            let filters = Panels::of(&placed, 0);
            return panel_calls(lowering, &filters, |panels, texels, base| {
                let channels = panels.start * PANEL..(panels.end * PANEL).min(g.outputs);
                self.depthwise_call(channels, texels, base, page.texels())
            });
        }
        // Whole rows of channels, as many as share texels.
        let depth = placed.encoding.depth() as usize;
        let rows_per_call = (u64::from(page.texels()) * u64::from(limit - 1) / tap_quads).max(1) as usize;
        let mut first = 0;
        while first < g.outputs {
            let last = (first + rows_per_call * depth).min(g.outputs);
            let [start, end] = [first / depth, last.div_ceil(depth)].map(|row| row as u64 * tap_quads);
            let texels = placed.texel_offset + start..placed.texel_offset + end;
            let pages = super::contraction::pages_of(page, &texels);
            if pages > u64::from(limit) {
                return Err(LowerError::PanelTooLarge { node: lowering.site_label(), pages, limit });
            }
            let base = (texels.start % u64::from(page.texels())) as u32;
            let call = self.depthwise_call(first..last, texels, base, page.texels());
            lowering.call(call);
            first = last;
        }
        Ok(())
    }

    /// The call for some filters, whose weights begin at texel `base` of their first page.
    fn depthwise_call(&self, channels: Range<usize>, texels: Range<u64>, base: u32, page_texels: u32) -> Call {
        let (g, out) = (self.geometry, &self.out.view);
        let params = self
            .spatial_params()
            .set("n_count", channels.len())
            .set("n0", channels.start)
            .set("multiplier", g.outputs / g.channels)
            .set("weight_base", base)
            .set("page_shift", page_texels.trailing_zeros())
            .set("x_offset", self.input.offset);
        let small = (&g.kernel, &g.strides, &g.dilations) == (&[3, 3], &[1, 1], &[1, 1]);
        let (kernel, [along_x, along_y]) = if small {
            let blocks = channels.len() * g.output[0].div_ceil(4) * g.output[1].div_ceil(4);
            (Kernel::ConvDepthwise3x3, [blocks.div_ceil(Kernel::ConvDepthwise3x3.tile().0), 1])
        } else {
            (Kernel::ConvDepthwise, [g.pixels().div_ceil(Kernel::ConvDepthwise.tile().0), channels.len()])
        };
        Call::of(kernel, out.tensor)
            .params(params)
            .reads(self.inputs())
            .link(self.out.expression.clone())
            .over(workgroups([along_x, along_y, g.images]))
            .weights(texels)
            .cost(self.cost(channels.len(), g.kernel[0] * g.kernel[1]))
    }
}
