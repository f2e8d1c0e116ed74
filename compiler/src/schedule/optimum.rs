//! A plan and what is proven about it; when two times count as the same, and the search that monotony allows.

use super::pipeline::{Uploads, is_feasible, uploads_finish_us};
use super::problem::{Demand, Problem};
use super::types::SolverKind;

/// Relative difference below which two times are the same.
pub const TIME_TOLERANCE: f64 = 1e-6;

/// A plan and what is known about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Optimum {
    /// The plan.
    pub uploads: Uploads,
    /// Its finish time.
    pub finish_us: f64,
    /// Proven lower bound of the finish time.
    pub lower_bound_us: f64,
    /// Proven lower bound of the slots of any plan that is as fast.
    pub min_slots: u32,
    /// What searched; `None` when one pass and bounds sufficed.
    pub searched: Option<SolverKind>,
}

/// Whether `time_us` is no later than `limit_us`, up to the tolerance.
pub fn meets(time_us: f64, limit_us: f64) -> bool {
    time_us <= limit_us * (1.0 + TIME_TOLERANCE)
}

/// Keeps `uploads` when it is feasible and strictly faster.
pub fn accept(problem: &Problem, demand: &Demand, best: &mut Optimum, uploads: Uploads) {
    if is_feasible(problem, demand, &uploads) {
        let finish_us = uploads_finish_us(problem, demand, &uploads);
        if finish_us < best.finish_us {
            (best.uploads, best.finish_us) = (uploads, finish_us);
        }
    }
}

/// The smallest value in `low..=high` for which `holds`, which must hold for `high` and from its first value on.
pub fn first_that(mut low: u32, mut high: u32, holds: impl Fn(u32) -> bool) -> u32 {
    while low < high {
        let middle = low + (high - low) / 2;
        if holds(middle) { high = middle } else { low = middle + 1 }
    }
    low
}
