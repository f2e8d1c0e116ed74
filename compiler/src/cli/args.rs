//! The command line of `flashmem-compile`.
//!
//! Others script against these names. Nothing is computed here.

use super::plan_args::PlanArgs;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

const EXAMPLES: &str = "Examples:
  flashmem-compile model.onnx -o model.fmplan --weights f16 --budget 96MiB
  flashmem-compile model.onnx -o model.fmplan --weights auto --max-error 1%
  flashmem-compile model.onnx -o model.fmplan --set batch=1 --input tokens:1x128
  flashmem-compile model.onnx -o model.fmplan --set sr=16000 --set use_cache_branch=false
  flashmem-compile model.onnx -o model.fmplan --golden
  flashmem-compile model.onnx -o model.fmplan --objective memory --slack 5%
  flashmem-compile model.onnx -o model.fmplan --state auto --set batch_size=1 --set past_sequence_length=512 \
      --set total_sequence_length=512 --entry prefill:sequence_length=64 --entry decode:sequence_length=1 --calls decode=100
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
    /// The model at sizes of its own, which apps call NAME; repeatable: all are entries of one bundle, with one set of weights and one
    /// set of states. SIZES are as in --set and --input, and go before these: sequence_length=64 or image:1x3x224x224, several
    /// parted by commas.
    #[arg(long, value_name = "NAME:SIZES")]
    pub entry: Vec<String>,
    /// With --entry: how often entries run in comparison with each other, e.g. decode=100,prefill=1: decides whose pages stay
    /// resident and their size [default: all the same].
    #[arg(long, value_name = "NAME=NUMBER,…", requires = "entry")]
    pub calls: Option<String>,
    /// Store a self-test: an input and its reference output, computed on the CPU. With a file, the input is taken from it.
    #[arg(long, value_name = "INPUT.npz", num_args = 0..=1, default_missing_value = "", conflicts_with = "entry")]
    pub golden: Option<String>,
    /// For debugging: make computed indices outputs, `indices of NODE`; a run that computes one outside its axis then fails and
    /// names it, instead of limiting it to the axis.
    #[arg(long, conflicts_with_all = ["golden", "entry"])]
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
    /// Hands an output to an input on the device, without the host, e.g. unet.out=vae.in; repeatable. Types (f32, i32, i64) and
    /// shapes must be equal. A run that is given no tensor for the input takes what was handed to it last.
    #[arg(long, value_name = "NAME.OUTPUT=NAME.INPUT")]
    pub connect: Vec<String>,
    /// Device profile: a TOML file or the name of a built-in one, for the device's limits; rates are those of the bundles
    /// [default: desktop].
    #[arg(long, value_name = "PROFILE.toml")]
    pub device: Option<String>,
    /// No progress display and no report.
    #[arg(long, short)]
    pub quiet: bool,
}
