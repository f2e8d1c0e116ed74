//! Different solvers on the same problems of 20 to 60 steps: frontiers of states, the integer program whole and in horizons, and
//! HiGHS where it is built in. Each reports a time and a bound; no bound may exceed another's time.

use std::collections::BTreeMap;

use proptest::prelude::prop;
use proptest::strategy::{Strategy as Generate, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::super::completion::Completion;
use super::super::frontier::{FrontierSearch, Reduce};
use super::super::integer::{IntegerProgram, solve_time};
use super::super::optimum::{Optimum, meets};
use super::super::pipeline::{Uploads, is_feasible, uploads_finish_us};
use super::super::{Demand, SolverKind, Strategy, bounds, greedy};
use super::{Case, case, checked_with};

const PROBLEMS: usize = 200;

/// A random problem, slots and rates at which neither disk nor compute nor uploads dominate by far.
fn medium_case() -> impl Generate<Value = Case> {
    let step = (0_u32..400, 0_u32..4, 0_u32..6, 0_u32..3);
    let steps = prop::collection::vec(step, 20..61);
    (steps, 20_u32..120, 5_u32..90, 1_u32..6, 0_u32..10).prop_map(|(steps, read, upload, staging, spare)| {
        let mut case = case(&steps, f64::from(read), f64::from(upload), staging);
        case.problem.slot_cap = Demand::new(&case.problem).smallest_slots() + spare;
        case
    })
}

fn problems() -> Vec<Case> {
    let seed = TestRng::from_seed(RngAlgorithm::ChaCha, &[5; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), seed);
    (0..PROBLEMS).map(|_| medium_case().new_tree(&mut runner).expect("generates").current()).collect()
}

/// Time and bound of the integer program with microlp, whole up to a size and in windows beyond.
fn integer(case: &Case, whole_steps: u32) -> (f64, f64) {
    let (problem, demand) = (&case.problem, Demand::new(&case.problem));
    let cap = problem.slot_cap.min(problem.page_count());
    let (uploads, finish_us) = greedy::fastest(problem, &demand, cap);
    let lower_bound_us = bounds::lower_bound_us(problem, &demand, cap);
    let mut best = Optimum { uploads, finish_us, lower_bound_us, min_slots: 0, searched: None };
    let program = IntegerProgram { whole_steps, ..IntegerProgram::of(SolverKind::Microlp) };
    solve_time(problem, &demand, program, &mut best);
    (best.finish_us, best.lower_bound_us)
}

#[test]
fn solvers_agree_or_their_gaps_cover_the_difference() {
    let (mut proven, mut proven_peaks, mut searched) = (0, 0, 0);
    let mut as_fast = BTreeMap::new();
    for (index, case) in problems().iter().enumerate() {
        let frontier = checked_with(case, Strategy::Optimal, SolverKind::Frontier);
        let mut found = vec![("frontier", frontier.report.objective_us, frontier.report.lower_bound_us)];
        for (name, whole_steps) in [("microlp in windows", 0), ("microlp whole", 60)] {
            let (time_us, bound_us) = integer(case, whole_steps);
            found.push((name, time_us, bound_us));
        }
        for solver in SolverKind::ALL.iter().copied().filter(|solver| *solver != SolverKind::Frontier) {
            let schedule = checked_with(case, Strategy::Optimal, solver);
            let report = &schedule.report;
            found.push((solver.name(), report.objective_us, report.lower_bound_us));
            let both_fastest =
                meets(report.objective_us, frontier.finish_us) && meets(frontier.finish_us, report.objective_us);
            if both_fastest {
                assert!(report.peak_lower_bound_pages <= frontier.peak_pages, "{index}: {report:?} {frontier:?}");
                assert!(
                    frontier.report.peak_lower_bound_pages <= schedule.peak_pages,
                    "{index}: {report:?} {frontier:?}"
                );
            }
        }
        for (name, time_us, bound_us) in &found {
            for (other, other_us, _) in &found {
                assert!(meets(*bound_us, *other_us), "{index}: {name} proves {bound_us}, {other} reaches {other_us}");
            }
            assert!(meets(*bound_us, *time_us), "{index}: {name}");
        }
        for (name, time_us, _) in &found {
            *as_fast.entry(*name).or_insert(0) += usize::from(meets(*time_us, frontier.finish_us));
        }
        searched += usize::from(frontier.report.solver == SolverKind::Frontier.description());
        proven += usize::from(frontier.report.gap == 0.0);
        proven_peaks += usize::from(frontier.peak_pages == frontier.report.peak_lower_bound_pages);
    }
    println!("as fast to one millionth, of {PROBLEMS}: {as_fast:?}");
    println!("{searched} of {PROBLEMS} searched, {proven} proven, {proven_peaks} with proven peaks");
    assert!(searched >= PROBLEMS / 2, "the problems are too easy");
    assert_eq!((proven, proven_peaks), (PROBLEMS, PROBLEMS));
}

/// Frontiers far too narrow: what is joined must still bound the optimum from below, and what is kept must be a plan.
#[test]
fn narrow_frontiers_give_true_bounds_and_true_plans() {
    let (mut loose, mut slower, mut choices) = (0, 0, 0);
    for (index, case) in problems().iter().enumerate() {
        let (problem, demand) = (&case.problem, Demand::new(&case.problem));
        let slots = problem.slot_cap.min(problem.page_count());
        let best_us = checked_with(case, Strategy::Optimal, SolverKind::Frontier).finish_us;
        let completion = Completion::new(problem, &demand, slots);
        // A limit that prunes nothing that matters.
        let search =
            FrontierSearch { problem, demand: &demand, completion: &completion, slots, limit_us: 1.02 * best_us };
        for width in [1, 3, 16] {
            let bound_us = search.run(width, Reduce::Merge).bound_us.expect("merging drops nothing");
            assert!(meets(bound_us, best_us), "{index}, width {width}: {bound_us} is no bound of {best_us}");
            loose += usize::from(!meets(best_us, bound_us));
            let Some(uploaded) = search.run(width, Reduce::Drop).uploaded else { continue };
            let uploads = Uploads { uploaded, slots };
            assert!(is_feasible(problem, &demand, &uploads), "{index}, width {width}");
            let finish_us = uploads_finish_us(problem, &demand, &uploads);
            assert!(meets(best_us, finish_us), "{index}, width {width}: {finish_us} beats {best_us}");
            slower += usize::from(!meets(finish_us, best_us));
            choices += 1;
        }
    }
    println!("{loose} bounds below the optimum; {choices} choices, {slower} of them slower");
    assert!(loose > PROBLEMS / 4 && slower > PROBLEMS / 4 && choices > PROBLEMS, "{loose} {slower} {choices}");
}
