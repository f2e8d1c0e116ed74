//! Opens a file in one of the modes, and says which one it is and why.

use super::direct::DirectFile;
use super::file::AdvisedFile;
use super::mapped::MappedFile;
use crate::api::{Error, IoMode, IoNote};
use flashmem_plan_format::source::ReadAt;
use std::path::Path;
use std::sync::Arc;

/// A file that is open for reading.
pub(super) struct OpenFile {
    pub(super) source: Arc<dyn ReadAt>,
    /// The mode that is used, never `Auto`.
    pub(super) mode: IoMode,
    pub(super) note: Option<IoNote>,
}

/// Opens a file in a mode.
pub(super) fn open(path: &Path, requested: IoMode) -> Result<OpenFile, Error> {
    let failed = |source| Error::OpenFile { path: path.to_owned(), source };
    let cached = |keeps: bool| AdvisedFile::open(path, keeps).map_err(failed);
    let mut note = None;
    let (source, mode): (Arc<dyn ReadAt>, _) = match requested {
        IoMode::Auto => {
            let file = AdvisedFile::open_auto(path).map_err(failed)?;
            let mode = if file.keeps_cached() { IoMode::Cached } else { IoMode::Buffered };
            (Arc::new(file), mode)
        }
        IoMode::Buffered => (Arc::new(cached(false)?), requested),
        IoMode::Cached => (Arc::new(cached(true)?), requested),
        IoMode::Mmap => (Arc::new(MappedFile::open(path).map_err(failed)?), requested),
        IoMode::Direct => match DirectFile::open(path).map_err(failed)? {
            Ok(file) => (Arc::new(file), requested),
            Err(refused) => {
                note = Some(IoNote::DirectRefused { reason: refused.to_string() });
                (Arc::new(cached(false)?), IoMode::Buffered)
            }
        },
    };
    Ok(OpenFile { source, mode, note })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every mode gives the same bytes at any offset and refuses what lies behind the end.
    #[test]
    fn modes_read_the_same() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("bytes");
        let bytes: Vec<u8> = (0..70_000_u32).map(|i| (i * 7 + i / 256) as u8).collect();
        std::fs::write(&path, &bytes).unwrap();
        for mode in IoMode::ALL {
            let file = open(&path, mode).unwrap();
            assert_ne!(file.mode, IoMode::Auto);
            assert_eq!(file.source.size_bytes(), 70_000);
            for (offset, length) in [(0, 70_000), (4096, 8192), (1, 4096), (69_999, 1), (65_536, 4464), (5, 0)] {
                let mut buffer = vec![0; length];
                file.source.will_read(offset as u64..(offset + length) as u64);
                file.source.read_at(offset as u64, &mut buffer).unwrap();
                file.source.was_read(offset as u64..(offset + length) as u64);
                assert_eq!(buffer, bytes[offset..offset + length], "{mode:?} {offset} {length}");
            }
            for (offset, length) in [(69_999, 2), (70_000, 1), (65_536, 8192), (u64::MAX, 1)] {
                let error = file.source.read_at(offset, &mut vec![0; length]).unwrap_err();
                assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof, "{mode:?} {offset}");
            }
        }
    }

    #[test]
    fn a_file_that_shrinks_is_noticed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("bytes");
        for mode in IoMode::ALL {
            std::fs::write(&path, vec![1; 20_000]).unwrap();
            let file = open(&path, mode).unwrap();
            std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(9_000).unwrap();
            let error = file.source.read_at(8192, &mut [0; 4096]).unwrap_err();
            assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof, "{mode:?}");
            file.source.read_at(0, &mut [0; 4096]).unwrap();
        }
    }

    #[test]
    fn a_missing_file_is_named() {
        for mode in IoMode::ALL {
            let error = open(Path::new("/nowhere/none.fmplan"), mode).err().unwrap();
            assert_eq!(error.to_string(), "cannot open /nowhere/none.fmplan");
            assert!(std::error::Error::source(&error).is_some(), "{error:?}");
        }
    }
}
