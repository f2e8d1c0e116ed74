//! `flashmem-compile`: compiles an ONNX model into a `.fmplan` bundle.
fn main() {}
