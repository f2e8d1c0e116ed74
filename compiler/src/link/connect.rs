//! Connections by name: an output of one network and the input of another that takes it on the device.
//!
//! Names become positions, types and shapes are compared, and every connected input gets a place behind all states. What the host
//! reads, checks or converts stays with the host.

use super::types::{ConnectionRequest, LinkError, Member};
use crate::narrow::index32;
use flashmem_plan_format::linked::{Connection, connectable};
use flashmem_plan_format::plan::{BINDING_ALIGNMENT, Port};

/// Finds all ports and places; `end_bytes` is where states end.
pub fn connect(
    members: &[Member],
    requests: &[ConnectionRequest],
    end_bytes: u64,
) -> Result<Vec<Connection>, LinkError> {
    let mut connections: Vec<Connection> = Vec::new();
    let mut next_bytes = end_bytes.next_multiple_of(BINDING_ALIGNMENT);
    for request in requests {
        let (from, to) = (&members[request.from.0 as usize], &members[request.to.0 as usize]);
        let output = position(&from.name, "output", &from.bundle.plan.outputs, &request.from.1)?;
        let input = position(&to.name, "input", &to.bundle.plan.inputs, &request.to.1)?;
        let names = || (format!("{}.{}", from.name, request.from.1), format!("{}.{}", to.name, request.to.1));
        connectable((&from.bundle.plan, output), (&to.bundle.plan, input)).map_err(|source| {
            let (from, to) = names();
            LinkError::Unconnectable { from, to, source }
        })?;
        let to_input = connections.iter().filter(|other| (other.to, other.input) == (request.to.0, input));
        if to_input.clone().any(|other| (other.from, other.output) == (request.from.0, output)) {
            let (from, to) = names();
            return Err(LinkError::ConnectedTwice { from, to });
        }
        let known = to_input.map(|other| other.offset_bytes).next();
        let offset_bytes = known.unwrap_or(next_bytes);
        if known.is_none() {
            let slice = to.bundle.plan.inputs[input as usize].slice.expect("a connectable input is on the device");
            next_bytes = (next_bytes + slice.size_bytes).next_multiple_of(BINDING_ALIGNMENT);
        }
        connections.push(Connection { from: request.from.0, output, to: request.to.0, input, offset_bytes });
    }
    Ok(connections)
}

fn position(network: &str, kind: &'static str, ports: &[Port], name: &str) -> Result<u32, LinkError> {
    let found = ports.iter().position(|port| port.name == name).map(index32);
    found.ok_or_else(|| LinkError::UnknownPort {
        network: network.to_owned(),
        kind,
        name: name.to_owned(),
        available: ports.iter().map(|port| port.name.clone()).collect(),
    })
}
