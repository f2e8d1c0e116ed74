//! Conversion between API elements and device elements, which all have 4 bytes.
//!
//! f16 is f32 on the device; i64, i8 and u8 are i32; booleans are u32 0 or 1. Both directions work piecewise, so that
//! no second copy of a tensor is held. It deliberately knows neither ports nor buffers.

use flashmem_plan_format::encoding::{BlockEncoding, CodeBits, CodeOffset, ScaleFormat};
use flashmem_plan_format::plan::{ElementType, Encoding};
use half::f16;

/// Bytes of device elements that are converted at a time.
const PIECE_BYTES: usize = 4096;

/// An i64 that does not fit 32 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OutOfRange {
    pub(crate) index: u64,
    pub(crate) value: i64,
}

/// Converts API bytes to device bytes; `sink` gets pieces in order.
pub(crate) fn to_device(element: ElementType, bytes: &[u8], mut sink: impl FnMut(&[u8])) -> Result<(), OutOfRange> {
    match element {
        ElementType::F32 | ElementType::I32 => sink(bytes),
        ElementType::F16 => widen_f16(bytes, sink),
        ElementType::U8 => pieces(bytes, sink, |[value]: [u8; 1]| i32::from(value).to_le_bytes()),
        ElementType::I8 => pieces(bytes, sink, |value| i32::from(i8::from_le_bytes(value)).to_le_bytes()),
        ElementType::Bool => pieces(bytes, sink, |[value]: [u8; 1]| u32::from(value != 0).to_le_bytes()),
        ElementType::I64 => {
            check_i64(bytes)?;
            pieces(bytes, sink, |value| (i64::from_le_bytes(value) as i32).to_le_bytes());
        }
    }
    Ok(())
}

/// Appends device bytes, converted to API bytes.
pub(crate) fn from_device(element: ElementType, device: &[u8], out: &mut Vec<u8>) {
    let elements = device.as_chunks::<4>().0.iter().copied();
    match element {
        ElementType::F32 | ElementType::I32 => out.extend_from_slice(device),
        ElementType::F16 => {
            out.extend(elements.flat_map(|bytes| f16::from_f32(f32::from_le_bytes(bytes)).to_le_bytes()));
        }
        ElementType::I64 => out.extend(elements.flat_map(|bytes| i64::from(i32::from_le_bytes(bytes)).to_le_bytes())),
        // The low byte of two's complement is the value itself.
        ElementType::U8 | ElementType::I8 => out.extend(elements.map(|bytes| bytes[0])),
        ElementType::Bool => out.extend(elements.map(|bytes| u8::from(bytes != [0; 4]))),
    }
}

/// Widens a stored row of so many elements to f32.
pub(crate) fn widen_row(encoding: Encoding, elements: usize, bytes: &[u8], mut sink: impl FnMut(&[u8])) {
    match encoding {
        Encoding::F32 => sink(bytes),
        Encoding::F16 => widen_f16(bytes, sink),
        Encoding::Block(block) => widen_blocks(block, elements, bytes, sink),
    }
}

/// The elements of a row of blocks: all scales, then what the blocks have beside them, then the codes.
fn widen_blocks(encoding: BlockEncoding, elements: usize, bytes: &[u8], mut sink: impl FnMut(&[u8])) {
    let blocks = encoding.length.blocks(elements as u64) as usize;
    let (scales, rest) = bytes.split_at(blocks * encoding.scale.bytes() as usize);
    let (offsets, codes) = rest.split_at(blocks * encoding.offset.bytes() as usize);
    let half_at = |list: &[u8], index: usize| f16::from_le_bytes([list[2 * index], list[2 * index + 1]]).to_f32();
    let float_at = |list: &[u8], index: usize| f32::from_le_bytes([0, 1, 2, 3].map(|byte| list[4 * index + byte]));
    let value_at = |index: usize| {
        let block = index >> encoding.length.log2();
        let scale = match encoding.scale {
            ScaleFormat::F16 => half_at(scales, block),
            ScaleFormat::F32 => float_at(scales, block),
        };
        let code = match encoding.bits {
            CodeBits::Four => codes[index / 2] >> (index % 2 * 4) & 15,
            CodeBits::Eight => codes[index],
        };
        let value = match encoding.offset {
            CodeOffset::Middle => (f32::from(code) - encoding.bits.middle() as f32) * scale,
            CodeOffset::ZeroPoint => (f32::from(code) - f32::from(offsets[block])) * scale,
            CodeOffset::Minimum => f32::from(code) * scale + half_at(offsets, block),
            CodeOffset::WideMinimum => f32::from(code) * scale + float_at(offsets, block),
        };
        if encoding.rounded { f16::from_f32(value).to_f32() } else { value }
    };
    let mut piece = [0_u8; PIECE_BYTES];
    for first in (0..elements).step_by(PIECE_BYTES / 4) {
        let count = (elements - first).min(PIECE_BYTES / 4);
        let places = piece.as_chunks_mut::<4>().0[..count].iter_mut();
        places.enumerate().for_each(|(i, to)| *to = value_at(first + i).to_le_bytes());
        sink(&piece[..4 * count]);
    }
}

fn widen_f16(bytes: &[u8], sink: impl FnMut(&[u8])) {
    pieces(bytes, sink, |value| f16::from_le_bytes(value).to_f32().to_le_bytes());
}

fn check_i64(bytes: &[u8]) -> Result<(), OutOfRange> {
    let values = bytes.as_chunks::<8>().0.iter().map(|bytes| i64::from_le_bytes(*bytes));
    match (0_u64..).zip(values).find(|(_, value)| i32::try_from(*value).is_err()) {
        Some((index, value)) => Err(OutOfRange { index, value }),
        None => Ok(()),
    }
}

fn pieces<const N: usize>(bytes: &[u8], mut sink: impl FnMut(&[u8]), convert: impl Fn([u8; N]) -> [u8; 4]) {
    let mut piece = [0_u8; PIECE_BYTES];
    for elements in bytes.as_chunks::<N>().0.chunks(PIECE_BYTES / 4) {
        for (to, from) in piece.as_chunks_mut::<4>().0.iter_mut().zip(elements) {
            *to = convert(*from);
        }
        sink(&piece[..elements.len() * 4]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(element: ElementType, bytes: &[u8]) -> Result<Vec<u8>, OutOfRange> {
        let mut out = Vec::new();
        to_device(element, bytes, |piece| out.extend_from_slice(piece)).map(|()| out)
    }

    #[test]
    fn every_type_returns_unchanged() {
        let halves: Vec<u8> = (0..5000).flat_map(|i| f16::from_f32(i as f32 * 0.25).to_le_bytes()).collect();
        let longs: Vec<u8> = [0_i64, -1, i64::from(i32::MAX), i64::from(i32::MIN)].map(i64::to_le_bytes).concat();
        let cases: [(ElementType, &[u8]); 7] = [
            (ElementType::F32, &[0, 0, 128, 63]),
            (ElementType::I32, &[1, 2, 3, 4]),
            (ElementType::F16, &halves),
            (ElementType::I64, &longs),
            (ElementType::U8, &[0, 127, 128, 255]),
            (ElementType::I8, &[0, 127, 128, 255]),
            (ElementType::Bool, &[0, 1]),
        ];
        for (element, bytes) in cases {
            let mut back = Vec::new();
            from_device(element, &device(element, bytes).unwrap(), &mut back);
            assert_eq!(back, bytes, "{element:?}");
        }
    }

    #[test]
    fn a_long_that_does_not_fit_is_named() {
        let bytes = [5_i64, i64::from(i32::MAX) + 1].map(i64::to_le_bytes).concat();
        assert_eq!(device(ElementType::I64, &bytes), Err(OutOfRange { index: 1, value: 2_147_483_648 }));
    }
}
