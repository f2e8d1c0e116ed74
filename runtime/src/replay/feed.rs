//! How pages arrive in staging memory: the boundary between the replay and I/O.
//!
//! A sequence of loads begins, and its k-th load goes through staging buffer k mod R. The replay gives mapped buffers; the
//! feed fills them in the order of loads and hands them back. Views are owned by one side at a time, so nothing is shared
//! but through this type. A sequence can begin long before the replay does: reading starts when buffers are given.

use super::inline::InlineFeed;
use super::page::PageReader;
#[cfg(not(target_arch = "wasm32"))]
use super::threads::ThreadedFeed;
use crate::error::Error;
use crate::patience::Patience;
use crate::session::{WriteBuffer, WriteState};
use flashmem_plan_format::plan::PageId;
use std::sync::Arc;
use std::time::Duration;
use wgpu::BufferViewMut;

/// Fills mapped staging buffers with pages, in the order of loads.
pub(crate) enum Feed {
    /// Reads a page when it is asked for; of a source that answers later, pages ahead.
    Inline(InlineFeed),
    /// Reads ahead.
    #[cfg(not(target_arch = "wasm32"))]
    Threads(ThreadedFeed),
}

/// Begins a sequence of loads and gives the feed all staging buffers, unless it has them already.
pub(crate) fn start_reading(feed: &Feed, loads: &Arc<[PageId]>, ring: &mut [WriteBuffer]) -> Result<(), Error> {
    if ring.iter().all(|staging| matches!(staging.state, WriteState::Reading)) {
        return Ok(());
    }
    feed.begin(loads);
    (0..).zip(ring).try_for_each(|(ring_index, staging)| staging.give(ring_index, feed))
}

impl Feed {
    /// With `readers` threads, for a ring of `staging_pages` buffers.
    pub(crate) fn start(reader: PageReader, staging_pages: u32, readers: u32) -> Result<Self, Error> {
        #[cfg(not(target_arch = "wasm32"))]
        if readers > 0 {
            return ThreadedFeed::start(reader, staging_pages, readers).map(Self::Threads);
        }
        let _ = readers;
        Ok(Self::Inline(InlineFeed::new(reader, staging_pages)))
    }

    /// Begins a sequence of loads. No buffer may be with the feed.
    pub(crate) fn begin(&self, loads: &Arc<[PageId]>) {
        match self {
            Self::Inline(feed) => feed.begin(loads),
            #[cfg(not(target_arch = "wasm32"))]
            Self::Threads(feed) => feed.begin(loads),
        }
    }

    /// Gives staging buffer `ring_index` for its next load.
    pub(crate) fn give(&self, ring_index: u32, view: BufferViewMut) {
        match self {
            Self::Inline(feed) => feed.give(ring_index, view),
            #[cfg(not(target_arch = "wasm32"))]
            Self::Threads(feed) => feed.give(ring_index, view),
        }
    }

    /// The view that page load `load` was read into, if it arrives within `wait`; `None` otherwise. A failed load is
    /// given once, as its error.
    pub(crate) async fn take(&self, load: u32, wait: Duration) -> Option<Result<BufferViewMut, Error>> {
        #[cfg(target_arch = "wasm32")]
        let _ = wait;
        match self {
            Self::Inline(feed) => feed.take(load).await,
            #[cfg(not(target_arch = "wasm32"))]
            Self::Threads(feed) => feed.take(load, wait),
        }
    }

    /// Ends the sequence: waits for reads in progress and lets go of all buffers.
    pub(crate) async fn recall(&self, patience: &Patience) -> Result<(), Error> {
        #[cfg(target_arch = "wasm32")]
        let _ = patience;
        match self {
            Self::Inline(feed) => {
                feed.recall();
                Ok(())
            }
            #[cfg(not(target_arch = "wasm32"))]
            Self::Threads(feed) => feed.recall(patience).await,
        }
    }

    /// Bytes of checksums and of all readers' buffers.
    pub(crate) fn host_bytes(&self) -> u64 {
        let (reader, buffers) = match self {
            Self::Inline(feed) => (feed.reader(), 1_u32),
            #[cfg(not(target_arch = "wasm32"))]
            Self::Threads(feed) => (feed.reader(), feed.readers()),
        };
        reader.checksum_bytes() + u64::from(buffers) * reader.buffer_bytes()
    }
}
