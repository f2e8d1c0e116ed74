//! A problem and a strategy become a schedule with what is proven of it.
//!
//! Plans without search come from `greedy` and `baselines`, searched ones from `optimal`; the report says which and how far from the
//! closed-form or searched bound.

use super::greedy::Rule;
use super::optimum::meets;
use super::pipeline::{Uploads, timed};
use super::problem::{Demand, Problem};
use super::types::{ONE_PASS, Schedule, ScheduleError, SolverKind, SolverReport, SolverStatus, Strategy};
use super::{baselines, bounds, greedy, optimal};
use std::time::Instant;

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
    let built = |uploads: Uploads| (uploads, bounds::lower_bound_us(problem, &demand, cap), smallest_slots);
    let mut searched = None;
    let (uploads, lower_bound_us, min_slots) = match strategy {
        Strategy::Optimal => {
            let optimum = optimal::optimize(problem, &demand, solver);
            searched = optimum.searched;
            (optimum.uploads, optimum.lower_bound_us, optimum.min_slots)
        }
        Strategy::Greedy => built(used_slots(&demand, greedy::fastest(problem, &demand, cap).0)),
        Strategy::PreloadAll => {
            built(Uploads { uploaded: vec![problem.page_count(); problem.steps.len()], slots: problem.page_count() })
        }
        Strategy::OnDemand => built(greedy::one_pass(problem, &demand, smallest_slots, Rule::OnDemand)),
        Strategy::AlwaysNext => built(baselines::always_next(&demand)),
        Strategy::SameOpType => built(baselines::same_op_type(problem, &demand)),
    };
    let mut schedule = timed(problem, &demand, &uploads);
    let proven = meets(schedule.finish_us, lower_bound_us);
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
        peak_lower_bound_pages: min_slots,
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
pub fn min_slots_within(
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
        Strategy::Optimal => Ok(optimal::min_slots_within(problem, &demand, solver, latest_us)),
        Strategy::Greedy => Ok(optimal::min_slots_of_one_pass(problem, &demand, smallest, latest_us)),
        Strategy::PreloadAll | Strategy::OnDemand | Strategy::AlwaysNext | Strategy::SameOpType => {
            let finish_us = schedule_with(problem, strategy, solver)?.finish_us;
            Ok(meets(finish_us, latest_us).then_some(smallest))
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

/// The fewest slots with which a plan keeps its times.
fn used_slots(demand: &Demand, uploads: Uploads) -> Uploads {
    let beside = uploads.uploaded.iter().zip(std::iter::once(&0).chain(&demand.dead)).map(|(count, dead)| count - dead);
    let slots = beside.max().unwrap_or(0).min(uploads.slots);
    Uploads { slots, ..uploads }
}
