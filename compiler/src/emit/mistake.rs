//! What keeps a kernel from being unrolled, and where.

use super::place::Place;

/// Rounds that a loop may be unrolled to.
pub const MAX_ROUNDS: u32 = 1024;

/// A mistake in a kernel, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {mistake}")]
pub struct UnrollError {
    /// Where.
    pub place: Place,
    /// What.
    pub mistake: Mistake,
}

/// What keeps a kernel from being unrolled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Mistake {
    /// A mark that is not where it means something.
    #[error("this mark stands behind `{behind}` only")]
    MisplacedMark {
        /// The token that it belongs to.
        behind: &'static str,
    },
    /// A bracket without its other half.
    #[error("a bracket is not closed")]
    Unbalanced,
    /// A constant that the kernel's row sets and the kernel has not.
    #[error("the kernel declares no constant {name} of type u32")]
    UnknownConstant {
        /// Its name.
        name: &'static str,
    },
    /// A marked loop of another form.
    #[error("a loop is unrolled in the form `for (var NAME = START; NAME < END; NAME += STEP)`")]
    LoopForm,
    /// Bounds that are not constant.
    #[error("the {bound} of an unrolled loop is a constant (a step is not 0), not {expression}")]
    OpenBound {
        /// Which.
        bound: &'static str,
        /// What it is.
        expression: String,
    },
    /// More rounds than are sensible.
    #[error("a loop of {rounds} rounds is not unrolled, {MAX_ROUNDS} at most")]
    TooManyRounds {
        /// Its rounds.
        rounds: u32,
    },
    /// `break` or `continue` of an unrolled loop.
    #[error("an unrolled loop has no `{statement}`")]
    Jump {
        /// Which.
        statement: String,
    },
    /// A loop that is to rotate registers, of another form or over something else.
    #[error(
        "a loop that rotates is `for (var NAME = 0u; NAME < SIZE; NAME += 1u)`, over all of an array in registers or a vector in one"
    )]
    RotationForm,
    /// A marked declaration of another form.
    #[error("registers are declared as `var NAME: array<TYPE, SIZE>;` with a constant size")]
    Declaration,
    /// An array in registers that is not indexed, or not by a constant.
    #[error("`{name}` is in registers, and its index is not a constant: {index}")]
    ComputedIndex {
        /// The array.
        name: String,
        /// The index.
        index: String,
    },
    /// An index past the end.
    #[error("`{name}` has {size} elements, the index is {index}")]
    IndexOutOfRange {
        /// The array.
        name: String,
        /// Its size.
        size: u32,
        /// The index.
        index: u32,
    },
    /// A name that is there already.
    #[error("the name `{name}` is taken")]
    NameClash {
        /// The name.
        name: String,
    },
}
