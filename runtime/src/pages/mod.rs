//! How pages arrive in staging memory: the boundary between the replay and I/O.
//!
//! A sequence of loads begins, and its k-th load goes through staging buffer k mod R. The replay gives mapped buffers; the
//! page source fills them in the order of loads and hands them back. Views are owned by one side at a time, so nothing is shared
//! but through this type. A sequence can begin long before the replay does: reading starts when buffers are given. `reader.rs`
//! reads one page, `inline.rs` on demand, `ahead.rs` fetches ahead, `threads.rs` reads ahead through `hand_off.rs`.

mod ahead;
#[cfg(not(target_arch = "wasm32"))]
mod hand_off;
mod inline;
mod reader;
#[cfg(not(target_arch = "wasm32"))]
mod sync;
#[cfg(not(target_arch = "wasm32"))]
mod threads;

pub(crate) use reader::{PageReader, useful_readers};

use crate::api::Error;
use crate::time::Wait;
use flashmem_plan_format::plan::PageId;
use inline::InlineSource;
use std::sync::Arc;
use std::time::Duration;
#[cfg(not(target_arch = "wasm32"))]
use threads::ThreadedSource;
use wgpu::BufferViewMut;

/// Fills mapped staging buffers with pages, in the order of loads.
pub(crate) enum PageSource {
    /// Reads a page when it is asked for; of a source that answers later, pages ahead.
    Inline(InlineSource),
    /// Reads ahead.
    #[cfg(not(target_arch = "wasm32"))]
    Threads(ThreadedSource),
}

impl PageSource {
    /// With `readers` threads, for a ring of `staging_pages` buffers.
    pub(crate) fn start(reader: PageReader, staging_pages: u32, readers: u32) -> Result<Self, Error> {
        #[cfg(not(target_arch = "wasm32"))]
        if readers > 0 {
            return ThreadedSource::start(reader, staging_pages, readers).map(Self::Threads);
        }
        let _ = readers;
        Ok(Self::Inline(InlineSource::new(reader, staging_pages)))
    }

    /// Begins a sequence of loads. No buffer may be with the page source.
    pub(crate) fn begin(&self, loads: &Arc<[PageId]>) {
        match self {
            Self::Inline(pages) => pages.begin(loads),
            #[cfg(not(target_arch = "wasm32"))]
            Self::Threads(pages) => pages.begin(loads),
        }
    }

    /// Gives staging buffer `ring_index` for its next load.
    pub(crate) fn give(&self, ring_index: u32, view: BufferViewMut) {
        match self {
            Self::Inline(pages) => pages.give(ring_index, view),
            #[cfg(not(target_arch = "wasm32"))]
            Self::Threads(pages) => pages.give(ring_index, view),
        }
    }

    /// The view that page load `load` was read into, if it arrives within `sleep`; `None` otherwise. A failed load is
    /// given once, as its error.
    pub(crate) async fn take(&self, load: u32, sleep: Duration) -> Option<Result<BufferViewMut, Error>> {
        #[cfg(target_arch = "wasm32")]
        let _ = sleep;
        match self {
            Self::Inline(pages) => pages.take(load).await,
            #[cfg(not(target_arch = "wasm32"))]
            Self::Threads(pages) => pages.take(load, sleep),
        }
    }

    /// Waits for something else; what is fetched goes on meanwhile, as reader threads do by themselves.
    pub(crate) async fn beside<T>(&self, work: impl Future<Output = T>) -> T {
        match self {
            Self::Inline(pages) => pages.beside(work).await,
            #[cfg(not(target_arch = "wasm32"))]
            Self::Threads(_) => work.await,
        }
    }

    /// Ends the sequence: waits for reads in progress and lets go of all buffers.
    pub(crate) async fn recall(&self, wait: &Wait) -> Result<(), Error> {
        #[cfg(target_arch = "wasm32")]
        let _ = wait;
        match self {
            Self::Inline(pages) => {
                pages.recall();
                Ok(())
            }
            #[cfg(not(target_arch = "wasm32"))]
            Self::Threads(pages) => pages.recall(wait).await,
        }
    }

    /// Bytes of checksums and of all readers' buffers.
    pub(crate) fn host_bytes(&self) -> u64 {
        let (reader, buffers) = match self {
            Self::Inline(pages) => (pages.reader(), 1_u32),
            #[cfg(not(target_arch = "wasm32"))]
            Self::Threads(pages) => (pages.reader(), pages.readers()),
        };
        reader.checksum_bytes() + u64::from(buffers) * reader.buffer_bytes()
    }
}
