//! The operator graph, on petgraph: one node a tensor, one edge an operand.
//!
//! A node is an [`Op`] with its ONNX name, shape and element type, and optionally an epilogue: an element-wise program whose
//! input 0 is the operator's result and whose other inputs are the node's remaining operands, broadcast to the node's shape.
//! Public inputs and outputs are kept in ONNX order. The graph deliberately holds no layout and no memory decision.

pub mod bytes;
pub mod constant;
pub mod evaluate;
pub mod importance;
mod infer;
pub mod interpret;
pub mod kernel_op;
pub mod op;
pub mod origin;
pub mod pointwise;
pub mod quantized;
mod shape_error;
pub mod tensor;
pub mod verify;

use crate::narrow::index32;
use constant::{Constant, Dtype};
use flashmem_plan_format::encoding::Encoding;
use flashmem_plan_format::indices::IndexBound;
use flashmem_plan_format::plan::ElementType;
use importance::Importance;
use op::Op;
use origin::{IntoOrigin, OriginSet, Origins};
use petgraph::Direction;
use petgraph::stable_graph::{NodeIndex, StableDiGraph};
use petgraph::visit::EdgeRef;
use pointwise::Pointwise;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A node, which is also its tensor.
pub type NodeId = NodeIndex<u32>;

/// One tensor and what computes it.
#[derive(Debug, Clone)]
pub struct Node {
    /// The operator.
    pub op: Op,
    /// Applied to every element of the operator's result; input 0 is that element, the others are the operands after the
    /// operator's own.
    pub epilogue: Option<Pointwise>,
    /// Where the operator comes from.
    pub origin: OriginSet,
    /// Where the nodes that became its epilogue come from.
    pub epilogue_origin: OriginSet,
    /// Dimensions; empty for a scalar.
    pub shape: Vec<usize>,
    /// Element type, after the epilogue.
    pub dtype: Dtype,
}

/// A public input or output.
#[derive(Debug, Clone)]
pub struct GraphPort {
    /// ONNX name.
    pub name: String,
    /// Element type at the API.
    pub element: ElementType,
    /// The tensor.
    pub node: NodeId,
}

/// Products of one x with several constants, whose columns can be those of one product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Siblings {
    /// The products, at least two, in order of computation.
    pub members: Vec<NodeId>,
    /// Where they come from.
    pub origin: OriginSet,
    /// Rows of x.
    pub rows: usize,
    /// Columns of all of them, and of what lies between them.
    pub columns: usize,
    /// Most operands of an epilogue, of one of them or of all.
    pub operands: usize,
}

/// The graph.
#[derive(Debug, Clone, Default)]
pub struct Graph {
    nodes: StableDiGraph<Node, u32, u32>,
    /// Where nodes come from.
    pub origins: Origins,
    /// How constants are stored that are not stored as weights are by default: in f32, because half precision cannot hold them,
    /// or in blocks of small integers.
    pub encodings: BTreeMap<NodeId, Encoding>,
    /// Powers of two by which what products multiply with their weights can be made halves, where that is known.
    pub scales: BTreeMap<NodeId, f32>,
    /// What errors of constants are weighed with when they are rounded to small integers; those that have none weigh the same.
    pub importance: BTreeMap<NodeId, Arc<Importance>>,
    /// Products that may be computed in one call, in order of computation.
    pub siblings: Vec<Siblings>,
    /// Public inputs, in ONNX order. Their nodes are `Op::Input`.
    pub inputs: Vec<GraphPort>,
    /// Public outputs, in ONNX order.
    pub outputs: Vec<GraphPort>,
    /// How many of the last inputs are what the last outputs were in the run before, in the same order: states, which no caller
    /// sees. They then stand behind the others, in ONNX order among themselves.
    pub states: usize,
    /// Elements of public inputs and outputs that index an axis, and what they may be.
    pub index_bounds: Vec<IndexBound<OriginSet>>,
    /// Tensors of one i32, named after ONNX nodes: other than 0 when a 64-bit integer of the node needs more than 32 bits.
    pub checks: Vec<GraphPort>,
}

impl Graph {
    /// Everything that is requested from a run: checks, then public outputs, then what states are next.
    pub fn results(&self) -> impl Iterator<Item = &GraphPort> {
        self.checks.iter().chain(&self.outputs)
    }

    /// Public inputs that callers see.
    pub fn seen_inputs(&self) -> &[GraphPort] {
        &self.inputs[..self.inputs.len() - self.states]
    }

    /// Public outputs that callers see.
    pub fn seen_outputs(&self) -> &[GraphPort] {
        &self.outputs[..self.outputs.len() - self.states]
    }

    /// What states are in a run, and what they are in the next.
    pub fn state_ports(&self) -> impl Iterator<Item = (&GraphPort, &GraphPort)> {
        let (inputs, outputs) = (self.seen_inputs().len(), self.seen_outputs().len());
        self.inputs[inputs..].iter().zip(&self.outputs[outputs..])
    }

    /// The state whose value this node is when a run begins.
    pub fn state_of(&self, id: NodeId) -> Option<usize> {
        self.state_ports().position(|(input, _)| input.node == id)
    }

    /// Whether a node is what the state is next that its first operand is now, and the only reader of that: then it may change the
    /// state where it lies.
    pub fn updates_in_place(&self, id: NodeId) -> bool {
        let Some(first) = self.operands(id).first().copied() else { return false };
        let pairs = || self.state_ports().filter(|(input, _)| input.node == first);
        self.use_count(first) == 1 && pairs().any(|(_, output)| output.node == id)
    }

    /// Adds a node whose shape and type follow from its operator and operands.
    ///
    /// # Errors
    /// A sentence that says which operand does not fit, when the operator does not accept these operands.
    pub fn add(&mut self, op: Op, operands: &[NodeId], origin: impl IntoOrigin) -> Result<NodeId, ShapeError> {
        let shapes: Vec<(&[usize], Dtype)> =
            operands.iter().map(|id| (self.node(*id).shape.as_slice(), self.node(*id).dtype)).collect();
        let (shape, dtype) = infer::infer(&op, &shapes)?;
        Ok(self.add_shaped(op, operands, origin, shape, dtype))
    }

    /// Adds a node with a given shape and type: inputs, and operators whose shape is a parameter (`Reshape`, `Broadcast`,
    /// `Slice`, `Resize`). `verify` checks them.
    pub fn add_shaped(
        &mut self,
        op: Op,
        operands: &[NodeId],
        origin: impl IntoOrigin,
        shape: Vec<usize>,
        dtype: Dtype,
    ) -> NodeId {
        let origin = origin.into_origin(&mut self.origins);
        let epilogue_origin = OriginSet::NONE;
        let id = self.nodes.add_node(Node { op, epilogue: None, origin, epilogue_origin, shape, dtype });
        for (position, operand) in operands.iter().enumerate() {
            self.nodes.add_edge(*operand, id, index32(position));
        }
        id
    }

    /// Adds a constant.
    pub fn add_constant(&mut self, constant: Constant, origin: impl IntoOrigin) -> NodeId {
        let (shape, dtype) = (constant.shape.clone(), constant.dtype());
        self.add_shaped(Op::Constant(constant), &[], origin, shape, dtype)
    }

    /// A node.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id]
    }

    /// Where a node's result comes from: its operator and its epilogue.
    pub fn result_origin(&mut self, id: NodeId) -> OriginSet {
        let (origin, epilogue) = (self.node(id).origin, self.node(id).epilogue_origin);
        self.origins.merge(origin, epilogue)
    }

    /// Names of what a node comes from, for people.
    pub fn label(&self, id: NodeId) -> String {
        let node = self.node(id);
        self.origins.label(node.origin, node.epilogue_origin)
    }

    /// A node, to change. The caller keeps shape and type true.
    pub fn node_mut(&mut self, id: NodeId) -> &mut Node {
        &mut self.nodes[id]
    }

    /// The constant of a node, if it is one.
    pub fn constant(&self, id: NodeId) -> Option<&Constant> {
        if let Op::Constant(constant) = &self.nodes[id].op { Some(constant) } else { None }
    }

    /// Operands in order: the operator's own, then the epilogue's.
    pub fn operands(&self, id: NodeId) -> Vec<NodeId> {
        let mut edges: Vec<(u32, NodeId)> =
            self.nodes.edges_directed(id, Direction::Incoming).map(|e| (*e.weight(), e.source())).collect();
        edges.sort_unstable();
        edges.into_iter().map(|(_, source)| source).collect()
    }

    /// Number of operands that the operator itself takes; the others belong to the epilogue.
    pub fn op_operand_count(&self, id: NodeId) -> usize {
        let epilogue = self.nodes[id].epilogue.as_ref().map_or(0, |e| e.inputs.len() - 1);
        self.nodes.edges_directed(id, Direction::Incoming).count() - epilogue
    }

    /// Nodes that read this one, each once, in index order.
    pub fn users(&self, id: NodeId) -> Vec<NodeId> {
        let mut users: Vec<NodeId> = self.nodes.neighbors_directed(id, Direction::Outgoing).collect();
        users.sort_unstable();
        users.dedup();
        users
    }

    /// How often the tensor is read: operand positions plus public outputs.
    pub fn use_count(&self, id: NodeId) -> usize {
        self.nodes.edges_directed(id, Direction::Outgoing).count() + self.results().filter(|o| o.node == id).count()
    }

    /// Replaces the operands of a node.
    pub fn set_operands(&mut self, id: NodeId, operands: &[NodeId]) {
        let old: Vec<_> = self.nodes.edges_directed(id, Direction::Incoming).map(|e| e.id()).collect();
        for edge in old {
            self.nodes.remove_edge(edge);
        }
        for (position, operand) in operands.iter().enumerate() {
            self.nodes.add_edge(*operand, id, index32(position));
        }
    }

    /// Lets every reader of `old`, public outputs included, read `new` instead. `new` must not depend on `old` through
    /// a reader that is redirected: `new` itself keeps its operands.
    pub fn replace_uses(&mut self, old: NodeId, new: NodeId) {
        let edges: Vec<(petgraph::graph::EdgeIndex<u32>, NodeId, u32)> = self
            .nodes
            .edges_directed(old, Direction::Outgoing)
            .filter(|e| e.target() != new)
            .map(|e| (e.id(), e.target(), *e.weight()))
            .collect();
        for (edge, target, position) in edges {
            self.nodes.remove_edge(edge);
            self.nodes.add_edge(new, target, position);
        }
        for output in self.checks.iter_mut().chain(&mut self.outputs) {
            if output.node == old {
                output.node = new;
            }
        }
    }

    /// Removes everything that no public output needs; public inputs stay.
    pub fn prune(&mut self) {
        let mut live = BTreeSet::new();
        let mut stack: Vec<NodeId> = self.results().map(|o| o.node).chain(self.inputs.iter().map(|i| i.node)).collect();
        while let Some(id) = stack.pop() {
            if live.insert(id) {
                stack.extend(self.nodes.neighbors_directed(id, Direction::Incoming));
            }
        }
        self.nodes.retain_nodes(|_, id| live.contains(&id));
    }

    /// Every node after its operands. The order is depth-first from the outputs, operands first, so that values are
    /// computed close to their use; it depends on the graph alone.
    pub fn topological_order(&self) -> Vec<NodeId> {
        let mut order = Vec::with_capacity(self.nodes.node_count());
        let mut state = BTreeMap::new();
        let roots = self.inputs.iter().map(|i| i.node).chain(self.results().map(|o| o.node));
        for root in roots {
            let mut stack = vec![(root, false)];
            while let Some((id, expanded)) = stack.pop() {
                if expanded {
                    if state.insert(id, true) == Some(false) {
                        order.push(id);
                    }
                } else if let std::collections::btree_map::Entry::Vacant(entry) = state.entry(id) {
                    entry.insert(false);
                    stack.push((id, true));
                    for operand in self.operands(id).into_iter().rev() {
                        if !state.contains_key(&operand) {
                            stack.push((operand, false));
                        }
                    }
                }
            }
        }
        order
    }

    /// All nodes in index order.
    pub fn node_ids(&self) -> Vec<NodeId> {
        self.nodes.node_indices().collect()
    }
}

pub use shape_error::ShapeError;
