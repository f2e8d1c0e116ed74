//! What a caller may attach to a run: progress and cancellation. Neither changes what is computed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// How far a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Pages that were loaded.
    pub pages_done: u32,
    /// Pages that the run loads.
    pub pages_total: u32,
}

/// Cancels the runs that it was given to, from any thread. Clones are the same token.
#[derive(Debug, Clone, Default)]
pub struct CancelToken(Arc<AtomicBool>);

impl CancelToken {
    /// A token that is not cancelled.
    pub fn new() -> Self {
        Self::default()
    }

    /// Ends the runs that have this token with [`Error::Cancelled`](crate::Error::Cancelled), at their next command or
    /// wait; runs that start later with it, too.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether [`CancelToken::cancel`] was called.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Receives the progress of a run, on the thread that runs or polls it.
pub type ProgressFn<'a> = &'a mut (dyn FnMut(Progress) + Send);

/// Progress callback and cancellation of one run.
#[derive(Default)]
pub struct RunControl<'a> {
    pub(crate) progress: Option<ProgressFn<'a>>,
    pub(crate) cancel: Option<CancelToken>,
}

impl<'a> RunControl<'a> {
    /// Nothing attached.
    pub fn new() -> Self {
        Self::default()
    }

    /// Calls `progress` when the run starts and after every page.
    pub fn with_progress(self, progress: ProgressFn<'a>) -> Self {
        Self { progress: Some(progress), ..self }
    }

    /// Lets `token` cancel the run.
    pub fn with_cancel(self, token: &CancelToken) -> Self {
        Self { cancel: Some(token.clone()), ..self }
    }

    pub(crate) fn report(&mut self, pages_done: u32, pages_total: u32) {
        if let Some(progress) = &mut self.progress {
            progress(Progress { pages_done, pages_total });
        }
    }
}
