//! What a device can hold and bind: limits that plans are made for, and refused by.
//!
//! Each but one is a WebGPU limit. What a profile does not say is what every WebGPU device guarantees. It deliberately holds only
//! limits on which a plan has a choice or that its tensors can exceed; those of kernels (workgroups, bindings) are WebGPU's
//! own everywhere.

use flashmem_plan_format::plan::Requirements;
use serde::{Deserialize, Serialize};

/// Most bytes that a limit may be: what 32-bit indices of words reach.
const MAX_BYTES: u64 = 1 << 34;
/// Fewest bytes of a buffer or binding: one page of the largest size.
const MIN_BYTES: u64 = 4 << 20;
/// Fewest rounds of loops: with less, parts of a sum would be too many.
const MIN_ROUNDS: u32 = 16 << 10;

/// Limits of one device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DeviceLimits {
    /// `max_storage_buffer_binding_size`: most bytes of one tensor.
    pub storage_binding_bytes: u64,
    /// `max_buffer_size`: most bytes of all activations together, and of all constants.
    pub buffer_bytes: u64,
    /// `max_texture_array_layers`: most pages that are resident at once.
    pub texture_array_layers: u32,
    /// `max_texture_dimension_2d`: most rows of texels in a page.
    pub texture_side: u32,
    /// Most rounds that the loops of one invocation take in all; `None` where the device ends none. Software adapters do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loop_rounds: Option<u32>,
}

impl DeviceLimits {
    /// What every WebGPU device guarantees.
    pub const GUARANTEED: Self = Self {
        storage_binding_bytes: 128 << 20,
        buffer_bytes: 256 << 20,
        texture_array_layers: 256,
        texture_side: 8192,
        loop_rounds: None,
    };

    /// The first limit outside its range: name, value and range.
    pub(super) fn out_of_range(&self) -> Option<(&'static str, f64, &'static str)> {
        let bytes =
            [("limits.storage_binding_bytes", self.storage_binding_bytes), ("limits.buffer_bytes", self.buffer_bytes)];
        let counts =
            [("limits.texture_array_layers", self.texture_array_layers), ("limits.texture_side", self.texture_side)];
        let bytes = bytes.into_iter().find(|(_, value)| !(MIN_BYTES..=MAX_BYTES).contains(value));
        let counts = counts.into_iter().find(|(_, value)| !(256..=1 << 20).contains(value));
        match (bytes, counts) {
            (Some((name, value)), _) => Some((name, value as f64, "from 4 MiB to 16 GiB")),
            (None, Some((name, value))) => Some((name, value.into(), "from 256 to 1048576")),
            (None, None) => {
                let few = self.loop_rounds.filter(|rounds| *rounds < MIN_ROUNDS);
                few.map(|rounds| ("limits.loop_rounds", rounds.into(), "at least 16384"))
            }
        }
    }

    /// The first limit that a plan exceeds.
    pub fn exceeded_by(&self, needs: &Requirements) -> Option<ExceededLimit> {
        let pairs = [
            ("max_storage_buffer_binding_size", needs.storage_binding_bytes, self.storage_binding_bytes),
            ("max_buffer_size", needs.buffer_bytes, self.buffer_bytes),
            ("max_texture_array_layers", needs.texture_array_layers.into(), self.texture_array_layers.into()),
            ("max_texture_dimension_2d", needs.texture_side.into(), self.texture_side.into()),
            ("loop_rounds", needs.loop_rounds.into(), self.loop_rounds.unwrap_or(u32::MAX).into()),
        ];
        let over = pairs.into_iter().find(|(_, needed, available)| needed > available);
        over.map(|(limit, needed, available)| ExceededLimit { limit, needed, available })
    }
}

impl Default for DeviceLimits {
    fn default() -> Self {
        Self::GUARANTEED
    }
}

/// A limit that a plan exceeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExceededLimit {
    /// WebGPU's name, where it has one.
    pub limit: &'static str,
    /// What the plan needs.
    pub needed: u64,
    /// What the device has.
    pub available: u64,
}
