//! Sources that answer later: HTTP ranges in a browser, where nothing may wait.
//!
//! Browsers are deliberately unknown here: `io/web.rs` is such a source.

use std::io;
use std::pin::Pin;

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
/// A read that is given up, when a run ends or its time is over, is dropped.
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
