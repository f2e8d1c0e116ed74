//! What a caller may choose about a session. None of it changes what a run computes.

use crate::io::IoMode;
use std::path::PathBuf;
use std::time::Duration;

/// How a session is opened and run.
#[derive(Debug, Clone)]
pub struct Options {
    /// Use the first adapter whose name contains this text (in any case). `None`: hardware before software.
    pub adapter: Option<String>,
    /// Threads that read pages ahead. 0, and where there are no threads: a page is read when it is needed. From a source that
    /// answers later, as many pages are fetched at a time, and at least one.
    pub reader_threads: u32,
    /// Refuse a bundle that declares a higher peak.
    pub budget_bytes: Option<u64>,
    /// Threads that create pipelines while a session is opened and runs first. 0: one a core, from 2 to 8.
    pub pipeline_threads: u32,
    /// How [`Session::open`](crate::Session::open) reads the file.
    pub io_mode: IoMode,
    /// Where a driver's pipeline cache is kept between processes, for drivers that keep none themselves. Nobody else
    /// should be able to write there.
    pub cache_dir: Option<PathBuf>,
    /// Longest wait for the device, or for a read, before opening or a run fails.
    pub timeout: Duration,
    /// Keep what the session does, for [`Session::trace`](crate::Session::trace). Its memory is outside the declared peak.
    pub trace: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            adapter: None,
            reader_threads: 4,
            budget_bytes: None,
            pipeline_threads: 0,
            io_mode: IoMode::Auto,
            cache_dir: None,
            timeout: Duration::from_secs(300),
            trace: false,
        }
    }
}
