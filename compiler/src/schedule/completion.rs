//! Closed-form lower bounds of the finish time from any state at any boundary.
//!
//! The mirror image of `bounds.rs`: there the longest path runs from the start to a boundary, here from a boundary to the end. With
//! the state's own counts the first arc is exact instead of the best that slots allow, which leaves three lines: what the
//! execution needs whatever the state, what it needs with the uploads that the state still lacks, and what the disk needs with
//! the pages that it has not read. It makes no schedule.

use super::bounds::{PrefixSums, between};
use super::pipeline::State;
use super::problem::{Demand, Problem};

/// Bounds from one boundary, in microseconds from its start.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Rest {
    /// Whatever the state.
    busy_us: f64,
    /// Minus the upload time of what is uploaded.
    upload_us: f64,
    /// Minus the read time of what is read.
    disk_us: f64,
}

/// Bounds from every boundary.
#[derive(Debug, Clone, PartialEq)]
pub struct Completion {
    rest: Vec<Rest>,
    read_us: f64,
    upload_us: f64,
}

impl Completion {
    /// O(steps²).
    pub fn new(problem: &Problem, demand: &Demand, slots: u32) -> Self {
        let sums = PrefixSums::new(problem, demand, slots);
        let (read_us, upload_us) = (problem.read_us(), problem.upload_us());
        let steps = problem.steps.len();
        let mut rest = vec![Rest { busy_us: 0.0, upload_us: f64::NEG_INFINITY, disk_us: f64::NEG_INFINITY }; steps];
        for earlier in (0..steps).rev() {
            let mut bound = Rest { busy_us: problem.steps[earlier].execute_us, ..rest[earlier] };
            for (later, after) in rest.iter().enumerate().skip(earlier + 1) {
                let after_us = after.busy_us;
                let execute_us = sums.execute_us[later] - sums.execute_us[earlier];
                let hidden = sums.capacity_pages[later] - sums.capacity_pages[earlier];
                let needed = f64::from(demand.needed[later]);
                bound.busy_us = bound.busy_us.max(between(problem, demand, &sums, slots, earlier, later) + after_us);
                bound.upload_us = bound.upload_us.max(execute_us + upload_us * (needed - hidden as f64) + after_us);
                bound.disk_us = bound.disk_us.max(read_us * needed + after_us);
            }
            if earlier + 1 < steps {
                let capacity = demand.dead[earlier].saturating_add(slots).saturating_add(problem.staging_pages);
                let late = demand.needed[earlier + 1].saturating_sub(capacity);
                let next_us = problem.steps[earlier].execute_us + read_us * f64::from(late);
                bound.busy_us = bound.busy_us.max(next_us + rest[earlier + 1].busy_us);
            }
            rest[earlier] = bound;
        }
        Self { rest, read_us, upload_us }
    }

    /// A time before which no schedule that is in `state` at `boundary` can finish.
    pub fn bound_us(&self, boundary: usize, state: &State) -> f64 {
        let rest = &self.rest[boundary];
        let upload_us = rest.upload_us - self.upload_us * f64::from(state.uploaded);
        let disk_us = rest.disk_us - self.read_us * state.read_pages;
        state.start_us + rest.busy_us.max(upload_us).max(disk_us)
    }

    /// A time before which no schedule that starts the step at `boundary` at `start_us` can finish, whatever it has read.
    pub fn earliest_us(&self, boundary: usize, start_us: f64) -> f64 {
        start_us + self.rest[boundary].busy_us
    }
}
