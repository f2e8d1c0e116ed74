//! A feed of bounded reader threads, which live as long as the session and sleep while there is nothing to read.
//!
//! Readers take loads in order and wait until the load's staging buffer is given. Meanwhile, and with every page, they
//! announce what comes next to the source, up to a window: so the disk goes on when the ring is full, and starts before
//! there is any staging memory at all. After a failure, or when the sequence
//! ends, none starts another page. A read that the operating system never finishes cannot be abandoned: ending the sequence
//! then fails after its time limit, the session is lost, and the reader is left behind when the feed is dropped.

use super::page::PageReader;
use crate::clock::Stopwatch;
use crate::error::Error;
use crate::gpu::lock;
use crate::timeline::{Mark, Span};
use flashmem_plan_format::plan::PageId;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use wgpu::BufferViewMut;

/// What is announced ahead of the reads, once there is staging memory. It hides pauses of the replay of some 20 ms.
const WINDOW_BYTES: u64 = 64 << 20;

/// What is announced before there is staging memory: about what a fast disk reads while a driver is loaded.
const EARLY_WINDOW_BYTES: u64 = 256 << 20;

/// Longest wait for reads in progress when a feed is dropped.
const DROP_TIMEOUT: Duration = Duration::from_secs(5);

pub(crate) struct ThreadedFeed {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    reader: PageReader,
    state: Mutex<State>,
    /// A buffer was given, a sequence began or ended, or the readers must go.
    given: Condvar,
    /// A page arrived.
    arrived: Condvar,
    /// A reader has finished its page.
    idle: Condvar,
}

struct State {
    loads: Arc<[PageId]>,
    /// First load that no reader took.
    next_load: u32,
    /// First load that was not announced.
    next_announced: u32,
    /// Loads that are announced ahead.
    window: u32,
    /// Loads of the sequence that were read.
    done: u32,
    /// By ring index.
    places: Vec<Place>,
    /// Readers that are at work.
    busy: u32,
    stage: Stage,
}

/// What readers should do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Read on.
    Reading,
    /// Start no page: the sequence ended or failed.
    Stopped,
    /// End the thread.
    Closed,
}

/// Where a staging buffer's view is.
enum Place {
    /// With the replay or a reader.
    Away,
    /// Waiting for its next load.
    Free(BufferViewMut),
    /// Filled by a load, or failed.
    Arrived(u32, Result<BufferViewMut, Error>),
}

impl ThreadedFeed {
    pub(crate) fn start(reader: PageReader, staging_pages: u32, readers: u32) -> Result<Self, Error> {
        let places = (0..staging_pages).map(|_| Place::Away).collect();
        let state = State {
            loads: Arc::default(),
            next_load: 0,
            next_announced: 0,
            window: reader.pages_of(EARLY_WINDOW_BYTES),
            done: 0,
            places,
            busy: 0,
            stage: Stage::Stopped,
        };
        let (given, arrived, idle) = Default::default();
        let shared = Arc::new(Shared { reader, state: Mutex::new(state), given, arrived, idle });
        let mut feed = Self { shared, threads: Vec::new() };
        for _ in 0..readers {
            let shared = Arc::clone(&feed.shared);
            let thread = std::thread::Builder::new().name("flashmem-reader".to_owned());
            let spawned = thread.spawn(move || shared.work());
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
        let mut state = lock(&self.shared.state);
        state.loads = Arc::clone(loads);
        (state.next_load, state.next_announced, state.done) = (0, 0, 0);
        state.stage = Stage::Reading;
        self.shared.given.notify_all();
    }

    pub(crate) fn give(&self, ring_index: u32, view: BufferViewMut) {
        let mut state = lock(&self.shared.state);
        state.places[ring_index as usize] = Place::Free(view);
        state.window = self.shared.reader.pages_of(WINDOW_BYTES);
        drop(state);
        // Only the reader of the next load can use it, and which one that is is unknown.
        self.shared.given.notify_all();
    }

    pub(crate) fn take(&self, load: u32, wait: Duration) -> Option<Result<BufferViewMut, Error>> {
        let mut state = lock(&self.shared.state);
        let taken = state.take(load);
        if taken.is_some() || wait.is_zero() {
            return taken;
        }
        wait_for(&self.shared.arrived, state, wait).take(load)
    }

    pub(crate) fn recall(&self, timeout: Duration) -> Result<(), Error> {
        self.stop(Stage::Stopped, timeout)
    }

    /// Ends reading, waits for reads in progress and drops all views.
    fn stop(&self, stage: Stage, timeout: Duration) -> Result<(), Error> {
        let waiting = Stopwatch::start();
        let mut state = lock(&self.shared.state);
        state.stage = stage;
        self.shared.given.notify_all();
        while state.busy > 0 {
            let left = timeout.checked_sub(waiting.elapsed()).filter(|left| !left.is_zero());
            let during = || "waiting for reads in progress".to_owned();
            let left = left.ok_or_else(|| Error::Timeout { during: during(), waited: timeout })?;
            state = wait_for(&self.shared.idle, state, left);
        }
        state.places.fill_with(|| Place::Away);
        Ok(())
    }
}

impl Drop for ThreadedFeed {
    fn drop(&mut self) {
        if self.stop(Stage::Closed, DROP_TIMEOUT).is_ok() {
            for thread in self.threads.drain(..) {
                // A reader that panicked has said so, and nothing depends on it any more.
                let _ = thread.join();
            }
        }
    }
}

impl Shared {
    /// A reader's life.
    fn work(&self) {
        let mut buffer = self.reader.new_buffer();
        loop {
            match self.next() {
                Task::Announce(page) => self.reader.announce(page),
                Task::Read { load, page, mut view, announce } => {
                    announce.into_iter().flatten().for_each(|page| self.reader.announce(page));
                    let result = self.reader.read(page, &mut view, &mut buffer).map(|()| view);
                    self.finish(load, result);
                }
                Task::End => return,
            }
        }
    }

    fn finish(&self, load: u32, result: Result<BufferViewMut, Error>) {
        let mut state = lock(&self.state);
        if result.is_err() && state.stage == Stage::Reading {
            state.stage = Stage::Stopped;
        }
        state.busy -= 1;
        state.done += 1;
        if state.done as usize == state.loads.len() && result.is_ok() {
            self.reader.timeline.mark(Mark::LastPage);
        }
        let ring_index = state.ring_index(load);
        state.places[ring_index] = Place::Arrived(load, result);
        self.arrived.notify_all();
        self.idle.notify_all();
    }

    /// Waits for something to do.
    fn next(&self) -> Task {
        let mut state = lock(&self.state);
        loop {
            match state.stage {
                Stage::Closed => return Task::End,
                Stage::Stopped => state = self.given.wait(state).unwrap_or_else(PoisonError::into_inner),
                Stage::Reading => {
                    if let Some(task) = state.claim() {
                        return task;
                    }
                    let is_short_of_buffers = (state.next_load as usize) < state.loads.len();
                    let waiting = Stopwatch::start();
                    state = self.given.wait(state).unwrap_or_else(PoisonError::into_inner);
                    if is_short_of_buffers {
                        self.reader.timeline.add(Span::ReadersWait, waiting.elapsed());
                    }
                }
            }
        }
    }
}

/// What a reader does next.
enum Task {
    /// Tells the source of a page that comes soon.
    Announce(PageId),
    /// Reads a page, and announces others first.
    Read { load: u32, page: PageId, view: BufferViewMut, announce: [Option<PageId>; 2] },
    /// Ends.
    End,
}

impl State {
    fn ring_index(&self, load: u32) -> usize {
        load as usize % self.places.len()
    }

    /// The next load when its buffer is there, else a page to announce; `None` when there is neither.
    fn claim(&mut self) -> Option<Task> {
        let load = self.next_load;
        let page = *self.loads.get(load as usize)?;
        let ring_index = self.ring_index(load);
        match std::mem::replace(&mut self.places[ring_index], Place::Away) {
            Place::Free(view) => {
                self.next_load += 1;
                self.busy += 1;
                // Two with every page let the window open; one would only keep it.
                let announce = [self.announce(), self.announce()];
                Some(Task::Read { load, page, view, announce })
            }
            other @ (Place::Away | Place::Arrived(..)) => {
                self.places[ring_index] = other;
                self.announce().map(Task::Announce)
            }
        }
    }

    /// The next page to announce, if the window is open.
    fn announce(&mut self) -> Option<PageId> {
        let next = self.next_announced.max(self.next_load);
        if next >= self.next_load.saturating_add(self.window) {
            return None;
        }
        let page = *self.loads.get(next as usize)?;
        self.next_announced = next + 1;
        Some(page)
    }

    fn take(&mut self, load: u32) -> Option<Result<BufferViewMut, Error>> {
        let ring_index = self.ring_index(load);
        match std::mem::replace(&mut self.places[ring_index], Place::Away) {
            Place::Arrived(arrived, result) if arrived == load => Some(result),
            other @ (Place::Away | Place::Free(_) | Place::Arrived(..)) => {
                self.places[ring_index] = other;
                None
            }
        }
    }
}

fn wait_for<'a>(condition: &Condvar, state: MutexGuard<'a, State>, wait: Duration) -> MutexGuard<'a, State> {
    condition.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner).0
}
