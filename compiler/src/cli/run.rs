//! The program: which task the arguments name, and the task of compiling.

use super::args::{self, Cli, CompileArgs};
use super::error::{Stopped, about};
use super::plan_args::{options, read_files, stored_as};
use super::{entries, explain, inspect, link, npz, ops, progress_bar, sweep};
use clap::Parser as _;
use flashmem_compiler::bundle::GoldenSource;
use flashmem_compiler::bundle::half::HalfSummary;
use flashmem_compiler::bundle::precision::PrecisionSummary;
use flashmem_compiler::compile::{CompileOptions, Compiled, Progress, compile};
use flashmem_compiler::import::import;
use flashmem_plan_format::byte_size;
use flashmem_plan_format::files::{Named, OutputFile, check_outputs};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Runs the program.
pub fn main() -> ExitCode {
    handle_signals();
    let cli = Cli::parse();
    let result = match cli.command {
        Some(args::Command::Inspect { bundle, json, verify }) => {
            inspect::inspect(&bundle, json, verify).map_err(Stopped::from)
        }
        Some(args::Command::Explain(args)) => explain::explain(&args),
        Some(args::Command::Sweep(args)) => sweep::sweep(&args),
        Some(args::Command::Link(args)) => link::run(&args),
        Some(args::Command::Ops { json, markdown }) => {
            ops::print(match (json, markdown) {
                (true, _) => ops::Layout::Json,
                (false, true) => ops::Layout::Markdown,
                (false, false) => ops::Layout::Text,
            });
            Ok(())
        }
        None => run_compile(&cli.compile),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(Stopped::Fault(error)) => {
            errln!("error: {error:#}");
            ExitCode::from(1)
        }
        Err(Stopped::Usage(error)) => {
            errln!("error: {error:#}\n\nFor more information, try '--help'.");
            ExitCode::from(2)
        }
    }
}

/// Without signal handlers everything works but cleaning up after a signal, so failing is no error.
fn handle_signals() {
    #[cfg(unix)]
    let _ = flashmem_plan_format::files::interrupt::handle_signals();
}

fn run_compile(args: &CompileArgs) -> Result<(), Stopped> {
    let model = args.model.clone().expect("clap requires the model when there is no other task");
    let output = args.output.clone().unwrap_or_else(|| model.with_extension("fmplan"));
    let mut options = options(&args.plan, args.budget.as_deref(), &model)?;
    let mut read = read_files("the model", &model, &args.plan);
    read.extend(
        args.golden.as_deref().filter(|path| !path.is_empty()).map(|path| Named::new("--golden", Path::new(path))),
    );
    let writable = OutputFile::check(&output).and_then(|()| check_outputs(&read, &[Named::new("the output", &output)]));
    writable?;
    options.import.check_indices = args.check_indices;
    options.golden = golden_source(args, &model, &options)?;
    if !args.entry.is_empty() {
        return entries::run(args, &model, &output, &options);
    }
    let started = Instant::now();
    let bar = progress_bar(args.plan.quiet);
    let result = compile(&model, &output, &options, &mut |progress| match progress {
        Progress::Stage(stage) => bar.set_message(stage),
        Progress::Writing(done, total) => {
            bar.set_length(total);
            bar.set_position(done);
        }
    });
    bar.finish_and_clear();
    let compiled = result.map_err(|e| about(&model, e))?;
    if !args.plan.quiet {
        report(&compiled, &output, &stored_as(&args.plan, &options), started.elapsed());
    }
    Ok(())
}

fn golden_source(args: &CompileArgs, model: &Path, options: &CompileOptions) -> anyhow::Result<Option<GoldenSource>> {
    match args.golden.as_deref() {
        None => Ok(None),
        Some("") => Ok(Some(GoldenSource::Seed)),
        Some(path) => {
            let imported = import(model, &options.import)?;
            Ok(Some(GoldenSource::Inputs(npz::inputs(Path::new(path), &imported.graph)?)))
        }
    }
}

fn report(compiled: &Compiled, output: &Path, stored_as: &str, elapsed: Duration) {
    let plan = &compiled.plan;
    let declared = plan.memory.total_bytes().unwrap_or(u64::MAX);
    outln!("{}: {}", output.display(), byte_size::format(compiled.summary.file_bytes));
    outln!(
        "  weights {} ({stored_as}) in {} pages of {}; {} dispatches, {} pipelines",
        byte_size::format(plan.weight_bytes),
        plan.page_count,
        byte_size::format(plan.page.page_bytes()),
        plan.dispatches.len(),
        plan.pipelines.len(),
    );
    let budget = plan.budget_bytes.map_or_else(|| "none".to_owned(), byte_size::format);
    outln!("  declared peak {} (budget {budget})", byte_size::format(declared));
    outln!(
        "  predicted cold time {:.1} ms on `{}`; schedule {} by {} (gap {:.2} %, {:.0} ms)",
        plan.predicted_cold_us as f64 / 1e3,
        plan.provenance.profile,
        compiled.solver.status.name(),
        compiled.solver.solver,
        compiled.solver.gap * 100.0,
        compiled.solver.ms,
    );
    outln!("  fusion {}", compiled.fusion);
    let half = HalfSummary::of_plan(&plan.provenance);
    if !half.is_empty() {
        outln!("  half precision: {half}");
    }
    let precision = PrecisionSummary::of_plan(&plan.provenance);
    if !precision.is_empty() {
        outln!("  precision: {precision}");
    }
    outln!("  later runs: {}", inspect::later_runs(plan));
    outln!("  compiled in {:.1} s", elapsed.as_secs_f64());
}
