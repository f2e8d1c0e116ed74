//! Candidates: a page size with the most pages that one call may read, lowered, and assembled at its least memory.
//!
//! Smaller pages, or fewer a call, cut weights into more calls and need less memory at once. So do siblings apart, whose results need
//! not live as long as each other.

use super::types::{BudgetError, Search, peak_bytes};
use crate::bundle::{Assembled, Assembly};
use crate::emit::KernelCache;
use crate::graph::Graph;
use crate::lower::program::Program;
use crate::lower::{LowerError, LowerOptions};
use crate::narrow::count32;
use crate::options::Keep;
use crate::schedule::{Strategy, smallest_slots};
use crate::stages::{StageError, lowered, planned, problem};
use flashmem_plan_format::plan::{MAX_PAGES_PER_DISPATCH, PAGE_ROW_BYTES, PageGeometry};

/// Page sizes that are tried, in bytes: of 8 rows at least, since some devices keep textures in blocks of so many rows, and would
/// need more than is declared for fewer.
const PAGE_BYTES: [u64; 8] = [32 << 10, 64 << 10, 128 << 10, 256 << 10, 512 << 10, 1 << 20, 2 << 20, 4 << 20];

/// Larger pages, tried in this order only when the device's textures have too few layers for all of the above: when everything is to
/// be resident. Below that they would only make staging and slots coarser.
const LARGE_PAGE_BYTES: [u64; 3] = [8 << 20, 16 << 20, 32 << 20];

/// Sizes that pages can have, in bytes.
pub fn page_sizes() -> impl Iterator<Item = u64> {
    PAGE_BYTES.into_iter().chain(LARGE_PAGE_BYTES)
}

/// Most pages of a bundle: smaller pages are not tried for larger models, where each would cost a command and a read.
const MAX_PAGES: u64 = 8192;

/// Most pages of one call that are tried.
const PAGES_PER_CALL: [u32; 5] = [MAX_PAGES_PER_DISPATCH, 16, 6, 3, 2];

/// Fewest buffers of a ring: one being read while another is copied.
pub const MIN_STAGING_PAGES: u32 = 2;

/// Most buffers of a ring: more do not make reading faster.
pub const MAX_STAGING_PAGES: u32 = 8;

/// A candidate, assembled at its least memory.
pub struct Candidate {
    /// The program.
    pub program: Program,
    /// The fewest slots with which the strategy works.
    pub min_slots: u32,
    /// The declared peak with these and the smallest ring.
    pub min_peak_bytes: u64,
}

impl Candidate {
    /// Bytes of a page.
    pub fn page_bytes(&self) -> u64 {
        self.program.page.page_bytes()
    }

    /// Its plan with at most so many slots, as far as the device has them, and a ring of this size.
    ///
    /// # Errors
    /// See [`StageError`].
    pub fn assembled(
        &self,
        slot_cap: u32,
        staging_pages: u32,
        kernels: &KernelCache,
        search: &Search<'_>,
    ) -> Result<Assembled, StageError> {
        let slot_cap = slot_cap.min(search.assembly.slot_cap);
        let assembly = Assembly { slot_cap, staging_pages, ..search.assembly.clone() };
        planned(&self.program, kernels, &assembly)
    }
}

/// The candidates whose slots the device's textures can hold; at least one.
///
/// # Errors
/// See [`BudgetError`].
pub fn candidates(graph: &Graph, kernels: &KernelCache, search: &Search<'_>) -> Result<Vec<Candidate>, BudgetError> {
    let mut candidates = all(graph, kernels, search)?;
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
    match search.options.keep {
        Keep::All => candidate.min_slots.max(count32(candidate.program.pages())),
        Keep::Auto | Keep::None => candidate.min_slots,
    }
}

/// Numbers of pages of one call, with siblings in one call, and where memory is asked for, also apart.
fn ways(graph: &Graph, search: &Search<'_>) -> impl Iterator<Item = (u32, bool)> {
    let memory_counts = search.options.budget_bytes.is_some() || search.options.objective.slack().is_some();
    let joins: &[bool] = if memory_counts && !graph.siblings.is_empty() { &[true, false] } else { &[true] };
    PAGES_PER_CALL.into_iter().flat_map(|pages| joins.iter().map(move |joins| (pages, *joins)))
}

/// Every page size with every number of pages a call, lowered and at its least memory.
///
/// # Errors
/// See [`BudgetError`].
fn all(graph: &Graph, kernels: &KernelCache, search: &Search<'_>) -> Result<Vec<Candidate>, BudgetError> {
    let mut candidates: Vec<Candidate> = Vec::new();
    let largest_bytes = PAGE_BYTES[PAGE_BYTES.len() - 1];
    let mut refused = None;
    let is_requested = |bytes: &u64| search.options.page_bytes.is_none_or(|requested| requested == *bytes);
    for page_bytes in page_sizes().filter(is_requested) {
        if search.options.page_bytes.is_none()
            && page_bytes > largest_bytes
            && candidates.iter().any(|made| slots_needed(made, search) <= search.assembly.slot_cap)
        {
            break;
        }
        let page = PageGeometry { rows: count32(page_bytes / u64::from(PAGE_ROW_BYTES)) };
        let mut last = [None; 2];
        for (max_pages_per_call, joins_siblings) in ways(graph, search) {
            let options = LowerOptions { page, max_pages_per_call, joins_siblings, ..search.lower.clone() };
            let program = match lowered(graph, &options) {
                Ok(program) => program,
                Err(error @ StageError::Lower(LowerError::PanelTooLarge { .. })) => {
                    refused = Some(error);
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            if program.pages() > MAX_PAGES && page_bytes < largest_bytes && search.options.page_bytes.is_none() {
                break;
            }
            // A lower limit that cuts nothing more gives the same program.
            if last[usize::from(joins_siblings)].replace(program.steps.len()) == Some(program.steps.len()) {
                continue;
            }
            candidates.push(at_least_memory(program, kernels, search)?);
        }
    }
    match refused {
        Some(error) if candidates.is_empty() => Err(error.into()),
        _ => Ok(candidates),
    }
}

/// A candidate at its least memory, with a schedule that costs no search.
fn at_least_memory(program: Program, kernels: &KernelCache, search: &Search<'_>) -> Result<Candidate, StageError> {
    let unlimited = Assembly {
        strategy: Strategy::OnDemand,
        slot_cap: u32::MAX,
        staging_pages: MIN_STAGING_PAGES,
        ..search.assembly.clone()
    };
    let min_slots = smallest_slots(&problem(&program, &unlimited)?, search.assembly.strategy)?;
    let assembled = planned(&program, kernels, &unlimited)?;
    let declared = peak_bytes(&assembled.plan)?;
    let extra = u64::from(min_slots.saturating_sub(assembled.plan.slot_count)) * program.page.page_bytes();
    Ok(Candidate { program, min_slots, min_peak_bytes: declared + extra })
}
