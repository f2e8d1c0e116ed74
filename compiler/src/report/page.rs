//! The report as one HTML file: it needs no network, no font and no script.
//!
//! The script only turns `<title>` elements into faster tooltips. The same plan gives the same bytes.

use super::facts::{Facts, node, short, time};
use super::markup::escape;
use super::subject::Subject;
use super::timeline::Timeline;
use super::{chart, memory_chart, tables};
use crate::bundle::half::stored_encoding;
use flashmem_plan_format::byte_size;
use std::fmt::Write as _;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// Marks of the timeline and what they mean.
const LEGEND: [(&str, &str); 6] = [
    ("disk", "page read"),
    ("upload", "page copied into the arena"),
    ("reusable", "products, convolutions"),
    ("elemental", "element-wise"),
    ("hierarchical", "norms, softmax, attention"),
    ("stall", "execution waits"),
];

/// Writes the page.
pub fn page(subject: &Subject<'_>, timeline: &Timeline) -> String {
    let facts = Facts::new(subject, timeline);
    let model = escape(&subject.plan.provenance.model);
    let mut body = String::new();
    let _ = write!(body, "<header><h1>{model}</h1><p>{}</p></header>", escape(&subtitle(subject)));
    tiles(&mut body, subject, timeline, &facts);
    for note in &subject.notes {
        let _ = write!(body, "<p class=\"note\">{}</p>", escape(note));
    }
    section(
        &mut body,
        "Predicted timeline",
        "When pages are read and copied, and when kernels run. Numbers mark the longest stalls.",
    );
    let legend = LEGEND.map(|(class, text)| entry(class, text));
    let _ = write!(
        body,
        "<figure>{}<figcaption>{}</figcaption></figure></section>",
        chart::lanes(subject, timeline),
        legend.concat()
    );
    section(
        &mut body,
        "Memory",
        "What a session holds, all of it from the start. Strong colours show what is in use of arena and ring.",
    );
    let bands = memory_chart::legend(subject).into_iter().rev();
    let mut legend: String =
        bands.map(|(class, name, bytes)| entry(class, &format!("{name} {}", byte_size::format(bytes)))).collect();
    legend.push_str(&entry("resident", "resident pages"));
    let chart = memory_chart::memory(subject, timeline);
    let _ = write!(body, "<figure>{chart}<figcaption>{legend}</figcaption></figure></section>");
    section(&mut body, "Stalls", &stalls_text(timeline));
    let _ = write!(body, "{}</section>", tables::stalls(subject, timeline));
    section(&mut body, "Weights", "In file order, which is the order of first use.");
    let _ = write!(body, "{}</section>", tables::weights(subject, timeline));
    let rows = tables::row_tables(subject);
    if !rows.is_empty() {
        section(&mut body, "Rows on demand", "Tables of which a run reads only the rows that its indices name.");
        let _ = write!(body, "{rows}</section>");
    }
    document(&format!("{model}: the plan"), &body)
}

/// A whole page; `title` is escaped.
pub(super) fn document(title: &str, body: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><title>{title}</title><style>{STYLE}</style></head><body><main>{body}</main><script>{SCRIPT}</script></body></html>\n"
    )
}

/// Opens a section.
pub(super) fn section(out: &mut String, title: &str, text: &str) {
    let _ = write!(out, "<section><h2>{title}</h2><p>{}</p>", escape(text));
}

/// An entry of a legend.
pub(super) fn entry(class: &str, text: &str) -> String {
    format!("<span><i class=\"{class}\"></i>{}</span>", escape(text))
}

fn subtitle(subject: &Subject<'_>) -> String {
    let plan = subject.plan;
    let weights = stored_encoding(&plan.provenance).map_or(String::new(), |encoding| format!(" {encoding}"));
    format!(
        "{}{weights} weights in {} pages of {}, {} kernel calls, planned for {}, first run",
        byte_size::format(plan.weight_bytes),
        plan.page_count,
        byte_size::format(plan.page.page_bytes()),
        plan.dispatches.len(),
        plan.provenance.profile,
    )
}

fn stalls_text(timeline: &Timeline) -> String {
    if timeline.stalls.is_empty() {
        return "Execution never waits.".to_owned();
    }
    let share = 100.0 * timeline.stalled_us() / timeline.finish_us.max(f64::MIN_POSITIVE);
    let all = timeline.stalls.len();
    format!("{all} in all, {} together: {share:.1} % of the time. The longest come first.", time(timeline.stalled_us()))
}

fn tiles(out: &mut String, subject: &Subject<'_>, timeline: &Timeline, facts: &Facts) {
    let plan = subject.plan;
    let provenance = &plan.provenance;
    let peak = facts.declared_peak_bytes.map_or_else(|| "overflow".to_owned(), byte_size::format);
    let budget = plan
        .budget_bytes
        .map_or_else(|| "no budget".to_owned(), |bytes| format!("budget {}", byte_size::format(bytes)));
    let at = facts.peak_step.map_or_else(String::new, |step| format!("at step {step}, {}", short(node(subject, step))));
    let warm = time(plan.predicted_warm_us as f64);
    let later = if plan.repeat_commands.is_empty() { String::new() } else { format!(", later runs {warm}") };
    let busy = 100.0 * facts.disk_floor_us / timeline.finish_us.max(f64::MIN_POSITIVE);
    let all = [
        ("predicted cold run", time(facts.predicted_us), format!("{:.3} × the floor{later}", facts.ratio())),
        ("disk floor", time(facts.disk_floor_us), format!("busy {:.0} % of the time", busy.min(100.0))),
        ("execution", time(facts.execute_us), format!("waits {}", time(facts.stalled_us))),
        ("declared peak", peak, budget),
        (
            "resident pages",
            format!("{} of {}", facts.peak_pages, plan.page_count),
            if at.is_empty() { "no weights".to_owned() } else { at },
        ),
        (
            "schedule",
            provenance.strategy.clone(),
            format!("{}, gap {:.2} %, {}", provenance.solver_status, provenance.solver_gap * 100.0, provenance.solver),
        ),
    ];
    out.push_str("<dl>");
    for (label, value, more) in all {
        let _ = write!(
            out,
            "<div><dt>{}</dt><dd><b>{}</b><small title=\"{more}\">{more}</small></dd></div>",
            escape(label),
            escape(&value),
            more = escape(&more)
        );
    }
    out.push_str("</dl>");
    // The plan's own prediction is in whole microseconds, and the bundle's steps are rounded.
    let declared_us = plan.predicted_cold_us as f64;
    if (declared_us - facts.predicted_us).abs() > 0.01 * declared_us + 1.0 {
        let _ = write!(
            out,
            "<p class=\"note\">The plan itself declares {} for this run, from other rates than are assumed here.</p>",
            time(declared_us)
        );
    }
}
