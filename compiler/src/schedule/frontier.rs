//! Exact search over the states that a schedule can be in when each step starts.
//!
//! A state is a point (pages uploaded, time, time that the disk has stood still). One state *dominates* another when it has uploaded
//! no less, is no later and its disk has stood still no longer: whatever can follow the other can follow it, and finish no
//! later. So per boundary only the undominated states, the *frontier*, are kept, and of these only those whose closed-form bound
//! (`completion.rs`) is below a limit. Takes a [`Problem`], slots and the limit; returns a plan below the limit, or the proof that
//! there is none. docs/schedule.md derives dominance.
//!
//! When a frontier outgrows its width, near states are joined: [`Reduce::Drop`] keeps the best of them, so what is found is a plan
//! but nothing is proven; [`Reduce::Merge`] keeps one at least as good as all, so that what is found is a bound but no plan.
//! Widths are counts, so equal problems give equal results. It decides no limit and no slots.

use super::completion::Completion;
use super::pipeline::{Interval, State, advance};
use super::problem::{Demand, Problem};

/// What happens to near states when there are too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reduce {
    /// The most promising is kept.
    Drop,
    /// An imaginary one that dominates all of them is kept.
    Merge,
}

/// What a search knows in the end.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// Counts of the fastest plan found below the limit.
    pub uploaded: Option<Vec<u32>>,
    /// No plan finishes before this; never above the limit. `None` when states were dropped.
    pub bound_us: Option<f64>,
}

/// A search for plans of at most `slots` slots that finish by `limit_us`.
#[derive(Debug)]
pub struct FrontierSearch<'a> {
    /// The problem.
    pub problem: &'a Problem,
    /// Its tables.
    pub demand: &'a Demand,
    /// Bounds for the slots.
    pub completion: &'a Completion,
    /// Slots.
    pub slots: u32,
    /// Plans that finish later do not interest.
    pub limit_us: f64,
}

/// A state and where it came from.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Label {
    state: State,
    /// Pages that the disk could have read more by now.
    stall_pages: f64,
    /// Index in the frontier before.
    parent: u32,
}

/// Most counts that are tried from one state; beyond, [`Reduce::Merge`] takes one state for all.
const MAX_COUNTS: u32 = 96;
/// Pages are counted as arrived when less than this fraction is missing, since times are rounded.
const ARRIVED: f64 = 1e-9;
/// Two disks that differ by less have stood still equally long, in pages.
const SAME_PAGES: f64 = 1e-9;
/// Two times that differ by less, relative to the limit, are equal.
const SAME_TIME: f64 = 1e-11;

impl FrontierSearch<'_> {
    /// Searches with at most `width` states a boundary.
    pub fn run(&self, width: usize, reduce: Reduce) -> Outcome {
        let mut history: Vec<Vec<(u32, u32)>> = Vec::new();
        let mut labels = vec![Label { state: State::INITIAL, stall_pages: 0.0, parent: 0 }];
        let mut dropped = false;
        for boundary in 0..self.problem.step_count() {
            let mut next = Vec::new();
            for (index, label) in (0_u32..).zip(&labels) {
                dropped |= self.expand(boundary, index, label, reduce, &mut next);
            }
            labels = self.undominated(next);
            if labels.len() > width {
                labels = self.reduced(boundary, labels, width, reduce);
                dropped |= reduce == Reduce::Drop;
            }
            if reduce == Reduce::Drop {
                history.push(labels.iter().map(|label| (label.state.uploaded, label.parent)).collect());
            }
        }
        let tail_us = self.problem.steps.last().map_or(0.0, |step| step.execute_us);
        let best = (0_u32..).zip(&labels).min_by(|a, b| a.1.state.start_us.total_cmp(&b.1.state.start_us));
        let finish_us = best.map_or(f64::INFINITY, |(_, label)| label.state.start_us + tail_us);
        Outcome {
            uploaded: best.filter(|_| reduce == Reduce::Drop).map(|(index, _)| trace(&history, index)),
            bound_us: (!dropped).then_some(finish_us.min(self.limit_us)),
        }
    }

    /// Appends the states that can follow `label`. Whether some were left out.
    fn expand(&self, boundary: u32, parent: u32, label: &Label, reduce: Reduce, next: &mut Vec<Label>) -> bool {
        let (problem, demand) = (self.problem, self.demand);
        let index = boundary as usize;
        let interval = Interval::before(problem, demand, boundary);
        let read_us = problem.read_us();
        let least = demand.needed[index].max(label.state.uploaded);
        let most = demand.dead[index].saturating_add(self.slots).min(problem.page_count());
        // Pages that have arrived, have a slot and are hidden cost nothing: all of them are uploaded.
        let reach = (label.state.read_pages + interval.execute_us / read_us).min(f64::from(problem.page_count()));
        let arrived = ((reach + ARRIVED).floor() as u32).min(interval.dead.saturating_add(self.slots));
        let hidden = arrived.min(label.state.uploaded.saturating_add(interval.capacity_pages));
        let first = least.max(hidden).min(most);
        let mut before_us = f64::INFINITY;
        for count in first..=most {
            let state = advance(problem, interval, self.slots, label.state, count);
            if self.completion.earliest_us(index, state.start_us) > self.limit_us {
                return false;
            }
            // Waiting longer for a page than its upload takes is never better than uploading it beside the next step.
            let arrival_us = label.state.start_us + (f64::from(count) - label.state.read_pages) * read_us;
            if state.start_us - before_us >= problem.upload_us() && state.start_us <= arrival_us {
                return false;
            }
            before_us = state.start_us;
            if count - first >= MAX_COUNTS {
                if reduce == Reduce::Merge {
                    // Later counts end no earlier, upload at most `most`, and the disk loses nothing at best.
                    let stall_pages = label.stall_pages;
                    next.push(self.imagined(most, state.start_us, stall_pages, parent));
                }
                return reduce == Reduce::Drop;
            }
            let stall_pages = state.start_us / read_us - state.read_pages;
            if self.completion.bound_us(index, &state) <= self.limit_us {
                next.push(Label { state, stall_pages, parent });
            }
        }
        false
    }

    /// A state that need not be reachable, with what the ring allows read.
    fn imagined(&self, uploaded: u32, start_us: f64, stall_pages: f64, parent: u32) -> Label {
        let read = start_us / self.problem.read_us() - stall_pages;
        let most = uploaded.saturating_add(self.problem.staging_pages).min(self.problem.page_count());
        let read_pages = read.min(f64::from(most)).max(f64::from(uploaded));
        Label { state: State { uploaded, start_us, read_pages }, stall_pages, parent }
    }

    /// The labels that no other dominates, most uploaded first.
    fn undominated(&self, mut labels: Vec<Label>) -> Vec<Label> {
        let same_us = SAME_TIME * self.limit_us;
        labels.sort_by(|a, b| {
            let later = a.state.start_us.total_cmp(&b.state.start_us);
            b.state.uploaded.cmp(&a.state.uploaded).then(later).then(a.stall_pages.total_cmp(&b.stall_pages))
        });
        // (time, stall) of labels with at least as many uploads; times ascend, stalls descend.
        let mut stairs: Vec<(f64, f64)> = Vec::new();
        labels.retain(|label| {
            let (start_us, stall) = (label.state.start_us, label.stall_pages);
            let earlier = stairs.partition_point(|stair| stair.0 <= start_us + same_us);
            if earlier > 0 && stairs[earlier - 1].1 <= stall + SAME_PAGES {
                return false;
            }
            let at = stairs.partition_point(|stair| stair.0 < start_us);
            let end = at + stairs[at..].partition_point(|stair| stair.1 >= stall);
            stairs.splice(at..end, [(start_us, stall)]);
            true
        });
        labels
    }

    /// At most about `width` labels in place of too many: one for each cell of a grid that is as fine as the width allows.
    fn reduced(&self, boundary: u32, labels: Vec<Label>, width: usize, reduce: Reduce) -> Vec<Label> {
        let read_us = self.problem.read_us();
        let span = |value: &dyn Fn(&Label) -> f64| {
            let (low, high) = labels
                .iter()
                .map(value)
                .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
            (low, high - low)
        };
        let (first_us, time_span) = span(&|label| label.state.start_us);
        let (first_stall, stall_span) = span(&|label| label.stall_pages * read_us);
        // Joining states that agree in time or in stall errs by no more than the cell, so the narrower of both is cut.
        let by_time = time_span <= stall_span;
        let upload_us = self.problem.upload_us();
        let mut cell_us = (time_span.min(stall_span) / width as f64).max(SAME_TIME * self.limit_us);
        loop {
            let pages_per_cell = ((cell_us / upload_us).min(f64::from(u32::MAX)) as u32).max(1);
            let key = |label: &Label| {
                let offset =
                    if by_time { label.state.start_us - first_us } else { label.stall_pages * read_us - first_stall };
                (label.state.uploaded / pages_per_cell, (offset / cell_us) as u64)
            };
            let mut cells: Vec<((u32, u64), u32)> = (0_u32..).zip(&labels).map(|(i, label)| (key(label), i)).collect();
            cells.sort_unstable();
            let joined = cells.chunk_by(|a, b| a.0 == b.0);
            if joined.clone().count() <= width {
                return joined.map(|cell| self.joined(boundary, &labels, cell, reduce)).collect();
            }
            cell_us *= 2.0;
        }
    }

    /// One label for those of a cell.
    fn joined(&self, boundary: u32, labels: &[Label], cell: &[((u32, u64), u32)], reduce: Reduce) -> Label {
        let members = cell.iter().map(|(_, index)| labels[*index as usize]);
        match reduce {
            Reduce::Drop => {
                let bound_us = |label: &Label| self.completion.bound_us(boundary as usize, &label.state);
                members
                    .min_by(|a, b| {
                        bound_us(a).total_cmp(&bound_us(b)).then(a.state.start_us.total_cmp(&b.state.start_us))
                    })
                    .expect("a cell is not empty")
            }
            Reduce::Merge => {
                let uploaded = members.clone().map(|label| label.state.uploaded).max().unwrap_or(0);
                let start_us = members.clone().map(|label| label.state.start_us).fold(f64::INFINITY, f64::min);
                let stall_pages = members.map(|label| label.stall_pages).fold(f64::INFINITY, f64::min);
                self.imagined(uploaded, start_us, stall_pages, 0)
            }
        }
    }
}

/// The counts that lead to the last frontier's label `index`.
fn trace(history: &[Vec<(u32, u32)>], index: u32) -> Vec<u32> {
    let mut at = index;
    let mut counts: Vec<u32> = history
        .iter()
        .rev()
        .map(|frontier| {
            let (uploaded, parent) = frontier[at as usize];
            at = parent;
            uploaded
        })
        .collect();
    counts.reverse();
    counts
}
