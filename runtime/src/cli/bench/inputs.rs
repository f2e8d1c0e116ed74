//! Inputs to measure with: the caller's, the bundle's own example, or made-up ones that every model takes.

use super::arguments::BenchArguments;
use flashmem_plan_format::Bundle;
use flashmem_plan_format::indices::{IndexBound, IndexPort};
use flashmem_plan_format::source::FileSource;
use flashmem_runtime::{ElementType, PortInfo, Session, Tensor, npz};

/// Inputs by name.
pub(super) fn read(arguments: &BenchArguments, session: &Session) -> anyhow::Result<Vec<(String, Tensor)>> {
    let ports = session.inputs();
    if let Some(path) = &arguments.inputs {
        return Ok(npz::read(path, &ports)?);
    }
    let source = FileSource::open(&arguments.bundle)?;
    let bundle = Bundle::open(&source)?;
    let bounds = &bundle.plan.index_bounds;
    match bundle.golden {
        Some(golden) => Ok(named(&ports, golden.inputs)),
        None => Ok(made_up_inputs(&ports, bounds)),
    }
}

/// Inputs that a network with these bounds on its indices takes.
pub fn made_up_inputs(ports: &[PortInfo], bounds: &[IndexBound]) -> Vec<(String, Tensor)> {
    named(ports, (0..).zip(ports).map(|(input, port)| made_up(port, input, bounds)).collect())
}

fn named(ports: &[PortInfo], values: Vec<Vec<u8>>) -> Vec<(String, Tensor)> {
    let tensor = |(port, bytes): (&PortInfo, Vec<u8>)| {
        (port.name.clone(), Tensor { element: port.element, shape: port.shape.clone(), bytes })
    };
    ports.iter().zip(values).map(tensor).collect()
}

/// Floats between -1 and 1, and integers of 0 and 1, or what is nearest of indices that may be neither.
fn made_up(port: &PortInfo, input: u32, bounds: &[IndexBound]) -> Vec<u8> {
    let own = || bounds.iter().filter(|bound| bound.port == IndexPort::Input(input));
    let least = own().map(|bound| bound.least.clamp(0, 127) as u32).max().unwrap_or(0);
    let most = own().map(|bound| bound.most.clamp(0, 127) as u32).min().unwrap_or(1);
    let elements = port.shape.iter().product::<u64>();
    let mut state = 0x9e37_79b9_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state >> 16
    };
    let mut bytes = Vec::new();
    for _ in 0..elements {
        let random = next();
        let float = random as f32 / 32_768.0 - 1.0;
        let integer = (random & 1).min(most).max(least);
        match port.element {
            ElementType::F32 => bytes.extend(float.to_le_bytes()),
            ElementType::F16 => bytes.extend(half::f16::from_f32(float).to_le_bytes()),
            ElementType::I32 => bytes.extend(integer.to_le_bytes()),
            ElementType::I64 => bytes.extend(u64::from(integer).to_le_bytes()),
            ElementType::U8 | ElementType::I8 => bytes.push(integer as u8),
            ElementType::Bool => bytes.push((random & 1) as u8),
        }
    }
    bytes
}
