//! Elapsed time, where the platform has a clock.
//!
//! `wasm32-unknown-unknown` has none in the standard library. In a browser (feature `web`) it is `performance.now()`, whose
//! steps browsers may coarsen; without, every duration is zero there, so that time-outs never fire and times are reported as
//! 0. Nothing that a run computes depends on it.

use std::time::Duration;

/// Started when created.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stopwatch {
    started: Instant,
}

impl Stopwatch {
    pub(crate) fn start() -> Self {
        Self { started: Instant::now() }
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    pub(crate) fn elapsed_ms(&self) -> f64 {
        self.elapsed().as_secs_f64() * 1e3
    }
}

#[cfg(not(target_arch = "wasm32"))]
use std::time::Instant;

#[cfg(all(target_arch = "wasm32", feature = "web"))]
use browser::Instant;

#[cfg(all(target_arch = "wasm32", not(feature = "web")))]
use none::Instant;

#[cfg(all(target_arch = "wasm32", feature = "web"))]
mod browser {
    use std::time::Duration;
    use wasm_bindgen::prelude::wasm_bindgen;

    #[wasm_bindgen]
    extern "C" {
        /// Milliseconds since the page was loaded or the worker started.
        #[wasm_bindgen(js_namespace = performance, js_name = now)]
        fn performance_now() -> f64;
    }

    #[derive(Debug, Clone, Copy)]
    pub(super) struct Instant {
        ms: f64,
    }

    impl Instant {
        pub(super) fn now() -> Self {
            Self { ms: performance_now() }
        }

        pub(super) fn elapsed(&self) -> Duration {
            Duration::try_from_secs_f64((performance_now() - self.ms) / 1e3).unwrap_or_default()
        }
    }
}

#[cfg(all(target_arch = "wasm32", not(feature = "web")))]
mod none {
    use std::time::Duration;

    #[derive(Debug, Clone, Copy)]
    pub(super) struct Instant;

    impl Instant {
        pub(super) const fn now() -> Self {
            Self
        }

        pub(super) const fn elapsed(&self) -> Duration {
            Duration::ZERO
        }
    }
}
