//! ONNX to `.fmplan`: one folder a stage; `compile` is the list of them in order. No folders name each other in a circle.
//!
//! The crate deliberately never sees a GPU.

#[cfg(test)]
mod blessed;
pub mod bundle;
pub mod compile;
pub mod cost;
pub mod emit;
pub mod entries;
pub mod graph;
pub mod import;
pub mod kernels;
pub mod link;
pub mod lower;
#[cfg(test)]
mod messages;
mod narrow;
mod operators;
pub mod optimize;
pub mod options;
pub mod pack;
pub mod precision;
pub mod profile;
pub mod report;
pub mod schedule;
pub mod search;
pub mod stages;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
