//! How pages arrive in staging memory: the boundary between the replay and I/O.
//!
//! The k-th load of a run goes through staging buffer k mod R. The replay gives mapped buffers; the feed fills them in the
//! order of loads and hands them back. Views are owned by one side at a time, so nothing is shared but through this trait.

use crate::error::Error;
use std::time::Duration;
use wgpu::BufferViewMut;

/// Fills mapped staging buffers with pages, in the order of loads.
pub(crate) trait PageFeed {
    /// Gives staging buffer `ring_index` for its next load.
    fn give(&self, ring_index: u32, view: BufferViewMut);

    /// The view that page load `load` was read into, if it arrives within `wait`; `None` otherwise. A failed load is
    /// given once, as its error.
    fn take(&self, load: u32, wait: Duration) -> Option<Result<BufferViewMut, Error>>;
}
