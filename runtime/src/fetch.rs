//! Sources that answer later: HTTP ranges in a browser, where nothing may wait.
//!
//! Pages are fetched ahead of the replay (`replay/ahead.rs`). Everything else (heads, constants, rows) is read by code that knows only
//! blocking sources: it is run on what was fetched so far, and again with every range that it misses.

use crate::counting::CountingSource;
use crate::gpu::lock;
use flashmem_plan_format::source::ReadAt;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

/// What [`AsyncReadAt::read_at`] gives.
#[cfg(not(target_arch = "wasm32"))]
pub type ReadFuture<'a> = Pin<Box<dyn Future<Output = io::Result<()>> + Send + 'a>>;
/// What [`AsyncReadAt::read_at`] gives.
#[cfg(target_arch = "wasm32")]
pub type ReadFuture<'a> = Pin<Box<dyn Future<Output = io::Result<()>> + 'a>>;

/// What takes the pieces of [`AsyncReadAt::read_pieces`].
#[cfg(not(target_arch = "wasm32"))]
pub type PieceFn<'a> = &'a mut (dyn FnMut(&[u8]) + Send);
/// What takes the pieces of [`AsyncReadAt::read_pieces`].
#[cfg(target_arch = "wasm32")]
pub type PieceFn<'a> = &'a mut dyn FnMut(&[u8]);

/// Bytes of known size that can be read at any offset, by futures. In browsers there is no other way to read; there the
/// source may move between threads (it is an address), and its futures need not.
///
/// Time limits are the source's: a read that never ends can be left only by dropping the run.
pub trait AsyncReadAt: Send + Sync {
    /// Size of the whole source.
    fn size_bytes(&self) -> u64;

    /// Fills `buffer` with the bytes from `offset_bytes` on, or fails: with `UnexpectedEof` when the source ends before.
    fn read_at<'a>(&'a self, offset_bytes: u64, buffer: &'a mut [u8]) -> ReadFuture<'a>;

    /// Gives `length_bytes` from `offset_bytes` on to `piece`, in order and completely, as parts of `buffer`; or fails.
    /// Pages are read so. A source that can do this with one request should: otherwise every piece costs one.
    fn read_pieces<'a>(
        &'a self,
        offset_bytes: u64,
        length_bytes: u64,
        buffer: &'a mut [u8],
        piece: PieceFn<'a>,
    ) -> ReadFuture<'a> {
        Box::pin(async move {
            if buffer.is_empty() && length_bytes > 0 {
                return Err(io::ErrorKind::InvalidInput.into());
            }
            let (mut start_bytes, end_bytes) = (offset_bytes, offset_bytes.saturating_add(length_bytes));
            while start_bytes < end_bytes {
                let length = (end_bytes - start_bytes).min(buffer.len() as u64) as usize;
                self.read_at(start_bytes, &mut buffer[..length]).await?;
                piece(&buffer[..length]);
                start_bytes += length as u64;
            }
            Ok(())
        })
    }
}

/// Does `work` on a source whose bytes are fetched. It is repeated until it misses nothing.
pub(crate) async fn fetching<T>(source: &Arc<CountingSource>, work: impl Fn(&dyn ReadAt) -> T) -> T {
    let known = Known { size_bytes: source.size_bytes(), ranges: Mutex::default(), missed: Mutex::default() };
    loop {
        let result = work(&known);
        let Some((offset_bytes, length)) = lock(&known.missed).take() else {
            return result;
        };
        let mut bytes = vec![0; length];
        let read = source.fetch(offset_bytes, &mut bytes).await;
        lock(&known.ranges).push((offset_bytes, read.map(|()| bytes)));
    }
}

/// What was fetched so far.
struct Known {
    size_bytes: u64,
    /// Start and bytes, or why there are none.
    ranges: Mutex<Vec<(u64, io::Result<Vec<u8>>)>>,
    /// Start and length of the first read that found nothing.
    missed: Mutex<Option<(u64, usize)>>,
}

impl ReadAt for Known {
    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    fn read_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> io::Result<()> {
        for (start_bytes, range) in &mut *lock(&self.ranges) {
            if *start_bytes != offset_bytes {
                continue;
            }
            match range {
                Ok(bytes) if bytes.len() == buffer.len() => {
                    buffer.copy_from_slice(bytes);
                    return Ok(());
                }
                Ok(_) => {}
                // The failure itself, once; the work ends with it.
                Err(error) => return Err(std::mem::replace(error, io::ErrorKind::Other.into())),
            }
        }
        *lock(&self.missed) = Some((offset_bytes, buffer.len()));
        Err(io::ErrorKind::WouldBlock.into())
    }
}
