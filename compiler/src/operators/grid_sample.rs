//! Grid sampling of two or three spatial axes.
//!
//! The oracle computes in f32, as ONNX Runtime does: where a place lies on a border, rounding decides which elements it reads.
//! Cubic interpolation brings each of its taps inside, as PyTorch and ONNX Runtime do, the others bring the place. A place that
//! is no number gives NaN, and counts as far outside where the nearest element is read.
//! Cubic interpolation of three axes is deliberately not here.

use crate::graph::constant::Dtype;
use crate::graph::kernel_op::{GridSample, KernelOpKind, KernelOperator, Operands, SampleKind, SamplePadding};
use crate::graph::tensor::{Tensor, for_each_index, offset, strides};
use crate::graph::{NodeId, ShapeError};
use crate::import::reason::Reason;
use crate::import::rewrite::outcome::Rewritten;
use crate::import::rewrite::steps::Steps;
use crate::kernels::params::{Code, Params};
use crate::kernels::rounds::{Rounds, nest, once};
use crate::kernels::{Hook, Kernel, KernelRow, OwnKernel, SHARED_EACH, SHARED_FLOATS, SHARED_WINDOW, body, row};
use crate::lower::context::Lowering;
use crate::lower::error::LowerError;
use crate::lower::ops::elements::{Elements, sizes, strides as stride_words};
use crate::lower::ops::kernel_op::LowerKernelOp;

/// Places farther outside are taken for this one.
const FARTHEST: f32 = 1e6;

impl OwnKernel for GridSample {
    const KERNEL: KernelRow =
        row(body!("grid_sample"), Hook::None, &["out", "x", "grid"], Rounds::of(&[], |_| once(8) + nest(&[4, 4])))
            .shared(&[SHARED_FLOATS, SHARED_EACH, SHARED_WINDOW]);
}

impl GridSample {
    /// ONNX's GridSample.
    pub fn from_onnx(s: &mut Steps<'_>) -> Result<Rewritten, Reason> {
        let kind = match s.text_attribute("mode").unwrap_or("linear") {
            "bilinear" | "linear" => SampleKind::Linear,
            "nearest" => SampleKind::Nearest,
            "bicubic" | "cubic" => SampleKind::Cubic,
            other => return Err(Reason::form("mode {}", [other.into()])),
        };
        let padding = match s.text_attribute("padding_mode").unwrap_or("zeros") {
            "zeros" => SamplePadding::Zeros,
            "border" => SamplePadding::Border,
            "reflection" => SamplePadding::Reflection,
            other => return Err(Reason::form("padding mode {}", [other.into()])),
        };
        let (x, grid) = (s.needed(0)?, s.needed(1)?);
        if let Some(axes) = s.known.rank(x).map(|(rank, _)| rank.saturating_sub(2))
            && !(axes == 2 || (axes == 3 && kind != SampleKind::Cubic))
        {
            return Err(Reason::form("{} over {} axes", [format!("{kind:?}").as_str().into(), axes.into()]));
        }
        let align_corners = s.int_attribute("align_corners").is_some_and(|flag| flag != 0);
        let y = s.kernel_op(Self { kind, padding, align_corners }, &[x, grid]);
        s.give(0, &y);
        Ok(Rewritten::Replaced)
    }
}

const NEAREST: Code = Code::new("NEAREST", 0);
const LINEAR: Code = Code::new("LINEAR", 1);
const CUBIC: Code = Code::new("CUBIC", 2);

const ZEROS: Code = Code::new("ZEROS", 0);
const BORDER: Code = Code::new("BORDER", 1);
const REFLECTION: Code = Code::new("REFLECTION", 2);

/// One axis of the input.
#[derive(Clone, Copy)]
struct Axis {
    size: usize,
    stride: usize,
}

fn denormalized(coordinate: f32, size: usize, align_corners: bool) -> f32 {
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

impl KernelOperator for GridSample {
    fn infer(&self, operands: &Operands<'_>) -> Result<(Vec<usize>, Dtype), ShapeError> {
        let [(x, _), (grid, _)] = operands.exactly("2")?;
        let axes = x.len().saturating_sub(2);
        operands.typed(0, Dtype::F32)?;
        operands.typed(1, Dtype::F32)?;
        let supported = axes == 2 || (axes == 3 && self.kind != SampleKind::Cubic);
        operands.fits(0, supported, "two spatial axes, or three unless cubic")?;
        let fits = grid.len() == x.len() && grid[0] == x[0] && grid[axes + 1] == axes;
        operands.fits(1, fits, "(batch, places, one coordinate a spatial axis)")?;
        Ok(([&x[..2], &grid[1..=axes]].concat(), Dtype::F32))
    }

    fn evaluate(&self, operands: &[&Tensor], shape: &[usize]) -> Tensor {
        let (x, grid, align_corners) = (operands[0], operands[1], self.align_corners);
        let n = x.shape.len() - 2;
        let (own, grid_strides) = (strides(&x.shape), strides(&grid.shape));
        let axes: Vec<Axis> = (0..n).map(|i| Axis { size: x.shape[2 + i], stride: own[2 + i] }).collect();
        let mut words = Vec::with_capacity(shape.iter().product());
        for_each_index(shape, |index| {
            let start = index[0] * grid_strides[0] + offset(&index[2..], &grid_strides[1..=n]);
            let place = Place {
                x,
                axes: &axes,
                base: index[0] * own[0] + index[1] * own[1],
                padding: self.padding,
                align_corners,
            };
            let mut at: Vec<f32> = (0..n)
                .map(|i| denormalized(f32::from_bits(grid.words[start + n - 1 - i]), axes[i].size, align_corners))
                .collect();
            if self.kind == SampleKind::Nearest {
                at.iter_mut().for_each(|c| *c = c.round_ties_even());
            }
            let outside = |c: &f32, axis: &Axis| {
                let (low, high) = bounds(axis.size, align_corners);
                *c < low || *c > high
            };
            if at.iter().zip(&axes).any(|(c, axis)| outside(c, axis)) {
                for (c, axis) in at.iter_mut().zip(&axes) {
                    *c = match self.padding {
                        SamplePadding::Zeros => *c,
                        SamplePadding::Border if self.kind == SampleKind::Cubic => *c,
                        SamplePadding::Border => c.clamp(0.0, axis.size as f32 - 1.0),
                        SamplePadding::Reflection => reflected(*c, bounds(axis.size, align_corners)),
                    };
                }
            }
            let nearest = self.kind == SampleKind::Nearest;
            let bounded = |c: f32| if nearest && c.is_nan() { -FARTHEST } else { c.clamp(-FARTHEST, FARTHEST) };
            let read: Vec<Vec<(i64, f32)>> = at.iter().map(|c| taps(self.kind, bounded(*c))).collect();
            words.push(place.weighted(&read).to_bits());
        });
        Tensor { shape: shape.to_vec(), dtype: x.dtype, words }
    }

    fn cut(&self, axis: usize) -> Option<Vec<Option<usize>>> {
        match axis {
            0 => Some(vec![Some(0), Some(0)]),
            1 => Some(vec![Some(1), None]),
            _ => None,
        }
    }
}

impl LowerKernelOp for GridSample {
    fn lower(&self, lowering: &mut Lowering<'_>, id: NodeId) -> Result<(), LowerError> {
        let Some(elements) = Elements::of(lowering, id) else { return Ok(()) };
        let (x, grid, count) = (&elements.operands[0], &elements.operands[1], elements.count);
        let axes = x.shape.len() - 2;
        let (mode, taps) = match self.kind {
            SampleKind::Nearest => (NEAREST, 1),
            SampleKind::Linear => (LINEAR, 1 << axes),
            SampleKind::Cubic => (CUBIC, 16),
        };
        let padding = match self.padding {
            SamplePadding::Zeros => ZEROS,
            SamplePadding::Border => BORDER,
            SamplePadding::Reflection => REFLECTION,
        };
        let params = Params::new()
            .set("count", count)
            .set("channels", x.shape[1])
            .set("width", elements.width)
            .code("mode", mode)
            .code("padding", padding)
            .set("align_corners", self.align_corners)
            .set("axes", axes)
            .set("offset", x.offset)
            .set("stride_batch", x.strides[0])
            .set("stride_channel", x.strides[1])
            .set("grid_offset", grid.offset)
            .set("grid_batch", grid.strides[0])
            .set("extents", sizes(&elements.out.shape[2..]))
            .set("x_extents", sizes(&x.shape[2..]))
            .set("x_strides", stride_words(&x.strides[2..]))
            .set("grid_strides", stride_words(&grid.strides[1..=axes]))
            .set("grid_coordinate", grid.strides[axes + 1]);
        let kernel = Kernel::Of(KernelOpKind::GridSample);
        elements.call(lowering, kernel, params, count * (taps + axes), 4 * count * taps);
        Ok(())
    }
}
