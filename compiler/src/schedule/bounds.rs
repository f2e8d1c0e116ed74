//! Closed-form lower bound of the finish time for a given number of slots.
//!
//! Between the starts of steps i < b at least `needed(b) − most(i)` pages must be uploaded, where `most(i)` is what the slots
//! allow at i; the disk, the ring, the uploads and the execution each need a known time for that. The bound is the longest
//! path over all pairs (i, b), so it contains the disk floor, Σ t_s and every prefix bound. O(steps²), exact arithmetic up
//! to rounding. It makes no schedule.

use super::problem::{Demand, Problem};

/// A time before which no schedule with `slots` slots can finish.
pub fn lower_bound_us(problem: &Problem, demand: &Demand, slots: u32) -> f64 {
    let steps = problem.steps.len();
    let sums = PrefixSums::new(problem, demand, slots);
    let mut bound = vec![0.0_f64; steps];
    for later in 0..steps {
        let mut best = from_start(problem, demand, &sums, later);
        for (earlier, start_us) in bound[..later].iter().enumerate() {
            best = best.max(start_us + between(problem, demand, &sums, slots, earlier, later));
        }
        if later > 0 {
            let capacity = demand.dead[later - 1].saturating_add(slots).saturating_add(problem.staging_pages);
            let late = demand.needed[later].saturating_sub(capacity);
            let ended = bound[later - 1] + problem.steps[later - 1].execute_us;
            best = best.max(ended + problem.read_us() * f64::from(late));
        }
        bound[later] = best;
    }
    bound.last().map_or(0.0, |start| start + problem.steps[steps - 1].execute_us)
}

/// Sums over the steps before each step.
pub(super) struct PrefixSums {
    /// Execution time.
    pub(super) execute_us: Vec<f64>,
    /// Pages that are hidden.
    pub(super) capacity_pages: Vec<i64>,
    /// Pages that cannot be uploaded before the step beside them has ended.
    waiting_pages: Vec<i64>,
}

impl PrefixSums {
    pub(super) fn new(problem: &Problem, demand: &Demand, slots: u32) -> Self {
        let mut sums = Self { execute_us: vec![0.0], capacity_pages: vec![0], waiting_pages: vec![0] };
        for (index, step) in problem.steps.iter().enumerate() {
            let next_needed = demand.needed.get(index + 1).copied().unwrap_or(0);
            let waiting = next_needed.saturating_sub(demand.dead[index].saturating_add(slots));
            sums.execute_us.push(sums.execute_us[index] + step.execute_us);
            sums.capacity_pages.push(sums.capacity_pages[index] + i64::from(step.capacity_pages));
            sums.waiting_pages.push(sums.waiting_pages[index] + i64::from(waiting));
        }
        sums
    }
}

fn from_start(problem: &Problem, demand: &Demand, sums: &PrefixSums, later: usize) -> f64 {
    let needed = demand.needed[later];
    let excess = (i64::from(needed) - sums.capacity_pages[later]).max(sums.waiting_pages[later]).max(0);
    let busy_us = sums.execute_us[later] + problem.upload_us() * excess as f64;
    busy_us.max(problem.read_us() * f64::from(needed))
}

/// Time between two starts at the least.
pub(super) fn between(
    problem: &Problem,
    demand: &Demand,
    sums: &PrefixSums,
    slots: u32,
    earlier: usize,
    later: usize,
) -> f64 {
    let needed = i64::from(demand.needed[later]);
    let most = demand.dead[earlier].saturating_add(slots).min(problem.page_count());
    let capacity = sums.capacity_pages[later] - sums.capacity_pages[earlier];
    let waiting = sums.waiting_pages[later] - sums.waiting_pages[earlier];
    let excess = (needed - i64::from(most) - capacity).max(waiting).max(0);
    let busy_us = sums.execute_us[later] - sums.execute_us[earlier] + problem.upload_us() * excess as f64;
    let unread = needed - i64::from(most) - i64::from(problem.staging_pages);
    busy_us.max(problem.read_us() * unread as f64)
}
