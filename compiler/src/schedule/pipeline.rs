//! The time model: when every step starts, for given upload counts.
//!
//! Takes a [`Problem`] and counts `V_b`, pages uploaded before step b; returns the earliest start of every step. The disk reads
//! pages in order without pause unless the ring is full; uploads run beside the previous step and cost time only beyond
//! its capacity or when they must wait for that step's slots. docs/schedule.md derives the formulas. Starting every step as
//! early as possible is optimal for given counts, so this evaluation is exact, not a heuristic. It checks nothing.

use super::problem::{Demand, Problem};
use super::types::{ONE_PASS, Schedule, SolverReport, SolverStatus};

/// Upload counts and the number of slots that they are replayed with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uploads {
    /// `V_b`: pages uploaded before step `b` starts; ascending.
    pub uploaded: Vec<u32>,
    /// Slots of the arena.
    pub slots: u32,
}

/// The pipeline when a step starts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct State {
    /// Pages uploaded.
    pub uploaded: u32,
    /// The time.
    pub start_us: f64,
    /// Pages read from the disk, with the fraction of the one being read.
    pub read_pages: f64,
}

impl State {
    /// Before the preload.
    pub const INITIAL: Self = Self { uploaded: 0, start_us: 0.0, read_pages: 0.0 };
}

/// What happens between two starts: the step that runs meanwhile. Before the first step nothing runs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// Time of the step that runs.
    pub execute_us: f64,
    /// Pages that it hides.
    pub capacity_pages: u32,
    /// Pages whose slots are free while it runs.
    pub dead: u32,
}

impl Interval {
    /// The interval that ends when step `boundary` starts.
    pub fn before(problem: &Problem, demand: &Demand, boundary: u32) -> Self {
        match boundary.checked_sub(1) {
            None => Self { execute_us: 0.0, capacity_pages: 0, dead: 0 },
            Some(step) => Self {
                execute_us: problem.steps[step as usize].execute_us,
                capacity_pages: problem.steps[step as usize].capacity_pages,
                dead: demand.dead[step as usize],
            },
        }
    }
}

/// The earliest next start when `uploaded` pages shall be uploaded by then.
pub fn advance(problem: &Problem, interval: Interval, slots: u32, state: State, uploaded: u32) -> State {
    let (read_us, staging) = (problem.read_us(), f64::from(problem.staging_pages));
    let Interval { execute_us, capacity_pages, dead } = interval;
    // Pages without a free slot until the running step ends.
    let waiting = uploaded.saturating_sub(dead.saturating_add(slots));
    let excess = (uploaded - state.uploaded).saturating_sub(capacity_pages).max(waiting);
    let start_us = [
        state.start_us + execute_us + problem.upload_us() * f64::from(excess),
        state.start_us + (f64::from(uploaded) - state.read_pages) * read_us,
        state.start_us + execute_us + (f64::from(waiting) - staging) * read_us,
    ]
    .into_iter()
    .fold(state.start_us, f64::max);
    let elapsed_us = start_us - state.start_us;
    let read_pages = [
        state.read_pages + elapsed_us / read_us,
        f64::from(uploaded) + staging,
        f64::from(uploaded - waiting) + staging + (elapsed_us - execute_us) / read_us,
        f64::from(problem.page_count()),
    ]
    .into_iter()
    .fold(f64::INFINITY, f64::min);
    State { uploaded, start_us, read_pages: read_pages.max(f64::from(uploaded)) }
}

/// The state at every start.
pub fn simulate(problem: &Problem, demand: &Demand, uploads: &Uploads) -> Vec<State> {
    simulate_from(problem, demand, uploads, State::INITIAL)
}

/// As [`simulate`], with pages that are there from the beginning.
pub fn simulate_from(problem: &Problem, demand: &Demand, uploads: &Uploads, start: State) -> Vec<State> {
    let mut state = start;
    (0_u32..)
        .zip(&uploads.uploaded)
        .map(|(boundary, uploaded)| {
            state = advance(problem, Interval::before(problem, demand, boundary), uploads.slots, state, *uploaded);
            state
        })
        .collect()
}

/// When the last step ends.
pub fn finish_us(problem: &Problem, states: &[State]) -> f64 {
    match (states.last(), problem.steps.last()) {
        (Some(state), Some(step)) => state.start_us + step.execute_us,
        (None, _) | (_, None) => 0.0,
    }
}

/// When the last step of `uploads` ends.
pub fn uploads_finish_us(problem: &Problem, demand: &Demand, uploads: &Uploads) -> f64 {
    finish_us(problem, &simulate(problem, demand, uploads))
}

/// Whether the counts respect order, completeness, load-before-use and `uploads.slots`.
pub fn is_feasible(problem: &Problem, demand: &Demand, uploads: &Uploads) -> bool {
    let ascending = uploads.uploaded.is_sorted();
    let complete = uploads.uploaded.last().copied().unwrap_or(0) == problem.page_count();
    let rules = uploads.uploaded.iter().zip(&demand.needed).zip(&demand.dead);
    ascending && complete && rules.fold(true, |ok, ((v, needed), dead)| ok && v >= needed && v - dead <= uploads.slots)
}

/// Adds the predicted times to a plan.
pub fn timed(problem: &Problem, demand: &Demand, uploads: &Uploads) -> Schedule {
    let states = simulate(problem, demand, uploads);
    let previous = std::iter::once(&0).chain(&uploads.uploaded);
    let finish_us = finish_us(problem, &states);
    Schedule {
        uploads_before_step: uploads.uploaded.iter().zip(previous).map(|(count, before)| count - before).collect(),
        step_start_us: states.iter().map(|state| state.start_us).collect(),
        finish_us,
        peak_pages: uploads.slots,
        report: SolverReport {
            solver: ONE_PASS,
            status: SolverStatus::Greedy,
            gap: 0.0,
            objective_us: finish_us,
            lower_bound_us: 0.0,
            peak_lower_bound_pages: 0,
            ms: 0.0,
        },
    }
}
