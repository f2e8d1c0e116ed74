//! What half precision takes from the channels of a weight, and the powers of two that bring them into its range.
//!
//! Below 2⁻¹⁴, f16 has fewer than 11 bits, and a device may take what lies there for zero; above 65504 it has infinity alone. A
//! channel fits when what is below changes it by at most 2⁻¹² of its L2 norm as f16 rounds it, and by at most 2⁻⁹ as zeros.
//! Zeros, infinities, NaNs and f32's own subnormals (zeros on a device, whatever the precision) do not count. It knows no graph.

use crate::graph::constant::{Constant, Storage};
use half::f16;

/// Exponent of the smallest number with all of its bits.
const MIN_EXPONENT: i32 = -14;
/// Exponent to which the largest element of a channel may be brought: half of what would overflow.
const MAX_EXPONENT: i32 = 14;
/// Largest shift: the factor that undoes it is a normal f32.
const MAX_SHIFT: i32 = 126;
/// Squares of the relative L2 errors above.
const ROUNDED: f64 = 1.0 / (1_u64 << 24) as f64;
const FLUSHED: f64 = 1.0 / (1_u64 << 18) as f64;

/// How the elements of a dense tensor fall into channels.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Channels {
    /// Number of channels.
    pub count: usize,
    /// (size, distance in channels) of every axis, outermost first; neighbours of one kind are merged.
    axes: Vec<(usize, usize)>,
}

impl Channels {
    /// One channel for every index along `channel_axes`, which ascend: the last counts fastest.
    pub fn of(shape: &[usize], channel_axes: &[usize]) -> Self {
        let (mut count, mut axes) = (1, Vec::<(usize, usize)>::new());
        for (axis, size) in shape.iter().copied().enumerate().rev().filter(|(_, size)| *size != 1) {
            let step = if channel_axes.contains(&axis) { count } else { 0 };
            count *= if step > 0 { size } else { 1 };
            match axes.last_mut() {
                Some((inner, inner_step)) if *inner_step * *inner == step && (*inner_step > 0) == (step > 0) => {
                    *inner *= size;
                }
                Some(_) | None => axes.push((size, step)),
            }
        }
        axes.reverse();
        Self { count, axes }
    }

    /// Calls `visit` with (first element, elements, first channel, channels from one element to the next) of every run.
    fn runs(&self, mut visit: impl FnMut(usize, usize, usize, usize)) {
        let Some((&(length, step), outer)) = self.axes.split_last() else { return visit(0, 1, 0, 0) };
        let runs: usize = outer.iter().map(|(size, _)| size).product();
        let mut index = vec![0; outer.len()];
        for run in 0..runs {
            let channel = index.iter().zip(outer).map(|(i, (_, step))| i * step).sum();
            visit(run * length, length, channel, step);
            for (i, (size, _)) in index.iter_mut().zip(outer).rev() {
                *i += 1;
                if *i < *size {
                    break;
                }
                *i = 0;
            }
        }
    }

    /// Calls `visit` with the channel and value of every element, in order.
    pub fn values(&self, constant: &Constant, mut visit: impl FnMut(usize, f32)) {
        let mut buffer = Vec::new();
        self.runs(|first, length, channel, step| {
            buffer.resize(length, 0.0);
            constant.read_f32(first, &mut buffer);
            buffer.iter().enumerate().for_each(|(i, value)| visit(channel + i * step, *value));
        });
    }
}

/// What decides whether a channel fits.
#[derive(Debug, Clone, Copy)]
struct Sums {
    squares: f64,
    below_squares: f64,
    below_count: u64,
    largest: f32,
    smallest: f32,
}

impl Sums {
    const NONE: Self = Self { squares: 0.0, below_squares: 0.0, below_count: 0, largest: 0.0, smallest: f32::INFINITY };

    fn add(&mut self, value: f32, border: f64) {
        let size = value.abs();
        if !value.is_normal() {
            return;
        }
        let wide = f64::from(size);
        self.squares += wide * wide;
        if wide < border {
            self.below_squares += wide * wide;
            self.below_count += 1;
        }
        self.largest = self.largest.max(size);
        self.smallest = self.smallest.min(size);
    }

    /// Whether the channel fits, its elements times 2^`shift`. `exact`: they are stored as f16 and lose nothing as they are.
    fn fit(&self, shift: i32, exact: bool, reader: Reader) -> bool {
        let half_step = exp2(-25 - shift);
        let overflows = f64::from(self.largest) * exp2(shift) > f64::from(f16::MAX.to_f32());
        let rounded =
            (exact && shift == 0) || self.below_count as f64 * half_step * half_step <= ROUNDED * self.squares;
        let flushed = reader == Reader::Host || self.below_squares <= FLUSHED * self.squares;
        !overflows && rounded && flushed
    }

    /// The shift that brings the largest element to 2⁰ where then nothing is below the range, and as high as it may be otherwise.
    fn requested_shift(&self) -> i32 {
        if self.squares == 0.0 {
            return 0;
        }
        let (largest, smallest) = (exponent(self.largest), exponent(self.smallest));
        let shift = if smallest - largest >= MIN_EXPONENT { -largest } else { MAX_EXPONENT - largest };
        shift.min(MAX_SHIFT)
    }
}

/// ⌊log2⌋ of a normal number.
const fn exponent(value: f32) -> i32 {
    ((value.to_bits() >> 23) & 0xff) as i32 - 127
}

/// 2^`exponent`.
pub fn exp2(exponent: i32) -> f64 {
    2.0_f64.powi(exponent)
}

/// What reads stored elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    /// A device, which may take subnormals for zero.
    Device,
    /// The host, which does not.
    Host,
}

/// How a tensor goes into half precision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fit {
    /// As it is.
    AsIs,
    /// Every element times 2 to this power.
    Uniform(i32),
    /// The elements of every channel times 2 to its power.
    PerChannel(Vec<i32>),
    /// Not at all: a channel spans too much.
    Never,
}

fn sums(constant: &Constant, channels: &Channels, shift: impl Fn(usize) -> i32) -> Vec<Sums> {
    let borders: Vec<f64> = (0..channels.count).map(|channel| exp2(MIN_EXPONENT - shift(channel))).collect();
    let mut sums = vec![Sums::NONE; channels.count];
    channels.values(constant, |channel, value| sums[channel].add(value, borders[channel]));
    sums
}

/// How `constant` goes into half precision.
pub fn fit(constant: &Constant, channels: &Channels, reader: Reader) -> Fit {
    let exact = constant.storage == Storage::F16;
    let plain = sums(constant, channels, |_| 0);
    if plain.iter().all(|sums| sums.fit(0, exact, reader)) {
        return Fit::AsIs;
    }
    let whole = plain.iter().fold(Sums::NONE, |all, sums| Sums {
        squares: all.squares + sums.squares,
        largest: all.largest.max(sums.largest),
        smallest: all.smallest.min(sums.smallest),
        ..all
    });
    let shift = whole.requested_shift();
    if sums(constant, channels, |_| shift).iter().all(|sums| sums.fit(shift, exact, reader)) {
        return Fit::Uniform(shift);
    }
    let own = |sums: &Sums| if sums.fit(0, exact, reader) { 0 } else { sums.requested_shift() };
    let shifts: Vec<i32> = plain.iter().map(own).collect();
    let shifted = sums(constant, channels, |channel| shifts[channel]);
    let all_fit = shifted.iter().zip(&shifts).all(|(sums, shift)| sums.fit(*shift, exact, reader));
    if all_fit { Fit::PerChannel(shifts) } else { Fit::Never }
}

/// The constant in half precision, the elements of every channel times 2 to the power of its shift, and the largest relative
/// L2 error of a channel.
pub fn shifted(constant: &Constant, channels: &Channels, shift: impl Fn(usize) -> i32) -> (Constant, f64) {
    let factors: Vec<(f32, f64)> =
        (0..channels.count).map(shift).map(|shift| (exp2(shift) as f32, exp2(-shift))).collect();
    let mut bytes = Vec::with_capacity(constant.len() * 2);
    let mut errors = vec![(0.0_f64, 0.0_f64); channels.count];
    channels.values(constant, |channel, value| {
        let (factor, back) = factors[channel];
        let stored = f16::from_f32(value * factor);
        bytes.extend(stored.to_le_bytes());
        if value.is_normal() {
            let error = f64::from(value) - stored.to_f64() * back;
            errors[channel].0 += error * error;
            errors[channel].1 += f64::from(value).powi(2);
        }
    });
    let worst = errors.iter().filter(|(_, norm)| *norm > 0.0).map(|(error, norm)| (error / norm).sqrt());
    let worst = worst.fold(0.0, f64::max);
    let stored = Constant::new(constant.shape.clone(), Storage::F16, std::sync::Arc::new(bytes));
    (stored.expect("two bytes for every element"), worst)
}

#[cfg(test)]
mod tests {
    use super::{Channels, Fit, Reader, fit, shifted};
    use crate::graph::constant::Constant;

    /// Rows of (3, 4), or columns of (4, 3).
    fn weight(rows: [[f32; 4]; 3], by_row: bool) -> (Constant, Channels) {
        let turned: Vec<f32> = (0..4).flat_map(|i| rows.iter().map(move |row| row[i])).collect();
        if by_row {
            (Constant::from_f32(vec![3, 4], &rows.concat()), Channels::of(&[3, 4], &[0]))
        } else {
            (Constant::from_f32(vec![4, 3], &turned), Channels::of(&[4, 3], &[1]))
        }
    }

    fn check(rows: [[f32; 4]; 3], expected: &Fit) {
        for by_row in [true, false] {
            let (constant, channels) = weight(rows, by_row);
            assert_eq!(fit(&constant, &channels, Reader::Device), *expected, "{rows:?}");
            let shift = |channel: usize| match expected {
                Fit::AsIs | Fit::Never => 0,
                Fit::Uniform(shift) => *shift,
                Fit::PerChannel(shifts) => shifts[channel],
            };
            let (stored, error) = shifted(&constant, &channels, shift);
            assert!(error <= 1.0 / 2048.0, "{rows:?}: {error}");
            assert_eq!(fit(&stored, &channels, Reader::Device), Fit::AsIs, "{rows:?} fits when it is shifted");
        }
    }

    const ONES: [f32; 4] = [1.0, -0.5, 0.25, 1.0 / 3.0];

    fn times(factor: f32) -> [f32; 4] {
        ONES.map(|v| v * factor)
    }

    #[test]
    fn what_fits_stays_as_it_is() {
        check([ONES, [0.0; 4], [65504.0, 1e-5, f32::NAN, f32::INFINITY]], &Fit::AsIs);
        check([ONES, [1e-40; 4], ONES], &Fit::AsIs);
        check([ONES, [1.0, 1e-6, 1e-7, 1e-8], ONES], &Fit::AsIs);
    }

    #[test]
    fn all_channels_share_a_factor_where_they_can() {
        check([times(1e-6), times(2e-6), times(1e-6)], &Fit::Uniform(19));
        check([times(1e-8), times(1e-8), [0.0; 4]], &Fit::Uniform(27));
        check([times(1e5), ONES, ONES], &Fit::Uniform(-2));
        check([times(1e38), times(1e38), times(1e38)], &Fit::Uniform(-126));
        check([times(2e-38), times(2e-38), times(2e-38)], &Fit::Uniform(126));
    }

    #[test]
    fn channels_far_apart_have_their_own() {
        check([times(1e-20), ONES, times(1e6)], &Fit::PerChannel(vec![67, 0, -19]));
        check([[1e10, 1e-10, 1e-10, 1e-10], ONES, times(1e-10)], &Fit::PerChannel(vec![-19, 0, 34]));
    }

    #[test]
    fn the_host_reads_subnormals_that_half_precision_stores_exactly() {
        let (constant, channels) = weight([times(1e-6), ONES, ONES], true);
        let halves: Vec<u8> = constant.to_f32().iter().flat_map(|v| half::f16::from_f32(*v).to_le_bytes()).collect();
        let halves = Constant::new(vec![3, 4], crate::graph::constant::Storage::F16, std::sync::Arc::new(halves));
        let halves = halves.expect("two bytes an element");
        assert_eq!(fit(&halves, &channels, Reader::Host), Fit::AsIs);
        assert_ne!(fit(&halves, &channels, Reader::Device), Fit::AsIs);
        assert_ne!(fit(&constant, &channels, Reader::Host), Fit::AsIs);
    }

    #[test]
    fn channels_of_several_axes_count_the_last_fastest() {
        let values: Vec<f32> = (0..24).map(|v| v as f32).collect();
        let constant = Constant::from_f32(vec![2, 3, 4], &values);
        let mut found = vec![Vec::new(); 8];
        Channels::of(&[2, 3, 4], &[0, 2]).values(&constant, |channel, value| found[channel].push(value));
        assert_eq!(found[1], [1.0, 5.0, 9.0]);
        assert_eq!(found[4], [12.0, 16.0, 20.0]);
        assert_eq!(Channels::of(&[1, 1], &[0]).count, 1);
    }
}
