//! What lowering may assume, and why it refuses.

use crate::kernels::Math;
use crate::profile::{DeviceProfile, Tiles};
use flashmem_plan_format::plan::{Encoding, MAX_PAGES_PER_DISPATCH, PageGeometry};

/// What lowering may assume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LowerOptions {
    /// How weights are stored, apart from those that only f32 holds.
    pub encoding: Encoding,
    /// Shape of the pages.
    pub page: PageGeometry,
    /// Most pages that one call may read, at least 2.
    pub max_pages_per_call: u32,
    /// Most bytes of one tensor: what a device may bind.
    pub max_binding_bytes: u64,
    /// Most rounds that the loops of one invocation may take in all; `None` where the device ends none.
    pub max_rounds: Option<u64>,
    /// Variants of the heavy kernels.
    pub tiles: Tiles,
    /// Workgroups from which on larger tiles pay; `None` where they never do.
    pub busy_workgroups: Option<u32>,
    /// What products with weights are computed in.
    pub math: Math,
    /// Whether siblings are computed in one call: it takes one tensor for all of them.
    pub joins_siblings: bool,
}

impl Default for LowerOptions {
    /// What any device with WebGPU can do, with weights in f32 and pages of 1 MiB.
    fn default() -> Self {
        Self {
            encoding: Encoding::F32,
            page: PageGeometry { rows: 256 },
            max_pages_per_call: MAX_PAGES_PER_DISPATCH,
            max_binding_bytes: 128 << 20,
            max_rounds: None,
            tiles: Tiles::Gpu,
            busy_workgroups: None,
            math: Math::F32,
            joins_siblings: true,
        }
    }
}

impl LowerOptions {
    /// What this device can do.
    pub fn on(profile: &DeviceProfile) -> Self {
        Self {
            max_binding_bytes: profile.limits.storage_binding_bytes,
            max_rounds: profile.limits.loop_rounds.map(u64::from),
            tiles: profile.tiles,
            busy_workgroups: profile.busy_workgroups,
            ..Self::default()
        }
    }
}

/// A graph cannot be lowered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LowerError {
    /// A tensor exceeds one binding.
    #[error("node `{node}`: a tensor of {size_bytes} bytes exceeds the {limit_bytes} bytes that one binding may hold")]
    TensorTooLarge {
        /// ONNX name.
        node: String,
        /// Its size.
        size_bytes: u64,
        /// The limit.
        limit_bytes: u64,
    },
    /// The kernels have no form for this node.
    #[error("node `{node}` ({op}): {reason}")]
    NoKernel {
        /// ONNX name.
        node: String,
        /// Operator.
        op: &'static str,
        /// What is not supported.
        reason: &'static str,
    },
    /// The device ends the loops of an invocation too soon, and the node's work has no form in parts.
    #[error(
        "node `{node}`: an invocation of kernel {kernel} takes {rounds} rounds of loops, and the device ends them after {limit}"
    )]
    TooManyRounds {
        /// ONNX name.
        node: String,
        /// The kernel.
        kernel: &'static str,
        /// Its rounds.
        rounds: u64,
        /// The limit.
        limit: u64,
    },
    /// One panel of a weight needs more pages than a call may read: larger pages are needed.
    #[error("node `{node}`: one panel of its weight needs {pages} pages, a call may read {limit}")]
    PanelTooLarge {
        /// ONNX name.
        node: String,
        /// Pages of one panel.
        pages: u64,
        /// The limit.
        limit: u32,
    },
}
