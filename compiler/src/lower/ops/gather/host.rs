//! What only the host reads: inputs that select rows, and whatever is computed of them for nothing else.
//!
//! Such nodes have no place on the device and become no calls.

use super::places::{RowPlaces, row_places};
use crate::graph::op::Op;
use crate::graph::{Graph, NodeId};
use std::collections::{BTreeMap, BTreeSet};

/// The row gathers of a graph and what only they need.
#[derive(Debug, Default)]
pub struct HostIndices {
    row_places: BTreeMap<NodeId, RowPlaces>,
    only_host: BTreeSet<NodeId>,
}

impl HostIndices {
    /// Looks through a graph.
    pub fn of(graph: &Graph) -> Self {
        let order = graph.topological_order();
        let places = |id: &NodeId| row_places(graph, *id).map(|places| (*id, places));
        let mut this = Self { row_places: order.iter().filter_map(places).collect(), only_host: BTreeSet::new() };
        let requested: BTreeSet<NodeId> = graph.results().map(|result| result.node).collect();
        let before = this.computed_from(graph);
        for id in order.into_iter().rev().filter(|id| before.contains(id) && !requested.contains(id)) {
            let users = graph.users(id);
            let known = !users.is_empty() || matches!(graph.node(id).op, Op::Input);
            if known && users.iter().all(|user| this.only_host.contains(user) || this.selects_rows(graph, id, *user)) {
                this.only_host.insert(id);
            }
        }
        this
    }

    /// The indices of a gather whose rows the host reads.
    pub fn row_places(&self, id: NodeId) -> Option<&RowPlaces> {
        self.row_places.get(&id)
    }

    /// Whether only the host reads a tensor.
    pub fn is_only_host(&self, id: NodeId) -> bool {
        self.only_host.contains(&id)
    }

    /// Inputs, and all that the indices of row gathers are computed from.
    fn computed_from(&self, graph: &Graph) -> BTreeSet<NodeId> {
        let mut found: BTreeSet<NodeId> = graph.inputs.iter().map(|input| input.node).collect();
        let mut stack: Vec<NodeId> = self.row_places.keys().map(|gather| graph.operands(*gather)[1]).collect();
        while let Some(id) = stack.pop() {
            let is_new = found.insert(id);
            if is_new && graph.constant(id).is_none() {
                stack.extend(graph.operands(id));
            }
        }
        found
    }

    /// Whether all that a node reads of a tensor is which rows to gather.
    fn selects_rows(&self, graph: &Graph, id: NodeId, user: NodeId) -> bool {
        let positions = |(at, operand): (usize, &NodeId)| (*operand == id).then_some(at);
        self.row_places.contains_key(&user) && graph.operands(user).iter().enumerate().filter_map(positions).eq([1])
    }
}
