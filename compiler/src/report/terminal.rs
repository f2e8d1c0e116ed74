//! The report in a terminal: the facts, three lanes of blocks, the longest stalls.
//!
//! It deliberately uses no colour, so that it can be piped.

use super::facts::{Facts, cause, node, short, time};
use super::subject::Subject;
use super::timeline::{Span, Timeline};
use crate::bundle::half::HalfSummary;
use crate::bundle::precision::PrecisionSummary;
use flashmem_plan_format::byte_size;
use std::fmt::Write as _;

/// Columns of a lane.
const COLUMNS: usize = 64;
/// Stalls that are listed.
const LISTED_STALLS: usize = 5;
/// From idle to busy.
const SHADES: [char; 5] = [' ', '░', '▒', '▓', '█'];

/// A summary in a few lines.
pub fn summary(subject: &Subject<'_>, timeline: &Timeline) -> String {
    let facts = Facts::new(subject, timeline);
    let plan = subject.plan;
    let mut out = String::new();
    let mut line = |label: &str, value: String| {
        let _ = writeln!(out, "{label:<15} {value}");
    };
    line(
        "predicted",
        format!("{} on `{}`, {:.3} × the floor", time(facts.predicted_us), plan.provenance.profile, facts.ratio()),
    );
    line(
        "floor",
        format!(
            "disk {} for {} in {} pages, execution {}",
            time(facts.disk_floor_us),
            byte_size::format(plan.page.page_bytes() * u64::from(plan.page_count)),
            plan.page_count,
            time(facts.execute_us)
        ),
    );
    let peak = facts.declared_peak_bytes.map_or_else(|| "overflow".to_owned(), byte_size::format);
    let budget = plan
        .budget_bytes
        .map_or_else(|| "no budget".to_owned(), |bytes| format!("budget {}", byte_size::format(bytes)));
    line("declared peak", format!("{peak} ({budget})"));
    if let Some(step) = facts.peak_step {
        let of = plan.page_count;
        line(
            "most pages",
            format!("{} of {of} resident before step {step} `{}`", facts.peak_pages, short(node(subject, step))),
        );
    }
    let provenance = &plan.provenance;
    line(
        "schedule",
        format!(
            "{}, {} by {}, gap {:.2} %",
            provenance.strategy,
            provenance.solver_status,
            provenance.solver,
            provenance.solver_gap * 100.0
        ),
    );
    let half = HalfSummary::of_plan(provenance);
    if !half.is_empty() {
        line("half precision", half.to_string());
    }
    let precision = PrecisionSummary::of_plan(provenance);
    if !precision.is_empty() {
        line("precision", precision.to_string());
        precision.lines().into_iter().for_each(|text| line("", text));
    }
    let end_us = timeline.end_us();
    let reads: Vec<Span> = timeline.loads.iter().map(|load| load.read).collect();
    let uploads: Vec<Span> = timeline.loads.iter().map(|load| load.upload).collect();
    for (label, spans) in [("disk", &reads), ("upload", &uploads), ("execution", &timeline.steps)] {
        line(label, format!("│{}│", lane(spans, end_us)));
    }
    let stalls = timeline.longest_stalls();
    if stalls.is_empty() {
        line("stalls", "none".to_owned());
    } else {
        line("stalls", format!("{}, {} together; the longest:", stalls.len(), time(facts.stalled_us)));
    }
    for stall in stalls.into_iter().take(LISTED_STALLS) {
        let name = short(node(subject, stall.step));
        let why = cause(subject, stall.cause);
        let _ = writeln!(out, "  {:>10}  step {:<5} `{name}`\n{:14}for {why}", time(stall.span.us()), stall.step, "");
    }
    for note in &subject.notes {
        let _ = writeln!(out, "note: {note}");
    }
    out
}

/// How busy a lane is, column by column.
fn lane(spans: &[Span], end_us: f64) -> String {
    let width_us = end_us / COLUMNS as f64;
    let mut busy_us = vec![0.0_f64; COLUMNS];
    for span in spans.iter().filter(|span| span.us() > 0.0 && width_us > 0.0) {
        let first = (span.start_us / width_us) as usize;
        let last = ((span.end_us / width_us) as usize).min(COLUMNS - 1);
        for (column, busy_us) in busy_us.iter_mut().enumerate().take(last + 1).skip(first) {
            let (from_us, to_us) = (width_us * column as f64, width_us * (column + 1) as f64);
            *busy_us += (span.end_us.min(to_us) - span.start_us.max(from_us)).max(0.0);
        }
    }
    let shade = |busy_us: &f64| {
        let share = if width_us > 0.0 { (busy_us / width_us).clamp(0.0, 1.0) } else { 0.0 };
        SHADES[(share * (SHADES.len() - 1) as f64).ceil() as usize]
    };
    busy_us.iter().map(shade).collect()
}
