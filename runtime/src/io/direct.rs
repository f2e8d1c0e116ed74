//! Reading around the page cache, for files much larger than what the system can keep.
//!
//! A read whose offset, length and memory are multiples of the alignment goes to the disk as it is; any other one (a header,
//! a row) goes through the page cache. Readers bring aligned buffers, so there is no further copy. Mapped memory of a device
//! is deliberately never given to the system here: drivers refuse it.

use flashmem_plan_format::source::{FileSource, ReadAt};
use std::fs::File;
use std::io;
use std::path::Path;

/// What every disk takes.
const ALIGNMENT: u64 = 4096;

pub(super) struct DirectFile {
    direct: File,
    buffered: FileSource,
}

/// A block of aligned memory.
#[repr(align(4096))]
struct Probe([u8; ALIGNMENT as usize]);

impl DirectFile {
    /// The inner error is a refusal: the file can be read in other modes.
    pub(super) fn open(path: &Path) -> io::Result<Result<Self, io::Error>> {
        let buffered = FileSource::open(path)?;
        Ok(open_direct(path).and_then(|direct| {
            let file = Self { direct, buffered };
            // Some file systems accept the flag and refuse the read.
            if file.buffered.size_bytes() >= ALIGNMENT {
                read_exact_at(&file.direct, 0, &mut Box::new(Probe([0; ALIGNMENT as usize])).0)?;
            }
            Ok(file)
        }))
    }
}

impl ReadAt for DirectFile {
    fn size_bytes(&self) -> u64 {
        self.buffered.size_bytes()
    }

    fn read_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> io::Result<()> {
        super::range::check_range(self.size_bytes(), offset_bytes, buffer.len())?;
        let address = buffer.as_ptr() as u64;
        if (offset_bytes | address | buffer.len() as u64).is_multiple_of(ALIGNMENT) {
            read_exact_at(&self.direct, offset_bytes, buffer)
        } else {
            self.buffered.read_at(offset_bytes, buffer)
        }
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn open_direct(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let flags = rustix::fs::OFlags::DIRECT.bits().cast_signed();
    File::options().read(true).custom_flags(flags).open(path)
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn open_direct(_path: &Path) -> io::Result<File> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(unix)]
fn read_exact_at(file: &File, offset_bytes: u64, buffer: &mut [u8]) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, buffer, offset_bytes)
}

#[cfg(not(unix))]
fn read_exact_at(_file: &File, _offset_bytes: u64, _buffer: &mut [u8]) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
