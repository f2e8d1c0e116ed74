//! A small linked bundle with runnable kernels, for tests.
//!
//! `first` is [`small_plan`] with page 0 kept; `second` is [`small_plan`] with the last two
//! pages of `first` and two more, and keeps nothing. `first` loads for both.

use super::{constants, declare, drop_page, finished, load, small_plan};
use crate::container::{BundleWriter, Golden};
use crate::linked::{Connection, HandOver, Linked, Network, PageRange};
use crate::plan::{Command, MemoryDeclaration, PageId, Plan, Requirements, SlotId};
use std::io::Cursor;

/// Pages of the bundle.
pub const LINKED_PAGES: u32 = 6;

/// As [`small_plan`], but page 0 stays resident between runs.
pub fn kept_plan() -> Plan {
    let mut plan = small_plan();
    // Page 3 takes the slot of page 1 instead of that of page 0.
    plan.params[super::PARAMS_STRIDE as usize + 20] = 1;
    let rest = [
        Command::Dispatch { index: 0 },
        load(2, 2),
        drop_page(1),
        Command::Submit,
        load(3, 1),
        Command::Dispatch { index: 1 },
        drop_page(2),
        drop_page(3),
        Command::Dispatch { index: 2 },
        Command::Submit,
    ];
    plan.commands = [load(0, 0), load(1, 1), Command::Submit].into_iter().chain(rest).collect();
    plan.repeat_commands = [load(1, 1), Command::Submit].into_iter().chain(rest).collect();
    plan.predicted_warm_us = 60;
    declare(&mut plan, constants().len() as u64);
    plan
}

/// Two networks.
pub fn linked() -> Linked {
    let network = |name: &str, mut plan: Plan, pages: [PageRange; 2], kept_slots: Vec<SlotId>, number: u64| {
        plan.budget_bytes = None;
        declare(&mut plan, constants().len() as u64);
        Network {
            name: name.to_owned(),
            plan,
            pages: pages.to_vec(),
            kept_slots,
            constants_offset_bytes: number * 256,
            constants_bytes: constants().len() as u64,
            state_offsets_bytes: vec![],
            row_tables: vec![0],
            kernels: vec![0, 1, 2],
            hand_overs: vec![],
        }
    };
    let range = |first: u32, count: u32| PageRange { first: PageId(first), count };
    let mut first = network("first", kept_plan(), [range(0, 2), range(2, 2)], vec![SlotId(0)], 0);
    let hand_over = |successor: u32, before: Vec<u32>| HandOver { successor, before, successor_us: 50 };
    first.hand_overs = vec![hand_over(0, vec![2]), hand_over(1, vec![2, 2])];
    let second = network("second", small_plan(), [range(2, 2), range(4, 2)], vec![], 1);
    let row_tables = first.plan.row_tables.clone();
    let mut linked = Linked {
        networks: vec![first, second],
        page_count: LINKED_PAGES,
        kept_slots: 1,
        slot_count: 4,
        row_tables,
        requirements: Requirements::default(),
        memory: MemoryDeclaration::default(),
        budget_bytes: Some(64 << 20),
        options: vec![("calls".to_owned(), "first=2".to_owned())],
        connections: vec![],
    };
    declare_linked(&mut linked);
    linked
}

/// As [`linked`], and what one gives as `y` the other takes as `x`: `second` from `first`, and `first` from either.
pub fn connected() -> Linked {
    let mut linked = linked();
    let connection = |from: u32, to: u32, offset_bytes| Connection { from, output: 0, to, input: 0, offset_bytes };
    linked.connections = vec![connection(0, 1, 0), connection(1, 0, 256), connection(0, 0, 256)];
    declare_linked(&mut linked);
    linked
}

/// Sets requirements and memory to what the networks imply.
pub fn declare_linked(linked: &mut Linked) {
    linked.requirements = linked.implied_requirements();
    linked.memory = linked.implied_memory().unwrap_or_default();
}

/// The bundle of [`linked`]: a page has its number and 1 in its first 64 elements, and both networks have the same constants.
pub fn linked_bundle() -> Vec<u8> {
    bundle_of(&linked())
}

/// As [`linked_bundle`], with golden values of `second`: the same as those of a bundle of its plan alone.
pub fn linked_bundle_with_golden(golden: Golden) -> Vec<u8> {
    let both = [constants(), constants()].concat();
    let goldens = [None, Some(golden)];
    let writer = BundleWriter::new_linked(Cursor::new(Vec::new()), &linked(), &both, &goldens).expect("it is valid");
    finished(writer, LINKED_PAGES)
}

/// The bundle of [`linked`] with other connections.
pub fn bundle_of(linked: &Linked) -> Vec<u8> {
    let both = [constants(), constants()].concat();
    let writer = BundleWriter::new_linked(Cursor::new(Vec::new()), linked, &both, &[]).expect("it is valid");
    finished(writer, LINKED_PAGES)
}
