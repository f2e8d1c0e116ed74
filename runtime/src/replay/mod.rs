//! One run: inputs in, the plan's commands in order, outputs out.
//!
//! `inputs.rs` checks and uploads inputs, `indices.rs` checks what indexes, `rows.rs` gathers rows, `feed.rs` says how
//! pages arrive (`inline.rs` reads them on demand, `ahead.rs` fetches and `threads.rs` reads them ahead of time),
//! `walk.rs` replays the commands, `readback.rs` fetches the outputs. The replay itself needs no threads and never
//! blocks but in `gpu.rs`. It deliberately decides nothing.

mod ahead;
mod feed;
#[cfg(not(target_arch = "wasm32"))]
mod handover;
mod indices;
mod inline;
mod inputs;
mod page;
mod readback;
mod rows;
#[cfg(not(target_arch = "wasm32"))]
mod threads;
mod walk;

/// The locks of `handover.rs`, which its model replaces.
#[cfg(not(target_arch = "wasm32"))]
mod sync {
    pub(super) use std::sync::{Condvar, Mutex, MutexGuard};
}

pub(crate) use feed::Feed;
pub(crate) use indices::{check_inputs, check_outputs};
pub(crate) use inputs::bind_inputs;
pub(crate) use page::{PageReader, useful_readers};
pub(crate) use rows::HeldRows;

use crate::clock::Stopwatch;
use crate::control::RunControl;
use crate::error::Error;
use crate::patience::Patience;
use crate::session::{HostBuffers, Parts, Program};
use crate::tensor::{Outputs, Tensor};
use crate::timeline::{Mark, Span};
use std::time::Duration;

/// A completed run.
pub(crate) struct Ran {
    pub(crate) outputs: Outputs,
    /// Time until the last submission, without waiting for pages and pipelines, and without submitting.
    pub(crate) setup: Duration,
    /// Time of submitting.
    pub(crate) submit: Duration,
}

/// Runs once. Reading may have begun already.
pub(crate) async fn run(
    parts: &Parts,
    program: Program<'_>,
    buffers: &mut HostBuffers,
    inputs: &[&Tensor],
    patience: &Patience,
    control: &mut RunControl<'_>,
) -> Result<Ran, Error> {
    let timeline = &parts.timeline;
    let (running, waits, submits) = (Stopwatch::start(), timeline.run_waits(), timeline.span(Span::Submit));
    let trace = parts.trace.as_ref();
    let run_start = trace.map(|trace| trace.begin_run()).unwrap_or_default();
    let phase = |name: &str, start: Duration| trace.map(|trace| (trace.phase(name, start), trace.now()).1);
    parts.gpu.check("preparing a run")?;
    let reserved = readback::reserve(&parts.bundle.plan);
    let mut walk = walk::Walk::start(parts, program, &mut buffers.ring, patience)?;
    if let Some(input) = &mut buffers.input {
        inputs::upload(parts, (input, &mut buffers.rows), inputs, walk.encoder(), patience).await?;
    }
    let replay_start = phase("inputs", run_start).unwrap_or_default();
    walk.commands(control).await?;
    timeline.mark(Mark::LastDispatch);
    let submit = timeline.span(Span::Submit) - submits;
    let setup = running.elapsed().saturating_sub(timeline.run_waits() - waits + submit);
    let encoder = walk.finish();
    let readback_start = phase("replay", replay_start).unwrap_or_default();
    let outputs = readback::outputs(parts, buffers.readback.as_mut(), encoder, reserved, patience).await?;
    timeline.mark(Mark::Readback);
    if let Some(trace) = trace {
        trace.phase("read outputs", readback_start);
        trace.end_run(run_start);
        if let Some(timestamps) = trace.timestamps() {
            trace.timed(timestamps.read(&parts.gpu, patience).await?.into_iter());
        }
    }
    Ok(Ran { outputs, setup, submit })
}

/// Does everything of a first run but dispatches, and waits for the device.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) async fn run_reads_only(parts: &Parts, buffers: &mut HostBuffers, patience: &Patience) -> Result<(), Error> {
    let during = "reading all pages";
    parts.gpu.check(during)?;
    let mut walk = walk::Walk::start(parts, parts.program(false), &mut buffers.ring, patience)?;
    walk.loads(parts.program(false).commands).await?;
    // Without its timestamps: there are no dispatches.
    let encoder = walk.finish_untimed();
    parts.gpu.queue.submit([encoder.finish()]);
    parts.gpu.wait_until_idle(during, patience).await?;
    parts.timeline.mark(Mark::Readback);
    Ok(())
}

/// Host memory of a run itself, outputs aside: a batch of rows of the widest table, and what is known and wanted of rows.
pub(crate) fn host_bytes(parts: &Parts) -> u64 {
    parts.bundle.plan.row_gather_bytes().expect("a validated plan's sizes do not overflow")
}
