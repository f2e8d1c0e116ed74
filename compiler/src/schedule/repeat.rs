//! The command lists of a plan whose runs follow each other: what stays resident in between, and what later runs load.
//!
//! Takes a schedule of a first run and a number of slots; returns commands for a first run that ends with some pages resident,
//! and commands for a later run that starts and ends so. A prefix of the page stream is *kept*: loaded by the first run, never
//! dropped. The pages behind it may be loaded *ahead*, at the end of the run before, where the predicted tail of execution
//! hides their reads. docs/schedule.md has the argument for a prefix and for the slots. Later runs are scheduled in one pass,
//! without a search. It does not know budgets: the caller turns them into slots.

use crate::narrow::index32;
use std::ops::Range;

use flashmem_plan_format::plan::{Command, PageId, SlotId};

use super::commands::emit_commands;
use super::gaps::Gaps;
use super::greedy::{Rule, one_pass_from};
use super::optimum::{TIME_TOLERANCE, meets};
use super::part::{Coloured, Part, keeping, max_resident, pages_from, streaming, violations};
use super::pipeline::{State, Uploads, finish_us, is_feasible, simulate_from, timed, uploads_finish_us};
use super::problem::{Demand, Problem};
use super::types::Schedule;
use super::verify::Violation;

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
    // The checker follows later runs from an empty arena; plan-format's replay follows them as they are.
    let violations = violations([&best.first, &best.repeat]);
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
    let last_us = repeat.problem.steps.last().map_or(0.0, |step| step.execute_us);
    let staging_pages = first.problem.staging_pages;
    Ok(CommandLists {
        slots_of_step: coloured_first.slots_of_step(&first.step_pages),
        first: with_tail(coloured_first.commands, &first_tail, kept, staging_pages),
        repeat: with_tail(coloured_repeat.commands, &repeat_tail, kept, staging_pages),
        slot_count,
        kept,
        ahead,
        warm_us: repeat.starts_us.last().copied().unwrap_or(0.0) + last_us,
    })
}

/// The commands with the loads for the next run: page `kept + i` before the dispatch of step `tail[i]`.
/// Fewer loads than half the ring are unsubmitted before them, as the emitter leaves it.
fn with_tail(list: Vec<Command>, tail: &[u32], kept: u32, staging_pages: u32) -> Vec<Command> {
    let mut loads = (kept..).zip(tail).peekable();
    let mut commands = Vec::with_capacity(list.len() + 2 * tail.len());
    let per_submit = (staging_pages / 2).max(1);
    for command in list {
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

/// Where the pages behind the kept ones can be loaded for the next run: for each, the step before which it is.
fn tail(part: &Part, list: &Coloured, kept: u32, most: u32) -> Vec<u32> {
    let mut gaps = Gaps::after_main(part);
    let step_of = |index: u32| {
        let slot = kept + index;
        let holder = list.last_holder.get(slot as usize).copied().flatten();
        // A page that nothing replaces needs no second load, and no later one either: it could be kept.
        gaps.next(part.last_step(holder.filter(|holder| *holder != slot)?) + 2)
    };
    (0..most).map_while(step_of).collect()
}
