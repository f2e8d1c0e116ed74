//! The predicted timeline of a plan's first run, replayed from its commands page by page.
//!
//! The disk reads pages in order; page k waits for its staging buffer, which page k − R must have left. A page is uploaded
//! when it has arrived, the step before its load runs, and the slot's previous page has been read for the last time. A
//! step starts when the step before it has ended, uploads beyond that step's capacity are paid for, and all loads before it
//! have arrived. This is the time model of docs/schedule.md, from the commands alone: it shares no code with the scheduler,
//! and a test compares both. Plans must have passed validation and replay.

use super::subject::Subject;
use flashmem_plan_format::plan::Command;

/// Shorter ones are rounding.
const SHORTEST_STALL_US: f64 = 1e-3;

/// A stretch of time.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Span {
    /// Start.
    pub start_us: f64,
    /// End.
    pub end_us: f64,
}

impl Span {
    /// Length.
    pub fn us(self) -> f64 {
        self.end_us - self.start_us
    }
}

/// What a step waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StallCause {
    /// A page that has not been read yet.
    Disk {
        /// The page.
        page: u32,
    },
    /// Uploads that the step before it does not hide.
    Upload {
        /// How many.
        pages: u32,
    },
}

/// Time in which nothing is executed, before a step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stall {
    /// The step that waits.
    pub step: u32,
    /// When.
    pub span: Span,
    /// For what.
    pub cause: StallCause,
}

/// One load: a page's way from the disk into the arena, and its stay there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Load {
    /// The page.
    pub page: u32,
    /// When the disk reads it.
    pub read: Span,
    /// When it is copied into the arena. Hidden copies are drawn at the rate of paid ones.
    pub upload: Span,
    /// When the last step that reads it has ended; `None` when it stays for the next run.
    pub dropped_us: Option<f64>,
}

/// What happens when.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Timeline {
    /// In order of the program. A page is loaded a second time when that is for the next run.
    pub loads: Vec<Load>,
    /// By step.
    pub steps: Vec<Span>,
    /// In order of time.
    pub stalls: Vec<Stall>,
    /// End of the last step.
    pub finish_us: f64,
}

impl Timeline {
    /// Replays a subject.
    pub fn new(subject: &Subject<'_>) -> Self {
        let mut replay = Replay::new(subject);
        for command in &subject.plan.commands {
            replay.follow(*command);
        }
        // Loads after the last step are for the next run.
        replay.place_uploads(f64::INFINITY);
        replay.timeline.finish_us = replay.timeline.steps.last().map_or(0.0, |span| span.end_us);
        replay.timeline
    }

    /// When everything has ended, loads for the next run included.
    pub fn end_us(&self) -> f64 {
        self.loads.iter().map(|load| load.upload.end_us).fold(self.finish_us, f64::max)
    }

    /// The first load of a page.
    pub fn load_of(&self, page: u32) -> Option<&Load> {
        // Pages are first loaded in file order, each once.
        self.loads.get(page as usize).filter(|load| load.page == page)
    }

    /// Time in which steps wait.
    pub fn stalled_us(&self) -> f64 {
        self.stalls.iter().map(|stall| stall.span.us()).sum()
    }

    /// Sum of all execution times.
    pub fn execute_us(&self) -> f64 {
        self.steps.iter().map(|span| span.us()).sum()
    }

    /// Stalls, the longest first; equal ones in order of time.
    pub fn longest_stalls(&self) -> Vec<Stall> {
        let mut stalls = self.stalls.clone();
        stalls.sort_by(|a, b| b.span.us().total_cmp(&a.span.us()).then(a.step.cmp(&b.step)));
        stalls
    }
}

struct Replay<'a> {
    subject: &'a Subject<'a>,
    read_us: f64,
    upload_us: f64,
    /// By page: its load, while it is resident.
    load_of_page: Vec<Option<usize>>,
    /// By page: the end of the last step so far that reads it.
    last_read_end_us: Vec<f64>,
    /// By slot: the page that was loaded into it last.
    occupants: Vec<Option<u32>>,
    /// By load: when the page left its staging buffer.
    left_us: Vec<f64>,
    previous: Span,
    /// Loads since the last step, and those of them that wait for a slot.
    pending: usize,
    waited: u32,
    copied_until_us: f64,
    timeline: Timeline,
}

impl<'a> Replay<'a> {
    fn new(subject: &'a Subject<'a>) -> Self {
        let pages = subject.plan.page_count as usize;
        Self {
            subject,
            read_us: subject.read_us(),
            upload_us: subject.upload_us(),
            load_of_page: vec![None; pages],
            last_read_end_us: vec![0.0; pages],
            occupants: vec![None; subject.plan.slot_count as usize],
            left_us: Vec::with_capacity(pages),
            previous: Span::default(),
            pending: 0,
            waited: 0,
            copied_until_us: 0.0,
            timeline: Timeline::default(),
        }
    }

    fn follow(&mut self, command: Command) {
        match command {
            Command::Load { page, slot } => self.load(page.0, slot.0),
            Command::Drop { page } => self.drop_page(page.0),
            Command::Dispatch { index } => self.dispatch(index),
            Command::Submit => {}
        }
    }

    fn load(&mut self, page: u32, slot: u32) {
        let disk_free_us = self.timeline.loads.last().map_or(0.0, |load| load.read.end_us);
        let ring = self.subject.plan.staging_pages as usize;
        let buffer_free_us = self.left_us.len().checked_sub(ring).map_or(0.0, |earlier| self.left_us[earlier]);
        let start_us = disk_free_us.max(buffer_free_us);
        let read = Span { start_us, end_us: start_us + self.read_us };
        let occupant = self.occupants[slot as usize].replace(page);
        let slot_free_us = occupant.map_or(0.0, |page| self.last_read_end_us[page as usize]);
        self.waited += u32::from(slot_free_us > self.previous.start_us);
        self.left_us.push(read.end_us.max(self.previous.start_us).max(slot_free_us));
        self.load_of_page[page as usize] = Some(self.timeline.loads.len());
        self.timeline.loads.push(Load { page, read, upload: Span::default(), dropped_us: None });
        self.pending += 1;
    }

    fn drop_page(&mut self, page: u32) {
        if let Some(load) = self.load_of_page[page as usize].take() {
            self.timeline.loads[load].dropped_us = Some(self.last_read_end_us[page as usize]);
        }
    }

    fn dispatch(&mut self, index: u32) {
        let plan = self.subject.plan;
        let capacity = match index.checked_sub(1) {
            None => 0,
            Some(previous) => self.subject.steps[previous as usize].capacity_pages,
        };
        let paid = self.waited.max((self.pending as u32).saturating_sub(capacity));
        let copied_us = self.previous.end_us + f64::from(paid) * self.upload_us;
        let last = self.timeline.loads.last().filter(|_| self.pending > 0);
        let arrived_us = last.map_or(0.0, |load| load.read.end_us);
        let start_us = copied_us.max(arrived_us);
        let cause = match last {
            Some(load) if arrived_us > copied_us => StallCause::Disk { page: load.page },
            Some(_) | None => StallCause::Upload { pages: paid },
        };
        let waiting = Span { start_us: self.previous.end_us, end_us: start_us };
        if waiting.us() > SHORTEST_STALL_US {
            self.timeline.stalls.push(Stall { step: index, span: waiting, cause });
        }
        self.place_uploads(start_us);
        let end_us = start_us + self.subject.steps[index as usize].execute_us;
        if let Some(weights) = &plan.dispatches[index as usize].weights {
            for page in weights.first_page.0..weights.first_page.0 + weights.page_count {
                self.last_read_end_us[page as usize] = end_us;
            }
        }
        self.previous = Span { start_us, end_us };
        self.timeline.steps.push(self.previous);
    }

    /// Draws the copies of pending pages one after the other, each when its page left staging and none after the step.
    fn place_uploads(&mut self, step_start_us: f64) {
        let first = self.left_us.len() - self.pending;
        for (load, left_us) in self.timeline.loads.iter_mut().zip(&self.left_us).skip(first) {
            let end_us = (left_us.max(self.copied_until_us) + self.upload_us).min(step_start_us);
            let start_us = left_us.max(self.copied_until_us).min(end_us);
            load.upload = Span { start_us, end_us };
            self.copied_until_us = end_us;
        }
        (self.pending, self.waited) = (0, 0);
    }
}
