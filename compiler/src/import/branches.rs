//! `If` nodes replaced by the branch that is taken, or by both and a selection.
//!
//! The branch's own names get the node's name in front, since branches of different nodes may use the same ones. Constants of
//! the model are looked up here; what follows from shapes is found in `conditions.rs`. Where a condition depends on data, both
//! branches are computed and the results of one are selected, which have to have the shapes of the other's.

use super::builders::SELECT;
use super::conditions::chooses;
use std::collections::{BTreeMap, BTreeSet};
use tract_onnx::pb::{GraphProto, NodeProto, TensorProto};

/// Takes every branch that is known to be taken, those inside taken branches included; `conditions` are values that are known
/// beside the constants. Returns the names of the nodes that came out of branches.
pub fn take(graph: &mut GraphProto, conditions: &BTreeMap<String, bool>) -> BTreeSet<String> {
    let mut done = Vec::with_capacity(graph.node.len());
    let mut came = BTreeSet::new();
    let mut todo: Vec<NodeProto> = std::mem::take(&mut graph.node).into_iter().rev().collect();
    while let Some(node) = todo.pop() {
        match taken(graph, &done, &node, conditions) {
            Some(branch) => {
                let nodes = spliced(graph, &node, branch);
                came.remove(&node.name);
                came.extend(nodes.iter().map(|node| node.name.clone()));
                todo.extend(nodes.into_iter().rev());
            }
            None => done.push(node),
        }
    }
    graph.node = done;
    came
}

/// Replaces every `If` that is left by both of its branches. Returns the names of the nodes that came out of them.
pub fn compute_both(graph: &mut GraphProto) -> BTreeSet<String> {
    let mut done = Vec::with_capacity(graph.node.len());
    let mut came = BTreeSet::new();
    for node in std::mem::take(&mut graph.node) {
        let halves =
            [("then", "then_branch"), ("else", "else_branch")].map(|(half, name)| Some((half, branch(&node, name)?)));
        let (true, [Some(taken), Some(other)]) = (chooses(&node), halves) else {
            done.push(node);
            continue;
        };
        let mut results = Vec::new();
        for (half, branch) in [taken, other] {
            let name = format!("{}.{half}", node.name);
            let output: Vec<String> = (0..node.output.len()).map(|position| format!("{name}.{position}")).collect();
            let stand_in = NodeProto { name, output: output.clone(), ..node.clone() };
            let nodes = spliced(graph, &stand_in, branch);
            came.extend(nodes.iter().map(|node| node.name.clone()));
            done.extend(nodes);
            results.push(output);
        }
        for (position, output) in node.output.iter().enumerate() {
            let name = if position == 0 { node.name.clone() } else { format!("{}.{position}", node.name) };
            let operands = results.iter().map(|output| output[position].clone());
            done.push(NodeProto {
                name,
                op_type: SELECT.to_owned(),
                input: node.input.iter().take(1).cloned().chain(operands).collect(),
                output: vec![output.clone()],
                ..NodeProto::default()
            });
        }
    }
    graph.node = done;
    came
}

/// A branch that has no inputs of its own and as many outputs as the node.
fn branch(node: &NodeProto, name: &str) -> Option<GraphProto> {
    let branch = node.attribute.iter().find(|a| a.name == name)?.g.clone()?;
    (branch.input.is_empty() && branch.output.len() == node.output.len()).then_some(branch)
}

/// The branch of an `If` with a known condition.
fn taken(
    graph: &GraphProto,
    before: &[NodeProto],
    node: &NodeProto,
    conditions: &BTreeMap<String, bool>,
) -> Option<GraphProto> {
    if !chooses(node) {
        return None;
    }
    let name = node.input.first()?;
    let initialiser = graph.initializer.iter().find(|t| t.name == *name);
    let constant = || {
        let source = before.iter().find(|n| n.op_type == "Constant" && n.output.first() == Some(name))?;
        source.attribute.iter().find(|a| a.name == "value")?.t.as_ref()
    };
    let known = conditions.get(name).copied();
    let condition = known.or_else(|| boolean(initialiser.or_else(constant)?))?;
    branch(node, if condition { "then_branch" } else { "else_branch" })
}

/// The value of a tensor of one element.
fn boolean(tensor: &TensorProto) -> Option<bool> {
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
