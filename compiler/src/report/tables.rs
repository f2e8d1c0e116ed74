//! Stalls and weights as HTML tables.
//!
//! All stalls are listed by the ONNX nodes that wait, the longest first; weights in file order. Long tables go on inside a
//! closed `<details>`. It deliberately leaves nothing out.

use super::facts::{cause, node, time};
use super::markup::escape;
use super::subject::{Subject, WeightUse};
use super::timeline::{Load, Span, Timeline};
use flashmem_plan_format::byte_size;
use std::fmt::Write as _;

/// Rows that are shown before the rest is folded away.
const OPEN_ROWS: usize = 24;

/// The table of stalls; empty when nothing waits.
pub fn stalls(subject: &Subject<'_>, timeline: &Timeline) -> String {
    let rows = (1..).zip(timeline.longest_stalls()).map(|(number, stall): (u32, _)| {
        format!(
            "<tr><td class=\"n\">{number}</td><td class=\"name\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td>{}</td></tr>",
            escape(node(subject, stall.step)),
            stall.step,
            time(stall.span.us()),
            time(stall.span.start_us),
            escape(&cause(subject, stall.cause)),
        )
    });
    let head = "<tr><th class=\"n\">#</th><th>node that waits</th><th class=\"n\">step</th><th class=\"n\">waits</th><th class=\"n\">from</th><th>for</th></tr>";
    table(head, &rows.collect::<Vec<_>>(), "stalls")
}

/// The table of weights, or of page ranges where weights have no names.
pub fn weights(subject: &Subject<'_>, timeline: &Timeline) -> String {
    let rows: Vec<String> = subject.weights.iter().map(|weight| weight_row(subject, timeline, weight)).collect();
    let head = "<tr><th>weight</th><th class=\"n\">bytes</th><th class=\"n\">pages</th><th>first read by</th><th class=\"n\">steps</th><th class=\"n\">read from disk</th><th class=\"n\">uploaded</th><th class=\"n\">dropped</th></tr>";
    table(head, &rows, "weights")
}

fn weight_row(subject: &Subject<'_>, timeline: &Timeline, weight: &WeightUse) -> String {
    let loads: Vec<&Load> = weight.pages.clone().filter_map(|page| timeline.load_of(page)).collect();
    let last_page = weight.pages.end.saturating_sub(1);
    let span = |span_of: fn(&Load) -> Span| {
        let start_us = loads.iter().map(|load| span_of(load).start_us).fold(f64::INFINITY, f64::min);
        let end_us = loads.iter().map(|load| span_of(load).end_us).fold(0.0, f64::max);
        format!("{} – {}", time(start_us), time(end_us))
    };
    let dropped_us = loads.iter().try_fold(0.0_f64, |last_us, load| Some(last_us.max(load.dropped_us?)));
    let name = match &weight.name {
        Some(name) => escape(name),
        None => format!("pages {} to {last_page}", weight.pages.start),
    };
    let shown = if weight.pages.start == last_page {
        last_page.to_string()
    } else {
        format!("{}–{last_page}", weight.pages.start)
    };
    let steps = if weight.first_step == weight.last_step {
        weight.first_step.to_string()
    } else {
        format!("{}–{}", weight.first_step, weight.last_step)
    };
    format!(
        "<tr><td class=\"name\">{name}</td><td class=\"n\">{}</td><td class=\"n\">{shown}</td><td class=\"name\">{}</td><td class=\"n\">{steps}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td></tr>",
        byte_size::format(weight.size_bytes),
        escape(node(subject, weight.first_step)),
        span(|load| load.read),
        span(|load| load.upload),
        dropped_us.map_or_else(|| "kept".to_owned(), time),
    )
}

/// Tables of which single rows are read on demand; empty when there are none.
pub fn row_tables(subject: &Subject<'_>) -> String {
    let rows = subject.plan.row_tables.iter().map(|table| {
        format!(
            "<tr><td class=\"name\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td></tr>",
            escape(&table.name),
            table.rows,
            byte_size::format(table.row_bytes())
        )
    });
    let head = "<tr><th>table</th><th class=\"n\">rows</th><th class=\"n\">bytes a row</th></tr>";
    table(head, &rows.collect::<Vec<_>>(), "tables")
}

fn table(head: &str, rows: &[String], what: &str) -> String {
    let mut out = String::new();
    if rows.is_empty() {
        return out;
    }
    let (open, folded) = rows.split_at(rows.len().min(OPEN_ROWS));
    let _ =
        write!(out, "<div class=\"scroll\"><table><thead>{head}</thead><tbody>{}</tbody></table></div>", open.concat());
    if !folded.is_empty() {
        let _ = write!(
            out,
            "<details><summary>{} more {what}</summary><div class=\"scroll\"><table><thead>{head}</thead><tbody>{}</tbody></table></div></details>",
            folded.len(),
            folded.concat()
        );
    }
    out
}
