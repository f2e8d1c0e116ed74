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

use crate::error::Error;
use crate::session::{HostBuffers, Parts, Program};
use crate::tensor::{Outputs, Tensor};
use crate::timeline::Mark;

/// Runs once. Reading may have begun already.
pub(crate) async fn run(
    parts: &Parts,
    program: Program<'_>,
    buffers: &mut HostBuffers,
    inputs: &[&Tensor],
) -> Result<Outputs, Error> {
    parts.gpu.check("preparing a run")?;
    let mut walk = walk::Walk::start(parts, program.loads, &mut buffers.ring)?;
    if let Some(input) = &mut buffers.input {
        inputs::upload(parts, input, inputs, walk.encoder())?;
    }
    walk.commands(program.commands).await?;
    parts.timeline.mark(Mark::LastDispatch);
    let encoder = walk.finish();
    let outputs = readback::outputs(parts, buffers.readback.as_mut(), encoder).await?;
    if let Some(input) = &mut buffers.input {
        input.settle(&parts.gpu, parts.options.timeout).await?;
    }
    parts.timeline.mark(Mark::Readback);
    Ok(outputs)
}

/// Host memory of a run itself, outputs aside: one row of the widest table.
pub(crate) fn host_bytes(parts: &Parts) -> u64 {
    parts.bundle.plan.row_tables.iter().map(|table| table.row_stride_bytes()).max().unwrap_or(0)
}
