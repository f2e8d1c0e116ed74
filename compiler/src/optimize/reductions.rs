//! Sums times 1/n become means, and reductions of squares reductions that square.

use super::nodes::{add, program, single_user};
use super::pass::{OptimizeError, OptimizeOptions, OptimizeReport};
use super::pattern::{Value, binary, value, with_literal};
use crate::graph::op::{Op, ReduceKind};
use crate::graph::pointwise::BinaryOp;
use crate::graph::{Graph, NodeId};

/// See the file's header.
pub fn run(graph: &mut Graph, _: &OptimizeOptions, report: &mut OptimizeReport) -> Result<(), OptimizeError> {
    for id in graph.topological_order() {
        if let Some((x, kind, axes)) = mean(graph, id).or_else(|| square(graph, id)) {
            let origin = graph.node(id).origin;
            let reduce = add(graph, Op::Reduce { kind, axes }, &[x], origin)?;
            graph.replace_uses(id, reduce);
            report.reductions += 1;
        }
    }
    Ok(())
}

/// Σ · (1/n), or Σ / n.
fn mean(graph: &Graph, id: NodeId) -> Option<(NodeId, ReduceKind, Vec<usize>)> {
    program(graph, id)?;
    let at = value(graph, id);
    let scaled = with_literal(graph, at, BinaryOp::Mul);
    let divided = || with_literal(graph, at, BinaryOp::Div).map(|(sum, n)| (sum, 1.0 / n));
    let (Value::Node(sum), factor) = scaled.or_else(divided)? else { return None };
    let Op::Reduce { kind, axes } = &graph.node(sum).op else { return None };
    let kind = match kind {
        ReduceKind::Sum => ReduceKind::Mean,
        ReduceKind::SumSquare => ReduceKind::MeanSquare,
        ReduceKind::Mean
        | ReduceKind::MeanSquare
        | ReduceKind::Max
        | ReduceKind::Min
        | ReduceKind::MaxNumber
        | ReduceKind::Product
        | ReduceKind::L1
        | ReduceKind::L2 => return None,
    };
    let node = graph.node(sum);
    if single_user(graph, sum).is_none() || node.epilogue.is_some() || node.shape != graph.node(id).shape {
        return None;
    }
    let x = graph.operands(sum)[0];
    let count: usize = axes.iter().map(|a| graph.node(x).shape[*a]).product();
    let close = (f64::from(factor) * count as f64 - 1.0).abs() < 1e-6;
    close.then(|| (x, kind, axes.clone()))
}

/// Σ or mean of x · x.
fn square(graph: &Graph, id: NodeId) -> Option<(NodeId, ReduceKind, Vec<usize>)> {
    let Op::Reduce { kind, axes } = &graph.node(id).op else { return None };
    let kind = match kind {
        ReduceKind::Sum => ReduceKind::SumSquare,
        ReduceKind::Mean => ReduceKind::MeanSquare,
        ReduceKind::SumSquare
        | ReduceKind::MeanSquare
        | ReduceKind::Max
        | ReduceKind::Min
        | ReduceKind::MaxNumber
        | ReduceKind::Product
        | ReduceKind::L1
        | ReduceKind::L2 => return None,
    };
    let squared = graph.operands(id)[0];
    single_user(graph, squared)?;
    program(graph, squared).filter(|p| p.instructions.len() == 1)?;
    let (a, b) = binary(graph, value(graph, squared), BinaryOp::Mul)?;
    let x = graph.operands(squared)[0];
    let same = a == b && graph.node(x).shape == graph.node(squared).shape && graph.node(id).epilogue.is_none();
    same.then(|| (x, kind, axes.clone()))
}
