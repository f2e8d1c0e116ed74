//! Packing: weights become pages of texels, a few pages at a time.
//!
//! `Packer::page` gives the bytes of any page of the stream, `pages` all of them in order, made by several threads, and
//! `row` those of a row of a table. Elements are read from the constants' shared bytes; what is held is a few pages a thread,
//! whatever the size of the model. Bytes do not depend on the number of threads. It deliberately knows no schedule: the order
//! of the stream was fixed by lowering.

mod parallel;

pub use parallel::pages;

use crate::graph::constant::{Constant, Storage};
use crate::lower::program::{Program, RowSource, Weight};
use flashmem_plan_format::plan::{PageGeometry, TexelFormat};
use half::slice::HalfFloatSliceExt as _;

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

/// Element offsets of every k and n of a weight, worked out once.
struct Offsets {
    k: Vec<usize>,
    n: Vec<usize>,
}

fn offsets(shape: &[usize], strides: &[usize]) -> Vec<usize> {
    let mut list = vec![0];
    for (size, stride) in shape.iter().zip(strides) {
        list = list.iter().flat_map(|base| (0..*size).map(move |i| base + i * stride)).collect();
    }
    list
}

/// Gives the pages of a program's weight stream, in any order; in ascending order each weight is prepared once.
pub struct Packer<'a> {
    weights: &'a [Weight],
    page: PageGeometry,
    prepared: Option<(usize, Offsets)>,
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
        let mut values = vec![0.0_f32; self.page.texels() as usize * 4];
        let start = u64::from(index) * u64::from(self.page.texels());
        let end = start + u64::from(self.page.texels());
        let first = self.weights.partition_point(|w| w.texel_offset + w.texels <= start);
        for (position, weight) in self.weights.iter().enumerate().skip(first) {
            if weight.texel_offset >= end {
                break;
            }
            if self.prepared.as_ref().is_none_or(|(p, _)| *p != position) {
                let p = &weight.packing;
                let prepared = Offsets { k: offsets(&p.k_shape, &p.k_strides), n: offsets(&p.n_shape, &p.n_strides) };
                self.prepared = Some((position, prepared));
            }
            let (_, prepared) = self.prepared.as_ref().expect("prepared just above");
            let from = start.max(weight.texel_offset);
            let to = end.min(weight.texel_offset + weight.texels);
            let part = &mut values[(from - start) as usize * 4..(to - start) as usize * 4];
            fill(weight, prepared, from - weight.texel_offset, part);
        }
        let bytes = encode(&values, self.page.format);
        match overflow(&values, &bytes, self.page.format) {
            None => Ok(bytes),
            Some(at) => Err(self.overflow_error(start + at as u64 / 4, at % 4, values[at])),
        }
    }

    /// The error about component `component` of a texel of the stream, whose weight is prepared or not.
    fn overflow_error(&self, texel: u64, component: usize, value: f32) -> PackError {
        let weight = &self.weights[self.weights.partition_point(|w| w.texel_offset + w.texels <= texel)];
        let p = &weight.packing;
        let row = Row::at(weight, (texel - weight.texel_offset) / (p.panel_width / 4) as u64);
        let column = (texel - weight.texel_offset) as usize % (p.panel_width / 4) * 4 + component;
        let (k, n) = (offsets(&p.k_shape, &p.k_strides), offsets(&p.n_shape, &p.n_strides));
        let element = row.group * p.group_stride + k[row.k] + n[row.panel * p.panel_width + column];
        PackError::F16Overflow { weight: weight.name.clone(), element, value }
    }
}

/// One k of one panel: a run of `panel_width` elements of the stream.
struct Row {
    group: usize,
    panel: usize,
    k: usize,
}

impl Row {
    fn at(weight: &Weight, row: u64) -> Self {
        let (k, panels) = (weight.packing.k() as u64, weight.packing.panels() as u64);
        Self { group: (row / k / panels) as usize, panel: (row / k % panels) as usize, k: (row % k) as usize }
    }
}

/// Writes the elements of a weight from texel `first` of its own on.
fn fill(weight: &Weight, offsets: &Offsets, first: u64, mut out: &mut [f32]) {
    let p = &weight.packing;
    let per_row = (p.panel_width / 4) as u64;
    let (mut row, mut skip) = (first / per_row, (first % per_row) as usize * 4);
    while !out.is_empty() {
        let Row { group, panel, k } = Row::at(weight, row);
        let (part, rest) = out.split_at_mut((p.panel_width - skip).min(out.len()));
        let columns = (panel * p.panel_width + skip).min(offsets.n.len())..offsets.n.len();
        let n = &offsets.n[columns];
        read(&p.constant, group * p.group_stride + offsets.k[k], &n[..n.len().min(part.len())], part);
        (out, row, skip) = (rest, row + 1, 0);
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

/// Elements at the stored precision.
fn encode(values: &[f32], format: TexelFormat) -> Vec<u8> {
    let mut bytes = vec![0; values.len() * (format.texel_bytes() / 4) as usize];
    match format {
        TexelFormat::Rgba32Float => {
            bytes.chunks_exact_mut(4).zip(values).for_each(|(to, v)| to.copy_from_slice(&v.to_le_bytes()));
        }
        TexelFormat::Rgba16Float => {
            let mut halves = vec![half::f16::ZERO; values.len()];
            halves.convert_from_f32_slice(values);
            bytes.chunks_exact_mut(2).zip(halves).for_each(|(to, v)| to.copy_from_slice(&v.to_le_bytes()));
        }
    }
    bytes
}

/// Position of the first finite element that became infinite.
fn overflow(values: &[f32], bytes: &[u8], format: TexelFormat) -> Option<usize> {
    match format {
        TexelFormat::Rgba32Float => None,
        TexelFormat::Rgba16Float => bytes.chunks_exact(2).zip(values).position(|(b, value)| {
            u16::from_le_bytes([b[0], b[1]]) & 0x7fff == half::f16::INFINITY.to_bits() && value.is_finite()
        }),
    }
}

/// The stored bytes of row `row` of a table, without its checksum.
///
/// # Errors
/// [`PackError::F16Overflow`].
pub fn row(source: &RowSource, row: u32) -> Result<Vec<u8>, PackError> {
    let elements = source.table.row_elements as usize;
    let first = row as usize * elements;
    let (constant, format) = (&source.constant, source.table.format);
    if let (Storage::F32, TexelFormat::Rgba32Float, Some(bytes)) = (constant.storage, format, constant.dense_bytes()) {
        return Ok(bytes[4 * first..4 * (first + elements)].to_vec());
    }
    let mut values = vec![0.0; elements];
    constant.read_f32(first, &mut values);
    let bytes = encode(&values, format);
    match overflow(&values, &bytes, format) {
        None => Ok(bytes),
        Some(at) => {
            let (weight, value) = (source.table.name.clone(), values[at]);
            Err(PackError::F16Overflow { weight, element: first + at, value })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Packer;
    use crate::graph::constant::Constant;
    use crate::lower::program::{Packing, Program, Tensors, Weight};
    use flashmem_plan_format::plan::{PageGeometry, TexelFormat};

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
        let texels = packing.texels();
        assert_eq!(texels, 2 * 3);
        let page = PageGeometry { format: TexelFormat::Rgba32Float, rows: 1 };
        let program = Program {
            page,
            inputs: vec![],
            outputs: vec![],
            checks: vec![],
            row_sources: vec![],
            row_gathers: vec![],
            index_bounds: vec![],
            weights: vec![Weight { name: "w".into(), texel_offset: 0, texels, packing }],
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

    fn program(values: &[f32], format: TexelFormat) -> Program {
        // Two weights of 2 groups, k 3 × 7 (its axes exchanged), n 10 in panels of 8.
        let weight = |texel_offset, name: &str| {
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
            Weight { name: name.into(), texel_offset, texels: packing.texels(), packing }
        };
        let first = weight(0, "first");
        let second = weight(first.texels.next_multiple_of(8), "second");
        Program {
            page: PageGeometry { format, rows: 1 },
            inputs: vec![],
            outputs: vec![],
            checks: vec![],
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
        for format in [TexelFormat::Rgba32Float, TexelFormat::Rgba16Float] {
            let program = program(&values, format);
            let mut packer = Packer::new(&program);
            let one: Vec<Vec<u8>> =
                (0..program.pages() as u32).map(|i| packer.page(i).expect("small values pack")).collect();
            for threads in [1, 2, 5] {
                let mut found = Vec::new();
                let done = super::pages(&program, threads, |page| {
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
        let program = program(&values, TexelFormat::Rgba16Float);
        let expected = super::PackError::F16Overflow { weight: "first".into(), element: 29, value: -70000.0 };
        assert_eq!(super::pages(&program, 3, |_| Ok(())), Err(expected));
    }
}
