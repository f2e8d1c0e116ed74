//! What apps see beside the session itself: tensors, options, what a run is given, statistics, errors.
//!
//! All other folders stand on this one. It deliberately knows no device, no file and no thread.

mod control;
mod error;
mod options;
mod phases;
mod stats;
mod tensor;

pub use control::{CancelToken, Progress, ProgressFn, RunRequest};
pub use error::{Error, InputError, SelfTestError};
pub use options::{IoMode, IoNote, Options};
pub use phases::{Mark, Span};
pub use stats::{IoStats, MAX_RUN_RECORDS, MemoryStats, Phases, PlanStats, RunRecord, Stats};
pub use tensor::{ConnectionInfo, NetworkInfo, Outputs, PortInfo, Tensor};
