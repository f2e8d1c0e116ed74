//! What can be wrong with a bundle when it is read or written, as values that name section, offset, page or row.
//!
//! These errors deliberately suggest no remedy and hold no text but names.

use super::section_kind::SectionKind;
use crate::codec::CodecError;
#[cfg(not(target_arch = "wasm32"))]
use crate::files::FileError;
use crate::linked::LinkViolation;
use crate::plan::PageId;
use crate::replay::ReplayViolation;
use crate::validate::PlanViolation;
use crate::violations::Violations;
use std::io;

/// Why a bundle cannot be opened, or why a part of it is not what it should be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the fields are described by the messages")]
pub enum BundleError {
    /// The source failed or ended early.
    #[error("cannot read {length_bytes} bytes at offset {offset_bytes}")]
    Read { offset_bytes: u64, length_bytes: u64, source: io::Error },
    /// The source is too short to hold a header, or its own section table.
    #[error("the file has {file_bytes} bytes, and its header needs {needed_bytes}")]
    TooShort { file_bytes: u64, needed_bytes: u64 },
    /// The first bytes are not the magic.
    #[error("not an .fmplan bundle: it starts with {found:02x?}")]
    Magic { found: [u8; 8] },
    /// Another version of the format.
    #[error("the bundle has format version {found}, and this build reads version {supported}; compile the model again")]
    Version { found: u32, supported: u32 },
    /// The header and the file disagree.
    #[error("the header declares a file of {declared_bytes} bytes, and the file has {file_bytes}")]
    FileSize { declared_bytes: u64, file_bytes: u64 },
    /// A number of sections that no bundle has.
    #[error("the header declares {found} sections; a bundle has {fewest} to {most}")]
    SectionCount { found: u32, fewest: u32, most: u32 },
    /// The header or the section table was altered.
    #[error("the header and section table (offsets 0 to {end_bytes}) do not match their hash")]
    HeaderHash { end_bytes: u64 },
    /// Sections are missing, repeated, unknown or out of order.
    #[error("section {index} (table entry at offset {offset_bytes}) has kind {found}, expected {expected}")]
    SectionKind { index: u32, offset_bytes: u64, found: u32, expected: u32 },
    /// A reserved field is not zero.
    #[error("reserved field at offset {offset_bytes} is not zero")]
    Reserved { offset_bytes: u64 },
    /// A section is larger than a reader accepts.
    #[error("section {section} has {length_bytes} bytes, more than the limit of {limit_bytes}")]
    SectionTooLarge { section: SectionKind, length_bytes: u64, limit_bytes: u64 },
    /// The sections' lengths together overflow.
    #[error("the sections' lengths add up to more than any file can have")]
    LengthOverflow,
    /// A section leaves a hole or overlaps another one.
    #[error(
        "section {section} starts at offset {declared_bytes}; the sections before it end such that it must start at {expected_bytes}"
    )]
    SectionOffset { section: SectionKind, declared_bytes: u64, expected_bytes: u64 },
    /// The last section does not end where the file ends.
    #[error("the sections end at offset {end_bytes}, and the file has {file_bytes} bytes")]
    FileEnd { end_bytes: u64, file_bytes: u64 },
    /// Padding between sections is not zero.
    #[error("padding at offset {offset_bytes} is not zero")]
    Padding { offset_bytes: u64 },
    /// No memory for a section.
    #[error("no memory for the {length_bytes} bytes of section {section}")]
    OutOfMemory { section: SectionKind, length_bytes: u64 },
    /// A section was altered.
    #[error("section {section} at offset {offset_bytes} does not match its hash")]
    SectionHash { section: SectionKind, offset_bytes: u64 },
    /// A section is whole but makes no sense.
    #[error("section {section} at offset {offset_bytes}")]
    Section { section: SectionKind, offset_bytes: u64, source: SectionError },
    /// A section does not have the length that the plan implies.
    #[error("section {section} has {found_bytes} bytes, and the plan implies {expected_bytes}")]
    SectionLength { section: SectionKind, found_bytes: u64, expected_bytes: u64 },
    /// The plan breaks static rules.
    #[error("the plan is invalid")]
    Invalid(#[source] Violations<PlanViolation>),
    /// The plan's program is wrong.
    #[error("the plan cannot be replayed")]
    Replay(#[source] Violations<ReplayViolation>),
    /// The plan of one of several networks breaks static rules.
    #[error("the plan of network `{network}` is invalid")]
    NetworkInvalid { network: String, source: Violations<PlanViolation> },
    /// The program of one of several networks is wrong.
    #[error("the plan of network `{network}` cannot be replayed")]
    NetworkReplay { network: String, source: Violations<ReplayViolation> },
    /// Networks that cannot take turns as the bundle says.
    #[error("the networks do not fit each other")]
    Linked(#[source] Violations<LinkViolation>),
    /// A bundle of one network was expected.
    #[error("the bundle holds several networks: {}", names.join(", "))]
    SeveralNetworks { names: Vec<String> },
    /// There is no such page.
    #[error("page {} does not exist; the bundle has {page_count} pages", page.0)]
    NoSuchPage { page: PageId, page_count: u32 },
    /// A page of the wrong length was handed over.
    #[error("page {} has {found_bytes} bytes, expected {expected_bytes}", page.0)]
    PageLength { page: PageId, found_bytes: u64, expected_bytes: u64 },
    /// A page was altered.
    #[error("page {} at offset {offset_bytes}: checksum {computed:08x}, expected {stored:08x}", page.0)]
    PageChecksum { page: PageId, offset_bytes: u64, stored: u32, computed: u32 },
    /// There is no such row.
    #[error("row {row} of row table {table} does not exist")]
    NoSuchRow { table: u32, row: u32 },
    /// A row of the wrong length was handed over.
    #[error("row {row} of row table {table} has {found_bytes} bytes with its checksum, expected {expected_bytes}")]
    RowLength { table: u32, row: u32, found_bytes: u64, expected_bytes: u64 },
    /// A row was altered.
    #[error("row {row} of row table {table} at offset {offset_bytes}: checksum {computed:08x}, expected {stored:08x}")]
    RowChecksum { table: u32, row: u32, offset_bytes: u64, stored: u32, computed: u32 },
}

/// Why the contents of a section make no sense.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the fields are described by the messages")]
pub enum SectionError {
    /// The plan cannot be decoded or encoded.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// A list of blobs ends early.
    #[error("needs {needed_bytes} bytes and has {found_bytes}")]
    Truncated { needed_bytes: u64, found_bytes: u64 },
    /// A list of blobs does not end where the section ends.
    #[error("{excess_bytes} bytes too many")]
    TrailingBytes { excess_bytes: u64 },
    /// Too many blobs.
    #[error("{count} entries, more than the limit of {limit}")]
    TooMany { count: u64, limit: u32 },
    /// Not one kernel for every source that the pipelines have.
    #[error("{kernels} kernel sources where the pipelines have {expected}")]
    KernelCount { kernels: u64, expected: u64 },
    /// A pipeline of the plan section carries its source itself.
    #[error("pipeline {pipeline} carries its source outside the kernels section")]
    MisplacedSource { pipeline: u32 },
    /// A kernel is no text.
    #[error("the source of pipeline {pipeline} is not UTF-8 from byte {valid_bytes} on")]
    KernelText { pipeline: u32, valid_bytes: u64 },
    /// Not one golden tensor for every port.
    #[error("golden values for {inputs} inputs and {outputs} outputs; the plan has {plan_inputs} and {plan_outputs}")]
    GoldenCount { inputs: u64, outputs: u64, plan_inputs: u64, plan_outputs: u64 },
    /// A golden tensor of the wrong size.
    #[error("golden value of port `{port}` has {found_bytes} bytes, expected {expected_bytes}")]
    GoldenLength { port: String, found_bytes: u64, expected_bytes: u64 },
    /// A tolerance that is no number from 0 up.
    #[error("golden tolerance {tolerance} is not a finite number from 0 up")]
    GoldenTolerance { tolerance: f32 },
    /// Golden values of another number of networks.
    #[error("golden values of {found} networks, expected {expected}")]
    GoldenNetworks { found: u64, expected: u64 },
}

/// Why a bundle cannot be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the fields are described by the messages")]
pub enum WriteError {
    /// The file cannot be written where it was to go.
    #[cfg(not(target_arch = "wasm32"))]
    #[error(transparent)]
    File(#[from] FileError),
    /// Writing failed.
    #[error("cannot write the bundle")]
    Write(#[from] io::Error),
    /// The plan breaks static rules.
    #[error("the plan is invalid")]
    Invalid(#[source] Violations<PlanViolation>),
    /// The plan's program is wrong.
    #[error("the plan cannot be replayed")]
    Replay(#[source] Violations<ReplayViolation>),
    /// Constants of another length than the networks imply.
    #[error("{constant_bytes} bytes of constants, and the networks imply {expected_bytes}")]
    Constants { constant_bytes: u64, expected_bytes: u64 },
    /// Several networks that break a rule.
    #[error("the networks cannot be linked")]
    Linked(#[source] Box<BundleError>),
    /// A section cannot be made.
    #[error("cannot make section {section}")]
    Section { section: SectionKind, source: SectionError },
    /// A section is larger than a reader accepts.
    #[error("section {section} has {length_bytes} bytes, more than the limit of {limit_bytes}")]
    SectionTooLarge { section: SectionKind, length_bytes: u64, limit_bytes: u64 },
    /// The file would be larger than any file can be.
    #[error("the sections' lengths add up to more than any file can have")]
    LengthOverflow,
    /// Rows that are not whole, or more than the table still needs.
    #[error(
        "{found_bytes} bytes of rows for row table {table}, which takes rows of {row_bytes} bytes and needs {rows_left} more"
    )]
    RowBytes { table: u32, found_bytes: u64, row_bytes: u64, rows_left: u32 },
    /// Rows after the last one of the last table.
    #[error("all rows are written already")]
    TooManyRows,
    /// Pages, or the end, before all rows are written.
    #[error("row table {table} still needs {rows_left} rows")]
    RowsMissing { table: u32, rows_left: u32 },
    /// A page of the wrong size.
    #[error("page {} has {found_bytes} bytes, expected {expected_bytes}", page.0)]
    PageBytes { page: PageId, found_bytes: u64, expected_bytes: u64 },
    /// More pages than the plan has.
    #[error("all {page_count} pages are written already")]
    TooManyPages { page_count: u32 },
    /// The end before all pages are written.
    #[error("{written} of {page_count} pages are written")]
    PagesMissing { written: u32, page_count: u32 },
}
