//! Dropping a file from the page cache, and looking whether it is gone.
//!
//! A virtual disk's host may keep the file in its own cache: no guest can see or change that.

use std::fs::File;
use std::io;
use std::path::Path;

/// Waits until everything that was written is on the disk: a bundle that was just compiled, say, which would be written beside the
/// first measurements.
pub(super) fn settle() {
    #[cfg(target_os = "linux")]
    rustix::fs::sync();
}

/// Drops the file; returns the bytes that are still cached, or `None` where the system does not drop or does not report it.
#[cfg(target_os = "linux")]
pub(super) fn drop_file(path: &Path) -> io::Result<Option<u64>> {
    let file = File::open(path)?;
    // Dirty pages cannot be dropped. Whatever fails here shows in what is still cached.
    let _ = file.sync_all();
    let dropped = rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed);
    Ok(dropped.ok().and_then(|()| resident_bytes(&file)))
}

#[cfg(not(target_os = "linux"))]
pub(super) fn drop_file(path: &Path) -> io::Result<Option<u64>> {
    File::open(path)?;
    Ok(None)
}

#[cfg(target_os = "linux")]
fn resident_bytes(file: &File) -> Option<u64> {
    const PAGE_BYTES: usize = 4096;
    // SAFETY: the mapping is never read; only its pages are asked about.
    let map = unsafe { memmap2::Mmap::map(file).ok()? };
    let mut pages = vec![0_u8; map.len().div_ceil(PAGE_BYTES)];
    // SAFETY: the address and the length are those of a mapping that lives until after the call, and the vector has a byte
    // for each of its pages (of the smallest size that Linux has).
    let status = unsafe { libc::mincore(map.as_ptr().cast_mut().cast(), map.len(), pages.as_mut_ptr()) };
    let resident = pages.iter().filter(|page| **page & 1 == 1).count();
    (status == 0).then_some((resident * PAGE_BYTES) as u64)
}
