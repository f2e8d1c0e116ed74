//! Traces: valid JSON, spans that nest, every page and dispatch there once, and outputs as without tracing.

mod support;

use flashmem_plan_format::testing;
use flashmem_runtime::{Options, Outputs, RunRequest, Session, Tensor};
use serde_json::Value;
use std::collections::BTreeMap;
use support::{Product, open_with};

const PRODUCT: Product = Product { pages: 9, slots: 3, ring: 4, rows: 2 };

struct Span {
    name: String,
    start: f64,
    end: f64,
    arguments: Value,
}

/// Spans by process and lane name.
type Lanes = BTreeMap<(String, String), Vec<Span>>;

fn parse(trace: &str) -> (Lanes, Vec<Value>) {
    let trace: Value = serde_json::from_str(trace).unwrap();
    let events = trace["traceEvents"].as_array().unwrap();
    let of_phase = |phase: &str| events.iter().filter(|event| event["ph"] == phase).cloned().collect::<Vec<_>>();
    let (mut processes, mut threads) = (BTreeMap::new(), BTreeMap::new());
    for event in of_phase("M") {
        let (process, thread) = (event["pid"].as_u64().unwrap(), event["tid"].as_u64().unwrap());
        let name = event["args"]["name"].as_str().unwrap_or_default().to_owned();
        match event["name"].as_str().unwrap() {
            "process_name" => drop(processes.insert(process, name)),
            "thread_name" => drop(threads.insert((process, thread), name)),
            _ => {}
        }
    }
    let mut lanes = Lanes::new();
    for event in of_phase("X") {
        let (process, thread) = (event["pid"].as_u64().unwrap(), event["tid"].as_u64().unwrap());
        let lane = (processes[&process].clone(), threads[&(process, thread)].clone());
        let start = event["ts"].as_f64().unwrap();
        let span = Span {
            name: event["name"].as_str().unwrap().to_owned(),
            start,
            end: start + event["dur"].as_f64().unwrap(),
            arguments: event["args"].clone(),
        };
        lanes.entry(lane).or_default().push(span);
    }
    (lanes, of_phase("C"))
}

/// Two spans of a lane are apart, or one is within the other.
fn assert_nested(lanes: &Lanes) {
    for (lane, spans) in lanes {
        for (i, a) in spans.iter().enumerate() {
            for b in &spans[i + 1..] {
                // The sum of start and duration is off by less than a nanosecond.
                let (apart, within) = (0.001, 0.001);
                let is_apart = a.end <= b.start + apart || b.end <= a.start + apart;
                let is_within = (a.start >= b.start - within && a.end <= b.end + within)
                    || (b.start >= a.start - within && b.end <= a.end + within);
                assert!(is_apart || is_within, "{lane:?}: {} and {}", a.name, b.name);
            }
        }
    }
}

/// How often each value of `argument` is in the lanes of a process whose name starts so, in order of the values.
fn counts(lanes: &Lanes, process: &str, lane: &str, argument: &str) -> Vec<u32> {
    let mut counts = BTreeMap::new();
    for ((found_process, found_lane), spans) in lanes {
        if found_process.starts_with(process) && found_lane.starts_with(lane) {
            for span in spans {
                *counts.entry(span.arguments[argument].as_u64().unwrap()).or_insert(0) += 1;
            }
        }
    }
    let expected: Vec<u64> = (0..counts.len() as u64).collect();
    assert_eq!(counts.keys().copied().collect::<Vec<_>>(), expected, "{process}, {lane}");
    counts.into_values().collect()
}

fn run(bundle: Vec<u8>, inputs: &[(&str, Tensor)], trace: bool, runs: u32) -> (Session, Outputs) {
    let options = Options { trace, reader_threads: 3, ..Options::default() };
    let mut session = open_with(bundle, &options).unwrap();
    let outputs = session.run(inputs).unwrap();
    for _ in 1..runs {
        assert_eq!(session.run(inputs).unwrap(), outputs);
    }
    (session, outputs)
}

#[test]
fn every_page_and_dispatch_is_there_once_a_run() {
    let inputs = [("x", PRODUCT.input())];
    let (session, outputs) = run(PRODUCT.bundle(), &inputs, true, 2);
    let (lanes, counters) = parse(&session.trace().unwrap());
    assert_nested(&lanes);
    assert_eq!(counts(&lanes, "measured", "reader ", "page"), [2; 9]);
    assert_eq!(counts(&lanes, "measured", "uploads", "page"), [2; 9]);
    assert_eq!(counts(&lanes, "measured", "dispatches", "dispatch"), [2; 9]);
    assert_eq!(counts(&lanes, "predicted", "reads", "page"), [1; 9]);
    assert_eq!(counts(&lanes, "predicted", "dispatches", "dispatch"), [1; 9]);
    let phases: Vec<_> = lanes[&("measured".into(), "session".into())].iter().map(|span| span.name.as_str()).collect();
    for phase in
        ["check bundle", "open device", "allocate and bind", "inputs", "replay", "read outputs", "run 1", "run 2"]
    {
        assert!(phases.contains(&phase), "{phase}: {phases:?}");
    }
    let peak = |name: &str| {
        let of_name = counters.iter().filter(|event| event["name"] == name);
        of_name.map(|event| event["args"]["bytes"].as_u64().unwrap()).max().unwrap()
    };
    let page_bytes = u64::from(PRODUCT.rows) * 4096;
    assert!(peak("resident pages") <= 3 * page_bytes && peak("staging in use") <= 4 * page_bytes);
    assert_eq!(outputs, run(PRODUCT.bundle(), &inputs, false, 1).1);
}

#[test]
fn dispatches_come_in_order_after_their_submission() {
    let (session, _) = run(PRODUCT.bundle(), &[("x", PRODUCT.input())], true, 1);
    let (lanes, _) = parse(&session.trace().unwrap());
    let ((_, how), dispatches) = lanes.iter().find(|((_, lane), _)| lane.starts_with("dispatches (")).unwrap();
    let measured = how.contains("device timestamps");
    for (index, span) in dispatches.iter().enumerate() {
        assert_eq!(span.arguments["dispatch"], index);
        assert_eq!(span.arguments["measured"], measured, "{how}");
        assert!(span.end >= span.start);
    }
    assert!(dispatches.windows(2).all(|pair| pair[0].start <= pair[1].start));
    let submissions = lanes.iter().find(|((_, lane), _)| lane.starts_with("submissions")).unwrap().1;
    assert!(dispatches[0].start + 0.001 >= submissions[0].start);
}

#[test]
fn rows_constants_and_names_with_quotes_are_traced() {
    let mut plan = testing::small_plan();
    let name = plan.dispatches[0].node;
    plan.names[name.0 as usize] = "a \"quoted\" \\ name".into();
    testing::declare(&mut plan, testing::constants().len() as u64);
    let bundle = testing::bundle_of(&plan, None);
    let inputs = [("x", Tensor::from_f32(&[1, 64], &[0.5; 64])), ("ids", Tensor::from_i64(&[2], &[3, -1]))];
    let (session, outputs) = run(bundle.clone(), &inputs, true, 1);
    let (lanes, _) = parse(&session.trace().unwrap());
    assert_nested(&lanes);
    let names: Vec<_> = lanes.values().flatten().map(|span| span.name.as_str()).collect();
    assert!(names.contains(&"a \"quoted\" \\ name"));
    let (untraced, same) = run(bundle, &inputs, false, 1);
    assert_eq!(outputs, same);
    assert!(untraced.trace().is_none());
    assert_eq!(session.stats().memory.device_recorded_bytes, untraced.stats().memory.device_recorded_bytes);
}

/// Of several networks, every run's dispatches are those of its own network, and each has its prediction.
#[test]
fn runs_of_several_networks_are_traced() {
    let source = std::sync::Arc::new(flashmem_plan_format::MemorySource::from(testing::linked::linked_bundle()));
    let options = Options { trace: true, ..Options::default() };
    let opened = Session::builder(flashmem_runtime::Source::Blocking(source)).options(options).open();
    let mut session = opened.unwrap();
    let inputs = [("x", Tensor::from_f32(&[1, 64], &[0.5; 64])), ("ids", Tensor::from_i64(&[2], &[0, 1]))];
    let order = ["first", "second", "first"];
    for (index, network) in order.iter().enumerate() {
        if let Some(next) = order.get(index + 1) {
            session.next(next).unwrap();
        }
        session.run(RunRequest::new(&inputs).with_network(network)).unwrap();
    }
    let (lanes, _) = parse(&session.trace().unwrap());
    assert_nested(&lanes);
    let lane = |process: &str, start: &str| {
        let mut found = lanes.iter().filter(|((in_process, name), _)| in_process == process && name.starts_with(start));
        found.next().map(|(_, spans)| spans).unwrap()
    };
    let names: Vec<_> = lane("measured", "session").iter().map(|span| span.name.as_str()).collect();
    for run in ["run 1 of first", "run 2 of second", "run 3 of first"] {
        assert!(names.contains(&run), "{run}: {names:?}");
    }
    assert_eq!(lane("measured", "dispatches").len(), 9);
    assert_eq!(lane("predicted by the plan", "dispatches").len(), 9);
    // Both pages that `second` shares with `first` are loaded for it, and of `first` itself one is kept.
    assert_eq!(lane("predicted by the plan", "reads").len(), 6 + 2 + 3);
}
