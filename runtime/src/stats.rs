//! What a session measured, for people and for `--stats`.

use serde::Serialize;

/// Memory, bytes and times of a session so far.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Stats {
    /// Name of the adapter.
    pub adapter: String,
    /// Graphics API behind it.
    pub backend: String,
    /// Whether it computes on the CPU.
    pub software: bool,
    /// The peak that the bundle declares.
    pub declared_peak_bytes: u64,
    /// The worst of all samples of what was really held: device resources and host memory.
    pub measured_peak_bytes: u64,
    /// Whether the measured peak exceeds the declared one: a bug of compiler or runtime.
    pub declared_exceeded: bool,
    /// What the device allocator handed out; `None` where the backend does not tell.
    pub device_allocated_bytes: Option<u64>,
    /// What the device allocator has from the driver: unused parts of its blocks and wgpu's own resources included.
    pub device_reserved_bytes: Option<u64>,
    /// Recorded device resources in whole granules.
    pub device_recorded_bytes: u64,
    /// The same by kind.
    pub device_recorded_by_kind: Vec<(&'static str, u64)>,
    /// Most host memory that the session held at once.
    pub host_bytes: u64,
    /// Bytes of all weights at the stored precision.
    pub weight_bytes_total: u64,
    /// Bytes read from the bundle so far, opening included.
    pub bytes_read: u64,
    /// Bytes read by every completed run.
    pub bytes_read_runs: Vec<u64>,
    /// Time to open the session.
    pub load_ms: f64,
    /// Time of every completed run.
    pub runs_ms: Vec<f64>,
    /// From the start of opening to the first outputs; `None` before. The command line counts from the process's start.
    pub cold_ms: Option<f64>,
    /// Pipelines of the plan.
    pub pipelines: u32,
    /// Dispatches of one run.
    pub dispatches: u32,
    /// Page loads of a run that finds the arena empty: the first one.
    pub loads: u32,
    /// Page loads of a run after a completed one.
    pub loads_repeat: u32,
    /// Threads that read pages.
    pub reader_threads: u32,
    /// What the compiler predicted for a cold run.
    pub predicted_cold_ms: f64,
    /// What the compiler predicted for a run after a completed one.
    pub predicted_warm_ms: f64,
}
