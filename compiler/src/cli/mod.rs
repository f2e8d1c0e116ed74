//! The command-line program: arguments in, exit code out.
//!
//! Exit codes: 0 done, 1 the input or the plan is at fault, 2 wrong usage. It deliberately computes nothing that the
//! library does not offer.

#[macro_use]
mod output;
pub mod args;
mod explain;
mod inspect;
mod inspect_linked;
mod link;
mod npz;
mod ops;
mod parse;
pub mod run;
mod sweep;

use anyhow::{Context as _, ensure};
use args::{KeepArg, MathArg, ObjectiveArg, PlanArgs, WeightsArg};
use flashmem_compiler::compile::{CompileError, CompileOptions, Objective, Slack};
use flashmem_compiler::graph::interpret::words_of;
use flashmem_compiler::import::{ImportError, ImportOptions, import, stored_precision};
use flashmem_compiler::kernels::Math;
use flashmem_compiler::precision::{Goal, PrecisionOptions, Sample};
use flashmem_compiler::profile::{DEFAULT_PROFILE, DeviceProfile, built_in_names};
use flashmem_compiler::schedule::{SolverKind, Strategy};
use flashmem_compiler::search::{Keep, page_sizes};
use flashmem_plan_format::byte_size;
use flashmem_plan_format::files::Named;
use flashmem_plan_format::plan::Encoding;
use indicatif::{ProgressBar, ProgressStyle};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Wrong usage that clap cannot see.
#[derive(Debug)]
struct Usage(anyhow::Error);

/// Largest error of `--weights auto` where none is given.
const DEFAULT_MAX_ERROR: f64 = 0.01;

/// Options of a plan, without a self-test. Wrong usage is found before the model is looked at.
fn options(
    args: &PlanArgs,
    budget: Option<&str>,
    model: &Path,
) -> Result<CompileOptions, Result<anyhow::Error, Usage>> {
    let options = usual_options(args, budget).map_err(|e| Err(Usage(e)))?;
    let weights = match args.weights {
        Some(WeightsArg::F32) => Encoding::F32,
        Some(WeightsArg::F16) => Encoding::F16,
        Some(WeightsArg::Q8) => Encoding::Q8,
        Some(WeightsArg::Q4) => Encoding::Q4,
        // What is not stored in blocks and not in f32 is in f16.
        Some(WeightsArg::Auto) => Encoding::F16,
        None => stored_precision(model).map_err(|e| Ok(about(model, e)))?,
    };
    let samples = samples(args, model, &options).map_err(Ok)?;
    let precision = PrecisionOptions { weighed: !samples.is_empty(), samples, ..options.precision };
    Ok(CompileOptions { weights, precision, ..options })
}

/// Inputs to calibrate with, as the interpreter takes them.
fn samples(args: &PlanArgs, model: &Path, options: &CompileOptions) -> anyhow::Result<Vec<Sample>> {
    if args.calibrate.is_empty() {
        return Ok(Vec::new());
    }
    let imported = import(model, &options.import).map_err(|e| about(model, e))?;
    let sample = |path: &PathBuf| {
        let inputs = npz::inputs(path, &imported.graph).context("--calibrate")?;
        let ports = imported.graph.inputs.iter().zip(&inputs);
        Ok(ports.map(|(port, bytes)| words_of(port.element, bytes)).collect())
    };
    args.calibrate.iter().map(sample).collect()
}

/// What `--weights auto` is to find.
fn goal(args: &PlanArgs, budget_bytes: Option<u64>) -> anyhow::Result<Option<Goal>> {
    if args.weights != Some(WeightsArg::Auto) {
        ensure!(args.max_error.is_none() && args.bytes.is_none(), "--max-error and --bytes need --weights auto");
        return Ok(None);
    }
    let bytes = match args.bytes.as_deref() {
        Some("budget") => Some(budget_bytes.context("--bytes budget needs --budget")?),
        Some(size) => Some(byte_size::parse(size).context("--bytes")?),
        None => None,
    };
    let error = args.max_error.as_deref().map(parse::max_error).transpose()?;
    Ok(Some(bytes.map_or_else(|| Goal::MaxError(error.unwrap_or(DEFAULT_MAX_ERROR)), Goal::MaxBytes)))
}

/// Options as the arguments say, and f32 weights.
fn usual_options(args: &PlanArgs, budget: Option<&str>) -> anyhow::Result<CompileOptions> {
    let budget_bytes = budget.map(byte_size::parse).transpose().context("--budget")?;
    let strategy = Strategy::ALL.into_iter().find(|s| s.name() == args.strategy).with_context(|| {
        let names: Vec<&str> = Strategy::ALL.iter().map(|s| s.name()).collect();
        format!("--strategy {} is not one of {}", args.strategy, names.join(", "))
    })?;
    let solver = SolverKind::ALL.iter().copied().find(|s| s.name() == args.solver).with_context(|| {
        let names: Vec<&str> = SolverKind::ALL.iter().map(|s| s.name()).collect();
        format!("--solver {} is not one of {}", args.solver, names.join(", "))
    })?;
    let inputs = args.input.iter().map(|t| parse::input(t)).collect::<anyhow::Result<_>>()?;
    let (mut dims, mut values) = (Vec::new(), Vec::new());
    for text in &args.set {
        match parse::setting(text)? {
            (name, parse::Setting::Size(size)) => dims.push((name, size)),
            (name, parse::Setting::Value(value)) => values.push((name, value)),
        }
    }
    let profile = DeviceProfile::load(args.device.as_deref().unwrap_or(DEFAULT_PROFILE)).context("--device")?;
    Ok(CompileOptions {
        precision: PrecisionOptions { goal: goal(args, budget_bytes)?, ..PrecisionOptions::default() },
        math: match args.math {
            MathArg::F32 => Math::F32,
            MathArg::Mixed => Math::Mixed,
        },
        budget_bytes,
        import: ImportOptions { inputs, dims, values, states: parse::states(&args.state)?, ..ImportOptions::default() },
        objective: objective(args)?,
        strategy,
        solver,
        keep: match args.keep {
            KeepArg::Auto => Keep::Auto,
            KeepArg::None => Keep::None,
            KeepArg::All => Keep::All,
        },
        page_bytes: args.page.as_deref().map(page_bytes).transpose()?,
        ..CompileOptions::new(profile, Encoding::F32)
    })
}

/// The size of a page, if pages can have it.
fn page_bytes(text: &str) -> anyhow::Result<u64> {
    let bytes = byte_size::parse(text).context("--page")?;
    let sizes: Vec<String> = page_sizes().map(byte_size::format).collect();
    ensure!(page_sizes().any(|size| size == bytes), "--page {text} is not one of {}", sizes.join(", "));
    Ok(bytes)
}

fn objective(args: &PlanArgs) -> anyhow::Result<Objective> {
    let slack = args.slack.as_deref().map(parse::slack).transpose()?;
    match args.objective {
        ObjectiveArg::Latency => {
            ensure!(slack.is_none(), "--slack needs --objective memory");
            Ok(Objective::Latency)
        }
        ObjectiveArg::Memory => Ok(Objective::Memory { slack: slack.unwrap_or(Slack::Unlimited) }),
    }
}

/// An error about a model, behind the model's path, unless the error names that file itself.
fn about(model: &Path, error: impl Into<CompileError>) -> anyhow::Error {
    let error = error.into();
    let names_it = matches!(
        &error,
        CompileError::Import(ImportError::Read { path, .. } | ImportError::NotOnnx { path, .. }) if path == model
    );
    let error = anyhow::Error::new(error);
    if names_it { error } else { error.context(model.display().to_string()) }
}

/// What a task reads besides files that only the model names.
fn read_files(role: &str, subject: &Path, plan: &PlanArgs) -> Vec<Named> {
    let device = plan.device.as_deref().filter(|device| !built_in_names().contains(device));
    let device = device.map(|device| Named::new("--device", Path::new(device)));
    let samples = plan.calibrate.iter().map(|path| Named::new("--calibrate", path.as_path()));
    [Named::new(role, subject)].into_iter().chain(device).chain(samples).collect()
}

/// The precision of weights, and whose choice it was.
fn stored_as(args: &PlanArgs, options: &CompileOptions) -> String {
    match options.precision.goal {
        Some(Goal::MaxError(error)) => return format!("auto, error at most {}%", error * 100.0),
        Some(Goal::MaxBytes(bytes)) => return format!("auto, at most {bytes} bytes"),
        None => {}
    }
    let by_model = args.weights.is_none() && options.weights != Encoding::F32;
    format!("{}{}", options.weights, if by_model { ", as the model stores them" } else { "" })
}

fn progress_bar(quiet: bool) -> ProgressBar {
    if quiet {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{spinner} {msg:10} {wide_bar} {bytes}/{total_bytes}")
        .expect("a constant template is valid");
    let bar = ProgressBar::new(0).with_style(style);
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}
