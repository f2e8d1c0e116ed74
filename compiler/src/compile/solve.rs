//! Optimise, lower, schedule and assemble, and again with some fusions undone while that is faster (adaptive fusion).
//!
//! Takes the imported graph; gives the solution that is kept. It deliberately tries a fixed number of times, so that equal
//! models give equal bundles.

use super::half::HalfSummary;
use super::{CompileError, CompileOptions, Objective, check};
use crate::bundle::budget::{BudgetError, Planned, Search, search};
use crate::bundle::{Assembled, Assembly, BundleError, FusionReport, Keep, Links, Split, keep_pages, propose};
use crate::graph::Graph;
use crate::lower::half::{HalfReport, into_range};
use crate::lower::program::Program;
use crate::optimize::{OptimizeOptions, OptimizeReport, optimize, split_large, split_long_sums};
use crate::schedule::Strategy;
use flashmem_plan_format::plan::{Provenance, TexelFormat};

/// Solutions with undone fusions that are tried, at most.
const MOST_ATTEMPTS: u32 = 4;

/// Name of the option under which a bundle lists the epilogues that were split.
pub const SPLIT_OPTION: &str = "split epilogues";

/// A program with its plan, and how it came about.
pub(super) struct Solution {
    pub(super) graph: Graph,
    pub(super) optimized: OptimizeReport,
    pub(super) program: Program,
    pub(super) assembled: Assembled,
    pub(super) fusion: FusionReport,
    pub(super) half: HalfReport,
}

/// What all attempts have in common.
struct Attempts<'a> {
    imported: &'a Graph,
    options: &'a CompileOptions,
    provenance: &'a Provenance,
    links: Links,
}

/// The best solution for a graph.
///
/// # Errors
/// Those of the stages, with every fusion whole.
pub(super) fn solve(
    imported: &Graph,
    options: &CompileOptions,
    provenance: &Provenance,
) -> Result<Solution, CompileError> {
    let mut attempts = Attempts { imported, options, provenance, links: Links::default() };
    let whole = attempts.with_splits(Vec::new())?;
    // Only an optimised schedule is short of capacity for a reason that fusion can change, and only time is.
    let adaptive = options.strategy == Strategy::Optimal && options.objective == Objective::Latency;
    let mut best = if adaptive { attempts.adapt(whole)? } else { whole };
    let keep = match (options.keep, options.objective) {
        (Keep::Auto, Objective::Memory { .. }) => Keep::None,
        (keep @ (Keep::Auto | Keep::None | Keep::All), Objective::Latency | Objective::Memory { .. }) => keep,
    };
    let provenance = attempts.provenance_of(&best.fusion.splits, &best.half);
    let assembly = attempts.assembly(&provenance);
    best.assembled = keep_pages(&best.program, &assembly, best.assembled, keep)?;
    Ok(best)
}

impl Attempts<'_> {
    fn assembly<'p>(&'p self, provenance: &'p Provenance) -> Assembly<'p> {
        Assembly {
            profile: &self.options.profile,
            strategy: self.options.strategy,
            solver: self.options.solver,
            slot_cap: self.options.profile.limits.texture_array_layers,
            staging_pages: 2,
            budget_bytes: self.options.budget_bytes,
            provenance,
        }
    }

    fn provenance_of(&self, splits: &[Split], half: &HalfReport) -> Provenance {
        let mut provenance = self.provenance.clone();
        if !splits.is_empty() {
            let nodes: Vec<&str> = splits.iter().map(|split| split.node.as_str()).collect();
            provenance.options.push((SPLIT_OPTION.to_owned(), nodes.join(", ")));
        }
        provenance.options.extend(HalfSummary::of_report(half).options());
        provenance
    }

    /// Optimises, lowers and solves with these epilogues on their own.
    fn with_splits(&mut self, splits: Vec<Split>) -> Result<Solution, CompileError> {
        let mut graph = self.imported.clone();
        let keep_apart = splits.iter().flat_map(|split| split.epilogue.iter().copied()).collect();
        let most_loop_rounds = self.options.profile.limits.loop_rounds.map(u64::from);
        let optimize_options = OptimizeOptions { keep_apart, most_loop_rounds, ..OptimizeOptions::default() };
        let optimized = optimize(&mut graph, &optimize_options)?;
        check("optimise", &graph)?;
        let max_binding_bytes = self.options.profile.limits.storage_binding_bytes;
        split_large(&mut graph, max_binding_bytes)?;
        if let Some(most_rounds) = most_loop_rounds {
            split_long_sums(&mut graph, most_rounds)?;
        }
        check("split", &graph)?;
        let half = match self.options.weights {
            TexelFormat::Rgba16Float => into_range(&mut graph).map_err(BudgetError::from)?,
            TexelFormat::Rgba32Float => HalfReport::default(),
        };
        check("half", &graph)?;
        let provenance = self.provenance_of(&splits, &half);
        let mut links = std::mem::take(&mut self.links);
        let planned = search(
            &graph,
            &mut links,
            &Search {
                format: self.options.weights,
                max_binding_bytes,
                budget_bytes: self.options.budget_bytes,
                slack: match self.options.objective {
                    Objective::Latency => None,
                    Objective::Memory { slack } => Some(slack),
                },
                all_resident: self.options.keep == Keep::All,
                assembly: self.assembly(&provenance),
            },
        );
        self.links = links;
        let Planned { program, assembled } = planned?;
        let whole_us = assembled.schedule.finish_us;
        let fusion = FusionReport { capacity_binds: false, whole_us, splits };
        Ok(Solution { graph, optimized, program, assembled, fusion, half })
    }

    /// Splits what is predicted to pay, then half of it, …, and goes on from the first solution that is better.
    fn adapt(&mut self, whole: Solution) -> Result<Solution, CompileError> {
        let whole_us = whole.assembled.schedule.finish_us;
        let (mut best, mut attempts, mut binds) = (whole, 0, None);
        'rounds: while attempts < MOST_ATTEMPTS {
            let proposal = self.propose(&best)?;
            binds.get_or_insert(proposal.capacity_binds);
            let mut count = proposal.splits.len();
            while count > 0 && attempts < MOST_ATTEMPTS {
                attempts += 1;
                let splits = best.fusion.splits.iter().chain(&proposal.splits[..count]).cloned().collect();
                // An attempt that fails, by the memory of results in between for one, is one that is not better.
                match self.with_splits(splits) {
                    Ok(found) if is_better(&found.assembled, &best.assembled)? => {
                        best = found;
                        continue 'rounds;
                    }
                    Ok(_) | Err(_) => count /= 2,
                }
            }
            break;
        }
        best.fusion.whole_us = whole_us;
        best.fusion.capacity_binds = binds.unwrap_or(false);
        Ok(best)
    }

    fn propose(&self, solution: &Solution) -> Result<crate::bundle::Proposal, BundleError> {
        let plan = &solution.assembled.plan;
        let assembly = self.assembly(self.provenance);
        let slots_and_ring = Assembly { slot_cap: plan.slot_count, staging_pages: plan.staging_pages, ..assembly };
        propose(&solution.program, &slots_and_ring)
    }
}

/// Less predicted time, or as much and a smaller peak on the device: host memory holds the plan's texts.
fn is_better(found: &Assembled, than: &Assembled) -> Result<bool, BundleError> {
    const TIME_TOLERANCE: f64 = 1e-6;
    let us = |assembled: &Assembled| assembled.schedule.finish_us;
    let peak = |assembled: &Assembled| {
        let memory = &assembled.plan.memory;
        let total = memory.total_bytes().ok_or(BundleError::MemoryOverflow);
        total.map(|total| total - memory.host_bytes)
    };
    let as_fast = us(found) <= us(than) * (1.0 + TIME_TOLERANCE);
    Ok(us(found) < us(than) * (1.0 - TIME_TOLERANCE) || (as_fast && peak(found)? < peak(than)?))
}
