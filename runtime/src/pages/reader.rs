//! Reads one page into a mapped staging buffer and checks it on the way.
//!
//! The page passes a small buffer that stays in the cache, where its checksum is taken: mapped memory may be
//! write-combined or behind a bus, where reading it back is slower than any disk, and wgpu grants only writing to it. The
//! same buffer is what direct I/O reads into, so it is aligned for that. A reader knows pages and nothing of a plan's
//! commands, and it is shared by all threads.

use crate::api::{Error, Mark, Span};
use crate::io::MeteredSource;
use crate::time::{Stopwatch, Timeline};
use crate::trace::Trace;
use flashmem_plan_format::Bundle;
use flashmem_plan_format::container::BundleError;
use flashmem_plan_format::plan::{PageId, Plan};
use flashmem_plan_format::source::ReadAt;
use std::io::ErrorKind;
use std::ops::Range;
use std::sync::Arc;
use wgpu::BufferViewMut;

/// Readers beyond this number would each get less than a useful buffer.
const MAX_READERS: u32 = 32;

/// Direct I/O asks for this alignment at most; a page of memory.
const BLOCK_BYTES: usize = 4096;

/// Readers that can be of use: as many as requested, but no more than there are staging buffers and blocks to read into.
pub(crate) fn useful_readers(plan: &Plan, requested: u32) -> u32 {
    let blocks = u32::try_from(plan.read_buffers_bytes() / BLOCK_BYTES as u64).unwrap_or(u32::MAX);
    requested.min(MAX_READERS).min(plan.staging_pages).min(blocks.max(1))
}

pub(crate) struct PageReader {
    source: Arc<MeteredSource>,
    pages_offset_bytes: u64,
    page_bytes: u64,
    checksums: Box<[u32]>,
    /// Bytes of one reader's buffer, or of one lane's.
    piece_bytes: u64,
    /// Pages that are fetched at the same time, where the source answers later; 1 where it does not.
    lanes: u32,
    pub(crate) timeline: Arc<Timeline>,
    trace: Option<Arc<Trace>>,
}

impl PageReader {
    /// For `readers` that read, or fetch, at the same time. Takes the checksums from the bundle.
    pub(crate) fn new(
        source: Arc<MeteredSource>,
        bundle: &mut Bundle,
        readers: u32,
        timeline: Arc<Timeline>,
        trace: Option<Arc<Trace>>,
    ) -> Self {
        let page_bytes = bundle.plan.page.page_bytes();
        let share_bytes = bundle.plan.read_buffers_bytes() / u64::from(readers.max(1));
        let lanes = if source.is_fetched() { readers.max(1) } else { 1 };
        Self {
            source,
            pages_offset_bytes: bundle.page_offset_bytes(PageId(0)),
            page_bytes,
            checksums: std::mem::take(&mut bundle.page_checksums).into(),
            piece_bytes: whole_blocks(share_bytes.min(page_bytes)),
            lanes,
            timeline,
            trace,
        }
    }

    /// Bytes of the buffers of one thread: a reader's one, or all lanes'.
    pub(crate) const fn buffer_bytes(&self) -> u64 {
        self.piece_bytes * self.lanes as u64
    }

    /// Pages that may be fetched at the same time.
    pub(crate) const fn lanes(&self) -> u32 {
        self.lanes
    }

    /// Host bytes of the checksums.
    pub(crate) fn checksum_bytes(&self) -> u64 {
        size_of_val(&*self.checksums) as u64
    }

    /// Where a page stands in the file.
    pub(crate) fn range_of(&self, page: PageId) -> Range<u64> {
        let start_bytes = self.pages_offset_bytes + u64::from(page.0) * self.page_bytes;
        start_bytes..start_bytes + self.page_bytes
    }

    /// A buffer for reader or lane `reader`.
    pub(crate) fn new_buffer(&self, reader: u32) -> PieceBuffer {
        PieceBuffer::new(self.piece_bytes as usize, reader)
    }

    /// Why a read of `page` did not end by itself.
    #[cfg(not(target_arch = "wasm32"))]
    pub(crate) fn panicked(&self, page: PageId) -> Error {
        let source = std::io::Error::other("the source panicked");
        Error::PageRead { page, offset_bytes: self.range_of(page).start, source }
    }

    /// Tells the source that `page` comes soon.
    #[cfg(not(target_arch = "wasm32"))]
    pub(crate) fn announce(&self, page: PageId) {
        self.timeline.mark(Mark::ReadingBegan);
        self.source.will_read(self.range_of(page));
    }

    /// Pages that are announced ahead: before there is staging memory, and later.
    #[cfg(not(target_arch = "wasm32"))]
    pub(crate) fn pages_ahead(&self) -> [u32; 2] {
        let lookahead = self.source.lookahead();
        let pages = |bytes: u64| u32::try_from(bytes.div_ceil(self.page_bytes)).unwrap_or(u32::MAX);
        [pages(lookahead.early_bytes), pages(lookahead.bytes)]
    }

    /// Reads `page` into `view`, through `buffer`.
    pub(crate) fn read(&self, page: PageId, view: &mut BufferViewMut, buffer: &mut PieceBuffer) -> Result<(), Error> {
        let reading = Stopwatch::start();
        self.timeline.mark(Mark::ReadingBegan);
        let start = self.trace.as_ref().map(|trace| trace.now());
        let read = self.read_pieces(page, view, buffer.bytes());
        if let (Some(trace), Some(start)) = (&self.trace, start) {
            trace.read(buffer.reader, page, start, read.is_err());
        }
        self.source.was_read(self.range_of(page));
        self.timeline.add(Span::Reading, reading.elapsed());
        if read.is_ok() {
            self.timeline.mark(Mark::FirstPage);
        }
        read
    }

    /// As [`PageReader::read`], from a source that answers later, through a buffer of lane `lane`.
    pub(crate) async fn fetch(&self, page: PageId, view: &mut BufferViewMut, lane: u32) -> Result<(), Error> {
        let start = self.trace.as_ref().map(|trace| trace.now());
        let reading = Stopwatch::start();
        self.timeline.mark(Mark::ReadingBegan);
        let mut buffer = self.new_buffer(lane);
        let fetched = self.fetch_pieces(page, view, buffer.bytes()).await;
        self.timeline.add(Span::Reading, reading.elapsed());
        if let (Some(trace), Some(start)) = (&self.trace, start) {
            trace.read(lane, page, start, fetched.is_err());
        }
        if fetched.is_ok() {
            self.timeline.mark(Mark::FirstPage);
        }
        fetched
    }

    async fn fetch_pieces(&self, page: PageId, view: &mut BufferViewMut, buffer: &mut [u8]) -> Result<(), Error> {
        let (start_bytes, length) = (self.range_of(page).start, view.len());
        let (mut computed, mut done) = (0, 0);
        let mut piece = |bytes: &[u8]| {
            // A source that gives too much is found out below.
            let bytes = &bytes[..bytes.len().min(length.saturating_sub(done) + 1)];
            if done + bytes.len() <= length {
                computed = crc32c::crc32c_append(computed, bytes);
                view.slice(done..done + bytes.len()).copy_from_slice(bytes);
            }
            done += bytes.len();
        };
        let mut read = self.source.fetch_pieces(start_bytes, length as u64, buffer, &mut piece).await;
        if read.is_ok() && done != length {
            let kind = if done < length { ErrorKind::UnexpectedEof } else { ErrorKind::InvalidData };
            read = Err(kind.into());
        }
        let offset_bytes = start_bytes + done.min(length) as u64;
        read.map_err(|source| Error::PageRead { page, offset_bytes, source })?;
        self.check(page, computed)
    }

    /// Notes that the last page of a sequence was fetched.
    pub(crate) fn all_arrived(&self) {
        self.timeline.mark(Mark::LastPage);
    }

    /// Whether pages must be fetched.
    pub(crate) fn is_fetched(&self) -> bool {
        self.source.is_fetched()
    }

    fn read_pieces(&self, page: PageId, view: &mut BufferViewMut, buffer: &mut [u8]) -> Result<(), Error> {
        let range = self.range_of(page);
        let mut computed = 0;
        let mut done = 0;
        while done < view.len() {
            let length = buffer.len().min(view.len() - done);
            let piece = &mut buffer[..length];
            let offset_bytes = range.start + done as u64;
            self.source.read_at(offset_bytes, piece).map_err(|source| Error::PageRead {
                page,
                offset_bytes,
                source,
            })?;
            computed = crc32c::crc32c_append(computed, piece);
            view.slice(done..done + length).copy_from_slice(piece);
            done += length;
        }
        self.check(page, computed)
    }

    /// Compares the checksum of a page that was read.
    fn check(&self, page: PageId, computed: u32) -> Result<(), Error> {
        let stored = self.checksums[page.0 as usize];
        if computed != stored {
            let offset_bytes = self.range_of(page).start;
            return Err(BundleError::PageChecksum { page, offset_bytes, stored, computed }.into());
        }
        Ok(())
    }
}

/// Rounds down to whole blocks; less than one stays as it is.
const fn whole_blocks(bytes: u64) -> u64 {
    let block = BLOCK_BYTES as u64;
    if bytes < block { bytes } else { bytes / block * block }
}

/// Bytes of a reader.
pub(crate) struct PieceBuffer {
    /// Whose it is.
    reader: u32,
    bytes: PieceBytes,
}

/// Aligned for direct I/O unless there are less than a block of them.
enum PieceBytes {
    Blocks(Vec<Block>),
    Small(Vec<u8>),
}

/// Aligned bytes.
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C, align(4096))]
pub(crate) struct Block([u8; BLOCK_BYTES]);

impl PieceBuffer {
    fn new(length: usize, reader: u32) -> Self {
        let bytes = match length < BLOCK_BYTES {
            true => PieceBytes::Small(vec![0; length]),
            false => PieceBytes::Blocks(vec![Block([0; BLOCK_BYTES]); length / BLOCK_BYTES]),
        };
        Self { reader, bytes }
    }

    fn bytes(&mut self) -> &mut [u8] {
        match &mut self.bytes {
            PieceBytes::Blocks(blocks) => bytemuck::cast_slice_mut(blocks),
            PieceBytes::Small(bytes) => bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_aligned_and_within_their_share() {
        for share_bytes in [1_u64, 4095, 4096, 8191, 131_072, 131_073] {
            let length = whole_blocks(share_bytes) as usize;
            let mut buffer = PieceBuffer::new(length, 0);
            let bytes = buffer.bytes();
            assert!(bytes.len() == length && length > 0 && length as u64 <= share_bytes, "{share_bytes}");
            assert!(length < BLOCK_BYTES || (bytes.as_ptr() as usize).is_multiple_of(BLOCK_BYTES));
        }
    }

    #[test]
    fn readers_without_a_staging_buffer_are_not_started() {
        let plan = flashmem_plan_format::testing::small_plan();
        assert_eq!([0, 1, 2, 9].map(|requested| useful_readers(&plan, requested)), [0, 1, 2, 2]);
    }
}
