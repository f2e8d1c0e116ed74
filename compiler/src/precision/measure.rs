//! Errors of a network's outputs when some of its constants are others: by running it.
//!
//! The error of an output is its relative L2 distance from what the exact constants give, over all samples; that of the network
//! is its worst output's. Values of a small network are kept, so that a changed constant costs what depends on it only.

use crate::graph::constant::Constant;
use crate::graph::interpret::{evaluate_node, interpret};
use crate::graph::op::Op;
use crate::graph::tensor::Tensor;
use crate::graph::{Graph, NodeId};
use std::collections::BTreeMap;

/// Device words of every public input.
pub type Sample = Vec<Vec<u32>>;

/// Words of all values of all samples that are kept, at most.
const KEPT_WORDS: usize = 64 << 20;

/// A network with what it gives.
pub struct Measured<'a> {
    graph: &'a Graph,
    samples: &'a [Sample],
    /// By sample, the outputs.
    outputs: Vec<Vec<Vec<u32>>>,
    /// By sample, every value; empty for a large network.
    kept: Vec<BTreeMap<NodeId, Tensor>>,
}

impl<'a> Measured<'a> {
    /// Runs a network.
    pub fn new(graph: &'a Graph, samples: &'a [Sample]) -> Self {
        let words = |id: &NodeId| graph.node(*id).shape.iter().product::<usize>();
        let all: usize = graph.node_ids().iter().map(words).sum();
        if all.saturating_mul(samples.len()) > KEPT_WORDS {
            return Self::of_outputs(graph, samples, samples.iter().map(|sample| interpret(graph, sample)).collect());
        }
        let mut found = Self { graph, samples, outputs: Vec::new(), kept: Vec::new() };
        for sample in samples {
            let values = found.values(sample, &BTreeMap::new(), &BTreeMap::new());
            let output = |port: &crate::graph::GraphPort| values[&port.node].words.clone();
            found.outputs.push(graph.outputs.iter().map(output).collect());
            found.kept.push(values);
        }
        found
    }

    /// A network whose outputs are known.
    pub const fn of_outputs(graph: &'a Graph, samples: &'a [Sample], outputs: Vec<Vec<Vec<u32>>>) -> Self {
        Self { graph, samples, outputs, kept: Vec::new() }
    }

    /// The error with these constants in the place of others.
    pub fn error_with(&self, constants: &BTreeMap<NodeId, Constant>) -> f64 {
        let of_sample = |(index, sample): (usize, &Sample)| match self.kept.get(index) {
            Some(kept) => {
                let changed = self.values(sample, kept, constants);
                let value = |id: &NodeId| changed.get(id).unwrap_or_else(|| &kept[id]).words.clone();
                self.graph.outputs.iter().map(|port| value(&port.node)).collect()
            }
            None => {
                let mut graph = self.graph.clone();
                for (id, constant) in constants {
                    graph.node_mut(*id).op = Op::Constant(constant.clone());
                }
                interpret(&graph, sample)
            }
        };
        let found: Vec<Vec<Vec<u32>>> = self.samples.iter().enumerate().map(of_sample).collect();
        self.error(&found)
    }

    /// The error of outputs, by sample.
    fn error(&self, found: &[Vec<Vec<u32>>]) -> f64 {
        let of_output = |(index, port): (usize, &crate::graph::GraphPort)| {
            let dtype = self.graph.node(port.node).dtype;
            let tensor = |words: &Vec<u32>| Tensor { shape: vec![words.len()], dtype, words: words.clone() };
            let (mut difference, mut norm) = (0.0, 0.0);
            for (found, exact) in found.iter().zip(&self.outputs) {
                let (found, exact) = (tensor(&found[index]), tensor(&exact[index]));
                for at in (0..exact.words.len()).filter(|at| exact.value(*at).is_finite()) {
                    difference += (found.value(at) - exact.value(at)).powi(2);
                    norm += exact.value(at).powi(2);
                }
            }
            let relative: f64 = difference / norm.max(f64::MIN_POSITIVE);
            if difference == 0.0 { 0.0 } else { relative.sqrt() }
        };
        let errors = self.graph.outputs.iter().enumerate().map(of_output);
        errors.fold(0.0, |worst, error| if error.is_nan() { f64::INFINITY } else { worst.max(error) })
    }

    /// Values of the nodes that differ from what is kept, or of all where nothing is.
    fn values(
        &self,
        sample: &Sample,
        kept: &BTreeMap<NodeId, Tensor>,
        constants: &BTreeMap<NodeId, Constant>,
    ) -> BTreeMap<NodeId, Tensor> {
        let mut changed: BTreeMap<NodeId, Tensor> = BTreeMap::new();
        for (port, words) in self.graph.inputs.iter().zip(sample).filter(|_| kept.is_empty()) {
            let node = self.graph.node(port.node);
            changed.insert(port.node, Tensor { shape: node.shape.clone(), dtype: node.dtype, words: words.clone() });
        }
        for id in self.graph.topological_order() {
            let operands = self.graph.operands(id);
            let is_new = !kept.contains_key(&id) || operands.iter().any(|operand| changed.contains_key(operand));
            if let Some(constant) = constants.get(&id) {
                changed.insert(id, Tensor::from_constant(constant));
            } else if is_new && !changed.contains_key(&id) {
                let value = |operand: &NodeId| changed.get(operand).unwrap_or_else(|| &kept[operand]);
                let operands: Vec<&Tensor> = operands.iter().map(value).collect();
                let value = evaluate_node(self.graph, id, &operands);
                changed.insert(id, value);
            }
        }
        changed
    }
}
