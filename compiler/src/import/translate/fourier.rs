//! Discrete Fourier transforms, as products with their matrix.
//!
//! A complex number is the last axis, (real, imaginary). Long transforms deliberately have no translation: the matrix grows
//! with the square of the length.

use super::context::{Outcome, Translator, variant};
use crate::graph::constant::Constant;
use crate::graph::op::Op;
use crate::import::reason::Reason;
use tract_onnx::prelude::TypedNode;
use tract_onnx::tract_core::ops::fft::Fft;

/// The longest axis whose matrix is built: with both parts it is 64 MiB.
const LONGEST: usize = 2048;

/// Σ x · exp(∓2πi n k / N) along an axis; tract scales an inverse transform itself.
pub fn transform(t: &mut Translator<'_>, node: &TypedNode, op: &Fft) -> Outcome {
    let x = t.input(node, 0)?;
    let shape = t.shape(x);
    let last = shape.len().saturating_sub(1);
    if op.axis >= last || shape[last] != 2 {
        return variant("of values that are not complex");
    }
    let size = shape[op.axis];
    if size == 0 || size > LONGEST {
        return variant(Reason::form("over an axis longer than {}", [LONGEST.into()]));
    }
    // The transformed axis beside the parts of the complex numbers, then one product over both.
    let there: Vec<usize> = (0..last).filter(|axis| *axis != op.axis).chain([op.axis, last]).collect();
    let turned = t.transpose(x, there.clone())?;
    let turned_shape = t.shape(turned);
    let rows: usize = turned_shape[..last - 1].iter().product();
    let flat = t.reshape(turned, &[rows, 2 * size]);
    let matrix = t.emit_constant(Constant::from_f32(vec![2 * size, 2 * size], &matrix(size, op.inverse)));
    let product = Op::Einsum { a: vec![0, 1], b: vec![1, 2], output: vec![0, 2] };
    let y = t.emit(product, &[flat, matrix])?;
    let y = t.reshape(y, &turned_shape);
    let mut back = vec![0; there.len()];
    for (to, from) in there.iter().enumerate() {
        back[*from] = to;
    }
    Ok(vec![t.transpose(y, back)?])
}

/// (2n, 2k): rows are the parts of an input element, columns those of an output element.
fn matrix(size: usize, inverse: bool) -> Vec<f32> {
    let mut values = Vec::with_capacity(4 * size * size);
    for row in 0..2 * size {
        for column in 0..2 * size {
            let (n, k) = (row / 2, column / 2);
            // The remainder keeps the angle small and exact.
            let angle = 2.0 * std::f64::consts::PI * ((n * k) % size) as f64 / size as f64;
            let angle = if inverse { angle } else { -angle };
            let value = match (row % 2, column % 2) {
                (0, 0) | (1, 1) => angle.cos(),
                (0, _) => angle.sin(),
                (_, _) => -angle.sin(),
            };
            values.push(value as f32);
        }
    }
    values
}
