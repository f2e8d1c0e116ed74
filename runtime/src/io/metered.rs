//! A source that counts the bytes read from it, for the statistics; behind it, reads block or answer later.

use super::async_source::{AsyncReadAt, PieceFn};
use flashmem_plan_format::source::{Lookahead, ReadAt};
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub(crate) struct MeteredSource {
    inner: Inner,
    bytes_read: AtomicU64,
}

enum Inner {
    Blocking(Arc<dyn ReadAt>),
    Fetched(Arc<dyn AsyncReadAt>),
}

impl MeteredSource {
    pub(crate) fn new(inner: Arc<dyn ReadAt>) -> Self {
        Self { inner: Inner::Blocking(inner), bytes_read: AtomicU64::new(0) }
    }

    pub(crate) fn fetched(inner: Arc<dyn AsyncReadAt>) -> Self {
        Self { inner: Inner::Fetched(inner), bytes_read: AtomicU64::new(0) }
    }

    /// Whether it can only be read by [`MeteredSource::fetch`].
    pub(crate) const fn is_fetched(&self) -> bool {
        matches!(self.inner, Inner::Fetched(_))
    }

    /// Reads without blocking where the source can do that.
    pub(crate) async fn fetch(&self, offset_bytes: u64, buffer: &mut [u8]) -> io::Result<()> {
        match &self.inner {
            Inner::Blocking(_) => self.read_at(offset_bytes, buffer),
            Inner::Fetched(inner) => {
                inner.read_at(offset_bytes, buffer).await?;
                self.bytes_read.fetch_add(buffer.len() as u64, Ordering::Relaxed);
                Ok(())
            }
        }
    }

    /// As [`AsyncReadAt::read_pieces`].
    pub(crate) async fn fetch_pieces(
        &self,
        offset_bytes: u64,
        length_bytes: u64,
        buffer: &mut [u8],
        piece: PieceFn<'_>,
    ) -> io::Result<()> {
        let Inner::Fetched(inner) = &self.inner else {
            // Whoever reads such a source in place does not fetch.
            return Err(io::ErrorKind::Unsupported.into());
        };
        let mut counted = |bytes: &[u8]| {
            self.bytes_read.fetch_add(bytes.len() as u64, Ordering::Relaxed);
            piece(bytes);
        };
        inner.read_pieces(offset_bytes, length_bytes, buffer, &mut counted).await
    }

    pub(crate) fn bytes_read(&self) -> u64 {
        self.bytes_read.load(Ordering::Relaxed)
    }
}

impl ReadAt for MeteredSource {
    fn size_bytes(&self) -> u64 {
        match &self.inner {
            Inner::Blocking(inner) => inner.size_bytes(),
            Inner::Fetched(inner) => inner.size_bytes(),
        }
    }

    fn read_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> io::Result<()> {
        match &self.inner {
            Inner::Blocking(inner) => inner.read_at(offset_bytes, buffer)?,
            // Whoever reads such a source fetches.
            Inner::Fetched(_) => return Err(io::ErrorKind::Unsupported.into()),
        }
        self.bytes_read.fetch_add(buffer.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    fn will_read(&self, range: Range<u64>) {
        if let Inner::Blocking(inner) = &self.inner {
            inner.will_read(range);
        }
    }

    fn lookahead(&self) -> Lookahead {
        match &self.inner {
            Inner::Blocking(inner) => inner.lookahead(),
            Inner::Fetched(_) => Lookahead { early_bytes: 0, bytes: 0 },
        }
    }

    fn was_read(&self, range: Range<u64>) {
        if let Inner::Blocking(inner) = &self.inner {
            inner.was_read(range);
        }
    }
}
