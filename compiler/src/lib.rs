//! ONNX to `.fmplan`: one folder per stage, in order.
//!
//! `graph` is the operator graph between import and lowering; `profile` describes a device; `schedule` decides when each
//! page of weights is uploaded and dropped. The crate deliberately never sees a GPU.

pub mod graph;
pub mod profile;
pub mod schedule;
