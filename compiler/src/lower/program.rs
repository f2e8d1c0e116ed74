//! The program: kernel calls in order, with their buffers, parameters and weights, before anything is scheduled.
//!
//! `lower` makes it from a graph; `schedule` decides when pages move; `pack` writes the weights; `emit` links the kernels.
//! Offsets into the weight stream are texels of 16 bytes, whatever a weight is encoded in; offsets into buffers are bytes. It
//! deliberately says nothing about time.

use super::view::{TensorId, View};
use crate::cost::Cost;
use crate::emit::{Expression, LinkKey, is_cooperative};
use crate::graph::constant::Constant;
use crate::graph::importance::Importance;
use crate::graph::origin::{OriginId, OriginSet};
use crate::kernels::Kernel;
use crate::kernels::params::Params;
use flashmem_plan_format::indices::IndexBound;
use flashmem_plan_format::plan::{
    BufferSlice, Encoding, IntegerCheck, NameId, PageGeometry, Port, RowGather, RowTable, State,
};
use std::ops::Range;
use std::sync::Arc;

/// A weight in the texel stream.
#[derive(Debug, Clone)]
pub struct Weight {
    /// ONNX initialiser name.
    pub name: String,
    /// How its elements are stored.
    pub encoding: Encoding,
    /// First texel in the stream.
    pub texel_offset: u64,
    /// Texels, padding of panels included.
    pub texels: u64,
    /// Where the elements come from.
    pub packing: Packing,
    /// What errors of its elements are weighed with when they become small integers.
    pub importance: Option<Arc<Importance>>,
}

/// How a weight's texels follow from its elements: by group, by panel of columns, by row of as many k as a texel has steps, a
/// texel for four columns. Elements outside the weight are zero.
#[derive(Debug, Clone)]
pub struct Packing {
    /// The elements.
    pub constant: Constant,
    /// Element (group, k, n) lies at `group · group_stride + k_offset(k) + n · n_stride`.
    pub group_stride: usize,
    /// Sizes of the axes that make up k, outermost first.
    pub k_shape: Vec<usize>,
    /// Element stride of each of them.
    pub k_strides: Vec<usize>,
    /// Element strides and sizes of the axes that make up n, outermost first.
    pub n_shape: Vec<usize>,
    /// Element stride of each of them.
    pub n_strides: Vec<usize>,
    /// Number of groups.
    pub groups: usize,
    /// Columns of a panel, a multiple of 4; texel (group, panel, row, j) holds columns panel · width + 4 j ….
    pub panel_width: usize,
}

impl Packing {
    /// Product of the k axes.
    pub fn k(&self) -> usize {
        self.k_shape.iter().product()
    }
    /// Row-major positions of the elements of a line of k, relative to its first one.
    pub fn k_places(&self) -> Vec<usize> {
        places(&self.k_shape, &self.k_strides)
    }
    /// Row-major positions of the columns, relative to the first one.
    pub fn n_places(&self) -> Vec<usize> {
        places(&self.n_shape, &self.n_strides)
    }
    /// Product of the n axes.
    pub fn n(&self) -> usize {
        self.n_shape.iter().product()
    }
    /// Panels of one group.
    pub fn panels(&self) -> usize {
        self.n().div_ceil(self.panel_width)
    }
    /// Quads of columns of a panel: the texels of a row.
    pub const fn panel_quads(&self) -> usize {
        self.panel_width / 4
    }
    /// Rows of one panel.
    pub fn rows(&self, encoding: Encoding) -> usize {
        self.k().div_ceil(encoding.depth() as usize)
    }
    /// Texels of one panel, its head included.
    pub fn panel_texels(&self, encoding: Encoding) -> u64 {
        encoding.head_texels(self.k() as u64) + self.rows(encoding) as u64 * self.panel_quads() as u64
    }
    /// Texels of the whole weight.
    pub fn texels(&self, encoding: Encoding) -> u64 {
        self.groups as u64 * self.panels() as u64 * self.panel_texels(encoding)
    }
}

/// Positions of the elements of axes of these sizes and strides, the last one counting fastest.
pub fn places(shape: &[usize], strides: &[usize]) -> Vec<usize> {
    let mut list = vec![0];
    for (size, stride) in shape.iter().zip(strides) {
        list = list.iter().flat_map(|base| (0..*size).map(move |i| base + i * stride)).collect();
    }
    list
}

impl Weight {
    /// Texels of one panel.
    pub fn panel_texels(&self) -> u64 {
        self.packing.panel_texels(self.encoding)
    }
    /// Texels of the stream that these panels are, counted through all groups.
    pub fn texels_of(&self, panels: &Range<usize>) -> Range<u64> {
        let [start, end] = [panels.start, panels.end].map(|panel| panel as u64 * self.panel_texels());
        self.texel_offset + start..self.texel_offset + end
    }
}

/// One kernel call.
#[derive(Debug, Clone)]
pub struct Step {
    /// The kernel.
    pub kernel: Kernel,
    /// Its linked element-wise program: the pointwise kernel's body or another kernel's epilogue.
    pub expression: Option<Expression>,
    /// Parameters, all but the slot table.
    pub params: Params,
    /// Storage buffers from binding 2 on.
    pub bindings: Vec<BufferSlice>,
    /// Workgroups.
    pub workgroups: [u32; 3],
    /// Texels of the stream that it reads.
    pub weight_texels: Option<Range<u64>>,
    /// How what it reads is encoded.
    pub encoding: Option<Encoding>,
    /// ONNX node names, for people.
    pub node: NameId,
    /// Where operator and epilogue come from, when nodes became the epilogue of another.
    pub fused: Option<Fused>,
    /// Rounds that the loops of one invocation take in all, at most.
    pub rounds: u32,
    /// For prediction.
    pub cost: Cost,
}

impl Step {
    /// What its kernel is linked from.
    pub fn link_key(&self) -> LinkKey {
        let has_scale = self.params.word("x_scale") != 0;
        (self.kernel, self.encoding, has_scale && is_cooperative(self.kernel, self.encoding), self.expression.clone())
    }
}

/// The origins of a kernel that runs an operator and what was fused into it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fused {
    /// The operator's.
    pub operator: OriginSet,
    /// Those of its epilogue that are not the operator's.
    pub epilogue: Vec<OriginId>,
}

/// A table of which single rows are read, and its elements.
#[derive(Debug, Clone)]
pub struct RowSource {
    /// As the plan describes it.
    pub table: RowTable,
    /// (rows, row elements), dense.
    pub constant: Constant,
    /// As that of a [`Weight`].
    pub importance: Option<Arc<Importance>>,
}

/// A tensor of the program in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlacedTensor {
    /// Where it lies.
    pub slice: BufferSlice,
    /// Elements.
    pub elements: u64,
    /// Calls that were made to write it.
    pub writes: u32,
}

/// The tensors of one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accesses {
    /// One a binding: the output first.
    pub tensors: Vec<TensorId>,
    /// What the call was made from.
    pub views: Vec<View>,
}

/// Which tensors the slices of a program are of: for the checker of lowering, and nothing else.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tensors {
    /// All tensors, by id.
    pub table: Vec<PlacedTensor>,
    /// By step.
    pub calls: Vec<Accesses>,
    /// By public input; `None` where nothing reads it.
    pub inputs: Vec<Option<TensorId>>,
    /// By row gather.
    pub gathered: Vec<TensorId>,
    /// Those of the checks, then of the outputs.
    pub results: Vec<TensorId>,
    /// By state: what it is in, and what it is next where no call changes it in its place.
    pub states: Vec<(TensorId, Option<TensorId>)>,
}

/// A whole program.
#[derive(Debug, Clone)]
pub struct Program {
    /// Names of nodes, for people, in order of first use.
    pub names: Vec<String>,
    /// Shape of the pages that it was lowered for.
    pub page: PageGeometry,
    /// Public inputs.
    pub inputs: Vec<Port>,
    /// Public outputs.
    pub outputs: Vec<Port>,
    /// Words that must be 0 after a run.
    pub checks: Vec<IntegerCheck>,
    /// What lives from run to run.
    pub states: Vec<State>,
    /// Tables of rows.
    pub row_sources: Vec<RowSource>,
    /// Gathers that the host does.
    pub row_gathers: Vec<RowGather>,
    /// Elements of inputs and outputs that are indices.
    pub index_bounds: Vec<IndexBound>,
    /// Weights in stream order.
    pub weights: Vec<Weight>,
    /// Contents of the constants buffer.
    pub constants: Vec<u8>,
    /// Kernel calls.
    pub steps: Vec<Step>,
    /// Bytes of the activation arena.
    pub activation_bytes: u64,
    /// Whose the slices are.
    pub tensors: Tensors,
}

impl Program {
    /// A name.
    pub fn name(&self, id: NameId) -> &str {
        &self.names[id.0 as usize]
    }
    /// Texels of the weight stream.
    pub fn texels(&self) -> u64 {
        self.weights.last().map_or(0, |w| w.texel_offset + w.texels)
    }
    /// Pages of the weight stream.
    pub fn pages(&self) -> u64 {
        self.texels().div_ceil(u64::from(self.page.texels()))
    }
}
