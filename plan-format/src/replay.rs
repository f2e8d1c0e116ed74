//! Abstract replay: follows a plan's program command by command and reports everything that would go wrong on a device.
//!
//! Checked: a dispatch finds each of its pages resident, in the slot that the slot table in its parameters names; no page
//! is loaded into an occupied slot; only resident pages are dropped; every page is loaded exactly once, in file order;
//! the staging ring is never overrun (between load k − R and load k there is a submit, R being the ring's size); every
//! dispatch runs exactly once, in order; everything is submitted at the end; the arena is neither too small for the
//! peak nor larger than the slots in use. It shares no code with a scheduler.
//!
//! Deliberately not checked: time, data flow between dispatches, and anything static (`validate`). It never panics,
//! not even on plans that were not validated: what does not exist is reported.

use crate::container::limits::MAX_PAGES;
use crate::plan::{Command, Dispatch, DispatchWeights, MAX_PAGES_PER_DISPATCH, PageId, Plan, SlotId};
use crate::violations::Violations;

/// What the replay of a valid plan found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReplayReport {
    /// Most pages that are resident at once.
    pub peak_pages: u32,
    /// Loads: the number of pages.
    pub loads: u32,
    /// Drops; pages without one stay resident until the run ends.
    pub drops: u32,
    /// Dispatches.
    pub dispatches: u32,
    /// Submits.
    pub submits: u32,
    /// Most loads between two submits.
    pub loads_per_submit: u32,
}

/// Something that would go wrong on a device. `command` is a position in [`Plan::commands`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the fields are described by the messages")]
pub enum ReplayViolation {
    /// A page that does not exist.
    #[error("command {command}: page {} does not exist", page.0)]
    NoSuchPage { command: u32, page: PageId },
    /// A slot that does not exist.
    #[error("command {command}: page {} is loaded into slot {}, which does not exist", page.0, slot.0)]
    NoSuchSlot { command: u32, page: PageId, slot: SlotId },
    /// A dispatch that does not exist.
    #[error("command {command}: dispatch {dispatch} does not exist")]
    NoSuchDispatch { command: u32, dispatch: u32 },
    /// A page that was loaded before.
    #[error("command {command}: page {} is loaded again", page.0)]
    LoadRepeated { command: u32, page: PageId },
    /// A load that makes the reader go back in the file.
    #[error("command {command}: page {} is loaded after page {}, which comes later in the file", page.0, previous.0)]
    LoadOrder { command: u32, page: PageId, previous: PageId },
    /// A load over a page that is not dropped.
    #[error("command {command}: page {} is loaded into slot {}, which page {} still occupies", page.0, slot.0, occupant.0)]
    SlotOccupied { command: u32, page: PageId, slot: SlotId, occupant: PageId },
    /// A load that reuses a staging buffer that may still be in use.
    #[error("command {command}: page {} is load {load} and reuses the staging buffer of load {earlier_load}, which is not submitted yet", page.0)]
    RingOverrun { command: u32, page: PageId, load: u32, earlier_load: u32 },
    /// A drop of a page that is not resident.
    #[error("command {command}: page {} is dropped and is not resident", page.0)]
    DropNotResident { command: u32, page: PageId },
    /// A dispatch that reads a page that is not resident.
    #[error("command {command}: dispatch {dispatch} reads page {}, which is not resident", page.0)]
    ReadNotResident { command: u32, dispatch: u32, page: PageId },
    /// A slot table entry that names another slot than the page's.
    #[error("command {command}: dispatch {dispatch} looks for page {} in slot {}, and it is in slot {}", page.0, named.0, actual.0)]
    SlotTable { command: u32, dispatch: u32, page: PageId, named: SlotId, actual: SlotId },
    /// A slot table that leaves the parameters.
    #[error("command {command}: the slot table of dispatch {dispatch} has no entry for page {}", page.0)]
    NoSlotTableEntry { command: u32, dispatch: u32, page: PageId },
    /// A dispatch that ran before.
    #[error("command {command}: dispatch {dispatch} runs again")]
    DispatchRepeated { command: u32, dispatch: u32 },
    /// A dispatch that runs after a later one.
    #[error("command {command}: dispatch {dispatch} runs after dispatch {previous}")]
    DispatchOrder { command: u32, dispatch: u32, previous: u32 },
    /// A page that is never loaded.
    #[error("page {} is never loaded", page.0)]
    NeverLoaded { page: PageId },
    /// A dispatch that never runs.
    #[error("dispatch {dispatch} never runs")]
    NeverDispatched { dispatch: u32 },
    /// Work after the last submit.
    #[error("command {command} is never submitted")]
    NeverSubmitted { command: u32 },
    /// An arena that declares slots that nothing uses.
    #[error("slot {} is declared and never used", slot.0)]
    SlotNeverUsed { slot: SlotId },
    /// More resident pages than slots.
    #[error("{peak_pages} pages are resident at once, and the arena has {slot_count} slots")]
    Peak { peak_pages: u32, slot_count: u32 },
}

/// Replays a plan.
///
/// # Errors
/// All violations.
pub fn replay(plan: &Plan) -> Result<ReplayReport, Violations<ReplayViolation>> {
    let mut state = State::new(plan);
    for (command, step) in (0_u32..).zip(&plan.commands) {
        match *step {
            Command::Load { page, slot } => state.load(command, page, slot),
            Command::Drop { page } => state.drop_page(command, page),
            Command::Dispatch { index } => state.dispatch(command, index),
            Command::Submit => state.submit(),
        }
    }
    state.finish();
    state.found.into_result(state.report)
}

/// Where a page is in its life.
#[derive(Debug, Clone, Copy)]
enum PageState {
    Unloaded,
    Resident(SlotId),
    Dropped,
}

struct State<'a> {
    plan: &'a Plan,
    pages: Vec<PageState>,
    occupants: Vec<Occupant>,
    /// For every load so far, the number of submits before it.
    load_submits: Vec<u32>,
    previous_load: Option<PageId>,
    dispatched: Vec<bool>,
    previous_dispatch: Option<u32>,
    resident_pages: u32,
    loads_since_submit: u32,
    /// The first command since the last submit that needs one.
    unsubmitted: Option<u32>,
    report: ReplayReport,
    found: Violations<ReplayViolation>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Occupant {
    page: Option<PageId>,
    ever_used: bool,
}

impl<'a> State<'a> {
    fn new(plan: &'a Plan) -> Self {
        // An unvalidated plan may declare any number; what is beyond the format's limit does not exist.
        let bound = |count: u32| count.min(MAX_PAGES) as usize;
        Self {
            plan,
            pages: vec![PageState::Unloaded; bound(plan.page_count)],
            occupants: vec![Occupant::default(); bound(plan.slot_count)],
            load_submits: Vec::new(),
            previous_load: None,
            dispatched: vec![false; plan.dispatches.len()],
            previous_dispatch: None,
            resident_pages: 0,
            loads_since_submit: 0,
            unsubmitted: None,
            report: ReplayReport::default(),
            found: Violations::new(),
        }
    }

    fn load(&mut self, command: u32, page: PageId, slot: SlotId) {
        self.stage(command, page);
        if self.previous_load.is_some_and(|previous| previous > page) {
            let previous = self.previous_load.unwrap_or(page);
            self.found.push(ReplayViolation::LoadOrder { command, page, previous });
        }
        self.previous_load = Some(page);
        match self.pages.get_mut(page.0 as usize) {
            None => return self.found.push(ReplayViolation::NoSuchPage { command, page }),
            Some(state @ PageState::Unloaded) => *state = PageState::Resident(slot),
            Some(PageState::Resident(_) | PageState::Dropped) => {
                return self.found.push(ReplayViolation::LoadRepeated { command, page });
            }
        }
        self.resident_pages += 1;
        self.report.peak_pages = self.report.peak_pages.max(self.resident_pages);
        let Some(occupant) = self.occupants.get_mut(slot.0 as usize) else {
            return self.found.push(ReplayViolation::NoSuchSlot { command, page, slot });
        };
        occupant.ever_used = true;
        // The new page takes over an occupied slot, so that one mistake is reported once.
        if let Some(occupant) = occupant.page.replace(page) {
            self.found.push(ReplayViolation::SlotOccupied { command, page, slot, occupant });
        }
    }

    /// Takes the next staging buffer: the k-th load uses the one that load k − R used.
    fn stage(&mut self, command: u32, page: PageId) {
        let load = self.load_submits.len() as u32;
        let earlier_load = load.checked_sub(self.plan.staging_pages);
        let submits = self.report.submits;
        // Without a ring there is no earlier load, and the first load overruns it already.
        let overrun = earlier_load.filter(|earlier| {
            self.load_submits.get(*earlier as usize).is_none_or(|submits_then| *submits_then == submits)
        });
        if let Some(earlier_load) = overrun {
            self.found.push(ReplayViolation::RingOverrun { command, page, load, earlier_load });
        }
        self.load_submits.push(submits);
        self.report.loads += 1;
        self.loads_since_submit += 1;
        self.report.loads_per_submit = self.report.loads_per_submit.max(self.loads_since_submit);
        self.unsubmitted.get_or_insert(command);
    }

    fn drop_page(&mut self, command: u32, page: PageId) {
        self.report.drops += 1;
        let Some(state) = self.pages.get_mut(page.0 as usize) else {
            return self.found.push(ReplayViolation::NoSuchPage { command, page });
        };
        let PageState::Resident(slot) = *state else {
            return self.found.push(ReplayViolation::DropNotResident { command, page });
        };
        *state = PageState::Dropped;
        self.resident_pages -= 1;
        if let Some(occupant) = self.occupants.get_mut(slot.0 as usize)
            && occupant.page == Some(page)
        {
            occupant.page = None;
        }
    }

    fn dispatch(&mut self, command: u32, index: u32) {
        self.unsubmitted.get_or_insert(command);
        self.report.dispatches += 1;
        let plan = self.plan;
        let (Some(dispatch), Some(done)) =
            (plan.dispatches.get(index as usize), self.dispatched.get_mut(index as usize))
        else {
            return self.found.push(ReplayViolation::NoSuchDispatch { command, dispatch: index });
        };
        if std::mem::replace(done, true) {
            self.found.push(ReplayViolation::DispatchRepeated { command, dispatch: index });
        } else if let Some(previous) = self.previous_dispatch.filter(|previous| *previous > index) {
            self.found.push(ReplayViolation::DispatchOrder { command, dispatch: index, previous });
        }
        self.previous_dispatch = self.previous_dispatch.max(Some(index));
        if let Some(weights) = &dispatch.weights {
            self.read_pages(command, index, dispatch, weights);
        }
    }

    fn read_pages(&mut self, command: u32, index: u32, dispatch: &Dispatch, weights: &DispatchWeights) {
        for position in 0..weights.page_count.min(MAX_PAGES_PER_DISPATCH) {
            let page = PageId(weights.first_page.0.saturating_add(position));
            let Some(state) = self.pages.get(page.0 as usize) else {
                self.found.push(ReplayViolation::NoSuchPage { command, page });
                continue;
            };
            let PageState::Resident(actual) = *state else {
                self.found.push(ReplayViolation::ReadNotResident { command, dispatch: index, page });
                continue;
            };
            // A page that another one was loaded over is no longer there, though it was never dropped.
            let occupant = self.occupants.get(actual.0 as usize).and_then(|occupant| occupant.page);
            if occupant.is_some_and(|occupant| occupant != page) {
                self.found.push(ReplayViolation::ReadNotResident { command, dispatch: index, page });
            }
            match slot_table_entry(&self.plan.params, dispatch, weights, position) {
                None => self.found.push(ReplayViolation::NoSlotTableEntry { command, dispatch: index, page }),
                Some(named) if named != actual => {
                    self.found.push(ReplayViolation::SlotTable { command, dispatch: index, page, named, actual });
                }
                Some(_) => {}
            }
        }
    }

    fn submit(&mut self) {
        self.report.submits += 1;
        self.loads_since_submit = 0;
        self.unsubmitted = None;
    }

    fn finish(&mut self) {
        for (page, state) in (0_u32..).zip(&self.pages) {
            if matches!(state, PageState::Unloaded) {
                self.found.push(ReplayViolation::NeverLoaded { page: PageId(page) });
            }
        }
        for (dispatch, done) in (0_u32..).zip(&self.dispatched) {
            if !done {
                self.found.push(ReplayViolation::NeverDispatched { dispatch });
            }
        }
        if let Some(command) = self.unsubmitted {
            self.found.push(ReplayViolation::NeverSubmitted { command });
        }
        for (slot, occupant) in (0_u32..).zip(&self.occupants) {
            if !occupant.ever_used {
                self.found.push(ReplayViolation::SlotNeverUsed { slot: SlotId(slot) });
            }
        }
        let (peak_pages, slot_count) = (self.report.peak_pages, self.plan.slot_count);
        if peak_pages > slot_count {
            self.found.push(ReplayViolation::Peak { peak_pages, slot_count });
        }
    }
}

/// The slot that a dispatch's parameters name for the page at `position` of its weights.
fn slot_table_entry(params: &[u8], dispatch: &Dispatch, weights: &DispatchWeights, position: u32) -> Option<SlotId> {
    let table_bytes = dispatch.params_offset_bytes.checked_add(weights.slots_offset_bytes.into())?;
    let entry_bytes = usize::try_from(table_bytes.checked_add(u64::from(position) * 4)?).ok()?;
    let (entry, _) = params.get(entry_bytes..)?.split_first_chunk::<4>()?;
    Some(SlotId(u32::from_le_bytes(*entry)))
}
