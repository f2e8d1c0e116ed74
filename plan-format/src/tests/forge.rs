//! Bundles that were altered by someone who then recomputed all hashes, to reach the checks behind the hashes.

use crate::container::SectionKind;

pub(super) const HEADER_BYTES: usize = 24;
pub(super) const ENTRY_BYTES: usize = 56;

/// Position of a section's entry in the table of a bundle with all seven sections.
pub(super) const fn entry_at(kind: SectionKind) -> usize {
    HEADER_BYTES + (kind as usize - 1) * ENTRY_BYTES
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("8 bytes"))
}

pub(super) fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    bytes[at..at + value.len()].copy_from_slice(value);
}

/// The range of a section in a bundle with all seven sections.
pub(super) fn section_range(bytes: &[u8], kind: SectionKind) -> std::ops::Range<usize> {
    let start = u64_at(bytes, entry_at(kind) + 8) as usize;
    start..start + u64_at(bytes, entry_at(kind) + 16) as usize
}

/// Recomputes the hashes of all sections, then that of the header.
pub(super) fn rehash(bytes: &mut [u8]) {
    for kind in SectionKind::ALL {
        let hash = *blake3::hash(&bytes[section_range(bytes, kind)]).as_bytes();
        put(bytes, entry_at(kind) + 24, &hash);
    }
    rehash_head(bytes);
}

/// Recomputes the hash of header and table only.
pub(super) fn rehash_head(bytes: &mut [u8]) {
    let end = HEADER_BYTES + SectionKind::ALL.len() * ENTRY_BYTES;
    let hash = *blake3::hash(&bytes[..end]).as_bytes();
    put(bytes, end, &hash);
}
