//! Positions in the table of names.

use serde::{Deserialize, Serialize};

/// Position of a name in [`Plan::names`](crate::plan::Plan::names).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NameId(pub u32);
