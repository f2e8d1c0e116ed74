//! The bytes of constants, which are never copied.

use std::sync::Arc;

/// Shared bytes: a `Vec<u8>`, a tract tensor, or a mapped file.
pub type SharedBytes = Arc<dyn AsRef<[u8]> + Send + Sync>;
