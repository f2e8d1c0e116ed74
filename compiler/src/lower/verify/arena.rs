//! Which tensor every byte of the arena was last written for.

use crate::lower::view::TensorId;
use std::ops::Range;

/// Bytes and the tensor that they were last written for.
#[derive(Debug, Clone)]
struct Held {
    bytes: Range<u64>,
    holder: TensorId,
}

/// Disjoint ranges of bytes in order. Bytes in between were never written. There are few at a time, so that a list is faster than a tree.
#[derive(Debug, Default)]
pub struct Arena {
    held: Vec<Held>,
}

impl Arena {
    /// Places of the ranges that overlap `bytes`.
    fn overlapping(&self, bytes: &Range<u64>) -> Range<usize> {
        let first = self.held.partition_point(|held| held.bytes.end <= bytes.start);
        let behind = self.held[first..].iter().take_while(|held| held.bytes.start < bytes.end).count();
        first..first + behind
    }

    /// Makes `tensor` the holder of `bytes`; returns who held any of them before, without `tensor` itself.
    pub fn write(&mut self, bytes: Range<u64>, tensor: TensorId) -> Vec<TensorId> {
        let places = self.overlapping(&bytes);
        let overlapped = &self.held[places.clone()];
        // A tensor of several calls is written again and again.
        if overlapped.len() == 1 && overlapped[0].holder == tensor && overlapped[0].bytes == bytes {
            return Vec::new();
        }
        let mut victims: Vec<TensorId> =
            overlapped.iter().map(|held| held.holder).filter(|holder| *holder != tensor).collect();
        victims.dedup();
        let before = overlapped.first().filter(|held| held.bytes.start < bytes.start);
        let before = before.map(|held| Held { bytes: held.bytes.start..bytes.start, holder: held.holder });
        let after = overlapped.last().filter(|held| held.bytes.end > bytes.end);
        let after = after.map(|held| Held { bytes: bytes.end..held.bytes.end, holder: held.holder });
        let written = Held { bytes, holder: tensor };
        self.held.splice(places, before.into_iter().chain([written]).chain(after));
        victims
    }

    /// Whether all of `bytes` were last written for `tensor`.
    ///
    /// # Errors
    /// Who holds the first byte for which that is not so: `None` for one that was never written.
    pub fn holds(&self, bytes: Range<u64>, tensor: TensorId) -> Result<(), Option<TensorId>> {
        let mut next = bytes.start;
        for held in &self.held[self.overlapping(&bytes)] {
            if held.bytes.start > next {
                return Err(None);
            }
            if held.holder != tensor {
                return Err(Some(held.holder));
            }
            next = held.bytes.end;
        }
        if next >= bytes.end { Ok(()) } else { Err(None) }
    }
}

#[cfg(test)]
mod tests {
    use super::{Arena, TensorId};

    #[test]
    fn what_is_written_over_is_cut_out() {
        let [a, b, c] = [TensorId(0), TensorId(1), TensorId(2)];
        let mut arena = Arena::default();
        assert_eq!(arena.holds(0..4, a), Err(None));
        assert_eq!(arena.write(0..100, a), []);
        assert_eq!(arena.write(40..60, b), [a]);
        assert_eq!(arena.write(40..60, b), []);
        assert_eq!((arena.holds(0..40, a), arena.holds(40..60, b), arena.holds(60..100, a)), (Ok(()), Ok(()), Ok(())));
        assert_eq!(arena.holds(0..100, a), Err(Some(b)));
        assert_eq!(arena.holds(90..101, a), Err(None));
        assert_eq!(arena.write(30..70, c), [a, b, a]);
        assert_eq!(arena.holds(30..70, c), Ok(()));
        assert_eq!(arena.holds(29..31, a), Err(Some(c)));
    }
}
