//! Import: ONNX file to [`Graph`]. The only folder that sees tract.
//!
//! tract parses, infers shapes, folds small constants and declutters; `translate` turns its typed operators into ours. Large
//! float initialisers never reach tract: they become graph inputs of known shape for it and constants over mapped bytes for
//! us, so that memory does not grow with the model. What tract would have folded into such a weight (a transpose, a reshape,
//! a scale) therefore stays in the graph as operators on a constant. So do weights of small integers. A model in f16 is read
//! as one in f32, with f16 at its interface (`widen.rs`). Symbolic dimensions have no defaults. Import deliberately recovers no
//! pattern: layer norms, attention and activations arrive in pieces.

mod absent;
mod admission;
mod appended;
mod axes;
mod booleans;
mod branches;
mod builders;
mod composed;
mod conditions;
mod dtype;
mod einsum;
mod error;
mod expression;
mod failure;
mod functions;
mod golden;
mod guarded;
mod kernel_op;
mod model;
mod names;
mod notes;
mod opaque;
mod options;
mod ports;
mod preflight;
mod protobuf;
mod quantized;
mod ranges;
pub mod reason;
mod reference;
pub(crate) mod rewrite;
mod rewriting;
mod schema;
mod shapes;
mod sizes;
mod states;
mod stopped;
mod stored;
mod structure;
mod support;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_admission;
#[cfg(test)]
mod tests_errors;
#[cfg(test)]
mod tests_messages;
#[cfg(test)]
mod tests_schemas;
#[cfg(test)]
mod tests_types;
mod tract;
mod translate;
mod types;
mod weights;
mod widen;
mod windows;

pub use axes::Misplaced;
pub use error::{ImportError, OpenSize};
pub use failure::{Failure, Stage};
pub use functions::uncallable::Uncallable;
pub use golden::{first_states, golden_inputs};
pub use options::{Dim, ImportOptions, Value};
pub use preflight::invalid::Invalid;
pub use reference::reference;
pub use shapes::Unfit;
pub use states::{StateError, StateOptions, StatePair};
pub use stored::stored_precision;
pub use structure::{Flaw, Maker};
pub use support::{OPERATORS, Operator, Support};
pub use translate::supported_operators;
pub use types::Mistyped;

use crate::graph::Graph;
use std::path::{Path, PathBuf};

/// An imported model.
#[derive(Debug)]
pub struct Imported {
    /// The graph, well formed.
    pub graph: Graph,
    /// BLAKE3 of the ONNX file followed by its files of external data in path order, in hexadecimal.
    pub model_hash: String,
    /// Name of the file without its extension.
    pub name: String,
    /// What was read: the ONNX file, then its files of external data in path order.
    pub files: Vec<PathBuf>,
}

/// Imports an ONNX file.
///
/// # Errors
/// See [`ImportError`]; unsupported operators are reported all at once.
pub fn import(path: &Path, options: &ImportOptions) -> Result<Imported, ImportError> {
    let (mut model, inferred) = tract::read(path, options, options.own_weights)?;
    let names = std::rc::Rc::clone(&model.names);
    let typed = tract::decluttered(inferred).map_err(|error| error.with_names(&names))?;
    model.proto = tract_onnx::pb::ModelProto::default();
    let (name, model_hash, files) = (model.name.clone(), model.hash.clone(), std::mem::take(&mut model.files));
    let translated = translate::translate(&typed, model, options.check_indices);
    let (mut graph, wide) = translated.map_err(|error| error.with_names(&names))?;
    ranges::check(&mut graph, &wide)?;
    if options.states != StateOptions::default() {
        states::pair(&mut graph, &options.states)?;
    }
    let violations = crate::graph::verify::verify(&graph);
    if violations.is_empty() {
        Ok(Imported { graph, model_hash, name, files })
    } else {
        Err(ImportError::Malformed(violations))
    }
}
