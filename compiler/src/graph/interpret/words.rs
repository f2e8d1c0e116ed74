//! Tensors at the API as the interpreter, and a device, has them: 4-byte words, and back.
//!
//! Integers keep their low 32 bits: what needs more is found at run time, not here.

use flashmem_plan_format::plan::ElementType;

/// The 4-byte elements that a device has, of a tensor at the API.
pub fn words_of(element: ElementType, bytes: &[u8]) -> Vec<u32> {
    match element {
        ElementType::F32 | ElementType::I32 => bytes.as_chunks().0.iter().map(|b| u32::from_le_bytes(*b)).collect(),
        ElementType::F16 => {
            let halves = bytes.as_chunks().0.iter().map(|b| half::f16::from_le_bytes(*b));
            halves.map(|value| value.to_f32().to_bits()).collect()
        }
        ElementType::I64 => bytes.as_chunks().0.iter().map(|b| i64::from_le_bytes(*b) as u32).collect(),
        ElementType::U8 => bytes.iter().map(|b| u32::from(*b)).collect(),
        ElementType::I8 => bytes.iter().map(|b| i32::from(*b as i8) as u32).collect(),
        ElementType::Bool => bytes.iter().map(|b| u32::from(*b != 0)).collect(),
    }
}

/// The bytes at the API of 4-byte elements: the inverse.
pub fn bytes_of(element: ElementType, words: &[u32]) -> Vec<u8> {
    let each = words.iter().copied();
    match element {
        ElementType::F32 | ElementType::I32 => each.flat_map(u32::to_le_bytes).collect(),
        ElementType::F16 => each.flat_map(|w| half::f16::from_f32(f32::from_bits(w)).to_le_bytes()).collect(),
        ElementType::I64 => each.flat_map(|w| i64::from(w as i32).to_le_bytes()).collect(),
        ElementType::U8 | ElementType::I8 => each.map(|w| w as u8).collect(),
        ElementType::Bool => each.map(|w| u8::from(w != 0)).collect(),
    }
}
