//! Checks the inputs of a run and brings them, and the rows that they select, into the activation arena.
//!
//! Inputs and gathered rows stand one after another in the input staging buffer, in the plan's order; one copy each places
//! them. Nothing is touched before all names, types and shapes are right.

use super::bound::Bound;
use super::{convert, rows};
use crate::api::{Error, InputError, Tensor};
use crate::device::unmapped;
use crate::loaded::{HeldRows, Input, Resources, WriteBuffer, WriteState};
use crate::time::Wait;
use flashmem_plan_format::plan::{BufferSlice, Plan, Port};
use wgpu::{BufferViewMut, CommandEncoder};

/// What an input finds that is not given: where it lies on the device, or who would have handed it over. `None` for an input without
/// connections.
pub(crate) type Connected<'c> = &'c dyn Fn(u32) -> Option<Result<BufferSlice, Vec<String>>>;

/// The given tensors, and what was handed over, in the order of the plan's inputs.
pub(crate) fn bind_inputs<'a>(
    plan: &Plan,
    given: &[(&'a str, &'a Tensor)],
    connected: Connected<'_>,
) -> Result<Vec<Bound<'a>>, InputError> {
    for (position, (name, _)) in given.iter().enumerate() {
        if plan.inputs.iter().all(|port| port.name != *name) {
            return Err(InputError::Unknown { name: (*name).to_owned(), expected: expected(plan) });
        }
        if given[..position].iter().any(|(other, _)| other == name) {
            return Err(InputError::Duplicate { name: (*name).to_owned() });
        }
    }
    let inputs = (0_u32..).zip(&plan.inputs);
    inputs.map(|(index, port)| bind_input(plan, port, given, &|| connected(index))).collect()
}

fn bind_input<'a>(
    plan: &Plan,
    port: &Port,
    given: &[(&'a str, &'a Tensor)],
    connected: &dyn Fn() -> Option<Result<BufferSlice, Vec<String>>>,
) -> Result<Bound<'a>, InputError> {
    let name = || port.name.clone();
    let found = given.iter().find(|(name, _)| *name == port.name);
    let Some((_, tensor)) = found else {
        return match connected() {
            Some(Ok(slice)) => Ok(Bound::Handed(slice)),
            Some(Err(sources)) => Err(InputError::NotHanded { name: name(), sources }),
            None => Err(InputError::Missing { name: name(), expected: expected(plan) }),
        };
    };
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
    Ok(Bound::Given(tensor))
}

/// All inputs with type and shape, for messages.
fn expected(plan: &Plan) -> String {
    let ports = plan.inputs.iter().map(|port| format!("`{}` ({:?} {:?})", port.name, port.element, port.shape));
    ports.collect::<Vec<_>>().join(", ")
}

/// A copy to where it belongs: from the staging buffer, by its start there, or from what was handed over.
pub(crate) struct Placed {
    from: From,
    to: BufferSlice,
}

enum From {
    Staging(u64),
    Device(BufferSlice),
}

/// Fills the staging buffer, which is unmapped then; returns where everything comes from, and where it belongs. Inputs have their
/// places in it whether they are given or not.
pub(crate) async fn stage(
    input: &Input,
    (staging, held): (&mut WriteBuffer, &mut HeldRows),
    tensors: &[Bound<'_>],
    wait: &Wait,
) -> Result<Vec<Placed>, Error> {
    let plan = &input.bundle.plan;
    let requested = rows::announce(input, tensors, held)?;
    let view = staging.buffer.get_mapped_range_mut(..);
    let mut view = view.map_err(|error| unmapped("writing inputs", &error))?;
    let mut placed = Vec::new();
    let mut next_bytes = 0;
    for (port, bound) in plan.inputs.iter().zip(tensors) {
        let Some(to) = port.slice else { continue };
        let from = match bound {
            Bound::Given(tensor) => {
                write_input(&mut view, next_bytes, port, tensor)?;
                From::Staging(next_bytes)
            }
            Bound::Handed(slice) => From::Device(*slice),
        };
        next_bytes += to.size_bytes;
        placed.push(Placed { from, to });
    }
    for requested in requested {
        let (start_bytes, to) = (next_bytes, requested.destination());
        next_bytes += to.size_bytes;
        placed.push(Placed { from: From::Staging(start_bytes), to });
        rows::gather(input, requested, &mut view, start_bytes, wait).await?;
    }
    drop(view);
    staging.buffer.unmap();
    staging.state = WriteState::Encoded;
    Ok(placed)
}

/// Encodes a copy for everything that is placed.
pub(crate) fn copy(resources: &Resources, staging: &WriteBuffer, placed: &[Placed], encoder: &mut CommandEncoder) {
    for Placed { from, to } in placed {
        let (source, start_bytes) = match from {
            From::Staging(start_bytes) => (&staging.buffer, *start_bytes),
            From::Device(slice) => (resources.buffer(*slice), slice.offset_bytes),
        };
        encoder.copy_buffer_to_buffer(source, start_bytes, resources.buffer(*to), to.offset_bytes, to.size_bytes);
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
