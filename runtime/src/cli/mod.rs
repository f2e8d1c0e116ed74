//! What the command line does, in order: open, self-test, read inputs, run, write outputs, report.

#[macro_use]
pub mod output;

mod arguments;
mod bench;
mod generate;
mod opening;
mod process_clock;
mod profile;
mod progress;
mod report;
mod sequence;

pub use arguments::Arguments;
pub use process_clock::ProcessClock;

use anyhow::Context as _;
use arguments::Command;
use flashmem_plan_format::files::{self, FileError, Named, check_outputs};
use flashmem_runtime::{Options, Outputs, PortInfo, RunRequest, Session, Tensor, npz};
use opening::{cannot_open, open};
use std::path::{Path, PathBuf};

/// Does what the arguments say.
pub fn run(arguments: &Arguments, process: ProcessClock) -> anyhow::Result<()> {
    match &arguments.command {
        Some(Command::Bench(bench)) => return bench::run(bench, process),
        Some(Command::Generate(text)) => return generate::run(text),
        Some(Command::Sequence(order)) => return sequence::run(order),
        Some(Command::Profile(profile)) => return profile::run(profile),
        None => {}
    }
    let path = arguments.bundle.as_ref().expect("it is required without a command");
    check_files(arguments, path)?;
    let options = Options {
        adapter: arguments.adapter.clone(),
        reader_threads: arguments.reader_threads,
        budget_bytes: arguments.budget,
        io_mode: arguments.io,
        cache_dir: arguments.cache_dir.clone(),
        trace: arguments.trace.is_some(),
        ..Options::default()
    };
    let before_open_ms = Some(process.elapsed_ms());
    let mut session = open(path, options).map_err(|error| cannot_open(path, error))?;
    report::opened(&session.stats());
    // A self-test of several networks needs no name.
    let needs_ports = arguments.inputs.is_some() || arguments.outputs.is_some() || arguments.network.is_some();
    let (taken, given) =
        if needs_ports { ports(&session, arguments.network.as_deref())? } else { (Vec::new(), Vec::new()) };
    if let Some(path) = &arguments.outputs {
        let ports = &given;
        npz::check_names(path, ports.iter().map(|port| port.name.as_str()))?;
    }
    let mut cold_ms = None;
    if arguments.self_test {
        session.self_test().context("self-test failed")?;
        report::self_tested();
    }
    if let Some(path) = &arguments.inputs {
        note_extra_arrays(path, &taken)?;
        let inputs = npz::read(path, &taken)?;
        let outputs = repeat(arguments, &mut session, &inputs, process, &mut cold_ms)?;
        if let Some(path) = &arguments.outputs {
            npz::write(path, &outputs.tensors)?;
        }
    }
    if let Some((path, trace)) = arguments.trace.as_ref().zip(session.trace()) {
        files::write(path, trace.as_bytes())?;
    }
    let mut stats = session.stats();
    stats.cold_ms = cold_ms;
    stats.phases.before_open_ms = before_open_ms;
    report::finished(&stats);
    if let Some(path) = &arguments.stats {
        let text = serde_json::to_string_pretty(&stats).context("cannot encode the statistics")?;
        files::write(path, (text + "\n").as_bytes())?;
    }
    Ok(())
}

/// Refuses outputs that would overwrite what is read, or each other, before anything is opened. (A bundle on a server is no file.)
fn check_files(arguments: &Arguments, bundle: &Path) -> Result<(), FileError> {
    let named = |role: &'static str, path: &Option<PathBuf>| path.as_deref().map(|path| Named::new(role, path));
    let read = [Named::new("the bundle", bundle)].into_iter().chain(named("--inputs", &arguments.inputs));
    let written = [
        named("--outputs", &arguments.outputs),
        named("--trace", &arguments.trace),
        named("--stats", &arguments.stats),
    ];
    check_outputs(&read.collect::<Vec<_>>(), &written.into_iter().flatten().collect::<Vec<_>>())
}

/// Runs as often as requested; returns the outputs of the first run, which all others must repeat bit for bit. Every run starts
/// with states as they were when the bundle was opened, unless they are kept: then the last run's outputs are returned.
fn repeat(
    arguments: &Arguments,
    session: &mut Session,
    inputs: &[(String, Tensor)],
    process: ProcessClock,
    cold_ms: &mut Option<f64>,
) -> anyhow::Result<Outputs> {
    session.reset_state()?;
    let network = arguments.network.as_deref();
    let mut first = run_once(session, network, inputs).context("run 1 failed")?;
    // After a self-test the first run is not cold.
    *cold_ms = (!arguments.self_test).then(|| process.elapsed_ms());
    for run in 2..=arguments.repeat {
        if !arguments.keep_state {
            session.reset_state()?;
        }
        let outputs = run_once(session, network, inputs).with_context(|| format!("run {run} failed"))?;
        if arguments.keep_state {
            first = outputs;
            continue;
        }
        anyhow::ensure!(outputs == first, "run {run} gives other outputs than run 1");
    }
    Ok(first)
}

/// One run with a progress bar.
fn run_once(
    session: &mut Session,
    network: Option<&str>,
    inputs: &[(String, Tensor)],
) -> Result<Outputs, flashmem_runtime::Error> {
    let mut progress = progress::RunProgress::start();
    let mut update = |done| progress.update(done);
    let request = RunRequest::new(inputs).with_progress(&mut update);
    session.run(match network {
        Some(name) => request.with_network(name).with_connected_outputs(),
        None => request,
    })
}

/// What a run takes and gives: that of the only network, or of the named one.
fn ports(session: &Session, network: Option<&str>) -> anyhow::Result<(Vec<PortInfo>, Vec<PortInfo>)> {
    let Some(name) = network else {
        let names: Vec<_> = session.networks().into_iter().map(|network| network.name).collect();
        anyhow::ensure!(
            names.is_empty(),
            "the bundle has several networks: name one with --network: {}",
            names.join(", ")
        );
        return Ok((session.inputs(), session.outputs()));
    };
    let network = session.network(name)?;
    Ok((network.inputs, network.outputs))
}

/// Says which arrays of the file the model does not take.
fn note_extra_arrays(path: &Path, ports: &[PortInfo]) -> anyhow::Result<()> {
    let mut extra = npz::names(path)?;
    extra.retain(|name| ports.iter().all(|port| port.name != *name));
    extra.sort();
    if !extra.is_empty() {
        errln!("note: {} has arrays that the model does not take: {extra:?}", path.display());
    }
    Ok(())
}
