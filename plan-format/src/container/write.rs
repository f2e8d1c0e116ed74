//! Writing a bundle in one pass: all offsets are known from the plan, rows and pages are hashed while they are written,
//! and the header and the page checksums are filled in at the end.
//!
//! Memory is independent of the model's size but for 4 bytes a page. The plan is validated and replayed first, so no
//! bundle is written that `Bundle::open` would refuse. Equal inputs give equal bytes. It deliberately makes no pages.

use super::error::{SectionError, WriteError};
use super::layout::Layout;
use super::limits::max_section_bytes;
use super::read::check_linked;
use super::section_kind::SectionKind;
use super::sections::{self, Golden};
use crate::codec;
#[cfg(not(target_arch = "wasm32"))]
use crate::files::OutputFile;
use crate::linked::{Linked, StoredPlan};
use crate::plan::{PageGeometry, PageId, Pipeline, Plan, RowTable};
use crate::replay::replay;
use crate::validate::validate;
use blake3::Hasher;
use std::borrow::Cow;
use std::io::{Seek, SeekFrom, Write};
#[cfg(not(target_arch = "wasm32"))]
use std::path::Path;

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    /// The bundle hash.
    pub hash: [u8; 32],
    /// Size of the file.
    pub file_bytes: u64,
}

/// A bundle that is being written: all rows of all tables in order, then all pages in order, then `finish`.
#[derive(Debug)]
pub struct BundleWriter<W: Write + Seek> {
    out: W,
    layout: Layout,
    /// Row bytes and rows left of every table that is not complete, the current one last.
    tables: Vec<TableProgress>,
    page: PageGeometry,
    page_count: u32,
    checksums: Vec<u32>,
    rows_hasher: Hasher,
    pages_hasher: Hasher,
}

#[derive(Debug, Clone, Copy)]
struct TableProgress {
    index: u32,
    row_bytes: u64,
    rows_left: u32,
}

#[cfg(not(target_arch = "wasm32"))]
impl BundleWriter<OutputFile> {
    /// Starts a bundle that appears at `path` when it is finished, replacing the file that is there.
    pub fn create(
        path: impl AsRef<Path>,
        plan: &Plan,
        constants: &[u8],
        golden: Option<&Golden>,
    ) -> Result<Self, WriteError> {
        let parts = SmallSections::new(plan, constants, golden)?;
        parts.start(OutputFile::create(path.as_ref())?, Contents::of(plan))
    }

    /// Completes the file and puts it in place.
    pub fn finish(self) -> Result<Summary, WriteError> {
        let (file, summary) = self.finish_into()?;
        file.commit()?;
        Ok(summary)
    }
}

#[cfg(not(target_arch = "wasm32"))]
impl BundleWriter<OutputFile> {
    /// As [`BundleWriter::create`], of several networks; golden values are one for each, or none at all.
    pub fn create_linked(
        path: impl AsRef<Path>,
        linked: &Linked,
        constants: &[u8],
        goldens: &[Option<Golden>],
    ) -> Result<Self, WriteError> {
        let parts = SmallSections::of_linked(linked, constants, goldens)?;
        parts.start(OutputFile::create(path.as_ref())?, Contents::of_linked(linked))
    }
}

/// What follows the small sections.
struct Contents<'a> {
    row_tables: &'a [RowTable],
    page: PageGeometry,
    page_count: u32,
}

impl<'a> Contents<'a> {
    fn of(plan: &'a Plan) -> Self {
        Self { row_tables: &plan.row_tables, page: plan.page, page_count: plan.page_count }
    }

    fn of_linked(linked: &'a Linked) -> Self {
        Self { row_tables: &linked.row_tables, page: linked.networks[0].plan.page, page_count: linked.page_count }
    }
}

impl<W: Write + Seek> BundleWriter<W> {
    /// As [`BundleWriter::new`], of several networks.
    pub fn new_linked(
        out: W,
        linked: &Linked,
        constants: &[u8],
        goldens: &[Option<Golden>],
    ) -> Result<Self, WriteError> {
        SmallSections::of_linked(linked, constants, goldens)?.start(out, Contents::of_linked(linked))
    }

    /// Starts a bundle at the start of `out`, which must be empty.
    pub fn new(out: W, plan: &Plan, constants: &[u8], golden: Option<&Golden>) -> Result<Self, WriteError> {
        SmallSections::new(plan, constants, golden)?.start(out, Contents::of(plan))
    }

    /// Appends one or more whole rows of the current table (without checksums, which are added here).
    pub fn push_rows(&mut self, rows: &[u8]) -> Result<(), WriteError> {
        let table = self.tables.last_mut().ok_or(WriteError::TooManyRows)?;
        let (row_bytes, found_bytes) = (table.row_bytes, rows.len() as u64);
        let count = found_bytes / row_bytes;
        if found_bytes % row_bytes != 0 || count > u64::from(table.rows_left) {
            let (table, rows_left) = (table.index, table.rows_left);
            return Err(WriteError::RowBytes { table, found_bytes, row_bytes, rows_left });
        }
        table.rows_left -= count as u32;
        if table.rows_left == 0 {
            self.tables.pop();
        }
        for row in rows.chunks(row_bytes as usize) {
            let checksum = crc32c::crc32c(row).to_le_bytes();
            for bytes in [row, &checksum] {
                self.rows_hasher.update(bytes);
                self.out.write_all(bytes)?;
            }
        }
        Ok(())
    }

    /// Appends the next page.
    pub fn push_page(&mut self, page: &[u8]) -> Result<(), WriteError> {
        self.check_rows_complete()?;
        let id = PageId(self.checksums.len() as u32);
        if id.0 >= self.page_count {
            return Err(WriteError::TooManyPages { page_count: self.page_count });
        }
        let (found_bytes, expected_bytes) = (page.len() as u64, self.page.page_bytes());
        if found_bytes != expected_bytes {
            return Err(WriteError::PageBytes { page: id, found_bytes, expected_bytes });
        }
        if id.0 == 0 {
            self.pad_to_pages()?;
        }
        self.checksums.push(crc32c::crc32c(page));
        self.pages_hasher.update(page);
        self.out.write_all(page)?;
        Ok(())
    }

    /// Fills in checksums and header; gives back the output.
    pub fn finish_into(mut self) -> Result<(W, Summary), WriteError> {
        self.check_rows_complete()?;
        let written = self.checksums.len() as u32;
        if written != self.page_count {
            return Err(WriteError::PagesMissing { written, page_count: self.page_count });
        }
        if self.page_count == 0 {
            self.pad_to_pages()?;
        }
        let checksums = sections::encode_checksums(&self.checksums);
        self.set_hash(SectionKind::PageChecksums, *blake3::hash(&checksums).as_bytes());
        self.set_hash(SectionKind::Rows, *self.rows_hasher.finalize().as_bytes());
        self.set_hash(SectionKind::Pages, *self.pages_hasher.finalize().as_bytes());
        let checksums_offset_bytes = self.section_offset_bytes(SectionKind::PageChecksums);
        self.out.seek(SeekFrom::Start(checksums_offset_bytes))?;
        self.out.write_all(&checksums)?;
        let (head, hash) = self.layout.encode();
        self.out.seek(SeekFrom::Start(0))?;
        self.out.write_all(&head)?;
        self.out.flush()?;
        Ok((self.out, Summary { hash, file_bytes: self.layout.file_bytes }))
    }

    fn check_rows_complete(&self) -> Result<(), WriteError> {
        match self.tables.last() {
            Some(table) => Err(WriteError::RowsMissing { table: table.index, rows_left: table.rows_left }),
            None => Ok(()),
        }
    }

    /// Writes the zeros between rows and pages.
    fn pad_to_pages(&mut self) -> Result<(), WriteError> {
        let rows = self.layout.section(SectionKind::Rows).expect("the writer makes all sections");
        let gap_bytes = self.section_offset_bytes(SectionKind::Pages) - rows.end_bytes();
        Ok(self.out.write_all(&vec![0; gap_bytes as usize])?)
    }

    fn section_offset_bytes(&self, kind: SectionKind) -> u64 {
        self.layout.section(kind).expect("the writer makes all sections").offset_bytes
    }

    fn set_hash(&mut self, kind: SectionKind, hash: [u8; 32]) {
        self.layout.section_mut(kind).expect("the writer makes all sections").hash = hash;
    }
}

/// The sections before rows and pages, checked and encoded.
struct SmallSections<'a> {
    layout: Layout,
    /// In file order; the page checksums are zeros for now.
    contents: Vec<(SectionKind, Cow<'a, [u8]>)>,
}

impl<'a> SmallSections<'a> {
    fn new(plan: &Plan, constants: &'a [u8], golden: Option<&Golden>) -> Result<Self, WriteError> {
        validate(plan, constants.len() as u64).map_err(WriteError::Invalid)?;
        replay(plan).map_err(WriteError::Replay)?;
        let mut contents: Vec<(SectionKind, Cow<'_, [u8]>)> = vec![
            (SectionKind::Plan, encode_without_sources(StoredPlan::One(Box::new(plan.clone())))?.into()),
            (SectionKind::Kernels, sections::encode_kernels(&plan.pipelines).into()),
            (SectionKind::Constants, constants.into()),
            (SectionKind::PageChecksums, sections::encode_checksums(&vec![0; plan.page_count as usize]).into()),
        ];
        if let Some(golden) = golden {
            let section = SectionKind::Golden;
            golden.check(plan).map_err(|source| WriteError::Section { section, source })?;
            contents.push((section, golden.encode().into()));
        }
        Self::laid_out(contents, plan.rows_bytes(), plan.pages_bytes())
    }

    fn of_linked(linked: &Linked, constants: &'a [u8], goldens: &[Option<Golden>]) -> Result<Self, WriteError> {
        let constant_bytes = constants.len() as u64;
        if linked.constants_bytes() != Some(constant_bytes) {
            return Err(WriteError::Constants {
                constant_bytes,
                expected_bytes: linked.constants_bytes().unwrap_or(u64::MAX),
            });
        }
        check_linked(linked.clone()).map_err(|error| WriteError::Linked(Box::new(error)))?;
        let mut contents: Vec<(SectionKind, Cow<'_, [u8]>)> = vec![
            (SectionKind::Plan, encode_without_sources(StoredPlan::Several(Box::new(linked.clone())))?.into()),
            (SectionKind::Kernels, sections::encode_shared_kernels(linked).into()),
            (SectionKind::Constants, constants.into()),
            (SectionKind::PageChecksums, sections::encode_checksums(&vec![0; linked.page_count as usize]).into()),
        ];
        if goldens.iter().any(Option::is_some) {
            let section = SectionKind::Golden;
            let (found, expected) = (goldens.len() as u64, linked.networks.len() as u64);
            let plans = linked.networks.iter().map(|network| &network.plan);
            let mut both = goldens.iter().zip(plans);
            let checked = match found == expected {
                true => both.try_for_each(|(golden, plan)| golden.as_ref().map_or(Ok(()), |golden| golden.check(plan))),
                false => Err(SectionError::GoldenNetworks { found, expected }),
            };
            checked.map_err(|source| WriteError::Section { section, source })?;
            contents.push((section, sections::encode_goldens(goldens).into()));
        }
        Self::laid_out(contents, linked.rows_bytes(), linked.pages_bytes())
    }

    fn laid_out(
        contents: Vec<(SectionKind, Cow<'a, [u8]>)>,
        rows_bytes: Option<u64>,
        pages_bytes: Option<u64>,
    ) -> Result<Self, WriteError> {
        let mut lengths: Vec<_> = contents.iter().map(|(kind, bytes)| (*kind, bytes.len() as u64)).collect();
        lengths.push((SectionKind::Rows, rows_bytes.ok_or(WriteError::LengthOverflow)?));
        lengths.push((SectionKind::Pages, pages_bytes.ok_or(WriteError::LengthOverflow)?));
        for &(section, length_bytes) in &lengths {
            let limit_bytes = max_section_bytes(section);
            if length_bytes > limit_bytes {
                return Err(WriteError::SectionTooLarge { section, length_bytes, limit_bytes });
            }
        }
        let mut layout = Layout::of(&lengths).ok_or(WriteError::LengthOverflow)?;
        for (section, (_, bytes)) in layout.sections.iter_mut().zip(&contents) {
            section.hash = *blake3::hash(bytes).as_bytes();
        }
        Ok(Self { layout, contents })
    }

    /// Writes everything up to the first row.
    fn start<W: Write + Seek>(self, mut out: W, rest: Contents<'_>) -> Result<BundleWriter<W>, WriteError> {
        let mut position_bytes = self.layout.head_bytes();
        out.write_all(&vec![0; position_bytes as usize])?;
        let contents = self.contents.iter().map(|(_, bytes)| bytes.as_ref()).chain([&[][..]]);
        for (section, bytes) in self.layout.sections.iter().zip(contents) {
            out.write_all(&vec![0; (section.offset_bytes - position_bytes) as usize])?;
            out.write_all(bytes)?;
            position_bytes = section.offset_bytes + bytes.len() as u64;
        }
        let tables = (0_u32..).zip(rest.row_tables).map(|(index, table)| TableProgress {
            index,
            row_bytes: table.row_bytes(),
            rows_left: table.rows,
        });
        let mut tables: Vec<_> = tables.collect();
        tables.reverse();
        Ok(BundleWriter {
            out,
            layout: self.layout,
            tables,
            page: rest.page,
            page_count: rest.page_count,
            checksums: Vec::new(),
            rows_hasher: Hasher::new(),
            pages_hasher: Hasher::new(),
        })
    }
}

fn encode_without_sources(mut stored: StoredPlan) -> Result<Vec<u8>, WriteError> {
    let clear = |plan: &mut Plan| plan.pipelines.iter_mut().flat_map(Pipeline::sources_mut).for_each(String::clear);
    match &mut stored {
        StoredPlan::One(plan) => clear(plan),
        StoredPlan::Several(linked) => linked.networks.iter_mut().for_each(|network| clear(&mut network.plan)),
    }
    codec::encode(&stored).map_err(|error| WriteError::Section { section: SectionKind::Plan, source: error.into() })
}
