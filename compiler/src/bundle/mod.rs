//! The last stage: a scheduled program becomes a plan, and plan, constants, rows and pages become a `.fmplan` file.
//!
//! `assemble.rs` makes the plan, `golden.rs` the self-test, `half.rs` says what was done for half precision and
//! `precision.rs` how every weight is stored, `write.rs` packs and writes. It deliberately chooses nothing: `search` does.

mod assemble;
mod golden;
pub mod half;
pub mod precision;
mod write;

pub use assemble::{AssembleError, Assembled, Assembly, assemble, step_pages};
pub use golden::{GoldenError, GoldenSource, golden};
pub use write::{BundleError, write, write_scratch};
