//! How both programs write files: whole or not at all, never over an input, never in a device's place.
//!
//! `destination` says what a path leads to, `output` writes there, `partial` is the file beside the target that takes its place
//! when it is whole, `scratch` one that takes no place, `overlap` refuses outputs that are inputs or each other, and `interrupt`
//! (feature `signals`) lets signals leave nothing behind. docs/robustness.md has the promises. Deliberately not here: what is written,
//! and any text for people but errors. Nothing of it exists for WebAssembly, where there are no files.

mod destination;
mod error;
#[cfg(all(feature = "signals", unix))]
pub mod interrupt;
mod output;
mod overlap;
mod partial;
mod scratch;

pub use destination::Destination;
pub use error::{FileError, Special};
pub use output::{OutputFile, write};
pub use overlap::{Named, check_outputs};
pub use partial::PartialFile;
pub use scratch::ScratchFile;
