//! Time since the process started, as far as the system reports it.
//!
//! Linux knows when the process started, in steps of 10 ms; what passed before `main` is added to a precise clock started
//! there. Elsewhere time is counted from `main` on.

use std::time::{Duration, Instant};

/// Started with the process.
#[derive(Debug, Clone, Copy)]
pub struct ProcessClock {
    main: Instant,
    before_main: Duration,
}

impl ProcessClock {
    /// To be called first in `main`.
    pub fn start() -> Self {
        let main = Instant::now();
        Self { main, before_main: before_main().unwrap_or_default() }
    }

    /// Milliseconds since the process started.
    pub fn elapsed_ms(&self) -> f64 {
        (self.main.elapsed() + self.before_main).as_secs_f64() * 1e3
    }
}

/// How long the process existed when this was called. User space sees clock ticks of 10 ms on every Linux.
fn before_main() -> Option<Duration> {
    let uptime = std::fs::read_to_string("/proc/uptime").ok()?;
    let uptime_seconds: f64 = uptime.split_whitespace().next()?.parse().ok()?;
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // Field 22; the second field is the name in parentheses, which may hold spaces.
    let started_ticks: f64 = stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()?;
    Duration::try_from_secs_f64(uptime_seconds - started_ticks / 100.0).ok()
}
