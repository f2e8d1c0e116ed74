//! Parameters that the light kernels share: linear and row-wise dispatches, merged axes as padded vectors.
//!
//! It deliberately knows no operator.

use crate::cost::Cost;
use crate::cost::OperatorClass;
use crate::kernels::rounds::nest;
use crate::lower::view::{View, merge_axes};
use crate::narrow::count32;
use std::ops::Range;

/// Invocations of one workgroup of every light kernel.
pub const WORKGROUP: usize = 64;

/// Workgroups that plain WebGPU allows along one dimension.
const MAX_WORKGROUPS: usize = 65_535;

/// A stride or offset as kernels hold it: negative numbers wrap around, and so does the address arithmetic.
pub const fn word(value: i64) -> u32 {
    value as u32
}

/// Workgroups over x and y, as square as needed.
fn grid(groups: usize) -> [u32; 3] {
    let rows = groups.div_ceil(MAX_WORKGROUPS).max(1);
    [groups.div_ceil(rows).max(1) as u32, rows as u32, 1]
}

/// Workgroups along three dimensions; what does not fit is beyond the limit of every device, and refused as such.
pub fn workgroups(counts: [usize; 3]) -> [u32; 3] {
    counts.map(count32)
}

/// Dispatch of one invocation an element: workgroups, and invocations along x.
pub fn linear(count: usize) -> ([u32; 3], u32) {
    let workgroups = grid(count.div_ceil(WORKGROUP));
    (workgroups, workgroups[0] * WORKGROUP as u32)
}

/// Rounds of one call, where a node's work is cut into calls to stay below.
pub const ROUNDS_PER_CALL: usize = 1 << 15;

/// Rounds that a call has beside those of a loop that is cut.
const OTHER_ROUNDS: u64 = 4096;

/// The rounds of a loop in parts for one call each, each round with `inner` rounds of loops in it: all of them where `most`
/// says nothing or allows it.
pub fn parts(rounds: usize, inner: u64, most: Option<u64>) -> impl Iterator<Item = Range<usize>> {
    let allowed = most.map_or(usize::MAX, |most| (most.saturating_sub(OTHER_ROUNDS) / (1 + inner)).max(1) as usize);
    let count = rounds.div_ceil(allowed).max(1);
    (0..count).map(move |i| rounds * i / count..rounds * (i + 1) / count)
}

/// A part of a window: its first taps and those behind its last, innermost axis first.
pub type WindowPart = ([usize; 4], [usize; 4]);

/// The taps of a window, innermost axis first, in parts for one call each, in ascending order.
pub fn window_parts(taps: [usize; 4], most: Option<u64>) -> Vec<WindowPart> {
    let mut parts = vec![([0; 4], [0; 4])];
    let mut inner = Vec::new();
    let mut lists = Vec::new();
    for size in taps {
        let list: Vec<Range<usize>> = self::parts(size, nest(&inner), most).collect();
        inner.insert(0, if list.len() > 1 { most.unwrap_or(0) } else { size as u64 });
        lists.push(list);
    }
    for axis in (0..4).rev() {
        let with = |(first, end): WindowPart, range: &Range<usize>| {
            let (mut first, mut end) = (first, end);
            (first[axis], end[axis]) = (range.start, range.end);
            (first, end)
        };
        parts = parts.iter().flat_map(|part| lists[axis].iter().map(|range| with(*part, range))).collect();
    }
    parts
}

/// Invocations that share a row of `columns` elements, `stride` apart.
pub fn lanes(rows: usize, columns: usize, stride: i64) -> u32 {
    // Few rows need all invocations; many rows whose elements lie apart are read side by side, one invocation each.
    if stride.abs() > 1 && rows >= 4096 {
        return 1;
    }
    (columns.div_ceil(4).next_power_of_two()).clamp(1, WORKGROUP) as u32
}

/// Dispatch of rows that `lanes` invocations share: workgroups, of which the first is the number along x.
pub fn by_rows(rows: usize, lanes: u32) -> [u32; 3] {
    grid(rows.div_ceil(WORKGROUP / lanes as usize))
}

/// Innermost first, padded.
pub fn reversed<T: Copy, const N: usize>(values: &[T], padding: T) -> [T; N] {
    let mut out = [padding; N];
    for (to, from) in out.iter_mut().zip(values.iter().rev()) {
        *to = *from;
    }
    out
}

/// Merged axes of one walk over several views, for the kernels that take up to eight axes.
pub struct Walk {
    /// Number of elements.
    pub count: usize,
    /// Axes.
    pub rank: u32,
    /// Extents, innermost first, padded with 1.
    pub extents: [usize; 8],
    /// Strides of each view, innermost first, padded with 0.
    pub strides: Vec<[u32; 8]>,
}

/// Merges the axes of a walk; `None` when more than eight are left.
pub fn walk(shape: &[usize], strides: &[Vec<i64>]) -> Option<Walk> {
    let (merged, strides) = merge_axes(shape, strides);
    let words = |list: &[i64]| reversed::<u32, 8>(&list.iter().map(|s| word(*s)).collect::<Vec<_>>(), 0);
    (merged.len() <= 8).then(|| Walk {
        count: shape.iter().product(),
        rank: merged.len().max(1) as u32,
        extents: reversed(&merged, 1),
        strides: strides.iter().map(|s| words(s)).collect(),
    })
}

/// Outermost first, padded in front.
fn padded<T: Copy>(list: &[T], padding: T) -> [T; 4] {
    let mut out = [padding; 4];
    out[4 - list.len()..].copy_from_slice(list);
    out
}

/// Axes merged to at most four, outermost first, padded in front.
#[derive(Debug, Clone)]
pub struct Four {
    /// Extents, padded with 1.
    pub extents: [usize; 4],
    /// Strides of each view, padded with 0.
    pub strides: Vec<[u32; 4]>,
}

/// The chosen axes of views of one shape merged to four; `None` when more are left.
pub fn four(axes: &[usize], views: &[&View]) -> Option<Four> {
    let shape: Vec<usize> = axes.iter().map(|a| views[0].shape[*a]).collect();
    let strides: Vec<Vec<i64>> = views.iter().map(|v| axes.iter().map(|a| v.strides[*a]).collect()).collect();
    let (merged, strides) = merge_axes(&shape, &strides);
    (merged.len() <= 4).then(|| Four {
        extents: padded(&merged, 1),
        strides: strides.iter().map(|s| padded(&s.iter().map(|v| word(*v)).collect::<Vec<_>>(), 0)).collect(),
    })
}

/// The one stride with which a view walks the chosen axes; `None` when one is not enough.
pub fn single_stride(axes: &[usize], view: &View) -> Option<i64> {
    let shape: Vec<usize> = axes.iter().map(|a| view.shape[*a]).collect();
    let (merged, strides) = merge_axes(&shape, &[axes.iter().map(|a| view.strides[*a]).collect()]);
    match merged.len() {
        0 => Some(0),
        1 => Some(strides[0][0]),
        _ => None,
    }
}

/// The axes that are not in `axes`.
pub fn other_axes(rank: usize, axes: &[usize]) -> Vec<usize> {
    (0..rank).filter(|a| !axes.contains(a)).collect()
}

/// Cost of a kernel that reads `read` and writes `written` elements and computes `flops` in all.
pub fn cost(class: OperatorClass, read: usize, written: usize, flops: usize) -> Cost {
    Cost { class, flops: flops as f64, bytes: 4.0 * (read + written) as f64 }
}

#[cfg(test)]
mod tests {
    use super::{parts, window_parts};
    use crate::kernels::rounds::nest;

    #[test]
    fn parts_of_windows_cover_every_tap_once_in_order() {
        assert_eq!(window_parts([9, 9, 9, 9], None).len(), 1);
        assert_eq!(parts(100_000, 0, None).count(), 1);
        for taps in [[200_000, 1, 1, 1], [500, 300, 1, 1], [2, 70_000, 1, 1], [70_000, 3, 1, 1], [20, 20, 20, 20]] {
            let mut reached = Vec::new();
            for (first, end) in window_parts(taps, Some(65_000)) {
                let sizes: Vec<u64> = (0..4).rev().map(|axis| (end[axis] - first[axis]) as u64).collect();
                assert!(nest(&sizes) <= 65_000, "{sizes:?}");
                for w in first[3]..end[3] {
                    for z in first[2]..end[2] {
                        for y in first[1]..end[1] {
                            let row = (w * taps[2] + z) * taps[1] + y;
                            reached.push(row * taps[0] + first[0]..row * taps[0] + end[0]);
                        }
                    }
                }
            }
            let starts_where_the_one_before_ends = reached.windows(2).all(|pair| pair[0].end == pair[1].start);
            assert!(starts_where_the_one_before_ends && reached[0].start == 0, "{taps:?}");
            assert_eq!(reached.last().map(|range| range.end), Some(taps.iter().product()));
        }
    }
}
