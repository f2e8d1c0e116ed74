//! `flashmem-compile sweep`: predicted times for many budgets, to choose one.
//!
//! The model is imported once; which fusions suit depends on the budget. With `--precisions`, every budget is planned for each of
//! these, and what the encodings do to the outputs is measured once for each. Progress goes to standard error, the table or
//! JSON to standard output.

use super::args::SweepArgs;
use super::error::{Stopped, about};
use super::plan_args::{PlanArgs, WeightsArg, options, read_files, stored_as};
use anyhow::{Context as _, ensure};
use clap::ValueEnum as _;
use flashmem_compiler::bundle::precision::PrecisionSummary;
use flashmem_compiler::compile::{CompileError, CompileOptions, Prepared, plan, prepare};
use flashmem_compiler::precision::PrecisionOptions;
use flashmem_compiler::report::{Sweep, SweepPlan, SweepPoint, SweepPrecision};
use flashmem_compiler::search::{BudgetError, Planned, SolveError};
use flashmem_plan_format::byte_size;
use flashmem_plan_format::files::{self, FileError, Named, check_outputs};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use std::time::Duration;

/// Most budgets of one sweep.
const MAX_POINTS: usize = 64;

/// Plans a model for every budget.
pub fn sweep(args: &SweepArgs) -> Result<(), Stopped> {
    let budgets = budgets(&args.budgets, args.points).context("--budgets").map_err(Stopped::Usage)?;
    let precisions = precisions(args).map_err(Stopped::Usage)?;
    let all = precisions.iter().map(|plan| options(plan, None, &args.model)).collect::<Result<Vec<_>, _>>()?;
    check_report(args, &read_files("the model", &args.model, &args.plan))?;
    if let ([options], false) = (&all[..], args.plan.quiet) {
        errln!("weights: {}", stored_as(&args.plan, options));
    }
    Ok(show(args, &plan_all(args, &all, &budgets)?)?)
}

/// The arguments of a plan for each precision.
fn precisions(args: &SweepArgs) -> anyhow::Result<Vec<PlanArgs>> {
    if args.precisions.is_empty() {
        return Ok(vec![args.plan.clone()]);
    }
    let plan = |text: &String| {
        let (weights, max_error) = match text.split_once(':') {
            Some(("auto", error)) => (WeightsArg::Auto, Some(error.to_owned())),
            Some(_) | None => {
                let found = WeightsArg::from_str(text, false);
                (
                    found.map_err(|_| {
                        anyhow::anyhow!("--precisions: `{text}` is not f32, f16, q8, q4, auto or auto:ERROR")
                    })?,
                    None,
                )
            }
        };
        let is_auto = weights == WeightsArg::Auto;
        let bytes = args.plan.bytes.clone().filter(|_| is_auto && max_error.is_none());
        let max_error = max_error.or_else(|| args.plan.max_error.clone().filter(|_| is_auto));
        Ok(PlanArgs { weights: Some(weights), max_error, bytes, ..args.plan.clone() })
    };
    args.precisions.iter().map(plan).collect()
}

/// Sweeps with all options; of several, the errors of each are measured.
fn plan_all(args: &SweepArgs, all: &[CompileOptions], budgets: &[u64]) -> anyhow::Result<Vec<Sweep>> {
    let bar = progress(args.plan.quiet, budgets.len() * all.len());
    bar.set_message("import");
    let prepared = prepare(&args.model, &all[0], &mut |_| ()).map_err(|e| about(&args.model, e))?;
    check_report(args, &prepared.files())?;
    let sweep = |(index, options): (usize, &CompileOptions)| {
        let Some(weights) = args.precisions.get(index) else {
            return plan_budgets(args, &prepared, options, budgets, &bar);
        };
        let precision = PrecisionOptions { measured: true, ..options.precision.clone() };
        let mut sweep = plan_budgets(args, &prepared, &CompileOptions { precision, ..options.clone() }, budgets, &bar)?;
        if let Some(precision) = &mut sweep.precision {
            precision.weights.clone_from(weights);
        }
        Ok(sweep)
    };
    let sweeps = all.iter().enumerate().map(sweep).collect();
    bar.finish_and_clear();
    sweeps
}

fn plan_budgets(
    args: &SweepArgs,
    prepared: &Prepared,
    options: &CompileOptions,
    budgets: &[u64],
    bar: &ProgressBar,
) -> anyhow::Result<Sweep> {
    let mut precision = options.precision.measured.then(|| SweepPrecision {
        weights: String::new(),
        weight_bytes: 0,
        predicted_error: None,
        measured_error: None,
    });
    let mut points = Vec::new();
    let mut smallest_bytes = None;
    for budget_bytes in budgets.iter().copied() {
        bar.set_message(format!("budget {}", byte_size::format(budget_bytes)));
        let options = CompileOptions { budget_bytes: Some(budget_bytes), ..options.clone() };
        let plan = match plan(prepared, &options) {
            Ok(planned) => {
                if let Some(precision) = &mut precision {
                    note(precision, &planned);
                }
                Some(outcome(&planned, &options))
            }
            Err(CompileError::Solve(SolveError::Budget(BudgetError::TooSmall {
                smallest_bytes: smallest, ..
            }))) => {
                smallest_bytes = Some(smallest);
                None
            }
            Err(error) => return Err(about(&args.model, error)),
        };
        points.push(SweepPoint { budget_bytes, plan });
        bar.inc(1);
    }
    let (model, profile) = (prepared.name().to_owned(), options.profile.name.clone());
    Ok(Sweep { model, profile, points, smallest_bytes, precision })
}

/// Notes what a plan says about its weights.
fn note(precision: &mut SweepPrecision, planned: &Planned) {
    let plan = &planned.assembled.plan;
    let errors = PrecisionSummary::of_plan(&plan.provenance).errors;
    precision.weight_bytes = plan.weight_bytes;
    precision.predicted_error = errors.as_ref().and_then(|errors| errors.predicted);
    precision.measured_error = errors.and_then(|errors| errors.measured);
}

/// Refuses a report that would overwrite what is read.
fn check_report(args: &SweepArgs, read: &[Named]) -> Result<(), FileError> {
    let report = args.report.iter().map(|path| Named::new("--report", path));
    check_outputs(read, &report.collect::<Vec<_>>())
}

fn outcome(planned: &Planned, options: &CompileOptions) -> SweepPlan {
    let plan = &planned.assembled.plan;
    let report = &planned.assembled.schedule.report;
    let page_bytes = plan.page.page_bytes();
    SweepPlan {
        declared_peak_bytes: plan.memory.total_bytes().unwrap_or(u64::MAX),
        predicted_us: plan.predicted_cold_us as f64,
        later_us: plan.predicted_warm_us as f64,
        gap: report.gap,
        status: report.status.name(),
        pages: plan.page_count,
        page_bytes,
        slots: plan.slot_count,
        steps: plan.dispatches.len() as u32,
        disk_floor_us: f64::from(plan.page_count) * page_bytes as f64 / options.profile.disk_bytes_per_us(),
    }
}

fn show(args: &SweepArgs, sweeps: &[Sweep]) -> anyhow::Result<()> {
    if args.json {
        let value = match sweeps {
            [sweep] if sweep.precision.is_none() => as_value(sweep),
            _ => json!({ "precisions": sweeps.iter().map(as_value).collect::<Vec<_>>() }),
        };
        outln!("{}", serde_json::to_string_pretty(&value)?);
    } else {
        out!("{} on `{}`\n", sweeps[0].model, sweeps[0].profile);
        sweeps.iter().for_each(|sweep| out!("{}", sweep.table()));
    }
    if let Some(report) = &args.report {
        files::write(report, Sweep::page(sweeps).as_bytes())?;
        errln!("report: {}", report.display());
    }
    Ok(())
}

fn as_value(sweep: &Sweep) -> Value {
    let points = sweep.points.iter().map(|point| match &point.plan {
        None => json!({ "budget_bytes": point.budget_bytes, "feasible": false }),
        Some(plan) => json!({
            "budget_bytes": point.budget_bytes,
            "feasible": true,
            "declared_peak_bytes": plan.declared_peak_bytes,
            "predicted_cold_ms": plan.predicted_us / 1e3,
            "predicted_later_ms": plan.later_us / 1e3,
            "disk_floor_ms": plan.disk_floor_us / 1e3,
            "gap": plan.gap,
            "status": plan.status,
            "pages": plan.pages,
            "page_bytes": plan.page_bytes,
            "slots": plan.slots,
            "steps": plan.steps,
        }),
    });
    let mut value = json!({
        "model": sweep.model,
        "profile": sweep.profile,
        "points": points.collect::<Vec<_>>(),
        "smallest_feasible_bytes": sweep.smallest_bytes,
        "within_one_percent_bytes": sweep.knee_bytes(),
    });
    if let Some(precision) = &sweep.precision {
        value["weights"] = json!(precision.weights);
        value["weight_bytes"] = json!(precision.weight_bytes);
        value["predicted_error"] = json!(precision.predicted_error);
        value["measured_error"] = json!(precision.measured_error);
    }
    value
}

fn progress(quiet: bool, budgets: usize) -> ProgressBar {
    if quiet {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{spinner} {msg:24} {wide_bar} {pos}/{len}")
        .expect("a constant template is valid");
    let bar = ProgressBar::new(budgets as u64).with_style(style);
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

/// `LOW..HIGH` in `points` geometric steps, both ends included, or a list; ascending, without repetitions.
fn budgets(text: &str, points: usize) -> anyhow::Result<Vec<u64>> {
    let mut all = match text.split_once("..") {
        Some((low, high)) => {
            let (low, high) = (byte_size::parse(low)?, byte_size::parse(high)?);
            ensure!(0 < low && low < high, "{text}: the first budget must be above 0 and below the last");
            let ratio = high as f64 / low as f64;
            let step = |i| (low as f64 * ratio.powf(i as f64 / (points - 1) as f64)).round() as u64;
            (0..points).map(|i| if i + 1 == points { high } else { step(i) }).collect()
        }
        None => text.split(',').map(byte_size::parse).collect::<Result<Vec<u64>, _>>()?,
    };
    all.sort_unstable();
    all.dedup();
    ensure!(all.len() <= MAX_POINTS, "{} budgets, more than {MAX_POINTS}", all.len());
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::budgets;

    #[test]
    fn ranges_are_geometric_and_lists_sorted() {
        let mib = |n: u64| n << 20;
        assert_eq!(budgets("32MiB..1GiB", 6).expect("a range"), [32, 64, 128, 256, 512, 1024].map(mib));
        assert_eq!(budgets("64MiB,32MiB,64MiB", 8).expect("a list"), [32, 64].map(mib));
        assert_eq!(budgets("10..11", 9).expect("a range"), [10, 11]);
        for text in ["", "1GiB..32MiB", "0..5", "1MiB..", "5MiB,", "1..2..3"] {
            assert!(budgets(text, 8).is_err(), "{text}");
        }
    }
}
