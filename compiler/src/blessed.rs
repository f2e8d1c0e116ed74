//! Golden files of tests: what was found must be what is committed, and `BLESS=1` rewrites the file.

use flashmem_plan_format::testing::messages;
use std::path::Path;

/// Compares with `tests/golden/NAME`; the first line that differs is in the message.
pub fn check(name: &str, found: &str) {
    messages::check(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name), found);
}
