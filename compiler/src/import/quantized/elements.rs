//! Tensors of a message as lists of numbers: packed integers, wide ones, floats of 8 bits, and the floats that scale them.
//!
//! Takes a tensor with its data in one of the ways that ONNX has; gives its shape and shared bytes. Elements below a byte are
//! packed from the low bits on, over the whole tensor. It deliberately looks at no node.

use crate::graph::bytes::SharedBytes;
use crate::graph::quantized::{Floats, Packed, Width};
use crate::import::error::ImportError;
use std::sync::Arc;
use tract_onnx::pb::TensorProto;

/// ONNX `TensorProto.DataType`s that tract's message does not name, and those beside them.
const FLOAT: i32 = 1;
const UINT8: i32 = 2;
const INT8: i32 = 3;
const UINT16: i32 = 4;
const INT16: i32 = 5;
const INT32: i32 = 6;
const FLOAT16: i32 = 10;
const FLOAT8E4M3FN: i32 = 17;
const FLOAT8E4M3FNUZ: i32 = 18;
const FLOAT8E5M2: i32 = 19;
const FLOAT8E5M2FNUZ: i32 = 20;
const UINT4: i32 = 21;
const INT4: i32 = 22;
const UINT2: i32 = 25;
const INT2: i32 = 26;

/// A float of 8 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Float8 {
    mantissa_bits: u32,
    bias: i32,
    /// Whether it has infinities, and NaNs above them; else only the largest pattern is NaN, or, with `unsigned_zero`, only
    /// the negative zero is.
    infinities: bool,
    unsigned_zero: bool,
}

impl Float8 {
    fn value(self, bits: u8) -> f32 {
        let negative = bits & 0x80 != 0;
        let magnitude = u32::from(bits & 0x7f);
        if self.unsigned_zero && bits == 0x80 {
            return f32::NAN;
        }
        let most = (1 << (7 - self.mantissa_bits)) - 1;
        let (exponent, mantissa) = (magnitude >> self.mantissa_bits, magnitude & ((1 << self.mantissa_bits) - 1));
        let fraction = mantissa as f32 / (1 << self.mantissa_bits) as f32;
        let value = if self.infinities && exponent == most {
            if mantissa == 0 { f32::INFINITY } else { f32::NAN }
        } else if !self.infinities && !self.unsigned_zero && magnitude == 0x7f {
            f32::NAN
        } else if exponent == 0 {
            fraction * ((1 - self.bias) as f32).exp2()
        } else {
            (1.0 + fraction) * ((exponent as i32 - self.bias) as f32).exp2()
        };
        if negative { -value } else { value }
    }
}

/// What a tensor's elements are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Element {
    /// Integers of at most 8 bits.
    Packed {
        /// Bits.
        width: Width,
        /// In two's complement.
        signed: bool,
    },
    /// 16 bits, from 0 on or in two's complement.
    Sixteen {
        /// In two's complement.
        signed: bool,
    },
    /// 32 bits in two's complement.
    ThirtyTwo,
    /// Floats of 8 bits.
    Float8(Float8),
}

impl Element {
    /// The elements of an ONNX type; `None` for types that are not quantized.
    pub const fn of(data_type: i32) -> Option<Self> {
        const fn packed(width: Width, signed: bool) -> Option<Element> {
            Some(Element::Packed { width, signed })
        }
        const fn float8(mantissa_bits: u32, bias: i32, infinities: bool, unsigned_zero: bool) -> Option<Element> {
            Some(Element::Float8(Float8 { mantissa_bits, bias, infinities, unsigned_zero }))
        }
        match data_type {
            UINT2 => packed(Width::Two, false),
            INT2 => packed(Width::Two, true),
            UINT4 => packed(Width::Four, false),
            INT4 => packed(Width::Four, true),
            UINT8 => packed(Width::Eight, false),
            INT8 => packed(Width::Eight, true),
            UINT16 => Some(Self::Sixteen { signed: false }),
            INT16 => Some(Self::Sixteen { signed: true }),
            INT32 => Some(Self::ThirtyTwo),
            FLOAT8E4M3FN => float8(3, 7, false, false),
            FLOAT8E4M3FNUZ => float8(3, 8, false, true),
            FLOAT8E5M2 => float8(2, 15, true, false),
            FLOAT8E5M2FNUZ => float8(2, 16, false, true),
            _ => None,
        }
    }

    const fn bits(self) -> usize {
        match self {
            Self::Packed { width, .. } => width.bits() as usize,
            Self::Sixteen { .. } => 16,
            Self::ThirtyTwo => 32,
            Self::Float8(_) => 8,
        }
    }

    /// Smallest and largest integer; `None` for floats and for integers that nothing is quantized to.
    pub const fn range(self) -> Option<(i32, i32)> {
        match self {
            Self::Packed { width, signed: false } => Some((0, (1 << width.bits()) - 1)),
            Self::Packed { width, signed: true } => Some((-(1 << (width.bits() - 1)), (1 << (width.bits() - 1)) - 1)),
            Self::Sixteen { signed: false } => Some((0, u16::MAX as i32)),
            Self::Sixteen { signed: true } => Some((i16::MIN as i32, i16::MAX as i32)),
            Self::ThirtyTwo | Self::Float8(_) => None,
        }
    }
}

/// A tensor of quantized elements.
#[derive(Clone)]
pub struct Stored {
    /// What they are.
    pub element: Element,
    /// Dimensions.
    pub shape: Vec<usize>,
    /// Row-major, little-endian.
    pub bytes: SharedBytes,
}

impl Stored {
    /// The quantized elements of a tensor, whose data moves out of it unless it is `outside`; `None` when they are of another type.
    pub fn of(tensor: &mut TensorProto, outside: Option<SharedBytes>) -> Option<Result<Self, ImportError>> {
        let element = Element::of(tensor.data_type)?;
        let bytes = match outside {
            Some(bytes) => bytes,
            None if tensor.raw_data.is_empty() => {
                let count = (element.bits() / 8).max(1);
                let bytes = tensor.int32_data.iter().flat_map(|v| v.to_le_bytes().into_iter().take(count));
                Arc::new(bytes.collect::<Vec<u8>>())
            }
            None => Arc::new(std::mem::take(&mut tensor.raw_data)),
        };
        let shape = shape(tensor, element.bits(), (*bytes).as_ref().len());
        Some(shape.map(|shape| Self { element, shape, bytes }))
    }

    /// A tensor of these integers.
    pub fn from_integers(element: Element, shape: Vec<usize>, values: &[i32]) -> Self {
        let bytes: Vec<u8> = match element {
            Element::Packed { width, .. } => {
                let mask = u32::MAX >> (32 - width.bits());
                let byte = |few: &[i32]| {
                    let places = few.iter().enumerate();
                    places.fold(0, |byte, (i, v)| byte | (*v as u32 & mask) << (i as u32 * width.bits())) as u8
                };
                values.chunks(width.per_byte()).map(byte).collect()
            }
            Element::Sixteen { .. } => values.iter().flat_map(|v| (*v as u16).to_le_bytes()).collect(),
            Element::ThirtyTwo => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
            Element::Float8(_) => values.iter().map(|v| *v as u8).collect(),
        };
        Self { element, shape, bytes: Arc::new(bytes) }
    }

    /// The same elements under the shape that a `Reshape` says: 0 keeps a size, one −1 takes what is left.
    pub fn reshaped(&self, sizes: &[i64]) -> Option<Self> {
        let kept = |(axis, size): (usize, &i64)| match size {
            0 => self.shape.get(axis).copied(),
            -1 => Some(1),
            _ => usize::try_from(*size).ok(),
        };
        let mut shape: Vec<usize> = sizes.iter().enumerate().map(kept).collect::<Option<_>>()?;
        if let Some(open) = sizes.iter().position(|size| *size == -1) {
            shape[open] = self.len().checked_div(shape.iter().product())?;
        }
        (shape.iter().product::<usize>() == self.len()).then(|| Self { shape, ..self.clone() })
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// The packed integers; `None` for other elements.
    pub fn packed(&self) -> Option<Packed> {
        match self.element {
            Element::Packed { width, signed } => Some(Packed { width, signed, bytes: Arc::clone(&self.bytes) }),
            Element::Sixteen { .. } | Element::ThirtyTwo | Element::Float8(_) => None,
        }
    }

    /// Element − zero point, as a float.
    pub fn centred(&self, position: usize, zero: i32) -> f32 {
        match self.element {
            Element::Float8(kind) => kind.value((*self.bytes).as_ref()[position]),
            Element::Packed { .. } | Element::Sixteen { .. } | Element::ThirtyTwo => {
                self.integer_at(position).wrapping_sub(zero) as f32
            }
        }
    }

    /// The integer at a position; the bits of a float.
    pub fn integer_at(&self, position: usize) -> i32 {
        let b = (*self.bytes).as_ref();
        match self.element {
            Element::Packed { width, signed } => Packed { width, signed, bytes: Arc::clone(&self.bytes) }.at(position),
            Element::Sixteen { signed } => {
                let bytes = [b[2 * position], b[2 * position + 1]];
                if signed { i16::from_le_bytes(bytes).into() } else { u16::from_le_bytes(bytes).into() }
            }
            Element::ThirtyTwo => {
                let at = 4 * position;
                i32::from_le_bytes([b[at], b[at + 1], b[at + 2], b[at + 3]])
            }
            Element::Float8(_) => b[position].into(),
        }
    }
}

/// The shape of a tensor, whose data must fill it.
fn shape(tensor: &TensorProto, bits: usize, found: usize) -> Result<Vec<usize>, ImportError> {
    let shape: Option<Vec<usize>> = tensor.dims.iter().map(|dim| usize::try_from(*dim).ok()).collect();
    let elements = shape.as_ref().and_then(|shape| shape.iter().try_fold(1_usize, |n, dim| n.checked_mul(*dim)));
    let expected = elements.and_then(|n| n.checked_mul(bits)).map(|bits| bits.div_ceil(8));
    match shape {
        Some(shape) if expected == Some(found) => Ok(shape),
        Some(_) | None => Err(ImportError::TensorBytes {
            tensor: tensor.name.clone(),
            shape: tensor.dims.clone(),
            expected: expected.unwrap_or(usize::MAX) as u64,
            found: found as u64,
        }),
    }
}

/// The floats of a tensor of f32 or f16, copied; `None` when it has other elements.
pub fn floats(tensor: &TensorProto) -> Option<Result<(Vec<usize>, Floats), ImportError>> {
    let half = match tensor.data_type {
        FLOAT => false,
        FLOAT16 => true,
        _ => return None,
    };
    let bytes: Vec<u8> = if !tensor.raw_data.is_empty() {
        tensor.raw_data.clone()
    } else if half {
        tensor.int32_data.iter().flat_map(|v| v.to_le_bytes().into_iter().take(2)).collect()
    } else {
        tensor.float_data.iter().flat_map(|v| v.to_le_bytes()).collect()
    };
    let shape = shape(tensor, if half { 16 } else { 32 }, bytes.len());
    Some(shape.map(|shape| (shape, Floats { half, bytes: Arc::new(bytes) })))
}

#[cfg(test)]
mod tests {
    use super::{Element, Stored, TensorProto, floats};

    fn tensor(data_type: i32, dims: &[i64], raw_data: &[u8], int32_data: &[i32]) -> TensorProto {
        let (dims, raw_data, int32_data) = (dims.to_vec(), raw_data.to_vec(), int32_data.to_vec());
        TensorProto { name: "t".into(), data_type, dims, raw_data, int32_data, ..TensorProto::default() }
    }

    fn integers(data_type: i32, dims: &[i64], raw: &[u8], listed: &[i32]) -> Vec<i32> {
        let stored = Stored::of(&mut tensor(data_type, dims, raw, listed), None).expect("a quantized type");
        let stored = stored.expect("whole data");
        (0..stored.len()).map(|i| stored.integer_at(i)).collect()
    }

    #[test]
    fn elements_are_read_from_bytes_and_from_lists() {
        assert_eq!(integers(22, &[3], &[0xf1, 0x08], &[]), [1, -1, -8]);
        assert_eq!(integers(21, &[1, 3], &[], &[0xf1, 0x08]), [1, 15, 8]);
        assert_eq!(integers(26, &[5], &[0b1101_0010, 0b11], &[]), [-2, 0, 1, -1, -1]);
        assert_eq!(integers(25, &[2], &[], &[0b1110]), [2, 3]);
        assert_eq!(integers(3, &[2], &[], &[-5, 7]), [-5, 7]);
        assert_eq!(integers(2, &[2], &[250, 7], &[]), [250, 7]);
        assert_eq!(integers(5, &[2], &[0, 0x80, 1, 0], &[]), [-32768, 1]);
        assert_eq!(integers(4, &[1], &[], &[65_535]), [65_535]);
        assert_eq!(integers(6, &[1], &[], &[-70_000]), [-70_000]);
    }

    #[test]
    fn a_shape_may_keep_and_leave_open_sizes() {
        let element = Element::of(3).expect("int8");
        let stored = Stored::from_integers(element, vec![2, 3, 4], &[0; 24]);
        let shape = |sizes: &[i64]| stored.reshaped(sizes).map(|stored| stored.shape);
        assert_eq!((shape(&[2, -1]), shape(&[0, 12])), (Some(vec![2, 12]), Some(vec![2, 12])));
        assert_eq!((shape(&[5, -1]), shape(&[0, 0, 0, 0]), shape(&[-2, 12])), (None, None, None));
    }

    #[test]
    fn packing_is_the_inverse_of_reading() {
        for data_type in [21, 22, 25, 26, 2, 3, 4, 5] {
            let element = Element::of(data_type).expect("a quantized type");
            let (low, high) = element.range().expect("an integer type");
            let values = [low, high, 0, 1, high - 1, low, low + 1];
            let stored = Stored::from_integers(element, vec![7], &values);
            assert_eq!((0..7).map(|i| stored.integer_at(i)).collect::<Vec<_>>(), values);
        }
    }

    #[test]
    fn floats_of_eight_bits_have_the_values_of_onnx() {
        let value = |data_type, bits: u8| {
            let stored = Stored::of(&mut tensor(data_type, &[1], &[bits], &[]), None).expect("a quantized type");
            stored.expect("whole data").centred(0, 0)
        };
        assert_eq!((value(17, 0x7e), value(17, 0x01), value(17, 0xb8)), (448.0, 0.001_953_125, -1.0));
        assert!(value(17, 0x7f).is_nan() && value(17, 0xff).is_nan());
        assert_eq!((value(18, 0x7f), value(18, 0x40)), (240.0, 1.0));
        assert!(value(18, 0x80).is_nan() && value(20, 0x80).is_nan());
        assert_eq!((value(19, 0x7b), value(19, 0xfc), value(19, 0x3c)), (57344.0, f32::NEG_INFINITY, 1.0));
        assert!(value(19, 0x7d).is_nan());
        assert_eq!((value(20, 0x7f), value(20, 0x40)), (57344.0, 1.0));
    }

    #[test]
    fn data_that_does_not_fill_the_shape_is_refused() {
        let error = Stored::of(&mut tensor(22, &[3], &[0xf1], &[]), None).expect("a quantized type").err();
        assert_eq!(
            error.map(|e| e.to_string()),
            Some("tensor `t` of shape [3] has 1 bytes of data instead of 2".to_owned())
        );
        assert!(floats(&tensor(1, &[2], &[0; 4], &[])).is_some_and(|f| f.is_err()));
        let halves = floats(&tensor(10, &[2], &[], &[0x3c00, 0xc000])).expect("floats").expect("whole data");
        assert_eq!((halves.1.at(0), halves.1.at(1)), (1.0, -2.0));
    }
}
