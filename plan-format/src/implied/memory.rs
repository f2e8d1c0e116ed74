//! The exact formula of the memory declaration, shared by the compiler (which declares) and `validate` (which checks).
//!
//! It deliberately covers what a session holds because of the plan, and nothing that a driver or an allocator adds.

use super::sizes::ReadBack;
use crate::codec;
use crate::plan::{ALLOCATION_GRANULE_BYTES, MemoryDeclaration, Plan, TEXTURE_GRANULE_BYTES};

/// Outputs are read back in pieces of at most this size.
pub const MAX_READBACK_BYTES: u64 = 1 << 20;

/// Rows of the largest table that the host may hold at once while it gathers.
pub const GATHERED_ROWS_IN_FLIGHT: u64 = 64;

/// What the host holds for every element of a row gather's indices: the row in the input staging buffer (4 bytes), and, during
/// a run, row and position of what is to be read (8 bytes).
pub const GATHERED_INDEX_BYTES: u64 = 12;

/// Bytes of all readers' buffers together: pages pass them on their way into staging memory, and are checked there.
pub const READ_BUFFERS_BYTES: u64 = 512 * 1024;

/// The decoded plan is counted as this many times its encoding: the encoding itself, held while it is decoded, and
/// tables that are up to twice as large in memory.
pub const DECODED_PLAN_FACTOR: u64 = 3;

/// Bytes of one page checksum.
pub const PAGE_CHECKSUM_BYTES: u64 = 4;

impl Plan {
    /// Everything that is read back after a run: outputs, then checks.
    pub fn read_back(&self) -> impl Iterator<Item = ReadBack<'_>> {
        self.outputs.iter().map(ReadBack::from).chain(self.checks.iter().map(ReadBack::from))
    }

    /// Bytes on the device of the largest output or check; of a plan with states, which the host may read, a granule at least.
    pub fn largest_read_back_bytes(&self) -> u64 {
        let of_states = if self.states.is_empty() { 0 } else { ALLOCATION_GRANULE_BYTES };
        self.read_back().filter_map(|read| read.slice).map(|slice| slice.size_bytes).fold(of_states, u64::max)
    }

    /// Bytes on the device of all outputs and checks.
    pub fn read_back_bytes(&self) -> u64 {
        self.read_back().filter_map(|read| read.slice).map(|slice| slice.size_bytes).fold(0, u64::saturating_add)
    }

    /// Bytes of the buffers through which all readers together pass pages: [`READ_BUFFERS_BYTES`], or the ring's size when
    /// that is less.
    pub fn read_buffers_bytes(&self) -> u64 {
        self.page.page_bytes().saturating_mul(u64::from(self.staging_pages)).min(READ_BUFFERS_BYTES)
    }

    /// What the host holds to gather rows: [`GATHERED_ROWS_IN_FLIGHT`] of the widest table, and [`GATHERED_INDEX_BYTES`] for
    /// every index. `None` on overflow.
    pub fn row_gather_bytes(&self) -> Option<u64> {
        let widest_row = self.row_tables.iter().map(|table| table.row_stride_bytes()).max().unwrap_or(0);
        let indices = self.gathered_indices()?.checked_mul(GATHERED_INDEX_BYTES)?;
        widest_row.checked_mul(GATHERED_ROWS_IN_FLIGHT)?.checked_add(indices)
    }
}

impl MemoryDeclaration {
    /// What the plan implies, by kind. `None` on overflow. With `G(x)` = `x` rounded up to [`ALLOCATION_GRANULE_BYTES`]:
    ///
    /// | kind | bytes |
    /// |---|---|
    /// | weight arena | `slot_count` × page bytes, rounded up to [`TEXTURE_GRANULE_BYTES`] |
    /// | staging | `staging_pages` × G(page bytes): every staging buffer is its own allocation |
    /// | activations | G(`activation_bytes`), at least one granule |
    /// | constants | G(`constant_bytes`) |
    /// | states | G(end of the last state) |
    /// | params | G(length of `params`), at least one granule |
    /// | input staging | G(Σ input slices + Σ row gather destinations) |
    /// | read-back | G(min(largest slice of an output or a check, [`MAX_READBACK_BYTES`])) |
    /// | host | Σ outputs and checks at the API + [`DECODED_PLAN_FACTOR`] × encoded plan with kernel sources + 4 × `page_count` + `constant_bytes` (their copy while loading) + [`GATHERED_ROWS_IN_FLIGHT`] × largest row stride + [`GATHERED_INDEX_BYTES`] × Σ indices of row gathers + read buffers: min([`READ_BUFFERS_BYTES`], `staging_pages` × page bytes) |
    ///
    /// `plan.memory` itself does not influence the result; every other field must be final (the presence of
    /// `budget_bytes`, for one, changes the length of the encoding).
    pub fn of(plan: &Plan, constant_bytes: u64) -> Option<Self> {
        let page_bytes = plan.page.page_bytes();
        Some(Self {
            weight_arena_bytes: page_bytes
                .checked_mul(u64::from(plan.slot_count))?
                .checked_next_multiple_of(TEXTURE_GRANULE_BYTES)?,
            staging_bytes: granules(page_bytes)?.checked_mul(u64::from(plan.staging_pages))?,
            activation_bytes: granules(plan.activation_bytes.max(1))?,
            constant_bytes: granules(constant_bytes)?,
            state_bytes: granules(plan.state_bytes()?)?,
            params_bytes: granules((plan.params.len() as u64).max(1))?,
            input_staging_bytes: granules(plan.input_upload_bytes()?)?,
            readback_bytes: granules(plan.largest_read_back_bytes().min(MAX_READBACK_BYTES))?,
            host_bytes: host_bytes(plan, constant_bytes)?,
        })
    }
}

/// Rounds up to whole allocation granules.
fn granules(bytes: u64) -> Option<u64> {
    bytes.checked_next_multiple_of(ALLOCATION_GRANULE_BYTES)
}

fn host_bytes(plan: &Plan, constant_bytes: u64) -> Option<u64> {
    let outputs = plan.read_back().try_fold(0_u64, |sum, read| sum.checked_add(read.api_bytes()?))?;
    let decoded_plan = codec::encoded_plan_bytes(plan)?.checked_mul(DECODED_PLAN_FACTOR)?;
    let checksums = u64::from(plan.page_count) * PAGE_CHECKSUM_BYTES;
    let rows = plan.row_gather_bytes()?;
    let read_buffers = plan.read_buffers_bytes();
    [decoded_plan, checksums, constant_bytes, rows, read_buffers]
        .iter()
        .try_fold(outputs, |sum, bytes| sum.checked_add(*bytes))
}

/// The fields by name; destructured, so that a new field cannot be forgotten.
pub(crate) fn memory_kinds(memory: MemoryDeclaration) -> [(&'static str, u64); 9] {
    let MemoryDeclaration {
        weight_arena_bytes,
        staging_bytes,
        activation_bytes,
        constant_bytes,
        state_bytes,
        params_bytes,
        input_staging_bytes,
        readback_bytes,
        host_bytes,
    } = memory;
    [
        ("weight arena", weight_arena_bytes),
        ("staging", staging_bytes),
        ("activation", activation_bytes),
        ("constant", constant_bytes),
        ("state", state_bytes),
        ("parameter", params_bytes),
        ("input staging", input_staging_bytes),
        ("read-back", readback_bytes),
        ("host", host_bytes),
    ]
}
