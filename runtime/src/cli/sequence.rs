//! `flashmem-run sequence`: the networks of a linked bundle in a given order, with predicted beside measured times.
//!
//! Every network runs on its own inputs, which stay the same, so that its outputs must repeat bit for bit whatever ran before. What is
//! connected comes from the runs before, once one has handed it over: outputs of runs that take such are not compared.

use super::bench::made_up_inputs;
use super::opening::{cannot_open, open, parse_io_mode};
use super::report;
use anyhow::{Context as _, bail, ensure};
use clap::Args;
use flashmem_plan_format::container::OpenedBundle;
use flashmem_plan_format::files::{self, Named, check_outputs};
use flashmem_plan_format::source::FileSource;
use flashmem_plan_format::{byte_size, files::FileError};
use flashmem_runtime::{IoMode, NetworkInfo, Options, Outputs, RunRequest, Session, Span, Tensor, npz};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Most runs of a sequence.
const MAX_RUNS: usize = 1_000_000;

/// What to run.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  flashmem-run sequence app.fmplan --sequence 'text unet*20 vae'
  flashmem-run sequence app.fmplan --script order.txt --inputs unet=unet.npz --json times.json")]
pub struct SequenceArguments {
    /// The bundle, linked of several.
    #[arg(value_name = "APP.fmplan")]
    pub bundle: PathBuf,
    /// The order, e.g. 'text unet*20 vae'.
    #[arg(long, value_name = "RUNS", required_unless_present = "script", conflicts_with = "script")]
    pub sequence: Option<String>,
    /// A file with the order, on any number of lines.
    #[arg(long, value_name = "FILE")]
    pub script: Option<PathBuf>,
    /// Inputs of a network; repeatable. Others get made-up values; what is connected, only until it is handed over.
    #[arg(long, value_name = "NAME=IN.npz")]
    pub inputs: Vec<String>,
    /// Do not announce which network comes next.
    #[arg(long)]
    pub unannounced: bool,
    /// Let states go on from run to run; outputs are not compared then.
    #[arg(long)]
    pub keep_state: bool,
    /// Where every run's times go (.json).
    #[arg(long, value_name = "TIMES.json")]
    pub json: Option<PathBuf>,
    /// Use the first adapter whose name contains this text, in any case.
    #[arg(long, value_name = "NAME")]
    pub adapter: Option<String>,
    /// Threads that read weight pages.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=32))]
    pub reader_threads: u32,
    /// How the bundle is read: buffered, cached, direct, mmap or auto.
    #[arg(long, value_name = "MODE", default_value = "auto", value_parser = parse_io_mode)]
    pub io: IoMode,
    /// Refuse a bundle whose declared peak exceeds this, e.g. 400MiB.
    #[arg(long, value_name = "SIZE", value_parser = byte_size::parse)]
    pub budget: Option<u64>,
}

/// Runs the sequence.
pub fn run(arguments: &SequenceArguments) -> anyhow::Result<()> {
    check_files(arguments)?;
    let order = order(arguments)?;
    let options = Options {
        adapter: arguments.adapter.clone(),
        reader_threads: arguments.reader_threads,
        budget_bytes: arguments.budget,
        io_mode: arguments.io,
        ..Options::default()
    };
    let opened = open(&arguments.bundle, options);
    let mut session = opened.map_err(|error| cannot_open(&arguments.bundle, error))?;
    ensure!(
        !session.networks().is_empty(),
        "{} has one network: run it without `sequence`",
        arguments.bundle.display()
    );
    report::opened(&session.stats());
    let mut members = members(arguments, &session)?;
    let order = positions(&order, &members)?;
    let times = replay(arguments, &mut session, &mut members, &order)?;
    print(&members, &times);
    report::memory(&session.stats());
    if let Some(path) = &arguments.json {
        let all = times.iter().map(|time| time.as_value(&members)).collect::<Vec<_>>();
        let text = serde_json::to_string_pretty(&json!({ "runs": all, "stats": session.stats() }))?;
        files::write(path, (text + "\n").as_bytes())?;
    }
    Ok(())
}

fn check_files(arguments: &SequenceArguments) -> Result<(), FileError> {
    let read = [Named::new("the bundle", &arguments.bundle)].into_iter();
    let read = read.chain(arguments.script.iter().map(|path| Named::new("--script", path)));
    let paths = arguments.inputs.iter().filter_map(|text| text.split_once('='));
    let read = read.chain(paths.map(|(_, path)| Named::new("--inputs", Path::new(path))));
    let written = arguments.json.iter().map(|path| Named::new("--json", path));
    check_outputs(&read.collect::<Vec<_>>(), &written.collect::<Vec<_>>())
}

/// The names of the networks in order.
fn order(arguments: &SequenceArguments) -> anyhow::Result<Vec<String>> {
    let text = match (&arguments.sequence, &arguments.script) {
        (Some(text), _) => text.clone(),
        (None, Some(path)) => {
            std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?
        }
        (None, None) => bail!("--sequence or --script says the order"),
    };
    let mut order = Vec::new();
    for part in text.split_whitespace() {
        let (name, times) = match part.rsplit_once('*') {
            Some((name, times)) => (name, times.parse().with_context(|| format!("`{times}` is no number of runs"))?),
            None => (part, 1_usize),
        };
        ensure!(order.len().saturating_add(times) <= MAX_RUNS, "a sequence has at most {MAX_RUNS} runs");
        order.extend(std::iter::repeat_n(name.to_owned(), times));
    }
    ensure!(!order.is_empty(), "the sequence has no runs");
    Ok(order)
}

/// A network with its inputs.
struct Member {
    info: NetworkInfo,
    inputs: Vec<(String, Tensor)>,
    /// Of its first run.
    outputs: Option<Outputs>,
}

fn members(arguments: &SequenceArguments, session: &Session) -> anyhow::Result<Vec<Member>> {
    let opened = OpenedBundle::open(&FileSource::open(&arguments.bundle)?)?;
    let mut members = Vec::new();
    for (info, network) in session.networks().into_iter().zip(&opened.networks) {
        let inputs = made_up_inputs(&info.inputs, &network.bundle.plan.index_bounds);
        members.push(Member { info, inputs, outputs: None });
    }
    for text in &arguments.inputs {
        let (name, path) = text.split_once('=').with_context(|| format!("--inputs {text} is not NAME=IN.npz"))?;
        let member = members.iter_mut().find(|member| member.info.name == name);
        let member = member.with_context(|| format!("--inputs {text}: there is no network `{name}`"))?;
        member.inputs = npz::read(Path::new(path), &member.info.inputs)?;
    }
    Ok(members)
}

fn positions(order: &[String], members: &[Member]) -> anyhow::Result<Vec<usize>> {
    let position = |name: &String| {
        let found = members.iter().position(|member| member.info.name == *name);
        found.with_context(|| {
            let names: Vec<_> = members.iter().map(|member| member.info.name.as_str()).collect();
            format!("there is no network `{name}`; the bundle has {}", names.join(", "))
        })
    };
    order.iter().map(position).collect()
}

/// One run.
struct Time {
    member: usize,
    ms: f64,
    predicted_ms: f64,
    /// Of `ms`, waits for pipelines that were not created yet, which no prediction has.
    pipeline_wait_ms: f64,
    bytes_read: u64,
}

impl Time {
    fn as_value(&self, members: &[Member]) -> Value {
        json!({
            "network": members[self.member].info.name,
            "ms": self.ms,
            "predicted_ms": self.predicted_ms,
            "pipeline_wait_ms": self.pipeline_wait_ms,
            "bytes_read": self.bytes_read,
        })
    }
}

fn replay(
    arguments: &SequenceArguments,
    session: &mut Session,
    members: &mut [Member],
    order: &[usize],
) -> anyhow::Result<Vec<Time>> {
    let mut times: Vec<Time> = Vec::with_capacity(order.len());
    for (run, position) in order.iter().copied().enumerate() {
        let announced = order.get(run + 1).filter(|_| !arguments.unannounced);
        if let Some(next) = announced {
            session.next(&members[*next].info.name)?;
        }
        if !arguments.keep_state {
            session.reset_state()?;
        }
        let predicted_ms = predicted_ms(members, &times, position, arguments.unannounced);
        let waited_ms = |session: &Session| session.stats().phases.span_ms(Span::PipelineWait);
        let waited_before_ms = waited_ms(session);
        let handed = handed(members, &times, position);
        let member = &mut members[position];
        let inputs: Vec<_> = member.inputs.iter().filter(|(name, _)| !handed.contains(name)).cloned().collect();
        let started = Instant::now();
        let outputs = session.run(RunRequest::new(&inputs).with_network(&member.info.name));
        let ms = started.elapsed().as_secs_f64() * 1e3;
        let outputs = outputs.with_context(|| format!("run {} (`{}`) failed", run + 1, member.info.name))?;
        if handed.is_empty() && !arguments.keep_state {
            let first = member.outputs.get_or_insert_with(|| outputs.clone());
            ensure!(
                *first == outputs,
                "run {} gives other outputs than the first run of `{}`",
                run + 1,
                member.info.name
            );
        }
        let bytes_read = session.stats().runs.last().map_or(0, |run| run.bytes_read);
        let pipeline_wait_ms = waited_ms(session) - waited_before_ms;
        times.push(Time { member: position, ms, predicted_ms, pipeline_wait_ms, bytes_read });
    }
    Ok(times)
}

/// The inputs of a network that runs before it have handed over.
fn handed(members: &[Member], before: &[Time], next: usize) -> Vec<String> {
    let connections = members[next].info.connections.iter();
    let has_run = |network: &str| before.iter().any(|time| members[time.member].info.name == network);
    connections.filter(|own| has_run(&own.network)).map(|own| own.input.clone()).collect()
}

/// What the bundle predicts of the next run.
fn predicted_ms(members: &[Member], before: &[Time], next: usize, unannounced: bool) -> f64 {
    let info = &members[next].info;
    if before.iter().all(|time| time.member != next) {
        return info.predicted_cold_ms;
    }
    let previous = before.last().filter(|_| !unannounced).map(|time| &members[time.member].info);
    let handed = previous.and_then(|previous| previous.predicted_next_ms.iter().find(|(name, _)| *name == info.name));
    handed.map_or(info.predicted_returned_ms, |(_, ms)| *ms)
}

fn print(members: &[Member], times: &[Time]) {
    for (position, member) in members.iter().enumerate() {
        let own: Vec<_> = times.iter().filter(|time| time.member == position).collect();
        if own.is_empty() {
            continue;
        }
        let sum = |of: fn(&Time) -> f64| own.iter().map(|time| of(time)).sum::<f64>();
        let runs = own.len() as f64;
        outln!(
            "{}: {} runs, {:.1} ms each (predicted {:.1} ms), {:.1} MB read each",
            member.info.name,
            own.len(),
            sum(|time| time.ms) / runs,
            sum(|time| time.predicted_ms) / runs,
            sum(|time| time.bytes_read as f64) / runs / 1e6,
        );
    }
    let total = |of: fn(&Time) -> f64| times.iter().map(of).sum::<f64>();
    outln!(
        "total: {:.1} ms, {:.1} ms without waits for new pipelines (predicted {:.1} ms)",
        total(|time| time.ms),
        total(|time| time.ms - time.pipeline_wait_ms),
        total(|time| time.predicted_ms)
    );
}
