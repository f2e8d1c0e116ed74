//! Regions of interest, resampled to one size: bilinear samples of every bin, averaged or their maximum.
//!
//! The maximum is that of the weighted corners of every sample, as the node tests and ONNX Runtime have it. It deliberately
//! takes at most [`MAX_SAMPLES`] samples a bin and axis, so that no region keeps a device busy for ever, and reads the nearest
//! batch entry for an index outside, which ONNX leaves undefined.

use crate::graph::constant::Dtype;
use crate::graph::kernel_op::{KernelOpKind, KernelOperator, Operands, RoiAlign};
use crate::graph::tensor::{Tensor, for_each_index};
use crate::graph::{NodeId, ShapeError};
use crate::import::reason::Reason;
use crate::import::rewrite::outcome::Rewritten;
use crate::import::rewrite::steps::Steps;
use crate::kernels::rounds::{Rounds, nest, once};
use crate::kernels::{Hook, Kernel, KernelRow, OwnKernel, SHARED_EACH, SHARED_FLOATS, body, row};
use crate::lower::context::Lowering;
use crate::lower::error::LowerError;
use crate::lower::ops::elements::Elements;
use crate::lower::ops::kernel_op::LowerKernelOp;
use crate::lower::ops::strided::parts;
use std::ops::RangeInclusive;

/// Most samples of a bin along an axis; the kernel has the same number.
const MAX_SAMPLES: f32 = 4096.0;

/// Samples a bin and axis that cost is reckoned with where regions decide it.
const USUAL_SAMPLES: usize = 2;

impl OwnKernel for RoiAlign {
    const KERNEL: KernelRow =
        row(body!("roi_align"), Hook::None, &["out", "x", "regions", "entries"], Rounds::of(FIELDS, rounds))
            .shared(&[SHARED_FLOATS, SHARED_EACH]);
}

impl RoiAlign {
    /// ONNX's RoiAlign.
    pub fn from_onnx(s: &mut Steps<'_>) -> Result<Rewritten, Reason> {
        let operands = [s.needed(0)?, s.needed(1)?, s.needed(2)?];
        let max = match s.text_attribute("mode").unwrap_or("avg") {
            "avg" => false,
            "max" => true,
            other => return Err(Reason::form("mode {}", [other.into()])),
        };
        let default = if s.known.opset < 16 { "output_half_pixel" } else { "half_pixel" };
        let half_pixel = match s.text_attribute("coordinate_transformation_mode").unwrap_or(default) {
            "half_pixel" => true,
            "output_half_pixel" => false,
            other => return Err(Reason::form("coordinate transformation {}", [other.into()])),
        };
        let natural = |name: &str, or: i64, least: i64| {
            let value = s.int_attribute(name).unwrap_or(or);
            if (least..=4096).contains(&value) {
                Ok(value as usize)
            } else {
                Err(Reason::form("{} = {}", [name.into(), value.into()]))
            }
        };
        let size = [natural("output_height", 1, 1)?, natural("output_width", 1, 1)?];
        let samples = natural("sampling_ratio", 0, 0)?;
        let scale = s.float_attribute("spatial_scale").unwrap_or(1.0);
        let y = s.kernel_op(Self { size, samples, scale, half_pixel, max }, &operands);
        s.give(0, &y);
        Ok(Rewritten::Replaced)
    }

    /// First coordinate and extent of a region along an axis.
    fn extent(&self, first: f32, last: f32) -> (f32, f32) {
        let shift = if self.half_pixel { 0.5 } else { 0.0 };
        let (first, last) = (first * self.scale - shift, last * self.scale - shift);
        // Malformed regions have one element.
        (first, if self.half_pixel { last - first } else { (last - first).max(1.0) })
    }

    /// Coordinates of the samples of bin `bin`, of `bins`.
    fn samples_of(&self, (first, extent): (f32, f32), bin: usize, bins: usize) -> Vec<f32> {
        let size = extent / bins as f32;
        let count = if self.samples > 0 { self.samples as f32 } else { size.ceil().clamp(0.0, MAX_SAMPLES) };
        (0..count as usize).map(|i| first + bin as f32 * size + (i as f32 + 0.5) * size / count).collect()
    }
}

/// Samples of a bin along an axis of `extent` elements that may lie inside it: those that are more than half an element apart,
/// or as many as are given. The kernel has the same number.
const fn samples_inside(extent: u64, samples: u64) -> u64 {
    if samples > 0 { samples } else { 2 * extent + 6 }
}

/// What decides the rounds of the kernel.
const FIELDS: &[&str] = &["samples", "x_width", "part_rows"];

fn rounds(p: &[u64]) -> u64 {
    nest(&[p[2], samples_inside(p[1], p[0])])
}

/// Two neighbours along an axis of `size` elements and the share of the second; `None` for a coordinate outside.
fn neighbours(at: f32, size: usize) -> Option<(usize, usize, f32)> {
    if !(-1.0..=size as f32).contains(&at) {
        return None;
    }
    let at = at.max(0.0);
    let low = at as usize;
    if low + 1 >= size { Some((size - 1, size - 1, 0.0)) } else { Some((low, low + 1, at - low as f32)) }
}

impl KernelOperator for RoiAlign {
    fn infer(&self, operands: &Operands<'_>) -> Result<(Vec<usize>, Dtype), ShapeError> {
        let [(x, _), (regions, _), (entries, _)] = operands.exactly("3")?;
        operands.typed(0, Dtype::F32)?;
        operands.typed(1, Dtype::F32)?;
        operands.typed(2, Dtype::I32)?;
        operands.fits(0, x.len() == 4 && !x.contains(&0), "(batch, channels, height, width)")?;
        operands.fits(1, regions.len() == 2 && regions[1] == 4, "(regions, 4)")?;
        operands.fits(2, entries.len() == 1 && entries[0] == regions[0], "one batch entry a region")?;
        Ok((vec![regions[0], x[1], self.size[0], self.size[1]], Dtype::F32))
    }

    fn evaluate(&self, operands: &[&Tensor], shape: &[usize]) -> Tensor {
        let (x, regions, entries) = (operands[0], operands[1].to_f32(), operands[2]);
        let [batch, channels, height, width] = x.shape[..] else { unreachable!("inference requires four axes") };
        let mut values = Vec::with_capacity(shape.iter().product());
        for_each_index(shape, |index| {
            let region = &regions[4 * index[0]..4 * index[0] + 4];
            let entry = (entries.words[index[0]] as i32).clamp(0, batch as i32 - 1) as usize;
            let plane = (entry * channels + index[1]) * height * width;
            let element = |y: usize, x_at: usize| f32::from_bits(x.words[plane + y * width + x_at]);
            let rows = self.samples_of(self.extent(region[1], region[3]), index[2], self.size[0]);
            let columns = self.samples_of(self.extent(region[0], region[2]), index[3], self.size[1]);
            let samples = rows.iter().flat_map(|row| columns.iter().map(move |column| (*row, *column)));
            let corners = samples.map(|(row, column)| match (neighbours(row, height), neighbours(column, width)) {
                (Some((top, bottom, down)), Some((left, right, across))) => [
                    (1.0 - down) * (1.0 - across) * element(top, left),
                    (1.0 - down) * across * element(top, right),
                    down * (1.0 - across) * element(bottom, left),
                    down * across * element(bottom, right),
                ],
                _ => [0.0; 4],
            });
            values.push(if self.max {
                corners.flatten().reduce(f32::max).unwrap_or(0.0)
            } else {
                let sum: f32 = corners.map(|c| c.iter().sum::<f32>()).sum();
                sum / (rows.len() * columns.len()).max(1) as f32
            });
        });
        Tensor::from_f32(shape.to_vec(), values)
    }

    fn indices(&self, operands: &[Vec<usize>]) -> Vec<(usize, RangeInclusive<i64>)> {
        let batch = operands[0].first().copied().unwrap_or(1) as i64;
        vec![(2, 0..=batch - 1)]
    }

    fn cut(&self, axis: usize) -> Option<Vec<Option<usize>>> {
        match axis {
            0 => Some(vec![None, Some(0), Some(0)]),
            1 => Some(vec![Some(1), None, None]),
            _ => None,
        }
    }
}

impl LowerKernelOp for RoiAlign {
    fn lower(&self, lowering: &mut Lowering<'_>, id: NodeId) -> Result<(), LowerError> {
        let Some(elements) = Elements::of(lowering, id) else { return Ok(()) };
        let [x, _, entries] = elements.operands.clone().try_into().expect("inference requires three operands");
        let count = elements.count;
        let params = elements
            .region_params(self.size, self.scale)
            .set("is_max", self.max)
            .set("samples", self.samples)
            .set("half_pixel", self.half_pixel)
            .set("entries_offset", entries.offset)
            .set("stride_entry", entries.strides[0]);
        let samples = if self.samples == 0 { USUAL_SAMPLES } else { self.samples };
        let read = 4 * count * samples * samples;
        let inside = [2, 3].map(|axis| samples_inside(x.shape[axis] as u64, self.samples as u64));
        for rows in parts(inside[0] as usize, once(inside[1]), lowering.max_rounds()) {
            let params = params.clone().set("part_first", rows.start).set("part_rows", rows.len());
            let read = (read * rows.len()).div_ceil(inside[0] as usize);
            elements.call(lowering, Kernel::Of(KernelOpKind::RoiAlign), params, read, 4 * read);
        }
        Ok(())
    }
}
