//! The plan: everything that the runtime needs to replay one model, as plain data.
//!
//! A [`Plan`] is made by the compiler, stored in a bundle by this crate and replayed by the runtime, which decides nothing.
//! Sizes are bytes unless the name says otherwise; ranges are half-open; indices are positions in the plan's own tables.
//! This file deliberately holds no I/O and no checks: see `validate/` for the static rules and `replay.rs` for the
//! abstract replay that proves residency, ring use and the declared peak.

pub use crate::encoding::{Encoding, TEXEL_BYTES};
use crate::indices::IndexBound;
pub use crate::names::NameId;
use crate::row_indices::RowIndices;
use serde::{Deserialize, Serialize};

/// Texels in one row of a page.
pub const PAGE_WIDTH_TEXELS: u32 = 256;

/// Bytes of one row of a page: a multiple of the 256 that texture copies require.
pub const PAGE_ROW_BYTES: u32 = PAGE_WIDTH_TEXELS * TEXEL_BYTES;

/// Most pages that one dispatch can address: the size of the slot table at the end of a weight kernel's parameters.
pub const MAX_PAGES_PER_DISPATCH: u32 = 64;

/// Longest time that one dispatch may be predicted to take: an hour.
pub const MAX_PREDICTED_US: f64 = 3.6e9;

/// Most pages of a plan, and most slots.
pub const MAX_PAGES: u32 = 4 << 20;

/// Most bytes of constants.
pub const MAX_CONSTANT_BYTES: u64 = 1 << 30;

/// Alignment in bytes of every buffer binding and of every parameter block.
pub const BINDING_ALIGNMENT: u64 = 256;

/// Buffers are counted in whole granules: no buffer is declared as less than its size rounded up to this.
pub const ALLOCATION_GRANULE_BYTES: u64 = 4096;

/// The weight arena is counted in whole granules of this size, to which drivers align tiled textures.
pub const TEXTURE_GRANULE_BYTES: u64 = 64 * 1024;

/// Position of a page in the page stream (and in the file).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PageId(pub u32);

/// A layer of the weight arena.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SlotId(pub u32);

/// Element type of a public input or output. On the device, `F16` is widened to f32, `I64`, `U8` and `I8` are held as
/// i32 (with range checks on the way in), `Bool` as u32 0 or 1: every device element has 4 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ElementType {
    /// 32-bit float.
    F32,
    /// 16-bit float.
    F16,
    /// 32-bit signed integer.
    I32,
    /// 64-bit signed integer.
    I64,
    /// 8-bit unsigned integer.
    U8,
    /// 8-bit signed integer.
    I8,
    /// Boolean.
    Bool,
}

/// Shape of every page of a bundle: `PAGE_WIDTH_TEXELS` × `rows` texels, one layer of the arena texture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PageGeometry {
    /// Rows of texels; a power of two, so that texel indices split into page and offset by shifts.
    pub rows: u32,
}

impl PageGeometry {
    /// Texels in one page; a power of two.
    pub const fn texels(self) -> u32 {
        PAGE_WIDTH_TEXELS * self.rows
    }
    /// Bytes of one page: less than 2^44 whatever the rows.
    pub const fn page_bytes(self) -> u64 {
        PAGE_ROW_BYTES as u64 * self.rows as u64
    }
}

/// A range of one of the buffers that dispatches bind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct BufferSlice {
    /// Which buffer.
    pub buffer: Buffer,
    /// Start, a multiple of [`BINDING_ALIGNMENT`].
    pub offset_bytes: u64,
    /// Length, a multiple of 4.
    pub size_bytes: u64,
}

/// The buffers that dispatches bind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Buffer {
    /// The activation arena; read and written.
    Activations,
    /// The resident constants; never written after loading, but bound like activations so that kernels need no variants.
    Constants,
    /// What lives from run to run: zeros when a session opens.
    States,
}

/// A tensor that lives from run to run: what the model calls an output of one run and an input of the next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The ONNX name of the input.
    pub input: String,
    /// The ONNX name of the output.
    pub output: String,
    /// Element type of both in the model.
    pub element: ElementType,
    /// Dimensions.
    pub shape: Vec<u64>,
    /// Where it lies, in the state buffer.
    pub slice: BufferSlice,
    /// Where a run leaves what the next one finds, in the activation arena: copied when the run has ended well. `None` where a
    /// dispatch changes the state where it lies.
    pub next: Option<BufferSlice>,
}

/// A public input or output: a dense row-major tensor at `slice` of the activation arena.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Port {
    /// The ONNX name.
    pub name: String,
    /// Element type at the API.
    pub element: ElementType,
    /// Dimensions; empty for a scalar.
    pub shape: Vec<u64>,
    /// Where it lies on the device. `None` for an input that only the host reads (indices of a row gather) or nothing does.
    pub slice: Option<BufferSlice>,
}

/// An i32 that must be 0 after a run: otherwise a 64-bit integer of this node needed more than the 32 bits that the device has,
/// and no output is right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct IntegerCheck {
    /// ONNX node name.
    pub node: NameId,
    /// Where it lies on the device.
    pub slice: BufferSlice,
}

/// A table of rows in the bundle's `rows` section (an embedding), of which a run reads only the rows that it needs.
/// A row is stored as its elements followed by the CRC-32C of these bytes (4 bytes, little endian).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowTable {
    /// The ONNX initialiser's name.
    pub name: String,
    /// Start of row 0 from the start of the `rows` section.
    pub offset_bytes: u64,
    /// Number of rows.
    pub rows: u32,
    /// Elements of one row.
    pub row_elements: u32,
    /// Precision in the file.
    pub encoding: Encoding,
}

impl RowTable {
    /// Bytes of one stored row without its checksum.
    pub const fn row_bytes(&self) -> u64 {
        self.encoding.line_bytes(self.row_elements as u64)
    }
    /// Distance from one row to the next: the row's bytes and its checksum.
    pub const fn row_stride_bytes(&self) -> u64 {
        self.row_bytes() + 4
    }
}

/// Rows `indices[i]` of `table`, as f32, dense, for every place `i`; done by the host when a run starts.
/// Negative indices count from the end, as in ONNX Gather; an index out of range is the caller's error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowGather {
    /// Position in [`Plan::row_tables`].
    pub table: u32,
    /// Which rows.
    pub indices: RowIndices,
    /// Destination: count of the indices × row elements × 4 bytes.
    pub destination: BufferSlice,
    /// ONNX node name.
    pub node: NameId,
}

/// A pipeline: one linked WGSL module with one entry point `main` and one bind group.
/// Binding 0 is the uniform parameter block; binding 1 the weight arena when `uses_weights`; `2..2 + storage_bindings`
/// are storage buffers, all declared `read_write`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pipeline {
    /// Name for people: the kernel and its epilogue.
    pub label: String,
    /// WGSL source.
    pub source: String,
    /// What takes the place of `source` on devices that multiply matrices of 16 x 16 halves.
    pub cooperative: Option<Cooperative>,
    /// Bytes of the parameter block.
    pub params_bytes: u32,
    /// Whether binding 1, the weight arena, is used.
    pub uses_weights: bool,
    /// Number of storage buffers from binding 2 on.
    pub storage_bindings: u32,
    /// Invocations of a workgroup in x, y and z.
    pub workgroup_size: [u32; 3],
    /// Bytes of workgroup memory.
    pub workgroup_bytes: u32,
}

impl Pipeline {
    /// Its source, and the cooperative one if it has one.
    pub fn sources(&self) -> impl Iterator<Item = &String> {
        [&self.source].into_iter().chain(self.cooperative.iter().map(|other| &other.source))
    }
    /// The same, to be changed.
    pub fn sources_mut(&mut self) -> impl Iterator<Item = &mut String> {
        [&mut self.source].into_iter().chain(self.cooperative.iter_mut().map(|other| &mut other.source))
    }
}

/// Another module for a pipeline, with the same parameters, bindings and workgroups: it multiplies matrices of 16 x 16 halves whose sums
/// are f32, in subgroups of 32. A device without these takes the pipeline's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cooperative {
    /// WGSL source.
    pub source: String,
    /// Bytes of workgroup memory.
    pub workgroup_bytes: u32,
}

/// How a kernel reacts to copies that run beside it (the paper's classes).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OperatorClass {
    /// One output from few inputs, bound by memory (additions, activations).
    Elemental,
    /// Inputs are used many times (matrix multiplication, convolution).
    Reusable,
    /// Several dependent passes (softmax, norms).
    Hierarchical,
}

/// One kernel call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Dispatch {
    /// Position in [`Plan::pipelines`].
    pub pipeline: u32,
    /// Start of this call's parameters in [`Plan::params`]; a multiple of [`BINDING_ALIGNMENT`].
    pub params_offset_bytes: u64,
    /// Storage buffers, in binding order from 2.
    pub bindings: Vec<BufferSlice>,
    /// Workgroups in x, y and z.
    pub workgroups: [u32; 3],
    /// Weight pages that it reads, if any.
    pub weights: Option<DispatchWeights>,
    /// ONNX node names that it computes, joined by `+`.
    pub node: NameId,
    /// Rounds that the loops of one invocation take in all, at most.
    pub loop_rounds: u32,
    /// Its class.
    pub class: OperatorClass,
    /// Predicted execution time without any upload beside it, from 0 to [`MAX_PREDICTED_US`].
    pub predicted_us: f64,
    /// Pages whose upload it is predicted to hide.
    pub capacity_pages: u32,
}

/// The pages of a dispatch and where their slots stand in its parameters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DispatchWeights {
    /// First page.
    pub first_page: PageId,
    /// Number of pages, at most [`MAX_PAGES_PER_DISPATCH`].
    pub page_count: u32,
    /// Offset of the slot table within the parameter block: `page_count` u32, the slot of each page in order.
    pub slots_offset_bytes: u32,
}

/// One command of a command list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// Copy a page from staging into its slot. The k-th load of a run (k counts within its list) uses staging buffer
    /// k mod `staging_pages`.
    Load {
        /// The page.
        page: PageId,
        /// Its slot.
        slot: SlotId,
    },
    /// The page is no longer needed: its slot may be overwritten by a later load.
    Drop {
        /// The page.
        page: PageId,
    },
    /// Run [`Plan::dispatches`]`[index]`.
    Dispatch {
        /// Position in [`Plan::dispatches`].
        index: u32,
    },
    /// Hand everything encoded so far to the device.
    Submit,
}

/// Bytes of everything that a session holds, by kind. Buffers are rounded up to [`ALLOCATION_GRANULE_BYTES`], the arena to
/// [`TEXTURE_GRANULE_BYTES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct MemoryDeclaration {
    /// Weight arena: slots × page bytes.
    pub weight_arena_bytes: u64,
    /// Staging ring: staging pages × page bytes.
    pub staging_bytes: u64,
    /// Activation arena.
    pub activation_bytes: u64,
    /// Constants buffer.
    pub constant_bytes: u64,
    /// State buffer.
    pub state_bytes: u64,
    /// Parameter (uniform) buffer.
    pub params_bytes: u64,
    /// Staging of inputs and gathered rows.
    pub input_staging_bytes: u64,
    /// Read-back buffer (outputs are read back in pieces of this size).
    pub readback_bytes: u64,
    /// Host memory: outputs, one row of each gather, checksums and the decoded plan.
    pub host_bytes: u64,
}

impl MemoryDeclaration {
    /// The declared peak: everything above together. `None` on overflow.
    pub fn total_bytes(&self) -> Option<u64> {
        [
            self.weight_arena_bytes,
            self.staging_bytes,
            self.activation_bytes,
            self.constant_bytes,
            self.state_bytes,
            self.params_bytes,
            self.input_staging_bytes,
            self.readback_bytes,
            self.host_bytes,
        ]
        .iter()
        .try_fold(0_u64, |sum, bytes| sum.checked_add(*bytes))
    }
}

/// What a device must offer.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Requirements {
    /// `max_texture_array_layers`.
    pub texture_array_layers: u32,
    /// `max_texture_dimension_2d`.
    pub texture_side: u32,
    /// `max_buffer_size`.
    pub buffer_bytes: u64,
    /// `max_storage_buffer_binding_size`.
    pub storage_binding_bytes: u64,
    /// `max_uniform_buffer_binding_size`.
    pub uniform_binding_bytes: u32,
    /// `max_storage_buffers_per_shader_stage`.
    pub storage_buffers: u32,
    /// `max_compute_workgroup_storage_size`.
    pub workgroup_bytes: u32,
    /// `max_compute_invocations_per_workgroup`.
    pub workgroup_invocations: u32,
    /// Largest workgroup size in x, y and z.
    pub workgroup_size: [u32; 3],
    /// `max_compute_workgroups_per_dimension`.
    pub workgroups_per_dimension: u32,
    /// Rounds that the loops of one invocation may take in all. No limit of WebGPU: CPU adapters end loops too soon.
    pub loop_rounds: u32,
}

/// How the schedule came about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// Name of the model: its file stem.
    pub model: String,
    /// BLAKE3 of the ONNX file, in hexadecimal.
    pub model_hash: String,
    /// Compiler name and version.
    pub compiler: String,
    /// The options that shaped the bundle, normalised, in order.
    pub options: Vec<(String, String)>,
    /// Strategy: `optimal`, ….
    pub strategy: String,
    /// Solver's name and version.
    pub solver: String,
    /// `optimal`, `feasible` or `greedy`.
    pub solver_status: String,
    /// Proven relative gap of the predicted time to its lower bound.
    pub solver_gap: f64,
    /// Name of the device profile.
    pub profile: String,
    /// Disk rate that the prediction assumes, bytes per second.
    pub disk_bytes_per_second: f64,
    /// Rate of uploads that no dispatch hides that it assumes, bytes per second.
    pub upload_bytes_per_second: f64,
}

/// A whole plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Names of nodes, for people, in order of first use. Nothing but this table, the names of public tensors and row tables,
    /// and the provenance depends on what a model calls its nodes.
    pub names: Vec<String>,
    /// How it came about.
    pub provenance: Provenance,
    /// What the device must offer.
    pub requirements: Requirements,
    /// Public inputs, in ONNX order.
    pub inputs: Vec<Port>,
    /// Public outputs, in ONNX order.
    pub outputs: Vec<Port>,
    /// Words that must be 0 after a run.
    pub checks: Vec<IntegerCheck>,
    /// What lives from run to run, in the order of the state buffer.
    pub states: Vec<State>,
    /// Shape of every page.
    pub page: PageGeometry,
    /// Pages in the file.
    pub page_count: u32,
    /// Layers of the weight arena; 0 when the model has no weights.
    pub slot_count: u32,
    /// Most slots that the schedule of the first command list was made for.
    pub slot_cap: u32,
    /// Buffers of the staging ring; 0 when the model has no weights.
    pub staging_pages: u32,
    /// Bytes of weights (in pages, without the padding of the last one, and in row tables) at the stored precision.
    pub weight_bytes: u64,
    /// Tables of which single rows are read.
    pub row_tables: Vec<RowTable>,
    /// Gathers done by the host when a run starts.
    pub row_gathers: Vec<RowGather>,
    /// Elements of inputs and outputs that are indices, which the host checks.
    pub index_bounds: Vec<IndexBound>,
    /// Pipelines in order of first use.
    pub pipelines: Vec<Pipeline>,
    /// Parameter blocks of all dispatches, uploaded once.
    pub params: Vec<u8>,
    /// Kernel calls in order.
    pub dispatches: Vec<Dispatch>,
    /// The command list of a run that finds the arena empty: the first one, and the one after a run that failed.
    pub commands: Vec<Command>,
    /// The command list of a run after a completed one. It finds resident what the run before left, and leaves the same. Empty
    /// when later runs start with an empty arena, too.
    pub repeat_commands: Vec<Command>,
    /// Bytes of the activation arena, before rounding.
    pub activation_bytes: u64,
    /// Memory by kind; its total is the declared peak.
    pub memory: MemoryDeclaration,
    /// The budget that the plan was made for; `None` when none was given.
    pub budget_bytes: Option<u64>,
    /// Predicted time from the start of reading to the end of the last dispatch, of a run with an empty arena.
    pub predicted_cold_us: u64,
    /// The same of a run after a completed one.
    pub predicted_warm_us: u64,
}

impl Plan {
    /// A name; empty where a plan that was not validated has none.
    pub fn name(&self, id: NameId) -> &str {
        self.names.get(id.0 as usize).map_or("", String::as_str)
    }
}
