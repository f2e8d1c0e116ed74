//! The predicted timeline of a plan's first run, replayed from its commands page by page.
//!
//! The disk reads pages in order; page k waits for its staging buffer, which page k − R must have left. A page is uploaded
//! when it has arrived, the step before its load runs, and the slot's previous page has been read for the last time. A
//! step starts when the step before it has ended, uploads beyond that step's capacity are paid for, and all loads before it
//! have arrived. This is the time model of docs/schedule.md, from the commands alone: it shares no code with the scheduler,
//! and a test compares both. Plans must have passed validation and replay.

use super::subject::Subject;
use flashmem_plan_format::plan::Command;

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

/// What happens when.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Timeline {
    /// By page: when the disk reads it.
    pub reads: Vec<Span>,
    /// By page: when it is copied into the arena. Hidden copies are drawn at the rate of paid ones.
    pub uploads: Vec<Span>,
    /// By page: when the last step that reads it has ended.
    pub drops_us: Vec<f64>,
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
        replay.timeline.finish_us = replay.timeline.steps.last().map_or(0.0, |span| span.end_us);
        replay.timeline
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

/// A load whose step has not started yet.
struct Pending {
    page: u32,
    waited: bool,
}

struct Replay<'a> {
    subject: &'a Subject<'a>,
    read_us: f64,
    upload_us: f64,
    /// By page: the end of the last step so far that reads it.
    last_read_end_us: Vec<f64>,
    /// By slot: the page that was loaded into it last.
    occupants: Vec<Option<u32>>,
    /// In order of loads: the page, and when it left its staging buffer.
    left: Vec<(u32, f64)>,
    previous: Span,
    pending: Vec<Pending>,
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
            last_read_end_us: vec![0.0; pages],
            occupants: vec![None; subject.plan.slot_count as usize],
            left: Vec::with_capacity(pages),
            previous: Span::default(),
            pending: Vec::new(),
            copied_until_us: 0.0,
            timeline: Timeline {
                reads: vec![Span::default(); pages],
                uploads: vec![Span::default(); pages],
                drops_us: vec![0.0; pages],
                ..Timeline::default()
            },
        }
    }

    fn follow(&mut self, command: Command) {
        match command {
            Command::Load { page, slot } => self.load(page.0, slot.0),
            Command::Dispatch { index } => self.dispatch(index),
            Command::Drop { .. } | Command::Submit => {}
        }
    }

    fn load(&mut self, page: u32, slot: u32) {
        let disk_free_us = self.left.last().map_or(0.0, |(page, _)| self.timeline.reads[*page as usize].end_us);
        let ring = self.subject.plan.staging_pages as usize;
        let buffer_free_us = self.left.len().checked_sub(ring).map_or(0.0, |earlier| self.left[earlier].1);
        let start_us = disk_free_us.max(buffer_free_us);
        let read = Span { start_us, end_us: start_us + self.read_us };
        self.timeline.reads[page as usize] = read;
        let slot_free_us = self.occupants[slot as usize].map_or(0.0, |page| self.last_read_end_us[page as usize]);
        self.occupants[slot as usize] = Some(page);
        let waited = slot_free_us > self.previous.start_us;
        self.left.push((page, read.end_us.max(self.previous.start_us).max(slot_free_us)));
        self.pending.push(Pending { page, waited });
    }

    fn dispatch(&mut self, index: u32) {
        let plan = self.subject.plan;
        let capacity = match index.checked_sub(1) {
            None => 0,
            Some(previous) => self.subject.steps[previous as usize].capacity_pages,
        };
        let loaded = self.pending.len() as u32;
        let waited = self.pending.iter().filter(|pending| pending.waited).count() as u32;
        let paid = waited.max(loaded.saturating_sub(capacity));
        let copied_us = self.previous.end_us + f64::from(paid) * self.upload_us;
        let last_page = self.pending.last().map(|pending| pending.page);
        let arrived_us = last_page.map_or(0.0, |page| self.timeline.reads[page as usize].end_us);
        let start_us = copied_us.max(arrived_us);
        self.stall(index, start_us, arrived_us > copied_us, last_page, paid);
        self.place_uploads(start_us);
        let end_us = start_us + self.subject.steps[index as usize].execute_us;
        if let Some(weights) = &plan.dispatches[index as usize].weights {
            for page in weights.first_page.0..weights.first_page.0 + weights.page_count {
                self.last_read_end_us[page as usize] = end_us;
                self.timeline.drops_us[page as usize] = end_us;
            }
        }
        self.previous = Span { start_us, end_us };
        self.timeline.steps.push(self.previous);
    }

    fn stall(&mut self, step: u32, start_us: f64, by_disk: bool, last_page: Option<u32>, paid: u32) {
        let span = Span { start_us: self.previous.end_us, end_us: start_us };
        // Shorter than a nanosecond is rounding.
        if span.us() < 1e-3 {
            return;
        }
        let cause = match last_page {
            Some(page) if by_disk => StallCause::Disk { page },
            Some(_) | None => StallCause::Upload { pages: paid },
        };
        self.timeline.stalls.push(Stall { step, span, cause });
    }

    /// Draws the copies of pending pages one after the other, each when its page left staging and none after the step.
    fn place_uploads(&mut self, step_start_us: f64) {
        let first = self.left.len() - self.pending.len();
        for (page, left_us) in &self.left[first..] {
            let end_us = (left_us.max(self.copied_until_us) + self.upload_us).min(step_start_us);
            let start_us = left_us.max(self.copied_until_us).min(end_us);
            self.timeline.uploads[*page as usize] = Span { start_us, end_us };
            self.copied_until_us = end_us;
        }
        self.pending.clear();
    }
}
