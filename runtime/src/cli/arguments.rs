//! The command line.

use super::bench::BenchArguments;
use super::generate::GenerateArguments;
use super::opening::parse_io_mode;
use super::profile::ProfileArguments;
use super::sequence::SequenceArguments;
use clap::{Parser, Subcommand};
use flashmem_plan_format::byte_size;
use flashmem_runtime::IoMode;
use std::path::PathBuf;

/// Runs a compiled model within the memory that its bundle declares.
#[derive(Debug, Parser)]
#[command(
    name = "flashmem-run",
    version,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = "Examples:
  flashmem-run model.fmplan --inputs in.npz --outputs out.npz
  flashmem-run model.fmplan --inputs in.npz --outputs out.npz --repeat 5 --stats stats.json
  flashmem-run model.fmplan --self-test --adapter llvmpipe
  flashmem-run profile -o device.toml
  flashmem-run generate model.fmplan --prompt-ids prompt.npz --tokens 64
  flashmem-run model.fmplan --inputs in.npz --trace trace.json
  flashmem-run bench model.fmplan --cold --repeat 5 --json bench.json
  flashmem-run app.fmplan --network unet --inputs in.npz --outputs out.npz
  flashmem-run sequence app.fmplan --sequence 'text unet*20 vae'

The arrays of in.npz are named as the model's inputs; others are ignored.
Exit codes: 0 done, 1 the inputs, the bundle or the device are at fault, 2 wrong usage."
)]
pub struct Arguments {
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The bundle: a file, or `http://host[:port]/path` of one on a server that serves ranges.
    #[arg(value_name = "OUT.fmplan", required = true)]
    pub bundle: Option<PathBuf>,
    /// Of a bundle of several networks, the one to run.
    #[arg(long, value_name = "NAME")]
    pub network: Option<String>,
    /// Arrays to run on, named as the model's inputs (.npz, compressed or not).
    #[arg(long, value_name = "IN.npz", required_unless_present = "self_test")]
    pub inputs: Option<PathBuf>,
    /// Where the outputs go, named as the model's outputs (.npz).
    #[arg(long, value_name = "OUT.npz", requires = "inputs")]
    pub outputs: Option<PathBuf>,
    /// Runs on the same inputs; later runs must repeat the first bit for bit.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub repeat: u32,
    /// With --repeat, let states go on from run to run; outputs are those of the last run then, and are not compared.
    #[arg(long)]
    pub keep_state: bool,
    /// Where the statistics go (.json).
    #[arg(long, value_name = "STATS.json")]
    pub stats: Option<PathBuf>,
    /// Where a timeline of opening and of all runs goes, in the Chrome trace format: open it at ui.perfetto.dev (.json).
    #[arg(long, value_name = "TRACE.json")]
    pub trace: Option<PathBuf>,
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
    /// Keep the driver's pipeline cache here, for drivers that keep none themselves.
    #[arg(long, value_name = "DIR")]
    pub cache_dir: Option<PathBuf>,
    /// Refuse a bundle whose declared peak exceeds this: bytes, or a number with MiB, GiB, M, G (powers of 1024), MB or GB
    /// (powers of 1000), e.g. 64MiB or 1.5GiB.
    #[arg(long, value_name = "SIZE", value_parser = byte_size::parse)]
    pub budget: Option<u64>,
}

/// Anything else than running.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Measure a bundle: cold starts beside the raw rate of its file, warm runs, memory.
    Bench(BenchArguments),
    /// Generate tokens from a prompt with a bundle that has states.
    Generate(GenerateArguments),
    /// Run the networks of a linked bundle in an order, and compare predicted with measured times.
    Sequence(SequenceArguments),
    /// Measure this machine and write a device profile for flashmem-compile --device.
    Profile(ProfileArguments),
}
