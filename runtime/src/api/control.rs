//! What a run is given: inputs, and what a caller may attach to it. Progress and cancellation change nothing of what is
//! computed.

use super::tensor::Tensor;
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

/// What a run is given: a tensor for every input by its name, in any order, and what is attached.
///
/// An array, a slice or a vector of names and tensors is a request with nothing attached, so that
/// [`Session::run`](crate::Session::run) takes these as they are.
#[derive(Default)]
pub struct RunRequest<'a> {
    pub(crate) inputs: Vec<(&'a str, &'a Tensor)>,
    pub(crate) network: Option<&'a str>,
    pub(crate) progress: Option<ProgressFn<'a>>,
    pub(crate) cancel: Option<CancelToken>,
    pub(crate) connected_outputs: bool,
}

impl<'a> RunRequest<'a> {
    /// Nothing attached.
    pub fn new<N: AsRef<str>>(inputs: &'a [(N, Tensor)]) -> Self {
        let inputs = inputs.iter().map(|(name, tensor)| (name.as_ref(), tensor)).collect();
        Self { inputs, ..Self::default() }
    }

    /// Runs one of several networks. An input that is connected takes what was handed to it last, unless a tensor is given, which
    /// counts for this run only. Outputs that are connected stay on the device, unless they are asked for by
    /// [`Self::with_connected_outputs`].
    #[must_use]
    pub fn with_network(self, name: &'a str) -> Self {
        Self { network: Some(name), ..self }
    }

    /// Calls `progress` when the run starts and after every page.
    #[must_use]
    pub fn with_progress(self, progress: ProgressFn<'a>) -> Self {
        Self { progress: Some(progress), ..self }
    }

    /// Lets `token` cancel the run.
    #[must_use]
    pub fn with_cancel(self, token: &CancelToken) -> Self {
        Self { cancel: Some(token.clone()), ..self }
    }

    /// Gives outputs that other networks take on the device to the caller, too.
    #[must_use]
    pub fn with_connected_outputs(self) -> Self {
        Self { connected_outputs: true, ..self }
    }

    pub(crate) fn report(&mut self, pages_done: u32, pages_total: u32) {
        if let Some(progress) = &mut self.progress {
            progress(Progress { pages_done, pages_total });
        }
    }
}

impl<'a, N: AsRef<str>> From<&'a [(N, Tensor)]> for RunRequest<'a> {
    fn from(inputs: &'a [(N, Tensor)]) -> Self {
        Self::new(inputs)
    }
}

impl<'a, N: AsRef<str>, const K: usize> From<&'a [(N, Tensor); K]> for RunRequest<'a> {
    fn from(inputs: &'a [(N, Tensor); K]) -> Self {
        Self::new(inputs)
    }
}

impl<'a, N: AsRef<str>> From<&'a Vec<(N, Tensor)>> for RunRequest<'a> {
    fn from(inputs: &'a Vec<(N, Tensor)>) -> Self {
        Self::new(inputs)
    }
}
