//! A schedule as commands for the runtime.
//!
//! Takes a [`Schedule`] and the pages that each step reads; returns loads, drops, dispatches and submits in order, with the slot
//! of every page. Slots come from a free list, lowest first: kernels address pages through a table, so any free slot
//! does, and `peak_pages` slots always suffice. Loads that fit beside the running step precede the drops of its pages, so that
//! they can overlap with it. It checks nothing: `verify` does, with other code.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::Range;

use flashmem_plan_format::plan::{Command, PageId, SlotId};

use super::problem::Problem;
use super::types::Schedule;

/// Dispatches after which a batch is submitted, the first after a load.
pub const DISPATCHES_PER_SUBMIT: u32 = 8;
/// Estimated work after which a batch is submitted, likewise.
pub const WORK_PER_SUBMIT_US: f64 = 2000.0;
/// Each batch without loads may be twice the one before, up to this many times the first: the device is busy by then, and every
/// batch on its way costs memory and time of the driver's.
const MAX_GROWTH: u32 = 8;
/// Estimated work that is submitted before the host waits for the disk, so that the device is not idle meanwhile.
pub const WORK_BEFORE_WAIT_US: f64 = 200.0;

/// The command list, and where each dispatch finds its pages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandStream {
    /// The command list; `Dispatch { index }` is the step of that index.
    pub commands: Vec<Command>,
    /// For every step, the slots of its pages in page order.
    pub slots_of_step: Vec<Vec<SlotId>>,
    /// Slots used: one more than the highest.
    pub slot_count: u32,
}

/// Turns a schedule of `problem` into commands. `step_pages[s]` is the range of pages that step s reads; it must be what
/// `problem.pages` was made from, and `schedule` a schedule of `problem`.
pub fn emit_commands(problem: &Problem, schedule: &Schedule, step_pages: &[Option<Range<u32>>]) -> CommandStream {
    let mut emitter = Emitter::new(problem, schedule);
    let dying = pages_by_last_step(problem);
    let mut next_page = 0;
    let mut slots_of_step = Vec::with_capacity(step_pages.len());
    for (step, pages) in (0_u32..).zip(step_pages) {
        let index = step as usize;
        let mut dead: &[u32] = match index.checked_sub(1) {
            None => &[],
            Some(previous) => &dying[previous],
        };
        let end = next_page + schedule.uploads_before_step[index];
        if next_page < end && emitter.work_us >= WORK_BEFORE_WAIT_US && waits(problem, schedule, index) {
            emitter.submit();
        }
        for page in next_page..end {
            if emitter.free.is_empty() {
                emitter.drop_all(std::mem::take(&mut dead));
            }
            emitter.load(page);
        }
        next_page = end;
        emitter.drop_all(dead);
        let slots = pages.clone().into_iter().flatten().map(|page| emitter.slot_of_page[page as usize]);
        slots_of_step.push(slots.collect());
        emitter.dispatch(step, problem.steps[index].execute_us);
    }
    if let Some(last) = dying.last() {
        emitter.drop_all(last);
    }
    emitter.submit();
    CommandStream { commands: emitter.commands, slots_of_step, slot_count: emitter.slot_count }
}

/// Whether step `index` starts later than the step before it ends.
fn waits(problem: &Problem, schedule: &Schedule, index: usize) -> bool {
    index.checked_sub(1).is_some_and(|previous| {
        let ends_us = schedule.step_start_us[previous] + problem.steps[previous].execute_us;
        schedule.step_start_us[index] > ends_us + problem.upload_us()
    })
}

fn pages_by_last_step(problem: &Problem) -> Vec<Vec<u32>> {
    let mut dying = vec![Vec::new(); problem.steps.len()];
    for (page, page_use) in (0_u32..).zip(&problem.pages) {
        dying[page_use.last_step as usize].push(page);
    }
    dying
}

/// The commands so far and the state that decides slots and submits.
struct Emitter {
    commands: Vec<Command>,
    /// Lowest slot first.
    free: BinaryHeap<Reverse<u32>>,
    slot_of_page: Vec<SlotId>,
    slot_count: u32,
    loads_per_submit: u32,
    loads: u32,
    dispatches: u32,
    work_us: f64,
    /// Size of the next batch, in those of the first after a load.
    growth: u32,
}

impl Emitter {
    fn new(problem: &Problem, schedule: &Schedule) -> Self {
        Self {
            commands: Vec::new(),
            free: (0..schedule.peak_pages).map(Reverse).collect(),
            slot_of_page: vec![SlotId(0); problem.pages.len()],
            slot_count: 0,
            // Half the ring: one half is filled while the other is on its way.
            loads_per_submit: (problem.staging_pages / 2).max(1),
            loads: 0,
            dispatches: 0,
            work_us: 0.0,
            growth: 1,
        }
    }

    fn load(&mut self, page: u32) {
        let Reverse(slot) = self.free.pop().expect("a schedule never has more than peak_pages resident pages");
        self.slot_of_page[page as usize] = SlotId(slot);
        self.slot_count = self.slot_count.max(slot + 1);
        self.commands.push(Command::Load { page: PageId(page), slot: SlotId(slot) });
        self.loads += 1;
        self.growth = 1;
        self.submit_if_due();
    }

    fn drop_all(&mut self, pages: &[u32]) {
        for page in pages {
            self.commands.push(Command::Drop { page: PageId(*page) });
            self.free.push(Reverse(self.slot_of_page[*page as usize].0));
        }
    }

    fn dispatch(&mut self, step: u32, execute_us: f64) {
        self.commands.push(Command::Dispatch { index: step });
        self.dispatches += 1;
        self.work_us += execute_us;
        self.submit_if_due();
    }

    fn submit_if_due(&mut self) {
        let due = self.loads >= self.loads_per_submit
            || self.dispatches >= self.growth * DISPATCHES_PER_SUBMIT
            || self.work_us >= f64::from(self.growth) * WORK_PER_SUBMIT_US;
        if due {
            if self.loads == 0 {
                self.growth = (2 * self.growth).min(MAX_GROWTH);
            }
            self.submit();
        }
    }

    /// Submits what was encoded since the last submit, if anything was.
    fn submit(&mut self) {
        if self.loads > 0 || self.dispatches > 0 {
            self.commands.push(Command::Submit);
            (self.loads, self.dispatches, self.work_us) = (0, 0, 0.0);
        }
    }
}
