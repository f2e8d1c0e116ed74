//! Positional reading of a bundle: from a file or from memory.
//!
//! A read is exact: it fills the whole buffer or fails. Sources are shared between threads and have no cursor. This file
//! deliberately has no caching, no read-ahead and no direct I/O; these are the runtime's.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

/// How many bytes may be announced ahead of what is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lookahead {
    /// Before there is anything to read into.
    pub early_bytes: u64,
    /// While reading. Nothing for a source that reads far ahead by itself once it is read in order.
    pub bytes: u64,
}

impl Default for Lookahead {
    fn default() -> Self {
        Self { early_bytes: 512 << 20, bytes: 64 << 20 }
    }
}

/// Bytes of known size that can be read at any offset, from any thread.
pub trait ReadAt: Send + Sync {
    /// Size of the whole source.
    fn size_bytes(&self) -> u64;

    /// Fills `buffer` with the bytes from `offset_bytes` on.
    ///
    /// # Errors
    /// `UnexpectedEof` when the source ends before the buffer is full, and whatever the device reports.
    fn read_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> io::Result<()>;

    /// Says that a range will be read soon, so that the source may fetch it. A hint: it never fails, and never waits for
    /// the bytes.
    fn will_read(&self, _range: Range<u64>) {}

    /// How far ahead of reading it is worth saying so.
    fn lookahead(&self) -> Lookahead {
        Lookahead::default()
    }

    /// Says that a range was read and is not needed again soon. A hint.
    fn was_read(&self, _range: Range<u64>) {}
}

impl<T: ReadAt + ?Sized> ReadAt for Arc<T> {
    fn size_bytes(&self) -> u64 {
        (**self).size_bytes()
    }

    fn read_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> io::Result<()> {
        (**self).read_at(offset_bytes, buffer)
    }

    fn will_read(&self, range: Range<u64>) {
        (**self).will_read(range);
    }

    fn lookahead(&self) -> Lookahead {
        (**self).lookahead()
    }

    fn was_read(&self, range: Range<u64>) {
        (**self).was_read(range);
    }
}

/// A file; its size is taken once, when it is opened.
#[derive(Debug)]
pub struct FileSource {
    file: File,
    size_bytes: u64,
}

impl FileSource {
    /// Opens a file for reading.
    pub fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        Self::new(File::open(path)?)
    }

    /// Reads from a file that is already open.
    pub fn new(file: File) -> io::Result<Self> {
        let size_bytes = file.metadata()?.len();
        Ok(Self { file, size_bytes })
    }

    /// The open file.
    pub const fn file(&self) -> &File {
        &self.file
    }
}

impl ReadAt for FileSource {
    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    #[cfg(unix)]
    fn read_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(&self.file, buffer, offset_bytes)
    }

    #[cfg(windows)]
    fn read_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> io::Result<()> {
        let mut done = 0;
        while done < buffer.len() {
            let offset = offset_bytes.checked_add(done as u64).ok_or(io::ErrorKind::UnexpectedEof)?;
            match std::os::windows::fs::FileExt::seek_read(&self.file, &mut buffer[done..], offset) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => done += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    #[cfg(not(any(unix, windows)))]
    fn read_at(&self, _offset_bytes: u64, _buffer: &mut [u8]) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// Bytes in memory.
#[derive(Debug, Clone)]
pub struct MemorySource(pub Arc<[u8]>);

impl From<Vec<u8>> for MemorySource {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }
}

impl ReadAt for MemorySource {
    fn size_bytes(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> io::Result<()> {
        let bytes = usize::try_from(offset_bytes)
            .ok()
            .and_then(|start| self.0.get(start..start.checked_add(buffer.len())?))
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(bytes);
        Ok(())
    }
}
