//! Fuzz target: see `flashmem_plan_format::testing::fuzz::plan`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| flashmem_plan_format::testing::fuzz::plan(bytes));
