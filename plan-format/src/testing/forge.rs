//! Bundles that were altered by someone who then recomputed all hashes, to reach the checks behind the hashes.

use crate::container::{Layout, SectionKind};

pub(crate) const HEADER_BYTES: usize = 24;
pub(crate) const ENTRY_BYTES: usize = 56;

/// Position of a section's entry in the table of a bundle with all seven sections.
pub(crate) const fn entry_at(kind: SectionKind) -> usize {
    HEADER_BYTES + (kind as usize - 1) * ENTRY_BYTES
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("8 bytes"))
}

pub(crate) fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    bytes[at..at + value.len()].copy_from_slice(value);
}

/// The range of a section in a bundle with all seven sections.
pub(crate) fn section_range(bytes: &[u8], kind: SectionKind) -> std::ops::Range<usize> {
    let start = u64_at(bytes, entry_at(kind) + 8) as usize;
    start..start + u64_at(bytes, entry_at(kind) + 16) as usize
}

#[cfg(test)]
/// Recomputes the hashes of all sections, then that of the header.
pub(crate) fn rehash(bytes: &mut [u8]) {
    for kind in SectionKind::ALL {
        let hash = *blake3::hash(&bytes[section_range(bytes, kind)]).as_bytes();
        put(bytes, entry_at(kind) + 24, &hash);
    }
    rehash_head(bytes);
}

#[cfg(test)]
/// Recomputes the hash of header and table only.
pub(crate) fn rehash_head(bytes: &mut [u8]) {
    let end = HEADER_BYTES + SectionKind::ALL.len() * ENTRY_BYTES;
    let hash = *blake3::hash(&bytes[..end]).as_bytes();
    put(bytes, end, &hash);
}

/// Recomputes the hashes of a file of any number of sections, as far as its table can be followed.
pub(crate) fn rehash_all(bytes: &mut [u8]) {
    let Some(count) = bytes.get(12..16).map(|count| u32::from_le_bytes(count.try_into().expect("4 bytes"))) else {
        return;
    };
    let table_end = HEADER_BYTES + count.min(16) as usize * ENTRY_BYTES;
    if bytes.len() < table_end + 32 {
        return;
    }
    for entry in (HEADER_BYTES..table_end).step_by(ENTRY_BYTES) {
        let (start, length) = (u64_at(bytes, entry + 8) as usize, u64_at(bytes, entry + 16) as usize);
        let section = start.checked_add(length).and_then(|end| bytes.get(start..end));
        if let Some(hash) = section.map(|section| *blake3::hash(section).as_bytes()) {
            put(bytes, entry + 24, &hash);
        }
    }
    let hash = *blake3::hash(&bytes[..table_end]).as_bytes();
    put(bytes, table_end, &hash);
}

/// The file of these sections, at the places and with the hashes that they should have.
pub(crate) fn assemble(sections: &[(SectionKind, Vec<u8>)]) -> Vec<u8> {
    let lengths: Vec<_> = sections.iter().map(|(kind, bytes)| (*kind, bytes.len() as u64)).collect();
    let mut layout = Layout::of(&lengths).expect("sections in memory are small");
    for (entry, (_, bytes)) in layout.sections.iter_mut().zip(sections) {
        entry.hash = *blake3::hash(bytes).as_bytes();
    }
    let mut file = layout.encode().0;
    for (entry, (_, bytes)) in layout.sections.iter().zip(sections) {
        file.resize(entry.offset_bytes as usize, 0);
        file.extend(bytes);
    }
    file
}
