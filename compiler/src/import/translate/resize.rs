//! Resampling: what every output coordinate of an axis reads is worked out here, as ONNX Runtime does it in f32.
//!
//! The graph's operator holds taps and weights only, so that no coordinate is computed on a device, whose division may round
//! to another element. Antialiased weights are tract's.

use super::context::{Outcome, Refusal, Translator, variant};
use crate::graph::op::{Op, Taps};
use tract_onnx::prelude::TypedNode;
use tract_onnx::tract_core::ops::nn::resize::{cubic_weights, linear_weights, plan_axis, window_size};
use tract_onnx::tract_core::ops::nn::{CoordTransformer, Interpolator, Nearest, NearestUpsample, Resize};
use tract_onnx_opl::resize::{AspectRatio, CoordTransform, Nearest as OnnxNearest, Resize as OnnxResize};

/// How coordinates become taps, the same for all axes.
#[derive(Debug, Clone)]
struct Method {
    coordinates: CoordTransform,
    interpolator: Interpolator,
    nearest: OnnxNearest,
    antialias: bool,
    cubic_coefficient: f32,
    exclude_outside: bool,
}

/// Bytes of an entry of a table of taps: an index and a weight.
const TAP_BYTES: u64 = 8;

/// One axis.
#[derive(Debug, Clone, Copy)]
struct Axis {
    input: usize,
    output: usize,
    /// Output elements an input element.
    scale: f32,
    /// Start and end of the region that is resampled, as parts of the axis.
    region: (f32, f32),
}

impl Axis {
    /// Place of output coordinate `x` in the input; `None` when it lies outside and is filled.
    fn source(&self, x: usize, coordinates: &CoordTransform) -> Option<f32> {
        let x = x as f32;
        let (last, output) = (self.input as f32 - 1.0, self.output as f32);
        let half_pixel = (x + 0.5) / self.scale - 0.5;
        let transformer = match coordinates {
            CoordTransform::Plain(transformer) => transformer,
            CoordTransform::TfCropAndResize => {
                let (start, end) = self.region;
                let at = if self.output > 1 {
                    start * last + x * (end - start) * last / (output - 1.0)
                } else {
                    0.5 * (start + end) * last
                };
                return (at >= 0.0 && at <= last).then_some(at);
            }
        };
        Some(match transformer {
            CoordTransformer::HalfPixel => half_pixel,
            CoordTransformer::PytorchHalfPixel => {
                if self.output > 1 {
                    half_pixel
                } else {
                    0.0
                }
            }
            CoordTransformer::AlignCorners => {
                if self.output > 1 {
                    x * last / (output - 1.0)
                } else {
                    0.0
                }
            }
            CoordTransformer::Asymmetric => x / self.scale,
            CoordTransformer::TfHalfPixelForNn => (x + 0.5) / self.scale,
            CoordTransformer::HalfPixelSymmetric => {
                let adjustment = output / (self.scale * self.input as f32);
                let offset = self.input as f32 / 2.0 * (1.0 - adjustment);
                // ONNX Runtime rounds the offset and the sum only, as is seen at places that are an element but for it.
                (f64::from(offset) + (f64::from(x) + 0.5) / f64::from(self.scale) - 0.5) as f32
            }
        })
    }

    /// Whether the axis stays as it is.
    fn is_kept(&self, method: &Method) -> bool {
        let cropped = method.coordinates == CoordTransform::TfCropAndResize;
        self.input == self.output && self.scale.to_bits() == 1.0_f32.to_bits() && !cropped
    }

    /// Elements that one element reads.
    fn window(&self, method: &Method) -> usize {
        match method.interpolator {
            Interpolator::Nearest => 1,
            Interpolator::Linear | Interpolator::Cubic if method.antialias => {
                window_size(&method.interpolator, true, self.scale)
            }
            Interpolator::Linear => 2,
            Interpolator::Cubic => 4,
        }
    }

    /// Entries of the table of taps.
    fn count(&self, method: &Method) -> u64 {
        if self.is_kept(method) { 0 } else { (self.output as u64).saturating_mul(self.window(method) as u64) }
    }

    fn taps(&self, method: &Method) -> Taps {
        if self.is_kept(method) {
            return Taps::kept();
        }
        if method.antialias && !matches!(method.interpolator, Interpolator::Nearest) {
            return self.antialiased(method);
        }
        let window = self.window(method);
        let mut taps = Taps { window, indices: Vec::new(), weights: Vec::new() };
        for x in 0..self.output {
            match self.source(x, &method.coordinates) {
                Some(at) => self.read(at, method, &mut taps),
                None => taps.fill(),
            }
        }
        taps
    }

    /// Adds what the place `at` reads.
    fn read(&self, at: f32, method: &Method, taps: &mut Taps) {
        let last = self.input as i32 - 1;
        match method.interpolator {
            Interpolator::Nearest => taps.push(nearest(at, &method.nearest).clamp(0, last), 1.0),
            Interpolator::Linear => {
                let inside = at.clamp(0.0, last as f32);
                let lower = (inside as i32).min(last);
                let weight = inside - lower as f32;
                taps.push(lower, 1.0 - weight);
                taps.push((lower + 1).min(last), weight);
            }
            Interpolator::Cubic => {
                let floor = at.floor();
                let mut weights = cubic(at - floor, method.cubic_coefficient);
                let first = floor as i32 - 1;
                if method.exclude_outside {
                    let inside = |i: &usize| (0..=last).contains(&(first + *i as i32));
                    (0..4).filter(|i| !inside(i)).for_each(|i| weights[i] = 0.0);
                    let sum: f32 = weights.iter().sum();
                    weights.iter_mut().for_each(|w| *w /= sum);
                }
                for (i, weight) in weights.into_iter().enumerate() {
                    taps.push((first + i as i32).clamp(0, last), weight);
                }
            }
        }
    }

    fn antialiased(&self, method: &Method) -> Taps {
        let (scale, a) = (self.scale, method.cubic_coefficient);
        let window = self.window(method);
        let source = |x| self.source(x, &method.coordinates);
        let plan = plan_axis(self.input, self.output, window, method.exclude_outside, source, |r, w| {
            if matches!(method.interpolator, Interpolator::Cubic) {
                cubic_weights(r, scale, a, true, w);
            } else {
                linear_weights(r, scale, true, w);
            }
        });
        let mut taps = Taps { window, indices: Vec::new(), weights: Vec::new() };
        for x in 0..self.output {
            if plan.extrapolated[x] {
                taps.fill();
                continue;
            }
            for i in x * window..(x + 1) * window {
                taps.push(plan.indices[i] as i32, plan.weights[i]);
            }
        }
        taps
    }
}

/// How far from a half a place may lie to be one, as in ONNX Runtime: divisions round.
const HALF: f32 = 1e-6;

fn nearest(x: f32, mode: &OnnxNearest) -> i32 {
    let is_half = (x - x.floor() - 0.5).abs() < HALF;
    let rounded = match mode {
        OnnxNearest::Floor => x.floor(),
        OnnxNearest::Ceil => x.ceil(),
        OnnxNearest::RoundPreferFloor if is_half => x.floor(),
        OnnxNearest::RoundPreferCeil if is_half => x.ceil(),
        OnnxNearest::RoundPreferFloor | OnnxNearest::RoundPreferCeil => x.round(),
    };
    rounded as i32
}

/// Weights of four neighbours at distance `s` from the second.
fn cubic(s: f32, a: f32) -> [f32; 4] {
    let far = |d: f32| ((a * d - 5.0 * a) * d + 8.0 * a) * d - 4.0 * a;
    let near = |d: f32| ((a + 2.0) * d - (a + 3.0)) * d * d + 1.0;
    [far(s + 1.0), near(s), near(1.0 - s), far(2.0 - s)]
}

/// A known operand as floats.
fn floats(t: &Translator<'_>, node: &TypedNode, input: Option<usize>) -> Result<Option<Vec<f32>>, Refusal> {
    let Some(known) = input.and_then(|i| t.known(node, i)) else { return Ok(None) };
    let known = known.cast_to::<f32>()?;
    let known = known.try_as_plain_ram()?;
    Ok(Some(known.as_slice::<f32>()?.to_vec()))
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
    let Some(factors) = floats(t, node, input)?.filter(|g| g.len() == axes.len() && !axes.is_empty()) else {
        return Ok(ratio);
    };
    let mut scales = vec![1.0; from.len()];
    axes.iter().zip(factors).for_each(|(axis, scale)| scales[*axis] = scale);
    Ok(scales)
}

fn emit(
    t: &mut Translator<'_>,
    node: &TypedNode,
    method: &Method,
    scales: &[f32],
    regions: &[(f32, f32)],
    fill: f32,
) -> Outcome {
    let x = t.input(node, 0)?;
    let (target, _) = t.output_fact(node)?;
    let shape = t.shape(x);
    if shape.contains(&0) || target.contains(&0) {
        return variant("of nothing");
    }
    let whole = |i: usize| (scales[i] * shape[i] as f32 - target[i] as f32).abs() < 1e-3;
    if method.coordinates == CoordTransform::Plain(CoordTransformer::AlignCorners) && !(0..shape.len()).all(whole) {
        // The specification's reference aligns the unrounded size, ONNX Runtime the rounded one.
        return variant("align_corners with scales that give no whole size");
    }
    let axis = |i: usize| Axis { input: shape[i], output: target[i], scale: scales[i], region: regions[i] };
    let taps = (0..shape.len()).fold(0_u64, |sum, i| sum.saturating_add(axis(i).count(method)));
    t.add_table(taps.saturating_mul(TAP_BYTES))?;
    let axes = (0..shape.len()).map(|i| axis(i).taps(method)).collect();
    Ok(vec![t.emit_shaped(Op::Resize { axes, fill }, x, target)])
}

/// tract's general resize.
pub fn resize(t: &mut Translator<'_>, node: &TypedNode, op: &Resize) -> Outcome {
    let method = Method {
        coordinates: CoordTransform::Plain(op.coord_transformer.clone()),
        interpolator: op.interpolator.clone(),
        nearest: match op.nearest {
            Nearest::Floor => OnnxNearest::Floor,
            Nearest::RoundPreferCeil => OnnxNearest::RoundPreferCeil,
        },
        antialias: false,
        cubic_coefficient: -0.75,
        exclude_outside: false,
    };
    let (target, _) = t.output_fact(node)?;
    let x = t.input(node, 0)?;
    let shape = t.shape(x);
    let axes: Vec<usize> = (0..shape.len()).collect();
    let scales = scales(t, node, op.optional_scales_input, &axes, &shape, &target)?;
    emit(t, node, &method, &scales, &vec![(0.0, 1.0); shape.len()], 0.0)
}

/// ONNX's resize, where tract does not make it a general one.
pub fn onnx_resize(t: &mut Translator<'_>, node: &TypedNode, op: &OnnxResize) -> Outcome {
    let method = Method {
        coordinates: op.coord_transformer.clone(),
        interpolator: op.interpolator.clone(),
        nearest: op.nearest,
        antialias: op.antialias,
        cubic_coefficient: op.cubic_coeff_a(),
        exclude_outside: op.exclude_outside,
    };
    let (target, _) = t.output_fact(node)?;
    let x = t.input(node, 0)?;
    let shape = t.shape(x);
    let axes = op.resized_axes(shape.len())?;
    let mut all = scales(t, node, op.optional_scales_input, &axes, &shape, &target)?;
    if op.keep_aspect_ratio_policy != AspectRatio::Stretch
        && let Some(sizes) = floats(t, node, op.optional_sizes_input)?.filter(|s| s.len() == axes.len())
    {
        // One scale for all resized axes: the least that was asked for, or the greatest.
        let asked = axes.iter().zip(sizes).map(|(axis, size)| size / shape[*axis] as f32);
        let smaller = op.keep_aspect_ratio_policy == AspectRatio::NotLarger;
        let scale = asked.reduce(if smaller { f32::min } else { f32::max }).unwrap_or(1.0);
        axes.iter().for_each(|axis| all[*axis] = scale);
    }
    let mut regions = vec![(0.0, 1.0); shape.len()];
    if op.coord_transformer == CoordTransform::TfCropAndResize {
        let Some(region) = floats(t, node, op.optional_roi_input)?.filter(|r| r.len() == 2 * axes.len()) else {
            return variant("a region that is computed");
        };
        axes.iter().enumerate().for_each(|(i, axis)| regions[*axis] = (region[i], region[i + axes.len()]));
    }
    emit(t, node, &method, &all, &regions, op.extrapolation_value())
}

/// Every element repeated a whole number of times along each axis.
pub fn nearest_upsample(t: &mut Translator<'_>, node: &TypedNode, op: &NearestUpsample) -> Outcome {
    let method = Method {
        coordinates: CoordTransform::Plain(CoordTransformer::Asymmetric),
        interpolator: Interpolator::Nearest,
        nearest: OnnxNearest::Floor,
        antialias: false,
        cubic_coefficient: 0.0,
        exclude_outside: false,
    };
    let scales: Vec<f32> = op.scales.iter().map(|s| *s as f32).collect();
    emit(t, node, &method, &scales, &vec![(0.0, 1.0); scales.len()], 0.0)
}

#[cfg(test)]
mod tests {
    use super::{Axis, CoordTransform, CoordTransformer, Interpolator, Method, OnnxNearest, cubic, nearest};

    #[test]
    fn halves_round_as_their_mode_says() {
        let modes =
            [OnnxNearest::Floor, OnnxNearest::Ceil, OnnxNearest::RoundPreferFloor, OnnxNearest::RoundPreferCeil];
        let rounded = |x: f32| modes.map(|m| nearest(x, &m));
        assert_eq!(rounded(1.5), [1, 2, 1, 2]);
        assert_eq!(rounded(-0.25), [-1, 0, 0, 0]);
        assert_eq!(rounded(0.75), [0, 1, 1, 1]);
    }

    #[test]
    fn half_pixel_doubling_interpolates_by_quarters() {
        let method = Method {
            coordinates: CoordTransform::Plain(CoordTransformer::HalfPixel),
            interpolator: Interpolator::Linear,
            nearest: OnnxNearest::Floor,
            antialias: false,
            cubic_coefficient: -0.75,
            exclude_outside: false,
        };
        let taps = Axis { input: 2, output: 4, scale: 2.0, region: (0.0, 1.0) }.taps(&method);
        assert_eq!(taps.indices, [0, 1, 0, 1, 0, 1, 1, 1]);
        assert_eq!(taps.weights, [1.0, 0.0, 0.75, 0.25, 0.25, 0.75, 1.0, 0.0]);
    }

    #[test]
    fn cubic_weights_add_up_to_one() {
        for s in [0.0, 0.25, 0.5, 0.875] {
            assert!((cubic(s, -0.75).iter().sum::<f32>() - 1.0).abs() < 1e-6);
        }
        assert_eq!(cubic(0.0, -0.75), [0.0, 1.0, 0.0, 0.0]);
    }
}
