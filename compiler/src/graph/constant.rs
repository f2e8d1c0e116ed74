//! Constant tensors: initialisers and whatever import or optimisation derives from them.
//!
//! The bytes are shared, never copied on clone. Elements stay at the precision of the ONNX file (f32 or f16) until packing;
//! integers are i32, booleans one byte. Weights that the file keeps as small integers stay these ([`Quantized`]), and every
//! reader gets the floats that they stand for. This file deliberately knows no layout: a constant is row-major to its readers.

use super::bytes::SharedBytes;
use super::quantized::Quantized;
use std::ops::Range;
use std::sync::Arc;

/// Element type of a value in the graph: what a kernel sees. Every element has 4 bytes on the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Dtype {
    /// 32-bit float.
    F32,
    /// 32-bit signed integer.
    I32,
    /// Boolean, held as u32 0 or 1.
    Bool,
}

/// Type and shape of a tensor in messages: `F32 [2, 3]`.
pub fn typed((shape, dtype): &(Vec<usize>, Dtype)) -> String {
    format!("{dtype:?} {shape:?}")
}

/// How a constant's elements are stored in its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Storage {
    /// Little-endian f32.
    F32,
    /// Little-endian f16, used as f32.
    F16,
    /// Little-endian i32.
    I32,
    /// One byte, 0 or 1.
    Bool,
}

impl Storage {
    /// Bytes of one element.
    pub const fn element_bytes(self) -> usize {
        match self {
            Self::F32 | Self::I32 => 4,
            Self::F16 => 2,
            Self::Bool => 1,
        }
    }
    /// What a kernel sees.
    pub const fn dtype(self) -> Dtype {
        match self {
            Self::F32 | Self::F16 => Dtype::F32,
            Self::I32 => Dtype::I32,
            Self::Bool => Dtype::Bool,
        }
    }
}

/// What a constant is made of.
#[derive(Clone)]
enum Data {
    /// `shape` elements of `storage`, row-major.
    Dense(SharedBytes),
    /// Integers, scales and zero points.
    Quantized(Arc<Quantized>),
}

/// A row-major constant tensor.
#[derive(Clone)]
pub struct Constant {
    /// Dimensions.
    pub shape: Vec<usize>,
    /// Element storage; of quantized ones, that of the floats which they stand for.
    pub storage: Storage,
    data: Data,
}

impl std::fmt::Debug for Constant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.data {
            Data::Dense(_) => write!(f, "Constant({:?} {:?})", self.storage, self.shape),
            Data::Quantized(q) => write!(f, "Constant({:?} of {:?} {:?})", self.storage, q.integers(), self.shape),
        }
    }
}

impl Constant {
    /// A constant over shared bytes; `None` when the length does not fit the shape.
    pub fn new(shape: Vec<usize>, storage: Storage, bytes: SharedBytes) -> Option<Self> {
        let elements = shape.iter().try_fold(1_usize, |n, d| n.checked_mul(*d))?;
        let expected = elements.checked_mul(storage.element_bytes())?;
        ((*bytes).as_ref().len() == expected).then_some(Self { shape, storage, data: Data::Dense(bytes) })
    }

    /// An f32 constant; `values` must have as many elements as `shape`.
    pub fn from_f32(shape: Vec<usize>, values: &[f32]) -> Self {
        let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        Self::new(shape, Storage::F32, Arc::new(bytes))
            .expect("the caller gives as many values as the shape has elements")
    }

    /// An i32 constant; `values` must have as many elements as `shape`.
    pub fn from_i32(shape: Vec<usize>, values: &[i32]) -> Self {
        let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        Self::new(shape, Storage::I32, Arc::new(bytes))
            .expect("the caller gives as many values as the shape has elements")
    }

    /// A boolean constant; `values` must have as many elements as `shape`.
    pub fn from_bool(shape: Vec<usize>, values: &[bool]) -> Self {
        let bytes: Vec<u8> = values.iter().map(|v| u8::from(*v)).collect();
        Self::new(shape, Storage::Bool, Arc::new(bytes))
            .expect("the caller gives as many values as the shape has elements")
    }

    /// A constant of small integers.
    pub fn from_quantized(quantized: Quantized) -> Self {
        let storage = if quantized.half() { Storage::F16 } else { Storage::F32 };
        Self { shape: quantized.shape().to_vec(), storage, data: Data::Quantized(Arc::new(quantized)) }
    }

    /// Elements of `storage`, row-major; `None` for a constant of small integers.
    pub fn dense_bytes(&self) -> Option<&[u8]> {
        match &self.data {
            Data::Dense(bytes) => Some((**bytes).as_ref()),
            Data::Quantized(_) => None,
        }
    }

    /// The integers, scales and zero points of a constant of small integers.
    pub fn as_quantized(&self) -> Option<&Quantized> {
        match &self.data {
            Data::Dense(_) => None,
            Data::Quantized(quantized) => Some(quantized),
        }
    }

    /// Where the data lies in memory: equal for constants that share it.
    pub fn address(&self) -> usize {
        match &self.data {
            Data::Dense(bytes) => (**bytes).as_ref().as_ptr() as usize,
            Data::Quantized(quantized) => Arc::as_ptr(quantized) as usize,
        }
    }

    /// The same elements, as `storage` has them. Shares the bytes where they are so already.
    pub fn dense(&self) -> Self {
        match &self.data {
            Data::Dense(_) => self.clone(),
            Data::Quantized(quantized) => {
                let values = quantized.values();
                let bytes: Vec<u8> = match self.storage {
                    Storage::F16 => values.iter().flat_map(|v| half::f16::from_f32(*v).to_le_bytes()).collect(),
                    Storage::F32 | Storage::I32 | Storage::Bool => {
                        values.iter().flat_map(|v| v.to_le_bytes()).collect()
                    }
                };
                let dense = Self::new(self.shape.clone(), self.storage, Arc::new(bytes));
                dense.expect("as many floats of this storage as the shape has elements")
            }
        }
    }

    /// The same elements under another shape of equal element count; `None` otherwise.
    pub fn reshaped(&self, shape: Vec<usize>) -> Option<Self> {
        match &self.data {
            Data::Dense(bytes) => Self::new(shape, self.storage, Arc::clone(bytes)),
            Data::Quantized(quantized) => {
                let same = quantized.reshaped(&shape).map(Self::from_quantized);
                same.or_else(|| self.dense().reshaped(shape))
            }
        }
    }

    /// Elements `range` along an axis. Dense ones are copied.
    pub fn part(&self, axis: usize, range: &Range<usize>) -> Option<Self> {
        let bytes = match &self.data {
            Data::Dense(bytes) => (**bytes).as_ref(),
            Data::Quantized(quantized) => {
                let part = quantized.part(axis, range).map(Self::from_quantized);
                return part.or_else(|| self.dense().part(axis, range));
            }
        };
        let inner = self.shape[axis + 1..].iter().product::<usize>() * self.storage.element_bytes();
        let bytes: Vec<u8> = bytes
            .chunks_exact((self.shape[axis] * inner).max(1))
            .flat_map(|outer| &outer[range.start * inner..range.end * inner])
            .copied()
            .collect();
        let mut shape = self.shape.clone();
        shape[axis] = range.len();
        Self::new(shape, self.storage, Arc::new(bytes))
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        match &self.data {
            Data::Dense(bytes) => (**bytes).as_ref().len() / self.storage.element_bytes(),
            Data::Quantized(quantized) => quantized.len(),
        }
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What a kernel sees.
    pub fn dtype(&self) -> Dtype {
        self.storage.dtype()
    }

    /// Element `index` as f32 (integers and booleans converted).
    pub fn f32_at(&self, index: usize) -> f32 {
        let b = match &self.data {
            Data::Dense(bytes) => (**bytes).as_ref(),
            Data::Quantized(quantized) => return quantized.value_at(index),
        };
        match self.storage {
            Storage::F32 => f32::from_le_bytes([b[4 * index], b[4 * index + 1], b[4 * index + 2], b[4 * index + 3]]),
            Storage::F16 => half::f16::from_le_bytes([b[2 * index], b[2 * index + 1]]).to_f32(),
            Storage::I32 => {
                i32::from_le_bytes([b[4 * index], b[4 * index + 1], b[4 * index + 2], b[4 * index + 3]]) as f32
            }
            Storage::Bool => f32::from(b[index]),
        }
    }

    /// Elements from `first` on as f32, as many as `out` has.
    pub fn read_f32(&self, first: usize, out: &mut [f32]) {
        let bytes = match &self.data {
            Data::Dense(bytes) => (**bytes).as_ref(),
            Data::Quantized(quantized) => return quantized.read(first, out),
        };
        let size = self.storage.element_bytes();
        let bytes = &bytes[first * size..(first + out.len()) * size];
        match self.storage {
            Storage::F32 => out
                .iter_mut()
                .zip(bytes.chunks_exact(4))
                .for_each(|(to, b)| *to = f32::from_le_bytes([b[0], b[1], b[2], b[3]])),
            Storage::F16 => out
                .iter_mut()
                .zip(bytes.chunks_exact(2))
                .for_each(|(to, b)| *to = half::f16::from_le_bytes([b[0], b[1]]).to_f32()),
            Storage::I32 | Storage::Bool => {
                out.iter_mut().enumerate().for_each(|(i, to)| *to = self.f32_at(first + i));
            }
        }
    }

    /// Element `index` as the 4 bytes that the device holds.
    pub fn device_word_at(&self, index: usize) -> u32 {
        let b = match &self.data {
            Data::Dense(bytes) => (**bytes).as_ref(),
            Data::Quantized(quantized) => return quantized.value_at(index).to_bits(),
        };
        match self.storage {
            Storage::F32 | Storage::F16 => self.f32_at(index).to_bits(),
            Storage::I32 => u32::from_le_bytes([b[4 * index], b[4 * index + 1], b[4 * index + 2], b[4 * index + 3]]),
            Storage::Bool => u32::from(b[index] != 0),
        }
    }

    /// All elements as f32.
    pub fn to_f32(&self) -> Vec<f32> {
        let mut values = vec![0.0; self.len()];
        self.read_f32(0, &mut values);
        values
    }

    /// The value when every element is the same.
    pub fn uniform_f32(&self) -> Option<f32> {
        let first = (!self.is_empty()).then(|| self.f32_at(0))?;
        (1..self.len()).all(|i| self.f32_at(i).to_bits() == first.to_bits()).then_some(first)
    }
}
