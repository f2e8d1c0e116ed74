//! The command lists of a network that takes turns with others in one arena.
//!
//! Takes a problem, a number of kept pages and of slots for the others; returns the list of a run that finds nothing and that of a
//! run that finds the kept pages, both scheduled by the search, and what a run can load for the network that comes next. As for
//! runs of one network (`repeat`), kept pages are a prefix of the stream and a page has one slot in both lists. It does not know
//! networks' frequencies or budgets.

use crate::narrow::index32;
use std::ops::Range;

use flashmem_plan_format::plan::{Command, SlotId};

use super::commands::emit_commands;
use super::decide::{one_pass_finish_us, schedule_with};
use super::gaps::Gaps;
use super::greedy::{Rule, one_pass};
use super::optimum::meets;
use super::part::{Coloured, Part, keeping, max_resident, pages_from, streaming, violations};
use super::pipeline::{State, Uploads, finish_us, is_feasible, simulate_from, timed};
use super::problem::{Demand, Problem};
use super::types::{Schedule, ScheduleError, SolverKind, Strategy};
use super::verify::Violation;

/// Both command lists of a network, and what hand-overs depend on.
pub struct TurnLists {
    /// Commands of a run that finds nothing.
    pub first: Vec<Command>,
    /// Commands of a run that finds the kept pages; nothing where none are kept.
    pub returned: Vec<Command>,
    /// For every step, the slots of its pages in page order, in both.
    pub slots_of_step: Vec<Vec<SlotId>>,
    /// Slots, kept ones first.
    pub slot_count: u32,
    /// Pages that are never dropped.
    pub kept: u32,
    /// The schedule of a run that finds nothing.
    pub cold: Schedule,
    /// Predicted time of a run that finds the kept pages.
    pub returned_us: f64,
    slots: Vec<SlotId>,
    last_holder: Vec<Option<u32>>,
    /// The part of a run that finds the kept pages.
    part: Part,
}

/// Predicted time of a run that finds `kept` pages and has `slots` for the others, by the fastest one-pass schedule; `None` where that
/// many slots do not suffice.
pub fn returned_us(problem: &Problem, kept: u32, slots: u32) -> Option<f64> {
    let streaming = streaming(problem, kept, slots);
    if streaming.pages.is_empty() {
        return Some(problem.steps.iter().map(|step| step.execute_us).sum());
    }
    one_pass_finish_us(&streaming)
}

/// The lists with `kept` pages kept and at most `slots` slots for the others.
///
/// # Errors
/// Slots that do not suffice, and what the independent checker finds: mistakes of this module.
pub fn turn_lists(
    problem: &Problem,
    step_pages: &[Option<Range<u32>>],
    (kept, slots): (u32, u32),
    solver: SolverKind,
) -> Result<Result<TurnLists, Vec<Violation>>, ScheduleError> {
    let first = part(keeping(problem, kept, kept + slots), step_pages.to_vec(), 0, solver)?;
    let pages_behind = step_pages.iter().map(|pages| pages_from(pages.as_ref(), kept)).collect();
    let returned = early(part(streaming(problem, kept, slots), pages_behind, kept, solver)?);
    let violations = violations([&first, &returned]);
    if !violations.is_empty() {
        return Ok(Err(violations));
    }
    // Without kept pages there is one list: both parts are schedules of one problem.
    let slot_count =
        if kept == 0 { max_resident(&returned) } else { max_resident(&first).max(max_resident(&returned) + kept) };
    let coloured = Coloured::new(if kept == 0 { &returned } else { &first }, slot_count, kept);
    let returned_list = if kept == 0 { Vec::new() } else { Coloured::new(&returned, slot_count, kept).commands };
    Ok(Ok(TurnLists {
        slots_of_step: coloured.slots_of_step(step_pages),
        slot_count,
        kept,
        returned_us: returned.schedule.finish_us,
        returned: returned_list,
        first: coloured.commands,
        cold: first.schedule,
        slots: coloured.slots,
        last_holder: coloured.last_holder,
        part: returned,
    }))
}

/// The same part with the schedule, among those that are as fast, that uploads earliest: the fewest slots are of no use where others
/// have as many, the disk is free for the next network sooner, and pages that were handed over let it run ahead.
fn early(part: Part) -> Part {
    let (problem, demand) = (&part.problem, Demand::new(&part.problem));
    let mut best = part.schedule.clone();
    if demand.smallest_slots() > problem.slot_cap || problem.pages.is_empty() {
        return part;
    }
    for rule in Rule::AHEAD {
        let uploads = one_pass(problem, &demand, problem.slot_cap, rule);
        let other = timed(problem, &demand, &uploads);
        let is_right = is_feasible(problem, &demand, &uploads) && meets(other.finish_us, part.schedule.finish_us);
        if is_right && earliness(&other) > earliness(&best) {
            best = other;
        }
    }
    let stream = emit_commands(problem, &best, &part.step_pages);
    let starts_us = best.step_start_us.clone();
    Part { schedule: best, stream, starts_us, ..part }
}

/// Pages that are uploaded, summed up over the starts of all steps.
fn earliness(schedule: &Schedule) -> u64 {
    let mut uploaded = 0;
    schedule.uploads_before_step.iter().map(|count| (uploaded += u64::from(*count), uploaded).1).sum()
}

/// A scheduled problem whose pages start with `first_page` of the stream.
fn part(
    problem: Problem,
    step_pages: Vec<Option<Range<u32>>>,
    first_page: u32,
    solver: SolverKind,
) -> Result<Part, ScheduleError> {
    let schedule = schedule_with(&problem, Strategy::Optimal, solver)?;
    let stream = emit_commands(&problem, &schedule, &step_pages);
    let starts_us = schedule.step_start_us.clone();
    Ok(Part { problem, step_pages, schedule, stream, starts_us, first_page, ahead: 0 })
}

/// The pages behind the kept ones of `next` that a run of `current` can load for it: for each, the step of `current` before which it
/// is; and the predicted time of the run of `next` with them. As for the next run of one network, a load is predicted to cost
/// nothing: its page arrives before that step starts, its slot is free while the step before it runs, which also hides the copy.
pub fn hand_over(current: &TurnLists, next: &TurnLists) -> (Vec<u32>, f64) {
    let mut gaps = Gaps::after_main(&current.part);
    let most = (next.slot_count - next.kept).min(index32(next.slots.len()) - next.kept);
    let step_of = |index: u32| {
        // Slots behind the kept ones are in the same order for all networks.
        let slot = current.kept + (next.slots[(next.kept + index) as usize].0 - next.kept);
        let holder = current.last_holder.get(slot as usize).copied().flatten();
        gaps.next(holder.map_or(1, |holder| current.part.last_step(holder) + 2))
    };
    let steps: Vec<u32> = (0..most).map_while(step_of).collect();
    let after_us = next.after_us(index32(steps.len()));
    (steps, after_us)
}

impl TurnLists {
    /// Predicted time of a run that finds the kept pages and `head` more.
    fn after_us(&self, head: u32) -> f64 {
        let (problem, demand) = (&self.part.problem, Demand::new(&self.part.problem));
        let mut sum = 0;
        let counts = self.part.schedule.uploads_before_step.iter();
        let uploaded = counts.map(|count| (sum += count, sum.max(head)).1).collect();
        let uploads = Uploads { uploaded, slots: self.part.schedule.peak_pages };
        let start = State { uploaded: head, start_us: 0.0, read_pages: f64::from(head) };
        finish_us(problem, &simulate_from(problem, &demand, &uploads, start))
    }
}
