//! Lexicographic search: least time, then fewest slots, then least residency.
//!
//! Takes a [`Problem`]; gives the best [`Plan`] found, and for its time a proven lower bound. A one-pass plan that meets the
//! closed-form bound is optimal and nothing is solved. Otherwise short programs are solved whole, long ones in windows, and the
//! better of both plans is kept. Everything is judged by `pipeline`, never by what the solver says about itself, except for
//! the bound that a finished search proves. All limits are counts, so equal problems give equal schedules.

use super::SolverKind;
use super::bounds::lower_bound_us;
use super::completion::Completion;
use super::frontier::{Reduce, Search};
use super::greedy::{self, Rule};
use super::ilp::{self, ALMOST_INTEGRAL, Effort, Goal, Window};
use super::pipeline::{Interval, Plan, State, advance, finish_us, is_feasible, plan_finish_us, simulate};
use super::problem::{Demand, Problem};

/// Relative difference below which two times are the same.
pub const TIME_TOLERANCE: f64 = 1e-6;
/// Programs up to this many steps are solved whole.
const WHOLE_STEPS: u32 = 24;
/// Programs up to this many steps have their linear relaxation solved.
const RELAXED_STEPS: u32 = 512;
/// Branch-and-bound nodes of a whole program, per level.
const WHOLE_NODES: u64 = 4000;
/// Steps of a window, and by how many the next one starts later.
const WINDOW_STEPS: u32 = 16;
const WINDOW_STRIDE: u32 = 8;
/// Branch-and-bound nodes of a window.
const WINDOW_NODES: u64 = 60;
/// Most passes of the residency descent.
const DESCENT_PASSES: u32 = 4;

/// Widths of the frontiers that are searched, one after the other.
const WIDTHS: [usize; 3] = [64, 1024, 8192];

/// A plan and what is known about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Optimum {
    /// The plan.
    pub plan: Plan,
    /// Its finish time.
    pub finish_us: f64,
    /// Proven lower bound of the finish time.
    pub lower_bound_us: f64,
    /// Proven lower bound of the slots of any plan that is as fast.
    pub least_slots: u32,
    /// What searched; `None` when one pass and bounds sufficed.
    pub searched: Option<SolverKind>,
}

/// The best plan with at most `problem.slot_cap` slots. The cap must be feasible.
pub fn optimise(problem: &Problem, demand: &Demand, solver: SolverKind) -> Optimum {
    let mut best = fastest(problem, demand, solver);
    minimise_slots(problem, demand, solver, &mut best);
    minimise_residency(problem, demand, &mut best);
    best
}

/// The first level alone: a plan of least time, with all the slots.
fn fastest(problem: &Problem, demand: &Demand, solver: SolverKind) -> Optimum {
    let cap = problem.slot_cap.min(problem.page_count());
    let (plan, finish_us) = greedy::fastest(problem, demand, cap);
    let lower_bound_us = lower_bound_us(problem, demand, cap);
    let mut best = Optimum { plan, finish_us, lower_bound_us, least_slots: 0, searched: None };
    if !meets(best.finish_us, best.lower_bound_us) {
        minimise_time(problem, demand, solver, &mut best);
    }
    best
}

/// Whether `time_us` is no later than `limit_us`, up to the tolerance.
pub fn meets(time_us: f64, limit_us: f64) -> bool {
    time_us <= limit_us * (1.0 + TIME_TOLERANCE)
}

/// A limit that the solver's own tolerance cannot push beyond [`meets`].
fn solver_limit_us(problem: &Problem, time_us: f64) -> f64 {
    let last_start = time_us - problem.steps.last().map_or(0.0, |step| step.execute_us);
    last_start + 0.5 * TIME_TOLERANCE * time_us
}

fn whole(problem: &Problem, slots: u32) -> Window {
    Window { first: 0, before: State::INITIAL, end: problem.step_count(), goes_on_from: None, slots }
}

fn minimise_time(problem: &Problem, demand: &Demand, solver: SolverKind, best: &mut Optimum) {
    best.searched = Some(solver);
    match solver {
        SolverKind::Frontier => search_time(problem, demand, best),
        SolverKind::Microlp => solve_time(problem, demand, best),
    }
}

/// Wider and wider frontiers until the time is proven, or the widest was searched.
fn search_time(problem: &Problem, demand: &Demand, best: &mut Optimum) {
    let slots = best.plan.slots;
    let completion = Completion::new(problem, demand, slots);
    for width in WIDTHS {
        for reduce in [Reduce::Drop, Reduce::Merge] {
            if meets(best.finish_us, best.lower_bound_us) {
                return;
            }
            let limit_us = best.finish_us * (1.0 - 0.5 * TIME_TOLERANCE);
            let outcome = Search { problem, demand, completion: &completion, slots, limit_us }.run(width, reduce);
            if let Some(uploaded) = outcome.uploaded {
                accept(problem, demand, best, Plan { uploaded, slots });
            }
            if let Some(bound_us) = outcome.bound_us {
                best.lower_bound_us = best.lower_bound_us.max(bound_us.min(best.finish_us));
            }
        }
    }
}

/// The integer program, whole or in windows.
fn solve_time(problem: &Problem, demand: &Demand, best: &mut Optimum) {
    let window = whole(problem, best.plan.slots);
    if problem.step_count() > WHOLE_STEPS {
        if problem.step_count() <= RELAXED_STEPS {
            relax(problem, demand, &window, best);
        }
        improve_counts(problem, demand, best);
        return improve_in_windows(problem, demand, best);
    }
    let Some(found) = ilp::solve(problem, demand, &window, Goal::Time, Effort::Nodes(WHOLE_NODES)) else { return };
    accept(problem, demand, best, Plan { uploaded: found.rounded(f64::round), slots: window.slots });
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
fn relax(problem: &Problem, demand: &Demand, window: &Window, best: &mut Optimum) {
    let Some(found) = ilp::solve(problem, demand, window, Goal::Time, Effort::Relaxed) else { return };
    for fraction in ROUND_UP_FROM {
        let uploaded = found.rounded(rounded_up_from(fraction));
        accept(problem, demand, best, Plan { uploaded, slots: window.slots });
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
                    let mut plan = best.plan.clone();
                    for count in plan.uploaded.iter_mut().skip(first).take(length) {
                        *count = if up { *count + 1 } else { count.saturating_sub(1) };
                    }
                    accept(problem, demand, best, plan);
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

/// Keeps `plan` when it is feasible and strictly faster.
fn accept(problem: &Problem, demand: &Demand, best: &mut Optimum, plan: Plan) {
    if is_feasible(problem, demand, &plan) {
        let finish_us = plan_finish_us(problem, demand, &plan);
        if finish_us < best.finish_us {
            (best.plan, best.finish_us) = (plan, finish_us);
        }
    }
}

/// Solves overlapping windows front to back; each keeps the rest of the plan and may only improve the state it ends in.
fn improve_in_windows(problem: &Problem, demand: &Demand, best: &mut Optimum) {
    let steps = problem.step_count();
    for first in (0..steps).step_by(WINDOW_STRIDE as usize) {
        if meets(best.finish_us, best.lower_bound_us) {
            return;
        }
        let states = simulate(problem, demand, &best.plan);
        let end = (first + WINDOW_STEPS).min(steps);
        let window = Window {
            first,
            before: first.checked_sub(1).map_or(State::INITIAL, |before| states[before as usize]),
            end,
            goes_on_from: (end < steps).then(|| states[end as usize - 1]),
            slots: best.plan.slots,
        };
        let Some(found) = ilp::solve(problem, demand, &window, Goal::Time, Effort::Nodes(WINDOW_NODES)) else {
            continue;
        };
        let mut plan = best.plan.clone();
        plan.uploaded[first as usize..end as usize].copy_from_slice(&found.rounded(f64::round));
        accept(problem, demand, best, plan);
    }
}

/// The smallest value in `low..=high` for which `holds`, which must hold for `high` and from its first value on.
fn first_that(mut low: u32, mut high: u32, holds: impl Fn(u32) -> bool) -> u32 {
    while low < high {
        let middle = low + (high - low) / 2;
        if holds(middle) { high = middle } else { low = middle + 1 }
    }
    low
}

/// Slots below which the closed-form bound exceeds `latest_us`; `None` when it does even at the cap.
pub fn slots_bound_within(problem: &Problem, demand: &Demand, latest_us: f64) -> Option<u32> {
    let cap = problem.slot_cap.min(problem.page_count());
    let holds = |slots| meets(lower_bound_us(problem, demand, slots), latest_us);
    (demand.smallest_slots() <= cap && holds(cap)).then(|| first_that(demand.smallest_slots(), cap, holds))
}

/// The fewest slots, from `least` on, with which the fastest one-pass plan finishes by `latest_us`.
pub fn least_slots_of_one_pass(problem: &Problem, demand: &Demand, least: u32, latest_us: f64) -> Option<u32> {
    let cap = problem.slot_cap.min(problem.page_count());
    let holds = |slots| meets(greedy::fastest(problem, demand, slots).1, latest_us);
    holds(cap).then(|| first_that(least, cap, holds))
}

/// The fewest slots with which the best plan finishes by `latest_us`.
pub fn least_slots_within(problem: &Problem, demand: &Demand, solver: SolverKind, latest_us: f64) -> Option<u32> {
    let cap = problem.slot_cap.min(problem.page_count());
    let least = slots_bound_within(problem, demand, latest_us)?;
    let holds = |slots| match solver {
        SolverKind::Frontier => matches!(fit(problem, demand, slots, latest_us), Fit::Plan(_)),
        SolverKind::Microlp => {
            let limited = Problem { slot_cap: slots, ..problem.clone() };
            meets(fastest(&limited, demand, solver).finish_us, latest_us)
        }
    };
    match least_slots_of_one_pass(problem, demand, least, latest_us) {
        Some(enough) => Some(first_that(least, enough, |slots| slots == enough || holds(slots))),
        None => holds(cap).then(|| first_that(least, cap, |slots| slots == cap || holds(slots))),
    }
}

fn minimise_slots(problem: &Problem, demand: &Demand, solver: SolverKind, best: &mut Optimum) {
    let as_fast = |time_us: f64| meets(time_us, best.finish_us);
    let smallest = demand.smallest_slots();
    best.least_slots = first_that(smallest, best.plan.slots, |slots| as_fast(lower_bound_us(problem, demand, slots)));
    let one_pass = first_that(best.least_slots, best.plan.slots, |slots| {
        slots == best.plan.slots || as_fast(greedy::fastest(problem, demand, slots).1)
    });
    let (plan, finish_us) = greedy::fastest(problem, demand, one_pass);
    let same_counts = first_that(smallest, best.plan.slots, |slots| {
        let plan = Plan { uploaded: best.plan.uploaded.clone(), slots };
        is_feasible(problem, demand, &plan) && as_fast(plan_finish_us(problem, demand, &plan))
    });
    let limit_us = best.finish_us;
    if as_fast(finish_us) && one_pass < same_counts {
        best.plan = plan;
    } else {
        best.plan.slots = same_counts;
    }
    if best.plan.slots > best.least_slots {
        match solver {
            SolverKind::Frontier => {
                best.searched = Some(solver);
                search_slots(problem, demand, best, limit_us);
            }
            SolverKind::Microlp if problem.step_count() <= RELAXED_STEPS => {
                best.searched = Some(solver);
                solve_slots(problem, demand, best, limit_us);
            }
            SolverKind::Microlp => {}
        }
    }
    best.finish_us = plan_finish_us(problem, demand, &best.plan);
}

/// Fewer slots by bisection, with a search over frontiers for each number.
fn search_slots(problem: &Problem, demand: &Demand, best: &mut Optimum, limit_us: f64) {
    let mut low = best.least_slots;
    while low < best.plan.slots {
        let middle = low + (best.plan.slots - low) / 2;
        match fit(problem, demand, middle, limit_us) {
            Fit::Plan(plan) => best.plan = plan,
            Fit::Impossible => {
                low = middle + 1;
                best.least_slots = best.least_slots.max(low);
            }
            Fit::Unknown => low = middle + 1,
        }
    }
}

/// Whether so many slots suffice for a time.
enum Fit {
    Plan(Plan),
    Impossible,
    Unknown,
}

/// Searches wider and wider frontiers for a plan with `slots` slots that finishes by `limit_us`.
fn fit(problem: &Problem, demand: &Demand, slots: u32, limit_us: f64) -> Fit {
    let completion = Completion::new(problem, demand, slots);
    let search =
        Search { problem, demand, completion: &completion, slots, limit_us: limit_us * (1.0 + 0.5 * TIME_TOLERANCE) };
    for width in WIDTHS {
        let outcome = search.run(width, Reduce::Drop);
        if let Some(uploaded) = outcome.uploaded {
            let plan = Plan { uploaded, slots };
            if is_feasible(problem, demand, &plan) && meets(plan_finish_us(problem, demand, &plan), limit_us) {
                return Fit::Plan(plan);
            }
        }
        // Nothing is left below the limit: the bound is the limit itself.
        let impossible = |bound_us: Option<f64>| bound_us.is_some_and(|bound_us| bound_us >= search.limit_us);
        if impossible(outcome.bound_us) || impossible(search.run(width, Reduce::Merge).bound_us) {
            return Fit::Impossible;
        }
    }
    Fit::Unknown
}

/// Fewer slots by the integer program, or for long programs by its relaxation, rounded.
fn solve_slots(problem: &Problem, demand: &Demand, best: &mut Optimum, limit_us: f64) {
    let goal = Goal::Peak { least_slots: best.least_slots, latest_us: solver_limit_us(problem, limit_us) };
    let window = whole(problem, best.plan.slots);
    let short = problem.step_count() <= WHOLE_STEPS;
    let effort = if short { Effort::Nodes(WHOLE_NODES) } else { Effort::Relaxed };
    let Some(found) = ilp::solve(problem, demand, &window, goal, effort) else { return };
    for fraction in ROUND_UP_FROM {
        let uploaded = found.rounded(rounded_up_from(fraction));
        let plan = Plan { uploaded, slots: found.slots };
        let fast = is_feasible(problem, demand, &plan) && meets(plan_finish_us(problem, demand, &plan), limit_us);
        if fast && plan.slots < best.plan.slots {
            best.plan = plan;
        }
    }
    if found.proven {
        let bound = (found.bound - ALMOST_INTEGRAL).ceil() as u32;
        best.least_slots = best.least_slots.max(bound.min(best.plan.slots));
    }
}

/// Σ of resident pages over the steps, up to the constant Σ dead.
fn residency(plan: &Plan) -> u64 {
    plan.uploaded.iter().map(|count| u64::from(*count)).sum()
}

fn minimise_residency(problem: &Problem, demand: &Demand, best: &mut Optimum) {
    let limit_us = best.finish_us.max(best.lower_bound_us);
    let fits =
        |plan: &Plan| is_feasible(problem, demand, plan) && meets(plan_finish_us(problem, demand, plan), limit_us);
    let least = greedy::one_pass(problem, demand, best.plan.slots, Rule::OnDemand);
    if fits(&least) {
        best.plan = least;
    } else {
        descend(problem, demand, &mut best.plan, limit_us);
        if problem.step_count() <= WHOLE_STEPS {
            let goal = Goal::Residency { latest_us: solver_limit_us(problem, limit_us) };
            let window = whole(problem, best.plan.slots);
            if let Some(found) = ilp::solve(problem, demand, &window, goal, Effort::Nodes(WHOLE_NODES)) {
                let plan = Plan { uploaded: found.rounded(f64::round), slots: window.slots };
                if fits(&plan) && residency(&plan) < residency(&best.plan) {
                    best.plan = plan;
                }
            }
        }
    }
    best.finish_us = plan_finish_us(problem, demand, &best.plan);
}

/// Lowers one count after another as far as the limit allows, until nothing moves. The feasible counts of one boundary,
/// others fixed, are an interval, because the model is convex.
fn descend(problem: &Problem, demand: &Demand, plan: &mut Plan, limit_us: f64) {
    let mut states = simulate(problem, demand, plan);
    for _ in 0..DESCENT_PASSES {
        let mut moved = false;
        for boundary in 0..problem.steps.len() {
            let current = plan.uploaded[boundary];
            let before = boundary.checked_sub(1).map_or(0, |earlier| plan.uploaded[earlier]);
            let least = demand.needed[boundary].max(before);
            let lowered = first_that(least, current, |count| {
                count == current || {
                    let changed = changed_states(problem, demand, plan, &states, boundary, count);
                    meets(finish_after(problem, &states, boundary, &changed), limit_us)
                }
            });
            if lowered < current {
                let changed = changed_states(problem, demand, plan, &states, boundary, lowered);
                states[boundary..boundary + changed.len()].copy_from_slice(&changed);
                plan.uploaded[boundary] = lowered;
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
    plan: &Plan,
    states: &[State],
    boundary: usize,
    count: u32,
) -> Vec<State> {
    let mut state = boundary.checked_sub(1).map_or(State::INITIAL, |before| states[before]);
    let mut changed = Vec::new();
    for later in boundary..states.len() {
        let uploaded = if later == boundary { count } else { plan.uploaded[later] };
        state = advance(problem, Interval::before(problem, demand, later as u32), plan.slots, state, uploaded);
        if state == states[later] {
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
