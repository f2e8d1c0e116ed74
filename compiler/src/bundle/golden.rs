//! The golden self-test: one input and its reference output, computed on the CPU when compiling.
//!
//! Inputs are drawn from a fixed seed, or taken from an `.npz` file. Outputs come from the original model, untouched by our
//! optimiser; where float weights were rounded to small integers on request, from the graph with the weights that are stored,
//! so that a device is held to these. It deliberately sets one tolerance by precision, not by operator: it judges the whole
//! network.

use crate::graph::Graph;
use crate::graph::constant::Storage;
use crate::graph::interpret::{bytes_of, interpret, words_of};
use crate::graph::op::Op;
use crate::import::{ImportError, ImportOptions, golden_inputs, reference};
use crate::lower::program::Program;
use crate::pack::stored_constants;
use flashmem_plan_format::container::Golden;
use flashmem_plan_format::plan::{ElementType, Encoding};
use std::path::Path;

/// Relative L2 error that a device may have with f32 weights: sums in another order, and its own exp and tanh.
const TOLERANCE_F32: f32 = 1e-4;
/// With f16 weights: their rounding (2⁻¹¹) through a deep network. With f16 in the model as well: its own computation, which the
/// reference follows, rounds every result to f16, and the device's does not.
const TOLERANCE_F16: f32 = 1e-2;

/// Where the golden input comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GoldenSource {
    /// A fixed seed.
    Seed,
    /// Little-endian bytes of each input, in the API's element type and port order.
    Inputs(Vec<Vec<u8>>),
}

/// The golden test cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum GoldenError {
    /// The reference run failed.
    #[error("the reference output cannot be computed")]
    Reference(#[from] ImportError),
    /// The reference output holds NaN or infinity, with which nothing can be compared.
    #[error("the reference output `{output}` holds NaN or infinity: give a golden input with --golden INPUT.npz")]
    NotFinite {
        /// ONNX name.
        output: String,
    },
}

/// Makes the golden test of a model.
///
/// # Errors
/// See [`GoldenError`].
///
/// `mixed`: weights have encodings of their own.
pub fn golden(
    model: &Path,
    options: &ImportOptions,
    (graph, program): (&Graph, &Program),
    source: &GoldenSource,
    weights: Encoding,
    mixed: bool,
) -> Result<Golden, GoldenError> {
    let mut inputs = match source {
        GoldenSource::Seed => golden_inputs(graph),
        GoldenSource::Inputs(inputs) => inputs.clone(),
    };
    let named: Vec<(&str, &[u8])> =
        graph.inputs.iter().map(|port| port.name.as_str()).zip(inputs.iter().map(Vec::as_slice)).collect();
    let outputs = match weights {
        Encoding::F32 | Encoding::F16 if !mixed => {
            let mut found = reference(model, options, &named)?;
            let place = |name: &String| graph.outputs.iter().position(|port| port.name == *name);
            found.sort_by_key(|(name, _)| place(name));
            found.into_iter().map(|(_, bytes)| bytes).collect()
        }
        Encoding::F32 | Encoding::F16 | Encoding::Block(_) => of_stored_weights(graph, program, &inputs),
    };
    let outputs: Vec<Vec<u8>> = outputs.into_iter().take(graph.seen_outputs().len()).collect();
    // States are no inputs to those who see the bundle, and zeros in a first run, which the test is.
    inputs.truncate(graph.seen_inputs().len());
    for (port, bytes) in graph.outputs.iter().zip(&outputs) {
        if !all_finite(port.element, bytes) {
            return Err(GoldenError::NotFinite { output: port.name.clone() });
        }
    }
    let tolerance_relative_l2 = match weights {
        Encoding::F32 if !holds_halves(graph) => TOLERANCE_F32,
        Encoding::F32 | Encoding::F16 | Encoding::Block(_) => TOLERANCE_F16,
    };
    Ok(Golden { inputs, outputs, tolerance_relative_l2 })
}

/// The outputs of a graph with the weights that a program stores in blocks.
fn of_stored_weights(graph: &Graph, program: &Program, inputs: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let stored = stored_constants(program);
    let mut graph = graph.clone();
    for id in graph.node_ids() {
        if let Some(constant) = graph.constant(id).and_then(|constant| stored.get(&constant.address())) {
            graph.node_mut(id).op = Op::Constant(constant.clone());
        }
    }
    let words: Vec<Vec<u32>> =
        graph.inputs.iter().zip(inputs).map(|(port, bytes)| words_of(port.element, bytes)).collect();
    let outputs = interpret(&graph, &words);
    graph.outputs.iter().zip(&outputs).map(|(port, words)| bytes_of(port.element, words)).collect()
}

/// Whether a model has f16 anywhere that is still seen: at its interface or in its weights.
fn holds_halves(graph: &Graph) -> bool {
    let is_half = |id| graph.constant(id).is_some_and(|constant| constant.storage == Storage::F16);
    let mut ports = graph.inputs.iter().chain(&graph.outputs);
    ports.any(|port| port.element == ElementType::F16) || graph.node_ids().into_iter().any(is_half)
}

/// Whether every element of a tensor at the API is a number.
fn all_finite(element: ElementType, bytes: &[u8]) -> bool {
    match element {
        ElementType::F32 => bytes.as_chunks().0.iter().all(|bytes| f32::from_le_bytes(*bytes).is_finite()),
        ElementType::F16 => bytes.as_chunks().0.iter().all(|bytes| half::f16::from_le_bytes(*bytes).is_finite()),
        ElementType::I32 | ElementType::I64 | ElementType::U8 | ElementType::I8 | ElementType::Bool => true,
    }
}

#[cfg(test)]
mod tests {
    use super::{ElementType, all_finite};
    use half::f16;

    #[test]
    fn numbers_of_every_float_type_are_told_from_others() {
        for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let f32s = [1.0_f32, value, 2.0].map(f32::to_le_bytes).concat();
            let f16s = [1.0_f32, value, 2.0].map(|value| f16::from_f32(value).to_le_bytes()).concat();
            assert!(!all_finite(ElementType::F32, &f32s) && !all_finite(ElementType::F16, &f16s), "{value}");
            // The same bits as integers are integers.
            assert!(all_finite(ElementType::I32, &f32s) && all_finite(ElementType::U8, &f16s));
        }
        let largest = [f16::MAX, f16::MIN, f16::from_bits(1)].map(f16::to_le_bytes).concat();
        assert!(all_finite(ElementType::F16, &largest));
    }
}
