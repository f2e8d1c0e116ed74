//! Poolings in terms of scatters. Windows that the device pools itself are deliberately not here.

use super::outcome::Rewritten;
use super::steps::{Attribute, Steps};
use crate::import::reason::Reason;

/// Every element at its index in zeros of the size that the pooling had read: a scatter. In an output of another size an
/// index counts elements of the smaller one for the specification's tests, of the output for ONNX Runtime: no reshape is
/// possible then, and the model is refused.
pub fn max_unpool(s: &mut Steps<'_>) -> Result<Rewritten, Reason> {
    let (x, indices) = (s.needed(0)?, s.needed(1)?);
    let kernel = s.ints_attribute("kernel_shape").ok_or("without kernel_shape")?.to_vec();
    let axes = kernel.len();
    let strides = s.sizes_attribute("strides", &vec![1; axes])?;
    let pads = s.sizes_attribute("pads", &vec![0; 2 * axes])?;
    let requested = match s.operand(2) {
        Some(shape) => Some(s.known.integers(shape).ok_or("an output shape that is computed")?.to_vec()),
        None => None,
    };
    if let (Some(x), Some(requested)) = (s.known.shape(x), &requested)
        && x.len() == axes + 2
    {
        let along =
            |i: usize| (x[2 + i] as i64 - 1) * strides[i] as i64 + kernel[i] - (pads[i] + pads[axes + i]) as i64;
        let mut pooled: Vec<i64> = x[..2].iter().map(|size| *size as i64).collect();
        pooled.extend((0..axes).map(along));
        let elements = |shape: &[i64]| shape.iter().try_fold(1_i64, |product, size| product.checked_mul(*size));
        if elements(&pooled).is_none() || elements(&pooled) != elements(requested) {
            return Err("an output larger than what was pooled, in which the meaning of indices is disputed".into());
        }
    }
    let strides: Vec<i64> = strides.iter().map(|v| *v as i64).collect();
    // (size − 1) · stride + kernel − pads, as size · stride + rest.
    let rest = |i: usize| kernel[i] - strides[i] - pads[i] as i64 - pads[axes + i] as i64;
    let rest: Vec<i64> = (0..axes).map(rest).collect();
    let spatial = s.shape(x, 2, 2 + axes as i64);
    let (strides, rest) = (s.ints(&strides), s.ints(&rest));
    let spatial = s.op("Mul", &[&spatial, &strides], &[]);
    let spatial = s.op("Add", &[&spatial, &rest], &[]);
    let leading = s.shape(x, 0, 2);
    let whole = s.op("Concat", &[&leading, &spatial], &[("axis", Attribute::Int(0))]);
    let (zero, flat) = (s.number_like(0.0, x), s.ints(&[-1]));
    let zeros = s.op("Expand", &[&zero, &whole], &[]);
    let zeros = s.op("Reshape", &[&zeros, &flat], &[]);
    let places = s.op("Reshape", &[indices, &flat], &[]);
    let values = s.op("Reshape", &[x, &flat], &[]);
    let scattered = s.op("ScatterElements", &[&zeros, &places, &values], &[("axis", Attribute::Int(0))]);
    let shape = requested.map_or(whole, |shape| s.ints(&shape));
    let y = s.op("Reshape", &[&scattered, &shape], &[]);
    s.give(0, &y);
    Ok(Rewritten::Replaced)
}
