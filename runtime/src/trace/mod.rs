//! What a session did and when, for `--trace`.
//!
//! A [`Trace`] collects reads, uploads, submissions, dispatches and phases while a session works; `export.rs` writes them in
//! the Chrome trace format, beside the plan's prediction (`predicted.rs`); `timestamps.rs` asks the device when dispatches
//! ran. Nothing here exists when tracing is off, and nothing of it changes what is computed. Its memory, on the host and for
//! timestamps on the device, is deliberately outside the declared peak: it grows with every run.

mod export;
mod json;
mod predicted;
mod timestamps;

pub(crate) use timestamps::Timestamps;

use crate::lock::lock;
use crate::time::Stopwatch;
use flashmem_plan_format::plan::{Command, PageId, SlotId};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

/// Times count from `clock`, which started with the session.
pub(crate) struct Trace {
    clock: Stopwatch,
    records: Arc<Mutex<Records>>,
    timestamps: OnceLock<Timestamps>,
}

#[derive(Default)]
struct Records {
    phases: Vec<Phase>,
    reads: Vec<Read>,
    uploads: Vec<Upload>,
    submissions: Vec<Submission>,
    dispatches: Vec<DispatchTime>,
    residency: Vec<Residency>,
    runs: Vec<Run>,
}

/// A run: of which network, from when, and what it was to do.
struct Run {
    network: usize,
    start: Duration,
    commands: Vec<Command>,
}

/// A part of a run.
struct Phase {
    name: String,
    start: Duration,
    end: Duration,
}

/// One page, read by one reader.
struct Read {
    reader: u32,
    page: PageId,
    start: Duration,
    end: Duration,
    failed: bool,
}

/// One copy from a staging buffer into a slot: from its encoding until the staging buffer came back.
struct Upload {
    ring_index: u32,
    page: PageId,
    slot: SlotId,
    encoded: Duration,
    returned: Option<Duration>,
}

/// One submission with its dispatches.
struct Submission {
    run: u32,
    submitted: Duration,
    done: Option<Duration>,
    dispatches: Vec<u32>,
}

/// Device time of one dispatch, by the device's own clock.
struct DispatchTime {
    run: u32,
    dispatch: u32,
    begin: Duration,
    end: Duration,
}

/// Bytes of resident pages from here on.
struct Residency {
    at: Duration,
    bytes: u64,
}

impl Trace {
    pub(crate) fn new(clock: Stopwatch) -> Self {
        Self { clock, records: Arc::default(), timestamps: OnceLock::new() }
    }

    /// From here on the device says when dispatches run, if it can.
    pub(crate) fn use_timestamps(&self, timestamps: Option<Timestamps>) {
        if let Some(timestamps) = timestamps {
            // A session has one device, so that this is called once.
            let _ = self.timestamps.set(timestamps);
        }
    }

    pub(crate) fn timestamps(&self) -> Option<&Timestamps> {
        self.timestamps.get()
    }

    pub(crate) fn now(&self) -> Duration {
        self.clock.elapsed()
    }

    /// A run of the network at a position starts; returns its start.
    pub(crate) fn begin_run(&self, network: usize, commands: &[Command]) -> Duration {
        let start = self.now();
        lock(&self.records).runs.push(Run { network, start, commands: commands.to_vec() });
        start
    }

    /// What started at `start` ends now.
    pub(crate) fn phase(&self, name: &str, start: Duration) {
        let end = self.now();
        lock(&self.records).phases.push(Phase { name: name.to_owned(), start, end });
    }

    /// The run that started at `start` ends now.
    pub(crate) fn end_run(&self, start: Duration, network: Option<&str>) {
        let run = lock(&self.records).runs.len();
        let of = network.map_or_else(String::new, |name| format!(" of {name}"));
        self.phase(&format!("run {run}{of}"), start);
    }

    pub(crate) fn read(&self, reader: u32, page: PageId, start: Duration, failed: bool) {
        let end = self.now();
        lock(&self.records).reads.push(Read { reader, page, start, end, failed });
    }

    pub(crate) fn upload(&self, ring_index: u32, page: PageId, slot: SlotId) {
        let encoded = self.now();
        lock(&self.records).uploads.push(Upload { ring_index, page, slot, encoded, returned: None });
    }

    /// A staging buffer came back from the device.
    pub(crate) fn returned(&self, ring_index: u32) {
        let now = self.now();
        let mut records = lock(&self.records);
        let of_buffer = |upload: &&mut Upload| upload.ring_index == ring_index && upload.returned.is_none();
        if let Some(upload) = records.uploads.iter_mut().rev().find(of_buffer) {
            upload.returned = Some(now);
        }
    }

    /// Every staging buffer is with the host again.
    pub(crate) fn all_returned(&self) {
        let now = self.now();
        for upload in &mut lock(&self.records).uploads {
            upload.returned.get_or_insert(now);
        }
    }

    pub(crate) fn resident(&self, bytes: u64) {
        let at = self.now();
        lock(&self.records).residency.push(Residency { at, bytes });
    }

    /// `dispatches` were submitted by a call that began at `submitted`; the queue says when they are done.
    pub(crate) fn submitted(&self, queue: &wgpu::Queue, submitted: Duration, dispatches: Vec<u32>) {
        let mut records = lock(&self.records);
        let (index, run) = (records.submissions.len(), records.runs.len() as u32);
        records.submissions.push(Submission { run, submitted, done: None, dispatches });
        drop(records);
        let (records, clock) = (Arc::clone(&self.records), self.clock);
        queue.on_submitted_work_done(move || {
            lock(&records).submissions[index].done = Some(clock.elapsed());
        });
    }

    /// Device times of the run's dispatches, in order of dispatch.
    pub(crate) fn timed(&self, times: impl Iterator<Item = (u32, Duration, Duration)>) {
        let mut records = lock(&self.records);
        let run = records.runs.len() as u32;
        let times = times.map(|(dispatch, begin, end)| DispatchTime { run, dispatch, begin, end });
        records.dispatches.extend(times);
    }
}
