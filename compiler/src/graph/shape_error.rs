//! Why an operator does not accept its operands.

use super::constant::Dtype;

/// An operator does not accept its operands.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ShapeError {
    /// Wrong number of operands.
    #[error("{op} takes {expected} operands, not {found}")]
    OperandCount {
        /// The operator.
        op: &'static str,
        /// What it takes.
        expected: &'static str,
        /// What it got.
        found: usize,
    },
    /// Wrong rank or dimension.
    #[error("{op}: operand {operand} has shape {shape:?}, which does not fit: {reason}")]
    Shape {
        /// The operator.
        op: &'static str,
        /// Position of the operand.
        operand: usize,
        /// Its shape.
        shape: Vec<usize>,
        /// What was expected.
        reason: &'static str,
    },
    /// Wrong element type.
    #[error("{op}: operand {operand} has type {found:?}, expected {expected:?}")]
    Dtype {
        /// The operator.
        op: &'static str,
        /// Position of the operand.
        operand: usize,
        /// Expected type.
        expected: Dtype,
        /// Its type.
        found: Dtype,
    },
    /// The shape is a parameter of the node and cannot be inferred.
    #[error("the shape of {op} is given by its node")]
    ShapeIsAParameter {
        /// The operator.
        op: &'static str,
    },
}
