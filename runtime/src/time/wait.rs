//! How a run waits: for how long, whether it may block its thread, and what ends it early.
//!
//! A blocking run sleeps in the driver or on a lock. An asynchronous run never does: it looks, and asks its timer to wake
//! it a little later. On the web the browser wakes the run, and a timer ends what takes too long.

use super::clock::Stopwatch;
use super::timer::Timer;
use crate::api::{CancelToken, Error};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

/// Longest time between two looks at a busy device. A look costs microseconds; a page takes a disk about a millisecond.
pub(crate) const POLL_INTERVAL: Duration = Duration::from_micros(200);

/// Longest wait in one piece of a run that can be cancelled.
const CANCEL_INTERVAL: Duration = Duration::from_millis(20);

pub(crate) struct Wait {
    /// Longest wait for anything.
    pub(crate) timeout: Duration,
    /// Whether the thread may sleep.
    pub(crate) may_block: bool,
    cancel: Option<CancelToken>,
    timer: Timer,
}

impl Wait {
    pub(crate) fn new(timeout: Duration, may_block: bool, cancel: Option<CancelToken>) -> Self {
        Self { timeout, may_block, cancel, timer: Timer::default() }
    }

    /// For opening, which blocks in the driver anyway.
    pub(crate) fn blocking(timeout: Duration) -> Self {
        Self::new(timeout, true, None)
    }

    /// Fails when the run was cancelled.
    pub(crate) fn check(&self, during: &str) -> Result<(), Error> {
        match &self.cancel {
            Some(token) if token.is_cancelled() => Err(Error::Cancelled { during: during.to_owned() }),
            Some(_) | None => Ok(()),
        }
    }

    /// The longest wait in one piece: nothing for a run that may not block.
    pub(crate) fn piece(&self, requested: Duration) -> Duration {
        match (self.may_block, &self.cancel) {
            (false, _) => Duration::ZERO,
            (true, None) => requested,
            (true, Some(_)) => requested.min(CANCEL_INTERVAL),
        }
    }

    /// Waits for what wakes by itself. When it takes too long, the error is `late`; when the run is cancelled meanwhile, that.
    /// What was waited for is dropped then.
    pub(crate) async fn limited<T>(
        &self,
        during: &str,
        work: impl Future<Output = T>,
        late: impl Fn() -> Error,
    ) -> Result<T, Error> {
        let (mut work, waiting) = (pin!(work), Stopwatch::start());
        let mut sleep = None;
        std::future::poll_fn(|context| {
            if let Poll::Ready(value) = work.as_mut().poll(context) {
                return Poll::Ready(Ok(value));
            }
            loop {
                self.check(during)?;
                let left = self.timeout.checked_sub(waiting.elapsed()).filter(|left| !left.is_zero());
                let left = left.ok_or_else(&late)?;
                let piece = if self.cancel.is_some() { left.min(CANCEL_INTERVAL) } else { left };
                let sleeping = sleep.get_or_insert_with(|| Box::pin(self.timer.sleep(piece)));
                if sleeping.as_mut().poll(context).is_pending() {
                    return Poll::Pending;
                }
                sleep = None;
            }
        })
        .await
    }

    /// Lets others run for a moment when the run may not block; nothing otherwise.
    pub(crate) async fn pause(&self) {
        #[cfg(not(target_arch = "wasm32"))]
        if !self.may_block {
            self.timer.sleep(POLL_INTERVAL).await;
        }
    }
}
