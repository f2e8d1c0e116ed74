//! Reports of real networks and of a large invented plan.

use super::memory_chart::{columns, in_ring, resident};
use super::{
    StallCause, StepRate, Subject, Sweep, SweepPlan, SweepPoint, SweepPrecision, Timeline, WeightUse, page, terminal,
};
use crate::compile::{CompileOptions, plan, prepare};
use crate::cost::OperatorClass;
use crate::options::Keep;
use crate::profile::DeviceProfile;
use crate::schedule::{Problem, StepData, Strategy, emit_commands, page_uses, schedule};
use crate::search::Planned;
use flashmem_plan_format::plan::{Dispatch, DispatchWeights, Encoding, NameId, PageId, Plan};
use flashmem_plan_format::testing::small_plan;
use std::ops::Range;
use std::path::Path;

fn options(profile: &str, strategy: Strategy, budget_bytes: Option<u64>) -> CompileOptions {
    let profile = DeviceProfile::load(profile).expect("built in");
    CompileOptions { budget_bytes, strategy, keep: Keep::None, ..CompileOptions::new(profile, Encoding::F16) }
}

fn planned(options: &CompileOptions) -> Planned {
    planned_of("vit", options)
}

fn planned_of(name: &str, options: &CompileOptions) -> Planned {
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/models/tiny").join(name).with_extension("onnx");
    let prepared = prepare(&model, options, &mut |_| ()).expect("the model is supported");
    plan(&prepared, options).expect("the budget works")
}

/// Most pages in the arena and in the ring at once.
fn most(timeline: &Timeline) -> (u32, u32) {
    let most = |lives| columns(lives, timeline.end_us()).into_iter().max().unwrap_or(0);
    (most(&resident(timeline)), most(&in_ring(timeline)))
}

#[test]
fn the_timeline_is_the_schedulers() {
    for profile in ["flagship-phone", "mid-phone", "software"] {
        for strategy in Strategy::ALL {
            for budget_bytes in [None, Some(1_500_000)] {
                let options = options(profile, strategy, budget_bytes);
                let planned = planned(&options);
                let schedule = &planned.assembled.schedule;
                let subject = Subject::of_planned(&planned, &options.profile);
                let timeline = Timeline::new(&subject);
                let close = |a: f64, b: f64| (a - b).abs() <= 1e-6 * b.abs() + 1e-6;
                let what = format!("{profile} {strategy:?} {budget_bytes:?}");
                assert!(
                    close(timeline.finish_us, schedule.finish_us),
                    "{what}: {} {}",
                    timeline.finish_us,
                    schedule.finish_us
                );
                for (step, (span, start_us)) in timeline.steps.iter().zip(&schedule.step_start_us).enumerate() {
                    assert!(close(span.start_us, *start_us), "{what}, step {step}: {} {start_us}", span.start_us);
                }
                let plan = &planned.assembled.plan;
                let (pages, ring) = most(&timeline);
                assert!(
                    pages <= plan.slot_count && ring <= plan.staging_pages,
                    "{what}: {pages} pages, {ring} in the ring"
                );
                let waits = timeline.stalled_us() + timeline.execute_us();
                assert!(close(waits, timeline.finish_us), "{what}: stalls and steps make up the time");
            }
        }
    }
}

#[test]
fn a_bundle_explains_itself_as_its_model_does() {
    let options = options("flagship-phone", Strategy::Optimal, None);
    let planned = planned(&options);
    let plan = &planned.assembled.plan;
    let fresh = Timeline::new(&Subject::of_planned(&planned, &options.profile));
    let subject = Subject::of_bundle(plan, None);
    let stored = Timeline::new(&subject);
    assert!(
        (fresh.finish_us - stored.finish_us).abs() <= 1e-9 * fresh.finish_us,
        "{} {}",
        fresh.finish_us,
        stored.finish_us
    );
    assert_eq!(
        Subject::of_planned(&planned, &options.profile).steps,
        subject.steps,
        "a plan holds what it was made from"
    );
    let slow = DeviceProfile { disk_bytes_per_second: 1e6, ..options.profile };
    let slow = Timeline::new(&Subject::of_bundle(plan, Some(&slow)));
    assert!(slow.finish_us > 100.0 * stored.finish_us, "another disk, another time");
}

/// What a page must be, whatever it shows.
fn check_page(html: &str) {
    for address in ["http:", "https:", "//", "@import", "url(", "src=", "href="] {
        for (at, _) in html.match_indices(address) {
            assert!(html[at..].starts_with("url(#wait)"), "{address} at byte {at}");
        }
    }
    assert_eq!(html.matches("<svg").count(), html.matches("</svg>").count());
    assert!(html.starts_with("<!doctype html>") && html.ends_with("</html>\n"));
}

#[test]
fn pages_are_self_contained_repeatable_and_escape_names() {
    let options = options("mid-phone", Strategy::Optimal, Some(1_500_000));
    let mut planned = planned(&options);
    let nasty = "</script><img x='y' onerror=\"z\">&\u{1}";
    for (index, name) in planned.assembled.plan.names.iter_mut().enumerate() {
        *name = format!("{nasty}{index}");
    }
    planned.assembled.plan.provenance.model = nasty.to_owned();
    planned.program.weights.iter_mut().for_each(|weight| weight.name.push_str(nasty));
    let subject = Subject::of_planned(&planned, &options.profile);
    let timeline = Timeline::new(&subject);
    let html = page(&subject, &timeline);
    assert_eq!(html, page(&subject, &Timeline::new(&subject)));
    assert!(!html.contains("<img") && !html.contains('\u{1}') && !html.contains("onerror=\"z"));
    check_page(&html);
}

#[test]
fn all_stalls_are_named_in_page_and_summary() {
    let mut options = options("mid-phone", Strategy::OnDemand, None);
    (options.weights, options.profile.disk_bytes_per_second) = (Encoding::F32, 5e7);
    let planned = planned_of("depthanything-s", &options);
    let subject = Subject::of_planned(&planned, &options.profile);
    let timeline = Timeline::new(&subject);
    assert!(timeline.stalls.len() > 5 && timeline.stalls.iter().any(|s| matches!(s.cause, StallCause::Disk { .. })));
    let html = page(&subject, &timeline);
    let rows = html.split("<h2>Stalls</h2>").nth(1).and_then(|rest| rest.split("</section>").next()).expect("a table");
    for stall in &timeline.stalls {
        let plan = &planned.assembled.plan;
        let name = plan.name(plan.dispatches[stall.step as usize].node);
        let row = format!("<td class=\"name\">{name}</td><td class=\"n\">{}</td>", stall.step);
        assert!(rows.contains(&row), "{row}");
    }
    for weight in &planned.program.weights {
        assert!(html.contains(&weight.name), "{}", weight.name);
    }
    let summary = terminal::summary(&subject, &timeline);
    let longest = timeline.longest_stalls()[0];
    assert!(summary.contains(&format!("step {:<5} `", longest.step)), "{summary}");
    check_page(&html);
}

/// 2,000 steps that read 8,000 pages.
fn large() -> (Plan, Vec<StepRate>) {
    let classes = [OperatorClass::Reusable, OperatorClass::Elemental, OperatorClass::Hierarchical];
    let ranges: Vec<Option<Range<u32>>> =
        (0..2000).map(|step| (step % 2 == 0).then(|| step * 4..step * 4 + 8)).collect();
    let rates: Vec<StepRate> = (0..2000)
        .map(|step: u32| StepRate {
            class: classes[step as usize % 3],
            execute_us: f64::from(50 + step * 37 % 400),
            capacity_pages: step % 3,
        })
        .collect();
    let problem = Problem {
        page_bytes: 256 << 10,
        steps: rates
            .iter()
            .map(|rate| StepData {
                class: rate.class,
                execute_us: rate.execute_us,
                capacity_pages: rate.capacity_pages,
            })
            .collect(),
        pages: page_uses(&ranges, 8000).expect("in order"),
        slot_cap: 64,
        staging_pages: 8,
        disk_bytes_per_us: 1500.0,
        upload_bytes_per_us: 65_000.0,
    };
    let schedule = schedule(&problem, Strategy::Greedy).expect("64 slots suffice");
    let stream = emit_commands(&problem, &schedule, &ranges);
    let mut plan = small_plan();
    let template = plan.dispatches[0].clone();
    plan.page.rows = 128;
    (plan.page_count, plan.slot_count, plan.staging_pages) = (8000, stream.slot_count, 8);
    plan.commands = stream.commands;
    plan.repeat_commands.clear();
    let name = |step: usize| {
        let block = step / 14;
        format!("/transformer/h.{block}/mlp/c_fc/MatMul_{step}+/transformer/h.{block}/mlp/act/Mul_{step}")
    };
    plan.names = (0..ranges.len()).map(name).collect();
    plan.dispatches = (0_u32..)
        .zip(&ranges)
        .map(|(step, range)| Dispatch {
            node: NameId(step),
            weights: range.as_ref().map(|range| DispatchWeights {
                first_page: PageId(range.start),
                page_count: range.end - range.start,
                slots_offset_bytes: 16,
            }),
            ..template.clone()
        })
        .collect();
    (plan, rates)
}

#[test]
fn a_large_plan_stays_small_on_the_page() {
    let (plan, steps) = large();
    let weights = (0..1000).map(|index| WeightUse {
        name: Some(format!("transformer.h.{}.mlp.c_fc.weight_{index}_T", index / 7)),
        size_bytes: 2 << 20,
        pages: index * 8..index * 8 + 8,
        first_step: index * 2,
        last_step: index * 2,
    });
    let subject = Subject {
        plan: &plan,
        steps,
        disk_bytes_per_us: 1500.0,
        upload_bytes_per_us: 65_000.0,
        weights: weights.collect(),
        notes: Vec::new(),
    };
    let timeline = Timeline::new(&subject);
    let (pages, ring) = most(&timeline);
    assert!(timeline.stalls.len() > 500 && pages <= plan.slot_count && ring <= 8, "{pages} {ring}");
    let html = page(&subject, &timeline);
    assert!(html.len() < 2_000_000, "{} bytes", html.len());
    if let Some(path) = std::env::var_os("REPORT") {
        std::fs::write(path, &html).expect("writable");
    }
    check_page(&html);
}

#[test]
fn a_sweep_shows_the_smallest_budget_and_the_knee() {
    let plan = |predicted_us| SweepPlan {
        declared_peak_bytes: 900,
        predicted_us,
        later_us: predicted_us,
        gap: 0.0,
        status: "optimal",
        pages: 10,
        page_bytes: 4096,
        slots: 3,
        steps: 7,
        disk_floor_us: 2000.0,
    };
    let point = |budget_bytes, plan| SweepPoint { budget_bytes, plan };
    let points = vec![
        point(1 << 10, None),
        point(1 << 11, Some(plan(9000.0))),
        point(1 << 12, Some(plan(3010.0))),
        point(1 << 13, Some(plan(3000.0))),
    ];
    let mut sweep =
        Sweep { model: "<m>".into(), profile: "p".into(), points, smallest_bytes: Some(1500), precision: None };
    assert_eq!(sweep.knee_bytes(), Some(1 << 12));
    let table = sweep.table();
    for text in
        ["1.0 KiB  infeasible", "smallest feasible budget: 1500 bytes", "within 1 % of the best time from 4.0 KiB on"]
    {
        assert!(table.contains(text), "{text}\n{table}");
    }
    let html = Sweep::page(std::slice::from_ref(&sweep));
    check_page(&html);
    assert!(
        html.contains("&lt;m&gt;") && html.matches("<circle").count() == 3 && html.contains("infeasible below 1.5 KiB")
    );
    sweep.points.truncate(1);
    assert_eq!(sweep.knee_bytes(), None);
    check_page(&Sweep::page(&[sweep.clone()]));
    let precision = SweepPrecision {
        weights: "auto:1%".to_owned(),
        weight_bytes: 2048,
        predicted_error: Some(0.0099),
        measured_error: None,
    };
    let two = [sweep.clone(), Sweep { precision: Some(precision), ..sweep }];
    let line = "weights auto:1%: 2.0 KiB, error 9.90e-3 predicted";
    assert!(two[1].table().starts_with(&format!("{line}\n")), "{}", two[1].table());
    let html = Sweep::page(&two);
    check_page(&html);
    assert!(html.contains(line) && html.matches("<figure>").count() == 2);
}
