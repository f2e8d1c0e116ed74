//! What the path of an output leads to, links followed.
//!
//! Looking changes nothing: no file is made, cut or held open. A dangling link leads to the file that it names. What a path leads
//! to can change until it is written; then the write fails, or replaces a file that was not there when it was looked at.

use super::error::{FileError, Special};
use std::fs::{self, Metadata, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

/// Links that are followed from a name that leads nowhere; as many as Linux follows.
const MAX_LINKS: u32 = 40;

/// Where an output goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// A regular file, which may be there or not; no link.
    File(PathBuf),
    /// The device that swallows everything.
    Null(PathBuf),
    /// A pipe or a character device: written through, in one go.
    Stream(PathBuf, Special),
    /// The standard output of this process, by whatever name.
    StandardOutput,
    /// The standard error of this process, by whatever name.
    StandardError,
}

impl Destination {
    /// Looks where a path leads.
    ///
    /// # Errors
    /// [`FileError`] when nothing can be written there, as far as can be known without writing.
    pub fn of(path: &Path) -> Result<Self, FileError> {
        match fs::metadata(path) {
            Ok(data) if data.is_dir() => Err(FileError::Directory { path: path.to_owned() }),
            Ok(data) => present(path, &data),
            Err(error) if error.kind() == io::ErrorKind::NotFound => absent(path),
            Err(source) => Err(FileError::Unreachable { path: path.to_owned(), source }),
        }
    }
}

fn present(path: &Path, data: &Metadata) -> Result<Destination, FileError> {
    if is_null(data) {
        return Ok(Destination::Null(path.to_owned()));
    }
    if let Some(stream) = standard_stream(data) {
        return Ok(stream);
    }
    if data.is_file() {
        let failed = |source| FileError::Protected { path: path.to_owned(), source };
        // Opening neither cuts nor changes the file.
        OpenOptions::new().write(true).open(path).map_err(failed)?;
        let unreachable = |source| FileError::Unreachable { path: path.to_owned(), source };
        return Ok(Destination::File(fs::canonicalize(path).map_err(unreachable)?));
    }
    match special(data) {
        kind @ (Special::Pipe | Special::CharacterDevice) => Ok(Destination::Stream(path.to_owned(), kind)),
        kind @ (Special::Socket | Special::BlockDevice | Special::StandardStream | Special::Other) => {
            Err(FileError::NotAFile { path: path.to_owned(), kind })
        }
    }
}

/// The file that a name, or the last of its links, would be.
fn absent(path: &Path) -> Result<Destination, FileError> {
    let unreachable = |source| FileError::Unreachable { path: path.to_owned(), source };
    let mut target = path.to_owned();
    for _ in 0..MAX_LINKS {
        let Ok(next) = fs::read_link(&target) else { break };
        target = folder_of(&target).join(next);
    }
    let ends_as_folder =
        target.as_os_str().as_encoded_bytes().last().is_some_and(|byte| std::path::is_separator(char::from(*byte)));
    let Some(name) = target.file_name().filter(|_| !ends_as_folder) else {
        return Err(if path.as_os_str().is_empty() {
            unreachable(io::ErrorKind::NotFound.into())
        } else {
            FileError::Directory { path: path.to_owned() }
        });
    };
    let folder = folder_of(&target);
    match fs::canonicalize(&folder) {
        Ok(folder) if folder.is_dir() => Ok(Destination::File(folder.join(name))),
        Ok(_) => Err(FileError::NoFolder { path: path.to_owned(), folder }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(FileError::NoFolder { path: path.to_owned(), folder })
        }
        Err(source) => Err(unreachable(source)),
    }
}

/// The folder that a name without one is in.
pub(super) fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        Some(_) | None => PathBuf::from("."),
    }
}

#[cfg(unix)]
fn special(data: &Metadata) -> Special {
    use std::os::unix::fs::FileTypeExt as _;
    let kind = data.file_type();
    if kind.is_fifo() {
        Special::Pipe
    } else if kind.is_socket() {
        Special::Socket
    } else if kind.is_block_device() {
        Special::BlockDevice
    } else if kind.is_char_device() {
        Special::CharacterDevice
    } else {
        Special::Other
    }
}

#[cfg(not(unix))]
fn special(_data: &Metadata) -> Special {
    Special::Other
}

#[cfg(unix)]
fn is_null(data: &Metadata) -> bool {
    use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
    let null = || fs::metadata("/dev/null").map(|null| null.rdev());
    data.file_type().is_char_device() && null().is_ok_and(|null| null == data.rdev())
}

#[cfg(not(unix))]
fn is_null(_data: &Metadata) -> bool {
    false
}

/// The standard stream that this is: writing it anew by its name would cut what was printed before, and putting a file in its
/// place would lose what is printed later.
#[cfg(unix)]
fn standard_stream(data: &Metadata) -> Option<Destination> {
    use std::fs::File;
    use std::os::fd::{AsFd, BorrowedFd};
    use std::os::unix::fs::MetadataExt as _;
    let is = |stream: BorrowedFd<'_>| {
        let open = stream.try_clone_to_owned().map(File::from).and_then(|file| file.metadata());
        open.is_ok_and(|open| (open.dev(), open.ino()) == (data.dev(), data.ino()))
    };
    if is(io::stdout().as_fd()) {
        Some(Destination::StandardOutput)
    } else {
        is(io::stderr().as_fd()).then_some(Destination::StandardError)
    }
}

#[cfg(not(unix))]
fn standard_stream(_data: &Metadata) -> Option<Destination> {
    None
}
