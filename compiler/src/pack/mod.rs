//! Packing: weights become pages of texels, one page at a time.
//!
//! `Packer::page` gives the bytes of any page of the stream, `rows` those of a row table. Only one page is ever held;
//! elements are read from the constants' shared bytes. It deliberately knows no schedule: the order of the stream was
//! fixed by lowering.

use crate::graph::constant::{Constant, Storage};
use crate::lower::program::{Packing, Program, RowSource, Weight};
use flashmem_plan_format::plan::{PageGeometry, TexelFormat};

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
        let mut bytes = vec![0_u8; self.page.page_bytes() as usize];
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
            let texels = start.max(weight.texel_offset)..end.min(weight.texel_offset + weight.texels);
            fill(weight, prepared, self.page.format, texels, start, &mut bytes)?;
        }
        Ok(bytes)
    }
}

/// Writes the texels `range` of the stream, which belong to `weight`, into a page that starts at texel `page_start`.
fn fill(
    weight: &Weight,
    offsets: &Offsets,
    format: TexelFormat,
    range: std::ops::Range<u64>,
    page_start: u64,
    page: &mut [u8],
) -> Result<(), PackError> {
    let p: &Packing = &weight.packing;
    let per_row = (p.panel_width / 4) as u64;
    let (k, panels) = (offsets.k.len() as u64, p.panels() as u64);
    for texel in range {
        let within = texel - weight.texel_offset;
        let column = (within % per_row) as usize * 4;
        let row = within / per_row;
        let (k_index, panel, group) = ((row % k) as usize, (row / k % panels) as usize, (row / k / panels) as usize);
        let base = group * p.group_stride + offsets.k[k_index];
        let first = panel * p.panel_width + column;
        let at = (texel - page_start) as usize * format.texel_bytes() as usize;
        for (component, n) in offsets.n.iter().skip(first).take(4).enumerate() {
            write(&weight.name, &p.constant, base + n, format, component, &mut page[at..])?;
        }
    }
    Ok(())
}

/// Writes one element as component `component` of the texel at the start of `out`.
fn write(
    name: &str,
    constant: &Constant,
    element: usize,
    format: TexelFormat,
    component: usize,
    out: &mut [u8],
) -> Result<(), PackError> {
    let value = constant.f32_at(element);
    match format {
        TexelFormat::Rgba32Float => out[4 * component..4 * component + 4].copy_from_slice(&value.to_le_bytes()),
        TexelFormat::Rgba16Float => {
            let half = half::f16::from_f32(value);
            if half.is_infinite() && value.is_finite() {
                return Err(PackError::F16Overflow { weight: name.to_owned(), element, value });
            }
            out[2 * component..2 * component + 2].copy_from_slice(&half.to_le_bytes());
        }
    }
    Ok(())
}

/// The stored bytes of row `row` of a table, without its checksum.
///
/// # Errors
/// [`PackError::F16Overflow`].
pub fn row(source: &RowSource, row: u32) -> Result<Vec<u8>, PackError> {
    let elements = source.table.row_elements as usize;
    let first = row as usize * elements;
    let size = (source.table.format.texel_bytes() / 4) as usize;
    let constant = &source.constant;
    if (constant.storage, source.table.format) == (Storage::F32, TexelFormat::Rgba32Float) {
        return Ok(constant.bytes()[4 * first..4 * (first + elements)].to_vec());
    }
    let mut bytes = vec![0; elements * size];
    for i in 0..elements {
        write(&source.table.name, constant, first + i, source.table.format, 0, &mut bytes[i * size..])?;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::Packer;
    use crate::graph::constant::Constant;
    use crate::lower::program::{Packing, Program, Weight};
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
            row_sources: vec![],
            row_gathers: vec![],
            weights: vec![Weight { name: "w".into(), texel_offset: 0, texels, packing }],
            constants: vec![],
            steps: vec![],
            activation_bytes: 0,
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
}
