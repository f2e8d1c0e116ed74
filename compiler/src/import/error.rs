//! Why an ONNX model cannot become a graph.
//!
//! Every variant names the node, input, tensor or file that it is about. What tract gives up on is a [`Failure`], which is
//! in our words.

use super::axes::Misplaced;
use super::failure::Failure;
use super::functions::uncallable::Uncallable;
use super::names::NodeNames;
use super::preflight::invalid::Invalid;
use super::reason::{Unsupported, UnsupportedOp};
use super::shapes::Unfit;
use super::states::StateError;
use super::structure::Flaw;
use super::types::Mistyped;
use crate::graph::ShapeError;
use crate::graph::constant::{Dtype, typed};
use crate::graph::verify::Violation;
use std::path::PathBuf;

/// A size that the model leaves open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OpenSize {
    /// A symbolic dimension.
    Symbol {
        /// Its name.
        symbol: String,
        /// Inputs and axes that have it.
        places: Vec<(String, usize)>,
    },
    /// Dimensions without a size and without a name, or no shape at all.
    Shape {
        /// Graph input.
        input: String,
        /// What is known of the shape: sizes and names, `?` for what is not; `None` when there is none.
        known: Option<Vec<String>>,
    },
}

impl std::fmt::Display for OpenSize {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Symbol { symbol, places } => {
                let places: Vec<String> =
                    places.iter().map(|(input, axis)| format!("axis {axis} of `{input}`")).collect();
                write!(f, "--set {}    ({})", quoted(&format!("{symbol}=SIZE")), places.join(", "))
            }
            Self::Shape { input, known } => {
                let option = quoted(&format!("{input}:SHAPE"));
                match known {
                    Some(dims) => write!(f, "--input {option}    (its shape is {})", dims.join("x")),
                    None => write!(f, "--input {option}    (it has no shape)"),
                }
            }
        }
    }
}

/// Why an input cannot be bound to a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unbindable {
    /// It has a value already.
    #[error("it is given twice")]
    GivenTwice,
    /// It is a sequence, or of another kind.
    #[error("the input is not a tensor")]
    NoTensor,
    /// It has too many elements.
    #[error("the input has shape {shape:?}, and at most {limit} elements become constants")]
    TooLarge {
        /// Its shape.
        shape: Vec<i64>,
        /// The limit.
        limit: u64,
    },
    /// Its element type is not ONNX's.
    #[error("the input has the unknown element type {0}")]
    UnknownElement(i32),
    /// Its element type does not hold the value.
    #[error("the input has element type {0}, which cannot hold it")]
    Element(&'static str),
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:=,+@%".contains(c);
    if word.chars().all(plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

/// A list of names, or none.
fn named(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// A domain of operators.
fn domain_named(domain: &str) -> String {
    if domain.is_empty() { "the standard operators".to_owned() } else { format!("the operators of {domain}") }
}

/// Import failed.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// Inputs and outputs that are no states.
    #[error(transparent)]
    State(#[from] StateError),
    /// A file could not be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not an ONNX model.
    #[error("{path} is not an ONNX model: {reason}")]
    NotOnnx {
        /// The file.
        path: PathBuf,
        /// What was found instead.
        reason: String,
    },
    /// A function, or a call of one, that has no meaning.
    #[error(transparent)]
    Uncallable(#[from] Uncallable),
    /// Functions of the model cannot be read.
    #[error("the model's functions cannot be read: {reason}")]
    Functions {
        /// What was found instead.
        reason: String,
    },
    /// The model asks for operators of a version that is not known.
    #[error(
        "the model is written for version {version} of {}; the newest that is known is {newest}",
        domain_named(domain)
    )]
    OpsetUnknown {
        /// The operators' domain.
        domain: String,
        /// The version that it asks for.
        version: i64,
        /// The newest one that is known.
        newest: i64,
    },
    /// The model asks for operators in several versions.
    #[error("the model asks for {} in the versions {}", domain_named(domain), .versions.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))]
    OpsetTwice {
        /// The operators' domain.
        domain: String,
        /// The versions.
        versions: Vec<i64>,
    },
    /// The model does not say the version of its operators.
    #[error(
        "the model does not say which version of the standard operators it means, and node `{node}` is one of them"
    )]
    OpsetMissing {
        /// A node of a standard operator.
        node: String,
    },
    /// Names of the model's graph contradict each other.
    #[error("the model's graph has no meaning: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Flawed(Vec<Flaw>),
    /// tract gives up on the model.
    #[error(transparent)]
    Failed(#[from] Failure),
    /// The model is outside the limits, or not well formed.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// Operators that cannot be translated, all of them.
    #[error("the model uses operators that are not supported:{0}")]
    Unsupported(Unsupported),
    /// Nodes name axes that their operands do not have.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Axes(Vec<Misplaced>),
    /// Operands of nodes do not fit one another.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Shapes(Vec<Unfit>),
    /// Operands have element types that their operators do not take.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Types(Vec<Mistyped>),
    /// Sizes of inputs are open, all of them.
    #[error("the model leaves sizes open; give each of them:{}", .0.iter().map(|size| format!("\n  {size}")).collect::<String>())]
    OpenSizes(Vec<OpenSize>),
    /// An input cannot be bound to a value.
    #[error("--set {name}={value}: {reason}")]
    Binding {
        /// The input.
        name: String,
        /// The value.
        value: String,
        /// Why not.
        reason: Unbindable,
    },
    /// `--input` names no graph input.
    #[error("--input {name}: the model has no such input; it has {}", .inputs.join(", "))]
    NoSuchInput {
        /// The name given.
        name: String,
        /// Names of the graph inputs.
        inputs: Vec<String>,
    },
    /// `--set` names no dimension and no input of the model.
    #[error(
        "--set {name}: the model has no such dimension and no such input; it has the dimensions {} and the inputs {}",
        named(.dims), named(.inputs)
    )]
    NoSuchDimension {
        /// The name given.
        name: String,
        /// Names of the symbolic dimensions.
        dims: Vec<String>,
        /// Names of the inputs.
        inputs: Vec<String>,
    },
    /// A graph input says no element type, or an output for which none follows.
    #[error(
        "{port} `{name}` has no element type: that of a tensor is for the model to say, and sequences, maps and optional values \
         are not supported"
    )]
    InterfaceUntyped {
        /// Whether it is an input or an output.
        port: &'static str,
        /// Its name.
        name: String,
    },
    /// A graph input or output has an element type that bundles cannot have.
    #[error("`{name}` has element type {element}, which is not supported at the model's interface")]
    InterfaceElement {
        /// Graph input or output.
        name: String,
        /// ONNX name of the type.
        element: String,
    },
    /// A graph input or output has a name that bundles cannot have.
    #[error("the name of input or output `{name}`… has {bytes} bytes, more than the limit of {limit}")]
    PortName {
        /// Its beginning.
        name: String,
        /// Its length.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// A tensor's data is not inside the model's directory.
    #[error("tensor `{tensor}` keeps its data at `{location}`, which is not a path inside the model's directory")]
    ExternalEscape {
        /// Initialiser.
        tensor: String,
        /// The location that it gives.
        location: String,
    },
    /// A tensor's external data is not described well.
    #[error("tensor `{tensor}`: bad external data entry `{key}`")]
    ExternalEntry {
        /// Initialiser.
        tensor: String,
        /// The key that is missing or not a number.
        key: &'static str,
    },
    /// A file of external data is missing.
    #[error("tensor `{tensor}` keeps its data in {path}, which cannot be opened")]
    ExternalMissing {
        /// Initialiser.
        tensor: String,
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file of external data is too short.
    #[error("tensor `{tensor}` needs bytes {offset}..{end} of {path}, which has {file_bytes}")]
    ExternalTooShort {
        /// Initialiser.
        tensor: String,
        /// The file.
        path: PathBuf,
        /// First byte.
        offset: u64,
        /// First byte not needed.
        end: u64,
        /// Size of the file.
        file_bytes: u64,
    },
    /// The data of a tensor does not fit its shape.
    #[error("tensor `{tensor}` of shape {shape:?} has {found} bytes of data instead of {expected}")]
    TensorBytes {
        /// Initialiser.
        tensor: String,
        /// Its shape.
        shape: Vec<i64>,
        /// Bytes that the shape needs.
        expected: u64,
        /// Bytes of data.
        found: u64,
    },
    /// An integer constant does not fit 32 bits.
    #[error("constant `{name}` holds {value}, which does not fit a 32-bit integer")]
    IntegerRange {
        /// Initialiser or node.
        name: String,
        /// The value.
        value: i64,
    },
    /// A constant index is outside its axis.
    #[error("node `{node}`: index {index}, element {position} of its constant indices, is outside {least} to {most}")]
    IndexRange {
        /// ONNX node name.
        node: String,
        /// Position in the flat indices.
        position: u64,
        /// The index.
        index: i64,
        /// Least index.
        least: i64,
        /// Greatest index.
        most: i64,
    },
    /// A node's 64-bit integers may not fit 32 bits, and no check at run time is known for its operator.
    #[error("node `{node}` ({op}): its 64-bit integers may need more than 32 bits, which the device does not have")]
    WideInteger {
        /// ONNX node name.
        node: String,
        /// Our operator.
        op: &'static str,
    },
    /// A translated node has another shape or type than was inferred.
    #[error(
        "node `{node}`: translated to {}, where {} was inferred: a mistake of this compiler",
        typed(ours),
        typed(tract)
    )]
    Disagreement {
        /// ONNX node name.
        node: String,
        /// Of our graph.
        ours: (Vec<usize>, Dtype),
        /// Of tract.
        tract: (Vec<usize>, Dtype),
    },
    /// A translated node does not accept its operands.
    #[error("node `{node}`: {error}")]
    Rejected {
        /// ONNX node name.
        node: String,
        /// Why.
        error: ShapeError,
    },
    /// The graph's own checker rejects the result.
    #[error("the imported graph is not well formed: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Malformed(Vec<Violation>),
    /// A reference input does not fit the model.
    #[error("reference input `{name}`: {reason}")]
    ReferenceInput {
        /// Graph input.
        name: String,
        /// What does not fit.
        reason: String,
    },
}

impl Unsupported {
    /// `value` where everything is taken.
    ///
    /// # Errors
    /// [`ImportError::Unsupported`] with everything that is not.
    pub fn or<T>(self, value: T) -> Result<T, ImportError> {
        if self.is_empty() { Ok(value) } else { Err(ImportError::Unsupported(self)) }
    }
}

impl ImportError {
    /// The same error with the names of nodes in the place of their marks.
    pub(super) fn with_names(self, names: &NodeNames) -> Self {
        let text = |marked: String| names.plain(&marked);
        match self {
            Self::Failed(failure) => Self::Failed(failure.named(names)),
            Self::Invalid(invalid) => Self::Invalid(invalid.with(names)),
            Self::Unsupported(ops) => {
                let named = |op: UnsupportedOp| UnsupportedOp { nodes: op.nodes.into_iter().map(text).collect(), ..op };
                Self::Unsupported(Unsupported(ops.0.into_iter().map(named).collect()))
            }
            Self::IntegerRange { name, value } => Self::IntegerRange { name: text(name), value },
            Self::IndexRange { node, position, index, least, most } => {
                Self::IndexRange { node: text(node), position, index, least, most }
            }
            Self::Disagreement { node, ours, tract } => Self::Disagreement { node: text(node), ours, tract },
            Self::Rejected { node, error } => Self::Rejected { node: text(node), error },
            Self::WideInteger { node, op } => Self::WideInteger { node: text(node), op },
            Self::Axes(found) => {
                let named = |wrong: Misplaced| Misplaced { node: text(wrong.node.clone()), ..wrong };
                Self::Axes(found.into_iter().map(named).collect())
            }
            Self::Shapes(found) => {
                let named = |wrong: Unfit| Unfit { node: text(wrong.node.clone()), ..wrong };
                Self::Shapes(found.into_iter().map(named).collect())
            }
            Self::Types(found) => Self::Types(found.into_iter().map(|wrong| wrong.named(text)).collect()),
            Self::State(StateError::Length { node, input }) => StateError::Length { node: text(node), input }.into(),
            Self::Read { .. }
            | Self::State(_)
            | Self::NotOnnx { .. }
            | Self::OpenSizes(_)
            | Self::Binding { .. }
            | Self::Uncallable(_)
            | Self::Functions { .. }
            | Self::OpsetUnknown { .. }
            | Self::OpsetTwice { .. }
            | Self::OpsetMissing { .. }
            | Self::Flawed(_)
            | Self::NoSuchInput { .. }
            | Self::NoSuchDimension { .. }
            | Self::InterfaceUntyped { .. }
            | Self::InterfaceElement { .. }
            | Self::PortName { .. }
            | Self::ExternalEscape { .. }
            | Self::ExternalEntry { .. }
            | Self::ExternalMissing { .. }
            | Self::ExternalTooShort { .. }
            | Self::TensorBytes { .. }
            | Self::Malformed(_)
            | Self::ReferenceInput { .. } => self,
        }
    }
}
