//! Pages on their way from a source that answers later: as many at a time as there are lanes, in the order of loads.
//!
//! A page starts when its staging buffer is given and a lane is free, and is fetched into that buffer through a piece buffer
//! of the lane; so what is on its way is bounded, and declared as reading and staging memory. Fetches are futures: they move
//! on while the replay waits for a page, and while it waits for the device (`PageSource::beside`). Dropping one ends it.
//! Nothing here knows threads, browsers or time limits: those are the source's.

use super::reader::PageReader;
use crate::api::Error;
use crate::lock::lock;
use flashmem_plan_format::plan::PageId;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use wgpu::BufferViewMut;

/// A page on its way.
#[cfg(not(target_arch = "wasm32"))]
type Fetching = Pin<Box<dyn Future<Output = Result<BufferViewMut, Error>> + Send>>;
#[cfg(target_arch = "wasm32")]
type Fetching = Pin<Box<dyn Future<Output = Result<BufferViewMut, Error>>>>;

pub(super) struct Ahead {
    reader: Arc<PageReader>,
    state: Mutex<State>,
}

struct State {
    loads: Arc<[PageId]>,
    /// Loads of the sequence that arrived.
    done: u32,
    /// One for each staging buffer: load k goes through place k mod R.
    places: Vec<Place>,
    /// Lanes that fetch nothing.
    lanes: Vec<u32>,
}

struct Place {
    /// The load that its buffer is given for next.
    next_load: u32,
    stage: Stage,
}

/// Where the view of a place is.
enum Stage {
    /// With the replay.
    Away,
    /// Waiting for a lane.
    Waiting(u32, BufferViewMut),
    /// Being filled, through a lane.
    Fetching { load: u32, lane: u32, fetching: Fetching },
    /// Filled, or failed.
    Arrived(u32, Result<BufferViewMut, Error>),
}

impl Ahead {
    pub(super) fn new(reader: Arc<PageReader>, staging_pages: u32) -> Self {
        let places = (0..staging_pages).map(|next_load| Place { next_load, stage: Stage::Away }).collect();
        let state = State { loads: Arc::default(), done: 0, places, lanes: Vec::new() };
        Self { reader, state: Mutex::new(state) }
    }

    pub(super) fn begin(&self, loads: &Arc<[PageId]>) {
        let mut state = lock(&self.state);
        state.clear();
        state.loads = Arc::clone(loads);
        state.done = 0;
        state.lanes = (0..self.reader.lanes()).rev().collect();
    }

    /// Takes the view of a place for its next load, which starts if a lane is free.
    pub(super) fn give(&self, ring_index: u32, view: BufferViewMut) {
        let state = &mut *lock(&self.state);
        let stride = state.places.len() as u32;
        let place = &mut state.places[ring_index as usize];
        place.stage = Stage::Waiting(place.next_load, view);
        place.next_load = place.next_load.saturating_add(stride);
        // Whoever takes a load looks at all of them again, with a waker.
        state.start(&self.reader, &mut Context::from_waker(Waker::noop()));
    }

    /// Waits until a load arrived; `None` when its buffer was not given.
    pub(super) async fn take(&self, load: u32) -> Option<Result<BufferViewMut, Error>> {
        std::future::poll_fn(|context| {
            let state = &mut *lock(&self.state);
            state.advance(&self.reader, context);
            state.take(load)
        })
        .await
    }

    /// Does `work`, and moves fetches on meanwhile.
    pub(super) async fn beside<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        std::future::poll_fn(|context| {
            lock(&self.state).advance(&self.reader, context);
            work.as_mut().poll(context)
        })
        .await
    }

    /// Ends every fetch and lets go of all views.
    pub(super) fn recall(&self) {
        lock(&self.state).clear();
    }
}

impl State {
    fn clear(&mut self) {
        for (index, place) in (0..).zip(&mut self.places) {
            *place = Place { next_load: index, stage: Stage::Away };
        }
        self.loads = Arc::default();
    }

    /// Moves every fetch on, and starts more in lanes that become free.
    fn advance(&mut self, reader: &Arc<PageReader>, context: &mut Context<'_>) {
        for index in 0..self.places.len() {
            self.poll(index, reader, context);
        }
        self.start(reader, context);
    }

    /// Starts waiting loads, the first of the sequence first, while there are lanes.
    fn start(&mut self, reader: &Arc<PageReader>, context: &mut Context<'_>) {
        while let Some(index) = self.first_waiting()
            && let Some(lane) = self.lanes.pop()
        {
            let place = &mut self.places[index];
            let Stage::Waiting(load, mut view) = std::mem::replace(&mut place.stage, Stage::Away) else {
                unreachable!("it waits")
            };
            let (page, reading) = (self.loads[load as usize], Arc::clone(reader));
            let fetching = Box::pin(async move { reading.fetch(page, &mut view, lane).await.map(|()| view) });
            place.stage = Stage::Fetching { load, lane, fetching };
            // A future does nothing before it is polled.
            self.poll(index, reader, context);
        }
    }

    /// The place of the first load that waits for a lane. Buffers given behind the end of the sequence wait for nothing.
    fn first_waiting(&self) -> Option<usize> {
        let waiting = self.places.iter().enumerate().filter_map(|(index, place)| match place.stage {
            Stage::Waiting(load, _) if (load as usize) < self.loads.len() => Some((load, index)),
            Stage::Waiting(..) | Stage::Away | Stage::Fetching { .. } | Stage::Arrived(..) => None,
        });
        waiting.min().map(|(_, index)| index)
    }

    fn poll(&mut self, index: usize, reader: &PageReader, context: &mut Context<'_>) {
        let place = &mut self.places[index];
        if let Stage::Fetching { load, lane, fetching } = &mut place.stage
            && let Poll::Ready(result) = fetching.as_mut().poll(context)
        {
            self.lanes.push(*lane);
            self.done += u32::from(result.is_ok());
            place.stage = Stage::Arrived(*load, result);
            if self.done as usize == self.loads.len() {
                reader.all_arrived();
            }
        }
    }

    fn take(&mut self, load: u32) -> Poll<Option<Result<BufferViewMut, Error>>> {
        let index = load as usize % self.places.len();
        let stage = &mut self.places[index].stage;
        match std::mem::replace(stage, Stage::Away) {
            Stage::Arrived(arrived, result) if arrived == load => Poll::Ready(Some(result)),
            other @ (Stage::Waiting(..) | Stage::Fetching { .. }) => {
                *stage = other;
                Poll::Pending
            }
            other @ (Stage::Away | Stage::Arrived(..)) => {
                *stage = other;
                Poll::Ready(None)
            }
        }
    }
}
