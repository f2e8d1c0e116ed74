//! Static rules over a plan: what can be checked without following its program.
//!
//! Checked: every index is in range; every slice lies aligned inside its buffer; port shapes match their slices and what
//! the host writes before a run does not overlap; row tables tile the rows section; gathers fit their destinations; index bounds lie
//! inside their tensors;
//! states tile their buffer, and are written by nobody but their own update;
//! parameter blocks and slot tables lie inside the parameters; dispatches fit their pipelines; requirements cover every
//! use; names are unique; the memory declaration is [`MemoryDeclaration::of`](crate::plan::MemoryDeclaration) the plan;
//! the budget covers it. All violations are reported.
//!
//! Deliberately not checked: residency, ring use and the order of commands (`replay`), WGSL (the compiler's linker), data
//! flow between dispatches, and whether two bindings of one dispatch overlap.

mod commands;
mod declarations;
mod ports;
mod states;
mod violation;

pub use violation::{Place, PlanViolation};

use crate::plan::{BINDING_ALIGNMENT, Buffer, BufferSlice, NameId, Plan};
use crate::violations::Violations;

/// Most bytes of a port's name: with `.npy` behind it, the longest name that an entry of an `.npz` archive can have.
pub const MAX_PORT_NAME_BYTES: usize = u16::MAX as usize - ".npy".len();
/// Most dimensions of a port.
pub const MAX_RANK: u32 = 16;
/// Most elements of a port or of a gather's destination: device indices are 32-bit.
pub const MAX_ELEMENTS: u64 = 1 << 31;
/// Most rows of texels in a page.
pub const MAX_PAGE_ROWS: u32 = 8192;
/// Most buffers in the staging ring.
pub const MAX_STAGING_PAGES: u32 = 1024;
/// Most bytes of one row of a row table.
pub const MAX_ROW_BYTES: u64 = 16 << 20;
/// Most ports, row tables, row gathers, index bounds or pipelines, each.
pub const MAX_TABLE_ENTRIES: u32 = 32 << 10;

/// Checks all static rules of a plan whose constants buffer has `constant_bytes`.
///
/// # Errors
/// All violations.
pub fn validate(plan: &Plan, constant_bytes: u64) -> Result<(), Violations<PlanViolation>> {
    let mut check = Check { plan, constant_bytes, found: Violations::new() };
    check.counts();
    check.page_geometry();
    check.ports();
    check.checks();
    check.row_tables();
    check.row_gathers();
    check.index_bounds();
    check.host_writes();
    check.states();
    check.pipelines();
    check.dispatches();
    check.commands();
    check.requirements();
    check.memory();
    check.found.into_result(())
}

/// A plan under check and what was found so far.
struct Check<'a> {
    plan: &'a Plan,
    constant_bytes: u64,
    found: Violations<PlanViolation>,
}

impl Check<'_> {
    /// Checks that an index is in range; returns the entry if so.
    fn entry<'t, T>(&mut self, place: Place, table: &'static str, entries: &'t [T], index: u32) -> Option<&'t T> {
        let entry = entries.get(index as usize);
        if entry.is_none() {
            self.found.push(PlanViolation::Index { place, table, index, count: entries.len() as u64 });
        }
        entry
    }

    /// A node's name, for messages.
    fn node(&self, id: NameId) -> String {
        violation::shown(self.plan.name(id))
    }

    fn named(&mut self, place: &Place, id: NameId) {
        self.entry(place.clone(), "names", &self.plan.names, id.0);
    }

    fn slice(&mut self, place: &Place, slice: BufferSlice) {
        let BufferSlice { buffer, offset_bytes, size_bytes } = slice;
        if !offset_bytes.is_multiple_of(BINDING_ALIGNMENT) {
            self.found.push(PlanViolation::SliceAlignment { place: place.clone(), offset_bytes });
        }
        if size_bytes == 0 || !size_bytes.is_multiple_of(4) {
            self.found.push(PlanViolation::SliceSize { place: place.clone(), size_bytes });
        }
        let buffer_bytes = match buffer {
            Buffer::Activations => self.plan.activation_bytes,
            Buffer::Constants => self.constant_bytes,
            Buffer::States => self.plan.state_bytes().unwrap_or(u64::MAX),
        };
        if offset_bytes.checked_add(size_bytes).is_none_or(|end| end > buffer_bytes) {
            let place = place.clone();
            self.found.push(PlanViolation::SliceEnd { place, buffer, offset_bytes, size_bytes, buffer_bytes });
        }
    }

    fn in_activations(&mut self, place: &Place, slice: BufferSlice) {
        if slice.buffer != Buffer::Activations {
            self.found.push(PlanViolation::NotInActivations { place: place.clone() });
        }
    }
}
