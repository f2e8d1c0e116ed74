//! Rules for pipelines, dispatches and the indices of commands.
//!
//! It deliberately does not follow the program: the order of commands is `replay`'s.

use super::violation::shown;
use super::{Check, Place, PlanViolation};
use crate::plan::{
    BINDING_ALIGNMENT, Command, Dispatch, DispatchWeights, MAX_PAGES_PER_DISPATCH, MAX_PREDICTED_US, PageId, Pipeline,
};

impl Check<'_> {
    pub(super) fn pipelines(&mut self) {
        let plan = self.plan;
        let mut first_use = vec![u32::MAX; plan.pipelines.len()];
        for (index, dispatch) in (0_u32..).zip(&plan.dispatches) {
            if let Some(first) = first_use.get_mut(dispatch.pipeline as usize) {
                *first = index.min(*first);
            }
        }
        let mut earlier = None;
        for ((index, pipeline), first_use) in (0_u32..).zip(&plan.pipelines).zip(first_use) {
            let place = Place::Pipeline { index, label: shown(&pipeline.label) };
            if first_use == u32::MAX || earlier.is_some_and(|earlier| earlier > first_use) {
                self.found.push(PlanViolation::PipelineOrder { place: place.clone() });
            }
            earlier = Some(first_use);
            self.pipeline(place, pipeline);
        }
    }

    fn pipeline(&mut self, place: Place, pipeline: &Pipeline) {
        let cooperative = pipeline.cooperative.as_ref();
        if pipeline.source.is_empty() || cooperative.is_some_and(|cooperative| cooperative.source.is_empty()) {
            self.found.push(PlanViolation::SourceEmpty { place: place.clone() });
        }
        let params_bytes = pipeline.params_bytes;
        if params_bytes == 0 || !params_bytes.is_multiple_of(4) {
            self.found.push(PlanViolation::ParamsBytes { place: place.clone(), params_bytes });
        }
        let workgroup_size = pipeline.workgroup_size;
        if workgroup_size.contains(&0) {
            self.found.push(PlanViolation::WorkgroupSize { place, workgroup_size });
        }
    }

    pub(super) fn dispatches(&mut self) {
        let plan = self.plan;
        for (index, dispatch) in (0_u32..).zip(&plan.dispatches) {
            let node = self.node(dispatch.node);
            let place = Place::Dispatch { index, node: node.clone() };
            self.named(&place, dispatch.node);
            for (binding, slice) in (0_u32..).zip(&dispatch.bindings) {
                let place = Place::Binding { dispatch: index, node: node.clone(), binding: binding.saturating_add(2) };
                self.slice(&place, *slice);
            }
            if dispatch.workgroups.contains(&0) {
                let workgroups = dispatch.workgroups;
                self.found.push(PlanViolation::WorkgroupsZero { place: place.clone(), workgroups });
            }
            let predicted_us = dispatch.predicted_us;
            if !(0.0..=MAX_PREDICTED_US).contains(&predicted_us) {
                self.found.push(PlanViolation::Predicted { place: place.clone(), predicted_us });
            }
            let pipeline = self.entry(place.clone(), "pipelines", &plan.pipelines, dispatch.pipeline);
            if let Some(pipeline) = pipeline {
                self.dispatch_of(&place, dispatch, pipeline);
            }
        }
    }

    /// Rules that relate a dispatch to its pipeline.
    fn dispatch_of(&mut self, place: &Place, dispatch: &Dispatch, pipeline: &Pipeline) {
        let (found, expected) = (dispatch.bindings.len() as u64, pipeline.storage_bindings);
        if found != u64::from(expected) {
            self.found.push(PlanViolation::BindingCount { place: place.clone(), found, expected });
        }
        let (offset_bytes, params_bytes) = (dispatch.params_offset_bytes, pipeline.params_bytes);
        if !offset_bytes.is_multiple_of(BINDING_ALIGNMENT) {
            self.found.push(PlanViolation::ParamsAlignment { place: place.clone(), offset_bytes });
        }
        let total_bytes = self.plan.params.len() as u64;
        if offset_bytes.checked_add(params_bytes.into()).is_none_or(|end| end > total_bytes) {
            let place = place.clone();
            self.found.push(PlanViolation::ParamsEnd { place, offset_bytes, params_bytes, total_bytes });
        }
        let (has_weights, uses_weights) = (dispatch.weights.is_some(), pipeline.uses_weights);
        if has_weights != uses_weights {
            self.found.push(PlanViolation::WeightsUse { place: place.clone(), has_weights, uses_weights });
        }
        if let Some(weights) = &dispatch.weights {
            self.weights(place, weights, params_bytes);
        }
    }

    fn weights(&mut self, place: &Place, weights: &DispatchWeights, params_bytes: u32) {
        let &DispatchWeights { first_page: PageId(first_page), page_count, slots_offset_bytes } = weights;
        if !(1..=MAX_PAGES_PER_DISPATCH).contains(&page_count) {
            let limit = MAX_PAGES_PER_DISPATCH;
            self.found.push(PlanViolation::PagesOfDispatch { place: place.clone(), page_count, limit });
        }
        let total = self.plan.page_count;
        if first_page.checked_add(page_count).is_none_or(|end| end > total) {
            self.found.push(PlanViolation::PageRange { place: place.clone(), first_page, page_count, total });
        }
        let table_end = page_count.checked_mul(4).and_then(|bytes| bytes.checked_add(slots_offset_bytes));
        if !slots_offset_bytes.is_multiple_of(4) || table_end.is_none_or(|end| end > params_bytes) {
            let place = place.clone();
            self.found.push(PlanViolation::SlotTable { place, page_count, slots_offset_bytes, params_bytes });
        }
    }

    pub(super) fn commands(&mut self) {
        let plan = self.plan;
        let first = (0_u32..).zip(&plan.commands).map(|(index, command)| (Place::Command { index }, command));
        let repeat =
            (0_u32..).zip(&plan.repeat_commands).map(|(index, command)| (Place::RepeatCommand { index }, command));
        for (place, command) in first.chain(repeat) {
            match *command {
                Command::Load { page, slot } => {
                    self.command_page(place.clone(), page);
                    if slot.0 >= plan.slot_count {
                        let (slot, slot_count) = (slot.0, plan.slot_count);
                        self.found.push(PlanViolation::CommandSlot { place, slot, slot_count });
                    }
                }
                Command::Drop { page } => self.command_page(place, page),
                Command::Dispatch { index } => {
                    self.entry(place, "dispatches", &plan.dispatches, index);
                }
                Command::Submit => {}
            }
        }
    }

    fn command_page(&mut self, place: Place, page: PageId) {
        let page_count = self.plan.page_count;
        if page.0 >= page_count {
            self.found.push(PlanViolation::CommandPage { place, page: page.0, page_count });
        }
    }
}
