//! How a schedule is asked for, what a schedule is, and why there is none: plain data.

use super::problem::ProblemError;

/// How a schedule is chosen; all but `Optimal` are baselines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Strategy {
    /// Least time, then fewest slots, then least residency.
    Optimal,
    /// The fastest one-pass plan, with all the slots that it can use.
    Greedy,
    /// All pages before the first step.
    PreloadAll,
    /// Each step's pages just before it, in the fewest slots.
    OnDemand,
    /// Each step's pages beside the step before it.
    AlwaysNext,
    /// Each page beside the last step of its consumer's class before the consumer.
    SameOpType,
}

impl Strategy {
    /// All strategies.
    pub const ALL: [Self; 6] =
        [Self::Optimal, Self::Greedy, Self::PreloadAll, Self::OnDemand, Self::AlwaysNext, Self::SameOpType];

    /// Name on the command line and in bundles.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Optimal => "optimal",
            Self::Greedy => "greedy",
            Self::PreloadAll => "preload-all",
            Self::OnDemand => "on-demand",
            Self::AlwaysNext => "always-next",
            Self::SameOpType => "same-op-type",
        }
    }
}

/// What searches when a one-pass plan is not provably optimal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum SolverKind {
    /// Exact search over the undominated states at every start of a step; needs no solver.
    #[default]
    Frontier,
    /// The integer program with microlp, in pure Rust: whole up to 24 steps, beyond in overlapping horizons.
    Microlp,
    /// The integer program with HiGHS: whole up to 512 steps, beyond in overlapping horizons.
    #[cfg(feature = "highs")]
    Highs,
}

impl SolverKind {
    /// All solvers of this build; the first is the default.
    pub const ALL: &[Self] = &[
        Self::Frontier,
        Self::Microlp,
        #[cfg(feature = "highs")]
        Self::Highs,
    ];

    /// Name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Frontier => "frontier",
            Self::Microlp => "microlp",
            #[cfg(feature = "highs")]
            Self::Highs => "highs",
        }
    }

    /// Name in bundles.
    pub const fn description(self) -> &'static str {
        match self {
            Self::Frontier => "frontier of states",
            Self::Microlp => "good_lp 1.15 with microlp 0.6",
            #[cfg(feature = "highs")]
            Self::Highs => "good_lp 1.15 with HiGHS 1.16",
        }
    }
}

/// What is known about a schedule's finish time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SolverStatus {
    /// It equals the lower bound: no schedule is faster.
    Optimal,
    /// Searched; `gap` says how far from the bound.
    Feasible,
    /// Built in one pass, not searched; `gap` says how far from the bound.
    Greedy,
}

impl SolverStatus {
    /// Name in bundles.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Optimal => "optimal",
            Self::Feasible => "feasible",
            Self::Greedy => "greedy",
        }
    }
}

/// How a schedule came about.
#[derive(Debug, Clone, PartialEq)]
pub struct SolverReport {
    /// What found it.
    pub solver: &'static str,
    /// What is proven.
    pub status: SolverStatus,
    /// `(objective − lower bound) / objective`, 0 when proven optimal.
    pub gap: f64,
    /// The finish time.
    pub objective_us: f64,
    /// No schedule under the cap finishes earlier.
    pub lower_bound_us: f64,
    /// No schedule as fast as this one has fewer slots; equals `peak_pages` when that is proven minimal. For strategies
    /// other than `Optimal`, the smallest feasible number of slots.
    pub peak_lower_bound_pages: u32,
    /// Wall clock of the search; not stored in bundles.
    pub ms: f64,
}

/// When pages are uploaded and steps start.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    /// Index s: pages uploaded after step s − 1 was issued and before step s is; entry 0 is the preload.
    pub uploads_before_step: Vec<u32>,
    /// Predicted start of every step, from the start of reading.
    pub step_start_us: Vec<f64>,
    /// Predicted end of the last step.
    pub finish_us: f64,
    /// Slots of the arena: no more pages are ever resident.
    pub peak_pages: u32,
    /// How it came about.
    pub report: SolverReport,
}

/// Why there is no schedule.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ScheduleError {
    /// The slots do not suffice for this strategy.
    #[error("{slot_cap} page slots do not suffice: at least {smallest_slots} are needed")]
    Infeasible {
        /// The smallest number of slots that would work.
        smallest_slots: u32,
        /// The slots that there are.
        slot_cap: u32,
    },
    /// The problem contradicts itself.
    #[error("the scheduling problem is inconsistent")]
    Problem(#[from] ProblemError),
}

/// What made a plan that nothing searched for, as stored in bundles.
pub(super) const ONE_PASS: &str = "one pass and closed-form bounds";
