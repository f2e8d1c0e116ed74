//! What a deformable convolution reads: for every tap of its window an interpolated element, at a place that a tensor shifts.
//!
//! The convolution itself is a product over these columns, with weights that stream as those of any convolution: ONNX's
//! DeformConv becomes this and a Conv with a window of one element. Two spatial axes; others are deliberately not here.

use crate::graph::constant::{Constant, Dtype};
use crate::graph::kernel_op::{DeformableColumns, KernelOpKind, KernelOperator, Operands};
use crate::graph::tensor::{Tensor, for_each_index, offset, strides};
use crate::graph::{NodeId, ShapeError};
use crate::import::reason::Reason;
use crate::import::rewrite::outcome::Rewritten;
use crate::import::rewrite::steps::{Attribute, Steps};
use crate::kernels::params::Params;
use crate::kernels::rounds::Rounds;
use crate::kernels::{Hook, Kernel, KernelRow, OwnKernel, SHARED_EACH, SHARED_FLOATS, body, row};
use crate::lower::context::Lowering;
use crate::lower::error::LowerError;
use crate::lower::ops::elements::Elements;
use crate::lower::ops::kernel_op::LowerKernelOp;
use crate::lower::view::View;

fn pair(list: &[usize]) -> Result<[usize; 2], Reason> {
    <[usize; 2]>::try_from(list).map_err(|_| Reason::form("{} spatial axes", [list.len().into()]))
}

impl OwnKernel for DeformableColumns {
    const KERNEL: KernelRow =
        row(body!("deformable_columns"), Hook::None, &["out", "x", "offsets", "mask"], Rounds::NONE)
            .shared(&[SHARED_FLOATS, SHARED_EACH]);
}

impl DeformableColumns {
    /// ONNX's DeformConv.
    pub fn from_onnx(s: &mut Steps<'_>) -> Result<Rewritten, Reason> {
        let (x, weight, offsets) = (s.needed(0)?, s.needed(1)?, s.needed(2)?);
        let of_weight = s.known.shape(weight).and_then(|shape| shape.get(2..)).map(<[usize]>::to_vec);
        let kernel = match (s.ints_attribute("kernel_shape"), of_weight) {
            (Some(list), None) => s.sizes_attribute("kernel_shape", &vec![1; list.len()])?,
            (None, Some(of_weight)) => of_weight,
            (Some(list), Some(of_weight)) if list.iter().map(|v| *v as usize).eq(of_weight.iter().copied()) => {
                of_weight
            }
            (Some(list), Some(of_weight)) => {
                return Err(Reason::form(
                    "kernel_shape {} of a window of {}",
                    [list.into(), of_weight.as_slice().into()],
                ));
            }
            (None, None) => return Err("without kernel_shape, and the weights are computed".into()),
        };
        let kernel = pair(&kernel)?;
        let strides = pair(&s.sizes_attribute("strides", &[1, 1])?)?;
        let dilations = pair(&s.sizes_attribute("dilations", &[1, 1])?)?;
        let pads = s.sizes_attribute("pads", &[0; 4])?;
        let groups = usize::try_from(s.int_attribute("offset_group").unwrap_or(1)).unwrap_or(0);
        if kernel.contains(&0) || strides.contains(&0) || dilations.contains(&0) || groups == 0 {
            return Err("a window, step or group of nothing".into());
        }
        let pads = [pads[0], pads[1], pads[2], pads[3]];
        let mut operands = vec![x, offsets];
        operands.extend(s.operand(4));
        let columns = s.kernel_op(Self { kernel, strides, dilations, pads, groups }, &operands);
        // (outputs, channels of a group · taps, 1, 1): the weights themselves, row by row.
        let flat = s.ints(&[0, -1, 1, 1]);
        let weight = s.op("Reshape", &[weight, &flat], &[]);
        let mut inputs = vec![columns.as_str(), weight.as_str()];
        inputs.extend(s.operand(3));
        let group = s.int_attribute("group").unwrap_or(1);
        let attributes = [("group", Attribute::Int(group)), ("kernel_shape", Attribute::Ints(&[1, 1]))];
        let y = s.op("Conv", &inputs, &attributes);
        s.give(0, &y);
        Ok(Rewritten::Replaced)
    }

    const fn taps(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }

    /// Windows along each axis; `None` when none fits.
    fn windows(&self, x: &[usize]) -> Option<[usize; 2]> {
        let along = |axis: usize| {
            let padded = x[2 + axis] + self.pads[axis] + self.pads[2 + axis];
            Some(padded.checked_sub(self.dilations[axis] * (self.kernel[axis] - 1) + 1)? / self.strides[axis] + 1)
        };
        Some([along(0)?, along(1)?])
    }

    /// The place of a tap along an axis, without its shift.
    fn place(&self, axis: usize, window: usize, tap: usize) -> f32 {
        (window * self.strides[axis] + tap * self.dilations[axis]) as f32 - self.pads[axis] as f32
    }
}

/// The two elements around a place along an axis of `size`, and their weights; elements outside are left out.
fn neighbours(at: f32, size: usize) -> impl Iterator<Item = (usize, f32)> + Clone {
    let low = at.floor();
    let both = [(low, low + 1.0 - at), (low + 1.0, at - low)];
    both.into_iter().filter(move |(c, _)| *c >= 0.0 && *c < size as f32).map(|(c, weight)| (c as usize, weight))
}

impl KernelOperator for DeformableColumns {
    fn infer(&self, operands: &Operands<'_>) -> Result<(Vec<usize>, Dtype), ShapeError> {
        let ([(x, _), (offsets, _)], mask) = operands.optional_last("2 or 3")?;
        operands.typed(0, Dtype::F32)?;
        operands.typed(1, Dtype::F32)?;
        operands.fits(0, x.len() == 4 && x[1] % self.groups == 0, "(batch, channels, height, width), whole groups")?;
        let windows = self.windows(x);
        operands.fits(0, windows.is_some(), "the window fits")?;
        let [rows, columns] = windows.expect("checked in the line above");
        let channels = self.groups * self.taps();
        let fits = offsets == [x[0], 2 * channels, rows, columns];
        operands.fits(1, fits, "(batch, groups · taps · 2, windows along each axis)")?;
        if let Some((mask, _)) = mask {
            operands.typed(2, Dtype::F32)?;
            operands.fits(
                2,
                mask == [x[0], channels, rows, columns],
                "(batch, groups · taps, windows along each axis)",
            )?;
        }
        Ok((vec![x[0], x[1] * self.taps(), rows, columns], Dtype::F32))
    }

    fn evaluate(&self, operands: &[&Tensor], shape: &[usize]) -> Tensor {
        let (x, offsets) = (operands[0], operands[1].to_f32());
        let (own, offset_strides) = (strides(&x.shape), strides(&operands[1].shape));
        let mask = operands.get(2).map(|mask| (mask.to_f32(), strides(&mask.shape)));
        let mut values = Vec::with_capacity(shape.iter().product());
        for_each_index(shape, |index| {
            let (channel, tap) = (index[1] / self.taps(), index[1] % self.taps());
            let plane = channel / (x.shape[1] / self.groups) * self.taps() + tap;
            let shift =
                |axis: usize| offsets[offset(&[index[0], 2 * plane + axis, index[2], index[3]], &offset_strides)];
            let row = self.place(0, index[2], tap / self.kernel[1]) + shift(0);
            let column = self.place(1, index[3], tap % self.kernel[1]) + shift(1);
            let across = neighbours(column, x.shape[3]);
            let corners =
                neighbours(row, x.shape[2]).flat_map(|(y, w)| across.clone().map(move |(c, v)| (y, c, w * v)));
            let element = |(y, c, weight): (usize, usize, f32)| {
                weight * f32::from_bits(x.words[offset(&[index[0], channel, y, c], &own)])
            };
            let factor = mask.as_ref().map_or(1.0, |(m, s)| m[offset(&[index[0], plane, index[2], index[3]], s)]);
            values.push(factor * corners.map(element).sum::<f32>());
        });
        Tensor::from_f32(shape.to_vec(), values)
    }

    fn cut(&self, axis: usize) -> Option<Vec<Option<usize>>> {
        (axis == 0).then(|| vec![Some(0); 3])
    }
}

impl LowerKernelOp for DeformableColumns {
    fn lower(&self, lowering: &mut Lowering<'_>, id: NodeId) -> Result<(), LowerError> {
        let Some(mut elements) = Elements::of(lowering, id) else { return Ok(()) };
        if elements.operands.len() == 2 {
            let ones = lowering.resident(&Constant::from_f32(vec![1, 1, 1, 1], &[1.0]));
            elements.operands.push(View { strides: vec![0; 4], ..ones });
        }
        let [x, offsets, mask] = &elements.operands[..] else { unreachable!("three operands now") };
        let (count, out) = (elements.count, &elements.out.shape);
        let params = Params::new()
            .set("count", count)
            .set("planes", out[1])
            .set("width", elements.width)
            .set("group_channels", x.shape[1] / self.groups)
            .set("rows", out[2])
            .set("columns", out[3])
            .set("x_height", x.shape[2])
            .set("x_width", x.shape[3])
            .set("taps_y", self.kernel[0])
            .set("taps_x", self.kernel[1])
            .set("pad_y", self.pads[0])
            .set("pad_x", self.pads[1])
            .set("step_y", self.strides[0])
            .set("step_x", self.strides[1])
            .set("dilation_y", self.dilations[0])
            .set("dilation_x", self.dilations[1])
            .set("x_strides", x.strides.as_slice())
            .set("offset_strides", offsets.strides.as_slice())
            .set("mask_strides", mask.strides.as_slice())
            .set("x_offset", x.offset)
            .set("offsets_offset", offsets.offset)
            .set("mask_offset", mask.offset);
        elements.call(lowering, Kernel::Of(KernelOpKind::DeformableColumns), params, 7 * count, 12 * count);
        Ok(())
    }
}
