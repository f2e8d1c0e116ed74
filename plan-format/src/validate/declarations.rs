//! Rules for what a plan declares about itself: counts, page shape, requirements, memory and budget.
//!
//! The implied values come from `implied/`; this file deliberately only compares.

use super::violation::shown;
use super::{Check, MAX_PAGE_ROWS, MAX_STAGING_PAGES, MAX_TABLE_ENTRIES, Place, PlanViolation};
use crate::implied::{User, for_each_use, memory_kinds};
use crate::plan::{MAX_CONSTANT_BYTES, MAX_PAGES};
use crate::plan::{MemoryDeclaration, Plan};

impl Check<'_> {
    pub(super) fn counts(&mut self) {
        let plan = self.plan;
        let entries = u64::from(MAX_TABLE_ENTRIES);
        let counts = [
            ("pages", plan.page_count.into(), MAX_PAGES.into()),
            ("slots", plan.slot_count.into(), MAX_PAGES.into()),
            ("staging pages", plan.staging_pages.into(), MAX_STAGING_PAGES.into()),
            ("bytes of constants", self.constant_bytes, MAX_CONSTANT_BYTES),
            ("inputs", plan.inputs.len() as u64, entries),
            ("outputs", plan.outputs.len() as u64, entries),
            ("checks", plan.checks.len() as u64, entries),
            ("states", plan.states.len() as u64, entries),
            ("row tables", plan.row_tables.len() as u64, entries),
            ("row gathers", plan.row_gathers.len() as u64, entries),
            ("index bounds", plan.index_bounds.len() as u64, entries),
            ("pipelines", plan.pipelines.len() as u64, entries),
        ];
        for (table, count, limit) in counts {
            if count > limit {
                self.found.push(PlanViolation::TooMany { table, count, limit });
            }
        }
        let &Plan { page_count, slot_count, staging_pages, .. } = plan;
        let zeros = [page_count, slot_count, staging_pages].iter().filter(|count| **count == 0).count();
        if zeros != 0 && zeros != 3 {
            self.found.push(PlanViolation::WeightCounts { page_count, slot_count, staging_pages });
        }
        if !self.constant_bytes.is_multiple_of(4) {
            self.found.push(PlanViolation::ConstantBytes { constant_bytes: self.constant_bytes });
        }
        let rates = &plan.provenance;
        let rates = [("disk rate", rates.disk_bytes_per_second), ("upload rate", rates.upload_bytes_per_second)];
        for (what, rate) in rates.into_iter().filter(|(_, rate)| !(rate.is_finite() && *rate >= 0.0)) {
            self.found.push(PlanViolation::Rate { what, rate });
        }
        let gap = plan.provenance.solver_gap;
        if !(gap.is_finite() && gap >= 0.0) {
            self.found.push(PlanViolation::SolverGap { gap });
        }
    }

    pub(super) fn page_geometry(&mut self) {
        let plan = self.plan;
        let (rows, max_rows) = (plan.page.rows, MAX_PAGE_ROWS);
        if !rows.is_power_of_two() || rows > max_rows {
            self.found.push(PlanViolation::PageGeometry { rows, max_rows });
        }
        let stored_bytes = plan.pages_bytes().zip(plan.rows_bytes()).and_then(|(pages, rows)| pages.checked_add(rows));
        if stored_bytes.is_none_or(|stored| plan.weight_bytes > stored) {
            self.found.push(PlanViolation::WeightBytes { weight_bytes: plan.weight_bytes, stored_bytes });
        }
    }

    pub(super) fn requirements(&mut self) {
        let plan = self.plan;
        for_each_use(plan, self.constant_bytes, &mut |limit, user, used| {
            let declared = plan.requirements.get(limit);
            if used > declared {
                let place = user_place(plan, user);
                self.found.push(PlanViolation::Requirement { place, limit, used, declared });
            }
        });
    }

    pub(super) fn memory(&mut self) {
        let declared = self.plan.memory;
        let implied = MemoryDeclaration::of(self.plan, self.constant_bytes);
        let (Some(implied), Some(total_bytes)) = (implied, declared.total_bytes()) else {
            self.found.push(PlanViolation::MemoryOverflow);
            return;
        };
        for ((kind, declared_bytes), (_, implied_bytes)) in
            memory_kinds(declared).into_iter().zip(memory_kinds(implied))
        {
            if declared_bytes != implied_bytes {
                self.found.push(PlanViolation::Memory { kind, declared_bytes, implied_bytes });
            }
        }
        if let Some(budget_bytes) = self.plan.budget_bytes.filter(|budget| *budget < total_bytes) {
            self.found.push(PlanViolation::Budget { total_bytes, budget_bytes });
        }
    }
}

fn user_place(plan: &Plan, user: User) -> Place {
    match user {
        User::Plan => Place::Plan,
        User::Pipeline(index) => Place::Pipeline { index, label: shown(&plan.pipelines[index as usize].label) },
        User::Dispatch(index) => {
            Place::Dispatch { index, node: shown(plan.name(plan.dispatches[index as usize].node)) }
        }
    }
}
