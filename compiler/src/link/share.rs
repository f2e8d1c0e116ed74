//! What several bundles have in common, and where it lies when it is stored once.
//!
//! Pages and tables are compared by their checksums first and then byte by byte; constants byte by byte, in whole and as parts of
//! others'; states by model, name, type and shape; kernels by their text. What is stored comes in the order of the networks.

use super::connect::connect;
use super::types::{LinkError, LinkOptions, Member};
use crate::narrow::{count32, index32};
use flashmem_plan_format::linked::{Connection, PageRange};
use flashmem_plan_format::plan::{BINDING_ALIGNMENT, PageId, Pipeline, RowTable};
use flashmem_plan_format::source::ReadAt as _;
use std::collections::BTreeMap;

/// Rows are compared in pieces of about this size.
const PIECE_BYTES: u64 = 1 << 20;

/// Where a page or a table comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// Position of the network.
    pub network: usize,
    /// Position of the page or table there.
    pub index: u32,
}

/// Where everything lies.
pub struct Shared {
    /// For every network, the stored page of each of its pages.
    pub pages: Vec<Vec<PageId>>,
    /// Of every stored page.
    pub page_origins: Vec<Origin>,
    /// The stored tables.
    pub row_tables: Vec<RowTable>,
    /// Of every stored table.
    pub table_origins: Vec<Origin>,
    /// For every network, the stored table of each of its tables.
    pub tables: Vec<Vec<u32>>,
    /// Contents of the constants section.
    pub constants: Vec<u8>,
    /// For every network, where its constants start.
    pub constants_offsets_bytes: Vec<u64>,
    /// For every network, where each of its states starts.
    pub state_offsets_bytes: Vec<Vec<u64>>,
    /// For every network, the position of each of its pipelines' sources.
    pub kernels: Vec<Vec<u32>>,
    /// What goes from one network to another without the host.
    pub connections: Vec<Connection>,
}

/// Finds what is equal.
pub fn share(members: &[Member], options: &LinkOptions) -> Result<Shared, LinkError> {
    let (pages, page_origins) = pages(members)?;
    let (tables, row_tables, table_origins) = tables(members)?;
    let (constants_offsets_bytes, constants) = constants(members);
    let (state_offsets_bytes, state_bytes) = states(members, options.shares_states);
    Ok(Shared {
        pages,
        page_origins,
        row_tables,
        table_origins,
        tables,
        constants,
        constants_offsets_bytes,
        state_offsets_bytes,
        kernels: kernels(members),
        connections: connect(members, &options.connections, state_bytes)?,
    })
}

impl Shared {
    /// A network's pages as ranges of stored ones.
    pub fn page_ranges(&self, network: usize) -> Vec<PageRange> {
        let mut ranges: Vec<PageRange> = Vec::new();
        for page in &self.pages[network] {
            match ranges.last_mut().filter(|range| range.first.0 + range.count == page.0) {
                Some(range) => range.count += 1,
                None => ranges.push(PageRange { first: *page, count: 1 }),
            }
        }
        ranges
    }
}

impl Member {
    /// Reads one of its pages, and checks it.
    pub fn read_page(&self, page: u32, bytes: &mut Vec<u8>) -> Result<(), LinkError> {
        bytes.resize(self.bundle.plan.page.page_bytes() as usize, 0);
        self.read(self.bundle.page_offset_bytes(PageId(page)), bytes)?;
        let checked = self.bundle.check_page(PageId(page), bytes);
        checked.map_err(|source| LinkError::Read { path: self.path.clone(), source })
    }

    /// Reads rows of one of its tables with their checksums, and checks them.
    pub fn read_rows(&self, table: u32, first_row: u32, count: u32, bytes: &mut Vec<u8>) -> Result<(), LinkError> {
        let stride = self.bundle.plan.row_tables[table as usize].row_stride_bytes();
        bytes.resize((stride * u64::from(count)) as usize, 0);
        let offset = self.bundle.row_offset_bytes(table, first_row).expect("the caller asks for rows that there are");
        self.read(offset, bytes)?;
        for (row, bytes) in (first_row..).zip(bytes.chunks(stride as usize)) {
            let checked = self.bundle.check_row(table, row, bytes);
            checked.map_err(|source| LinkError::Read { path: self.path.clone(), source })?;
        }
        Ok(())
    }

    fn read(&self, offset_bytes: u64, bytes: &mut [u8]) -> Result<(), LinkError> {
        let read = self.source.read_at(offset_bytes, bytes);
        read.map_err(|source| LinkError::Open { path: self.path.clone(), source })
    }
}

/// First rows and numbers of rows of the pieces in which a table is read.
pub fn row_pieces(table: &RowTable) -> impl Iterator<Item = (u32, u32)> {
    let rows = table.rows;
    let at_once = count32((PIECE_BYTES / table.row_stride_bytes()).max(1)).min(rows.max(1));
    (0..rows).step_by(at_once as usize).map(move |first| (first, at_once.min(rows - first)))
}

fn pages(members: &[Member]) -> Result<(Vec<Vec<PageId>>, Vec<Origin>), LinkError> {
    let (mut origins, mut by_checksum): (Vec<Origin>, BTreeMap<u32, Vec<u32>>) = (Vec::new(), BTreeMap::new());
    let (mut own, mut other) = (Vec::new(), Vec::new());
    let mut pages = Vec::with_capacity(members.len());
    for (network, member) in members.iter().enumerate() {
        let mut of_network = Vec::new();
        for (index, checksum) in (0_u32..).zip(&member.bundle.page_checksums) {
            let known = by_checksum.entry(*checksum).or_default();
            let mut found = None;
            for stored in &*known {
                let origin: Origin = origins[*stored as usize];
                member.read_page(index, &mut own)?;
                members[origin.network].read_page(origin.index, &mut other)?;
                if own == other {
                    found = Some(*stored);
                    break;
                }
            }
            let stored = found.unwrap_or_else(|| {
                origins.push(Origin { network, index });
                known.push(index32(origins.len()) - 1);
                index32(origins.len()) - 1
            });
            of_network.push(PageId(stored));
        }
        pages.push(of_network);
    }
    Ok((pages, origins))
}

type Tables = (Vec<Vec<u32>>, Vec<RowTable>, Vec<Origin>);

fn tables(members: &[Member]) -> Result<Tables, LinkError> {
    let (mut stored, mut origins): (Vec<RowTable>, Vec<Origin>) = (Vec::new(), Vec::new());
    let (mut tables, mut end_bytes) = (Vec::with_capacity(members.len()), 0);
    for (network, member) in members.iter().enumerate() {
        let mut of_network = Vec::new();
        for (index, table) in (0_u32..).zip(&member.bundle.plan.row_tables) {
            let mut found = None;
            for (position, origin) in (0_u32..).zip(&origins) {
                if are_equal((member, index), (&members[origin.network], origin.index))? {
                    found = Some(position);
                    break;
                }
            }
            of_network.push(found.unwrap_or_else(|| {
                stored.push(RowTable { offset_bytes: end_bytes, ..table.clone() });
                end_bytes += table.table_bytes().expect("a validated plan's sizes do not overflow");
                origins.push(Origin { network, index });
                index32(stored.len()) - 1
            }));
        }
        tables.push(of_network);
    }
    Ok((tables, stored, origins))
}

/// Whether two tables have the same rows.
fn are_equal((member, index): (&Member, u32), (other, other_index): (&Member, u32)) -> Result<bool, LinkError> {
    let (table, other_table) =
        (&member.bundle.plan.row_tables[index as usize], &other.bundle.plan.row_tables[other_index as usize]);
    let shape = |table: &RowTable| (table.rows, table.row_elements, table.encoding);
    if shape(table) != shape(other_table) {
        return Ok(false);
    }
    let (mut own, mut others) = (Vec::new(), Vec::new());
    for (first, count) in row_pieces(table) {
        member.read_rows(index, first, count, &mut own)?;
        other.read_rows(other_index, first, count, &mut others)?;
        if own != others {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Of places whose beginnings are equal, most that are compared to the end.
const MAX_COMPARED: usize = 64;

/// Bytes of a beginning.
const BEGINNING_BYTES: usize = 4096;

/// Where each network's constants start, and all of them: once where they are equal to, or a part of, those of another one.
fn constants(members: &[Member]) -> (Vec<u64>, Vec<u8>) {
    let own: Vec<&[u8]> = members.iter().map(|member| member.bundle.constants.as_slice()).collect();
    let within = within(&own);
    let (mut section, mut starts): (Vec<u8>, Vec<u64>) = (Vec::new(), vec![0; own.len()]);
    for (index, bytes) in
        own.iter().enumerate().filter(|(index, bytes)| within[*index].0 == *index && !bytes.is_empty())
    {
        section.resize(section.len().next_multiple_of(BINDING_ALIGNMENT as usize), 0);
        starts[index] = section.len() as u64;
        section.extend_from_slice(bytes);
    }
    (within.into_iter().map(|(other, offset)| starts[other] + offset as u64).collect(), section)
}

/// For every one, which one it is a part of, itself perhaps, and from where on; what others are parts of is no part of another.
fn within(own: &[&[u8]]) -> Vec<(usize, usize)> {
    let mut found: Vec<(usize, usize)> = (0..own.len()).map(|index| (index, 0)).collect();
    let mut order = found.iter().map(|(index, _)| *index).collect::<Vec<_>>();
    order.sort_by_key(|index| std::cmp::Reverse(own[*index].len()));
    let mut whole: Vec<usize> = Vec::new();
    for index in order {
        match whole.iter().find_map(|other| Some((*other, part_at(own[index], own[*other])?))) {
            Some(place) => found[index] = place,
            None => whole.push(index),
        }
    }
    found
}

/// The first place, where a binding may start, at which `part` is a part of `whole`.
fn part_at(part: &[u8], whole: &[u8]) -> Option<usize> {
    let last = whole.len().checked_sub(part.len())?;
    let beginning = &part[..part.len().min(BEGINNING_BYTES)];
    let mut places = (0..=last).step_by(BINDING_ALIGNMENT as usize).filter(|at| whole[*at..].starts_with(beginning));
    places.by_ref().take(MAX_COMPARED).find(|at| whole[*at..].starts_with(part))
}

/// States of one model that have one name, type and shape are one state, if they are to be shared. Their offsets, and where all end.
fn states(members: &[Member], shares_states: bool) -> (Vec<Vec<u64>>, u64) {
    let mut known = Vec::new();
    let mut end_bytes = 0_u64;
    let mut place = |(index, member): (usize, &Member)| {
        let of_model = if shares_states { member.bundle.plan.provenance.model_hash.clone() } else { index.to_string() };
        let mut of_network = Vec::new();
        for state in &member.bundle.plan.states {
            let key = (of_model.clone(), state.input.clone(), state.element, state.shape.clone());
            let found = known.iter().find(|(other, _)| *other == key).map(|(_, offset)| *offset);
            of_network.push(found.unwrap_or_else(|| {
                let offset = end_bytes.next_multiple_of(BINDING_ALIGNMENT);
                end_bytes = offset + state.slice.size_bytes;
                known.push((key, offset));
                offset
            }));
        }
        of_network
    };
    let offsets = members.iter().enumerate().map(&mut place).collect();
    (offsets, end_bytes)
}

fn kernels(members: &[Member]) -> Vec<Vec<u32>> {
    let mut known: BTreeMap<&str, u32> = BTreeMap::new();
    let place = |member| {
        let bundle: &'_ Member = member;
        let sources = bundle.bundle.plan.pipelines.iter().flat_map(Pipeline::sources);
        sources
            .map(|source| {
                let next = index32(known.len());
                *known.entry(source.as_str()).or_insert(next)
            })
            .collect()
    };
    members.iter().map(place).collect()
}

#[cfg(test)]
mod tests {
    use super::within;

    #[test]
    fn constants_that_are_a_part_of_others_are_found_where_a_binding_may_start() {
        let bytes: Vec<u8> = (0..2048_u32).map(|i| (i / 7) as u8).collect();
        let parts = [&bytes[..], &bytes[256..1000], &bytes[100..1000], &bytes[..], &bytes[512..], &[]];
        assert_eq!(within(&parts), [(0, 0), (0, 256), (2, 0), (0, 0), (0, 512), (0, 0)]);
        // What is a part of a later one lies there.
        assert_eq!(within(&[&bytes[256..600], &bytes]), [(1, 256), (1, 0)]);
        assert_eq!(within(&[&[], &[]]), [(0, 0), (0, 0)]);
    }
}
