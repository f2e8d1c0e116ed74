//! A run whose arena has kept pages: its problem and schedule, and its commands with slots that two such runs agree on.
//!
//! What runs that follow each other (`repeat`) and networks that take turns (`turns`) have in common. It decides nothing.

use flashmem_plan_format::plan::{Command, PageId, SlotId};
use std::collections::VecDeque;
use std::ops::Range;

use super::commands::CommandStream;
use super::problem::Problem;
use super::types::Schedule;
use super::verify::{Violation, verify};

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

impl Part {
    /// The last step that reads a page of the stream.
    pub(super) fn last_step(&self, page: u32) -> u32 {
        self.problem.pages[(page - self.first_page) as usize].last_step
    }
}

/// What the independent checker finds in both parts.
pub(super) fn violations(parts: [&Part; 2]) -> Vec<Violation> {
    parts.iter().flat_map(|part| verify(&part.problem, &part.schedule, &part.stream, &part.step_pages)).collect()
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

    /// For every step, the slots of its pages in page order.
    pub(super) fn slots_of_step(&self, step_pages: &[Option<Range<u32>>]) -> Vec<Vec<SlotId>> {
        let slot_of = |page: u32| self.slots[page as usize];
        step_pages.iter().map(|pages| pages.clone().into_iter().flatten().map(slot_of).collect()).collect()
    }
}
