//! Every kind of replay violation is caught, with its exact place.

use crate::plan::{Command, PageId, Plan, SlotId};
use crate::replay::{At, Pass, ReplayReport, ReplayViolation, replay};
use crate::testing::{repeating_plan, small_plan};
use crate::tests::kinds;
use std::collections::BTreeSet;

kinds!(ReplayViolation: NoSuchPage, NoSuchSlot, NoSuchDispatch, LoadRepeated, LoadLate, LoadOrder, SlotOccupied, RingOverrun,
    DropNotResident, ReadNotResident, SlotTable, NoSlotTableEntry, DispatchRepeated, DispatchOrder, NeverLoaded,
    NeverDispatched, NeverSubmitted, LoadUnused, EndState, SlotNeverUsed, Peak);

/// Positions in the small plan's program.
const FIRST_SUBMIT: usize = 2;
const DISPATCH_0: usize = 3;
const LOAD_2: usize = 4;
const DROP_0: usize = 5;
const LOAD_3: usize = 8;
const DISPATCH_1: usize = 9;
const DROP_3: usize = 11;
const LAST_SUBMIT: usize = 13;

/// An edit of the small plan, and the first violation that it must cause.
struct Case(fn(&mut Plan), ReplayViolation);

const fn load(page: u32, slot: u32) -> Command {
    Command::Load { page: PageId(page), slot: SlotId(slot) }
}

const fn at(index: u32) -> At {
    At { pass: Pass::First, index }
}

const fn repeat(index: u32) -> At {
    At { pass: Pass::Later, index }
}

fn remove(plan: &mut Plan, position: usize) {
    plan.commands.remove(position);
}

fn cases() -> Vec<Case> {
    use ReplayViolation as V;
    let page = PageId;
    vec![
        Case(|plan| plan.commands[LOAD_3] = load(4, 0), V::NoSuchPage { command: at(8), page: page(4) }),
        Case(
            |plan| plan.commands[DROP_3] = Command::Drop { page: PageId(9) },
            V::NoSuchPage { command: at(11), page: page(9) },
        ),
        Case(
            |plan| plan.commands[LOAD_2] = load(2, 3),
            V::NoSuchSlot { command: at(4), page: page(2), slot: SlotId(3) },
        ),
        Case(
            |plan| plan.commands[LAST_SUBMIT] = Command::Dispatch { index: 3 },
            V::NoSuchDispatch { command: at(13), dispatch: 3 },
        ),
        Case(|plan| plan.commands.insert(LOAD_3, load(2, 0)), V::LoadRepeated { command: at(8), page: page(2) }),
        Case(|plan| plan.commands.swap(0, 1), V::LoadOrder { command: at(1), page: page(0), previous: page(1) }),
        Case(
            |plan| plan.commands[LOAD_2] = load(2, 1),
            V::SlotOccupied { command: at(4), page: page(2), slot: SlotId(1), occupant: page(1) },
        ),
        Case(
            |plan| remove(plan, FIRST_SUBMIT),
            V::RingOverrun { command: at(3), page: page(2), load: 2, earlier_load: 0 },
        ),
        Case(|plan| plan.staging_pages = 1, V::RingOverrun { command: at(1), page: page(1), load: 1, earlier_load: 0 }),
        Case(|plan| plan.staging_pages = 0, V::RingOverrun { command: at(0), page: page(0), load: 0, earlier_load: 0 }),
        Case(
            |plan| plan.commands.insert(DROP_0, Command::Drop { page: PageId(3) }),
            V::DropNotResident { command: at(5), page: page(3) },
        ),
        Case(
            |plan| plan.commands.insert(DROP_3, Command::Drop { page: PageId(2) }),
            V::DropNotResident { command: at(11), page: page(2) },
        ),
        Case(
            |plan| plan.commands.swap(LOAD_3, DISPATCH_1),
            V::ReadNotResident { command: at(8), dispatch: 1, page: page(3) },
        ),
        Case(
            |plan| plan.commands.insert(DISPATCH_0, Command::Drop { page: PageId(1) }),
            V::ReadNotResident { command: at(4), dispatch: 0, page: page(1) },
        ),
        Case(
            |plan| plan.params[20] = 2,
            V::SlotTable { command: at(3), dispatch: 0, page: page(1), named: SlotId(2), actual: SlotId(1) },
        ),
        Case(
            |plan| plan.dispatches[1].params_offset_bytes = u64::MAX,
            V::NoSlotTableEntry { command: at(9), dispatch: 1, page: page(2) },
        ),
        Case(
            |plan| plan.commands.insert(DISPATCH_0, Command::Dispatch { index: 0 }),
            V::DispatchRepeated { command: at(4), dispatch: 0 },
        ),
        Case(
            |plan| plan.commands.insert(LAST_SUBMIT, Command::Dispatch { index: 2 }),
            V::DispatchRepeated { command: at(13), dispatch: 2 },
        ),
        Case(
            |plan| {
                plan.dispatches[1].weights = None;
                plan.dispatches[2].weights = None;
                plan.commands.swap(DISPATCH_1, DISPATCH_1 + 3);
            },
            V::DispatchOrder { command: at(12), dispatch: 1, previous: 2 },
        ),
        Case(
            |plan| {
                plan.dispatches[1].weights = None;
                plan.commands.retain(|command| !matches!(command, Command::Load { page, .. } if page.0 == 3));
                plan.commands.retain(|command| !matches!(command, Command::Drop { page } if page.0 == 3));
            },
            V::NeverLoaded { pass: Pass::First, page: page(3) },
        ),
        Case(|plan| plan.page_count = 5, V::NeverLoaded { pass: Pass::First, page: page(4) }),
        Case(
            |plan| plan.commands.retain(|command| *command != Command::Dispatch { index: 2 }),
            V::NeverDispatched { pass: Pass::First, dispatch: 2 },
        ),
        Case(|plan| remove(plan, LAST_SUBMIT), V::NeverSubmitted { command: at(8) }),
        Case(|plan| plan.slot_count = 4, V::SlotNeverUsed { slot: SlotId(3) }),
    ]
}

/// Edits of the plan that repeats, and the first violation that each must cause.
fn repeat_cases() -> Vec<Case> {
    use ReplayViolation as V;
    let (page, slot) = (PageId, SlotId);
    vec![
        // Positions in `commands`.
        Case(|plan| plan.commands.insert(1, load(0, 0)), V::LoadRepeated { command: at(1), page: page(0) }),
        Case(
            |plan| plan.commands.insert(6, load(1, 1)),
            V::LoadLate { command: at(8), page: page(3), previous: page(1) },
        ),
        Case(
            |plan| {
                plan.commands.insert(12, Command::Submit);
                plan.commands.insert(13, load(1, 1));
            },
            V::LoadRepeated { command: at(13), page: page(1) },
        ),
        Case(
            |plan| plan.commands.insert(12, Command::Drop { page: PageId(1) }),
            V::LoadUnused { pass: Pass::First, page: page(1) },
        ),
        Case(
            |plan| {
                plan.commands.insert(11, Command::Submit);
                plan.commands.insert(12, load(2, 2));
            },
            V::LoadOrder { command: at(13), page: page(1), previous: page(2) },
        ),
        Case(|plan| remove(plan, 11), V::ReadNotResident { command: repeat(1), dispatch: 0, page: page(1) }),
        Case(|plan| plan.repeat_commands.clear(), V::LoadRepeated { command: at(11), page: page(1) }),
        // Positions in `repeat_commands`.
        Case(|plan| plan.repeat_commands[0] = load(0, 0), V::LoadRepeated { command: repeat(0), page: page(0) }),
        Case(
            |plan| plan.repeat_commands[0] = load(2, 1),
            V::SlotOccupied { command: repeat(0), page: page(2), slot: slot(1), occupant: page(1) },
        ),
        Case(
            |plan| {
                plan.repeat_commands.remove(0);
                plan.repeat_commands.insert(3, load(2, 2));
                plan.repeat_commands.insert(4, load(0, 0));
            },
            V::LoadRepeated { command: repeat(4), page: page(0) },
        ),
        Case(
            |plan| plan.repeat_commands.retain(|command| *command != Command::Submit),
            V::RingOverrun { command: repeat(7), page: page(1), load: 2, earlier_load: 0 },
        ),
        Case(|plan| plan.repeat_commands[4] = load(4, 1), V::NoSuchPage { command: repeat(4), page: page(4) }),
        Case(
            |plan| plan.repeat_commands.retain(|command| *command != Command::Dispatch { index: 2 }),
            V::NeverDispatched { pass: Pass::Later, dispatch: 2 },
        ),
        Case(
            |plan| {
                plan.dispatches[1].weights = None;
                plan.repeat_commands.retain(|command| !matches!(command, Command::Load { page, .. } if page.0 == 3));
                plan.repeat_commands.retain(|command| !matches!(command, Command::Drop { page } if page.0 == 3));
            },
            V::NeverLoaded { pass: Pass::Later, page: page(3) },
        ),
        Case(
            |plan| {
                plan.repeat_commands.pop();
            },
            V::NeverSubmitted { command: repeat(4) },
        ),
        Case(
            |plan| {
                plan.repeat_commands.remove(8);
            },
            V::EndState { page: page(1), start: Some(slot(1)), end: None },
        ),
        Case(
            |plan| plan.repeat_commands.insert(2, Command::Drop { page: PageId(0) }),
            V::EndState { page: page(0), start: Some(slot(0)), end: None },
        ),
        Case(
            |plan| {
                plan.repeat_commands.remove(7);
            },
            V::SlotOccupied { command: repeat(7), page: page(1), slot: slot(1), occupant: page(3) },
        ),
    ]
}

#[test]
fn the_small_plan_is_replayed() {
    let expected = ReplayReport {
        peak_pages: 3,
        loads: 4,
        drops: 4,
        dispatches: 3,
        submits: 3,
        loads_per_submit: 2,
        repeat_loads: 0,
        kept_pages: 0,
    };
    assert_eq!(replay(&small_plan()), Ok(expected));
}

#[test]
fn the_repeating_plan_is_replayed() {
    let expected = ReplayReport {
        peak_pages: 3,
        loads: 5,
        drops: 3,
        dispatches: 3,
        submits: 3,
        loads_per_submit: 2,
        repeat_loads: 3,
        kept_pages: 1,
    };
    assert_eq!(replay(&repeating_plan()), Ok(expected));
}

#[test]
fn later_runs_are_checked_like_the_first() {
    for (index, Case(edit, expected)) in repeat_cases().into_iter().enumerate() {
        let mut plan = repeating_plan();
        edit(&mut plan);
        let found = replay(&plan).expect_err("the edit breaks the plan").list;
        assert_eq!(found[0], expected, "case {index}: {found:?}");
    }
}

#[test]
fn both_programs_are_reported_together() {
    let mut plan = repeating_plan();
    plan.commands.pop();
    plan.repeat_commands.pop();
    let found = replay(&plan).expect_err("two mistakes");
    let text = found.to_string();
    assert!(text.contains("\n  command 7 is never submitted\n  repeat command 4 is never submitted"), "{text}");
}

#[test]
fn every_kind_is_caught_first_and_in_place() {
    for (index, Case(edit, expected)) in cases().into_iter().enumerate() {
        let mut plan = small_plan();
        edit(&mut plan);
        let found = replay(&plan).expect_err("the edit breaks the plan").list;
        assert_eq!(found[0], expected, "case {index}: {found:?}");
    }
}

#[test]
fn every_kind_has_a_case() {
    let mut covered: BTreeSet<_> = cases().iter().chain(&repeat_cases()).map(|case| kind(&case.1)).collect();
    // The peak exceeds the slots only where loads leave the arena or overwrite pages, which is reported first.
    covered.insert("Peak");
    assert_eq!(covered, KINDS.iter().copied().collect());
    let mut plan = small_plan();
    plan.slot_count = 2;
    let found = replay(&plan).expect_err("three pages do not fit two slots").list;
    assert!(found.contains(&ReplayViolation::Peak { peak_pages: 3, slot_count: 2 }));
}

#[test]
fn all_violations_are_reported_together() {
    let mut plan = small_plan();
    plan.params[20] = 2;
    plan.commands.pop();
    plan.slot_count = 4;
    let found = replay(&plan).expect_err("three mistakes");
    assert_eq!(found.list.iter().map(kind).collect::<Vec<_>>(), ["SlotTable", "NeverSubmitted", "SlotNeverUsed"]);
    let text = found.to_string();
    assert!(text.contains("command 3: dispatch 0 looks for page 1 in slot 2, and it is in slot 1"), "{text}");
}

#[test]
fn absurd_counts_are_bounded() {
    let mut plan = small_plan();
    plan.page_count = u32::MAX;
    plan.slot_count = u32::MAX;
    let found = replay(&plan).expect_err("most pages are never loaded");
    assert_eq!(found.list.len(), crate::violations::MAX_LISTED);
    assert!(found.omitted > 0);
}
