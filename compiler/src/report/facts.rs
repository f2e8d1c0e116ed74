//! The numbers that a plan is judged by, and the names of its pages and steps.
//!
//! It deliberately formats nothing but names.

use super::subject::Subject;
use super::timeline::{StallCause, Timeline};
use flashmem_plan_format::plan::Command;

/// Characters of a name that are shown; the middle of longer ones is left out.
const SHOWN_CHARACTERS: usize = 72;

/// What the first lines of a report say.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    /// Predicted time of the first run, as replayed here.
    pub predicted_us: f64,
    /// Time to read all pages without a pause.
    pub disk_floor_us: f64,
    /// Sum of all execution times.
    pub execute_us: f64,
    /// Time in which steps wait.
    pub stalled_us: f64,
    /// Most pages that are resident at once.
    pub peak_pages: u32,
    /// The first step for which that many are.
    pub peak_step: Option<u32>,
    /// Declared peak of memory; `None` when it overflows.
    pub declared_peak_bytes: Option<u64>,
}

impl Facts {
    /// Draws the conclusions.
    pub fn new(subject: &Subject<'_>, timeline: &Timeline) -> Self {
        let plan = subject.plan;
        let (peak_pages, peak_step) = peak(&plan.commands);
        Self {
            predicted_us: timeline.finish_us,
            disk_floor_us: f64::from(plan.page_count) * subject.read_us(),
            execute_us: timeline.execute_us(),
            stalled_us: timeline.stalled_us(),
            peak_pages,
            peak_step,
            declared_peak_bytes: plan.memory.total_bytes(),
        }
    }

    /// Predicted time over the larger of the disk floor and the execution; 1 when nothing better is possible.
    pub fn ratio(&self) -> f64 {
        let floor_us = self.disk_floor_us.max(self.execute_us);
        if floor_us > 0.0 { self.predicted_us / floor_us } else { 1.0 }
    }
}

/// Most resident pages, and the first dispatch before which there are that many.
fn peak(commands: &[Command]) -> (u32, Option<u32>) {
    let (mut resident, mut peak, mut before) = (0_u32, 0, None);
    let mut pending = false;
    for command in commands {
        match command {
            Command::Load { .. } => {
                resident += 1;
                if resident > peak {
                    (peak, pending) = (resident, true);
                }
            }
            Command::Drop { .. } => resident = resident.saturating_sub(1),
            Command::Dispatch { index } => {
                if std::mem::take(&mut pending) {
                    before = Some(*index);
                }
            }
            Command::Submit => {}
        }
    }
    (peak, before)
}

/// ONNX nodes of a step.
pub fn node<'a>(subject: &'a Subject<'_>, step: u32) -> &'a str {
    subject.plan.dispatches.get(step as usize).map_or("", |dispatch| subject.plan.name(dispatch.node))
}

/// What a page belongs to: the first weight on it that has a name.
pub fn page_name(subject: &Subject<'_>, page: u32) -> String {
    let owner = subject.weights.iter().find(|weight| weight.pages.contains(&page));
    match owner.and_then(|weight| weight.name.as_deref()) {
        Some(name) => format!("page {page} (`{}`)", short(name)),
        None => format!("page {page}"),
    }
}

/// What a stall waits for, in words.
pub fn cause(subject: &Subject<'_>, cause: StallCause) -> String {
    match cause {
        StallCause::Disk { page } => format!("the disk: {}", page_name(subject, page)),
        StallCause::Upload { pages: 1 } => "the upload of 1 page that nothing hides".to_owned(),
        StallCause::Upload { pages } => format!("the upload of {pages} pages that nothing hides"),
    }
}

/// A name, its middle left out when it is long.
pub fn short(name: &str) -> String {
    let count = name.chars().count();
    if count <= SHOWN_CHARACTERS {
        return name.to_owned();
    }
    let head: String = name.chars().take(SHOWN_CHARACTERS / 2).collect();
    let tail: String = name.chars().skip(count - SHOWN_CHARACTERS / 2 + 1).collect();
    format!("{head}…{tail}")
}

/// A time for people.
pub fn time(us: f64) -> String {
    match us {
        us if us < 1e-3 => "0".to_owned(),
        us if us < 10.0 => format!("{us:.1} µs"),
        us if us < 1e3 => format!("{us:.0} µs"),
        us if us < 1e5 => format!("{:.2} ms", us / 1e3),
        us if us < 1e7 => format!("{:.1} ms", us / 1e3),
        us => format!("{:.2} s", us / 1e6),
    }
}
