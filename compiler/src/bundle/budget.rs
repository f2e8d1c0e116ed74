//! Page size, slots and ring for a budget: the smallest peak that works, and the best plan within a given one.
//!
//! A candidate is a page size with the most pages that one call may read; smaller ones cut weights into more calls and need
//! less memory at once. Every candidate is lowered and assembled at its least slots; the smallest declared peak is the
//! smallest feasible budget, by construction reproducible. It deliberately predicts with the greedy schedule only: the
//! chosen candidate gets the requested strategy.

use super::least_memory::least_memory_within;
use super::{Assembled, Assembly, BundleError, Links, assemble};
use crate::graph::Graph;
use crate::lower::program::Program;
use crate::lower::verify::{Violation, verify};
use crate::lower::{LowerError, LowerOptions, lower};
use crate::schedule::{Strategy, smallest_slots};
use flashmem_plan_format::plan::{MAX_PAGES_PER_DISPATCH, PAGE_WIDTH_TEXELS, PageGeometry, TexelFormat};

/// Page sizes that are tried, in bytes.
const PAGE_BYTES: [u64; 9] = [16 << 10, 32 << 10, 64 << 10, 128 << 10, 256 << 10, 512 << 10, 1 << 20, 2 << 20, 4 << 20];

/// Fewest rows of a page: some devices keep textures in blocks of this many rows, and would need more than is declared for fewer.
const LEAST_ROWS: u32 = 8;

/// Larger pages, tried in this order only when the device's textures have too few layers for all of the above: when everything is to
/// be resident. Below that they would only make staging and slots coarser.
const LARGE_PAGE_BYTES: [u64; 3] = [8 << 20, 16 << 20, 32 << 20];

/// Most pages of a bundle: smaller pages are not tried for larger models, where each would cost a command and a read.
const MOST_PAGES: u64 = 8192;

/// Most pages of one call that are tried.
const PAGES_PER_CALL: [u32; 5] = [MAX_PAGES_PER_DISPATCH, 16, 6, 3, 2];

/// Fewest buffers of a ring: one being read while another is copied.
pub(super) const LEAST_STAGING_PAGES: u32 = 2;

/// Most buffers of a ring: more do not make reading faster.
pub(super) const MOST_STAGING_PAGES: u32 = 8;

/// A candidate, assembled at its least memory.
pub(super) struct Candidate {
    pub(super) program: Program,
    pub(super) least_slots: u32,
    pub(super) least_peak_bytes: u64,
}

/// Time that may be given up for memory.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Slack {
    /// Any: the least memory, whatever the time.
    Unlimited,
    /// This fraction of the best predicted time under the budget, at least 0: 0.05 is 5 %.
    Fraction(f64),
}

/// No plan can be made.
#[derive(Debug, thiserror::Error)]
pub enum BudgetError {
    /// The budget is below the smallest that works.
    #[error("a budget of {budget_bytes} bytes cannot work\nsmallest feasible budget: {smallest_bytes} bytes")]
    TooSmall {
        /// What was given.
        budget_bytes: u64,
        /// What works.
        smallest_bytes: u64,
    },
    /// No candidate can be lowered; the reason is that of the candidate with the largest pages.
    #[error(transparent)]
    Lower(#[from] LowerError),
    /// The independent checker found violations: a mistake of lowering.
    #[error("the program violates its own rules: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    LoweringInvalid(Vec<Violation>),
    /// The device's textures have too few layers for the slots that every candidate needs.
    #[error(
        "device `{profile}` has max_texture_array_layers = {available}, and at least {needed} pages must be resident at once"
    )]
    Layers {
        /// Name of the profile.
        profile: String,
        /// The fewest slots of any candidate.
        needed: u32,
        /// The limit.
        available: u32,
    },
    /// A candidate cannot be assembled.
    #[error(transparent)]
    Bundle(#[from] BundleError),
}

/// What the search needs to know.
#[derive(Debug, Clone)]
pub struct Search<'a> {
    /// Stored precision.
    pub format: TexelFormat,
    /// Most bytes of one tensor.
    pub max_binding_bytes: u64,
    /// The budget.
    pub budget_bytes: Option<u64>,
    /// When the least memory is wanted: how much slower than the best it may be.
    pub slack: Option<Slack>,
    /// Whether every page must have a slot of its own.
    pub all_resident: bool,
    /// Everything but slots and ring; its slots are the most that the device's textures hold.
    pub assembly: Assembly<'a>,
}

/// A program with its plan.
#[derive(Debug)]
pub struct Planned {
    /// The program.
    pub program: Program,
    /// Its plan and schedule.
    pub assembled: Assembled,
}

pub(super) fn peak_bytes(assembled: &Assembled) -> Result<u64, BundleError> {
    assembled.plan.memory.total_bytes().ok_or(BundleError::MemoryOverflow)
}

/// Finds the best plan within the budget.
///
/// # Errors
/// [`BudgetError::TooSmall`] names the smallest budget that works.
pub fn search(graph: &Graph, links: &mut Links, search: &Search<'_>) -> Result<Planned, BudgetError> {
    let candidates = within_layers(candidates(graph, links, search)?, search)?;
    // Submits, and so the size of the plan itself, depend a little on the strategy: the smallest peak is that of plans
    // made exactly as the final one would be.
    let mut order: Vec<usize> = (0..candidates.len()).collect();
    order.sort_by_key(|i| (candidates[*i].least_peak_bytes, *i));
    let mut smallest: Option<(u64, usize, Assembled)> = None;
    for index in order.into_iter().take(3) {
        let candidate = &candidates[index];
        let assembled = at(candidate, candidate.least_slots, LEAST_STAGING_PAGES, links, search)?;
        let peak = peak_bytes(&assembled)?;
        if smallest.as_ref().is_none_or(|(least, _, _)| peak < *least) {
            smallest = Some((peak, index, assembled));
        }
    }
    let (smallest_bytes, smallest_index, smallest) = smallest.expect("there is at least one candidate");
    if let Some(budget_bytes) = search.budget_bytes.filter(|b| *b < smallest_bytes) {
        return Err(BudgetError::TooSmall { budget_bytes, smallest_bytes });
    }
    if search.slack == Some(Slack::Unlimited) {
        let mut candidates = candidates;
        return Ok(Planned { program: candidates.swap_remove(smallest_index).program, assembled: smallest });
    }

    // The best prediction wins; within one per cent, fewer calls, then larger pages.
    let mut scored = Vec::new();
    for (index, candidate) in candidates.iter().enumerate() {
        let Some((slots, staging)) = share(candidate, search.budget_bytes) else { continue };
        let greedy =
            Search { assembly: Assembly { strategy: Strategy::Greedy, ..search.assembly.clone() }, ..search.clone() };
        let assembled = at(candidate, slots, staging, links, &greedy)?;
        scored.push((assembled.schedule.finish_us, candidate.program.steps.len(), index, slots, staging));
    }
    let best = scored.iter().map(|s| s.0).fold(f64::INFINITY, f64::min);
    scored.retain(|s| s.0 <= best * 1.01);
    scored.sort_by_key(|s| (s.1, candidates[s.2].program.pages(), s.2));
    let mut found = (smallest_index, smallest);
    'candidates: for (_, _, index, mut slots, staging) in scored {
        let candidate = &candidates[index];
        while slots >= candidate.least_slots {
            let assembled = at(candidate, slots, staging, links, search)?;
            if search.budget_bytes.is_none_or(|budget| peak_bytes(&assembled).is_ok_and(|peak| peak <= budget)) {
                found = (index, assembled);
                break 'candidates;
            }
            match slots.checked_sub(1) {
                Some(fewer) => slots = fewer,
                None => break,
            }
        }
    }
    let (index, assembled) = match search.slack {
        Some(Slack::Fraction(fraction)) => least_memory_within(&candidates, found, fraction, links, search)?,
        Some(Slack::Unlimited) | None => found,
    };
    let mut candidates = candidates;
    Ok(Planned { program: candidates.swap_remove(index).program, assembled })
}

/// The candidates whose slots the device's textures can hold.
fn within_layers(mut candidates: Vec<Candidate>, search: &Search<'_>) -> Result<Vec<Candidate>, BudgetError> {
    let available = search.assembly.slot_cap;
    let needed = candidates.iter().map(|candidate| slots_needed(candidate, search)).min().unwrap_or(0);
    candidates.retain(|candidate| slots_needed(candidate, search) <= available);
    if candidates.is_empty() {
        return Err(BudgetError::Layers { profile: search.assembly.profile.name.clone(), needed, available });
    }
    Ok(candidates)
}

/// The fewest slots with which a candidate does what is asked.
fn slots_needed(candidate: &Candidate, search: &Search<'_>) -> u32 {
    if search.all_resident {
        candidate.least_slots.max(candidate.program.pages() as u32)
    } else {
        candidate.least_slots
    }
}

fn candidates(graph: &Graph, links: &mut Links, search: &Search<'_>) -> Result<Vec<Candidate>, BudgetError> {
    let mut candidates: Vec<Candidate> = Vec::new();
    let largest_bytes = PAGE_BYTES[PAGE_BYTES.len() - 1];
    let mut refused = None;
    for page_bytes in PAGE_BYTES.into_iter().chain(LARGE_PAGE_BYTES) {
        if page_bytes > largest_bytes
            && candidates.iter().any(|made| slots_needed(made, search) <= search.assembly.slot_cap)
        {
            break;
        }
        let row_bytes = u64::from(PAGE_WIDTH_TEXELS * search.format.texel_bytes());
        let page = PageGeometry { format: search.format, rows: (page_bytes / row_bytes) as u32 };
        if page.rows < LEAST_ROWS {
            continue;
        }
        let mut last: Option<usize> = None;
        for max_pages_per_call in PAGES_PER_CALL {
            let options = LowerOptions {
                page,
                max_pages_per_call,
                max_binding_bytes: search.max_binding_bytes,
                most_rounds: search.assembly.profile.limits.loop_rounds.map(u64::from),
                tiles: search.assembly.profile.tiles,
            };
            let program = match lower(graph, &options) {
                Ok(program) => verified(program)?,
                Err(error @ LowerError::PanelTooLarge { .. }) => {
                    refused = Some(error);
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            if program.pages() > MOST_PAGES && page_bytes < largest_bytes {
                break;
            }
            // A lower limit that cuts nothing more gives the same program.
            if last.replace(program.steps.len()) == Some(program.steps.len()) {
                continue;
            }
            candidates.push(least(program, links, search)?);
        }
    }
    match refused {
        Some(error) if candidates.is_empty() => Err(error.into()),
        _ => Ok(candidates),
    }
}

/// A program that keeps lowering's own rules.
fn verified(program: Program) -> Result<Program, BudgetError> {
    let violations = verify(&program);
    if violations.is_empty() { Ok(program) } else { Err(BudgetError::LoweringInvalid(violations)) }
}

/// A candidate at its least memory, with a schedule that costs no search.
fn least(program: Program, links: &mut Links, search: &Search<'_>) -> Result<Candidate, BundleError> {
    let unlimited = Assembly {
        strategy: Strategy::OnDemand,
        slot_cap: u32::MAX,
        staging_pages: LEAST_STAGING_PAGES,
        ..search.assembly.clone()
    };
    let least_slots = smallest_slots(&super::problem(&program, &unlimited)?, search.assembly.strategy)
        .map_err(BundleError::Schedule)?;
    let assembled = assemble(&program, links, &unlimited)?;
    let declared = peak_bytes(&assembled)?;
    let extra = u64::from(least_slots.saturating_sub(assembled.plan.slot_count)) * program.page.page_bytes();
    Ok(Candidate { program, least_slots, least_peak_bytes: declared + extra })
}

/// Slots and ring for a budget; `None` when the candidate does not fit. About a quarter of the pages become the ring.
fn share(candidate: &Candidate, budget_bytes: Option<u64>) -> Option<(u32, u32)> {
    let pages = candidate.program.pages() as u32;
    let Some(budget) = budget_bytes else {
        return Some((pages, MOST_STAGING_PAGES.min(pages.max(LEAST_STAGING_PAGES))));
    };
    let spare = budget.checked_sub(candidate.least_peak_bytes)? / candidate.program.page.page_bytes();
    let all = u64::from(candidate.least_slots + LEAST_STAGING_PAGES) + spare;
    let ring = (all / 4).clamp(u64::from(LEAST_STAGING_PAGES), u64::from(MOST_STAGING_PAGES)) as u32;
    let ring = u64::from(ring).min(all - u64::from(candidate.least_slots)) as u32;
    let slots = (all - u64::from(ring)).min(u64::from(pages)) as u32;
    Some((slots, ring))
}

pub(super) fn at(
    candidate: &Candidate,
    slot_cap: u32,
    staging_pages: u32,
    links: &mut Links,
    search: &Search<'_>,
) -> Result<Assembled, BundleError> {
    let slot_cap = slot_cap.min(search.assembly.slot_cap);
    let assembly = Assembly { slot_cap, staging_pages, ..search.assembly.clone() };
    assemble(&candidate.program, links, &assembly)
}
