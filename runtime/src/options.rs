//! What a caller may choose about a session. None of it changes what a run computes.

use crate::io::IoMode;
use std::time::Duration;

/// How a session is opened and run.
#[derive(Debug, Clone)]
pub struct Options {
    /// Use the first adapter whose name contains this text (in any case). `None`: hardware before software.
    pub adapter: Option<String>,
    /// Threads that read pages ahead. 0, and where there are no threads: a page is read when it is needed.
    pub reader_threads: u32,
    /// Refuse a bundle that declares a higher peak.
    pub budget_bytes: Option<u64>,
    /// Threads that create pipelines while a session is opened and runs first, at least 1.
    pub pipeline_threads: u32,
    /// How [`Session::open`](crate::Session::open) reads the file.
    pub io_mode: IoMode,
    /// Longest wait for the device, or for a page, before the run fails.
    pub timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            adapter: None,
            reader_threads: 4,
            budget_bytes: None,
            pipeline_threads: 4,
            io_mode: IoMode::Auto,
            timeout: Duration::from_secs(300),
        }
    }
}
