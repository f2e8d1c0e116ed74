//! Floats → codes and a scale: to the nearest code, with the scale that loses least.
//!
//! A block of which all elements are multiples of one half keeps them. The scale of another is searched: for each of a few scales
//! around the one that puts the largest element on the last code, the elements are rounded, and the best scale for these codes is
//! the one of least squares. It is rounded to the format it is stored in before the codes are made for good. The same values give
//! the same codes on every machine: no sum depends on an order that could change.

use crate::lower::blocks::lossless::grid_scale;
use crate::narrow::float_code8;
use flashmem_plan_format::encoding::{CodeBits, ScaleFormat};
use half::f16;

/// Steps of the search to either side, in tenths of a code.
const STEPS: usize = 9;
/// Scales that are tried side by side.
const TRIED: usize = 2 * STEPS + 1;

/// Added to a number and taken away again, this rounds it to the nearest integer, ties to even, while it is below 2²².
const ROUNDER: f32 = 12_582_912.0;

/// Makes codes of a block about the middle; gives the scale as it is stored. Squares of errors are weighed with `weights`.
pub fn block(values: &[f32], weights: Option<&[f32]>, bits: CodeBits, format: ScaleFormat, codes: &mut [u8]) -> f32 {
    let middle = bits.middle() as f32;
    let scale = match (grid_scale(values, bits), weights) {
        (Some(exact), _) => exact.to_f32(),
        (None, Some(weights)) if weights.iter().any(|weight| *weight > 0.0) => {
            stored(best_weighted_scale(values, weights, middle), format)
        }
        (None, Some(_) | None) => stored(best_scale(values, middle), format),
    };
    for (code, value) in codes.iter_mut().zip(values) {
        let nearest = if scale == 0.0 { 0.0 } else { (value / scale).round_ties_even() };
        *code = float_code8(nearest.clamp(-middle, middle - 1.0) + middle);
    }
    scale
}

/// The scale of least squares among those that are tried; its sign puts the largest element on the side with a code more. All
/// are tried element by element, so that a processor works on several of them at a time, and each has its sums in order.
fn best_scale(values: &[f32], middle: f32) -> f32 {
    let largest = values.iter().copied().fold(0.0_f32, |a, b| if b.abs() > a.abs() { b } else { a });
    if largest == 0.0 {
        return 0.0;
    }
    let inverses: [f32; TRIED] = std::array::from_fn(|step| -(middle + 0.1 * (step as f32 - STEPS as f32)) / largest);
    let (mut products, mut squares) = ([0.0_f64; TRIED], [0.0_f32; TRIED]);
    for value in values {
        for ((inverse, products), squares) in inverses.iter().zip(&mut products).zip(&mut squares) {
            let code = ((value * inverse + ROUNDER) - ROUNDER).max(-middle).min(middle - 1.0);
            *products += f64::from(*value) * f64::from(code);
            // Squares of codes are at most 2¹⁴: the sum of a block's is exact.
            *squares += code * code;
        }
    }
    best_of(products, squares.map(f64::from), largest / -middle)
}

/// The same with weighed errors.
fn best_weighted_scale(values: &[f32], weights: &[f32], middle: f32) -> f32 {
    let largest = values.iter().copied().fold(0.0_f32, |a, b| if b.abs() > a.abs() { b } else { a });
    if largest == 0.0 {
        return 0.0;
    }
    let inverses: [f32; TRIED] = std::array::from_fn(|step| -(middle + 0.1 * (step as f32 - STEPS as f32)) / largest);
    let (mut products, mut squares) = ([0.0_f64; TRIED], [0.0_f64; TRIED]);
    for (value, weight) in values.iter().zip(weights) {
        for ((inverse, products), squares) in inverses.iter().zip(&mut products).zip(&mut squares) {
            let code = ((value * inverse + ROUNDER) - ROUNDER).max(-middle).min(middle - 1.0);
            let weighed = f64::from(*weight) * f64::from(code);
            *products += f64::from(*value) * weighed;
            *squares += weighed * f64::from(code);
        }
    }
    best_of(products, squares, largest / -middle)
}

/// The scale of least squares of the codes that lose least; `usual` where all of them are zeros.
#[expect(clippy::cast_possible_truncation, reason = "the nearest f32 is meant")]
fn best_of(products: [f64; TRIED], squares: [f64; TRIED], usual: f32) -> f32 {
    let (mut best, mut best_gain) = (usual, f64::NEG_INFINITY);
    for (products, squares) in products.into_iter().zip(squares) {
        // What the block loses is its own square less this.
        let gain = if squares > 0.0 { products * products / squares } else { 0.0 };
        if gain > best_gain && squares > 0.0 {
            (best, best_gain) = ((products / squares) as f32, gain);
        }
    }
    best
}

/// A scale as it is stored: a half is not brought below the normal ones, where devices have fewer bits or none.
fn stored(scale: f32, format: ScaleFormat) -> f32 {
    match format {
        ScaleFormat::F32 => scale,
        ScaleFormat::F16 if scale == 0.0 => 0.0,
        ScaleFormat::F16 => {
            let smallest = f16::MIN_POSITIVE.to_f32();
            f16::from_f32(scale.abs().max(smallest).copysign(scale)).to_f32()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::block;
    use flashmem_plan_format::encoding::{CodeBits, ScaleFormat};

    fn loss(values: &[f32], bits: CodeBits) -> f64 {
        let mut codes = vec![0; values.len()];
        let scale = block(values, None, bits, ScaleFormat::F16, &mut codes);
        let error =
            |(code, value): (&u8, &f32)| f64::from((f32::from(*code) - bits.middle() as f32) * scale - value).powi(2);
        codes.iter().zip(values).map(error).sum()
    }

    #[test]
    fn values_on_a_grid_come_back_and_others_lose_less_than_by_the_maximum() {
        let grid: Vec<f32> = (0..32).map(|i| ((i % 16) as f32 - 8.0) * 0.125).collect();
        assert_eq!((loss(&grid, CodeBits::Four), loss(&[0.0; 32], CodeBits::Four)), (0.0, 0.0));
        let values: Vec<f32> = (0..32_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 8) as f32 / 8e6 - 1.0).collect();
        let scale = values.iter().fold(0.0_f32, |a, b| a.max(b.abs())) / 7.0;
        let by_maximum: f64 = values.iter().map(|v| f64::from((v / scale).round() * scale - v).powi(2)).sum();
        assert!(loss(&values, CodeBits::Four) < 0.95 * by_maximum, "{} {by_maximum}", loss(&values, CodeBits::Four));
        assert!(loss(&values, CodeBits::Eight) < loss(&values, CodeBits::Four) / 100.0);
    }

    /// The search as it is defined: one scale after the other.
    fn one_by_one(values: &[f32], middle: f32) -> f32 {
        let largest = values.iter().copied().fold(0.0_f32, |a, b| if b.abs() > a.abs() { b } else { a });
        let (mut best, mut best_gain) = (largest / -middle, f64::NEG_INFINITY);
        for step in -9..=9 {
            let inverse = -(middle + 0.1 * step as f32) / largest;
            let code = |value: &f32| f64::from((value * inverse).round_ties_even().clamp(-middle, middle - 1.0));
            let products: f64 = values.iter().fold(0.0, |sum, value| sum + f64::from(*value) * code(value));
            let squares: f64 = values.iter().fold(0.0, |sum, value| sum + code(value) * code(value));
            if squares > 0.0 && products * products / squares > best_gain {
                (best, best_gain) = ((products / squares) as f32, products * products / squares);
            }
        }
        best
    }

    #[test]
    fn scales_that_are_tried_side_by_side_are_those_of_one_by_one() {
        for seed in 0..200_u32 {
            let wide = (seed % 7) as f32;
            let at = |i: u32| (i + 77 * seed).wrapping_mul(2_654_435_761) as f32 / 2.0_f32.powi(31) - 1.0;
            let values: Vec<f32> = (0..32).map(|i| at(i) * (wide * at(i + 1000)).exp()).collect();
            for middle in [8.0, 128.0] {
                assert_eq!(super::best_scale(&values, middle), one_by_one(&values, middle), "{values:?}");
            }
        }
    }

    #[test]
    fn weighed_errors_are_smaller_where_they_matter() {
        let values: Vec<f32> = (0..32_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 8) as f32 / 8e6 - 1.0).collect();
        let weights: Vec<f32> = (0..32).map(|i| if i % 4 == 0 { 100.0 } else { 1.0 }).collect();
        let loss = |used: Option<&[f32]>, weights: &[f32]| -> f64 {
            let mut codes = vec![0; 32];
            let scale = block(&values, used, CodeBits::Four, ScaleFormat::F16, &mut codes);
            let error = |i: usize| (f32::from(codes[i]) - 8.0) * scale - values[i];
            (0..32).map(|i| f64::from(weights[i]) * f64::from(error(i)).powi(2)).sum()
        };
        assert!(
            loss(Some(&weights), &weights) < 0.99 * loss(None, &weights),
            "{} {}",
            loss(Some(&weights), &weights),
            loss(None, &weights)
        );
        let same = [2.0; 32];
        assert_eq!(loss(Some(&same), &same), loss(None, &same));
        assert_eq!(loss(Some(&[0.0; 32]), &same), loss(None, &same));
    }
}
