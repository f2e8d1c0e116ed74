//! Follows the runs of a linked bundle after each other, command by command, and reports everything that would go wrong on a device.
//!
//! Followed: every network from an empty arena; from an arena that holds its kept pages only; and every ordered pair of networks, the
//! same one twice included, announced and not announced, each starting with either of these. In each, a dispatch finds each of its pages
//! in the slot that the slot table in its parameters names; a load goes to a slot that exists, and to a kept one only with the page
//! that this is kept for; the staging ring is never overrun; everything is submitted. That longer orders are right follows from the rule
//! for loads that are left out (`turn.rs`). It shares nothing with `turn.rs` but its result.

use super::place::Placed;
use super::turn::{Arena, Turn, turn};
use super::types::Network;
use super::violation::LinkViolation;
use crate::plan::{Command, PageId, Plan, SlotId};
use crate::violations::Violations;
use std::collections::BTreeMap;

/// Follows all pairs. `pages` says for each network where its pages lie in the file ([`Network::stored_pages`]), `placed` are the
/// networks at their places.
///
/// # Errors
/// All violations.
pub fn prove(shared: &Plan, pages: &[Vec<PageId>], placed: &[Placed]) -> Result<(), Violations<LinkViolation>> {
    let kept = placed.iter().flat_map(|network| network.turns.kept.iter().map(|(page, slot)| (*slot, *page))).collect();
    let mut proof = Proof { shared, kept, found: Violations::new() };
    let all = pages;
    for (first, pages) in placed.iter().zip(all) {
        for (start, arena) in starts(shared, first) {
            for successor in [None].into_iter().chain((0_u32..).zip(placed).map(Some)) {
                let next = successor.map(|(position, next)| (position, next.turn()));
                let commands = turn(&first.turn(), &arena, next.as_ref().map(|(position, next)| (*position, next)));
                let mut after = arena.clone();
                let name = || match successor {
                    None => format!("`{}` {start}", first.name),
                    Some((_, next)) => format!("`{}` {start}, before `{}`", first.name, next.name),
                };
                proof.follow(&name, first, pages, &commands, &mut after);
                // Announced, the one that was; not announced, any.
                let is_next = |second: u32| successor.is_none_or(|(position, _)| position == second);
                for ((_, second), pages) in (0_u32..).zip(placed).zip(all).filter(|((second, _), _)| is_next(*second)) {
                    let commands = turn(&second.turn(), &after, None);
                    let name = || format!("`{}` after {}", second.name, name());
                    proof.follow(&name, second, pages, &commands, &mut after.clone());
                }
            }
        }
    }
    proof.found.into_result(())
}

impl Network {
    /// Where each of its pages lies in the file.
    pub fn stored_pages(&self) -> Vec<PageId> {
        (0..self.plan.page_count).filter_map(|page| self.stored_page(PageId(page))).collect()
    }
}

impl Placed {
    /// As its runs need it.
    pub fn turn(&self) -> Turn<'_> {
        self.turns.of(&self.plan)
    }
}

/// The arenas that a run starts with: one that holds nothing, and one that holds what the network keeps.
fn starts(shared: &Plan, network: &Placed) -> [(&'static str, Arena); 2] {
    let empty = Arena::empty(shared.slot_count);
    let mut returned = empty.clone();
    network.turns.kept.iter().for_each(|(page, slot)| returned.load(*page, *slot));
    [("in an empty arena", empty), ("among kept pages", returned)]
}

struct Proof<'a> {
    shared: &'a Plan,
    kept: BTreeMap<SlotId, PageId>,
    found: Violations<LinkViolation>,
}

impl Proof<'_> {
    /// One run: takes the arena to its state behind it.
    fn follow(
        &mut self,
        name: &dyn Fn() -> String,
        network: &Placed,
        pages: &[PageId],
        commands: &[Command],
        arena: &mut Arena,
    ) {
        let mut submits = 0_u32;
        let (mut load_submits, mut is_submitted): (Vec<u32>, bool) = (Vec::new(), true);
        for command in commands {
            match *command {
                Command::Load { page, slot } => {
                    let ring = network.plan.staging_pages as usize;
                    let earlier = load_submits.len().checked_sub(ring).map(|earlier| load_submits.get(earlier));
                    if earlier.is_some_and(|earlier| earlier.is_none_or(|then| *then == submits)) {
                        let load = load_submits.len() as u32;
                        self.found.push(LinkViolation::RingOverrun { turn: name(), load });
                    }
                    load_submits.push(submits);
                    let is_anothers = self.kept.get(&slot).is_some_and(|kept| *kept != page);
                    if is_anothers || slot.0 >= self.shared.slot_count {
                        self.found.push(LinkViolation::LoadSlot { turn: name(), page, slot });
                    }
                    arena.load(page, slot);
                    is_submitted = false;
                }
                Command::Dispatch { index } => {
                    self.dispatch(name, network, pages, index, arena);
                    is_submitted = false;
                }
                Command::Submit => (submits, is_submitted) = (submits + 1, true),
                Command::Drop { .. } => {}
            }
        }
        if !is_submitted {
            self.found.push(LinkViolation::NeverSubmitted { turn: name() });
        }
    }

    fn dispatch(&mut self, name: &dyn Fn() -> String, network: &Placed, pages: &[PageId], index: u32, arena: &Arena) {
        let dispatch = &network.plan.dispatches[index as usize];
        let Some(weights) = &dispatch.weights else { return };
        let table = (dispatch.params_offset_bytes + u64::from(weights.slots_offset_bytes)) as usize;
        let entries = self.shared.params[table..].as_chunks::<4>().0.iter().take(weights.page_count as usize);
        let own = &pages[weights.first_page.0 as usize..];
        for (page, entry) in own.iter().zip(entries) {
            let slot = SlotId(u32::from_le_bytes(*entry));
            if !arena.holds(*page, slot) {
                self.found.push(LinkViolation::Residency { turn: name(), dispatch: index, page: *page, slot });
            }
        }
    }
}
