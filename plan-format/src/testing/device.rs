//! A simulated device, to judge plans by what their dispatches read.
//!
//! It runs programs over slots and staging buffers of page numbers. As on a real device, nothing that was encoded happens
//! before its submit: a copy takes what its staging buffer holds then. What a kernel reads is fixed: as many entries of the
//! slot table, from the same place in the parameters, as in the plan that it was compiled for. It shares no code with
//! `replay` and has no rules but the hardware's: it says what happens, not what should.

use crate::plan::{Command, Plan};

/// Where a kernel looks for its pages: position of the table in the parameters, entries.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Table {
    at: usize,
    entries: usize,
}

/// What a kernel was compiled to read, by dispatch.
pub(crate) fn tables(plan: &Plan) -> Vec<Table> {
    let table = |dispatch: &crate::plan::Dispatch| match &dispatch.weights {
        None => Table { at: 0, entries: 0 },
        Some(weights) => Table {
            at: dispatch.params_offset_bytes as usize + weights.slots_offset_bytes as usize,
            entries: weights.page_count as usize,
        },
    };
    plan.dispatches.iter().map(table).collect()
}

/// Dispatches in the order in which they ran, each with the page in every slot that it read; `None` is garbage.
pub(crate) type Executed = Vec<(u32, Vec<Option<u32>>)>;

/// What cannot be done on a device, or is not what was declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Harm {
    /// A page, slot or dispatch that does not exist.
    NoSuch(Command),
    /// A staging buffer was filled again before its copy was submitted.
    Overrun(Command),
    /// A kernel read outside the arena or its parameters.
    OutOfBounds(u32),
    /// The arena held more pages than it has slots.
    Peak(usize),
}

/// Work that was encoded and not submitted.
enum Encoded {
    Copy { buffer: usize, slot: usize },
    Forget { slot: usize },
    Dispatch { index: u32 },
}

struct Device<'a> {
    plan: &'a Plan,
    tables: &'a [Table],
    pages: u32,
    slots: Vec<Option<u32>>,
    /// By slot: the page that the program put there and has not dropped.
    held: Vec<Option<u32>>,
    staging: Vec<Option<u32>>,
    encoded: Vec<Encoded>,
    executed: Executed,
}

/// Runs a plan `runs` times, as the runtime does, on kernels compiled for `tables` and a file of `pages` pages.
pub(crate) fn run(plan: &Plan, tables: &[Table], pages: u32, runs: u32) -> Result<Vec<Executed>, Harm> {
    let mut device = Device {
        plan,
        tables,
        pages,
        slots: vec![None; plan.slot_count as usize],
        held: vec![None; plan.slot_count as usize],
        staging: vec![None; plan.staging_pages as usize],
        encoded: Vec::new(),
        executed: Vec::new(),
    };
    let mut all = Vec::new();
    for run in 0..runs {
        let repeats = run > 0 && !plan.repeat_commands.is_empty();
        if !repeats {
            device.slots.fill(None);
            device.held.fill(None);
        }
        device.program(if repeats { &plan.repeat_commands } else { &plan.commands })?;
        all.push(std::mem::take(&mut device.executed));
    }
    Ok(all)
}

impl Device<'_> {
    fn program(&mut self, commands: &[Command]) -> Result<(), Harm> {
        self.staging.fill(None);
        let mut loads = 0;
        for command in commands {
            match *command {
                Command::Load { page, slot } => {
                    let slot = slot.0 as usize;
                    if page.0 >= self.pages || slot >= self.slots.len() {
                        return Err(Harm::NoSuch(*command));
                    }
                    self.load(loads, page.0, slot).ok_or(Harm::Overrun(*command))?;
                    let held = self.held.iter().flatten().count();
                    if held > self.plan.slot_count as usize {
                        return Err(Harm::Peak(held));
                    }
                    loads += 1;
                }
                Command::Drop { page } => {
                    if page.0 >= self.pages {
                        return Err(Harm::NoSuch(*command));
                    }
                    self.forget(page.0);
                }
                Command::Dispatch { index } => {
                    if index as usize >= self.tables.len() {
                        return Err(Harm::NoSuch(*command));
                    }
                    self.encoded.push(Encoded::Dispatch { index });
                }
                Command::Submit => self.submit()?,
            }
        }
        // What was never submitted never happens.
        self.encoded.clear();
        Ok(())
    }

    /// Reads a page into its staging buffer and encodes its copy; `None` when the buffer is still waiting for a submit.
    fn load(&mut self, load: usize, page: u32, slot: usize) -> Option<()> {
        let buffer = load.checked_rem(self.staging.len())?;
        let waiting = |work: &Encoded| matches!(work, Encoded::Copy { buffer: other, .. } if *other == buffer);
        if self.encoded.iter().any(waiting) {
            return None;
        }
        self.staging[buffer] = Some(page);
        self.held[slot] = Some(page);
        self.encoded.push(Encoded::Copy { buffer, slot });
        Some(())
    }

    /// From a drop on a slot's content is anyone's: garbage.
    fn forget(&mut self, page: u32) {
        for slot in 0..self.held.len() {
            if self.held[slot] == Some(page) {
                self.held[slot] = None;
                self.encoded.push(Encoded::Forget { slot });
            }
        }
    }

    fn submit(&mut self) -> Result<(), Harm> {
        for work in std::mem::take(&mut self.encoded) {
            match work {
                Encoded::Copy { buffer, slot } => self.slots[slot] = self.staging[buffer],
                Encoded::Forget { slot } => self.slots[slot] = None,
                Encoded::Dispatch { index } => {
                    let read = self.read(self.tables[index as usize]).ok_or(Harm::OutOfBounds(index))?;
                    self.executed.push((index, read));
                }
            }
        }
        Ok(())
    }

    fn read(&self, table: Table) -> Option<Vec<Option<u32>>> {
        let entries = self.plan.params.get(table.at..table.at + 4 * table.entries)?;
        let slot = |entry: &[u8; 4]| self.slots.get(u32::from_le_bytes(*entry) as usize).copied();
        entries.as_chunks::<4>().0.iter().map(slot).collect()
    }
}
