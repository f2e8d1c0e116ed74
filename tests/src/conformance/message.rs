//! As much of ONNX's protobuf messages as the node tests need: ports, nodes' operand names, tensors.
//!
//! It is written against the wire format and shares nothing with the compiler's reader. It deliberately refuses what it does
//! not know instead of guessing.

use flashmem_runtime::{ElementType, Tensor};

/// A field's number and its value.
enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(count)?;
    *bytes = rest;
    Some(taken)
}

fn fields(mut bytes: &[u8]) -> Option<Vec<(u64, Value<'_>)>> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let tag = varint(&mut bytes)?;
        let value = match tag & 7 {
            0 => Value::Number(varint(&mut bytes)?),
            1 => Value::Bytes(take(&mut bytes, 8)?),
            2 => {
                let count = usize::try_from(varint(&mut bytes)?).ok()?;
                Value::Bytes(take(&mut bytes, count)?)
            }
            5 => Value::Bytes(take(&mut bytes, 4)?),
            _ => return None,
        };
        found.push((tag >> 3, value));
    }
    Some(found)
}

fn texts(message: &[u8], number: u64) -> Option<Vec<String>> {
    let of_number = messages(message, number)?;
    of_number.into_iter().map(|bytes| Some(std::str::from_utf8(bytes).ok()?.to_owned())).collect()
}

fn messages(message: &[u8], number: u64) -> Option<Vec<&[u8]>> {
    let of_number = fields(message)?.into_iter().filter_map(|(field, value)| match value {
        Value::Bytes(bytes) if field == number => Some(bytes),
        Value::Bytes(_) | Value::Number(_) => None,
    });
    Some(of_number.collect())
}

/// An operator with the names of its operands.
#[derive(Debug)]
pub struct Node {
    /// Operator type.
    pub op: String,
    /// Its domain; empty for the standard one.
    pub domain: String,
    /// Operands; empty where one is left out.
    pub inputs: Vec<String>,
}

/// What a test needs to know about its model.
#[derive(Debug)]
pub struct Model {
    /// Graph inputs.
    pub inputs: Vec<String>,
    /// Nodes of the outer graph.
    pub nodes: Vec<Node>,
}

/// Reads a model.
pub fn model(bytes: &[u8]) -> Option<Model> {
    let graph = messages(bytes, 7)?.into_iter().next()?;
    let inputs = messages(graph, 11)?.into_iter().map(|info| texts(info, 1)?.into_iter().next());
    let nodes = messages(graph, 1)?.into_iter().map(|node| {
        let op = texts(node, 4)?.into_iter().next()?;
        let domain = texts(node, 7)?.into_iter().next().unwrap_or_default();
        Some(Node { op, domain, inputs: texts(node, 1)? })
    });
    Some(Model { inputs: inputs.collect::<Option<_>>()?, nodes: nodes.collect::<Option<_>>()? })
}

/// Appends a `TensorProto` to a model as the initialiser `name`: repeated messages of one field are merged.
pub fn add_initialiser(model: &mut Vec<u8>, tensor: &[u8], name: &str) {
    let tensor = [tensor, &delimited(8, name.as_bytes())].concat();
    model.extend(delimited(7, &delimited(5, &tensor)));
}

fn delimited(number: u8, contents: &[u8]) -> Vec<u8> {
    let mut bytes = vec![number << 3 | 2];
    let mut length = contents.len();
    while length >= 0x80 {
        bytes.push(length as u8 | 0x80);
        length >>= 7;
    }
    bytes.push(length as u8);
    bytes.extend_from_slice(contents);
    bytes
}

/// Numbers of a packed or unpacked repeated field.
fn numbers(tensor: &[u8], number: u64) -> Option<Vec<u64>> {
    let mut found = Vec::new();
    for (field, value) in fields(tensor)? {
        match value {
            Value::Number(one) if field == number => found.push(one),
            Value::Bytes(mut packed) if field == number => {
                while !packed.is_empty() {
                    found.push(varint(&mut packed)?);
                }
            }
            Value::Number(_) | Value::Bytes(_) => {}
        }
    }
    Some(found)
}

/// Reads a `TensorProto`; `None` when it is no tensor of a type that bundles can have.
pub fn tensor(bytes: &[u8]) -> Option<Tensor> {
    let data_type = numbers(bytes, 2)?.into_iter().next()?;
    let element = match data_type {
        1 => ElementType::F32,
        2 => ElementType::U8,
        3 => ElementType::I8,
        6 => ElementType::I32,
        7 => ElementType::I64,
        9 => ElementType::Bool,
        10 => ElementType::F16,
        _ => return None,
    };
    let width = match element {
        ElementType::U8 | ElementType::I8 | ElementType::Bool => 1,
        ElementType::F16 => 2,
        ElementType::F32 | ElementType::I32 => 4,
        ElementType::I64 => 8,
    };
    let shape = numbers(bytes, 1)?;
    let mut data: Vec<u8> = messages(bytes, 9)?.concat();
    if data.is_empty() {
        data = messages(bytes, 4)?.concat();
        for field in [5, 7] {
            data.extend(numbers(bytes, field)?.into_iter().flat_map(|n| n.to_le_bytes().into_iter().take(width)));
        }
    }
    let elements = shape.iter().try_fold(1_u64, |n, d| n.checked_mul(*d))?;
    (data.len() as u64 == elements.checked_mul(width as u64)?).then_some(Tensor { element, shape, bytes: data })
}
