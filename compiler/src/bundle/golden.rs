//! The golden self-test: one input and its reference output, computed on the CPU when compiling.
//!
//! Inputs are drawn from a fixed seed, or taken from an `.npz` file. Outputs come from the original model, untouched by our
//! optimiser. It deliberately sets one tolerance by precision, not by operator: it judges the whole network.

use crate::graph::Graph;
use crate::import::{ImportError, ImportOptions, golden_inputs, reference};
use flashmem_plan_format::container::Golden;
use flashmem_plan_format::plan::TexelFormat;
use std::path::Path;

/// Relative L2 error that a device may have with f32 weights: sums in another order, and its own exp and tanh.
const TOLERANCE_F32: f32 = 1e-4;
/// With f16 weights: their rounding (2⁻¹¹) through a deep network.
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
    #[error("the reference output cannot be computed: {0}")]
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
pub fn golden(
    model: &Path,
    options: &ImportOptions,
    graph: &Graph,
    source: &GoldenSource,
    format: TexelFormat,
) -> Result<Golden, GoldenError> {
    let inputs = match source {
        GoldenSource::Seed => golden_inputs(graph),
        GoldenSource::Inputs(inputs) => inputs.clone(),
    };
    let named: Vec<(&str, &[u8])> =
        graph.inputs.iter().map(|port| port.name.as_str()).zip(inputs.iter().map(Vec::as_slice)).collect();
    let outputs = reference(model, options, &named)?;
    for (port, bytes) in graph.outputs.iter().zip(&outputs) {
        let is_float = port.element == flashmem_plan_format::plan::ElementType::F32;
        let finite = |b: &[u8]| f32::from_le_bytes([b[0], b[1], b[2], b[3]]).is_finite();
        if is_float && !bytes.chunks_exact(4).all(finite) {
            return Err(GoldenError::NotFinite { output: port.name.clone() });
        }
    }
    let tolerance_relative_l2 = match format {
        TexelFormat::Rgba32Float => TOLERANCE_F32,
        TexelFormat::Rgba16Float => TOLERANCE_F16,
    };
    Ok(Golden { inputs, outputs, tolerance_relative_l2 })
}
