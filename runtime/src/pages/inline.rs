//! A page source without threads: a page is read when the replay asks for it, or fetched ahead where sources answer later.

use super::ahead::Ahead;
use super::reader::{PageReader, PieceBuffer};
use crate::api::Error;
use crate::lock::lock;
use flashmem_plan_format::plan::PageId;
use std::sync::{Arc, Mutex};
use wgpu::BufferViewMut;

pub(crate) struct InlineSource {
    reader: Arc<PageReader>,
    /// Of a source that answers later.
    ahead: Option<Ahead>,
    state: Mutex<State>,
}

struct State {
    loads: Arc<[PageId]>,
    /// By ring index.
    views: Vec<Option<BufferViewMut>>,
    /// `None` while it is in use.
    buffer: Option<PieceBuffer>,
}

impl InlineSource {
    pub(crate) fn new(reader: PageReader, staging_pages: u32) -> Self {
        let reader = Arc::new(reader);
        let ahead = reader.is_fetched().then(|| Ahead::new(Arc::clone(&reader), staging_pages));
        let views = (0..staging_pages).map(|_| None).collect();
        let state = State { loads: Arc::default(), views, buffer: None };
        Self { reader, ahead, state: Mutex::new(state) }
    }

    pub(crate) fn reader(&self) -> &PageReader {
        &self.reader
    }

    pub(crate) fn begin(&self, loads: &Arc<[PageId]>) {
        match &self.ahead {
            Some(ahead) => ahead.begin(loads),
            None => lock(&self.state).loads = Arc::clone(loads),
        }
    }

    pub(crate) fn give(&self, ring_index: u32, view: BufferViewMut) {
        match &self.ahead {
            Some(ahead) => ahead.give(ring_index, view),
            None => lock(&self.state).views[ring_index as usize] = Some(view),
        }
    }

    pub(crate) async fn take(&self, load: u32) -> Option<Result<BufferViewMut, Error>> {
        match &self.ahead {
            Some(ahead) => ahead.take(load).await,
            None => self.read(load),
        }
    }

    fn read(&self, load: u32) -> Option<Result<BufferViewMut, Error>> {
        // The lock is not held while a page is read: the source may be the app's own, and panic.
        let (page, mut view, buffer) = {
            let state = &mut *lock(&self.state);
            let ring_index = load as usize % state.views.len();
            (state.loads[load as usize], state.views[ring_index].take()?, state.buffer.take())
        };
        let mut buffer = buffer.unwrap_or_else(|| self.reader.new_buffer(0));
        let read = self.reader.read(page, &mut view, &mut buffer);
        lock(&self.state).buffer = Some(buffer);
        Some(read.map(|()| view))
    }

    pub(crate) fn recall(&self) {
        match &self.ahead {
            Some(ahead) => ahead.recall(),
            None => lock(&self.state).views.fill_with(|| None),
        }
    }
    /// Waits for something else; what is fetched goes on meanwhile.
    pub(crate) async fn beside<T>(&self, work: impl Future<Output = T>) -> T {
        match &self.ahead {
            Some(ahead) => ahead.beside(work).await,
            None => work.await,
        }
    }
}
