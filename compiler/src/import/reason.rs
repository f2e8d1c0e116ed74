//! Why a node is not taken, as a value, and the one collection of all nodes that are not.
//!
//! What a node asks of its operator (`admission.rs`), rewrites (`rewrite/`) and translations (`translate/`) are refused by the same
//! values; text is made where they are printed. It deliberately decides nothing.

use crate::graph::constant::Dtype;
use std::fmt::{self, Display, Formatter};
use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::prelude::DatumType;

/// Why a node is not taken.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Reason {
    /// The model's operators are older than this one.
    #[error("opset {0} does not have it")]
    NotYet(i64),
    /// The version in force is not implemented.
    #[error("version {0} of the operator")]
    Version(u32),
    /// ONNX has no such attribute in this version.
    #[error("attribute {name}, which version {since} of the operator does not have")]
    UnknownAttribute {
        /// The attribute.
        name: String,
        /// The version in force.
        since: u32,
    },
    /// The attribute is given twice.
    #[error("attribute {0} twice")]
    AttributeTwice(String),
    /// The attribute refers to one of a function, and stands in none.
    #[error("attribute {0}, which refers to one of a function, outside of any")]
    AttributeReference(String),
    /// The attribute has another type than ONNX says.
    #[error("attribute {name} of type {found:?}")]
    AttributeType {
        /// The attribute.
        name: String,
        /// Its type.
        found: AttributeType,
    },
    /// The attribute is not implemented.
    #[error("attribute {name}{}", value.as_ref().map(|v| format!(" = {v}")).unwrap_or_default())]
    Attribute {
        /// The attribute.
        name: String,
        /// Its value, where that has one line.
        value: Option<String>,
    },
    /// An attribute that must be given is not.
    #[error("without attribute {0}")]
    WithoutAttribute(&'static str),
    /// An operand that must be given is not.
    #[error("without {0}")]
    WithoutOperand(&'static str),
    /// An operand that may be left out is not implemented.
    #[error("with {0}")]
    Operand(&'static str),
    /// More operands than ONNX has.
    #[error("{found} {side} instead of at most {most}")]
    TooMany {
        /// Inputs or outputs.
        side: &'static str,
        /// How many there are.
        found: usize,
        /// How many there may be.
        most: usize,
    },
    /// A form of the operator, or a value of a parameter.
    #[error("{}", filled(text, values))]
    Form {
        /// What it is, with `{}` in the place of each value.
        text: &'static str,
        /// What the node has there.
        values: Vec<Found>,
    },
    /// The equation of an `Einsum`.
    #[error(transparent)]
    Equation(#[from] EquationError),
    /// A node of the body, and why.
    #[error("{op} in its body{}", reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default())]
    Body {
        /// ONNX type of the node.
        op: String,
        /// Why it is not taken; `None` where its operator is not.
        reason: Option<Box<Reason>>,
    },
}

impl Reason {
    /// A form with values.
    pub fn form<const N: usize>(text: &'static str, values: [Found; N]) -> Self {
        Self::Form { text, values: values.into() }
    }
}

impl From<&'static str> for Reason {
    fn from(text: &'static str) -> Self {
        Self::Form { text, values: Vec::new() }
    }
}

/// Why an equation has no meaning.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EquationError {
    /// Something that is neither a letter, a comma, an arrow nor an ellipsis.
    #[error("`{0}` in the equation")]
    Character(char),
    /// Two ellipses in one term.
    #[error("two ellipses in `{0}`")]
    Ellipses(String),
    /// More than one arrow.
    #[error("two arrows in the equation")]
    Arrows,
    /// Other operands than terms.
    #[error("{terms} terms for {operands} operands")]
    Operands {
        /// Terms before the arrow.
        terms: usize,
        /// Operands of the node.
        operands: usize,
    },
    /// A letter of the result that no operand has.
    #[error("the result's `{0}` is no axis of an operand")]
    Unknown(char),
    /// A letter that the result has twice.
    #[error("`{0}` twice in the result")]
    Twice(char),
}

/// A value that a node has.
#[derive(Debug, Clone, PartialEq)]
pub enum Found {
    /// An integer.
    Integer(i64),
    /// A number.
    Float(f32),
    /// A list of integers.
    List(Vec<i64>),
    /// A text.
    Text(String),
    /// A type of ONNX's.
    Element(DataType),
    /// A type of tract's.
    Datum(DatumType),
    /// A type of ours.
    Dtype(Dtype),
    /// Shape and type of a tensor.
    Tensor(Vec<usize>, Dtype),
}

impl Display for Found {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(value) => write!(f, "{value}"),
            Self::Float(value) => write!(f, "{value}"),
            Self::List(values) => write!(f, "{values:?}"),
            Self::Text(text) => f.write_str(text),
            Self::Element(element) => write!(f, "{element:?}"),
            Self::Datum(datum) => write!(f, "{datum:?}"),
            Self::Dtype(dtype) => write!(f, "{dtype:?}"),
            Self::Tensor(shape, dtype) => write!(f, "{dtype:?} {shape:?}"),
        }
    }
}

macro_rules! found {
    ($($type:ty => $value:ident $made:expr),* $(,)?) => {
        $(impl From<$type> for Found {
            fn from($value: $type) -> Self {
                $made
            }
        })*
    };
}

found! {
    i64 => value Self::Integer(value),
    usize => value Self::Integer(i64::try_from(value).unwrap_or(i64::MAX)),
    f32 => value Self::Float(value),
    &[i64] => values Self::List(values.to_vec()),
    &[usize] => values Self::List(values.iter().map(|v| i64::try_from(*v).unwrap_or(i64::MAX)).collect()),
    &str => text Self::Text(text.to_owned()),
    DataType => element Self::Element(element),
    DatumType => datum Self::Datum(datum),
    (Vec<usize>, Dtype) => tensor Self::Tensor(tensor.0, tensor.1),
    Dtype => dtype Self::Dtype(dtype),
}

/// A text with values in the place of its `{}`.
fn filled(text: &str, values: &[Found]) -> String {
    let mut values = values.iter();
    let mut parts = text.split("{}");
    let mut filled = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        if let Some(value) = values.next() {
            filled.push_str(&value.to_string());
        }
        filled.push_str(part);
    }
    filled
}

/// An operator, or a form of it, that is not taken, with every node that uses it.
#[derive(Debug, Clone, PartialEq)]
pub struct UnsupportedOp {
    /// ONNX operator type.
    pub op: String,
    /// What is not taken of it; `None` where nothing is.
    pub reason: Option<Reason>,
    /// ONNX node names, in graph order.
    pub nodes: Vec<String>,
}

/// How many node names an error message lists for one operator.
const LISTED_NODES: usize = 3;

impl Display for UnsupportedOp {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.op)?;
        if let Some(reason) = &self.reason {
            write!(f, " ({reason})")?;
        }
        let shown = self.nodes.iter().take(LISTED_NODES).map(|n| format!("`{n}`")).collect::<Vec<_>>().join(", ");
        let plural = if self.nodes.len() == 1 { "node" } else { "nodes" };
        write!(f, ": {} {plural}: {shown}", self.nodes.len())?;
        match self.nodes.len().saturating_sub(LISTED_NODES) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

/// All operators and forms that are not taken, in the order of their first nodes.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Unsupported(pub Vec<UnsupportedOp>);

impl Unsupported {
    /// Adds a node, once for each reason.
    pub fn add(&mut self, op: &str, reason: Option<Reason>, node: &str) {
        match self.0.iter_mut().find(|entry| entry.op == op && entry.reason == reason) {
            Some(entry) if entry.nodes.iter().any(|name| name == node) => {}
            Some(entry) => entry.nodes.push(node.to_owned()),
            None => self.0.push(UnsupportedOp { op: op.to_owned(), reason, nodes: vec![node.to_owned()] }),
        }
    }

    /// Adds what another part of the model has.
    pub fn extend(&mut self, other: Self) {
        for entry in other.0 {
            entry.nodes.iter().for_each(|node| self.add(&entry.op, entry.reason.clone(), node));
        }
    }

    /// Whether everything is taken.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Display for Unsupported {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|entry| write!(f, "\n  {entry}"))
    }
}

#[cfg(test)]
mod tests {
    use super::{Reason, Unsupported};

    #[test]
    fn nodes_are_gathered_by_operator_and_reason() {
        let mut all = Unsupported::default();
        let steps = |count: i64| Some(Reason::form("a recurrence of {} steps", [count.into()]));
        for (op, reason, node) in [("Scan", steps(0), "a"), ("Det", None, "b"), ("Scan", steps(9), "c")] {
            all.add(op, reason, node);
        }
        let mut more = Unsupported::default();
        ["d", "e", "f", "f"].iter().for_each(|node| more.add("Scan", steps(0), node));
        all.extend(more);
        assert_eq!(
            all.to_string(),
            "\n  Scan (a recurrence of 0 steps): 4 nodes: `a`, `d`, `e` and 1 more\n  Det: 1 node: `b`\n  \
             Scan (a recurrence of 9 steps): 1 node: `c`"
        );
    }

    #[test]
    fn values_stand_where_the_text_has_braces() {
        let reason = Reason::form("pads of {} for the axes {}", [[1_i64, 2].as_slice().into(), 3_usize.into()]);
        assert_eq!(reason.to_string(), "pads of [1, 2] for the axes 3");
        let inside = Reason::Body { op: "Relu".to_owned(), reason: Some(Box::new(Reason::from("of integers"))) };
        assert_eq!(inside.to_string(), "Relu in its body: of integers");
    }
}
