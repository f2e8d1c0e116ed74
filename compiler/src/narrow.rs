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

#[cfg(test)]
mod tests {
    use super::{count32, index32};

    #[test]
    fn nothing_is_cut() {
        assert_eq!((index32(7), count32(7_usize), count32(1_u64 << 32), count32(-1_i64)), (7, 7, u32::MAX, u32::MAX));
        assert!(std::panic::catch_unwind(|| index32(1 << 32)).is_err(), "no such list");
    }
}
