//! Command lists of runs that follow each other: judged by plan-format's replay, and by a clock of their own.

use std::collections::BTreeMap;

use flashmem_plan_format::plan::Command;
use flashmem_plan_format::{ReplayReport, replay};
use proptest::prelude::{ProptestConfig, prop, prop_assert, prop_assert_eq, proptest};
use proptest::strategy::Strategy as Generate;
use proptest::test_runner::RngSeed;

use super::super::{CommandLists, Demand, KeepPages, Problem, Schedule, Strategy, repeat, schedule};
use super::{Case, case, plan_of};

fn replayed(case: &Case, lists: &CommandLists) -> ReplayReport {
    replay(&plan_of(case, &lists.slots_of_step, lists.slot_count, [&lists.first, &lists.repeat]))
        .unwrap_or_else(|found| panic!("{found}\n{lists:#?}"))
}

/// When a command list ends that starts every step as early as its pages allow: pages are read in the order of loads, each takes a
/// staging buffer that the load `R` before has left; a load beside a step leaves its buffer when it has arrived; loads beyond
/// the step's capacity, or into slots that were dropped when it ended, are paid for.
fn finish_us(problem: &Problem, commands: &[Command]) -> f64 {
    let (mut read_us, mut left_us, mut slot_free): (f64, Vec<f64>, BTreeMap<u32, usize>) =
        (0.0, Vec::new(), BTreeMap::new());
    let (mut step, mut start_us, mut end_us) = (0_usize, 0.0_f64, 0.0_f64);
    let mut slot_of: BTreeMap<u32, u32> = BTreeMap::new();
    let (mut loads, mut waiting) = (0_u32, 0_u32);
    let mut dropped = Vec::new();
    for command in commands {
        match *command {
            Command::Load { page, slot } => {
                let waits = slot_free.get(&slot.0).is_some_and(|last_reader| last_reader + 1 == step);
                let buffer = left_us.len().checked_sub(problem.staging_pages as usize).map_or(0.0, |k| left_us[k]);
                read_us = f64::max(read_us, buffer) + problem.read_us();
                left_us.push(read_us.max(if waits { end_us } else { start_us }));
                (loads, waiting) = (loads + 1, waiting + u32::from(waits));
                slot_of.insert(page.0, slot.0);
            }
            Command::Drop { page } => dropped.push(page.0),
            Command::Dispatch { index } => {
                let capacity = step.checked_sub(1).map_or(0, |before| problem.steps[before].capacity_pages);
                let paid = loads.saturating_sub(capacity).max(waiting);
                let arrived_us = if loads > 0 { read_us } else { 0.0 };
                start_us = (end_us + f64::from(paid) * problem.upload_us()).max(arrived_us);
                end_us = start_us + problem.steps[index as usize].execute_us;
                (loads, waiting, step) = (0, 0, step + 1);
            }
            Command::Submit => {}
        }
        for page in dropped.drain(..) {
            if let Some(slot) = slot_of.get(&page) {
                slot_free.insert(*slot, step - 1);
            }
        }
    }
    end_us
}

fn some_case() -> impl Generate<Value = (Case, u32)> {
    let step = (0_u32..40, 0_u32..5, 0_u32..4, 0_u32..3);
    let steps = prop::collection::vec(step, 1..14);
    (steps, 1_u32..12, 1_u32..12, 1_u32..5, 0_u32..5, 0_u32..16).prop_map(|(steps, read, upload, ring, spare, more)| {
        let mut case = case(&steps, f64::from(read), f64::from(upload) / 2.0, ring);
        case.problem.slot_cap = Demand::new(&case.problem).smallest_slots() + spare;
        let slots = case.problem.slot_cap + more;
        (case, slots)
    })
}

fn first_run(case: &Case, strategy: Strategy) -> Schedule {
    schedule(&case.problem, strategy).expect("the cap is feasible")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, rng_seed: RngSeed::Fixed(11), ..ProptestConfig::default() })]

    #[test]
    fn programs_are_valid_and_never_slower((case, slots) in some_case(), greedy in prop::bool::ANY) {
        let first = first_run(&case, if greedy { Strategy::Greedy } else { Strategy::Optimal });
        let found = repeat(&case.problem, &first, &case.step_pages, slots, KeepPages::Best).expect("valid");
        let Some(lists) = found else { return Ok(()) };
        let report = replayed(&case, &lists);
        prop_assert_eq!(report.peak_pages, lists.slot_count);
        prop_assert!(lists.slot_count <= slots);
        prop_assert_eq!(report.kept_pages, lists.kept);
        let pages = case.problem.page_count();
        prop_assert_eq!(report.loads, pages + lists.ahead);
        prop_assert_eq!(report.repeat_loads, pages - lists.kept);
        let close = 1.0 + 1e-5;
        prop_assert!(finish_us(&case.problem, &lists.first) <= first.finish_us * close);
        prop_assert!(finish_us(&case.problem, &lists.repeat) <= lists.warm_us * close);
        prop_assert!(lists.warm_us <= first.finish_us * close);
    }

    #[test]
    fn everything_fits((case, _) in some_case()) {
        let first = first_run(&case, Strategy::Optimal);
        let pages = case.problem.page_count();
        for keep in [KeepPages::Best, KeepPages::All] {
            let found = repeat(&case.problem, &first, &case.step_pages, pages, keep).expect("valid");
            let Some(lists) = found else {
                prop_assert_eq!(pages, 0);
                return Ok(());
            };
            let report = replayed(&case, &lists);
            prop_assert_eq!((report.kept_pages, report.repeat_loads), (pages, 0));
            prop_assert!((lists.warm_us - case.problem.execute_us()).abs() < 1e-6);
            prop_assert!(finish_us(&case.problem, &lists.first) <= first.finish_us * (1.0 + 1e-5));
        }
    }
}

/// Twelve steps of two pages each, bound by the disk: every kept page saves its read.
#[test]
fn what_a_budget_leaves_becomes_kept_pages() {
    let case = case(&[(10, 2, 2, 0); 12], 20.0, 1.0, 2);
    let first = first_run(&case, Strategy::Optimal);
    let mut warm_us = Vec::new();
    for slots in [first.peak_pages, first.peak_pages + 4, first.peak_pages + 8, 24] {
        let found = repeat(&case.problem, &first, &case.step_pages, slots, KeepPages::Best).expect("valid");
        let (kept, us) = found.map_or((0, first.finish_us), |lists| (lists.kept, lists.warm_us));
        warm_us.push((slots, kept, us));
    }
    let kept: Vec<u32> = warm_us.iter().map(|found| found.1).collect();
    assert_eq!(kept, [0, 4, 8, 24], "{warm_us:?}");
    assert!(warm_us.windows(2).all(|pair| pair[1].2 < pair[0].2), "{warm_us:?}");
}

/// Long last steps hide the reads of the next run's first pages: a later run does not wait for them.
#[test]
fn the_tail_hides_the_next_head() {
    let mut steps = vec![(100, 2, 2, 0); 6];
    steps.extend([(200, 4, 0, 0); 4]);
    let mut case = case(&steps, 20.0, 1.0, 2);
    case.problem.slot_cap = 4;
    let first = first_run(&case, Strategy::Optimal);
    let found = repeat(&case.problem, &first, &case.step_pages, 4, KeepPages::Best).expect("valid");
    let lists = found.expect("the tail is long");
    let report = replayed(&case, &lists);
    assert!(lists.ahead >= 2, "{lists:#?}");
    assert_eq!(report.loads, 12 + lists.ahead);
    // The first run waits for two pages before anything can run; later runs do not wait at all.
    assert!((first.finish_us - lists.warm_us - 2.0 * case.problem.read_us()).abs() < 1e-6, "{lists:#?}");
    assert!((lists.warm_us - case.problem.execute_us()).abs() < 1e-6);
}
