//! The command line.

use clap::{Args, Parser, Subcommand};
use flashmem_runtime::IoMode;
use std::path::PathBuf;

/// Runs a compiled model within the memory that its bundle declares.
#[derive(Debug, Parser)]
#[command(name = "flashmem-run", version, args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
#[command(after_help = "Examples:
  flashmem-run model.fmplan --inputs in.npz --outputs out.npz
  flashmem-run model.fmplan --inputs in.npz --outputs out.npz --repeat 5 --stats stats.json
  flashmem-run model.fmplan --self-test --adapter llvmpipe
  flashmem-run profile -o device.toml

The arrays of in.npz are named as the model's inputs; others are ignored.
Exit codes: 0 done, 1 the inputs, the bundle or the device are at fault, 2 wrong usage.")]
pub struct Cli {
    /// Another task than running a bundle.
    #[command(subcommand)]
    pub task: Option<Task>,
    /// What to run.
    #[command(flatten)]
    pub run: Arguments,
}

/// Tasks other than running a bundle.
#[derive(Debug, Subcommand)]
pub enum Task {
    /// Measures this machine and writes a device profile for flashmem-compile --device.
    Profile(ProfileArguments),
}

/// What to measure.
#[derive(Debug, Args)]
pub struct ProfileArguments {
    /// Where the profile goes.
    #[arg(short, long, value_name = "DEVICE.toml")]
    pub output: PathBuf,
    /// Measure the first adapter whose name contains this text, in any case.
    #[arg(long, value_name = "NAME")]
    pub adapter: Option<String>,
    /// Read this file instead of a temporary one beside the profile.
    #[arg(long, value_name = "PATH")]
    pub file: Option<PathBuf>,
    /// Bytes to read (suffixes K, M, G: powers of 1024).
    #[arg(long, value_name = "BYTES", default_value = "256M", value_parser = parse_bytes)]
    pub size: u64,
    /// Repetitions of every measurement, of which the median counts.
    #[arg(long, value_name = "N", default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub repeats: u32,
    /// Enlarge kernels until one takes this many microseconds.
    #[arg(long, value_name = "US", default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub kernel_us: u32,
}

/// Options of a run.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The bundle.
    #[arg(value_name = "OUT.fmplan", required = true)]
    pub bundle: Option<PathBuf>,
    /// Arrays to run on, named as the model's inputs (.npz, compressed or not).
    #[arg(long, value_name = "IN.npz", required_unless_present = "self_test")]
    pub inputs: Option<PathBuf>,
    /// Where the outputs go, named as the model's outputs (.npz).
    #[arg(long, value_name = "OUT.npz", requires = "inputs")]
    pub outputs: Option<PathBuf>,
    /// Runs on the same inputs; later runs must repeat the first bit for bit.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub repeat: u32,
    /// Where the statistics go (.json).
    #[arg(long, value_name = "STATS.json")]
    pub stats: Option<PathBuf>,
    /// Use the first adapter whose name contains this text, in any case.
    #[arg(long, value_name = "NAME")]
    pub adapter: Option<String>,
    /// Run the bundle's own example twice and check the outputs.
    #[arg(long)]
    pub self_test: bool,
    /// Threads that read weight pages.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=32))]
    pub reader_threads: u32,
    /// How the bundle is read: buffered (dropping what was used from the system's page cache), cached (leaving it there),
    /// direct (around it), mmap, or auto (cached if it takes at most a quarter of the spare memory, else buffered).
    #[arg(long, value_name = "MODE", default_value = "auto", value_parser = parse_io_mode)]
    pub io: IoMode,
    /// Refuse a bundle whose declared peak exceeds this many bytes (suffixes K, M, G: powers of 1024).
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes)]
    pub budget: Option<u64>,
}

fn parse_io_mode(text: &str) -> Result<IoMode, String> {
    let names: Vec<_> = IoMode::ALL.map(IoMode::name).into();
    let found = IoMode::ALL.into_iter().find(|mode| mode.name() == text);
    found.ok_or_else(|| format!("`{text}` is none of {}", names.join(", ")))
}

fn parse_bytes(text: &str) -> Result<u64, String> {
    let upper = text.trim().to_uppercase();
    let upper = upper.trim_end_matches('B').trim_end_matches('I');
    let (digits, shift) = match upper.as_bytes().last() {
        Some(b'K') => (&upper[..upper.len() - 1], 10),
        Some(b'M') => (&upper[..upper.len() - 1], 20),
        Some(b'G') => (&upper[..upper.len() - 1], 30),
        _ => (upper, 0),
    };
    let number: u64 = digits.trim().parse().map_err(|_| format!("`{text}` is no number of bytes; try 200M"))?;
    number.checked_mul(1 << shift).ok_or_else(|| format!("`{text}` is too many bytes"))
}
