//! What a caller may choose about a session. None of it changes what a run computes.

use serde::Serialize;
use std::path::PathBuf;
use std::time::Duration;

/// How a session is opened and run.
#[derive(Debug, Clone)]
pub struct Options {
    /// Use the first adapter whose name contains this text (in any case). `None`, the default: hardware before software.
    pub adapter: Option<String>,
    /// Threads that read pages ahead; 4 by default. 0, and where there are no threads: a page is read when it is needed. From
    /// a source that answers later, as many pages are fetched at a time, and at least one.
    pub reader_threads: u32,
    /// Refuse a bundle that declares a higher peak; no limit by default.
    pub budget_bytes: Option<u64>,
    /// Threads that create pipelines while a session is opened and runs first. 0, the default: one a core, from 2 to 8.
    pub pipeline_threads: u32,
    /// How a file is read; [`IoMode::Auto`] by default.
    pub io_mode: IoMode,
    /// Where a driver's pipeline cache is kept between processes, for drivers that keep none themselves; nowhere by default.
    /// Nobody else should be able to write there.
    pub cache_dir: Option<PathBuf>,
    /// Longest wait for the device, or for a read, before opening or a run fails; 300 s by default.
    pub timeout: Duration,
    /// Keep what the session does, for [`Session::trace`](crate::Session::trace); off by default. Its memory is outside the
    /// declared peak.
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

/// How a file is read. None of it changes what a run computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum IoMode {
    /// `Cached` when the file takes at most a quarter of the memory that the system has to spare, else `Buffered`.
    #[default]
    Auto,
    /// Through the page cache, which is advised of what comes next, and to forget what was used.
    Buffered,
    /// Through the page cache, which keeps what it likes: the next start is faster if it does.
    Cached,
    /// Around the page cache. Falls back to `Buffered` where the file system refuses.
    Direct,
    /// From a mapping of the file. A file that is truncated while a session reads it may kill the process.
    Mmap,
}

impl IoMode {
    /// All modes.
    pub const ALL: [Self; 5] = [Self::Auto, Self::Buffered, Self::Cached, Self::Direct, Self::Mmap];

    /// The name on command lines and in statistics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Buffered => "buffered",
            Self::Cached => "cached",
            Self::Direct => "direct",
            Self::Mmap => "mmap",
        }
    }
}

/// Why a file is read in another mode than the requested one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IoNote {
    /// The file system or the platform refuses direct I/O.
    #[error("direct I/O is refused ({reason}); reading through the page cache")]
    DirectRefused {
        /// What the system says.
        reason: String,
    },
}
