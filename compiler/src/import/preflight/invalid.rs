//! What a model asks for and cannot have.

use super::super::failure::operands_are;
use super::super::names::NodeNames;
use super::limits::{MAX_DIMENSION, MAX_ELEMENTS, MAX_FOLDED_BYTES, MAX_RANK};

/// A model is outside the limits, or not well formed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Invalid {
    /// Too many of something.
    #[error("the model has more than {limit} {what}, the most that are read")]
    TooMany {
        /// What.
        what: &'static str,
        /// Most of it.
        limit: u64,
    },
    /// Nodes that need one another's results.
    #[error("node `{node}` depends on its own result")]
    Cycle {
        /// ONNX node name.
        node: String,
    },
    /// An output that nothing computes.
    #[error("output `{name}` is not computed by any node")]
    OutputNotComputed {
        /// Graph output.
        name: String,
    },
    /// An operand that nothing computes.
    #[error("tensor `{name}` is used but nothing computes it")]
    NotComputed {
        /// The tensor.
        name: String,
    },
    /// A tensor whose shape is negative or too large.
    #[error(
        "tensor `{name}` has the shape {shape:?}: at most {MAX_RANK} axes, of at most {MAX_DIMENSION} each, and {MAX_ELEMENTS} elements are supported"
    )]
    Shape {
        /// Graph input, initialiser or constant.
        name: String,
        /// Its shape.
        shape: Vec<i64>,
    },
    /// A result that is too large.
    #[error(
        "node `{node}`: a tensor of shape {shape} is too large: at most {MAX_RANK} axes, of at most {MAX_DIMENSION} each, and {MAX_ELEMENTS} elements are supported"
    )]
    TooLarge {
        /// ONNX node name.
        node: String,
        /// Shape, as far as it is known.
        shape: String,
    },
    /// An attribute that is out of its range.
    #[error("node `{node}` ({op}): attribute `{attribute}` is {value}; {expected}")]
    Attribute {
        /// ONNX node name.
        node: String,
        /// Operator.
        op: String,
        /// Attribute.
        attribute: String,
        /// Value.
        value: String,
        /// What is allowed.
        expected: String,
    },
    /// A constant operand that is out of its range.
    #[error("node `{node}` ({op}): operand {position} is {value}; {expected}")]
    Operand {
        /// ONNX node name.
        node: String,
        /// Operator.
        op: String,
        /// Its position.
        position: usize,
        /// Value.
        value: String,
        /// What is allowed.
        expected: String,
    },
    /// A constant whose value would have to be computed, and is too large.
    #[error(
        "node `{node}`: its value is constant and has {bytes} bytes; at most {MAX_FOLDED_BYTES} are computed when a model is compiled"
    )]
    FoldTooLarge {
        /// ONNX node name.
        node: String,
        /// Its bytes.
        bytes: u64,
    },
    /// tract stopped at one of its own checks.
    #[error("node `{node}` ({op}): this form of the operator is not supported{}", operands_are(operands))]
    Unsupported {
        /// ONNX node name.
        node: String,
        /// Operator.
        op: String,
        /// Types and shapes of its operands, where they are known.
        operands: Vec<String>,
    },
    /// A tensor without elements.
    #[error("`{node}` has the shape {shape:?}: tensors without elements are not supported")]
    Empty {
        /// ONNX node or graph input.
        node: String,
        /// Its shape.
        shape: Vec<usize>,
    },
}

impl Invalid {
    /// The same with other names of nodes.
    pub(in crate::import) fn with(self, names: &NodeNames) -> Self {
        let text = |marked: String| names.plain(&marked);
        match self {
            Self::Cycle { node } => Self::Cycle { node: text(node) },
            Self::TooLarge { node, shape } => Self::TooLarge { node: text(node), shape },
            Self::Attribute { node, op, attribute, value, expected } => {
                Self::Attribute { node: text(node), op, attribute, value, expected }
            }
            Self::Operand { node, op, position, value, expected } => {
                Self::Operand { node: text(node), op, position, value, expected }
            }
            Self::FoldTooLarge { node, bytes } => Self::FoldTooLarge { node: text(node), bytes },
            Self::Unsupported { node, op, operands } => {
                let op = names.index(&node).map_or(op, |index| names.op_type(index).to_owned());
                Self::Unsupported { node: text(node), op, operands }
            }
            Self::Empty { node, shape } => Self::Empty { node: text(node), shape },
            Self::TooMany { .. } | Self::OutputNotComputed { .. } | Self::NotComputed { .. } | Self::Shape { .. } => {
                self
            }
        }
    }
}
