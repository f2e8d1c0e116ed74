//! Runs a bundle's own example twice: against the golden outputs, and against itself.
//!
//! Floats are compared by the relative L2 error of each output, integers and truth values exactly, and the two runs bit for
//! bit. It deliberately tests only what the bundle brings.

use crate::error::{Error, SelfTestError};
use crate::session::Session;
use crate::tensor::{Outputs, Tensor};
use flashmem_plan_format::Golden;
use flashmem_plan_format::plan::{ElementType, Port};
use half::f16;

#[cfg(not(target_arch = "wasm32"))]
impl Session {
    /// Runs the golden inputs twice and checks the outputs.
    ///
    /// # Errors
    /// [`Error::SelfTest`] when the bundle has no golden values, when a run is outside the tolerance, or when the runs
    /// differ; any error of a run.
    pub fn self_test(&mut self) -> Result<(), Error> {
        let parts = self.parts();
        let golden = parts.bundle.read_golden(&parts.source)?.ok_or(SelfTestError::NoGolden)?;
        let inputs = tensors(&parts.bundle.plan.inputs, &golden.inputs);
        let expected = tensors(&parts.bundle.plan.outputs, &golden.outputs);
        let mut first = None;
        for run in 1..=2 {
            let outputs = self.run(&inputs)?;
            check_run(run, &outputs, &expected, &golden)?;
            match &first {
                None => first = Some(outputs),
                Some(first) => check_repeated(first, &outputs)?,
            }
        }
        Ok(())
    }
}

fn tensors(ports: &[Port], values: &[Vec<u8>]) -> Vec<(String, Tensor)> {
    let tensor = |(port, bytes): (&Port, &Vec<u8>)| {
        let tensor = Tensor { element: port.element, shape: port.shape.clone(), bytes: bytes.clone() };
        (port.name.clone(), tensor)
    };
    ports.iter().zip(values).map(tensor).collect()
}

fn check_run(run: u32, outputs: &Outputs, expected: &[(String, Tensor)], golden: &Golden) -> Result<(), SelfTestError> {
    let tolerance = f64::from(golden.tolerance_relative_l2);
    for ((output, found), (_, expected)) in outputs.tensors.iter().zip(expected) {
        match (floats(found), floats(expected)) {
            (Some(found), Some(expected)) => {
                let error = relative_l2(&found, &expected);
                // Written so that a NaN fails.
                if !matches!(error.partial_cmp(&tolerance), Some(std::cmp::Ordering::Less | std::cmp::Ordering::Equal))
                {
                    return Err(SelfTestError::Tolerance { run, output: output.clone(), error, tolerance });
                }
            }
            _ => check_exact(run, output, found, expected)?,
        }
    }
    Ok(())
}

fn check_exact(run: u32, output: &str, found: &Tensor, expected: &Tensor) -> Result<(), SelfTestError> {
    match first_difference(&found.bytes, &expected.bytes) {
        None => Ok(()),
        Some(byte) => {
            let element = byte / found.element.api_bytes();
            Err(SelfTestError::Value { run, output: output.to_owned(), element })
        }
    }
}

fn check_repeated(first: &Outputs, second: &Outputs) -> Result<(), SelfTestError> {
    for ((output, first), (_, second)) in first.tensors.iter().zip(&second.tensors) {
        if let Some(byte) = first_difference(&first.bytes, &second.bytes) {
            return Err(SelfTestError::NotRepeatable { output: output.clone(), byte });
        }
    }
    Ok(())
}

fn first_difference(a: &[u8], b: &[u8]) -> Option<u64> {
    let differing = a.iter().zip(b).position(|(a, b)| a != b);
    differing.or_else(|| (a.len() != b.len()).then(|| a.len().min(b.len()))).map(|byte| byte as u64)
}

/// The elements of a tensor of floats.
fn floats(tensor: &Tensor) -> Option<Vec<f64>> {
    match tensor.element {
        ElementType::F32 => {
            Some(tensor.bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes).into()).collect())
        }
        ElementType::F16 => {
            Some(tensor.bytes.as_chunks::<2>().0.iter().map(|bytes| f16::from_le_bytes(*bytes).into()).collect())
        }
        ElementType::I32 | ElementType::I64 | ElementType::U8 | ElementType::I8 | ElementType::Bool => None,
    }
}

/// ‖found − expected‖ / ‖expected‖; the absolute error where the expected norm is 0.
fn relative_l2(found: &[f64], expected: &[f64]) -> f64 {
    let squares = found.iter().zip(expected).map(|(found, expected)| (found - expected).powi(2));
    let error = squares.sum::<f64>().sqrt();
    let norm = expected.iter().map(|value| value.powi(2)).sum::<f64>().sqrt();
    if norm > 0.0 { error / norm } else { error }
}
