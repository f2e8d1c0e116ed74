//! What a foreign model may ask for: limits and ranges, checked before anything is allocated or handed to tract.
//!
//! `message` bounds the bytes before they are decoded, `structure` the decoded graph, `ranges` its attributes and the small
//! constants that are parameters; `guard` applies the same ranges and the bound on shapes to what tract infers, and `fold`
//! the budget to what it folds. All limits are counts and bytes, never times. A violation is an [`Invalid`]. Deliberately not
//! here: what an operator means, and what is merely unsupported.

mod empty;
pub mod fold;
pub mod guard;
pub mod invalid;
pub mod limits;
pub mod message;
mod ranges;
mod structure;
#[cfg(test)]
mod tests;

pub use structure::{given_sizes, graph, outputs};
