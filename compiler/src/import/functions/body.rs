//! The nodes of a function under the names, and with the attributes, of one call of it.
//!
//! Every name of the body that is no operand and no result of the function gets the call's prefix, names inside bodies of its
//! nodes included, so that nothing meets a name of the graph around the call, and what the function does not define stays
//! undefined. Deliberately not here: whether call and function fit, and what is called (`mod.rs`).

use super::message::Function;
use prost::Message as _;
use std::collections::{BTreeMap, BTreeSet};
use tract_onnx::pb::{AttributeProto, GraphProto, NodeProto};

/// What the names and attributes of a body stand for in one call.
pub struct Call<'a> {
    /// In front of the names that are the body's own.
    prefix: &'a str,
    /// Operands and results of the function, by their names in it.
    names: BTreeMap<&'a str, &'a str>,
    /// Attributes that are given, or have a default, by their names in the function, with their bytes.
    attributes: BTreeMap<&'a str, (&'a AttributeProto, u64)>,
    /// Bytes of the longest of the names that are put into the body.
    longest: u64,
}

impl<'a> Call<'a> {
    /// What `node` makes of `function`. With it, the results that need a copy: those that are operands, or other results, too.
    pub fn of(node: &'a NodeProto, function: &'a Function, prefix: &'a str) -> (Self, Vec<(&'a str, &'a str)>) {
        let left_out = std::iter::repeat("");
        let operands = node.input.iter().map(String::as_str).chain(left_out);
        let mut names: BTreeMap<&str, &str> = function.input.iter().map(String::as_str).zip(operands).collect();
        let made: BTreeSet<&str> = function.node.iter().flat_map(|n| &n.output).map(String::as_str).collect();
        let mut copied = Vec::new();
        let given = function.output.iter().zip(&node.output).filter(|(_, actual)| !actual.is_empty());
        for (formal, actual) in given {
            if made.contains(formal.as_str()) && !names.contains_key(formal.as_str()) {
                names.insert(formal, actual);
            } else {
                copied.push((formal.as_str(), actual.as_str()));
            }
        }
        let defaults = function.attribute_proto.iter();
        let attributes =
            defaults.chain(&node.attribute).map(|a| (a.name.as_str(), (a, a.encoded_len() as u64))).collect();
        let longest = names.values().map(|name| name.len()).max().unwrap_or(0).max(prefix.len()) as u64;
        (Self { prefix, names, attributes, longest }, copied)
    }

    /// A name of the body.
    pub fn name(&self, own: &str) -> String {
        match self.names.get(own) {
            Some(other) => (*other).to_owned(),
            None if own.is_empty() => String::new(),
            None => format!("{}{own}", self.prefix),
        }
    }

    /// A node of the body, in the graph around the call.
    pub fn node(&self, node: &NodeProto) -> NodeProto {
        let all = |names: &[String]| names.iter().map(|name| self.name(name)).collect();
        NodeProto {
            name: if node.name.is_empty() { String::new() } else { format!("{}{}", self.prefix, node.name) },
            input: all(&node.input),
            output: all(&node.output),
            attribute: node.attribute.iter().filter_map(|attribute| self.attribute(attribute)).collect(),
            op_type: node.op_type.clone(),
            domain: node.domain.clone(),
            ..NodeProto::default()
        }
    }

    /// An attribute, `None` for one of the function that the call leaves out.
    fn attribute(&self, attribute: &AttributeProto) -> Option<AttributeProto> {
        if !attribute.ref_attr_name.is_empty() {
            let (given, _) = *self.attributes.get(attribute.ref_attr_name.as_str())?;
            return Some(AttributeProto { name: attribute.name.clone(), ..given.clone() });
        }
        let graphs = attribute.graphs.iter().map(|graph| self.graph(graph)).collect();
        let g = attribute.g.as_ref().map(|graph| self.graph(graph));
        // Not cloned whole: graphs may be large.
        let rest = if g.is_none() { attribute.clone() } else { AttributeProto::default() };
        Some(AttributeProto { name: attribute.name.clone(), r#type: attribute.r#type, g, graphs, ..rest })
    }

    /// The body of a node of the body.
    fn graph(&self, graph: &GraphProto) -> GraphProto {
        let mut graph = graph.clone();
        graph.node = graph.node.iter().map(|node| self.node(node)).collect();
        let infos = graph.input.iter_mut().chain(&mut graph.output).chain(&mut graph.value_info);
        infos.for_each(|info| info.name = self.name(&info.name));
        graph.initializer.iter_mut().for_each(|tensor| tensor.name = self.name(&tensor.name));
        graph
    }

    /// Bytes that copying a node may take, at most: of the message, and of names, attributes and graphs that are put into it.
    pub fn bytes_of(&self, node: &NodeProto) -> u64 {
        let mut bytes = node.encoded_len() as u64;
        visit(node, &mut |node| {
            let names = (1 + node.input.len() + node.output.len()) as u64;
            let given = node.attribute.iter().filter_map(|a| self.attributes.get(a.ref_attr_name.as_str()));
            let given = given.fold(0_u64, |sum, (_, bytes)| sum.saturating_add(*bytes));
            let graphs = node.attribute.iter().flat_map(|a| a.g.iter().chain(&a.graphs));
            let ports = |g: &GraphProto| g.input.len() + g.output.len() + g.value_info.len() + g.initializer.len();
            let ports: u64 = graphs.map(|graph| ports(graph) as u64).sum();
            bytes = bytes.saturating_add(given).saturating_add((names + ports).saturating_mul(self.longest));
        });
        bytes
    }
}

/// Calls `seen` with a node and with the nodes of its bodies.
pub fn visit<'a>(node: &'a NodeProto, seen: &mut impl FnMut(&'a NodeProto)) {
    seen(node);
    for inner in node.attribute.iter().flat_map(|a| a.g.iter().chain(&a.graphs)).flat_map(|graph| &graph.node) {
        visit(inner, seen);
    }
}
