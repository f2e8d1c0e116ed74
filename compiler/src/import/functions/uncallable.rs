//! Why local functions cannot be called.

/// Why a function, or a call of one, has no meaning.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Uncallable {
    /// Two functions have one name; which of them a call means is not told apart by overloads.
    #[error("the model has several functions `{function}`, and overloads are not supported")]
    Twice {
        /// Domain and name.
        function: String,
    },
    /// A function calls itself.
    #[error("node `{node}` calls the function `{function}` inside of that function itself")]
    Recursive {
        /// The function.
        function: String,
        /// The call.
        node: String,
    },
    /// A call has more operands than the function.
    #[error("node `{node}` has {found} {side}, and the function `{function}` has {most}")]
    TooMany {
        /// The function.
        function: String,
        /// The call.
        node: String,
        /// Inputs or outputs.
        side: &'static str,
        /// How many the call has.
        found: usize,
        /// How many the function has.
        most: usize,
    },
    /// A call has an attribute that the function does not have, or has it twice.
    #[error(
        "node `{node}` has the attribute `{attribute}`, which the function `{function}` does not have, or has it twice"
    )]
    Attribute {
        /// The function.
        function: String,
        /// The call.
        node: String,
        /// The attribute.
        attribute: String,
    },
    /// A function means another version of an operator than the model.
    #[error(
        "the function `{function}` is written for version {version} of the standard operators, in which `{op}` is another than in the model's, {models}"
    )]
    Version {
        /// The function.
        function: String,
        /// An operator of its body.
        op: String,
        /// The function's version.
        version: i64,
        /// The model's.
        models: i64,
    },
}
