//! Fetches the outputs of a run through the read-back buffers, as many pieces at a time as fit, and converts them. Where there are two
//! buffers, the device fills one while the other is converted.
//!
//! The plan's checks come behind them, and fail the run where they are not 0. Nothing is returned unless everything is:
//! a failure in the last piece fails the run.

use super::convert;
use crate::api::{Error, Outputs, Tensor};
use crate::device::{MapTicket, unmapped};
use crate::loaded::{Loaded, ReadBuffer};
use crate::time::Wait;
use flashmem_plan_format::implied::ReadBack;
use flashmem_plan_format::plan::Plan;
use std::collections::VecDeque;
use wgpu::{CommandEncoder, CommandEncoderDescriptor, MapMode, SubmissionIndex};

const DURING: &str = "reading outputs";

/// A part of an output, as it travels.
#[derive(Debug, Clone, Copy)]
struct Piece {
    /// Position among the plan's outputs and checks.
    output: usize,
    /// Start within the output's slice.
    offset_bytes: u64,
    size_bytes: u64,
}

/// Pieces that the device copies into a buffer.
struct UnderWay<'a> {
    buffer: usize,
    batch: &'a [Piece],
    submission: SubmissionIndex,
    ticket: MapTicket,
}

/// Memory for all outputs. A run takes it before anything else, so that it can be what the outputs of the run before have left:
/// later, smaller allocations would have settled in there, and a heap would hold large outputs twice.
pub(crate) fn reserve(plan: &Plan, staying: &[usize]) -> Vec<(String, Tensor)> {
    let tensors = plan.read_back().enumerate().map(|(output, read)| empty(read, staying.contains(&output)));
    let names = plan.outputs.iter().map(|port| port.name.clone());
    names.chain(std::iter::repeat(String::new())).zip(tensors).collect()
}

/// Submits what `encoder` holds and fills the outputs, but for those that stay on the device.
pub(crate) async fn outputs(
    loaded: &Loaded,
    readback: &mut [ReadBuffer],
    mut encoder: CommandEncoder,
    (mut tensors, staying): (Vec<(String, Tensor)>, &[usize]),
    wait: &Wait,
) -> Result<Outputs, Error> {
    let plan = &loaded.bundle.plan;
    let batches = readback.first().map_or_else(Vec::new, |buffer| batches(plan, staying, buffer.buffer.size()));
    let mut under_way = VecDeque::new();
    for (index, batch) in batches.iter().enumerate() {
        if under_way.len() == readback.len() {
            receive(loaded, readback, &mut under_way, &mut tensors, wait).await?;
        }
        let buffer = &mut readback[index % readback.len()];
        copy(loaded, &mut encoder, buffer, batch);
        let next = loaded.gpu.device.create_command_encoder(&CommandEncoderDescriptor { label: Some(DURING) });
        let submission = loaded.gpu.queue.submit([std::mem::replace(&mut encoder, next).finish()]);
        // From here on it must be unmapped, even if the run is dropped while it waits.
        buffer.mapped = true;
        let ticket = loaded.gpu.map(&buffer.buffer, MapMode::Read);
        under_way.push_back(UnderWay { buffer: index % readback.len(), batch, submission, ticket });
    }
    while !under_way.is_empty() {
        receive(loaded, readback, &mut under_way, &mut tensors, wait).await?;
    }
    finish(loaded, encoder)?;
    if batches.is_empty() {
        // Nothing has told that the device got here.
        loaded.gpu.wait_until_idle(DURING, wait).await?;
    }
    let checks = tensors.split_off(plan.outputs.len());
    let mut checks = plan.checks.iter().zip(checks);
    match checks.find(|(_, (_, word))| word.bytes.iter().any(|byte| *byte != 0)) {
        Some((check, _)) => Err(Error::IntegerOverflow { node: plan.name(check.node).to_owned() }),
        None => Ok(Outputs { tensors }),
    }
}

/// Whatever is left is work of the run, and must not fail unseen.
fn finish(loaded: &Loaded, encoder: CommandEncoder) -> Result<(), Error> {
    loaded.gpu.queue.submit([encoder.finish()]);
    loaded.gpu.check(DURING)
}

fn empty(read: ReadBack<'_>, stays: bool) -> Tensor {
    let bytes = if stays { 0 } else { read.api_bytes().expect("a validated plan's sizes do not overflow") };
    Tensor { element: read.element, shape: read.shape.to_vec(), bytes: Vec::with_capacity(bytes as usize) }
}

/// All outputs that are read, cut and grouped so that every group fits the buffer.
fn batches(plan: &Plan, staying: &[usize], buffer_bytes: u64) -> Vec<Vec<Piece>> {
    let mut batches = vec![Vec::new()];
    let mut free_bytes = buffer_bytes;
    for (output, read) in plan.read_back().enumerate().filter(|(output, _)| !staying.contains(output)) {
        let total_bytes = read.device_bytes().expect("a validated plan's sizes do not overflow");
        let mut offset_bytes = 0;
        while offset_bytes < total_bytes {
            if free_bytes == 0 {
                batches.push(Vec::new());
                free_bytes = buffer_bytes;
            }
            let size_bytes = free_bytes.min(total_bytes - offset_bytes);
            batches.last_mut().expect("there is always one").push(Piece { output, offset_bytes, size_bytes });
            offset_bytes += size_bytes;
            free_bytes -= size_bytes;
        }
    }
    batches.retain(|batch| !batch.is_empty());
    batches
}

fn copy(loaded: &Loaded, encoder: &mut CommandEncoder, readback: &ReadBuffer, batch: &[Piece]) {
    let mut position_bytes = 0;
    for piece in batch {
        let read = loaded.bundle.plan.read_back().nth(piece.output).expect("pieces are of what the plan reads back");
        let slice = read.slice.expect("a validated plan's outputs are on the device");
        let start_bytes = slice.offset_bytes + piece.offset_bytes;
        let source = loaded.device_state().resources.buffer(slice);
        encoder.copy_buffer_to_buffer(source, start_bytes, &readback.buffer, position_bytes, piece.size_bytes);
        position_bytes += piece.size_bytes;
    }
}

/// Waits for the first buffer that is under way, and converts what it holds.
async fn receive(
    loaded: &Loaded,
    readback: &mut [ReadBuffer],
    under_way: &mut VecDeque<UnderWay<'_>>,
    tensors: &mut [(String, Tensor)],
    wait: &Wait,
) -> Result<(), Error> {
    let Some(UnderWay { buffer, batch, submission, mut ticket }) = under_way.pop_front() else { return Ok(()) };
    let readback = &mut readback[buffer];
    loaded.gpu.wait(&mut ticket, Some(&submission), DURING, wait).await?;
    let view = readback.buffer.get_mapped_range(..).map_err(|error| unmapped(DURING, &error))?;
    let mut rest = &*view;
    for piece in batch {
        let (bytes, after) = rest.split_at(piece.size_bytes as usize);
        let tensor = &mut tensors[piece.output].1;
        convert::from_device(tensor.element, bytes, &mut tensor.bytes);
        rest = after;
    }
    drop(view);
    readback.unmap();
    Ok(())
}
