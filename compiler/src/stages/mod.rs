//! The stages behind optimisation for one candidate of the search: one call a stage, and a check behind every producer.
//!
//! A program is lowered once for a page size, and scheduled for every arena and ring that the search tries; hence two functions.
//! What comes out is checked once more when the search has decided (`compile.rs`): plan-format's rules and its replay.

mod problem;

pub use problem::{problem, problem_of_plan, schedule_of_plan, step_pages_of_plan};

use crate::bundle::{AssembleError, Assembled, Assembly, assemble, step_pages};
use crate::emit::{EmitError, KernelCache, Linked};
use crate::graph::Graph;
use crate::lower::program::Program;
use crate::lower::verify::{self as lowering, verify as verify_lowering};
use crate::lower::{LowerError, LowerOptions, lower};
use crate::schedule::verify::{self as scheduling, verify_commands, verify_schedule};
use crate::schedule::{ScheduleError, emit_commands, schedule_with};
use std::fmt::Display;
use std::rc::Rc;

/// A stage refuses, or broke its own rules.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// A node cannot be lowered.
    #[error(transparent)]
    Lower(#[from] LowerError),
    /// The independent checker found violations: a mistake of lowering.
    #[error("the program violates its own rules: {}", listed(.0))]
    LoweringInvalid(Vec<lowering::Violation>),
    /// There is no schedule.
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
    /// The independent checker found violations: a mistake of the scheduler.
    #[error("the schedule violates its own rules: {}", listed(.0))]
    ScheduleInvalid(Vec<scheduling::Violation>),
    /// A kernel does not link.
    #[error(transparent)]
    Emit(#[from] EmitError),
    /// The plan cannot be assembled.
    #[error(transparent)]
    Assemble(#[from] AssembleError),
}

fn listed<V: Display>(violations: &[V]) -> String {
    violations.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// `Graph` → [`Program`], for the pages of `options`.
///
/// # Errors
/// See [`StageError`].
pub fn lowered(graph: &Graph, options: &LowerOptions) -> Result<Program, StageError> {
    let program = lower(graph, options)?;
    none(verify_lowering(&program), StageError::LoweringInvalid)?;
    Ok(program)
}

/// [`Program`] → `Problem` → `Schedule` → `CommandStream`, and with the linked kernels → `Plan`, for the slots and the ring of
/// `assembly`. `schedule_with` checks the problem; `KernelCache` reflects every kernel and compares it with its row.
///
/// # Errors
/// See [`StageError`].
pub fn planned(program: &Program, kernels: &KernelCache, assembly: &Assembly<'_>) -> Result<Assembled, StageError> {
    let (problem, pages) = (problem(program, assembly)?, step_pages(program));
    let schedule = schedule_with(&problem, assembly.strategy, assembly.solver)?;
    none(verify_schedule(&problem, &schedule), StageError::ScheduleInvalid)?;
    let stream = emit_commands(&problem, &schedule, &pages);
    none(verify_commands(&problem, &schedule, &stream, &pages), StageError::ScheduleInvalid)?;
    let linked = linked(program, kernels)?;
    let plan = assemble(program, &problem, &schedule, &stream, &linked, assembly)?;
    Ok(Assembled { plan, schedule })
}

/// The kernels of all steps.
fn linked(program: &Program, kernels: &KernelCache) -> Result<Vec<Rc<Linked>>, EmitError> {
    program.steps.iter().map(|step| kernels.get(step.link_key())).collect()
}

fn none<V>(violations: Vec<V>, error: fn(Vec<V>) -> StageError) -> Result<(), StageError> {
    if violations.is_empty() { Ok(()) } else { Err(error(violations)) }
}
