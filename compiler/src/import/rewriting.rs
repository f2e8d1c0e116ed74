//! Rewrites a graph before tract sees it: every node whose row of the registry names a rewrite, until none is left.
//!
//! The rewrites stand in `rewrite/`. It deliberately knows none of them.

use super::conditions::chooses;
use super::kernel_op::KernelNode;
use super::reason::Unsupported;
use super::rewrite::outcome::{Rewritten, Shapes};
use super::rewrite::steps::{Known, Steps};
use super::support::find;
use std::collections::BTreeMap;
use tract_onnx::pb::{GraphProto, NodeProto, TypeProto, type_proto};

/// How often one node is rewritten at most; no chain of rewrites is that long.
const MAX_ROUNDS: usize = 8;

/// Rewrites a graph in place; `shapes` are those that it does not say. Returns the operators of `operators/` by the names
/// of the nodes that stand for them, and what cannot be rewritten.
pub fn rewrite(graph: &mut GraphProto, opset: i64, shapes: Shapes) -> (BTreeMap<String, KernelNode>, Unsupported) {
    let mut known = Known::of(graph, opset);
    known.shapes.extend(shapes);
    let mut kernel_ops = BTreeMap::new();
    let mut refused = Unsupported::default();
    let mut done = Vec::with_capacity(graph.node.len());
    for mut node in std::mem::take(&mut graph.node) {
        type_inputs(&mut node, &known);
        let (inside, unsupported) = rewrite_bodies(&mut node, opset);
        kernel_ops.extend(inside);
        refused.extend(unsupported);
        let original = node.op_type.clone();
        let name = node.name.clone();
        let mut waiting = vec![(node, 0)];
        while let Some((node, round)) = waiting.pop() {
            let rule = find(&node.domain, &node.op_type).and_then(|operator| operator.rewrite);
            let mut steps = Steps::new(&node, &known);
            match rule.map_or(Ok(Rewritten::Unchanged), |rule| rule(&mut steps)) {
                Ok(Rewritten::Replaced) if round < MAX_ROUNDS => {
                    let (nodes, initialisers) = (steps.nodes, steps.initialisers);
                    kernel_ops.extend(steps.kernel_ops);
                    for tensor in &initialisers {
                        known.add_tensor(&tensor.name, tensor);
                    }
                    // Later steps may ask for the type of earlier ones.
                    nodes.iter().for_each(|node| known.add_node(node));
                    graph.initializer.extend(initialisers);
                    waiting.extend(nodes.into_iter().rev().map(|node| (node, round + 1)));
                }
                Ok(Rewritten::Replaced | Rewritten::Unchanged) => done.push(node),
                Err(reason) => refused.add(&original, Some(reason), &name),
            }
        }
    }
    graph.node = done;
    (kernel_ops, refused)
}

/// Inputs of a `Scan` body that say no type have those of the operands.
fn type_inputs(node: &mut NodeProto, known: &Known) {
    if node.op_type != "Scan" {
        return;
    }
    let NodeProto { input, attribute, .. } = node;
    for body in attribute.iter_mut().filter_map(|attribute| attribute.g.as_mut()) {
        for (inner, operand) in body.input.iter_mut().zip(input.iter()) {
            let typed = inner.r#type.as_ref().is_some_and(|t| match &t.value {
                Some(type_proto::Value::TensorType(tensor)) => tensor.elem_type != 0,
                None => false,
            });
            if let (false, Some(elem_type)) = (typed, known.element_type(operand)) {
                let tensor = type_proto::Tensor { elem_type, shape: None };
                let value = Some(type_proto::Value::TensorType(tensor));
                inner.r#type = Some(TypeProto { value, ..TypeProto::default() });
            }
        }
    }
}

/// Rewrites the graphs that a node has as attributes; returns what [`rewrite`] does.
fn rewrite_bodies(node: &mut NodeProto, opset: i64) -> (BTreeMap<String, KernelNode>, Unsupported) {
    let (mut kernel_ops, mut refused) = (BTreeMap::new(), Unsupported::default());
    // Branches become nodes of the graph, and are rewritten then.
    if chooses(node) {
        return (kernel_ops, refused);
    }
    for body in node.attribute.iter_mut().flat_map(|attribute| attribute.g.iter_mut().chain(&mut attribute.graphs)) {
        for (index, inner) in body.node.iter_mut().enumerate() {
            inner.name = format!("{}.{index}.{}", node.name, inner.name);
        }
        let (inside, unsupported) = rewrite(body, opset, Shapes::new());
        kernel_ops.extend(inside);
        refused.extend(unsupported);
    }
    (kernel_ops, refused)
}
