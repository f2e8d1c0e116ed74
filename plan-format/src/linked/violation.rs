//! Everything that can be wrong with a linked bundle besides its networks' own plans. Only the wording is here.

use super::connect::Unconnectable;
use crate::plan::{PageId, SlotId};

/// A rule that a linked bundle breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the fields are described by the messages")]
pub enum LinkViolation {
    /// No networks, or too many.
    #[error("{count} networks; a linked bundle has 1 to {limit}")]
    NetworkCount { count: u64, limit: u32 },
    /// A name that nobody can ask for.
    #[error("network {network} has a name that is empty, longer than {limit} bytes, or another network's")]
    Name { network: u32, limit: usize },
    /// Pages of different shapes cannot share an arena.
    #[error("network {network} has pages of {rows} rows, and the first network has pages of {expected}")]
    PageRows { network: u32, rows: u32, expected: u32 },
    /// A ring of another size.
    #[error("network {network} has a ring of {staging_pages} pages, and others have one of {expected}")]
    StagingPages { network: u32, staging_pages: u32, expected: u32 },
    /// More pages or slots than a plan may have.
    #[error("{count} {table}, more than the limit of {limit}")]
    TooMany { table: &'static str, count: u64, limit: u64 },
    /// Ranges that are not exactly the network's pages.
    #[error("network {network} has {page_count} pages, and its ranges {ranged}")]
    PageCount { network: u32, page_count: u32, ranged: u64 },
    /// A range that leaves the file.
    #[error("network {network}: pages {first} to {end} are not all among the file's {page_count}")]
    PageRange { network: u32, first: u32, end: u64, page_count: u32 },
    /// A page that no network reads.
    #[error("no network has page {}", page.0)]
    PageUnused { page: PageId },
    /// A table of another length than what it is about.
    #[error("network {network} has {found} {table}, expected {expected}")]
    TableLength { network: u32, table: &'static str, found: u64, expected: u64 },
    /// A kept slot that is none, or has two pages.
    #[error("network {network}: kept slot {} is not among the {kept_slots} kept slots, or is another page's", slot.0)]
    KeptSlot { network: u32, slot: SlotId, kept_slots: u32 },
    /// Pages that stay resident are not those in the kept slots.
    #[error("network {network}: {found} pages stay resident, and {expected} slots are kept")]
    KeptPages { network: u32, found: u32, expected: u32 },
    /// A kept slot that nobody keeps.
    #[error("no network keeps a page in slot {}", slot.0)]
    KeptSlotUnused { slot: SlotId },
    /// The arena does not have the slots that the networks need.
    #[error("the arena has {slot_count} slots, and the networks imply {expected}")]
    SlotCount { slot_count: u32, expected: u64 },
    /// Constants, or a state, at no place that it can have.
    #[error("network {network}: {what} at offset {offset_bytes} are misplaced, or overlap others")]
    Overlap { network: u32, what: &'static str, offset_bytes: u64 },
    /// Two networks share a state that is not the same tensor.
    #[error("network {network}: state {state} at offset {offset_bytes} has another type or shape than the one there")]
    StateShape { network: u32, state: u32, offset_bytes: u64 },
    /// A row table that is not the stored one.
    #[error("network {network}: row table {table} is not stored table {stored} of the bundle")]
    RowTable { network: u32, table: u32, stored: u32 },
    /// A stored row table at the wrong place, or of no network.
    #[error(
        "stored row table {table} starts at offset {offset_bytes} instead of {expected_bytes}, or belongs to no network"
    )]
    RowTableOrder { table: u32, offset_bytes: u64, expected_bytes: u64 },
    /// A kernel source that no pipeline has.
    #[error("no pipeline uses kernel {kernel}")]
    KernelUnused { kernel: u32 },
    /// A hand-over to no network, or out of order.
    #[error(
        "network {network}: hand-over {index} has no successor of its own, is out of order, or has more pages than its successor streams"
    )]
    HandOver { network: u32, index: u32 },
    /// A connection of a port that there is not, or that is there twice.
    #[error("connection {connection} does not lead from an output to an input, or is there twice")]
    Connection { connection: u32 },
    /// A connection of an output that cannot be the input.
    #[error("connection {connection}: {reason}")]
    Unconnectable { connection: u32, reason: Unconnectable },
    /// Connections to one input with two places, or to two inputs with one.
    #[error(
        "connection {connection} has its tensor at offset {offset_bytes}, which is another input's, or not that of its own input"
    )]
    ConnectionPlace { connection: u32, offset_bytes: u64 },
    /// A device limit that is used beyond what is declared.
    #[error("{limit} of {used} is used, and {declared} declared")]
    Requirement { limit: &'static str, used: u64, declared: u64 },
    /// Memory that is not what the networks imply.
    #[error("{kind} memory is declared as {declared_bytes} bytes, and the networks imply {implied_bytes}")]
    Memory { kind: &'static str, declared_bytes: u64, implied_bytes: u64 },
    /// Sizes that overflow.
    #[error("the sizes of the linked bundle overflow")]
    Overflow,
    /// The declared peak is above the budget.
    #[error("the declared peak of {total_bytes} bytes exceeds the budget of {budget_bytes} bytes")]
    Budget { total_bytes: u64, budget_bytes: u64 },
    /// A run finds a slot with something else.
    #[error("{turn}: dispatch {dispatch} looks for page {} in slot {}, which holds another one", page.0, slot.0)]
    Residency { turn: String, dispatch: u32, page: PageId, slot: SlotId },
    /// A staging buffer is used again too early.
    #[error("{turn}: load {load} reuses a staging buffer that is not submitted yet")]
    RingOverrun { turn: String, load: u32 },
    /// Work that is never submitted.
    #[error("{turn}: work after the last submit")]
    NeverSubmitted { turn: String },
    /// A load over a page that a later dispatch of the run reads, or into a slot that does not exist.
    #[error("{turn}: page {} is loaded into slot {}, which is kept for another page or does not exist", page.0, slot.0)]
    LoadSlot { turn: String, page: PageId, slot: SlotId },
}
