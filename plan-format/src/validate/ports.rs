//! Rules for ports, row tables, row gathers and index bounds: what a caller and the host see.
//!
//! It deliberately knows no dispatches.

use super::states::state_place;
use super::violation::shown;
use super::{Check, MAX_ELEMENTS, MAX_PORT_NAME_BYTES, MAX_RANK, MAX_ROW_BYTES, Place, PlanViolation};
use crate::implied::DEVICE_ELEMENT_BYTES;
use crate::indices::IndexPort;
use crate::plan::{Buffer, BufferSlice, ElementType, Port};
use crate::row_indices::{IndexSource, RowIndices};
use std::collections::BTreeSet;

impl Check<'_> {
    pub(super) fn ports(&mut self) {
        let plan = self.plan;
        let inputs = (0_u32..).zip(&plan.inputs).map(|(index, port)| (input_place(index, port), port));
        let outputs = (0_u32..).zip(&plan.outputs).map(|(index, port)| (output_place(index, port), port));
        for (place, port) in inputs.clone().chain(outputs.clone()) {
            self.port(&place, port);
        }
        for (place, port) in inputs.clone().chain(outputs.clone()) {
            let (bytes, limit) = (port.name.len(), MAX_PORT_NAME_BYTES);
            if bytes > limit {
                self.found.push(PlanViolation::NameTooLong { place, bytes, limit });
            }
        }
        for (place, _) in outputs.clone().filter(|(_, port)| port.slice.is_none()) {
            self.found.push(PlanViolation::OutputWithoutSlice { place });
        }
        let states = || (0_u32..).zip(&plan.states).map(|(index, state)| (state_place(index, state), state));
        let input_names = inputs.map(|(place, port)| (place, port.name.as_str()));
        self.unique_names(input_names.chain(states().map(|(place, state)| (place, state.input.as_str()))));
        let output_names = outputs.map(|(place, port)| (place, port.name.as_str()));
        self.unique_names(output_names.chain(states().map(|(place, state)| (place, state.output.as_str()))));
    }

    pub(super) fn checks(&mut self) {
        for (index, check) in (0_u32..).zip(&self.plan.checks) {
            let place = Place::Check { index, name: self.node(check.node) };
            self.named(&place, check.node);
            self.slice(&place, check.slice);
            self.in_activations(&place, check.slice);
            self.tensor_bytes(&place, check.slice, Some(1));
        }
    }

    /// Checks a shape; gives its elements when their number is right.
    pub(super) fn shape(&mut self, place: &Place, shape: &[u64]) -> Option<u64> {
        let rank = shape.len() as u64;
        if rank > u64::from(MAX_RANK) {
            self.found.push(PlanViolation::Rank { place: place.clone(), rank, limit: MAX_RANK });
        }
        let product = shape.iter().try_fold(1_u64, |product, dimension| product.checked_mul(*dimension));
        let elements = product.filter(|elements| (1..=MAX_ELEMENTS).contains(elements));
        if elements.is_none() {
            let shape = shape.iter().copied().take(MAX_RANK as usize).collect();
            self.found.push(PlanViolation::Elements { place: place.clone(), shape, limit: MAX_ELEMENTS });
        }
        elements
    }

    fn port(&mut self, place: &Place, port: &Port) {
        // An input without elements lies nowhere. Its other dimensions are no larger than others' may be.
        let least = u64::from(port.slice.is_none());
        let shape: Vec<u64> = port.shape.iter().map(|dimension| (*dimension).max(least)).collect();
        let elements = self.shape(place, &shape);
        if let Some(slice) = port.slice {
            self.slice(place, slice);
            self.in_activations(place, slice);
            self.tensor_bytes(place, slice, elements);
        }
    }

    /// Checks a slice against the elements that it holds, when their number is known.
    pub(super) fn tensor_bytes(&mut self, place: &Place, slice: BufferSlice, elements: Option<u64>) {
        let Some(expected_bytes) = elements.and_then(|elements| elements.checked_mul(DEVICE_ELEMENT_BYTES)) else {
            return;
        };
        if slice.size_bytes != expected_bytes {
            let place = place.clone();
            self.found.push(PlanViolation::TensorBytes { place, found_bytes: slice.size_bytes, expected_bytes });
        }
    }

    fn unique_names<'n>(&mut self, names: impl Iterator<Item = (Place, &'n str)>) {
        let mut seen = BTreeSet::new();
        for (place, name) in names {
            if name.is_empty() {
                self.found.push(PlanViolation::NameEmpty { place });
            } else if !seen.insert(name) {
                self.found.push(PlanViolation::NameRepeated { place });
            }
        }
    }

    pub(super) fn row_tables(&mut self) {
        let plan = self.plan;
        let places = (0_u32..).zip(&plan.row_tables).map(|(index, table)| {
            let place = Place::RowTable { index, name: shown(&table.name) };
            (place, table)
        });
        let mut expected_bytes = Some(0_u64);
        for (place, table) in places.clone() {
            let (rows, row_bytes) = (table.rows, table.row_bytes());
            if rows == 0 || !(1..=MAX_ROW_BYTES).contains(&row_bytes) {
                let place = place.clone();
                let limit_bytes = MAX_ROW_BYTES;
                self.found.push(PlanViolation::RowTableSize { place, rows, row_bytes, limit_bytes });
            }
            if expected_bytes != Some(table.offset_bytes) {
                let offset_bytes = table.offset_bytes;
                self.found.push(PlanViolation::RowTableOffset { place, offset_bytes, expected_bytes });
            }
            expected_bytes = expected_bytes.and_then(|start| start.checked_add(table.table_bytes()?));
        }
        self.unique_names(places.map(|(place, table)| (place, table.name.as_str())));
    }

    pub(super) fn row_gathers(&mut self) {
        let plan = self.plan;
        for (index, gather) in (0_u32..).zip(&plan.row_gathers) {
            let place = Place::RowGather { index, node: self.node(gather.node) };
            self.named(&place, gather.node);
            self.slice(&place, gather.destination);
            self.in_activations(&place, gather.destination);
            let table = self.entry(place.clone(), "row tables", &plan.row_tables, gather.table);
            self.row_indices(&place, &gather.indices);
            let places = gather.indices.count();
            let fits = |elements: &u64| (1..=MAX_ELEMENTS).contains(elements);
            let elements = table
                .zip(places)
                .and_then(|(table, places)| places.checked_mul(table.row_elements.into()).filter(fits));
            if let (Some(table), None) = (table, elements) {
                let shape = vec![places.unwrap_or(u64::MAX), table.row_elements.into()];
                self.found.push(PlanViolation::Elements { place: place.clone(), shape, limit: MAX_ELEMENTS });
            }
            self.tensor_bytes(&place, gather.destination, elements);
        }
    }

    /// Checks what the indices of a gather are computed from, and how.
    fn row_indices(&mut self, place: &Place, indices: &RowIndices) {
        let plan = self.plan;
        for operand in &indices.operands {
            let elements = match &operand.source {
                IndexSource::Constant(values) => values.len() as u64,
                IndexSource::Input(position) => {
                    let input = self.entry(place.clone(), "inputs", &plan.inputs, *position);
                    let Some(input) = input else { continue };
                    let is_float = matches!(input.element, ElementType::F32 | ElementType::F16);
                    if is_float && indices.instructions.is_empty() {
                        self.found.push(PlanViolation::IndexElement { place: place.clone() });
                    }
                    input.elements().unwrap_or(0)
                }
            };
            if !operand.walk.fits(elements, MAX_ELEMENTS, MAX_RANK) {
                self.found.push(PlanViolation::IndexWalk { place: place.clone(), elements });
            }
        }
        if let Some(broken) = indices.broken() {
            self.found.push(PlanViolation::RowIndices { place: place.clone(), broken });
        }
    }

    pub(super) fn index_bounds(&mut self) {
        let plan = self.plan;
        for (index, bound) in (0_u32..).zip(&plan.index_bounds) {
            let place = Place::IndexBound { index, node: self.node(bound.node) };
            self.named(&place, bound.node);
            let port = match bound.port {
                IndexPort::Input(position) => self.entry(place.clone(), "inputs", &plan.inputs, position),
                IndexPort::Output(position) => self.entry(place.clone(), "outputs", &plan.outputs, position),
            };
            let Some(port) = port else { continue };
            if matches!(port.element, ElementType::F32 | ElementType::F16) {
                self.found.push(PlanViolation::IndexElement { place: place.clone() });
            }
            let elements = port.elements().unwrap_or(0);
            if !bound.walk.fits(elements, elements, MAX_RANK) {
                self.found.push(PlanViolation::IndexWalk { place: place.clone(), elements });
            }
            let (least, most) = (bound.least, bound.most);
            if least > most {
                self.found.push(PlanViolation::IndexRange { place, least, most });
            }
        }
    }

    /// Checks that inputs and gathered rows, which the host writes before a run, do not overlap.
    pub(super) fn host_writes(&mut self) {
        let plan = self.plan;
        let inputs = (0_u32..).zip(&plan.inputs);
        let inputs = inputs.filter_map(|(index, port)| port.slice.map(|slice| (slice, input_place(index, port))));
        let gathers = (0_u32..).zip(&plan.row_gathers).map(|(index, gather)| {
            let place = Place::RowGather { index, node: shown(plan.name(gather.node)) };
            (gather.destination, place)
        });
        let mut writes: Vec<_> =
            inputs.chain(gathers).filter(|(slice, _)| slice.buffer == Buffer::Activations).collect();
        writes.sort_by_key(|(slice, _)| slice.offset_bytes);
        for pair in writes.windows(2) {
            let [(first_slice, first), (second_slice, second)] = pair else { continue };
            if first_slice.offset_bytes.saturating_add(first_slice.size_bytes) > second_slice.offset_bytes {
                let (first, second) = (first.clone(), second.clone());
                self.found.push(PlanViolation::HostWritesOverlap { first, second });
            }
        }
    }
}

fn input_place(index: u32, port: &Port) -> Place {
    Place::Input { index, name: shown(&port.name) }
}

fn output_place(index: u32, port: &Port) -> Place {
    Place::Output { index, name: shown(&port.name) }
}
