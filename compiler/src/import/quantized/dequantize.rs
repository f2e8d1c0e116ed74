//! What `DequantizeLinear`, `GatherBlockQuantized` and `MatMulNBits` say about a constant: which integers share a scale.
//!
//! Takes operands; gives the constant that they stand for, or in a sentence why there is none. Shapes and counts are checked
//! here, so that nothing reads beyond a list. It deliberately knows no graph.

use super::elements::{Element, Stored};
use crate::graph::constant::{Constant, Storage};
use crate::graph::quantized::{Blocks, Floats, Packed, Places, Quantized, Width, ZeroPoints};
use crate::import::reason::Reason;
use std::sync::Arc;

/// How scales lie over the elements of a tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Layout {
    /// One for all.
    Tensor,
    /// One for each place along an axis.
    Axis(usize),
    /// One for so many neighbours along an axis.
    Blocked {
        /// The axis.
        axis: usize,
        /// How many share one.
        length: usize,
    },
}

impl Layout {
    /// The shape that scales have, and the elements along each axis that share one.
    fn blocks(&self, shape: &[usize]) -> (Vec<usize>, Vec<usize>) {
        match self {
            Self::Tensor => (vec![1; shape.len()], shape.to_vec()),
            Self::Axis(axis) => {
                let counts = (0..shape.len()).map(|i| if i == *axis { shape[i] } else { 1 });
                let lengths = (0..shape.len()).map(|i| if i == *axis { 1 } else { shape[i] });
                (counts.collect(), lengths.collect())
            }
            Self::Blocked { axis, length } => {
                let counts = (0..shape.len()).map(|i| if i == *axis { shape[i].div_ceil(*length) } else { shape[i] });
                let lengths = (0..shape.len()).map(|i| if i == *axis { *length } else { 1 });
                (counts.collect(), lengths.collect())
            }
        }
    }

    /// The layout that shapes and attributes say. One scale is for all, whatever the axis.
    pub fn of(shape: &[usize], scale: &[usize], axis: i64, block_size: i64) -> Result<Self, Reason> {
        let unfit = || Reason::form("scales of shape {} for data of shape {}", [scale.into(), shape.into()]);
        let rank = shape.len() as i64;
        let no_axis = || Reason::form("axis {} of {} axes", [axis.into(), rank.into()]);
        let own_axis = usize::try_from(if axis < 0 { axis + rank } else { axis }).ok().filter(|a| *a < shape.len());
        if block_size != 0 {
            let axis = own_axis.ok_or_else(no_axis)?;
            let length = usize::try_from(block_size).ok().filter(|n| *n > 0);
            let length = length.ok_or_else(|| Reason::form("block_size = {}", [block_size.into()]))?;
            let layout = Self::Blocked { axis, length };
            return if layout.blocks(shape).0 == scale { Ok(layout) } else { Err(unfit()) };
        }
        match scale {
            [] | [1] => Ok(Self::Tensor),
            [count] => {
                let axis = own_axis.ok_or_else(no_axis)?;
                if *count == shape[axis] { Ok(Self::Axis(axis)) } else { Err(unfit()) }
            }
            _ => Err(unfit()),
        }
    }
}

/// (integer − zero point) · scale for every element. The zero points lie as the scales do.
pub fn linear(x: &Stored, scales: &Floats, zeros: Option<&Stored>, layout: &Layout) -> Result<Constant, Reason> {
    let (counts, lengths) = layout.blocks(&x.shape);
    let places = Places::dense(&counts);
    let count = counts.iter().product::<usize>();
    if scales.len() != count || zeros.is_some_and(|zeros| zeros.len() != count) {
        let (found, expected) = (scales.len().into(), count.into());
        return Err(Reason::form("{} scales instead of {}, or another number of zero points", [found, expected]));
    }
    if let Some(integers) = x.packed() {
        let zeros = match zeros {
            Some(zeros) if count == 1 => ZeroPoints::Same(zeros.integer_at(0)),
            Some(zeros) => ZeroPoints::Integers(zeros.packed().ok_or("zero points of another type")?),
            None => ZeroPoints::Same(0),
        };
        let lengths = lengths.into_iter().map(|length| length.max(1)).collect();
        let blocks =
            Blocks { lengths, scales: scales.clone(), scale_places: places.clone(), zeros, zero_places: places };
        let quantized = Quantized::new(x.shape.clone(), integers, Places::dense(&x.shape), blocks, scales.half);
        return quantized.map(Constant::from_quantized).ok_or_else(|| "data that does not fill its shape".into());
    }
    Ok(wide(x, scales, zeros, &lengths, &places))
}

/// The floats of integers of more than 8 bits, and of floats of 8 bits.
fn wide(x: &Stored, scales: &Floats, zeros: Option<&Stored>, lengths: &[usize], places: &Places) -> Constant {
    let mut index = vec![0; x.shape.len()];
    let values = (0..x.len()).map(|position| {
        let along = index.iter().zip(lengths).zip(&places.strides);
        let block = along.map(|((i, length), stride)| i / (*length).max(1) * stride).sum();
        let zero = zeros.map_or(0, |zeros| zeros.integer_at(block));
        for axis in (0..index.len()).rev() {
            index[axis] += 1;
            if index[axis] < x.shape[axis] {
                break;
            }
            index[axis] = 0;
        }
        x.centred(position, zero) * scales.at(block)
    });
    let values: Vec<f32> = values.collect();
    if !scales.half {
        return Constant::from_f32(x.shape.clone(), &values);
    }
    let bytes: Vec<u8> = values.iter().flat_map(|v| half::f16::from_f32(*v).to_le_bytes()).collect();
    let constant = Constant::new(x.shape.clone(), Storage::F16, Arc::new(bytes));
    constant.expect("two bytes for every element of the shape")
}

/// Integers for floats, as `QuantizeLinear` rounds them; `None` where a float or a scale is not finite, or a scale is 0.
pub fn quantized(
    shape: &[usize],
    x: &Floats,
    scales: &Floats,
    zeros: Option<&Stored>,
    layout: &Layout,
    element: Element,
) -> Option<Stored> {
    let (low, high) = element.range()?;
    let (counts, lengths) = layout.blocks(shape);
    let places = Places::dense(&counts);
    let count = counts.iter().product::<usize>();
    if scales.len() != count || zeros.is_some_and(|zeros| zeros.len() != count) {
        return None;
    }
    let dense = Places::dense(shape);
    let integers = (0..x.len()).map(|position| {
        let place = |axis: usize| position / dense.strides[axis] % shape[axis] / lengths[axis].max(1);
        let block = (0..shape.len()).map(|axis| place(axis) * places.strides[axis]).sum();
        let quotient = x.at(position) / scales.at(block);
        let zero = zeros.map_or(0, |zeros| zeros.integer_at(block));
        // Beyond 2³⁰ every type is saturated, whatever its zero point.
        let bounded = quotient.round_ties_even().clamp(-1_073_741_824.0, 1_073_741_824.0);
        quotient.is_finite().then_some((bounded as i32 + zero).clamp(low, high))
    });
    let integers: Vec<i32> = integers.collect::<Option<_>>()?;
    Some(Stored::from_integers(element, shape.to_vec(), &integers))
}

/// The operands and sizes of a `MatMulNBits`.
pub struct Blockwise<'a> {
    /// Packed integers (N, blocks, bytes of a block).
    pub b: &'a Stored,
    /// Scales (N, blocks).
    pub scales: &'a Floats,
    /// Zero points: packed in rows of whole bytes, or floats, (N, blocks).
    pub zeros: Option<BlockZeros<'a>>,
    /// Columns of the product.
    pub n: usize,
    /// Terms of its sums.
    pub k: usize,
    /// Integers of a block.
    pub block_size: usize,
    /// Bits of an integer.
    pub width: Width,
}

/// Zero points of a `MatMulNBits`.
pub enum BlockZeros<'a> {
    /// Packed like the integers, every row in whole bytes.
    Packed(&'a Stored),
    /// Floats.
    Floats(&'a Floats),
}

impl Blockwise<'_> {
    /// The weight (N, K).
    pub fn constant(&self) -> Result<Constant, Reason> {
        let (n, k, width) = (self.n, self.k, self.width);
        let blocks = k.div_ceil(self.block_size);
        let zero_row = blocks.div_ceil(width.per_byte());
        let counted = |what: &str, found: usize, expected: Option<usize>| {
            let values = || [what.into(), found.into(), expected.unwrap_or(usize::MAX).into()];
            let wrong = || Reason::form("{} of {} elements instead of {}", values());
            if Some(found) == expected { Ok(()) } else { Err(wrong()) }
        };
        let row_bytes = (self.block_size / width.per_byte()).checked_mul(blocks);
        counted("B", self.b.len(), row_bytes.and_then(|bytes| bytes.checked_mul(n)))?;
        counted("scales", self.scales.len(), blocks.checked_mul(n))?;
        let packed = |bytes| Packed { width, signed: false, bytes };
        let (zeros, zero_stride) = match &self.zeros {
            None => (ZeroPoints::Same(1 << (width.bits() - 1)), 0),
            Some(BlockZeros::Packed(list)) => {
                counted("zero_points", list.len(), zero_row.checked_mul(n))?;
                (ZeroPoints::Integers(packed(Arc::clone(&list.bytes))), zero_row * width.per_byte())
            }
            Some(BlockZeros::Floats(list)) => {
                counted("zero_points", list.len(), blocks.checked_mul(n))?;
                (ZeroPoints::Floats((*list).clone()), blocks)
            }
        };
        let row = |stride| Places { first: 0, strides: vec![stride, 1] };
        let blocks = Blocks {
            lengths: vec![1, self.block_size],
            scales: self.scales.clone(),
            scale_places: row(blocks),
            zeros,
            zero_places: row(zero_stride),
        };
        let integers = packed(Arc::clone(&self.b.bytes));
        let stride = k.div_ceil(self.block_size) * self.block_size;
        // ONNX Runtime scales in f32 whatever the type of the scales.
        let quantized = Quantized::new(vec![n, k], integers, row(stride), blocks, false);
        quantized.map(Constant::from_quantized).ok_or_else(|| "no columns or no terms".into())
    }
}

/// The table of a `GatherBlockQuantized` whose elements share bytes along the last axis.
pub fn packed_rows(
    bytes: &Stored,
    scales: (&[usize], &Floats),
    zeros: Option<&Stored>,
    width: Width,
    axis: i64,
    block_size: i64,
) -> Result<Constant, Reason> {
    let per_byte = width.per_byte();
    let mut shape = bytes.shape.clone();
    let last = shape.last_mut().ok_or("data without axes")?;
    *last = last.checked_mul(per_byte).ok_or("data with too many elements")?;
    let (scale_shape, scales) = scales;
    let layout = Layout::of(&shape, scale_shape, axis, block_size)?;
    let (counts, lengths) = layout.blocks(&shape);
    let packed = |bytes| Packed { width, signed: false, bytes };
    let mut padded = counts.clone();
    if let Some(last) = padded.last_mut() {
        *last = last.next_multiple_of(per_byte);
    }
    let zeros = match zeros {
        None => ZeroPoints::Same(1 << (width.bits() - 1)),
        Some(list) => {
            let expected = padded.iter().product::<usize>() / per_byte;
            if list.len() != expected {
                let values = [list.len().into(), expected.into()];
                return Err(Reason::form("zero points of {} bytes instead of {}", values));
            }
            ZeroPoints::Integers(packed(Arc::clone(&list.bytes)))
        }
    };
    let blocks = Blocks {
        lengths,
        scales: scales.clone(),
        scale_places: Places::dense(&counts),
        zeros,
        zero_places: Places::dense(&padded),
    };
    let integers = packed(Arc::clone(&bytes.bytes));
    let quantized = Quantized::new(shape.clone(), integers, Places::dense(&shape), blocks, scales.half);
    quantized.map(Constant::from_quantized).ok_or_else(|| "data without elements".into())
}

#[cfg(test)]
mod tests {
    use super::{BlockZeros, Blockwise, Layout, linear, packed_rows, quantized};
    use crate::graph::quantized::{Floats, Width};
    use crate::import::quantized::elements::{Element, Stored};
    use std::sync::Arc;

    fn stored(data_type: i32, shape: &[usize], values: &[i32]) -> Stored {
        Stored::from_integers(Element::of(data_type).expect("a quantized type"), shape.to_vec(), values)
    }

    #[test]
    fn a_layout_follows_from_shapes_and_attributes() {
        let of = |scale: &[usize], axis, block| Layout::of(&[4, 6], scale, axis, block);
        assert_eq!((of(&[], 7, 0), of(&[1], 1, 0)), (Ok(Layout::Tensor), Ok(Layout::Tensor)));
        assert_eq!((of(&[6], 1, 0), of(&[4], -2, 0)), (Ok(Layout::Axis(1)), Ok(Layout::Axis(0))));
        assert_eq!(of(&[4, 2], -1, 4), Ok(Layout::Blocked { axis: 1, length: 4 }));
        assert!(of(&[4], 1, 0).is_err() && of(&[6], 2, 0).is_err() && of(&[4, 3], 1, 4).is_err());
        assert!(of(&[4, 6], 1, 0).is_err() && of(&[4, 6], 1, -1).is_err());
    }

    #[test]
    fn every_layout_scales_its_elements() {
        let x = stored(22, &[2, 3], &[-8, 7, 1, 2, -3, 0]);
        let scales = Floats::from_f32(&[0.5, -2.0]);
        let values = |layout: &Layout, zeros: Option<&Stored>| {
            linear(&x, &scales, zeros, layout).map(|constant| constant.to_f32())
        };
        assert_eq!(values(&Layout::Axis(0), None), Ok(vec![-4.0, 3.5, 0.5, -4.0, 6.0, 0.0]));
        let zeros = stored(22, &[2], &[1, -2]);
        assert_eq!(values(&Layout::Axis(0), Some(&zeros)), Ok(vec![-4.5, 3.0, 0.0, -8.0, 2.0, -4.0]));
        assert!(values(&Layout::Axis(1), None).is_err(), "three scales are needed");
        let one = linear(&x, &Floats::from_f32(&[-1.0]), None, &Layout::Tensor).map(|c| c.to_f32());
        assert_eq!(one, Ok(vec![8.0, -7.0, -1.0, -2.0, 3.0, 0.0]));
        let short = Floats::from_f32(&[1.0, 10.0, 2.0, 20.0]);
        let blocked = linear(&x, &short, None, &Layout::Blocked { axis: 1, length: 2 }).map(|c| c.to_f32());
        assert_eq!(blocked, Ok(vec![-8.0, 7.0, 10.0, 4.0, -6.0, 0.0]));
        let wide = linear(&stored(5, &[2, 3], &[-300, 7, 1, 2, -3, 0]), &scales, None, &Layout::Axis(0));
        let wide = wide.expect("wide integers are widened");
        assert_eq!((wide.as_quantized().is_none(), wide.f32_at(0)), (true, -150.0));
    }

    #[test]
    fn floats_are_quantized_as_they_are_rounded() {
        let x = Floats::from_f32(&[0.25, 0.75, -0.75, 100.0, -100.0, 1.0]);
        let element = Element::of(22).expect("int4");
        let of = |scales: &[f32], zeros: Option<&Stored>| {
            let stored = quantized(&[2, 3], &x, &Floats::from_f32(scales), zeros, &Layout::Axis(0), element)?;
            Some((0..6).map(|i| stored.integer_at(i)).collect::<Vec<_>>())
        };
        assert_eq!(of(&[0.5, 0.25], None), Some(vec![0, 2, -2, 7, -8, 4]));
        let zeros = stored(22, &[2], &[1, -1]);
        assert_eq!(of(&[-0.5, 0.25], Some(&zeros)), Some(vec![1, -1, 3, 7, -8, 3]));
        assert_eq!(of(&[0.0, 1.0], None), None);
    }

    #[test]
    fn blocks_of_a_product_pad_rows_and_zero_points() {
        // K = 19 in blocks of 16: two blocks a row, of which the second has 3 integers in use.
        let bytes: Vec<u8> = (0..2 * 2 * 8).map(|i| (i * 29 + 3) as u8).collect();
        let b =
            Stored { element: Element::of(2).expect("uint8"), shape: vec![2, 2, 8], bytes: Arc::new(bytes.clone()) };
        let scales = Floats::from_f32(&[1.0, -0.5, 2.0, 0.25]);
        let zeros = stored(2, &[2, 1], &[0x31, 0x90]);
        let mut node =
            Blockwise { b: &b, scales: &scales, zeros: None, n: 2, k: 19, block_size: 16, width: Width::Four };
        let nibble = |n: usize, k: usize| f32::from(bytes[n * 16 + k / 2] >> (4 * (k % 2)) & 15);
        let expected = |zero: [f32; 4]| -> Vec<f32> {
            let at = |n: usize, k: usize| (nibble(n, k) - zero[2 * n + k / 16]) * scales.at(2 * n + k / 16);
            (0..2).flat_map(|n| (0..19).map(move |k| at(n, k))).collect()
        };
        assert_eq!(node.constant().map(|c| c.to_f32()), Ok(expected([8.0; 4])));
        node.zeros = Some(BlockZeros::Packed(&zeros));
        assert_eq!(node.constant().map(|c| c.to_f32()), Ok(expected([1.0, 3.0, 0.0, 9.0])));
        let floats = Floats::from_f32(&[1.5, -3.0, 0.0, 9.0]);
        node.zeros = Some(BlockZeros::Floats(&floats));
        assert_eq!(node.constant().map(|c| c.to_f32()), Ok(expected([1.5, -3.0, 0.0, 9.0])));
        node.k = 33;
        assert!(node.constant().is_err(), "a third block has no data");
    }

    #[test]
    fn rows_of_a_table_share_bytes_along_the_last_axis() {
        let bytes: Vec<u8> = (0..2 * 24).map(|i| (i * 31 + 7) as u8).collect();
        let data =
            Stored { element: Element::of(2).expect("uint8"), shape: vec![2, 24], bytes: Arc::new(bytes.clone()) };
        let scales = Floats::from_f32(&[1.0, -0.5, 2.0, 0.25, 4.0, -1.0]);
        let zeros = stored(2, &[2, 2], &[0x21, 0x03, 0x54, 0x06]);
        let table = packed_rows(&data, (&[2, 3], &scales), Some(&zeros), Width::Four, -1, 16).expect("it fits");
        assert_eq!(table.shape, [2, 48]);
        let nibble = |i: usize| f32::from(bytes[i / 2] >> (4 * (i % 2)) & 15);
        let block = |i: usize| i / 48 * 3 + i % 48 / 16;
        let expected: Vec<f32> = (0..96).map(|i| (nibble(i) - (block(i) as f32 + 1.0)) * scales.at(block(i))).collect();
        assert_eq!(table.to_f32(), expected);
        assert!(packed_rows(&data, (&[2, 2], &scales), None, Width::Four, -1, 16).is_err());
    }
}
