//! What a reader accepts, checked before anything is allocated for it.
//!
//! Pages and rows have no limit of their own besides the file's size: they are never held as a whole. Limits on what a
//! plan says (pages, shapes, counts) are in `plan.rs` and `validate/`.

use super::section_kind::SectionKind;
use crate::codec::MAX_ENCODED_BYTES;
use crate::plan::{MAX_CONSTANT_BYTES, MAX_PAGES};

/// Most bytes of the plan section.
pub const MAX_PLAN_BYTES: u64 = MAX_ENCODED_BYTES as u64;
/// Most bytes of the kernels section.
pub const MAX_KERNEL_BYTES: u64 = 16 << 20;
/// Most bytes of the page checksum section.
pub const MAX_CHECKSUM_BYTES: u64 = MAX_PAGES as u64 * 4;
/// Most bytes of the golden section.
pub const MAX_GOLDEN_BYTES: u64 = 1 << 30;
/// Most blobs (kernels, or golden tensors) of one section.
pub const MAX_BLOBS: u32 = 64 << 10;

/// Most bytes of a section.
pub const fn max_section_bytes(kind: SectionKind) -> u64 {
    match kind {
        SectionKind::Plan => MAX_PLAN_BYTES,
        SectionKind::Kernels => MAX_KERNEL_BYTES,
        SectionKind::Constants => MAX_CONSTANT_BYTES,
        SectionKind::PageChecksums => MAX_CHECKSUM_BYTES,
        SectionKind::Golden => MAX_GOLDEN_BYTES,
        SectionKind::Rows | SectionKind::Pages => u64::MAX,
    }
}
