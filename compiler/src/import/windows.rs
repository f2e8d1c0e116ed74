//! The window of a pooling or convolution, of what tract knows of it.

use super::reason::Reason;
use crate::graph::op::Window;
use tract_onnx::tract_core::ops::cnn::PoolSpec;

/// Padding before and after each spatial axis, as the floor rule needs it to give `output` elements.
///
/// Where a rounded-up output reads past the padding, the padding grows; where it was rounded up and then cut, it shrinks.
fn window(spec: &PoolSpec, pads: &[(usize, usize)], spatial: &[usize], output: &[usize]) -> Result<Window, Reason> {
    let (strides, dilations) = (spec.strides().to_vec(), spec.dilations().to_vec());
    let mut pads_after = Vec::with_capacity(spatial.len());
    for (axis, (before, after)) in pads.iter().enumerate() {
        let extent = (spec.kernel_shape[axis] - 1) * dilations[axis] + 1;
        let reach = (output[axis].max(1) - 1) * strides[axis] + extent;
        let Some(needed) = reach.checked_sub(spatial[axis] + before).or(Some(0)) else {
            return Err("a window that does not fit".into());
        };
        let padded = spatial[axis] + before + after;
        let by_floor = padded.checked_sub(extent).map(|span| span / strides[axis] + 1);
        pads_after.push(if by_floor == Some(output[axis]) { *after } else { needed });
    }
    Ok(Window {
        kernel: spec.kernel_shape.to_vec(),
        strides,
        dilations,
        pads_before: pads.iter().map(|p| p.0).collect(),
        pads_after,
    })
}

/// The window of a forward operator over an input in (batch, channels, spatial…), and the padding that the model asked for.
pub fn forward_window(spec: &PoolSpec, input: &[usize]) -> Result<(Window, Vec<usize>), Reason> {
    if input.len() != spec.rank() + 2 || spec.rank() == 0 || spec.rank() > 3 {
        return Err(Reason::form("{} spatial axes", [spec.rank().into()]));
    }
    let computed = spec.computed_padding(&input[2..]);
    let pads: Vec<(usize, usize)> = computed.iter().map(|p| (p.pad_before, p.pad_after)).collect();
    let output: Vec<usize> = computed.iter().map(|p| p.convoluted).collect();
    Ok((window(spec, &pads, &input[2..], &output)?, pads.into_iter().map(|p| p.1).collect()))
}
