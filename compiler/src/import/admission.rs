//! What a model asks of its operators, held against ONNX and the registry before anything is translated.
//!
//! Takes the message; returns the version of the standard operators, or every node that asks for something that is not implemented:
//! an operator, a version of it, an attribute, a value of one, an operand. An attribute at its default is as good as none. So
//! nothing that a node says can be read over, whatever the stages below look at. Bodies of `Scan` are looked into. It
//! deliberately knows no element types and no shapes.

use super::conditions::chooses;
use super::error::ImportError;
use super::reason::{Reason, Unsupported};
use crate::import::schema::{Absent, Arity, Formal, FormalAttribute, Kind, Schema, in_force, newest_opset};
use crate::import::support::{Operator, Support, find};
use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::{AttributeProto, GraphProto, ModelProto, NodeProto};

/// The newest version of ONNX Runtime's operators.
const NEWEST_CONTRIBUTED: i64 = 1;

/// From this version of the format on, a model has to say which operators it means; before, there was one version of them.
const FORMAT_WITH_OPSETS: i64 = 3;

/// Attributes that say nothing about the result: a hint of the first operators about memory.
const SILENT: &[&str] = &["consumed_inputs"];

/// The version of the standard operators that a model asks for.
///
/// # Errors
/// A version that is not known, several, or none where nodes need one.
pub fn opset(model: &ModelProto) -> Result<i64, ImportError> {
    let standard = version_of(model, "")?;
    if let Some(version) = version_of(model, "com.microsoft")?
        && version != NEWEST_CONTRIBUTED
    {
        return Err(ImportError::OpsetUnknown {
            domain: "com.microsoft".to_owned(),
            version,
            newest: NEWEST_CONTRIBUTED,
        });
    }
    match standard {
        Some(version) if (1..=newest_opset()).contains(&version) => Ok(version),
        Some(version) => Err(ImportError::OpsetUnknown { domain: String::new(), version, newest: newest_opset() }),
        None if model.ir_version < FORMAT_WITH_OPSETS => Ok(1),
        None => match model.graph.as_ref().and_then(first_standard_node) {
            Some(node) => Err(ImportError::OpsetMissing { node: super::structure::label(node) }),
            // Rewrites write standard operators in the form of some version.
            None => Ok(newest_opset()),
        },
    }
}

/// A domain under the one of its names that is used here.
pub fn canonical(domain: &str) -> &str {
    if domain == "ai.onnx" { "" } else { domain }
}

fn version_of(model: &ModelProto, domain: &str) -> Result<Option<i64>, ImportError> {
    let mut versions: Vec<i64> =
        model.opset_import.iter().filter(|set| canonical(&set.domain) == domain).map(|set| set.version).collect();
    versions.sort_unstable();
    versions.dedup();
    match versions.as_slice() {
        [] => Ok(None),
        [version] => Ok(Some(*version)),
        _ => Err(ImportError::OpsetTwice { domain: domain.to_owned(), versions }),
    }
}

fn bodies(node: &NodeProto) -> impl Iterator<Item = &GraphProto> {
    node.attribute.iter().flat_map(|attribute| attribute.g.iter().chain(&attribute.graphs))
}

fn first_standard_node(graph: &GraphProto) -> Option<&NodeProto> {
    graph.node.iter().find_map(|node| match canonical(&node.domain) {
        "" => Some(node),
        _ => bodies(node).find_map(first_standard_node),
    })
}

/// Refuses nodes that ask for what is not implemented.
///
/// # Errors
/// [`ImportError::Unsupported`], with all of them.
pub fn check(nodes: &[NodeProto], opset: i64) -> Result<(), ImportError> {
    unsupported(nodes, opset).or(())
}

/// Every node that asks for what is not implemented, those of bodies under the name of the node around them.
pub fn unsupported(nodes: &[NodeProto], opset: i64) -> Unsupported {
    let mut found = Unsupported::default();
    for node in nodes {
        collect(node, &node.name, opset, &mut found);
    }
    found
}

fn collect(node: &NodeProto, name: &str, opset: i64, found: &mut Unsupported) {
    let domain = canonical(&node.domain);
    let full_name = if domain.is_empty() { node.op_type.clone() } else { format!("{domain}.{}", node.op_type) };
    // tract looks up operators by name alone, so other domains must not reach it.
    let Some(row) = find(domain, &node.op_type) else {
        found.add(&full_name, None, name);
        return;
    };
    match row.support {
        Support::Refused(reason) => {
            found.add(&full_name, Some(reason.into()), name);
            return;
        }
        Support::Full | Support::Limited(_) => {
            let version = if domain.is_empty() { opset } else { NEWEST_CONTRIBUTED };
            for reason in reasons(row, node, version) {
                found.add(&full_name, Some(reason), name);
            }
        }
    }
    // Branches become nodes of the graph, as far as they are needed, and are checked then.
    if !chooses(node) {
        for inner in bodies(node).flat_map(|body| &body.node) {
            collect(inner, name, opset, found);
        }
    }
}

/// Everything that stands against a node.
fn reasons(row: &Operator, node: &NodeProto, opset: i64) -> Vec<Reason> {
    let Some(schema) = in_force(&row.full_name(), opset) else { return vec![Reason::NotYet(opset)] };
    if !row.versions.contains(&schema.since) {
        return vec![Reason::Version(schema.since)];
    }
    let mut found = Vec::new();
    for (index, attribute) in node.attribute.iter().enumerate() {
        if node.attribute[..index].iter().any(|earlier| earlier.name == attribute.name) {
            found.push(Reason::AttributeTwice(attribute.name.clone()));
        } else {
            found.extend(attribute_reason(row, schema, attribute));
        }
    }
    let given = |formal: &FormalAttribute| node.attribute.iter().any(|attribute| attribute.name == formal.name);
    let needed = |formal: &FormalAttribute| formal.absent == Absent::Forbidden && !SILENT.contains(&formal.name);
    let missing = schema.attributes.iter().filter(|formal| needed(formal) && !given(formal));
    found.extend(missing.map(|formal| Reason::WithoutAttribute(formal.name)));
    found.extend(operand_reasons(row, "inputs", &schema.inputs, &node.input));
    found.extend(operand_reasons(row, "outputs", &schema.outputs, &node.output));
    found
}

fn attribute_reason(row: &Operator, schema: &Schema, given: &AttributeProto) -> Option<Reason> {
    let name = given.name.clone();
    let Some(formal) = schema.attributes.iter().find(|formal| formal.name == name) else {
        return Some(Reason::UnknownAttribute { name, since: schema.since });
    };
    if !given.ref_attr_name.is_empty() {
        return Some(Reason::AttributeReference(name));
    }
    let found = given.r#type();
    if found != AttributeType::Undefined && kind(found) != Some(formal.kind) {
        return Some(Reason::AttributeType { name, found });
    }
    if SILENT.contains(&formal.name) || is_default(formal, given) {
        return None;
    }
    let value = value(given, formal.kind);
    match row.values_of(formal.name) {
        Some(values) if values.is_empty() => None,
        Some(values) if value.as_deref().is_some_and(|value| values.contains(&value)) => None,
        Some(_) | None => Some(Reason::Attribute { name, value }),
    }
}

fn operand_reasons(row: &Operator, side: &'static str, formals: &[Formal], given: &[String]) -> Vec<Reason> {
    let mut found = Vec::new();
    let repeats = formals.last().is_some_and(|last| matches!(last.arity, Arity::Repeated(_)));
    if given.len() > formals.len() && !repeats {
        found.push(Reason::TooMany { side, found: given.len(), most: formals.len() });
    }
    for (position, formal) in formals.iter().enumerate() {
        let is_given = given.get(position).is_some_and(|name| !name.is_empty());
        match formal.arity {
            Arity::Needed if !is_given => found.push(Reason::WithoutOperand(formal.name)),
            Arity::Optional if is_given && !row.takes(formal.name) => found.push(Reason::Operand(formal.name)),
            Arity::Repeated(least) if given.len() < least => found.push(Reason::WithoutOperand(formal.name)),
            // One of many that is left out has no meaning.
            Arity::Repeated(_) if side == "inputs" && given.iter().skip(position).any(String::is_empty) => {
                found.push(Reason::WithoutOperand(formal.name));
            }
            Arity::Needed | Arity::Optional | Arity::Repeated(_) => {}
        }
    }
    found
}

/// Whether leaving an attribute away would say the same.
fn is_default(formal: &FormalAttribute, given: &AttributeProto) -> bool {
    let Absent::Value(default) = formal.absent else { return false };
    match formal.kind {
        Kind::Float => default.parse() == Ok(given.f),
        Kind::String => value(given, formal.kind).is_some_and(|value| default == format!("\"{value}\"")),
        Kind::Int
        | Kind::Ints
        | Kind::Floats
        | Kind::Strings
        | Kind::Tensor
        | Kind::Graph
        | Kind::SparseTensor
        | Kind::TypeProto => value(given, formal.kind).is_some_and(|value| value == default),
    }
}

/// An attribute in one line; `None` where it is no number, text or list.
fn value(given: &AttributeProto, kind: Kind) -> Option<String> {
    fn list<T: std::fmt::Display>(values: impl Iterator<Item = T>) -> String {
        format!("[{}]", values.map(|value| value.to_string()).collect::<Vec<_>>().join(","))
    }
    match kind {
        Kind::Int => Some(given.i.to_string()),
        Kind::Float => Some(given.f.to_string()),
        Kind::String => Some(String::from_utf8_lossy(&given.s).into_owned()),
        Kind::Ints => Some(list(given.ints.iter())),
        Kind::Floats => Some(list(given.floats.iter())),
        Kind::Strings => Some(list(given.strings.iter().map(|s| format!("\"{}\"", String::from_utf8_lossy(s))))),
        Kind::Tensor | Kind::Graph | Kind::SparseTensor | Kind::TypeProto => None,
    }
}

const fn kind(found: AttributeType) -> Option<Kind> {
    match found {
        AttributeType::Float => Some(Kind::Float),
        AttributeType::Int => Some(Kind::Int),
        AttributeType::String => Some(Kind::String),
        AttributeType::Tensor => Some(Kind::Tensor),
        AttributeType::Graph => Some(Kind::Graph),
        AttributeType::SparseTensor => Some(Kind::SparseTensor),
        AttributeType::TypeProto => Some(Kind::TypeProto),
        AttributeType::Floats => Some(Kind::Floats),
        AttributeType::Ints => Some(Kind::Ints),
        AttributeType::Strings => Some(Kind::Strings),
        AttributeType::Undefined
        | AttributeType::Tensors
        | AttributeType::Graphs
        | AttributeType::SparseTensors
        | AttributeType::TypeProtos => None,
    }
}
