//! ONNX to `.fmplan`: one folder per stage, in order.
//!
//! `graph` is the operator graph between import and lowering. The crate deliberately never sees a GPU.

pub mod emit;
pub mod graph;
pub mod kernels;
pub mod lower;
pub mod schedule;
