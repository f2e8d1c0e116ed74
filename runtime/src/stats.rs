//! What a session measured, for people and for `--stats`.

use crate::io::IoMode;
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
    /// Of this, host memory.
    pub declared_host_bytes: u64,
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
    /// Of this, time on the CPU until the last submission, without waiting for pages and pipelines, and without submitting.
    pub setup_runs_ms: Vec<f64>,
    /// Of this, time of submitting. Software drivers may do the work itself meanwhile.
    pub submit_runs_ms: Vec<f64>,
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
    /// How the file is read; `None` for a source that is no file.
    pub io_mode: Option<IoMode>,
    /// Why it is not read as wanted.
    pub io_note: Option<String>,
    /// `loaded`, `empty` (it is written when all pipelines are created) or `unsupported`; `None` without a directory.
    pub pipeline_cache: Option<&'static str>,
    /// When the bundle was checked. This and all following times of phases count from the start of opening, in
    /// milliseconds; phases overlap, and one that did not end yet is `None`.
    pub validate_ms: Option<f64>,
    /// When an adapter was chosen.
    pub adapter_ms: Option<f64>,
    /// When the device was open.
    pub device_ms: Option<f64>,
    /// When staging memory existed: reading starts here.
    pub staging_ms: Option<f64>,
    /// When the first page was asked for: the system may fetch it before there is memory to put it.
    pub reading_began_ms: Option<f64>,
    /// When the first page was read and checked.
    pub first_page_ms: Option<f64>,
    /// When the last page of the first run was read and checked.
    pub last_page_ms: Option<f64>,
    /// When everything on the device was allocated and bound.
    pub allocated_ms: Option<f64>,
    /// When the last pipeline was created.
    pub pipelines_ms: Option<f64>,
    /// When the first dispatch of the first run was encoded.
    pub first_dispatch_ms: Option<f64>,
    /// When the last dispatch of the first run was submitted.
    pub last_dispatch_ms: Option<f64>,
    /// When the first outputs were on the host.
    pub readback_ms: Option<f64>,
    /// Time that readers spent on reading, checking and copying pages, all readers and runs together.
    pub read_busy_ms: f64,
    /// Time that readers waited for staging memory, all readers and runs together.
    pub readers_wait_ms: f64,
    /// Time that runs spent on submitting.
    pub submit_ms: f64,
    /// Time that runs waited for pages.
    pub page_wait_ms: f64,
    /// Time that runs waited for pipelines.
    pub pipeline_wait_ms: f64,
    /// From the start of the process to the start of opening; known to the command line only.
    pub before_open_ms: Option<f64>,
    /// What the compiler predicted for a cold run.
    pub predicted_cold_ms: f64,
    /// What the compiler predicted for a run after a completed one.
    pub predicted_warm_ms: f64,
}
