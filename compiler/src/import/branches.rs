//! `If` nodes whose condition is a constant of the model, replaced by the branch that is taken.
//!
//! The branch's own names get the node's name in front, since branches of different nodes may use the same ones. Conditions
//! that are computed are left to tract.

use std::collections::{BTreeMap, BTreeSet};
use tract_onnx::pb::{GraphProto, NodeProto, TensorProto};

/// Takes every branch that is known to be taken, those inside taken branches included.
pub fn take(graph: &mut GraphProto) {
    let mut done = Vec::with_capacity(graph.node.len());
    let mut todo: Vec<NodeProto> = std::mem::take(&mut graph.node).into_iter().rev().collect();
    while let Some(node) = todo.pop() {
        match taken(graph, &done, &node) {
            Some(branch) => todo.extend(spliced(graph, &node, branch).into_iter().rev()),
            None => done.push(node),
        }
    }
    graph.node = done;
}

/// The branch of an `If` with a known condition.
fn taken(graph: &GraphProto, before: &[NodeProto], node: &NodeProto) -> Option<GraphProto> {
    if node.op_type != "If" || !matches!(node.domain.as_str(), "" | "ai.onnx") {
        return None;
    }
    let name = node.input.first()?;
    let initialiser = graph.initializer.iter().find(|t| t.name == *name);
    let constant = || {
        let source = before.iter().find(|n| n.op_type == "Constant" && n.output.first() == Some(name))?;
        source.attribute.iter().find(|a| a.name == "value")?.t.as_ref()
    };
    let condition = truth(initialiser.or_else(constant)?)?;
    let wanted = if condition { "then_branch" } else { "else_branch" };
    let branch = node.attribute.iter().find(|a| a.name == wanted)?.g.clone()?;
    (branch.input.is_empty() && branch.output.len() == node.output.len()).then_some(branch)
}

fn truth(tensor: &TensorProto) -> Option<bool> {
    match (tensor.raw_data.as_slice(), tensor.int32_data.as_slice()) {
        ([byte], _) => Some(*byte != 0),
        ([], [value]) => Some(*value != 0),
        _ => None,
    }
}

/// The nodes of a branch under names of their own, its outputs being those of the node. Its constants go into the graph.
fn spliced(graph: &mut GraphProto, node: &NodeProto, mut branch: GraphProto) -> Vec<NodeProto> {
    let own = |name: &str| format!("{}.{name}", node.name);
    let mut names: BTreeMap<String, String> =
        defined(&branch).into_iter().map(|name| (name.clone(), own(&name))).collect();
    let computed: BTreeSet<String> = branch.node.iter().flat_map(|n| n.output.iter().cloned()).collect();
    let mut copies = Vec::new();
    for (inner, outer) in branch.output.iter().zip(&node.output) {
        let first = names.get(&inner.name).is_some_and(|name| *name == own(&inner.name));
        if computed.contains(&inner.name) && first {
            names.insert(inner.name.clone(), outer.clone());
        } else {
            let source = names.get(&inner.name).unwrap_or(&inner.name).clone();
            copies.push(NodeProto {
                name: own(&format!("output.{outer}")),
                op_type: "Identity".to_owned(),
                input: vec![source],
                output: vec![outer.clone()],
                ..NodeProto::default()
            });
        }
    }
    for tensor in &mut branch.initializer {
        rename(&mut tensor.name, &names);
    }
    graph.initializer.append(&mut branch.initializer);
    let mut nodes = std::mem::take(&mut branch.node);
    for (index, inner) in nodes.iter_mut().enumerate() {
        inner.name = own(&if inner.name.is_empty() { index.to_string() } else { inner.name.clone() });
        rename_node(inner, &names);
    }
    nodes.extend(copies);
    nodes
}

fn rename(name: &mut String, names: &BTreeMap<String, String>) {
    if let Some(other) = names.get(name) {
        name.clone_from(other);
    }
}

fn rename_node(node: &mut NodeProto, names: &BTreeMap<String, String>) {
    for name in node.input.iter_mut().chain(&mut node.output) {
        rename(name, names);
    }
    for graph in node.attribute.iter_mut().flat_map(|a| a.g.iter_mut().chain(&mut a.graphs)) {
        let hidden = defined(graph);
        let seen: BTreeMap<String, String> =
            names.iter().filter(|(name, _)| !hidden.contains(*name)).map(|(a, b)| (a.clone(), b.clone())).collect();
        for inner in &mut graph.node {
            rename_node(inner, &seen);
        }
        for output in &mut graph.output {
            rename(&mut output.name, &seen);
        }
    }
}

/// Names that a graph defines itself.
fn defined(graph: &GraphProto) -> BTreeSet<String> {
    let inputs = graph.input.iter().map(|i| i.name.clone());
    let constants = graph.initializer.iter().map(|t| t.name.clone());
    let computed = graph.node.iter().flat_map(|n| n.output.iter().cloned());
    inputs.chain(constants).chain(computed).filter(|name| !name.is_empty()).collect()
}
