//! Networks that take turns: what each has of its own, and what the arena holds.
//!
//! A run's commands follow from the plan and from what the arena holds; plan-format makes them (`linked/turn.rs`), and nothing is
//! decided here. A bundle of one network has none of this.

use super::commands::{CommandList, loads};
use crate::api::{Error, NetworkInfo};
use crate::device::plan_bytes;
use flashmem_plan_format::linked::{Arena, HandOver, Turn, Turns, turn};
use flashmem_plan_format::plan::{Command, PageId};
use flashmem_plan_format::{Bundle, OpenedNetwork};
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
    pub(crate) fn new(opened: Vec<OpenedNetwork>, slot_count: u32) -> Self {
        let loaded = |opened: OpenedNetwork| {
            let OpenedNetwork { name, bundle, turns } = opened;
            LoadedNetwork { name, bundle: Arc::new(bundle), turns }
        };
        let arena = Arena::empty(if opened.is_empty() { 0 } else { slot_count });
        Self { list: opened.into_iter().map(loaded).collect(), arena, current: 0 }
    }

    /// Position of the network that runs, or ran last.
    pub(crate) const fn current(&self) -> usize {
        self.current
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
        NetworkInfo::of(&network.name, &network.bundle.plan, network.turns.hand_overs.iter().map(after).collect())
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
