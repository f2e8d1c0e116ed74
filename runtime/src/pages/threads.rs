//! A page source of bounded reader threads, which live as long as the session and sleep while there is nothing to read.
//!
//! Readers take loads in order and wait until the load's staging buffer is given; `hand_off.rs` is how. Meanwhile, and with
//! every page, they announce what comes next to the source, as far ahead as that asks for: so the disk goes on when the ring is
//! full, and starts before there is any staging memory at all. A source that reads ahead by itself gets only these early
//! announcements. A read that the operating system never finishes cannot be ended: the
//! run then fails after its time limit, the next run waits for the read once more, and when the page source is dropped the reader
//! is left behind with its staging buffer.

use super::hand_off::{HandOff, Task};
use super::reader::PageReader;
use crate::api::{Error, Mark, Span};
use crate::time::{Stopwatch, Wait};
use flashmem_plan_format::plan::PageId;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use wgpu::BufferViewMut;

/// Longest wait for reads in progress when a page source is dropped.
const DROP_TIMEOUT: Duration = Duration::from_secs(2);

pub(crate) struct ThreadedSource {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    reader: PageReader,
    hand_off: HandOff<PageId, BufferViewMut, Error>,
}

impl ThreadedSource {
    pub(crate) fn start(reader: PageReader, staging_pages: u32, readers: u32) -> Result<Self, Error> {
        let [early, window] = reader.pages_ahead();
        let shared = Arc::new(Shared { reader, hand_off: HandOff::new(staging_pages, early, window) });
        let mut pages = Self { shared, threads: Vec::new() };
        for index in 0..readers {
            let shared = Arc::clone(&pages.shared);
            let thread = std::thread::Builder::new().name("flashmem-reader".to_owned());
            let spawned = thread.spawn(move || shared.work(index));
            pages.threads.push(spawned.map_err(|source| Error::Threads { source })?);
        }
        Ok(pages)
    }

    pub(crate) fn reader(&self) -> &PageReader {
        &self.shared.reader
    }

    pub(crate) fn readers(&self) -> u32 {
        self.threads.len() as u32
    }

    pub(crate) fn begin(&self, loads: &Arc<[PageId]>) {
        self.shared.hand_off.begin(loads);
    }

    pub(crate) fn give(&self, ring_index: u32, view: BufferViewMut) {
        self.shared.hand_off.give(ring_index, view);
    }

    pub(crate) fn take(&self, load: u32, sleep: Duration) -> Option<Result<BufferViewMut, Error>> {
        self.shared.hand_off.take(load, sleep)
    }

    /// Ends reading, waits for reads in progress and drops all views.
    pub(crate) async fn recall(&self, wait: &Wait) -> Result<(), Error> {
        let during = "waiting for reads in progress";
        let waiting = Stopwatch::start();
        let mut sleep = Duration::ZERO;
        self.shared.hand_off.stop();
        while !self.shared.hand_off.is_idle(wait.piece(sleep)) {
            wait.check(during)?;
            let left = wait.timeout.checked_sub(waiting.elapsed()).filter(|left| !left.is_zero());
            sleep = left.ok_or_else(|| Error::Timeout { during: during.to_owned(), waited: wait.timeout })?;
            wait.pause().await;
        }
        Ok(())
    }
}

impl Drop for ThreadedSource {
    fn drop(&mut self) {
        let waiting = Stopwatch::start();
        self.shared.hand_off.close();
        while let Some(left) = DROP_TIMEOUT.checked_sub(waiting.elapsed()).filter(|left| !left.is_zero()) {
            if self.shared.hand_off.is_idle(left) {
                for thread in self.threads.drain(..) {
                    // A reader that panicked has said so, and nothing depends on it any more.
                    let _ = thread.join();
                }
                return;
            }
        }
    }
}

impl Shared {
    /// A reader's life.
    fn work(&self, reader: u32) {
        let mut buffer = self.reader.new_buffer(reader);
        let short_of_views = |time| self.reader.timeline.add(Span::ReadersWait, time);
        loop {
            match self.hand_off.next(short_of_views) {
                Task::Announce(page) => self.announce(page),
                Task::Load { load, what: page, mut view, announce } => {
                    // The source may be the app's own; its panic must not leave the replay waiting.
                    let read = catch_unwind(AssertUnwindSafe(|| self.reader.read(page, &mut view, &mut buffer)));
                    let read = read.unwrap_or_else(|_| Err(self.reader.panicked(page)));
                    // Moved into the closure, the view of a failed load is gone before the reader counts as idle.
                    if self.hand_off.arrive(load, read.map(move |()| view)) {
                        self.reader.timeline.mark(Mark::LastPage);
                    }
                    // After the load: where the disk's queue is full, announcing waits for it.
                    announce.into_iter().flatten().for_each(|page| self.announce(page));
                }
                Task::End => return,
            }
        }
    }

    /// An announcement is a hint, so that a source which panics at one loses it and nothing else.
    fn announce(&self, page: PageId) {
        let _ = catch_unwind(AssertUnwindSafe(|| self.reader.announce(page)));
    }
}
