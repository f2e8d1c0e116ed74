//! Which elements of a public tensor are indices, and what they may be.
//!
//! The host checks them: those of inputs before a run, those of outputs (which a debugging bundle has for computed indices)
//! after it. A kernel limits an index to its axis, whatever it is. It deliberately reads no tensor: the runtime does.

use crate::names::NameId;
use serde::{Deserialize, Serialize};

/// Elements of a tensor in an order: offset + Σ index · stride over `shape`, each a position in the dense row-major tensor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Walk {
    /// Position of the first element.
    pub offset: u64,
    /// Extents.
    pub shape: Vec<u64>,
    /// Strides, in elements; 0 along an axis that repeats.
    pub strides: Vec<i64>,
}

/// Elements of a public input or output that index an axis. A compiler that has no table of names yet says otherwise which node
/// is meant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexBound<N = NameId> {
    /// The tensor.
    pub port: IndexPort,
    /// The elements.
    pub walk: Walk,
    /// Least value; negative where indices count from the end.
    pub least: i64,
    /// Greatest value.
    pub most: i64,
    /// A value that is allowed besides: one that stands for no index.
    pub except: Option<i64>,
    /// ONNX node name.
    pub node: N,
}

/// A public tensor, by position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum IndexPort {
    /// In `Plan::inputs`.
    Input(u32),
    /// In `Plan::outputs`.
    Output(u32),
}

impl<N> IndexBound<N> {
    /// The same of a node that is said otherwise.
    pub fn of<M>(self, node: M) -> IndexBound<M> {
        let Self { port, walk, least, most, except, node: _ } = self;
        IndexBound { port, walk, least, most, except, node }
    }

    /// Whether a value may stand here.
    pub fn allows(&self, value: i64) -> bool {
        (self.least..=self.most).contains(&value) || self.except == Some(value)
    }
}

impl Walk {
    /// All elements of a dense tensor, in order.
    pub fn all(elements: u64) -> Self {
        Self { offset: 0, shape: vec![elements], strides: vec![1] }
    }

    /// The first and the last position of the walk; `None` on overflow, or where one is before the tensor.
    pub fn reach(&self) -> Option<(u64, u64)> {
        let (mut first, mut last) = (i128::from(self.offset), i128::from(self.offset));
        for (extent, stride) in self.shape.iter().zip(&self.strides) {
            let span = i128::from(extent.checked_sub(1)?).checked_mul(i128::from(*stride))?;
            first = first.checked_add(span.min(0))?;
            last = last.checked_add(span.max(0))?;
        }
        Some((u64::try_from(first).ok()?, u64::try_from(last).ok()?))
    }

    /// Elements of the walk; `None` on overflow.
    pub fn count(&self) -> Option<u64> {
        self.shape.iter().try_fold(1_u64, |product, extent| product.checked_mul(*extent))
    }

    /// Whether it has as many strides as extents, at most `max_rank` of them, goes over 1 to `max_places` places, and stays
    /// inside a tensor of `elements`.
    pub fn fits(&self, elements: u64, max_places: u64, max_rank: u32) -> bool {
        let inside = self.reach().is_some_and(|(_, last)| last < elements);
        let counted = self.count().is_some_and(|count| (1..=max_places).contains(&count));
        let ranks = [self.shape.len(), self.strides.len()].map(|rank| rank as u64);
        inside && counted && ranks[0] == ranks[1] && ranks[0] <= u64::from(max_rank)
    }

    /// Every position, in row-major order. The walk must be a validated one.
    pub fn positions(&self) -> impl Iterator<Item = u64> + '_ {
        (0..self.count().unwrap_or(0)).map(|flat| {
            let (mut rest, mut position) = (flat, self.offset as i64);
            for (extent, stride) in self.shape.iter().zip(&self.strides).rev() {
                position += (rest % extent) as i64 * stride;
                rest /= extent;
            }
            position as u64
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{IndexBound, IndexPort, Walk};

    #[test]
    fn a_walk_has_its_positions_in_order() {
        let bound = IndexBound {
            port: IndexPort::Input(0),
            walk: Walk { offset: 5, shape: vec![2, 3], strides: vec![6, -2] },
            least: -4,
            most: 3,
            except: Some(-100),
            node: "Gather_0",
        };
        let walk = &bound.walk;
        assert_eq!(walk.positions().collect::<Vec<_>>(), [5, 3, 1, 11, 9, 7]);
        assert_eq!((walk.reach(), walk.count()), (Some((1, 11)), Some(6)));
        assert!(walk.fits(12, 6, 2) && !walk.fits(11, 6, 2) && !walk.fits(12, 5, 2) && !walk.fits(12, 6, 1));
        assert!(bound.allows(-4) && bound.allows(3) && bound.allows(-100) && !bound.allows(4) && !bound.allows(-5));
        assert_eq!(Walk { offset: 3, ..bound.walk }.reach(), None);
    }
}
