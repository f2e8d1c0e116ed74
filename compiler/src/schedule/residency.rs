//! The third level: least Σ of resident pages, with the time and the slots fixed.
//!
//! Loading on demand is the least there is, if it is fast enough. Otherwise counts are lowered one after the other as far as
//! the time allows, and short problems are solved. Proven minimal only for these.

use super::greedy::{self, Rule};
use super::ilp::{self, Effort, Goal};
use super::integer::{IntegerProgram, WHOLE_NODES, solver_limit_us, whole};
use super::optimum::{Optimum, first_that, meets};
use super::pipeline::{Interval, State, Uploads, advance, finish_us, is_feasible, simulate, uploads_finish_us};
use super::problem::{Demand, Problem};
use crate::narrow::index32;

/// Most passes of the descent.
const DESCENT_PASSES: u32 = 4;
/// Problems up to this many steps are solved.
const SOLVED_STEPS: u32 = 24;

/// Σ of resident pages over the steps, up to the constant Σ dead.
fn residency(uploads: &Uploads) -> u64 {
    uploads.uploaded.iter().map(|count| u64::from(*count)).sum()
}

/// Lowers residency in place.
pub fn minimise_residency(problem: &Problem, demand: &Demand, program: IntegerProgram, best: &mut Optimum) {
    let limit_us = best.finish_us.max(best.lower_bound_us);
    let fits = |uploads: &Uploads| {
        is_feasible(problem, demand, uploads) && meets(uploads_finish_us(problem, demand, uploads), limit_us)
    };
    let least = greedy::one_pass(problem, demand, best.uploads.slots, Rule::OnDemand);
    if fits(&least) {
        best.uploads = least;
    } else {
        descend(problem, demand, &mut best.uploads, limit_us);
        if problem.step_count() <= SOLVED_STEPS {
            let goal = Goal::Residency { latest_us: solver_limit_us(problem, limit_us) };
            let horizon = whole(problem, best.uploads.slots);
            if let Some(found) = ilp::solve(problem, demand, &horizon, goal, Effort::Nodes(WHOLE_NODES), program.solver)
            {
                let uploads = Uploads { uploaded: found.rounded(f64::round), slots: horizon.slots };
                if fits(&uploads) && residency(&uploads) < residency(&best.uploads) {
                    best.uploads = uploads;
                }
            }
        }
    }
    best.finish_us = uploads_finish_us(problem, demand, &best.uploads);
}

/// Lowers one count after another as far as the limit allows, until nothing moves. The feasible counts of one boundary,
/// others fixed, are an interval, because the model is convex.
fn descend(problem: &Problem, demand: &Demand, uploads: &mut Uploads, limit_us: f64) {
    let mut states = simulate(problem, demand, uploads);
    for _ in 0..DESCENT_PASSES {
        let mut moved = false;
        for boundary in 0..problem.steps.len() {
            let current = uploads.uploaded[boundary];
            let before = boundary.checked_sub(1).map_or(0, |earlier| uploads.uploaded[earlier]);
            let least = demand.needed[boundary].max(before);
            let lowered = first_that(least, current, |count| {
                count == current || {
                    let changed = changed_states(problem, demand, uploads, &states, boundary, count);
                    meets(finish_after(problem, &states, boundary, &changed), limit_us)
                }
            });
            if lowered < current {
                let changed = changed_states(problem, demand, uploads, &states, boundary, lowered);
                states[boundary..boundary + changed.len()].copy_from_slice(&changed);
                uploads.uploaded[boundary] = lowered;
                moved = true;
            }
        }
        if !moved {
            return;
        }
    }
}

/// The states from `boundary` on when it gets another count, up to where they are as before.
fn changed_states(
    problem: &Problem,
    demand: &Demand,
    uploads: &Uploads,
    states: &[State],
    boundary: usize,
    count: u32,
) -> Vec<State> {
    let mut state = boundary.checked_sub(1).map_or(State::INITIAL, |before| states[before]);
    let mut changed = Vec::new();
    for (later, old) in states.iter().enumerate().skip(boundary) {
        let uploaded = if later == boundary { count } else { uploads.uploaded[later] };
        state = advance(problem, Interval::before(problem, demand, index32(later)), uploads.slots, state, uploaded);
        if state == *old {
            break;
        }
        changed.push(state);
    }
    changed
}

/// The finish when the states from `boundary` on are replaced.
fn finish_after(problem: &Problem, states: &[State], boundary: usize, changed: &[State]) -> f64 {
    let reaches_end = boundary + changed.len() == states.len();
    finish_us(problem, if reaches_end && !changed.is_empty() { changed } else { states })
}
