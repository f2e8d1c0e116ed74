//! Short lines on standard error.

use flashmem_plan_format::byte_size;
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

/// Tokens of each run that read the prompt, and the time of all; then tokens that were generated, but for the first, which the prompt
/// gives, their time, and the bytes that were read for them.
pub fn generated((pieces, reading): (&[u64], Duration), (written, writing): (usize, Duration), bytes_read: u64) {
    let rate = |tokens: u64, time: Duration| tokens as f64 / time.as_secs_f64().max(1e-9);
    let read = pieces.iter().sum();
    let widest = pieces.iter().max().copied().unwrap_or(0);
    let runs = if widest > 1 { format!(" in {} runs of {widest} and fewer", pieces.len()) } else { String::new() };
    errln!("prompt: {read} tokens{runs}, {:.1} a second", rate(read, reading));
    if written > 0 {
        let (each, written) = (bytes_read / written as u64, written as u64);
        let bytes = if each > 0 { format!(", {} read for each", byte_size::format(each)) } else { String::new() };
        errln!("generated: {written} more tokens, {:.1} a second{bytes}", rate(written, writing));
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
