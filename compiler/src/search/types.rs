//! What is searched for and what comes out, as plain data.

use crate::bundle::{AssembleError, Assembled, Assembly};
use crate::lower::LowerOptions;
use crate::lower::program::Program;
use crate::options::CompileOptions;
use crate::schedule::ScheduleError;
use crate::stages::StageError;
use flashmem_plan_format::plan::Plan;

/// What the search needs to know.
#[derive(Debug, Clone)]
pub struct Search<'a> {
    /// What is asked for.
    pub options: &'a CompileOptions,
    /// What lowering may assume; every candidate has its own pages.
    pub lower: LowerOptions,
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
