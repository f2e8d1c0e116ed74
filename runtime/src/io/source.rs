//! What a session reads its bundle from.

use super::async_source::AsyncReadAt;
use super::metered::MeteredSource;
#[cfg(not(target_arch = "wasm32"))]
use crate::api::Error;
use crate::api::{IoMode, IoNote};
use flashmem_plan_format::source::ReadAt;
#[cfg(not(target_arch = "wasm32"))]
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What a session reads its bundle from. A path is a file.
#[derive(Clone)]
pub enum Source {
    /// A file, read as [`Options::io_mode`](crate::Options::io_mode) says.
    #[cfg(not(target_arch = "wasm32"))]
    File(PathBuf),
    /// Any source whose reads block.
    Blocking(Arc<dyn ReadAt>),
    /// Any source that answers later, as in a browser: up to [`Options::reader_threads`](crate::Options::reader_threads) pages
    /// are on their way at a time.
    Async(Arc<dyn AsyncReadAt>),
}

/// How a file is read, never `Auto`, and why not as requested.
pub(crate) type FileMode = (IoMode, Option<IoNote>);

impl Source {
    /// Opens a file in the requested mode; everything else is open already.
    #[cfg(not(target_arch = "wasm32"))]
    pub(crate) fn open(self, requested: IoMode) -> Result<(MeteredSource, Option<FileMode>), Error> {
        match self {
            Self::File(path) => {
                let file = super::open::open(&path, requested)?;
                Ok((MeteredSource::new(file.source), Some((file.mode, file.note))))
            }
            Self::Blocking(source) => Ok((MeteredSource::new(source), None)),
            Self::Async(source) => Ok((MeteredSource::fetched(source), None)),
        }
    }

    /// As elsewhere, where there are no files.
    #[cfg(target_arch = "wasm32")]
    pub(crate) fn open(self, _requested: IoMode) -> Result<(MeteredSource, Option<FileMode>), crate::api::Error> {
        match self {
            Self::Blocking(source) => Ok((MeteredSource::new(source), None)),
            Self::Async(source) => Ok((MeteredSource::fetched(source), None)),
        }
    }
}

#[cfg(not(target_arch = "wasm32"))]
impl<P: AsRef<Path> + ?Sized> From<&P> for Source {
    fn from(path: &P) -> Self {
        Self::File(path.as_ref().to_owned())
    }
}

#[cfg(not(target_arch = "wasm32"))]
impl From<PathBuf> for Source {
    fn from(path: PathBuf) -> Self {
        Self::File(path)
    }
}
