//! What `verify` can find wrong with a schedule or its commands. Data and messages only.

/// One thing that is wrong with a schedule or its commands.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Violation {
    /// A table of another length than the problem.
    #[error("{table} has {entries} entries for {steps} steps")]
    Length {
        /// Which table.
        table: &'static str,
        /// Its length.
        entries: usize,
        /// Steps of the problem.
        steps: usize,
    },
    /// A load out of page order, of a page that does not exist, or a second one.
    #[error("command {command}: loads page {page}, expected {expected}")]
    LoadOrder {
        /// Position in the command list.
        command: usize,
        /// The page.
        page: u32,
        /// The next page of the stream.
        expected: u32,
    },
    /// A load into a slot that holds a live page.
    #[error("command {command}: page {page} overwrites page {live} in slot {slot}")]
    Overwrite {
        /// Position in the command list.
        command: usize,
        /// The new page.
        page: u32,
        /// The page that is still live.
        live: u32,
        /// The slot.
        slot: u32,
    },
    /// A slot that the arena does not have.
    #[error("command {command}: slot {slot} is not one of {slots}")]
    SlotRange {
        /// Position in the command list.
        command: usize,
        /// The slot.
        slot: u32,
        /// Slots of the arena.
        slots: u32,
    },
    /// More slots than allowed.
    #[error("the {what} of {slots} slots exceeds the limit of {limit}")]
    Cap {
        /// Which number.
        what: &'static str,
        /// Its value.
        slots: u32,
        /// The limit.
        limit: u32,
    },
    /// Staging buffer reused without a submit in between.
    #[error("command {command}: load {load} reuses a staging buffer that was not submitted")]
    Ring {
        /// Position in the command list.
        command: usize,
        /// Number of the load.
        load: usize,
    },
    /// A drop of a page that is not resident.
    #[error("command {command}: drops page {page}, which is not resident")]
    DropAbsent {
        /// Position in the command list.
        command: usize,
        /// The page.
        page: u32,
    },
    /// A drop of a page that a later step reads, or that was read by none.
    #[error("command {command}: drops page {page} before its last use")]
    DropEarly {
        /// Position in the command list.
        command: usize,
        /// The page.
        page: u32,
    },
    /// A dispatch out of order, twice, or of a step that does not exist.
    #[error("command {command}: dispatches step {step}, expected {expected}")]
    DispatchOrder {
        /// Position in the command list.
        command: usize,
        /// The step.
        step: u32,
        /// The next step.
        expected: u32,
    },
    /// A dispatch whose page is not resident, or not in the slot that it was given.
    #[error("command {command}: step {step} reads page {page} in {}, and it is in {}", slot(*expected), slot(*actual))]
    NotResident {
        /// Position in the command list.
        command: usize,
        /// The step.
        step: u32,
        /// The page.
        page: u32,
        /// Slot in `slots_of_step`.
        expected: Option<u32>,
        /// Slot that holds it.
        actual: Option<u32>,
    },
    /// A number of uploads before a step other than the schedule's.
    #[error("{actual} loads precede step {step} since the one before it, the schedule says {scheduled}")]
    UploadCount {
        /// The step.
        step: u32,
        /// Loads in the command list.
        actual: u32,
        /// Uploads in the schedule.
        scheduled: u32,
    },
    /// Something never happened.
    #[error("{count} {what}")]
    Missing {
        /// What is missing.
        what: &'static str,
        /// How many.
        count: u32,
    },
    /// A step that starts before it can.
    #[error("step {step} starts at {start_us} us, not possible before {earliest_us} us: {reason}")]
    TooEarly {
        /// The step.
        step: u32,
        /// Its start in the schedule.
        start_us: f64,
        /// Earliest possible start.
        earliest_us: f64,
        /// What it must wait for.
        reason: &'static str,
    },
    /// A finish time that is not the end of the last step.
    #[error("finishes at {finish_us} us, the last step ends at {end_us} us")]
    Finish {
        /// Finish time in the schedule.
        finish_us: f64,
        /// End of the last step.
        end_us: f64,
    },
}

/// Where a page is, or should be.
fn slot(slot: Option<u32>) -> String {
    slot.map_or_else(|| "no slot".to_owned(), |slot| format!("slot {slot}"))
}
