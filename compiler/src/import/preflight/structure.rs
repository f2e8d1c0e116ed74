//! A decoded graph: how many nodes it has, whether they can be ordered, and whether tensors have the bytes of their shapes.
//!
//! Checked for the graph and its subgraphs, without recursion: counts, cycles, outputs, sizes of inputs and constants,
//! attributes, and constant operands that are parameters.

use super::super::error::ImportError;
use super::super::options::{Dim, ImportOptions};
use super::super::weights::is_external;
use super::invalid::Invalid;
use super::limits::{MAX_DIMENSION, MAX_NODES, bounded};
use super::ranges::{self, Elements};
use std::collections::BTreeMap;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::tensor_shape_proto::dimension;
use tract_onnx::pb::{GraphProto, NodeProto, TensorProto, ValueInfoProto, type_proto};

/// Elements of constants that may be parameters.
const MAX_PARAMETERS: usize = 64;

/// Checks the sizes that the user gives.
pub fn given_sizes(options: &ImportOptions) -> Result<(), Invalid> {
    let fits = |size: u64| size <= MAX_DIMENSION as u64;
    for (name, dims) in &options.inputs {
        let size = |dim: &Dim| match dim {
            Dim::Size(size) => Some(i64::try_from(*size).unwrap_or(i64::MAX)),
            Dim::Symbol(_) => None,
        };
        if !bounded(dims.iter().map(size)) {
            return Err(Invalid::Shape { name: name.clone(), shape: dims.iter().filter_map(size).collect() });
        }
    }
    match options.dims.iter().find(|(_, size)| !fits(*size)) {
        None => Ok(()),
        Some((name, size)) => {
            Err(Invalid::Shape { name: name.clone(), shape: vec![i64::try_from(*size).unwrap_or(i64::MAX)] })
        }
    }
}

/// Checks a graph with all its subgraphs.
pub fn graph(graph: &GraphProto) -> Result<(), ImportError> {
    let mut nodes = 0;
    let mut waiting = vec![graph];
    while let Some(graph) = waiting.pop() {
        nodes += graph.node.len() as u64;
        if nodes > MAX_NODES {
            return Err(Invalid::TooMany { what: "nodes", limit: MAX_NODES }.into());
        }
        for input in graph.input.iter() {
            value_shape(input)?;
        }
        for tensor in &graph.initializer {
            whole_tensor(tensor)?;
        }
        let inner = graph.node.iter().flat_map(|node| &node.attribute);
        for attribute in inner {
            for tensor in attribute.t.iter().chain(&attribute.tensors) {
                whole_tensor(tensor)?;
            }
            waiting.extend(attribute.g.iter().chain(&attribute.graphs));
        }
        order(graph)?;
        parameters(graph)?;
    }
    Ok(())
}

fn value_shape(info: &ValueInfoProto) -> Result<(), Invalid> {
    let value = info.r#type.as_ref().and_then(|t| t.value.as_ref());
    let Some(type_proto::Value::TensorType(type_proto::Tensor { shape: Some(shape), .. })) = value else {
        return Ok(());
    };
    // A negative size is an unknown one.
    let size = |dim: &dimension::Value| match dim {
        dimension::Value::DimValue(size) if *size >= 0 => Some(*size),
        dimension::Value::DimValue(_) | dimension::Value::DimParam(_) => None,
    };
    let sizes = shape.dim.iter().map(|dim| dim.value.as_ref().and_then(size));
    if bounded(sizes.clone()) {
        return Ok(());
    }
    Err(Invalid::Shape { name: info.name.clone(), shape: sizes.map(|size| size.unwrap_or(-1)).collect() })
}

/// Bits of an element, for types whose elements have a size.
#[expect(clippy::wildcard_enum_match_arm, reason = "ONNX's types: those that are taken are few")]
fn element_bits(data_type: i32) -> Option<u64> {
    Some(match DataType::try_from(data_type).ok()? {
        DataType::Uint8 | DataType::Int8 | DataType::Bool => 8,
        DataType::Uint16 | DataType::Int16 | DataType::Float16 | DataType::Bfloat16 => 16,
        DataType::Float | DataType::Int32 | DataType::Uint32 => 32,
        DataType::Int64 | DataType::Uint64 | DataType::Double => 64,
        _ => return None,
    })
}

/// Checks that a tensor's data fills its shape.
fn whole_tensor(tensor: &TensorProto) -> Result<(), ImportError> {
    if !bounded(tensor.dims.iter().map(|size| Some(*size))) {
        return Err(Invalid::Shape { name: tensor.name.clone(), shape: tensor.dims.clone() }.into());
    }
    let Some(bits) = element_bits(tensor.data_type).filter(|_| !is_external(tensor)) else { return Ok(()) };
    let elements: u64 = tensor.dims.iter().map(|size| size.unsigned_abs()).product();
    let expected = elements * bits / 8;
    let found = if tensor.raw_data.is_empty() {
        let listed = [
            tensor.float_data.len(),
            tensor.int32_data.len(),
            tensor.int64_data.len(),
            tensor.double_data.len(),
            tensor.uint64_data.len(),
        ];
        listed.into_iter().sum::<usize>() as u64 * bits / 8
    } else {
        tensor.raw_data.len() as u64
    };
    if found == expected {
        return Ok(());
    }
    Err(ImportError::TensorBytes { tensor: tensor.name.clone(), shape: tensor.dims.clone(), expected, found })
}

/// Checks that nodes can be ordered, and that outputs are computed.
fn order(graph: &GraphProto) -> Result<(), Invalid> {
    let mut producer: BTreeMap<&str, usize> = BTreeMap::new();
    for (index, node) in graph.node.iter().enumerate() {
        producer.extend(node.output.iter().filter(|name| !name.is_empty()).map(|name| (name.as_str(), index)));
    }
    let sources = |node: &NodeProto| {
        let needed = node.input.iter().filter_map(|name| producer.get(name.as_str()).copied());
        needed.collect::<Vec<usize>>()
    };
    let mut users: Vec<Vec<usize>> = vec![Vec::new(); graph.node.len()];
    let mut missing: Vec<usize> = Vec::with_capacity(graph.node.len());
    for (index, node) in graph.node.iter().enumerate() {
        let sources = sources(node);
        missing.push(sources.len());
        sources.into_iter().for_each(|source| users[source].push(index));
    }
    let mut ready: Vec<usize> = (0..missing.len()).filter(|index| missing[*index] == 0).collect();
    let mut ordered = 0;
    while let Some(index) = ready.pop() {
        ordered += 1;
        for user in &users[index] {
            missing[*user] -= 1;
            if missing[*user] == 0 {
                ready.push(*user);
            }
        }
    }
    if ordered < missing.len() {
        let index = missing.iter().position(|count| *count > 0).expect("fewer were ordered than there are");
        return Err(Invalid::Cycle { node: graph.node[index].name.clone() });
    }
    Ok(())
}

/// Checks that every output of the main graph is computed, given or a constant; `is_weight` knows those that were taken out.
pub fn outputs(graph: &GraphProto, is_weight: impl Fn(&str) -> bool) -> Result<(), Invalid> {
    let mut known: std::collections::BTreeSet<&str> =
        graph.node.iter().flat_map(|n| &n.output).map(String::as_str).collect();
    known.extend(graph.input.iter().map(|i| i.name.as_str()));
    known.extend(graph.initializer.iter().map(|t| t.name.as_str()));
    let lost =
        graph.output.iter().find(|o| o.name.is_empty() || !(known.contains(o.name.as_str()) || is_weight(&o.name)));
    lost.map_or(Ok(()), |output| Err(Invalid::OutputNotComputed { name: output.name.clone() }))
}

/// Checks attributes and constant operands.
fn parameters(graph: &GraphProto) -> Result<(), Invalid> {
    let mut constants: BTreeMap<&str, &TensorProto> = graph.initializer.iter().map(|t| (t.name.as_str(), t)).collect();
    for node in graph.node.iter().filter(|node| node.op_type == "Constant") {
        let value = node.attribute.iter().find(|a| a.name == "value").and_then(|a| a.t.as_ref());
        constants.extend(node.output.first().zip(value).map(|(name, tensor)| (name.as_str(), tensor)));
    }
    for node in &graph.node {
        ranges::attributes(node)?;
        let constant = |name: &String| constants.get(name.as_str()).copied();
        for (position, tensor) in node.input.iter().enumerate().filter_map(|(i, name)| Some((i, constant(name)?))) {
            if tensor.dims.iter().product::<i64>() > MAX_PARAMETERS as i64 {
                continue;
            }
            if let Some(values) = super::super::rewrite::steps::integers(tensor) {
                ranges::operand(node, position, Elements::Integers(&values))?;
            } else if let Some(values) = super::super::rewrite::steps::floats(tensor) {
                ranges::operand(node, position, Elements::Floats(&values))?;
            }
        }
    }
    Ok(())
}
