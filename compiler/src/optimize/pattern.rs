//! A view of the graph as one expression, across nodes and the instructions inside them.
//!
//! Patterns match on it, so that they need not know how many element-wise operators import or fusion put into one node.

use super::constants::uniform_literal;
use super::nodes::program;
use crate::graph::pointwise::{BinaryOp, Instruction, Literal, Operand, UnaryOp};
use crate::graph::{Graph, NodeId};
use crate::narrow::index32;

/// A value: a whole node that is not element-wise, or a step of an element-wise node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value {
    /// A node's result.
    Node(NodeId),
    /// An instruction's result.
    Step(NodeId, u32),
}

/// What a value is computed from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Matched {
    /// A number.
    Literal(f32),
    /// f(a).
    Unary(UnaryOp, Value),
    /// f(a, b).
    Binary(BinaryOp, Value, Value),
    /// Anything else.
    Node(NodeId),
    /// A step of another kind.
    Other,
}

/// The value of a node: its last step when it is element-wise.
pub fn value(graph: &Graph, id: NodeId) -> Value {
    match program(graph, id) {
        Some(p) => Value::Step(id, index32(p.instructions.len()) - 1),
        None => Value::Node(id),
    }
}

fn operand(graph: &Graph, id: NodeId, operand: Operand) -> Value {
    match operand {
        Operand::Input(i) => value(graph, graph.operands(id)[i as usize]),
        Operand::Result(i) => Value::Step(id, i),
    }
}

/// What a value is computed from.
pub fn matched(graph: &Graph, at: Value) -> Matched {
    let (id, step) = match at {
        Value::Node(id) => {
            return match graph.constant(id).and_then(uniform_literal) {
                Some(Literal::F32(bits)) => Matched::Literal(f32::from_bits(bits)),
                Some(Literal::I32(_) | Literal::Bool(_)) | None => Matched::Node(id),
            };
        }
        Value::Step(id, step) => (id, step),
    };
    let program = program(graph, id).expect("steps are of element-wise nodes");
    match program.instructions[step as usize] {
        Instruction::Literal(Literal::F32(bits)) => Matched::Literal(f32::from_bits(bits)),
        Instruction::Unary(op, a) => Matched::Unary(op, operand(graph, id, a)),
        Instruction::Binary(op, a, b) => Matched::Binary(op, operand(graph, id, a), operand(graph, id, b)),
        Instruction::Literal(Literal::I32(_) | Literal::Bool(_))
        | Instruction::Select { .. }
        | Instruction::Cast(..) => Matched::Other,
    }
}

/// The number that a value is.
pub fn literal(graph: &Graph, at: Value) -> Option<f32> {
    match matched(graph, at) {
        Matched::Literal(v) => Some(v),
        Matched::Unary(..) | Matched::Binary(..) | Matched::Node(_) | Matched::Other => None,
    }
}

/// f of `f(a)` with a given operator.
pub fn unary(graph: &Graph, at: Value, op: UnaryOp) -> Option<Value> {
    let Matched::Unary(found, a) = matched(graph, at) else { return None };
    (found == op).then_some(a)
}

/// Both operands of `f(a, b)` with a given operator.
pub fn binary(graph: &Graph, at: Value, op: BinaryOp) -> Option<(Value, Value)> {
    let Matched::Binary(found, a, b) = matched(graph, at) else { return None };
    (found == op).then_some((a, b))
}

/// The operand and the literal of `f(a, literal)`, or of `f(literal, a)` for sums and products.
pub fn with_literal(graph: &Graph, at: Value, op: BinaryOp) -> Option<(Value, f32)> {
    let (a, b) = binary(graph, at, op)?;
    if let Some(v) = literal(graph, b) {
        return Some((a, v));
    }
    let commutes = matches!(op, BinaryOp::Add | BinaryOp::Mul);
    literal(graph, a).filter(|_| commutes).map(|v| (b, v))
}
