//! An output that appears whole or not at all.
//!
//! A regular file is written beside its target, made durable, and put in the target's place, which so is the old file or the new
//! one at any time; a link to it stays. The new file has the old one's permissions and, where the system allows it, its owner.
//! Other hard links of the old file keep the old bytes. What is no regular file is written through.

use super::destination::Destination;
use super::error::{FileError, Special};
use super::partial::PartialFile;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// A file that is being written, in any order; nothing of it is seen before [`OutputFile::commit`].
#[derive(Debug)]
pub struct OutputFile {
    /// As the user calls it.
    path: PathBuf,
    writer: BufWriter<Place>,
}

#[derive(Debug)]
enum Place {
    Beside { partial: PartialFile, target: PathBuf },
    Null(File),
}

impl Place {
    const fn is_beside(&self) -> bool {
        matches!(self, Self::Beside { .. })
    }

    fn file(&self) -> &File {
        match self {
            Self::Beside { partial, .. } => partial.file(),
            Self::Null(file) => file,
        }
    }
}

impl Write for Place {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Place {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        self.file().seek(position)
    }
}

impl OutputFile {
    /// Looks whether an output can begin at `path`, as far as can be known without writing.
    ///
    /// # Errors
    /// As for [`OutputFile::create`].
    pub fn check(path: &Path) -> Result<(), FileError> {
        destination(path).map(drop)
    }

    /// Begins an output at `path`, where everything stays as it is.
    ///
    /// # Errors
    /// [`FileError`]; [`FileError::NotAFile`] where only a stream can be written.
    pub fn create(path: &Path) -> Result<Self, FileError> {
        let failed = |source| FileError::Create { path: path.to_owned(), source };
        let place = match destination(path)? {
            SeekDestination::File(target) => {
                let partial = PartialFile::beside(&target).map_err(failed)?;
                keep_access(partial.file(), &target).map_err(failed)?;
                Place::Beside { partial, target }
            }
            SeekDestination::Null(null) => Place::Null(OpenOptions::new().write(true).open(null).map_err(failed)?),
        };
        Ok(Self { path: path.to_owned(), writer: BufWriter::new(place) })
    }

    /// Makes sure that everything is on disk, and puts the file in its place.
    ///
    /// # Errors
    /// [`FileError`]; what was there before is then still there.
    pub fn commit(self) -> Result<(), FileError> {
        let path = self.path;
        let failed = |source| FileError::Write { path: path.clone(), source };
        let place = self.writer.into_inner().map_err(|error| failed(error.into_error()))?;
        match place {
            Place::Null(_) => Ok(()),
            Place::Beside { partial, target } => {
                partial.file().sync_all().map_err(failed)?;
                partial.persist(&target).map_err(|source| FileError::Replace { path, source })
            }
        }
    }

    /// An error that names the file, for writers that know none.
    fn named(&self, source: io::Error) -> io::Error {
        io::Error::new(source.kind(), FileError::Write { path: self.path.clone(), source })
    }
}

impl Write for OutputFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writer.write(bytes).map_err(|error| self.named(error))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush().map_err(|error| self.named(error))
    }
}

impl Seek for OutputFile {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        // The null device takes any bytes at any place, but stays at its start.
        if !self.writer.get_ref().is_beside() {
            return Ok(0);
        }
        self.writer.seek(position).map_err(|error| self.named(error))
    }
}

/// What can be written in any order.
enum SeekDestination {
    File(PathBuf),
    Null(PathBuf),
}

fn destination(path: &Path) -> Result<SeekDestination, FileError> {
    let refused = |kind| Err(FileError::NotAFile { path: path.to_owned(), kind });
    match Destination::of(path)? {
        Destination::File(target) => Ok(SeekDestination::File(target)),
        Destination::Null(null) => Ok(SeekDestination::Null(null)),
        Destination::Stream(_, kind) => refused(kind),
        Destination::StandardOutput | Destination::StandardError => refused(Special::StandardStream),
    }
}

/// Writes a whole output, wherever `path` leads. Nobody being left to read a standard stream is no error: they have read enough.
///
/// # Errors
/// [`FileError`].
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let failed = |source| FileError::Write { path: path.to_owned(), source };
    let standard = |mut stream: Box<dyn Write>| match stream.write_all(bytes).and_then(|()| stream.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(failed(error)),
        Ok(()) | Err(_) => Ok(()),
    };
    match Destination::of(path)? {
        Destination::File(_) | Destination::Null(_) => {
            let mut file = OutputFile::create(path)?;
            file.writer.write_all(bytes).map_err(failed)?;
            file.commit()
        }
        Destination::Stream(stream, _) => {
            let mut stream = OpenOptions::new().write(true).open(stream).map_err(failed)?;
            stream.write_all(bytes).map_err(failed)
        }
        Destination::StandardOutput => standard(Box::new(io::stdout())),
        Destination::StandardError => standard(Box::new(io::stderr())),
    }
}

/// Gives a new file the permissions of the one whose place it takes, if there is one, and its owner and group where the system
/// allows that. Where the group cannot be kept it may do what everybody may: the new group was never trusted with more.
#[cfg(unix)]
fn keep_access(file: &File, target: &Path) -> io::Result<()> {
    use std::fs::Permissions;
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, fchown};
    let old = match std::fs::metadata(target) {
        Ok(old) => old,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let new = file.metadata()?;
    let keeps_group = new.gid() == old.gid() || fchown(file, None, Some(old.gid())).is_ok();
    if new.uid() != old.uid() {
        // Only root may give files away; anybody else owns what they write.
        let _ = fchown(file, Some(old.uid()), None);
    }
    let mode = old.mode() & 0o777;
    let others = mode & 0o007;
    let mode = if keeps_group { mode } else { mode & 0o707 | others << 3 };
    if new.mode() & 0o777 == mode { Ok(()) } else { file.set_permissions(Permissions::from_mode(mode)) }
}

#[cfg(not(unix))]
fn keep_access(_file: &File, _target: &Path) -> io::Result<()> {
    Ok(())
}
