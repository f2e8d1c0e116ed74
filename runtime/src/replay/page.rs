//! Reads one page into a mapped staging buffer and checks it on the way.
//!
//! The page passes a small buffer that stays in the cache, where its checksum is taken: mapped memory may be
//! write-combined or behind a bus, where reading it back is slower than any disk, and wgpu grants only writing to it.

use crate::error::Error;
use crate::session::Parts;
use flashmem_plan_format::container::BundleError;
use flashmem_plan_format::plan::PageId;
use flashmem_plan_format::source::ReadAt;
use wgpu::BufferViewMut;

/// Readers beyond this number would each get less than a useful buffer.
pub(crate) const MAX_READERS: u32 = 32;

/// Threads that read pages.
pub(crate) fn readers(parts: &Parts) -> u32 {
    parts.options.reader_threads.clamp(1, MAX_READERS)
}

/// Bytes of one reader's buffer: its share of what is declared, and never more than a page.
pub(crate) fn read_buffer_bytes(parts: &Parts) -> u64 {
    let plan = &parts.bundle.plan;
    (plan.read_buffers_bytes() / u64::from(readers(parts))).min(plan.page.page_bytes())
}

/// Bytes of all readers' buffers.
pub(crate) fn read_buffers_bytes(parts: &Parts) -> u64 {
    u64::from(readers(parts)) * read_buffer_bytes(parts)
}

/// Reads `page` into `view`, through `buffer`.
pub(crate) fn read(parts: &Parts, page: PageId, view: &mut BufferViewMut, buffer: &mut [u8]) -> Result<(), Error> {
    let bundle = &parts.bundle;
    let start_bytes = bundle.page_offset_bytes(page);
    let mut computed = 0;
    let mut done = 0;
    while done < view.len() {
        let length = buffer.len().min(view.len() - done);
        let piece = &mut buffer[..length];
        let offset_bytes = start_bytes + done as u64;
        parts.source.read_at(offset_bytes, piece).map_err(|source| Error::PageRead { page, offset_bytes, source })?;
        computed = crc32c::crc32c_append(computed, piece);
        view.slice(done..done + length).copy_from_slice(piece);
        done += length;
    }
    let stored = bundle.page_checksums[page.0 as usize];
    if computed != stored {
        return Err(BundleError::PageChecksum { page, offset_bytes: start_bytes, stored, computed }.into());
    }
    Ok(())
}
