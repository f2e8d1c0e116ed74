//! Matrix products: an einsum of two operands becomes one product kernel, or one per range of weight panels.
//!
//! Labels fall into four kinds: batch (in both operands and the output), m (first operand and output), n (second operand and
//! output) and k (both operands only). Axes of a kind merge into one stride where every tensor walks them alike; further m
//! and n axes become batch axes with stride 0 in the other operand. What strides cannot say is copied into canonical order
//! first. A constant second operand without batch axes is a streamed weight.

use super::contraction::{
    Output, Panels, Parts, attach_epilogue, call_kernel, output_for, panel_calls, product_kernel,
};
use super::copy::dense;
use super::strided::workgroups;
use crate::cost::Cost;
use crate::cost::OperatorClass;
use crate::graph::op::Op;
use crate::graph::{NodeId, Siblings};
use crate::kernels::params::Params;
use crate::kernels::{Kernel, MAX_EPILOGUE_OPERANDS, PANEL};
use crate::lower::context::{Call, Lowering};
use crate::lower::error::LowerError;
use crate::lower::product::{Kinds, Product, product};
use crate::lower::view::{View, merge_axes};
use crate::profile::Tiles;

/// Stride and size of a label in a view whose axes are `labels`; stride 0 when it does not occur.
fn stride_of(labels: &[u8], view: &View, label: u8) -> i64 {
    labels.iter().position(|l| *l == label).map_or(0, |i| view.strides[i])
}

fn strides_of(labels: &[u8], view: &View, requested: &[u8]) -> Vec<i64> {
    requested.iter().map(|l| stride_of(labels, view, *l)).collect()
}

/// The merged axes of a product: the last m, n and k, and everything else as batch.
pub(super) struct Merged {
    m: (usize, Vec<i64>),
    n: (usize, Vec<i64>),
    k: (usize, Vec<i64>),
    batch_shape: Vec<usize>,
    /// By tensor: a, b, out, epilogue operands.
    batch_strides: Vec<Vec<i64>>,
}

fn merge_kind(labels: &[u8], sizes: &[usize], tensors: &[(&[u8], &View)]) -> (Vec<usize>, Vec<Vec<i64>>) {
    let strides: Vec<Vec<i64>> = tensors.iter().map(|(l, v)| strides_of(l, v, labels)).collect();
    merge_axes(sizes, &strides)
}

fn innermost(shape: &mut Vec<usize>, strides: &mut [Vec<i64>]) -> (usize, Vec<i64>) {
    match shape.pop() {
        Some(size) => (size, strides.iter_mut().map(|s| s.pop().expect("as long as the shape")).collect()),
        None => (1, vec![0; strides.len()]),
    }
}

/// Merges what can be merged; `None` when more than three batch axes or more than one k axis are left. With `split_n`
/// unset, n must merge into one axis.
fn merge(kinds: &Kinds, size: impl Fn(u8) -> usize, tensors: &[(&[u8], &View)], split_n: bool) -> Option<Merged> {
    let sizes = |labels: &[u8]| labels.iter().map(|l| size(*l)).collect::<Vec<_>>();
    let (mut batch_shape, mut batch_strides) = merge_kind(&kinds.batch, &sizes(&kinds.batch), tensors);
    let (mut m_shape, mut m_strides) = merge_kind(&kinds.m, &sizes(&kinds.m), tensors);
    let (mut n_shape, mut n_strides) = merge_kind(&kinds.n, &sizes(&kinds.n), tensors);
    let (mut k_shape, mut k_strides) = merge_kind(&kinds.k, &sizes(&kinds.k), &tensors[..2]);
    let m = innermost(&mut m_shape, &mut m_strides);
    let n = innermost(&mut n_shape, &mut n_strides);
    let k = innermost(&mut k_shape, &mut k_strides);
    if !k_shape.is_empty() || (!split_n && !n_shape.is_empty()) {
        return None;
    }
    batch_shape.extend(m_shape);
    batch_shape.extend(n_shape);
    for (batch, (m, n)) in batch_strides.iter_mut().zip(m_strides.into_iter().zip(n_strides)) {
        batch.extend(m);
        batch.extend(n);
    }
    (batch_shape.len() <= 3).then_some(Merged { m, n, k, batch_shape, batch_strides })
}

/// Dense copy of an activation with its axes in the order of `kinds`; the labels that it lacks are left out.
pub(super) fn canonical(lowering: &mut Lowering<'_>, activation: &Activation, kinds: &[&[u8]]) -> Activation {
    let Activation { labels, view } = activation;
    let place = |label: &u8| labels.iter().position(|l| l == label);
    let labels: Vec<u8> = kinds.concat().into_iter().filter(|label| place(label).is_some()).collect();
    let permutation: Vec<usize> = labels.iter().filter_map(place).collect();
    Activation { view: dense(lowering, &view.transposed(&permutation)), labels }
}

/// Three batch sizes and, for one tensor, three strides; leading axes are padded with size 1.
fn batch3(shape: &[usize], strides: &[i64]) -> ([usize; 3], [i64; 3]) {
    let mut sizes = [1; 3];
    let mut out = [0; 3];
    for i in 0..shape.len() {
        sizes[3 - shape.len() + i] = shape[i];
        out[3 - shape.len() + i] = strides[i];
    }
    (sizes, out)
}

/// Lowers an einsum.
pub fn lower(lowering: &mut Lowering<'_>, id: NodeId) -> Result<(), LowerError> {
    let graph = lowering.graph();
    let Op::Einsum { output, .. } = &graph.node(id).op else { unreachable!("dispatched on the operator") };
    let reason = "an axis occurs in one operand and not in the output";
    let no_kernel = || LowerError::NoKernel { node: graph.label(id), op: "Einsum", reason };
    let product = product(graph, id).ok_or_else(no_kernel)?;
    if product.is_weighted(graph) {
        return weighted(lowering, id, &product, output);
    }
    let Product { a, b, first, second, kinds, .. } = product;
    dynamic(lowering, id, &kinds, (&a, first), (&b, second), output)
}

fn weighted(lowering: &mut Lowering<'_>, id: NodeId, product: &Product, output: &[u8]) -> Result<(), LowerError> {
    let graph = lowering.graph();
    let packing = product.packing(graph);
    let activation = Activation { labels: product.a.clone(), view: lowering.view(product.first) };
    let size = |label: u8| product.size(graph, label);
    let Placed { first, mut out, merged, .. } = placed(lowering, id, &product.kinds, (activation, None), output, size);
    let weight = lowering.weight(product.second, packing);
    let panels = Panels::of(lowering.weight_at(weight), 0);
    let batches: usize = merged.batch_shape.iter().product();
    // What is chosen for a product does not depend on whether it is computed with its siblings.
    let chosen_for = match lowering.siblings(id) {
        Some((_, siblings)) => Chosen::of(siblings),
        None => Chosen { rows: merged.m.0, columns: merged.n.0, batches, operands: out.epilogue_operands() },
    };
    let x_scale = lowering.x_scale(id);
    StreamedProduct { x: &first, merged: &merged, panels: &panels, chosen_for, x_scale }.calls(lowering, &mut out)?;
    out.finish(lowering, id)
}

/// What kernels of a product are chosen for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chosen {
    rows: usize,
    columns: usize,
    batches: usize,
    /// Of the epilogue.
    operands: usize,
}

impl Chosen {
    /// The same for siblings, computed together or not.
    pub const fn of(siblings: &Siblings) -> Self {
        Self { rows: siblings.rows, columns: siblings.columns, batches: 1, operands: siblings.operands }
    }
}

/// A product with panels of the stream.
pub(super) struct StreamedProduct<'a> {
    pub x: &'a View,
    pub merged: &'a Merged,
    pub panels: &'a Panels,
    pub chosen_for: Chosen,
    pub x_scale: f32,
}

impl StreamedProduct<'_> {
    /// Appends its calls, which write `out` or the parts of its sums.
    pub fn calls(self, lowering: &mut Lowering<'_>, out: &mut Output) -> Result<(), LowerError> {
        let Self { x, merged, panels, chosen_for: chosen, x_scale } = self;
        let (rows, n, k) = (merged.m.0, merged.n.0, merged.k.0);
        let batches: usize = merged.batch_shape.iter().product();
        let (sizes, x_batch) = batch3(&merged.batch_shape, &merged.batch_strides[0]);
        let (_, out_batch) = batch3(&merged.batch_shape, &merged.batch_strides[2]);
        let options = lowering.options();
        let whole = product_kernel(options, chosen.rows, chosen.columns, chosen.batches);
        let parts = Parts::of(options, whole, [chosen.rows, chosen.columns, chosen.batches, k], chosen.operands);
        let apart = out.in_parts(lowering, parts.count) as i64;
        let operand_words = operand_words(out, merged);
        let inputs: Vec<_> = [x.tensor].into_iter().chain(out.epilogue_views.iter().map(|v| v.tensor)).collect();
        let shift = options.page.texels().trailing_zeros();
        let (x_offset, out_view) = (x.offset, out.view.clone());
        panel_calls(lowering, panels, |range, texels, base| {
            let n_count = (range.end * PANEL).min(n) - range.start * PANEL;
            let kernel = call_kernel(options, (whole, parts), chosen.rows, n_count, chosen.batches);
            let params = Params::new()
                .set("m", rows)
                .set("n_count", n_count)
                .set("k", k)
                .set("weight_base", base)
                .set("n0", range.start * PANEL)
                .set("page_shift", shift)
                .set("batch_1", sizes[1])
                .set("batch_2", sizes[2])
                .set("x_offset", x_offset)
                .set("x_stride_m", merged.m.1[0])
                .set("x_stride_k", merged.k.1[0])
                .set("out_offset", out_view.offset)
                .set("out_stride_m", merged.m.1[2])
                .set("out_stride_n", merged.n.1[2])
                .set("x_batch_stride", x_batch.as_slice())
                .set("x_scale", x_scale)
                .set("out_batch_stride", [out_batch[0], out_batch[1], out_batch[2], apart].as_slice())
                .set("parts", parts.count)
                .set("part", parts.terms)
                .set("operands", operand_words);
            let tile = kernel.tile();
            let flops = 2.0 * (batches * rows * k * n_count) as f64;
            Call::of(kernel, out_view.tensor)
                .params(params)
                .reads(inputs.clone())
                .link(out.expression.clone())
                .over(workgroups([rows.div_ceil(tile.0), n_count.div_ceil(tile.1), batches * parts.count]))
                .weights(texels)
                .cost(Cost {
                    class: OperatorClass::Reusable,
                    flops,
                    bytes: 4.0 * (batches * rows * (k + n_count)) as f64,
                })
        })
    }
}

/// An activation that a product reads, and the labels of its axes.
pub(super) struct Activation {
    pub labels: Vec<u8>,
    pub view: View,
}

/// Where a product reads its activations and writes its result.
struct Placed {
    first: View,
    /// The second operand, where it is no weight.
    second: Option<View>,
    out: Output,
    merged: Merged,
}

/// The strides of activations and result as the kernels take them; copies of the activations, or an epilogue apart, where need be.
fn placed(
    lowering: &mut Lowering<'_>,
    id: NodeId,
    kinds: &Kinds,
    mut activations: (Activation, Option<Activation>),
    output: &[u8],
    size: impl Fn(u8) -> usize + Copy,
) -> Placed {
    let mut out = output_for(lowering, id);
    let mut merged = merged_where_it_fits(kinds, size, &activations, (output, &out));
    if merged.is_none() {
        // Without the epilogue's operands, which then run as a kernel of their own.
        out.split_epilogue();
        merged = merged_where_it_fits(kinds, size, &activations, (output, &out));
    }
    if merged.is_none() {
        let Kinds { batch, m, n, k } = kinds;
        activations.0 = canonical(lowering, &activations.0, &[batch, m, k]);
        activations.1 = activations.1.map(|second| canonical(lowering, &second, &[batch, k, n]));
        out = Output::canonical(lowering, id, &[batch, m, n], output);
        merged = merged_where_it_fits(kinds, size, &activations, (output, &out));
    }
    let merged = merged.expect("canonical activations and output always merge");
    let (first, second) = activations;
    Placed { first: first.view, second: second.map(|second| second.view), out, merged }
}

/// The merged axes of activations, output and epilogue, where kernels can say them.
pub(super) fn merged_where_it_fits(
    kinds: &Kinds,
    size: impl Fn(u8) -> usize,
    (first, second): &(Activation, Option<Activation>),
    (labels, out): (&[u8], &Output),
) -> Option<Merged> {
    // A weight's own k order is free, so only the activation's strides count: it stands in for both operands.
    let operands = [first, second.as_ref().unwrap_or(first)].map(|a| (a.labels.as_slice(), &a.view));
    let results = [&out.view].into_iter().chain(&out.epilogue_views).map(|view| (labels, view));
    let tensors: Vec<_> = operands.into_iter().chain(results).collect();
    merge(kinds, size, &tensors, second.is_some()).filter(|merged| epilogue_fits(merged, 3))
}

/// The epilogue's operands as the kernels take them.
fn operand_words(out: &Output, merged: &Merged) -> [u32; 4 * MAX_EPILOGUE_OPERANDS] {
    attach_epilogue(&out.epilogue_views, |i| {
        let z = flat_stride(&merged.batch_shape, &merged.batch_strides[3 + i]).expect("checked by epilogue_fits");
        (z, merged.m.1[3 + i], merged.n.1[3 + i])
    })
}

/// The one stride of a flat index over the batch axes, when there is one.
fn flat_stride(shape: &[usize], strides: &[i64]) -> Option<i64> {
    let (merged, strides) = merge_axes(shape, &[strides.to_vec()]);
    match merged.len() {
        0 => Some(0),
        1 => Some(strides[0][0]),
        _ => None,
    }
}

fn epilogue_fits(merged: &Merged, first: usize) -> bool {
    merged.batch_strides[first..].iter().all(|s| flat_stride(&merged.batch_shape, s).is_some())
}

fn dynamic(
    lowering: &mut Lowering<'_>,
    id: NodeId,
    kinds: &Kinds,
    (a_labels, a): (&[u8], NodeId),
    (b_labels, b): (&[u8], NodeId),
    output: &[u8],
) -> Result<(), LowerError> {
    let graph = lowering.graph();
    let size = |label: u8| {
        let in_a = a_labels.iter().position(|l| *l == label).map(|i| graph.node(a).shape[i]);
        in_a.unwrap_or_else(|| graph.node(b).shape[b_labels.iter().position(|l| *l == label).expect("in an operand")])
    };
    let activation = |labels: &[u8], view| Activation { labels: labels.to_vec(), view };
    let first = activation(a_labels, lowering.view(a));
    let second = activation(b_labels, lowering.view(b));
    let Placed { first: left, second, out, merged } = placed(lowering, id, kinds, (first, Some(second)), output, size);
    let right = second.expect("both operands are activations");
    let (sizes, a_batch) = batch3(&merged.batch_shape, &merged.batch_strides[0]);
    let (_, b_batch) = batch3(&merged.batch_shape, &merged.batch_strides[1]);
    let (_, out_batch) = batch3(&merged.batch_shape, &merged.batch_strides[2]);
    let batches: usize = merged.batch_shape.iter().product();
    let (m, n, k) = (merged.m.0, merged.n.0, merged.k.0);
    let params = Params::new()
        .set("m", m)
        .set("n_count", n)
        .set("k", k)
        .set("batch_1", sizes[1])
        .set("batch_2", sizes[2])
        .set("x_offset", left.offset)
        .set("x_stride_m", merged.m.1[0])
        .set("x_stride_k", merged.k.1[0])
        .set("n0", 0_u32)
        .set("c_offset", right.offset)
        .set("c_stride_k", merged.k.1[1])
        .set("c_stride_n", merged.n.1[1])
        .set("out_offset", out.view.offset)
        .set("out_stride_m", merged.m.1[2])
        .set("out_stride_n", merged.n.1[2])
        .set("x_batch_stride", a_batch)
        .set("c_batch_stride", b_batch)
        .set("out_batch_stride", out_batch)
        .set("parts", 1_u32)
        .set("part", k)
        .set("operands", operand_words(&out, &merged));
    let kernel = match lowering.options().tiles {
        Tiles::Gpu => Kernel::MatmulDynTiled,
        Tiles::Software => Kernel::MatmulDynWide,
    };
    let tile = kernel.tile();
    lowering.call(
        Call::of(kernel, out.view.tensor)
            .params(params)
            .reads([left.tensor, right.tensor].into_iter().chain(out.epilogue_views.iter().map(|v| v.tensor)))
            .link(out.expression.clone())
            .over(workgroups([m.div_ceil(tile.0), n.div_ceil(tile.1), batches]))
            .cost(Cost {
                class: OperatorClass::Reusable,
                flops: 2.0 * (batches * m * n * k) as f64,
                bytes: 4.0 * (batches * (m * k + k * n + m * n)) as f64,
            }),
    );
    out.finish(lowering, id)
}
