//! Everything that the static rules can find, with its place in the plan.
//!
//! It deliberately holds no logic but the wording.

use crate::implied::Limit;
use crate::plan::{Buffer, MAX_PREDICTED_US};
use crate::row_indices::BrokenIndices;
use std::fmt;

/// Characters of a name that a message shows.
const SHOWN_NAME_CHARACTERS: usize = 96;

/// A part of a plan, by position and name.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are positions and names in the plan's tables")]
pub enum Place {
    /// The plan as a whole.
    Plan,
    /// An input.
    Input { index: u32, name: String },
    /// An output.
    Output { index: u32, name: String },
    /// A check, by its ONNX node.
    Check { index: u32, name: String },
    /// A state, by the name of its input.
    State { index: u32, name: String },
    /// A row table.
    RowTable { index: u32, name: String },
    /// A row gather, by its ONNX node.
    RowGather { index: u32, node: String },
    /// An index bound, by its ONNX node.
    IndexBound { index: u32, node: String },
    /// A pipeline.
    Pipeline { index: u32, label: String },
    /// A dispatch, by its ONNX nodes.
    Dispatch { index: u32, node: String },
    /// A binding of a dispatch.
    Binding { dispatch: u32, node: String, binding: u32 },
    /// A command of the first run's program.
    Command { index: u32 },
    /// A command of the later runs' program.
    RepeatCommand { index: u32 },
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plan => write!(out, "plan"),
            Self::Input { index, name } => write!(out, "input {index} ({name})"),
            Self::Output { index, name } => write!(out, "output {index} ({name})"),
            Self::Check { index, name } => write!(out, "check {index} ({name})"),
            Self::State { index, name } => write!(out, "state {index} ({name})"),
            Self::RowTable { index, name } => write!(out, "row table {index} ({name})"),
            Self::RowGather { index, node } => write!(out, "row gather {index} ({node})"),
            Self::IndexBound { index, node } => write!(out, "index bound {index} ({node})"),
            Self::Pipeline { index, label } => write!(out, "pipeline {index} ({label})"),
            Self::Dispatch { index, node } => write!(out, "dispatch {index} ({node})"),
            Self::Binding { dispatch, node, binding } => write!(out, "dispatch {dispatch} ({node}), binding {binding}"),
            Self::Command { index } => write!(out, "command {index}"),
            Self::RepeatCommand { index } => write!(out, "repeat command {index}"),
        }
    }
}

/// A name, cut so that a hostile plan cannot multiply its own size in messages.
pub(super) fn shown(name: &str) -> String {
    name.chars().take(SHOWN_NAME_CHARACTERS).collect()
}

/// A number of bytes that is compared with a declared one.
fn known(bytes: Option<u64>) -> String {
    bytes.map_or_else(|| "more than any file can have".to_owned(), |bytes| bytes.to_string())
}

/// What is wrong with a dispatch that does not read weights as its pipeline does.
const fn weights_use(has_weights: bool) -> &'static str {
    if has_weights {
        "reads weights, and its pipeline does not use the weight arena"
    } else {
        "reads no weights, and its pipeline uses the weight arena"
    }
}

/// A static rule that a plan breaks.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the fields are described by the messages")]
pub enum PlanViolation {
    /// A table is too long.
    #[error("{count} {table}, more than the limit of {limit}")]
    TooMany { table: &'static str, count: u64, limit: u64 },
    /// Pages, slots and staging buffers come together or not at all.
    #[error("{page_count} pages, {slot_count} slots and {staging_pages} staging pages: all are zero or none is")]
    WeightCounts { page_count: u32, slot_count: u32, staging_pages: u32 },
    /// Page rows are no power of two in range, or the page's bytes are no multiple of 4096.
    #[error("pages of {rows} rows: rows must be a power of two up to {max_rows}")]
    PageGeometry { rows: u32, max_rows: u32 },
    /// An index that points nowhere.
    #[error("{place}: index {index} is out of range; the plan has {count} {table}")]
    Index { place: Place, table: &'static str, index: u32, count: u64 },
    /// A slice that starts off the binding alignment.
    #[error("{place}: offset {offset_bytes} is not a multiple of 256")]
    SliceAlignment { place: Place, offset_bytes: u64 },
    /// An empty slice or one of broken elements.
    #[error("{place}: a slice of {size_bytes} bytes, not a positive multiple of 4")]
    SliceSize { place: Place, size_bytes: u64 },
    /// A slice that leaves its buffer.
    #[error("{place}: {size_bytes} bytes at offset {offset_bytes} leave the {buffer:?} buffer of {buffer_bytes} bytes")]
    SliceEnd { place: Place, buffer: Buffer, offset_bytes: u64, size_bytes: u64, buffer_bytes: u64 },
    /// A port or gather destination outside the activation arena.
    #[error("{place}: lies outside the activation arena")]
    NotInActivations { place: Place },
    /// A state that is not the next piece of the state buffer.
    #[error("{place}: lies at offset {offset_bytes} of the {buffer:?} buffer, expected {expected_bytes} of the states")]
    StateOrder { place: Place, buffer: Buffer, offset_bytes: u64, expected_bytes: u64 },
    /// A binding in the state buffer that is no whole state.
    #[error("{place}: binds {size_bytes} bytes at offset {offset_bytes} of the state buffer, where no state is")]
    StateBinding { place: Place, offset_bytes: u64, size_bytes: u64 },
    /// A dispatch that writes a state which it does not update, or not alone.
    #[error(
        "{place}: writes state {state}; one dispatch writes a state without another update, and none writes the others"
    )]
    StateWritten { place: Place, state: u32 },
    /// A dispatch that reads a state before the one that changes it where it lies.
    #[error("{place}: reads state {state} before it is updated")]
    StateReadEarly { place: Place, state: u32 },
    /// An output that has no place on the device.
    #[error("{place}: has no slice")]
    OutputWithoutSlice { place: Place },
    /// Too many dimensions.
    #[error("{place}: {rank} dimensions, more than the limit of {limit}")]
    Rank { place: Place, rank: u64, limit: u32 },
    /// No elements, or more than can be indexed.
    #[error("{place}: shape {shape:?} does not have 1 to {limit} elements")]
    Elements { place: Place, shape: Vec<u64>, limit: u64 },
    /// A slice whose size is not that of its tensor.
    #[error("{place}: slice of {found_bytes} bytes for a tensor of {expected_bytes} bytes on the device")]
    TensorBytes { place: Place, found_bytes: u64, expected_bytes: u64 },
    /// A port or row table without a name.
    #[error("{place}: has no name")]
    NameEmpty { place: Place },
    /// A port's name that no archive of arrays can hold.
    #[error("{place}: the name has {bytes} bytes, more than the limit of {limit}")]
    NameTooLong { place: Place, bytes: usize, limit: usize },
    /// A name that an earlier entry of the same table has.
    #[error("{place}: the name is taken by an earlier one")]
    NameRepeated { place: Place },
    /// Two slices that the host fills before a run overlap.
    #[error("{first} and {second}: overlap, though the host writes both before a run")]
    HostWritesOverlap { first: Place, second: Place },
    /// A table without rows or with rows of no, or too many, bytes.
    #[error("{place}: {rows} rows of {row_bytes} bytes; a table has at least one row of 1 to {limit_bytes} bytes")]
    RowTableSize { place: Place, rows: u32, row_bytes: u64, limit_bytes: u64 },
    /// A row table that does not start where the one before ends.
    #[error("{place}: starts at offset {offset_bytes} of the rows section, expected {}", known(*expected_bytes))]
    RowTableOffset { place: Place, offset_bytes: u64, expected_bytes: Option<u64> },
    /// Indices of a gather that cannot be computed.
    #[error("{place}: {broken}")]
    RowIndices { place: Place, broken: BrokenIndices },
    /// Indices that are no integers.
    #[error("{place}: the tensor of the indices has no integers")]
    IndexElement { place: Place },
    /// A walk over indices that leaves its tensor, or is longer.
    #[error("{place}: its walk leaves the {elements} elements of the tensor")]
    IndexWalk { place: Place, elements: u64 },
    /// A range of indices without an index.
    #[error("{place}: no index is from {least} to {most}")]
    IndexRange { place: Place, least: i64, most: i64 },
    /// A pipeline without source.
    #[error("{place}: has no source")]
    SourceEmpty { place: Place },
    /// A parameter block of no or broken size.
    #[error("{place}: {params_bytes} parameter bytes are not a positive multiple of 4")]
    ParamsBytes { place: Place, params_bytes: u32 },
    /// An empty workgroup.
    #[error("{place}: workgroup size {workgroup_size:?} has a zero")]
    WorkgroupSize { place: Place, workgroup_size: [u32; 3] },
    /// A pipeline that is unused, or first used before one that stands before it.
    #[error("{place}: pipelines stand in order of first use, and this one does not")]
    PipelineOrder { place: Place },
    /// A parameter block off the binding alignment.
    #[error("{place}: parameters at offset {offset_bytes}, not a multiple of 256")]
    ParamsAlignment { place: Place, offset_bytes: u64 },
    /// A parameter block that leaves the parameters.
    #[error(
        "{place}: {params_bytes} parameter bytes at offset {offset_bytes} leave the {total_bytes} bytes of parameters"
    )]
    ParamsEnd { place: Place, offset_bytes: u64, params_bytes: u32, total_bytes: u64 },
    /// Not one slice for every storage binding.
    #[error("{place}: {found} storage bindings, and its pipeline declares {expected}")]
    BindingCount { place: Place, found: u64, expected: u32 },
    /// A dispatch of nothing.
    #[error("{place}: workgroups {workgroups:?} have a zero")]
    WorkgroupsZero { place: Place, workgroups: [u32; 3] },
    /// Weights without a pipeline that reads them, or the other way round.
    #[error("{place}: {}", weights_use(*has_weights))]
    WeightsUse { place: Place, has_weights: bool, uses_weights: bool },
    /// No pages, or too many for the slot table.
    #[error("{place}: reads {page_count} pages; a dispatch that reads weights reads 1 to {limit}")]
    PagesOfDispatch { place: Place, page_count: u32, limit: u32 },
    /// Pages that the bundle does not have.
    #[error("{place}: reads {page_count} pages from page {first_page} on, and the bundle has {total}")]
    PageRange { place: Place, first_page: u32, page_count: u32, total: u32 },
    /// A slot table that leaves its parameter block or is not aligned.
    #[error(
        "{place}: its slot table of {page_count} entries at offset {slots_offset_bytes} leaves the block of {params_bytes} bytes, or is not \
         aligned to 4"
    )]
    SlotTable { place: Place, page_count: u32, slots_offset_bytes: u32, params_bytes: u32 },
    /// A page that does not exist.
    #[error("{place}: page {page} does not exist; the bundle has {page_count} pages")]
    CommandPage { place: Place, page: u32, page_count: u32 },
    /// A slot that does not exist.
    #[error("{place}: slot {slot} does not exist; the arena has {slot_count} slots")]
    CommandSlot { place: Place, slot: u32, slot_count: u32 },
    /// A limit that the plan needs more of than it declares.
    #[error("{place}: needs {} of {used}, and the plan requires {declared}", limit.name())]
    Requirement { place: Place, limit: Limit, used: u64, declared: u64 },
    /// A constants buffer of broken elements.
    #[error("constants of {constant_bytes} bytes, not a multiple of 4")]
    ConstantBytes { constant_bytes: u64 },
    /// More weights than the bundle stores.
    #[error("{weight_bytes} bytes of weights are declared, and pages and rows have {}", known(*stored_bytes))]
    WeightBytes { weight_bytes: u64, stored_bytes: Option<u64> },
    /// A solver gap that is no number from 0 up.
    #[error("solver gap {gap} is not a finite number from 0 up")]
    SolverGap { gap: f64 },
    /// A rate that a prediction assumes and that is no number from 0 up.
    #[error("{what} {rate} is not a finite number from 0 up")]
    Rate { what: &'static str, rate: f64 },
    /// A predicted time that is no number from 0 up, or longer than any dispatch takes.
    #[error("{place}: is predicted to take {predicted_us} us, not 0 to {MAX_PREDICTED_US}")]
    Predicted { place: Place, predicted_us: f64 },
    /// Memory of one kind that is not what the plan implies.
    #[error("{kind} memory is declared as {declared_bytes} bytes, and the plan implies {implied_bytes}")]
    Memory { kind: &'static str, declared_bytes: u64, implied_bytes: u64 },
    /// Memory that no machine has.
    #[error("the memory that the plan implies or declares overflows")]
    MemoryOverflow,
    /// A declared peak above the budget.
    #[error("the declared peak of {total_bytes} bytes exceeds the budget of {budget_bytes}")]
    Budget { total_bytes: u64, budget_bytes: u64 },
}
