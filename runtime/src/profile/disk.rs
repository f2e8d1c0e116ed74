//! Sequential reads of a file, as sessions read pages: positional reads by two threads into small buffers.
//!
//! On Linux the file is dropped from the page cache before every timed pass. Whether that helped shows comparing with
//! a pass that is known to be cached. It deliberately uses no direct I/O, since sessions do not.

use super::measured::{DiskRate, ProfileError, ProfileOptions};
use flashmem_plan_format::files::PartialFile;
use flashmem_plan_format::source::{FileSource, ReadAt};
use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Bytes of one read.
const READ_BYTES: u64 = 1 << 20;
/// Reading threads.
const THREADS: u32 = 2;
/// Fewest bytes that give a rate.
const MIN_BYTES: u64 = 4 << 20;
/// Timed passes.
const PASSES: u32 = 3;
/// A cold pass that is nearly as fast as a cached one was cached.
const CACHED_SHARE: f64 = 0.7;

/// Measures the disk that holds the file or the folder.
pub(super) fn measure(options: &ProfileOptions) -> Result<DiskRate, ProfileError> {
    let temporary = match &options.file {
        Some(_) => None,
        None => Some(temporary_file(&options.folder, options.file_bytes)?),
    };
    let path = match (&options.file, &temporary) {
        (Some(path), _) => path.as_path(),
        (None, Some(temporary)) => temporary.path(),
        (None, None) => unreachable!("without a file there is a temporary one"),
    };
    let failed = |source| ProfileError::File { path: path.to_owned(), source };
    let file = FileSource::open(path).map_err(failed)?;
    let bytes = file.size_bytes().min(options.file_bytes);
    if bytes < MIN_BYTES {
        return Err(ProfileError::ShortFile { path: path.to_owned(), bytes, least: MIN_BYTES });
    }
    let mut cold_us = Vec::new();
    for _ in 0..PASSES {
        drop_from_cache(path).map_err(failed)?;
        cold_us.push(pass_us(&file, bytes).map_err(failed)?);
    }
    let mut cached_us = Vec::new();
    for _ in 0..PASSES {
        cached_us.push(pass_us(&file, bytes).map_err(failed)?);
    }
    let rate = |us: f64| bytes as f64 / us * 1e6;
    let bytes_per_second = rate(median(&mut cold_us));
    let cached_bytes_per_second = rate(median(&mut cached_us));
    let looks_cached = bytes_per_second > CACHED_SHARE * cached_bytes_per_second;
    Ok(DiskRate { bytes_per_second, cached_bytes_per_second, looks_cached })
}

/// Reads the first `bytes` once.
fn pass_us(file: &FileSource, bytes: u64) -> io::Result<f64> {
    let next = AtomicU64::new(0);
    let work = || -> io::Result<()> {
        let mut buffer = vec![0_u8; READ_BYTES as usize];
        loop {
            let offset = next.fetch_add(READ_BYTES, Ordering::Relaxed);
            if offset >= bytes {
                return Ok(());
            }
            let length = READ_BYTES.min(bytes - offset) as usize;
            file.read_at(offset, &mut buffer[..length])?;
        }
    };
    let started = Instant::now();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (1..THREADS).map(|_| scope.spawn(work)).collect();
        let here = work();
        let there =
            threads.into_iter().map(|thread| thread.join().unwrap_or_else(|_| Err(io::ErrorKind::Other.into())));
        there.fold(here, |all, one| all.and(one))
    })?;
    Ok((started.elapsed().as_secs_f64() * 1e6).max(1e-3))
}

/// Asks the system to forget the file's content.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn drop_from_cache(path: &Path) -> io::Result<()> {
    let file = File::open(path)?;
    // What is not on the disk yet cannot be dropped.
    file.sync_all()?;
    Ok(rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed)?)
}

/// There is no portable way.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn drop_from_cache(_path: &Path) -> io::Result<()> {
    Ok(())
}

/// The middle one; of an even number, the lower one of the two.
pub(super) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len().saturating_sub(1) / 2).copied().unwrap_or(0.0)
}

/// A file of this many bytes in a folder; removed when it is dropped.
fn temporary_file(folder: &Path, bytes: u64) -> Result<PartialFile, ProfileError> {
    let path = folder.join("flashmem-profile");
    let failed = |source| ProfileError::File { path: path.clone(), source };
    let temporary = PartialFile::beside(&path).map_err(failed)?;
    let mut file = temporary.file();
    // Not zeros: file systems may store those as nothing.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut block = vec![0_u8; READ_BYTES as usize];
    let mut left = bytes;
    while left > 0 {
        for word in block.chunks_exact_mut(8) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            word.copy_from_slice(&state.to_le_bytes());
        }
        let length = left.min(READ_BYTES) as usize;
        file.write_all(&block[..length]).map_err(failed)?;
        left -= length as u64;
    }
    file.sync_all().map_err(failed)?;
    Ok(temporary)
}
