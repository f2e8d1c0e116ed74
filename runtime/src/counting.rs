//! A source that counts the bytes read from it, for the statistics.

use flashmem_plan_format::source::ReadAt;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub(crate) struct CountingSource {
    inner: Arc<dyn ReadAt>,
    bytes_read: AtomicU64,
}

impl CountingSource {
    pub(crate) fn new(inner: Arc<dyn ReadAt>) -> Self {
        Self { inner, bytes_read: AtomicU64::new(0) }
    }

    pub(crate) fn bytes_read(&self) -> u64 {
        self.bytes_read.load(Ordering::Relaxed)
    }
}

impl ReadAt for CountingSource {
    fn size_bytes(&self) -> u64 {
        self.inner.size_bytes()
    }

    fn read_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.inner.read_at(offset_bytes, buffer)?;
        self.bytes_read.fetch_add(buffer.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    fn will_read(&self, range: Range<u64>) {
        self.inner.will_read(range);
    }

    fn was_read(&self, range: Range<u64>) {
        self.inner.was_read(range);
    }
}
