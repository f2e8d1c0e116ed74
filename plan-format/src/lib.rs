//! What a `.fmplan` bundle is: its types, its byte layout, reading, writing, validation and abstract replay.
//!
//! The compiler writes bundles with this crate and the runtime reads them with it. It deliberately knows neither a GPU
//! nor a solver, and makes no decisions. The format is specified in `docs/format.md`.

pub mod byte_size;
pub mod codec;
pub mod container;
pub mod encoding;
#[cfg(not(target_arch = "wasm32"))]
pub mod files;
pub mod implied;
pub mod indices;
pub mod linked;
pub mod names;
pub mod npy;
pub mod plan;
pub mod random;
pub mod replay;
pub mod row_indices;
pub mod source;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;
pub mod validate;
pub mod violations;

pub use container::{Bundle, BundleError, BundleWriter, Golden, OpenedBundle, OpenedNetwork, Summary, WriteError};
pub use replay::{At, Pass, ReplayReport, ReplayViolation, replay};
pub use source::{FileSource, MemorySource, ReadAt};
pub use validate::{Place, PlanViolation, validate};
pub use violations::Violations;
