//! The scheduling problem of a program on a device; and that of a plan, which holds all of it.

use crate::bundle::{Assembly, step_pages};
use crate::lower::program::Program;
use crate::narrow::count32;
use crate::schedule::{Problem, Schedule, ScheduleError, SolverKind, StepData, Strategy, page_uses, schedule_with};
use flashmem_plan_format::plan::Plan;
use std::ops::Range;

/// The scheduling problem of a program.
///
/// # Errors
/// [`ScheduleError::Problem`] when the page ranges contradict each other.
pub fn problem(program: &Program, assembly: &Assembly<'_>) -> Result<Problem, ScheduleError> {
    let page_bytes = program.page.page_bytes();
    let profile = assembly.profile;
    let steps = program
        .steps
        .iter()
        .map(|s| {
            let execute_us = profile.step_cost(s.cost.class, s.cost.flops as u64, s.cost.bytes as u64);
            let capacity_pages = profile.capacity_pages(s.cost.class, execute_us, page_bytes);
            StepData { class: s.cost.class, execute_us, capacity_pages }
        })
        .collect();
    let pages = page_uses(&step_pages(program), count32(program.pages()))?;
    Ok(Problem {
        page_bytes,
        steps,
        pages,
        slot_cap: assembly.slot_cap,
        staging_pages: assembly.staging_pages,
        disk_bytes_per_us: profile.disk_bytes_per_us(),
        upload_bytes_per_us: profile.upload_bytes_per_us(),
    })
}

/// The scheduling problem that a plan was made for, from what it holds.
///
/// # Errors
/// [`ScheduleError::Problem`] when the page ranges contradict each other.
pub fn problem_of_plan(plan: &Plan) -> Result<Problem, ScheduleError> {
    let pages = step_pages_of_plan(plan);
    let steps = plan.dispatches.iter().map(|dispatch| StepData {
        class: dispatch.class,
        execute_us: dispatch.predicted_us,
        capacity_pages: dispatch.capacity_pages,
    });
    Ok(Problem {
        page_bytes: plan.page.page_bytes(),
        steps: steps.collect(),
        pages: page_uses(&pages, plan.page_count)?,
        slot_cap: plan.slot_cap,
        staging_pages: plan.staging_pages,
        disk_bytes_per_us: plan.provenance.disk_bytes_per_second * 1e-6,
        upload_bytes_per_us: plan.provenance.upload_bytes_per_second * 1e-6,
    })
}

/// The pages that each dispatch of a plan reads.
pub fn step_pages_of_plan(plan: &Plan) -> Vec<Option<Range<u32>>> {
    let weights = plan.dispatches.iter().map(|dispatch| dispatch.weights.as_ref());
    weights.map(|weights| weights.map(|w| w.first_page.0..w.first_page.0 + w.page_count)).collect()
}

/// Solves the scheduling problem of a plan again, by its own strategy and solver.
///
/// # Errors
/// See [`ScheduleError`].
pub fn schedule_of_plan(plan: &Plan) -> Result<Schedule, ScheduleError> {
    let provenance = &plan.provenance;
    let strategy = Strategy::ALL.into_iter().find(|strategy| strategy.name() == provenance.strategy);
    let named = provenance.options.iter().find(|(option, _)| option == "solver").map(|(_, solver)| solver.as_str());
    let solver = SolverKind::ALL.iter().find(|solver| Some(solver.name()) == named).copied();
    schedule_with(&problem_of_plan(plan)?, strategy.unwrap_or(Strategy::Optimal), solver.unwrap_or_default())
}
