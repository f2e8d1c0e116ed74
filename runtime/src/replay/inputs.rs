//! Checks the inputs of a run and brings them, and the rows that they select, into the activation arena.
//!
//! Inputs and gathered rows stand one after another in the input staging buffer, in the plan's order; one copy each places
//! them. Nothing is touched before all names, types and shapes are right.

use super::{convert, rows};
use crate::api::{Error, InputError, Tensor};
use crate::device::unmapped;
use crate::loaded::{HeldRows, Input, Resources, WriteBuffer, WriteState};
use crate::time::Wait;
use flashmem_plan_format::plan::{BufferSlice, Plan, Port};
use wgpu::{BufferViewMut, CommandEncoder};

/// The given tensors in the order of the plan's inputs.
pub(crate) fn bind_inputs<'a>(plan: &Plan, given: &[(&'a str, &'a Tensor)]) -> Result<Vec<&'a Tensor>, InputError> {
    for (position, (name, _)) in given.iter().enumerate() {
        if plan.inputs.iter().all(|port| port.name != *name) {
            return Err(InputError::Unknown { name: (*name).to_owned(), expected: expected(plan) });
        }
        if given[..position].iter().any(|(other, _)| other == name) {
            return Err(InputError::Duplicate { name: (*name).to_owned() });
        }
    }
    plan.inputs.iter().map(|port| bind_input(plan, port, given)).collect()
}

fn bind_input<'a>(plan: &Plan, port: &Port, given: &[(&'a str, &'a Tensor)]) -> Result<&'a Tensor, InputError> {
    let name = || port.name.clone();
    let found = given.iter().find(|(name, _)| *name == port.name);
    let (_, tensor) = *found.ok_or_else(|| InputError::Missing { name: name(), expected: expected(plan) })?;
    if tensor.element != port.element {
        return Err(InputError::Element { name: name(), found: tensor.element, expected: port.element });
    }
    if tensor.shape != port.shape {
        return Err(InputError::Shape { name: name(), found: tensor.shape.clone(), expected: port.shape.clone() });
    }
    let expected_bytes = port.api_bytes().expect("a validated plan's sizes do not overflow");
    let found_bytes = tensor.bytes.len() as u64;
    if found_bytes != expected_bytes {
        return Err(InputError::Length { name: name(), found_bytes, expected_bytes });
    }
    Ok(tensor)
}

/// All inputs with type and shape, for messages.
fn expected(plan: &Plan) -> String {
    let ports = plan.inputs.iter().map(|port| format!("`{}` ({:?} {:?})", port.name, port.element, port.shape));
    ports.collect::<Vec<_>>().join(", ")
}

/// Fills the staging buffer, which is unmapped then; returns where everything starts in it, and where it belongs.
pub(crate) async fn stage(
    input: &Input,
    (staging, held): (&mut WriteBuffer, &mut HeldRows),
    tensors: &[&Tensor],
    wait: &Wait,
) -> Result<Vec<(u64, BufferSlice)>, Error> {
    let plan = &input.bundle.plan;
    let requested = rows::announce(input, tensors, held)?;
    let view = staging.buffer.get_mapped_range_mut(..);
    let mut view = view.map_err(|error| unmapped("writing inputs", &error))?;
    let mut placed = Vec::new();
    let mut next_bytes = 0;
    let mut place = |slice: BufferSlice| {
        let start_bytes = next_bytes;
        next_bytes += slice.size_bytes;
        placed.push((start_bytes, slice));
        start_bytes
    };
    for (port, tensor) in plan.inputs.iter().zip(tensors) {
        if let Some(slice) = port.slice {
            write_input(&mut view, place(slice), port, tensor)?;
        }
    }
    for requested in requested {
        let start_bytes = place(requested.destination());
        rows::gather(input, requested, &mut view, start_bytes, wait).await?;
    }
    drop(view);
    staging.buffer.unmap();
    staging.state = WriteState::Encoded;
    Ok(placed)
}

/// Encodes a copy for everything that is placed.
pub(crate) fn copy(
    resources: &Resources,
    staging: &WriteBuffer,
    placed: &[(u64, BufferSlice)],
    encoder: &mut CommandEncoder,
) {
    for (start_bytes, slice) in placed {
        let target = resources.buffer(*slice);
        encoder.copy_buffer_to_buffer(&staging.buffer, *start_bytes, target, slice.offset_bytes, slice.size_bytes);
    }
}

fn write_input(view: &mut BufferViewMut, start_bytes: u64, port: &Port, tensor: &Tensor) -> Result<(), InputError> {
    let mut position = start_bytes as usize;
    let converted = convert::to_device(tensor.element, &tensor.bytes, |piece| {
        view.slice(position..position + piece.len()).copy_from_slice(piece);
        position += piece.len();
    });
    converted.map_err(|convert::OutOfRange { index, value }| InputError::IntegerRange {
        name: port.name.clone(),
        index,
        value,
    })
}
