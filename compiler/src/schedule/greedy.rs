//! Schedules built in one pass, without search.
//!
//! Takes a [`Problem`] and a number of slots; returns [`Uploads`] that are feasible for it (if any is). Each rule decides, start
//! by start, how many pages are uploaded beside the running step. Not optimal in general; `bounds` often proves it is.

use super::pipeline::{Interval, State, Uploads, advance, uploads_finish_us};
use super::problem::{Demand, Problem};

/// How far a one-pass schedule uploads ahead of need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// Nothing ahead: each step's missing pages, just before it.
    OnDemand,
    /// Pages that have arrived and that the running step hides.
    Hidden,
    /// As `Hidden`, and as many more as keep the ring from filling up.
    FeedDisk,
    /// Every page that has arrived.
    Arrived,
}

impl Rule {
    /// All rules that upload ahead.
    pub const AHEAD: [Self; 3] = [Self::Hidden, Self::FeedDisk, Self::Arrived];
}

/// Pages are counted as arrived when less than this fraction is missing, since times are rounded.
const ARRIVED: f64 = 1e-9;

/// The plan of one rule. `slots` must be at least [`Demand::smallest_slots`].
pub fn one_pass(problem: &Problem, demand: &Demand, slots: u32, rule: Rule) -> Uploads {
    one_pass_from(problem, demand, slots, rule, State::INITIAL)
}

/// As [`one_pass`], with pages that are there from the beginning.
pub fn one_pass_from(problem: &Problem, demand: &Demand, slots: u32, rule: Rule, start: State) -> Uploads {
    let mut state = start;
    let uploaded = (0..problem.step_count())
        .map(|boundary| {
            let interval = Interval::before(problem, demand, boundary);
            let count = count_at(problem, demand, slots, rule, boundary, interval, state);
            state = advance(problem, interval, slots, state, count);
            count
        })
        .collect();
    Uploads { uploaded, slots }
}

/// Pages that shall be uploaded when step `boundary` starts.
fn count_at(
    problem: &Problem,
    demand: &Demand,
    slots: u32,
    rule: Rule,
    boundary: u32,
    interval: Interval,
    state: State,
) -> u32 {
    let least = demand.needed[boundary as usize].max(state.uploaded);
    let most = demand.dead[boundary as usize].saturating_add(slots).min(problem.page_count());
    let reach = (state.read_pages + interval.execute_us / problem.read_us()).min(f64::from(problem.page_count()));
    // Neither a page that is still being read nor one that must wait for a slot comes for free.
    let arrived = ((reach + ARRIVED).floor() as u32).min(interval.dead.saturating_add(slots));
    let hidden = arrived.min(state.uploaded.saturating_add(interval.capacity_pages));
    let ahead = match rule {
        Rule::OnDemand => least,
        Rule::Hidden => hidden,
        Rule::FeedDisk => {
            let unstalled = ((reach - ARRIVED).ceil().max(0.0) as u32).saturating_sub(problem.staging_pages);
            hidden.max(arrived.min(unstalled))
        }
        Rule::Arrived => arrived,
    };
    least.max(ahead).min(most)
}

/// The fastest one-pass plan; the first rule wins ties.
pub fn fastest(problem: &Problem, demand: &Demand, slots: u32) -> (Uploads, f64) {
    let mut choices = Rule::AHEAD.into_iter().map(|rule| {
        let uploads = one_pass(problem, demand, slots, rule);
        let finish_us = uploads_finish_us(problem, demand, &uploads);
        (uploads, finish_us)
    });
    let first = choices.next().expect("there are three rules");
    choices.fold(first, |best, next| if next.1 < best.1 { next } else { best })
}
