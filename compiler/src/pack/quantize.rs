//! Floats → codes and a scale: to the nearest code, with the scale that loses least.
//!
//! The scale of a block is searched: for each of a few scales around the one that puts the largest element on the last code, the
//! elements are rounded, and the best scale for these codes is the one of least squares. It is rounded to the format it is
//! stored in before the codes are made for good. The same values give the same codes on every machine: no sum depends on
//! an order that could change.

use flashmem_plan_format::encoding::{CodeBits, ScaleFormat};
use half::f16;

/// Steps of the search to either side, in tenths of a code.
const STEPS: i32 = 9;

/// Makes codes of a block about the middle; gives the scale as it is stored.
pub fn block(values: &[f32], bits: CodeBits, format: ScaleFormat, codes: &mut [u8]) -> f32 {
    let middle = bits.middle() as f32;
    let scale = stored(best_scale(values, middle), format);
    for (code, value) in codes.iter_mut().zip(values) {
        let nearest = if scale == 0.0 { 0.0 } else { (value / scale).round_ties_even() };
        *code = (nearest.clamp(-middle, middle - 1.0) + middle) as u8;
    }
    scale
}

/// The scale of least squares among those that are tried; its sign puts the largest element on the side with a code more.
fn best_scale(values: &[f32], middle: f32) -> f32 {
    let largest = values.iter().copied().fold(0.0_f32, |a, b| if b.abs() > a.abs() { b } else { a });
    if largest == 0.0 {
        return 0.0;
    }
    let (mut best, mut best_gain) = (largest / -middle, f64::NEG_INFINITY);
    for step in -STEPS..=STEPS {
        let inverse = -(middle + 0.1 * step as f32) / largest;
        let (mut products, mut squares) = (0.0_f64, 0.0_f64);
        for value in values {
            let code = (value * inverse).round_ties_even().clamp(-middle, middle - 1.0);
            products += f64::from(*value) * f64::from(code);
            squares += f64::from(code) * f64::from(code);
        }
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
        let scale = block(values, bits, ScaleFormat::F16, &mut codes);
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
}
