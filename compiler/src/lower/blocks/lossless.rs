//! Float weights that are scales and small integers already: what a file of another format was widened from, for one.
//!
//! A block lies on a grid when its elements are codes about the middle times one half ([`grid_scale`]), or codes from zero times
//! a half, and a minimum ([`scale_and_minimum`]). A weight whose blocks all do is stored so without loss. A block that is
//! no multiple of anything ends the search at its first few elements, so that ordinary weights cost next to nothing.

use crate::graph::constant::Constant;
use crate::lower::program::places;
use crate::lower::view::element_strides;
use flashmem_plan_format::encoding::{BlockEncoding, BlockLength, CodeBits, CodeOffset, ScaleFormat};
use half::f16;

/// Elements of a block.
const BLOCK: usize = 32;

/// Largest distance of the exponents of two elements of a block that lies on a grid, generously.
const MAX_SHIFT: i32 = 32;

/// The encoding of fewest bits, `most` of a code at most, that holds every element of a weight as it is.
/// Its axes are those of its lines and, in the order of elements, those along them; axes of size 1 may be left out.
pub fn lossless(constant: &Constant, axes: [&[usize]; 2], most: CodeBits) -> Option<BlockEncoding> {
    let (length, scale, rounded) = (BlockLength::L32, ScaleFormat::F16, false);
    let encoding = |bits, offset| BlockEncoding { bits, length, scale, offset, rounded };
    let on_grid = |bits| all_blocks(constant, axes, |block| grid_scale(block, bits).is_some());
    if on_grid(CodeBits::Four) {
        return Some(encoding(CodeBits::Four, CodeOffset::Middle));
    }
    if all_blocks(constant, axes, |block| scale_and_minimum(block).is_some()) {
        return Some(encoding(CodeBits::Four, CodeOffset::Minimum));
    }
    let eight = most == CodeBits::Eight && on_grid(CodeBits::Eight);
    eight.then(|| encoding(CodeBits::Eight, CodeOffset::Middle))
}

/// Whether all blocks along k are so.
fn all_blocks(constant: &Constant, axes: [&[usize]; 2], is_so: impl Fn(&[f32]) -> bool) -> bool {
    let strides = element_strides(&constant.shape);
    let [lines, k] = axes.map(|axes| {
        let pick = |list: &[usize]| axes.iter().map(|axis| list[*axis]).collect::<Vec<_>>();
        places(&pick(&constant.shape), &pick(&strides))
    });
    let mut block = Vec::with_capacity(BLOCK);
    lines.iter().all(|line| {
        k.chunks(BLOCK).all(|k| {
            block.clear();
            block.extend(k.iter().map(|k| constant.f32_at(line + k)));
            is_so(&block)
        })
    })
}

/// The scale of which all elements of a block are multiples by codes about the middle, exactly; its sign puts an element of the
/// largest code on the side with a code more.
pub fn grid_scale(block: &[f32], bits: CodeBits) -> Option<f16> {
    let parts: Vec<(u64, i32, bool)> = block
        .iter()
        .map(|value| odd_part(*value))
        .collect::<Option<Vec<_>>>()?
        .into_iter()
        .filter(|p| p.0 > 0)
        .collect();
    let Some(unit) = parts.iter().map(|part| part.1).min() else { return Some(f16::ZERO) };
    let (mut divisor, mut largest) = (0, (0, false));
    for (odd, exponent, negative) in parts {
        if exponent - unit > MAX_SHIFT {
            return None;
        }
        let multiple = odd << (exponent - unit);
        divisor = greatest_common_divisor(divisor, multiple);
        largest = largest.max((multiple, negative));
        if largest.0 / divisor > u64::from(bits.middle()) {
            return None;
        }
    }
    let (multiple, negative) = largest;
    let middle = u64::from(bits.middle());
    let step = divisor as f64 * 2.0_f64.powi(unit);
    let scale_of = |parts: u64| {
        let scale = f16::from_f64(step / parts as f64);
        (scale.is_normal() && scale.to_f64() * parts as f64 == step).then_some(scale)
    };
    let code = multiple / divisor;
    let (parts, scale) = (1..=middle / code).find_map(|parts| Some((parts, scale_of(parts)?)))?;
    // The code of the middle is on one side only.
    Some(if code * parts == middle && !negative { -scale } else { scale })
        .filter(|scale| block.iter().all(|value| fits(*value, scale.to_f32(), bits)))
}

/// Whether a multiple of a scale has a code.
fn fits(value: f32, scale: f32, bits: CodeBits) -> bool {
    let (code, middle) = (value / scale, bits.middle() as f32);
    (-middle..middle).contains(&code) && code * scale == value
}

/// An element as an odd number times a power of two, and whether it is below zero; `None` unless it is finite.
fn odd_part(value: f32) -> Option<(u64, i32, bool)> {
    let (bits, negative) = (value.to_bits(), value < 0.0);
    let (exponent, mantissa) = ((bits >> 23 & 0xff) as i32, u64::from(bits & 0x7f_ffff));
    let (significand, exponent) = match exponent {
        0xff => return None,
        0 => (mantissa, -149),
        _ => (mantissa | 1 << 23, exponent - 150),
    };
    let zeros = if significand == 0 { 0 } else { significand.trailing_zeros() };
    Some((significand >> zeros, exponent + zeros as i32, negative))
}

fn greatest_common_divisor(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// The scale and the minimum of which a block is made, exactly, with codes of 4 bits.
pub fn scale_and_minimum(block: &[f32]) -> Option<(f16, f16)> {
    let (min, max) = block.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(a, b), v| (a.min(*v), b.max(*v)));
    let minimum = f16::from_f32(min);
    let normal = |half: f16| half.is_normal() || half == f16::ZERO;
    if minimum.to_f32().to_bits() != (min + 0.0).to_bits() || !normal(minimum) {
        return None;
    }
    let near = f16::from_f32((max - min) / 15.0);
    let around = [near.to_bits(), near.to_bits().wrapping_sub(1), near.to_bits() + 1].map(f16::from_bits);
    let is_exact = |scale: &f16| {
        let scale = scale.to_f32();
        block.iter().all(|value| {
            let code = code_of(*value - min, scale, 15);
            code * scale + min == *value
        })
    };
    around.into_iter().filter(|scale| normal(*scale)).find(is_exact).map(|scale| (scale, minimum))
}

/// The code from 0 to `max` nearest to a value of this scale.
pub fn code_of(value: f32, scale: f32, max: u32) -> f32 {
    if scale == 0.0 { 0.0 } else { (value / scale).round_ties_even().clamp(0.0, max as f32) }
}

#[cfg(test)]
mod tests {
    use super::{CodeBits, Constant, f16, grid_scale, lossless};
    use flashmem_plan_format::encoding::{CodeOffset, Encoding};

    fn codes(scale: f32, list: impl IntoIterator<Item = i32>) -> Vec<f32> {
        list.into_iter().map(|code| code as f32 * scale).collect()
    }

    #[test]
    fn blocks_on_a_grid_are_told_from_others() {
        let scale = f16::from_f32(0.003_71).to_f32();
        let all = [
            codes(scale, -127..=-96),
            codes(scale, [-128, 3, 7, 127]),
            codes(scale, [128, -3, -127]),
            codes(scale, [30, -60, 90]),
            vec![0.0; 32],
            vec![-0.0, scale],
        ];
        for block in all {
            let found = grid_scale(&block, CodeBits::Eight).unwrap_or_else(|| panic!("{block:?}")).to_f32();
            for value in &block {
                let code = if found == 0.0 { 0.0 } else { value / found };
                assert!(code.fract() == 0.0 && (-128.0..=127.0).contains(&code), "{value} of {found}");
                assert_eq!(code * found, *value);
            }
        }
        // Codes on both ends, a code too many, a scale with more bits than a half has, one below its normal numbers, no number.
        let others = [
            codes(scale, [-128, 128, 1]),
            codes(scale, [129, 1]),
            codes(0.003_71, [100, 3, 1]),
            codes(2.0_f32.powi(-15), [1, 101]),
            vec![1.0, f32::NAN],
            vec![1.0, f32::INFINITY],
            vec![1e30, 1e-30],
        ];
        for block in others {
            assert_eq!(grid_scale(&block, CodeBits::Eight), None, "{block:?}");
        }
        assert!(grid_scale(&codes(scale, -8..=7), CodeBits::Four).is_some());
        assert_eq!(grid_scale(&codes(scale, -9..=7), CodeBits::Four), None);
    }

    #[test]
    fn the_fewest_bits_that_hold_a_weight_are_found() {
        let with = |offset: f32, most: i32| {
            let values: Vec<f32> = (0..2 * 64)
                .map(|i| {
                    let scale = f16::from_f32(0.01 * (1 + i / 32) as f32).to_f32();
                    (i * 37 % (most + 1)) as f32 * scale + offset * scale
                })
                .collect();
            Constant::from_f32(vec![2, 64], &values)
        };
        let found = |constant: &Constant, most| lossless(constant, [&[0], &[1]], most).map(|e| (e.bits, e.offset));
        assert_eq!(found(&with(-8.0, 15), CodeBits::Eight), Some((CodeBits::Four, CodeOffset::Middle)));
        assert_eq!(found(&with(32.0, 15), CodeBits::Eight), Some((CodeBits::Four, CodeOffset::Minimum)));
        assert_eq!(found(&with(-128.0, 255), CodeBits::Eight), Some((CodeBits::Eight, CodeOffset::Middle)));
        assert_eq!(found(&with(-128.0, 255), CodeBits::Four), None);
        let random: Vec<f32> = (0..128_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 8) as f32 / 7e6).collect();
        assert_eq!(found(&Constant::from_f32(vec![2, 64], &random), CodeBits::Eight), None);
        // (k2, lines, k1), where blocks lie along (k1, k2).
        let values: Vec<f32> = (0..16 * 3 * 4)
            .map(|i| {
                let (k2, line, k1) = (i / 12, i / 4 % 3, i % 4);
                let scale = f16::from_f32(0.01 * (1 + line + (16 * k1 + k2) / 32) as f32).to_f32();
                ((16 * k1 + k2) * 5 % 16) as f32 * scale - 3.0
            })
            .collect();
        let apart = Constant::from_f32(vec![16, 3, 4], &values);
        let bits = |k: &[usize]| lossless(&apart, [&[1], k], CodeBits::Eight).map(|e| (e.bits, e.offset));
        assert_eq!((bits(&[2, 0]), bits(&[0, 2])), (Some((CodeBits::Four, CodeOffset::Minimum)), None));
        assert_eq!(lossless(&with(-8.0, 15), [&[0], &[1]], CodeBits::Eight).map(Encoding::Block), Some(Encoding::Q4));
    }
}
