//! The checker of lowering: follows the calls of a program with a map from bytes of the arena to tensors.
//!
//! It checks that every tensor lies whole inside its buffer; that every binding of a call is the slice of the tensor that the
//! call names there; that a call reads only what was written for that tensor since the memory was another's; that no call
//! overwrites a tensor that it reads itself or that a later call or a result needs; that every tensor is written by as many calls
//! as were made for it; that first and last address of every view that a call was made from lie inside its tensor; that inputs,
//! gathered rows and results are whole tensors of the size of their ports, and results are still there after the last call;
//! that states lie apart, and are
//! changed as they may be; that
//! weights lie apart in the order of the stream, and calls read inside one of them, or of some that follow each other with panels of
//! one size, encoded as they take it. All violations are returned.
//!
//! It shares no code with `memory.rs` and takes nothing from lifetimes: it knows only the order of the calls. It deliberately
//! does not check which elements of its tensors a kernel reaches (parameters are words to it, and a tensor counts as written
//! with its first call), nor what is computed.

mod arena;
#[cfg(test)]
mod tests;
mod violation;

pub use violation::Violation;

use super::program::{Accesses, PlacedTensor, Program, Step, Weight};
use super::view::{TensorId, View};
use arena::Arena;
use flashmem_plan_format::plan::{Buffer, BufferSlice, Encoding, IntegerCheck, Port, State};
use std::ops::Range;

/// Checks a program; empty when it is right.
pub fn verify(program: &Program) -> Vec<Violation> {
    let mut check = Check { program, found: Vec::new() };
    check.tables();
    if check.found.is_empty() {
        check.placement();
        check.calls();
        check.weights();
        check.memory();
        check.states();
    }
    check.found
}

/// A program under check and what was found so far.
struct Check<'a> {
    program: &'a Program,
    found: Vec<Violation>,
}

/// What the host writes before a call or takes after the last one.
struct Public<'a> {
    name: &'a str,
    slice: Option<BufferSlice>,
    elements: Option<u64>,
}

impl<'a> From<&'a Port> for Public<'a> {
    fn from(port: &'a Port) -> Self {
        Self { name: &port.name, slice: port.slice, elements: port.elements() }
    }
}

/// When a tensor is needed for the last time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Need {
    Never,
    Step(usize),
    AfterTheLast,
}

impl<'a> Check<'a> {
    fn tensor(&self, id: TensorId) -> &'a PlacedTensor {
        &self.program.tensors.table[id.0 as usize]
    }

    fn name(&self, step: &Step) -> String {
        self.program.name(step.node).to_owned()
    }

    fn steps(&self) -> impl Iterator<Item = (usize, &'a Step, &'a Accesses)> + use<'a> {
        let program = self.program;
        program.steps.iter().zip(&program.tensors.calls).enumerate().map(|(index, (step, call))| (index, step, call))
    }

    /// Results with their tensors: checks, then outputs.
    fn results(&self) -> impl Iterator<Item = (Public<'a>, TensorId)> + use<'a> {
        let program = self.program;
        let check = |check: &'a IntegerCheck| Public {
            name: program.name(check.node),
            slice: Some(check.slice),
            elements: Some(1),
        };
        let checks = program.checks.iter().map(check);
        checks.chain(program.outputs.iter().map(Public::from)).zip(program.tensors.results.iter().copied())
    }

    /// Lists that go together are as long as each other, and name tensors that there are.
    fn tables(&mut self) {
        let (program, tensors) = (self.program, &self.program.tensors);
        let lengths = [
            ("calls", tensors.calls.len(), program.steps.len()),
            ("inputs", tensors.inputs.len(), program.inputs.len()),
            ("gathers", tensors.gathered.len(), program.row_gathers.len()),
            ("results", tensors.results.len(), program.checks.len() + program.outputs.len()),
            ("states", tensors.states.len(), program.states.len()),
        ];
        let unequal = lengths.into_iter().filter(|(_, found, expected)| found != expected);
        self.found.extend(unequal.map(|(what, found, expected)| Violation::Length { what, found, expected }));
        let of_call =
            |call: &'a Accesses| call.tensors.iter().copied().chain(call.views.iter().map(|view| view.tensor));
        let named = tensors.calls.iter().flat_map(of_call).chain(tensors.inputs.iter().flatten().copied());
        let named = named.chain(tensors.gathered.iter().copied()).chain(tensors.results.iter().copied());
        let of_state = |(now, next): &(TensorId, Option<TensorId>)| [Some(*now), *next].into_iter().flatten();
        let named = named.chain(tensors.states.iter().flat_map(of_state));
        let unknown = named.filter(|id| id.0 as usize >= tensors.table.len());
        self.found.extend(unknown.map(|tensor| Violation::Unknown { tensor: tensor.0 }));
    }

    /// Tensors inside their buffers, ports whole.
    fn placement(&mut self) {
        for (tensor, placed) in (0_u32..).zip(&self.program.tensors.table) {
            let BufferSlice { buffer, offset_bytes, size_bytes } = placed.slice;
            let buffer_bytes = match buffer {
                Buffer::Activations => self.program.activation_bytes,
                Buffer::Constants => self.program.constants.len() as u64,
                Buffer::States => self.state_bytes(),
            };
            // An empty tensor has a word all the same; an empty constant has none, and is never read.
            let bytes = if placed.elements == 0 && buffer == Buffer::Constants { 0 } else { size_bytes };
            if offset_bytes.checked_add(bytes).is_none_or(|end| end > buffer_bytes) {
                self.found.push(Violation::Outside { tensor, buffer, offset_bytes, size_bytes, buffer_bytes });
            }
            if placed.elements.checked_mul(4).map(|bytes| bytes.max(4)) != Some(size_bytes) {
                self.found.push(Violation::Size { tensor, elements: placed.elements, size_bytes });
            }
        }
        let tensors = &self.program.tensors;
        let inputs = self.program.inputs.iter().map(Public::from).zip(tensors.inputs.iter().copied());
        let results = self.results().map(|(port, tensor)| (port, Some(tensor)));
        for (port, tensor) in inputs.chain(results).collect::<Vec<_>>() {
            let slice = tensor.map(|tensor| self.tensor(tensor).slice);
            let whole = tensor.is_none_or(|tensor| port.elements == Some(self.tensor(tensor).elements));
            let in_arena = slice.is_none_or(|slice| slice.buffer == Buffer::Activations);
            if port.slice != slice || !whole || !in_arena {
                self.found.push(Violation::Port { name: port.name.to_owned() });
            }
        }
        for (index, (gather, tensor)) in self.program.row_gathers.iter().zip(&tensors.gathered).enumerate() {
            if gather.destination != self.tensor(*tensor).slice {
                self.found.push(Violation::Gather { gather: index as u32 });
            }
        }
    }

    /// Every call by itself: its bindings, its views, and how many calls each tensor has.
    fn calls(&mut self) {
        let mut writes = vec![0_u32; self.program.tensors.table.len()];
        for (index, step, call) in self.steps() {
            let (step_index, program) = (index as u32, self.program);
            let node = || program.name(step.node).to_owned();
            let slices = call.tensors.iter().map(|tensor| &self.tensor(*tensor).slice);
            if step.bindings.is_empty() || !slices.eq(&step.bindings) {
                self.found.push(Violation::Bindings { step: step_index, node: node() });
            }
            if let Some(output) = call.tensors.first() {
                writes[output.0 as usize] += 1;
                if self.tensor(*output).slice.buffer == Buffer::Constants {
                    self.found.push(Violation::WritesConstant { step: step_index, node: node(), tensor: output.0 });
                }
            }
            for view in &call.views {
                let elements = self.tensor(view.tensor).elements;
                let (first, last) = extent(view);
                let inside = view.is_empty() || (first >= 0 && last < elements as i64);
                if !inside || !call.tensors.contains(&view.tensor) {
                    let (node, tensor) = (node(), view.tensor.0);
                    self.found.push(Violation::View { step: step_index, node, tensor, first, last, elements });
                }
            }
        }
        for (tensor, (placed, found)) in (0_u32..).zip(self.program.tensors.table.iter().zip(writes)) {
            if placed.writes != found {
                self.found.push(Violation::Writes { tensor, expected: placed.writes, found });
            }
        }
    }

    /// The weight stream.
    fn weights(&mut self) {
        let mut end = 0;
        for weight in &self.program.weights {
            if weight.texel_offset < end || weight.texels != weight.packing.texels(weight.encoding) {
                self.found.push(Violation::Weight { name: weight.name.clone(), texel_offset: weight.texel_offset });
            }
            end = weight.texel_offset.saturating_add(weight.texels);
        }
        for (index, step, _) in self.steps() {
            let Some(texels) = step.weight_texels.clone() else { continue };
            if !texels.is_empty() && self.encoding_of(&texels) != step.encoding {
                let node = self.name(step);
                self.found.push(Violation::WeightRange { step: index as u32, node, texels });
            }
        }
    }

    /// The encoding of the weight that holds all of these texels, or of those that do so together: without a gap, encoded alike, in
    /// panels of as many rows and columns.
    fn encoding_of(&self, texels: &Range<u64>) -> Option<Encoding> {
        let weights = &self.program.weights;
        let behind = weights.partition_point(|weight| weight.texel_offset <= texels.start);
        let (first, others) = weights.get(behind.checked_sub(1)?..)?.split_first()?;
        let form = |weight: &Weight| {
            let packing = &weight.packing;
            (weight.encoding, packing.groups, packing.panel_width, packing.k())
        };
        let mut end = first.texel_offset.saturating_add(first.texels);
        for next in others {
            if end >= texels.end {
                break;
            }
            if next.texel_offset != end || form(next) != form(first) || first.packing.groups != 1 {
                return None;
            }
            end = end.saturating_add(next.texels);
        }
        (texels.end <= end).then_some(first.encoding)
    }

    /// What is where, call by call.
    fn memory(&mut self) {
        let needs = self.needs();
        let mut arena = Arena::default();
        let program = self.program;
        let tensors = &program.tensors;
        for tensor in tensors.inputs.iter().flatten().chain(&tensors.gathered) {
            for victim in arena.write(self.bytes(*tensor), *tensor) {
                let (tensor, victim) = (tensor.0, victim.0);
                self.found.push(Violation::HostOverlap { tensor, victim });
            }
        }
        for (index, step, call) in self.steps() {
            let Some((output, inputs)) = call.tensors.split_first() else { continue };
            for input in inputs {
                self.read(&arena, *input, |tensor, holder| Violation::NotWritten {
                    step: index as u32,
                    node: program.name(step.node).to_owned(),
                    tensor,
                    holder,
                });
            }
            if self.tensor(*output).slice.buffer != Buffer::Activations {
                continue;
            }
            for victim in arena.write(self.bytes(*output), *output) {
                let needed = needs[victim.0 as usize];
                if needed >= Need::Step(index) {
                    let needed_by = match needed {
                        Need::Step(step) => Some(step as u32),
                        Need::Never | Need::AfterTheLast => None,
                    };
                    let (node, tensor, victim) = (self.name(step), output.0, victim.0);
                    self.found.push(Violation::Overwritten { step: index as u32, node, tensor, victim, needed_by });
                }
            }
        }
        for (port, tensor) in self.results() {
            self.read(&arena, tensor, |_, holder| Violation::ResultLost { name: port.name.to_owned(), holder });
        }
        for (state, next) in self.nexts() {
            self.read(&arena, next, |_, holder| Violation::ResultLost { name: state.output.clone(), holder });
        }
    }

    /// States that are replaced behind the last call, with the tensors that they are replaced by.
    fn nexts(&self) -> impl Iterator<Item = (&'a State, TensorId)> + use<'a> {
        let program = self.program;
        program.states.iter().zip(&program.tensors.states).filter_map(|(state, (_, next))| Some((state, (*next)?)))
    }

    fn state_bytes(&self) -> u64 {
        let ends = self.program.states.iter().map(|s| s.slice.offset_bytes.saturating_add(s.slice.size_bytes));
        ends.max().unwrap_or(0)
    }

    /// States lie apart, and nobody writes them but one call where nothing replaces them, which nobody reads them before.
    fn states(&mut self) {
        let mut end_bytes = 0;
        let states = self.program.states.iter().zip(&self.program.tensors.states);
        for (index, (state, (now, next))) in (0_u32..).zip(states) {
            let is_placed = |slice: BufferSlice, tensor: TensorId| slice == self.tensor(tensor).slice;
            let placed = is_placed(state.slice, *now)
                && state.slice.buffer == Buffer::States
                && state.slice.offset_bytes >= end_bytes
                && match (state.next, *next) {
                    (Some(slice), Some(tensor)) => {
                        is_placed(slice, tensor) && slice.size_bytes == state.slice.size_bytes
                    }
                    (None, None) => true,
                    (Some(_), None) | (None, Some(_)) => false,
                };
            if !placed {
                self.found.push(Violation::StatePlace { state: index });
            }
            end_bytes = state.slice.offset_bytes.saturating_add(state.slice.size_bytes);
            let mut updated = next.is_some();
            for (step_index, step, call) in self.steps() {
                let Some((output, inputs)) = call.tensors.split_first() else { continue };
                let early = next.is_none() && !updated && inputs.contains(now) && self.tensor(*now).writes > 0;
                let again = output == now && std::mem::replace(&mut updated, true);
                if early || again {
                    let (step, node) = (step_index as u32, self.program.name(step.node).to_owned());
                    self.found.push(Violation::StateUse { step, node, state: index });
                }
            }
        }
        let known = |tensor: u32| self.program.tensors.states.iter().any(|(now, _)| now.0 == tensor);
        for (tensor, placed) in (0_u32..).zip(&self.program.tensors.table) {
            if placed.slice.buffer == Buffer::States && !known(tensor) {
                self.found.push(Violation::Unknown { tensor });
            }
        }
    }

    /// The last call that reads each tensor or goes on writing it.
    fn needs(&self) -> Vec<Need> {
        let mut needs = vec![Need::Never; self.program.tensors.table.len()];
        for (index, _, call) in self.steps() {
            call.tensors.iter().for_each(|tensor| needs[tensor.0 as usize] = Need::Step(index));
        }
        self.results().for_each(|(_, tensor)| needs[tensor.0 as usize] = Need::AfterTheLast);
        self.nexts().for_each(|(_, tensor)| needs[tensor.0 as usize] = Need::AfterTheLast);
        needs
    }

    fn bytes(&self, tensor: TensorId) -> Range<u64> {
        let BufferSlice { offset_bytes, size_bytes, .. } = self.tensor(tensor).slice;
        offset_bytes..offset_bytes.saturating_add(size_bytes)
    }

    /// Reports a tensor that does not hold all its bytes; an empty one has nothing to hold.
    fn read(&mut self, arena: &Arena, tensor: TensorId, violation: impl Fn(u32, Option<u32>) -> Violation) {
        let placed = self.tensor(tensor);
        if placed.elements == 0 || placed.slice.buffer != Buffer::Activations {
            return;
        }
        if let Err(holder) = arena.holds(self.bytes(tensor), tensor) {
            self.found.push(violation(tensor.0, holder.map(|holder| holder.0)));
        }
    }
}

/// First and last element that a view reaches; what overflows lies outside of any tensor all the same.
fn extent(view: &View) -> (i64, i64) {
    let ways = view.shape.iter().zip(&view.strides).map(|(size, stride)| (*size as i64 - 1).saturating_mul(*stride));
    ways.fold((view.offset, view.offset), |(first, last), way| {
        (first.saturating_add(way.min(0)), last.saturating_add(way.max(0)))
    })
}
