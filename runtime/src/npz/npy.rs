//! One array in NumPy's `.npy` format: header and elements, to and from tensors.
//!
//! Read are little-endian arrays of the public element types in C or Fortran order; written is C order in version 1.0, or 2.0 for
//! shapes whose text needs it.
//! Other types give an error that says what to convert to. It deliberately converts no element types.

use crate::{ElementType, Tensor};

const MAGIC: &[u8] = b"\x93NUMPY";

/// Why an array cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NpyError {
    /// Not an array, or cut off.
    #[error("it is not a whole .npy array")]
    Format,
    /// A header without this entry, or with something else there.
    #[error("its header has no readable `{0}`")]
    Header(&'static str),
    /// An element type that models do not take.
    #[error("its type is `{0}`; convert it to float32, float16, int32, int64, uint8, int8 or bool")]
    Type(String),
    /// The data does not fill the shape.
    #[error("it has {found_bytes} bytes of data, and its shape implies {expected_bytes}")]
    Length {
        /// What is there.
        found_bytes: u64,
        /// What the shape implies.
        expected_bytes: u64,
    },
}

/// Reads a whole `.npy` file.
pub fn decode(bytes: &[u8]) -> Result<Tensor, NpyError> {
    let (header, data) = split(bytes).ok_or(NpyError::Format)?;
    let descriptor = entry(header, "'descr'").and_then(quoted).ok_or(NpyError::Header("descr"))?;
    let element = element_of(descriptor).ok_or_else(|| NpyError::Type(descriptor.to_owned()))?;
    let order = entry(header, "'fortran_order'").ok_or(NpyError::Header("fortran_order"))?;
    let shape = entry(header, "'shape'").and_then(dimensions).ok_or(NpyError::Header("shape"))?;
    let elements = shape.iter().try_fold(1_u64, |product, dimension| product.checked_mul(*dimension));
    let expected_bytes = elements.and_then(|elements| elements.checked_mul(element_bytes(element)));
    let (found_bytes, expected_bytes) = (data.len() as u64, expected_bytes.ok_or(NpyError::Format)?);
    if found_bytes != expected_bytes {
        return Err(NpyError::Length { found_bytes, expected_bytes });
    }
    let is_fortran = order.starts_with("True") && shape.len() > 1;
    let bytes = if is_fortran { to_c_order(data, &shape, element_bytes(element)) } else { data.to_vec() };
    Ok(Tensor { element, shape, bytes })
}

/// The `.npy` file of a tensor.
pub fn encode(tensor: &Tensor) -> Vec<u8> {
    let dimensions: String = tensor.shape.iter().map(|dimension| format!("{dimension}, ")).collect();
    let descriptor = descriptor_of(tensor.element);
    let mut header =
        format!("{{'descr': '{descriptor}', 'fortran_order': False, 'shape': ({}), }}", dimensions.trim_end());
    // Magic, version, length and header together are a multiple of 64, and the header ends with a newline.
    let unpadded = MAGIC.len() + 6 + header.len() + 1;
    header.extend(std::iter::repeat_n(' ', unpadded.next_multiple_of(64) - unpadded));
    header.push('\n');
    let mut bytes = MAGIC.to_vec();
    // Version 1.0 has a length of two bytes, 2.0 of four, and two bytes less of padding.
    match u16::try_from(header.len() + 2) {
        Ok(_) => {
            header.insert_str(header.len() - 1, "  ");
            bytes.extend([1, 0]);
            bytes.extend((header.len() as u16).to_le_bytes());
        }
        Err(_) => {
            bytes.extend([2, 0]);
            bytes.extend((header.len() as u32).to_le_bytes());
        }
    }
    bytes.extend(header.as_bytes());
    bytes.extend(&tensor.bytes);
    bytes
}

/// Header and data.
fn split(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let (version, rest) = bytes.strip_prefix(MAGIC)?.split_first_chunk::<2>()?;
    let (length, rest) = if version[0] == 1 {
        let (length, rest) = rest.split_first_chunk::<2>()?;
        (u16::from_le_bytes(*length).into(), rest)
    } else {
        let (length, rest) = rest.split_first_chunk::<4>()?;
        (u32::from_le_bytes(*length) as usize, rest)
    };
    let (header, data) = rest.split_at_checked(length)?;
    Some((std::str::from_utf8(header).ok()?, data))
}

/// The text after `'key':` in the header.
fn entry<'a>(header: &'a str, key: &str) -> Option<&'a str> {
    let (_, after) = header.split_once(key)?;
    Some(after.trim_start().strip_prefix(':')?.trim_start())
}

fn quoted(text: &str) -> Option<&str> {
    text.strip_prefix('\'')?.split_once('\'').map(|(inside, _)| inside)
}

fn dimensions(text: &str) -> Option<Vec<u64>> {
    let (inside, _) = text.strip_prefix('(')?.split_once(')')?;
    let parts = inside.split(',').map(str::trim).filter(|part| !part.is_empty());
    parts.map(|part| part.parse().ok()).collect()
}

fn element_of(descriptor: &str) -> Option<ElementType> {
    Some(match descriptor {
        "<f4" => ElementType::F32,
        "<f2" => ElementType::F16,
        "<i4" => ElementType::I32,
        "<i8" => ElementType::I64,
        "|u1" => ElementType::U8,
        "|i1" => ElementType::I8,
        "|b1" => ElementType::Bool,
        _ => return None,
    })
}

const fn descriptor_of(element: ElementType) -> &'static str {
    match element {
        ElementType::F32 => "<f4",
        ElementType::F16 => "<f2",
        ElementType::I32 => "<i4",
        ElementType::I64 => "<i8",
        ElementType::U8 => "|u1",
        ElementType::I8 => "|i1",
        ElementType::Bool => "|b1",
    }
}

const fn element_bytes(element: ElementType) -> u64 {
    element.api_bytes()
}

/// Reorders elements from first-index-fastest to last-index-fastest.
fn to_c_order(data: &[u8], shape: &[u64], element_bytes: u64) -> Vec<u8> {
    let size = element_bytes as usize;
    let mut strides = Vec::with_capacity(shape.len());
    let mut stride = 1;
    for dimension in shape {
        strides.push(stride);
        stride *= *dimension as usize;
    }
    let mut out = Vec::with_capacity(data.len());
    let mut index = vec![0_u64; shape.len()];
    for _ in 0..data.len() / size {
        let from: usize = index.iter().zip(&strides).map(|(index, stride)| *index as usize * stride).sum();
        out.extend_from_slice(&data[from * size..][..size]);
        for (position, dimension) in index.iter_mut().zip(shape).rev() {
            *position += 1;
            if *position < *dimension {
                break;
            }
            *position = 0;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tensors_return_unchanged() {
        for shape in [&[][..], &[3], &[2, 3], &[0, 4], &[1; 40_000]] {
            let count = shape.iter().product::<u64>();
            let tensor = Tensor::from_f32(shape, &(0..count).map(|i| i as f32).collect::<Vec<_>>());
            let bytes = encode(&tensor);
            assert_eq!(decode(&bytes).unwrap(), tensor);
            assert_eq!((bytes.len() - tensor.bytes.len()) % 64, 0);
        }
    }

    #[test]
    fn fortran_order_is_reordered() {
        let mut bytes = encode(&Tensor::from_i32(&[2, 3], &[0, 3, 1, 4, 2, 5]));
        let header = String::from_utf8_lossy(&bytes[10..128]).replace("False", "True ");
        bytes[10..128].copy_from_slice(header.as_bytes());
        assert_eq!(decode(&bytes).unwrap().as_i32().unwrap(), [0, 1, 2, 3, 4, 5]);
    }

    #[test]
    fn other_types_say_what_to_do() {
        let mut bytes = encode(&Tensor::from_f32(&[1], &[1.0]));
        bytes[10..].iter_mut().filter(|byte| **byte == b'4').for_each(|byte| *byte = b'8');
        assert_eq!(decode(&bytes), Err(NpyError::Type("<f8".into())));
    }
}
