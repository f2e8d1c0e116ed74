//! Optimise, lower, schedule and assemble, and again with some fusions undone while that is faster (adaptive fusion).
//!
//! Takes the imported graph; returns the solution that is kept. It deliberately tries a fixed number of times, so that equal
//! models give equal bundles.

use super::budget::search;
use super::fusion::{FusionReport, Proposal, Split, propose};
use super::residency::keep_pages;
use super::types::{BudgetError, Planned, Search, peak_bytes};
use crate::bundle::half::HalfSummary;
use crate::bundle::precision::PrecisionSummary;
use crate::bundle::{Assembled, Assembly};
use crate::emit::KernelCache;
use crate::graph::origin::OriginId;
use crate::graph::verify::{Violation, verify};
use crate::graph::{Graph, Siblings};
use crate::kernels::Math;
use crate::lower::LowerOptions;
use crate::lower::blocks::choose;
use crate::lower::bounds::scales;
use crate::lower::half::{HalfReport, into_range};
use crate::lower::program::Program;
use crate::lower::siblings;
use crate::optimize::{OptimizeError, OptimizeOptions, OptimizeReport, optimize, split_large, split_long_sums};
use crate::options::{CompileOptions, Keep};
use crate::precision::{Decision, PrecisionError, PrecisionReport, Request, decide};
use crate::schedule::Strategy;
use crate::stages::StageError;
use flashmem_plan_format::plan::{Encoding, PageGeometry, Provenance};
use std::cell::OnceCell;

/// Solutions with undone fusions that are tried, at most.
const MAX_ATTEMPTS: u32 = 4;

/// Rows of pages that are large enough for any weight, where nothing but the places of weights matters.
const LARGEST_PAGE_ROWS: u32 = 8192;

/// Option of an epilogue that was split: a bundle has an entry for each.
pub const SPLIT_OPTION: &str = "split epilogue";

/// There is no plan.
#[derive(Debug, thiserror::Error)]
pub enum SolveError {
    /// The graph cannot be optimised.
    #[error(transparent)]
    Optimize(#[from] OptimizeError),
    /// A stage left a malformed graph behind: our mistake.
    #[error("{stage} left a malformed graph: {}", .violations.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Malformed {
        /// The stage.
        stage: &'static str,
        /// What is wrong.
        violations: Vec<Violation>,
    },
    /// No encodings can be chosen.
    #[error(transparent)]
    Precision(#[from] PrecisionError),
    /// Undone fusions left other siblings.
    #[error("with these epilogues on their own, other products would be computed in one call")]
    Siblings,
    /// The graph cannot be lowered, or not within the budget.
    #[error(transparent)]
    Budget(#[from] BudgetError),
}

impl From<StageError> for SolveError {
    fn from(error: StageError) -> Self {
        Self::Budget(error.into())
    }
}

/// Checks what a stage made of a graph.
///
/// # Errors
/// [`SolveError::Malformed`].
pub fn check(stage: &'static str, graph: &Graph) -> Result<(), SolveError> {
    let violations = verify(graph);
    if violations.is_empty() { Ok(()) } else { Err(SolveError::Malformed { stage, violations }) }
}

/// A program with its plan, and how it came about.
#[derive(Debug)]
pub struct Solution {
    /// The graph that was lowered.
    pub graph: Graph,
    /// What the optimiser did.
    pub optimized: OptimizeReport,
    /// The program.
    pub program: Program,
    /// Its plan and schedule.
    pub assembled: Assembled,
    /// What adaptive fusion decided.
    pub fusion: FusionReport,
    /// What was done for half precision.
    pub half: HalfReport,
    /// How every weight is stored, where that is not in one format of floats.
    pub precision: Option<PrecisionReport>,
    /// What decided it.
    pub decision: Option<Decision>,
}

/// What all attempts have in common.
struct Attempts<'a> {
    imported: &'a Graph,
    options: &'a CompileOptions,
    /// Without what the search adds.
    provenance: &'a Provenance,
    kernels: KernelCache,
    /// How weights are stored, decided once.
    decision: OnceCell<Decision>,
    /// Origins of the siblings with every fusion whole: kernels are chosen for them, and no budget may choose others.
    siblings: OnceCell<Vec<Vec<Vec<OriginId>>>>,
}

/// The best solution for a graph, with weights stored as was decided before for the same graph and options, where it was.
///
/// # Errors
/// Those of the stages, with every fusion whole.
pub fn solve(
    imported: &Graph,
    options: &CompileOptions,
    provenance: &Provenance,
    decision: Option<Decision>,
) -> Result<Solution, SolveError> {
    let decision = decision.map_or_else(OnceCell::new, OnceCell::from);
    let attempts = Attempts {
        imported,
        options,
        provenance,
        kernels: KernelCache::new(options.math),
        decision,
        siblings: OnceCell::new(),
    };
    let whole = attempts.with_splits(Vec::new())?;
    // Only an optimised schedule is short of capacity for a reason that fusion can change, and only time is. Where everything is
    // kept, all runs but the first find their pages, and a split would only be one kernel more.
    let adaptive =
        options.strategy == Strategy::Optimal && options.objective.slack().is_none() && options.keep != Keep::All;
    let mut best = if adaptive { attempts.adapt(whole)? } else { whole };
    let keep = match (options.keep, options.objective.slack()) {
        (Keep::Auto, Some(_)) => Keep::None,
        (keep @ (Keep::Auto | Keep::None | Keep::All), Some(_) | None) => keep,
    };
    let provenance = attempts.provenance_of(&best.fusion.splits, &best.half, best.precision.as_ref());
    let assembly = attempts.assembly(&provenance);
    best.assembled = keep_pages(&best.program, &assembly, best.assembled, keep)?;
    best.decision = attempts.decision.into_inner();
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

    fn provenance_of(&self, splits: &[Split], half: &HalfReport, precision: Option<&PrecisionReport>) -> Provenance {
        let mut provenance = self.provenance.clone();
        provenance.options.extend(splits.iter().map(|split| (SPLIT_OPTION.to_owned(), split.node.clone())));
        provenance.options.extend(HalfSummary::of_report(half).options());
        provenance
            .options
            .extend(precision.map(PrecisionSummary::of_report).iter().flat_map(PrecisionSummary::options));
        provenance
    }

    /// Optimises, lowers and solves with these epilogues on their own.
    fn with_splits(&self, splits: Vec<Split>) -> Result<Solution, SolveError> {
        let mut graph = self.imported.clone();
        let keep_apart = splits.iter().flat_map(|split| split.epilogue.iter().copied()).collect();
        // What is not stored in blocks is stored in halves then.
        let (blocks, floats) = match self.options.weights {
            float @ (Encoding::F32 | Encoding::F16) => (None, float),
            Encoding::Block(block) => (Some(block.bits), Encoding::F16),
        };
        let lower = self.options.lower_options(floats);
        let max_loop_rounds = lower.max_rounds;
        let optimize_options = OptimizeOptions { keep_apart, max_loop_rounds, ..OptimizeOptions::default() };
        let optimized = optimize(&mut graph, &optimize_options)?;
        check("optimise", &graph)?;
        split_large(&mut graph, lower.max_binding_bytes)?;
        if let Some(max_rounds) = max_loop_rounds {
            split_long_sums(&mut graph, max_rounds)?;
        }
        check("split", &graph)?;
        if let Some(bits) = blocks {
            choose(&mut graph, bits);
        }
        let half = if floats == Encoding::F16 { into_range(&mut graph) } else { HalfReport::default() };
        check("half", &graph)?;
        let precision = self.with_encodings(&mut graph, &lower)?;
        if self.options.math == Math::Mixed {
            graph.scales = scales(&graph);
        }
        siblings::find(&mut graph, lower.max_binding_bytes);
        self.keep_siblings(&mut graph)?;
        let provenance = self.provenance_of(&splits, &half, precision.as_ref());
        let to_find = Search { options: self.options, lower, assembly: self.assembly(&provenance) };
        let Planned { program, assembled } = search(&graph, &self.kernels, &to_find)?;
        let whole_us = assembled.schedule.finish_us;
        let fusion = FusionReport { capacity_binds: false, whole_us, splits };
        Ok(Solution { graph, optimized, program, assembled, fusion, half, precision, decision: None })
    }

    /// Leaves those siblings that the first graph has, which are to be all of its.
    fn keep_siblings(&self, graph: &mut Graph) -> Result<(), SolveError> {
        let origins = |siblings: &Siblings, graph: &Graph| -> Vec<Vec<OriginId>> {
            siblings.members.iter().map(|id| graph.origins.ids(graph.node(*id).origin).to_vec()).collect()
        };
        let all = |graph: &Graph| graph.siblings.iter().map(|siblings| origins(siblings, graph)).collect();
        let first = self.siblings.get_or_init(|| all(graph));
        let mut kept = std::mem::take(&mut graph.siblings);
        kept.retain(|siblings| first.contains(&origins(siblings, graph)));
        graph.siblings = kept;
        if graph.siblings.len() == first.len() { Ok(()) } else { Err(SolveError::Siblings) }
    }

    /// Has constants stored as is decided for the first graph, where there is anything to decide or to tell.
    fn with_encodings(&self, graph: &mut Graph, lower: &LowerOptions) -> Result<Option<PrecisionReport>, SolveError> {
        let options = &self.options.precision;
        let in_blocks = matches!(self.options.weights, Encoding::Block(_));
        if !options.needs_samples() && !in_blocks {
            return Ok(None);
        }
        let lower = LowerOptions { page: PageGeometry { rows: LARGEST_PAGE_ROWS }, ..lower.clone() };
        let decision = match self.decision.get() {
            Some(decision) => decision,
            None => {
                let decision = decide(graph, &Request { options, lower: &lower })?;
                self.decision.get_or_init(|| decision)
            }
        };
        if options.goal.is_some() || options.weighed {
            decision.apply(graph, &lower)?;
        }
        Ok(Some(decision.report.clone()))
    }

    /// Splits what is predicted to pay, then half of it, …, and goes on from the first solution that is better.
    fn adapt(&self, whole: Solution) -> Result<Solution, SolveError> {
        let whole_us = whole.assembled.schedule.finish_us;
        let (mut best, mut attempts, mut binds) = (whole, 0, None);
        'rounds: while attempts < MAX_ATTEMPTS {
            let proposal = self.propose(&best)?;
            binds.get_or_insert(proposal.capacity_binds);
            let mut count = proposal.splits.len();
            while count > 0 && attempts < MAX_ATTEMPTS {
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

    fn propose(&self, solution: &Solution) -> Result<Proposal, StageError> {
        let plan = &solution.assembled.plan;
        let assembly = self.assembly(self.provenance);
        let slots_and_ring = Assembly { slot_cap: plan.slot_count, staging_pages: plan.staging_pages, ..assembly };
        Ok(propose(&solution.program, &slots_and_ring)?)
    }
}

/// Less predicted time, or as much and a smaller peak on the device: host memory holds the plan's texts.
fn is_better(found: &Assembled, than: &Assembled) -> Result<bool, StageError> {
    const TIME_TOLERANCE: f64 = 1e-6;
    let us = |assembled: &Assembled| assembled.schedule.finish_us;
    let peak =
        |assembled: &Assembled| Ok::<u64, StageError>(peak_bytes(&assembled.plan)? - assembled.plan.memory.host_bytes);
    let as_fast = us(found) <= us(than) * (1.0 + TIME_TOLERANCE);
    Ok(us(found) < us(than) * (1.0 - TIME_TOLERANCE) || (as_fast && peak(found)? < peak(than)?))
}
