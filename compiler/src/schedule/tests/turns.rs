//! Command lists of networks that take turns: judged by plan-format's replay, and compared with the search.

use flashmem_plan_format::plan::Command;
use flashmem_plan_format::replay;
use proptest::prelude::{ProptestConfig, prop, prop_assert, prop_assert_eq, proptest};
use proptest::strategy::Strategy as Generate;
use proptest::test_runner::RngSeed;

use super::super::{Demand, SolverKind, Strategy, hand_over, returned_us, schedule, turn_lists};
use super::{Case, case, plan_of};

fn some_case() -> impl Generate<Value = (Case, u32, u32)> {
    let step = (0_u32..40, 0_u32..5, 0_u32..4, 0_u32..3);
    let steps = prop::collection::vec(step, 1..14);
    (steps, 1_u32..12, 1_u32..12, 1_u32..5, 0_u32..20, 0_u32..24).prop_map(|(steps, read, upload, ring, kept, more)| {
        let case = case(&steps, f64::from(read), f64::from(upload) / 2.0, ring);
        let kept = kept.min(case.problem.page_count());
        let slots = Demand::new(&case.problem).smallest_slots() + more;
        (case, kept, slots)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, rng_seed: RngSeed::Fixed(15), ..ProptestConfig::default() })]

    #[test]
    fn lists_are_valid_and_as_fast_as_the_search((case, kept, slots) in some_case()) {
        let lists = turn_lists(&case.problem, &case.step_pages, (kept, slots), SolverKind::default());
        let lists = lists.expect("the slots suffice").expect("valid");
        let report = replay(&plan_of(&case, &lists.slots_of_step, lists.slot_count, [&lists.first, &lists.returned])).unwrap_or_else(|found| panic!("{found}"));
        prop_assert_eq!(report.kept_pages, kept);
        prop_assert!(lists.slot_count <= kept + slots);
        let pages = case.problem.page_count();
        prop_assert_eq!(report.loads, pages);
        prop_assert_eq!(report.repeat_loads, if kept == 0 { 0 } else { pages - kept });
        let mut other = case.problem.clone();
        other.pages.drain(..kept as usize);
        other.slot_cap = slots;
        let best = schedule(&other, Strategy::Optimal).expect("the slots suffice");
        let close = 1.0 + 1e-5;
        prop_assert!(lists.returned_us <= best.finish_us * close, "{} {}", lists.returned_us, best.finish_us);
        prop_assert!(returned_us(&case.problem, kept, slots).expect("the slots suffice") >= lists.returned_us / close);
    }

    /// Loads for the next run cost nothing by prediction, come behind the last reader of what was in their slots, and are no more than
    /// the slots that the next run starts with.
    #[test]
    fn what_is_handed_over_is_free((first, kept, slots) in some_case(), (second, other, _) in some_case()) {
        let slots = slots + Demand::new(&second.problem).smallest_slots();
        let make = |case: &Case, kept| {
            let lists = turn_lists(&case.problem, &case.step_pages, (kept, slots), SolverKind::default());
            lists.expect("the slots suffice").expect("valid")
        };
        let (current, next) = (make(&first, kept), make(&second, other));
        let (before, after_us) = hand_over(&current, &next);
        prop_assert!(before.is_sorted() && before.len() as u32 <= next.slot_count - next.kept);
        prop_assert!(after_us <= next.returned_us * (1.0 + 1e-5));
        let list = if current.returned.is_empty() { &current.first } else { &current.returned };
        let last_load = list.iter().rposition(|command| matches!(command, Command::Load { .. }));
        for step in before {
            let at = list.iter().position(|command| *command == Command::Dispatch { index: step });
            prop_assert!(last_load < at, "loads of its own come first");
        }
    }
}
