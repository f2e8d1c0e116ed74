//! When the phases of opening and of the first run ended, and how long readers and the replay waited for each other.
//!
//! All times count from the start of opening. A phase is marked once, when it ends first: later runs change nothing. The
//! phases overlap, so that their times are points and not durations. It deliberately measures only; nothing depends on it.

use super::clock::Stopwatch;
use crate::api::{Mark, Phases, Span};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

#[derive(Debug)]
pub(crate) struct Timeline {
    opened: Stopwatch,
    /// Nanoseconds since opening plus one; 0 when the phase did not end yet.
    marks: [AtomicU64; Mark::COUNT],
    /// Nanoseconds.
    spans: [AtomicU64; Span::COUNT],
}

impl Timeline {
    pub(crate) fn start() -> Self {
        Self { opened: Stopwatch::start(), marks: Default::default(), spans: Default::default() }
    }

    /// Notes that a phase ended, unless it did before.
    pub(crate) fn mark(&self, mark: Mark) {
        let nanos = nanos(self.opened.elapsed()).saturating_add(1);
        // Relaxed: marks are numbers for people, and order nothing.
        let _ = self.marks[mark as usize].compare_exchange(0, nanos, Ordering::Relaxed, Ordering::Relaxed);
    }

    pub(crate) fn add(&self, span: Span, time: Duration) {
        self.spans[span as usize].fetch_add(nanos(time), Ordering::Relaxed);
    }

    /// Milliseconds from opening to the end of a phase, if it ended.
    pub(crate) fn mark_ms(&self, mark: Mark) -> Option<f64> {
        let nanos = self.marks[mark as usize].load(Ordering::Relaxed);
        nanos.checked_sub(1).map(|nanos| nanos as f64 / 1e6)
    }

    /// Milliseconds of all time spent so.
    pub(crate) fn span_ms(&self, span: Span) -> f64 {
        self.span(span).as_secs_f64() * 1e3
    }

    /// Everything so far.
    pub(crate) fn phases(&self) -> Phases {
        let ends_ms = Mark::ALL.map(|mark| self.mark_ms(mark));
        Phases { before_open_ms: None, ends_ms, spans_ms: Span::ALL.map(|span| self.span_ms(span)) }
    }

    /// All time spent so.
    pub(crate) fn span(&self, span: Span) -> Duration {
        Duration::from_nanos(self.spans[span as usize].load(Ordering::Relaxed))
    }

    /// All time that runs spent waiting for pages and pipelines.
    pub(crate) fn run_waits(&self) -> Duration {
        self.span(Span::PageWait) + self.span(Span::PipelineWait)
    }

    /// The clock that all marks count by.
    pub(crate) const fn clock(&self) -> Stopwatch {
        self.opened
    }

    /// Milliseconds since opening began.
    pub(crate) fn elapsed_ms(&self) -> f64 {
        self.opened.elapsed_ms()
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phase_ends_once_and_spans_add_up() {
        let timeline = Timeline::start();
        assert_eq!(timeline.mark_ms(Mark::Device), None);
        timeline.mark(Mark::Device);
        let first = timeline.mark_ms(Mark::Device).unwrap();
        timeline.mark(Mark::Device);
        assert_eq!(timeline.mark_ms(Mark::Device), Some(first));
        assert_eq!(timeline.mark_ms(Mark::Readback), None);
        for _ in 0..2 {
            timeline.add(Span::Reading, Duration::from_millis(3));
        }
        assert_eq!(timeline.span_ms(Span::Reading), 6.0);
    }
}
