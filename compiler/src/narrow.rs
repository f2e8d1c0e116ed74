//! Numbers in the 32 bits that ids, plans and kernels have, and never cut silently.
//!
//! Sizes of parameters are checked where they are given (`kernels/params.rs`), and refused where they do not fit.

/// An index into a list that is in memory, or its length.
pub fn index32(index: usize) -> u32 {
    u32::try_from(index).expect("a list of 2^32 entries does not fit into memory")
}

/// A count that is held against a limit afterwards; beyond 32 bits it is the greatest one, which every limit refuses.
pub fn count32(count: impl TryInto<u32>) -> u32 {
    count.try_into().unwrap_or(u32::MAX)
}

/// A size or a place in what is in memory or mapped.
pub fn in_memory(size: u64) -> usize {
    usize::try_from(size).expect("what is in memory has addresses")
}

/// A code of a weight in blocks.
pub fn code8(code: i32) -> u8 {
    u8::try_from(code).expect("codes have eight bits at most")
}

/// A code that was computed, and rounded, as a float.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the caller has brought it between 0 and 255"
)]
pub fn float_code8(code: f32) -> u8 {
    debug_assert!((0.0..=255.0).contains(&code), "{code}");
    code as u8
}

#[cfg(test)]
mod tests {
    use super::{code8, count32, float_code8, in_memory, index32};

    #[test]
    fn nothing_is_cut() {
        assert_eq!((index32(7), count32(7_usize), count32(1_u64 << 32), count32(-1_i64)), (7, 7, u32::MAX, u32::MAX));
        assert!(std::panic::catch_unwind(|| index32(1 << 32)).is_err(), "no such list");
        assert_eq!((in_memory(1 << 20), code8(255), float_code8(255.0)), (1 << 20, 255, 255));
        assert!(std::panic::catch_unwind(|| code8(256)).is_err() && std::panic::catch_unwind(|| code8(-1)).is_err());
    }
}
