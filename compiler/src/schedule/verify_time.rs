//! The time half of `verify`: replays disk, ring and uploads page by page against a schedule's start times.
//!
//! Page k is read after page k − 1 and after page k − R has left its buffer. A page leaves its buffer, without taking time, when
//! it has arrived and the step beside it runs; or, if that step's pages fill the slots, when that step has ended. The time
//! that uploads cost is the step's: every page beyond its capacity, or that waited for it, delays the next start. It shares
//! no code with the solver and deliberately not its formulation.

use super::problem::Problem;
use super::types::Schedule;
use super::violation::Violation;

/// Checks every start and the finish.
pub(super) fn check_times(problem: &Problem, schedule: &Schedule, tolerance: f64) -> Vec<Violation> {
    let mut violations = Vec::new();
    let slack_us = tolerance * schedule.finish_us.abs().max(1.0);
    let mut disk = Disk { read_end_us: Vec::new(), left_us: Vec::new() };
    let (mut previous_start_us, mut previous_end_us) = (0.0_f64, 0.0_f64);
    let mut resident: Vec<u32> = Vec::new();
    for (step, data) in problem.steps.iter().enumerate() {
        let start_us = schedule.step_start_us[step];
        // Pages of the stream that are alive while the step before runs: loaded, and not last used before it.
        let running = step.checked_sub(1);
        resident
            .retain(|page| running.is_none_or(|running| problem.pages[*page as usize].last_step as usize >= running));
        let (mut waited, mut count) = (0_u32, 0_u32);
        for _ in 0..schedule.uploads_before_step[step] {
            let page = disk.left_us.len() as u32;
            if page as usize >= problem.pages.len() {
                break;
            }
            resident.push(page);
            let fits = resident.len() <= schedule.peak_pages as usize;
            waited += u32::from(!fits);
            count += 1;
            disk.pass(problem, if fits { previous_start_us } else { previous_end_us });
        }
        let capacity = running.map_or(0, |running| problem.steps[running].capacity_pages);
        let paid = waited.max(count.saturating_sub(capacity));
        let copied_us = previous_end_us + f64::from(paid) * problem.page_bytes as f64 / problem.upload_bytes_per_us;
        let arrived_us = disk.read_end_us.last().copied().unwrap_or(0.0);
        let causes = [(copied_us, "the step before it and its uploads"), (arrived_us, "the disk")];
        for (earliest_us, reason) in causes {
            if start_us + slack_us < earliest_us || !start_us.is_finite() {
                violations.push(Violation::TooEarly { step: step as u32, start_us, earliest_us, reason });
            }
        }
        (previous_start_us, previous_end_us) = (start_us, start_us + data.execute_us);
    }
    if (schedule.finish_us - previous_end_us).abs() > slack_us || !schedule.finish_us.is_finite() {
        violations.push(Violation::Finish { finish_us: schedule.finish_us, end_us: previous_end_us });
    }
    violations
}

/// When each page was read, and when it left its staging buffer.
struct Disk {
    read_end_us: Vec<f64>,
    left_us: Vec<f64>,
}

impl Disk {
    /// Reads the next page and takes it from its buffer, at the earliest at `from_us`.
    fn pass(&mut self, problem: &Problem, from_us: f64) {
        let page = self.left_us.len();
        let disk_free_us = self.read_end_us.last().copied().unwrap_or(0.0);
        let buffer_free_us =
            page.checked_sub(problem.staging_pages as usize).map_or(0.0, |earlier| self.left_us[earlier]);
        let read_end_us = disk_free_us.max(buffer_free_us) + problem.page_bytes as f64 / problem.disk_bytes_per_us;
        self.read_end_us.push(read_end_us);
        self.left_us.push(read_end_us.max(from_us));
    }
}
