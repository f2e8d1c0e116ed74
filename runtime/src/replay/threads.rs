//! A feed of bounded reader threads, and the run that owns them. The only file with threads in a run.
//!
//! Readers take loads in order and wait until the load's staging buffer is given. After a failure, or when the run ends,
//! none starts another page; the run returns when the reads in progress are over. A read that the operating system never
//! finishes cannot be abandoned.

use super::feed::PageFeed;
use super::page;
use crate::error::Error;
use crate::gpu::lock;
use crate::session::{HostBuffers, Parts, Program};
use crate::tensor::{Outputs, Tensor};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;
use wgpu::BufferViewMut;

/// Runs with pages that threads read ahead, as far as the ring of staging buffers allows.
pub(crate) fn run_with_threads(
    parts: &Parts,
    program: Program<'_>,
    buffers: &mut HostBuffers,
    inputs: &[&Tensor],
) -> Result<Outputs, Error> {
    let feed = ThreadedFeed::new(parts, program);
    std::thread::scope(|scope| {
        let _stop = StopReaders(&feed);
        let readers = if program.loads.is_empty() { 0 } else { page::readers(parts) };
        for _ in 0..readers {
            let thread = std::thread::Builder::new().name("flashmem-reader".to_owned());
            thread.spawn_scoped(scope, || feed.read_pages()).map_err(|source| Error::Threads { source })?;
        }
        pollster::block_on(super::run(parts, program, buffers, inputs, &feed))
    })
}

struct ThreadedFeed<'a> {
    parts: &'a Parts,
    program: Program<'a>,
    state: Mutex<State>,
    /// A buffer was given, or the readers must stop.
    given: Condvar,
    /// A page arrived.
    arrived: Condvar,
}

struct State {
    /// First load that no reader took.
    next_load: u32,
    /// By ring index.
    places: Vec<Place>,
    stopped: bool,
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

struct StopReaders<'a, 'b>(&'a ThreadedFeed<'b>);

impl Drop for StopReaders<'_, '_> {
    fn drop(&mut self) {
        lock(&self.0.state).stopped = true;
        self.0.given.notify_all();
    }
}

impl<'a> ThreadedFeed<'a> {
    fn new(parts: &'a Parts, program: Program<'a>) -> Self {
        let places = (0..parts.bundle.plan.staging_pages).map(|_| Place::Away).collect();
        let state = Mutex::new(State { next_load: 0, places, stopped: false });
        Self { parts, program, state, given: Condvar::new(), arrived: Condvar::new() }
    }

    /// A reader's life.
    fn read_pages(&self) {
        let mut buffer = vec![0; page::read_buffer_bytes(self.parts) as usize];
        while let Some((load, mut view)) = self.next() {
            let page = self.program.loads[load as usize];
            let result = page::read(self.parts, page, &mut view, &mut buffer).map(|()| view);
            let mut state = lock(&self.state);
            state.stopped |= result.is_err();
            let ring_index = state.ring_index(load);
            state.places[ring_index] = Place::Arrived(load, result);
            self.arrived.notify_all();
            if state.stopped {
                self.given.notify_all();
            }
        }
    }

    /// Waits for the next load whose buffer is there; `None` when there is nothing more to read.
    fn next(&self) -> Option<(u32, BufferViewMut)> {
        let mut state = lock(&self.state);
        loop {
            if state.stopped || state.next_load as usize == self.program.loads.len() {
                return None;
            }
            let load = state.next_load;
            let ring_index = state.ring_index(load);
            match std::mem::replace(&mut state.places[ring_index], Place::Away) {
                Place::Free(view) => {
                    state.next_load += 1;
                    return Some((load, view));
                }
                other @ (Place::Away | Place::Arrived(..)) => state.places[ring_index] = other,
            }
            state = self.given.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl State {
    fn ring_index(&self, load: u32) -> usize {
        load as usize % self.places.len()
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

impl PageFeed for ThreadedFeed<'_> {
    fn give(&self, ring_index: u32, view: BufferViewMut) {
        lock(&self.state).places[ring_index as usize] = Place::Free(view);
        // Only the reader of the next load can use it, and which one that is is unknown.
        self.given.notify_all();
    }

    fn take(&self, load: u32, wait: Duration) -> Option<Result<BufferViewMut, Error>> {
        let mut state = lock(&self.state);
        let taken = state.take(load);
        if taken.is_some() || wait.is_zero() {
            return taken;
        }
        let (mut state, _) = self.arrived.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner);
        state.take(load)
    }
}
