//! How an output compares with what the node test expects.
//!
//! Integers and booleans are equal; NaN meets NaN and infinities meet their like. Floats may differ by the tolerances
//! below, tighter than those of ONNX's own runner (1e-3 relative). Shape and type always have to be right.

use flashmem_runtime::{ElementType, Tensor};

/// f32, relative to the element: elementary functions of GPUs are right to a few units in the last place, and their errors
/// add up in sums.
const RELATIVE_F32: f64 = 2e-5;

/// f32, relative to the largest element: sums in another order lose what cancels.
const ABSOLUTE_F32: f64 = 2e-6;

/// f16, relative to the element: one unit in the last place, where rounding falls to the other side.
const RELATIVE_F16: f64 = 1.0 / 1024.0;

/// f16, relative to the largest element: sums that are rounded once here and at every step there.
const ABSOLUTE_F16: f64 = 1.0 / 2048.0;

/// Tests whose expected values are written out with few decimals, and half a unit of the last one. The last but one of the
/// list has one value that is off by more: the reference evaluator and ONNX Runtime give 0.704924 where it says 0.705.
const ROUNDED: &[(&str, f64)] = &[
    ("test_averagepool_2d_ceil_last_window_starts_on_pad", 5e-5),
    ("test_gridsample_bicubic", 5e-5),
    ("test_roialign_aligned_false", 1e-4),
    ("test_roialign_aligned_true", 5e-5),
];

/// Why an output of test `test` is not the expected one; `None` when it is.
pub fn difference(test: &str, found: &Tensor, expected: &Tensor) -> Option<String> {
    if found.element != expected.element {
        return Some(format!("type {:?} instead of {:?}", found.element, expected.element));
    }
    if found.shape != expected.shape {
        return Some(format!("shape {:?} instead of {:?}", found.shape, expected.shape));
    }
    let (relative, absolute) = match found.element {
        ElementType::F32 => (RELATIVE_F32, ABSOLUTE_F32),
        ElementType::F16 => (RELATIVE_F16, ABSOLUTE_F16),
        ElementType::I32 | ElementType::I64 | ElementType::U8 | ElementType::I8 | ElementType::Bool => (0.0, 0.0),
    };
    let rounding = ROUNDED.iter().find(|(name, _)| *name == test).map_or(0.0, |(_, rounding)| *rounding);
    let (found, expected) = (values(found), values(expected));
    let largest = expected.iter().filter(|e| e.is_finite()).fold(0.0_f64, |m, e| m.max(e.abs()));
    let worst = found.iter().zip(&expected).enumerate().find(|(_, (f, e))| {
        let same = **f == **e || (f.is_nan() && e.is_nan());
        // Written so that a NaN on one side is a difference.
        let close = (**f - **e).abs() <= relative * e.abs() + absolute * largest + rounding;
        !(same || (close && e.is_finite()))
    });
    worst.map(|(index, (f, e))| format!("element {index} of {} is {f} instead of {e}", found.len()))
}

fn values(tensor: &Tensor) -> Vec<f64> {
    let bytes = &tensor.bytes;
    match tensor.element {
        ElementType::F32 => chunks(bytes).map(|b| f32::from_le_bytes(b).into()).collect(),
        ElementType::F16 => chunks(bytes).map(|b| half::f16::from_le_bytes(b).into()).collect(),
        ElementType::I32 => chunks(bytes).map(|b| i32::from_le_bytes(b).into()).collect(),
        // A device word has 32 bits: no value that could be right is rounded here.
        ElementType::I64 => chunks(bytes).map(|b| i64::from_le_bytes(b) as f64).collect(),
        ElementType::I8 => bytes.iter().map(|b| f64::from(*b as i8)).collect(),
        ElementType::U8 | ElementType::Bool => bytes.iter().map(|b| f64::from(*b)).collect(),
    }
}

fn chunks<const N: usize>(bytes: &[u8]) -> impl Iterator<Item = [u8; N]> {
    bytes.as_chunks::<N>().0.iter().copied()
}
