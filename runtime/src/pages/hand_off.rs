//! The hand-over of staging places between a replay and its reader threads.
//!
//! A sequence of loads begins; its load k uses place k mod R. The replay gives a place's view when it is free; readers take
//! loads in order, each with its view, and hand the view back filled, or an error; the replay takes loads in order. After a
//! failure, and when the sequence is stopped, no load starts; stopping drops every view that waits here, and `is_idle` says
//! when the last reader let go of its own. With every load, and while there is no view for the next one, readers are also
//! given loads to announce, each once and at most a window ahead.
//!
//! This file deliberately knows nothing of buffers and pages: `tests/hand_off_model.rs` compiles it against loom's locks and
//! checks every interleaving of small cases.

use super::sync::{Condvar, Mutex, MutexGuard};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

/// `L` is what a load is of, `V` the view of a place, `E` why a load fails.
pub(crate) struct HandOff<L, V, E> {
    state: Mutex<State<L, V, E>>,
    /// A view was given, a sequence began, or the readers must go.
    offered: Condvar,
    /// A load arrived, and its reader let go of its view.
    arrived: Condvar,
}

struct State<L, V, E> {
    loads: Arc<[L]>,
    /// First load that no reader took.
    next_load: u32,
    /// First load that was not announced.
    next_announced: u32,
    /// Loads that are announced ahead: `window` once there are views, more before.
    ahead: u32,
    window: u32,
    /// Loads of the sequence that arrived.
    done: u32,
    places: Vec<Place<V, E>>,
    /// Loads that readers are at work on.
    reading: u32,
    stage: Stage,
}

/// What readers should do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Read on.
    Reading,
    /// Start no load: one failed, and the replay will find it.
    Failed,
    /// Start no load, and drop what arrives: the sequence ended.
    Stopped,
    /// As `Stopped`, and end the thread.
    Closed,
}

/// Where the view of a place is.
enum Place<V, E> {
    /// With the replay or a reader.
    Away,
    /// Waiting for its next load.
    Free(V),
    /// Filled by a load, or failed.
    Arrived(u32, Result<V, E>),
}

/// What a reader does next.
pub(crate) enum Task<L, V> {
    /// Announces a load that comes soon.
    Announce(L),
    /// Does a load, calls [`HandOff::arrive`], and announces others.
    Load { load: u32, what: L, view: V, announce: [Option<L>; 2] },
    /// Ends.
    End,
}

impl<L: Copy, V, E> HandOff<L, V, E> {
    /// Before the first sequence. `early` loads are announced ahead before there are any views, `window` later.
    pub(crate) fn new(place_count: u32, early: u32, window: u32) -> Self {
        let state = State {
            loads: Arc::new([]),
            next_load: 0,
            next_announced: 0,
            ahead: early,
            window,
            done: 0,
            places: (0..place_count).map(|_| Place::Away).collect(),
            reading: 0,
            stage: Stage::Stopped,
        };
        Self { state: Mutex::new(state), offered: Condvar::new(), arrived: Condvar::new() }
    }

    /// Begins a sequence. An earlier one must be stopped and idle.
    pub(crate) fn begin(&self, loads: &Arc<[L]>) {
        let mut state = self.lock();
        state.loads = Arc::clone(loads);
        (state.next_load, state.next_announced, state.done) = (0, 0, 0);
        state.stage = Stage::Reading;
        drop(state);
        self.offered.notify_all();
    }

    /// The replay gives the view of a place for its next load.
    pub(crate) fn give(&self, place: u32, view: V) {
        let mut state = self.lock();
        state.places[place as usize] = Place::Free(view);
        state.ahead = state.window;
        drop(state);
        // Only the reader of the next load can use it, and which one that is is unknown.
        self.offered.notify_all();
    }

    /// A reader waits for something to do. `short_of_views` counts how long loads waited for nothing but views.
    pub(crate) fn next(&self, short_of_views: impl Fn(Duration)) -> Task<L, V> {
        let mut state = self.lock();
        loop {
            if state.stage == Stage::Closed {
                return Task::End;
            }
            if let Some(task) = state.claim() {
                return task;
            }
            let is_short = state.has_next();
            let waiting = Instant::now();
            state = self.offered.wait(state).unwrap_or_else(PoisonError::into_inner);
            if is_short {
                short_of_views(waiting.elapsed());
            }
        }
    }

    /// A reader hands a load back. After a failure none starts. Returns whether all loads of the sequence arrived.
    pub(crate) fn arrive(&self, load: u32, result: Result<V, E>) -> bool {
        let mut state = self.lock();
        state.done += u32::from(result.is_ok());
        let is_last = state.done as usize == state.loads.len();
        match state.stage {
            Stage::Reading | Stage::Failed => {
                if result.is_err() {
                    state.stage = Stage::Failed;
                }
                let place = state.place(load);
                state.places[place] = Place::Arrived(load, result);
            }
            // Nobody takes it any more. The view is gone before the reader counts as idle.
            Stage::Stopped | Stage::Closed => drop(result),
        }
        state.reading -= 1;
        drop(state);
        self.arrived.notify_all();
        is_last
    }

    /// The replay takes a load, if it arrives within `wait`; `None` otherwise, and now and then earlier. A failure is given
    /// once.
    pub(crate) fn take(&self, load: u32, wait: Duration) -> Option<Result<V, E>> {
        let mut state = self.lock();
        let taken = state.take(load);
        if taken.is_some() || wait.is_zero() {
            return taken;
        }
        self.wait_for_arrival(state, wait).take(load)
    }

    /// Ends the sequence: no load starts, and every view that waits here is dropped.
    pub(crate) fn stop(&self) {
        self.lock().stop(Stage::Stopped);
    }

    /// Ends the sequence and the readers.
    pub(crate) fn close(&self) {
        self.lock().stop(Stage::Closed);
        self.offered.notify_all();
    }

    /// Whether no reader has a view, after a wait of at most `wait`, which may end early.
    pub(crate) fn is_idle(&self, wait: Duration) -> bool {
        let mut state = self.lock();
        if state.reading > 0 && !wait.is_zero() {
            state = self.wait_for_arrival(state, wait);
        }
        state.reading == 0
    }

    /// The state is whole after every statement, so poisoning means nothing.
    fn lock(&self) -> MutexGuard<'_, State<L, V, E>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_for_arrival<'a>(
        &self,
        state: MutexGuard<'a, State<L, V, E>>,
        wait: Duration,
    ) -> MutexGuard<'a, State<L, V, E>> {
        self.arrived.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner).0
    }
}

impl<L: Copy, V, E> State<L, V, E> {
    fn place(&self, load: u32) -> usize {
        load as usize % self.places.len()
    }

    /// Whether there is a load to start.
    fn has_next(&self) -> bool {
        self.stage == Stage::Reading && (self.next_load as usize) < self.loads.len()
    }

    /// The next load when its view is there, else a load to announce; `None` when there is neither.
    fn claim(&mut self) -> Option<Task<L, V>> {
        if !self.has_next() {
            return None;
        }
        let (load, place) = (self.next_load, self.place(self.next_load));
        match std::mem::replace(&mut self.places[place], Place::Away) {
            Place::Free(view) => {
                self.next_load += 1;
                self.reading += 1;
                // Two with every load let the window open; one would only keep it.
                let announce = [self.announce(), self.announce()];
                Some(Task::Load { load, what: self.loads[load as usize], view, announce })
            }
            other @ (Place::Away | Place::Arrived(..)) => {
                self.places[place] = other;
                self.announce().map(Task::Announce)
            }
        }
    }

    /// The next load to announce, if the window is open.
    fn announce(&mut self) -> Option<L> {
        let next = self.next_announced.max(self.next_load);
        if next >= self.next_load.saturating_add(self.ahead) {
            return None;
        }
        let what = *self.loads.get(next as usize)?;
        self.next_announced = next + 1;
        Some(what)
    }

    fn take(&mut self, load: u32) -> Option<Result<V, E>> {
        let place = self.place(load);
        match std::mem::replace(&mut self.places[place], Place::Away) {
            Place::Arrived(arrived, result) if arrived == load => Some(result),
            other @ (Place::Away | Place::Free(_) | Place::Arrived(..)) => {
                self.places[place] = other;
                None
            }
        }
    }

    fn stop(&mut self, stage: Stage) {
        self.stage = stage;
        self.places.fill_with(|| Place::Away);
    }
}
