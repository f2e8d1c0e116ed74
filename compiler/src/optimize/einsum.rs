//! Transposes before and after an einsum become the order of its labels.
//!
//! Not when that would take apart the axes that a matrix product walks as one: a group of labels (batch, rows, columns,
//! contracted) that is contiguous with the transpose and not without it. Constants are packed in any order, so that theirs
//! always go.

use super::nodes::single_user;
use super::pass::{OptimizeError, OptimizeOptions, OptimizeReport};
use crate::graph::op::Op;
use crate::graph::{Graph, NodeId};

/// See the file's header.
pub fn run(graph: &mut Graph, _: &OptimizeOptions, report: &mut OptimizeReport) -> Result<(), OptimizeError> {
    for id in graph.topological_order() {
        absorb_operands(graph, id, report);
        absorb_result(graph, id, report);
    }
    Ok(())
}

/// Number of runs of equal group in a list of labels, axes of size 1 left out.
fn runs(labels: &[u8], shape: &[usize], group: impl Fn(u8) -> (bool, bool)) -> usize {
    let mut groups: Vec<(bool, bool)> =
        labels.iter().zip(shape).filter(|(_, dim)| **dim != 1).map(|(l, _)| group(*l)).collect();
    groups.dedup();
    groups.len()
}

/// A transpose is absorbed when the groups of labels stay as contiguous as they were.
fn keeps_groups(
    before: (&[u8], &[usize]),
    after: (&[u8], &[usize]),
    group: impl Fn(u8) -> (bool, bool) + Copy,
) -> bool {
    runs(after.0, after.1, group) <= runs(before.0, before.1, group)
}

fn absorb_operands(graph: &mut Graph, id: NodeId, report: &mut OptimizeReport) {
    for position in 0..2 {
        let Op::Einsum { a, b, output } = &graph.node(id).op else { return };
        let mut operands = graph.operands(id);
        let view = operands[position];
        let Op::Transpose { permutation } = &graph.node(view).op else { continue };
        let source = graph.operands(view)[0];
        let (own, other) = if position == 0 { (a, b) } else { (b, a) };
        let mut labels = own.clone();
        permutation.iter().zip(own).for_each(|(axis, label)| labels[*axis] = *label);
        let group = |l: u8| (other.contains(&l), output.contains(&l));
        let shapes = (&graph.node(view).shape, &graph.node(source).shape);
        let constant = graph.constant(source).is_some();
        if !constant && !keeps_groups((own, shapes.0), (&labels, shapes.1), group) {
            continue;
        }
        operands[position] = source;
        graph.set_operands(id, &operands);
        if let Op::Einsum { a, b, .. } = &mut graph.node_mut(id).op {
            *(if position == 0 { a } else { b }) = labels;
        }
        report.transposes_absorbed += 1;
    }
}

fn absorb_result(graph: &mut Graph, id: NodeId, report: &mut OptimizeReport) {
    let node = graph.node(id);
    let Op::Einsum { a, b, output } = &node.op else { return };
    if node.epilogue.is_some() {
        return;
    }
    let Some(user) = single_user(graph, id) else { return };
    let Op::Transpose { permutation } = &graph.node(user).op else { return };
    let labels: Vec<u8> = permutation.iter().map(|p| output[*p]).collect();
    let shape = graph.node(user).shape.clone();
    let group = |l: u8| (a.contains(&l), b.contains(&l));
    if !keeps_groups((output, &node.shape), (&labels, &shape), group) {
        return;
    }
    let node = graph.node_mut(id);
    node.shape = shape;
    if let Op::Einsum { output, .. } = &mut node.op {
        *output = labels;
    }
    graph.replace_uses(user, id);
    graph.set_operands(user, &[]);
    // The transpose is unread and loses its operand; until it is pruned it must not look like a reader of the einsum.
    graph.node_mut(user).op = Op::Input;
    report.transposes_absorbed += 1;
}
