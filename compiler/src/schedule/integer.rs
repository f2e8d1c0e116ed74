//! The integer program as the search for time and slots: whole for short problems, in overlapping horizons for long ones.
//!
//! Takes the best plan so far and improves it in place. Beyond the whole problems there are the linear relaxation, whose value is a
//! bound and whose rounded counts are candidates, a descent over runs of counts, and horizons of 16 steps, one every 8, each
//! of which must end in a state at least as good as the known plan's. It trusts no solver: every plan is simulated.

use super::ilp::{self, ALMOST_INTEGRAL, Effort, Goal, Horizon, IlpSolver};
use super::optimum::{Optimum, TIME_TOLERANCE, accept, meets};
use super::pipeline::{State, Uploads, is_feasible, simulate, uploads_finish_us};
use super::problem::{Demand, Problem};
use super::types::SolverKind;

/// Problems up to this many steps have their linear relaxation solved.
pub const RELAXED_STEPS: u32 = 512;
/// Branch-and-bound nodes of a whole problem, per level.
pub const WHOLE_NODES: u64 = 4000;
/// Steps of a horizon, and by how many the next one starts later.
const HORIZON_STEPS: u32 = 16;
const HORIZON_STRIDE: u32 = 8;
/// Branch-and-bound nodes of a horizon.
const HORIZON_NODES: u64 = 60;

/// How a kind of solver uses the integer program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IntegerProgram {
    /// Who solves it.
    pub solver: IlpSolver,
    /// Problems up to this many steps are solved whole.
    pub whole_steps: u32,
}

impl IntegerProgram {
    /// What suits `solver`; a search over frontiers leaves short problems' residency to the pure-Rust solver.
    pub const fn of(solver: SolverKind) -> Self {
        match solver {
            SolverKind::Frontier | SolverKind::Microlp => Self { solver: IlpSolver::Microlp, whole_steps: 24 },
            #[cfg(feature = "highs")]
            SolverKind::Highs => Self { solver: IlpSolver::Highs, whole_steps: 512 },
        }
    }
}

/// A limit that the solver's own tolerance cannot push beyond [`meets`].
pub fn solver_limit_us(problem: &Problem, time_us: f64) -> f64 {
    let last_start = time_us - problem.steps.last().map_or(0.0, |step| step.execute_us);
    last_start + 0.5 * TIME_TOLERANCE * time_us
}

/// The horizon that is the whole problem.
pub fn whole(problem: &Problem, slots: u32) -> Horizon {
    Horizon { first: 0, before: State::INITIAL, end: problem.step_count(), goes_on_from: None, slots }
}

/// The integer program, whole or in horizons.
pub fn solve_time(problem: &Problem, demand: &Demand, program: IntegerProgram, best: &mut Optimum) {
    let horizon = whole(problem, best.uploads.slots);
    if problem.step_count() > program.whole_steps {
        if problem.step_count() <= RELAXED_STEPS {
            relax(problem, demand, &horizon, program, best);
        }
        improve_counts(problem, demand, best);
        return improve_in_horizons(problem, demand, program, best);
    }
    let Some(found) = ilp::solve(problem, demand, &horizon, Goal::Time, Effort::Nodes(WHOLE_NODES), program.solver)
    else {
        return;
    };
    accept(problem, demand, best, Uploads { uploaded: found.rounded(f64::round), slots: horizon.slots });
    raise_bound(problem, best, found.bound);
}

/// Ways to make fractional counts integers: the fraction from which they are rounded up. All keep counts ascending.
const ROUND_UP_FROM: [f64; 9] = [0.0, 0.1, 0.25, 0.4, 0.5, 0.6, 0.75, 0.9, 1.0];
/// Most passes of the descent in time.
const TIME_PASSES: u32 = 6;
/// Lengths of the runs of counts that it moves together.
const RUN_LENGTHS: [usize; 4] = [1, 2, 4, 8];

fn rounded_up_from(fraction: f64) -> impl Fn(f64) -> f64 {
    move |count| (count - fraction.clamp(ALMOST_INTEGRAL, 1.0 - ALMOST_INTEGRAL)).ceil()
}

/// Solves the linear relaxation for its bound, and tries its counts rounded.
fn relax(problem: &Problem, demand: &Demand, horizon: &Horizon, program: IntegerProgram, best: &mut Optimum) {
    let Some(found) = ilp::solve(problem, demand, horizon, Goal::Time, Effort::Relaxed, program.solver) else { return };
    for fraction in ROUND_UP_FROM {
        let uploaded = found.rounded(rounded_up_from(fraction));
        accept(problem, demand, best, Uploads { uploaded, slots: horizon.slots });
    }
    raise_bound(problem, best, found.bound);
}

/// Moves runs of neighbouring counts up or down by one as long as that is faster.
fn improve_counts(problem: &Problem, demand: &Demand, best: &mut Optimum) {
    for _ in 0..TIME_PASSES {
        let before_us = best.finish_us;
        for first in 0..problem.steps.len() {
            for length in RUN_LENGTHS {
                for up in [true, false] {
                    let mut uploads = best.uploads.clone();
                    for count in uploads.uploaded.iter_mut().skip(first).take(length) {
                        *count = if up { *count + 1 } else { count.saturating_sub(1) };
                    }
                    accept(problem, demand, best, uploads);
                }
            }
        }
        if meets(best.finish_us, best.lower_bound_us) || best.finish_us >= before_us {
            return;
        }
    }
}

/// Takes over a solver's bound of the last start. It holds up to the solver's tolerance and never exceeds what a plan reaches.
fn raise_bound(problem: &Problem, best: &mut Optimum, last_start_us: f64) {
    let tail_us = problem.steps.last().map_or(0.0, |step| step.execute_us);
    best.lower_bound_us = best.lower_bound_us.max((last_start_us + tail_us).min(best.finish_us));
}

/// Solves overlapping horizons front to back; each keeps the rest of the plan and may only improve the state it ends in.
fn improve_in_horizons(problem: &Problem, demand: &Demand, program: IntegerProgram, best: &mut Optimum) {
    let steps = problem.step_count();
    for first in (0..steps).step_by(HORIZON_STRIDE as usize) {
        if meets(best.finish_us, best.lower_bound_us) {
            return;
        }
        let states = simulate(problem, demand, &best.uploads);
        let end = (first + HORIZON_STEPS).min(steps);
        let horizon = Horizon {
            first,
            before: first.checked_sub(1).map_or(State::INITIAL, |before| states[before as usize]),
            end,
            goes_on_from: (end < steps).then(|| states[end as usize - 1]),
            slots: best.uploads.slots,
        };
        let Some(found) =
            ilp::solve(problem, demand, &horizon, Goal::Time, Effort::Nodes(HORIZON_NODES), program.solver)
        else {
            continue;
        };
        let mut uploads = best.uploads.clone();
        uploads.uploaded[first as usize..end as usize].copy_from_slice(&found.rounded(f64::round));
        accept(problem, demand, best, uploads);
    }
}

/// Fewer slots by the integer program, or for long problems by its relaxation, rounded.
pub fn solve_slots(problem: &Problem, demand: &Demand, program: IntegerProgram, best: &mut Optimum, limit_us: f64) {
    if problem.step_count() > RELAXED_STEPS {
        return;
    }
    let goal = Goal::Peak { min_slots: best.min_slots, latest_us: solver_limit_us(problem, limit_us) };
    let horizon = whole(problem, best.uploads.slots);
    let short = problem.step_count() <= program.whole_steps;
    let effort = if short { Effort::Nodes(WHOLE_NODES) } else { Effort::Relaxed };
    let Some(found) = ilp::solve(problem, demand, &horizon, goal, effort, program.solver) else { return };
    for fraction in ROUND_UP_FROM {
        let uploaded = found.rounded(rounded_up_from(fraction));
        let uploads = Uploads { uploaded, slots: found.slots };
        let fast =
            is_feasible(problem, demand, &uploads) && meets(uploads_finish_us(problem, demand, &uploads), limit_us);
        if fast && uploads.slots < best.uploads.slots {
            best.uploads = uploads;
        }
    }
    if found.proven {
        let bound = (found.bound - ALMOST_INTEGRAL).ceil() as u32;
        best.min_slots = best.min_slots.max(bound.min(best.uploads.slots));
    }
}
