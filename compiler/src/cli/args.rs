//! The command line of `flashmem-compile`.
//!
//! Others script against these names. Nothing is computed here.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

const EXAMPLES: &str = "Examples:
  flashmem-compile model.onnx -o model.fmplan --weights f16 --budget 96MiB
  flashmem-compile model.onnx -o model.fmplan --weights auto --max-error 1%
  flashmem-compile model.onnx -o model.fmplan --set batch=1 --input tokens:1x128
  flashmem-compile model.onnx -o model.fmplan --set sr=16000 --set use_cache_branch=false
  flashmem-compile model.onnx -o model.fmplan --golden
  flashmem-compile model.onnx -o model.fmplan --objective memory --slack 5%
  flashmem-compile inspect model.fmplan --json
  flashmem-compile explain model.onnx --weights f16 --budget 96MiB --report report.html
  flashmem-compile sweep model.onnx --weights f16 --budgets 32MiB..1GiB --report sweep.html
  flashmem-compile sweep model.onnx --precisions f16,q8,auto:1% --budgets 64MiB,128MiB
  flashmem-compile link text.fmplan unet.fmplan -o app.fmplan --budget 400MiB --calls unet=20
  flashmem-compile ops

Exit codes: 0 done, 1 the input or the plan is at fault, 2 wrong usage.";

const LINK_EXAMPLES: &str = "Examples:
  flashmem-compile text.onnx --page 256KiB && flashmem-compile unet.onnx --page 256KiB && flashmem-compile vae.onnx --page 256KiB
  flashmem-compile link text.fmplan unet.fmplan vae.fmplan -o app.fmplan --budget 400MiB --sequence 'text unet*20 vae'
  flashmem-compile link prompt=prefill.fmplan token=decode.fmplan -o model.fmplan --budget 1GiB --calls token=100
  flashmem-run sequence app.fmplan --sequence 'text unet*20 vae'";

/// Compiles an ONNX model into a .fmplan bundle that streams its weights through a fixed amount of memory.
#[derive(Debug, Parser)]
#[command(name = "flashmem-compile", version, after_help = EXAMPLES)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true, arg_required_else_help = true)]
pub struct Cli {
    /// Another task than compiling.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// What to compile.
    #[command(flatten)]
    pub compile: CompileArgs,
}

/// Tasks other than compiling.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Shows what a bundle holds and needs.
    Inspect {
        /// The bundle.
        bundle: PathBuf,
        /// Machine-readable output.
        #[arg(long)]
        json: bool,
        /// Also read every page and row and check all hashes.
        #[arg(long)]
        verify: bool,
    },
    /// Shows when every page is read, uploaded and dropped, what waits for what, and what the memory holds.
    Explain(ExplainArgs),
    /// Plans a model for many budgets and shows what more memory buys.
    Sweep(SweepArgs),
    /// Makes one bundle of several, whose networks take turns in the memory of one budget.
    Link(LinkArgs),
    /// Lists the ONNX operators: which are supported, in which versions, within which limits.
    Ops {
        /// Machine-readable output.
        #[arg(long, conflicts_with = "markdown")]
        json: bool,
        /// The page docs/operators.md.
        #[arg(long)]
        markdown: bool,
    },
}

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
    /// Products of 16-bit floats added up as 32-bit floats, for weights stored as f16, on devices that multiply matrices of these (most
    /// discrete GPUs, through Vulkan or Metal); 32-bit floats elsewhere, from the same bundle.
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

/// Options of compiling.
#[derive(Debug, Args)]
pub struct CompileArgs {
    /// The ONNX model.
    #[arg(required = true)]
    pub model: Option<PathBuf>,
    /// The bundle to write, whole or not at all [default: the model's name with .fmplan].
    #[arg(short, long, value_name = "OUT.fmplan")]
    pub output: Option<PathBuf>,
    /// Most memory that a session may hold, everything counted: bytes, or a number with MiB, GiB, M, G (powers of 1024), MB or GB
    /// (powers of 1000), e.g. 64MiB or 1.5GiB [default: unlimited].
    #[arg(long, value_name = "SIZE")]
    pub budget: Option<String>,
    /// What shapes the plan.
    #[command(flatten)]
    pub plan: PlanArgs,
    /// Store a self-test: an input and its reference output, computed on the CPU. With a file, the input is taken from it.
    #[arg(long, value_name = "INPUT.npz", num_args = 0..=1, default_missing_value = "")]
    pub golden: Option<String>,
    /// For debugging: make computed indices outputs, `indices of NODE`; a run that computes one outside its axis then fails and
    /// names it, instead of limiting it to the axis.
    #[arg(long, conflicts_with = "golden")]
    pub check_indices: bool,
}

/// Options of explaining.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// An ONNX model, of which no bundle is written, or a bundle.
    #[arg(value_name = "MODEL.onnx|OUT.fmplan")]
    pub subject: PathBuf,
    /// Where the page goes [default: none, only the summary is printed].
    #[arg(long, value_name = "REPORT.html")]
    pub report: Option<PathBuf>,
    /// Most memory that a session may hold, e.g. 64MiB [default: unlimited].
    #[arg(long, value_name = "SIZE")]
    pub budget: Option<String>,
    /// What shapes the plan; of a bundle, only --device counts: the rates that the prediction assumes.
    #[command(flatten)]
    pub plan: PlanArgs,
}

/// Options of a sweep.
#[derive(Debug, Args)]
pub struct SweepArgs {
    /// The ONNX model.
    pub model: PathBuf,
    /// Budgets, sizes as in --budget: a range LOW..HIGH in geometric steps, or a list, e.g. 32MiB,64MiB,96MiB.
    #[arg(long, value_name = "LOW..HIGH|LIST")]
    pub budgets: String,
    /// Budgets of a range, both ends included.
    #[arg(long, value_name = "N", default_value_t = 9, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(2..=64))]
    pub points: usize,
    /// Also goes over precisions, each with all budgets: f32, f16, q8, q4, auto (with --max-error or --bytes) or auto:ERROR, e.g.
    /// f16,q8,auto:1%. Errors are measured where the CPU runs the model soon enough.
    #[arg(long, value_name = "LIST", value_delimiter = ',', conflicts_with = "weights")]
    pub precisions: Vec<String>,
    /// Where a page with a plot goes.
    #[arg(long, value_name = "SWEEP.html")]
    pub report: Option<PathBuf>,
    /// Machine-readable output instead of the table.
    #[arg(long)]
    pub json: bool,
    /// What shapes the plans.
    #[command(flatten)]
    pub plan: PlanArgs,
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
    /// What products and convolutions with weights are computed in: mixed is faster where a device has units for it, and rounds
    /// activations to 11 bits.
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

/// Whose states are whose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum StatesArg {
    /// Bundles of one model share states of one name and shape: what one run leaves, the other's finds.
    Shared,
    /// Every network has its own.
    Apart,
}

/// Options of linking.
#[derive(Debug, Args)]
#[command(after_help = LINK_EXAMPLES)]
pub struct LinkArgs {
    /// The bundles, each of one network, which apps call NAME [default: the file's name without .fmplan].
    #[arg(required = true, value_name = "[NAME=]BUNDLE.fmplan")]
    pub bundles: Vec<String>,
    /// The bundle to write, whole or not at all.
    #[arg(short, long, value_name = "OUT.fmplan")]
    pub output: PathBuf,
    /// Most memory that a session may hold, all networks and everything counted, e.g. 400MiB [default: unlimited, and every page
    /// stays resident].
    #[arg(long, value_name = "SIZE")]
    pub budget: Option<String>,
    /// How often networks run in comparison with each other, e.g. unet=20,vae=1: decides whose pages stay resident [default: as
    /// often as in --sequence, or all the same].
    #[arg(long, value_name = "NAME=NUMBER,…")]
    pub calls: Option<String>,
    /// The order in which they usually run, e.g. "text unet*20 vae". Any other order is as right.
    #[arg(long, value_name = "RUNS")]
    pub sequence: Option<String>,
    /// Whether bundles of one model, compiled with different --set, have their states in common, or every network its own.
    #[arg(long, value_enum, default_value = "shared")]
    pub states: StatesArg,
    /// Device profile: a TOML file or the name of a built-in one, for the device's limits; rates are those of the bundles
    /// [default: desktop].
    #[arg(long, value_name = "PROFILE.toml")]
    pub device: Option<String>,
    /// No progress display and no report.
    #[arg(long, short)]
    pub quiet: bool,
}
