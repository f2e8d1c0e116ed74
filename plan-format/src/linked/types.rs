//! What a linked bundle holds, as plain data, and sizes that follow from it.

use crate::plan::{BINDING_ALIGNMENT, MemoryDeclaration, PageId, Plan, Requirements, RowTable, SlotId};
use serde::{Deserialize, Serialize};

/// Most networks of a bundle.
pub const MAX_NETWORKS: u32 = 64;

/// Most bytes of a network's name.
pub const MAX_NETWORK_NAME_BYTES: usize = 256;

/// The content of the plan section.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum StoredPlan {
    /// Of a bundle of one network.
    One(Box<Plan>),
    /// Of a linked bundle.
    Several(Box<Linked>),
}

/// What a linked bundle holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Linked {
    /// The networks, in the order in which they were linked.
    pub networks: Vec<Network>,
    /// Pages in the file.
    pub page_count: u32,
    /// Slots that hold one page each for good once it is loaded; those behind them are everybody's.
    pub kept_slots: u32,
    /// Layers of the weight arena.
    pub slot_count: u32,
    /// The tables of all networks, in the order of the rows section.
    pub row_tables: Vec<RowTable>,
    /// What the device must offer.
    pub requirements: Requirements,
    /// Memory by kind; its total is the declared peak of the whole bundle.
    pub memory: MemoryDeclaration,
    /// The budget that the networks were linked for.
    pub budget_bytes: Option<u64>,
    /// How they were linked: options and what is proven, for people.
    pub options: Vec<(String, String)>,
    /// Outputs that other networks' runs take as inputs without the host, in order.
    pub connections: Vec<Connection>,
}

/// An output of one network that is an input of another's next run, or of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connection {
    /// Position of the network that gives it.
    pub from: u32,
    /// Position among its outputs.
    pub output: u32,
    /// Position of the network that takes it.
    pub to: u32,
    /// Position among its inputs.
    pub input: u32,
    /// Where it lies in between, in the state buffer: connections to one input have one place.
    pub offset_bytes: u64,
}

/// One network of a linked bundle.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Network {
    /// What apps call it.
    pub name: String,
    /// Its plan, in numbers of its own. The command list for later runs starts with the pages in `kept_slots` and no others.
    pub plan: Plan,
    /// Where its pages lie in the file.
    pub pages: Vec<PageRange>,
    /// Of its first slots, which it never frees: their places in the arena. Its other slots follow on the kept slots of all.
    pub kept_slots: Vec<SlotId>,
    /// Start of its constants in the constants section.
    pub constants_offset_bytes: u64,
    /// Length of its constants.
    pub constants_bytes: u64,
    /// Start of each of its states in the state buffer.
    pub state_offsets_bytes: Vec<u64>,
    /// Its row tables, as positions in [`Linked::row_tables`].
    pub row_tables: Vec<u32>,
    /// For each source of its pipelines, its position in the kernels section.
    pub kernels: Vec<u32>,
    /// Pages that it loads for the network that runs next, where that was announced: at most one entry a network, by network.
    pub hand_overs: Vec<HandOver>,
}

/// Pages that lie one after the other in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageRange {
    /// The first one.
    pub first: PageId,
    /// How many.
    pub count: u32,
}

/// Pages of another network, or of the next run of the same one, that a run loads when it no longer needs their slots.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandOver {
    /// Position of the network that runs next.
    pub successor: u32,
    /// The dispatch before which each page is loaded, ascending: the first is for the successor's first page that is not kept, and
    /// so on in the successor's order.
    pub before: Vec<u32>,
    /// Predicted time of the successor's run with these pages there.
    pub successor_us: u64,
}

impl Network {
    /// Pages that stay resident once they are loaded: as many as slots that are never freed.
    pub fn kept(&self) -> u32 {
        u32::try_from(self.kept_slots.len()).unwrap_or(u32::MAX)
    }

    /// Where a page lies in the file; `None` for a page that it does not have.
    pub fn stored_page(&self, page: PageId) -> Option<PageId> {
        let mut rest = page.0;
        for range in &self.pages {
            if rest < range.count {
                return range.first.0.checked_add(rest).map(PageId);
            }
            rest -= range.count;
        }
        None
    }

    /// Where a slot of its own lies in the arena of all.
    pub fn arena_slot(&self, kept_slots: u32, slot: SlotId) -> SlotId {
        match self.kept_slots.get(slot.0 as usize) {
            Some(kept) => *kept,
            None => SlotId(kept_slots.saturating_add(slot.0 - self.kept())),
        }
    }
}

impl Linked {
    /// Start of every network's parameters in the parameter buffer, and the end of the last. `None` on overflow.
    pub fn params_offsets_bytes(&self) -> Option<Vec<u64>> {
        let mut offsets = vec![0_u64];
        for network in &self.networks {
            let end = offsets.last()?.checked_add(network.plan.params.len() as u64)?;
            offsets.push(end.checked_next_multiple_of(BINDING_ALIGNMENT)?);
        }
        Some(offsets)
    }

    /// End of the last state in the state buffer. `None` on overflow.
    pub fn state_bytes(&self) -> Option<u64> {
        let states =
            self.networks.iter().flat_map(|network| network.plan.states.iter().zip(&network.state_offsets_bytes));
        states
            .map(|(state, offset)| offset.checked_add(state.slice.size_bytes))
            .try_fold(0, |end, at| Some(end.max(at?)))
    }

    /// Length of the constants section.
    pub fn constants_bytes(&self) -> Option<u64> {
        let end = |network: &Network| network.constants_offset_bytes.checked_add(network.constants_bytes);
        self.networks.iter().map(end).try_fold(0, |most, end| Some(most.max(end?)))
    }

    /// Sources in the kernels section.
    pub fn kernel_count(&self) -> u32 {
        let used = self.networks.iter().flat_map(|network| &network.kernels);
        used.max().map_or(0, |last| last.saturating_add(1))
    }

    /// Buffers of the staging ring: those of every network that has pages.
    pub fn staging_pages(&self) -> u32 {
        self.networks.iter().map(|network| network.plan.staging_pages).max().unwrap_or(0)
    }

    /// Length of the rows section.
    pub fn rows_bytes(&self) -> Option<u64> {
        self.row_tables.iter().try_fold(0_u64, |sum, table| sum.checked_add(table.table_bytes()?))
    }

    /// Length of the pages section.
    pub fn pages_bytes(&self) -> Option<u64> {
        let page_bytes = self.networks.first()?.plan.page.page_bytes();
        page_bytes.checked_mul(self.page_count.into())
    }
}
