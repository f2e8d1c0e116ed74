//! Reductions, norms and poolings that our graph spells better than tract: their attributes and constant operands, read.

use super::outcome::Rewritten;
use super::steps::Steps;
use crate::import::composed::{Axes, Composed};
use crate::import::reason::Reason;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::tract_core::ops::cnn::{PaddingSpec, PoolSpec};
use tract_onnx::tract_core::ops::nn::DataFormat;

/// From this version on, a softmax is along one axis, and by default along the last.
const ONE_AXIS_13: i64 = 13;

fn composed(s: &mut Steps<'_>, op: Composed) -> Result<Rewritten, Reason> {
    let x = s.needed(0)?;
    let y = s.composed(op, x);
    s.give(0, &y);
    Ok(Rewritten::Replaced)
}

/// LogSoftmax; tract takes the logarithm of a share, which is 0 from a distance of 104 on.
pub fn log_softmax(s: &mut Steps<'_>) -> Result<Rewritten, Reason> {
    let merges = s.known.opset < ONE_AXIS_13;
    let axis = s.int_attribute("axis").unwrap_or(if merges { 1 } else { -1 });
    composed(s, Composed::LogSoftmax { axis, merges })
}

/// A reduction by tract. An empty list of axes as an attribute stands for all of them, as does none.
pub fn reduction(s: &mut Steps<'_>) -> Result<Rewritten, Reason> {
    if s.ints_attribute("axes").is_none_or(|axes| !axes.is_empty()) {
        return Ok(Rewritten::Unchanged);
    }
    let mut node = s.node.clone();
    node.attribute.retain(|attribute| attribute.name != "axes");
    s.nodes.push(node);
    Ok(Rewritten::Replaced)
}

/// The axes of a reduction of floats: an attribute, or a constant operand. `None` where tract has to see to it.
fn reduced_axes(s: &Steps<'_>) -> Option<Axes> {
    let element = s.operand(0).and_then(|x| s.known.element_type(x));
    if element.is_some_and(|t| t != DataType::Float as i32) {
        return None;
    }
    let listed = match s.operand(1) {
        Some(axes) => s.known.integers(axes)?.to_vec(),
        None => s.ints_attribute("axes").unwrap_or_default().to_vec(),
    };
    match (listed.is_empty(), s.int_attribute("noop_with_empty_axes").unwrap_or(0) != 0) {
        (true, false) => Some(Axes::All),
        (true, true) | (false, _) => Some(Axes::Of(listed)),
    }
}

fn keeps(s: &Steps<'_>) -> bool {
    s.int_attribute("keepdims").unwrap_or(1) != 0
}

/// ReduceLogSumExp; tract does not take the largest out.
pub fn log_sum_exp(s: &mut Steps<'_>) -> Result<Rewritten, Reason> {
    let Some(axes) = reduced_axes(s) else { return Ok(Rewritten::Unchanged) };
    let keep = keeps(s);
    composed(s, Composed::LogSumExp { axes, keep })
}

/// ReduceL2; tract adds up squares, which leave f32 below 1e-23 and above 1e19.
pub fn l2_norm(s: &mut Steps<'_>) -> Result<Rewritten, Reason> {
    let Some(axes) = reduced_axes(s) else { return Ok(Rewritten::Unchanged) };
    let keep = keeps(s);
    composed(s, Composed::Norm { p: 2.0, axes, keep })
}

/// LpNormalization, which gives 0 where the norm is.
pub fn lp_normalization(s: &mut Steps<'_>) -> Result<Rewritten, Reason> {
    let axis = s.int_attribute("axis").unwrap_or(-1);
    let p = match s.int_attribute("p").unwrap_or(2) {
        1 => 1.0,
        2 => 2.0,
        other => return Err(Reason::form("p = {}", [other.into()])),
    };
    composed(s, Composed::Normalized { p, axis })
}

/// MeanVarianceNormalization; tract subtracts the square of the mean from the mean of squares.
pub fn mean_variance(s: &mut Steps<'_>) -> Result<Rewritten, Reason> {
    let axes = Axes::Of(s.ints_attribute("axes").map_or_else(|| vec![0, 2, 3], <[i64]>::to_vec));
    composed(s, Composed::MeanVariance { axes })
}

/// The exponent of a norm: a float in the first version of the operators.
fn exponent(s: &Steps<'_>) -> Result<f32, Reason> {
    let p = match s.float_attribute("p") {
        Some(p) if s.known.opset < 2 => p,
        _ => s.int_attribute("p").unwrap_or(2) as f32,
    };
    if p >= 1.0 { Ok(p) } else { Err(Reason::form("p = {}", [p.into()])) }
}

/// GlobalLpPool: the norm of every plane.
pub fn global_lp_pool(s: &mut Steps<'_>) -> Result<Rewritten, Reason> {
    let p = exponent(s)?;
    composed(s, Composed::Norm { p, axes: Axes::Spatial, keep: true })
}

/// GlobalMaxPool, which ONNX calls equivalent to MaxPool with a window of the plane's size; tract reduces, so that NaN wins.
pub fn global_max_pool(s: &mut Steps<'_>) -> Result<Rewritten, Reason> {
    composed(s, Composed::LargestOfPlane)
}

/// LpPool: the norm of every window.
pub fn lp_pool(s: &mut Steps<'_>) -> Result<Rewritten, Reason> {
    let p = exponent(s)?;
    if p.fract() != 0.0 || p > 64.0 {
        return Err(Reason::form("p = {}", [p.into()]));
    }
    let kernel = s.ints_attribute("kernel_shape").ok_or("without kernel_shape")?;
    let axes = kernel.len();
    let kernel = s.sizes_attribute("kernel_shape", &vec![1; axes])?;
    let strides = s.sizes_attribute("strides", &vec![1; axes])?;
    let dilations = s.sizes_attribute("dilations", &vec![1; axes])?;
    let pads = s.sizes_attribute("pads", &vec![0; 2 * axes])?;
    // onnx's reference scales up what reaches past the padding, ONNX Runtime does not.
    if s.int_attribute("ceil_mode").unwrap_or(0) != 0 {
        return Err("ceil_mode".into());
    }
    let padding = match s.text_attribute("auto_pad").unwrap_or("NOTSET") {
        "NOTSET" | "" => PaddingSpec::ExplicitOnnxPool(pads[..axes].into(), pads[axes..].into(), false),
        "VALID" => PaddingSpec::Valid,
        "SAME_UPPER" => PaddingSpec::SameUpper,
        "SAME_LOWER" => PaddingSpec::SameLower,
        other => return Err(Reason::form("auto_pad {}", [other.into()])),
    };
    if kernel.iter().chain(&strides).chain(&dilations).any(|size| *size == 0) {
        return Err("a window, stride or dilation of 0".into());
    }
    let (strides, dilations) = (strides.as_slice().into(), dilations.as_slice().into());
    let window =
        PoolSpec::new(DataFormat::NCHW, kernel.as_slice().into(), padding, Some(dilations), Some(strides), 0, 0);
    composed(s, Composed::NormPool { p: p as u32, window })
}
