//! Runs a bundle's own example twice: against the golden outputs, and against itself.
//!
//! States start as zeros in both.
//! Floats are compared by the relative L2 error of each output, integers and booleans exactly, and the two runs bit for
//! bit. It deliberately tests only what the bundle brings.

use super::run::Session;
use crate::api::{Error, Outputs, SelfTestError, Tensor};
use crate::io::watched;
use crate::time::Wait;
use flashmem_plan_format::plan::{ElementType, Port};
use half::f16;
use std::sync::Arc;

impl Session {
    /// Runs the golden inputs twice and checks the outputs.
    ///
    /// # Errors
    /// [`Error::SelfTest`] when the bundle has no golden values, when a run is outside the tolerance, or when the runs
    /// differ; any error of a run.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn self_test(&mut self) -> Result<(), Error> {
        let example = pollster::block_on(Example::of(self))?;
        self.reset_state()?;
        let first = self.run(&example.inputs)?;
        example.check_run(1, &first)?;
        self.reset_state()?;
        let second = self.run(&example.inputs)?;
        example.check_run(2, &second)?;
        Ok(check_repeated(&first, &second)?)
    }

    /// As a blocking self-test, where blocking is not allowed.
    ///
    /// # Errors
    /// As for a blocking self-test.
    pub async fn self_test_async(&mut self) -> Result<(), Error> {
        let example = Example::of(self).await?;
        self.reset_state()?;
        let first = self.run_async(&example.inputs).await?;
        example.check_run(1, &first)?;
        self.reset_state()?;
        let second = self.run_async(&example.inputs).await?;
        example.check_run(2, &second)?;
        Ok(check_repeated(&first, &second)?)
    }
}

/// The golden values as tensors.
struct Example {
    inputs: Vec<(String, Tensor)>,
    outputs: Vec<(String, Tensor)>,
    /// Greatest accepted relative L2 error.
    tolerance: f64,
}

impl Example {
    async fn of(session: &Session) -> Result<Self, Error> {
        let bundle = Arc::clone(&session.loaded.bundle);
        let wait = Wait::blocking(session.options.timeout);
        let during = "reading the golden values";
        let golden = watched(&session.input.source, &wait, during, move |source| bundle.read_golden(source)).await??;
        let golden = golden.ok_or(SelfTestError::NoGolden)?;
        let plan = &session.loaded.bundle.plan;
        Ok(Self {
            inputs: tensors(&plan.inputs, golden.inputs),
            outputs: tensors(&plan.outputs, golden.outputs),
            tolerance: golden.tolerance_relative_l2.into(),
        })
    }

    fn check_run(&self, run: u32, outputs: &Outputs) -> Result<(), SelfTestError> {
        for ((output, found), (_, expected)) in outputs.tensors.iter().zip(&self.outputs) {
            match (floats(found), floats(expected)) {
                (Some(found), Some(expected)) => self.check_floats(run, output, &found, &expected)?,
                _ => check_exact(run, output, found, expected)?,
            }
        }
        Ok(())
    }

    fn check_floats(&self, run: u32, output: &str, found: &[f64], expected: &[f64]) -> Result<(), SelfTestError> {
        let (error, tolerance) = (relative_l2(found, expected), self.tolerance);
        // A NaN is within no tolerance.
        if error <= tolerance {
            return Ok(());
        }
        Err(SelfTestError::Tolerance { run, output: output.to_owned(), error, tolerance })
    }
}

fn tensors(ports: &[Port], values: Vec<Vec<u8>>) -> Vec<(String, Tensor)> {
    let tensor = |(port, bytes): (&Port, Vec<u8>)| {
        (port.name.clone(), Tensor { element: port.element, shape: port.shape.clone(), bytes })
    };
    ports.iter().zip(values).map(tensor).collect()
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

/// ‖found − expected‖ / ‖expected‖; the absolute error where the expected norm is 0. NaN and infinities that coincide are no
/// error, and infinitely much where they do not.
fn relative_l2(found: &[f64], expected: &[f64]) -> f64 {
    let same = |(found, expected): &(&f64, &f64)| found == expected || (found.is_nan() && expected.is_nan());
    let different: Vec<_> = found.iter().zip(expected).filter(|pair| !same(pair)).collect();
    if different.iter().any(|(found, expected)| !found.is_finite() || !expected.is_finite()) {
        return f64::INFINITY;
    }
    let squares = different.into_iter().map(|(found, expected)| (found - expected).powi(2));
    let error = squares.sum::<f64>().sqrt();
    let finite = expected.iter().filter(|value| value.is_finite());
    let norm = finite.map(|value| value.powi(2)).sum::<f64>().sqrt();
    if norm > 0.0 { error / norm } else { error }
}
#[cfg(test)]
mod tests {
    use super::relative_l2;

    #[test]
    fn nan_and_infinities_must_coincide() {
        let expected = [f64::NAN, 3.0, f64::NEG_INFINITY, 4.0];
        assert_eq!(relative_l2(&expected, &expected), 0.0);
        assert_eq!(relative_l2(&[f64::NAN, 3.0, f64::NEG_INFINITY, 9.0], &expected), 1.0);
        for (at, value) in [(0, 1.0), (1, f64::NAN), (2, f64::INFINITY), (3, f64::INFINITY)] {
            let mut found = expected;
            found[at] = value;
            assert_eq!(relative_l2(&found, &expected), f64::INFINITY);
        }
    }
}
