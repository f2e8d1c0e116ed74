//! Convolutions and pooling of the reference interpreter. One or two spatial axes are three, the first of size 1.

use super::products::{TILE, TileRow, matrix};
use crate::graph::constant::Dtype;
use crate::graph::op::{PoolKind, Window};
use crate::graph::tensor::{Tensor, word};

/// A window over exactly three spatial axes.
struct Window3 {
    kernel: [usize; 3],
    strides: [usize; 3],
    dilations: [usize; 3],
    pads_before: [usize; 3],
    pads_after: [usize; 3],
}

/// The last values of a list of up to three, after as many of `fill` as are missing.
fn three(values: &[usize], fill: usize) -> [usize; 3] {
    let mut out = [fill; 3];
    out[3 - values.len()..].copy_from_slice(values);
    out
}

impl Window3 {
    fn new(window: &Window) -> Self {
        Self {
            kernel: three(&window.kernel, 1),
            strides: three(&window.strides, 1),
            dilations: three(&window.dilations, 1),
            pads_before: three(&window.pads_before, 0),
            pads_after: three(&window.pads_after, 0),
        }
    }

    /// Calls `visit` with the tap number and the place in the unpadded input, where there is one, of every tap.
    fn for_each_tap(&self, at: [usize; 3], input: [usize; 3], mut visit: impl FnMut(usize, [Option<usize>; 3])) {
        let place = |axis: usize, tap: usize| {
            (at[axis] * self.strides[axis] + tap * self.dilations[axis])
                .checked_sub(self.pads_before[axis])
                .filter(|i| *i < input[axis])
        };
        let mut number = 0;
        for z in 0..self.kernel[0] {
            for y in 0..self.kernel[1] {
                for x in 0..self.kernel[2] {
                    visit(number, [place(0, z), place(1, y), place(2, x)]);
                    number += 1;
                }
            }
        }
    }
}

/// The row-major offset of a place, when it is inside.
fn inside(place: [Option<usize>; 3], dims: [usize; 3]) -> Option<usize> {
    let [Some(z), Some(y), Some(x)] = place else { return None };
    Some((z * dims[1] + y) * dims[2] + x)
}

fn for_each_place(dims: [usize; 3], mut visit: impl FnMut([usize; 3])) {
    for z in 0..dims[0] {
        for y in 0..dims[1] {
            for x in 0..dims[2] {
                visit([z, y, x]);
            }
        }
    }
}

/// Convolution: for each image and group a product of the filters with the windows. Taps outside the input add nothing, which
/// for finite weights a zero does as well.
pub fn conv(window: &Window, groups: usize, x: &Tensor, weight: &Tensor, shape: &[usize]) -> Tensor {
    let w3 = Window3::new(window);
    let (input, output) = (three(&x.shape[2..], 1), three(&shape[2..], 1));
    let (channels, outputs) = (weight.shape[1], shape[1] / groups);
    let (plane, taps) = (input.iter().product::<usize>(), w3.kernel.iter().product::<usize>());
    let float = |tensor: &Tensor, index: usize| f64::from(f32::from_bits(tensor.words[index]));
    let mut places = Vec::new();
    for_each_place(output, |at| {
        w3.for_each_tap(at, input, |_, place| places.push(inside(place, input)));
    });
    let finite = weight.words.iter().all(|word| f32::from_bits(*word).is_finite());
    let mut words = Vec::with_capacity(shape.iter().product());
    for (image, group) in (0..shape[0]).flat_map(|image| (0..groups).map(move |group| (image, group))) {
        let first = image * x.shape[1] + group * channels;
        let of_filter = |o: usize| {
            let base = (group * outputs + o) * channels * taps;
            (0..taps).flat_map(move |tap| (0..channels).map(move |c| base + c * taps + tap))
        };
        if finite {
            let filters: Vec<f64> = (0..outputs).flat_map(of_filter).map(|place| float(weight, place)).collect();
            let gather = |column: usize, tile: &mut [TileRow]| {
                for (number, places) in places.chunks_exact(taps).skip(column).take(TILE).enumerate() {
                    for (tap, place) in places.iter().enumerate() {
                        let Some(place) = place else { continue };
                        for c in 0..channels {
                            tile[tap * channels + c][number] = float(x, (first + c) * plane + place);
                        }
                    }
                }
            };
            let sizes = [outputs, taps * channels, output.iter().product()];
            words.extend(matrix(&filters, sizes, 0.0, &gather).into_iter().map(|sum| word(sum, Dtype::F32)));
            continue;
        }
        for o in 0..outputs {
            for places in places.chunks_exact(taps) {
                let terms = of_filter(o).enumerate().filter_map(|(k, at)| {
                    let place = places[k / channels]?;
                    Some(float(x, (first + k % channels) * plane + place) * float(weight, at))
                });
                words.push(word(terms.fold(0.0, |sum, term| sum + term), Dtype::F32));
            }
        }
    }
    Tensor { shape: shape.to_vec(), dtype: Dtype::F32, words }
}

/// Sum of overlapping windows.
pub fn fold(window: &Window, x: &Tensor, shape: &[usize]) -> Tensor {
    let w3 = Window3::new(window);
    let n = window.kernel.len();
    let (input, output) = (three(&x.shape[2 + n..], 1), three(&shape[2..], 1));
    let (plane, taps) = (input.iter().product::<usize>(), w3.kernel.iter().product::<usize>());
    let out_plane: usize = output.iter().product();
    let mut sums = vec![0.0; shape.iter().product()];
    for image in 0..shape[0] * shape[1] {
        let mut number = 0;
        for_each_place(input, |at| {
            // The place of a tap in the forward convolution's input is its place in this output.
            w3.for_each_tap(at, output, |tap, place| {
                let Some(place) = inside(place, output) else { return };
                sums[image * out_plane + place] += x.value((image * taps + tap) * plane + number);
            });
            number += 1;
        });
    }
    Tensor { shape: shape.to_vec(), dtype: x.dtype, words: sums.into_iter().map(|s| word(s, x.dtype)).collect() }
}

/// Pooling.
pub fn pool(window: &Window, kind: PoolKind, x: &Tensor, shape: &[usize]) -> Tensor {
    let w3 = Window3::new(window);
    let (input, output) = (three(&x.shape[2..], 1), three(&shape[2..], 1));
    let plane: usize = input.iter().product();
    let dtype = if kind == PoolKind::MaxIndex { Dtype::I32 } else { x.dtype };
    let padded: Vec<usize> = (0..3).map(|i| w3.pads_before[i] + input[i] + w3.pads_after[i]).collect();
    let mut words = Vec::with_capacity(shape.iter().product());
    let largest = (0..x.words.len()).map(|i| x.value(i).abs()).filter(|v| v.is_finite()).fold(0.0, f64::max);
    let scale = if largest > 0.0 { largest } else { 1.0 };
    for image in 0..shape[0] * shape[1] {
        for_each_place(output, |at| {
            let (mut sum, mut max, mut first, mut count) = (0.0, f64::NEG_INFINITY, 0, 0);
            let mut powers = 0.0;
            w3.for_each_tap(at, input, |_, place| {
                if let Some(place) = inside(place, input) {
                    let value = x.value(image * plane + place);
                    sum += value;
                    if let PoolKind::Norm { p } = kind {
                        powers += (value.abs() / scale).powi(p as i32);
                    }
                    if value > max || count == 0 || max.is_nan() {
                        (max, first) = (value, place);
                    }
                    count += 1;
                }
            });
            let value = match kind {
                PoolKind::Max => max,
                PoolKind::MaxIndex => first as f64,
                PoolKind::Norm { p } => powers.powf(1.0 / f64::from(p)) * scale,
                PoolKind::Average { count_include_pad: false } => sum / f64::from(count),
                PoolKind::Average { count_include_pad: true } => sum / taps_within(&w3, at, &padded) as f64,
            };
            words.push(word(value, dtype));
        });
    }
    Tensor { shape: shape.to_vec(), dtype, words }
}

/// How many taps of a window lie in the padded input.
fn taps_within(window: &Window3, at: [usize; 3], padded: &[usize]) -> usize {
    (0..3)
        .map(|i| {
            let inside = |tap: &usize| at[i] * window.strides[i] + tap * window.dilations[i] < padded[i];
            (0..window.kernel[i]).filter(inside).count()
        })
        .product()
}
