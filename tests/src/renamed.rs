//! An ONNX model with every name replaced, byte for byte the same otherwise.
//!
//! Works on the wire format of protobuf, so that it shares nothing with import. It knows the fields of nodes, tensors and value
//! infos that hold names; subgraphs deliberately stay as they are, hence models that have some are not for it.

use std::collections::BTreeSet;

/// What a message is; the fields of names and of messages follow from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Model,
    Graph,
    Node,
    Tensor,
    ValueInfo,
}

/// What a field of bytes holds.
enum Field {
    Message(Kind),
    Name,
    Other,
}

/// Fields of `onnx.proto`.
const fn field(kind: Kind, number: u64) -> Field {
    match (kind, number) {
        (Kind::Model, 7) => Field::Message(Kind::Graph),
        (Kind::Graph, 1) => Field::Message(Kind::Node),
        (Kind::Graph, 5) => Field::Message(Kind::Tensor),
        (Kind::Graph, 11..=13) => Field::Message(Kind::ValueInfo),
        (Kind::Node, 1..=3) | (Kind::Tensor, 8) | (Kind::ValueInfo, 1) => Field::Name,
        (Kind::Model | Kind::Graph | Kind::Node | Kind::Tensor | Kind::ValueInfo, _) => Field::Other,
    }
}

fn varint(bytes: &[u8], at: &mut usize) -> u64 {
    let mut value = 0;
    for shift in (0..).step_by(7) {
        let byte = bytes[*at];
        *at += 1;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            break;
        }
    }
    value
}

fn put_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// A message with `name` applied to every name in it.
fn rewrite(bytes: &[u8], kind: Kind, name: &mut dyn FnMut(&str) -> String) -> Vec<u8> {
    let (mut out, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while at < bytes.len() {
        let start = at;
        let key = varint(bytes, &mut at);
        let end = match key & 7 {
            0 => {
                varint(bytes, &mut at);
                at
            }
            1 => at + 8,
            5 => at + 4,
            _ => {
                let length = varint(bytes, &mut at) as usize;
                let inner = &bytes[at..at + length];
                let new = match field(kind, key >> 3) {
                    Field::Message(kind) => Some(rewrite(inner, kind, name)),
                    Field::Name if !inner.is_empty() => Some(name(&String::from_utf8_lossy(inner)).into_bytes()),
                    Field::Name | Field::Other => None,
                };
                if let Some(new) = new {
                    put_varint(key, &mut out);
                    put_varint(new.len() as u64, &mut out);
                    out.extend(new);
                    at += length;
                    continue;
                }
                at + length
            }
        };
        out.extend_from_slice(&bytes[start..end]);
        at = end;
    }
    out
}

/// The model under other names, in reversed order of sorting: long ones, ones that start alike, with `+`, `…`, commas and spaces.
///
/// # Panics
/// On bytes that are no model.
pub fn renamed(model: &[u8]) -> Vec<u8> {
    let mut names = BTreeSet::new();
    rewrite(model, Kind::Model, &mut |name| {
        names.insert(name.to_owned());
        name.to_owned()
    });
    let names: Vec<String> = names.into_iter().rev().collect();
    rewrite(model, Kind::Model, &mut |name| {
        let index = names.iter().position(|n| n == name).expect("collected just above");
        match index % 5 {
            0 => format!("{index:05}+relu+{}", index / 10),
            1 => format!("{index:05}…"),
            2 => format!("{index:05}/{}", "layers.0/".repeat(25)),
            3 => format!("{index:05} of x, y"),
            _ => format!("x{}", ".1".repeat(names.len() - index)),
        }
    })
}
