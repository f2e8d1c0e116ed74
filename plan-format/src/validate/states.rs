//! Rules for what lives from run to run: states tile their buffer, and nobody but their own update writes them.
//!
//! A state is changed where it lies by one dispatch, whose first binding it is, and read by later ones only; or it is read by any,
//! and replaced by a copy when the run has ended well. So a run that fails leaves every state of the second kind as it was. That the
//! first binding is what a dispatch writes is what pipelines promise.

use super::violation::shown;
use super::{Check, Place, PlanViolation};
use crate::plan::{BINDING_ALIGNMENT, Buffer, BufferSlice, State};
use std::collections::BTreeSet;

pub(super) fn state_place(index: u32, state: &State) -> Place {
    Place::State { index, name: shown(&state.input) }
}

impl Check<'_> {
    pub(super) fn states(&mut self) {
        let plan = self.plan;
        let mut end_bytes = 0_u64;
        for (index, state) in (0_u32..).zip(&plan.states) {
            let place = state_place(index, state);
            let elements = self.shape(&place, &state.shape);
            let expected_bytes = end_bytes.next_multiple_of(BINDING_ALIGNMENT);
            let BufferSlice { buffer, offset_bytes, size_bytes } = state.slice;
            if buffer != Buffer::States || offset_bytes != expected_bytes {
                let place = place.clone();
                self.found.push(PlanViolation::StateOrder { place, buffer, offset_bytes, expected_bytes });
            }
            // What overflows is no multiple of anything, and reported with the next one.
            end_bytes = offset_bytes.checked_add(size_bytes).unwrap_or(0).min(u64::MAX - BINDING_ALIGNMENT);
            self.slice(&place, state.slice);
            self.tensor_bytes(&place, state.slice, elements);
            if let Some(next) = state.next {
                self.slice(&place, next);
                self.in_activations(&place, next);
                self.tensor_bytes(&place, next, elements);
            }
        }
        self.state_bindings();
    }

    /// Who binds states, dispatch by dispatch.
    fn state_bindings(&mut self) {
        let plan = self.plan;
        let mut uses = Vec::new();
        for (index, dispatch) in (0_u32..).zip(&plan.dispatches) {
            for (binding, slice) in dispatch.bindings.iter().enumerate().filter(|(_, s)| s.buffer == Buffer::States) {
                let place = Place::Dispatch { index, node: self.node(dispatch.node) };
                let behind = plan.states.partition_point(|state| state.slice.offset_bytes < slice.offset_bytes);
                if plan.states.get(behind).is_some_and(|state| state.slice == *slice) {
                    uses.push((place, behind, binding == 0));
                } else {
                    let BufferSlice { offset_bytes, size_bytes, .. } = *slice;
                    self.found.push(PlanViolation::StateBinding { place, offset_bytes, size_bytes });
                }
            }
        }
        let mut updated: Vec<bool> = plan.states.iter().map(|state| state.next.is_some()).collect();
        // What nobody writes may be read at any time.
        let changed: BTreeSet<usize> = uses.iter().filter(|(.., writes)| *writes).map(|(_, state, _)| *state).collect();
        for (place, index, writes) in uses {
            let state = u32::try_from(index).unwrap_or(u32::MAX);
            if writes && std::mem::replace(&mut updated[index], true) {
                self.found.push(PlanViolation::StateWritten { place, state });
            } else if !writes && !updated[index] && changed.contains(&index) {
                self.found.push(PlanViolation::StateReadEarly { place, state });
            }
        }
    }
}
