//! Dense row-major tensors at the API: element type, shape and little-endian bytes.
//!
//! They deliberately know no arithmetic and no device layout; see `convert.rs` for the latter.

use flashmem_plan_format::plan::ElementType;

/// A dense row-major tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tensor {
    /// Element type.
    pub element: ElementType,
    /// Dimensions; empty for a scalar.
    pub shape: Vec<u64>,
    /// Elements, little endian, without padding.
    pub bytes: Vec<u8>,
}

impl Tensor {
    /// A tensor of f32. The caller guarantees that `values` fill the shape; a run checks it.
    pub fn from_f32(shape: &[u64], values: &[f32]) -> Self {
        Self::gather(ElementType::F32, shape, values.iter().flat_map(|value| value.to_le_bytes()))
    }

    /// A tensor of i32.
    pub fn from_i32(shape: &[u64], values: &[i32]) -> Self {
        Self::gather(ElementType::I32, shape, values.iter().flat_map(|value| value.to_le_bytes()))
    }

    /// A tensor of i64.
    pub fn from_i64(shape: &[u64], values: &[i64]) -> Self {
        Self::gather(ElementType::I64, shape, values.iter().flat_map(|value| value.to_le_bytes()))
    }

    /// A tensor of truth values.
    pub fn from_bool(shape: &[u64], values: &[bool]) -> Self {
        Self::gather(ElementType::Bool, shape, values.iter().map(|value| u8::from(*value)))
    }

    /// The elements of a tensor of f32; `None` for any other type.
    pub fn as_f32(&self) -> Option<Vec<f32>> {
        (self.element == ElementType::F32).then(|| self.elements().map(f32::from_le_bytes).collect())
    }

    /// The elements of a tensor of i32; `None` for any other type.
    pub fn as_i32(&self) -> Option<Vec<i32>> {
        (self.element == ElementType::I32).then(|| self.elements().map(i32::from_le_bytes).collect())
    }

    /// The elements of a tensor of i64; `None` for any other type.
    pub fn as_i64(&self) -> Option<Vec<i64>> {
        (self.element == ElementType::I64).then(|| self.elements().map(i64::from_le_bytes).collect())
    }

    fn gather(element: ElementType, shape: &[u64], bytes: impl Iterator<Item = u8>) -> Self {
        Self { element, shape: shape.to_vec(), bytes: bytes.collect() }
    }

    fn elements<const N: usize>(&self) -> impl Iterator<Item = [u8; N]> {
        self.bytes.as_chunks::<N>().0.iter().copied()
    }
}

/// The outputs of a run, in the model's order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outputs {
    /// Name and value of every output.
    pub tensors: Vec<(String, Tensor)>,
}

impl Outputs {
    /// The output of this name.
    pub fn get(&self, name: &str) -> Option<&Tensor> {
        self.tensors.iter().find(|(output, _)| output == name).map(|(_, tensor)| tensor)
    }
}
