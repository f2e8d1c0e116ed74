//! Element types of a model's values, held against ONNX's schemas.
//!
//! Takes a graph as it is in the file, with the types of weights that are kept outside the message. The types of inputs,
//! initialisers and constants are known; those of results follow from the schemas: an operand whose type is a variable has the type
//! that others of that variable have. So what a schema does not allow is found in one place, for every operator, bodies of nodes
//! included. Where a type does not follow, nothing is said about it. It deliberately believes no types that a file notes for
//! intermediate values, and knows no shapes.

use super::schema::{
    Absent, Arity, Formal, FormalAttribute, Kind, Schema, element_name, element_number, in_force, versions,
};
use super::structure::label;
use std::collections::BTreeMap;
use tract_onnx::pb::{AttributeProto, GraphProto, NodeProto, ValueInfoProto, tensor_proto::DataType, type_proto};

/// An operand of a type that its operator does not take.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Mistyped {
    /// The operator does not have the type.
    #[error("node `{node}` ({op}): {operand} `{value}` has elements of type {found}; ONNX has {}", .allowed.join(", "))]
    Element {
        /// The node.
        node: String,
        /// Its operator.
        op: String,
        /// What ONNX calls the operand.
        operand: &'static str,
        /// The value.
        value: String,
        /// Its element type.
        found: &'static str,
        /// Those that ONNX allows.
        allowed: Vec<&'static str>,
    },
    /// Two operands must have one type.
    #[error(
        "node `{node}` ({op}): {operand} `{value}` has elements of type {found} where {other} has {expected}; ONNX \
        has one type for both"
    )]
    Unequal {
        /// The node.
        node: String,
        /// Its operator.
        op: String,
        /// What ONNX calls the operand.
        operand: &'static str,
        /// The value.
        value: String,
        /// Its element type.
        found: &'static str,
        /// The operand before it.
        other: &'static str,
        /// Its element type.
        expected: &'static str,
    },
    /// A result or input of a graph has another type than the graph says.
    #[error("`{value}` has elements of type {found}, and the graph says {said}")]
    Declared {
        /// The value.
        value: String,
        /// Its element type.
        found: &'static str,
        /// What the graph says.
        said: &'static str,
    },
}

impl Mistyped {
    /// The same with another name of its node.
    pub fn named(self, name: impl Fn(String) -> String) -> Self {
        match self {
            Self::Element { node, op, operand, value, found, allowed } => {
                Self::Element { node: name(node), op, operand, value, found, allowed }
            }
            Self::Unequal { node, op, operand, value, found, other, expected } => {
                Self::Unequal { node: name(node), op, operand, value, found, other, expected }
            }
            Self::Declared { .. } => self,
        }
    }
}

/// Most faults that are looked for.
const MAX_FAULTS: usize = 16;

/// Element types by the names of values, in a graph and those around it.
#[derive(Debug)]
struct Scope<'a> {
    around: Option<&'a Scope<'a>>,
    types: BTreeMap<&'a str, i32>,
}

impl Scope<'_> {
    fn get(&self, value: &str) -> Option<i32> {
        self.types.get(value).copied().or_else(|| self.around?.get(value))
    }
}

/// The element types of a graph's values, as far as they follow, and everything whose type does not fit; `outside` are the types
/// of initialisers that are not in the message.
pub fn followed<'a>(
    graph: &'a GraphProto,
    outside: impl Iterator<Item = (&'a str, i32)>,
    opset: i64,
) -> (BTreeMap<String, i32>, Vec<Mistyped>) {
    let mut scope = Scope { around: None, types: outside.collect() };
    let mut found = Vec::new();
    walk(graph, &mut scope, opset, &mut found);
    found.truncate(MAX_FAULTS);
    (scope.types.into_iter().map(|(value, element)| (value.to_owned(), element)).collect(), found)
}

/// Follows the types through a graph; gives those of its outputs, as far as they follow.
fn walk<'a>(graph: &'a GraphProto, scope: &mut Scope<'a>, opset: i64, found: &mut Vec<Mistyped>) -> Vec<Option<i32>> {
    let inputs = graph.input.iter().filter_map(|input| Some((input.name.as_str(), declared(input)?)));
    scope.types.extend(inputs);
    scope.types.extend(graph.initializer.iter().map(|tensor| (tensor.name.as_str(), tensor.data_type)));
    for node in &graph.node {
        if found.len() >= MAX_FAULTS {
            return vec![];
        }
        let results = results(node, scope, opset, found);
        let named = node.output.iter().zip(results).filter(|(output, _)| !output.is_empty());
        let known = named.filter_map(|(output, element)| Some((output.as_str(), element?)));
        scope.types.extend(known);
    }
    let outputs = graph.output.iter().map(|output| {
        let (element, said) = (scope.get(&output.name), declared(output));
        if let (Some(element), Some(said)) = (element, said)
            && element != said
        {
            let (value, found_) = (output.name.clone(), element_name(element));
            found.push(Mistyped::Declared { value, found: found_, said: element_name(said) });
        }
        element.or(said)
    });
    outputs.collect()
}

/// The element type that a graph says of a tensor.
pub fn declared(info: &ValueInfoProto) -> Option<i32> {
    let type_proto::Value::TensorType(tensor) = info.r#type.as_ref()?.value.as_ref()?;
    Some(tensor.elem_type).filter(|element| *element != 0)
}

/// Types of a node's results, as far as they follow.
fn results(node: &NodeProto, scope: &Scope<'_>, opset: i64, found: &mut Vec<Mistyped>) -> Vec<Option<i32>> {
    let bodies = bodies(node, scope, opset, found);
    let Some(schema) = schema(node, opset) else { return bodies.unwrap_or_else(|| vec![None; node.output.len()]) };
    let bound = bind(node, schema, |value| scope.get(value), found);
    let inside = |position: usize| bodies.as_ref().and_then(|types| types.get(position).copied().flatten());
    let result = |position: usize| inside(position).or_else(|| result(node, schema, &bound, position));
    (0..node.output.len()).map(result).collect()
}

/// Types of the results of a node without a body, from those of its operands; `None` where no schema has it.
pub fn of_results(node: &NodeProto, opset: i64, known: impl Fn(&str) -> Option<i32>) -> Option<Vec<Option<i32>>> {
    let schema = schema(node, opset)?;
    let bound = bind(node, schema, known, &mut Vec::new());
    Some((0..node.output.len()).map(|position| result(node, schema, &bound, position)).collect())
}

/// The schema in force; of an operator that came later, as steps of rewrites may be, its first.
pub(super) fn schema(node: &NodeProto, opset: i64) -> Option<&'static Schema> {
    let domain = if node.domain == "ai.onnx" { "" } else { &node.domain };
    if domain.is_empty() {
        return in_force(&node.op_type, opset).or_else(|| versions(&node.op_type).first());
    }
    in_force(&format!("{domain}.{}", node.op_type), 1)
}

/// What variables stand for, each with the operand that says it.
type Bound = BTreeMap<&'static str, (i32, &'static str)>;

fn result(node: &NodeProto, schema: &Schema, bound: &Bound, position: usize) -> Option<i32> {
    let formal = formal(&schema.outputs, position)?;
    let said = || formal.variable.and_then(|variable| bound.get(variable).map(|(element, _)| *element));
    let element = formal.elements.only().or_else(said).or_else(|| asked_for(node, schema));
    element.filter(|element| formal.elements.has(*element))
}

/// What ONNX says of the operand at a position.
fn formal(formals: &[Formal], position: usize) -> Option<&Formal> {
    let repeated = || formals.last().filter(|last| matches!(last.arity, Arity::Repeated(_)));
    formals.get(position).or_else(repeated)
}

/// Holds the types of a node's operands against its schema; gives what each variable stands for, and for which operand.
fn bind(node: &NodeProto, schema: &Schema, known: impl Fn(&str) -> Option<i32>, found: &mut Vec<Mistyped>) -> Bound {
    let mut bound = Bound::new();
    for (position, value) in node.input.iter().enumerate().filter(|(_, value)| !value.is_empty()) {
        let (Some(formal), Some(element)) = (formal(&schema.inputs, position), known(value)) else { continue };
        let (label, op, value) = (label(node), node.op_type.clone(), value.clone());
        if !formal.elements.has(element) {
            let allowed = formal.elements.names().collect();
            let (operand, is) = (formal.name, element_name(element));
            found.push(Mistyped::Element { node: label, op, operand, value, found: is, allowed });
            continue;
        }
        let Some(variable) = formal.variable else { continue };
        let (expected, other) = *bound.entry(variable).or_insert((element, formal.name));
        if expected != element {
            let (operand, is, expected) = (formal.name, element_name(element), element_name(expected));
            found.push(Mistyped::Unequal { node: label, op, operand, value, found: is, other, expected });
        }
    }
    bound
}

/// Attributes that name the element type of a result.
const RESULT_TYPES: [&str; 4] = ["to", "dtype", "output_dtype", "output_datatype"];

/// The type that a node asks for with an attribute, where no operand says it.
fn asked_for(node: &NodeProto, schema: &Schema) -> Option<i32> {
    let attribute = |name: &str| node.attribute.iter().find(|attribute| attribute.name == name);
    match node.op_type.as_str() {
        "Constant" => return node.attribute.first().and_then(constant),
        "ConstantOfShape" => {
            let value = attribute("value").and_then(|attribute| attribute.t.as_ref());
            return Some(value.map_or(DataType::Float as i32, |tensor| tensor.data_type));
        }
        _ => {}
    }
    let formal = |name: &&str| schema.attributes.iter().find(|attribute| attribute.name == *name);
    let asked = RESULT_TYPES.iter().filter_map(formal).find_map(|formal| match attribute(formal.name) {
        // The first version of Cast names it in words.
        Some(attribute) if formal.kind == Kind::String => {
            element_number(&String::from_utf8_lossy(&attribute.s).to_lowercase())
        }
        Some(attribute) => i32::try_from(attribute.i).ok(),
        None => default(formal),
    });
    let quantized = node.op_type == "QuantizeLinear";
    asked.filter(|element| *element != 0).or_else(|| quantized.then_some(DataType::Uint8 as i32))
}

fn default(formal: &FormalAttribute) -> Option<i32> {
    match formal.absent {
        Absent::Value(value) => value.parse().ok(),
        Absent::Forbidden | Absent::Unsaid => None,
    }
}

/// The type of a `Constant`.
fn constant(attribute: &AttributeProto) -> Option<i32> {
    let element = match attribute.name.as_str() {
        "value" => return attribute.t.as_ref().map(|tensor| tensor.data_type),
        "value_float" | "value_floats" => DataType::Float,
        "value_int" | "value_ints" => DataType::Int64,
        "value_string" | "value_strings" => DataType::String,
        _ => return None,
    };
    Some(element as i32)
}

/// Types of the results of a node's body or branches, which are held against the schemas as well; `None` where it has none.
fn bodies(node: &NodeProto, scope: &Scope<'_>, opset: i64, found: &mut Vec<Mistyped>) -> Option<Vec<Option<i32>>> {
    let mut results: Option<Vec<Option<i32>>> = None;
    for body in node.attribute.iter().flat_map(|attribute| attribute.g.iter().chain(&attribute.graphs)) {
        let mut inside = Scope { around: Some(scope), types: BTreeMap::new() };
        if node.op_type == "Scan" {
            for (input, operand) in body.input.iter().zip(&node.input) {
                if let Some(element) = scope.get(operand) {
                    inside.types.insert(&input.name, element);
                    let said = declared(input).filter(|said| *said != element);
                    found.extend(said.map(|said| Mistyped::Declared {
                        value: operand.clone(),
                        found: element_name(element),
                        said: element_name(said),
                    }));
                }
            }
        }
        let types = walk(body, &mut inside, opset, found);
        match &mut results {
            None => results = Some(types),
            // Branches that disagree say nothing.
            Some(known) => known.iter_mut().zip(types).for_each(|(known, other)| {
                if *known != other {
                    *known = None;
                }
            }),
        }
    }
    results
}
