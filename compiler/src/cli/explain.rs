//! `flashmem-compile explain`: what a plan will do, as a page and as a few lines.
//!
//! A model is planned as compiling would plan it, and nothing but the report is written. A bundle is distinguished from a model by
//! its first bytes.

use super::args::ExplainArgs;
use super::error::{Usage, about};
use super::plan_args::{options, read_files, stored_as};
use super::progress_bar;
use anyhow::Context as _;
use flashmem_compiler::compile::{Progress, plan, prepare};
use flashmem_compiler::profile::DeviceProfile;
use flashmem_compiler::report::{Subject, Timeline, page, terminal};
use flashmem_plan_format::container::Bundle;
use flashmem_plan_format::files::{self, FileError, Named, check_outputs};
use flashmem_plan_format::source::FileSource;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

/// First bytes of every bundle.
const BUNDLE_MAGIC: [u8; 8] = *b"\x89FMPLAN\n";

/// Explains a model or a bundle.
#[expect(clippy::result_large_err, reason = "one error ends a compilation, and none is on a hot path")]
pub fn explain(args: &ExplainArgs) -> Result<(), Result<anyhow::Error, Usage>> {
    let mut read = read_files("the model or bundle", &args.subject, &args.plan);
    check_report(args, &read).map_err(|e| Ok(e.into()))?;
    if is_bundle(&args.subject).map_err(Ok)? {
        let device = args.plan.device.as_deref().map(DeviceProfile::load).transpose();
        let profile = device.context("--device").map_err(|e| Err(Usage(e)))?;
        return explain_bundle(args, profile.as_ref()).map_err(Ok);
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
    let planned = planned.map_err(|e| Ok(about(&args.subject, e)))?;
    let mut subject = Subject::of_planned(&planned, &options.profile);
    subject.notes.push(format!("Weights are stored as {}.", stored_as(&args.plan, &options)));
    show_subject(args, &subject).map_err(Ok)
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
    let bundle = Bundle::open_without_golden(&source).with_context(|| path.display().to_string())?;
    show_subject(args, &Subject::of_bundle(&bundle.plan, profile))
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
