//! What a `.fmplan` bundle is: its types, its byte layout, reading, writing, validation and abstract replay.
//!
//! The compiler writes bundles with this crate and the runtime reads them with it. It deliberately knows neither a GPU
//! nor a solver, and makes no decisions. The format is specified in `docs/format.md`.

pub mod plan;
