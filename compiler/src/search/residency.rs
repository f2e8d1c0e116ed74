//! Pages that stay resident between runs: what a budget leaves after the best first run becomes slots for them.
//!
//! Takes an assembled plan and gives one with a second command list, for runs after a completed one. The first run is never slower
//! for it. Slots, slot tables, memory and requirements are declared anew; kernels, dispatches and the schedule of the first
//! run stay. It deliberately searches neither page sizes nor rings: the first run has chosen them.

use super::types::{BudgetError, peak_bytes};
use crate::bundle::{AssembleError, Assembled, Assembly, step_pages};
use crate::lower::program::Program;
use crate::options::Keep;
use crate::schedule::{CommandLists, KeepPages, Strategy, repeat};
use crate::stages::{StageError, problem};
use flashmem_plan_format::plan::{MemoryDeclaration, Plan, Requirements, SlotId};

/// Most slots that are spent by choice: the array layers that practically every device offers.
const MAX_SLOTS: u32 = 2048;

/// Adds the command list of later runs to a plan, when there is something to keep.
///
/// # Errors
/// [`BudgetError::KeepAll`] when all pages shall stay and exceed the budget.
pub fn keep_pages(
    program: &Program,
    assembly: &Assembly<'_>,
    assembled: Assembled,
    keep: Keep,
) -> Result<Assembled, BudgetError> {
    let (pages, min_slots) = (assembled.plan.page_count, assembled.plan.slot_count);
    let has_all = match assembly.strategy {
        Strategy::PreloadAll => true,
        Strategy::Optimal | Strategy::Greedy | Strategy::OnDemand | Strategy::AlwaysNext | Strategy::SameOpType => {
            false
        }
    };
    let (mut slots, requested) = match (keep, assembly.budget_bytes, has_all) {
        (Keep::All, _, _) => (pages, KeepPages::All),
        (Keep::Auto, _, true) => (pages, KeepPages::Best),
        (Keep::Auto, Some(budget_bytes), false) => {
            let spare = budget_bytes.saturating_sub(peak_bytes(&assembled.plan)?) / assembled.plan.page.page_bytes();
            let most = pages.min(MAX_SLOTS.max(min_slots)).min(assembly.slot_cap);
            (u64::from(min_slots).saturating_add(spare).min(u64::from(most)) as u32, KeepPages::Best)
        }
        (Keep::Auto, None, false) | (Keep::None, _, _) => return Ok(assembled),
    };
    loop {
        let Some(lists) = lists(program, assembly, &assembled, slots, requested)? else { return Ok(assembled) };
        let plan = with_command_lists(&assembled.plan, lists, program.constants.len() as u64)?;
        let needed_bytes = peak_bytes(&plan)?;
        match assembly.budget_bytes.filter(|budget| *budget < needed_bytes) {
            None => return Ok(Assembled { plan, ..assembled }),
            Some(budget_bytes) if keep == Keep::All => return Err(BudgetError::KeepAll { needed_bytes, budget_bytes }),
            Some(budget_bytes) => {
                // The second command list makes the plan itself larger.
                let over = (needed_bytes - budget_bytes).div_ceil(plan.page.page_bytes());
                match u64::from(slots).checked_sub(over).filter(|fewer| *fewer >= u64::from(min_slots)) {
                    Some(fewer) => slots = fewer as u32,
                    None => return Ok(assembled),
                }
            }
        }
    }
}

fn lists(
    program: &Program,
    assembly: &Assembly<'_>,
    assembled: &Assembled,
    slots: u32,
    requested: KeepPages,
) -> Result<Option<CommandLists>, StageError> {
    let staging_pages = assembled.plan.staging_pages;
    let problem = problem(program, &Assembly { slot_cap: slots, staging_pages, ..assembly.clone() })?;
    repeat(&problem, &assembled.schedule, &step_pages(program), slots, requested).map_err(StageError::ScheduleInvalid)
}

/// The plan with both command lists, their slots in its parameters, and what follows from them declared anew.
fn with_command_lists(plan: &Plan, lists: CommandLists, constant_bytes: u64) -> Result<Plan, StageError> {
    let mut plan = plan.clone();
    set_slots(&mut plan, &lists.slots_of_step);
    plan.commands = lists.first;
    plan.repeat_commands = lists.repeat;
    plan.slot_count = lists.slot_count;
    plan.predicted_warm_us = lists.warm_us.ceil() as u64;
    plan.requirements = Requirements::of(&plan, constant_bytes);
    plan.memory = MemoryDeclaration::of(&plan, constant_bytes).ok_or(AssembleError::MemoryOverflow)?;
    Ok(plan)
}

/// Writes the slots of every step's pages into the tables in a plan's parameters.
pub fn set_slots(plan: &mut Plan, slots_of_step: &[Vec<SlotId>]) {
    for (dispatch, slots) in plan.dispatches.iter().zip(slots_of_step) {
        let Some(weights) = &dispatch.weights else { continue };
        let table = (dispatch.params_offset_bytes + u64::from(weights.slots_offset_bytes)) as usize;
        for (entry, slot) in plan.params[table..].chunks_exact_mut(4).zip(slots) {
            entry.copy_from_slice(&slot.0.to_le_bytes());
        }
    }
}
