//! The state of one lowering: tensors, their lifetimes, views of nodes, constants and the steps so far.
//!
//! The files of `lower/ops/` call it to read operands, make outputs and append kernel calls. It deliberately knows no
//! operator. Steps refer to tensors until [`Lowering::finish`] places them.

use super::blocks::exact;
use super::error::{LowerError, LowerOptions};
use super::memory::{self, Lifetime};
use super::ops::gather::host::HostIndices;
use super::program::{Accesses, Fused, Packing, PlacedTensor, Program, RowSource, Step, Tensors, Weight};
use super::site::{Names, Site};
use super::view::{TensorId, View};
use crate::cost::Cost;
use crate::emit::Expression;
use crate::graph::constant::{Constant, Storage};
use crate::graph::pointwise::Pointwise;
use crate::graph::{Graph, GraphPort, NodeId, Siblings};
use crate::kernels::params::Params;
use crate::kernels::rounds::of_program;
use crate::kernels::{Kernel, PANEL};
use crate::narrow::index32;
use flashmem_plan_format::plan::{
    BINDING_ALIGNMENT, Buffer, BufferSlice, Encoding, IntegerCheck, NameId, Port, RowGather, State,
};
use std::collections::BTreeMap;
use std::ops::Range;

/// Texels to which every weight is aligned in the stream: those of a panel's row, which kernels fetch from one row of a page.
const WEIGHT_ALIGNMENT_TEXELS: u64 = (PANEL / 4) as u64;

/// Where a tensor lives.
#[derive(Debug, Clone, Copy)]
enum Place {
    /// In the arena, with its lifetime in steps.
    Activation { first_step: u32, last_step: u32 },
    /// At a byte offset of the constants buffer.
    Constant { offset_bytes: u64 },
    /// A state, by number.
    State { state: usize },
}

#[derive(Debug, Clone, Copy)]
struct Tensor {
    elements: usize,
    place: Place,
}

/// A kernel call before placement.
#[derive(Debug, Clone)]
pub struct Call {
    /// The kernel.
    pub kernel: Kernel,
    /// Its linked element-wise program.
    pub expression: Option<Pointwise>,
    /// Parameters, all but the slot table.
    pub params: Params,
    /// Output, binding 2.
    pub output: TensorId,
    /// Operands: the kernel's own, then those of the program, one each. Equal ones share a binding in the end.
    pub inputs: Vec<TensorId>,
    /// Workgroups.
    pub workgroups: [u32; 3],
    /// Texels of the weight stream.
    pub weight_texels: Option<Range<u64>>,
    /// For prediction.
    pub cost: Cost,
}

impl Call {
    /// A call that writes a tensor, in one workgroup, without parameters, operands or cost so far.
    pub fn of(kernel: Kernel, output: TensorId) -> Self {
        let cost = Cost { class: kernel.row().class, flops: 0.0, bytes: 0.0 };
        let (params, inputs) = (Params::new(), Vec::new());
        Self { kernel, expression: None, params, output, inputs, workgroups: [1; 3], weight_texels: None, cost }
    }

    /// With these parameters.
    pub fn params(self, params: Params) -> Self {
        Self { params, ..self }
    }

    /// Reads these operands: the kernel's own, then those of the program.
    pub fn reads(self, inputs: impl IntoIterator<Item = TensorId>) -> Self {
        Self { inputs: inputs.into_iter().collect(), ..self }
    }

    /// Hook an element-wise program, if there is one.
    pub fn link(self, program: impl Into<Option<Pointwise>>) -> Self {
        Self { expression: program.into(), ..self }
    }

    /// In so many workgroups.
    pub fn over(self, workgroups: [u32; 3]) -> Self {
        Self { workgroups, ..self }
    }

    /// Reads these texels of the weight stream.
    pub fn weights(self, texels: Range<u64>) -> Self {
        Self { weight_texels: Some(texels), ..self }
    }

    /// With this cost, for prediction.
    pub fn cost(self, cost: Cost) -> Self {
        Self { cost, ..self }
    }

    /// Rounds that the loops of one invocation take in all, at most.
    pub fn rounds(&self) -> u64 {
        self.kernel.rounds(&self.params, self.expression.as_ref().map_or(0, of_program))
    }
}

/// The state of one lowering.
pub struct Lowering<'a> {
    graph: &'a Graph,
    options: &'a LowerOptions,
    host: HostIndices,
    tensors: Vec<Tensor>,
    views: BTreeMap<NodeId, View>,
    /// Positions of the siblings that products are of.
    siblings: BTreeMap<NodeId, usize>,
    /// Calls with what they are of and the views of their tensors that they were made from.
    calls: Vec<(Call, Site, Vec<View>)>,
    site: Site,
    names: Names,
    /// Views that were given out since the site was entered.
    call_views: Vec<View>,
    weights: Vec<Weight>,
    packed: BTreeMap<NodeId, usize>,
    constants: Vec<u8>,
    row_sources: Vec<RowSource>,
    row_gathers: Vec<(RowGather, TensorId)>,
    outputs: Vec<View>,
    /// By number.
    states: Vec<Option<TensorId>>,
}

impl<'a> Lowering<'a> {
    /// An empty program.
    pub fn new(graph: &'a Graph, options: &'a LowerOptions) -> Self {
        Self {
            graph,
            options,
            host: HostIndices::of(graph),
            tensors: Vec::new(),
            views: BTreeMap::new(),
            siblings: graph
                .siblings
                .iter()
                .zip(0..)
                .flat_map(|(s, at)| s.members.iter().map(move |id| (*id, at)))
                .collect(),
            calls: Vec::new(),
            site: Site::Result(0),
            names: Names::default(),
            call_views: Vec::new(),
            weights: Vec::new(),
            packed: BTreeMap::new(),
            constants: Vec::new(),
            row_sources: Vec::new(),
            row_gathers: Vec::new(),
            outputs: Vec::new(),
            states: vec![None; graph.states],
        }
    }

    /// The graph.
    pub const fn graph(&self) -> &'a Graph {
        self.graph
    }

    /// The options.
    pub const fn options(&self) -> &'a LowerOptions {
        self.options
    }

    /// What the host reads.
    pub const fn host(&self) -> &HostIndices {
        &self.host
    }

    /// A new dense activation of `shape`, alive from the step that is appended next.
    pub fn output(&mut self, shape: &[usize]) -> View {
        let step = index32(self.calls.len());
        let elements = shape.iter().product::<usize>();
        self.tensors.push(Tensor { elements, place: Place::Activation { first_step: step, last_step: step } });
        let view = View::dense(TensorId(index32(self.tensors.len()) - 1), shape);
        self.give(&view);
        view
    }

    /// A state as a run finds it, and as it leaves it where a call changes it in its place.
    pub fn state(&mut self, state: usize, shape: &[usize]) -> View {
        self.tensors.push(Tensor { elements: shape.iter().product(), place: Place::State { state } });
        let view = View::dense(TensorId(index32(self.tensors.len()) - 1), shape);
        self.states[state] = Some(view.tensor);
        self.give(&view);
        view
    }

    /// Whether the result at a position is what a state is next, and the view the whole of that very state.
    pub fn is_state(&self, position: usize, view: &View) -> bool {
        let seen = self.graph.checks.len() + self.graph.seen_outputs().len();
        let state = position.checked_sub(seen).and_then(|state| self.states[state]);
        let whole = self.tensors[view.tensor.0 as usize].elements == view.len() && view.is_dense();
        state == Some(view.tensor) && view.offset == 0 && whole
    }

    /// Notes a view for the calls that are made from it.
    fn give(&mut self, view: &View) {
        if !self.call_views.contains(view) {
            self.call_views.push(view.clone());
        }
    }

    /// How a lowered node lies in memory. A constant goes into the resident constants buffer on first use.
    pub fn view(&mut self, id: NodeId) -> View {
        if let Some(view) = self.views.get(&id).cloned() {
            self.give(&view);
            return view;
        }
        let constant = self.graph.constant(id).expect("operands are lowered before their users").clone();
        let view = self.resident(&constant);
        self.views.insert(id, view.clone());
        view
    }

    /// Says how a node lies in memory.
    pub fn set_view(&mut self, id: NodeId, view: View) {
        self.views.insert(id, view);
    }

    /// The power of two that brings what a product multiplies with its weight into the range of halves; 0 where none is known.
    pub fn x_scale(&self, product: NodeId) -> f32 {
        self.graph.scales.get(&product).copied().unwrap_or(0.0)
    }

    /// The siblings that a product is one of, with their position.
    pub fn siblings(&self, product: NodeId) -> Option<(usize, &'a Siblings)> {
        self.siblings.get(&product).map(|position| (*position, &self.graph.siblings[*position]))
    }

    /// Whether a node has been lowered.
    pub fn has_view(&self, id: NodeId) -> bool {
        self.views.contains_key(&id)
    }

    /// Puts a constant into the resident buffer, as 4-byte words.
    pub fn resident(&mut self, constant: &Constant) -> View {
        let offset_bytes = (self.constants.len() as u64).next_multiple_of(BINDING_ALIGNMENT);
        self.constants.resize(offset_bytes as usize, 0);
        self.constants.extend((0..constant.len()).flat_map(|i| constant.device_word_at(i).to_le_bytes()));
        self.tensors.push(Tensor { elements: constant.len(), place: Place::Constant { offset_bytes } });
        let view = View::dense(TensorId(index32(self.tensors.len()) - 1), &constant.shape);
        self.give(&view);
        view
    }

    /// Adds a weight to the stream, or finds it there when the same constant was packed the same way. Returns its index.
    /// Blocks of small integers lie along k.
    pub fn weight(&mut self, id: NodeId, packing: Packing) -> usize {
        let kept = packing.constant.as_quantized().and_then(|quantized| exact(quantized, &packing.k_places()));
        let encoding = kept.map_or_else(|| self.encoding_of(id), Encoding::Block);
        self.encoded_weight(id, packing, encoding)
    }

    /// The same where integers of the file stay such in the one packing, and everything else is floats in the other.
    pub fn weight_of_either(&mut self, id: NodeId, blocks: Packing, floats: Packing) -> usize {
        let kept = blocks.constant.as_quantized().and_then(|quantized| exact(quantized, &blocks.k_places()));
        match kept.map(Encoding::Block) {
            Some(encoding) if blocks.texels(encoding) < floats.texels(self.encoding_of(id)) => {
                self.encoded_weight(id, blocks, encoding)
            }
            Some(_) | None => self.float_weight(id, floats),
        }
    }

    /// The same for kernels that take floats only.
    pub fn float_weight(&mut self, id: NodeId, packing: Packing) -> usize {
        let encoding = match self.encoding_of(id) {
            Encoding::Block(_) => self.options.encoding,
            float @ (Encoding::F32 | Encoding::F16) => float,
        };
        self.encoded_weight(id, packing, encoding)
    }

    fn encoded_weight(&mut self, id: NodeId, packing: Packing, encoding: Encoding) -> usize {
        if let Some(index) = self.packed.get(&id) {
            let (old, same) = (&self.weights[*index].packing, self.weights[*index].encoding == encoding);
            if same
                && (&old.k_strides, &old.n_strides, &old.k_shape, &old.n_shape, old.groups, old.panel_width)
                    == (
                        &packing.k_strides,
                        &packing.n_strides,
                        &packing.k_shape,
                        &packing.n_shape,
                        packing.groups,
                        packing.panel_width,
                    )
            {
                return *index;
            }
        }
        let end = self.weights.last().map_or(0, |w| w.texel_offset + w.texels);
        let (texel_offset, texels) = (end.next_multiple_of(WEIGHT_ALIGNMENT_TEXELS), packing.texels(encoding));
        let importance = self.graph.importance.get(&id).cloned();
        self.weights.push(Weight { name: self.graph.label(id), encoding, texel_offset, texels, packing, importance });
        self.packed.insert(id, self.weights.len() - 1);
        self.weights.len() - 1
    }

    /// How a constant is stored when it is streamed or read row by row.
    pub fn encoding_of(&self, id: NodeId) -> Encoding {
        let floats = |constant: &Constant| match (constant.as_quantized(), constant.storage) {
            (None, _) => self.options.encoding,
            (Some(_), Storage::F16) => Encoding::F16,
            (Some(_), Storage::F32 | Storage::I32 | Storage::Bool) => Encoding::F32,
        };
        let chosen = self.graph.encodings.get(&id).copied();
        chosen.unwrap_or_else(|| self.graph.constant(id).map_or(self.options.encoding, floats))
    }

    /// How the weight is encoded whose texels these are.
    fn encoding_at(&self, texels: &Range<u64>) -> Encoding {
        let behind = self.weights.partition_point(|weight| weight.texel_offset <= texels.start);
        behind.checked_sub(1).map_or(self.options.encoding, |index| self.weights[index].encoding)
    }

    /// A weight of the stream.
    pub fn weight_at(&self, index: usize) -> &Weight {
        &self.weights[index]
    }

    /// The calls to come are of this.
    pub fn enter(&mut self, site: Site) {
        self.site = site;
        self.call_views.clear();
    }

    /// Name of what is being lowered, for people.
    pub fn site_label(&self) -> String {
        self.site.label(self.graph)
    }

    /// Name of a node in the program.
    pub fn name_of(&mut self, id: NodeId) -> NameId {
        self.names.of(self.graph, Site::Node(id))
    }

    /// Where the operator and the epilogue come from that a call runs as one kernel. That of siblings is never undone: whether they
    /// are such depends on it.
    fn fused(&self, call: &Call, site: Site) -> Option<Fused> {
        let Site::Node(id) = site else { return None };
        if self.siblings.contains_key(&id) {
            return None;
        }
        let node = self.graph.node(id);
        let epilogue = self.graph.origins.without(node.epilogue_origin, node.origin);
        let linked = call.expression.is_some() && !epilogue.is_empty();
        linked.then_some(Fused { operator: node.origin, epilogue })
    }

    /// Appends a kernel call and keeps its tensors alive for it.
    pub fn call(&mut self, call: Call) {
        let step = index32(self.calls.len());
        for tensor in call.inputs.iter().chain([&call.output]) {
            self.touch(*tensor, step);
        }
        let bound = |view: &&View| view.tensor == call.output || call.inputs.contains(&view.tensor);
        let views = self.call_views.iter().filter(bound).cloned().collect();
        self.calls.push((call, self.site, views));
    }

    /// Rounds that the loops of one invocation may take, where the device ends them.
    pub const fn max_rounds(&self) -> Option<u64> {
        self.options.max_rounds
    }

    /// Adds a gather of rows that the host does when a run starts; its output is alive from the start.
    pub fn gather_rows(&mut self, gather: RowGather, output: TensorId) {
        self.keep_from_start(output);
        self.row_gathers.push((gather, output));
    }

    /// Adds a table of rows and gives its position.
    pub fn add_row_source(&mut self, source: RowSource) -> u32 {
        self.row_sources.push(source);
        index32(self.row_sources.len()) - 1
    }

    /// Row sources so far.
    pub fn row_sources(&self) -> &[RowSource] {
        &self.row_sources
    }

    /// Whether a view is the whole of an activation, dense.
    pub fn is_whole_activation(&self, view: &View) -> bool {
        let tensor = self.tensors[view.tensor.0 as usize];
        let whole = view.offset == 0 && view.len() == tensor.elements && view.is_dense();
        whole && matches!(tensor.place, Place::Activation { .. })
    }

    /// Says where the next of the graph's results lies: dense, in a tensor of its own.
    pub fn push_output(&mut self, view: View) {
        self.outputs.push(view);
    }

    fn touch(&mut self, tensor: TensorId, step: u32) {
        if let Place::Activation { last_step, .. } = &mut self.tensors[tensor.0 as usize].place {
            *last_step = (*last_step).max(step);
        }
    }

    fn keep_from_start(&mut self, tensor: TensorId) {
        if let Place::Activation { first_step, .. } = &mut self.tensors[tensor.0 as usize].place {
            *first_step = 0;
        }
    }

    fn keep_to_end(&mut self, tensor: TensorId) {
        let end = index32(self.calls.len());
        self.touch(tensor, end);
    }

    /// Places every tensor and gives the program.
    ///
    /// # Errors
    /// [`LowerError::TensorTooLarge`] when a tensor exceeds what one binding may hold, [`LowerError::TooManyRounds`] when an
    /// invocation takes more rounds than the device does.
    pub fn finish(mut self) -> Result<Program, LowerError> {
        let (slices, activation_bytes) = self.place();
        let slice = |tensor: TensorId| slices[tensor.0 as usize];
        self.check_limits(&slices)?;
        let port = |port: &GraphPort, tensor: Option<TensorId>| Port {
            name: port.name.clone(),
            element: port.element,
            shape: self.graph.node(port.node).shape.iter().map(|d| *d as u64).collect(),
            slice: tensor.map(slice),
        };
        let mut tensors = self.table(&slices);
        let inputs = self.graph.seen_inputs().iter().zip(&tensors.inputs).map(|(p, tensor)| port(p, *tensor)).collect();
        let results = self.graph.results().zip(&tensors.results).map(|(p, tensor)| port(p, Some(*tensor)));
        let outputs = results.skip(self.graph.checks.len()).collect();
        let check = |(position, tensor): (usize, &TensorId)| IntegerCheck {
            node: self.names.of(self.graph, Site::Result(position)),
            slice: slice(*tensor),
        };
        let checks = tensors.results.iter().take(self.graph.checks.len()).enumerate().map(check).collect();
        let mut index_bounds = Vec::with_capacity(self.graph.index_bounds.len());
        for bound in &self.graph.index_bounds {
            index_bounds.push(bound.clone().of(self.names.of_origin(self.graph, bound.node)));
        }
        let states = self.graph.state_ports().zip(&tensors.states).map(|((input, output), (now, next))| State {
            input: input.name.clone(),
            output: output.name.clone(),
            element: input.element,
            shape: self.graph.node(input.node).shape.iter().map(|d| *d as u64).collect(),
            slice: slice(*now),
            next: next.map(slice),
        });
        let states = states.collect();
        let mut steps = Vec::with_capacity(self.calls.len());
        for (c, site, views) in std::mem::take(&mut self.calls) {
            let (rounds, fused) = (c.rounds(), self.fused(&c, site));
            let (expression, inputs) = match c.expression {
                Some(program) => {
                    let (expression, inputs) = Expression::shared(c.kernel, program, &c.inputs);
                    (Some(expression), inputs)
                }
                None => (None, c.inputs),
            };
            let bound: Vec<TensorId> = [c.output].into_iter().chain(inputs).collect();
            steps.push(Step {
                kernel: c.kernel,
                expression,
                params: c.params,
                bindings: bound.iter().map(|t| slice(*t)).collect(),
                workgroups: c.workgroups,
                encoding: c.weight_texels.as_ref().map(|texels| self.encoding_at(texels)),
                weight_texels: c.weight_texels,
                node: self.names.of(self.graph, site),
                fused,
                rounds: u32::try_from(rounds).unwrap_or(u32::MAX),
                cost: c.cost,
            });
            tensors.calls.push(Accesses { tensors: bound, views });
        }
        let row_gathers =
            self.row_gathers.iter().map(|(g, t)| RowGather { destination: slice(*t), ..g.clone() }).collect();
        Ok(Program {
            names: self.names.into_texts(),
            page: self.options.page,
            inputs,
            outputs,
            checks,
            states,
            row_sources: self.row_sources,
            row_gathers,
            index_bounds,
            weights: self.weights,
            constants: self.constants,
            steps,
            activation_bytes,
            tensors,
        })
    }

    /// Where every tensor lies, and the bytes of the arena.
    fn place(&mut self) -> (Vec<BufferSlice>, u64) {
        for input in self.graph.seen_inputs() {
            if let Some(view) = self.views.get(&input.node) {
                self.keep_from_start(view.tensor);
            }
        }
        for tensor in self.outputs.iter().map(|v| v.tensor).collect::<Vec<_>>() {
            self.keep_to_end(tensor);
        }
        let lifetimes: Vec<Lifetime> = self
            .tensors
            .iter()
            .filter_map(|t| match t.place {
                Place::Activation { first_step, last_step } => {
                    Some(Lifetime { size_bytes: t.elements as u64 * 4, first_step, last_step })
                }
                Place::Constant { .. } | Place::State { .. } => None,
            })
            .collect();
        let (offsets, activation_bytes) = memory::place(&lifetimes);
        let mut next_activation = offsets.iter();
        let state_offsets = self.state_offsets();
        let slices = self
            .tensors
            .iter()
            .map(|t| {
                let size_bytes = (t.elements as u64 * 4).max(4);
                match t.place {
                    Place::Activation { .. } => BufferSlice {
                        buffer: Buffer::Activations,
                        offset_bytes: *next_activation.next().expect("one offset for each activation"),
                        size_bytes,
                    },
                    Place::Constant { offset_bytes } => {
                        BufferSlice { buffer: Buffer::Constants, offset_bytes, size_bytes }
                    }
                    Place::State { state } => {
                        BufferSlice { buffer: Buffer::States, offset_bytes: state_offsets[state], size_bytes }
                    }
                }
            })
            .collect();
        (slices, activation_bytes)
    }

    /// Where every state starts, one behind the other.
    fn state_offsets(&self) -> Vec<u64> {
        let mut end_bytes = 0_u64;
        let elements = |port: &GraphPort| self.graph.node(port.node).shape.iter().product::<usize>() as u64;
        let offsets = self.graph.state_ports().map(|(input, _)| {
            let start = end_bytes.next_multiple_of(BINDING_ALIGNMENT);
            end_bytes = start + (4 * elements(input)).max(4);
            start
        });
        offsets.collect()
    }

    /// That no call takes more rounds, and binds more bytes, than the device does.
    fn check_limits(&self, slices: &[BufferSlice]) -> Result<(), LowerError> {
        for (call, site, _) in &self.calls {
            if let Some(limit) = self.options.max_rounds.filter(|limit| call.rounds() > *limit) {
                let (node, kernel) = (site.label(self.graph), call.kernel.name());
                return Err(LowerError::TooManyRounds { node, kernel, rounds: call.rounds(), limit });
            }
            for tensor in call.inputs.iter().chain([&call.output]) {
                let size_bytes = slices[tensor.0 as usize].size_bytes;
                if size_bytes > self.options.max_binding_bytes {
                    return Err(LowerError::TensorTooLarge {
                        node: site.label(self.graph),
                        size_bytes,
                        limit_bytes: self.options.max_binding_bytes,
                    });
                }
            }
        }
        Ok(())
    }

    /// Whose the slices are, calls apart.
    fn table(&self, slices: &[BufferSlice]) -> Tensors {
        let mut writes = vec![0; slices.len()];
        self.calls.iter().for_each(|(call, ..)| writes[call.output.0 as usize] += 1);
        let placed = self.tensors.iter().zip(slices).zip(writes);
        let seen = self.outputs.len() - self.graph.states;
        let states = self.states.iter().zip(&self.outputs[seen..]).map(|(now, next)| {
            let now = now.expect("every input that is a state is lowered");
            (now, (next.tensor != now).then_some(next.tensor))
        });
        Tensors {
            table: placed
                .map(|((t, slice), writes)| PlacedTensor { slice: *slice, elements: t.elements as u64, writes })
                .collect(),
            calls: Vec::with_capacity(self.calls.len()),
            inputs: self.graph.seen_inputs().iter().map(|p| self.views.get(&p.node).map(|view| view.tensor)).collect(),
            gathered: self.row_gathers.iter().map(|(_, tensor)| *tensor).collect(),
            results: self.outputs[..seen].iter().map(|view| view.tensor).collect(),
            states: states.collect(),
        }
    }
}
