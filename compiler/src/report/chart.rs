//! The timeline as SVG: lanes for disk, uploads and execution on one axis of time.
//!
//! Rectangles thinner than a pixel are merged with their neighbours, so the drawing's size depends on its width and not on the
//! number of pages and steps. Every mark says in a `<title>` what it is. It deliberately colours by class only: names are in
//! titles and tables.

use super::facts::{cause, node, page_name, short, time};
use super::markup::{Scale, escape, px, time_axis};
use super::subject::Subject;
use super::timeline::{Load, Span, Stall, Timeline};
use crate::cost::OperatorClass;
use std::fmt::Write as _;

/// Width of all drawings.
pub const WIDTH: f64 = 1200.0;
/// Left edge of the axis.
pub const LEFT: f64 = 92.0;
/// Right edge of the axis.
pub const RIGHT: f64 = 1184.0;

/// Marks thinner than this are merged with neighbours that are nearer than this.
const THIN_PX: f64 = 1.2;
/// Stalls that are numbered in the drawing.
const NUMBERED: usize = 12;
/// Least distance of two numbers.
const NUMBER_GAP_PX: f64 = 17.0;

const DISK_TOP: f64 = 34.0;
const UPLOAD_TOP: f64 = 82.0;
const EXECUTE_TOP: f64 = 130.0;
const LANE: f64 = 34.0;
const BOTTOM: f64 = 178.0;
const HEIGHT: f64 = 200.0;

/// The horizontal scale of a timeline.
pub fn scale(timeline: &Timeline) -> Scale {
    Scale { left: LEFT, right: RIGHT, from: 0.0, to: timeline.end_us() }
}

/// One rectangle of a lane.
struct Mark {
    span: Span,
    class: &'static str,
    /// First and last page or step.
    items: (u32, u32),
}

/// Draws the lanes.
pub fn lanes(subject: &Subject<'_>, timeline: &Timeline) -> String {
    let scale = scale(timeline);
    let mut out = format!(
        r#"<svg viewBox="0 0 {} {}" role="img" aria-label="Predicted timeline: disk, upload and execution">"#,
        px(WIDTH),
        px(HEIGHT)
    );
    out.push_str(
        r#"<defs><pattern id="wait" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><rect class="wait-ground" width="6" height="6"/><rect class="wait-line" width="2.4" height="6"/></pattern></defs>"#,
    );
    time_axis(&mut out, scale, 26.0, BOTTOM);
    for (label, top) in [("disk", DISK_TOP), ("upload", UPLOAD_TOP), ("execution", EXECUTE_TOP)] {
        let middle = px(top + LANE / 2.0 + 4.0);
        let _ =
            write!(out, r#"<text class="lane" x="{}" y="{middle}" text-anchor="end">{label}</text>"#, px(LEFT - 10.0));
    }
    let page_marks = |span_of: fn(&Load) -> Span, class| {
        let marks =
            timeline.loads.iter().map(|load| Mark { span: span_of(load), class, items: (load.page, load.page) });
        merged(marks.filter(|mark| mark.span.us() > 0.0).collect(), scale)
    };
    let page_bytes = subject.plan.page.page_bytes();
    for mark in page_marks(|load| load.read, "disk") {
        rectangle(&mut out, scale, &mark, DISK_TOP, &pages_title(subject, "read", &mark, page_bytes));
    }
    for mark in page_marks(|load| load.upload, "upload") {
        rectangle(&mut out, scale, &mark, UPLOAD_TOP, &pages_title(subject, "uploaded", &mark, page_bytes));
    }
    stalls(&mut out, subject, timeline, scale);
    let steps = (0_u32..).zip(&timeline.steps).zip(&subject.steps);
    let steps =
        steps.map(|((step, span), rate)| Mark { span: *span, class: class_name(rate.class), items: (step, step) });
    for mark in merged(steps.filter(|mark| mark.span.us() > 0.0).collect(), scale) {
        rectangle(&mut out, scale, &mark, EXECUTE_TOP, &steps_title(subject, &mark));
    }
    numbers(&mut out, timeline, scale);
    out.push_str("</svg>");
    out
}

/// Class of a step in the page's style.
pub const fn class_name(class: OperatorClass) -> &'static str {
    match class {
        OperatorClass::Elemental => "elemental",
        OperatorClass::Reusable => "reusable",
        OperatorClass::Hierarchical => "hierarchical",
    }
}

/// Merges thin neighbours; a merged mark has the class that takes most of its time.
fn merged(marks: Vec<Mark>, scale: Scale) -> Vec<Mark> {
    let mut out: Vec<Mark> = Vec::new();
    let mut weight_us: Vec<(&'static str, f64)> = Vec::new();
    let width = |span: Span| scale.x(span.end_us) - scale.x(span.start_us);
    for mark in marks {
        let joins = out.last().is_some_and(|last| {
            let gap = scale.x(mark.span.start_us) - scale.x(last.span.end_us);
            let ascending = mark.items.0 >= last.items.1;
            ascending && gap < THIN_PX / 2.0 && (width(last.span) < THIN_PX || width(mark.span) < THIN_PX)
        });
        match out.last_mut() {
            Some(last) if joins => {
                add_weight(&mut weight_us, mark.class, mark.span.us());
                last.span.end_us = last.span.end_us.max(mark.span.end_us);
                last.items.1 = mark.items.1;
                last.class = weight_us.iter().fold(("", 0.0), |best, w| if w.1 > best.1 { *w } else { best }).0;
            }
            Some(_) | None => {
                weight_us.clear();
                add_weight(&mut weight_us, mark.class, mark.span.us());
                out.push(mark);
            }
        }
    }
    out
}

fn add_weight(weights: &mut Vec<(&'static str, f64)>, class: &'static str, us: f64) {
    match weights.iter_mut().find(|(known, _)| *known == class) {
        Some((_, sum)) => *sum += us,
        None => weights.push((class, us)),
    }
}

fn rectangle(out: &mut String, scale: Scale, mark: &Mark, top: f64, title: &str) {
    let x = scale.x(mark.span.start_us);
    let width = scale.x(mark.span.end_us) - x;
    // A hairline between wide neighbours; thin marks stay visible.
    let width = if width > 4.0 { width - 0.6 } else { width.max(0.5) };
    let _ = write!(
        out,
        r#"<rect class="{}" x="{}" y="{}" width="{}" height="{}"><title>{}</title></rect>"#,
        mark.class,
        px(x),
        px(top),
        px(width),
        px(LANE),
        escape(title),
    );
}

fn between(span: Span) -> String {
    format!("{} to {}", time(span.start_us), time(span.end_us))
}

fn pages_title(subject: &Subject<'_>, verb: &str, mark: &Mark, page_bytes: u64) -> String {
    let (first, last) = mark.items;
    if first == last {
        return format!("{} is {verb}: {}", page_name(subject, first), between(mark.span));
    }
    let size = flashmem_plan_format::byte_size::format(page_bytes * u64::from(last.abs_diff(first) + 1));
    format!("pages {first} to {last} ({size}) are {verb}: {}", between(mark.span))
}

fn steps_title(subject: &Subject<'_>, mark: &Mark) -> String {
    let (first, last) = mark.items;
    let (us, span) = (time(mark.span.us()), between(mark.span));
    if first == last {
        return format!("step {first} `{}` ({}): {us}, {span}", short(node(subject, first)), mark.class);
    }
    let (from, to) = (short(node(subject, first)), short(node(subject, last)));
    format!("steps {first} to {last}, `{from}` to `{to}`: {us}, {span}")
}

fn stalls(out: &mut String, subject: &Subject<'_>, timeline: &Timeline, scale: Scale) {
    let mut index = 0;
    while let Some(first) = timeline.stalls.get(index) {
        // Stalls that the eye cannot separate become one mark.
        let mut last: &Stall = first;
        let mut count = 1;
        while let Some(next) = timeline.stalls.get(index + count)
            && scale.x(next.span.end_us) - scale.x(first.span.start_us) < THIN_PX
        {
            last = next;
            count += 1;
        }
        index += count;
        let x = scale.x(first.span.start_us);
        let width = (scale.x(last.span.end_us) - x).max(0.6);
        let name = short(node(subject, first.step));
        let title = if count == 1 {
            let (us, why) = (time(first.span.us()), cause(subject, first.cause));
            format!("`{name}` (step {}) waits {us} for {why}", first.step)
        } else {
            format!("{count} stalls, from `{name}` (step {}) to step {}", first.step, last.step)
        };
        let _ = write!(
            out,
            r#"<rect class="stall" x="{}" y="{}" width="{}" height="{}"><title>{}</title></rect>"#,
            px(x),
            px(EXECUTE_TOP),
            px(width),
            px(LANE),
            escape(&title),
        );
    }
}

/// Numbers the longest stalls as the table does, where there is room.
fn numbers(out: &mut String, timeline: &Timeline, scale: Scale) {
    let mut taken: Vec<f64> = Vec::new();
    for (number, stall) in (1..).zip(timeline.longest_stalls().into_iter().take(NUMBERED)) {
        let x = scale.x((stall.span.start_us + stall.span.end_us) / 2.0);
        if taken.iter().any(|other| (other - x).abs() < NUMBER_GAP_PX) {
            continue;
        }
        taken.push(x);
        let (x, y) = (px(x), EXECUTE_TOP + LANE / 2.0);
        let _ = write!(
            out,
            r#"<circle class="number-ground" cx="{x}" cy="{}" r="8"/><text class="number" x="{x}" y="{}" text-anchor="middle">{number}</text>"#,
            px(y),
            px(y + 3.6),
        );
    }
}
