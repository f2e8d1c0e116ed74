//! Runs a bundle's own example twice: against the golden outputs, and against itself.
//!
//! States start as zeros in both.
//! Floats are compared by the relative L2 error of each output, integers and booleans exactly, and the two runs bit for
//! bit. It deliberately tests only what the bundle brings.

use super::run::Session;
use crate::api::{Error, Outputs, RunRequest, SelfTestError, Tensor};
use crate::io::watched;
use crate::time::Wait;
use flashmem_plan_format::Golden;
use flashmem_plan_format::plan::{ElementType, Port};
use flashmem_plan_format::source::ReadAt;
use half::f16;
use std::sync::Arc;

impl Session {
    /// Runs the golden inputs twice and checks the outputs; of a bundle of several networks, those of each that has any.
    ///
    /// # Errors
    /// [`Error::SelfTest`] when the bundle has no golden values, when a run is outside the tolerance, or when the runs
    /// differ; any error of a run.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn self_test(&mut self) -> Result<(), Error> {
        pollster::block_on(self.test(true))
    }

    /// As a blocking self-test, where blocking is not allowed.
    ///
    /// # Errors
    /// As for a blocking self-test.
    pub async fn self_test_async(&mut self) -> Result<(), Error> {
        self.test(false).await
    }

    async fn test(&mut self, may_block: bool) -> Result<(), Error> {
        let mut is_tested = false;
        for position in 0..self.loaded.networks.list.len().max(1) {
            let Some(example) = Example::of(self, position).await? else { continue };
            is_tested = true;
            let first = self.run_example(&example, 1, may_block).await?;
            let second = self.run_example(&example, 2, may_block).await?;
            check_repeated(&example, &first, &second)?;
        }
        if is_tested { Ok(()) } else { Err(SelfTestError::NoGolden.into()) }
    }

    async fn run_example(&mut self, example: &Example, run: u32, may_block: bool) -> Result<Outputs, Error> {
        self.reset_state()?;
        let mut request = RunRequest::new(&example.inputs).with_connected_outputs();
        request.network = example.network.as_deref();
        let outputs = self.run_once(request, may_block).await?;
        example.check_run(run, &outputs)?;
        Ok(outputs)
    }
}

/// The golden values as tensors.
struct Example {
    /// One of several.
    network: Option<String>,
    inputs: Vec<(String, Tensor)>,
    outputs: Vec<(String, Tensor)>,
    /// Greatest accepted relative L2 error.
    tolerance: f64,
}

impl Example {
    /// Of the only network, or of the one at a position; `None` where it has no golden values.
    async fn of(session: &Session, position: usize) -> Result<Option<Self>, Error> {
        let network = session.loaded.networks.list.get(position);
        let bundle = Arc::clone(network.map_or(&session.loaded.bundle, |network| &network.bundle));
        let wait = Wait::blocking(session.options.timeout);
        let (during, own, is_one) = ("reading the golden values", Arc::clone(&bundle), network.is_none());
        let read = move |source: &dyn ReadAt| {
            if is_one { own.read_golden(source) } else { own.read_golden_of(position as u32, source) }
        };
        let golden = watched(&session.input.source, &wait, during, read).await??;
        let example = |golden: Golden| Self {
            network: network.map(|network| network.name.clone()),
            inputs: tensors(&bundle.plan.inputs, golden.inputs),
            outputs: tensors(&bundle.plan.outputs, golden.outputs),
            tolerance: golden.tolerance_relative_l2.into(),
        };
        Ok(golden.map(example))
    }

    /// How errors name an output.
    fn named(&self, output: &str) -> String {
        self.network.as_ref().map_or_else(|| output.to_owned(), |network| format!("{network}.{output}"))
    }

    fn check_run(&self, run: u32, outputs: &Outputs) -> Result<(), SelfTestError> {
        for ((output, found), (_, expected)) in outputs.tensors.iter().zip(&self.outputs) {
            let output = self.named(output);
            match (floats(found), floats(expected)) {
                (Some(found), Some(expected)) => self.check_floats(run, &output, &found, &expected)?,
                _ => check_exact(run, &output, found, expected)?,
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

fn check_repeated(example: &Example, first: &Outputs, second: &Outputs) -> Result<(), SelfTestError> {
    for ((output, first), (_, second)) in first.tensors.iter().zip(&second.tensors) {
        if let Some(byte) = first_difference(&first.bytes, &second.bytes) {
            return Err(SelfTestError::NotRepeatable { output: example.named(output), byte });
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
