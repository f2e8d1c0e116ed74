//! What is remembered of completed runs: their number, and the last of them one by one, so that a session which runs for days does
//! not grow.

use crate::api::{MAX_RUN_RECORDS, RunRecord};
use std::collections::VecDeque;

/// Completed runs.
#[derive(Default)]
pub(super) struct Records {
    /// All of them.
    pub(super) count: u64,
    last: VecDeque<RunRecord>,
}

impl Records {
    pub(super) fn push(&mut self, run: RunRecord) {
        if self.last.len() == MAX_RUN_RECORDS {
            self.last.pop_front();
        }
        self.count += 1;
        self.last.push_back(run);
    }

    /// The last ones, in order.
    pub(super) fn last(&self) -> Vec<RunRecord> {
        self.last.iter().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::Records;
    use crate::api::{MAX_RUN_RECORDS, RunRecord};

    #[test]
    fn the_last_runs_are_remembered_and_all_are_counted() {
        let mut records = Records::default();
        let runs = MAX_RUN_RECORDS as u64 + 3;
        for bytes_read in 0..runs {
            records.push(RunRecord { ms: 1.0, setup_ms: 0.0, submit_ms: 0.0, bytes_read });
        }
        assert_eq!((records.count, records.last().len()), (runs, MAX_RUN_RECORDS));
        assert!(records.last().iter().map(|run| run.bytes_read).eq(3..runs));
        assert!(records.last.capacity() < 2 * MAX_RUN_RECORDS);
    }
}
