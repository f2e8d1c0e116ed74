//! Memory over time as SVG: what a session holds, stacked by kind, against the budget.
//!
//! A session allocates everything when it opens, so the outline is flat; inside the arena and the ring, the drawing shows
//! how much is in use. Uses are drawn as the most within each pixel column. It deliberately shows declared sizes, which are
//! what the runtime promises.

use super::chart::{LEFT, RIGHT, WIDTH, scale};
use super::facts::time;
use super::markup::{Scale, escape, px, ticks, time_axis};
use super::subject::Subject;
use super::timeline::{Load, Span, Timeline};
use flashmem_plan_format::byte_size;
use std::fmt::Write as _;

const TOP: f64 = 30.0;
const BOTTOM: f64 = 270.0;
const HEIGHT: f64 = 292.0;
/// Columns in which uses are counted.
const COLUMNS: usize = 546;
/// A budget above this many declared peaks is not drawn to scale.
const MAX_BUDGET: f64 = 1.6;

/// One band of the stack.
struct Band {
    class: &'static str,
    name: &'static str,
    bytes: u64,
}

/// The kinds of memory from the bottom up, by class of the page's style.
fn bands(subject: &Subject<'_>) -> Vec<Band> {
    let m = &subject.plan.memory;
    let band = |class, name, bytes| Band { class, name, bytes };
    let small = m.params_bytes.saturating_add(m.input_staging_bytes).saturating_add(m.readback_bytes);
    let all = [
        band("host", "host: plan, outputs, readers' buffers", m.host_bytes),
        band("small", "parameters, input staging, read-back", small),
        band("constants", "constants", m.constant_bytes),
        band("states", "states", m.state_bytes),
        band("activations", "activations", m.activation_bytes),
        band("staging", "staging ring", m.staging_bytes),
        band("arena", "weight arena", m.weight_arena_bytes),
    ];
    all.into_iter().filter(|band| band.bytes > 0).collect()
}

/// Names, classes and sizes of the bands from the bottom up, for a legend.
pub fn legend(subject: &Subject<'_>) -> Vec<(&'static str, &'static str, u64)> {
    bands(subject).into_iter().map(|band| (band.class, band.name, band.bytes)).collect()
}

/// Draws the stack.
pub fn memory(subject: &Subject<'_>, timeline: &Timeline) -> String {
    let declared = subject.plan.memory.total_bytes().unwrap_or(u64::MAX) as f64;
    let budget = subject.plan.budget_bytes.map(|bytes| bytes as f64);
    let to_scale = budget.filter(|bytes| *bytes <= declared * MAX_BUDGET);
    let most = declared.max(to_scale.unwrap_or(0.0)) * 1.08;
    let across = scale(timeline);
    let up = Scale { left: BOTTOM, right: TOP, from: 0.0, to: most };
    let mut out = format!(
        r#"<svg viewBox="0 0 {} {}" role="img" aria-label="Memory over time by kind, against the budget">"#,
        px(WIDTH),
        px(HEIGHT)
    );
    time_axis(&mut out, across, TOP, BOTTOM);
    for tick in byte_ticks(most) {
        let y = up.x(tick);
        let _ = write!(
            out,
            r#"<path class="grid" d="M{} {y}H{}"/><text class="tick" x="{}" y="{}" text-anchor="end">{}</text>"#,
            px(LEFT),
            px(RIGHT),
            px(LEFT - 8.0),
            px(y + 4.0),
            byte_size::format(tick as u64),
            y = px(y),
        );
    }
    let mut base = 0.0;
    for band in bands(subject) {
        let top = base + band.bytes as f64;
        let title = format!("{}: {}", band.name, byte_size::format(band.bytes));
        rectangle(&mut out, band.class, up.x(top), up.x(base), &title);
        used(&mut out, subject, timeline, &band, base, up);
        base = top;
    }
    let text = format!("declared peak {}", byte_size::format(declared as u64));
    line(&mut out, "declared", up.x(declared), &text, (LEFT + 6.0, "start"));
    match (budget, to_scale) {
        (Some(bytes), Some(_)) => {
            line(
                &mut out,
                "budget",
                up.x(bytes),
                &format!("budget {}", byte_size::format(bytes as u64)),
                (RIGHT - 6.0, "end"),
            );
        }
        (Some(bytes), None) => {
            let text = format!("budget {}, above this drawing", byte_size::format(bytes as u64));
            let _ = write!(
                out,
                r#"<text class="budget-text" x="{}" y="{}" text-anchor="end">{text}</text>"#,
                px(RIGHT),
                px(TOP - 8.0)
            );
        }
        (None, _) => {}
    }
    out.push_str("</svg>");
    out
}

/// Round numbers of binary units.
fn byte_ticks(most: f64) -> Vec<f64> {
    let unit = [1_073_741_824.0, 1_048_576.0, 1024.0].into_iter().find(|unit| most >= 2.0 * unit).unwrap_or(1.0);
    ticks(most / unit, 6).into_iter().map(|tick| tick * unit).collect()
}

fn rectangle(out: &mut String, class: &str, top: f64, bottom: f64, title: &str) {
    let _ = write!(
        out,
        r#"<rect class="{class}" x="{}" y="{}" width="{}" height="{}"><title>{}</title></rect>"#,
        px(LEFT),
        px(top),
        px(RIGHT - LEFT),
        px((bottom - top).max(0.3)),
        escape(title),
    );
}

/// The part of the arena or the ring that holds pages, over time.
fn used(out: &mut String, subject: &Subject<'_>, timeline: &Timeline, band: &Band, base: f64, up: Scale) {
    let page_bytes = subject.plan.page.page_bytes();
    let (class, what, lives) = match band.class {
        "arena" => ("resident", "resident pages", resident(timeline)),
        "staging" => ("ring-used", "pages in the ring", in_ring(timeline)),
        _ => return,
    };
    let end_us = timeline.end_us();
    let counts = columns(&lives, end_us);
    let most = counts.iter().copied().max().unwrap_or(0);
    let floor = px(up.x(base));
    let mut path = format!("M{} {floor}", px(LEFT));
    let step = (RIGHT - LEFT) / COLUMNS as f64;
    let mut previous = None;
    for (column, count) in counts.iter().enumerate() {
        if previous != Some(*count) {
            let y = up.x(base + (u64::from(*count) * page_bytes).min(band.bytes) as f64);
            let _ = write!(path, "H{}V{}", px(LEFT + step * column as f64), px(y));
            previous = Some(*count);
        }
    }
    let _ = write!(path, "H{}V{floor}Z", px(RIGHT));
    let title = format!(
        "{what}: at most {most} of {} ({}) over {}",
        band.bytes / page_bytes.max(1),
        byte_size::format(u64::from(most) * page_bytes),
        time(end_us)
    );
    let _ = write!(out, r#"<path class="{class}" d="{path}"><title>{}</title></path>"#, escape(&title));
}

/// When pages are in the arena.
pub fn resident(timeline: &Timeline) -> Vec<Span> {
    let end_us = timeline.end_us();
    let life = |load: &Load| Span { start_us: load.upload.start_us, end_us: load.dropped_us.unwrap_or(end_us) };
    timeline.loads.iter().map(life).collect()
}

/// When pages are in the staging ring.
pub fn in_ring(timeline: &Timeline) -> Vec<Span> {
    timeline.loads.iter().map(|load| Span { start_us: load.read.start_us, end_us: load.upload.end_us }).collect()
}

/// Most lives at one moment in each column.
pub fn columns(lives: &[Span], finish_us: f64) -> Vec<u32> {
    let mut events: Vec<(f64, i32)> = lives.iter().flat_map(|life| [(life.start_us, 1), (life.end_us, -1)]).collect();
    // Ends come first: a slot is taken over in the moment in which it becomes free.
    events.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let mut counts = vec![0; COLUMNS];
    let mut events = events.into_iter().peekable();
    let mut alive = 0_i32;
    for (column, count) in (1_u32..).zip(&mut counts) {
        let end_us = finish_us * f64::from(column) / COLUMNS as f64;
        let mut most = alive;
        let last = column as usize == COLUMNS;
        while let Some((_, change)) = events.next_if(|(at_us, _)| *at_us < end_us || last) {
            alive += change;
            most = most.max(alive);
        }
        *count = most.max(0) as u32;
    }
    counts
}

/// A line across with a text above it, at x and anchored there.
fn line(out: &mut String, class: &str, y: f64, text: &str, (x, anchor): (f64, &str)) {
    let _ = write!(
        out,
        r#"<path class="{class}" d="M{} {}H{}"/><text class="{class}-text" x="{}" y="{}" text-anchor="{anchor}">{}</text>"#,
        px(LEFT),
        px(y),
        px(RIGHT),
        px(x),
        px(y - 5.0),
        escape(text),
    );
}
