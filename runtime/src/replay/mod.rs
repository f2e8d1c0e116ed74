//! One run: inputs in, the plan's commands in order, outputs out.
//!
//! `inputs.rs` checks and uploads inputs, `indices.rs` checks what indexes, `rows.rs` gathers rows, `walk.rs` replays the commands
//! (pages arrive as `pages/` says), `readback.rs` fetches the outputs. The replay itself needs no threads and never blocks but in
//! `device/gpu.rs`. It deliberately decides nothing.

mod bound;
pub(crate) mod convert;
mod indices;
mod inputs;
mod readback;
mod rows;
mod walk;

pub(crate) use bound::Bound;
pub(crate) use indices::{check_inputs, check_outputs};
pub(crate) use inputs::bind_inputs;

use crate::api::{Error, Mark, Outputs, RunRequest, Span};
use crate::loaded::{CommandList, HostBuffers, Input, Loaded};
use crate::time::{Stopwatch, Wait};
use flashmem_plan_format::plan::Plan;
use std::time::Duration;

/// A completed run.
pub(crate) struct RunResult {
    pub(crate) outputs: Outputs,
    /// Time until the last submission, without waiting for pages and pipelines, and without submitting.
    pub(crate) setup: Duration,
    /// Time of submitting.
    pub(crate) submit: Duration,
}

/// What a run takes and gives beside its commands.
pub(crate) struct Ports<'a> {
    /// What each input finds, in the plan's order.
    pub(crate) inputs: Vec<Bound<'a>>,
    /// Positions of outputs that stay on the device: their tensors are empty.
    pub(crate) staying: Vec<usize>,
}

/// Runs once. Reading may have begun already.
pub(crate) async fn run(
    (loaded, input): (&Loaded, &Input),
    list: CommandList<'_>,
    buffers: &mut HostBuffers,
    ports: &Ports<'_>,
    wait: &Wait,
    request: &mut RunRequest<'_>,
) -> Result<RunResult, Error> {
    let timeline = &loaded.timeline;
    let (running, waits, submits) = (Stopwatch::start(), timeline.run_waits(), timeline.span(Span::Submit));
    let trace = loaded.trace.as_ref();
    let run_start = trace.map(|trace| trace.begin_run(loaded.networks.current(), list.commands)).unwrap_or_default();
    let phase = |name: &str, start: Duration| trace.map(|trace| (trace.phase(name, start), trace.now()).1);
    loaded.gpu.check("preparing a run")?;
    let reserved = readback::reserve(&loaded.bundle.plan, &ports.staying);
    let mut walk = walk::Walk::start(loaded, &input.pages, list, &mut buffers.ring, wait)?;
    if let Some(staging) = &mut buffers.input {
        let placed = inputs::stage(input, (staging, &mut buffers.rows), &ports.inputs, wait).await?;
        inputs::copy(&loaded.device_state().resources, staging, &placed, walk.encoder());
    }
    let replay_start = phase("inputs", run_start).unwrap_or_default();
    walk.commands(request).await?;
    timeline.mark(Mark::LastDispatch);
    let submit = timeline.span(Span::Submit) - submits;
    let setup = running.elapsed().saturating_sub(timeline.run_waits() - waits + submit);
    let encoder = walk.finish();
    let readback_start = phase("replay", replay_start).unwrap_or_default();
    let outputs = readback::outputs(loaded, &mut buffers.readback, encoder, (reserved, &ports.staying), wait).await?;
    timeline.mark(Mark::Readback);
    if let Some(trace) = trace {
        trace.phase("read outputs", readback_start);
        trace.end_run(run_start, loaded.networks.current_name());
        if let Some(timestamps) = trace.timestamps() {
            trace.timed(
                timestamps.read(&loaded.gpu, loaded.bundle.plan.dispatches.len() as u32, wait).await?.into_iter(),
            );
        }
    }
    Ok(RunResult { outputs, setup, submit })
}

/// Does everything of a first run but dispatches, and waits for the device.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) async fn run_reads_only(
    loaded: &Loaded,
    input: &Input,
    buffers: &mut HostBuffers,
    wait: &Wait,
) -> Result<(), Error> {
    let (during, list) = ("reading all pages", loaded.commands(false));
    loaded.gpu.check(during)?;
    let mut walk = walk::Walk::start(loaded, &input.pages, list, &mut buffers.ring, wait)?;
    walk.loads(list.commands).await?;
    // Without its timestamps: there are no dispatches.
    let encoder = walk.finish_untimed();
    loaded.gpu.queue.submit([encoder.finish()]);
    loaded.gpu.wait_until_idle(during, wait).await?;
    loaded.timeline.mark(Mark::Readback);
    Ok(())
}

/// Host memory of a run itself, outputs aside: a batch of rows of the widest table, and what is known and requested of rows.
pub(crate) fn host_bytes(plan: &Plan) -> u64 {
    plan.row_gather_bytes().expect("a validated plan's sizes do not overflow")
}
