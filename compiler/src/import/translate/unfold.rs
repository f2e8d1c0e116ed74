//! Convolution of any rank, with any weight, as a product over unfolded windows.
//!
//! The windows of a padded tensor are a view; the product copies them into rows. So that these rows stay small, the output
//! is computed in slabs along its first spatial axis. Convolutions of up to two spatial axes with constant weights do not
//! come here: they have kernels of their own.

use super::context::{Refusal, Translator};
use super::einsum::integer_product;
use crate::graph::NodeId;
use crate::graph::op::{Op, PadMode, Window};

/// Most elements of the unfolded windows of one slab.
const SLAB_ELEMENTS: usize = 8 << 20;

/// Labels of the axes of a product: batch, group, outputs, channels, then the taps and the places.
const BATCH: u8 = 0;
const GROUP: u8 = 1;
const OUTPUTS: u8 = 2;
const CHANNELS: u8 = 3;
const TAPS: u8 = 4;

/// How elements are multiplied and added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arithmetic {
    /// As floats.
    Float,
    /// As floats that hold integers of at most nine bits, exactly; the result is i32.
    Integer,
}

/// Convolution of (batch, channels, spatial…) with a kernel (groups, outputs / groups, channels / groups, kernel…).
pub fn convolution(
    t: &mut Translator<'_>,
    x: NodeId,
    kernel: NodeId,
    window: &Window,
    arithmetic: Arithmetic,
) -> Result<NodeId, Refusal> {
    let x = padded(t, x, window)?;
    let places = outputs(&t.shape(x)[2..], window);
    let rows = places[0];
    let taps: usize = window.kernel.iter().product();
    let per_row = t.shape(x)[..2].iter().chain(&places[1..]).product::<usize>() * taps;
    let slab = (SLAB_ELEMENTS / per_row.max(1)).clamp(1, rows);
    let mut parts = Vec::new();
    for first in (0..rows).step_by(slab) {
        let count = slab.min(rows - first);
        let part = if count == rows { x } else { input_rows(t, x, window, first, count) };
        parts.push(product(t, part, kernel, window, arithmetic)?);
    }
    if let [only] = parts.as_slice() {
        return Ok(*only);
    }
    t.emit(Op::Concat { axis: 2 }, &parts)
}

fn outputs(spatial: &[usize], window: &Window) -> Vec<usize> {
    (0..spatial.len())
        .map(|i| (spatial[i] - (window.kernel[i] - 1) * window.dilations[i] - 1) / window.strides[i] + 1)
        .collect()
}

/// The input with its padding.
fn padded(t: &mut Translator<'_>, x: NodeId, window: &Window) -> Result<NodeId, Refusal> {
    let pads = |pads: &[usize]| [0, 0].iter().chain(pads).copied().collect::<Vec<_>>();
    let (before, after) = (pads(&window.pads_before), pads(&window.pads_after));
    if before.iter().chain(&after).all(|p| *p == 0) {
        return Ok(x);
    }
    t.emit(Op::Pad { before, after, mode: PadMode::Constant(0.0) }, &[x])
}

/// What `count` output rows from `first` on read.
fn input_rows(t: &mut Translator<'_>, x: NodeId, window: &Window, first: usize, count: usize) -> NodeId {
    let mut shape = t.shape(x);
    let mut starts = vec![0; shape.len()];
    starts[2] = first * window.strides[0];
    shape[2] = (count - 1) * window.strides[0] + (window.kernel[0] - 1) * window.dilations[0] + 1;
    let steps = vec![1; shape.len()];
    t.emit_shaped(Op::Slice { starts, steps }, x, shape)
}

fn product(
    t: &mut Translator<'_>,
    x: NodeId,
    kernel: NodeId,
    window: &Window,
    arithmetic: Arithmetic,
) -> Result<NodeId, Refusal> {
    let n = window.kernel.len();
    let unfold = Op::Unfold {
        kernel: window.kernel.clone(),
        strides: window.strides.clone(),
        dilations: window.dilations.clone(),
    };
    let windows = t.emit(unfold, &[x])?;
    let (shape, k_shape) = (t.shape(windows), t.shape(kernel));
    let (groups, per_group) = (k_shape[0], k_shape[1]);
    // One group is no axis, so that the kernel is a weight that can be streamed.
    let grouped: &[u8] = if groups == 1 { &[] } else { &[GROUP] };
    let split: &[usize] = if groups == 1 { &[] } else { &[groups] };
    let windows = t.reshape(windows, &[&shape[..1], split, &[shape[1] / groups], &shape[2..]].concat());
    let kernel = t.reshape(kernel, &k_shape[usize::from(groups == 1)..]);
    let taps: Vec<u8> = (TAPS..TAPS + n as u8).collect();
    let places: Vec<u8> = (TAPS + n as u8..TAPS + 2 * n as u8).collect();
    let a = [&[BATCH], grouped, &[CHANNELS], &taps, &places].concat();
    let b = [grouped, &[OUTPUTS, CHANNELS], &taps].concat();
    let output = [&[BATCH], grouped, &[OUTPUTS], &places].concat();
    let y = match arithmetic {
        Arithmetic::Float => t.emit(Op::Einsum { a, b, output }, &[windows, kernel])?,
        Arithmetic::Integer => integer_product(t, (windows, a), (kernel, b), &output)?,
    };
    Ok(t.reshape(y, &[&shape[..1], &[groups * per_group], &shape[2 + n..]].concat()))
}
