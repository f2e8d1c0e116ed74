//! Networks that take turns: what each has of its own, and what the arena holds.
//!
//! A run's commands follow from the plan and from what the arena holds; plan-format makes them (`linked/turn.rs`), and nothing is
//! decided here. A bundle of one network has none of this.

use super::commands::{CommandList, loads};
use crate::api::{ConnectionInfo, Error, NetworkInfo};
use crate::device::plan_bytes;
use flashmem_plan_format::linked::{Arena, Connection, HandOver, Turn, Turns, turn};
use flashmem_plan_format::plan::{BufferSlice, Command, PageId, Plan};
use flashmem_plan_format::{Bundle, OpenedNetwork};
use std::collections::BTreeSet;
use std::sync::Arc;

/// One of several networks.
pub(crate) struct LoadedNetwork {
    /// What apps call it.
    pub(crate) name: String,
    pub(crate) bundle: Arc<Bundle>,
    turns: Turns,
}

impl LoadedNetwork {
    fn turn(&self) -> Turn<'_> {
        self.turns.of(&self.bundle.plan)
    }
}

/// All networks of a bundle of several; nothing of one of one.
pub(crate) struct Networks {
    pub(crate) list: Vec<LoadedNetwork>,
    arena: Arena,
    current: usize,
    connections: Vec<Connection>,
    /// Where in the state buffer something was handed over.
    handed: BTreeSet<u64>,
}

/// What a run of one of several networks does.
pub(crate) struct TurnCommands {
    commands: Vec<Command>,
    loads: Arc<[PageId]>,
}

impl TurnCommands {
    pub(crate) fn list(&self) -> CommandList<'_> {
        CommandList { commands: &self.commands, loads: &self.loads }
    }
}

impl Networks {
    /// For an arena of so many slots.
    pub(crate) fn new(opened: Vec<OpenedNetwork>, connections: Vec<Connection>, slot_count: u32) -> Self {
        let loaded = |opened: OpenedNetwork| {
            let OpenedNetwork { name, bundle, turns } = opened;
            LoadedNetwork { name, bundle: Arc::new(bundle), turns }
        };
        let arena = Arena::empty(if opened.is_empty() { 0 } else { slot_count });
        let list = opened.into_iter().map(loaded).collect();
        Self { list, arena, current: 0, connections, handed: BTreeSet::new() }
    }

    /// Position of the network that runs, or ran last.
    pub(crate) const fn current(&self) -> usize {
        self.current
    }

    /// What it is called; `None` in a bundle of one.
    pub(crate) fn current_name(&self) -> Option<&str> {
        self.list.get(self.current).map(|network| network.name.as_str())
    }

    /// Which slots of the arena hold a page; `None` in a bundle of one.
    pub(crate) fn held_slots(&self) -> Option<Vec<bool>> {
        (!self.list.is_empty()).then(|| self.arena.held())
    }

    /// Makes a network the one that runs.
    pub(super) fn select(&mut self, position: usize) -> Arc<Bundle> {
        self.current = position;
        Arc::clone(&self.list[position].bundle)
    }

    /// Position of a network.
    pub(crate) fn position(&self, name: &str) -> Result<usize, Error> {
        let found = self.list.iter().position(|network| network.name == name);
        found.ok_or_else(|| Error::UnknownNetwork { name: name.to_owned(), available: self.names() })
    }

    /// What apps call them.
    pub(crate) fn names(&self) -> Vec<String> {
        self.list.iter().map(|network| network.name.clone()).collect()
    }

    /// What apps may know about a network.
    pub(crate) fn info(&self, position: usize) -> NetworkInfo {
        let network = &self.list[position];
        let after = |hand_over: &HandOver| {
            (self.list[hand_over.successor as usize].name.clone(), hand_over.successor_us as f64 / 1e3)
        };
        let connection = |connection: &Connection| {
            let from = &self.list[connection.from as usize];
            ConnectionInfo {
                input: network.bundle.plan.inputs[connection.input as usize].name.clone(),
                network: from.name.clone(),
                output: from.bundle.plan.outputs[connection.output as usize].name.clone(),
            }
        };
        let next_ms = network.turns.hand_overs.iter().map(after).collect();
        let own = self.connections.iter().filter(|connection| connection.to as usize == position);
        NetworkInfo::of(&network.name, &network.bundle.plan, next_ms, own.map(connection).collect())
    }

    /// What a connected input finds: where it lies, or the outputs that may be handed to it when none was. `None` for others.
    pub(crate) fn handed_to(&self, position: usize, input: u32) -> Option<Result<BufferSlice, Vec<String>>> {
        let is_own = |connection: &&Connection| (connection.to as usize, connection.input) == (position, input);
        let own = self.connections.iter().filter(is_own);
        let first = own.clone().next()?;
        if self.handed.contains(&first.offset_bytes) {
            return first.place(&self.list[position].bundle.plan.inputs[input as usize]).map(Ok);
        }
        let source = |connection: &Connection| {
            let from = &self.list[connection.from as usize];
            format!("`{}.{}`", from.name, from.bundle.plan.outputs[connection.output as usize].name)
        };
        Some(Err(own.map(source).collect()))
    }

    /// Positions of the outputs that a network hands to others, each with a place that it goes to.
    pub(crate) fn handed_by(&self, position: usize) -> Vec<(usize, BufferSlice)> {
        let outputs = &self.list[position].bundle.plan.outputs;
        let own = self.connections.iter().filter(|connection| connection.from as usize == position);
        let place = |connection: &Connection| {
            Some((connection.output as usize, connection.place(&outputs[connection.output as usize])?))
        };
        own.filter_map(place).collect()
    }

    /// Takes in what a completed run has handed over.
    pub(crate) fn hand_over(&mut self, handed: &[(usize, BufferSlice)]) {
        self.handed.extend(handed.iter().map(|(_, place)| place.offset_bytes));
    }

    /// Bytes of the buffer of states, with what is handed over behind them; `plan` is what all share.
    pub(crate) fn state_buffer_bytes(&self, plan: &Plan) -> u64 {
        let end = |connection: &Connection| {
            let to = &self.list[connection.to as usize].bundle.plan;
            let place = connection.place(&to.inputs[connection.input as usize]);
            place.map_or(0, |place| place.offset_bytes + place.size_bytes)
        };
        let states = plan.state_bytes().expect("a validated plan's sizes do not overflow");
        self.connections.iter().map(end).fold(states, u64::max)
    }

    /// The commands of a run of the current network, after which another one, or it again, was announced.
    pub(crate) fn commands(&self, next: Option<usize>) -> TurnCommands {
        let next = next.map(|position| (position as u32, self.list[position].turn()));
        let next = next.as_ref().map(|(position, next)| (*position, next));
        let commands = turn(&self.list[self.current].turn(), &self.arena, next);
        let loads = loads(&commands);
        TurnCommands { commands, loads }
    }

    /// Takes in what a completed run has loaded.
    pub(crate) fn follow(&mut self, run: &TurnCommands) {
        self.arena.follow(&run.commands);
    }

    /// Nothing in the arena can be relied on any more.
    pub(crate) fn forget(&mut self) {
        self.arena.forget();
    }

    /// Host bytes of all plans, and of a run of the network with the longest lists.
    pub(crate) fn host_bytes(&self) -> u64 {
        let own = |network: &LoadedNetwork| plan_bytes(&network.bundle.plan) + network.turns.heap_bytes();
        self.list.iter().map(own).sum::<u64>() + self.arena.heap_bytes()
    }
}
