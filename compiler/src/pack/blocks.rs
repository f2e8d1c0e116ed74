//! Weights and rows as blocks of small integers: codes, and what blocks have beside them.
//!
//! Integers of the file are taken over as they are; floats are quantized. A panel is made whole, head first, as
//! `kernels/shared/weights_block.wgsl` reads it; a row as the runtime does, all scales first.

use super::offsets::Offsets;
use super::quantize;
use crate::graph::constant::Constant;
use crate::graph::importance::Importance;
use crate::graph::quantized::{Quantized, ZeroPoints};
use crate::kernels::PANEL;
use crate::lower::blocks::lossless::{code_of, scale_and_minimum};
use crate::lower::blocks::{Position, code_bias, position};
use crate::lower::program::{RowSource, Weight};
use crate::narrow::{code8, float_code8, in_memory};
use flashmem_plan_format::encoding::{BlockEncoding, CodeBits, CodeOffset, ScaleFormat};
use flashmem_plan_format::plan::TEXEL_BYTES;
use half::f16;

/// A line of k in blocks.
struct Line {
    /// A code an element.
    codes: Vec<u8>,
    /// Scale and offset (a zero point or a minimum) a block.
    blocks: Vec<(f32, f32)>,
}

/// What blocks are made of.
#[derive(Clone, Copy)]
pub struct Elements<'a> {
    /// The elements.
    pub constant: &'a Constant,
    /// What errors of floats are weighed with.
    pub importance: Option<&'a Importance>,
}

/// The elements of a line, relative to its first.
struct Steps<'k> {
    /// Row-major positions.
    k: &'k [usize],
    /// Where integers of the file have their parts; empty of floats.
    parts: Vec<Position>,
}

impl<'k> Steps<'k> {
    /// Those of lines of a constant.
    fn of(constant: &Constant, k: &'k [usize]) -> Self {
        let parts = constant.as_quantized().map(|quantized| k.iter().map(|k| position(quantized, *k)).collect());
        Self { k, parts: parts.unwrap_or_default() }
    }
}

/// The line of the elements at the row-major positions `base` + `k`. Lowering stores integers of the file in blocks only as they
/// are ([`exact`](crate::lower::blocks::exact)).
fn line(elements: Elements<'_>, encoding: BlockEncoding, steps: &Steps<'_>, base: usize) -> Line {
    match elements.constant.as_quantized() {
        Some(quantized) => kept(quantized, encoding, &steps.parts, base),
        None => {
            let k = steps.k;
            let values: Vec<f32> = k.iter().map(|k| elements.constant.f32_at(base + k)).collect();
            let weights = elements.importance.map(|importance| k.iter().map(|k| importance.at(base + k)).collect());
            quantized(&values, weights, encoding)
        }
    }
}

/// Integers as they are.
fn kept(quantized: &Quantized, encoding: BlockEncoding, parts: &[Position], base: usize) -> Line {
    let (_, bias) = code_bias(quantized);
    let (blocks, base) = (quantized.blocks(), position(quantized, base));
    let first = quantized.places().first + base.integer;
    let mut codes = Vec::with_capacity(parts.len());
    let positions = parts.iter().map(|part| first + part.integer);
    quantized.integers().for_each_at(positions, |integer| codes.push(code8(integer + bias)));
    let of_block = |part: &[Position]| {
        let scale = blocks.scales.at(blocks.scale_places.first + base.scale + part[0].scale);
        let place = blocks.zero_places.first + base.zero + part[0].zero;
        let offset = match &blocks.zeros {
            ZeroPoints::Same(zero) => (zero + bias) as f32,
            ZeroPoints::Integers(list) => (list.at(place) + bias) as f32,
            ZeroPoints::Floats(list) => -(list.at(place) * scale),
        };
        (scale, offset)
    };
    let run = parts.len().min(1 << encoding.length.log2()).max(1);
    Line { codes, blocks: parts.chunks(run).map(of_block).collect() }
}

/// Floats to the nearest codes.
fn quantized(values: &[f32], weights: Option<Vec<f32>>, encoding: BlockEncoding) -> Line {
    let run = values.len().min(1 << encoding.length.log2()).max(1);
    let mut codes = vec![0; values.len()];
    let weights_of = |block: usize| weights.as_ref().and_then(|weights| weights.chunks(run).nth(block));
    let blocks = values.chunks(run).zip(codes.chunks_mut(run)).enumerate();
    let blocks = blocks.map(|(index, (values, codes))| match encoding.offset {
        CodeOffset::Middle | CodeOffset::ZeroPoint => {
            let scale = quantize::block(values, weights_of(index), encoding.bits, encoding.scale, codes);
            (scale, encoding.bits.middle() as f32)
        }
        CodeOffset::Minimum | CodeOffset::WideMinimum => {
            let (scale, minimum) = scale_and_minimum(values).expect("lowering found them for every block");
            let (scale, minimum) = (scale.to_f32(), minimum.to_f32());
            for (code, value) in codes.iter_mut().zip(values) {
                *code = float_code8(code_of(value - minimum, scale, encoding.bits.max_code()));
            }
            (scale, minimum)
        }
    });
    let blocks = blocks.collect();
    Line { codes, blocks }
}

fn write_scale(format: ScaleFormat, scale: f32, to: &mut [u8]) {
    match format {
        ScaleFormat::F16 => to.copy_from_slice(&f16::from_f32(scale).to_le_bytes()),
        ScaleFormat::F32 => to.copy_from_slice(&scale.to_le_bytes()),
    }
}

fn write_offset(kind: CodeOffset, offset: f32, to: &mut [u8]) {
    match kind {
        CodeOffset::Middle => {}
        CodeOffset::ZeroPoint => to[0] = float_code8(offset),
        CodeOffset::Minimum => to.copy_from_slice(&f16::from_f32(offset).to_le_bytes()),
        CodeOffset::WideMinimum => to.copy_from_slice(&offset.to_le_bytes()),
    }
}

/// The texels of a panel, counted through the groups of a weight.
pub fn panel(weight: &Weight, encoding: BlockEncoding, offsets: &Offsets, index: u64) -> Vec<u8> {
    let p = &weight.packing;
    debug_assert_eq!(p.panel_width, PANEL, "blocks have panels of the product kernels");
    let (group, panel) = (in_memory(index) / p.panels(), in_memory(index) % p.panels());
    let mut bytes = vec![0; in_memory(weight.panel_texels()) * TEXEL_BYTES as usize];
    let head = in_memory(weight.encoding.head_texels(p.k() as u64)) * TEXEL_BYTES as usize;
    let (head, rows) = bytes.split_at_mut(head);
    let (scale_bytes, offset_bytes) = (encoding.scale.bytes() as usize, encoding.offset.bytes() as usize);
    let elements = Elements { constant: &p.constant, importance: weight.importance.as_deref() };
    let steps = Steps::of(&p.constant, &offsets.k);
    let columns = &offsets.n[panel * PANEL..offsets.n.len().min((panel + 1) * PANEL)];
    for (column, n) in columns.iter().enumerate() {
        let line = line(elements, encoding, &steps, group * p.group_stride + n);
        for ((scale, offset), head) in line.blocks.iter().zip(head.chunks_mut(PANEL * (scale_bytes + offset_bytes))) {
            let (scales, offsets) = head.split_at_mut(PANEL * scale_bytes);
            write_scale(encoding.scale, *scale, &mut scales[column * scale_bytes..(column + 1) * scale_bytes]);
            write_offset(encoding.offset, *offset, &mut offsets[column * offset_bytes..(column + 1) * offset_bytes]);
        }
        let depth = weight.encoding.depth() as usize;
        for (row, codes) in rows.chunks_mut(PANEL * 4).zip(line.codes.chunks(depth)) {
            row[4 * column..4 * column + 4].copy_from_slice(&word(codes, encoding.bits).to_le_bytes());
        }
    }
    bytes
}

/// Codes in a word, the first in its low bits.
fn word(codes: &[u8], bits: CodeBits) -> u32 {
    codes.iter().rev().fold(0, |word, code| word << bits.bits() | u32::from(*code))
}

/// A row of a table: scales, then what blocks have beside them, then codes.
pub fn row(source: &RowSource, encoding: BlockEncoding, first: usize, elements: usize) -> Vec<u8> {
    let k: Vec<usize> = (0..elements).collect();
    let source = Elements { constant: &source.constant, importance: source.importance.as_deref() };
    let line = line(source, encoding, &Steps::of(source.constant, &k), first);
    let (scale_bytes, offset_bytes) = (encoding.scale.bytes() as usize, encoding.offset.bytes() as usize);
    let mut bytes = vec![0; line.blocks.len() * (scale_bytes + offset_bytes)];
    let (scales, offsets) = bytes.split_at_mut(line.blocks.len() * scale_bytes);
    for (index, (scale, offset)) in line.blocks.iter().enumerate() {
        write_scale(encoding.scale, *scale, &mut scales[index * scale_bytes..(index + 1) * scale_bytes]);
        write_offset(encoding.offset, *offset, &mut offsets[index * offset_bytes..(index + 1) * offset_bytes]);
    }
    bytes.extend(
        line.codes.chunks(8 / encoding.bits.bits() as usize).map(|codes| word(codes, encoding.bits).to_le_bytes()[0]),
    );
    bytes
}

/// The elements of a constant that is stored in blocks, row-major, as they are decoded: what lines at the row-major positions
/// `starts`, of elements `k` further, make of it.
pub fn values(
    elements: Elements<'_>,
    encoding: BlockEncoding,
    k: &[usize],
    starts: impl Iterator<Item = usize>,
) -> Vec<f32> {
    let mut values = vec![0.0; elements.constant.len()];
    let steps = Steps::of(elements.constant, k);
    for start in starts {
        let line = line(elements, encoding, &steps, start);
        for (index, (k, code)) in k.iter().zip(&line.codes).enumerate() {
            let (scale, offset) = line.blocks[index >> encoding.length.log2()];
            let value = match encoding.offset {
                CodeOffset::Middle | CodeOffset::ZeroPoint => (f32::from(*code) - offset) * scale,
                CodeOffset::Minimum | CodeOffset::WideMinimum => f32::from(*code) * scale + offset,
            };
            values[start + k] = if encoding.rounded { f16::from_f32(value).to_f32() } else { value };
        }
    }
    values
}
