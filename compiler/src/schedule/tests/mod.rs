//! Properties of schedules on random small problems: against exhaustive search, the checker, and mutations of good plans.

mod agree;
mod goldens;
mod long;
mod repeat;
mod turns;

use crate::cost::OperatorClass;
use std::ops::Range;

use flashmem_plan_format::plan::{Command, Dispatch, DispatchWeights, PageId, Plan, SlotId};
use flashmem_plan_format::testing::small_plan;
use proptest::prelude::{ProptestConfig, any, prop, prop_assert, prop_assert_eq, prop_assert_ne, proptest};
use proptest::strategy::Strategy as Generate;
use proptest::test_runner::RngSeed;

use super::optimum::meets;
use super::pipeline::{Uploads, is_feasible, uploads_finish_us};
use super::verify::{Violation, verify};
use super::{
    CommandStream, Demand, Problem, ProblemError, Schedule, ScheduleError, SolverKind, SolverStatus, StepData,
    Strategy, emit_commands, min_slots_within, page_uses, schedule, schedule_with, slots_bound_within, smallest_slots,
};

/// A problem and the pages that its steps read.
#[derive(Debug, Clone)]
pub(super) struct Case {
    pub(super) problem: Problem,
    pub(super) step_pages: Vec<Option<Range<u32>>>,
}

/// Steps as (time, capacity, new pages, pages shared with what came before).
pub(super) type StepShape = (u32, u32, u32, u32);

pub(super) fn case(steps: &[StepShape], read_us: f64, upload_us: f64, staging_pages: u32) -> Case {
    let (mut page_count, mut step_pages, mut data) = (0_u32, Vec::new(), Vec::new());
    for (execute_us, capacity_pages, new, shared) in steps {
        let start = page_count.saturating_sub(*shared);
        page_count += new;
        step_pages.push((start < page_count).then_some(start..page_count));
        data.push(StepData {
            class: if new % 2 == 0 { OperatorClass::Reusable } else { OperatorClass::Elemental },
            execute_us: f64::from(*execute_us),
            capacity_pages: *capacity_pages,
        });
    }
    let pages = page_uses(&step_pages, page_count).expect("every page is new in some step");
    let problem = Problem {
        page_bytes: 1000,
        steps: data,
        pages,
        slot_cap: page_count,
        staging_pages,
        disk_bytes_per_us: 1000.0 / read_us,
        upload_bytes_per_us: 1000.0 / upload_us,
    };
    Case { problem, step_pages }
}

fn small_case() -> impl Generate<Value = Case> {
    let step = (0_u32..30, 0_u32..3, 0_u32..4, 0_u32..3);
    let steps = prop::collection::vec(step, 1..6);
    (steps, 1_u32..12, 1_u32..12, 1_u32..4, 0_u32..5).prop_map(|(steps, read, upload, staging, spare)| {
        let mut case = case(&steps, f64::from(read), f64::from(upload) / 2.0, staging);
        case.problem.slot_cap = Demand::new(&case.problem).smallest_slots() + spare;
        case
    })
}

/// The lexicographic optimum by trying all counts: (time, slots, residency).
fn exhaustive(problem: &Problem) -> (f64, u32, u64) {
    let demand = Demand::new(problem);
    let mut all = Vec::new();
    let cap = problem.slot_cap.min(problem.page_count());
    enumerate(problem, &demand, &mut Vec::new(), &mut |uploaded| {
        for slots in demand.smallest_slots()..=cap {
            let uploads = Uploads { uploaded: uploaded.to_vec(), slots };
            if is_feasible(problem, &demand, &uploads) {
                let residency = uploaded.iter().map(|count| u64::from(*count)).sum();
                all.push((uploads_finish_us(problem, &demand, &uploads), slots, residency));
            }
        }
    });
    let min_us = all.iter().map(|uploads: &(f64, u32, u64)| uploads.0).fold(f64::INFINITY, f64::min);
    let fast = all.iter().filter(|uploads| meets(uploads.0, min_us));
    let (slots, residency) = fast.map(|uploads| (uploads.1, uploads.2)).min().expect("the cap is feasible");
    (min_us, slots, residency)
}

fn enumerate(problem: &Problem, demand: &Demand, prefix: &mut Vec<u32>, visit: &mut impl FnMut(&[u32])) {
    if prefix.len() == problem.steps.len() {
        return visit(prefix);
    }
    let boundary = prefix.len();
    let least = demand.needed[boundary].max(prefix.last().copied().unwrap_or(0));
    let most = (demand.dead[boundary] + problem.slot_cap).min(problem.page_count());
    for count in least..=most {
        prefix.push(count);
        enumerate(problem, demand, prefix, visit);
        prefix.pop();
    }
}

pub(super) fn checked(case: &Case, strategy: Strategy) -> Schedule {
    checked_with(case, strategy, SolverKind::default())
}

pub(super) fn checked_with(case: &Case, strategy: Strategy, solver: SolverKind) -> Schedule {
    let schedule = schedule_with(&case.problem, strategy, solver).expect("feasible");
    let stream = emit_commands(&case.problem, &schedule, &case.step_pages);
    assert_eq!(verify(&case.problem, &schedule, &stream, &case.step_pages), vec![], "{strategy:?}");
    assert!(schedule.report.lower_bound_us <= schedule.finish_us);
    schedule
}

fn residency(schedule: &Schedule) -> u64 {
    let mut sum = 0_u64;
    schedule.uploads_before_step.iter().fold(0_u64, |total, uploads| {
        sum += total + u64::from(*uploads);
        total + u64::from(*uploads)
    });
    sum
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, rng_seed: RngSeed::Fixed(7), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_optimum_is_that_of_exhaustive_search(case in small_case()) {
        let (min_us, slots, residency_pages) = exhaustive(&case.problem);
        for solver in SolverKind::ALL {
            let schedule = checked_with(&case, Strategy::Optimal, *solver);
            prop_assert!(meets(schedule.finish_us, min_us), "{} against {min_us}", schedule.finish_us);
            prop_assert!(meets(schedule.report.lower_bound_us, min_us));
            prop_assert_eq!(schedule.report.status, SolverStatus::Optimal);
            prop_assert_eq!(schedule.peak_pages, slots);
            prop_assert_eq!(residency(&schedule), residency_pages);
        }
    }

    #[test]
    fn every_strategy_passes_the_checker(case in small_case()) {
        let mut case = case;
        let optimal = checked(&case, Strategy::Optimal).finish_us;
        for strategy in [Strategy::Greedy, Strategy::OnDemand] {
            prop_assert!(meets(optimal, checked(&case, strategy).finish_us));
        }
        case.problem.slot_cap = case.problem.page_count();
        let optimal = checked(&case, Strategy::Optimal).finish_us;
        for strategy in [Strategy::PreloadAll, Strategy::AlwaysNext, Strategy::SameOpType] {
            prop_assert!(meets(optimal, checked(&case, strategy).finish_us));
        }
    }

    /// The time model is tight: page by page, no step of its schedule could start earlier.
    #[test]
    fn no_step_could_start_earlier(case in small_case(), pick in any::<prop::sample::Index>()) {
        for strategy in [Strategy::Optimal, Strategy::Greedy, Strategy::OnDemand] {
            let mut schedule = checked(&case, strategy);
            let stream = emit_commands(&case.problem, &schedule, &case.step_pages);
            let step = pick.index(schedule.step_start_us.len());
            if schedule.step_start_us[step] > 0.0 {
                schedule.step_start_us[step] -= 1e-3 * schedule.finish_us;
                let violations = verify(&case.problem, &schedule, &stream, &case.step_pages);
                let early = |v: &Violation| matches!(v, Violation::TooEarly { step: found, .. } if *found == step as u32);
                prop_assert!(violations.iter().any(early), "step {} of {:?}", step, schedule);
            }
        }
    }

    #[test]
    fn infeasible_exactly_below_the_smallest_slots(case in small_case()) {
        let mut case = case;
        for strategy in Strategy::ALL {
            let smallest = smallest_slots(&case.problem, strategy).expect("consistent");
            case.problem.slot_cap = smallest;
            prop_assert!(checked(&case, strategy).peak_pages <= smallest);
            if smallest > 0 {
                case.problem.slot_cap = smallest - 1;
                let error = schedule(&case.problem, strategy).expect_err("too few slots");
                prop_assert_eq!(error, ScheduleError::Infeasible { smallest_slots: smallest, slot_cap: smallest - 1 });
            }
        }
    }

    /// The least slots for a time limit are those of exhaustive search.
    #[test]
    fn least_slots_within_a_time_are_exact(case in small_case(), slower in 0_u32..40) {
        let (min_us, ..) = exhaustive(&case.problem);
        let latest_us = min_us * (1.0 + f64::from(slower) / 100.0);
        let within = |slots| {
            let limited = Problem { slot_cap: slots, ..case.problem.clone() };
            meets(exhaustive(&limited).0, latest_us)
        };
        let smallest = Demand::new(&case.problem).smallest_slots();
        let expected = (smallest..=case.problem.slot_cap).find(|slots| within(*slots));
        let found = min_slots_within(&case.problem, Strategy::Optimal, SolverKind::default(), latest_us);
        prop_assert_eq!(found.expect("consistent"), expected);
        let bound = slots_bound_within(&case.problem, latest_us).expect("consistent");
        prop_assert!(bound <= expected, "{:?} {:?}", bound, expected);
    }

    #[test]
    fn mutations_are_caught(case in small_case(), pick in any::<prop::sample::Index>(), kind in 0_u32..6) {
        let schedule = checked(&case, Strategy::Optimal);
        let stream = emit_commands(&case.problem, &schedule, &case.step_pages);
        let mut bad = (schedule.clone(), stream.clone());
        let at = pick.index(stream.commands.len());
        match kind {
            0 => { bad.1.commands.remove(at); }
            1 => bad.1.commands.insert(at, stream.commands[at]),
            2 => {
                let step = pick.index(schedule.uploads_before_step.len());
                bad.0.uploads_before_step[step] += 1;
            }
            3 => bad.0.finish_us *= 0.9,
            4 => match &mut bad.1.commands[at] {
                Command::Load { slot, .. } => *slot = SlotId(slot.0 + 1),
                Command::Drop { page } => *page = PageId(page.0 + 1),
                Command::Dispatch { index } => *index += 1,
                Command::Submit => { bad.1.commands.remove(at); }
            },
            _ => bad.0.step_start_us.iter_mut().for_each(|start_us| *start_us *= 0.9),
        }
        // A submit may be superfluous, and a time of zero stays zero; anything else must be found.
        let submit = matches!(stream.commands[at], Command::Submit) && matches!(kind, 0 | 1 | 4);
        let zero = matches!(kind, 3 | 5) && (schedule.finish_us == 0.0 || (kind == 5 && schedule.step_start_us.iter().all(|t| *t == 0.0)));
        if bad != (schedule, stream) && !submit && !zero {
            prop_assert_ne!(verify(&case.problem, &bad.0, &bad.1, &case.step_pages), vec![]);
        }
    }
}

#[test]
fn a_program_without_weights_or_steps_has_a_schedule() {
    for steps in [vec![], vec![(5, 0, 0, 0), (7, 1, 0, 0)]] {
        let mut case = case(&steps, 1.0, 1.0, 0);
        case.problem.page_bytes = 0;
        for strategy in Strategy::ALL {
            let schedule = checked(&case, strategy);
            assert_eq!(schedule.peak_pages, 0);
            assert_eq!(schedule.finish_us, case.problem.execute_us());
        }
    }
}

#[test]
fn baselines_follow_their_rules() {
    // Elemental where the number of new pages is odd, else reusable: classes are R E R E R E.
    let mut case =
        case(&[(5, 1, 2, 0), (5, 1, 1, 0), (5, 1, 2, 0), (5, 1, 3, 0), (5, 1, 0, 0), (5, 1, 1, 0)], 1.0, 1.0, 2);
    case.problem.slot_cap = case.problem.page_count();
    let counts = |strategy| checked(&case, strategy).uploads_before_step;
    assert_eq!(counts(Strategy::AlwaysNext), [2, 1, 2, 3, 0, 1]);
    // Step 0 and 1: no step of their class precedes. Step 2: beside step 0. Step 3: beside 1. Step 5: beside 3.
    assert_eq!(counts(Strategy::SameOpType), [3, 2, 3, 0, 1, 0]);
    assert_eq!(checked(&case, Strategy::AlwaysNext).peak_pages, 5);
    assert_eq!(checked(&case, Strategy::SameOpType).peak_pages, 6);
}

#[test]
fn preloading_everything_needs_a_slot_for_every_page() {
    let mut case = case(&[(1, 0, 2, 0), (1, 0, 3, 0)], 1.0, 1.0, 1);
    case.problem.slot_cap = 4;
    let error = schedule(&case.problem, Strategy::PreloadAll).expect_err("five pages");
    assert_eq!(error.to_string(), "4 page slots do not suffice: at least 5 are needed");
}

#[test]
fn inconsistent_problems_are_named() {
    let good = case(&[(1, 0, 2, 0), (1, 0, 3, 0)], 1.0, 1.0, 1).problem;
    let error = |change: &dyn Fn(&mut Problem)| {
        let mut problem = good.clone();
        change(&mut problem);
        match schedule(&problem, Strategy::Optimal).expect_err("inconsistent") {
            ScheduleError::Problem(error) => error.to_string(),
            other => panic!("{other}"),
        }
    };
    assert_eq!(error(&|p| p.disk_bytes_per_us = 0.0), "disk_bytes_per_us is 0, not a positive number");
    assert_eq!(error(&|p| p.staging_pages = 0), "staging_pages is 0 although there are pages");
    assert_eq!(error(&|p| p.steps[1].execute_us = -1.0), "step 1 takes -1 us, not a number from 0 up");
    assert!(error(&|p| p.pages[4].first_step = 0).contains("page 4 is used from step 0 to 1"));
    assert_eq!(page_uses(&[Some(1..2)], 2), Err(ProblemError::UnusedPage { page: 0 }));
}

#[test]
fn each_rule_of_the_replay_is_checked() {
    let case = case(&[(10, 1, 2, 0), (10, 1, 2, 1), (10, 0, 3, 0)], 4.0, 1.0, 2);
    let good = schedule(&case.problem, Strategy::Optimal).expect("feasible");
    let stream = emit_commands(&case.problem, &good, &case.step_pages);
    let check = |change: &dyn Fn(&mut Schedule, &mut CommandStream)| {
        let mut bad = (good.clone(), stream.clone());
        change(&mut bad.0, &mut bad.1);
        verify(&case.problem, &bad.0, &bad.1, &case.step_pages)
    };
    let finds = |violations: &[Violation], expected: &dyn Fn(&Violation) -> bool| {
        assert!(violations.iter().any(expected), "{violations:?}");
    };
    let unsubmitted = check(&|_, stream| stream.commands.retain(|command| *command != Command::Submit));
    finds(&unsubmitted, &|v| matches!(v, Violation::Ring { .. }));
    finds(&unsubmitted, &|v| {
        matches!(v, Violation::Missing { what: "submits are missing after the last command", .. })
    });
    let same_slot = check(&|_, stream| {
        for command in &mut stream.commands {
            if let Command::Load { slot, .. } = command {
                *slot = SlotId(0);
            }
        }
    });
    finds(&same_slot, &|v| matches!(v, Violation::Overwrite { .. }));
    finds(&same_slot, &|v| matches!(v, Violation::NotResident { .. }));
    let over_cap = check(&|schedule, _| schedule.peak_pages = case.problem.slot_cap + 1);
    finds(&over_cap, &|v| matches!(v, Violation::Cap { what: "peak", .. }));
    let undropped = check(&|_, stream| stream.commands.retain(|command| !matches!(command, Command::Drop { .. })));
    finds(&undropped, &|v| matches!(v, Violation::Missing { what: "pages are never dropped", .. }));
    let early = check(&|schedule, _| schedule.step_start_us[0] = 0.0);
    finds(&early, &|v| matches!(v, Violation::TooEarly { step: 0, reason: "the disk", .. }));
    let given_wrong = check(&|_, stream| stream.slots_of_step[2].reverse());
    finds(&given_wrong, &|v| matches!(v, Violation::NotResident { step: 2, .. }));
    assert!(given_wrong.len() >= 2, "all violations are returned: {given_wrong:?}");
}

/// A plan that has nothing but two command lists: of a run that finds an empty arena, and of a later one.
fn plan_of(case: &Case, slots_of_step: &[Vec<SlotId>], slot_count: u32, [first, later]: [&[Command]; 2]) -> Plan {
    let mut plan = small_plan();
    let template = plan.dispatches[0].clone();
    plan.dispatches.clear();
    plan.params = vec![0; 512 * case.step_pages.len()];
    for (step, pages) in case.step_pages.iter().enumerate() {
        for (position, slot) in slots_of_step[step].iter().enumerate() {
            let entry = 512 * step + 16 + 4 * position;
            plan.params[entry..entry + 4].copy_from_slice(&slot.0.to_le_bytes());
        }
        let weights = pages.as_ref().map(|pages| DispatchWeights {
            first_page: PageId(pages.start),
            page_count: pages.end - pages.start,
            slots_offset_bytes: 16,
        });
        plan.dispatches.push(Dispatch { params_offset_bytes: 512 * step as u64, weights, ..template.clone() });
    }
    (plan.commands, plan.repeat_commands) = (first.to_vec(), later.to_vec());
    (plan.page_count, plan.slot_count) = (case.problem.page_count(), slot_count);
    plan.staging_pages = case.problem.staging_pages;
    plan
}
