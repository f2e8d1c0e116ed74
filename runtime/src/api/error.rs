//! Everything that can go wrong in a session, as values that name page, file offset, limit, input or node.
//!
//! After any error of a run no output exists. The session can run again unless [`Error::SessionLost`] is returned.

use flashmem_plan_format::container::BundleError;
use flashmem_plan_format::plan::{ElementType, PageId};
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Why a session cannot be opened or a run failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the fields are described by the messages")]
pub enum Error {
    /// The bundle's file cannot be opened.
    #[error("cannot open {}", path.display())]
    OpenFile { path: PathBuf, source: io::Error },
    /// The bundle is not what it should be.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// The budget is smaller than the declared peak.
    #[error("the bundle declares a peak of {declared_bytes} bytes, more than the budget of {budget_bytes}")]
    Budget { declared_bytes: u64, budget_bytes: u64 },
    /// No graphics adapter at all.
    #[error("no graphics adapter found (Vulkan, Metal, DirectX 12 or WebGPU)")]
    NoAdapter,
    /// No adapter of the requested name.
    #[error("no adapter's name contains `{requested}`; available: {}", available.join(", "))]
    AdapterNotFound { requested: String, available: Vec<String> },
    /// The device offers less than the plan needs.
    #[error("adapter `{adapter}` has {limit} = {available}, and the plan needs {needed}")]
    Limit { adapter: String, limit: &'static str, needed: u64, available: u64 },
    /// A CPU adapter would end the loops of an invocation too soon, without an error.
    #[error(
        "adapter `{adapter}` is software, which ends an invocation's loops after {limit} rounds, and the plan needs {needed}: compile the model with `--device software`"
    )]
    LoopRounds { adapter: String, needed: u32, limit: u32 },
    /// The driver refuses the device.
    #[error("adapter `{adapter}` gives no device: {message}")]
    RequestDevice { adapter: String, message: String },
    /// No device memory.
    #[error("out of device memory while {during}")]
    OutOfMemory { during: String },
    /// A kind of memory takes more than the plan declares: a bug of compiler or runtime.
    #[error("{kind} takes {recorded_bytes} bytes, and the plan declares {declared_bytes}")]
    Ledger { kind: &'static str, recorded_bytes: u64, declared_bytes: u64 },
    /// The device rejects what it is given; a bad kernel, or a bug.
    #[error("the device reports an error while {during}: {message}")]
    Device { during: String, message: String },
    /// The device is gone.
    #[error("the device was lost: {reason}")]
    DeviceLost { reason: String },
    /// Nothing happened for too long.
    #[error("no answer within {} s while {during}", waited.as_secs_f64())]
    Timeout { during: String, waited: Duration },
    /// A read did not end in time. What was read is given up; the next run waits for it once more, and if it still does
    /// not end, the session is lost.
    #[error("the read at file offset {offset_bytes} did not end within {} s while {during}", waited.as_secs_f64())]
    ReadTimeout { during: String, offset_bytes: u64, waited: Duration },
    /// The app's own source panicked.
    #[error("the source panicked while {during}")]
    SourcePanic { during: String },
    /// The caller's token ended the run.
    #[error("cancelled while {during}")]
    Cancelled { during: String },
    /// The bundle is another one than the session was opened with.
    #[error("the bundle changed since it was opened")]
    BundleChanged,
    /// A network that the bundle does not have.
    #[error("the bundle has no network `{name}`; it has {}", available.join(", "))]
    UnknownNetwork { name: String, available: Vec<String> },
    /// A run of one of several networks, without its name.
    #[error("the bundle has several networks, and the run names none of {}", available.join(", "))]
    NetworkNotNamed { available: Vec<String> },
    /// A state that the bundle does not have.
    #[error("the bundle has no state `{name}`; it has {}", listed(available))]
    UnknownState { name: String, available: Vec<String> },
    /// A state that several networks have, each its own.
    #[error("several networks have a state `{name}` of their own: link them with --states shared to name it")]
    StateOfSeveral { name: String },
    /// States of a session of another bundle.
    #[error("states are copied between sessions of one bundle, and these are of two")]
    OtherBundle,
    /// Sessions on one device may hold no more together.
    #[error(
        "a session of {needed_bytes} bytes does not fit the budget of {budget_bytes} that sessions on this device share: {}",
        holding(held)
    )]
    SharedBudget { needed_bytes: u64, budget_bytes: u64, held: Vec<(String, u64)> },
    /// An earlier failure took the device with it.
    #[error("the session cannot run again: {reason}")]
    SessionLost { reason: String },
    /// The system gives no thread.
    #[error("cannot start a thread")]
    Threads { source: io::Error },
    /// A page cannot be read.
    #[error("cannot read page {} at file offset {offset_bytes}", page.0)]
    PageRead { page: PageId, offset_bytes: u64, source: io::Error },
    /// A row cannot be read.
    #[error("cannot read row {row} of table `{table}` at file offset {offset_bytes}")]
    RowRead { table: String, row: u32, offset_bytes: u64, source: io::Error },
    /// A 64-bit integer of a node does not fit the 32 bits that the device has for it.
    #[error(
        "node `{node}`: a 64-bit integer needs more than 32 bits, which the device does not have; no output is right"
    )]
    IntegerOverflow { node: String },
    /// The plan loads into a staging buffer whose last copy was never submitted.
    #[error("command {command} loads page {} into a staging buffer that was not submitted yet", page.0)]
    RingStalled { command: u32, page: PageId },
    /// A computed index is outside its axis, and the bundle was compiled to find it.
    #[error("node `{node}`: computed index {index}, element {position}, is outside {least} to {most}")]
    ComputedIndex { node: String, position: u64, index: i64, least: i64, most: i64 },
    /// The caller's inputs do not fit.
    #[error(transparent)]
    Input(#[from] InputError),
    /// The self-test failed.
    #[error(transparent)]
    SelfTest(#[from] SelfTestError),
}

/// Who holds how much of a budget.
fn holding(held: &[(String, u64)]) -> String {
    let each = held.iter().map(|(name, bytes)| format!("`{name}` holds {bytes}"));
    if held.is_empty() { "nobody else holds any".to_owned() } else { each.collect::<Vec<_>>().join(", ") }
}

fn listed(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// Why inputs were refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the fields are described by the messages")]
pub enum InputError {
    /// A name that the model does not have.
    #[error("unknown input `{name}`; the model takes {expected}")]
    Unknown { name: String, expected: String },
    /// A name given twice.
    #[error("input `{name}` is given more than once")]
    Duplicate { name: String },
    /// An input that is not given.
    #[error("input `{name}` is missing; the model takes {expected}")]
    Missing { name: String, expected: String },
    /// A connected input that is not given, and was not handed over yet.
    #[error(
        "input `{name}` is not given, and nothing was handed to it: none of {} has completed a run", sources.join(", ")
    )]
    NotHanded { name: String, sources: Vec<String> },
    /// Another element type.
    #[error("input `{name}` has elements of type {found:?}, expected {expected:?}")]
    Element { name: String, found: ElementType, expected: ElementType },
    /// Another shape.
    #[error("input `{name}` has shape {found:?}, expected {expected:?}")]
    Shape { name: String, found: Vec<u64>, expected: Vec<u64> },
    /// Not as many bytes as the shape implies.
    #[error("input `{name}` has {found_bytes} bytes, and its shape implies {expected_bytes}")]
    Length { name: String, found_bytes: u64, expected_bytes: u64 },
    /// A 64-bit integer that the device cannot hold.
    #[error("input `{name}`, element {index}: {value} does not fit 32 bits")]
    IntegerRange { name: String, index: u64, value: i64 },
    /// An index outside its axis.
    #[error("input `{name}`, element {position}: index {index} is outside {least} to {most} (node `{node}`)")]
    IndexRange { name: String, position: u64, index: i64, least: i64, most: i64, node: String },
    /// An index outside its table.
    #[error(
        "input `{name}`, element {position}: index {index} is outside the {rows} rows of `{table}` (node `{node}`)"
    )]
    RowIndex { name: String, position: u64, index: i64, rows: u32, table: String, node: String },
    /// An index outside its table, computed from an input.
    #[error(
        "input `{name}`, element {position}: {value} gives the index {index}, which is outside the {rows} rows of `{table}` (node `{node}`)"
    )]
    ComputedRowIndex { name: String, position: u64, value: i64, index: i64, rows: u32, table: String, node: String },
}

/// Why a self-test failed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the fields are described by the messages")]
pub enum SelfTestError {
    /// There is nothing to test with.
    #[error("the bundle has no golden inputs and outputs")]
    NoGolden,
    /// A float output is too far from the golden one.
    #[error("run {run}, output `{output}`: relative L2 error {error:.3e} exceeds {tolerance:.3e}")]
    Tolerance { run: u32, output: String, error: f64, tolerance: f64 },
    /// An integer or boolean differs.
    #[error("run {run}, output `{output}`: element {element} differs from the golden one")]
    Value { run: u32, output: String, element: u64 },
    /// The two runs differ.
    #[error("output `{output}`: run 2 differs from run 1 at byte {byte}")]
    NotRepeatable { output: String, byte: u64 },
}

impl Error {
    /// Whether the device can be expected to work after this error.
    pub(crate) fn loses_session(&self) -> bool {
        match self {
            Self::OutOfMemory { .. }
            | Self::Device { .. }
            | Self::DeviceLost { .. }
            | Self::Timeout { .. }
            | Self::SessionLost { .. } => true,
            Self::OpenFile { .. }
            | Self::Bundle(_)
            | Self::Budget { .. }
            | Self::Ledger { .. }
            | Self::NoAdapter
            | Self::AdapterNotFound { .. }
            | Self::Limit { .. }
            | Self::LoopRounds { .. }
            | Self::RequestDevice { .. }
            | Self::Threads { .. }
            | Self::PageRead { .. }
            | Self::RowRead { .. }
            | Self::ReadTimeout { .. }
            | Self::SourcePanic { .. }
            | Self::Cancelled { .. }
            | Self::BundleChanged
            | Self::UnknownNetwork { .. }
            | Self::NetworkNotNamed { .. }
            | Self::UnknownState { .. }
            | Self::StateOfSeveral { .. }
            | Self::OtherBundle
            | Self::SharedBudget { .. }
            | Self::RingStalled { .. }
            | Self::ComputedIndex { .. }
            | Self::IntegerOverflow { .. }
            | Self::Input(_)
            | Self::SelfTest(_) => false,
        }
    }
}
