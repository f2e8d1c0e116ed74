//! A skim over an ONNX file that finds the large initialisers without reading them.
//!
//! Takes the bytes of a `ModelProto`, usually a mapped file; returns the same message without the large float initialisers
//! (the skeleton, small enough to decode the ordinary way) and, for each of these, its name, type, shape and where its
//! data lies. It deliberately interprets nothing else: a malformed message goes into the skeleton, whose decoder reports it.

use std::ops::Range;

/// Initialisers below this size stay in the skeleton: the importer needs the values of small ones.
pub const LARGE_BYTES: usize = 16 * 1024;

/// ONNX `TensorProto.DataType`.
pub const FLOAT: i32 = 1;
/// ONNX `TensorProto.DataType`.
pub const FLOAT16: i32 = 10;

/// Bits of an element of a type of small integers, in ONNX's numbers: uint8, int8, uint4, int4, uint2 and int2.
pub const fn integer_bits(data_type: i32) -> Option<usize> {
    match data_type {
        2 | 3 => Some(8),
        21 | 22 => Some(4),
        25 | 26 => Some(2),
        _ => None,
    }
}

/// An initialiser that was left out of the skeleton, or whose data was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LargeTensor {
    /// Name.
    pub name: String,
    /// `FLOAT`, `FLOAT16`, or one of small integers.
    pub data_type: i32,
    /// Dimensions.
    pub dims: Vec<i64>,
    /// Where the data lies in the file.
    pub data: Range<usize>,
    /// Where the whole `TensorProto` lies, should it be requested in the skeleton after all.
    pub message: Range<usize>,
}

/// What `skim` finds.
#[derive(Debug, Default)]
pub struct Skeleton {
    /// The model without the large initialisers.
    pub bytes: Vec<u8>,
    /// The large initialisers of floats, in file order.
    pub large: Vec<LargeTensor>,
    /// Those of small integers, which are in the skeleton but for their data.
    pub integers: Vec<LargeTensor>,
}

/// One field of a message.
pub(super) struct Field {
    /// Its number.
    pub number: u64,
    /// Tag and value.
    pub whole: Range<usize>,
    /// Contents of a length-delimited field, `None` for the others.
    pub contents: Option<Range<usize>>,
    varint: u64,
}

fn varint(bytes: &[u8], at: &mut usize) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let byte = *bytes.get(*at)?;
        *at += 1;
        value |= u64::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// The field at `at`, which moves behind it; `None` when it does not end before `end`.
pub(super) fn field(bytes: &[u8], at: &mut usize, end: usize) -> Option<Field> {
    let start = *at;
    let tag = varint(bytes, at)?;
    let mut value = 0;
    let mut contents = None;
    match tag & 7 {
        0 => value = varint(bytes, at)?,
        1 => *at = at.checked_add(8)?,
        2 => {
            let length = usize::try_from(varint(bytes, at)?).ok()?;
            let behind = at.checked_add(length)?;
            contents = Some(*at..behind);
            *at = behind;
        }
        5 => *at = at.checked_add(4)?,
        _ => return None,
    }
    (*at <= end).then_some(Field { number: tag >> 3, whole: start..*at, contents, varint: value })
}

fn fields(bytes: &[u8], range: Range<usize>) -> Option<Vec<Field>> {
    let mut found = Vec::new();
    let mut at = range.start;
    while at < range.end {
        found.push(field(bytes, &mut at, range.end)?);
    }
    Some(found)
}

/// The tensor when it is large, float or of small integers, and its data is one piece inside the file.
fn large_tensor(bytes: &[u8], message: Range<usize>) -> Option<LargeTensor> {
    if message.len() < LARGE_BYTES {
        return None;
    }
    let mut tensor =
        LargeTensor { name: String::new(), data_type: 0, dims: vec![], data: 0..0, message: message.clone() };
    for field in fields(bytes, message)? {
        match (field.number, field.contents) {
            (1, None) => tensor.dims.push(field.varint as i64),
            (1, Some(packed)) => {
                let mut at = packed.start;
                while at < packed.end {
                    tensor.dims.push(varint(bytes, &mut at)? as i64);
                }
            }
            (2, None) => tensor.data_type = field.varint as i32,
            (8, Some(name)) => tensor.name = std::str::from_utf8(&bytes[name]).ok()?.to_owned(),
            // raw_data, and packed float_data, which has the same bytes.
            (9 | 4, Some(data)) if tensor.data.is_empty() => tensor.data = data,
            (12, Some(_)) => {}
            _ => return None,
        }
    }
    let bits = match tensor.data_type {
        FLOAT => 32,
        FLOAT16 => 16,
        other => integer_bits(other)?,
    };
    let elements = tensor.dims.iter().try_fold(1_usize, |n, d| n.checked_mul(usize::try_from(*d).ok()?))?;
    let fits = elements.checked_mul(bits)?.div_ceil(8) == tensor.data.len() && tensor.data.len() >= LARGE_BYTES;
    fits.then_some(tensor)
}

/// An initialiser's field without its data.
fn without_data(bytes: &[u8], message: Range<usize>) -> Option<Vec<u8>> {
    let mut kept = Vec::new();
    for field in fields(bytes, message)?.into_iter().filter(|field| field.number != 9) {
        kept.extend_from_slice(&bytes[field.whole]);
    }
    let mut whole = vec![5 << 3 | 2];
    push_varint(&mut whole, kept.len() as u64);
    whole.extend(kept);
    Some(whole)
}

fn push_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn skim_graph(bytes: &[u8], graph: Range<usize>, skeleton: &mut Skeleton) -> Option<Vec<u8>> {
    let mut kept = Vec::new();
    for field in fields(bytes, graph)? {
        let tensor = match (field.number, field.contents) {
            (5, Some(message)) => large_tensor(bytes, message),
            _ => None,
        };
        match tensor {
            Some(tensor) if integer_bits(tensor.data_type).is_some() => {
                kept.extend(without_data(bytes, tensor.message.clone())?);
                skeleton.integers.push(tensor);
            }
            Some(tensor) => skeleton.large.push(tensor),
            None => kept.extend_from_slice(&bytes[field.whole]),
        }
    }
    Some(kept)
}

/// Splits a model into its skeleton and its large initialisers; a message that cannot be followed is its own skeleton.
pub fn skim(bytes: &[u8]) -> Skeleton {
    try_skim(bytes).unwrap_or_else(|| Skeleton { bytes: bytes.to_vec(), ..Skeleton::default() })
}

fn try_skim(bytes: &[u8]) -> Option<Skeleton> {
    let mut skeleton = Skeleton::default();
    for field in fields(bytes, 0..bytes.len())? {
        match (field.number, field.contents) {
            (7, Some(graph)) => {
                let kept = skim_graph(bytes, graph, &mut skeleton)?;
                skeleton.bytes.push(7 << 3 | 2);
                push_varint(&mut skeleton.bytes, kept.len() as u64);
                skeleton.bytes.extend_from_slice(&kept);
            }
            _ => skeleton.bytes.extend_from_slice(&bytes[field.whole]),
        }
    }
    Some(skeleton)
}
