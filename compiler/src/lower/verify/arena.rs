//! Which tensor every byte of the arena was last written for.

use crate::lower::view::TensorId;
use std::collections::BTreeMap;
use std::ops::Range;

/// Disjoint ranges of bytes by their start, each with its end and its holder. Bytes in between were never written.
#[derive(Debug, Default)]
pub struct Arena {
    held: BTreeMap<u64, (u64, TensorId)>,
}

impl Arena {
    /// Ranges that overlap `bytes`, in order.
    fn overlapping(&self, bytes: &Range<u64>) -> impl Iterator<Item = (Range<u64>, TensorId)> {
        let first = self.held.range(..=bytes.start).next_back().map_or(bytes.start, |(start, _)| *start);
        let from = bytes.start;
        let ranges = self.held.range(first..bytes.end.max(first)).map(|(start, (end, holder))| (*start..*end, *holder));
        ranges.filter(move |(range, _)| range.end > from)
    }

    /// Makes `tensor` the holder of `bytes`; returns who held any of them before, without `tensor` itself.
    pub fn write(&mut self, bytes: Range<u64>, tensor: TensorId) -> Vec<TensorId> {
        // A tensor of several calls is written again and again.
        if self.held.get(&bytes.start) == Some(&(bytes.end, tensor)) {
            return Vec::new();
        }
        let overlapped: Vec<(Range<u64>, TensorId)> = self.overlapping(&bytes).collect();
        for (range, holder) in &overlapped {
            self.held.remove(&range.start);
            if range.start < bytes.start {
                self.held.insert(range.start, (bytes.start, *holder));
            }
            if range.end > bytes.end {
                self.held.insert(bytes.end, (range.end, *holder));
            }
        }
        self.held.insert(bytes.start, (bytes.end, tensor));
        let mut victims: Vec<TensorId> = overlapped.into_iter().map(|(_, holder)| holder).collect();
        victims.retain(|holder| *holder != tensor);
        victims.dedup();
        victims
    }

    /// Whether all of `bytes` were last written for `tensor`.
    ///
    /// # Errors
    /// Who holds the first byte for which that is not so: `None` for one that was never written.
    pub fn holds(&self, bytes: Range<u64>, tensor: TensorId) -> Result<(), Option<TensorId>> {
        let mut next = bytes.start;
        for (range, holder) in self.overlapping(&bytes) {
            if range.start > next {
                return Err(None);
            }
            if holder != tensor {
                return Err(Some(holder));
            }
            next = range.end;
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
