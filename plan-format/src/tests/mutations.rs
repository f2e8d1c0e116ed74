//! The checker has teeth: 10,000 random mutations of good plans, each caught or shown to be harmless by a simulated device.
//!
//! A mutation may do no harm (a submit more, a drop less); the checker may accept it or, where its rules are stricter than
//! the hardware, refuse it. What it must never do is accept a plan whose dispatches read something else than the good plan's.
//! Every kind of violation by itself is in `replay_rules` and `static_rules`.

use crate::plan::{Command, Dispatch, DispatchWeights, PageId, Plan, SlotId};
use crate::replay::replay;
use crate::testing::device::{Executed, Harm, run, tables};
use crate::testing::random::SplitMix64;
use crate::testing::{constants, declare, repeating_plan, small_plan};
use crate::validate::validate;

/// Mutations in all.
const MUTATIONS: u64 = 10_000;
/// Mutations of one good plan.
const PER_PLAN: u64 = 20;
/// Runs in a row: the first, and two that may start with what was left.
const RUNS: u32 = 3;
/// Bytes of the parameters of one dispatch, and where its slot table starts.
const BLOCK: usize = 512;
const TABLE: usize = 16;

/// Builds the program of a random good plan.
struct Build<'r> {
    random: &'r mut SplitMix64,
    staging_pages: usize,
    /// Pages that stay for later runs, each in a slot of its own.
    kept: Vec<bool>,
    commands: Vec<Command>,
    free: Vec<u32>,
    slot_of_page: Vec<u32>,
    slot_count: u32,
    submits: u32,
    submits_before_load: Vec<u32>,
}

impl Build<'_> {
    fn push(&mut self, command: Command) {
        self.submits += u32::from(command == Command::Submit);
        self.commands.push(command);
        if command != Command::Submit && self.random.chance(15) {
            self.push(Command::Submit);
        }
    }

    fn load(&mut self) {
        let load = self.slot_of_page.len();
        let earlier = load.checked_sub(self.staging_pages).map(|earlier| self.submits_before_load[earlier]);
        if earlier == Some(self.submits) {
            self.push(Command::Submit);
        }
        let slot = if self.kept[load] || self.free.is_empty() || self.random.chance(10) {
            self.slot_count += 1;
            self.slot_count - 1
        } else {
            let index = self.random.below(self.free.len());
            self.free.swap_remove(index)
        };
        self.slot_of_page.push(slot);
        self.submits_before_load.push(self.submits);
        self.push(Command::Load { page: PageId(load as u32), slot: SlotId(slot) });
    }

    fn drop_page(&mut self, page: u32) {
        self.free.push(self.slot_of_page[page as usize]);
        self.push(Command::Drop { page: PageId(page) });
    }
}

/// A random good plan: dispatches that may share a page, pages loaded early, pages that stay for later runs.
fn good_plan(random: &mut SplitMix64) -> Plan {
    if random.chance(5) {
        return repeating_plan();
    }
    let mut ranges = Vec::new();
    for _ in 0..2 + random.below(5) {
        let end = ranges.last().map_or(0, |range: &std::ops::Range<u32>| range.end);
        let shared = u32::from(end > 0 && random.chance(40));
        ranges.push(end - shared..end - shared + 1 + random.below(4) as u32);
    }
    let pages = ranges.last().map_or(0, |range| range.end);
    let ahead = random.below(3);
    let repeats = random.chance(40);
    let kept: Vec<bool> = (0..pages).map(|_| repeats && random.chance(35)).collect();
    let staging_pages = 1 + random.below(4);
    let mut build = Build {
        random,
        staging_pages,
        kept,
        commands: Vec::new(),
        free: Vec::new(),
        slot_of_page: Vec::new(),
        slot_count: 0,
        submits: 0,
        submits_before_load: Vec::new(),
    };
    let last_use = |page: u32| ranges.iter().rposition(|range| range.contains(&page)).unwrap_or(0);
    let mut late: Vec<u32> = Vec::new();
    for index in 0..ranges.len() {
        let end = ranges[(index + ahead).min(ranges.len() - 1)].end;
        while (build.slot_of_page.len() as u32) < end {
            build.load();
        }
        build.push(Command::Dispatch { index: index as u32 });
        let due = ranges[index].clone().filter(|page| last_use(*page) == index && !build.kept[*page as usize]);
        late.extend(due);
        let (now, later) = late.iter().partition(|_| build.random.chance(80));
        late = later;
        let now: Vec<u32> = now;
        now.into_iter().for_each(|page| build.drop_page(page));
    }
    // A page that is not kept must be gone before the next run loads it again.
    late.into_iter().filter(|_| repeats).for_each(|page| build.drop_page(page));
    build.push(Command::Submit);
    let Build { commands, kept, slot_of_page: slots, slot_count, .. } = build;
    let repeated = |command: &&Command| !matches!(command, Command::Load { page, .. } if kept[page.0 as usize]);
    let repeat_commands =
        if kept.contains(&true) { commands.iter().filter(repeated).copied().collect() } else { Vec::new() };
    assemble(&ranges, commands, repeat_commands, &slots, slot_count, staging_pages)
}

fn assemble(
    ranges: &[std::ops::Range<u32>],
    commands: Vec<Command>,
    repeat_commands: Vec<Command>,
    slots: &[u32],
    slot_count: u32,
    staging_pages: usize,
) -> Plan {
    let mut plan = small_plan();
    let template = plan.dispatches[0].clone();
    plan.pipelines.truncate(1);
    plan.params = vec![0; BLOCK * ranges.len()];
    plan.dispatches.clear();
    for (index, range) in ranges.iter().enumerate() {
        let block = index * BLOCK;
        for (position, page) in range.clone().enumerate() {
            let at = block + TABLE + 4 * position;
            plan.params[at..at + 4].copy_from_slice(&slots[page as usize].to_le_bytes());
        }
        let weights = DispatchWeights {
            first_page: PageId(range.start),
            page_count: range.end - range.start,
            slots_offset_bytes: TABLE as u32,
        };
        plan.dispatches.push(Dispatch {
            params_offset_bytes: block as u64,
            weights: Some(weights),
            ..template.clone()
        });
    }
    (plan.commands, plan.repeat_commands) = (commands, repeat_commands);
    (plan.page_count, plan.slot_count) = (slots.len() as u32, slot_count);
    plan.staging_pages = staging_pages as u32;
    plan.weight_bytes = u64::from(plan.page_count) * plan.page.page_bytes();
    declare(&mut plan, constants().len() as u64);
    plan
}

/// Changes one thing.
fn mutate(plan: &mut Plan, random: &mut SplitMix64) {
    match random.below(10) {
        0..=6 => mutate_commands(plan, random),
        7 => {
            let dispatch = random.below(plan.dispatches.len());
            let count = plan.dispatches[dispatch].weights.as_ref().map_or(1, |weights| weights.page_count as usize);
            let block = plan.dispatches[dispatch].params_offset_bytes as usize;
            let at = block + TABLE + 4 * random.below(count);
            let slot = random.below(plan.slot_count as usize + 2) as u32;
            plan.params[at..at + 4].copy_from_slice(&slot.to_le_bytes());
        }
        8 => plan.staging_pages = random.below(6) as u32,
        _ => {
            let counts = [&mut plan.slot_count, &mut plan.page_count];
            let count = counts.into_iter().nth(random.below(2)).expect("there are two");
            *count = if random.chance(50) { *count + 1 } else { count.saturating_sub(1) };
        }
    }
}

fn mutate_commands(plan: &mut Plan, random: &mut SplitMix64) {
    let (pages, slots, dispatches) = (plan.page_count, plan.slot_count, plan.dispatches.len() as u32);
    let repeat = !plan.repeat_commands.is_empty() && random.chance(50);
    let commands = if repeat { &mut plan.repeat_commands } else { &mut plan.commands };
    if commands.is_empty() {
        return commands.push(Command::Submit);
    }
    let count = commands.len();
    let (a, b) = (random.below(count), random.below(count));
    let mut any = |end: u32| random.below(end as usize + 1) as u32;
    let invented = match any(3) {
        0 => Command::Load { page: PageId(any(pages)), slot: SlotId(any(slots)) },
        1 => Command::Drop { page: PageId(any(pages)) },
        2 => Command::Dispatch { index: any(dispatches) },
        _ => Command::Submit,
    };
    let submits: Vec<usize> = (0..count).filter(|at| commands[*at] == Command::Submit).collect();
    match any(8) {
        0 => commands.swap(a, b),
        1 => commands.swap(a, (a + 1) % count),
        2 => {
            commands.remove(a);
        }
        3 => commands.insert(b, commands[a]),
        4 => {
            let moved = commands.remove(a);
            commands.insert(b.min(commands.len()), moved);
        }
        5 => commands.insert(a, invented),
        6 if !submits.is_empty() => {
            let submit = commands.remove(submits[a % submits.len()]);
            commands.insert(b.min(commands.len()), submit);
        }
        _ => {
            // Another page, slot or index in the same command.
            commands[a] = match commands[a] {
                Command::Load { page, .. } if b % 2 == 0 => Command::Load { page, slot: SlotId(any(slots)) },
                Command::Load { slot, .. } => Command::Load { page: PageId(any(pages)), slot },
                Command::Drop { .. } => Command::Drop { page: PageId(any(pages)) },
                Command::Dispatch { .. } => Command::Dispatch { index: any(dispatches) },
                Command::Submit => invented,
            };
        }
    }
}

/// Changes what one dispatch says that it reads. Its kernel reads on as it was compiled.
fn mutate_reads(plan: &mut Plan, random: &mut SplitMix64) {
    let dispatch = random.below(plan.dispatches.len());
    let Some(weights) = &mut plan.dispatches[dispatch].weights else { return };
    let change = 1 + random.below(3) as u32;
    match random.below(4) {
        0 => weights.first_page.0 += change,
        1 => weights.first_page.0 = weights.first_page.0.saturating_sub(change),
        2 => weights.page_count += change,
        _ => weights.slots_offset_bytes += 4 * change,
    }
}

/// Whether the checker accepts a plan.
fn accepted(plan: &Plan) -> bool {
    validate(plan, constants().len() as u64).is_ok() && replay(plan).is_ok()
}

fn harmless(outcome: &Result<Vec<Executed>, Harm>, good: &Result<Vec<Executed>, Harm>) -> bool {
    outcome.is_ok() && outcome == good
}

#[test]
fn ten_thousand_mutations_are_caught_or_harmless() {
    let mut random = SplitMix64(0x0f1a_5e3d);
    let (mut caught, mut caught_harm, mut passed) = (0_u32, 0_u32, 0_u32);
    for _ in 0..MUTATIONS / PER_PLAN {
        let good = good_plan(&mut random);
        assert!(accepted(&good), "{:?} {:?}", validate(&good, constants().len() as u64), replay(&good));
        let (kernels, pages) = (tables(&good), good.page_count);
        let expected = run(&good, &kernels, pages, RUNS);
        let complete = expected.as_ref().is_ok_and(|runs| runs.iter().flatten().all(|(_, read)| !read.contains(&None)));
        assert!(complete, "{expected:?}");
        for _ in 0..PER_PLAN {
            let mut plan = good.clone();
            if random.chance(10) {
                mutate_reads(&mut plan, &mut random);
            } else {
                (0..1 + random.below(3)).for_each(|_| mutate(&mut plan, &mut random));
            }
            // Without a new declaration nearly every change of a size is caught by the sum alone.
            if random.chance(80) {
                declare(&mut plan, constants().len() as u64);
            }
            let outcome = run(&plan, &kernels, pages, RUNS);
            let harmless = harmless(&outcome, &expected);
            if accepted(&plan) {
                assert!(harmless, "accepted, but {outcome:?} instead of {expected:?}\n{plan:#?}");
                passed += 1;
            } else {
                caught += 1;
                caught_harm += u32::from(!harmless);
            }
        }
    }
    println!("{caught} caught, {caught_harm} of them harmful on the device; {passed} accepted, all harmless");
    assert_eq!(u64::from(caught + passed), MUTATIONS);
    // The mutations are no sham: most do harm, and not everything is refused.
    assert!(caught_harm > caught / 2 && passed > 200, "{caught} {caught_harm} {passed}");
}

#[test]
fn the_device_shows_what_goes_wrong() {
    let good = small_plan();
    let kernels = tables(&good);
    let harm = |edit: fn(&mut Plan)| {
        let mut plan = small_plan();
        edit(&mut plan);
        run(&plan, &kernels, good.page_count, 1)
    };
    let read = |runs: Result<Vec<Executed>, Harm>, dispatch: usize| runs.expect("it runs")[0][dispatch].1.clone();
    assert_eq!(read(harm(|_| {}), 1), [Some(2), Some(3)]);
    // Page 2 is loaded over page 1's slot although dispatch 0 has read it: dispatch 1 then finds page 2 elsewhere.
    assert_eq!(read(harm(|plan| plan.params[BLOCK + TABLE] = 1), 1), [None, Some(3)]);
    assert_eq!(read(harm(|plan| plan.commands[1] = Command::Submit), 0), [Some(0), None]);
    assert!(matches!(harm(|plan| plan.commands[2] = Command::Drop { page: PageId(3) }), Err(Harm::Overrun(_))));
    assert!(matches!(harm(|plan| plan.slot_count = 2), Err(Harm::NoSuch(_))));
    assert!(matches!(harm(|plan| plan.params[TABLE] = 7), Err(Harm::OutOfBounds(0))));
    assert_eq!(harm(|plan| plan.commands.truncate(13)).expect("it runs")[0].len(), 1);
}
