//! Reading through the page cache, which is advised where the system takes advice.
//!
//! What will be read soon is asked for ahead, so that the disk works while the replay does something else; what was used is
//! dropped from the cache unless it is to stay, so that a large model does not push out everything else. Advice is never
//! necessary: where it is refused or unknown, reading works as before.
//!
//! The system recognises reading in order for every opening of a file, so every reading thread has one of its own: with one
//! for all, threads look like random access to each other. Advice keeps a disk a few per cent busier than the system's own
//! reading ahead, and costs more CPU time; so it is left out where cores are few and the device is set to read far ahead.

use flashmem_plan_format::source::{FileSource, Lookahead, ReadAt};
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Of the spare memory, a file may stay in the cache if it takes no more than one part of this many.
const SPARE_PARTS: u64 = 4;

/// Of the spare memory, pages that are announced and not read yet take no more than one part of this many.
const LOOKAHEAD_PARTS: u64 = 16;

/// Announced pages need not be more: about what a fast disk reads while a driver is loaded, and enough requests for the longest queue.
const MAX_LOOKAHEAD_BYTES: u64 = 512 << 20;

/// With fewer announced pages the disk would stop at every pause of a replay.
const MIN_LOOKAHEAD_BYTES: u64 = 16 << 20;

/// Openings of one file. Threads beyond this number share.
const OPENINGS: usize = 8;

pub(super) struct AdvisedFile {
    files: Vec<FileSource>,
    keeps_cached: bool,
    advice: Advice,
    lookahead_bytes: u64,
}

impl AdvisedFile {
    pub(super) fn open(path: &Path, keeps_cached: bool) -> io::Result<Self> {
        Self::open_with(path, keeps_cached, spare_memory_bytes())
    }

    fn open_with(path: &Path, keeps_cached: bool, spare_bytes: Option<u64>) -> io::Result<Self> {
        let first = FileSource::open(path)?;
        let advice = Advice::of(first.file());
        let mut files = vec![first];
        while files.len() < OPENINGS {
            // Another file of this name, or none, or no more files for this process: what is open must do.
            let Some(file) = again(&files[0], path) else { break };
            files.push(file);
        }
        for file in &files {
            advice.in_order(file.file());
        }
        let lookahead_bytes =
            (spare_bytes.unwrap_or(u64::MAX) / LOOKAHEAD_PARTS).clamp(MIN_LOOKAHEAD_BYTES, MAX_LOOKAHEAD_BYTES);
        Ok(Self { files, keeps_cached, advice, lookahead_bytes })
    }

    /// The opening of the calling thread.
    fn file(&self) -> &FileSource {
        &self.files[thread_number() % self.files.len()]
    }

    /// Keeps the file in the cache when there is room.
    pub(super) fn open_auto(path: &Path) -> io::Result<Self> {
        let spare_bytes = spare_memory_bytes();
        let mut file = Self::open_with(path, true, spare_bytes)?;
        file.keeps_cached = spare_bytes.is_none_or(|spare| file.size_bytes() <= spare / SPARE_PARTS);
        Ok(file)
    }

    pub(super) const fn keeps_cached(&self) -> bool {
        self.keeps_cached
    }
}

/// Opens a file once more, if it is still the same.
#[cfg(unix)]
fn again(first: &FileSource, path: &Path) -> Option<FileSource> {
    use std::os::unix::fs::MetadataExt as _;
    let identity = |file: &FileSource| file.file().metadata().map(|data| (data.dev(), data.ino(), data.len())).ok();
    let file = FileSource::open(path).ok()?;
    (identity(&file).is_some() && identity(&file) == identity(first)).then_some(file)
}

#[cfg(not(unix))]
fn again(_first: &FileSource, _path: &Path) -> Option<FileSource> {
    None
}

/// Threads are numbered as they first ask.
fn thread_number() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static NUMBER: usize = NEXT.fetch_add(1, Ordering::Relaxed);
    }
    NUMBER.with(|number| *number)
}

impl ReadAt for AdvisedFile {
    fn size_bytes(&self) -> u64 {
        self.files[0].size_bytes()
    }

    fn read_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> io::Result<()> {
        super::range::check_range(self.size_bytes(), offset_bytes, buffer.len())?;
        self.file().read_at(offset_bytes, buffer)
    }

    fn will_read(&self, range: Range<u64>) {
        self.advice.will_read(self.file().file(), range);
    }

    fn lookahead(&self) -> Lookahead {
        let bytes = if self.advice.system_reads_ahead() { 0 } else { self.lookahead_bytes };
        Lookahead { early_bytes: self.lookahead_bytes, bytes }
    }

    fn was_read(&self, range: Range<u64>) {
        if !self.keeps_cached {
            self.advice.was_read(self.file().file(), range);
        }
    }
}

/// Memory that the system could give without swapping; `None` where it does not report it.
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

    /// Every device takes requests of this many bytes.
    const MIN_REQUEST_BYTES: u64 = 128 * 1024;

    /// Longer requests would only delay whoever asks next.
    const MAX_REQUEST_BYTES: u64 = 2 * 1024 * 1024;

    /// Reading ahead by the system hides the disk's latency from here on.
    const FAR_BYTES: u64 = 1024 * 1024;

    /// With fewer cores than this, the CPU time of advice is missing elsewhere.
    const CORES_FOR_ADVICE: usize = 4;

    /// Linux cuts a request to read ahead to what one request of the device can be, silently.
    pub(super) struct Advice {
        request_bytes: u64,
        system_reads_ahead: bool,
    }

    impl Advice {
        pub(super) fn of(file: &File) -> Self {
            let of_queue = |name: &str| queue_bytes(file, name).unwrap_or(0);
            let (request, ahead) = (of_queue("max_sectors_kb"), of_queue("read_ahead_kb"));
            Self {
                request_bytes: request.max(ahead).clamp(MIN_REQUEST_BYTES, MAX_REQUEST_BYTES),
                system_reads_ahead: ahead >= FAR_BYTES && cores() < CORES_FOR_ADVICE,
            }
        }

        pub(super) fn in_order(&self, file: &File) {
            let _ = fadvise(file, 0, None, Fadvise::Sequential);
        }

        pub(super) const fn system_reads_ahead(&self) -> bool {
            self.system_reads_ahead
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

    /// Cores that this process may use; one where the system does not report it.
    fn cores() -> usize {
        std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
    }

    /// Advice that is refused is advice that was not needed.
    fn advise(file: &File, offset_bytes: u64, length_bytes: u64, advice: Fadvise) {
        if let Some(length) = NonZeroU64::new(length_bytes) {
            let _ = fadvise(file, offset_bytes, Some(length), advice);
        }
    }

    /// A setting of the queue of the file's device, or of its whole disk, in bytes.
    fn queue_bytes(file: &File, name: &str) -> Option<u64> {
        let device = file.metadata().ok()?.dev();
        let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
        let of = |queue: &str| {
            let path = format!("/sys/dev/block/{major}:{minor}/{queue}/{name}");
            std::fs::read_to_string(path).ok()?.trim().parse::<u64>().ok()
        };
        of("queue").or_else(|| of("../queue"))?.checked_mul(1024)
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
struct Advice;

#[cfg(not(any(target_os = "linux", target_os = "android")))]
impl Advice {
    fn of(_file: &std::fs::File) -> Self {
        Self
    }

    fn in_order(&self, _file: &std::fs::File) {}

    fn system_reads_ahead(&self) -> bool {
        false
    }

    fn will_read(&self, _file: &std::fs::File, _range: Range<u64>) {}

    fn was_read(&self, _file: &std::fs::File, _range: Range<u64>) {}
}
