//! The schedule as an integer program, for a whole problem or a horizon of it.
//!
//! Takes a [`Horizon`] of boundaries (starts of steps) and a [`Goal`]; returns integer counts, a bound and whether they are
//! proven optimal. The search is limited by branch-and-bound nodes, never by the clock, so that results do not depend on the
//! machine. Times are in units of one page read, relative to the horizon's first state, which keeps all coefficients near 1.
//! It decides neither horizons nor goals (`optimal.rs`), and does not trust the solver: callers simulate what it returns.
//!
//! Variables at boundary b, where `s = b − 1` is the step that runs before it (before the first step nothing runs):
//! `V_b` ∈ ℤ pages uploaded by then (`u_s = V_b − V_{b−1}`), `τ_b` start, `a_b` pages read, `e_b` pages whose upload is paid for,
//! `w_b` pages that wait for a slot of step s, `peak` slots. Constants: `t_s` time, `C_s` capacity, `β` upload time of a page,
//! `R` ring, `P` pages. See docs/schedule.md.

use good_lp::variable::{ProblemVariables, UnsolvedProblem, VariableDefinition};
use good_lp::{Constraint, Expression, SolverModel, Variable, constraint, variable, variables};

use super::pipeline::{Interval, State};
use super::problem::{Demand, Problem};

/// What is minimised.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Goal {
    /// The start of the last boundary.
    Time,
    /// The number of slots, at least `min_slots`, with the last boundary starting no later than `latest_us`.
    Peak {
        /// Known lower bound.
        min_slots: u32,
        /// Limit of the last start.
        latest_us: f64,
    },
    /// Σ of resident pages over the boundaries, with the last one starting no later than `latest_us`.
    Residency {
        /// Limit of the last start.
        latest_us: f64,
    },
}

/// Boundaries `first..end`.
#[derive(Debug, Clone, PartialEq)]
pub struct Horizon {
    /// First boundary.
    pub first: u32,
    /// State at the boundary before it.
    pub before: State,
    /// One past the last boundary.
    pub end: u32,
    /// If the problem goes on after the horizon: a known plan's last state in it, which the result must dominate.
    pub goes_on_from: Option<State>,
    /// Slots; for [`Goal::Peak`] the most.
    pub slots: u32,
}

/// Who solves the problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IlpSolver {
    /// Pure Rust.
    Microlp,
    /// A C++ library.
    #[cfg(feature = "highs")]
    Highs,
}

/// Distance from an integer that is a solver's rounding error.
pub const ALMOST_INTEGRAL: f64 = 1e-6;

/// How hard to try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effort {
    /// Counts may be fractions: one linear program, whose value bounds the integer program's.
    Relaxed,
    /// Branch and bound of at most so many nodes.
    Nodes(u64),
}

/// Counts found by the solver.
#[derive(Debug, Clone, PartialEq)]
pub struct IlpSolution {
    /// `V_b` for every boundary of the horizon; integers up to rounding unless relaxed.
    pub uploaded: Vec<f64>,
    /// Slots: the horizon's, or the minimised ones.
    pub slots: u32,
    /// Proven lower bound of the objective: microseconds from time 0, slots, or pages.
    pub bound: f64,
    /// Whether the objective is proven optimal.
    pub proven: bool,
}

impl IlpSolution {
    /// The counts as integers, fractions rounded by `round`, which must be monotone.
    pub fn rounded(&self, round: impl Fn(f64) -> f64) -> Vec<u32> {
        self.uploaded.iter().map(|count| round(*count).max(0.0) as u32).collect()
    }
}

/// The variables of one boundary.
#[derive(Clone, Copy)]
struct Boundary {
    uploaded: Variable,
    start: Variable,
    read: Variable,
    excess: Variable,
    waiting: Variable,
}

/// Values of the previous boundary: constants before the horizon, variables inside.
struct Previous {
    uploaded: Expression,
    start: Expression,
    read: Expression,
}

/// Solves one horizon. `None` when the solver found nothing within its effort or failed.
pub fn solve(
    problem: &Problem,
    demand: &Demand,
    horizon: &Horizon,
    goal: Goal,
    effort: Effort,
    solver: IlpSolver,
) -> Option<IlpSolution> {
    let unit_us = problem.read_us();
    let relative = |time_us: f64| (time_us - horizon.before.start_us) / unit_us;
    let mut vars = variables!();
    let min_slots = match goal {
        Goal::Peak { min_slots, .. } => min_slots,
        Goal::Time | Goal::Residency { .. } => horizon.slots,
    };
    let count = || match effort {
        Effort::Relaxed => variable(),
        Effort::Nodes(_) => variable().integer(),
    };
    let peak = vars.add(count().bounds(f64::from(min_slots)..=f64::from(horizon.slots)));
    let boundaries: Vec<Boundary> = (horizon.first..horizon.end)
        .map(|b| boundary_variables(problem, demand, horizon, b, &mut vars, count()))
        .collect();
    let last = *boundaries.last()?;

    let objective: Expression = match goal {
        Goal::Time => last.start.into(),
        Goal::Peak { .. } => peak.into(),
        Goal::Residency { .. } => boundaries.iter().map(|boundary| boundary.uploaded).sum(),
    };
    let unsolved = vars.minimise(objective);
    let mut rows = Vec::new();
    let mut previous = Previous {
        uploaded: f64::from(horizon.before.uploaded).into(),
        start: 0.0.into(),
        read: horizon.before.read_pages.into(),
    };
    for (b, boundary) in (horizon.first..).zip(&boundaries) {
        rows.extend(boundary_rows(problem, demand, b, boundary, &previous, peak));
        previous =
            Previous { uploaded: boundary.uploaded.into(), start: boundary.start.into(), read: boundary.read.into() };
    }
    match goal {
        Goal::Time => {}
        // The latest finish of the levels above: τ_last ≤ latest.
        Goal::Peak { latest_us, .. } | Goal::Residency { latest_us } => {
            rows.push(constraint!(last.start <= relative(latest_us)));
        }
    }
    rows.extend(end_rows(horizon, last, relative));

    let solved = match solver {
        IlpSolver::Microlp => run_microlp(unsolved, rows, effort)?,
        #[cfg(feature = "highs")]
        IlpSolver::Highs => run_highs(unsolved, rows, effort)?,
    };
    let uploaded = (0..boundaries.len()).map(|index| solved.values[1 + index * VARIABLES_PER_BOUNDARY]);
    let bound = match goal {
        Goal::Time => horizon.before.start_us + solved.bound * unit_us,
        Goal::Peak { .. } | Goal::Residency { .. } => solved.bound,
    };
    Some(IlpSolution {
        uploaded: uploaded.collect(),
        slots: (solved.values[0] - ALMOST_INTEGRAL).ceil() as u32,
        bound,
        proven: solved.proven,
    })
}

/// The variables of boundary `b`; `count` says whether counts are integers.
fn boundary_variables(
    problem: &Problem,
    demand: &Demand,
    horizon: &Horizon,
    b: u32,
    vars: &mut ProblemVariables,
    count: VariableDefinition,
) -> Boundary {
    let most = demand.dead[b as usize].saturating_add(horizon.slots).min(problem.page_count());
    Boundary {
        // load before use: V_b ≥ needed(b); the upper bound is implied by residency.
        uploaded: vars.add(count.bounds(f64::from(demand.needed[b as usize])..=f64::from(most))),
        start: vars.add(variable().min(0)),
        read: vars.add(variable().bounds(0.0..=f64::from(problem.page_count()))),
        excess: vars.add(variable().min(0)),
        waiting: vars.add(variable().min(0)),
    }
}

/// Variables are created in this order: `peak`, then for each boundary the fields of [`Boundary`].
const VARIABLES_PER_BOUNDARY: usize = 5;

/// The rows of one boundary.
fn boundary_rows(
    problem: &Problem,
    demand: &Demand,
    b: u32,
    boundary: &Boundary,
    previous: &Previous,
    peak: Variable,
) -> Vec<Constraint> {
    let Interval { execute_us, capacity_pages, dead } = Interval::before(problem, demand, b);
    let execute = execute_us / problem.read_us();
    let upload = problem.upload_us() / problem.read_us();
    let staging = f64::from(problem.staging_pages);
    let dead_after = f64::from(demand.dead[b as usize]);
    let Boundary { uploaded, start, read, excess, waiting } = *boundary;
    vec![
        // order: V_b ≥ V_{b−1}
        constraint!(uploaded >= previous.uploaded.clone()),
        // residency: V_b − dead(b) ≤ peak
        constraint!(uploaded - peak <= dead_after),
        // waiting: w_b ≥ V_b − dead(s) − peak   (slots that step s still holds)
        constraint!(waiting >= uploaded - peak - f64::from(dead)),
        // excess: e_b ≥ w_b  and  e_b ≥ V_b − V_{b−1} − C_s
        constraint!(excess >= waiting),
        constraint!(excess >= uploaded - previous.uploaded.clone() - f64::from(capacity_pages)),
        // execution: τ_b ≥ τ_{b−1} + t_s + β·e_b
        constraint!(start >= previous.start.clone() + execute + upload * excess),
        // disk: a_b − a_{b−1} ≤ τ_b − τ_{b−1}
        constraint!(read - previous.read.clone() <= start - previous.start.clone()),
        // arrival: V_b ≤ a_b
        constraint!(uploaded <= read),
        // ring: a_b ≤ V_b + R  and  a_b ≤ V_b − w_b + R + (τ_b − τ_{b−1} − t_s)
        constraint!(read <= uploaded + staging),
        constraint!(read <= uploaded - waiting + staging + start - previous.start.clone() - execute),
    ]
}

/// Completeness, or what the rest of the problem needs from the horizon's end.
fn end_rows(horizon: &Horizon, last: Boundary, relative: impl Fn(f64) -> f64) -> Vec<Constraint> {
    match horizon.goes_on_from {
        // completeness V_last = P: the last boundary's lower bound, since every page is needed by the last step.
        None => Vec::new(),
        Some(end) => vec![
            // The same counts go on from a state that is no later and has read no less: V = V°, τ ≤ τ°, a + (τ° − τ) ≥ a°
            constraint!(last.uploaded == f64::from(end.uploaded)),
            constraint!(last.start <= relative(end.start_us)),
            constraint!(last.read - last.start >= end.read_pages - relative(end.start_us) - DOMINATION_SLACK),
        ],
    }
}

/// Rounding allowance, in pages, of the row that compares two states.
const DOMINATION_SLACK: f64 = 1e-9;

/// What comes back from a solver; values in the order in which variables were made.
struct Solved {
    values: Vec<f64>,
    bound: f64,
    proven: bool,
}

fn run_microlp(unsolved: UnsolvedProblem, rows: Vec<Constraint>, effort: Effort) -> Option<Solved> {
    use good_lp::solvers::microlp::microlp;
    let model = rows.into_iter().fold(unsolved.using(microlp), |model, row| model.with(row));
    // good_lp has no node limit, so the model it built is handed to microlp directly.
    let mut options = ::microlp::SolveOptions::default();
    options.node_limit = match effort {
        Effort::Relaxed => None,
        Effort::Nodes(limit) => Some(limit),
    };
    let solution = model.as_inner().solve_with(options).ok()?.into_solution().ok()?;
    let values = solution.iter().map(|(_, value)| value).collect();
    let bound = solution.stats().best_bound.unwrap_or(f64::NEG_INFINITY);
    Some(Solved { values, bound, proven: solution.status() == ::microlp::SolutionStatus::Optimal })
}

#[cfg(feature = "highs")]
fn run_highs(unsolved: UnsolvedProblem, rows: Vec<Constraint>, effort: Effort) -> Option<Solved> {
    use good_lp::solvers::highs::highs;
    let model = rows.into_iter().fold(unsolved.using(highs), |model, row| model.with(row));
    // good_lp says neither the bound nor how a search ended, so the model it built is handed to HiGHS directly.
    let mut model = model.try_into_inner().ok()?;
    model.make_quiet();
    // One thread and no limit of time: equal problems give equal results.
    model.try_set_option("threads", 1).ok()?;
    model.try_set_option("mip_rel_gap", 0.0).ok()?;
    model.try_set_option("mip_abs_gap", 1e-9).ok()?;
    if let Effort::Nodes(limit) = effort {
        model.try_set_option("mip_max_nodes", i32::try_from(limit).unwrap_or(i32::MAX)).ok()?;
    }
    let solved = model.try_solve().ok()?;
    if solved.primal_solution_status() != ::highs::HighsSolutionStatus::Feasible {
        return None;
    }
    let bound = match effort {
        Effort::Relaxed => solved.objective_value(),
        Effort::Nodes(_) => solved.double_info_value(c"mip_dual_bound").ok()?,
    };
    let values = solved.get_solution().columns().to_vec();
    Some(Solved { values, bound, proven: solved.status() == ::highs::HighsModelStatus::Optimal })
}
