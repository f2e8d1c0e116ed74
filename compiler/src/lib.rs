//! ONNX to `.fmplan`: one folder per stage, in order.
//!
//! `import` reads ONNX files; `optimize` rewrites the graph; `graph` is the operator graph between import and lowering. The crate deliberately never sees a GPU.

pub mod graph;
pub mod import;
pub mod optimize;
