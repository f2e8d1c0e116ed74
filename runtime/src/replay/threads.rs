//! A feed of bounded reader threads, which live as long as the session and sleep while there is nothing to read.
//!
//! Readers take loads in order and wait until the load's staging buffer is given; `handover.rs` is how. Meanwhile, and with
//! every page, they announce what comes next to the source, as far ahead as that asks for: so the disk goes on when the ring is
//! full, and starts before there is any staging memory at all. A source that reads ahead by itself gets only these early
//! announcements. A read that the operating system never finishes cannot be ended: the
//! run then fails after its time limit, the next run waits for the read once more, and when the feed is dropped the reader
//! is left behind with its staging buffer.

use super::handover::{Handover, Task};
use super::page::PageReader;
use crate::clock::Stopwatch;
use crate::error::Error;
use crate::patience::Patience;
use crate::timeline::{Mark, Span};
use flashmem_plan_format::plan::PageId;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use wgpu::BufferViewMut;

/// Longest wait for reads in progress when a feed is dropped.
const DROP_TIMEOUT: Duration = Duration::from_secs(2);

pub(crate) struct ThreadedFeed {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    reader: PageReader,
    handover: Handover<PageId, BufferViewMut, Error>,
}

impl ThreadedFeed {
    pub(crate) fn start(reader: PageReader, staging_pages: u32, readers: u32) -> Result<Self, Error> {
        let [early, window] = reader.pages_ahead();
        let shared = Arc::new(Shared { reader, handover: Handover::new(staging_pages, early, window) });
        let mut feed = Self { shared, threads: Vec::new() };
        for index in 0..readers {
            let shared = Arc::clone(&feed.shared);
            let thread = std::thread::Builder::new().name("flashmem-reader".to_owned());
            let spawned = thread.spawn(move || shared.work(index));
            feed.threads.push(spawned.map_err(|source| Error::Threads { source })?);
        }
        Ok(feed)
    }

    pub(crate) fn reader(&self) -> &PageReader {
        &self.shared.reader
    }

    pub(crate) fn readers(&self) -> u32 {
        self.threads.len() as u32
    }

    pub(crate) fn begin(&self, loads: &Arc<[PageId]>) {
        self.shared.handover.begin(loads);
    }

    pub(crate) fn give(&self, ring_index: u32, view: BufferViewMut) {
        self.shared.handover.give(ring_index, view);
    }

    pub(crate) fn take(&self, load: u32, wait: Duration) -> Option<Result<BufferViewMut, Error>> {
        self.shared.handover.take(load, wait)
    }

    /// Ends reading, waits for reads in progress and drops all views.
    pub(crate) async fn recall(&self, patience: &Patience) -> Result<(), Error> {
        let during = "waiting for reads in progress";
        let waiting = Stopwatch::start();
        let mut wait = Duration::ZERO;
        self.shared.handover.stop();
        while !self.shared.handover.is_idle(patience.piece(wait)) {
            patience.check(during)?;
            let left = patience.timeout.checked_sub(waiting.elapsed()).filter(|left| !left.is_zero());
            wait = left.ok_or_else(|| Error::Timeout { during: during.to_owned(), waited: patience.timeout })?;
            patience.pause().await;
        }
        Ok(())
    }
}

impl Drop for ThreadedFeed {
    fn drop(&mut self) {
        let waiting = Stopwatch::start();
        self.shared.handover.close();
        while let Some(left) = DROP_TIMEOUT.checked_sub(waiting.elapsed()).filter(|left| !left.is_zero()) {
            if self.shared.handover.is_idle(left) {
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
            match self.handover.next(short_of_views) {
                Task::Announce(page) => self.announce(page),
                Task::Load { load, what: page, mut view, announce } => {
                    // The source may be the app's own; its panic must not leave the replay waiting.
                    let read = catch_unwind(AssertUnwindSafe(|| self.reader.read(page, &mut view, &mut buffer)));
                    let read = read.unwrap_or_else(|_| Err(self.reader.panicked(page)));
                    // Moved into the closure, the view of a failed load is gone before the reader counts as idle.
                    if self.handover.arrive(load, read.map(move |()| view)) {
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
