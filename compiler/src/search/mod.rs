//! The search: over undone fusions, page sizes, slots and rings, and what stays resident.
//!
//! Each candidate goes through the list of `stages`. `adaptive.rs` optimises and searches, and again with other fusions
//! (`fusion.rs` proposes them); `budget.rs` searches page size, slots and ring among the `candidates.rs`, within a slack
//! `min_memory.rs`; `residency.rs` makes slots of what a budget leaves. It deliberately writes nothing.

mod adaptive;
mod budget;
mod candidates;
mod fusion;
mod min_memory;
mod residency;
#[cfg(test)]
mod tests;
mod types;

pub use adaptive::{SPLIT_OPTION, Solution, SolveError, check, solve};
pub use budget::search;
pub use candidates::page_sizes;
pub use fusion::{FusionReport, Split};
pub use residency::set_slots;
pub use types::{BudgetError, Planned, Search};
