//! What a plan will do, to look at: a timeline predicted from its commands, memory over time, stalls, weights.
//!
//! `subject` is what is explained (a fresh plan or a bundle), `timeline` replays its commands page by page, `facts` draws
//! the conclusions; `page` writes one self-contained HTML file, `sequence` and `sequence_page` do both for a linked bundle,
//! `terminal` a short summary and `sweep` budgets against
//! times. Everything here is prediction: it deliberately measures nothing, decides nothing and reads no weights.

mod chart;
mod facts;
mod markup;
mod memory_chart;
mod page;
mod sequence;
mod sequence_page;
mod subject;
mod sweep;
mod tables;
pub mod terminal;
#[cfg(test)]
mod tests;
mod timeline;

pub use facts::Facts;
pub use page::page;
pub use sequence::{SequenceRun, SequenceTimeline};
pub use sequence_page::sequence_page;
pub use subject::{StepRate, Subject, WeightUse};
pub use sweep::{Sweep, SweepPlan, SweepPoint, SweepPrecision};
pub use timeline::{Load, Span, Stall, StallCause, Timeline};
