//! What one call has measured.

use super::child::Report;
use super::gpu_memory::GpuMemory;

/// All measurements of one call, by repetition.
#[derive(Debug, Default)]
pub(super) struct Measured {
    /// Bytes of the pages of a first run.
    pub(super) plan_bytes: u64,
    /// By number of threads, milliseconds.
    pub(super) raw_ms: Vec<(u32, Vec<f64>)>,
    pub(super) empty: Vec<Report>,
    pub(super) cold: Vec<Report>,
    pub(super) io_only: Vec<Report>,
    pub(super) warm: Option<Report>,
    /// With everything loaded, and of an empty device.
    pub(super) gpu_memory: Option<(GpuMemory, GpuMemory)>,
    /// Most bytes of the file that were still cached after it was dropped; `None` when it is not known.
    pub(super) still_cached_bytes: Option<u64>,
}
