//! A thousand runs hold no more memory than the first ones. Alone in its process, which it measures.

mod support;

use flashmem_plan_format::testing;
use flashmem_runtime::Tensor;
use support::open;

/// Resident kibibytes of this process.
#[cfg(target_os = "linux")]
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches("kB").trim().parse().unwrap()
}

#[test]
#[cfg(target_os = "linux")]
fn a_thousand_runs_hold_no_more_memory() {
    let mut session = open(testing::small_bundle()).unwrap();
    let right = [("x", Tensor::from_f32(&[1, 64], &[0.5; 64])), ("ids", Tensor::from_i64(&[2], &[3, -1]))];
    let wrong = [("x", Tensor::from_f32(&[1, 64], &[0.5; 64])), ("ids", Tensor::from_i64(&[2], &[3, 99]))];
    let mut run = |count: u32| {
        for index in 0..count {
            // Every tenth run fails after it began, which must leave nothing either; every third is asynchronous.
            if index % 10 == 9 {
                session.run(&wrong).unwrap_err();
            } else if index % 3 == 0 {
                pollster::block_on(session.run_async(&right)).unwrap();
            } else {
                session.run(&right).unwrap();
            }
        }
        resident_kib()
    };
    let warm_kib = run(200);
    let end_kib = run(1000);
    // One leaked page of the bundle a run would be 4000 KiB; allocators and drivers breathe by less.
    let grown_kib = end_kib.saturating_sub(warm_kib);
    assert!(grown_kib < 1024, "{grown_kib} KiB more after 1000 runs, from {warm_kib} KiB");
}
