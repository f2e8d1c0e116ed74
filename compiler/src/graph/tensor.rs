//! Tensors of device words, as the interpreter and the oracles of operators compute with them, and walks over their elements.
//!
//! It deliberately knows no operator.

use super::constant::{Constant, Dtype};

/// A dense row-major tensor of device words: f32 bits, i32, or 0 and 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tensor {
    /// Dimensions.
    pub shape: Vec<usize>,
    /// Element type.
    pub dtype: Dtype,
    /// One word an element.
    pub words: Vec<u32>,
}

impl Tensor {
    /// A tensor of f32.
    pub fn from_f32(shape: Vec<usize>, values: impl IntoIterator<Item = f32>) -> Self {
        Self { shape, dtype: Dtype::F32, words: values.into_iter().map(f32::to_bits).collect() }
    }

    /// The elements of a constant.
    pub fn from_constant(constant: &Constant) -> Self {
        let words = (0..constant.len()).map(|i| constant.device_word_at(i)).collect();
        Self { shape: constant.shape.clone(), dtype: constant.dtype(), words }
    }

    /// The tensor as a constant: f32, i32 or one byte a boolean.
    pub fn to_constant(&self) -> Constant {
        match self.dtype {
            Dtype::F32 => Constant::from_f32(self.shape.clone(), &self.to_f32()),
            Dtype::I32 => {
                let values: Vec<i32> = self.words.iter().map(|w| *w as i32).collect();
                Constant::from_i32(self.shape.clone(), &values)
            }
            Dtype::Bool => {
                let values: Vec<bool> = self.words.iter().map(|w| *w != 0).collect();
                Constant::from_bool(self.shape.clone(), &values)
            }
        }
    }

    /// The elements of an f32 tensor.
    pub fn to_f32(&self) -> Vec<f32> {
        self.words.iter().map(|w| f32::from_bits(*w)).collect()
    }

    /// Element `index` as f64, whatever the type.
    pub fn value(&self, index: usize) -> f64 {
        match self.dtype {
            Dtype::F32 => f64::from(f32::from_bits(self.words[index])),
            Dtype::I32 => f64::from(self.words[index] as i32),
            Dtype::Bool => f64::from(self.words[index]),
        }
    }
}

/// A number as a word of `dtype`.
pub fn word(value: f64, dtype: Dtype) -> u32 {
    match dtype {
        Dtype::F32 => (value as f32).to_bits(),
        Dtype::I32 => (value as i64) as u32,
        Dtype::Bool => u32::from(value != 0.0),
    }
}

/// Row-major strides, in elements.
pub fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis];
    }
    strides
}

/// Calls `visit` with every index of `shape`, in row-major order.
pub fn for_each_index(shape: &[usize], mut visit: impl FnMut(&[usize])) {
    let count: usize = shape.iter().product();
    let mut index = vec![0; shape.len()];
    for _ in 0..count {
        visit(&index);
        for axis in (0..shape.len()).rev() {
            index[axis] += 1;
            if index[axis] < shape[axis] {
                break;
            }
            index[axis] = 0;
        }
    }
}

/// The dot product of an index with strides.
pub fn offset(index: &[usize], strides: &[usize]) -> usize {
    index.iter().zip(strides).map(|(i, s)| i * s).sum()
}

/// Strides that read `from` as if it were broadcast to a shape of the same rank.
pub fn broadcast_strides(from: &[usize]) -> Vec<usize> {
    let mut strides = strides(from);
    for (stride, dim) in strides.iter_mut().zip(from) {
        if *dim == 1 {
            *stride = 0;
        }
    }
    strides
}
