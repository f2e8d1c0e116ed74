//! Where a graph uses the lengths of its pasts: what counts from one, what compares what was counted, and what is not followed.
//!
//! A length is followed through the integers that shapes are made of. As a size it means nothing; as the start of a `Range`, or added to
//! one, it is where positions begin.

use super::super::rewrite::steps::Known;
use super::written::Growing;
use std::collections::{BTreeMap, BTreeSet};
use tract_onnx::pb::{GraphProto, NodeProto};

/// Operators whose result is what their first operand holds, in another form.
const FORMS: [&str; 8] = ["Cast", "Expand", "Flatten", "Identity", "Reshape", "Squeeze", "Tile", "Unsqueeze"];

/// Operators that compare.
const COMPARISONS: [&str; 4] = ["Less", "LessOrEqual", "Greater", "GreaterOrEqual"];

/// What is known of an integer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Value {
    /// The shape of a past, with the length at this place.
    Shape(usize),
    /// The length, and a number that does not depend on it.
    Length,
    /// A number in which the length is otherwise.
    Made,
    /// A number that follows from sizes, without the length.
    Size,
    /// What a `Range` gave, or was made of it.
    Counted,
    /// The same, counted from the length.
    Position,
}

/// See the file's header.
#[derive(Debug, Default)]
pub struct Uses {
    /// Nodes that count from a length, with the operand that has it.
    pub starts: Vec<(usize, usize)>,
    /// Whether a comparison sees what was counted from a length.
    pub compared: bool,
    /// The first node that uses a length in another way.
    pub other: Option<usize>,
}

impl Uses {
    /// Looks for them.
    pub fn of(graph: &GraphProto, growing: &[Growing], known: &Known) -> Self {
        let mut uses = Self::default();
        let mut values: BTreeMap<&str, Value> = BTreeMap::new();
        let pasts: BTreeMap<&str, usize> = growing.iter().map(|cache| (cache.past.as_str(), cache.axis)).collect();
        for (index, node) in graph.node.iter().enumerate() {
            let operands: Vec<Option<Value>> =
                node.input.iter().map(|input| values.get(input.as_str()).copied()).collect();
            let value = match node.op_type.as_str() {
                "Constant" => Some(Value::Size),
                "Shape" => Some(
                    node.input
                        .first()
                        .and_then(|x| pasts.get(x.as_str()))
                        .map_or(Value::Size, |axis| shape(node, *axis)),
                ),
                _ if inner(node)
                    .iter()
                    .any(|name| pasts.contains_key(name) || of_length(values.get(name).copied())) =>
                {
                    uses.other(index)
                }
                _ => uses.value(index, node, &operands, known),
            };
            values.extend(node.output.iter().filter_map(|output| Some((output.as_str(), value?))));
        }
        uses
    }

    fn other(&mut self, index: usize) -> Option<Value> {
        self.other.get_or_insert(index);
        Some(Value::Made)
    }

    /// What a node gives, from what is known of its operands.
    fn value(&mut self, index: usize, node: &NodeProto, operands: &[Option<Value>], known: &Known) -> Option<Value> {
        let op = node.op_type.as_str();
        let first = operands.first().copied().flatten();
        let has = |value: Value| operands.contains(&Some(value));
        if COMPARISONS.contains(&op) && has(Value::Position) {
            self.compared = true;
        }
        match op {
            "Range" if first == Some(Value::Length) => {
                self.starts.push((index, 0));
                return Some(Value::Position);
            }
            "Range" => return if of_length(first) { self.other(index) } else { Some(Value::Counted) },
            "Gather" | "Slice" if matches!(first, Some(Value::Shape(_))) => {
                return self.picked(index, node, first, known);
            }
            "ConstantOfShape" => return Some(Value::Size),
            // What stands behind is sizes.
            _ if FORMS.contains(&op) => return first,
            // Where a part ends says how large it is.
            "Slice" if !of_length(operands.get(1).copied().flatten()) => return first,
            "Add" | "Sub" if has(Value::Length) && (has(Value::Counted) || has(Value::Position)) => {
                let operand = usize::from(first != Some(Value::Length));
                self.starts.push((index, operand));
                return Some(Value::Position);
            }
            _ => {}
        }
        let is_known = |(i, value): (usize, &Option<Value>)| value.is_some() || known.is_constant(&node.input[i]);
        let all_known = !operands.is_empty() && operands.iter().enumerate().all(is_known);
        let counted =
            if has(Value::Position) { Some(Value::Position) } else { has(Value::Counted).then_some(Value::Counted) };
        match operands.iter().filter(|value| of_length(**value)).count() {
            0 if all_known => counted.or(Some(Value::Size)),
            0 => None,
            _ if !all_known || counted.is_some() => self.other(index),
            1 if op == "Add" && has(Value::Length) || op == "Sub" && first == Some(Value::Length) => {
                Some(Value::Length)
            }
            _ => Some(Value::Made),
        }
    }

    /// A part of a past's shape.
    fn picked(&mut self, index: usize, node: &NodeProto, shape: Option<Value>, known: &Known) -> Option<Value> {
        let Some(Value::Shape(place)) = shape else { return None };
        let place = place as i64;
        let bounds: Vec<Option<i64>> = node.input[1..]
            .iter()
            .map(|name| known.integers(name).and_then(|list| <[i64; 1]>::try_from(list).ok()).map(|[value]| value))
            .collect();
        match (node.op_type.as_str(), bounds.as_slice()) {
            ("Gather", [Some(at)]) => Some(if *at == place { Value::Length } else { Value::Size }),
            ("Slice", [Some(from), Some(to), ..]) if *from >= 0 && *to >= 0 => {
                Some(match (*from..*to).contains(&place) {
                    true if to - from == 1 => Value::Length,
                    true => Value::Shape((place - from) as usize),
                    false => Value::Size,
                })
            }
            _ => self.other(index),
        }
    }
}

/// Whether a number depends on the length of a past.
const fn of_length(value: Option<Value>) -> bool {
    matches!(value, Some(Value::Shape(_) | Value::Length | Value::Made))
}

/// What `Shape` of a past gives.
fn shape(node: &NodeProto, axis: usize) -> Value {
    let bound =
        |name: &str| node.attribute.iter().find(|attribute| attribute.name == name).map(|attribute| attribute.i);
    let axis = axis as i64;
    match (bound("start").unwrap_or(0), bound("end")) {
        (start, Some(end)) if start == axis && end == axis + 1 => Value::Length,
        (start, end) if start >= 0 && start <= axis && end.is_none_or(|end| end > axis || end < 0) => {
            Value::Shape((axis - start) as usize)
        }
        (_, Some(_) | None) => Value::Size,
    }
}

/// Names that the graphs of a node read.
fn inner(node: &NodeProto) -> BTreeSet<&str> {
    let graphs = node.attribute.iter().flat_map(|attribute| attribute.g.iter().chain(&attribute.graphs));
    graphs
        .flat_map(|graph| graph.node.iter().flat_map(|node| node.input.iter().map(String::as_str).chain(inner(node))))
        .collect()
}
