//! Packing: weights become pages of texels, a few pages at a time.
//!
//! `Packer::page` gives the bytes of any page of the stream, `pages` all of them in order, made by several threads, and
//! `row` those of a row of a table. Elements are read from the constants' shared bytes; what is held is a few pages a thread,
//! whatever the size of the model. Bytes do not depend on the number of threads. It deliberately knows no schedule: the order
//! of the stream was fixed by lowering. No number is cut here without a word (`narrow.rs`).

#![cfg_attr(not(test), warn(clippy::cast_possible_truncation, clippy::cast_possible_wrap, clippy::cast_sign_loss))]

mod blocks;
mod offsets;
pub mod parallel;
mod quantize;

use crate::graph::constant::{Constant, Storage};
use crate::graph::importance::Importance;
use crate::lower::program::{Program, RowSource, Weight};
use crate::narrow::in_memory;
use blocks::Elements;
use flashmem_plan_format::encoding::BlockEncoding;
use flashmem_plan_format::plan::{Encoding, PageGeometry, TEXEL_BYTES};
use half::slice::HalfFloatSliceExt as _;
use offsets::Offsets;
use std::collections::BTreeMap;

/// A weight cannot be stored.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PackError {
    /// A finite element is too large for half precision.
    #[error(
        "weight `{weight}`: element {element} is {value}, which f16 cannot hold (largest: 65504); use --weights f32"
    )]
    F16Overflow {
        /// ONNX initialiser name.
        weight: String,
        /// Position in the dense initialiser.
        element: usize,
        /// Its value.
        value: f32,
    },
}

/// Bytes of a texel.
const TEXEL: u64 = TEXEL_BYTES as u64;

/// From here on f16 rounds to infinity: half a step beyond its largest number, 65504.
const F16_ROUNDS_TO_INFINITY: f32 = 65520.0;

/// What is worked out once for a weight.
struct Prepared {
    position: usize,
    offsets: Offsets,
    /// The panel of blocks that was made last.
    panel: Option<(u64, Vec<u8>)>,
}

/// Gives the pages of a program's weight stream, in any order; in ascending order each weight is prepared once.
pub struct Packer<'a> {
    weights: &'a [Weight],
    page: PageGeometry,
    prepared: Option<Prepared>,
}

impl<'a> Packer<'a> {
    /// A packer for a program.
    pub const fn new(program: &'a Program) -> Self {
        Self { weights: program.weights.as_slice(), page: program.page, prepared: None }
    }

    /// The bytes of page `index`, zeros behind the last weight.
    ///
    /// # Errors
    /// [`PackError::F16Overflow`].
    pub fn page(&mut self, index: u32) -> Result<Vec<u8>, PackError> {
        let weights = self.weights;
        let mut bytes = vec![0; in_memory(self.page.page_bytes())];
        let start = u64::from(index) * u64::from(self.page.texels());
        let end = start + u64::from(self.page.texels());
        let first = weights.partition_point(|w| w.texel_offset + w.texels <= start);
        for (position, weight) in weights.iter().enumerate().skip(first) {
            if weight.texel_offset >= end {
                break;
            }
            let from = start.max(weight.texel_offset);
            let to = end.min(weight.texel_offset + weight.texels);
            let place = in_memory((from - start) * TEXEL)..in_memory((to - start) * TEXEL);
            self.texels(position, from - weight.texel_offset, &mut bytes[place])?;
        }
        Ok(bytes)
    }

    /// Writes the texels of a weight from texel `first` of its own on.
    fn texels(&mut self, position: usize, first: u64, out: &mut [u8]) -> Result<(), PackError> {
        match self.weights[position].encoding {
            Encoding::F32 | Encoding::F16 => self.floats(position, first, out),
            Encoding::Block(encoding) => {
                self.blocks(position, encoding, first, out);
                Ok(())
            }
        }
    }

    /// Texels of a weight in blocks: panels are made whole, and the last one is kept for the next page.
    fn blocks(&mut self, position: usize, encoding: BlockEncoding, first: u64, mut out: &mut [u8]) {
        let weight = &self.weights[position];
        let prepared = self.prepare(position);
        let texels = weight.panel_texels();
        let (mut panel, mut skip) = (first / texels, in_memory((first % texels) * TEXEL));
        while !out.is_empty() {
            let kept = prepared.panel.take().filter(|(kept, _)| *kept == panel);
            let made = kept.unwrap_or_else(|| (panel, blocks::panel(weight, encoding, &prepared.offsets, panel)));
            let bytes = &prepared.panel.insert(made).1[skip..];
            let (part, rest) = out.split_at_mut(bytes.len().min(out.len()));
            part.copy_from_slice(&bytes[..part.len()]);
            (out, panel, skip) = (rest, panel + 1, 0);
        }
    }

    fn floats(&mut self, position: usize, first: u64, mut out: &mut [u8]) -> Result<(), PackError> {
        let weight = &self.weights[position];
        let offsets = &self.prepare(position).offsets;
        let texels = weight.packing.panel_quads() as u64;
        let mut values = vec![0.0; weight.packing.panel_width * weight.encoding.depth() as usize];
        let mut bytes = vec![0; in_memory(texels * TEXEL)];
        let (mut row, mut skip) = (first / texels, in_memory((first % texels) * TEXEL));
        while !out.is_empty() {
            let place = Row::at(weight, row);
            fill(weight, offsets, &place, &mut values);
            encode(&values, weight.encoding, &mut bytes);
            if let Some(at) = overflow(&values, weight.encoding) {
                return Err(overflow_error(weight, offsets, &place, at, values[at]));
            }
            let (part, rest) = out.split_at_mut((bytes.len() - skip).min(out.len()));
            part.copy_from_slice(&bytes[skip..skip + part.len()]);
            (out, row, skip) = (rest, row + 1, 0);
        }
        Ok(())
    }

    /// The offsets of a weight, kept until another is asked for.
    fn prepare(&mut self, position: usize) -> &mut Prepared {
        let prepared = self.prepared.take().filter(|prepared| prepared.position == position).unwrap_or_else(|| {
            let p = &self.weights[position].packing;
            let offsets = Offsets { k: p.k_places(), n: p.n_places() };
            Prepared { position, offsets, panel: None }
        });
        self.prepared.insert(prepared)
    }
}

/// The error about a value of a row of a weight.
fn overflow_error(weight: &Weight, offsets: &Offsets, row: &Row, at: usize, value: f32) -> PackError {
    let p = &weight.packing;
    let (step, column) = (at / p.panel_width, at % p.panel_width);
    let (k, n) = (offsets.k[row.k + step], offsets.n[row.panel * p.panel_width + column]);
    PackError::F16Overflow { weight: weight.name.clone(), element: row.group * p.group_stride + k + n, value }
}

/// A row of a panel: its texels hold as many k as the encoding has steps.
struct Row {
    group: usize,
    panel: usize,
    /// The first k.
    k: usize,
}

impl Row {
    fn at(weight: &Weight, row: u64) -> Self {
        let (rows, panels) = (weight.packing.rows(weight.encoding) as u64, weight.packing.panels() as u64);
        let k = in_memory(row % rows) * weight.encoding.depth() as usize;
        Self { group: in_memory(row / rows / panels), panel: in_memory(row / rows % panels), k }
    }
}

/// The elements of a row, step by step; zeros outside the weight.
fn fill(weight: &Weight, offsets: &Offsets, row: &Row, values: &mut [f32]) {
    let p = &weight.packing;
    let columns = row.panel * p.panel_width..((row.panel + 1) * p.panel_width).min(offsets.n.len());
    values.fill(0.0);
    for (k, values) in offsets.k[row.k..].iter().zip(values.chunks_exact_mut(p.panel_width)) {
        read(&p.constant, row.group * p.group_stride + k, &offsets.n[columns.clone()], values);
    }
}

/// Reads the elements `base + offset` into the start of `out`.
fn read(constant: &Constant, base: usize, offsets: &[usize], out: &mut [f32]) {
    match (constant.storage, constant.dense_bytes()) {
        (Storage::F32, Some(bytes)) => {
            for (to, offset) in out.iter_mut().zip(offsets) {
                let at = 4 * (base + offset);
                *to = f32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
            }
        }
        (Storage::F32 | Storage::F16 | Storage::I32 | Storage::Bool, _) => {
            out.iter_mut().zip(offsets).for_each(|(to, offset)| *to = constant.f32_at(base + offset));
        }
    }
}

/// The texels of a row of a panel from its elements, step by step: in a texel, four columns with their steps beside each other.
fn encode(values: &[f32], encoding: Encoding, bytes: &mut [u8]) {
    match encoding {
        Encoding::F32 => encode_elements(values, encoding, bytes),
        Encoding::F16 => {
            let (low, high) = values.split_at(values.len() / 2);
            let mut halves = vec![half::f16::ZERO; values.len()];
            halves[..low.len()].convert_from_f32_slice(low);
            halves[low.len()..].convert_from_f32_slice(high);
            let (low, high) = halves.split_at(low.len());
            for ((to, low), high) in bytes.as_chunks_mut::<4>().0.iter_mut().zip(low).zip(high) {
                *to = (u32::from(low.to_bits()) | u32::from(high.to_bits()) << 16).to_le_bytes();
            }
        }
        Encoding::Block(_) => unreachable!("blocks are made panel by panel"),
    }
}

/// Elements one after the other.
fn encode_elements(values: &[f32], encoding: Encoding, bytes: &mut [u8]) {
    match encoding {
        Encoding::F32 => bytes.as_chunks_mut().0.iter_mut().zip(values).for_each(|(to, v)| *to = v.to_le_bytes()),
        Encoding::F16 => {
            let mut halves = vec![half::f16::ZERO; values.len()];
            halves.convert_from_f32_slice(values);
            bytes.as_chunks_mut().0.iter_mut().zip(halves).for_each(|(to, v)| *to = v.to_le_bytes());
        }
        Encoding::Block(_) => unreachable!("blocks are made row by row"),
    }
}

/// Position of the first finite element that becomes infinite.
fn overflow(values: &[f32], encoding: Encoding) -> Option<usize> {
    match encoding {
        Encoding::F32 | Encoding::Block(_) => None,
        Encoding::F16 => values.iter().position(|value| value.is_finite() && value.abs() >= F16_ROUNDS_TO_INFINITY),
    }
}

/// The stored bytes of row `row` of a table, without its checksum.
///
/// # Errors
/// [`PackError::F16Overflow`].
pub fn row(source: &RowSource, row: u32) -> Result<Vec<u8>, PackError> {
    let elements = source.table.row_elements as usize;
    let first = row as usize * elements;
    let (constant, encoding) = (&source.constant, source.table.encoding);
    if let Encoding::Block(block) = encoding {
        return Ok(blocks::row(source, block, first, elements));
    }
    if let (Storage::F32, Encoding::F32, Some(bytes)) = (constant.storage, encoding, constant.dense_bytes()) {
        return Ok(bytes[4 * first..4 * (first + elements)].to_vec());
    }
    let mut values = vec![0.0; elements];
    constant.read_f32(first, &mut values);
    let mut bytes = vec![0; in_memory(encoding.line_bytes(elements as u64))];
    encode_elements(&values, encoding, &mut bytes);
    match overflow(&values, encoding) {
        None => Ok(bytes),
        Some(at) => {
            let (weight, value) = (source.table.name.clone(), values[at]);
            Err(PackError::F16Overflow { weight, element: first + at, value })
        }
    }
}

/// Lines of k of a stored constant: row-major positions of their first elements, and of the others relative to these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lines {
    starts: Vec<usize>,
    k: Vec<usize>,
}

impl Lines {
    /// Those of a weight.
    pub fn of_weight(weight: &Weight) -> Self {
        let (p, n) = (&weight.packing, weight.packing.n_places());
        let starts = (0..p.groups).flat_map(|group| n.iter().map(move |n| group * p.group_stride + n));
        Self { starts: starts.collect(), k: p.k_places() }
    }

    /// Those of a table: its rows.
    pub fn of_rows(source: &RowSource) -> Self {
        let elements = source.table.row_elements as usize;
        Self { starts: (0..source.table.rows as usize).map(|row| row * elements).collect(), k: (0..elements).collect() }
    }
}

/// The elements of a constant, row-major, as they are decoded when it is stored in an encoding that can hold them.
pub fn decoded(constant: &Constant, importance: Option<&Importance>, encoding: Encoding, lines: &Lines) -> Vec<f32> {
    match encoding {
        Encoding::F32 => constant.to_f32(),
        Encoding::F16 => {
            let mut values = constant.to_f32();
            values.iter_mut().for_each(|value| *value = half::f16::from_f32(*value).to_f32());
            values
        }
        Encoding::Block(block) => {
            blocks::values(Elements { constant, importance }, block, &lines.k, lines.starts.iter().copied())
        }
    }
}

/// The constants that a program stores in blocks, as they are decoded, by the address of what they are made from.
pub fn stored_constants(program: &Program) -> BTreeMap<usize, Constant> {
    let weights = program.weights.iter().map(|weight| {
        (&weight.packing.constant, weight.importance.as_deref(), weight.encoding, Lines::of_weight(weight))
    });
    let rows = program
        .row_sources
        .iter()
        .map(|source| (&source.constant, source.importance.as_deref(), source.table.encoding, Lines::of_rows(source)));
    let mut found = BTreeMap::new();
    for (constant, importance, encoding, lines) in weights.chain(rows) {
        if matches!(encoding, Encoding::Block(_)) {
            let values = decoded(constant, importance, encoding, &lines);
            found.insert(constant.address(), Constant::from_f32(constant.shape.clone(), &values));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::Packer;
    use crate::graph::constant::Constant;
    use crate::lower::program::{Packing, Program, Tensors, Weight};
    use flashmem_plan_format::plan::{Encoding, PageGeometry};

    #[test]
    fn texels_follow_panels_then_k_then_columns() {
        let values: Vec<f32> = (0..3 * 5).map(|v| v as f32 + 1.0).collect();
        let packing = Packing {
            constant: Constant::from_f32(vec![3, 5], &values),
            group_stride: 0,
            k_shape: vec![3],
            k_strides: vec![5],
            n_shape: vec![5],
            n_strides: vec![1],
            groups: 1,
            panel_width: 4,
        };
        let (encoding, texels) = (Encoding::F32, packing.texels(Encoding::F32));
        assert_eq!((texels, packing.texels(Encoding::F16)), (2 * 3, 2 * 2));
        let page = PageGeometry { rows: 1 };
        let program = Program {
            page,
            inputs: vec![],
            outputs: vec![],
            names: vec![],
            checks: vec![],
            states: vec![],
            row_sources: vec![],
            row_gathers: vec![],
            index_bounds: vec![],
            weights: vec![Weight { name: "w".into(), encoding, texel_offset: 0, texels, packing, importance: None }],
            constants: vec![],
            steps: vec![],
            activation_bytes: 0,
            tensors: Tensors::default(),
        };
        let bytes = Packer::new(&program).page(0).expect("f32 always packs");
        let floats: Vec<f32> =
            bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).take(24).collect();
        let expected = [
            1., 2., 3., 4., 6., 7., 8., 9., 11., 12., 13., 14., // panel 0
            5., 0., 0., 0., 10., 0., 0., 0., 15., 0., 0., 0., // panel 1: one column and zeros
        ];
        assert_eq!(floats, expected);
        assert!(bytes[24 * 4..].iter().all(|b| *b == 0));
    }

    fn program(values: &[f32], encodings: [Encoding; 2]) -> Program {
        // Two weights of 2 groups, k 3 × 7 (its axes exchanged), n 10 in panels of 8.
        let weight = |texel_offset, name: &str, encoding| {
            let packing = Packing {
                constant: Constant::from_f32(vec![2, 7, 3, 10], values),
                group_stride: 210,
                k_shape: vec![3, 7],
                k_strides: vec![10, 30],
                n_shape: vec![10],
                n_strides: vec![1],
                groups: 2,
                panel_width: 8,
            };
            let texels = packing.texels(encoding);
            Weight { name: name.into(), encoding, texel_offset, texels, packing, importance: None }
        };
        let first = weight(0, "first", encodings[0]);
        let second = weight(first.texels.next_multiple_of(8), "second", encodings[1]);
        Program {
            page: PageGeometry { rows: 1 },
            inputs: vec![],
            outputs: vec![],
            names: vec![],
            checks: vec![],
            states: vec![],
            row_sources: vec![],
            row_gathers: vec![],
            index_bounds: vec![],
            weights: vec![first, second],
            constants: vec![],
            steps: vec![],
            activation_bytes: 0,
            tensors: Tensors::default(),
        }
    }

    #[test]
    fn any_number_of_threads_gives_the_pages_of_one() {
        let values: Vec<f32> = (0..420).map(|v| v as f32 - 200.0).collect();
        let floats = [Encoding::F32, Encoding::F16];
        let pairs = floats.iter().flat_map(|first| floats.map(|second| [*first, second]));
        for encodings in pairs {
            let program = program(&values, encodings);
            let mut packer = Packer::new(&program);
            let one: Vec<Vec<u8>> =
                (0..program.pages() as u32).map(|i| packer.page(i).expect("small values pack")).collect();
            for threads in [1, 2, 5] {
                let mut found = Vec::new();
                let done = super::parallel::pages(&program, threads, |page| {
                    found.push(page);
                    Ok::<(), super::PackError>(())
                });
                assert_eq!((done, &found), (Ok(()), &one), "{threads} threads");
            }
        }
    }

    #[test]
    fn a_value_beyond_half_precision_is_named_by_weight_and_element() {
        let mut values = vec![1.0; 420];
        values[2 * 10 + 9] = -70000.0; // group 0, k (2, 0), column 9
        let program = program(&values, [Encoding::F16; 2]);
        let expected = super::PackError::F16Overflow { weight: "first".into(), element: 29, value: -70000.0 };
        assert_eq!(super::parallel::pages(&program, 3, |_| Ok(())), Err(expected));
    }
}
