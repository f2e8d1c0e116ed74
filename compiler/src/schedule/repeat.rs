//! The command lists of a plan whose runs follow each other: what stays resident in between, and what later runs load.
//!
//! Takes a schedule of a first run and a number of slots; returns commands for a first run that ends with some pages resident,
//! and commands for a later run that starts and ends so. A prefix of the page stream is *kept*: loaded by the first run, never
//! dropped. The pages behind it may be loaded *ahead*, at the end of the run before, where the predicted tail of execution
//! hides their reads. docs/schedule.md has the argument for a prefix and for the slots. Later runs are scheduled in one pass,
//! without a search. It does not know budgets: the caller turns them into slots.

use crate::narrow::index32;
use std::collections::VecDeque;
use std::ops::Range;

use flashmem_plan_format::plan::{Command, PageId, SlotId};

use super::commands::{CommandStream, emit_commands};
use super::greedy::{Rule, one_pass_from};
use super::optimum::{TIME_TOLERANCE, meets};
use super::pipeline::{State, Uploads, finish_us, is_feasible, simulate_from, timed, uploads_finish_us};
use super::problem::{Demand, Problem};
use super::types::Schedule;
use super::verify::{Violation, verify};

/// Numbers of kept pages that are compared: this many from the most down, and as many evenly over the rest.
const COMPARED: u32 = 16;

/// Share of a later run's time that loads for it by the run before must save: they are reads that the first run would not need.
const HEAD_GAIN: f64 = 0.01;

/// Rounds after which the number of pages loaded ahead is halved instead of lowered to what was possible.
const PATIENT_ROUNDS: u32 = 4;

/// Both command lists.
#[derive(Debug, Clone, PartialEq)]
pub struct CommandLists {
    /// Commands of a run with an empty arena.
    pub first: Vec<Command>,
    /// Commands of a run after a completed one.
    pub repeat: Vec<Command>,
    /// For every step, the slots of its pages in page order, in both.
    pub slots_of_step: Vec<Vec<SlotId>>,
    /// Most pages that are resident at once in either: the slots of the arena.
    pub slot_count: u32,
    /// Pages that are never dropped, from the first one of the stream on.
    pub kept: u32,
    /// Pages after these that are loaded by the run before.
    pub ahead: u32,
    /// Predicted time of a later run.
    pub warm_us: f64,
}

/// How many pages to keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeepPages {
    /// As many as make later runs fastest and the first one no slower.
    Best,
    /// All of them.
    All,
}

/// The command lists with at most `slots` slots whose later runs are predicted to be fastest; `None` when nothing can stay resident
/// without making the first run slower than `schedule`, which must be a schedule of `problem`.
///
/// # Errors
/// What the independent checker finds: mistakes of this module.
pub fn repeat(
    problem: &Problem,
    schedule: &Schedule,
    step_pages: &[Option<Range<u32>>],
    slots: u32,
    keep: KeepPages,
) -> Result<Option<CommandLists>, Vec<Violation>> {
    let maker = Maker { problem, schedule, step_pages, uploaded: cumulative(schedule), slots };
    let candidates = match keep {
        KeepPages::All => vec![problem.page_count()],
        KeepPages::Best => maker.candidates(),
    };
    let mut best: Option<Attempt> = None;
    for kept in candidates {
        let made = maker.make(kept);
        let faster = |best: &Attempt| made.lists.warm_us < best.lists.warm_us * (1.0 - TIME_TOLERANCE);
        if best.as_ref().is_none_or(faster) {
            best = Some(made);
        }
    }
    let Some(best) = best.filter(|best| best.lists.kept + best.lists.ahead > 0) else { return Ok(None) };
    let violations = maker.check(&best);
    if violations.is_empty() { Ok(Some(best.lists)) } else { Err(violations) }
}

/// Pages uploaded before each step.
fn cumulative(schedule: &Schedule) -> Vec<u32> {
    let mut sum = 0;
    schedule.uploads_before_step.iter().map(|count| (sum += count, sum).1).collect()
}

struct Maker<'a> {
    problem: &'a Problem,
    schedule: &'a Schedule,
    step_pages: &'a [Option<Range<u32>>],
    /// Of the first run.
    uploaded: Vec<u32>,
    slots: u32,
}

/// Command lists, and what they were made from, for the checker.
struct Attempt {
    lists: CommandLists,
    first: Part,
    repeat: Part,
}

/// A scheduling problem with its solution.
#[derive(Clone)]
pub(super) struct Part {
    pub(super) problem: Problem,
    pub(super) step_pages: Vec<Option<Range<u32>>>,
    pub(super) schedule: Schedule,
    pub(super) stream: CommandStream,
    /// Predicted starts of the steps, with pages that are there from the beginning.
    pub(super) starts_us: Vec<f64>,
    /// First page of the part in the page stream.
    pub(super) first_page: u32,
    /// Pages of the part that are there from the beginning.
    pub(super) ahead: u32,
}

impl Maker<'_> {
    /// Numbers of kept pages to compare, most first.
    fn candidates(&self) -> Vec<u32> {
        let (mut low, mut high) = (0, self.problem.page_count().min(self.slots));
        // More kept pages leave fewer slots to the others, so what is as fast is so up to some number.
        while low < high {
            let middle = low + (high - low).div_ceil(2);
            if self.first_is_as_fast(middle) { low = middle } else { high = middle - 1 }
        }
        let mut kept: Vec<u32> = (0..=low).rev().take(COMPARED as usize).collect();
        kept.extend((0..COMPARED).rev().map(|part| low / COMPARED * part));
        kept.sort_unstable_by(|a, b| b.cmp(a));
        kept.dedup();
        kept
    }

    fn first_is_as_fast(&self, kept: u32) -> bool {
        let problem = self.keeping(kept);
        let (demand, uploads) = (Demand::new(&problem), Uploads { uploaded: self.uploaded.clone(), slots: self.slots });
        is_feasible(&problem, &demand, &uploads)
            && meets(uploads_finish_us(&problem, &demand, &uploads), self.schedule.finish_us)
    }

    fn keeping(&self, kept: u32) -> Problem {
        keeping(self.problem, kept, self.slots)
    }

    fn streaming(&self, kept: u32) -> Problem {
        streaming(self.problem, kept, self.slots - kept)
    }

    fn make(&self, kept: u32) -> Attempt {
        let first = self.first_part(kept);
        let most = index32(tail(&first, &Coloured::new(&first, self.slots, kept), kept, self.slots - kept).len());
        let with_head = self.make_ahead(&first, kept, most);
        if with_head.lists.ahead == 0 {
            return with_head;
        }
        let without = self.make_ahead(&first, kept, 0);
        let worth_it = with_head.lists.warm_us < without.lists.warm_us * (1.0 - HEAD_GAIN);
        if worth_it { with_head } else { without }
    }

    /// Command lists that load at most `ahead` pages for the next run.
    fn make_ahead(&self, first: &Part, kept: u32, mut ahead: u32) -> Attempt {
        // The more pages are loaded ahead, the earlier a later run ends, and the less it hides the next one's.
        for round in 0_u32.. {
            let repeat = self.repeat_part(kept, ahead);
            match combine(first, &repeat, kept, ahead) {
                Ok(lists) => return Attempt { lists, first: first.clone(), repeat },
                Err(fewer) => ahead = if round < PATIENT_ROUNDS { fewer } else { fewer.min(ahead / 2) },
            }
        }
        unreachable!("no page can always be loaded ahead")
    }

    fn first_part(&self, kept: u32) -> Part {
        let problem = self.keeping(kept);
        let uploads = Uploads { uploaded: self.uploaded.clone(), slots: self.slots };
        let schedule = timed(&problem, &Demand::new(&problem), &uploads);
        let stream = emit_commands(&problem, &schedule, self.step_pages);
        let starts_us = schedule.step_start_us.clone();
        Part { problem, step_pages: self.step_pages.to_vec(), schedule, stream, starts_us, first_page: 0, ahead: 0 }
    }

    fn repeat_part(&self, kept: u32, ahead: u32) -> Part {
        let problem = self.streaming(kept);
        let demand = Demand::new(&problem);
        let start = State { uploaded: ahead, start_us: 0.0, read_pages: f64::from(ahead) };
        let as_first = self.uploaded.iter().map(|count| count.saturating_sub(kept).max(ahead)).collect();
        let mut choices: Vec<Uploads> =
            Rule::AHEAD.iter().map(|rule| one_pass_from(&problem, &demand, problem.slot_cap, *rule, start)).collect();
        choices.push(Uploads { uploaded: as_first, slots: problem.slot_cap });
        choices.retain(|uploads| is_feasible(&problem, &demand, uploads));
        let finish = |uploads: &Uploads| finish_us(&problem, &simulate_from(&problem, &demand, uploads, start));
        let uploads = choices
            .into_iter()
            .min_by(|a, b| finish(a).total_cmp(&finish(b)))
            .expect("a one-pass uploads is feasible where the first run's is");
        let starts_us = simulate_from(&problem, &demand, &uploads, start).iter().map(|state| state.start_us).collect();
        let schedule = timed(&problem, &demand, &uploads);
        let step_pages: Vec<_> = self.step_pages.iter().map(|pages| pages_from(pages.as_ref(), kept)).collect();
        let stream = emit_commands(&problem, &schedule, &step_pages);
        Part { problem, step_pages, schedule, stream, starts_us, first_page: kept, ahead }
    }

    /// The checker's findings. It follows later runs from an empty arena; plan-format's replay follows them as they are.
    fn check(&self, made: &Attempt) -> Vec<Violation> {
        let parts = [&made.first, &made.repeat];
        parts.iter().flat_map(|part| verify(&part.problem, &part.schedule, &part.stream, &part.step_pages)).collect()
    }
}

/// The problem of a first run with so many slots: kept pages live to the end.
pub(super) fn keeping(problem: &Problem, kept: u32, slots: u32) -> Problem {
    let mut problem = Problem { slot_cap: slots, ..problem.clone() };
    let last_step = problem.step_count().saturating_sub(1);
    problem.pages.iter_mut().take(kept as usize).for_each(|page| page.last_step = last_step);
    problem
}

/// The problem of a later run: only the other pages, in the other slots.
pub(super) fn streaming(problem: &Problem, kept: u32, slots: u32) -> Problem {
    Problem { pages: problem.pages[kept as usize..].to_vec(), slot_cap: slots, ..problem.clone() }
}

/// A step's pages without the kept ones, counted from the first that is not kept.
pub(super) fn pages_from(pages: Option<&Range<u32>>, kept: u32) -> Option<Range<u32>> {
    let pages = pages?;
    let rest = pages.start.saturating_sub(kept)..pages.end.saturating_sub(kept);
    (!rest.is_empty()).then_some(rest)
}

/// Both parts as command lists; the number of pages that can be loaded ahead when that is less than `ahead`.
fn combine(first: &Part, repeat: &Part, kept: u32, ahead: u32) -> Result<CommandLists, u32> {
    let slot_count = max_resident(first).max(max_resident(repeat) + kept);
    let [coloured_first, coloured_repeat] = [first, repeat].map(|part| Coloured::new(part, slot_count, kept));
    let most = ahead.min(slot_count - kept);
    let first_tail = tail(first, &coloured_first, kept, most);
    let repeat_tail = tail(repeat, &coloured_repeat, kept, most);
    let possible = first_tail.len().min(repeat_tail.len()) as u32;
    if possible < ahead {
        return Err(possible);
    }
    let slot_of = |page: u32| coloured_first.slots[page as usize];
    let slots_of_step =
        first.step_pages.iter().map(|pages| pages.clone().into_iter().flatten().map(slot_of).collect()).collect();
    let last_us = repeat.problem.steps.last().map_or(0.0, |step| step.execute_us);
    let staging_pages = first.problem.staging_pages;
    Ok(CommandLists {
        slots_of_step,
        first: coloured_first.with_tail(&first_tail, kept, staging_pages),
        repeat: coloured_repeat.with_tail(&repeat_tail, kept, staging_pages),
        slot_count,
        kept,
        ahead,
        warm_us: repeat.starts_us.last().copied().unwrap_or(0.0) + last_us,
    })
}

/// Most pages of a part that are resident at once.
pub(super) fn max_resident(part: &Part) -> u32 {
    let (mut resident, mut most) = (0_u32, 0);
    for command in &part.stream.commands {
        match command {
            Command::Load { .. } => resident += 1,
            Command::Drop { .. } => resident -= 1,
            Command::Dispatch { .. } | Command::Submit => {}
        }
        most = most.max(resident);
    }
    most
}

/// A part's commands with pages of the whole stream, and slots that depend only on the orders of loads and drops.
pub(super) struct Coloured {
    pub(super) commands: Vec<Command>,
    /// By page of the whole stream; of no meaning for pages that the part does not load.
    pub(super) slots: Vec<SlotId>,
    /// By slot, the page that was loaded last into it.
    pub(super) last_holder: Vec<Option<u32>>,
}

impl Coloured {
    /// A load takes the slot that is free for the longest time, so that the n-th load has the same slot in both command lists
    /// with the same order of drops. Kept pages are not dropped; pages that are there from the beginning are not loaded.
    pub(super) fn new(part: &Part, slot_count: u32, kept: u32) -> Self {
        let mut free: VecDeque<u32> = (part.first_page..slot_count).collect();
        let mut slots = vec![SlotId(0); part.problem.pages.len() + part.first_page as usize];
        let (mut last_holder, mut commands) = (vec![None; slot_count as usize], Vec::new());
        for command in &part.stream.commands {
            match *command {
                Command::Load { page: PageId(page), .. } => {
                    let page = page + part.first_page;
                    let slot = free.pop_front().expect("no more pages are resident than there are slots");
                    slots[page as usize] = SlotId(slot);
                    last_holder[slot as usize] = Some(page);
                    if page >= part.first_page + part.ahead {
                        commands.push(Command::Load { page: PageId(page), slot: SlotId(slot) });
                    }
                }
                Command::Drop { page: PageId(page) } => {
                    let page = page + part.first_page;
                    if page >= kept {
                        free.push_back(slots[page as usize].0);
                        commands.push(Command::Drop { page: PageId(page) });
                    }
                }
                Command::Dispatch { .. } => commands.push(*command),
                // What was submitted may have been loads of pages that are there.
                Command::Submit if matches!(commands.last(), None | Some(Command::Submit)) => {}
                Command::Submit => commands.push(Command::Submit),
            }
        }
        Self { commands, slots, last_holder }
    }

    /// The commands with the loads for the next run: page `kept + i` before the dispatch of step `tail[i]`.
    /// Fewer loads than half the ring are unsubmitted before them, as the emitter leaves it.
    fn with_tail(self, tail: &[u32], kept: u32, staging_pages: u32) -> Vec<Command> {
        let mut loads = (kept..).zip(tail).peekable();
        let mut commands = Vec::with_capacity(self.commands.len() + 2 * tail.len());
        let per_submit = (staging_pages / 2).max(1);
        for command in self.commands {
            if let Command::Dispatch { index } = command {
                let mut unsubmitted = 0;
                while let Some((page, _)) = loads.next_if(|(_, step)| **step == index) {
                    commands.push(Command::Load { page: PageId(page), slot: SlotId(page) });
                    unsubmitted = (unsubmitted + 1) % per_submit;
                    if unsubmitted == 0 {
                        commands.push(Command::Submit);
                    }
                }
                if unsubmitted > 0 {
                    commands.push(Command::Submit);
                }
            }
            commands.push(command);
        }
        commands
    }
}

/// Where the pages behind the kept ones can be loaded for the next run: for each, the step before which it is. A load is
/// predicted to cost nothing: its page arrives before that step starts, its slot is free while the step before it runs,
/// which also hides the copy.
fn tail(part: &Part, list: &Coloured, kept: u32, most: u32) -> Vec<u32> {
    let problem = &part.problem;
    let mut ring = Ring::after_main(part);
    let mut steps = Vec::new();
    let mut at = last_upload(&part.schedule);
    let mut left_of_capacity = capacity_left(part, at);
    for index in 0..most {
        let slot = kept + index;
        let holder = list.last_holder.get(slot as usize).copied().flatten();
        // A page that nothing replaces needs no second load, and no later one either: it could be kept.
        let Some(holder) = holder.filter(|holder| *holder != slot) else { break };
        let free_from = problem.pages[(holder - part.first_page) as usize].last_step + 2;
        let arrives_us = ring.next_arrival_us(problem);
        let fits = |step: u32, left: u32| step >= free_from && left > 0 && part.starts_us[step as usize] >= arrives_us;
        while at < problem.step_count() && !fits(at, left_of_capacity) {
            at += 1;
            left_of_capacity = capacity_left(part, at);
        }
        if at >= problem.step_count() {
            break;
        }
        left_of_capacity -= 1;
        ring.pass(arrives_us, part.starts_us[at as usize - 1]);
        steps.push(at);
    }
    steps
}

/// The step before which the last page of the part is uploaded; 1 when there is none, since nothing runs before step 0.
pub(super) fn last_upload(schedule: &Schedule) -> u32 {
    let last = schedule.uploads_before_step.iter().rposition(|count| *count > 0);
    last.map_or(1, |step| (index32(step)).max(1))
}

/// Pages that the step before `step` hides beside what is uploaded there already.
pub(super) fn capacity_left(part: &Part, step: u32) -> u32 {
    let Some(before) = (step as usize).checked_sub(1) else { return 0 };
    let (Some(data), Some(uploads)) =
        (part.problem.steps.get(before), part.schedule.uploads_before_step.get(step as usize))
    else {
        return 0;
    };
    data.capacity_pages.saturating_sub(*uploads)
}

/// When pages were read and when they left their staging buffers.
pub(super) struct Ring {
    read_us: f64,
    left_us: Vec<f64>,
}

impl Ring {
    /// After all pages of a part: every page leaves its buffer when it has arrived and the step beside it runs, or has ended
    /// where the page waits for that step's slots.
    pub(super) fn after_main(part: &Part) -> Self {
        let (problem, schedule) = (&part.problem, &part.schedule);
        let demand = Demand::new(problem);
        let mut ring = Self { read_us: 0.0, left_us: Vec::new() };
        let mut uploaded = 0;
        for (step, count) in schedule.uploads_before_step.iter().enumerate() {
            let before = step.checked_sub(1);
            let from_us = before.map_or(0.0, |before| part.starts_us[before]);
            let end_us = before.map_or(0.0, |before| from_us + problem.steps[before].execute_us);
            let dead = before.map_or(0, |before| demand.dead[before]);
            for _ in 0..*count {
                uploaded += 1;
                if uploaded <= part.ahead {
                    ring.left_us.push(0.0);
                    continue;
                }
                let waits = uploaded > dead.saturating_add(schedule.peak_pages);
                let arrives_us = ring.next_arrival_us(problem);
                ring.pass(arrives_us, if waits { end_us } else { from_us });
            }
        }
        // Pages that are there from the beginning never were in a buffer.
        ring.left_us.drain(..part.ahead as usize);
        ring
    }

    pub(super) fn next_arrival_us(&self, problem: &Problem) -> f64 {
        let earlier = self.left_us.len().checked_sub(problem.staging_pages as usize);
        let free_us = earlier.map_or(0.0, |earlier| self.left_us[earlier]);
        self.read_us.max(free_us) + problem.read_us()
    }

    pub(super) fn pass(&mut self, arrives_us: f64, from_us: f64) {
        self.read_us = arrives_us;
        self.left_us.push(arrives_us.max(from_us));
    }
}
