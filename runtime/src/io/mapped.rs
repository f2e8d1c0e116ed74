//! Reading from a mapping of the file.
//!
//! The length is looked at before every read, so that a file that was truncated is an error. A file that is truncated
//! between the look and the read still ends the process with a bus error, which no safe program can catch: that is why
//! nothing chooses this mode by itself.

use flashmem_plan_format::source::ReadAt;
use memmap2::Mmap;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::Path;

pub(super) struct MappedFile {
    file: File,
    map: Mmap,
}

impl MappedFile {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        // SAFETY: the mapping is only copied from, and its bytes are checked like those of any file that may change. That
        // nobody truncates the file is the caller's promise, which the documentation of the mode asks for.
        let map = unsafe { Mmap::map(&file)? };
        Ok(Self { file, map })
    }
}

impl ReadAt for MappedFile {
    fn size_bytes(&self) -> u64 {
        self.map.len() as u64
    }

    fn read_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> io::Result<()> {
        let present_bytes = self.size_bytes().min(self.file.metadata()?.len());
        super::range::check_range(present_bytes, offset_bytes, buffer.len())?;
        let start = offset_bytes as usize;
        buffer.copy_from_slice(&self.map[start..start + buffer.len()]);
        Ok(())
    }

    #[cfg(unix)]
    fn will_read(&self, range: Range<u64>) {
        let length = range.end.min(self.size_bytes()).saturating_sub(range.start);
        // Advice that is refused was not needed.
        let _ = self.map.advise_range(memmap2::Advice::WillNeed, range.start as usize, length as usize);
    }

    #[cfg(not(unix))]
    fn will_read(&self, _range: Range<u64>) {}

    /// What was read leaves the process, not the page cache: the mapping holds no more than what is being read.
    #[cfg(unix)]
    fn was_read(&self, range: Range<u64>) {
        let length = range.end.min(self.size_bytes()).saturating_sub(range.start);
        // SAFETY: the mapping is of a file, shared with it and never written, so what is dropped here is read from the file again
        // by whoever still needs it.
        let _ = unsafe {
            self.map.unchecked_advise_range(memmap2::UncheckedAdvice::DontNeed, range.start as usize, length as usize)
        };
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    /// Bytes of the mapping that the process holds.
    fn resident_bytes(path: &Path) -> u64 {
        let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let mut lines = maps.lines().skip_while(|line| !line.ends_with(path.to_str().unwrap()));
        let line = lines.find_map(|line| line.strip_prefix("Rss:")).unwrap();
        line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024
    }

    #[test]
    fn what_was_read_leaves_the_process() {
        const PIECE: u64 = 1 << 20;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("bytes");
        let bytes: Vec<u8> = (0..16 * PIECE as u32 + 5).map(|i| (i / 4099) as u8).collect();
        std::fs::write(&path, &bytes).unwrap();
        let map = MappedFile::open(&path).unwrap();
        let mut buffer = vec![0; PIECE as usize];
        for piece in 0..16 {
            let range = piece * PIECE + 5..(piece + 1) * PIECE + 5;
            map.read_at(range.start, &mut buffer).unwrap();
            assert_eq!(buffer, bytes[range.start as usize..range.end as usize]);
            map.was_read(range);
            // Linux maps a few pages around each that is touched.
            assert!(resident_bytes(&path) <= PIECE / 4, "{piece}: {}", resident_bytes(&path));
        }
        map.read_at(7, &mut buffer).unwrap();
        assert_eq!(buffer, bytes[7..7 + PIECE as usize]);
    }
}
