//! Refuses outputs that are inputs, or one another, before anything is opened for writing.
//!
//! Files are compared by what they are (device and inode), so that links, hard links and other spellings are seen; files that
//! are still to be made by their folder and name. Where a system has no such numbers, by their resolved names.

use super::destination::{Destination, folder_of};
use super::error::FileError;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// A file and what it is to the user: `--stats`, `the model`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// How errors call it.
    pub role: String,
    /// The file.
    pub path: PathBuf,
}

impl Named {
    /// A file in a role.
    pub fn new(role: &str, path: &Path) -> Self {
        Self { role: role.to_owned(), path: path.to_owned() }
    }
}

/// Checks that every output can be written, is none of the inputs and none of the other outputs. Inputs that are not there are
/// no concern of this.
///
/// # Errors
/// The first [`FileError`].
pub fn check_outputs(inputs: &[Named], outputs: &[Named]) -> Result<(), FileError> {
    let known: Vec<(Identity, &Named)> =
        inputs.iter().filter_map(|input| Some((Identity::of(&input.path)?, input))).collect();
    let mut files: Vec<(Identity, &Named)> = Vec::new();
    for output in outputs {
        let destination = Destination::of(&output.path)?;
        let identity = match &destination {
            Destination::Null(_) => continue,
            Destination::File(path) => Identity::of(path).or_else(|| Identity::to_be(path)),
            Destination::Stream(..) | Destination::StandardOutput | Destination::StandardError => {
                Identity::of(&output.path)
            }
        };
        let Some(identity) = identity else { continue };
        if let Some((_, input)) = known.iter().find(|(known, _)| *known == identity) {
            return Err(FileError::OutputIsInput {
                output: output.role.clone(),
                path: output.path.clone(),
                input: input.role.clone(),
                input_path: input.path.clone(),
            });
        }
        if let Some((_, first)) = files.iter().find(|(file, _)| *file == identity) {
            return Err(FileError::OutputsCoincide {
                first: first.role.clone(),
                first_path: first.path.clone(),
                second: output.role.clone(),
                path: output.path.clone(),
            });
        }
        // Several outputs may share a terminal or a pipe.
        if matches!(destination, Destination::File(_)) {
            files.push((identity, output));
        }
    }
    Ok(())
}

/// What two names of one file have in common.
#[derive(Debug, PartialEq, Eq)]
enum Identity {
    #[cfg(unix)]
    Inode { device: u64, inode: u64 },
    #[cfg(not(unix))]
    Name(PathBuf),
    /// Of a file that is still to be made.
    InFolder(Box<Identity>, OsString),
}

impl Identity {
    /// Of a file that is there.
    #[cfg(unix)]
    fn of(path: &Path) -> Option<Self> {
        use std::os::unix::fs::MetadataExt as _;
        let data = std::fs::metadata(path).ok()?;
        Some(Self::Inode { device: data.dev(), inode: data.ino() })
    }

    /// Of a file that is there.
    #[cfg(not(unix))]
    fn of(path: &Path) -> Option<Self> {
        std::fs::canonicalize(path).ok().map(Self::Name)
    }

    fn to_be(path: &Path) -> Option<Self> {
        Some(Self::InFolder(Box::new(Self::of(&folder_of(path))?), path.file_name()?.to_owned()))
    }
}
