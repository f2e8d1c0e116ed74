//! Where a run can load pages for the run that comes next, at no predicted cost.
//!
//! Takes a scheduled part; gives steps, one page after the other. It does not know which pages these are.

use crate::narrow::index32;

use super::part::Part;
use super::problem::{Demand, Problem};
use super::types::Schedule;

/// Steps before which pages are loaded that the run itself does not need, behind the last upload of its own.
pub(super) struct Gaps<'p> {
    part: &'p Part,
    ring: Ring,
    at: u32,
    left_of_capacity: u32,
}

impl<'p> Gaps<'p> {
    /// Behind all uploads of a part.
    pub(super) fn after_main(part: &'p Part) -> Self {
        let at = last_upload(&part.schedule);
        Self { part, ring: Ring::after_main(part), at, left_of_capacity: capacity_left(part, at) }
    }

    /// The step before which the next page can be loaded into a slot that is free from `free_from` on. A load is predicted to cost
    /// nothing: its page arrives before that step starts, its slot is free while the step before it runs, which also hides the copy.
    pub(super) fn next(&mut self, free_from: u32) -> Option<u32> {
        let (problem, starts_us) = (&self.part.problem, &self.part.starts_us);
        let arrives_us = self.ring.next_arrival_us(problem);
        let fits = |step: u32, left: u32| step >= free_from && left > 0 && starts_us[step as usize] >= arrives_us;
        while self.at < problem.step_count() && !fits(self.at, self.left_of_capacity) {
            self.at += 1;
            self.left_of_capacity = capacity_left(self.part, self.at);
        }
        if self.at >= problem.step_count() {
            return None;
        }
        self.left_of_capacity -= 1;
        self.ring.pass(arrives_us, starts_us[self.at as usize - 1]);
        Some(self.at)
    }
}

/// The step before which the last page of the part is uploaded; 1 when there is none, since nothing runs before step 0.
fn last_upload(schedule: &Schedule) -> u32 {
    let last = schedule.uploads_before_step.iter().rposition(|count| *count > 0);
    last.map_or(1, |step| (index32(step)).max(1))
}

/// Pages that the step before `step` hides beside what is uploaded there already.
fn capacity_left(part: &Part, step: u32) -> u32 {
    let Some(before) = (step as usize).checked_sub(1) else { return 0 };
    let (Some(data), Some(uploads)) =
        (part.problem.steps.get(before), part.schedule.uploads_before_step.get(step as usize))
    else {
        return 0;
    };
    data.capacity_pages.saturating_sub(*uploads)
}

/// When pages were read and when they left their staging buffers.
struct Ring {
    read_us: f64,
    left_us: Vec<f64>,
}

impl Ring {
    /// After all pages of a part: every page leaves its buffer when it has arrived and the step beside it runs, or has ended
    /// where the page waits for that step's slots.
    fn after_main(part: &Part) -> Self {
        let (problem, schedule) = (&part.problem, &part.schedule);
        let demand = Demand::new(problem);
        let mut ring = Self { read_us: 0.0, left_us: Vec::new() };
        let mut uploaded = 0;
        for (step, count) in schedule.uploads_before_step.iter().enumerate() {
            let before = step.checked_sub(1);
            let from_us = before.map_or(0.0, |before| part.starts_us[before]);
            let end_us = before.map_or(0.0, |before| from_us + problem.steps[before].execute_us);
            let dead = before.map_or(0, |before| demand.dead[before]);
            for _ in 0..*count {
                uploaded += 1;
                if uploaded <= part.ahead {
                    ring.left_us.push(0.0);
                    continue;
                }
                let waits = uploaded > dead.saturating_add(schedule.peak_pages);
                let arrives_us = ring.next_arrival_us(problem);
                ring.pass(arrives_us, if waits { end_us } else { from_us });
            }
        }
        // Pages that are there from the beginning never were in a buffer.
        ring.left_us.drain(..part.ahead as usize);
        ring
    }

    fn next_arrival_us(&self, problem: &Problem) -> f64 {
        let earlier = self.left_us.len().checked_sub(problem.staging_pages as usize);
        let free_us = earlier.map_or(0.0, |earlier| self.left_us[earlier]);
        self.read_us.max(free_us) + problem.read_us()
    }

    fn pass(&mut self, arrives_us: f64, from_us: f64) {
        self.read_us = arrives_us;
        self.left_us.push(arrives_us.max(from_us));
    }
}
