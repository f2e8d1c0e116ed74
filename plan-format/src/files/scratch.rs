//! What a program writes for itself and reads again while it makes an output.
//!
//! It lies beside the output, which tells where there is room, takes no place, and is gone when it is dropped, however the process
//! ends (`partial.rs`).

use super::destination::Destination;
use super::error::FileError;
use super::partial::PartialFile;
use std::fs::File;
use std::path::Path;

/// A file for a while.
#[derive(Debug)]
pub struct ScratchFile {
    partial: PartialFile,
}

impl ScratchFile {
    /// Makes one beside an output; in the system's folder for such files where the output is no file.
    ///
    /// # Errors
    /// [`FileError::Create`], and those of looking at the output's path.
    pub fn beside(output: &Path) -> Result<Self, FileError> {
        let elsewhere = || std::env::temp_dir().join(output.file_name().unwrap_or_default());
        let target = match Destination::of(output)? {
            Destination::File(target) => target,
            Destination::Null(_)
            | Destination::Stream(..)
            | Destination::StandardOutput
            | Destination::StandardError => elsewhere(),
        };
        let partial = PartialFile::beside(&target);
        Ok(Self { partial: partial.map_err(|source| FileError::Create { path: output.to_owned(), source })? })
    }

    /// The file, to be written and read.
    pub fn file(&self) -> &File {
        self.partial.file()
    }
}

#[cfg(test)]
mod tests {
    use super::ScratchFile;
    use std::io::Write as _;

    #[test]
    fn a_scratch_file_is_gone_when_it_is_dropped_and_takes_no_place() {
        let folder = tempfile::tempdir().expect("a folder");
        let count = || std::fs::read_dir(folder.path()).expect("readable").count();
        let output = folder.path().join("out.fmplan");
        std::fs::write(&output, "old").expect("a file");
        let (one, other) = (ScratchFile::beside(&output).expect("made"), ScratchFile::beside(&output).expect("made"));
        for scratch in [&one, &other] {
            scratch.file().write_all(b"new").expect("written");
        }
        assert_eq!(count(), 3);
        drop((one, other));
        assert_eq!((count(), std::fs::read(&output).expect("there")), (1, b"old".to_vec()));
        assert!(ScratchFile::beside(&folder.path().join("none/out.fmplan")).is_err());
    }
}
