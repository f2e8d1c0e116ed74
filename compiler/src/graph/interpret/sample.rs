//! Grid sampling of the reference interpreter, in f32 as ONNX Runtime computes it: where a place lies on a border, rounding
//! decides which elements it reads.

use super::{Tensor, for_each_index, offset, strides};
use crate::graph::op::{SampleKind, SamplePadding};

/// One axis of the input.
#[derive(Clone, Copy)]
struct Axis {
    size: usize,
    stride: usize,
}

fn denormalised(coordinate: f32, size: usize, align_corners: bool) -> f32 {
    let size = size as f32;
    if align_corners { (coordinate + 1.0) / 2.0 * (size - 1.0) } else { ((coordinate + 1.0) * size - 1.0) / 2.0 }
}

fn bounds(size: usize, align_corners: bool) -> (f32, f32) {
    if align_corners { (0.0, size as f32 - 1.0) } else { (-0.5, size as f32 - 0.5) }
}

fn reflected(x: f32, (low, high): (f32, f32)) -> f32 {
    let range = high - low;
    if range == 0.0 || (x >= low && x <= high) {
        return if range == 0.0 { low } else { x };
    }
    let (outside, near, far) = if x < low { (low - x, low, high) } else { (x - high, high, low) };
    let turns = (outside / range).trunc();
    let rest = outside - turns * range;
    let sign = if near < far { 1.0 } else { -1.0 };
    if (turns as i64) % 2 == 0 { near + sign * rest } else { far - sign * rest }
}

/// What one place of the grid reads.
struct Place<'a> {
    x: &'a Tensor,
    axes: &'a [Axis],
    base: usize,
    padding: SamplePadding,
    align_corners: bool,
}

impl Place<'_> {
    fn element(&self, at: &[i64]) -> f32 {
        let mut place = self.base;
        for (axis, c) in self.axes.iter().zip(at) {
            let last = axis.size as i64 - 1;
            let inside = (0..=last).contains(c);
            let c = match self.padding {
                _ if inside => *c,
                SamplePadding::Zeros => return 0.0,
                SamplePadding::Border => (*c).clamp(0, last),
                SamplePadding::Reflection => {
                    (reflected(*c as f32, bounds(axis.size, self.align_corners)) as i64).clamp(0, last)
                }
            };
            place += c as usize * axis.stride;
        }
        f32::from_bits(self.x.words[place])
    }

    fn weighted(&self, taps: &[Vec<(i64, f32)>]) -> f32 {
        let shape: Vec<usize> = taps.iter().map(Vec::len).collect();
        let mut sum = 0.0;
        for_each_index(&shape, |index| {
            let at: Vec<i64> = index.iter().zip(taps).map(|(i, t)| t[*i].0).collect();
            let weight: f32 = index.iter().zip(taps).map(|(i, t)| t[*i].1).product();
            sum += weight * self.element(&at);
        });
        sum
    }
}

fn cubic(s: f32) -> [f32; 4] {
    let a = -0.75;
    let far = |d: f32| ((a * d - 5.0 * a) * d + 8.0 * a) * d - 4.0 * a;
    let near = |d: f32| ((a + 2.0) * d - (a + 3.0)) * d * d + 1.0;
    [far(s + 1.0), near(s), near(1.0 - s), far(2.0 - s)]
}

fn taps(kind: SampleKind, at: f32) -> Vec<(i64, f32)> {
    let low = at.floor();
    let first = low as i64;
    match kind {
        SampleKind::Nearest => vec![(at.round_ties_even() as i64, 1.0)],
        SampleKind::Linear => vec![(first, low + 1.0 - at), (first + 1, at - low)],
        SampleKind::Cubic => cubic(at - low).into_iter().enumerate().map(|(i, w)| (first - 1 + i as i64, w)).collect(),
    }
}

/// Elements at the places of a grid.
pub fn grid_sample(
    kind: SampleKind,
    padding: SamplePadding,
    align_corners: bool,
    x: &Tensor,
    grid: &Tensor,
    shape: &[usize],
) -> Tensor {
    let n = x.shape.len() - 2;
    let (own, grid_strides) = (strides(&x.shape), strides(&grid.shape));
    let axes: Vec<Axis> = (0..n).map(|i| Axis { size: x.shape[2 + i], stride: own[2 + i] }).collect();
    let mut words = Vec::with_capacity(shape.iter().product());
    for_each_index(shape, |index| {
        let start = index[0] * grid_strides[0] + offset(&index[2..], &grid_strides[1..=n]);
        let place = Place { x, axes: &axes, base: index[0] * own[0] + index[1] * own[1], padding, align_corners };
        let mut at: Vec<f32> = (0..n)
            .map(|i| denormalised(f32::from_bits(grid.words[start + n - 1 - i]), axes[i].size, align_corners))
            .collect();
        if kind == SampleKind::Nearest {
            at.iter_mut().for_each(|c| *c = c.round_ties_even());
        }
        let outside = |c: &f32, axis: &Axis| {
            let (low, high) = bounds(axis.size, align_corners);
            *c < low || *c > high
        };
        if at.iter().zip(&axes).any(|(c, axis)| outside(c, axis)) {
            for (c, axis) in at.iter_mut().zip(&axes) {
                *c = match padding {
                    SamplePadding::Zeros => *c,
                    SamplePadding::Border => c.clamp(0.0, axis.size as f32 - 1.0),
                    SamplePadding::Reflection => reflected(*c, bounds(axis.size, align_corners)),
                };
            }
        }
        let read: Vec<Vec<(i64, f32)>> = at.iter().map(|c| taps(kind, *c)).collect();
        words.push(place.weighted(&read).to_bits());
    });
    Tensor { shape: shape.to_vec(), dtype: x.dtype, words }
}
