//! Wakes an asynchronous run a little later, whatever executor polls it.
//!
//! One thread a run, started by its first sleep and gone with the run. There is one sleeper at a time, so a later sleep
//! replaces an earlier one. Nothing here exists on the web.

use crate::lock::lock;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

#[derive(Default)]
pub(crate) struct Timer(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    started: bool,
    closed: bool,
    next: Option<(Instant, Waker)>,
}

impl Timer {
    pub(crate) fn sleep(&self, duration: Duration) -> Sleep<'_> {
        Sleep { timer: self, until: Instant::now() + duration }
    }

    fn wake_at(&self, at: Instant, waker: Waker) {
        let mut state = lock(&self.0.state);
        if !state.started {
            let shared = Arc::clone(&self.0);
            let thread = std::thread::Builder::new().name("flashmem-timer".to_owned());
            state.started = thread.spawn(move || shared.serve()).is_ok();
        }
        if state.started {
            state.next = Some((at, waker));
            self.0.changed.notify_one();
        } else {
            // Without a thread the executor looks again at once.
            waker.wake();
        }
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        lock(&self.0.state).closed = true;
        self.0.changed.notify_one();
    }
}

impl Shared {
    fn serve(&self) {
        let mut state = lock(&self.state);
        while !state.closed {
            let now = Instant::now();
            state = match state.next.take() {
                Some((at, waker)) if at <= now => {
                    drop(state);
                    waker.wake();
                    lock(&self.state)
                }
                Some((at, waker)) => {
                    state.next = Some((at, waker));
                    self.changed.wait_timeout(state, at - now).unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }
}

pub(crate) struct Sleep<'a> {
    timer: &'a Timer,
    until: Instant,
}

impl Future for Sleep<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if Instant::now() >= self.until {
            return Poll::Ready(());
        }
        self.timer.wake_at(self.until, context.waker().clone());
        Poll::Pending
    }
}
