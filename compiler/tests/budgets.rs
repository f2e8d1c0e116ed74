//! Budgets and objectives on the tiny networks: the smallest budget is exact for every strategy, and `--slack` keeps its promise.
//!
//! It deliberately runs no bundle; that needs a device and is tested in `tests/`.

use flashmem_compiler::compile::{CompileError, CompileOptions, Compiled, Objective, Slack, compile};
use flashmem_compiler::profile::DeviceProfile;
use flashmem_compiler::schedule::Strategy;
use flashmem_compiler::search::{BudgetError, SolveError};
use flashmem_plan_format::plan::Encoding;
use std::path::PathBuf;

const NETWORKS: [&str; 3] = ["resnet50", "vit", "gptneo-s"];

fn options(device: &str, strategy: Strategy) -> CompileOptions {
    let profile = DeviceProfile::load(device).expect("a built-in profile");
    CompileOptions { strategy, ..CompileOptions::new(profile, Encoding::F16) }
}

#[expect(clippy::result_large_err, reason = "one error ends a compilation, and none is on a hot path")]
fn made(network: &str, options: &CompileOptions) -> Result<Compiled, CompileError> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let name = format!("tests/models/tiny/{network}.onnx");
    let model: PathBuf = [env!("CARGO_MANIFEST_DIR"), "..", &name].iter().collect();
    compile(&model, &folder.path().join("a.fmplan"), options, &mut |_| ())
}

/// The smallest budget that a refusal names.
fn refused(network: &str, options: &CompileOptions, budget_bytes: u64) -> u64 {
    match made(network, &CompileOptions { budget_bytes: Some(budget_bytes), ..options.clone() }) {
        Err(CompileError::Solve(SolveError::Budget(BudgetError::TooSmall { budget_bytes: given, smallest_bytes }))) => {
            assert_eq!(given, budget_bytes);
            smallest_bytes
        }
        Ok(compiled) => panic!("{network} fits {budget_bytes}: {:?}", compiled.plan.memory),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn the_smallest_budget_is_exact_for_every_strategy() {
    for network in NETWORKS {
        for strategy in Strategy::ALL {
            let options = options("flagship-phone", strategy);
            let least = refused(network, &options, 1);
            let exact = made(network, &CompileOptions { budget_bytes: Some(least), ..options.clone() });
            let plan = exact.unwrap_or_else(|error| panic!("{network} {strategy:?}: {error}")).plan;
            assert!(plan.memory.total_bytes().is_some_and(|total| total <= least), "{network} {strategy:?}");
            for budget in [least - 1, least - plan.page.page_bytes()] {
                assert_eq!(refused(network, &options, budget), least, "{network} {strategy:?}");
            }
        }
    }
}

#[test]
fn slack_trades_time_for_memory() {
    let total = |compiled: &Compiled| compiled.plan.memory.total_bytes().expect("adds up");
    // The options are part of the plan, whose size counts three times: without their text, two lengths of 8 bytes each.
    let peak = |compiled: &Compiled| {
        let text = |(name, value): &(String, String)| 16 + name.len() as u64 + value.len() as u64;
        total(compiled) - 3 * compiled.plan.provenance.options.iter().map(text).sum::<u64>()
    };
    for network in NETWORKS {
        for device in ["software", "mid-phone"] {
            let options = options(device, Strategy::Optimal);
            let fastest = made(network, &options).expect("compiles");
            let with = |slack| {
                let objective = Objective::Memory { slack };
                made(network, &CompileOptions { objective, ..options.clone() }).expect("compiles")
            };
            let mut larger = peak(&fastest);
            for fraction in [0.0, 0.05, 0.3, 10.0] {
                let compiled = with(Slack::Fraction(fraction));
                let (time_us, best_us) = (compiled.solver.objective_us, fastest.solver.objective_us);
                assert!(
                    time_us <= best_us * (1.0 + fraction) * (1.0 + 1e-6),
                    "{network} {device} {fraction}: {time_us}"
                );
                assert!(peak(&compiled) <= larger, "{network} {device} {fraction}: {} > {larger}", peak(&compiled));
                larger = larger.min(peak(&compiled));
            }
            let objective = Objective::Memory { slack: Slack::Unlimited };
            let unlimited = CompileOptions { objective, ..options.clone() };
            let least = made(network, &unlimited).expect("compiles");
            assert!(peak(&least) <= larger, "{network} {device}");
            // A plan with a budget is some bytes longer than one without.
            let smallest = refused(network, &unlimited, 1);
            assert!(smallest.abs_diff(total(&least)) <= 64, "{network} {device}: {} and {smallest}", total(&least));
        }
    }
}
