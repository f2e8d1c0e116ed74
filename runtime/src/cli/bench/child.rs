//! What a process that the benchmark starts does: measure one thing, print it as one line of JSON, and wait.
//!
//! It waits until its standard input ends, so that whoever started it can look at its memory while everything is held.

use super::arguments::{BenchArguments, ChildKind};
use super::inputs;
use crate::cli::opening::cannot_open;
use crate::cli::process_clock::ProcessClock;
use anyhow::Context as _;
use flashmem_runtime::{EmptyDevice, Mark, Options, Session};
use serde::{Deserialize, Serialize};
use std::io::Read as _;

/// What one process measured. Times are milliseconds from the start of the process.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Report {
    /// When the device was open, in a process that does nothing else.
    pub device_ms: Option<f64>,
    /// When the first outputs were there.
    pub cold_ms: Option<f64>,
    /// From the first page that was asked for to the end of the last upload.
    pub io_ms: Option<f64>,
    /// Most memory of the process that was ever resident.
    pub resident_peak_bytes: Option<u64>,
    /// The session's statistics.
    pub stats: serde_json::Value,
}

/// Measures, prints, waits.
pub(super) fn run(kind: ChildKind, arguments: &BenchArguments, process: ProcessClock) -> anyhow::Result<()> {
    match kind {
        ChildKind::EmptyDevice => {
            let device = EmptyDevice::open(arguments.adapter.as_deref())?;
            let report = Report { device_ms: Some(process.elapsed_ms()), ..Report::new(serde_json::Value::Null) };
            tell(report)?;
            drop(device);
        }
        ChildKind::Run => {
            let before_open_ms = process.elapsed_ms();
            let mut session = open(arguments)?;
            let inputs = inputs::read(arguments, &session)?;
            session.run(&inputs).context("the first run failed")?;
            let cold_ms = process.elapsed_ms();
            for _ in 0..arguments.child_runs {
                session.run(&inputs).context("a later run failed")?;
            }
            let mut stats = session.stats();
            stats.phases.before_open_ms = Some(before_open_ms);
            stats.cold_ms = Some(cold_ms);
            tell(Report { cold_ms: Some(cold_ms), ..Report::new(serde_json::to_value(&stats)?) })?;
        }
        ChildKind::IoOnly => {
            let before_open_ms = process.elapsed_ms();
            let mut session = open(arguments)?;
            session.run_reads_only().context("reading failed")?;
            let mut stats = session.stats();
            stats.phases.before_open_ms = Some(before_open_ms);
            let [end, start] = [Mark::Readback, Mark::ReadingBegan].map(|mark| stats.phases.end_ms(mark));
            let io_ms = end.zip(start).map(|(end, start)| end - start);
            tell(Report { io_ms, ..Report::new(serde_json::to_value(&stats)?) })?;
        }
    }
    Ok(())
}

fn open(arguments: &BenchArguments) -> anyhow::Result<Session> {
    let options = Options {
        adapter: arguments.adapter.clone(),
        reader_threads: arguments.reader_threads,
        io_mode: arguments.io,
        ..Options::default()
    };
    let opened = Session::builder(&arguments.bundle).options(options).open();
    opened.map_err(|error| cannot_open(&arguments.bundle, error.into()))
}

impl Report {
    fn new(stats: serde_json::Value) -> Self {
        Self { device_ms: None, cold_ms: None, io_ms: None, resident_peak_bytes: resident_peak_bytes(), stats }
    }
}

fn tell(report: Report) -> anyhow::Result<()> {
    outln!("{}", serde_json::to_string(&report)?);
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

/// Of this process, where the system reports it.
fn resident_peak_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}
