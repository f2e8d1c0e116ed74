//! Frontiers of states as the search for time and slots.
//!
//! Takes the best plan so far and improves it in place, with wider and wider frontiers: each width looks for a better plan, then,
//! unless nothing was left out, for a better bound. It stops as soon as both meet. docs/schedule.md says why that is exact.

use super::completion::Completion;
use super::frontier::{FrontierSearch, Reduce};
use super::optimum::{Optimum, TIME_TOLERANCE, accept, meets};
use super::pipeline::{Uploads, is_feasible, uploads_finish_us};
use super::problem::{Demand, Problem};

/// Widths of the frontiers that are searched, one after the other.
const WIDTHS: [usize; 3] = [64, 1024, 8192];

/// Wider and wider frontiers until the time is proven, or the widest was searched.
pub fn search_time(problem: &Problem, demand: &Demand, best: &mut Optimum) {
    let slots = best.uploads.slots;
    let completion = Completion::new(problem, demand, slots);
    for width in WIDTHS {
        for reduce in [Reduce::Drop, Reduce::Merge] {
            if meets(best.finish_us, best.lower_bound_us) {
                return;
            }
            let limit_us = best.finish_us * (1.0 - 0.5 * TIME_TOLERANCE);
            let outcome =
                FrontierSearch { problem, demand, completion: &completion, slots, limit_us }.run(width, reduce);
            if let Some(uploaded) = outcome.uploaded {
                accept(problem, demand, best, Uploads { uploaded, slots });
            }
            if let Some(bound_us) = outcome.bound_us {
                best.lower_bound_us = best.lower_bound_us.max(bound_us.min(best.finish_us));
            }
        }
    }
}

/// Fewer slots by bisection, with a search over frontiers for each number.
pub fn search_slots(problem: &Problem, demand: &Demand, best: &mut Optimum, limit_us: f64) {
    let mut low = best.min_slots;
    while low < best.uploads.slots {
        let middle = low + (best.uploads.slots - low) / 2;
        match fit(problem, demand, middle, limit_us) {
            Fit::Uploads(uploads) => best.uploads = uploads,
            Fit::Impossible => {
                low = middle + 1;
                best.min_slots = best.min_slots.max(low);
            }
            Fit::Unknown => low = middle + 1,
        }
    }
}

/// Whether so many slots suffice for a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fit {
    /// They do.
    Uploads(Uploads),
    /// Proven not to.
    Impossible,
    /// The widest frontier was too narrow to decide.
    Unknown,
}

/// Searches wider and wider frontiers for a plan with `slots` slots that finishes by `limit_us`.
pub fn fit(problem: &Problem, demand: &Demand, slots: u32, limit_us: f64) -> Fit {
    let completion = Completion::new(problem, demand, slots);
    let search = FrontierSearch {
        problem,
        demand,
        completion: &completion,
        slots,
        limit_us: limit_us * (1.0 + 0.5 * TIME_TOLERANCE),
    };
    for width in WIDTHS {
        let outcome = search.run(width, Reduce::Drop);
        if let Some(uploaded) = outcome.uploaded {
            let uploads = Uploads { uploaded, slots };
            if is_feasible(problem, demand, &uploads) && meets(uploads_finish_us(problem, demand, &uploads), limit_us) {
                return Fit::Uploads(uploads);
            }
        }
        // Nothing is left below the limit: the bound is the limit itself.
        let impossible = |bound_us: Option<f64>| bound_us.is_some_and(|bound_us| bound_us >= search.limit_us);
        if impossible(outcome.bound_us) || impossible(search.run(width, Reduce::Merge).bound_us) {
            return Fit::Impossible;
        }
    }
    Fit::Unknown
}
