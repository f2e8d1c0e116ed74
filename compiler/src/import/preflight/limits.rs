//! The limits themselves.

/// Most fields of the message without its large weights: each becomes at most a few hundred bytes when decoded.
pub const MAX_FIELDS: u64 = 1 << 22;
/// Most nodes, those of subgraphs included. tract compares every node with every other.
pub const MAX_NODES: u64 = 1 << 15;
/// Most calls of local functions inside one another, bodies of nodes around them included.
pub const MAX_CALL_DEPTH: u64 = 32;
/// Most bytes of nodes that calls of local functions become, all together.
pub const MAX_INLINED_BYTES: u64 = 1 << 30;
/// Most axes of a tensor.
pub const MAX_RANK: i64 = 32;
/// Largest size of an axis: devices index with 32 bits.
pub const MAX_DIMENSION: i64 = i32::MAX as i64;
/// Most elements of a tensor, of one that is never stored whole (attention scores, say) too.
pub const MAX_ELEMENTS: u64 = 1 << 40;
/// Most bytes of constants that tract folds, all together.
pub const MAX_FOLDED_BYTES: u64 = 1 << 30;
/// Folded values up to this size do not count towards that: the limit on nodes bounds them.
pub const SMALL_BYTES: u64 = 4096;

/// Checks the sizes of a tensor's axes, those that are known, and their product.
pub fn bounded(sizes: impl Iterator<Item = Option<i64>>) -> bool {
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
