//! Connections: an output of one network that another one's next run takes as an input, on the device.
//!
//! Behind a completed run, the output is copied into a place of the state buffer behind all states; a run that is given no tensor
//! for the input copies it from there. Between device and interface nothing may be converted, so that both ways give the same bits,
//! and the host must have no need of the values. Nothing here is executed.

use super::types::{Connection, Linked};
use crate::indices::IndexPort;
use crate::plan::{Buffer, BufferSlice, ElementType, Plan, Port};
use crate::row_indices::IndexSource;

/// Why an output cannot be handed to an input on the device.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the fields are described by the messages")]
pub enum Unconnectable {
    /// Another element type.
    #[error("elements of type {found:?}, and the input takes {expected:?}")]
    Element { found: ElementType, expected: ElementType },
    /// Another shape.
    #[error("shape {found:?}, and the input takes {expected:?}")]
    Shape { found: Vec<u64>, expected: Vec<u64> },
    /// A type that the interface rounds or narrows.
    #[error("{element:?} is converted between device and interface; F32, I32 and I64 are not")]
    Converted { element: ElementType },
    /// An input that the device does not have.
    #[error("the host reads the input: it selects rows, or nothing on the device needs it")]
    ReadByHost,
    /// Values that the host checks.
    #[error("the host checks the values as indices")]
    Checked,
}

/// Whether an output of a validated plan can be an input of another, or the same, on the device.
///
/// # Errors
/// The first reason against it.
pub fn connectable((from, output): (&Plan, u32), (to, input): (&Plan, u32)) -> Result<(), Unconnectable> {
    let (given, taken): (&Port, &Port) = (&from.outputs[output as usize], &to.inputs[input as usize]);
    if given.element != taken.element {
        return Err(Unconnectable::Element { found: given.element, expected: taken.element });
    }
    if given.shape != taken.shape {
        return Err(Unconnectable::Shape { found: given.shape.clone(), expected: taken.shape.clone() });
    }
    match given.element {
        ElementType::F32 | ElementType::I32 | ElementType::I64 => {}
        element @ (ElementType::F16 | ElementType::U8 | ElementType::I8 | ElementType::Bool) => {
            return Err(Unconnectable::Converted { element });
        }
    }
    let mut sources = to.row_gathers.iter().flat_map(|gather| &gather.indices.operands).map(|operand| &operand.source);
    if taken.slice.is_none() || sources.any(|source| *source == IndexSource::Input(input)) {
        return Err(Unconnectable::ReadByHost);
    }
    let is_bound = |plan: &Plan, port: IndexPort| plan.index_bounds.iter().any(|bound| bound.port == port);
    if is_bound(to, IndexPort::Input(input)) || is_bound(from, IndexPort::Output(output)) {
        return Err(Unconnectable::Checked);
    }
    Ok(())
}

impl Connection {
    /// Where the tensor lies between two runs; `port` is either end of the connection.
    pub fn place(&self, port: &Port) -> Option<BufferSlice> {
        let size_bytes = port.slice?.size_bytes;
        Some(BufferSlice { buffer: Buffer::States, offset_bytes: self.offset_bytes, size_bytes })
    }
}

impl Linked {
    /// The input of a connection.
    pub(super) fn connected_input(&self, connection: &Connection) -> Option<&Port> {
        self.networks.get(connection.to as usize)?.plan.inputs.get(connection.input as usize)
    }

    /// The output of a connection.
    pub(super) fn connected_output(&self, connection: &Connection) -> Option<&Port> {
        self.networks.get(connection.from as usize)?.plan.outputs.get(connection.output as usize)
    }

    /// End of everything in the state buffer: of the last state, and of what connections hold. `None` on overflow.
    pub fn state_buffer_bytes(&self) -> Option<u64> {
        let end = |connection: &Connection| {
            let size_bytes = self.connected_input(connection).and_then(|port| port.slice).map_or(0, |at| at.size_bytes);
            connection.offset_bytes.checked_add(size_bytes)
        };
        self.connections.iter().map(end).try_fold(self.state_bytes()?, |most, end| Some(most.max(end?)))
    }
}
