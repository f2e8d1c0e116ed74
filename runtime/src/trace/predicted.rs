//! The timeline that a plan predicts: reads at the rate that it assumes, dispatches as long as it says.
//!
//! A dispatch starts when the one before it is over and everything that the command list loads before it is read. It deliberately leaves
//! out what uploads cost that no dispatch hides, so the end may come somewhat before the predicted time of the whole.

use flashmem_plan_format::plan::{Command, PageId, Plan};
use std::time::Duration;

/// Times from the start of reading.
#[derive(Debug, Default)]
pub(super) struct Predicted {
    pub(super) reads: Vec<(PageId, Duration, Duration)>,
    pub(super) dispatches: Vec<(u32, Duration, Duration)>,
}

/// Of a run of `plan` that follows `commands`.
pub(super) fn timeline(plan: &Plan, commands: &[Command]) -> Predicted {
    let page_seconds = plan.page.page_bytes() as f64 / plan.provenance.disk_bytes_per_second.max(1.0);
    let mut predicted = Predicted::default();
    let (mut read, mut computed) = (Duration::ZERO, Duration::ZERO);
    for command in commands {
        match *command {
            Command::Load { page, .. } => {
                let start = read;
                read = Duration::from_secs_f64(page_seconds * (predicted.reads.len() + 1) as f64);
                predicted.reads.push((page, start, read));
            }
            Command::Dispatch { index } => {
                let start = computed.max(read);
                computed = start + Duration::from_secs_f64(plan.dispatches[index as usize].predicted_us * 1e-6);
                predicted.dispatches.push((index, start, computed));
            }
            Command::Drop { .. } | Command::Submit => {}
        }
    }
    predicted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dispatch_waits_for_its_pages_and_for_the_one_before() {
        let mut plan = flashmem_plan_format::testing::small_plan();
        // A page of 4096 bytes takes 4 microseconds.
        plan.provenance.disk_bytes_per_second = 1.024e9;
        let times = timeline(&plan, &plan.commands);
        let micros: Vec<_> =
            times.dispatches.iter().map(|(_, start, end)| (start.as_micros(), end.as_micros())).collect();
        assert_eq!(micros, [(8, 18), (18, 28), (28, 38)]);
        assert_eq!(times.reads.last().map(|(page, _, end)| (page.0, end.as_micros())), Some((3, 16)));
    }
}
