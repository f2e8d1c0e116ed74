//! What a run of one network does when others ran before it: its command list without the loads of pages that are there already, and
//! with loads for the network that comes next.
//!
//! A load is left out exactly if its slot holds its page at that moment. So a list that is right for an empty arena is right for any:
//! whatever the arena holds, behind the load its slot holds its page, and between the load and the page's last reader nothing else
//! goes there. The ring stays right as well: the performed loads are a part of the list's loads, so there are at least as many submits
//! between two of them as between the two that were as far apart in the list. Which pages the arena holds follows from the commands
//! alone. This is what both the proof and the runtime do; nothing is decided here.

use super::types::HandOver;
use crate::plan::{Command, PageId, Plan, SlotId};

/// What every slot of the arena holds; pages are the file's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arena {
    slots: Vec<Option<PageId>>,
}

impl Arena {
    /// An arena that holds nothing.
    pub fn empty(slot_count: u32) -> Self {
        Self { slots: vec![None; slot_count as usize] }
    }

    /// Nothing in it can be relied on any more.
    pub fn forget(&mut self) {
        self.slots.fill(None);
    }

    /// Whether a slot holds a page.
    pub fn holds(&self, page: PageId, slot: SlotId) -> bool {
        self.slots.get(slot.0 as usize).is_some_and(|held| *held == Some(page))
    }

    /// For every slot, whether it holds a page.
    pub fn held(&self) -> Vec<bool> {
        self.slots.iter().map(Option::is_some).collect()
    }

    /// A page was loaded into a slot.
    pub(crate) fn load(&mut self, page: PageId, slot: SlotId) {
        if let Some(held) = self.slots.get_mut(slot.0 as usize) {
            *held = Some(page);
        }
    }

    /// Takes in what a completed run has loaded.
    pub fn follow(&mut self, commands: &[Command]) {
        for command in commands {
            match *command {
                Command::Load { page, slot } => self.load(page, slot),
                Command::Drop { .. } | Command::Dispatch { .. } | Command::Submit => {}
            }
        }
    }

    /// Host bytes behind its pointer.
    pub fn heap_bytes(&self) -> u64 {
        (self.slots.capacity() * size_of::<Option<PageId>>()) as u64
    }

    /// Host bytes of an arena of so many slots.
    pub const fn bytes(slot_count: u32) -> u64 {
        slot_count as u64 * size_of::<Option<PageId>>() as u64
    }
}

/// What a network has in the arena: pages are the file's and slots the arena's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turns {
    /// The pages that stay resident, with their slots.
    pub kept: Vec<(PageId, SlotId)>,
    /// The pages behind these, in the order in which they are needed, as many as any network loads for it.
    pub head: Vec<(PageId, SlotId)>,
    /// What it loads for others.
    pub hand_overs: Vec<HandOver>,
}

impl Turns {
    /// The network as its runs need it; `plan` is its plan.
    pub fn of<'a>(&'a self, plan: &'a Plan) -> Turn<'a> {
        let Plan { commands, repeat_commands, staging_pages, .. } = plan;
        let Self { kept, head, hand_overs } = self;
        Turn { commands, repeat_commands, kept, head, hand_overs, staging_pages: *staging_pages }
    }

    /// Host bytes behind its pointers.
    pub fn heap_bytes(&self) -> u64 {
        let pages = (self.kept.capacity() + self.head.capacity()) * size_of::<(PageId, SlotId)>();
        let before = |hand_over: &HandOver| size_of::<HandOver>() + hand_over.before.capacity() * size_of::<u32>();
        (pages + self.hand_overs.iter().map(before).sum::<usize>()) as u64
    }
}

/// A network as its runs need it.
#[derive(Debug, Clone, Copy)]
pub struct Turn<'a> {
    /// The command list of a run that does not find all of `kept`.
    pub commands: &'a [Command],
    /// The one of a run that does; empty where nothing is kept.
    pub repeat_commands: &'a [Command],
    /// The pages that stay, with their slots.
    pub kept: &'a [(PageId, SlotId)],
    /// The pages behind these, in the order in which they are needed, with their slots, as many as any network hands over.
    pub head: &'a [(PageId, SlotId)],
    /// What it loads for each network that may come next.
    pub hand_overs: &'a [HandOver],
    /// Buffers of the staging ring.
    pub staging_pages: u32,
}

/// The commands of a run that finds `arena`, and after which `successor` was announced, with its position. Drops are left out: they
/// free what nobody asks for. Loads for the successor come behind the network's own, whatever their place.
pub fn turn(network: &Turn<'_>, arena: &Arena, successor: Option<(u32, &Turn<'_>)>) -> Vec<Command> {
    let is_back = network.kept.iter().all(|(page, slot)| arena.holds(*page, *slot));
    let list = if is_back && !network.repeat_commands.is_empty() { network.repeat_commands } else { network.commands };
    let handed = successor.and_then(|(position, next)| {
        let found = network.hand_overs.iter().find(|hand_over| hand_over.successor == position)?;
        Some(next.head.iter().zip(&found.before))
    });
    let mut handed = handed.into_iter().flatten().peekable();
    let last_load = list.iter().rposition(|command| matches!(command, Command::Load { .. }));
    let mut run = Run { arena: arena.clone(), commands: Vec::with_capacity(list.len()), loads: 0, is_encoded: false };
    for (position, command) in list.iter().enumerate() {
        let is_behind_own = last_load.is_none_or(|last| position > last);
        match *command {
            Command::Load { page, slot } => run.load(page, slot),
            Command::Drop { .. } => {}
            Command::Dispatch { index } => {
                let first = run.loads;
                while let Some(((page, slot), _)) = handed.next_if(|(_, before)| is_behind_own && **before <= index) {
                    run.load(*page, *slot);
                    if (run.loads - first).is_multiple_of((network.staging_pages / 2).max(1)) {
                        run.submit();
                    }
                }
                if run.loads > first {
                    run.submit();
                }
                run.push(*command);
            }
            Command::Submit => run.submit(),
        }
    }
    run.commands
}

/// Commands so far.
struct Run {
    arena: Arena,
    commands: Vec<Command>,
    loads: u32,
    is_encoded: bool,
}

impl Run {
    fn load(&mut self, page: PageId, slot: SlotId) {
        if !self.arena.holds(page, slot) {
            self.arena.load(page, slot);
            self.loads += 1;
            self.push(Command::Load { page, slot });
        }
    }

    fn push(&mut self, command: Command) {
        self.commands.push(command);
        self.is_encoded = true;
    }

    fn submit(&mut self) {
        if std::mem::take(&mut self.is_encoded) {
            self.commands.push(Command::Submit);
        }
    }
}
