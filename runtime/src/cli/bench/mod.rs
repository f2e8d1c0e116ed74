//! `flashmem-run bench`: cold starts beside the raw rate of the file, warm runs, and memory, with median and spread.
//!
//! `child.rs` is what a started process does, `raw.rs` reads the file alone, `cache.rs` drops it from the page cache,
//! `gpu_memory.rs` asks the driver's tool, `samples.rs` sums up, `report.rs` compares and prints. A measurement that the
//! system does not allow is left out and said to be, never made up.

mod arguments;
mod cache;
mod child;
mod gpu_memory;
mod inputs;
mod measured;
mod raw;
mod report;
mod samples;

pub use arguments::BenchArguments;
pub use inputs::made_up_inputs;

use super::process_clock::ProcessClock;
use anyhow::Context as _;
use arguments::ChildKind;
use child::Report;
use flashmem_plan_format::files::{Named, check_outputs};
use measured::Measured;
use std::io::{BufRead as _, BufReader};
use std::ops::Range;
use std::process::{Command, Stdio};

/// Measures what the arguments say.
pub fn run(arguments: &BenchArguments, process: ProcessClock) -> anyhow::Result<()> {
    if let Some(kind) = arguments.child {
        return child::run(kind, arguments, process);
    }
    let read = arguments.inputs.iter().map(|path| Named::new("--inputs", path));
    let read: Vec<_> = read.chain([Named::new("the bundle", &arguments.bundle)]).collect();
    let written = arguments.json.iter().map(|path| Named::new("--json", path));
    check_outputs(&read, &written.collect::<Vec<_>>())?;
    let bundle = arguments.bundle.display();
    let ranges = raw::plan_ranges(&arguments.bundle).with_context(|| format!("cannot open {bundle}"))?;
    let plan_bytes = ranges.iter().map(|range| range.end - range.start).sum();
    let raw_ms = raw::THREADS.map(|threads| (threads, Vec::new())).into();
    let mut measured = Measured { plan_bytes, raw_ms, ..Measured::default() };
    cache::settle();
    for repetition in 0..arguments.repeat {
        if arguments.cold || arguments.io_only || arguments.raw {
            errln!("repetition {} of {}", repetition + 1, arguments.repeat);
            measured.repeat(arguments, &ranges)?;
        }
    }
    if arguments.cold || !(arguments.io_only || arguments.raw) {
        errln!("warm runs");
        measured.warm(arguments)?;
    }
    report::finish(arguments, &measured)
}

impl Measured {
    fn repeat(&mut self, arguments: &BenchArguments, ranges: &[Range<u64>]) -> anyhow::Result<()> {
        if arguments.cold {
            self.empty.push(start(ChildKind::EmptyDevice, arguments, 0, |_| ())?.0);
        }
        if arguments.raw || arguments.cold || arguments.io_only {
            for index in 0..self.raw_ms.len() {
                self.drop_cache(arguments)?;
                let (threads, times) = &mut self.raw_ms[index];
                times.push(raw::read(&arguments.bundle, ranges, *threads).context("cannot read the bundle")?);
            }
        }
        if arguments.io_only {
            self.drop_cache(arguments)?;
            self.io_only.push(start(ChildKind::IoOnly, arguments, 0, |_| ())?.0);
        }
        if arguments.cold {
            self.drop_cache(arguments)?;
            self.cold.push(start(ChildKind::Run, arguments, 0, |_| ())?.0);
        }
        Ok(())
    }

    /// Later runs of one process, whose memory is looked at beside that of an empty device.
    fn warm(&mut self, arguments: &BenchArguments) -> anyhow::Result<()> {
        let runs = arguments.warmup + arguments.repeat;
        let (empty, empty_memory) = start(ChildKind::EmptyDevice, arguments, 0, gpu_memory::of_process)?;
        let (warm, memory) = start(ChildKind::Run, arguments, runs, gpu_memory::of_process)?;
        self.empty.push(empty);
        self.warm = Some(warm);
        self.gpu_memory = memory.zip(empty_memory);
        Ok(())
    }

    fn drop_cache(&mut self, arguments: &BenchArguments) -> anyhow::Result<()> {
        let cached = cache::drop_file(&arguments.bundle).context("cannot drop the bundle from the page cache")?;
        self.still_cached_bytes = self.still_cached_bytes.max(cached);
        Ok(())
    }
}

/// Runs this program again; looks at the process with `look` while it holds everything.
fn start<T>(
    kind: ChildKind,
    arguments: &BenchArguments,
    runs: u32,
    look: impl FnOnce(u32) -> T,
) -> anyhow::Result<(Report, T)> {
    let mut command = Command::new(std::env::current_exe().context("cannot find this program")?);
    command.arg("bench").arg(&arguments.bundle).args(["--child", kind.name(), "--child-runs", &runs.to_string()]);
    command.args(["--io", arguments.io.name(), "--reader-threads", &arguments.reader_threads.to_string()]);
    if let Some(adapter) = &arguments.adapter {
        command.args(["--adapter", adapter]);
    }
    if let Some(inputs) = &arguments.inputs {
        command.arg("--inputs").arg(inputs);
    }
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("cannot start a process")?;
    let mut line = String::new();
    let stdout = child.stdout.take().expect("it is piped");
    BufReader::new(stdout).read_line(&mut line).context("cannot read what a process measured")?;
    let seen = look(child.id());
    // The end of its input ends the process.
    drop(child.stdin.take());
    let status = child.wait().context("cannot wait for a process")?;
    anyhow::ensure!(status.success(), "the process for `{}` failed: {status}", kind.name());
    Ok((serde_json::from_str(&line).context("cannot understand what a process measured")?, seen))
}
