//! The least memory whose predicted time is within a slack of the best.
//!
//! Takes the candidates of `candidates.rs` and the fastest plan among them; returns the candidate, ring and slots of the least declared
//! peak that is at most so much slower. Pairs of a candidate and a ring are visited by the least peak that they could have, and
//! the rest is skipped once that exceeds what was found. Times are those of the requested strategy.

use super::candidates::{Candidate, MAX_STAGING_PAGES, MIN_STAGING_PAGES};
use super::types::{Search, peak_bytes};
use crate::bundle::{Assembled, Assembly};
use crate::emit::KernelCache;
use crate::schedule::{Problem, min_slots_within, slots_bound_within};
use crate::stages::{StageError, problem};

/// A candidate, by position, with its plan.
pub struct Chosen {
    /// Position among the candidates.
    pub candidate: usize,
    /// Its plan.
    pub assembled: Assembled,
}

/// A candidate with a ring.
struct Choice {
    index: usize,
    staging_pages: u32,
    /// Declared memory besides slots.
    fixed_bytes: u64,
}

/// The plan of least declared peak that is at most `fraction` slower than `best`, and the index of its candidate.
pub fn min_memory_within(
    candidates: &[Candidate],
    best: Chosen,
    fraction: f64,
    kernels: &KernelCache,
    search: &Search<'_>,
) -> Result<Chosen, StageError> {
    let latest_us = best.assembled.schedule.finish_us * (1.0 + fraction);
    let mut least = (peak_bytes(&best.assembled.plan)?, best);
    let mut choices = choices(candidates);
    choices.sort_by_key(|choice| (choice.min_bytes(candidates), choice.index, choice.staging_pages));
    for choice in choices {
        let candidate = &candidates[choice.index];
        let spare_pages = least.0.saturating_sub(choice.fixed_bytes) / candidate.page_bytes();
        let slot_cap = u32::try_from(spare_pages).unwrap_or(u32::MAX);
        if slot_cap < candidate.min_slots {
            continue;
        }
        let assembly = Assembly { slot_cap, staging_pages: choice.staging_pages, ..search.assembly.clone() };
        let problem = problem(&candidate.program, &assembly)?;
        let Some(slots) = slots_within(&problem, search, latest_us)? else { continue };
        let assembled = candidate.assembled(slots, choice.staging_pages, kernels, search)?;
        let peak = peak_bytes(&assembled.plan)?;
        if peak < least.0 && assembled.schedule.finish_us <= latest_us {
            least = (peak, Chosen { candidate: choice.index, assembled });
        }
    }
    Ok(least.1)
}

/// The fewest slots within the problem's cap that are fast enough. The bound is looked at first: it costs no search.
fn slots_within(problem: &Problem, search: &Search<'_>, latest_us: f64) -> Result<Option<u32>, StageError> {
    if slots_bound_within(problem, latest_us)?.is_none() {
        return Ok(None);
    }
    Ok(min_slots_within(problem, search.assembly.strategy, search.assembly.solver, latest_us)?)
}

impl Choice {
    fn min_bytes(&self, candidates: &[Candidate]) -> u64 {
        let candidate = &candidates[self.index];
        self.fixed_bytes.saturating_add(u64::from(candidate.min_slots) * candidate.page_bytes())
    }
}

fn choices(candidates: &[Candidate]) -> Vec<Choice> {
    let of_candidate = |(index, candidate): (usize, &Candidate)| {
        let slots_and_ring = u64::from(candidate.min_slots + MIN_STAGING_PAGES) * candidate.page_bytes();
        let fixed_bytes = candidate.min_peak_bytes.saturating_sub(slots_and_ring);
        let page_bytes = candidate.page_bytes();
        (MIN_STAGING_PAGES..=MAX_STAGING_PAGES).map(move |staging_pages| Choice {
            index,
            staging_pages,
            fixed_bytes: fixed_bytes.saturating_add(u64::from(staging_pages) * page_bytes),
        })
    };
    candidates.iter().enumerate().flat_map(of_candidate).collect()
}
