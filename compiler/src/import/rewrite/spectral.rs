//! Transforms of frames of a signal.

use super::outcome::Rewritten;
use super::steps::{Attribute, Steps};
use crate::import::reason::Reason;
use std::f64::consts::TAU;

/// Longest frame: its transform is a product with a matrix of (length + 2) · length elements.
const MAX_ELEMENTS: i64 = 2048;

/// Weights of a convolution that transforms every frame: (frequencies · 2, parts of the signal, length), the real part of each
/// frequency before the imaginary one. exp(−2πi k t / length), times i for an imaginary part.
fn weights(frequencies: usize, parts: usize, length: usize) -> Vec<f32> {
    let mut values = Vec::with_capacity(2 * frequencies * parts * length);
    for k in 0..frequencies {
        for imaginary_result in [false, true] {
            for imaginary_signal in [false, true].into_iter().take(parts) {
                values.extend((0..length).map(|t| {
                    // The angle repeats, so that large products lose nothing.
                    let (sine, cosine) = (TAU * ((k * t) % length) as f64 / length as f64).sin_cos();
                    let value = match (imaginary_result, imaginary_signal) {
                        (false, false) | (true, true) => cosine,
                        (true, false) => -sine,
                        (false, true) => sine,
                    };
                    value as f32
                }));
            }
        }
    }
    values
}

/// Transforms of overlapping frames: a convolution with the matrix of the transform, times the window.
pub fn short_time_fourier(s: &mut Steps<'_>) -> Result<Rewritten, Reason> {
    let (signal, step) = (s.needed(0)?, s.needed(1)?);
    let step = match s.known.integers(step) {
        Some([step]) if *step > 0 => *step,
        _ => return Err("a frame step that is computed".into()),
    };
    let window = s.operand(2);
    let windowed = window.and_then(|w| s.known.shape(w)).map(|shape| shape.iter().product::<usize>() as i64);
    let length = match s.operand(3) {
        Some(length) => s.known.integers(length).and_then(|l| l.first().copied()),
        None => windowed,
    };
    let length = length.ok_or("a frame length that is computed")?;
    if !(1..=MAX_ELEMENTS).contains(&length) || windowed.is_some_and(|size| size != length) {
        return Err(Reason::form("frames of {} elements", [length.into()]));
    }
    if s.known.rank(signal).is_some_and(|(rank, _)| rank != 3) {
        return Err("a signal that has not the axes batch, length and part".into());
    }
    let one_sided = s.int_attribute("onesided").unwrap_or(1) != 0;
    let (frequencies, parts) = if one_sided { (length / 2 + 1, 1) } else { (length, 2) };
    let x = if one_sided {
        signal.to_owned()
    } else {
        // A real signal gets an imaginary part of zeros; of a complex one they are cut off again.
        let zero = s.number_like(0.0, signal);
        let zeros = s.op("Mul", &[signal, &zero], &[]);
        let both = s.op("Concat", &[signal, &zeros], &[("axis", Attribute::Int(2))]);
        let (from, to, axis) = (s.ints(&[0]), s.ints(&[2]), s.ints(&[2]));
        s.op("Slice", &[&both, &from, &to, &axis], &[])
    };
    let x = s.op("Transpose", &[&x], &[("perm", Attribute::Ints(&[0, 2, 1]))]);
    let values = weights(frequencies as usize, parts, length as usize);
    let matrix = s.floats(&[2 * frequencies as usize, parts, length as usize], &values);
    let mut matrix = s.op("CastLike", &[&matrix, signal], &[]);
    if let Some(window) = window {
        matrix = s.op("Mul", &[&matrix, window], &[]);
    }
    let attributes = [("strides", Attribute::Ints(&[step])), ("kernel_shape", Attribute::Ints(&[length]))];
    let frames = s.op("Conv", &[&x, &matrix], &attributes);
    let shape = s.ints(&[0, frequencies, 2, -1]);
    let frames = s.op("Reshape", &[&frames, &shape], &[]);
    let y = s.op("Transpose", &[&frames], &[("perm", Attribute::Ints(&[0, 3, 1, 2]))]);
    s.give(0, &y);
    Ok(Rewritten::Replaced)
}
