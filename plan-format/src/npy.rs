//! One array in NumPy's `.npy` format: header and elements, to and from tensors.
//!
//! Read are little-endian arrays of the public element types in C or Fortran order; written is C order in version
//! 1.0, or 2.0 for shapes whose text needs it.
//! Other types give an error that says what to convert to. A header is bounded, and what it declares is compared with what the
//! caller takes before anything is read for it. It deliberately converts no element types.

use crate::plan::ElementType;
use std::io::{self, Read};

const MAGIC: &[u8] = b"\x93NUMPY";

/// Longest header that is read: NumPy's own limit is less.
const MAX_HEADER_BYTES: u64 = 1 << 20;

/// A dense row-major array.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Array {
    /// Element type.
    pub element: ElementType,
    /// Dimensions; empty for a scalar.
    pub shape: Vec<u64>,
    /// Elements, little endian, without padding.
    pub bytes: Vec<u8>,
}

/// Why an array cannot be read.
#[derive(Debug, thiserror::Error)]
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
    /// More elements than are taken.
    #[error("its shape is {shape:?}, and at most {most} elements are taken")]
    TooLarge {
        /// Its shape.
        shape: Vec<u64>,
        /// Most elements.
        most: u64,
    },
    /// A long header.
    #[error("its header has {found_bytes} bytes; at most {MAX_HEADER_BYTES} are read")]
    LongHeader {
        /// Its length.
        found_bytes: u64,
    },
    /// The archive cannot be read on.
    #[error(transparent)]
    Read(#[from] io::Error),
}

/// Reads a whole `.npy` file of at most `most` elements.
pub fn read(mut source: impl Read, most: u64) -> Result<Array, NpyError> {
    let header = read_header(&mut source)?;
    let descriptor = entry(&header, "'descr'").and_then(quoted).ok_or(NpyError::Header("descr"))?;
    let element = element_of(descriptor).ok_or_else(|| NpyError::Type(descriptor.to_owned()))?;
    let order = entry(&header, "'fortran_order'").ok_or(NpyError::Header("fortran_order"))?;
    let shape = entry(&header, "'shape'").and_then(dimensions).ok_or(NpyError::Header("shape"))?;
    // A zero counts as one, so that it hides no overflow of a part of the product.
    let bound = shape.iter().try_fold(1_u64, |product, dimension| product.checked_mul((*dimension).max(1)));
    if bound.is_none_or(|elements| elements > most) {
        return Err(NpyError::TooLarge { shape, most });
    }
    let elements: u64 = shape.iter().product();
    let expected_bytes = elements.checked_mul(element.api_bytes()).ok_or(NpyError::Format)?;
    let mut data = Vec::new();
    // One byte more shows that there is more; memory grows with what there is.
    source.take(expected_bytes.saturating_add(1)).read_to_end(&mut data)?;
    let found_bytes = data.len() as u64;
    if found_bytes != expected_bytes {
        return Err(NpyError::Length { found_bytes, expected_bytes });
    }
    let is_fortran = order.starts_with("True") && shape.len() > 1;
    let bytes = if is_fortran { to_c_order(&data, &shape, element.api_bytes()) } else { data };
    Ok(Array { element, shape, bytes })
}

/// The `.npy` file of an array.
pub fn encode(element: ElementType, shape: &[u64], elements: &[u8]) -> Vec<u8> {
    let dimensions: String = shape.iter().map(|dimension| format!("{dimension}, ")).collect();
    let descriptor = descriptor_of(element);
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
    bytes.extend(elements);
    bytes
}

/// The text of the header; the source then stands at the data.
fn read_header(source: &mut impl Read) -> Result<String, NpyError> {
    let mut start = [0; 8];
    fill(source, &mut start)?;
    let version = start.strip_prefix(MAGIC).and_then(|version| version.first()).ok_or(NpyError::Format)?;
    let found_bytes = if *version == 1 {
        let mut length = [0; 2];
        fill(source, &mut length)?;
        u64::from(u16::from_le_bytes(length))
    } else {
        let mut length = [0; 4];
        fill(source, &mut length)?;
        u64::from(u32::from_le_bytes(length))
    };
    if found_bytes > MAX_HEADER_BYTES {
        return Err(NpyError::LongHeader { found_bytes });
    }
    let mut header = vec![0; found_bytes as usize];
    fill(source, &mut header)?;
    String::from_utf8(header).map_err(|_| NpyError::Format)
}

fn fill(source: &mut impl Read, bytes: &mut [u8]) -> Result<(), NpyError> {
    source.read_exact(bytes).map_err(|error| {
        if error.kind() == io::ErrorKind::UnexpectedEof { NpyError::Format } else { NpyError::Read(error) }
    })
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

/// Reorders elements from first-index-fastest to last-index-fastest.
fn to_c_order(data: &[u8], shape: &[u64], element_bytes: u64) -> Vec<u8> {
    let size = element_bytes as usize;
    let mut strides = Vec::with_capacity(shape.len());
    let mut stride = 1;
    for dimension in shape {
        strides.push(stride);
        stride *= (*dimension as usize).max(1);
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

    fn decode(bytes: &[u8]) -> Result<Array, NpyError> {
        read(bytes, 1 << 20)
    }

    fn words(list: &[i32]) -> Vec<u8> {
        list.iter().flat_map(|value| value.to_le_bytes()).collect()
    }

    /// A file with this description, and elements.
    fn file(header: &str, elements: &[u8]) -> Vec<u8> {
        [MAGIC, &[1, 0], &(header.len() as u16).to_le_bytes(), header.as_bytes(), elements].concat()
    }

    fn shaped(shape: &str, elements: &[u8]) -> Result<Array, NpyError> {
        decode(&file(&format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}\n"), elements))
    }

    #[test]
    fn arrays_return_unchanged() {
        for shape in [&[][..], &[3], &[2, 3], &[0, 4], &[1; 40_000]] {
            let count = shape.iter().product::<u64>() as i32;
            let elements = words(&(0..count).collect::<Vec<_>>());
            let bytes = encode(ElementType::I32, shape, &elements);
            assert_eq!((bytes.len() - elements.len()) % 64, 0);
            let expected = Array { element: ElementType::I32, shape: shape.to_vec(), bytes: elements };
            assert_eq!(decode(&bytes).unwrap(), expected);
        }
    }

    #[test]
    fn fortran_order_is_reordered() {
        let header = "{'descr': '<i4', 'fortran_order': True, 'shape': (2, 3), }\n";
        let found = decode(&file(header, &words(&[0, 3, 1, 4, 2, 5]))).unwrap();
        assert_eq!(found.bytes, words(&[0, 1, 2, 3, 4, 5]));
    }

    #[test]
    fn other_types_say_what_to_do() {
        for descriptor in ["<f8", ">f4", "|O", "<U3"] {
            let header = format!("{{'descr': '{descriptor}', 'fortran_order': False, 'shape': (1,), }}");
            let error = decode(&file(&header, &[0; 4])).unwrap_err();
            assert!(error.to_string().contains("convert it to float32"), "{error}");
        }
    }

    #[test]
    fn what_is_declared_is_bounded_before_it_is_read() {
        for (shape, expected) in [
            ("(9000000000,)", "its shape is [9000000000], and at most 1048576 elements are taken"),
            ("(0, 9999999999, 9999999999)", "its shape is [0, 9999999999, 9999999999]"),
            ("(99999999999999999999,)", "its header has no readable `shape`"),
            ("(-1,)", "its header has no readable `shape`"),
            ("[1]", "its header has no readable `shape`"),
            ("((((1", "its header has no readable `shape`"),
            ("(1000,)", "it has 4 bytes of data, and its shape implies 4000"),
            ("(0,)", "it has 1 bytes of data, and its shape implies 0"),
        ] {
            let message = shaped(shape, &[0; 4]).unwrap_err().to_string();
            assert!(message.starts_with(expected), "{shape}: {message}");
        }
        let mut bytes = encode(ElementType::F32, &[1], &[0; 4]);
        assert!(matches!(decode(&bytes[..60]), Err(NpyError::Format)));
        assert!(matches!(decode(&bytes[..130]), Err(NpyError::Length { found_bytes: 2, expected_bytes: 4 })));
        bytes[6] = 2;
        assert!(matches!(decode(&bytes), Err(NpyError::LongHeader { .. })));
    }
}
