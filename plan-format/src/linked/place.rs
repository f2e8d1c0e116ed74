//! Moves the plans of a checked linked bundle to their places: from numbers of their own to those of the bundle.
//!
//! Slots in command lists and slot tables, pages in command lists, bindings of constants and states, offsets of parameters and of
//! row tables, and positions of pipelines change; everything else stays. What all networks share becomes a plan of its own
//! without dispatches, from which memory is allocated and pages are read.

use super::turn::Turns;
use super::types::{Linked, Network};
use crate::plan::{Buffer, Command, PageId, Pipeline, Plan, SlotId, State};

/// A network at its place.
#[derive(Debug, Clone)]
pub struct Placed {
    /// What apps call it.
    pub name: String,
    /// Its plan. Its parameters and pipelines are with the others', and `weights` of dispatches still count its own pages.
    pub plan: Plan,
    /// What it has in the arena.
    pub turns: Turns,
}

/// The plan of what all share, and every network. The bundle must have passed `check`.
pub fn place(linked: Linked) -> (Plan, Vec<Placed>) {
    let mut shared = shared(&linked);
    let offsets = linked.params_offsets_bytes().expect("a checked bundle's sizes do not overflow");
    let heads = longest_heads(&linked);
    let Linked { networks, page_count, kept_slots, slot_count, row_tables, .. } = linked;
    let (mut placed, mut known) = (Vec::with_capacity(networks.len()), Vec::new());
    for ((mut network, params_offset), head) in networks.into_iter().zip(offsets).zip(heads) {
        let slots = slots_of_pages(&network.plan);
        let at = |local: u32| {
            let page = network.stored_page(PageId(local)).expect("a checked network has ranges for all of its pages");
            (page, network.arena_slot(kept_slots, slots[local as usize]))
        };
        let (kept, end) = (network.kept(), network.kept().saturating_add(head));
        let (kept, head) = ((0..kept).map(at).collect(), (kept..end).map(at).collect());
        move_slots(&mut network, kept_slots);
        let Network { name, mut plan, constants_offset_bytes, state_offsets_bytes, row_tables: tables, .. } = network;
        move_pipelines(&mut plan, &network.kernels, &mut known, &mut shared.pipelines);
        move_bindings(&mut plan, constants_offset_bytes, &state_offsets_bytes);
        for (table, stored) in plan.row_tables.iter_mut().zip(tables) {
            table.offset_bytes = row_tables[stored as usize].offset_bytes;
        }
        plan.dispatches.iter_mut().for_each(|dispatch| dispatch.params_offset_bytes += params_offset);
        shared.params.resize(params_offset as usize, 0);
        shared.params.append(&mut plan.params);
        (plan.page_count, plan.slot_count) = (page_count, slot_count);
        placed.push(Placed { name, plan, turns: Turns { kept, head, hand_overs: network.hand_overs } });
    }
    (shared, placed)
}

/// A plan that holds what all networks share, and nothing else.
fn shared(linked: &Linked) -> Plan {
    let first = &linked.networks[0].plan;
    let mut states: Vec<State> = Vec::new();
    for network in &linked.networks {
        for (state, offset) in network.plan.states.iter().zip(&network.state_offsets_bytes) {
            let mut state = State { next: None, ..state.clone() };
            state.slice.offset_bytes = *offset;
            if states.iter().all(|other| other.slice.offset_bytes != *offset) {
                states.push(state);
            }
        }
    }
    states.sort_by_key(|state| state.slice.offset_bytes);
    let mut provenance = first.provenance.clone();
    provenance.options.clone_from(&linked.options);
    Plan {
        names: Vec::new(),
        provenance,
        requirements: linked.requirements.clone(),
        inputs: Vec::new(),
        outputs: Vec::new(),
        checks: Vec::new(),
        states,
        page: first.page,
        page_count: linked.page_count,
        slot_count: linked.slot_count,
        slot_cap: linked.slot_count,
        staging_pages: linked.staging_pages(),
        weight_bytes: linked.networks.iter().map(|network| network.plan.weight_bytes).sum(),
        row_tables: linked.row_tables.clone(),
        row_gathers: Vec::new(),
        index_bounds: Vec::new(),
        pipelines: Vec::new(),
        params: Vec::new(),
        dispatches: Vec::new(),
        commands: Vec::new(),
        repeat_commands: Vec::new(),
        activation_bytes: linked.networks.iter().map(|network| network.plan.activation_bytes).max().unwrap_or(0),
        memory: linked.memory,
        budget_bytes: linked.budget_bytes,
        predicted_cold_us: 0,
        predicted_warm_us: 0,
    }
}

/// For every network, how many of its pages behind the kept ones any network loads for it.
fn longest_heads(linked: &Linked) -> Vec<u32> {
    let mut heads = vec![0; linked.networks.len()];
    for hand_over in linked.networks.iter().flat_map(|network| &network.hand_overs) {
        let head: &mut u32 = &mut heads[hand_over.successor as usize];
        *head = (*head).max(u32::try_from(hand_over.before.len()).unwrap_or(u32::MAX));
    }
    heads
}

/// The slot of every page, of a plan that was replayed: it has the same in all of its lists.
pub(super) fn slots_of_pages(plan: &Plan) -> Vec<SlotId> {
    let mut slots = vec![SlotId(0); plan.page_count as usize];
    for command in &plan.commands {
        match *command {
            Command::Load { page, slot } => slots[page.0 as usize] = slot,
            Command::Drop { .. } | Command::Dispatch { .. } | Command::Submit => {}
        }
    }
    slots
}

fn move_slots(network: &mut Network, kept_slots: u32) {
    let mut first = std::mem::take(&mut network.plan.commands);
    let mut repeat = std::mem::take(&mut network.plan.repeat_commands);
    for command in first.iter_mut().chain(&mut repeat) {
        let stored = |page| network.stored_page(page).expect("a checked network has ranges for all of its pages");
        match command {
            Command::Load { page, slot } => {
                *page = stored(*page);
                *slot = network.arena_slot(kept_slots, *slot);
            }
            Command::Drop { page } => *page = stored(*page),
            Command::Dispatch { .. } | Command::Submit => {}
        }
    }
    (network.plan.commands, network.plan.repeat_commands) = (first, repeat);
    let mut params = std::mem::take(&mut network.plan.params);
    for dispatch in &network.plan.dispatches {
        let Some(weights) = &dispatch.weights else { continue };
        let table = (dispatch.params_offset_bytes + u64::from(weights.slots_offset_bytes)) as usize;
        for entry in params[table..].as_chunks_mut::<4>().0.iter_mut().take(weights.page_count as usize) {
            let slot = network.arena_slot(kept_slots, SlotId(u32::from_le_bytes(*entry)));
            *entry = slot.0.to_le_bytes();
        }
    }
    network.plan.params = params;
}

/// Takes a plan's pipelines to those of all, each once. `known` has the kernels of these.
fn move_pipelines(plan: &mut Plan, kernels: &[u32], known: &mut Vec<Vec<u32>>, all: &mut Vec<Pipeline>) {
    let mut places = Vec::with_capacity(plan.pipelines.len());
    let mut kernels = kernels.iter().copied();
    for pipeline in std::mem::take(&mut plan.pipelines) {
        let own: Vec<u32> = kernels.by_ref().take(pipeline.sources().count()).collect();
        let is_same = |(other, other_kernels): (&Pipeline, &Vec<u32>)| {
            let layout = |pipeline: &Pipeline| {
                let Pipeline { params_bytes, uses_weights, storage_bindings, .. } = *pipeline;
                (params_bytes, uses_weights, storage_bindings)
            };
            *other_kernels == own && layout(other) == layout(&pipeline)
        };
        let found = all.iter().zip(&*known).position(is_same).unwrap_or_else(|| {
            all.push(pipeline);
            known.push(own.clone());
            all.len() - 1
        });
        places.push(u32::try_from(found).expect("the kernels section limits the number of pipelines"));
    }
    plan.dispatches.iter_mut().for_each(|dispatch| dispatch.pipeline = places[dispatch.pipeline as usize]);
}

fn move_bindings(plan: &mut Plan, constants_offset_bytes: u64, state_offsets_bytes: &[u64]) {
    let own: Vec<u64> = plan.states.iter().map(|state| state.slice.offset_bytes).collect();
    for slice in plan.dispatches.iter_mut().flat_map(|dispatch| &mut dispatch.bindings) {
        match slice.buffer {
            Buffer::Activations => {}
            Buffer::Constants => slice.offset_bytes += constants_offset_bytes,
            Buffer::States => {
                let state = own.binary_search(&slice.offset_bytes).expect("a validated binding is a whole state");
                slice.offset_bytes = state_offsets_bytes[state];
            }
        }
    }
    for (state, offset) in plan.states.iter_mut().zip(state_offsets_bytes) {
        state.slice.offset_bytes = *offset;
    }
}
