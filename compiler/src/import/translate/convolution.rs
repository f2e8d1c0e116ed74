//! Convolution and its transpose.
//!
//! tract may drop the batch axis, put channels last, or hold a kernel as HWIO or OHWI; ours is always (batch, channels,
//! spatial…) and (outputs, channels / groups, kernel…), reached by reshapes and transposes. The bias becomes an addition.
//! What the convolution kernels do not compute becomes a product over unfolded windows (`unfold.rs`); a transposed
//! convolution is a product and the sum of overlapping windows.

use super::context::{Outcome, Refusal, Translator};
use super::quantized;
use super::unfold::{self, Arithmetic};
use crate::graph::NodeId;
use crate::graph::op::{Op, Window};
use crate::graph::pointwise::{BinaryOp, Pointwise};
use crate::import::windows::forward_window;
use tract_onnx::prelude::TypedNode;
use tract_onnx::tract_core::ops::cnn::{Conv, Deconv, KernelFormat};
use tract_onnx::tract_core::ops::nn::DataFormat;

/// A tensor in tract's data format as (batch, channels, spatial…).
pub fn channels_first(t: &mut Translator<'_>, id: NodeId, format: DataFormat) -> Result<NodeId, Refusal> {
    let mut shape = t.shape(id);
    let id = if format.has_n() {
        id
    } else {
        shape.insert(0, 1);
        t.reshape(id, &shape)
    };
    let rank = shape.len();
    if !format.c_is_last() {
        return Ok(id);
    }
    let permutation = [0, rank - 1].into_iter().chain(1..rank - 1).collect();
    t.transpose(id, permutation)
}

/// The inverse of [`channels_first`].
pub fn in_format(t: &mut Translator<'_>, id: NodeId, format: DataFormat) -> Result<NodeId, Refusal> {
    let rank = t.shape(id).len();
    let id =
        if format.c_is_last() { t.transpose(id, [0].into_iter().chain(2..rank).chain([1]).collect())? } else { id };
    if format.has_n() {
        return Ok(id);
    }
    let shape = t.shape(id)[1..].to_vec();
    Ok(t.reshape(id, &shape))
}

/// A kernel as (groups, outputs / groups, channels / groups, kernel…).
fn grouped_kernel(t: &mut Translator<'_>, id: NodeId, format: KernelFormat, groups: usize) -> Result<NodeId, Refusal> {
    let shape = t.shape(id);
    let spatial_rank = shape.len() - 2;
    let mut split = shape.clone();
    let axis = match format {
        KernelFormat::OIHW => 0,
        KernelFormat::HWIO => spatial_rank,
        KernelFormat::OHWI => spatial_rank + 1,
    };
    split[axis] /= groups;
    split.insert(axis, groups);
    let id = t.reshape(id, &split);
    let permutation = match format {
        KernelFormat::OIHW => return Ok(id),
        // (kernel…, g, i, o)
        KernelFormat::HWIO => {
            [spatial_rank, spatial_rank + 2, spatial_rank + 1].into_iter().chain(0..spatial_rank).collect()
        }
        // (o, kernel…, g, i)
        KernelFormat::OHWI => [spatial_rank + 1, 0, spatial_rank + 2].into_iter().chain(1..=spatial_rank).collect(),
    };
    t.transpose(id, permutation)
}

/// Adds a bias of one element or one a channel.
fn add_bias(t: &mut Translator<'_>, node: &TypedNode, id: NodeId) -> Result<NodeId, Refusal> {
    if let Some(known) = t.known(node, 2)
        && known.is_zero()?
    {
        return Ok(id);
    }
    let bias = t.input(node, 2)?;
    let mut shape = vec![1; t.shape(id).len()];
    shape[1] = t.shape(bias).iter().product();
    let bias = t.reshape(bias, &shape);
    t.pointwise(Pointwise::binary(BinaryOp::Add, t.dtype(id)), &[id, bias])
}

/// Convolution.
pub fn conv(t: &mut Translator<'_>, node: &TypedNode, op: &Conv) -> Outcome {
    let x = t.input(node, 0)?;
    let x = channels_first(t, x, op.pool_spec.data_format)?;
    let kernel = t.input(node, 1)?;
    let kernel = grouped_kernel(t, kernel, op.kernel_fmt, op.group)?;
    let (window, _) = forward_window(&op.pool_spec, &t.shape(x))?;
    let y = match op.q_params {
        Some(to) => {
            let y = quantized_sums(t, node, x, kernel, &window)?;
            let rank = t.shape(y).len();
            quantized::requantized(t, node, y, to, |t, input| quantized::per_channel(t, node, input, rank, 1))?
        }
        None => {
            let y = if window.kernel.len() < 3 && t.is_constant(kernel) {
                let grouped = t.shape(kernel);
                let merged: Vec<usize> = [grouped[0] * grouped[1]].iter().chain(&grouped[2..]).copied().collect();
                let kernel = t.reshape(kernel, &merged);
                t.emit(Op::Conv { window, groups: op.group }, &[x, kernel])?
            } else {
                unfold::convolution(t, x, kernel, &window, Arithmetic::Float)?
            };
            add_bias(t, node, y)?
        }
    };
    Ok(vec![in_format(t, y, op.pool_spec.data_format)?])
}

/// The exact sums of a quantized convolution, its bias included.
fn quantized_sums(
    t: &mut Translator<'_>,
    node: &TypedNode,
    x: NodeId,
    kernel: NodeId,
    window: &Window,
) -> Result<NodeId, Refusal> {
    let [x_zero, kernel_zero] = quantized::CONVOLUTION_ZEROS;
    let (x_rank, kernel_shape) = (t.shape(x).len(), t.shape(kernel));
    let x_zero = quantized::per_channel(t, node, x_zero, x_rank, 1)?;
    let kernel_zero = t.input(node, kernel_zero)?;
    let mut zero_shape = vec![1; kernel_shape.len()];
    if t.shape(kernel_zero).iter().product::<usize>() != 1 {
        zero_shape[..2].copy_from_slice(&kernel_shape[..2]);
    }
    let kernel_zero = t.reshape(kernel_zero, &zero_shape);
    let x = quantized::centred(t, node, 0, x, x_zero)?;
    let kernel = quantized::centred(t, node, 1, kernel, kernel_zero)?;
    let sums = unfold::convolution(t, x, kernel, window, Arithmetic::Integer)?;
    let rank = t.shape(sums).len();
    let bias = quantized::per_channel(t, node, quantized::BIAS, rank, 1)?;
    quantized::add(t, sums, bias)
}

/// Transposed convolution.
pub fn deconv(t: &mut Translator<'_>, node: &TypedNode, op: &Deconv) -> Outcome {
    let spec = &op.pool_spec;
    let x = t.input(node, 0)?;
    let x = channels_first(t, x, spec.data_format)?;
    let spatial = t.shape(x)[2..].to_vec();
    let kernel = t.input(node, 1)?;
    let kernel = grouped_kernel(t, kernel, op.kernel_format, op.group)?;
    let (strides, dilations) = (spec.strides().to_vec(), spec.dilations().to_vec());
    let pads = spec.padding.compute_for_deconv(&spatial, &spec.kernel_shape, &dilations, &strides, &op.adjustments)?;
    let window = Window {
        kernel: spec.kernel_shape.to_vec(),
        strides,
        dilations,
        pads_before: pads.iter().map(|p| p.pad_before).collect(),
        pads_after: pads.iter().map(|p| p.pad_after).collect(),
    };
    let output_padding = (0..spatial.len())
        .map(|i| {
            let full = (spatial[i] - 1) * window.strides[i] + (window.kernel[i] - 1) * window.dilations[i] + 1;
            (pads[i].deconvoluted + window.pads_before[i] + window.pads_after[i]).saturating_sub(full)
        })
        .collect();
    let columns = deconv_columns(t, x, kernel, op.group)?;
    let y = t.emit(Op::Fold { window, output_padding }, &[columns])?;
    let y = add_bias(t, node, y)?;
    Ok(vec![in_format(t, y, spec.data_format)?])
}

/// Every input element times every tap of a kernel (groups, outputs / groups, channels / groups, kernel…): a product, as
/// (batch, outputs, kernel…, spatial…).
fn deconv_columns(t: &mut Translator<'_>, x: NodeId, kernel: NodeId, groups: usize) -> Result<NodeId, Refusal> {
    let (x_shape, k_shape) = (t.shape(x), t.shape(kernel));
    let spatial = x_shape.len() - 2;
    let (batch, group, outputs, channels) = (0, 1, 2, 3);
    let taps: Vec<u8> = (4..4 + spatial as u8).collect();
    let places: Vec<u8> = (4 + spatial as u8..4 + 2 * spatial as u8).collect();
    // One group is no axis, so that the kernel is a weight that can be streamed.
    let grouped: &[u8] = if groups == 1 { &[] } else { &[group] };
    let x_split: &[usize] = if groups == 1 { &[] } else { &[groups] };
    let x = t.reshape(x, &[&x_shape[..1], x_split, &[x_shape[1] / groups], &x_shape[2..]].concat());
    let kernel = t.reshape(kernel, &k_shape[usize::from(groups == 1)..]);
    let op = Op::Einsum {
        a: [&[batch], grouped, &[channels], &places].concat(),
        b: [grouped, &[outputs, channels], &taps].concat(),
        output: [&[batch], grouped, &[outputs], &taps, &places].concat(),
    };
    let columns = t.emit(op, &[x, kernel])?;
    Ok(t.reshape(columns, &[&[x_shape[0], k_shape[0] * k_shape[1]], &k_shape[3..], &x_shape[2..]].concat()))
}
