//! When the phases of opening and of the first run ended, and how long readers and the replay waited for each other.
//!
//! All times count from the start of opening. A phase is marked once, when it ends first: later runs change nothing. The
//! phases overlap, so that their times are points and not durations. It deliberately measures only; nothing depends on it.

use crate::clock::Stopwatch;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The end of a phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    /// The bundle is open, valid, and within the budget.
    Validated,
    /// Adapters are listed and one is chosen.
    Adapter,
    /// The device is there.
    Device,
    /// Staging memory exists: pages can be read into it.
    Staging,
    /// The first page was announced to the source, or its reading began.
    ReadingBegan,
    /// The first page is read and checked.
    FirstPage,
    /// All pages of the first run are read and checked.
    LastPage,
    /// Everything on the device is allocated, filled and bound.
    Allocated,
    /// The last pipeline is created.
    Pipelines,
    /// The first dispatch of the first run is encoded.
    FirstDispatch,
    /// The last dispatch of the first run is submitted.
    LastDispatch,
    /// The outputs of the first run are on the host.
    Readback,
}

/// Who waits, or works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Span {
    /// Readers read, check and copy pages; the sum over all of them.
    Reading,
    /// Readers wait for staging memory while there are pages to read; the sum over all of them.
    ReadersWait,
    /// The replay waits for a page.
    PageWait,
    /// The replay waits for a pipeline.
    PipelineWait,
    /// The replay hands work to the device; some software drivers do the work meanwhile.
    Submit,
}

const MARKS: usize = Mark::Readback as usize + 1;
const SPANS: usize = Span::Submit as usize + 1;

#[derive(Debug)]
pub(crate) struct Timeline {
    opened: Stopwatch,
    /// Nanoseconds since opening plus one; 0 when the phase did not end yet.
    marks: [AtomicU64; MARKS],
    /// Nanoseconds.
    spans: [AtomicU64; SPANS],
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
