//! When every page of weights is uploaded and dropped: `Problem` → `Schedule` → commands.
//!
//! `problem` is the data, `pipeline` the time model, `bounds` and `completion` closed-form lower bounds, `greedy` and `baselines`
//! plans without search, `optimal` the search: by `frontier`s of states (`exact`) or by an integer program (`ilp`, `integer`), then
//! `residency`; `repeat` the programs of runs that follow each other, `commands` the program for the runtime, `verify` the independent
//! checker. docs/schedule.md derives the model. It deliberately does not know graphs, kernels, activations or bundles: the
//! caller turns its budget into a slot cap.

mod baselines;
mod bounds;
pub mod commands;
mod completion;
mod exact;
mod frontier;
mod greedy;
mod ilp;
mod integer;
mod optimal;
mod pipeline;
mod problem;
mod repeat;
mod residency;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_agree;
#[cfg(test)]
mod tests_long;
#[cfg(test)]
mod tests_repeat;
pub mod verify;
mod verify_time;
mod violation;

pub use commands::{CommandStream, emit_commands};
pub use problem::{Demand, OperatorClass, PageUse, Problem, ProblemError, StepData, page_uses};

pub use repeat::{KeepPages, Programs, repeat};

use std::time::Instant;

use greedy::Rule;
use pipeline::{Plan, finish_us, simulate};

/// How a schedule is chosen; all but `Optimal` are baselines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Strategy {
    /// Least time, then fewest slots, then least residency.
    Optimal,
    /// The fastest one-pass plan, with all the slots that it can use.
    Greedy,
    /// All pages before the first step.
    PreloadAll,
    /// Each step's pages just before it, in the fewest slots.
    OnDemand,
    /// Each step's pages beside the step before it.
    AlwaysNext,
    /// Each page beside the last step of its consumer's class before the consumer.
    SameOpType,
}

impl Strategy {
    /// All strategies.
    pub const ALL: [Self; 6] =
        [Self::Optimal, Self::Greedy, Self::PreloadAll, Self::OnDemand, Self::AlwaysNext, Self::SameOpType];

    /// Name on the command line and in bundles.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Optimal => "optimal",
            Self::Greedy => "greedy",
            Self::PreloadAll => "preload-all",
            Self::OnDemand => "on-demand",
            Self::AlwaysNext => "always-next",
            Self::SameOpType => "same-op-type",
        }
    }
}

/// What searches when a one-pass plan is not provably optimal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum SolverKind {
    /// Exact search over the undominated states at every start of a step; needs no solver.
    #[default]
    Frontier,
    /// The integer program with microlp, in pure Rust: whole up to 24 steps, beyond in overlapping windows.
    Microlp,
    /// The integer program with HiGHS: whole up to 512 steps, beyond in overlapping windows.
    #[cfg(feature = "highs")]
    Highs,
}

impl SolverKind {
    /// All solvers of this build; the first is the default.
    pub const ALL: &[Self] = &[
        Self::Frontier,
        Self::Microlp,
        #[cfg(feature = "highs")]
        Self::Highs,
    ];

    /// Name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Frontier => "frontier",
            Self::Microlp => "microlp",
            #[cfg(feature = "highs")]
            Self::Highs => "highs",
        }
    }

    /// Name in bundles.
    pub const fn description(self) -> &'static str {
        match self {
            Self::Frontier => "frontier of states",
            Self::Microlp => "good_lp 1.15 with microlp 0.6",
            #[cfg(feature = "highs")]
            Self::Highs => "good_lp 1.15 with HiGHS 1.16",
        }
    }
}

/// What is known about a schedule's finish time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SolverStatus {
    /// It equals the lower bound: no schedule is faster.
    Optimal,
    /// Searched; `gap` says how far from the bound.
    Feasible,
    /// Built in one pass, not searched; `gap` says how far from the bound.
    Greedy,
}

impl SolverStatus {
    /// Name in bundles.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Optimal => "optimal",
            Self::Feasible => "feasible",
            Self::Greedy => "greedy",
        }
    }
}

/// How a schedule came about.
#[derive(Debug, Clone, PartialEq)]
pub struct SolverReport {
    /// What found it.
    pub solver: &'static str,
    /// What is proven.
    pub status: SolverStatus,
    /// `(objective − lower bound) / objective`, 0 when proven optimal.
    pub gap: f64,
    /// The finish time.
    pub objective_us: f64,
    /// No schedule under the cap finishes earlier.
    pub lower_bound_us: f64,
    /// No schedule as fast as this one has fewer slots; equals `peak_pages` when that is proven minimal. For strategies
    /// other than `Optimal`, the smallest feasible number of slots.
    pub peak_lower_bound_pages: u32,
    /// Wall clock of the search; not stored in bundles.
    pub ms: f64,
}

/// When pages are uploaded and steps start.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    /// Index s: pages uploaded after step s − 1 was issued and before step s is; entry 0 is the preload.
    pub uploads_before_step: Vec<u32>,
    /// Predicted start of every step, from the start of reading.
    pub step_start_us: Vec<f64>,
    /// Predicted end of the last step.
    pub finish_us: f64,
    /// Slots of the arena: no more pages are ever resident.
    pub peak_pages: u32,
    /// How it came about.
    pub report: SolverReport,
}

/// Why there is no schedule.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ScheduleError {
    /// The slots do not suffice for this strategy.
    #[error("{slot_cap} page slots do not suffice: at least {smallest_slots} are needed")]
    Infeasible {
        /// The smallest number of slots that would work.
        smallest_slots: u32,
        /// The slots that there are.
        slot_cap: u32,
    },
    /// The problem contradicts itself.
    #[error("the scheduling problem is inconsistent: {0}")]
    Problem(#[from] ProblemError),
}

/// The fewest slots with which `strategy` works.
///
/// # Errors
/// [`ScheduleError::Problem`] when the problem contradicts itself.
pub fn smallest_slots(problem: &Problem, strategy: Strategy) -> Result<u32, ScheduleError> {
    problem.check()?;
    Ok(baselines::smallest_slots(problem, &Demand::new(problem), strategy))
}

/// Decides when every page is uploaded, with the default solver.
///
/// # Errors
/// See [`ScheduleError`].
pub fn schedule(problem: &Problem, strategy: Strategy) -> Result<Schedule, ScheduleError> {
    schedule_with(problem, strategy, SolverKind::default())
}

/// Decides when every page is uploaded.
///
/// # Errors
/// See [`ScheduleError`].
pub fn schedule_with(problem: &Problem, strategy: Strategy, solver: SolverKind) -> Result<Schedule, ScheduleError> {
    problem.check()?;
    let started = Instant::now();
    let demand = Demand::new(problem);
    let smallest_slots = baselines::smallest_slots(problem, &demand, strategy);
    if smallest_slots > problem.slot_cap {
        return Err(ScheduleError::Infeasible { smallest_slots, slot_cap: problem.slot_cap });
    }
    let cap = problem.slot_cap.min(problem.page_count());
    let built = |plan: Plan| (plan, bounds::lower_bound_us(problem, &demand, cap), smallest_slots);
    let mut searched = None;
    let (plan, lower_bound_us, least_slots) = match strategy {
        Strategy::Optimal => {
            let optimum = optimal::optimise(problem, &demand, solver);
            searched = optimum.searched;
            (optimum.plan, optimum.lower_bound_us, optimum.least_slots)
        }
        Strategy::Greedy => built(used_slots(&demand, greedy::fastest(problem, &demand, cap).0)),
        Strategy::PreloadAll => {
            built(Plan { uploaded: vec![problem.page_count(); problem.steps.len()], slots: problem.page_count() })
        }
        Strategy::OnDemand => built(greedy::one_pass(problem, &demand, smallest_slots, Rule::OnDemand)),
        Strategy::AlwaysNext => built(baselines::always_next(&demand)),
        Strategy::SameOpType => built(baselines::same_op_type(problem, &demand)),
    };
    let mut schedule = timed(problem, &demand, &plan);
    let proven = optimal::meets(schedule.finish_us, lower_bound_us);
    let status = match (proven, searched) {
        (true, _) => SolverStatus::Optimal,
        (false, Some(_)) => SolverStatus::Feasible,
        (false, None) => SolverStatus::Greedy,
    };
    schedule.report = SolverReport {
        solver: searched.map_or(ONE_PASS, SolverKind::description),
        status,
        gap: if proven { 0.0 } else { (schedule.finish_us - lower_bound_us) / schedule.finish_us },
        objective_us: schedule.finish_us,
        lower_bound_us: lower_bound_us.min(schedule.finish_us),
        peak_lower_bound_pages: least_slots,
        ms: started.elapsed().as_secs_f64() * 1e3,
    };
    Ok(schedule)
}

/// Finish time of the fastest one-pass schedule; `None` when there is none within the cap.
pub fn one_pass_finish_us(problem: &Problem) -> Option<f64> {
    problem.check().ok()?;
    let demand = Demand::new(problem);
    let cap = problem.slot_cap.min(problem.page_count());
    (demand.smallest_slots() <= cap).then(|| greedy::fastest(problem, &demand, cap).1)
}

/// The fewest slots, at most `problem.slot_cap`, with which `strategy` is predicted to finish by `latest_us`; `None` when it
/// does not. For `Optimal` and `Greedy` the search trusts that more slots are never slower.
///
/// # Errors
/// See [`ScheduleError`].
pub fn least_slots_within(
    problem: &Problem,
    strategy: Strategy,
    solver: SolverKind,
    latest_us: f64,
) -> Result<Option<u32>, ScheduleError> {
    problem.check()?;
    let demand = Demand::new(problem);
    let smallest = baselines::smallest_slots(problem, &demand, strategy);
    let cap = problem.slot_cap.min(problem.page_count());
    if smallest > cap {
        return Ok(None);
    }
    match strategy {
        Strategy::Optimal => Ok(optimal::least_slots_within(problem, &demand, solver, latest_us)),
        Strategy::Greedy => Ok(optimal::least_slots_of_one_pass(problem, &demand, smallest, latest_us)),
        Strategy::PreloadAll | Strategy::OnDemand | Strategy::AlwaysNext | Strategy::SameOpType => {
            let finish_us = schedule_with(problem, strategy, solver)?.finish_us;
            Ok(optimal::meets(finish_us, latest_us).then_some(smallest))
        }
    }
}

/// No schedule with fewer slots than this finishes by `latest_us`, whatever the strategy; `None` when none within the cap does.
///
/// # Errors
/// [`ScheduleError::Problem`] when the problem contradicts itself.
pub fn slots_bound_within(problem: &Problem, latest_us: f64) -> Result<Option<u32>, ScheduleError> {
    problem.check()?;
    Ok(optimal::slots_bound_within(problem, &Demand::new(problem), latest_us))
}

/// What made a plan that nothing searched for, as stored in bundles.
const ONE_PASS: &str = "one pass and closed-form bounds";

/// The fewest slots with which a plan keeps its times.
fn used_slots(demand: &Demand, plan: Plan) -> Plan {
    let beside = plan.uploaded.iter().zip(std::iter::once(&0).chain(&demand.dead)).map(|(count, dead)| count - dead);
    let slots = beside.max().unwrap_or(0).min(plan.slots);
    Plan { slots, ..plan }
}

/// Adds the predicted times to a plan.
fn timed(problem: &Problem, demand: &Demand, plan: &Plan) -> Schedule {
    let states = simulate(problem, demand, plan);
    let previous = std::iter::once(&0).chain(&plan.uploaded);
    let finish_us = finish_us(problem, &states);
    Schedule {
        uploads_before_step: plan.uploaded.iter().zip(previous).map(|(count, before)| count - before).collect(),
        step_start_us: states.iter().map(|state| state.start_us).collect(),
        finish_us,
        peak_pages: plan.slots,
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
