//! Page size, slots and ring for a budget: the smallest peak that works, and the best plan within a given one.
//!
//! Every candidate is lowered and assembled at its least slots; the smallest declared peak is the smallest feasible budget, by
//! construction reproducible. It deliberately predicts with the greedy schedule only: the chosen candidate gets the requested
//! strategy.

use super::candidates::{Candidate, MAX_STAGING_PAGES, MIN_STAGING_PAGES, candidates};
use super::min_memory::{Chosen, min_memory_within};
use super::types::{BudgetError, Planned, Search, peak_bytes};
use crate::bundle::{Assembled, Assembly};
use crate::emit::KernelCache;
use crate::graph::Graph;
use crate::narrow::count32;
use crate::options::Slack;
use crate::schedule::Strategy;

/// Candidates of the smallest peaks that are made as the final one would be: of three sizes, with siblings together and apart.
const CLOSEST: usize = 6;

/// Finds the best plan within the budget.
///
/// # Errors
/// [`BudgetError::TooSmall`] names the smallest budget that works.
pub fn search(graph: &Graph, kernels: &KernelCache, search: &Search<'_>) -> Result<Planned, BudgetError> {
    let candidates = candidates(graph, kernels, search)?;
    // Submits, and so the size of the plan itself, depend a little on the strategy: the smallest peak is that of plans
    // made exactly as the final one would be.
    let mut order: Vec<usize> = (0..candidates.len()).collect();
    order.sort_by_key(|i| (candidates[*i].min_peak_bytes, *i));
    let mut smallest: Option<(u64, usize, Assembled)> = None;
    for index in order.into_iter().take(CLOSEST) {
        let candidate = &candidates[index];
        let assembled = candidate.assembled(candidate.min_slots, MIN_STAGING_PAGES, kernels, search)?;
        let peak = peak_bytes(&assembled.plan)?;
        if smallest.as_ref().is_none_or(|(least, _, _)| peak < *least) {
            smallest = Some((peak, index, assembled));
        }
    }
    let (smallest_bytes, smallest_index, smallest) = smallest.expect("there is at least one candidate");
    if let Some(budget_bytes) = search.options.budget_bytes.filter(|b| *b < smallest_bytes) {
        return Err(BudgetError::TooSmall { budget_bytes, smallest_bytes });
    }
    if search.options.objective.slack() == Some(Slack::Unlimited) {
        let mut candidates = candidates;
        return Ok(Planned { program: candidates.swap_remove(smallest_index).program, assembled: smallest });
    }

    // The best prediction wins; within one per cent, fewer calls, then larger pages.
    let mut scored = Vec::new();
    for (index, candidate) in candidates.iter().enumerate() {
        let Some((slots, staging)) = slots_and_ring(candidate, search.options.budget_bytes) else { continue };
        let greedy =
            Search { assembly: Assembly { strategy: Strategy::Greedy, ..search.assembly.clone() }, ..search.clone() };
        let assembled = candidate.assembled(slots, staging, kernels, &greedy)?;
        scored.push((assembled.schedule.finish_us, candidate.program.steps.len(), index, slots, staging));
    }
    let best = scored.iter().map(|s| s.0).fold(f64::INFINITY, f64::min);
    scored.retain(|s| s.0 <= best * 1.01);
    scored.sort_by_key(|s| (s.1, candidates[s.2].program.pages(), s.2));
    let mut found = Chosen { candidate: smallest_index, assembled: smallest };
    'candidates: for (_, _, index, mut slots, staging) in scored {
        let candidate = &candidates[index];
        while slots >= candidate.min_slots {
            let assembled = candidate.assembled(slots, staging, kernels, search)?;
            if search
                .options
                .budget_bytes
                .is_none_or(|budget| peak_bytes(&assembled.plan).is_ok_and(|peak| peak <= budget))
            {
                found = Chosen { candidate: index, assembled };
                break 'candidates;
            }
            match slots.checked_sub(1) {
                Some(fewer) => slots = fewer,
                None => break,
            }
        }
    }
    let Chosen { candidate, assembled } = match search.options.objective.slack() {
        Some(Slack::Fraction(fraction)) => min_memory_within(&candidates, found, fraction, kernels, search)?,
        Some(Slack::Unlimited) | None => found,
    };
    let mut candidates = candidates;
    Ok(Planned { program: candidates.swap_remove(candidate).program, assembled })
}

/// Slots and ring for a budget; `None` when the candidate does not fit. About a quarter of the pages become the ring.
fn slots_and_ring(candidate: &Candidate, budget_bytes: Option<u64>) -> Option<(u32, u32)> {
    let pages = count32(candidate.program.pages());
    let Some(budget) = budget_bytes else {
        return Some((pages, MAX_STAGING_PAGES.min(pages.max(MIN_STAGING_PAGES))));
    };
    let spare = budget.checked_sub(candidate.min_peak_bytes)? / candidate.program.page.page_bytes();
    let all = u64::from(candidate.min_slots + MIN_STAGING_PAGES) + spare;
    let ring = (all / 4).clamp(u64::from(MIN_STAGING_PAGES), u64::from(MAX_STAGING_PAGES)) as u32;
    let ring = u64::from(ring).min(all - u64::from(candidate.min_slots)) as u32;
    let slots = (all - u64::from(ring)).min(u64::from(pages)) as u32;
    Some((slots, ring))
}
