//! The predicted ablation: every strategy on every network given, on one device profile, as a Markdown table.
//!
//! Time and declared peak are predictions of plans made as `flashmem-compile` makes them; nothing is written or run. The
//! last columns are the optimal strategy's gap and the time of its search, and of planning in all. A strategy that cannot
//! make a plan shows why below the table.

use anyhow::Context as _;
use clap::Parser;
use flashmem_compiler::compile::{CompileOptions, plan, prepare};
use flashmem_compiler::options::Keep;
use flashmem_compiler::profile::DeviceProfile;
use flashmem_compiler::schedule::Strategy;
use flashmem_plan_format::byte_size;
use flashmem_plan_format::plan::Encoding;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Compares the predictions of all strategies.
#[derive(Debug, Parser)]
#[command(name = "ablation", after_help = "Example:\n  ablation --device flagship-phone zoo/*.onnx")]
struct Args {
    /// Networks.
    #[arg(required = true)]
    models: Vec<PathBuf>,
    /// Device profile: a TOML file or the name of a built-in one.
    #[arg(long, default_value = "flagship-phone")]
    device: String,
    /// Most memory, e.g. 256MiB [default: unlimited].
    #[arg(long)]
    budget: Option<String>,
    /// Store weights in 32 instead of 16 bits.
    #[arg(long)]
    f32: bool,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let weights = if args.f32 { Encoding::F32 } else { Encoding::F16 };
    let options = CompileOptions {
        budget_bytes: args.budget.as_deref().map(byte_size::parse).transpose()?,
        keep: Keep::None,
        ..CompileOptions::new(DeviceProfile::load(&args.device)?, weights)
    };
    let names: Vec<&str> = Strategy::ALL.iter().map(|strategy| strategy.name()).collect();
    println!("| network | disk floor ms | execution ms | {} | gap % | search s | planning s |", names.join(" | "));
    println!("|---|--:|--:|{}--:|--:|--:|", "--:|".repeat(names.len()));
    let mut notes = Vec::new();
    for model in &args.models {
        eprintln!("{}", model.display());
        println!("{}", row(model, &options, &mut notes).with_context(|| model.display().to_string())?);
    }
    notes.iter().for_each(|note| println!("\n{note}"));
    Ok(())
}

/// Times in milliseconds and peaks in MiB.
fn row(model: &Path, options: &CompileOptions, notes: &mut Vec<String>) -> anyhow::Result<String> {
    let prepared = prepare(model, options, &mut |_| ())?;
    let (mut cells, mut head, mut tail) = (Vec::new(), String::new(), String::new());
    for strategy in Strategy::ALL {
        let started = Instant::now();
        match plan(&prepared, &CompileOptions { strategy, ..options.clone() }) {
            Err(error) => {
                notes.push(format!("`{}`, {}: {error}", prepared.name(), strategy.name()));
                cells.push("–".to_owned());
            }
            Ok(planned) => {
                let (plan, schedule) = (&planned.assembled.plan, &planned.assembled.schedule);
                let peak = plan.memory.total_bytes().context("the peak overflows")? as f64 / f64::from(1 << 20);
                cells.push(format!("{:.1} / {peak:.0}", schedule.finish_us / 1e3));
                if strategy == Strategy::Optimal {
                    let bytes = plan.page.page_bytes() * u64::from(plan.page_count);
                    let floor_ms = bytes as f64 / options.profile.disk_bytes_per_us() / 1e3;
                    let execute_us: f64 = planned
                        .program
                        .steps
                        .iter()
                        .map(|s| options.profile.step_cost(s.cost.class, s.cost.flops as u64, s.cost.bytes as u64))
                        .sum();
                    head = format!("{floor_ms:.1} | {:.1}", execute_us / 1e3);
                    let (gap, search_s) = (schedule.report.gap * 100.0, schedule.report.ms / 1e3);
                    tail = format!("{gap:.3} | {search_s:.2} | {:.1}", started.elapsed().as_secs_f64());
                }
            }
        }
    }
    Ok(format!("| {} | {head} | {} | {tail} |", prepared.name(), cells.join(" | ")))
}
