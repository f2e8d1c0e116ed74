//! Conditions of `If` nodes that follow from constants and shapes.
//!
//! Takes a graph whose inputs have fixed shapes; returns the values of conditions that tract can fold: of the nodes that a
//! condition depends on, and nothing else, since a branch that is not taken may well be malformed. Branches are taken one
//! level at a time, until no condition is left or none follows. It deliberately does not look into conditions that depend on
//! another `If`: that one comes first.

use super::failure::Stage;
use super::guarded::{guarded, onnx};
use super::kernel_op::{self, KernelNode};
use super::preflight::{fold, guard};
use std::collections::{BTreeMap, BTreeSet};
use tract_onnx::pb::{GraphProto, ModelProto, NodeProto, ValueInfoProto};
use tract_onnx::prelude::{InferenceModelExt, TractError};

/// Whether the node chooses between branches.
pub fn chooses(node: &NodeProto) -> bool {
    node.op_type == "If" && matches!(node.domain.as_str(), "" | "ai.onnx")
}

/// What the conditions of a graph depend on.
pub struct Needed {
    /// Names of the conditions.
    conditions: BTreeSet<String>,
    /// The graph's nodes, inputs and small constants that they depend on. Choices among these are without their branches.
    pub graph: GraphProto,
    /// Every name that is read.
    read: BTreeSet<String>,
}

impl Needed {
    /// Copies what is needed of a graph, which may be large, and nothing else.
    pub fn of(graph: &GraphProto) -> Self {
        let choices = || graph.node.iter().filter(|node| chooses(node));
        let conditions: BTreeSet<String> = choices().filter_map(|node| node.input.first()).cloned().collect();
        let makers = makers(graph);
        let nodes = ancestors(graph, &makers, &conditions);
        let mut read: Vec<String> = conditions.iter().cloned().collect();
        let computed = nodes.iter().map(|index| &graph.node[*index]).filter(|node| !chooses(node));
        computed.for_each(|node| read_names(node, &mut read));
        let read: BTreeSet<String> = read.into_iter().collect();
        let copied = |index: &usize| match &graph.node[*index] {
            choice if chooses(choice) => NodeProto {
                op_type: choice.op_type.clone(),
                input: choice.input.clone(),
                output: choice.output.clone(),
                ..NodeProto::default()
            },
            node => node.clone(),
        };
        let part = GraphProto {
            node: nodes.iter().map(copied).collect(),
            input: graph.input.iter().filter(|input| read.contains(&input.name)).cloned().collect(),
            initializer: graph.initializer.iter().filter(|tensor| read.contains(&tensor.name)).cloned().collect(),
            ..GraphProto::default()
        };
        Self { conditions, graph: part, read }
    }

    /// Whether a condition depends on a value.
    pub fn reads(&self, name: &str) -> bool {
        self.read.contains(name)
    }

    /// Values of the conditions that are known, by name. By now the graph holds every weight that they depend on, as a value or
    /// as an input; `message` is the model that it is of.
    pub fn known(&self, message: &ModelProto, kernel_ops: &BTreeMap<String, KernelNode>) -> BTreeMap<String, bool> {
        let makers = makers(&self.graph);
        // One that cannot be folded must not hide the others.
        let value = |condition: &String| {
            let nodes = ancestors(&self.graph, &makers, [condition]);
            if nodes.iter().any(|index| chooses(&self.graph.node[*index])) {
                return None;
            }
            Some((condition.clone(), value(message, &self.graph, &nodes, condition, kernel_ops)?))
        };
        self.conditions.iter().filter_map(value).collect()
    }
}

/// Positions of the nodes that make values.
fn makers(graph: &GraphProto) -> BTreeMap<&str, usize> {
    let nodes = graph.node.iter().enumerate();
    nodes.flat_map(|(index, node)| node.output.iter().map(move |output| (output.as_str(), index))).collect()
}

/// Nodes that values depend on, up to choices, which come first.
fn ancestors<'n>(
    graph: &GraphProto,
    makers: &BTreeMap<&str, usize>,
    values: impl IntoIterator<Item = &'n String>,
) -> BTreeSet<usize> {
    let mut found = BTreeSet::new();
    let mut todo: Vec<String> = values.into_iter().cloned().collect();
    while let Some(name) = todo.pop() {
        if let Some(index) = makers.get(name.as_str())
            && found.insert(*index)
            && !chooses(&graph.node[*index])
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
    graph: &GraphProto,
    nodes: &BTreeSet<usize>,
    condition: &str,
    kernel_ops: &BTreeMap<String, KernelNode>,
) -> Option<bool> {
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
        match konst.cast_to::<bool>()?.try_as_plain_ram()?.as_slice::<bool>()? {
            [truth] => Ok(*truth),
            other => Err(TractError::msg(format!("a condition of {} elements", other.len()))),
        }
    });
    folded.ok()
}

#[cfg(test)]
mod tests {
    use super::Needed;
    use tract_onnx::pb::{AttributeProto, GraphProto, NodeProto, TensorProto};

    fn node(op: &str, inputs: &[&str], output: &str) -> NodeProto {
        NodeProto {
            name: output.to_owned(),
            op_type: op.to_owned(),
            input: inputs.iter().map(|name| (*name).to_owned()).collect(),
            output: vec![output.to_owned()],
            ..NodeProto::default()
        }
    }

    #[test]
    fn nothing_is_copied_but_what_conditions_depend_on() {
        let mut choice = node("If", &["first"], "chosen");
        let branch = GraphProto { node: vec![node("Relu", &["x"], "r")], ..GraphProto::default() };
        choice.attribute = vec![AttributeProto { g: Some(branch), ..AttributeProto::default() }];
        let tensor = |name: &str| TensorProto { name: name.to_owned(), ..TensorProto::default() };
        let graph = GraphProto {
            node: vec![
                node("Not", &["flag"], "first"),
                node("MatMul", &["x", "weight"], "product"),
                choice,
                node("Equal", &["chosen", "flag"], "second"),
                node("If", &["second"], "last"),
            ],
            initializer: vec![tensor("flag"), tensor("weight")],
            ..GraphProto::default()
        };
        let needed = Needed::of(&graph);
        let names: Vec<&str> = needed.graph.node.iter().map(|node| node.output[0].as_str()).collect();
        assert_eq!(names, ["first", "chosen", "second"]);
        assert!(needed.graph.node.iter().all(|node| node.attribute.is_empty()), "branches are not looked at");
        assert_eq!(needed.graph.initializer, [tensor("flag")]);
        assert!(needed.reads("flag") && !needed.reads("weight") && !needed.reads("x"));
    }
}
