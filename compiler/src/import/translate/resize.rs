//! Resampling.
//!
//! Nearest and linear in the coordinate modes that [`CoordinateMode`] has. Cubic, antialiased and cropping resizes are
//! refused.

use super::context::{Outcome, Refusal, Translator, variant};
use crate::graph::op::{CoordinateMode, NearestMode, Op, ResizeKind};
use tract_onnx::prelude::TypedNode;
use tract_onnx::tract_core::ops::nn::{CoordTransformer, Interpolator, Nearest, NearestUpsample, Resize};
use tract_onnx_opl::resize::{AspectRatio, CoordTransform, Nearest as OnnxNearest, Resize as OnnxResize};

fn coordinates(transformer: &CoordTransformer) -> Result<CoordinateMode, Refusal> {
    match transformer {
        CoordTransformer::HalfPixel => Ok(CoordinateMode::HalfPixel),
        CoordTransformer::AlignCorners => Ok(CoordinateMode::AlignCorners),
        CoordTransformer::Asymmetric => Ok(CoordinateMode::Asymmetric),
        CoordTransformer::PytorchHalfPixel => Ok(CoordinateMode::PytorchHalfPixel),
        CoordTransformer::HalfPixelSymmetric | CoordTransformer::TfHalfPixelForNn => {
            variant(format!("coordinates {}", transformer.as_str()))
        }
    }
}

fn kind(interpolator: &Interpolator, nearest: NearestMode) -> Result<ResizeKind, Refusal> {
    match interpolator {
        Interpolator::Linear => Ok(ResizeKind::Linear),
        Interpolator::Nearest => Ok(ResizeKind::Nearest(nearest)),
        Interpolator::Cubic => variant("mode cubic"),
    }
}

/// Scales of all axes: those given for `axes`, or else the ratio of sizes.
fn scales(
    t: &Translator<'_>,
    node: &TypedNode,
    input: Option<usize>,
    axes: &[usize],
    from: &[usize],
    to: &[usize],
) -> Result<Vec<f32>, Refusal> {
    let ratio = from.iter().zip(to).map(|(from, to)| *to as f32 / *from as f32).collect();
    let Some(given) = input.and_then(|i| t.known(node, i)).filter(|g| g.len() == axes.len() && !axes.is_empty()) else {
        return Ok(ratio);
    };
    let given = given.cast_to::<f32>()?;
    let given = given.try_as_plain_ram()?;
    let mut scales = vec![1.0; from.len()];
    for (axis, scale) in axes.iter().zip(given.as_slice::<f32>()?) {
        scales[*axis] = *scale;
    }
    Ok(scales)
}

fn emit(
    t: &mut Translator<'_>,
    node: &TypedNode,
    kind: ResizeKind,
    coordinates: CoordinateMode,
    scales_of: impl FnOnce(&Translator<'_>, &[usize], &[usize]) -> Result<Vec<f32>, Refusal>,
) -> Outcome {
    let x = t.input(node, 0)?;
    let (target, _) = t.output_fact(node)?;
    let from = t.shape(x);
    let scales = scales_of(t, &from, &target)?;
    let whole = |axis: usize| (scales[axis] * from[axis] as f32 - target[axis] as f32).abs() < 1e-3;
    if coordinates == CoordinateMode::AlignCorners && !(0..from.len()).all(whole) {
        // The specification's reference aligns the unrounded size, ONNX Runtime the rounded one.
        return variant("align_corners with scales that give no whole size");
    }
    Ok(vec![t.emit_shaped(Op::Resize { kind, coordinates, scales }, x, target)])
}

/// tract's general resize.
pub fn resize(t: &mut Translator<'_>, node: &TypedNode, op: &Resize) -> Outcome {
    let nearest = match op.nearest {
        Nearest::Floor => NearestMode::Floor,
        Nearest::RoundPreferCeil => NearestMode::RoundPreferCeil,
    };
    let kind = kind(&op.interpolator, nearest)?;
    let coordinates = coordinates(&op.coord_transformer)?;
    emit(t, node, kind, coordinates, |t, from, to| {
        let axes: Vec<usize> = (0..from.len()).collect();
        scales(t, node, op.optional_scales_input, &axes, from, to)
    })
}

/// ONNX's resize, where tract does not make it a general one.
pub fn onnx_resize(t: &mut Translator<'_>, node: &TypedNode, op: &OnnxResize) -> Outcome {
    if op.antialias || op.exclude_outside {
        return variant("antialias or exclude_outside");
    }
    if op.keep_aspect_ratio_policy != AspectRatio::Stretch {
        return variant("keep_aspect_ratio_policy");
    }
    let CoordTransform::Plain(transformer) = &op.coord_transformer else {
        return variant("coordinates tf_crop_and_resize");
    };
    let nearest = match op.nearest {
        OnnxNearest::Floor => NearestMode::Floor,
        OnnxNearest::Ceil => NearestMode::Ceil,
        OnnxNearest::RoundPreferFloor => NearestMode::RoundPreferFloor,
        OnnxNearest::RoundPreferCeil => NearestMode::RoundPreferCeil,
    };
    let kind = kind(&op.interpolator, nearest)?;
    let coordinates = coordinates(transformer)?;
    emit(t, node, kind, coordinates, |t, from, to| {
        let axes = op.resized_axes(from.len())?;
        scales(t, node, op.optional_scales_input, &axes, from, to)
    })
}

/// Every element repeated a whole number of times along each axis.
pub fn nearest_upsample(t: &mut Translator<'_>, node: &TypedNode, op: &NearestUpsample) -> Outcome {
    let kind = ResizeKind::Nearest(NearestMode::Floor);
    emit(t, node, kind, CoordinateMode::Asymmetric, |_, _, _| Ok(op.scales.iter().map(|s| *s as f32).collect()))
}
