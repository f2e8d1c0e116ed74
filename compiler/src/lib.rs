//! ONNX to `.fmplan`: one folder per stage, in order; `compile` is the list.
//!
//! The crate deliberately never sees a GPU.

pub mod bundle;
pub mod compile;
pub mod emit;
pub mod graph;
pub mod import;
pub mod kernels;
pub mod lower;
pub mod operators;
pub mod optimize;
pub mod pack;
pub mod profile;
pub mod report;
pub mod schedule;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
