//! Abstract replay: follows a plan's programs command by command and reports everything that would go wrong on a device.
//!
//! Checked for the pass of a first run, which starts with an empty arena, and for that of later runs, which starts with
//! what the first leaves resident: a dispatch finds each of its pages resident, in the slot that the slot table in its
//! parameters names; no page is loaded into an occupied slot; only resident pages are dropped; every page that is not
//! resident at the start is loaded exactly once, in file order; after that, pages that were dropped may be loaded again
//! for the next run, once each, in file order, and stay; the staging ring is never overrun (between load k − R and load k
//! there is a submit, R being the ring's size); every dispatch runs exactly once, in order; everything is submitted at the
//! end; later runs end with the arena that they started with; the arena is neither too small for the peak nor larger than
//! the slots in use. It shares no code with a scheduler.
//!
//! Deliberately not checked: time, data flow between dispatches, and anything static (`validate`). It never panics,
//! not even on plans that were not validated: what does not exist is reported.

use crate::plan::MAX_PAGES;
use crate::plan::{Command, Dispatch, DispatchWeights, MAX_PAGES_PER_DISPATCH, PageId, Plan, SlotId};
use crate::violations::Violations;
use std::fmt;

/// What the replay of a valid plan found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReplayReport {
    /// Most pages that are resident at once.
    pub peak_pages: u32,
    /// Loads of a first run: the number of pages, and those that are loaded for the next run.
    pub loads: u32,
    /// Drops of a first run; pages without one stay resident when the run ends.
    pub drops: u32,
    /// Dispatches of a run.
    pub dispatches: u32,
    /// Submits of a first run.
    pub submits: u32,
    /// Most loads between two submits.
    pub loads_per_submit: u32,
    /// Loads of a later run.
    pub repeat_loads: u32,
    /// Pages that later runs find resident and never drop.
    pub kept_pages: u32,
}

/// One of a plan's programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Pass {
    /// [`Plan::commands`].
    First,
    /// [`Plan::repeat_commands`].
    Later,
}

impl fmt::Display for Pass {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::First => "first run",
            Self::Later => "later runs",
        })
    }
}

/// Position of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct At {
    /// Its pass.
    pub pass: Pass,
    /// Its position there.
    pub index: u32,
}

impl fmt::Display for At {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pass {
            Pass::First => write!(out, "command {}", self.index),
            Pass::Later => write!(out, "repeat command {}", self.index),
        }
    }
}

/// Something that would go wrong on a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the fields are described by the messages")]
pub enum ReplayViolation {
    /// A page that does not exist.
    #[error("{command}: page {} does not exist", page.0)]
    NoSuchPage { command: At, page: PageId },
    /// A slot that does not exist.
    #[error("{command}: page {} is loaded into slot {}, which does not exist", page.0, slot.0)]
    NoSuchSlot { command: At, page: PageId, slot: SlotId },
    /// A dispatch that does not exist.
    #[error("{command}: dispatch {dispatch} does not exist")]
    NoSuchDispatch { command: At, dispatch: u32 },
    /// A page that is resident, or was loaded before and not only for the next run.
    #[error("{command}: page {} is loaded again", page.0)]
    LoadRepeated { command: At, page: PageId },
    /// A page that is loaded for this run after loads for the next one.
    #[error("{command}: page {} is loaded for this run after page {}, which is loaded for the next one", page.0, previous.0)]
    LoadLate { command: At, page: PageId, previous: PageId },
    /// A load that makes the reader go back in the file.
    #[error("{command}: page {} is loaded after page {}, which comes later in the file", page.0, previous.0)]
    LoadOrder { command: At, page: PageId, previous: PageId },
    /// A load over a page that is not dropped.
    #[error("{command}: page {} is loaded into slot {}, which page {} still occupies", page.0, slot.0, occupant.0)]
    SlotOccupied { command: At, page: PageId, slot: SlotId, occupant: PageId },
    /// A load that reuses a staging buffer that may still be in use.
    #[error("{command}: page {} is load {load} and reuses the staging buffer of load {earlier_load}, which is not submitted yet", page.0)]
    RingOverrun { command: At, page: PageId, load: u32, earlier_load: u32 },
    /// A drop of a page that is not resident.
    #[error("{command}: page {} is dropped and is not resident", page.0)]
    DropNotResident { command: At, page: PageId },
    /// A dispatch that reads a page that is not resident.
    #[error("{command}: dispatch {dispatch} reads page {}, which is not resident", page.0)]
    ReadNotResident { command: At, dispatch: u32, page: PageId },
    /// A slot table entry that names another slot than the page's.
    #[error("{command}: dispatch {dispatch} looks for page {} in slot {}, and it is in slot {}", page.0, named.0, actual.0)]
    SlotTable { command: At, dispatch: u32, page: PageId, named: SlotId, actual: SlotId },
    /// A slot table that leaves the parameters.
    #[error("{command}: the slot table of dispatch {dispatch} has no entry for page {}", page.0)]
    NoSlotTableEntry { command: At, dispatch: u32, page: PageId },
    /// A dispatch that ran before.
    #[error("{command}: dispatch {dispatch} runs again")]
    DispatchRepeated { command: At, dispatch: u32 },
    /// A dispatch that runs after a later one.
    #[error("{command}: dispatch {dispatch} runs after dispatch {previous}")]
    DispatchOrder { command: At, dispatch: u32, previous: u32 },
    /// A page that is never loaded.
    #[error("{pass}: page {} is never loaded", page.0)]
    NeverLoaded { pass: Pass, page: PageId },
    /// A dispatch that never runs.
    #[error("{pass}: dispatch {dispatch} never runs")]
    NeverDispatched { pass: Pass, dispatch: u32 },
    /// Work after the last submit.
    #[error("{command} is never submitted")]
    NeverSubmitted { command: At },
    /// A page that was loaded for the next run and is dropped again.
    #[error("{pass}: page {} is loaded for the next run and not resident at the end", page.0)]
    LoadUnused { pass: Pass, page: PageId },
    /// A page that a later run leaves elsewhere than it found it.
    #[error("later runs: page {} is in {} at the start and in {} at the end", page.0, place(*start), place(*end))]
    EndState { page: PageId, start: Option<SlotId>, end: Option<SlotId> },
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
    state.pass(Pass::First, &plan.commands);
    if !plan.repeat_commands.is_empty() {
        let start = state.begin_repeat();
        state.pass(Pass::Later, &plan.repeat_commands);
        state.end_repeat(&start);
    }
    state.arena();
    state.found.into_result(state.report)
}

/// Where a page is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PageState {
    Unloaded,
    /// Loaded for this run, or there from its start.
    Resident(SlotId),
    Dropped,
    /// Loaded for the next run.
    Ahead(SlotId),
    /// Loaded for the next run and dropped again.
    Wasted,
}

impl PageState {
    const fn slot(self) -> Option<SlotId> {
        match self {
            Self::Resident(slot) | Self::Ahead(slot) => Some(slot),
            Self::Unloaded | Self::Dropped | Self::Wasted => None,
        }
    }
}

/// A slot or none, for messages.
fn place(slot: Option<SlotId>) -> String {
    slot.map_or_else(|| "no slot".to_owned(), |slot| format!("slot {}", slot.0))
}

struct State<'a> {
    plan: &'a Plan,
    pages: Vec<PageState>,
    occupants: Vec<Occupant>,
    /// For every load so far, the number of submits before it.
    load_submits: Vec<u32>,
    previous_load: Option<PageId>,
    /// Whether loads for the next run have begun.
    ahead: bool,
    dispatched: Vec<bool>,
    previous_dispatch: Option<u32>,
    resident_pages: u32,
    loads_since_submit: u32,
    /// The first command since the last submit that needs one.
    unsubmitted: Option<At>,
    /// Submits so far, of both programs.
    submits: u32,
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
            ahead: false,
            dispatched: vec![false; plan.dispatches.len()],
            previous_dispatch: None,
            resident_pages: 0,
            loads_since_submit: 0,
            unsubmitted: None,
            submits: 0,
            report: ReplayReport::default(),
            found: Violations::new(),
        }
    }

    fn pass(&mut self, pass: Pass, commands: &[Command]) {
        for (index, command) in (0_u32..).zip(commands) {
            let at = At { pass, index };
            match *command {
                Command::Load { page, slot } => self.load(at, page, slot),
                Command::Drop { page } => self.drop_page(at, page),
                Command::Dispatch { index } => self.dispatch(at, index),
                Command::Submit => self.submit(pass),
            }
        }
        self.finish(pass);
    }

    /// Starts a later run in the arena as it is; returns where every page is.
    fn begin_repeat(&mut self) -> Vec<Option<SlotId>> {
        let start: Vec<_> = self.pages.iter().map(|state| state.slot()).collect();
        for (state, slot) in self.pages.iter_mut().zip(&start) {
            *state = slot.map_or(PageState::Unloaded, PageState::Resident);
        }
        self.load_submits.clear();
        (self.previous_load, self.ahead) = (None, false);
        self.dispatched.fill(false);
        self.previous_dispatch = None;
        (self.loads_since_submit, self.unsubmitted) = (0, None);
        start
    }

    /// Compares the arena with that of the start.
    fn end_repeat(&mut self, start: &[Option<SlotId>]) {
        for ((page, state), start) in (0_u32..).zip(&self.pages).zip(start) {
            let end = state.slot();
            if end != *start {
                self.found.push(ReplayViolation::EndState { page: PageId(page), start: *start, end });
            }
        }
        // What is resident and was not loaded for the next run was there all the time.
        let kept = |state: &&PageState| matches!(state, PageState::Resident(_));
        self.report.kept_pages = self.pages.iter().filter(kept).count() as u32;
    }

    fn load(&mut self, command: At, page: PageId, slot: SlotId) {
        self.stage(command, page);
        let Some(state) = self.pages.get(page.0 as usize).copied() else {
            return self.found.push(ReplayViolation::NoSuchPage { command, page });
        };
        // The first page that is loaded although it was dropped begins the loads for the next run, if that uses them.
        let repeats = !self.plan.repeat_commands.is_empty();
        let begins = state == PageState::Dropped && repeats && !self.ahead;
        let previous = self.previous_load.replace(page).filter(|_| !begins);
        self.ahead |= begins;
        let next = match (state, previous) {
            (PageState::Dropped, _) if repeats => PageState::Ahead(slot),
            (PageState::Resident(_) | PageState::Ahead(_) | PageState::Wasted | PageState::Dropped, _) => {
                return self.found.push(ReplayViolation::LoadRepeated { command, page });
            }
            (PageState::Unloaded, Some(previous)) if self.ahead => {
                self.found.push(ReplayViolation::LoadLate { command, page, previous });
                PageState::Resident(slot)
            }
            (PageState::Unloaded, _) => PageState::Resident(slot),
        };
        if let Some(previous) = previous.filter(|previous| *previous > page) {
            self.found.push(ReplayViolation::LoadOrder { command, page, previous });
        }
        self.pages[page.0 as usize] = next;
        self.occupy(command, page, slot);
    }

    fn occupy(&mut self, command: At, page: PageId, slot: SlotId) {
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
    fn stage(&mut self, command: At, page: PageId) {
        let load = self.load_submits.len() as u32;
        let earlier_load = load.checked_sub(self.plan.staging_pages);
        let submits = self.submits;
        // Without a ring there is no earlier load, and the first load overruns it already.
        let overrun = earlier_load.filter(|earlier| {
            self.load_submits.get(*earlier as usize).is_none_or(|submits_then| *submits_then == submits)
        });
        if let Some(earlier_load) = overrun {
            self.found.push(ReplayViolation::RingOverrun { command, page, load, earlier_load });
        }
        self.load_submits.push(submits);
        match command.pass {
            Pass::First => self.report.loads += 1,
            Pass::Later => self.report.repeat_loads += 1,
        }
        self.loads_since_submit += 1;
        self.report.loads_per_submit = self.report.loads_per_submit.max(self.loads_since_submit);
        self.unsubmitted.get_or_insert(command);
    }

    fn drop_page(&mut self, command: At, page: PageId) {
        self.report.drops += u32::from(command.pass == Pass::First);
        let Some(state) = self.pages.get_mut(page.0 as usize) else {
            return self.found.push(ReplayViolation::NoSuchPage { command, page });
        };
        let (slot, next) = match *state {
            PageState::Resident(slot) => (slot, PageState::Dropped),
            PageState::Ahead(slot) => (slot, PageState::Wasted),
            PageState::Unloaded | PageState::Dropped | PageState::Wasted => {
                return self.found.push(ReplayViolation::DropNotResident { command, page });
            }
        };
        *state = next;
        self.resident_pages -= 1;
        if let Some(occupant) = self.occupants.get_mut(slot.0 as usize)
            && occupant.page == Some(page)
        {
            occupant.page = None;
        }
    }

    fn dispatch(&mut self, command: At, index: u32) {
        self.unsubmitted.get_or_insert(command);
        self.report.dispatches += u32::from(command.pass == Pass::First);
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

    fn read_pages(&mut self, command: At, index: u32, dispatch: &Dispatch, weights: &DispatchWeights) {
        for position in 0..weights.page_count.min(MAX_PAGES_PER_DISPATCH) {
            let page = PageId(weights.first_page.0.saturating_add(position));
            let Some(state) = self.pages.get(page.0 as usize) else {
                self.found.push(ReplayViolation::NoSuchPage { command, page });
                continue;
            };
            let Some(actual) = state.slot() else {
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

    fn submit(&mut self, pass: Pass) {
        self.submits += 1;
        self.report.submits += u32::from(pass == Pass::First);
        self.loads_since_submit = 0;
        self.unsubmitted = None;
    }

    fn finish(&mut self, pass: Pass) {
        for (page, state) in (0_u32..).zip(&self.pages) {
            let page = PageId(page);
            match state {
                PageState::Unloaded => self.found.push(ReplayViolation::NeverLoaded { pass, page }),
                PageState::Wasted => self.found.push(ReplayViolation::LoadUnused { pass, page }),
                PageState::Resident(_) | PageState::Dropped | PageState::Ahead(_) => {}
            }
        }
        for (dispatch, done) in (0_u32..).zip(&self.dispatched) {
            if !done {
                self.found.push(ReplayViolation::NeverDispatched { pass, dispatch });
            }
        }
        if let Some(command) = self.unsubmitted {
            self.found.push(ReplayViolation::NeverSubmitted { command });
        }
    }

    fn arena(&mut self) {
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
