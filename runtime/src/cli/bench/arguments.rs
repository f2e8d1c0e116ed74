//! The command line of `flashmem-run bench`.

use crate::cli::opening::parse_io_mode;
use clap::{Args, ValueEnum};
use flashmem_runtime::IoMode;
use std::path::PathBuf;

/// Measures a bundle: cold starts beside the raw rate of its file, warm runs, and memory.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  flashmem-run bench model.fmplan
  flashmem-run bench model.fmplan --cold --repeat 5 --json bench.json
  flashmem-run bench model.fmplan --io-only --raw --repeat 5
  flashmem-run bench model.fmplan --inputs in.npz --warmup 2 --repeat 20

--cold starts a new process for every repetition, with the file dropped from the page cache before. Beside each it reads the
same bytes with 1, 2, 4 and 8 threads (--raw), dropped as well, and starts a process that does nothing but open a device:
their medians are the floor that the cold time is compared with. --io-only reads, checks and uploads every page of the plan
and dispatches nothing. Without either, runs in one process are timed after some to warm up.")]
pub struct BenchArguments {
    /// The bundle.
    #[arg(value_name = "BUNDLE.fmplan")]
    pub bundle: PathBuf,
    /// Arrays to run on (.npz); without them the bundle's own example, or else made-up values.
    #[arg(long, value_name = "IN.npz")]
    pub inputs: Option<PathBuf>,
    /// Runs before those that are timed, in the warm mode.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub warmup: u32,
    /// Repetitions.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub repeat: u32,
    /// Time cold starts: a process each, the file not in the page cache.
    #[arg(long)]
    pub cold: bool,
    /// Read, check and upload every page of the plan, without dispatches; the file not in the page cache.
    #[arg(long)]
    pub io_only: bool,
    /// Read the plan's bytes alone, with 1, 2, 4 and 8 threads; implied by --cold.
    #[arg(long)]
    pub raw: bool,
    /// How the bundle is read: buffered, cached, direct, mmap or auto.
    #[arg(long, value_name = "MODE", default_value = "auto", value_parser = parse_io_mode)]
    pub io: IoMode,
    /// Threads that read weight pages.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=32))]
    pub reader_threads: u32,
    /// Use the first adapter whose name contains this text, in any case.
    #[arg(long, value_name = "NAME")]
    pub adapter: Option<String>,
    /// Where the figures go (.json).
    #[arg(long, value_name = "OUT.json")]
    pub json: Option<PathBuf>,
    /// What a process that was started by this command does.
    #[arg(long, hide = true)]
    pub child: Option<ChildKind>,
    /// Runs of such a process after its first.
    #[arg(long, hide = true, default_value_t = 0)]
    pub child_runs: u32,
}

/// What one process measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ChildKind {
    /// Opens a device and nothing else.
    EmptyDevice,
    /// Opens the bundle and runs it: first cold, then again.
    Run,
    /// Opens the bundle and does everything of a run but dispatches.
    IoOnly,
}

impl ChildKind {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::EmptyDevice => "empty-device",
            Self::Run => "run",
            Self::IoOnly => "io-only",
        }
    }
}
