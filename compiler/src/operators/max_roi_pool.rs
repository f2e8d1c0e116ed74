//! The maximum of every bin of regions of interest, whose corners are rounded to whole elements.
//!
//! Where a bin ends is decided by a product of f32 that may round past a whole number, and every implementation has the same
//! one; the kernel computes it in integers, bit for bit, since a device may divide less exactly. It deliberately takes at
//! most [`MAX_BINS`] bins an axis, for which these integers have 32 bits.

use crate::graph::constant::Dtype;
use crate::graph::kernel_op::{KernelOpKind, KernelOperator, MaxRoiPool, Operands};
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
use std::ops::Range;

/// Most bins along an axis.
const MAX_BINS: i64 = 64;

/// Coordinates beyond it count as it; the kernel has the same number.
const FURTHEST: f32 = 1_048_576.0;

impl OwnKernel for MaxRoiPool {
    const KERNEL: KernelRow = row(
        body!("max_roi_pool"),
        Hook::None,
        &["out", "x", "regions"],
        Rounds::of(&["part_rows", "x_width"], |p| nest(p) + 2 * once(31)),
    )
    .shared(&[SHARED_FLOATS, SHARED_EACH]);
}

impl MaxRoiPool {
    /// ONNX's MaxRoiPool.
    pub fn from_onnx(s: &mut Steps<'_>) -> Result<Rewritten, Reason> {
        let operands = [s.needed(0)?, s.needed(1)?];
        let size = match s.ints_attribute("pooled_shape") {
            Some([rows, columns]) if (1..=MAX_BINS).contains(rows) && (1..=MAX_BINS).contains(columns) => {
                [*rows as usize, *columns as usize]
            }
            Some(other) => return Err(Reason::form("pooled_shape of {}", [other.into()])),
            None => return Err("without pooled_shape".into()),
        };
        let scale = s.float_attribute("spatial_scale").unwrap_or(1.0);
        let y = s.kernel_op(Self { size, scale }, &operands);
        s.give(0, &y);
        Ok(Rewritten::Replaced)
    }

    /// Elements of bin `bin`, of `bins`, of a region along an axis of `extent` elements.
    fn range(&self, (first, last): (f32, f32), bin: usize, bins: usize, extent: usize) -> Range<usize> {
        let place = |v: f32| (v * self.scale).round().clamp(-FURTHEST, FURTHEST) as i64;
        let (first, last) = (place(first), place(last));
        let size = (last - first + 1).max(1) as f32 / bins as f32;
        let within = |v: f32| (first + v as i64).clamp(0, extent as i64) as usize;
        within((bin as f32 * size).floor())..within(((bin + 1) as f32 * size).ceil())
    }
}

impl KernelOperator for MaxRoiPool {
    fn infer(&self, operands: &Operands<'_>) -> Result<(Vec<usize>, Dtype), ShapeError> {
        let [(x, _), (regions, _)] = operands.exactly("2")?;
        operands.typed(0, Dtype::F32)?;
        operands.typed(1, Dtype::F32)?;
        operands.fits(0, x.len() == 4 && !x.contains(&0), "(batch, channels, height, width)")?;
        operands.fits(1, regions.len() == 2 && regions[1] == 5, "(regions, 5)")?;
        Ok((vec![regions[0], x[1], self.size[0], self.size[1]], Dtype::F32))
    }

    fn evaluate(&self, operands: &[&Tensor], shape: &[usize]) -> Tensor {
        let (x, regions) = (operands[0], operands[1].to_f32());
        let [batch, channels, height, width] = x.shape[..] else { unreachable!("inference requires four axes") };
        let mut values = Vec::with_capacity(shape.iter().product());
        for_each_index(shape, |index| {
            let region = &regions[5 * index[0]..5 * index[0] + 5];
            let entry = (region[0] as i64).clamp(0, batch as i64 - 1) as usize;
            let plane = (entry * channels + index[1]) * height * width;
            let rows = self.range((region[2], region[4]), index[2], self.size[0], height);
            let columns = self.range((region[1], region[3]), index[3], self.size[1], width);
            let places = rows.flat_map(|y| columns.clone().map(move |x_at| plane + y * width + x_at));
            values.push(places.map(|at| f32::from_bits(x.words[at])).reduce(f32::max).unwrap_or(0.0));
        });
        Tensor::from_f32(shape.to_vec(), values)
    }

    fn cut(&self, axis: usize) -> Option<Vec<Option<usize>>> {
        match axis {
            0 => Some(vec![None, Some(0)]),
            1 => Some(vec![Some(1), None]),
            _ => None,
        }
    }
}

impl LowerKernelOp for MaxRoiPool {
    fn lower(&self, lowering: &mut Lowering<'_>, id: NodeId) -> Result<(), LowerError> {
        let Some(elements) = Elements::of(lowering, id) else { return Ok(()) };
        let [x, regions] = elements.operands.clone().try_into().expect("inference requires two operands");
        let count = elements.count;
        let params = elements.region_params(self.size, self.scale);
        // Regions cover the input once, as a guess.
        let read = (x.len() * regions.shape[0] / x.shape[0]).max(count);
        for rows in parts(x.shape[2], once(x.shape[3] as u64), lowering.max_rounds()) {
            let params = params.clone().set("part_first", rows.start).set("part_rows", rows.len());
            let read = read * rows.len() / x.shape[2];
            elements.call(lowering, Kernel::Of(KernelOpKind::MaxRoiPool), params, read, read);
        }
        Ok(())
    }
}
