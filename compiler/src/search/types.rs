//! What is searched for and what comes out, as plain data.

use crate::bundle::{AssembleError, Assembled, Assembly};
use crate::kernels::Math;
use crate::lower::program::Program;
use crate::schedule::ScheduleError;
use crate::stages::StageError;
use flashmem_plan_format::plan::{Encoding, Plan};

/// Time that may be given up for memory.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Slack {
    /// Any: the least memory, whatever the time.
    Unlimited,
    /// This fraction of the best predicted time under the budget, at least 0: 0.05 is 5 %.
    Fraction(f64),
}

/// What the search needs to know.
#[derive(Debug, Clone)]
pub struct Search<'a> {
    /// How weights are stored, apart from those that only f32 holds.
    pub encoding: Encoding,
    /// What products with weights are computed in.
    pub math: Math,
    /// Most bytes of one tensor.
    pub max_binding_bytes: u64,
    /// The budget.
    pub budget_bytes: Option<u64>,
    /// When the least memory is requested: how much slower than the best it may be.
    pub slack: Option<Slack>,
    /// Bytes of a page, where they are requested.
    pub page_bytes: Option<u64>,
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
    /// All pages shall stay resident, and the budget does not allow it.
    #[error("keeping every page resident needs {needed_bytes} bytes, more than the budget of {budget_bytes} bytes")]
    KeepAll {
        /// The declared peak with every page resident.
        needed_bytes: u64,
        /// The budget.
        budget_bytes: u64,
    },
    /// A stage refuses. When no candidate can be lowered, the reason is that of the candidate with the largest pages.
    #[error(transparent)]
    Stage(#[from] StageError),
}

impl From<ScheduleError> for BudgetError {
    fn from(error: ScheduleError) -> Self {
        Self::Stage(error.into())
    }
}

/// The declared peak of a plan.
///
/// # Errors
/// [`AssembleError::MemoryOverflow`].
pub fn peak_bytes(plan: &Plan) -> Result<u64, StageError> {
    Ok(plan.memory.total_bytes().ok_or(AssembleError::MemoryOverflow)?)
}
