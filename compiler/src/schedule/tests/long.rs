//! Long problems: a synthetic decoder and random ones. They must stay fast, deterministic and close to the bound.

use proptest::prelude::prop;
use proptest::strategy::{Strategy as Generate, ValueTree};
use proptest::test_runner::TestRunner;

use super::super::{Demand, Problem, Strategy};
use super::{Case, StepShape, case, checked};

/// Like a decoder: 350 steps, 157 of which read weights, about 1,300 pages of 2 MiB.
fn decoder(disk_bytes_per_us: f64, upload_bytes_per_us: f64, pace: f64, slot_cap: u32, staging_pages: u32) -> Case {
    let mut steps: Vec<StepShape> = Vec::new();
    for _ in 0..24 {
        for (us, capacity, pages, shared) in
            [(40, 0, 0, 0), (650, 2, 13, 1), (80, 0, 0, 0), (60, 0, 0, 0), (60, 4, 0, 0), (250, 1, 5, 1), (30, 5, 0, 0)]
        {
            steps.push(((f64::from(us) * pace) as u32, capacity, pages, shared));
        }
        for (us, capacity, pages, shared) in
            [(40, 0, 0, 0), (900, 3, 17, 1), (60, 9, 0, 0), (900, 3, 17, 1), (30, 5, 0, 0), (0, 0, 0, 0), (25, 3, 0, 0)]
        {
            steps.push(((f64::from(us) * pace) as u32, capacity, pages, shared));
        }
    }
    steps.extend([(50, 0, 0, 0); 12]);
    steps.push(((2500.0 * pace) as u32, 10, 48, 1));
    steps.push((100, 0, 0, 0));
    let page_bytes = 2 << 20;
    let mut case = case(&steps, 1.0, 1.0, staging_pages);
    case.problem = Problem { page_bytes, disk_bytes_per_us, upload_bytes_per_us, ..case.problem };
    case.problem.slot_cap = slot_cap;
    case
}

#[test]
fn long_programs_are_scheduled_in_seconds() {
    let mut worst_gap = 0.0_f64;
    for (label, disk, upload, pace, cap, staging) in [
        ("phone, disk-bound", 1500.0, 65000.0, 1.0, 400, 8),
        ("phone, tight", 1500.0, 65000.0, 1.0, 56, 4),
        ("phone, compute-bound", 1500.0, 65000.0, 40.0, 200, 8),
        ("balanced", 3000.0, 10000.0, 12.0, 100, 4),
        ("balanced, tight", 3000.0, 10000.0, 12.0, 49, 2),
        ("slow uploads", 6000.0, 4000.0, 1.0, 64, 4),
        ("slow uploads, disk-bound", 1500.0, 2000.0, 1.0, 64, 3),
        ("even, tight", 1500.0, 10000.0, 25.0, 50, 2),
    ] {
        let case = decoder(disk, upload, pace, cap, staging);
        let schedule = checked(&case, Strategy::Optimal);
        let again = checked(&case, Strategy::Optimal);
        assert_eq!(schedule.uploads_before_step, again.uploads_before_step, "deterministic");
        let report = &schedule.report;
        println!(
            "{label:26} {} steps {} pages: {:9.1} us, bound {:9.1}, gap {:.5}, {:?}, peak {} (≥ {}), {}, {:.0} ms",
            case.problem.step_count(),
            case.problem.page_count(),
            schedule.finish_us,
            report.lower_bound_us,
            report.gap,
            report.status,
            schedule.peak_pages,
            report.peak_lower_bound_pages,
            report.solver,
            report.ms
        );
        worst_gap = worst_gap.max(report.gap);
    }
    assert!(worst_gap < 0.005, "{worst_gap}");
}

/// A long random problem, and slots and rates at which neither disk nor compute dominates by far.
fn long_case(steps: usize) -> impl Generate<Value = Case> {
    let step = (0_u32..400, 0_u32..4, 0_u32..8, 0_u32..3);
    let steps = prop::collection::vec(step, steps..steps + 1);
    (steps, 20_u32..100, 5_u32..60, 1_u32..6, 0_u32..12).prop_map(|(steps, read, upload, staging, spare)| {
        let mut case = case(&steps, f64::from(read), f64::from(upload), staging);
        case.problem.slot_cap = Demand::new(&case.problem).smallest_slots() + spare;
        case
    })
}

#[test]
fn random_long_programs_stay_close_to_the_bound() {
    let mut runner = TestRunner::deterministic();
    for steps in [40, 60, 90, 140] {
        for _ in 0..5 {
            let case = long_case(steps).new_tree(&mut runner).expect("generates").current();
            let report = checked(&case, Strategy::Optimal).report;
            assert!(report.gap < 0.005, "{report:?}");
        }
    }
}
