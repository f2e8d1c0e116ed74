//! When every page of weights is uploaded and dropped: `Problem` → `Schedule` → commands.
//!
//! `problem` is the data, `pipeline` the time model, `bounds` and `completion` closed-form lower bounds, `greedy` and `baselines`
//! plans without search, `optimal` the search: by `frontier`s of states (`exact`) or by an integer program (`ilp`, `integer`), then
//! `residency`; `commands` the command list for the runtime, `repeat` the lists of runs that follow each other, `turns` those of
//! networks that take turns, both over `part`s and their `gaps`; `verify` the independent checker. docs/schedule.md derives the model. It
//! deliberately does not know graphs, kernels, activations or bundles: the caller turns its budget into a slot cap.

mod baselines;
mod bounds;
pub mod commands;
mod completion;
mod decide;
mod exact;
mod frontier;
mod gaps;
mod greedy;
mod ilp;
mod integer;
mod optimal;
mod optimum;
mod part;
mod pipeline;
mod problem;
mod repeat;
mod residency;
#[cfg(test)]
mod tests;
mod turns;
mod types;
pub mod verify;
mod verify_time;
mod violation;

pub use commands::{CommandStream, emit_commands};
pub use decide::{min_slots_within, one_pass_finish_us, schedule, schedule_with, slots_bound_within, smallest_slots};
pub use problem::{Demand, PageUse, Problem, ProblemError, StepData, page_uses};

pub use repeat::{CommandLists, KeepPages, repeat};
pub use turns::{TurnLists, hand_over, returned_us, turn_lists};
pub use types::{Schedule, ScheduleError, SolverKind, SolverReport, SolverStatus, Strategy};
