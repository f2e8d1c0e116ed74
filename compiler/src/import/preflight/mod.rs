//! What a foreign model may ask for: limits and ranges, checked before anything is allocated or handed to tract.
//!
//! `message` bounds the bytes before they are decoded, `structure` the decoded graph, `ranges` its attributes and the small
//! constants that are parameters; `guard` applies the same ranges and the bound on shapes to what tract infers, and `fold`
//! the budget to what it folds. All limits are counts and bytes, never times. A violation is an [`Invalid`]. Deliberately not
//! here: what an operator means, and what is merely unsupported.

mod empty;
pub mod fold;
pub mod guard;
mod invalid;
pub mod message;
mod ranges;
mod structure;
#[cfg(test)]
mod tests;

pub use invalid::Invalid;
pub use structure::{given_sizes, graph, outputs};

/// Most fields of the message without its large weights: each becomes at most a few hundred bytes when decoded.
pub const MAX_FIELDS: u64 = 1 << 22;
/// Most nodes, those of subgraphs included. tract compares every node with every other.
pub const MAX_NODES: u64 = 1 << 15;
/// Most axes of a tensor.
pub const MAX_RANK: i64 = 32;
/// Largest size of an axis: devices index with 32 bits.
pub const MAX_DIMENSION: i64 = i32::MAX as i64;
/// Most elements of a tensor, of one that is never stored whole (attention scores, say) too.
pub const MAX_ELEMENTS: u64 = 1 << 40;
/// Most bytes of constants that tract folds, all together.
pub const MAX_FOLDED_BYTES: u64 = 1 << 30;
/// Folded values up to this size do not count towards that: the limit on nodes bounds them.
const SMALL_BYTES: u64 = 4096;

/// Checks the sizes of a tensor's axes, those that are known, and their product.
fn bounded(sizes: impl Iterator<Item = Option<i64>>) -> bool {
    let (mut axes, mut elements) = (0, Some(1_u64));
    for size in sizes {
        axes += 1;
        // A zero counts as one, so that it hides no overflow of a part of the product.
        let size = size.unwrap_or(1);
        let factor = (0..=MAX_DIMENSION).contains(&size).then(|| size.max(1).unsigned_abs());
        elements = elements.zip(factor).and_then(|(elements, factor)| elements.checked_mul(factor));
    }
    axes <= MAX_RANK && elements.is_some_and(|elements| elements <= MAX_ELEMENTS)
}
