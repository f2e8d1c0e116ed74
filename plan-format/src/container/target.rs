//! Where a bundle is written: a partial file beside its target, which takes the target's place only when it is whole.
//!
//! A partial file that is not committed is removed when it is dropped. It deliberately knows nothing of what is written.

use super::error::WriteError;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Partial files that may lie beside one target at once, those of crashed writers included.
const MAX_PARTIAL_FILES: u32 = 64;

/// A file that is being written.
#[derive(Debug)]
pub struct PartialFile {
    /// `None` once it is committed.
    file: Option<BufWriter<File>>,
    partial: PathBuf,
    target: PathBuf,
}

impl PartialFile {
    /// Creates a new file beside `target`, which stays as it is.
    pub fn create(target: &Path) -> Result<Self, WriteError> {
        for attempt in 0..MAX_PARTIAL_FILES {
            let mut name = OsString::from(target.file_name().unwrap_or_default());
            name.push(format!(".partial{attempt}"));
            let partial = target.with_file_name(name);
            match OpenOptions::new().write(true).create_new(true).open(&partial) {
                Ok(file) => {
                    return Ok(Self { file: Some(BufWriter::new(file)), partial, target: target.to_owned() });
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(source) => return Err(WriteError::Create { path: partial, source }),
            }
        }
        let source = io::ErrorKind::AlreadyExists.into();
        Err(WriteError::Create { path: target.to_owned(), source })
    }

    /// Makes sure that everything is on disk and puts the file in the target's place.
    pub fn commit(mut self) -> Result<(), WriteError> {
        let mut file = self.file.take().expect("a partial file is committed once, by value");
        let written = file.flush().and_then(|()| file.get_ref().sync_all());
        drop(file);
        let renamed = written.map_err(WriteError::Write).and_then(|()| {
            fs::rename(&self.partial, &self.target).map_err(|source| WriteError::Rename {
                from: self.partial.clone(),
                to: self.target.clone(),
                source,
            })
        });
        if renamed.is_err() {
            // The first error is the one to report; a partial file that cannot be removed does no harm.
            let _ = fs::remove_file(&self.partial);
        }
        renamed
    }

    fn writer(&mut self) -> &mut BufWriter<File> {
        self.file.as_mut().expect("a committed file is no longer reachable")
    }
}

impl Write for PartialFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writer().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer().flush()
    }
}

impl Seek for PartialFile {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        self.writer().seek(position)
    }
}

impl Drop for PartialFile {
    fn drop(&mut self) {
        if let Some(file) = self.file.take() {
            // Closed before it is removed, which some systems require; nothing in it is worth flushing.
            drop(file.into_parts());
            let _ = fs::remove_file(&self.partial);
        }
    }
}
