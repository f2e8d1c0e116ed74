//! What the user says about a model that is imported.

use super::states::StateOptions;

/// One dimension of a shape given on the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dim {
    /// A size.
    Size(u64),
    /// A name, whose size `--set` gives.
    Symbol(String),
}

/// A value that an input is bound to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value {
    /// A whole number.
    Integer(i64),
    /// A number.
    Float(f64),
    /// A boolean.
    Bool(bool),
}

impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Integer(value) => write!(f, "{value}"),
            Self::Float(value) => write!(f, "{value}"),
            Self::Bool(value) => write!(f, "{value}"),
        }
    }
}

/// What the user says about shapes and inputs.
#[derive(Debug, Clone, Default)]
pub struct ImportOptions {
    /// `--input NAME:SHAPE`: replaces the shape of an input.
    pub inputs: Vec<(String, Vec<Dim>)>,
    /// `--set NAME=N`: sizes of symbolic dimensions. Where no dimension has the name, the input of that name is bound to the
    /// number.
    pub dims: Vec<(String, u64)>,
    /// `--set INPUT=VALUE`: inputs that become constants, every element of the value.
    pub values: Vec<(String, Value)>,
    /// `--state`: tensors that live from run to run.
    pub states: StateOptions,
    /// Gives tract all weights instead of their shapes. It folds into them what it can, and the whole model is in memory, up to
    /// three times over; for comparison only.
    pub own_weights: bool,
    /// Makes computed indices public outputs, whose values the runtime checks after every run.
    pub check_indices: bool,
}
