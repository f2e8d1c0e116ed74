//! What a translation works with: the graph under construction, tract's values that were translated, and helpers that emit
//! nodes under the name of the ONNX node being translated.
//!
//! Constants are translated when something first reads them, so that parameters that tract keeps as tensors (sizes of a
//! resize, say) leave nothing behind. It deliberately knows no operator.

use super::super::composed::Composed;
use super::super::error::ImportError;
use super::super::failure::{Failure, Stage};
use super::super::model::Model;
use super::super::preflight::invalid::Invalid;
use super::super::preflight::limits::MAX_FOLDED_BYTES;
use crate::graph::bytes::SharedBytes;
use crate::graph::constant::{Constant, Dtype, Storage};
use crate::graph::op::Op;
use crate::graph::origin::OriginSet;
use crate::graph::pointwise::{Literal, Pointwise};
use crate::graph::{Graph, GraphPort, NodeId, ShapeError};
pub use crate::import::dtype::dtype;
use crate::import::reason::{Reason, Unsupported};
use crate::lower::view::{TensorId, View};
use crate::narrow::index32;
use flashmem_plan_format::indices::{IndexBound, IndexPort, Walk};
use flashmem_plan_format::plan::ElementType;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::sync::Arc;
use tract_onnx::prelude::{DatumType, OutletId, TDim, Tensor, TractError, TypedFact, TypedModel, TypedNode};
use tract_onnx::tract_core::ops::konst::Const;
use tract_onnx::tract_core::ops::source::TypedSource;
use tract_onnx::tract_hir::internal::DimLike;

/// Why a node is not translated.
#[derive(Debug)]
pub enum Refusal {
    /// The operator has no translation.
    Operator,
    /// This variant of the operator has none.
    Variant(Reason),
    /// Import cannot go on.
    Fatal(ImportError),
}

impl From<ImportError> for Refusal {
    fn from(error: ImportError) -> Self {
        Self::Fatal(error)
    }
}

impl From<Reason> for Refusal {
    fn from(reason: Reason) -> Self {
        Self::Variant(reason)
    }
}

impl From<TractError> for Refusal {
    fn from(error: TractError) -> Self {
        Self::Fatal(Failure::new(Stage::Translate, super::super::stopped::one_line(&error)).into())
    }
}

/// The outputs of a node.
pub type Outcome = Result<Vec<NodeId>, Refusal>;

/// A refusal of one variant of an operator.
pub fn variant<T>(reason: impl Into<Reason>) -> Result<T, Refusal> {
    Err(Refusal::Variant(reason.into()))
}

/// A size that tract knows.
pub fn size(dim: &TDim) -> Result<usize, Refusal> {
    dim.to_usize().or_else(|_| variant("a size that depends on data"))
}

struct TensorBytes(Arc<Tensor>);

impl AsRef<[u8]> for TensorBytes {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

/// What translates one node, body and all.
pub type TranslateNode = for<'m> fn(&mut Translator<'m>, &'m TypedNode) -> Outcome;

/// The graph under construction.
pub struct Translator<'m> {
    /// For the nodes of bodies.
    translate: TranslateNode,
    typed: &'m TypedModel,
    model: Model,
    graph: Graph,
    values: BTreeMap<(usize, usize), NodeId>,
    /// Where the node being translated comes from, and its operator type.
    origin: OriginSet,
    op_type: Option<String>,
    /// Origins of ONNX nodes that were entered, by their position, and of what tract alone knows, by its name.
    nodes: BTreeMap<usize, OriginSet>,
    others: BTreeMap<String, OriginSet>,
    /// Computed indices that become outputs, and what they may be; `None` where they do not.
    checked: Option<Vec<(NodeId, IndexBound<OriginSet>)>>,
    unsupported: Unsupported,
    /// Nodes of 64-bit integers, and of the integers that these are computed from.
    wide: BTreeSet<NodeId>,
    /// How many nodes have a place in `wide` or none.
    typed_nodes: usize,
    /// Bytes of the tables that were made, of the whole model.
    table_bytes: u64,
}

impl<'m> Translator<'m> {
    /// Starts with the public inputs and the weights.
    pub fn new(
        typed: &'m TypedModel,
        mut model: Model,
        check_indices: bool,
        translate: TranslateNode,
    ) -> Result<Self, ImportError> {
        let weights = std::mem::take(&mut model.weights);
        let mut this = Self {
            typed,
            translate,
            model,
            graph: Graph::default(),
            values: BTreeMap::new(),
            origin: OriginSet::NONE,
            op_type: None,
            nodes: BTreeMap::new(),
            others: BTreeMap::new(),
            checked: check_indices.then(Vec::new),
            unsupported: Unsupported::default(),
            wide: BTreeSet::new(),
            typed_nodes: 0,
            table_bytes: 0,
        };
        let sources = super::super::guarded::guarded(Stage::Translate, || Ok(typed.input_outlets()?.to_vec()))?;
        let ports = this.model.inputs.clone();
        for (port, outlet) in ports.iter().zip(&sources) {
            let (shape, dtype) = this.fact(*outlet).map_err(|_| ImportError::InterfaceElement {
                name: port.name.clone(),
                element: format!("{:?}", port.element),
            })?;
            let node = this.graph.add_shaped(Op::Input, &[], &port.name, shape, dtype);
            this.graph.inputs.push(GraphPort { name: port.name.clone(), element: port.element, node });
            this.values.insert((outlet.node, outlet.slot), node);
        }
        for (weight, outlet) in weights.into_iter().zip(&sources[ports.len()..]) {
            let node = this.graph.add_constant(weight.constant, weight.name);
            this.values.insert((outlet.node, outlet.slot), node);
        }
        Ok(this)
    }

    /// Sets the provenance of the nodes to come.
    pub fn enter(&mut self, node: &TypedNode) {
        let index = self.model.names.index(&node.name);
        self.op_type = index.map(|index| self.model.names.op_type(index).to_owned());
        self.origin = match index {
            Some(index) => {
                *self.nodes.entry(index).or_insert_with(|| self.graph.origins.add(self.model.names.name(index)))
            }
            None => {
                let name = self.constant_name(&node.name);
                *self.others.entry(node.name.clone()).or_insert_with(|| self.graph.origins.add(name))
            }
        };
    }

    /// Records the outputs of a node, checked against tract, or why it has none.
    pub fn leave(&mut self, node: &TypedNode, outcome: Outcome) -> Result<(), ImportError> {
        let reason = match outcome {
            Ok(outputs) => return self.record(node, &outputs),
            Err(Refusal::Fatal(ImportError::Failed(failure))) => {
                return Err(failure.at(&self.name(), self.op_type.as_deref()).into());
            }
            Err(Refusal::Fatal(error)) => return Err(error),
            Err(Refusal::Operator) => None,
            Err(Refusal::Variant(reason)) => Some(reason),
        };
        let name = self.name();
        self.unsupported.add(self.op_type.as_deref().unwrap_or("an operator"), reason, &name);
        for slot in 0..node.outputs.len() {
            // Stands for the missing value, so that the rest of the model is looked at too.
            let (shape, dtype) = self.fact(OutletId::new(node.id, slot)).unwrap_or((vec![], Dtype::F32));
            let placeholder = self.graph.add_shaped(Op::Input, &[], self.origin, shape, dtype);
            self.values.insert((node.id, slot), placeholder);
        }
        Ok(())
    }

    fn record(&mut self, node: &TypedNode, outputs: &[NodeId]) -> Result<(), ImportError> {
        for (slot, id) in outputs.iter().enumerate() {
            let ours = (self.graph.node(*id).shape.clone(), self.graph.node(*id).dtype);
            if let Ok(tract) = self.fact(OutletId::new(node.id, slot))
                && tract != ours
                && self.unsupported.is_empty()
            {
                return Err(ImportError::Disagreement { node: self.name(), ours, tract });
            }
            self.values.insert((node.id, slot), *id);
        }
        Ok(())
    }

    /// Takes note of the integers that were added since the last call: 64 bits wide when the node's result is.
    pub fn note_width(&mut self, node: &TypedNode) {
        let added = self.graph.node_ids().split_off(self.typed_nodes);
        self.typed_nodes += added.len();
        if matches!(node.outputs[0].fact.datum_type, DatumType::I64 | DatumType::TDim) {
            self.wide.extend(added.into_iter().filter(|id| self.graph.node(*id).dtype == Dtype::I32));
        }
    }

    /// Runs `run` with the nodes of an inner model, whose values are forgotten afterwards. Names stay those of the outer node.
    pub fn with_body<R>(&mut self, body: &'m TypedModel, run: impl FnOnce(&mut Self) -> R) -> R {
        let typed = std::mem::replace(&mut self.typed, body);
        let values = std::mem::take(&mut self.values);
        let result = run(self);
        self.typed = typed;
        self.values = values;
        result
    }

    /// Translates the inner model once, with these values of its inputs; returns its outputs.
    pub fn run_body(&mut self, inputs: &[NodeId]) -> Outcome {
        let body = self.typed;
        for (outlet, id) in body.input_outlets()?.iter().zip(inputs) {
            self.values.insert((outlet.node, outlet.slot), *id);
        }
        for id in super::super::guarded::guarded(Stage::Translate, || body.eval_order())? {
            let node = &body.nodes()[id];
            if node.op_is::<Const>() || node.op_is::<TypedSource>() {
                continue;
            }
            let op = self.op_of(node);
            let inside = |reason| Refusal::Variant(Reason::Body { op: op.clone(), reason });
            let outputs = (self.translate)(self, node).map_err(|refusal| match refusal {
                Refusal::Operator => inside(None),
                Refusal::Variant(reason) => inside(Some(Box::new(reason))),
                Refusal::Fatal(error) => Refusal::Fatal(error),
            })?;
            for (slot, id) in outputs.into_iter().enumerate() {
                let mut id = id;
                let ours = (self.shape(id), self.dtype(id));
                if let Ok(tract) = self.fact(OutletId::new(node.id, slot))
                    && tract != ours
                {
                    // tract lets an operand with a batch of 1 stand for a larger one.
                    let widens =
                        ours.0.len() == tract.0.len() && ours.0.iter().zip(&tract.0).all(|(o, t)| o == t || *o == 1);
                    if ours.1 != tract.1 || !widens {
                        return variant(Reason::Body {
                            op: self.op_of(node),
                            reason: Some(Box::new(Reason::form("{} for {}", [ours.into(), tract.into()]))),
                        });
                    }
                    id = self.emit_shaped(Op::Broadcast, id, tract.0);
                }
                self.values.insert((node.id, slot), id);
            }
        }
        body.output_outlets()?.to_vec().into_iter().map(|outlet| self.operand(outlet)).collect()
    }

    /// The operator of the ONNX node that a node is of.
    fn op_of(&self, node: &TypedNode) -> String {
        let index = self.model.names.index(&node.name);
        index.map_or_else(|| "an operator".to_owned(), |index| self.model.names.op_type(index).to_owned())
    }

    /// Whether a value depends on constants alone.
    pub fn is_constant(&self, id: NodeId) -> bool {
        let mut seen = BTreeSet::from([id]);
        let mut waiting = vec![id];
        while let Some(id) = waiting.pop() {
            match self.graph.node(id).op {
                Op::Constant(_) => {}
                Op::Input => return false,
                Op::Pointwise(_)
                | Op::Einsum { .. }
                | Op::Conv { .. }
                | Op::Fold { .. }
                | Op::Unfold { .. }
                | Op::Pool { .. }
                | Op::Softmax { .. }
                | Op::Normalize { .. }
                | Op::Attention { .. }
                | Op::Reduce { .. }
                | Op::ArgReduce { .. }
                | Op::Gather { .. }
                | Op::Scatter { .. }
                | Op::Reshape
                | Op::Transpose { .. }
                | Op::Broadcast
                | Op::Slice { .. }
                | Op::Concat { .. }
                | Op::Pad { .. }
                | Op::Resize { .. }
                | Op::Kernel(_) => {
                    waiting.extend(self.graph.operands(id).into_iter().filter(|operand| seen.insert(*operand)))
                }
            }
        }
        true
    }

    /// Sets the public outputs and gives the graph with its nodes of 64-bit integers, or the report of everything unsupported.
    pub fn finish(mut self) -> Result<(Graph, BTreeSet<NodeId>), ImportError> {
        let outlets = super::super::guarded::guarded(Stage::Translate, || Ok(self.typed.output_outlets()?.to_vec()))?;
        for (port, outlet) in self.model.outputs.clone().iter().zip(outlets) {
            match self.operand(outlet) {
                Ok(node) => {
                    self.graph.outputs.push(GraphPort { name: port.name.clone(), element: port.element, node });
                }
                Err(Refusal::Fatal(error)) => return Err(error),
                Err(Refusal::Operator | Refusal::Variant(_)) => {
                    let element = format!("{:?}", port.element);
                    return Err(ImportError::InterfaceElement { name: port.name.clone(), element });
                }
            }
        }
        std::mem::take(&mut self.unsupported).or(())?;
        self.add_checked_outputs();
        self.graph.prune();
        // An input without elements, as the past of a first run has none, is taken where nothing reads it.
        let unread = |id: NodeId| {
            let given = self.graph.results().any(|result| result.node == id);
            matches!(self.graph.node(id).op, Op::Input) && !given && self.graph.users(id).is_empty()
        };
        let is_empty = |id: &NodeId| self.graph.node(*id).shape.contains(&0) && !unread(*id);
        match self.graph.topological_order().into_iter().find(is_empty) {
            None => Ok((self.graph, self.wide)),
            Some(id) => {
                Err(Invalid::Empty { node: self.graph.label(id), shape: self.graph.node(id).shape.clone() }.into())
            }
        }
    }

    /// The graph so far.
    pub const fn graph(&self) -> &Graph {
        &self.graph
    }

    /// ONNX type of the node being translated, as the model has it.
    pub fn op_type(&self) -> Option<&str> {
        self.op_type.as_deref()
    }

    /// Says what elements of a public tensor may be.
    pub fn add_bound(&mut self, bound: IndexBound<OriginSet>) {
        if !self.graph.index_bounds.contains(&bound) {
            self.graph.index_bounds.push(bound);
        }
    }

    /// Indices, those at `component` of the last axis if one is given, whose values are known on the device only.
    pub fn computed_indices(&mut self, indices: NodeId, component: Option<usize>, range: RangeInclusive<i64>) {
        let view = View::dense(TensorId(0), &self.graph.node(indices).shape);
        if self.checked.is_none() || view.is_empty() {
            return;
        }
        let mut shape: Vec<u64> = view.shape.iter().map(|extent| *extent as u64).collect();
        let mut strides = view.strides;
        if component.is_some() {
            shape.pop();
            strides.pop();
        }
        let (least, most) = range.into_inner();
        let (offset, node) = (component.unwrap_or(0) as u64, self.origin);
        let port = IndexPort::Output(0);
        let walk = Walk { offset, shape, strides };
        let bound = IndexBound { port, walk, least, most, except: None, node };
        self.checked.get_or_insert_default().push((indices, bound));
    }

    /// Makes computed indices public outputs.
    fn add_checked_outputs(&mut self) {
        let mut ports: Vec<NodeId> = Vec::new();
        let first = self.graph.outputs.len();
        for (indices, mut bound) in self.checked.take().unwrap_or_default() {
            let position = ports.iter().position(|known| *known == indices).unwrap_or_else(|| {
                let taken = |name: &str| self.graph.outputs.iter().any(|output| output.name == name);
                let plain = format!("indices of {}", self.graph.origins.label(bound.node, OriginSet::NONE));
                let numbered = (2..).map(|number| format!("{plain} ({number})"));
                let name = [plain.clone()].into_iter().chain(numbered).find(|name| !taken(name));
                let name = name.expect("there is a number that no output has");
                self.graph.outputs.push(GraphPort { name, element: ElementType::I32, node: indices });
                ports.push(indices);
                ports.len() - 1
            });
            bound.port = IndexPort::Output(index32(first + position));
            self.graph.index_bounds.push(bound);
        }
    }

    /// Where what is being translated comes from.
    pub const fn origin(&self) -> OriginSet {
        self.origin
    }

    /// Name of what is being translated, for people.
    pub fn name(&self) -> String {
        self.graph.origins.label(self.origin, OriginSet::NONE)
    }

    /// Name of a constant, for people: the longest name of an initialiser that tract's name starts with, for tract appends to
    /// names what it adds; else that of the ONNX node that it was computed for.
    fn constant_name(&self, tract: &str) -> String {
        let ends = tract.char_indices().map(|(i, _)| i).chain([tract.len()]).rev();
        let initialiser = ends.map(|end| &tract[..end]).find(|prefix| {
            let rest = tract[prefix.len()..].chars().next();
            self.model.initialisers.contains(*prefix) && !rest.is_some_and(char::is_alphanumeric)
        });
        let names = &self.model.names;
        match (initialiser, names.index(tract)) {
            (Some(initialiser), _) => names.text(initialiser),
            (None, Some(index)) => names.name(index).to_owned(),
            (None, None) => names.text(tract),
        }
    }

    /// Counts a table that is about to be made.
    ///
    /// # Errors
    /// With it, the model's tables have more bytes than constants that are folded may have.
    pub fn add_table(&mut self, bytes: u64) -> Result<(), Refusal> {
        self.table_bytes = self.table_bytes.saturating_add(bytes);
        if self.table_bytes <= MAX_FOLDED_BYTES {
            return Ok(());
        }
        let bytes = usize::try_from(self.table_bytes).unwrap_or(usize::MAX);
        variant(Reason::form("tables of {} bytes, more than are made for a model", [bytes.into()]))
    }

    /// Shape and type of a tract value.
    pub fn fact(&self, outlet: OutletId) -> Result<(Vec<usize>, Dtype), Refusal> {
        self.described(self.typed.outlet_fact(outlet)?)
    }

    fn described(&self, fact: &TypedFact) -> Result<(Vec<usize>, Dtype), Refusal> {
        let Some(shape) = fact.shape.as_concrete() else {
            let size = |dim: &TDim| dim.to_i64().map_or_else(|_| "?".to_owned(), |size| size.to_string());
            let sizes: Vec<String> = fact.shape.iter().map(size).collect();
            if fact.shape.iter().any(|dim| dim.to_string().contains("broadcast")) {
                return variant("the shapes of its operands do not broadcast");
            }
            return variant(Reason::form("its shape is not fixed: {}", [sizes.join("x").as_str().into()]));
        };
        match dtype(fact.datum_type) {
            Some(dtype) => Ok((shape.to_vec(), dtype)),
            None => variant(Reason::form("element type {}", [fact.datum_type.into()])),
        }
    }

    /// Shape and type of a node's output as tract sees them.
    pub fn output_fact(&self, node: &TypedNode) -> Result<(Vec<usize>, Dtype), Refusal> {
        self.fact(OutletId::new(node.id, 0))
    }

    /// tract's own type of an input.
    pub fn datum_type(&self, node: &TypedNode, input: usize) -> Result<DatumType, Refusal> {
        Ok(self.typed.outlet_fact(node.inputs[input])?.datum_type)
    }

    /// What computes an input.
    pub fn producer(&self, node: &TypedNode, input: usize) -> &'m TypedNode {
        &self.typed.nodes()[node.inputs[input].node]
    }

    /// The value of an input that tract knows.
    pub fn known(&self, node: &TypedNode, input: usize) -> Option<Arc<Tensor>> {
        let outlet = *node.inputs.get(input)?;
        self.typed.outlet_fact(outlet).ok()?.konst.clone()
    }

    /// Our node of an input.
    pub fn input(&mut self, node: &TypedNode, input: usize) -> Result<NodeId, Refusal> {
        self.operand(node.inputs[input])
    }

    /// Our nodes of all inputs.
    pub fn inputs(&mut self, node: &TypedNode) -> Result<Vec<NodeId>, Refusal> {
        node.inputs.iter().map(|outlet| self.operand(*outlet)).collect()
    }

    fn operand(&mut self, outlet: OutletId) -> Result<NodeId, Refusal> {
        if let Some(id) = self.values.get(&(outlet.node, outlet.slot)) {
            return Ok(*id);
        }
        let source = &self.typed.nodes()[outlet.node];
        let Some(konst) = source.op_as::<Const>() else {
            return variant("an operand that is never computed");
        };
        let name = self.constant_name(&source.name);
        let constant = self.constant(&name, konst.val())?;
        let id = self.graph.add_constant(constant, name);
        self.values.insert((outlet.node, outlet.slot), id);
        Ok(id)
    }

    fn constant(&self, name: &str, tensor: &Arc<Tensor>) -> Result<Constant, Refusal> {
        let shape = tensor.shape().to_vec();
        let datum = tensor.datum_type();
        if !tensor.is_plain() {
            return variant("a packed constant");
        }
        let storage = match dtype(datum) {
            Some(Dtype::F32) if datum == DatumType::F16 => Storage::F16,
            Some(Dtype::F32) => Storage::F32,
            Some(Dtype::Bool) => Storage::Bool,
            Some(Dtype::I32) => return integers(name, shape, tensor),
            None => return variant(Reason::form("element type {}", [datum.into()])),
        };
        let bytes: SharedBytes = Arc::new(TensorBytes(Arc::clone(tensor)));
        Ok(Constant::new(shape, storage, bytes).expect("a plain tract tensor is dense"))
    }

    /// Shape of one of our nodes.
    pub fn shape(&self, id: NodeId) -> Vec<usize> {
        self.graph.node(id).shape.clone()
    }

    /// Type of one of our nodes.
    pub fn dtype(&self, id: NodeId) -> Dtype {
        self.graph.node(id).dtype
    }

    /// Adds a node whose shape follows from its operands.
    pub fn emit(&mut self, op: Op, operands: &[NodeId]) -> Result<NodeId, Refusal> {
        let added = self.graph.add(op, operands, self.origin);
        self.added(added)
    }

    /// Adds the nodes of an operator that our graph spells.
    pub fn spell(&mut self, op: &Composed, x: NodeId) -> Result<NodeId, Refusal> {
        let added = op.spell(&mut self.graph, x, self.origin);
        self.added(added)
    }

    fn added(&self, added: Result<NodeId, ShapeError>) -> Result<NodeId, Refusal> {
        added.map_err(|error: ShapeError| {
            if self.unsupported.is_empty() {
                Refusal::Fatal(ImportError::Rejected { node: self.name(), error })
            } else {
                // The operands include placeholders whose shape may be unknown.
                Refusal::Variant("depends on an unsupported operator".into())
            }
        })
    }

    /// Adds a node whose shape is a parameter.
    pub fn emit_shaped(&mut self, op: Op, operand: NodeId, shape: Vec<usize>) -> NodeId {
        let dtype = self.dtype(operand);
        self.graph.add_shaped(op, &[operand], self.origin, shape, dtype)
    }

    /// Spatial sizes of what a pooling reads.
    pub fn pooled_shape(&self, id: NodeId) -> Option<Vec<usize>> {
        let Op::Pool { .. } = self.graph.node(id).op else { return None };
        let operand = self.graph.operands(id)[0];
        Some(self.graph.node(operand).shape[2..].to_vec())
    }

    /// Adds a constant.
    pub fn emit_constant(&mut self, constant: Constant) -> NodeId {
        self.graph.add_constant(constant, self.origin)
    }

    /// The same elements under another shape: of a constant another constant over the same bytes, of a reshape one reshape.
    pub fn reshape(&mut self, id: NodeId, shape: &[usize]) -> NodeId {
        let node = self.graph.node(id);
        if node.shape == shape {
            return id;
        }
        if let Op::Constant(constant) = &node.op
            && let Some(reshaped) = constant.reshaped(shape.to_vec())
        {
            let origin = node.origin;
            return self.graph.add_constant(reshaped, origin);
        }
        if matches!(node.op, Op::Reshape) {
            let source = self.graph.operands(id)[0];
            return self.reshape(source, shape);
        }
        self.emit_shaped(Op::Reshape, id, shape.to_vec())
    }

    /// Axes in another order; two transposes become one.
    pub fn transpose(&mut self, id: NodeId, mut permutation: Vec<usize>) -> Result<NodeId, Refusal> {
        let mut id = id;
        if let Op::Transpose { permutation: inner } = &self.graph.node(id).op {
            permutation.iter_mut().for_each(|axis| *axis = inner[*axis]);
            id = self.graph.operands(id)[0];
        }
        if permutation.iter().enumerate().all(|(i, p)| i == *p) {
            return Ok(id);
        }
        self.emit(Op::Transpose { permutation }, &[id])
    }

    /// An element-wise program; operands of lower rank get leading axes, constants of one element become literals.
    pub fn pointwise(&mut self, mut program: Pointwise, operands: &[NodeId]) -> Result<NodeId, Refusal> {
        let rank_of = |id: &NodeId| self.graph.node(*id).shape.len();
        let rank = operands.iter().map(rank_of).max().unwrap_or(0);
        // Some operand must stay to give the result its rank.
        let full = |id: &&NodeId| rank_of(id) == rank;
        let runtime = operands.iter().filter(full).find(|id| self.literal(**id).is_none());
        let shaping = runtime.or_else(|| operands.iter().find(full)).copied();
        let mut kept = Vec::with_capacity(operands.len());
        for id in operands {
            match self.literal(*id) {
                Some(literal) if Some(*id) != shaping => {
                    program = program.with_literal(index32(kept.len()), literal);
                }
                _ => {
                    let mut shape = vec![1; rank - self.graph.node(*id).shape.len()];
                    shape.extend_from_slice(&self.graph.node(*id).shape);
                    kept.push(self.reshape(*id, &shape));
                }
            }
        }
        self.emit(Op::Pointwise(program), &kept)
    }

    fn literal(&self, id: NodeId) -> Option<Literal> {
        let constant = self.graph.constant(id).filter(|c| c.len() == 1)?;
        let word = constant.device_word_at(0);
        Some(match constant.dtype() {
            Dtype::F32 => Literal::F32(word),
            Dtype::I32 => Literal::I32(word as i32),
            Dtype::Bool => Literal::Bool(word != 0),
        })
    }
}

fn integers(name: &str, shape: Vec<usize>, tensor: &Tensor) -> Result<Constant, Refusal> {
    let wide = tensor.cast_to::<i64>()?;
    let wide = wide.try_as_plain_ram()?;
    let narrow: Result<Vec<i32>, ImportError> = wide
        .as_slice::<i64>()?
        .iter()
        .map(|v| i32::try_from(*v).map_err(|_| ImportError::IntegerRange { name: name.to_owned(), value: *v }))
        .collect();
    Ok(Constant::from_i32(shape, &narrow?))
}
