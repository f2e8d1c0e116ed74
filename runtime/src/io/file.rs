//! Reading through the page cache, which is advised where the system takes advice.
//!
//! What will be read soon is asked for ahead, so that the disk works while the replay does something else; what was used is
//! dropped from the cache unless it is to stay, so that a large model does not push out everything else. Advice is never
//! necessary: where it is refused or unknown, reading works as before.

use flashmem_plan_format::source::{FileSource, ReadAt};
use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::Path;

/// Of the spare memory, a file may stay in the cache if it takes no more than one part of this many.
const SPARE_PARTS: u64 = 4;

pub(super) struct AdvisedFile {
    file: FileSource,
    keeps_cached: bool,
    advice: Advice,
}

impl AdvisedFile {
    pub(super) fn open(path: &Path, keeps_cached: bool) -> io::Result<Self> {
        let file = File::open(path)?;
        let advice = Advice::of(&file);
        Ok(Self { file: FileSource::new(file)?, keeps_cached, advice })
    }

    /// Keeps the file in the cache when there is room.
    pub(super) fn open_auto(path: &Path) -> io::Result<Self> {
        let mut file = Self::open(path, true)?;
        file.keeps_cached = spare_memory_bytes().is_none_or(|spare| file.size_bytes() <= spare / SPARE_PARTS);
        Ok(file)
    }

    pub(super) const fn keeps_cached(&self) -> bool {
        self.keeps_cached
    }
}

impl ReadAt for AdvisedFile {
    fn size_bytes(&self) -> u64 {
        self.file.size_bytes()
    }

    fn read_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> io::Result<()> {
        super::check_range(self.size_bytes(), offset_bytes, buffer.len())?;
        self.file.read_at(offset_bytes, buffer)
    }

    fn will_read(&self, range: Range<u64>) {
        self.advice.will_read(self.file.file(), range);
    }

    fn was_read(&self, range: Range<u64>) {
        if !self.keeps_cached {
            self.advice.was_read(self.file.file(), range);
        }
    }
}

/// Memory that the system could give without swapping; `None` where it does not tell.
fn spare_memory_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(any(target_os = "linux", target_os = "android"))]
use linux::Advice;

#[cfg(any(target_os = "linux", target_os = "android"))]
mod linux {
    use rustix::fs::{Advice as Fadvise, fadvise};
    use std::fs::File;
    use std::num::NonZeroU64;
    use std::ops::Range;
    use std::os::unix::fs::MetadataExt as _;

    /// Bytes of one request when the device does not tell its limit; every device takes this much.
    const DEFAULT_REQUEST_BYTES: u64 = 128 * 1024;

    /// Longer requests would only delay whoever asks next.
    const MAX_REQUEST_BYTES: u64 = 2 * 1024 * 1024;

    /// Linux cuts a request to read ahead to what one request of the device can be, silently.
    pub(super) struct Advice {
        request_bytes: u64,
    }

    impl Advice {
        pub(super) fn of(file: &File) -> Self {
            let _ = fadvise(file, 0, None, Fadvise::Sequential);
            let limit = request_limit_bytes(file).unwrap_or(DEFAULT_REQUEST_BYTES);
            Self { request_bytes: limit.clamp(DEFAULT_REQUEST_BYTES, MAX_REQUEST_BYTES) }
        }

        pub(super) fn will_read(&self, file: &File, range: Range<u64>) {
            let mut start = range.start;
            while start < range.end {
                let length = self.request_bytes.min(range.end - start);
                advise(file, start, length, Fadvise::WillNeed);
                start += length;
            }
        }

        pub(super) fn was_read(&self, file: &File, range: Range<u64>) {
            advise(file, range.start, range.end - range.start, Fadvise::DontNeed);
        }
    }

    /// Advice that is refused is advice that was not needed.
    fn advise(file: &File, offset_bytes: u64, length_bytes: u64, advice: Fadvise) {
        if let Some(length) = NonZeroU64::new(length_bytes) {
            let _ = fadvise(file, offset_bytes, Some(length), advice);
        }
    }

    /// The larger of the two limits that the kernel uses, from the queue of the file's device or of its whole disk.
    fn request_limit_bytes(file: &File) -> Option<u64> {
        let device = file.metadata().ok()?.dev();
        let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
        let read = |name: &str| {
            let of = |queue: &str| {
                let path = format!("/sys/dev/block/{major}:{minor}/{queue}/{name}");
                std::fs::read_to_string(path).ok()?.trim().parse::<u64>().ok()
            };
            of("queue").or_else(|| of("../queue"))
        };
        let kibibytes = read("max_sectors_kb").max(read("read_ahead_kb"))?;
        kibibytes.checked_mul(1024)
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
struct Advice;

#[cfg(not(any(target_os = "linux", target_os = "android")))]
impl Advice {
    fn of(_file: &File) -> Self {
        Self
    }

    fn will_read(&self, _file: &File, _range: Range<u64>) {}

    fn was_read(&self, _file: &File, _range: Range<u64>) {}
}
