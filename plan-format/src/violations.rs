//! A list of everything that is wrong, for checkers that report all violations instead of the first.
//!
//! It keeps at most [`MAX_LISTED`] entries and counts the rest, so that a hostile plan cannot make its checker allocate
//! without bound. It deliberately does not know what a violation is.

use std::error::Error;
use std::fmt::{self, Debug, Display};

/// Entries that are kept; later ones are only counted.
pub const MAX_LISTED: usize = 1_000;

/// All violations that a checker found, in the order in which it found them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violations<V> {
    /// The first [`MAX_LISTED`] of them.
    pub list: Vec<V>,
    /// How many more there were.
    pub omitted: u64,
}

impl<V> Violations<V> {
    pub(crate) const fn new() -> Self {
        Self { list: Vec::new(), omitted: 0 }
    }

    pub(crate) fn push(&mut self, violation: V) {
        if self.list.len() < MAX_LISTED {
            self.list.push(violation);
        } else {
            self.omitted += 1;
        }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub(crate) fn into_result<T>(self, value: T) -> Result<T, Self> {
        if self.list.is_empty() { Ok(value) } else { Err(self) }
    }
}

impl<V: Display> Display for Violations<V> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} violation(s):", self.list.len() as u64 + self.omitted)?;
        for violation in &self.list {
            write!(out, "\n  {violation}")?;
        }
        if self.omitted > 0 {
            write!(out, "\n  and {} more", self.omitted)?;
        }
        Ok(())
    }
}

impl<V: Debug + Display> Error for Violations<V> {}
