//! Reading a whole bundle to check every byte of it against its hashes, pages and rows included.
//!
//! Memory stays bounded by one page, one chunk, or the golden values, which are decoded once when the bundle was opened
//! without them. It deliberately repeats neither validation nor replay: an opened
//! [`Bundle`] has passed both, and the header read here must be the one that it was opened with.

use super::error::BundleError;
use super::layout::Section;
use super::read::{check_padding, read};
use super::section_kind::SectionKind;
use crate::plan::{PageId, Plan};
use crate::source::ReadAt;
use crate::{Bundle, Golden};

/// Sections other than pages are read in pieces of about this size.
const CHUNK_BYTES: u64 = 1 << 20;

impl Bundle {
    /// Reads everything and checks every hash and checksum. `progress` is called with the bytes checked so far and the
    /// bytes of the whole file.
    pub fn verify_contents(&self, source: &dyn ReadAt, progress: &mut dyn FnMut(u64, u64)) -> Result<(), BundleError> {
        if source.size_bytes() != self.file_bytes() {
            let (declared_bytes, file_bytes) = (self.file_bytes(), source.size_bytes());
            return Err(BundleError::FileSize { declared_bytes, file_bytes });
        }
        let (expected, _) = self.layout.encode();
        let mut head = vec![0; expected.len()];
        read(source, 0, &mut head)?;
        if head != expected {
            return Err(BundleError::HeaderHash { end_bytes: head.len() as u64 });
        }
        check_padding(&self.layout, source)?;
        // What several networks share has no ports, and their values are theirs ([`Bundle::read_golden_of`]).
        if self.golden.is_none() && !self.plan.outputs.is_empty() {
            let _: Option<Golden> = self.read_golden(source)?;
        }
        self.sections().iter().try_for_each(|section| self.verify_section(section, source, progress))
    }

    fn verify_section(
        &self,
        section: &Section,
        source: &dyn ReadAt,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<(), BundleError> {
        let mut hasher = blake3::Hasher::new();
        let mut buffer = Vec::new();
        for piece in pieces(section, &self.plan) {
            buffer.resize(piece.length_bytes as usize, 0);
            read(source, piece.offset_bytes, &mut buffer)?;
            hasher.update(&buffer);
            match piece.contents {
                Contents::Raw => {}
                Contents::Page(page) => self.check_page(page, &buffer)?,
                Contents::Rows { table, first_row } => self.check_rows(table, first_row, &buffer)?,
            }
            progress(piece.offset_bytes + piece.length_bytes, self.file_bytes());
        }
        if *hasher.finalize().as_bytes() != section.hash {
            return Err(BundleError::SectionHash { section: section.kind, offset_bytes: section.offset_bytes });
        }
        Ok(())
    }

    fn check_rows(&self, table: u32, first_row: u32, bytes: &[u8]) -> Result<(), BundleError> {
        let stride = self.plan.row_tables[table as usize].row_stride_bytes() as usize;
        (first_row..).zip(bytes.chunks(stride)).try_for_each(|(row, bytes)| self.check_row(table, row, bytes))
    }
}

/// A part of a section that is read at once.
struct Piece {
    offset_bytes: u64,
    length_bytes: u64,
    contents: Contents,
}

enum Contents {
    Raw,
    Page(PageId),
    Rows { table: u32, first_row: u32 },
}

/// Cuts a section into pages, whole rows, or chunks.
fn pieces(section: &Section, plan: &Plan) -> Box<dyn Iterator<Item = Piece>> {
    let start_bytes = section.offset_bytes;
    match section.kind {
        SectionKind::Pages => {
            let length_bytes = plan.page.page_bytes();
            Box::new((0..plan.page_count).map(move |page| Piece {
                offset_bytes: start_bytes + u64::from(page) * length_bytes,
                length_bytes,
                contents: Contents::Page(PageId(page)),
            }))
        }
        SectionKind::Rows => Box::new(row_pieces(start_bytes, plan).into_iter()),
        SectionKind::Plan
        | SectionKind::Kernels
        | SectionKind::Constants
        | SectionKind::PageChecksums
        | SectionKind::Golden => {
            let end_bytes = section.end_bytes();
            Box::new((start_bytes..end_bytes).step_by(CHUNK_BYTES as usize).map(move |offset_bytes| Piece {
                offset_bytes,
                length_bytes: CHUNK_BYTES.min(end_bytes - offset_bytes),
                contents: Contents::Raw,
            }))
        }
    }
}

fn row_pieces(start_bytes: u64, plan: &Plan) -> Vec<Piece> {
    let mut pieces = Vec::new();
    for (table, row_table) in (0_u32..).zip(&plan.row_tables) {
        let stride = row_table.row_stride_bytes();
        let rows_at_once = (CHUNK_BYTES / stride).max(1);
        for first_row in (0..row_table.rows).step_by(rows_at_once as usize) {
            let rows = rows_at_once.min(u64::from(row_table.rows - first_row));
            pieces.push(Piece {
                offset_bytes: start_bytes + row_table.offset_bytes + u64::from(first_row) * stride,
                length_bytes: rows * stride,
                contents: Contents::Rows { table, first_row },
            });
        }
    }
    pieces
}
