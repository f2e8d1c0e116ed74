//! A feed without threads: a page is read when the replay asks for it.

use super::feed::PageFeed;
use super::page;
use crate::error::Error;
use crate::session::{Parts, Program};
use std::cell::RefCell;
use std::time::Duration;
use wgpu::BufferViewMut;

pub(crate) struct InlineFeed<'a> {
    parts: &'a Parts,
    program: Program<'a>,
    state: RefCell<State>,
}

struct State {
    /// By ring index.
    views: Vec<Option<BufferViewMut>>,
    buffer: Vec<u8>,
}

impl<'a> InlineFeed<'a> {
    pub(crate) fn new(parts: &'a Parts, program: Program<'a>) -> Self {
        let views = (0..parts.bundle.plan.staging_pages).map(|_| None).collect();
        let length = if program.loads.is_empty() { 0 } else { page::read_buffer_bytes(parts) };
        Self { parts, program, state: RefCell::new(State { views, buffer: vec![0; length as usize] }) }
    }
}

impl PageFeed for InlineFeed<'_> {
    fn give(&self, ring_index: u32, view: BufferViewMut) {
        self.state.borrow_mut().views[ring_index as usize] = Some(view);
    }

    fn take(&self, load: u32, _wait: Duration) -> Option<Result<BufferViewMut, Error>> {
        let state = &mut *self.state.borrow_mut();
        let ring_index = load as usize % state.views.len();
        let mut view = state.views[ring_index].take()?;
        let page = self.program.loads[load as usize];
        Some(page::read(self.parts, page, &mut view, &mut state.buffer).map(|()| view))
    }
}
