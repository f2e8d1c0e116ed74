//! Opening a bundle: every check that needs no page and no row, then the plan's own rules and its abstract replay.
//!
//! Lengths are checked against the file and against the limits before anything is allocated. Pages and rows are
//! deliberately not read here: they are checked one by one when they arrive, or all together by `verify_contents`.

use super::error::{BundleError, SectionError};
use super::layout::{self, HEADER_BYTES, Layout, Section};
use super::section_kind::SectionKind;
use super::sections::{self, Golden};
use crate::codec;
use crate::linked::{self, Connection, Linked, Placed, StoredPlan, Turns};
use crate::plan::{PageId, Plan, RowTable};
use crate::replay::{ReplayReport, replay};
use crate::source::ReadAt;
use crate::validate::validate;

/// An opened bundle: everything but pages and rows, checked.
#[derive(Debug, Clone)]
pub struct Bundle {
    /// The plan, with kernel sources.
    pub plan: Plan,
    /// Contents of the constants buffer.
    pub constants: Vec<u8>,
    /// CRC-32C of every page.
    pub page_checksums: Vec<u32>,
    /// Example inputs and outputs, if the bundle has them and they were asked for.
    pub golden: Option<Golden>,
    /// BLAKE3 over header and section table. The table holds the hash of every section and padding is zero, so it
    /// stands for every byte of the file.
    pub hash: [u8; 32],
    /// What the abstract replay found.
    pub replay: ReplayReport,
    pub(super) layout: Layout,
}

/// A bundle of one network, or what several share and each of them.
#[derive(Debug, Clone)]
pub struct OpenedBundle {
    /// The bundle of one network. Of several, what they share: its plan has no inputs, outputs and dispatches.
    pub bundle: Bundle,
    /// Nothing in a bundle of one network.
    pub networks: Vec<OpenedNetwork>,
    /// What goes from one to another without the host.
    pub connections: Vec<Connection>,
}

/// One of several networks, at its place among the others.
#[derive(Debug, Clone)]
pub struct OpenedNetwork {
    /// What apps call it.
    pub name: String,
    /// Its plan, as in a bundle of one network. Constants, parameters, pipelines and checksums are with what all share.
    pub bundle: Bundle,
    /// What it has in the arena.
    pub turns: Turns,
}

impl OpenedBundle {
    /// Checks the contents of the file, and the golden values of all networks ([`Bundle::verify_contents`]).
    pub fn verify_contents(&self, source: &dyn ReadAt, progress: &mut dyn FnMut(u64, u64)) -> Result<(), BundleError> {
        self.bundle.verify_contents(source, progress)?;
        for (position, network) in (0_u32..).zip(&self.networks) {
            let _: Option<Golden> = network.bundle.read_golden_of(position, source)?;
        }
        Ok(())
    }

    /// Opens a bundle of any number of networks, without golden values.
    pub fn open(source: &dyn ReadAt) -> Result<Self, BundleError> {
        let (layout, hash) = read_layout(source)?;
        check_padding(&layout, source)?;
        let (plan, networks, connections) = match read_stored_plan(&layout, source)? {
            StoredPlan::One(plan) => {
                let bundle = read_one(*plan, layout, hash, source)?;
                return Ok(Self { bundle, networks: Vec::new(), connections: Vec::new() });
            }
            StoredPlan::Several(linked) => {
                check_linked_lengths(&layout, &linked)?;
                let connections = linked.connections.clone();
                let (plan, networks) = check_linked(*linked)?;
                (plan, networks, connections)
            }
        };
        let constants = read_section(&layout, SectionKind::Constants, source)?;
        let page_checksums = sections::decode_checksums(&read_section(&layout, SectionKind::PageChecksums, source)?);
        let own = |plan: Plan, replay: ReplayReport| Bundle {
            plan,
            constants: Vec::new(),
            page_checksums: Vec::new(),
            golden: None,
            hash,
            replay,
            layout: layout.clone(),
        };
        let networks = networks.into_iter().map(|(placed, replay)| {
            let Placed { name, plan, turns } = placed;
            OpenedNetwork { name, bundle: own(plan, replay), turns }
        });
        let networks = networks.collect();
        let bundle = Bundle { constants, page_checksums, ..own(plan, ReplayReport::default()) };
        Ok(Self { bundle, networks, connections })
    }
}

/// Every check of a linked bundle; what all share, and the networks at their places.
pub(super) fn check_linked(linked: Linked) -> Result<(Plan, Vec<(Placed, ReplayReport)>), BundleError> {
    let reports = check_networks(&linked)?;
    linked::check(&linked).map_err(BundleError::Linked)?;
    let pages: Vec<_> = linked.networks.iter().map(linked::Network::stored_pages).collect();
    let (shared, placed) = linked::place(linked);
    linked::prove(&shared, &pages, &placed).map_err(BundleError::Linked)?;
    Ok((shared, placed.into_iter().zip(reports).collect()))
}

/// Checks every network's plan as if it were alone.
fn check_networks(linked: &Linked) -> Result<Vec<ReplayReport>, BundleError> {
    let check = |network: &linked::Network| {
        let name = || network.name.clone();
        validate(&network.plan, network.constants_bytes)
            .map_err(|source| BundleError::NetworkInvalid { network: name(), source })?;
        replay(&network.plan).map_err(|source| BundleError::NetworkReplay { network: name(), source })
    };
    linked.networks.iter().map(check).collect()
}

impl Bundle {
    /// Opens a bundle of one network with its golden values.
    pub fn open(source: &dyn ReadAt) -> Result<Self, BundleError> {
        let mut bundle = Self::open_without_golden(source)?;
        bundle.golden = bundle.read_golden(source)?;
        Ok(bundle)
    }

    /// Opens a bundle of one network and leaves its golden values in the file, where they count against no budget.
    pub fn open_without_golden(source: &dyn ReadAt) -> Result<Self, BundleError> {
        let OpenedBundle { bundle, networks, .. } = OpenedBundle::open(source)?;
        if networks.is_empty() {
            return Ok(bundle);
        }
        Err(BundleError::SeveralNetworks { names: networks.into_iter().map(|network| network.name).collect() })
    }

    /// Reads the golden values; `None` when the bundle has none.
    pub fn read_golden(&self, source: &dyn ReadAt) -> Result<Option<Golden>, BundleError> {
        let Some(section) = self.layout.section(SectionKind::Golden) else {
            return Ok(None);
        };
        let bytes = read_section(&self.layout, SectionKind::Golden, source)?;
        let golden = Golden::decode(&bytes).and_then(|golden| golden.check(&self.plan).map(|()| golden));
        golden.map(Some).map_err(|source| in_section(section, source))
    }

    /// Reads the golden values of one of several networks, of which this is the one at `position`; `None` when it has none.
    pub fn read_golden_of(&self, position: u32, source: &dyn ReadAt) -> Result<Option<Golden>, BundleError> {
        let Some(section) = self.layout.section(SectionKind::Golden) else {
            return Ok(None);
        };
        let bytes = read_section(&self.layout, SectionKind::Golden, source)?;
        let golden = sections::decode_golden_of(&bytes, position);
        let checked = golden.and_then(|golden| match golden {
            Some(golden) => golden.check(&self.plan).map(|()| Some(golden)),
            None => Ok(None),
        });
        checked.map_err(|source| in_section(section, source))
    }

    /// The section table, in file order.
    pub fn sections(&self) -> &[Section] {
        &self.layout.sections
    }

    /// Size of the whole file.
    pub const fn file_bytes(&self) -> u64 {
        self.layout.file_bytes
    }

    /// Start of a page in the file; pages follow one another. Meaningless for a page that the bundle does not have.
    pub fn page_offset_bytes(&self, page: PageId) -> u64 {
        self.offset_bytes(SectionKind::Pages) + u64::from(page.0) * self.plan.page.page_bytes()
    }

    /// Checks the length and the checksum of a page that was read.
    pub fn check_page(&self, page: PageId, bytes: &[u8]) -> Result<(), BundleError> {
        let stored = self.page_checksums.get(page.0 as usize);
        let stored = *stored.ok_or(BundleError::NoSuchPage { page, page_count: self.plan.page_count })?;
        let (found_bytes, expected_bytes) = (bytes.len() as u64, self.plan.page.page_bytes());
        if found_bytes != expected_bytes {
            return Err(BundleError::PageLength { page, found_bytes, expected_bytes });
        }
        let computed = crc32c::crc32c(bytes);
        if computed != stored {
            let offset_bytes = self.page_offset_bytes(page);
            return Err(BundleError::PageChecksum { page, offset_bytes, stored, computed });
        }
        Ok(())
    }

    /// Start in the file of a row, which is [`RowTable::row_stride_bytes`] long with its checksum. `None` when there is
    /// no such row.
    pub fn row_offset_bytes(&self, table: u32, row: u32) -> Option<u64> {
        let table = self.row_table(table, row)?;
        let in_section = table.offset_bytes + u64::from(row) * table.row_stride_bytes();
        Some(self.offset_bytes(SectionKind::Rows) + in_section)
    }

    /// Checks the length and the checksum of a row that was read with its checksum.
    pub fn check_row(&self, table: u32, row: u32, bytes_with_checksum: &[u8]) -> Result<(), BundleError> {
        let no_such_row = BundleError::NoSuchRow { table, row };
        let Some((row_table, offset_bytes)) = self.row_table(table, row).zip(self.row_offset_bytes(table, row)) else {
            return Err(no_such_row);
        };
        let (found_bytes, expected_bytes) = (bytes_with_checksum.len() as u64, row_table.row_stride_bytes());
        let split = bytes_with_checksum.split_last_chunk::<4>().filter(|_| found_bytes == expected_bytes);
        let (elements, stored) = split.ok_or(BundleError::RowLength { table, row, found_bytes, expected_bytes })?;
        let (stored, computed) = (u32::from_le_bytes(*stored), crc32c::crc32c(elements));
        if computed != stored {
            return Err(BundleError::RowChecksum { table, row, offset_bytes, stored, computed });
        }
        Ok(())
    }

    fn row_table(&self, table: u32, row: u32) -> Option<&RowTable> {
        self.plan.row_tables.get(table as usize).filter(|table| row < table.rows)
    }

    fn offset_bytes(&self, kind: SectionKind) -> u64 {
        self.layout.section(kind).expect("every bundle has rows and pages").offset_bytes
    }
}

fn read_layout(source: &dyn ReadAt) -> Result<(Layout, [u8; 32]), BundleError> {
    let file_bytes = source.size_bytes();
    if file_bytes < HEADER_BYTES as u64 {
        return Err(BundleError::TooShort { file_bytes, needed_bytes: HEADER_BYTES as u64 });
    }
    let mut header = [0; HEADER_BYTES];
    read(source, 0, &mut header)?;
    let count = layout::check_header(&header, file_bytes)?;
    let mut head = vec![0; layout::head_bytes(count)];
    read(source, 0, &mut head)?;
    layout::decode_head(&head, count, file_bytes)
}

pub(super) fn check_padding(layout: &Layout, source: &dyn ReadAt) -> Result<(), BundleError> {
    for (start_bytes, length_bytes) in layout.gaps() {
        // Gaps are shorter than the largest alignment, by construction of the layout.
        let mut padding = vec![0; length_bytes as usize];
        read(source, start_bytes, &mut padding)?;
        if let Some(position) = padding.iter().position(|byte| *byte != 0) {
            return Err(BundleError::Padding { offset_bytes: start_bytes + position as u64 });
        }
    }
    Ok(())
}

fn read_one(plan: Plan, layout: Layout, hash: [u8; 32], source: &dyn ReadAt) -> Result<Bundle, BundleError> {
    check_lengths(&layout, &plan)?;
    let constants = read_section(&layout, SectionKind::Constants, source)?;
    validate(&plan, constants.len() as u64).map_err(BundleError::Invalid)?;
    let replay = replay(&plan).map_err(BundleError::Replay)?;
    let page_checksums = sections::decode_checksums(&read_section(&layout, SectionKind::PageChecksums, source)?);
    Ok(Bundle { plan, constants, page_checksums, golden: None, hash, replay, layout })
}

fn read_stored_plan(layout: &Layout, source: &dyn ReadAt) -> Result<StoredPlan, BundleError> {
    let in_kind = |kind: SectionKind, error: SectionError| {
        in_section(layout.section(kind).expect("every bundle has a plan and kernels"), error)
    };
    let plan_bytes = read_section(layout, SectionKind::Plan, source)?;
    let mut plan: StoredPlan = codec::decode(&plan_bytes).map_err(|error| in_kind(SectionKind::Plan, error.into()))?;
    drop(plan_bytes);
    let kernels = read_section(layout, SectionKind::Kernels, source)?;
    let joined = match &mut plan {
        StoredPlan::One(plan) => sections::join_kernels(&kernels, &mut plan.pipelines),
        StoredPlan::Several(linked) => sections::join_shared_kernels(&kernels, linked),
    };
    joined.map_err(|error| in_kind(SectionKind::Kernels, error))?;
    Ok(plan)
}

/// As [`check_lengths`], of several networks.
fn check_linked_lengths(layout: &Layout, linked: &Linked) -> Result<(), BundleError> {
    let implied = [
        (SectionKind::Constants, linked.constants_bytes()),
        (SectionKind::PageChecksums, Some(u64::from(linked.page_count) * 4)),
        (SectionKind::Rows, linked.rows_bytes()),
        (SectionKind::Pages, if linked.networks.is_empty() { Some(0) } else { linked.pages_bytes() }),
    ];
    check_section_lengths(layout, implied)
}

/// Checks the sections whose lengths the plan implies.
fn check_lengths(layout: &Layout, plan: &Plan) -> Result<(), BundleError> {
    let implied = [
        (SectionKind::PageChecksums, Some(u64::from(plan.page_count) * 4)),
        (SectionKind::Rows, plan.rows_bytes()),
        (SectionKind::Pages, plan.pages_bytes()),
    ];
    check_section_lengths(layout, implied)
}

fn check_section_lengths<const N: usize>(
    layout: &Layout,
    implied: [(SectionKind, Option<u64>); N],
) -> Result<(), BundleError> {
    for (section, expected_bytes) in implied {
        let expected_bytes = expected_bytes.ok_or(BundleError::LengthOverflow)?;
        let found_bytes = layout.section(section).map_or(0, |section| section.length_bytes);
        if found_bytes != expected_bytes {
            return Err(BundleError::SectionLength { section, found_bytes, expected_bytes });
        }
    }
    Ok(())
}

/// Reads a section that fits memory and checks its hash. Its length is already checked against file and limits.
fn read_section(layout: &Layout, kind: SectionKind, source: &dyn ReadAt) -> Result<Vec<u8>, BundleError> {
    let section = layout.section(kind).expect("optional sections are looked up before they are read");
    let out_of_memory = || BundleError::OutOfMemory { section: kind, length_bytes: section.length_bytes };
    let length = usize::try_from(section.length_bytes).map_err(|_| out_of_memory())?;
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(length).map_err(|_| out_of_memory())?;
    bytes.resize(length, 0);
    read(source, section.offset_bytes, &mut bytes)?;
    if *blake3::hash(&bytes).as_bytes() != section.hash {
        return Err(BundleError::SectionHash { section: kind, offset_bytes: section.offset_bytes });
    }
    Ok(bytes)
}

pub(super) fn read(source: &dyn ReadAt, offset_bytes: u64, buffer: &mut [u8]) -> Result<(), BundleError> {
    let length_bytes = buffer.len() as u64;
    source.read_at(offset_bytes, buffer).map_err(|source| BundleError::Read { offset_bytes, length_bytes, source })
}

fn in_section(section: &Section, source: SectionError) -> BundleError {
    BundleError::Section { section: section.kind, offset_bytes: section.offset_bytes, source }
}
