//! A trace in the Chrome trace format: what was measured as one process, what the plan predicts as a second one.
//!
//! The device's clock has no common zero with the host's: its times are moved as early as they can be without any dispatch
//! starting before its submission. Without device times a submission's dispatches share its time by their predicted times,
//! and say so.

use super::json::{Lane, Writer, quoted};
use super::{DispatchTime, Records, Submission, Trace, Upload, predicted};
use crate::api::Mark;
use crate::lock::lock;
use crate::time::Timeline;
use flashmem_plan_format::plan::{Command, Pipeline, Plan};
use std::collections::BTreeSet;
use std::time::Duration;

const MEASURED: u32 = 1;
const PREDICTED: u32 = 2;

const fn measured(thread: u32) -> Lane {
    Lane { process: MEASURED, thread }
}

const PHASES: Lane = measured(1);
const ADAPTER: Lane = measured(2);
const PIPELINES: Lane = measured(3);
const FIRST_READER: u32 = 100;
const FIRST_STAGING: u32 = 200;
const SUBMISSIONS: Lane = measured(300);
const DISPATCHES: Lane = measured(301);
const PREDICTED_READS: Lane = Lane { process: PREDICTED, thread: 1 };
const PREDICTED_DISPATCHES: Lane = Lane { process: PREDICTED, thread: 2 };

impl Trace {
    /// Everything so far, as JSON.
    /// `plans` are those of the networks, and `whole` what has their pipelines: of a bundle of one, the same.
    pub(crate) fn export(&self, whole: &Plan, plans: &[&Plan], timeline: &Timeline) -> String {
        let records = lock(&self.records);
        let mut writer = Writer::new();
        writer.process(MEASURED, "measured");
        phases(&mut writer, &records, timeline);
        reads(&mut writer, &records);
        uploads(&mut writer, &records, self.now());
        let plans = Plans { pipelines: &whole.pipelines, all: plans };
        submissions(&mut writer, &records, &plans);
        counters(&mut writer, &records, whole.page.page_bytes());
        prediction(&mut writer, &records, &plans);
        writer.finish()
    }
}

/// The networks' plans, with the pipelines that their dispatches name.
struct Plans<'a> {
    pipelines: &'a [Pipeline],
    all: &'a [&'a Plan],
}

impl Plans<'_> {
    /// The plan of a run, by its number from 1 on.
    fn of_run(&self, records: &Records, run: u32) -> &Plan {
        let network = records.runs.get(run.saturating_sub(1) as usize).map_or(0, |run| run.network);
        self.all[network]
    }
}

fn phases(writer: &mut Writer, records: &Records, timeline: &Timeline) {
    writer.lane(PHASES, "session");
    writer.lane(ADAPTER, "adapter");
    writer.lane(PIPELINES, "pipelines");
    let at = |mark: Mark| timeline.mark_ms(mark).map(|ms| Duration::from_secs_f64(ms / 1e3));
    let mut between = |lane: Lane, name: &str, start: Option<Duration>, end: Option<Duration>| {
        if let (Some(start), Some(end)) = (start, end) {
            writer.span(lane, name, start.min(end), end, &[]);
        }
    };
    let (validated, adapter) = (at(Mark::Validated), at(Mark::Adapter));
    between(PHASES, "check bundle", Some(Duration::ZERO), validated);
    between(ADAPTER, "find adapter", Some(Duration::ZERO), adapter);
    between(PHASES, "open device", validated.max(adapter), at(Mark::Device));
    between(PHASES, "allocate staging", at(Mark::Device), at(Mark::Staging));
    between(PHASES, "allocate and bind", at(Mark::Staging), at(Mark::Allocated));
    between(PIPELINES, "create pipelines", at(Mark::Staging), at(Mark::Pipelines));
    for phase in &records.phases {
        writer.span(PHASES, &phase.name, phase.start, phase.end, &[]);
    }
}

fn reads(writer: &mut Writer, records: &Records) {
    let readers: BTreeSet<u32> = records.reads.iter().map(|read| read.reader).collect();
    for reader in readers {
        writer.lane(measured(FIRST_READER + reader), &format!("reader {reader}"));
    }
    for read in &records.reads {
        let arguments = [("page", read.page.0.to_string()), ("failed", read.failed.to_string())];
        let name = format!("read page {}", read.page.0);
        writer.span(measured(FIRST_READER + read.reader), &name, read.start, read.end, &arguments);
    }
}

fn uploads(writer: &mut Writer, records: &Records, now: Duration) {
    let buffers: BTreeSet<u32> = records.uploads.iter().map(|upload| upload.ring_index).collect();
    for buffer in buffers {
        writer.lane(measured(FIRST_STAGING + buffer), &format!("uploads through staging buffer {buffer}"));
    }
    for upload in &records.uploads {
        let arguments = [("page", upload.page.0.to_string()), ("slot", upload.slot.0.to_string())];
        let (lane, name) = (measured(FIRST_STAGING + upload.ring_index), format!("upload page {}", upload.page.0));
        writer.span(lane, &name, upload.encoded, upload.returned.unwrap_or(now), &arguments);
    }
}

fn submissions(writer: &mut Writer, records: &Records, plans: &Plans<'_>) {
    let is_timed = !records.dispatches.is_empty();
    writer.lane(SUBMISSIONS, "submissions (until the queue says done)");
    let how = if is_timed { "device timestamps" } else { "shares of their submission; no timestamps" };
    writer.lane(DISPATCHES, &format!("dispatches ({how})"));
    // The queue works in order: a submission begins when those before are done.
    let mut before = Duration::ZERO;
    for (index, submission) in records.submissions.iter().enumerate() {
        let Some(done) = submission.done else { continue };
        let (start, end) = (submission.submitted.max(before), done.max(before));
        before = end;
        let start = start.min(end);
        let arguments = [("dispatches", submission.dispatches.len().to_string())];
        writer.span(SUBMISSIONS, &format!("submission {index}"), start, end, &arguments);
        if !is_timed {
            let plan = plans.of_run(records, submission.run);
            shares(writer, submission, (plan, plans.pipelines), start, end);
        }
    }
    for run in 1..=records.runs.len() as u32 {
        let plan = plans.of_run(records, run);
        let offset = clock_offset(records, run);
        for time in records.dispatches.iter().filter(|time| time.run == run) {
            let on_host = |device: Duration| nanos(i128::from(nanos_of(device)) + offset);
            let span = (on_host(time.begin), on_host(time.end));
            dispatch_span(writer, (plan, plans.pipelines), time.dispatch, span, true);
        }
    }
}

/// Divides a submission's time among its dispatches by their predicted times.
fn shares(
    writer: &mut Writer,
    submission: &Submission,
    (plan, pipelines): (&Plan, &[Pipeline]),
    start: Duration,
    end: Duration,
) {
    let weight = |dispatch: &u32| plan.dispatches[*dispatch as usize].predicted_us.max(1.0);
    let total: f64 = submission.dispatches.iter().map(weight).sum();
    let mut done = 0.0;
    for dispatch in &submission.dispatches {
        let from = start + (end - start).mul_f64(done / total);
        done += weight(dispatch);
        let until = start + (end - start).mul_f64((done / total).min(1.0));
        dispatch_span(writer, (plan, pipelines), *dispatch, (from, until), false);
    }
}

fn dispatch_span(
    writer: &mut Writer,
    (plan, pipelines): (&Plan, &[Pipeline]),
    index: u32,
    (start, end): (Duration, Duration),
    measured: bool,
) {
    let dispatch = &plan.dispatches[index as usize];
    let arguments = [
        ("dispatch", index.to_string()),
        ("pipeline", quoted(&pipelines[dispatch.pipeline as usize].label)),
        ("predicted_us", format!("{:.0}", dispatch.predicted_us)),
        ("measured", measured.to_string()),
    ];
    writer.span(DISPATCHES, plan.name(dispatch.node), start, end, &arguments);
}

/// Nanoseconds from the device's clock to the host's in a run: the least by which no dispatch starts before its submission.
fn clock_offset(records: &Records, run: u32) -> i128 {
    let begins: Vec<&DispatchTime> = records.dispatches.iter().filter(|time| time.run == run).collect();
    let submissions = records.submissions.iter().filter(|submission| submission.run == run);
    let needed = submissions.filter_map(|submission| {
        let first = submission.dispatches.first()?;
        let time = begins.iter().find(|time| time.dispatch == *first)?;
        Some(i128::from(nanos_of(submission.submitted)) - i128::from(nanos_of(time.begin)))
    });
    needed.max().unwrap_or(0)
}

fn nanos_of(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

fn nanos(nanos: i128) -> Duration {
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(0))
}

fn counters(writer: &mut Writer, records: &Records, page_bytes: u64) {
    for residency in &records.residency {
        writer.counter(MEASURED, "resident pages", residency.at, residency.bytes);
    }
    // A staging buffer is in use from the end of a read until it came back.
    let filled = records.reads.iter().filter(|read| !read.failed).map(|read| (read.end, 1));
    let freed = records.uploads.iter().filter_map(|Upload { returned, .. }| Some((returned.as_ref().copied()?, -1)));
    let mut changes: Vec<(Duration, i64)> = filled.chain(freed).collect();
    changes.sort_unstable();
    let mut pages = 0;
    for (at, change) in changes {
        pages += change;
        writer.counter(MEASURED, "staging in use", at, u64::try_from(pages).unwrap_or(0) * page_bytes);
    }
}

/// The plan's timeline, from the first read on; without reads, from the first submission on. Of several networks, that of every run,
/// from its start on, or behind the one before.
fn prediction(writer: &mut Writer, records: &Records, plans: &Plans<'_>) {
    writer.process(PREDICTED, "predicted by the plan");
    writer.lane(PREDICTED_READS, "reads");
    writer.lane(PREDICTED_DISPATCHES, "dispatches");
    let reads = records.reads.iter().map(|read| read.start).min();
    let start = reads.or_else(|| records.submissions.first().map(|submission| submission.submitted));
    let start = start.unwrap_or_default();
    if plans.all.len() == 1 {
        predicted_run(writer, plans.all[0], &plans.all[0].commands, start);
        return;
    }
    let mut before = Duration::ZERO;
    for run in &records.runs {
        before = predicted_run(writer, plans.all[run.network], &run.commands, run.start.max(before));
    }
}

/// Gives its end.
fn predicted_run(writer: &mut Writer, plan: &Plan, commands: &[Command], start: Duration) -> Duration {
    let times = predicted::timeline(plan, commands);
    let ends = times.reads.iter().map(|(.., end)| *end).chain(times.dispatches.iter().map(|(.., end)| *end));
    let end = start + ends.max().unwrap_or_default();
    for (page, from, until) in times.reads {
        let arguments = [("page", page.0.to_string())];
        writer.span(PREDICTED_READS, &format!("read page {}", page.0), start + from, start + until, &arguments);
    }
    for (index, from, until) in times.dispatches {
        let arguments = [("dispatch", index.to_string())];
        let node = plan.name(plan.dispatches[index as usize].node);
        writer.span(PREDICTED_DISPATCHES, node, start + from, start + until, &arguments);
    }
    end
}
