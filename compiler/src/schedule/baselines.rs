//! The plans of the naive strategies, which search nothing.
//!
//! Takes a [`Problem`] and a [`Strategy`]; returns the counts that the strategy dictates, and the fewest slots that it works with.
//! A baseline that uploads beside a running step gets a slot for every page that it uploads there, so that nothing waits: it
//! is judged by its rule, not by a lack of slots. It deliberately does not adapt to the slots that there are.

use super::pipeline::Uploads;
use super::problem::{Demand, Problem};
use super::types::Strategy;
use crate::cost::OperatorClass;

/// The fewest slots with which `strategy` works.
pub fn smallest_slots(problem: &Problem, demand: &Demand, strategy: Strategy) -> u32 {
    match strategy {
        Strategy::Optimal | Strategy::Greedy | Strategy::OnDemand => demand.smallest_slots(),
        Strategy::PreloadAll => problem.page_count(),
        Strategy::AlwaysNext => slots_beside(demand, &demand.needed),
        Strategy::SameOpType => slots_beside(demand, &same_class_counts(problem)),
    }
}

/// Each step's pages beside the step before it; those of the first step are preloaded.
pub fn always_next(demand: &Demand) -> Uploads {
    Uploads { uploaded: demand.needed.clone(), slots: slots_beside(demand, &demand.needed) }
}

/// Each page beside the last step of its consumer's class that precedes the consumer, or earlier where pages that follow it in
/// the stream demand that; preloaded when there is no such step.
pub fn same_op_type(problem: &Problem, demand: &Demand) -> Uploads {
    let uploaded = same_class_counts(problem);
    let slots = slots_beside(demand, &uploaded);
    Uploads { uploaded, slots }
}

/// Slots with which no page waits for the running step: `max_b (V_b − dead(b − 1))`.
fn slots_beside(demand: &Demand, uploaded: &[u32]) -> u32 {
    let dead_while_running = std::iter::once(&0).chain(&demand.dead);
    uploaded.iter().zip(dead_while_running).map(|(count, dead)| count - dead).max().unwrap_or(0)
}

/// `V_b` of [`same_op_type`]: pages are taken from last to first, since none may overtake its successor.
fn same_class_counts(problem: &Problem) -> Vec<u32> {
    let mut uploaded = vec![0_u32; problem.steps.len()];
    let mut boundary = problem.steps.len();
    for page in problem.pages.iter().rev() {
        let consumer = page.first_step as usize;
        boundary = last_of_class(problem, problem.steps[consumer].class, boundary.min(consumer));
        uploaded[boundary] += 1;
    }
    let mut total = 0;
    for count in &mut uploaded {
        total += *count;
        *count = total;
    }
    uploaded
}

/// The last boundary up to `boundary` that ends a step of `class`, or 0, the preload.
fn last_of_class(problem: &Problem, class: OperatorClass, boundary: usize) -> usize {
    (1..=boundary).rev().find(|b| problem.steps[b - 1].class == class).unwrap_or(0)
}
