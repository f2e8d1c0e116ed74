//! The predicted timeline of a linked bundle's networks in an order: every run with what it finds, loads and waits for.
//!
//! Each run's commands are those that the runtime would follow (`linked/turn.rs`), every next run announced; each is replayed by the
//! timeline of single networks, in page numbers of its own, and starts when the one before it has ended. It decides nothing.

use super::subject::Subject;
use super::timeline::{StallCause, Timeline};
use crate::narrow::index32;
use crate::profile::DeviceProfile;
use flashmem_plan_format::container::{OpenedBundle, OpenedNetwork};
use flashmem_plan_format::linked::{Arena, turn};
use flashmem_plan_format::plan::{Command, PageId, Plan, SlotId};
use std::collections::BTreeMap;

/// One run.
#[derive(Debug, Clone, PartialEq)]
pub struct SequenceRun {
    /// Position of its network.
    pub network: usize,
    /// When it starts.
    pub start_us: f64,
    /// What happens in it, from its own start on.
    pub timeline: Timeline,
    /// Its pages that were in the arena when it started.
    pub found: u32,
    /// Of the pages that it loads, how many are for the run behind it: the last ones.
    pub handed: u32,
    /// Time to read one page.
    pub read_us: f64,
}

impl SequenceRun {
    /// Time in which its steps wait for the disk.
    pub fn waited_us(&self) -> f64 {
        let from_disk = |cause: StallCause| match cause {
            StallCause::Disk { .. } => true,
            StallCause::Upload { .. } => false,
        };
        let from_disk = self.timeline.stalls.iter().filter(|stall| from_disk(stall.cause));
        // A sum of nothing is -0.
        from_disk.fold(0.0, |sum, stall| sum + stall.span.us())
    }

    /// Pages that it reads for itself.
    pub fn own_loads(&self) -> u32 {
        index32(self.timeline.loads.len()) - self.handed
    }

    /// When it ends.
    pub fn end_us(&self) -> f64 {
        self.start_us + self.timeline.finish_us
    }
}

/// All runs.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SequenceTimeline {
    /// In order.
    pub runs: Vec<SequenceRun>,
    /// When a slot's content changes, and for whom each network's pages are there from then on, in slots.
    pub held: Vec<(f64, Vec<u32>)>,
}

impl SequenceTimeline {
    /// Follows networks in this order. `profile` replaces the rates that the bundle was made for.
    pub fn new(opened: &OpenedBundle, order: &[usize], profile: Option<&DeviceProfile>) -> Self {
        let mut arena = Arena::empty(opened.bundle.plan.slot_count);
        let mut occupants = vec![None; opened.bundle.plan.slot_count as usize];
        let (mut out, mut start_us) = (Self::default(), 0.0);
        for (position, network) in order.iter().copied().enumerate() {
            let own = &opened.networks[network];
            let next = order.get(position + 1).map(|next| (*next, &opened.networks[*next]));
            let turns = next.map(|(next, network)| (index32(next), network.turns.of(&network.bundle.plan)));
            let announced = turns.as_ref().map(|(next, turns)| (*next, turns));
            let commands = turn(&own.turns.of(&own.bundle.plan), &arena, announced);
            // A first run loads all of its pages.
            let stored: BTreeMap<PageId, SlotId> = own.bundle.plan.commands.iter().filter_map(load).collect();
            let found = stored.iter().filter(|(page, slot)| arena.holds(**page, **slot)).count();
            let loads: Vec<_> = commands.iter().filter_map(load).collect();
            let handed = loads.iter().filter(|(page, slot)| stored.get(page) != Some(slot)).count();
            let plan = renumbered(own, &opened.bundle.plan, &commands);
            let subject = Subject::of_bundle(&plan, profile);
            let timeline = Timeline::new(&subject);
            let first_handed = timeline.loads.len() - handed;
            for (index, ((_, slot), load)) in loads.iter().zip(&timeline.loads).enumerate() {
                let owner = next.filter(|_| index >= first_handed).map_or(network, |(next, _)| next);
                occupants[slot.0 as usize] = Some(owner);
                let held = |network| index32(occupants.iter().filter(|other| **other == Some(network)).count());
                out.held.push((start_us + load.upload.end_us, (0..opened.networks.len()).map(held).collect()));
            }
            arena.follow(&commands);
            let read_us = subject.read_us();
            let (found, handed) = (index32(found), index32(handed));
            out.runs.push(SequenceRun { network, start_us, found, handed, read_us, timeline });
            start_us = out.end_us();
        }
        out
    }

    /// When everything has ended.
    pub fn end_us(&self) -> f64 {
        self.runs.last().map_or(0.0, SequenceRun::end_us)
    }
}

/// The load that a command is.
const fn load(command: &Command) -> Option<(PageId, SlotId)> {
    match *command {
        Command::Load { page, slot } => Some((page, slot)),
        Command::Drop { .. } | Command::Dispatch { .. } | Command::Submit => None,
    }
}

/// The network's plan with these commands, in page numbers of its own; pages of others follow.
fn renumbered(network: &OpenedNetwork, whole: &Plan, commands: &[Command]) -> Plan {
    let mut numbers: BTreeMap<PageId, PageId> = BTreeMap::new();
    let mut number = |page: PageId| {
        let next = PageId(index32(numbers.len()));
        *numbers.entry(page).or_insert(next)
    };
    // A first run loads all of them, in order.
    for (page, _) in network.bundle.plan.commands.iter().filter_map(load) {
        number(page);
    }
    let mut plan = network.bundle.plan.clone();
    plan.commands = commands
        .iter()
        .map(|command| match *command {
            Command::Load { page, slot } => Command::Load { page: number(page), slot },
            Command::Drop { page } => Command::Drop { page: number(page) },
            Command::Dispatch { index } => Command::Dispatch { index },
            Command::Submit => Command::Submit,
        })
        .collect();
    plan.repeat_commands = Vec::new();
    plan.page_count = index32(numbers.len());
    plan.slot_count = whole.slot_count;
    plan
}
