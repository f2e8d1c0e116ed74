//! Lexicographic search: least time, then fewest slots, then least residency.
//!
//! Takes a [`Problem`]; returns the best [`Uploads`] found, and for its time a proven lower bound. A one-pass plan that meets the
//! closed-form bound is optimal and nothing is searched. Otherwise the chosen solver improves both: `exact.rs` by frontiers of
//! states, `integer.rs` by the integer program. Everything is judged by `pipeline`, never by what a solver says about itself,
//! except for the bound that a finished search proves. All limits are counts, so equal problems give equal schedules.

use super::bounds::lower_bound_us;
use super::exact::{self, Fit};
use super::greedy;
use super::integer::{self, IntegerProgram};
use super::optimum::{Optimum, first_that, meets};
use super::pipeline::{Uploads, is_feasible, uploads_finish_us};
use super::problem::{Demand, Problem};
use super::residency::minimise_residency;
use super::types::SolverKind;

/// The best plan with at most `problem.slot_cap` slots. The cap must be feasible.
pub fn optimize(problem: &Problem, demand: &Demand, solver: SolverKind) -> Optimum {
    let mut best = fastest(problem, demand, solver);
    minimise_slots(problem, demand, solver, &mut best);
    minimise_residency(problem, demand, IntegerProgram::of(solver), &mut best);
    best
}

/// The first level alone: a plan of least time, with all the slots.
fn fastest(problem: &Problem, demand: &Demand, solver: SolverKind) -> Optimum {
    let cap = problem.slot_cap.min(problem.page_count());
    let (uploads, finish_us) = greedy::fastest(problem, demand, cap);
    let lower_bound_us = lower_bound_us(problem, demand, cap);
    let mut best = Optimum { uploads, finish_us, lower_bound_us, min_slots: 0, searched: None };
    if !meets(best.finish_us, best.lower_bound_us) {
        minimise_time(problem, demand, solver, &mut best);
    }
    best
}

/// Slots below which the closed-form bound exceeds `latest_us`; `None` when it does even at the cap.
pub fn slots_bound_within(problem: &Problem, demand: &Demand, latest_us: f64) -> Option<u32> {
    let cap = problem.slot_cap.min(problem.page_count());
    let holds = |slots| meets(lower_bound_us(problem, demand, slots), latest_us);
    (demand.smallest_slots() <= cap && holds(cap)).then(|| first_that(demand.smallest_slots(), cap, holds))
}

/// The fewest slots, from `least` on, with which the fastest one-pass plan finishes by `latest_us`.
pub fn min_slots_of_one_pass(problem: &Problem, demand: &Demand, least: u32, latest_us: f64) -> Option<u32> {
    let cap = problem.slot_cap.min(problem.page_count());
    let holds = |slots| meets(greedy::fastest(problem, demand, slots).1, latest_us);
    holds(cap).then(|| first_that(least, cap, holds))
}

/// The fewest slots with which the best plan finishes by `latest_us`.
pub fn min_slots_within(problem: &Problem, demand: &Demand, solver: SolverKind, latest_us: f64) -> Option<u32> {
    let cap = problem.slot_cap.min(problem.page_count());
    let least = slots_bound_within(problem, demand, latest_us)?;
    let holds = |slots| {
        if solver == SolverKind::Frontier {
            return matches!(exact::fit(problem, demand, slots, latest_us), Fit::Uploads(_));
        }
        let limited = Problem { slot_cap: slots, ..problem.clone() };
        meets(fastest(&limited, demand, solver).finish_us, latest_us)
    };
    match min_slots_of_one_pass(problem, demand, least, latest_us) {
        Some(enough) => Some(first_that(least, enough, |slots| slots == enough || holds(slots))),
        None => holds(cap).then(|| first_that(least, cap, |slots| slots == cap || holds(slots))),
    }
}

fn minimise_time(problem: &Problem, demand: &Demand, solver: SolverKind, best: &mut Optimum) {
    best.searched = Some(solver);
    match solver {
        SolverKind::Frontier => exact::search_time(problem, demand, best),
        SolverKind::Microlp => integer::solve_time(problem, demand, IntegerProgram::of(solver), best),
        #[cfg(feature = "highs")]
        SolverKind::Highs => integer::solve_time(problem, demand, IntegerProgram::of(solver), best),
    }
}

fn minimise_slots(problem: &Problem, demand: &Demand, solver: SolverKind, best: &mut Optimum) {
    let as_fast = |time_us: f64| meets(time_us, best.finish_us);
    let smallest = demand.smallest_slots();
    best.min_slots = first_that(smallest, best.uploads.slots, |slots| as_fast(lower_bound_us(problem, demand, slots)));
    let one_pass = first_that(best.min_slots, best.uploads.slots, |slots| {
        slots == best.uploads.slots || as_fast(greedy::fastest(problem, demand, slots).1)
    });
    let (uploads, finish_us) = greedy::fastest(problem, demand, one_pass);
    let same_counts = first_that(smallest, best.uploads.slots, |slots| {
        let uploads = Uploads { uploaded: best.uploads.uploaded.clone(), slots };
        is_feasible(problem, demand, &uploads) && as_fast(uploads_finish_us(problem, demand, &uploads))
    });
    let limit_us = best.finish_us;
    if as_fast(finish_us) && one_pass < same_counts {
        best.uploads = uploads;
    } else {
        best.uploads.slots = same_counts;
    }
    if best.uploads.slots > best.min_slots {
        fewer_slots(problem, demand, solver, best, limit_us);
    }
    best.finish_us = uploads_finish_us(problem, demand, &best.uploads);
}

fn fewer_slots(problem: &Problem, demand: &Demand, solver: SolverKind, best: &mut Optimum, limit_us: f64) {
    match solver {
        SolverKind::Frontier => exact::search_slots(problem, demand, best, limit_us),
        SolverKind::Microlp => integer::solve_slots(problem, demand, IntegerProgram::of(solver), best, limit_us),
        #[cfg(feature = "highs")]
        SolverKind::Highs => integer::solve_slots(problem, demand, IntegerProgram::of(solver), best, limit_us),
    }
    best.searched = Some(solver);
}
