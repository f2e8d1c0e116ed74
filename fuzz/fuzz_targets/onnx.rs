//! Fuzz target: see `flashmem_compiler::testing::onnx`.

#![no_main]

use std::sync::LazyLock;

static FOLDER: LazyLock<tempfile::TempDir> = LazyLock::new(|| tempfile::tempdir().expect("a temporary folder"));

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| flashmem_compiler::testing::onnx(bytes, FOLDER.path()));
