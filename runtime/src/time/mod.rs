//! Time: how long things take, and how a run waits.
//!
//! `clock.rs` measures, `timeline.rs` notes when phases ended, `wait.rs` limits every wait, `timer.rs` (`timer_web.rs` in
//! browsers) wakes an asynchronous run.

mod clock;
mod timeline;
#[cfg_attr(target_arch = "wasm32", path = "timer_web.rs")]
mod timer;
mod wait;

pub(crate) use clock::Stopwatch;
pub(crate) use timeline::Timeline;
#[cfg(all(feature = "web", target_arch = "wasm32"))]
pub(crate) use timer::Sleep;
pub(crate) use wait::{POLL_INTERVAL, Wait};
