//! The independent checker of schedules and command streams. It shares no code with what made them.
//!
//! It replays the commands and checks: every page loaded once, in ascending order, into a slot below the peak that holds no
//! live page; dropped once, not before its last use; every dispatch once, in order, with its pages resident in the slots that it
//! was given; the ring rule (a submit between load k − R and load k); a submit at the end; the counts of the schedule. It also
//! replays the disk, the ring and the uploads page by page (the solver counts in fluid amounts) and checks that no step starts
//! before its pages and its predecessor allow, and the finish time. It does not check optimality, nor what `problem` was
//! made from beyond `step_pages`. All violations are returned.

use crate::narrow::index32;
use std::ops::Range;

use flashmem_plan_format::plan::{Command, PageId, SlotId};

use super::commands::CommandStream;
use super::problem::Problem;
use super::types::Schedule;

pub use super::violation::Violation;

/// Relative difference between predicted times that is accepted as rounding.
const TOLERANCE: f64 = 1e-6;

/// Checks a schedule against the rules of time and the cap of slots; empty when it is right.
pub fn verify_schedule(problem: &Problem, schedule: &Schedule) -> Vec<Violation> {
    let mut violations = lengths(problem, &tables(schedule));
    if violations.is_empty() {
        violations.extend(cap("peak", schedule.peak_pages, problem.slot_cap));
        violations.extend(super::verify_time::check_times(problem, schedule, TOLERANCE));
    }
    violations
}

/// Replays the commands of a schedule; empty when they are right.
pub fn verify_commands(
    problem: &Problem,
    schedule: &Schedule,
    stream: &CommandStream,
    step_pages: &[Option<Range<u32>>],
) -> Vec<Violation> {
    let [uploads, starts] = tables(schedule);
    let own = [("slots_of_step", stream.slots_of_step.len()), ("step_pages", step_pages.len())];
    let mut violations = lengths(problem, &[uploads, starts, own[0], own[1]]);
    if violations.is_empty() {
        violations.extend(cap("slot count", stream.slot_count, schedule.peak_pages));
        violations.extend(Replay::new(problem, schedule, stream, step_pages).run());
    }
    violations
}

/// Both checks.
pub fn verify(
    problem: &Problem,
    schedule: &Schedule,
    stream: &CommandStream,
    step_pages: &[Option<Range<u32>>],
) -> Vec<Violation> {
    let mut violations = verify_schedule(problem, schedule);
    violations.extend(verify_commands(problem, schedule, stream, step_pages));
    violations
}

/// A table's name and its entries.
type Table = (&'static str, usize);

fn tables(schedule: &Schedule) -> [Table; 2] {
    let Schedule { uploads_before_step, step_start_us, .. } = schedule;
    [("uploads_before_step", uploads_before_step.len()), ("step_start_us", step_start_us.len())]
}

/// Tables that have not an entry a step.
fn lengths(problem: &Problem, tables: &[Table]) -> Vec<Violation> {
    let steps = problem.steps.len();
    let wrong = tables.iter().filter(|(_, entries)| *entries != steps);
    wrong.map(|(table, entries)| Violation::Length { table, entries: *entries, steps }).collect()
}

fn cap(what: &'static str, slots: u32, limit: u32) -> Option<Violation> {
    (slots > limit).then_some(Violation::Cap { what, slots, limit })
}

/// The last step that reads each page.
fn last_readers(step_pages: &[Option<Range<u32>>], pages: usize) -> Vec<Option<u32>> {
    let mut last = vec![None; pages];
    for (step, read) in (0..).zip(step_pages) {
        for page in read.clone().into_iter().flatten() {
            if let Some(last) = last.get_mut(page as usize) {
                *last = Some(step);
            }
        }
    }
    last
}

/// Leaves a page without a slot; the one that it had.
fn take(slot_of: &mut [Option<u32>], page: u32) -> Option<u32> {
    slot_of.get_mut(page as usize).and_then(Option::take)
}

struct Replay<'a> {
    problem: &'a Problem,
    schedule: &'a Schedule,
    stream: &'a CommandStream,
    step_pages: &'a [Option<Range<u32>>],
    /// The last step that reads a page, by page.
    last_reader: Vec<Option<u32>>,
    /// The live page of every slot, and the slot of every live page.
    holder: Vec<Option<u32>>,
    slot_of: Vec<Option<u32>>,
    /// Position of the last submit, if any.
    last_submit: Option<usize>,
    load_commands: Vec<usize>,
    next_step: u32,
    loads_since_step: u32,
    dropped: u32,
    violations: Vec<Violation>,
}

impl<'a> Replay<'a> {
    fn new(
        problem: &'a Problem,
        schedule: &'a Schedule,
        stream: &'a CommandStream,
        step_pages: &'a [Option<Range<u32>>],
    ) -> Self {
        Self {
            problem,
            schedule,
            stream,
            step_pages,
            last_reader: last_readers(step_pages, problem.pages.len()),
            slot_of: vec![None; problem.pages.len()],
            holder: vec![None; stream.slot_count as usize],
            last_submit: None,
            load_commands: Vec::new(),
            next_step: 0,
            loads_since_step: 0,
            dropped: 0,
            violations: Vec::new(),
        }
    }

    fn run(mut self) -> Vec<Violation> {
        for (at, command) in self.stream.commands.iter().enumerate() {
            match *command {
                Command::Load { page: PageId(page), slot: SlotId(slot) } => self.load(at, page, slot),
                Command::Drop { page: PageId(page) } => self.drop(at, page),
                Command::Dispatch { index } => self.dispatch(at, index),
                Command::Submit => self.last_submit = Some(at),
            }
        }
        let loaded = index32(self.load_commands.len());
        let missing = [
            ("pages are never loaded", index32(self.problem.pages.len()), loaded),
            ("pages are never dropped", index32(self.problem.pages.len()), self.dropped),
            ("steps are never dispatched", index32(self.problem.steps.len()), self.next_step),
        ];
        for (what, expected, actual) in missing {
            if actual < expected {
                self.violations.push(Violation::Missing { what, count: expected - actual });
            }
        }
        let work =
            self.stream.commands.iter().rposition(|c| matches!(c, Command::Load { .. } | Command::Dispatch { .. }));
        if work > self.last_submit {
            self.violations.push(Violation::Missing { what: "submits are missing after the last command", count: 1 });
        }
        self.violations
    }

    fn load(&mut self, at: usize, page: u32, slot: u32) {
        let expected = index32(self.load_commands.len());
        if page != expected || page as usize >= self.problem.pages.len() {
            self.violations.push(Violation::LoadOrder { command: at, page, expected });
        }
        let load = self.load_commands.len();
        let reused = load
            .checked_sub(self.problem.staging_pages as usize)
            .and_then(|earlier| self.load_commands.get(earlier).copied());
        if reused.is_some_and(|earlier| self.last_submit.is_none_or(|submit| submit < earlier)) {
            self.violations.push(Violation::Ring { command: at, load });
        }
        self.load_commands.push(at);
        self.loads_since_step += 1;
        match self.holder.get_mut(slot as usize) {
            None => self.violations.push(Violation::SlotRange { command: at, slot, slots: self.stream.slot_count }),
            Some(holder) => {
                if let Some(live) = holder.replace(page) {
                    take(&mut self.slot_of, live);
                    self.violations.push(Violation::Overwrite { command: at, page, live, slot });
                }
                if let Some(place) = self.slot_of.get_mut(page as usize) {
                    *place = Some(slot);
                }
            }
        }
    }

    fn drop(&mut self, at: usize, page: u32) {
        self.dropped += 1;
        match take(&mut self.slot_of, page) {
            None => self.violations.push(Violation::DropAbsent { command: at, page }),
            Some(slot) => self.holder[slot as usize] = None,
        }
        // All that read it have run, and there is one that does.
        let last_reader = self.last_reader.get(page as usize).copied().flatten();
        if last_reader.is_none_or(|last| last >= self.next_step) {
            self.violations.push(Violation::DropEarly { command: at, page });
        }
    }

    fn dispatch(&mut self, at: usize, step: u32) {
        if step != self.next_step {
            self.violations.push(Violation::DispatchOrder { command: at, step, expected: self.next_step });
        }
        self.next_step += 1;
        let actual = std::mem::take(&mut self.loads_since_step);
        let Some(pages) = self.step_pages.get(step as usize) else { return };
        let scheduled = self.schedule.uploads_before_step[step as usize];
        if actual != scheduled {
            self.violations.push(Violation::UploadCount { step, actual, scheduled });
        }
        let expected = &self.stream.slots_of_step[step as usize];
        for (index, page) in pages.clone().into_iter().flatten().enumerate() {
            let expected = expected.get(index).map(|slot| slot.0);
            let actual = self.slot_of.get(page as usize).copied().flatten();
            if actual.is_none() || expected != actual {
                self.violations.push(Violation::NotResident { command: at, step, page, expected, actual });
            }
        }
    }
}
