//! One run: inputs in, the plan's commands in order, outputs out.
//!
//! `inputs.rs` checks and uploads inputs, `rows.rs` gathers rows, `feed.rs` says how pages arrive (`inline.rs` reads them
//! on demand, `threads.rs` ahead of time), `walk.rs` replays the commands, `readback.rs` fetches the outputs. The replay
//! itself needs no threads and never blocks but in `gpu.rs`. It deliberately decides nothing.

mod feed;
mod inline;
mod inputs;
mod page;
mod readback;
mod rows;
#[cfg(not(target_arch = "wasm32"))]
mod threads;
mod walk;

pub(crate) use feed::Feed;
pub(crate) use inputs::bind_inputs;
pub(crate) use page::{PageReader, useful_readers};

use crate::clock::Stopwatch;
use crate::error::Error;
use crate::session::{HostBuffers, Parts, Program};
use crate::tensor::{Outputs, Tensor};
use crate::timeline::Mark;
use std::time::Duration;

/// A completed run.
pub(crate) struct Ran {
    pub(crate) outputs: Outputs,
    /// Time until the last submission, without waiting for pages and pipelines.
    pub(crate) setup: Duration,
}

/// Runs once. Reading may have begun already.
pub(crate) async fn run(
    parts: &Parts,
    program: Program<'_>,
    buffers: &mut HostBuffers,
    inputs: &[&Tensor],
) -> Result<Ran, Error> {
    let (running, waited_before) = (Stopwatch::start(), parts.timeline.run_waits());
    parts.gpu.check("preparing a run")?;
    let mut walk = walk::Walk::start(parts, program.loads, &mut buffers.ring)?;
    if let Some(input) = &mut buffers.input {
        inputs::upload(parts, input, inputs, walk.encoder())?;
    }
    walk.commands(program.commands).await?;
    parts.timeline.mark(Mark::LastDispatch);
    let setup = running.elapsed().saturating_sub(parts.timeline.run_waits() - waited_before);
    let encoder = walk.finish();
    let outputs = readback::outputs(parts, buffers.readback.as_mut(), encoder).await?;
    if let Some(input) = &mut buffers.input {
        input.settle(&parts.gpu, parts.options.timeout).await?;
    }
    parts.timeline.mark(Mark::Readback);
    Ok(Ran { outputs, setup })
}

/// Does everything of a first run but dispatches, and waits for the device.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) async fn run_reads_only(parts: &Parts, buffers: &mut HostBuffers) -> Result<(), Error> {
    let during = "reading all pages";
    parts.gpu.check(during)?;
    let program = parts.program(false);
    let mut walk = walk::Walk::start(parts, program.loads, &mut buffers.ring)?;
    walk.loads(program.commands).await?;
    let encoder = walk.finish();
    parts.gpu.queue.submit([encoder.finish()]);
    parts.gpu.poll_for(None, parts.options.timeout, during)?;
    parts.timeline.mark(Mark::Readback);
    Ok(())
}

/// Host memory of a run itself, outputs aside: one row of the widest table.
pub(crate) fn host_bytes(parts: &Parts) -> u64 {
    parts.bundle.plan.row_tables.iter().map(|table| table.row_stride_bytes()).max().unwrap_or(0)
}
