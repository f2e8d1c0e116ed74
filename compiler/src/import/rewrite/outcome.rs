//! What a rewrite is, and what it did.

use super::steps::Steps;
use crate::import::reason::Reason;
use std::collections::BTreeMap;

/// What a rewrite did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rewritten {
    /// The node stays.
    Unchanged,
    /// The steps take its place.
    Replaced,
}

/// A rewrite: `Err` is why this node cannot be expressed.
pub type Rewrite = fn(&mut Steps<'_>) -> Result<Rewritten, Reason>;

/// Shapes by name.
pub type Shapes = BTreeMap<String, Vec<usize>>;
