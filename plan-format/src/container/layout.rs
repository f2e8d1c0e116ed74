//! The header and the section table: kinds, their order, and the one layout that given lengths have.
//!
//! Offsets are stored but never free: section by section, a section starts at the first multiple of its alignment at or
//! after the end of the one before. So holes, overlaps and trailing bytes cannot be expressed by an accepted table. This
//! file deliberately reads and writes no files.

use super::error::BundleError;
use super::limits::max_section_bytes;
use super::section_kind::SectionKind;

/// First bytes of every bundle.
pub const MAGIC: [u8; 8] = *b"\x89FMPLAN\n";
/// Version of the format, of the plan types included.
pub const VERSION: u32 = 16;

pub(crate) const HEADER_BYTES: usize = 24;
pub(crate) const ENTRY_BYTES: usize = 56;
pub(crate) const HASH_BYTES: usize = 32;

/// One entry of the section table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Section {
    /// What it holds.
    pub kind: SectionKind,
    /// Start in the file.
    pub offset_bytes: u64,
    /// Length without padding.
    pub length_bytes: u64,
    /// BLAKE3 of its bytes.
    pub hash: [u8; 32],
}

impl Section {
    /// End in the file; layouts are only made of sections whose end is representable.
    pub const fn end_bytes(&self) -> u64 {
        self.offset_bytes + self.length_bytes
    }
}

/// The whole section table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layout {
    pub sections: Vec<Section>,
    pub file_bytes: u64,
}

impl Layout {
    /// The layout of sections of these lengths, with zero hashes. `None` when it overflows.
    pub fn of(lengths: &[(SectionKind, u64)]) -> Option<Self> {
        let mut end_bytes = (HEADER_BYTES + lengths.len() * ENTRY_BYTES + HASH_BYTES) as u64;
        let mut sections = Vec::with_capacity(lengths.len());
        for &(kind, length_bytes) in lengths {
            let offset_bytes = end_bytes.checked_next_multiple_of(kind.alignment())?;
            end_bytes = offset_bytes.checked_add(length_bytes)?;
            sections.push(Section { kind, offset_bytes, length_bytes, hash: [0; 32] });
        }
        Some(Self { sections, file_bytes: end_bytes })
    }

    /// Bytes before the first section: header, table and hash.
    pub fn head_bytes(&self) -> u64 {
        head_bytes(self.sections.len()) as u64
    }

    pub fn section(&self, kind: SectionKind) -> Option<&Section> {
        self.sections.iter().find(|section| section.kind == kind)
    }

    pub fn section_mut(&mut self, kind: SectionKind) -> Option<&mut Section> {
        self.sections.iter_mut().find(|section| section.kind == kind)
    }

    /// The gaps that padding fills, as start and length.
    pub fn gaps(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        let ends = std::iter::once(self.head_bytes()).chain(self.sections.iter().map(Section::end_bytes));
        ends.zip(&self.sections).map(|(end, section)| (end, section.offset_bytes - end)).filter(|gap| gap.1 > 0)
    }

    /// Header, table and their hash; the hash, which is the bundle's, comes second as well.
    pub fn encode(&self) -> (Vec<u8>, [u8; 32]) {
        let mut bytes = Vec::with_capacity(head_bytes(self.sections.len()));
        bytes.extend(MAGIC);
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend((self.sections.len() as u32).to_le_bytes());
        bytes.extend(self.file_bytes.to_le_bytes());
        for section in &self.sections {
            bytes.extend((section.kind as u32).to_le_bytes());
            bytes.extend([0; 4]);
            bytes.extend(section.offset_bytes.to_le_bytes());
            bytes.extend(section.length_bytes.to_le_bytes());
            bytes.extend(section.hash);
        }
        let hash = *blake3::hash(&bytes).as_bytes();
        bytes.extend(hash);
        (bytes, hash)
    }
}

pub(crate) const fn head_bytes(sections: usize) -> usize {
    HEADER_BYTES + sections * ENTRY_BYTES + HASH_BYTES
}

/// Checks the fixed header against the file's size; returns the number of sections.
pub(crate) fn check_header(header: &[u8; HEADER_BYTES], file_bytes: u64) -> Result<usize, BundleError> {
    let magic: [u8; 8] = field(header, 0);
    if magic != MAGIC {
        return Err(BundleError::Magic { found: magic });
    }
    let version = u32::from_le_bytes(field(header, 8));
    if version != VERSION {
        return Err(BundleError::Version { found: version, supported: VERSION });
    }
    let most = SectionKind::ALL.len() as u32;
    let count = u32::from_le_bytes(field(header, 12));
    if !(most - 1..=most).contains(&count) {
        return Err(BundleError::SectionCount { found: count, fewest: most - 1, most });
    }
    let declared_bytes = u64::from_le_bytes(field(header, 16));
    if declared_bytes != file_bytes {
        return Err(BundleError::FileSize { declared_bytes, file_bytes });
    }
    let needed_bytes = head_bytes(count as usize) as u64;
    if file_bytes < needed_bytes {
        return Err(BundleError::TooShort { file_bytes, needed_bytes });
    }
    Ok(count as usize)
}

/// Decodes `head`, which is header, table and hash of `count` sections, and checks it all.
pub(crate) fn decode_head(head: &[u8], count: usize, file_bytes: u64) -> Result<(Layout, [u8; 32]), BundleError> {
    let table_end = HEADER_BYTES + count * ENTRY_BYTES;
    let hash: [u8; 32] = field(head, table_end);
    if *blake3::hash(&head[..table_end]).as_bytes() != hash {
        return Err(BundleError::HeaderHash { end_bytes: table_end as u64 });
    }
    let kinds = SectionKind::ALL.into_iter().filter(|kind| count == 7 || *kind != SectionKind::Golden);
    let mut declared = Vec::with_capacity(count);
    for (index, kind) in kinds.enumerate() {
        declared.push(decode_entry(head, index, kind)?);
    }
    let lengths: Vec<_> = declared.iter().map(|section| (section.kind, section.length_bytes)).collect();
    let mut layout = Layout::of(&lengths).ok_or(BundleError::LengthOverflow)?;
    for (section, declared) in layout.sections.iter_mut().zip(declared) {
        if section.offset_bytes != declared.offset_bytes {
            return Err(BundleError::SectionOffset {
                section: section.kind,
                declared_bytes: declared.offset_bytes,
                expected_bytes: section.offset_bytes,
            });
        }
        section.hash = declared.hash;
    }
    if layout.file_bytes != file_bytes {
        return Err(BundleError::FileEnd { end_bytes: layout.file_bytes, file_bytes });
    }
    Ok((layout, hash))
}

fn decode_entry(head: &[u8], index: usize, kind: SectionKind) -> Result<Section, BundleError> {
    let at = HEADER_BYTES + index * ENTRY_BYTES;
    let found = u32::from_le_bytes(field(head, at));
    if found != kind as u32 {
        let (index, offset_bytes) = (index as u32, at as u64);
        return Err(BundleError::SectionKind { index, offset_bytes, found, expected: kind as u32 });
    }
    if field::<4>(head, at + 4) != [0; 4] {
        return Err(BundleError::Reserved { offset_bytes: at as u64 + 4 });
    }
    let length_bytes = u64::from_le_bytes(field(head, at + 16));
    let limit_bytes = max_section_bytes(kind);
    if length_bytes > limit_bytes {
        return Err(BundleError::SectionTooLarge { section: kind, length_bytes, limit_bytes });
    }
    let offset_bytes = u64::from_le_bytes(field(head, at + 8));
    Ok(Section { kind, offset_bytes, length_bytes, hash: field(head, at + 24) })
}

/// `N` bytes at `at`, which the caller knows to be there.
fn field<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes[at..at + N].try_into().expect("a slice of N bytes is an array of N bytes")
}
