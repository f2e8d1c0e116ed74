//! Inputs that exercise a model, the same on every machine.
//!
//! Floats are roughly normal within [-1, 1]. Integers that index an axis are spread over it; other integers are 0 or 1. It
//! deliberately knows no operator but those that index.

use crate::graph::op::Op;
use crate::graph::{Graph, GraphPort, NodeId};
use crate::narrow::index32;
use flashmem_plan_format::indices::IndexPort;
use flashmem_plan_format::plan::ElementType;
use flashmem_plan_format::random::SplitMix64;

/// Uniform in [0, 1).
fn unit(random: &mut SplitMix64) -> f32 {
    (random.next_u64() >> 40) as f32 / (1_u32 << 24) as f32
}

/// Mean of four uniform values, in [-1, 1].
fn bell(random: &mut SplitMix64) -> f32 {
    let sum: f32 = (0..4).map(|_| unit(random)).sum();
    sum / 2.0 - 1.0
}

/// Smallest axis that the value indexes, looking through views of it.
fn indexed_size(graph: &Graph, id: NodeId) -> Option<usize> {
    let users = graph.users(id).into_iter();
    users
        .filter_map(|user| {
            let node = graph.node(user);
            if let Op::Gather { axis } = &node.op
                && graph.operands(user).get(1) == Some(&id)
            {
                let data = graph.operands(user)[0];
                graph.node(data).shape.get(*axis).copied()
            } else if node.op.is_view() {
                indexed_size(graph, user)
            } else {
                None
            }
        })
        .min()
}

fn integer(random: &mut SplitMix64, bound: u64) -> u64 {
    if bound == 0 { 0 } else { ((u128::from(random.next_u64()) * u128::from(bound)) >> 64) as u64 }
}

fn bytes_of(graph: &Graph, port: &GraphPort, random: &mut SplitMix64) -> Vec<u8> {
    let elements: usize = graph.node(port.node).shape.iter().product();
    let position = graph.inputs.iter().position(|input| input.node == port.node);
    let bounds =
        || graph.index_bounds.iter().filter(|b| Some(b.port) == position.map(|p| IndexPort::Input(index32(p))));
    let least = bounds().map(|b| b.least).max().unwrap_or(0).max(0) as u64;
    let most = bounds().map(|b| b.most + 1).min().map(|most| most.max(0) as u64);
    let bound = indexed_size(graph, port.node).map_or(most.unwrap_or(2), |size| size as u64);
    let bound = bound.min(most.unwrap_or(u64::MAX));
    let integer = |random: &mut SplitMix64, bound| integer(random, bound).max(least);
    let mut bytes = Vec::new();
    for _ in 0..elements {
        match port.element {
            ElementType::F32 => bytes.extend(bell(random).to_le_bytes()),
            ElementType::F16 => bytes.extend(half::f16::from_f32(bell(random)).to_le_bytes()),
            ElementType::I32 => bytes.extend((integer(random, bound) as i32).to_le_bytes()),
            ElementType::I64 => bytes.extend((integer(random, bound) as i64).to_le_bytes()),
            ElementType::U8 | ElementType::I8 => bytes.push(integer(random, bound.min(128)) as u8),
            ElementType::Bool => bytes.push(integer(random, 2) as u8),
        }
    }
    bytes
}

/// What every state is before the first run: zeros.
pub fn first_states(graph: &Graph) -> Vec<Vec<u8>> {
    let elements = |port: &GraphPort| graph.node(port.node).shape.iter().product::<usize>();
    let zeros = |port: &GraphPort| vec![0; elements(port) * port.element.api_bytes() as usize];
    graph.state_ports().map(|(now, _)| zeros(now)).collect()
}

/// Values of the public inputs, in order, as raw little-endian bytes in the element types of the API; those of a first run.
pub fn golden_inputs(graph: &Graph) -> Vec<Vec<u8>> {
    let seen = graph.seen_inputs().iter().enumerate();
    let drawn =
        seen.map(|(position, port)| bytes_of(graph, port, &mut SplitMix64(0x666c_6173_686d_656d ^ position as u64)));
    drawn.chain(first_states(graph)).collect()
}
