//! The independent checker of graphs, run between stages.
//!
//! It checks: every operand position filled once; shapes and types as `infer` says, or, where the shape is a parameter, that
//! it is reachable (element counts of a reshape, bounds of a slice, broadcast dimensions); epilogues fit their node; inputs
//! are inputs; the graph has no cycle. It does not check what an operator computes. It returns all violations.

use super::constant::{Dtype, typed};
use super::infer::infer;
use super::op::Op;
use super::shape_error::ShapeError;
use super::{Graph, NodeId};

/// One thing that is wrong with a graph.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// Operand positions are not 0, 1, 2, ….
    #[error("node `{node}`: operand positions have a hole or a duplicate")]
    OperandPositions {
        /// ONNX name.
        node: String,
    },
    /// The operator does not accept its operands.
    #[error("node `{node}`: {error}")]
    Operands {
        /// ONNX name.
        node: String,
        /// Why.
        error: ShapeError,
    },
    /// The node claims another shape or type than its operator gives.
    #[error("node `{node}`: claims {}, its operator gives {}", typed(claimed), typed(inferred))]
    Claim {
        /// ONNX name.
        node: String,
        /// What the node says.
        claimed: (Vec<usize>, Dtype),
        /// What follows from its operands.
        inferred: (Vec<usize>, Dtype),
    },
    /// A shape that is a parameter is not reachable from the operand.
    #[error("node `{node}` ({op}): shape {to:?} cannot come from {from:?}")]
    Unreachable {
        /// ONNX name.
        node: String,
        /// Operator.
        op: &'static str,
        /// Operand shape.
        from: Vec<usize>,
        /// Node shape.
        to: Vec<usize>,
    },
    /// An epilogue operand does not broadcast to the node, or has the wrong type.
    #[error("node `{node}`: epilogue operand {operand} does not fit")]
    Epilogue {
        /// ONNX name.
        node: String,
        /// Position within the epilogue's inputs.
        operand: usize,
    },
    /// A node depends on itself.
    #[error("node `{node}` is on a cycle")]
    Cycle {
        /// ONNX name.
        node: String,
    },
}

/// All violations of a graph; empty when it is well formed.
pub fn verify(graph: &Graph) -> Vec<Violation> {
    let mut violations = Vec::new();
    for id in graph.node_ids() {
        check_node(graph, id, &mut violations);
    }
    if let Err(cycle) = petgraph::algo::toposort(&graph.nodes, None) {
        violations.push(Violation::Cycle { node: graph.label(cycle.node_id()) });
    }
    violations
}

fn check_node(graph: &Graph, id: NodeId, violations: &mut Vec<Violation>) {
    let node = graph.node(id);
    let name = || graph.label(id);
    let mut positions: Vec<u32> =
        graph.nodes.edges_directed(id, petgraph::Direction::Incoming).map(|e| *e.weight()).collect();
    positions.sort_unstable();
    if positions.iter().enumerate().any(|(i, p)| i as u32 != *p) {
        violations.push(Violation::OperandPositions { node: name() });
        return;
    }
    let operands = graph.operands(id);
    let epilogue_operands = node.epilogue.as_ref().map_or(0, |e| e.inputs.len() - 1);
    let Some(own) = operands.len().checked_sub(epilogue_operands) else {
        violations.push(Violation::OperandPositions { node: name() });
        return;
    };
    let shapes: Vec<(&[usize], Dtype)> =
        operands[..own].iter().map(|o| (graph.node(*o).shape.as_slice(), graph.node(*o).dtype)).collect();
    let op_dtype = match infer(&node.op, &shapes) {
        Ok((shape, dtype)) => {
            let after = node.epilogue.as_ref().map_or(dtype, super::pointwise::Pointwise::dtype);
            if shape != node.shape || after != node.dtype {
                violations.push(Violation::Claim {
                    node: name(),
                    claimed: (node.shape.clone(), node.dtype),
                    inferred: (shape, after),
                });
            }
            dtype
        }
        Err(ShapeError::ShapeIsAParameter { op }) => {
            let from: Vec<usize> = shapes.first().map_or_else(|| node.shape.clone(), |s| s.0.to_vec());
            if !reachable(&node.op, &from, &node.shape) {
                violations.push(Violation::Unreachable { node: name(), op, from, to: node.shape.clone() });
            }
            shapes.first().map_or(node.dtype, |s| s.1)
        }
        Err(error) => {
            violations.push(Violation::Operands { node: name(), error });
            return;
        }
    };
    if let Some(epilogue) = &node.epilogue {
        if epilogue.inputs[0] != op_dtype {
            violations.push(Violation::Epilogue { node: name(), operand: 0 });
        }
        for (i, operand) in operands[own..].iter().enumerate() {
            let value = graph.node(*operand);
            let fits = value.dtype == epilogue.inputs[i + 1]
                && value.shape.len() == node.shape.len()
                && value.shape.iter().zip(&node.shape).all(|(v, n)| *v == 1 || v == n);
            if !fits {
                violations.push(Violation::Epilogue { node: name(), operand: i + 1 });
            }
        }
    }
}

fn reachable(op: &Op, from: &[usize], to: &[usize]) -> bool {
    match op {
        Op::Reshape => from.iter().product::<usize>() == to.iter().product::<usize>(),
        Op::Broadcast => from.len() == to.len() && from.iter().zip(to).all(|(f, t)| f == t || *f == 1),
        Op::Slice { starts, steps } => {
            from.len() == to.len()
                && starts.len() == to.len()
                && steps.len() == to.len()
                && (0..to.len()).all(|i| {
                    let last = starts[i] as isize + steps[i] * (to[i] as isize - 1);
                    steps[i] != 0 && (to[i] == 0 || (starts[i] < from[i] && last >= 0 && last < from[i] as isize))
                })
        }
        Op::Resize { axes, .. } => {
            let fits = |i: usize| {
                let taps = &axes[i];
                let inside = |index: &i32| *index < 0 || (*index as usize) < from[i];
                let each = taps.indices.len() == taps.window * to[i] && taps.weights.len() == taps.indices.len();
                if taps.is_kept() { from[i] == to[i] } else { each && taps.indices.iter().all(inside) }
            };
            from.len() == to.len() && axes.len() == to.len() && (0..to.len()).all(fits)
        }
        Op::Input => true,
        Op::Constant(_)
        | Op::Pointwise(_)
        | Op::Einsum { .. }
        | Op::Conv { .. }
        | Op::Fold { .. }
        | Op::Unfold { .. }
        | Op::Scatter { .. }
        | Op::Pool { .. }
        | Op::Softmax { .. }
        | Op::Normalize { .. }
        | Op::Attention { .. }
        | Op::Reduce { .. }
        | Op::ArgReduce { .. }
        | Op::Gather { .. }
        | Op::Transpose { .. }
        | Op::Concat { .. }
        | Op::Pad { .. }
        | Op::Kernel(_) => true,
    }
}
