//! When every page of weights is uploaded and dropped: `Problem` → `Schedule` → commands.
//!
//! `problem` is the data, `pipeline` the time model, `bounds` closed-form lower bounds, `greedy` one-pass plans, `ilp` the
//! integer program, `optimal` the search over both, `repeat` the programs of runs that follow each other, `commands` the program for the runtime, `verify` the independent
//! checker. docs/schedule.md derives the model. It deliberately does not know graphs, kernels, activations or bundles: the
//! caller turns its budget into a slot cap.

mod bounds;
pub mod commands;
mod greedy;
mod ilp;
mod optimal;
mod pipeline;
mod problem;
mod repeat;
#[cfg(test)]
mod tests;
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
}

impl Strategy {
    /// All strategies.
    pub const ALL: [Self; 4] = [Self::Optimal, Self::Greedy, Self::PreloadAll, Self::OnDemand];

    /// Name on the command line and in bundles.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Optimal => "optimal",
            Self::Greedy => "greedy",
            Self::PreloadAll => "preload-all",
            Self::OnDemand => "on-demand",
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

/// Decides when every page is uploaded.
pub fn schedule(problem: &Problem, strategy: Strategy) -> Result<Schedule, ScheduleError> {
    problem.check()?;
    let started = Instant::now();
    let demand = Demand::new(problem);
    let smallest_slots = match strategy {
        Strategy::Optimal | Strategy::Greedy | Strategy::OnDemand => demand.smallest_slots(),
        Strategy::PreloadAll => problem.page_count(),
    };
    if smallest_slots > problem.slot_cap {
        return Err(ScheduleError::Infeasible { smallest_slots, slot_cap: problem.slot_cap });
    }
    let cap = problem.slot_cap.min(problem.page_count());
    let mut searched = false;
    let (plan, lower_bound_us, least_slots) = match strategy {
        Strategy::Optimal => {
            let optimum = optimal::optimise(problem, &demand);
            searched = optimum.searched;
            (optimum.plan, optimum.lower_bound_us, optimum.least_slots)
        }
        Strategy::Greedy => {
            let plan = greedy::fastest(problem, &demand, cap).0;
            (used_slots(&demand, plan), bounds::lower_bound_us(problem, &demand, cap), smallest_slots)
        }
        Strategy::PreloadAll => {
            let uploaded = vec![problem.page_count(); problem.steps.len()];
            (Plan { uploaded, slots: cap }, bounds::lower_bound_us(problem, &demand, cap), smallest_slots)
        }
        Strategy::OnDemand => {
            let plan = greedy::one_pass(problem, &demand, smallest_slots, Rule::OnDemand);
            (plan, bounds::lower_bound_us(problem, &demand, cap), smallest_slots)
        }
    };
    let mut schedule = timed(problem, &demand, &plan);
    let proven = optimal::meets(schedule.finish_us, lower_bound_us);
    let status = match (proven, searched) {
        (true, _) => SolverStatus::Optimal,
        (false, true) => SolverStatus::Feasible,
        (false, false) => SolverStatus::Greedy,
    };
    schedule.report = SolverReport {
        solver: if searched { ILP_SOLVER } else { ONE_PASS },
        status,
        gap: if proven { 0.0 } else { (schedule.finish_us - lower_bound_us) / schedule.finish_us },
        objective_us: schedule.finish_us,
        lower_bound_us: lower_bound_us.min(schedule.finish_us),
        peak_lower_bound_pages: least_slots,
        ms: started.elapsed().as_secs_f64() * 1e3,
    };
    Ok(schedule)
}

/// Names of the solvers, as stored in bundles.
const ILP_SOLVER: &str = "good_lp 1.15 with microlp 0.6";
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
