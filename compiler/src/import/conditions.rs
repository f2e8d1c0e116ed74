//! Conditions of `If` nodes that follow from constants and shapes.
//!
//! Takes a graph whose inputs have fixed shapes; gives the values of conditions that tract can fold: of the nodes that a
//! condition depends on, and nothing else, since a branch that is not taken may well be malformed. Branches are taken one
//! level at a time, until no condition is left or none follows. It deliberately does not look into conditions that depend on
//! another `If`: that one comes first.

use super::failure::Stage;
use super::kernel_op::{self, KernelNode};
use super::preflight::{fold, guard};
use super::tract::{guarded, onnx};
use std::collections::{BTreeMap, BTreeSet};
use tract_onnx::pb::{GraphProto, ModelProto, NodeProto, ValueInfoProto};
use tract_onnx::prelude::{InferenceModelExt, TractError};

/// Whether the node chooses between branches.
pub fn chooses(node: &NodeProto) -> bool {
    node.op_type == "If" && matches!(node.domain.as_str(), "" | "ai.onnx")
}

/// Values of the conditions that are known, by name. `message` holds every weight, as a value or as an input.
pub fn known(message: &ModelProto, kernel_ops: &BTreeMap<String, KernelNode>) -> BTreeMap<String, bool> {
    let Some(graph) = &message.graph else { return BTreeMap::new() };
    let makers: BTreeMap<&str, usize> = graph
        .node
        .iter()
        .enumerate()
        .flat_map(|(index, node)| node.output.iter().map(move |output| (output.as_str(), index)))
        .collect();
    let conditions: BTreeSet<&str> = graph
        .node
        .iter()
        .filter(|node| chooses(node))
        .filter_map(|node| node.input.first())
        .map(String::as_str)
        .collect();
    let together: Vec<(&str, BTreeSet<usize>)> = conditions
        .into_iter()
        .map(|condition| (condition, ancestors(graph, &makers, condition)))
        .filter(|(_, nodes)| nodes.iter().all(|index| !chooses(&graph.node[*index])))
        .collect();
    // One that cannot be folded must not hide the others.
    together
        .into_iter()
        .filter_map(|(condition, nodes)| Some((condition.to_owned(), value(message, &nodes, condition, kernel_ops)?)))
        .collect()
}

/// Nodes that a value depends on.
fn ancestors(graph: &GraphProto, makers: &BTreeMap<&str, usize>, value: &str) -> BTreeSet<usize> {
    let mut found = BTreeSet::new();
    let mut todo = vec![value.to_owned()];
    while let Some(name) = todo.pop() {
        if let Some(index) = makers.get(name.as_str())
            && found.insert(*index)
        {
            read_names(&graph.node[*index], &mut todo);
        }
    }
    found
}

/// Names that a node reads, those inside its subgraphs included.
fn read_names(node: &NodeProto, names: &mut Vec<String>) {
    names.extend(node.input.iter().filter(|name| !name.is_empty()).cloned());
    for inner in node.attribute.iter().flat_map(|a| a.g.iter().chain(&a.graphs)) {
        inner.node.iter().for_each(|node| read_names(node, names));
        names.extend(inner.output.iter().map(|output| output.name.clone()));
    }
}

/// The value of one condition, when it follows.
fn value(
    message: &ModelProto,
    nodes: &BTreeSet<usize>,
    condition: &str,
    kernel_ops: &BTreeMap<String, KernelNode>,
) -> Option<bool> {
    let graph = message.graph.as_ref()?;
    let node: Vec<NodeProto> = nodes.iter().map(|index| graph.node[*index].clone()).collect();
    let mut read = vec![condition.to_owned()];
    node.iter().for_each(|node| read_names(node, &mut read));
    let read: BTreeSet<String> = read.into_iter().collect();
    let part = GraphProto {
        node,
        input: graph.input.iter().filter(|input| read.contains(&input.name)).cloned().collect(),
        initializer: graph.initializer.iter().filter(|tensor| read.contains(&tensor.name)).cloned().collect(),
        output: vec![ValueInfoProto { name: condition.to_owned(), ..ValueInfoProto::default() }],
        ..GraphProto::default()
    };
    let part = ModelProto {
        graph: Some(part),
        opset_import: message.opset_import.clone(),
        ir_version: message.ir_version,
        ..ModelProto::default()
    };
    let folded = guarded(Stage::Simplify, || {
        let mut model = onnx().parse(&part, None)?.model;
        kernel_op::put(&mut model, kernel_ops);
        part.graph.iter().for_each(|graph| guard::put(&mut model, graph));
        let model = fold::decluttered(model.into_typed()?)?;
        let konst = model.output_fact(0)?.konst.clone();
        let konst = konst.ok_or_else(|| TractError::msg("the condition depends on data"))?;
        Ok(*konst
            .cast_to::<bool>()?
            .try_as_plain_ram()?
            .as_slice::<bool>()?
            .first()
            .ok_or_else(|| TractError::msg("an empty condition"))?)
    });
    folded.ok()
}
