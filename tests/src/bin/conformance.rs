//! Runs the ONNX backend node tests and writes or checks the table of their verdicts.
//!
//! It deliberately holds no logic of its own: see `conformance` in the library.

use anyhow::{Context as _, bail};
use clap::Parser;
use flashmem_runtime::Context;
use flashmem_tests::conformance::{Verdict, archive, run_all, table};
use std::path::PathBuf;

/// Runs the ONNX backend node tests through compile, bundle and replay on the GPU.
#[derive(Debug, Parser)]
#[command(
    name = "conformance",
    after_help = "Examples:
  conformance tests/conformance/node-1.23.2.tar.gz --write tests/conformance/table.txt
  conformance FOLDER/node --only softmax
"
)]
struct Args {
    /// The archive, or the folder `node` that onnx's `backend-test-tools generate-data` writes.
    tests: PathBuf,
    /// Only tests whose name contains this.
    #[arg(long, default_value = "")]
    only: String,
    /// Write the table to this file.
    #[arg(long)]
    write: Option<PathBuf>,
    /// Use the adapter whose name contains this.
    #[arg(long)]
    adapter: Option<String>,
    /// Tests at a time.
    #[arg(long, default_value_t = 2)]
    threads: usize,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let mut tests = archive::read(&args.tests)?;
    tests.retain(|test| test.name.contains(&args.only));
    let context = Context::open(args.adapter.as_deref())?;
    eprintln!("{} tests on {}", tests.len(), context.adapter());
    let verdicts = run_all(&tests, &context, args.threads, &|name, verdict| {
        if matches!(verdict, Verdict::Wrong(_) | Verdict::Panicked(_)) || !args.only.is_empty() {
            eprintln!("{name}: {verdict}");
        }
    })?;
    println!("{} ({} pipelines)", table::summary(&verdicts), context.pipelines());
    if let Some(path) = args.write {
        std::fs::write(&path, table::text(&verdicts)).with_context(|| path.display().to_string())?;
    }
    let failures = verdicts.iter().filter(|(_, v)| matches!(v, Verdict::Wrong(_) | Verdict::Panicked(_))).count();
    if failures > 0 {
        bail!("{failures} tests fail");
    }
    Ok(())
}
