//! A device with its queue and its health, and every wait for it.
//!
//! Errors that no scope catches, and the loss of the device, are kept here and turn into an [`Error`] at the next check;
//! nothing panics. Every wait has a time limit. It deliberately knows neither plans nor buffers' purposes.

use super::cooperative::CooperativeBytes;
use crate::api::Error;
use crate::lock::lock;
#[cfg(not(target_arch = "wasm32"))]
use crate::time::Stopwatch;
use crate::time::Wait;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
#[cfg(not(target_arch = "wasm32"))]
use std::time::Duration;
use wgpu::{AdapterInfo, Buffer, Device, DeviceType, ErrorFilter, MapMode, PollType, Queue, SubmissionIndex};

#[derive(Clone)]
pub(crate) struct Gpu {
    pub(crate) device: Device,
    pub(crate) queue: Queue,
    pub(crate) info: AdapterInfo,
    pub(crate) cooperative: CooperativeBytes,
    health: Arc<Mutex<Health>>,
}

/// The first trouble of each kind.
#[derive(Debug, Default)]
struct Health {
    lost: Option<String>,
    error: Option<(bool, String)>,
}

impl Gpu {
    pub(crate) fn new(device: Device, queue: Queue, info: AdapterInfo, cooperative: CooperativeBytes) -> Self {
        let health = Arc::new(Mutex::new(Health::default()));
        let on_error = Arc::clone(&health);
        device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
            let out_of_memory = matches!(error, wgpu::Error::OutOfMemory { .. });
            lock(&on_error).error.get_or_insert_with(|| (out_of_memory, error.to_string()));
        }));
        let on_lost = Arc::clone(&health);
        device.set_device_lost_callback(move |reason, message| {
            lock(&on_lost).lost.get_or_insert_with(|| format!("{reason:?}: {message}"));
        });
        Self { device, queue, info, cooperative, health }
    }

    pub(crate) fn is_software(&self) -> bool {
        self.info.device_type == DeviceType::Cpu
    }

    /// Whether both are one open device. (wgpu compares numbers, which devices of two instances have in common.)
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.health, &other.health)
    }

    /// Fails if the device reported trouble since it was opened.
    pub(crate) fn check(&self, during: &str) -> Result<(), Error> {
        let mut health = lock(&self.health);
        if let Some(reason) = &health.lost {
            return Err(Error::DeviceLost { reason: reason.clone() });
        }
        match health.error.take() {
            None => Ok(()),
            Some((true, _)) => Err(Error::OutOfMemory { during: during.to_owned() }),
            Some((false, message)) => Err(Error::Device { during: during.to_owned(), message }),
        }
    }

    /// Runs `create` and turns what the device reports meanwhile into an error.
    pub(crate) async fn checked<T>(&self, during: &str, create: impl FnOnce() -> T) -> Result<T, Error> {
        checked(&self.device, during, create).await
    }

    /// Asks for `buffer` to be mapped as a whole, once the device is done with it.
    pub(crate) fn map(&self, buffer: &Buffer, mode: MapMode) -> MapTicket {
        let ticket = MapTicket::default();
        let state = Arc::clone(&ticket.0);
        buffer.map_async(mode, .., move |result| {
            let mut state = lock(&state);
            state.result = Some(result.is_ok());
            if let Some(waker) = state.waker.take() {
                waker.wake();
            }
        });
        ticket
    }

    /// Waits until a buffer is mapped, and first for the submission that it waits for, if that is known: later work then
    /// keeps the device busy. On the web the browser polls; elsewhere this does.
    pub(crate) async fn wait(
        &self,
        ticket: &mut MapTicket,
        submission: Option<&SubmissionIndex>,
        during: &str,
        wait: &Wait,
    ) -> Result<(), Error> {
        #[cfg(not(target_arch = "wasm32"))]
        self.poll_until(ticket, submission, during, wait).await?;
        #[cfg(target_arch = "wasm32")]
        let _ = submission;
        // Elsewhere it is done, or failed, by now.
        let late = || Error::Timeout { during: during.to_owned(), waited: wait.timeout };
        if wait.limited(during, &mut *ticket, late).await? {
            return self.check(during);
        }
        self.check(during)?;
        Err(Error::Device { during: during.to_owned(), message: "a buffer could not be mapped".to_owned() })
    }

    #[cfg(not(target_arch = "wasm32"))]
    async fn poll_until(
        &self,
        ticket: &MapTicket,
        mut submission: Option<&SubmissionIndex>,
        during: &str,
        wait: &Wait,
    ) -> Result<(), Error> {
        let waiting = Stopwatch::start();
        while !ticket.is_done() {
            wait.check(during)?;
            let left = wait.timeout.checked_sub(waiting.elapsed());
            let left = left.ok_or_else(|| Error::Timeout { during: during.to_owned(), waited: wait.timeout })?;
            if self.poll_for(submission.cloned(), wait.piece(left), during)? {
                submission = None;
            }
            if !ticket.is_done() {
                wait.pause().await;
            }
        }
        Ok(())
    }

    /// Waits until everything that was submitted is done, and what it alone held is freed. The web does that by itself.
    pub(crate) async fn wait_until_idle(&self, during: &str, wait: &Wait) -> Result<(), Error> {
        #[cfg(not(target_arch = "wasm32"))]
        {
            let waiting = Stopwatch::start();
            let mut sleep = wait.piece(wait.timeout);
            while !self.poll_for(None, sleep, during)? {
                let left = wait.timeout.checked_sub(waiting.elapsed()).filter(|left| !left.is_zero());
                let waited = wait.timeout;
                let left = left.ok_or_else(|| Error::Timeout { during: during.to_owned(), waited })?;
                sleep = wait.piece(left);
                wait.pause().await;
            }
        }
        #[cfg(target_arch = "wasm32")]
        let _ = wait;
        self.check(during)
    }

    /// Lets the device run callbacks that are due, without waiting.
    pub(crate) fn poll(&self, during: &str) -> Result<(), Error> {
        // The status says only whether the queue is empty, and not waiting cannot time out.
        let _ = self.device.poll(PollType::Poll);
        self.check(during)
    }

    /// Waits for a submission (for the last one without an index) for at most `sleep`, and runs its callbacks. Returns whether
    /// the submission is done.
    #[cfg(not(target_arch = "wasm32"))]
    fn poll_for(&self, submission: Option<SubmissionIndex>, sleep: Duration, during: &str) -> Result<bool, Error> {
        let sleep = match sleep.is_zero() {
            true => PollType::Poll,
            false => PollType::Wait { submission_index: submission, timeout: Some(sleep) },
        };
        let polled = self.device.poll(sleep);
        self.check(during)?;
        match polled {
            Ok(status) => Ok(status.wait_finished()),
            Err(wgpu::PollError::Timeout) => Ok(false),
            Err(error @ wgpu::PollError::WrongSubmissionIndex(..)) => {
                Err(Error::Device { during: during.to_owned(), message: error.to_string() })
            }
        }
    }
}

/// As [`Gpu::checked`], for threads that have only the device.
pub(crate) async fn checked<T>(device: &Device, during: &str, create: impl FnOnce() -> T) -> Result<T, Error> {
    let (created, memory, internal, validation) = {
        let validation = device.push_error_scope(ErrorFilter::Validation);
        let internal = device.push_error_scope(ErrorFilter::Internal);
        let memory = device.push_error_scope(ErrorFilter::OutOfMemory);
        // Scopes belong to this thread; what they found does not.
        (create(), memory.pop(), internal.pop(), validation.pop())
    };
    let errors = [memory.await, internal.await, validation.await];
    let during = during.to_owned();
    match errors.into_iter().flatten().next() {
        None => Ok(created),
        Some(wgpu::Error::OutOfMemory { .. }) => Err(Error::OutOfMemory { during }),
        Some(error @ (wgpu::Error::Validation { .. } | wgpu::Error::Internal { .. })) => {
            Err(Error::Device { during, message: error.to_string() })
        }
    }
}

/// Whether a requested mapping is there. As a future, it is ready when the device answered.
#[derive(Debug, Clone, Default)]
pub(crate) struct MapTicket(Arc<Mutex<MapState>>);

#[derive(Debug, Default)]
struct MapState {
    result: Option<bool>,
    waker: Option<Waker>,
}

impl MapTicket {
    pub(crate) fn is_done(&self) -> bool {
        lock(&self.0).result.is_some()
    }
}

impl Future for MapTicket {
    type Output = bool;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<bool> {
        let mut state = lock(&self.0);
        match state.result {
            Some(mapped) => Poll::Ready(mapped),
            None => {
                state.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

/// A mapped range that the device refuses although the buffer is mapped.
pub(crate) fn unmapped(during: &str, error: &wgpu::MapRangeError) -> Error {
    Error::Device { during: during.to_owned(), message: error.to_string() }
}
