//! Static rules of a linked bundle, beside those of its networks' own plans.
//!
//! Checked: names; one page shape and one ring; pages, row tables and kernels are the bundle's, and each of these is
//! somebody's; a kept slot has one page, whoever keeps it, and a network's kept slots are those that its own replay finds
//! resident from run to run; the arena has as many slots as the networks imply; constants lie apart or are a part of another
//! network's; states lie apart or are the same tensor; connections are of outputs that can be the inputs, behind all states;
//! hand-overs name networks and pages that there are; requirements and memory are what the networks imply; the budget covers
//! it. Plans must have passed `validate` and `replay`. Deliberately not checked: whether equal offsets of constants hold equal
//! bytes, which no reader could tell from a network that was made so. What runs find after each other is `proof.rs`.

use super::connect::connectable;
use super::place::slots_of_pages;
use super::types::{Connection, Linked, MAX_NETWORK_NAME_BYTES, MAX_NETWORKS, Network};
use super::violation::LinkViolation;
use crate::implied::memory_kinds;
use crate::plan::{BINDING_ALIGNMENT, Command, MAX_PAGES, MemoryDeclaration, PageId, Pipeline, Plan, SlotId, State};
use crate::violations::Violations;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ops::Range;

/// Checks everything but the networks' own plans.
///
/// # Errors
/// All violations.
pub fn check(linked: &Linked) -> Result<(), Violations<LinkViolation>> {
    let mut check = Check { linked, found: Violations::new() };
    if check.counts() {
        check.networks();
        check.pages();
        check.slots();
        check.constants();
        check.connections();
        check.states();
        check.row_tables();
        check.kernels();
        check.hand_overs();
        check.declarations();
    }
    check.found.into_result(())
}

struct Check<'a> {
    linked: &'a Linked,
    found: Violations<LinkViolation>,
}

impl<'a> Check<'a> {
    fn each(&self) -> impl Iterator<Item = (u32, &'a Network)> + use<'a> {
        (0_u32..).zip(&self.linked.networks)
    }

    /// What the other rules rely on: numbers of networks, pages and slots, and lengths of tables.
    fn counts(&mut self) -> bool {
        let linked = self.linked;
        let count = linked.networks.len() as u64;
        if count == 0 || count > u64::from(MAX_NETWORKS) {
            self.found.push(LinkViolation::NetworkCount { count, limit: MAX_NETWORKS });
        }
        let counts = [("pages", linked.page_count), ("slots", linked.slot_count), ("kept slots", linked.kept_slots)];
        for (table, count) in counts.into_iter().filter(|(_, count)| *count > MAX_PAGES) {
            self.found.push(LinkViolation::TooMany { table, count: count.into(), limit: MAX_PAGES.into() });
        }
        for (network, Network { plan, kept_slots, state_offsets_bytes, row_tables, kernels, hand_overs, .. }) in
            self.each()
        {
            let lengths = [
                ("state offsets", state_offsets_bytes.len(), plan.states.len()),
                ("row tables", row_tables.len(), plan.row_tables.len()),
                ("kernels", kernels.len(), plan.pipelines.iter().flat_map(Pipeline::sources).count()),
                ("kept slots", kept_slots.len(), kept_slots.len().min(plan.slot_count as usize)),
                ("hand-overs", hand_overs.len(), hand_overs.len().min(linked.networks.len())),
            ];
            for (table, found, expected) in lengths.into_iter().filter(|(_, found, expected)| found != expected) {
                let (found, expected) = (found as u64, expected as u64);
                self.found.push(LinkViolation::TableLength { network, table, found, expected });
            }
        }
        self.found.is_empty()
    }

    fn networks(&mut self) {
        let linked = self.linked;
        let (expected, ring) = (linked.networks[0].plan.page.rows, linked.staging_pages());
        for (network, Network { name, plan, .. }) in self.each() {
            let limit = MAX_NETWORK_NAME_BYTES;
            let mut earlier = linked.networks[..network as usize].iter();
            if name.is_empty() || name.len() > limit || earlier.any(|other| other.name == *name) {
                self.found.push(LinkViolation::Name { network, limit });
            }
            if plan.page.rows != expected {
                self.found.push(LinkViolation::PageRows { network, rows: plan.page.rows, expected });
            }
            if plan.page_count > 0 && plan.staging_pages != ring {
                let staging_pages = plan.staging_pages;
                self.found.push(LinkViolation::StagingPages { network, staging_pages, expected: ring });
            }
        }
    }

    fn pages(&mut self) {
        let linked = self.linked;
        let mut used = vec![false; linked.page_count as usize];
        for (network, Network { plan, pages, .. }) in self.each() {
            let ranged = pages.iter().map(|range| u64::from(range.count)).sum();
            if ranged != u64::from(plan.page_count) {
                self.found.push(LinkViolation::PageCount { network, page_count: plan.page_count, ranged });
            }
            for range in pages {
                let (first, end) = (range.first.0, u64::from(range.first.0) + u64::from(range.count));
                match used.get_mut(first as usize..usize::try_from(end).unwrap_or(usize::MAX)) {
                    Some(pages) => pages.fill(true),
                    None => {
                        let page_count = linked.page_count;
                        self.found.push(LinkViolation::PageRange { network, first, end, page_count });
                    }
                }
            }
        }
        let unused = (0_u32..).zip(&used).filter(|(_, used)| !**used);
        unused.for_each(|(page, _)| self.found.push(LinkViolation::PageUnused { page: PageId(page) }));
    }

    fn slots(&mut self) {
        let linked = self.linked;
        let mut held: BTreeMap<SlotId, PageId> = BTreeMap::new();
        let mut streaming = 0;
        for (network, entry) in self.each() {
            streaming = streaming.max(entry.plan.slot_count - entry.kept());
            self.kept_pages(network, entry);
            let own_page = pages_of_slots(&entry.plan);
            let mut own = Vec::new();
            for (slot, page) in entry.kept_slots.iter().zip(own_page) {
                let page = page.and_then(|page| entry.stored_page(page));
                let is_free = page.is_some_and(|page| *held.entry(*slot).or_insert(page) == page);
                if !is_free || slot.0 >= linked.kept_slots || own.contains(slot) {
                    let (slot, kept_slots) = (*slot, linked.kept_slots);
                    self.found.push(LinkViolation::KeptSlot { network, slot, kept_slots });
                }
                own.push(*slot);
            }
        }
        for slot in (0..linked.kept_slots).map(SlotId).filter(|slot| !held.contains_key(slot)) {
            self.found.push(LinkViolation::KeptSlotUnused { slot });
        }
        let (slot_count, expected) = (linked.slot_count, u64::from(linked.kept_slots) + u64::from(streaming));
        if u64::from(slot_count) != expected {
            self.found.push(LinkViolation::SlotCount { slot_count, expected });
        }
    }

    /// What stays resident when the first command list has run must be what is kept, and only that.
    fn kept_pages(&mut self, network: u32, entry: &Network) {
        let (mut resident, slots) = (vec![false; entry.plan.page_count as usize], slots_of_pages(&entry.plan));
        for command in &entry.plan.commands {
            match command {
                Command::Load { page, .. } => resident[page.0 as usize] = true,
                Command::Drop { page } => resident[page.0 as usize] = false,
                Command::Dispatch { .. } | Command::Submit => {}
            }
        }
        // Without a list for later runs, what stays is of no use to anybody.
        let repeats = !entry.plan.repeat_commands.is_empty();
        let staying: Vec<u32> =
            resident.iter().zip(&slots).filter(|(stays, _)| **stays && repeats).map(|(_, s)| s.0).collect();
        let (found, expected) = (staying.len() as u32, entry.kept());
        if found != expected || staying.iter().any(|slot| *slot >= expected) {
            self.found.push(LinkViolation::KeptPages { network, found, expected });
        }
    }

    fn constants(&mut self) {
        let mut places = Vec::new();
        for (network, entry) in self.each().filter(|(_, entry)| entry.constants_bytes > 0) {
            places.push((entry.constants_offset_bytes, entry.constants_bytes, network));
        }
        self.apart("constants", places, |part, whole| part.start >= whole.start && part.end <= whole.end);
    }

    fn states(&mut self) {
        let linked = self.linked;
        let mut known: BTreeMap<u64, &State> = BTreeMap::new();
        let mut places = Vec::new();
        for (network, entry) in self.each() {
            let mut own = Vec::new();
            for ((index, state), offset) in (0_u32..).zip(&entry.plan.states).zip(&entry.state_offsets_bytes) {
                let other = *known.entry(*offset).or_insert(state);
                let is_same = other.element == state.element && other.shape == state.shape;
                if !is_same || own.contains(offset) {
                    self.found.push(LinkViolation::StateShape { network, state: index, offset_bytes: *offset });
                }
                own.push(*offset);
                places.push((*offset, state.slice.size_bytes, network));
            }
        }
        // Whoever sets states back must not touch what lies between two networks.
        let end_bytes = linked.state_bytes().unwrap_or(u64::MAX);
        places.extend(self.connected_places());
        if linked.connections.iter().any(|connection| connection.offset_bytes < end_bytes) {
            let network = linked.connections.iter().map(|connection| connection.to).min().unwrap_or(0);
            self.found.push(LinkViolation::Overlap { network, what: "connections", offset_bytes: end_bytes });
        }
        self.apart("states and connections", places, |own, other| own == other);
        if linked.state_buffer_bytes().is_none() || linked.constants_bytes().is_none() {
            self.found.push(LinkViolation::Overflow);
        }
    }

    fn connections(&mut self) {
        let linked = self.linked;
        for (connection, own) in (0_u32..).zip(&linked.connections) {
            let mut earlier = linked.connections[..connection as usize].iter();
            let is_same = |other: &Connection| {
                (other.from, other.output, other.to, other.input) == (own.from, own.output, own.to, own.input)
            };
            let is_there = linked.connected_input(own).is_some() && linked.connected_output(own).is_some();
            if !is_there || earlier.clone().any(is_same) {
                self.found.push(LinkViolation::Connection { connection });
                continue;
            }
            let plan = |network: u32| &linked.networks[network as usize].plan;
            if let Err(reason) = connectable((plan(own.from), own.output), (plan(own.to), own.input)) {
                self.found.push(LinkViolation::Unconnectable { connection, reason });
            }
            let is_misplaced = |other: &Connection| {
                ((other.to, other.input) == (own.to, own.input)) != (other.offset_bytes == own.offset_bytes)
            };
            if earlier.any(is_misplaced) {
                let offset_bytes = own.offset_bytes;
                self.found.push(LinkViolation::ConnectionPlace { connection, offset_bytes });
            }
        }
    }

    /// Where connected inputs lie between runs, each once.
    fn connected_places(&self) -> Vec<(u64, u64, u32)> {
        let place = |own: &Connection| {
            let slice = self.linked.connected_input(own)?.slice?;
            Some((own.offset_bytes, slice.size_bytes, own.to, own.input))
        };
        let mut places: Vec<_> = self.linked.connections.iter().filter_map(place).collect();
        places.sort_unstable();
        places.dedup();
        places.into_iter().map(|(offset_bytes, bytes, to, _)| (offset_bytes, bytes, to)).collect()
    }

    /// Places must start each at the first aligned offset behind the one before, or lie in it as `may_share` says.
    fn apart(
        &mut self,
        what: &'static str,
        mut places: Vec<(u64, u64, u32)>,
        may_share: impl Fn(&Range<u64>, &Range<u64>) -> bool,
    ) {
        // Of those that start together, the longest first.
        places.sort_unstable_by_key(|(offset_bytes, bytes, network)| (*offset_bytes, Reverse(*bytes), *network));
        let mut before = 0..0;
        for (index, (offset_bytes, bytes, network)) in places.into_iter().enumerate() {
            let own = offset_bytes..offset_bytes.saturating_add(bytes);
            let is_shared = index > 0 && may_share(&own, &before) && own.start.is_multiple_of(BINDING_ALIGNMENT);
            if is_shared {
                continue;
            }
            if before.end.checked_next_multiple_of(BINDING_ALIGNMENT) != Some(offset_bytes) {
                self.found.push(LinkViolation::Overlap { network, what, offset_bytes });
            }
            before = own;
        }
    }

    fn row_tables(&mut self) {
        let linked = self.linked;
        let mut used = vec![false; linked.row_tables.len()];
        for (network, entry) in self.each() {
            for ((index, table), stored) in (0_u32..).zip(&entry.plan.row_tables).zip(&entry.row_tables) {
                let found = linked.row_tables.get(*stored as usize);
                let is_same = found.is_some_and(|found| {
                    (found.rows, found.row_elements, found.encoding) == (table.rows, table.row_elements, table.encoding)
                });
                if is_same {
                    used[*stored as usize] = true;
                } else {
                    self.found.push(LinkViolation::RowTable { network, table: index, stored: *stored });
                }
            }
        }
        let mut expected_bytes = Some(0_u64);
        for ((table, entry), used) in (0_u32..).zip(&linked.row_tables).zip(used) {
            let offset_bytes = entry.offset_bytes;
            let Some(expected) = expected_bytes else { return self.found.push(LinkViolation::Overflow) };
            if offset_bytes != expected || !used {
                let expected_bytes = expected;
                self.found.push(LinkViolation::RowTableOrder { table, offset_bytes, expected_bytes });
            }
            expected_bytes = entry.table_bytes().and_then(|bytes| offset_bytes.checked_add(bytes));
        }
    }

    fn kernels(&mut self) {
        let pipelines: usize = self.linked.networks.iter().map(|network| network.kernels.len()).sum();
        let mut used: Vec<u32> =
            self.linked.networks.iter().flat_map(|network| network.kernels.iter().copied()).collect();
        used.sort_unstable();
        used.dedup();
        // The first number that is missing, among as many as there can be.
        let missing = (0..pipelines as u32).zip(&used).find(|(kernel, used)| kernel != *used);
        if let Some((kernel, _)) = missing {
            self.found.push(LinkViolation::KernelUnused { kernel });
        }
    }

    fn hand_overs(&mut self) {
        let linked = self.linked;
        for (network, entry) in self.each() {
            let mut known = Vec::new();
            for (index, hand_over) in (0_u32..).zip(&entry.hand_overs) {
                let successor = linked.networks.get(hand_over.successor as usize);
                let streamed = successor.map_or(0, |next| next.plan.page_count.saturating_sub(next.kept()));
                let before = &hand_over.before;
                let is_within = before.last().is_none_or(|last| (*last as usize) < entry.plan.dispatches.len());
                let is_right = before.len() as u64 <= u64::from(streamed) && before.is_sorted() && is_within;
                if !is_right || known.contains(&hand_over.successor) {
                    self.found.push(LinkViolation::HandOver { network, index });
                }
                known.push(hand_over.successor);
            }
        }
    }

    fn declarations(&mut self) {
        let linked = self.linked;
        let mut used_most = BTreeMap::new();
        linked.for_each_use(&mut |limit, used| {
            let most = used_most.entry(limit.name()).or_insert((limit, 0));
            most.1 = used.max(most.1);
        });
        for (limit, used) in used_most.into_values() {
            let declared = linked.requirements.get(limit);
            if used > declared {
                self.found.push(LinkViolation::Requirement { limit: limit.name(), used, declared });
            }
        }
        let declared: MemoryDeclaration = linked.memory;
        let (Some(implied), Some(total_bytes)) = (linked.implied_memory(), declared.total_bytes()) else {
            return self.found.push(LinkViolation::Overflow);
        };
        for ((kind, declared_bytes), (_, implied_bytes)) in
            memory_kinds(declared).into_iter().zip(memory_kinds(implied))
        {
            if declared_bytes != implied_bytes {
                self.found.push(LinkViolation::Memory { kind, declared_bytes, implied_bytes });
            }
        }
        if let Some(budget_bytes) = linked.budget_bytes.filter(|budget| *budget < total_bytes) {
            self.found.push(LinkViolation::Budget { total_bytes, budget_bytes });
        }
    }
}

/// For every slot the one page that is ever loaded into it, if it is one.
fn pages_of_slots(plan: &Plan) -> Vec<Option<PageId>> {
    let mut pages: Vec<Option<Result<PageId, ()>>> = vec![None; plan.slot_count as usize];
    for command in plan.commands.iter().chain(&plan.repeat_commands) {
        if let Command::Load { page, slot } = command {
            let held = &mut pages[slot.0 as usize];
            *held = Some(match held {
                None => Ok(*page),
                Some(Ok(other)) if other == page => Ok(*page),
                Some(_) => Err(()),
            });
        }
    }
    pages.into_iter().map(|page| page.and_then(Result::ok)).collect()
}
