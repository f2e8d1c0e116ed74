//! The options of `flashmem-compile` that shape a plan, and the compiler's options that they stand for.
//!
//! Others script against these names. It deliberately looks at the model only for what its file decides: the stored precision,
//! and inputs to calibrate with.

use super::error::{Stopped, about};
use super::{npz, parse};
use anyhow::{Context as _, ensure};
use clap::{Args, ValueEnum};
use flashmem_compiler::graph::interpret::words_of;
use flashmem_compiler::import::{ImportOptions, import, stored_precision};
use flashmem_compiler::kernels::Math;
use flashmem_compiler::options::{CompileOptions, Keep, Objective, Slack};
use flashmem_compiler::precision::{Goal, PrecisionOptions, Sample};
use flashmem_compiler::profile::{DEFAULT_PROFILE, DeviceProfile, built_in_names};
use flashmem_compiler::schedule::{SolverKind, Strategy};
use flashmem_compiler::search::page_sizes;
use flashmem_plan_format::byte_size;
use flashmem_plan_format::files::Named;
use flashmem_plan_format::plan::Encoding;
use std::path::{Path, PathBuf};

/// Weight precision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum WeightsArg {
    /// 32-bit floats.
    F32,
    /// 16-bit floats: half the bytes.
    F16,
    /// 8-bit integers with a scale for 32 of them: 8.5 bits each.
    Q8,
    /// 4-bit integers with a scale for 32 of them: 4.5 bits each.
    Q4,
    /// One of these for every weight: the fewest bytes within --max-error, or the least error within --bytes.
    Auto,
}

/// What products with weights are computed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum MathArg {
    /// 32-bit floats.
    F32,
    /// Products of 16-bit floats added up as 32-bit floats, for weights stored as f16 and in attention, on devices that multiply
    /// matrices of these (most discrete GPUs, through Vulkan or Metal); 32-bit floats elsewhere, from the same bundle.
    Mixed,
}

/// What to optimise for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ObjectiveArg {
    /// Least predicted time, then least memory.
    Latency,
    /// Least memory, then least predicted time; within --slack of the best time, if given.
    Memory,
}

/// What stays resident between runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum KeepArg {
    /// What the budget leaves after the fastest first run; nothing without a budget or with --objective memory.
    Auto,
    /// Nothing: every run reads all pages.
    None,
    /// Every page: later runs read nothing but the rows of tables that new indices select.
    All,
}

/// What shapes a plan, its budget apart.
#[derive(Debug, Clone, Args)]
pub struct PlanArgs {
    /// Precision in which weights are stored; activations and sums are f32 [default: f16 where the model stores more bytes of its
    /// weights as f16 than as wider floats, else f32].
    #[arg(long, value_enum)]
    pub weights: Option<WeightsArg>,
    /// With --weights auto: largest relative L2 error of an output, as the compiler predicts and measures it, e.g. 1% or 0.01
    /// [default: 1%].
    #[arg(long, value_name = "ERROR", conflicts_with = "bytes")]
    pub max_error: Option<String>,
    /// With --weights auto: most bytes of all weights, e.g. 400MB, or `budget` for as many as --budget.
    #[arg(long, value_name = "SIZE")]
    pub bytes: Option<String>,
    /// What products and convolutions with weights, and attention, are computed in: mixed is faster where a device has units for
    /// it, and rounds activations to 11 bits.
    #[arg(long, value_enum, default_value = "f32")]
    pub math: MathArg,
    /// Inputs that the model is run with on the CPU, for the errors of --weights auto; they also weigh what rounding to q8 and q4
    /// does. Repeatable, or several files [default: golden inputs, which weigh nothing].
    #[arg(long, value_name = "INPUT.npz", num_args = 1..)]
    pub calibrate: Vec<PathBuf>,
    /// Shape of an input, e.g. tokens:1x128 (also 1,128); repeatable.
    #[arg(long, value_name = "NAME:SHAPE")]
    pub input: Vec<String>,
    /// Size of a symbolic dimension, or a value that an input is bound to (sr=16000, use_cache_branch=true), which then is no
    /// input any more; repeatable.
    #[arg(long, value_name = "NAME=VALUE")]
    pub set: Vec<String>,
    /// An output that is an input of the next run: it lives on the device from run to run, starts as zeros, and is neither input
    /// nor output any more; repeatable. `auto` for the pasts and presents of language models, by their names.
    #[arg(long, value_name = "OUT=IN|auto")]
    pub state: Vec<String>,
    /// Device profile: a TOML file or the name of a built-in one [default: desktop].
    #[arg(long, value_name = "PROFILE.toml")]
    pub device: Option<String>,
    /// What to optimise for.
    #[arg(long, value_enum, default_value = "latency")]
    pub objective: ObjectiveArg,
    /// With --objective memory: how much slower than the best under the budget the plan may be, e.g. 5% or 0.05, or none for
    /// any [default: none].
    #[arg(long, value_name = "PERCENT")]
    pub slack: Option<String>,
    /// How the schedule is made: optimal, greedy, preload-all, on-demand, always-next or same-op-type.
    #[arg(long, default_value = "optimal")]
    pub strategy: String,
    /// What searches for the optimal schedule.
    #[arg(long, default_value = "frontier")]
    pub solver: String,
    /// Weights that stay resident between the runs of a session.
    #[arg(long, value_enum, default_value = "auto")]
    pub keep: KeepArg,
    /// Size of a page of weights, 32KiB to 32MiB, a power of two: bundles that are to be linked need the same [default: the one of the
    /// best plan].
    #[arg(long, value_name = "SIZE")]
    pub page: Option<String>,
    /// No progress display.
    #[arg(long, short)]
    pub quiet: bool,
}

/// Largest error of `--weights auto` where none is given.
const DEFAULT_MAX_ERROR: f64 = 0.01;

/// Options of a plan, without a self-test. Wrong usage is found before the model is looked at.
pub fn options(args: &PlanArgs, budget: Option<&str>, model: &Path) -> Result<CompileOptions, Stopped> {
    let options = usual_options(args, budget).map_err(Stopped::Usage)?;
    let weights = match args.weights {
        Some(WeightsArg::F32) => Encoding::F32,
        Some(WeightsArg::F16) => Encoding::F16,
        Some(WeightsArg::Q8) => Encoding::Q8,
        Some(WeightsArg::Q4) => Encoding::Q4,
        // What is not stored in blocks and not in f32 is in f16.
        Some(WeightsArg::Auto) => Encoding::F16,
        None => stored_precision(model).map_err(|e| about(model, e))?,
    };
    let samples = samples(args, model, &options)?;
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

/// The precision of weights, and whose choice it was.
pub fn stored_as(args: &PlanArgs, options: &CompileOptions) -> String {
    match options.precision.goal {
        Some(Goal::MaxError(error)) => return format!("auto, error at most {}%", error * 100.0),
        Some(Goal::MaxBytes(bytes)) => return format!("auto, at most {bytes} bytes"),
        None => {}
    }
    let by_model = args.weights.is_none() && options.weights != Encoding::F32;
    format!("{}{}", options.weights, if by_model { ", as the model stores them" } else { "" })
}

/// What a task reads besides files that only the model names.
pub fn read_files(role: &str, subject: &Path, plan: &PlanArgs) -> Vec<Named> {
    let device = plan.device.as_deref().filter(|device| !built_in_names().contains(device));
    let device = device.map(|device| Named::new("--device", Path::new(device)));
    let samples = plan.calibrate.iter().map(|path| Named::new("--calibrate", path.as_path()));
    [Named::new(role, subject)].into_iter().chain(device).chain(samples).collect()
}
