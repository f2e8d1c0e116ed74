//! What a session measured, for people and for `--stats`.
//!
//! It comes in parts, which JSON writes side by side in one object: `memory.host_bytes` is the key `host_bytes`.

use super::options::IoMode;
use super::phases::{Mark, Span};
use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};

/// Memory, bytes and times of a session so far.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Stats {
    /// Name of the adapter.
    pub adapter: String,
    /// Graphics API behind it.
    pub backend: String,
    /// Whether it computes on the CPU.
    pub software: bool,
    /// Memory, declared and measured.
    #[serde(flatten)]
    pub memory: MemoryStats,
    /// The bundle's plan.
    #[serde(flatten)]
    pub plan: PlanStats,
    /// Reading.
    #[serde(flatten)]
    pub io: IoStats,
    /// `loaded`, `empty` (it is written when all pipelines are created) or `unsupported`; `None` without a directory.
    pub pipeline_cache: Option<&'static str>,
    /// Time to open the session.
    pub load_ms: f64,
    /// From the start of opening to the first outputs; `None` before. The command line counts from the process's start.
    pub cold_ms: Option<f64>,
    /// Completed runs.
    pub run_count: u64,
    /// The last [`MAX_RUN_RECORDS`] of them: a session that goes on and on does not grow. JSON has a list for each field:
    /// `runs_ms`, `setup_runs_ms`, `submit_runs_ms`, `bytes_read_runs`.
    #[serde(flatten, serialize_with = "lists")]
    pub runs: Vec<RunRecord>,
    /// When phases of opening and of the first run ended, and what took how long.
    #[serde(flatten)]
    pub phases: Phases,
}

/// Memory of a session, declared and measured.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct MemoryStats {
    /// The peak that the bundle declares.
    pub declared_peak_bytes: u64,
    /// Of this, host memory.
    pub declared_host_bytes: u64,
    /// The worst of all samples of what was really held: device resources and host memory.
    pub measured_peak_bytes: u64,
    /// Whether the measured peak exceeds the declared one: a bug of compiler or runtime.
    pub declared_exceeded: bool,
    /// What the device allocator handed out; `None` where the backend does not report it.
    pub device_allocated_bytes: Option<u64>,
    /// What the device allocator has from the driver: unused parts of its blocks and wgpu's own resources included.
    pub device_reserved_bytes: Option<u64>,
    /// Recorded device resources in whole granules.
    pub device_recorded_bytes: u64,
    /// The same by kind.
    pub device_recorded_by_kind: Vec<(&'static str, u64)>,
    /// Most host memory that the session held at once.
    pub host_bytes: u64,
}

/// Sizes of a bundle's plan, and what the compiler predicted.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct PlanStats {
    /// Bytes of all weights at the stored precision.
    pub weight_bytes_total: u64,
    /// Pipelines of the plan.
    pub pipelines: u32,
    /// Of these, pipelines that multiply matrices of halves on units of the device.
    pub pipelines_cooperative: u32,
    /// Dispatches of one run.
    pub dispatches: u32,
    /// Page loads of a run that finds the arena empty: the first one.
    pub loads: u32,
    /// Page loads of a run after a completed one.
    pub loads_repeat: u32,
    /// What the compiler predicted for a cold run.
    pub predicted_cold_ms: f64,
    /// What the compiler predicted for a run after a completed one.
    pub predicted_warm_ms: f64,
}

/// Reading of a session.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct IoStats {
    /// Bytes read from the bundle so far, opening included.
    pub bytes_read: u64,
    /// Threads that read pages.
    pub reader_threads: u32,
    /// How the file is read; `None` for a source that is no file. In JSON `io_mode`.
    #[serde(rename = "io_mode")]
    pub mode: Option<IoMode>,
    /// Why it is not read as requested. In JSON `io_note`.
    #[serde(rename = "io_note")]
    pub note: Option<String>,
}

/// Most completed runs that are remembered one by one.
pub const MAX_RUN_RECORDS: usize = 4096;

/// One completed run.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct RunRecord {
    /// Time of the run.
    pub ms: f64,
    /// Of this, time on the CPU until the last submission, without waiting for pages and pipelines, and without submitting.
    pub setup_ms: f64,
    /// Of this, time of submitting. Software drivers may do the work itself meanwhile.
    pub submit_ms: f64,
    /// Bytes read by it. What is read ahead counts for the run that it is for.
    pub bytes_read: u64,
}

/// When phases of opening and of the first run ended, and the sums of what readers and runs spent and waited.
///
/// In JSON every [`Mark`] and every [`Span`] is a key of its own, by its name.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Phases {
    /// From the start of the process to the start of opening; known to the command line only.
    pub before_open_ms: Option<f64>,
    pub(crate) ends_ms: [Option<f64>; Mark::COUNT],
    pub(crate) spans_ms: [f64; Span::COUNT],
}

impl Phases {
    /// When a phase ended, in milliseconds from the start of opening; `None` for one that did not end yet. Phases overlap.
    pub const fn end_ms(&self, mark: Mark) -> Option<f64> {
        self.ends_ms[mark as usize]
    }

    /// What was spent or waited so far, in milliseconds.
    pub const fn span_ms(&self, span: Span) -> f64 {
        self.spans_ms[span as usize]
    }
}

impl Serialize for Phases {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1 + Mark::COUNT + Span::COUNT))?;
        map.serialize_entry("before_open_ms", &self.before_open_ms)?;
        for mark in Mark::ALL {
            map.serialize_entry(mark.name(), &self.end_ms(mark))?;
        }
        for span in Span::ALL {
            map.serialize_entry(span.name(), &self.span_ms(span))?;
        }
        map.end()
    }
}

/// A list for each field of the records.
fn lists<S: Serializer>(runs: &[RunRecord], serializer: S) -> Result<S::Ok, S::Error> {
    let list = |of: fn(&RunRecord) -> f64| runs.iter().map(of).collect::<Vec<_>>();
    let bytes_read: Vec<u64> = runs.iter().map(|run| run.bytes_read).collect();
    let mut map = serializer.serialize_map(Some(4))?;
    map.serialize_entry("runs_ms", &list(|run| run.ms))?;
    map.serialize_entry("setup_runs_ms", &list(|run| run.setup_ms))?;
    map.serialize_entry("submit_runs_ms", &list(|run| run.submit_ms))?;
    map.serialize_entry("bytes_read_runs", &bytes_read)?;
    map.end()
}
