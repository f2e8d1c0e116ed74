//! Compares what was measured with its floor, and writes it for people and as JSON.

use super::arguments::BenchArguments;
use super::child::Report;
use super::gpu_memory;
use super::measured::Measured;
use super::samples::Samples;
use anyhow::Context as _;
use flashmem_plan_format::files;
use flashmem_runtime::Mark;
use serde::Serialize;
use serde_json::Value;

/// Everything, with times in milliseconds, rates in bytes per second, and memory in bytes.
#[derive(Debug, Serialize)]
struct Summary {
    bundle: String,
    plan_bytes: u64,
    io_mode: Value,
    reader_threads: u32,
    adapter: Value,
    backend: Value,
    software: Value,
    /// Most bytes of the file that stayed in the page cache although they were dropped; null when it is not known.
    still_cached_bytes: Option<u64>,
    raw: Option<Raw>,
    io_only: Option<Reading>,
    cold: Option<Cold>,
    warm: Option<Warm>,
    memory: Option<Memory>,
}

/// The file alone.
#[derive(Debug, Serialize)]
struct Raw {
    /// By number of threads.
    threads: Vec<(u32, Samples)>,
    best_threads: u32,
    bytes_per_second: f64,
}

/// Pages read by a session, until the last one was there.
#[derive(Debug, Serialize)]
struct Reading {
    ms: Samples,
    bytes_per_second: f64,
    /// Median rate over the best median rate of the file alone.
    over_raw: Option<f64>,
    /// Median of the same ratio within each repetition: slow changes of the disk cancel out.
    over_raw_paired: Option<f64>,
}

#[derive(Debug, Serialize)]
struct Cold {
    /// From the start of the process to the first outputs.
    ms: Samples,
    /// From the start of a process to its device, and nothing else.
    device_ms: Samples,
    /// `device_ms` and the longer of reading at the raw rate and of a warm run that reads nothing.
    floor_ms: f64,
    over_floor: f64,
    /// From the first page that was announced or read, which is before there is a device.
    reading: Option<Reading>,
    /// From the first staging memory on: what was fetched before only passes it.
    reading_in_replay: Option<Reading>,
    /// Medians of the session's phases, from the start of opening.
    phases_ms: Vec<(String, f64)>,
}

#[derive(Debug, Serialize)]
struct Warm {
    ms: Samples,
    /// Time on the CPU until the last submission, without waiting for pages and without submitting.
    setup_ms: Samples,
    /// Time of submitting; some software drivers do the work meanwhile.
    submit_ms: Samples,
    bytes_read_per_run: u64,
    dispatches: u64,
    /// 1 ms and 10 µs for each dispatch.
    setup_allowance_ms: f64,
}

#[derive(Debug, Serialize)]
struct Memory {
    declared_bytes: u64,
    measured_bytes: u64,
    declared_host_bytes: u64,
    /// What the session recorded on the device.
    device_recorded_bytes: u64,
    device_allocated_bytes: Option<u64>,
    device_reserved_bytes: Option<u64>,
    /// By the driver's tool, less an empty device's: bytes, and whether they are the process's or the whole device's.
    driver_bytes: Option<i64>,
    driver_scope: Option<&'static str>,
    /// Largest resident memory of the process, less that of an empty device's process.
    resident_growth_bytes: Option<i64>,
}

/// Keys of the session's statistics, in the order in which they usually come.
fn phases() -> impl Iterator<Item = &'static str> {
    std::iter::once("before_open_ms").chain(Mark::ALL.map(Mark::name))
}

/// Sums up, writes the JSON, and prints: whoever stops reading the figures ends the program.
pub(super) fn finish(arguments: &BenchArguments, measured: &Measured) -> anyhow::Result<()> {
    let summary = Summary::of(arguments, measured);
    if let Some(path) = &arguments.json {
        let text = serde_json::to_string_pretty(&summary).context("cannot encode the figures")?;
        files::write(path, (text + "\n").as_bytes())?;
    }
    summary.print();
    Ok(())
}

impl Summary {
    fn of(arguments: &BenchArguments, measured: &Measured) -> Self {
        let reports = measured.cold.iter().chain(&measured.io_only).chain(&measured.warm);
        let stats = reports.map(|report| &report.stats).next().cloned().unwrap_or_default();
        let raw = Raw::of(measured);
        let warm = measured.warm.as_ref().and_then(|report| Warm::of(arguments, &report.stats));
        let io_ms = measured.io_only.iter().filter_map(|report| report.io_ms).collect();
        Self {
            bundle: arguments.bundle.display().to_string(),
            plan_bytes: measured.plan_bytes,
            io_mode: stats["io_mode"].clone(),
            reader_threads: arguments.reader_threads,
            adapter: stats["adapter"].clone(),
            backend: stats["backend"].clone(),
            software: stats["software"].clone(),
            still_cached_bytes: measured.still_cached_bytes,
            io_only: Reading::of(measured, raw.as_ref(), io_ms),
            cold: Cold::of(measured, raw.as_ref(), warm.as_ref()),
            memory: measured.warm.as_ref().and_then(|report| Memory::of(measured, report)),
            raw,
            warm,
        }
    }

    fn print(&self) {
        let mega = |bytes: f64| format!("{:.0} MB/s", bytes / 1e6);
        outln!("bundle: {} ({:.1} MB of pages)", self.bundle, self.plan_bytes as f64 / 1e6);
        outln!("adapter: {}, I/O: {}", self.adapter, self.io_mode);
        match self.still_cached_bytes {
            Some(bytes) if bytes > 0 => outln!("note: {bytes} bytes of the file stayed in the page cache"),
            None if self.raw.is_some() => outln!("note: it is unknown whether the file left the page cache"),
            Some(_) | None => {}
        }
        if let Some(raw) = &self.raw {
            for (threads, ms) in &raw.threads {
                outln!("raw, {threads} threads: {}", line(ms));
            }
            outln!("raw: {} with {} threads", mega(raw.bytes_per_second), raw.best_threads);
        }
        if let Some(reading) = &self.io_only {
            reading.print("reads and uploads only");
        }
        if let Some(cold) = &self.cold {
            outln!("cold: {}", line(&cold.ms));
            outln!("  an empty device: {}", line(&cold.device_ms));
            outln!("  floor: {:.1} ms; cold / floor: {:.3}", cold.floor_ms, cold.over_floor);
            let phases: Vec<_> = cold.phases_ms.iter().map(|(name, ms)| format!("{name} {ms:.1}")).collect();
            outln!("  phases: {}", phases.join(", "));
            if let Some(reading) = &cold.reading {
                reading.print("  reading, from the first announcement");
            }
            if let Some(reading) = &cold.reading_in_replay {
                reading.print("  reading, from the first staging memory");
            }
        }
        if let Some(warm) = &self.warm {
            outln!("warm: {}; {} bytes read a run", line(&warm.ms), warm.bytes_read_per_run);
            outln!("  setup on the CPU: {} (allowance {:.2} ms)", line(&warm.setup_ms), warm.setup_allowance_ms);
            outln!("  submitting: {}", line(&warm.submit_ms));
        }
        if let Some(memory) = &self.memory {
            memory.print();
        }
    }
}

impl Raw {
    fn of(measured: &Measured) -> Option<Self> {
        let samples = measured.raw_ms.iter().filter_map(|(threads, ms)| Some((*threads, Samples::of(ms.clone())?)));
        let threads: Vec<_> = samples.collect();
        let (best_threads, best) = threads.iter().min_by(|a, b| a.1.median.total_cmp(&b.1.median))?;
        let (best_threads, bytes_per_second) = (*best_threads, rate(measured.plan_bytes, best.median));
        Some(Self { threads, best_threads, bytes_per_second })
    }
}

impl Reading {
    fn of(measured: &Measured, raw: Option<&Raw>, ms: Vec<f64>) -> Option<Self> {
        let paired = |(repetition, ms): (usize, &f64)| {
            let times = measured.raw_ms.iter().filter_map(|(_, times)| times.get(repetition));
            Some(times.copied().min_by(f64::total_cmp)? / ms)
        };
        let paired = ms.iter().enumerate().filter_map(paired).collect();
        let ms = Samples::of(ms)?;
        let bytes_per_second = rate(measured.plan_bytes, ms.median);
        let over_raw = raw.map(|raw| bytes_per_second / raw.bytes_per_second);
        let over_raw_paired = Samples::of(paired).map(|samples| samples.median);
        Some(Self { ms, bytes_per_second, over_raw, over_raw_paired })
    }

    fn print(&self, what: &str) {
        outln!("{what}: {}; {:.0} MB/s", line(&self.ms), self.bytes_per_second / 1e6);
        if let Some((over_raw, paired)) = self.over_raw.zip(self.over_raw_paired) {
            outln!("  over the raw rate: {over_raw:.3} (by repetition: {paired:.3})");
        }
    }
}

impl Cold {
    fn of(measured: &Measured, raw: Option<&Raw>, warm: Option<&Warm>) -> Option<Self> {
        let of =
            |reports: &[Report], key: fn(&Report) -> Option<f64>| Samples::of(reports.iter().filter_map(key).collect());
        let ms = of(&measured.cold, |report| report.cold_ms)?;
        let device_ms = of(&measured.empty, |report| report.device_ms)?;
        let read_ms = measured.plan_bytes as f64 / raw?.bytes_per_second * 1e3;
        // A run that reads is no measure of execution.
        let run_ms = warm.filter(|warm| warm.bytes_read_per_run < measured.plan_bytes / 100);
        let floor_ms = device_ms.median + run_ms.map_or(read_ms, |warm| warm.ms.median.max(read_ms));
        let median = |name: &str| {
            let values = measured.cold.iter().filter_map(|report| report.stats[name].as_f64()).collect();
            Samples::of(values).map(|samples| (name.to_owned(), samples.median))
        };
        let reading_from = |phase: Mark| {
            let ms = |report: &Report| {
                Some(report.stats[Mark::LastPage.name()].as_f64()? - report.stats[phase.name()].as_f64()?)
            };
            Reading::of(measured, raw, measured.cold.iter().filter_map(ms).collect())
        };
        let (reading, reading_in_replay) = (reading_from(Mark::ReadingBegan), reading_from(Mark::Staging));
        let phases_ms = phases().filter_map(median).collect();
        Some(Self { over_floor: ms.median / floor_ms, ms, device_ms, floor_ms, reading, reading_in_replay, phases_ms })
    }
}

impl Warm {
    fn of(arguments: &BenchArguments, stats: &Value) -> Option<Self> {
        // The first run is cold.
        let skipped = 1 + arguments.warmup as usize;
        let values = |name: &str| stats[name].as_array().map(|values| values[skipped.min(values.len())..].to_vec());
        let floats = |name: &str| Samples::of(values(name)?.iter().filter_map(Value::as_f64).collect());
        let dispatches = stats["dispatches"].as_u64()?;
        Some(Self {
            ms: floats("runs_ms")?,
            setup_ms: floats("setup_runs_ms")?,
            submit_ms: floats("submit_runs_ms")?,
            bytes_read_per_run: values("bytes_read_runs")?.iter().filter_map(Value::as_u64).max()?,
            dispatches,
            setup_allowance_ms: 1.0 + 0.01 * dispatches as f64,
        })
    }
}

impl Memory {
    fn of(measured: &Measured, report: &Report) -> Option<Self> {
        let bytes = |name: &str| report.stats[name].as_u64();
        let driver = measured.gpu_memory.map(|(loaded, empty)| gpu_memory::difference(loaded, empty));
        let empty_peak = measured.empty.last().and_then(|report| report.resident_peak_bytes);
        let growth = report.resident_peak_bytes.zip(empty_peak);
        Some(Self {
            declared_bytes: bytes("declared_peak_bytes")?,
            measured_bytes: bytes("measured_peak_bytes")?,
            declared_host_bytes: bytes("declared_host_bytes")?,
            device_recorded_bytes: bytes("device_recorded_bytes")?,
            device_allocated_bytes: bytes("device_allocated_bytes"),
            device_reserved_bytes: bytes("device_reserved_bytes"),
            driver_bytes: driver.map(|(bytes, _)| bytes),
            driver_scope: driver.map(|(_, scope)| scope),
            resident_growth_bytes: growth.map(|(loaded, empty)| loaded.cast_signed() - empty.cast_signed()),
        })
    }

    fn print(&self) {
        let mebi = |bytes: f64| format!("{:.2} MiB", bytes / f64::from(1 << 20));
        let (declared, measured) = (mebi(self.declared_bytes as f64), mebi(self.measured_bytes as f64));
        outln!("memory: {measured} measured, {declared} declared");
        let recorded = mebi(self.device_recorded_bytes as f64);
        match (self.driver_bytes, self.driver_scope) {
            (Some(bytes), Some(scope)) => {
                outln!("  device: {recorded} recorded, {} by the driver ({scope})", mebi(bytes as f64));
            }
            _ => outln!("  device: {recorded} recorded; there is no tool of the driver to compare with"),
        }
        if let Some(growth) = self.resident_growth_bytes {
            let host = mebi(self.declared_host_bytes as f64);
            outln!(
                "  process: {} more resident than an empty device's; {host} declared for the host",
                mebi(growth as f64)
            );
        }
    }
}

fn rate(bytes: u64, ms: f64) -> f64 {
    bytes as f64 / ms * 1e3
}

fn line(samples: &Samples) -> String {
    let Samples { median, min, max, iqr, values } = samples;
    format!("{median:.2} ms (min {min:.2}, max {max:.2}, IQR {iqr:.2}, n {})", values.len())
}
