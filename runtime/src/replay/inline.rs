//! A feed without threads: a page is read when the replay asks for it.

use super::page::{PageReader, PieceBuffer};
use crate::error::Error;
use crate::gpu::lock;
use flashmem_plan_format::plan::PageId;
use std::sync::{Arc, Mutex};
use wgpu::BufferViewMut;

pub(crate) struct InlineFeed {
    reader: PageReader,
    state: Mutex<State>,
}

struct State {
    loads: Arc<[PageId]>,
    /// By ring index.
    views: Vec<Option<BufferViewMut>>,
    /// `None` while it is in use.
    buffer: Option<PieceBuffer>,
}

impl InlineFeed {
    pub(crate) fn new(reader: PageReader, staging_pages: u32) -> Self {
        let views = (0..staging_pages).map(|_| None).collect();
        let state = State { loads: Arc::default(), views, buffer: None };
        Self { reader, state: Mutex::new(state) }
    }

    pub(crate) const fn reader(&self) -> &PageReader {
        &self.reader
    }

    pub(crate) fn begin(&self, loads: &Arc<[PageId]>) {
        lock(&self.state).loads = Arc::clone(loads);
    }

    pub(crate) fn give(&self, ring_index: u32, view: BufferViewMut) {
        lock(&self.state).views[ring_index as usize] = Some(view);
    }

    pub(crate) async fn take(&self, load: u32) -> Option<Result<BufferViewMut, Error>> {
        // The lock is not held while a page is fetched; who drops this future drops view and buffer.
        let (page, mut view, buffer) = {
            let state = &mut *lock(&self.state);
            let ring_index = load as usize % state.views.len();
            (state.loads[load as usize], state.views[ring_index].take()?, state.buffer.take())
        };
        let mut buffer = buffer.unwrap_or_else(|| self.reader.new_buffer(0));
        let read = match self.reader.is_fetched() {
            true => self.reader.fetch(page, &mut view, &mut buffer).await,
            false => self.reader.read(page, &mut view, &mut buffer),
        };
        lock(&self.state).buffer = Some(buffer);
        Some(read.map(|()| view))
    }

    pub(crate) fn recall(&self) {
        lock(&self.state).views.fill_with(|| None);
    }
}
