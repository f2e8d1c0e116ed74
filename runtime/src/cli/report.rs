//! Short lines on standard error.

use flashmem_runtime::Stats;
use std::time::Duration;

/// After opening.
pub fn opened(stats: &Stats) {
    errln!("adapter: {} ({})", stats.adapter, stats.backend);
    if stats.software {
        errln!("note: this adapter computes on the CPU; no hardware adapter was found or chosen");
    }
    if let Some(note) = &stats.io.note {
        errln!("note: {note}");
    }
    if stats.plan.pipelines_cooperative > 0 {
        errln!("mixed precision: {} pipelines multiply matrices of halves", stats.plan.pipelines_cooperative);
    }
    errln!(
        "loaded in {:.0} ms: {} pipelines, {} dispatches, {} of weights",
        stats.load_ms,
        stats.plan.pipelines,
        stats.plan.dispatches,
        mebibytes(stats.plan.weight_bytes_total)
    );
}

/// After a self-test that passed.
pub fn self_tested() {
    errln!("self-test: passed (two runs within the tolerance, and equal bit for bit)");
}

/// At the end.
pub fn finished(stats: &Stats) {
    let runs: Vec<_> = stats.runs.iter().map(|run| format!("{:.1}", run.ms)).collect();
    errln!("runs: {} ms", runs.join(", "));
    if let Some(cold_ms) = stats.cold_ms {
        errln!("cold: {cold_ms:.0} ms from process start to first outputs");
    }
    memory(stats);
}

/// Tokens of the prompt and the time that they took, then those that were generated, but for the first, which the prompt gives.
pub fn generated((read, reading): (usize, Duration), (written, writing): (usize, Duration)) {
    let rate = |tokens: usize, time: Duration| tokens as f64 / time.as_secs_f64().max(1e-9);
    errln!("prompt: {read} tokens, {:.1} a second", rate(read, reading));
    if written > 0 {
        errln!("generated: {written} more tokens, {:.1} a second", rate(written, writing));
    }
}

/// The peak.
pub fn memory(stats: &Stats) {
    let (measured, declared) =
        (mebibytes(stats.memory.measured_peak_bytes), mebibytes(stats.memory.declared_peak_bytes));
    errln!("peak: {measured} measured, {declared} declared");
    if stats.memory.declared_exceeded {
        errln!("BUG: the measured peak exceeds the declared one; please report this bundle");
    }
}

fn mebibytes(bytes: u64) -> String {
    format!("{:.2} MiB", bytes as f64 / (1024.0 * 1024.0))
}
