//! Why something cannot be written where it was to go. Every message names the file.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// An output cannot be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the fields are described by the messages")]
pub enum FileError {
    /// An output is one of the inputs, by whatever name.
    #[error(
        "{output} {} is the same file as {input} {}, which it would overwrite: name another file",
        path.display(), input_path.display()
    )]
    OutputIsInput { output: String, path: PathBuf, input: String, input_path: PathBuf },
    /// Two outputs are one file.
    #[error("{first} {} and {second} {} are the same file: name another one", first_path.display(), path.display())]
    OutputsCoincide { first: String, first_path: PathBuf, second: String, path: PathBuf },
    /// A folder, or a name that only a folder can have.
    #[error("cannot write {}: it is a directory, and the name of a file is needed", path.display())]
    Directory { path: PathBuf },
    /// The folder of a file to be made is missing.
    #[error("cannot write {}: there is no directory {}", path.display(), folder.display())]
    NoFolder { path: PathBuf, folder: PathBuf },
    /// Neither a file nor something that this can be written through.
    #[error("cannot write {}: it is {kind}, and this is written to files only", path.display())]
    NotAFile { path: PathBuf, kind: Special },
    /// The path leads nowhere that can be looked at.
    #[error("cannot write {}", path.display())]
    Unreachable { path: PathBuf, source: io::Error },
    /// There is a file that must not be written.
    #[error("cannot write {}: the file that is there is protected", path.display())]
    Protected { path: PathBuf, source: io::Error },
    /// No file can be made in the target's folder.
    #[error("cannot write {}: no file can be made in its directory", path.display())]
    Create { path: PathBuf, source: io::Error },
    /// Writing failed; what was there before is still there.
    #[error("cannot write {}", path.display())]
    Write { path: PathBuf, source: io::Error },
    /// The whole file cannot be put in place; what was there before is still there.
    #[error("cannot write {}: the finished file cannot take its place", path.display())]
    Replace { path: PathBuf, source: io::Error },
}

/// What can have a name and is no file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Special {
    /// A pipe with a name or without.
    Pipe,
    /// A socket.
    Socket,
    /// A disk.
    BlockDevice,
    /// A terminal, or another device that takes characters.
    CharacterDevice,
    /// Standard output or standard error.
    StandardStream,
    /// Something else.
    Other,
}

impl fmt::Display for Special {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Pipe => "a pipe",
            Self::Socket => "a socket",
            Self::BlockDevice => "a block device",
            Self::CharacterDevice => "a character device",
            Self::StandardStream => "a standard stream of this process",
            Self::Other => "no regular file",
        })
    }
}
