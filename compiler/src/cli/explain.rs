//! `flashmem-compile explain`: what a plan will do, as a page and as a few lines.
//!
//! A model is planned as compiling would plan it, and nothing but the report is written. A bundle is distinguished from a model by
//! its first bytes.

use super::args::ExplainArgs;
use super::error::{Stopped, about};
use super::link::sequence;
use super::plan_args::{options, read_files, stored_as};
use super::progress_bar;
use anyhow::Context as _;
use flashmem_compiler::compile::{Progress, plan, prepare};
use flashmem_compiler::profile::DeviceProfile;
use flashmem_compiler::report::{SequenceTimeline, Subject, Timeline, page, sequence_page, terminal};
use flashmem_plan_format::container::OpenedBundle;
use flashmem_plan_format::files::{self, FileError, Named, check_outputs};
use flashmem_plan_format::source::FileSource;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

/// First bytes of every bundle.
const BUNDLE_MAGIC: [u8; 8] = *b"\x89FMPLAN\n";

/// Explains a model or a bundle.
#[expect(clippy::result_large_err, reason = "one error ends a compilation, and none is on a hot path")]
pub fn explain(args: &ExplainArgs) -> Result<(), Stopped> {
    let mut read = read_files("the model or bundle", &args.subject, &args.plan);
    check_report(args, &read)?;
    if is_bundle(&args.subject)? {
        let device = args.plan.device.as_deref().map(DeviceProfile::load).transpose();
        let profile = device.context("--device").map_err(Stopped::Usage)?;
        return Ok(explain_bundle(args, profile.as_ref())?);
    }
    let options = options(&args.plan, args.budget.as_deref(), &args.subject)?;
    let bar = progress_bar(args.plan.quiet);
    let show = &mut |progress| match progress {
        Progress::Stage(stage) => bar.set_message(stage),
        Progress::Writing(..) => {}
    };
    let prepared = prepare(&args.subject, &options, show);
    let planned = prepared.and_then(|prepared| {
        read.extend(prepared.files());
        check_report(args, &read)?;
        show(Progress::Stage("optimise, schedule"));
        plan(&prepared, &options)
    });
    bar.finish_and_clear();
    let planned = planned.map_err(|e| about(&args.subject, e))?;
    let mut subject = Subject::of_planned(&planned, &options.profile);
    subject.notes.push(format!("Weights are stored as {}.", stored_as(&args.plan, &options)));
    Ok(show_subject(args, &subject)?)
}

/// Refuses a report that would overwrite what is read.
fn check_report(args: &ExplainArgs, read: &[Named]) -> Result<(), FileError> {
    let report = args.report.iter().map(|path| Named::new("--report", path));
    check_outputs(read, &report.collect::<Vec<_>>())
}

fn is_bundle(path: &Path) -> anyhow::Result<bool> {
    let mut head = Vec::new();
    let file = File::open(path).with_context(|| path.display().to_string())?;
    file.take(BUNDLE_MAGIC.len() as u64).read_to_end(&mut head).with_context(|| path.display().to_string())?;
    Ok(head == BUNDLE_MAGIC)
}

fn explain_bundle(args: &ExplainArgs, profile: Option<&DeviceProfile>) -> anyhow::Result<()> {
    let path = &args.subject;
    let source = FileSource::open(path).with_context(|| path.display().to_string())?;
    let opened = OpenedBundle::open(&source).with_context(|| path.display().to_string())?;
    if opened.networks.is_empty() {
        return show_subject(args, &Subject::of_bundle(&opened.bundle.plan, profile));
    }
    show_sequence(args, &opened, profile)
}

/// Most runs of a sequence that are followed.
const MAX_RUNS: usize = 64;

/// A bundle of several networks: its sequence, or every network twice where it was linked for none.
fn show_sequence(args: &ExplainArgs, opened: &OpenedBundle, profile: Option<&DeviceProfile>) -> anyhow::Result<()> {
    let names: Vec<&str> = opened.networks.iter().map(|network| network.name.as_str()).collect();
    let options = &opened.bundle.plan.provenance.options;
    let declared = options.iter().find(|(option, _)| option == "sequence").map(|(_, text)| text);
    let all = declared.map(|text| sequence(text, &names)).transpose()?;
    let count = names.len() as u32;
    let mut note = match &all {
        Some(_) => "The order is that which the bundle was linked for; every run is announced.".to_owned(),
        None => "The bundle was linked for no order: every network runs twice, in order, and every run is announced."
            .to_owned(),
    };
    let all = all.unwrap_or_else(|| (0..count).chain(0..count).collect());
    if all.len() > MAX_RUNS {
        note.push_str(&format!(" Of {} runs these are the first {MAX_RUNS}.", all.len()));
    }
    let order: Vec<usize> = all.iter().take(MAX_RUNS).map(|network| *network as usize).collect();
    let timeline = SequenceTimeline::new(opened, &order, profile);
    outln!("{}", args.subject.display());
    outln!("{note}");
    for (position, run) in timeline.runs.iter().enumerate() {
        outln!(
            "  {:>3} {:<16} {:>9.1} ms, found {} pages, read {}, {} more for the next; waited {:.1} ms for the disk",
            position + 1,
            names[run.network],
            run.timeline.finish_us / 1e3,
            run.found,
            run.own_loads(),
            run.handed,
            run.waited_us() / 1e3
        );
    }
    outln!("  predicted time {:.1} ms", timeline.end_us() / 1e3);
    if let Some(report) = &args.report {
        let title = args.subject.file_stem().map_or_else(|| "networks".into(), |stem| stem.to_string_lossy());
        files::write(report, sequence_page(&title, opened, &timeline, &note).as_bytes())?;
        outln!("report          {}", report.display());
    }
    Ok(())
}

fn show_subject(args: &ExplainArgs, subject: &Subject<'_>) -> anyhow::Result<()> {
    let timeline = Timeline::new(subject);
    outln!("{}", args.subject.display());
    out!("{}", terminal::summary(subject, &timeline));
    if let Some(report) = &args.report {
        files::write(report, page(subject, &timeline).as_bytes())?;
        outln!("report          {}", report.display());
    }
    Ok(())
}
