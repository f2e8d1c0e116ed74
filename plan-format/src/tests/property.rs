//! Random plans: a valid program of any shape survives the round trip, and a broken one is noticed.

use crate::container::{Bundle, BundleWriter};
use crate::plan::{Command, Dispatch, DispatchWeights, Encoding, PageId, Plan, SlotId};
use crate::replay::replay;
use crate::source::{MemorySource, ReadAt};
use crate::testing::{constants, declare, rows, small_plan};
use proptest::prelude::{Strategy, any, prop, prop_assert, prop_assert_eq, proptest};
use std::collections::VecDeque;
use std::io::Cursor;

/// What a random plan is made from.
#[derive(Debug, Clone)]
struct Recipe {
    /// Pages of every dispatch.
    pages: Vec<u32>,
    /// Dispatches whose pages are loaded ahead.
    ahead: usize,
    staging_pages: u32,
    page_rows: u32,
    wide: bool,
}

fn recipes() -> impl Strategy<Value = Recipe> {
    let pages = prop::collection::vec(1_u32..6, 1..8);
    (pages, 0_usize..3, 1_u32..5, 0_u32..3, any::<bool>()).prop_map(|(pages, ahead, staging_pages, log_rows, wide)| {
        Recipe { pages, ahead, staging_pages, page_rows: 1 << log_rows, wide }
    })
}

/// Loads the pages of each dispatch at most `ahead` dispatches early, submitting whenever the ring is full.
struct Build {
    commands: Vec<Command>,
    free: VecDeque<SlotId>,
    slots: Vec<SlotId>,
    slot_count: u32,
    in_ring: u32,
}

impl Build {
    fn load(&mut self, staging_pages: u32) {
        if self.in_ring == staging_pages {
            self.commands.push(Command::Submit);
            self.in_ring = 0;
        }
        let slot = self.free.pop_front().unwrap_or_else(|| {
            self.slot_count += 1;
            SlotId(self.slot_count - 1)
        });
        self.commands.push(Command::Load { page: PageId(self.slots.len() as u32), slot });
        self.slots.push(slot);
        self.in_ring += 1;
    }

    fn drop_page(&mut self, page: u32) {
        self.commands.push(Command::Drop { page: PageId(page) });
        self.free.push_back(self.slots[page as usize]);
    }
}

fn plan_of(recipe: &Recipe) -> Plan {
    let mut plan = small_plan();
    let template = plan.dispatches[0].clone();
    let mut build = Build { commands: Vec::new(), free: VecDeque::new(), slots: Vec::new(), slot_count: 0, in_ring: 0 };
    let ends: Vec<u32> = recipe
        .pages
        .iter()
        .scan(0, |end, pages| {
            *end += pages;
            Some(*end)
        })
        .collect();
    plan.dispatches.truncate(0);
    plan.pipelines.truncate(1);
    plan.params = vec![0; 512 * recipe.pages.len()];
    for (index, page_count) in recipe.pages.iter().enumerate() {
        let loaded_end = ends[(index + recipe.ahead).min(ends.len() - 1)];
        while (build.slots.len() as u32) < loaded_end {
            build.load(recipe.staging_pages);
        }
        let first = ends[index] - page_count;
        let block = index * 512;
        for page in first..ends[index] {
            let at = block + 16 + 4 * (page - first) as usize;
            plan.params[at..at + 4].copy_from_slice(&build.slots[page as usize].0.to_le_bytes());
        }
        plan.dispatches.push(Dispatch {
            params_offset_bytes: block as u64,
            weights: Some(DispatchWeights {
                first_page: PageId(first),
                page_count: *page_count,
                slots_offset_bytes: 16,
            }),
            ..template.clone()
        });
        build.commands.push(Command::Dispatch { index: index as u32 });
        (first..ends[index]).for_each(|page| build.drop_page(page));
    }
    build.commands.push(Command::Submit);
    plan.commands = build.commands;
    plan.page_count = build.slots.len() as u32;
    plan.slot_count = build.slot_count;
    plan.staging_pages = recipe.staging_pages;
    plan.page.rows = recipe.page_rows;
    if recipe.wide {
        // Rows of as many bytes and half as many elements.
        plan.row_tables[0].encoding = Encoding::F32;
        plan.row_tables[0].row_elements /= 2;
        plan.row_gathers[0].destination.size_bytes /= 2;
    }
    plan.weight_bytes = u64::from(plan.page_count) * plan.page.page_bytes();
    declare(&mut plan, constants().len() as u64);
    plan
}

/// Most pages resident at once, by sums of loads and drops.
fn peak(commands: &[Command]) -> u32 {
    let mut resident = 0_u32;
    let mut peak = 0;
    for command in commands {
        match command {
            Command::Load { .. } => resident += 1,
            Command::Drop { .. } => resident -= 1,
            Command::Dispatch { .. } | Command::Submit => {}
        }
        peak = peak.max(resident);
    }
    peak
}

fn page_of(plan: &Plan, page: u32) -> Vec<u8> {
    (0..plan.page.page_bytes()).map(|byte| (byte as u32).wrapping_mul(page + 7) as u8).collect()
}

proptest! {
    #[test]
    fn round_trip(recipe in recipes()) {
        let plan = plan_of(&recipe);
        let mut writer =
            BundleWriter::new(Cursor::new(Vec::new()), &plan, &constants(), None).expect("the plan is valid");
        writer.push_rows(&rows()).expect("written");
        for page in 0..plan.page_count {
            writer.push_page(&page_of(&plan, page)).expect("written");
        }
        let (out, summary) = writer.finish_into().expect("written");
        let source = MemorySource::from(out.into_inner());
        let bundle = Bundle::open(&source).expect("the bundle is valid");
        prop_assert_eq!(&bundle.plan, &plan);
        prop_assert_eq!(&bundle.constants, &constants());
        prop_assert_eq!(bundle.hash, summary.hash);
        prop_assert_eq!(source.size_bytes(), summary.file_bytes);
        prop_assert_eq!(bundle.replay.peak_pages, peak(&plan.commands));
        bundle.verify_contents(&source, &mut |_, _| {}).expect("whole");
        let last = PageId(plan.page_count - 1);
        let mut page = vec![0; plan.page.page_bytes() as usize];
        source.read_at(bundle.page_offset_bytes(last), &mut page).expect("readable");
        prop_assert_eq!(page, page_of(&plan, last.0));
    }

    #[test]
    fn a_lost_load_or_dispatch_is_noticed(recipe in recipes(), position in any::<prop::sample::Index>()) {
        let mut plan = plan_of(&recipe);
        let work = |command: &Command| matches!(command, Command::Load { .. } | Command::Dispatch { .. });
        let positions: Vec<_> = (0..plan.commands.len()).filter(|at| work(&plan.commands[*at])).collect();
        plan.commands.remove(positions[position.index(positions.len())]);
        prop_assert!(replay(&plan).is_err());
    }

    #[test]
    fn any_order_of_commands_is_judged(
        recipe in recipes(),
        swaps in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 1..6),
    ) {
        let mut plan = plan_of(&recipe);
        for (a, b) in swaps {
            let count = plan.commands.len();
            plan.commands.swap(a.index(count), b.index(count));
        }
        if let Ok(report) = replay(&plan) {
            prop_assert_eq!(report.peak_pages, peak(&plan.commands));
            prop_assert!(report.peak_pages <= plan.slot_count);
        }
    }
}
