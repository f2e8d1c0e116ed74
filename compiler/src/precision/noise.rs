//! What a run shows of how errors arise and spread: importance of weights, and how much noise every node passes on.
//!
//! One pass over a network, for every sample. Rounding a weight adds to the result of its product noise of the mean square
//! Σ m · δ² · r, with δ the weight's errors, m the mean squares of what its elements are multiplied by, and r elements of the
//! result for each of these. Noise passes on through a node by its gain, the quotient of the mean squares behind and before
//! it: of products the terms of a sum times the mean square of the other operand, of views and joins a share, of everything else
//! what the node makes of a little noise in one operand. Noise is taken to be white, and that of several operands independent, so
//! that mean squares add up; sensitivities then follow backwards from the outputs, for any number of weights at once.

use crate::graph::constant::Dtype;
use crate::graph::importance::Importance;
use crate::graph::interpret::{Evaluated, epilogue, evaluate, walk};
use crate::graph::op::Op;
use crate::graph::tensor::Tensor;
use crate::graph::{Graph, NodeId};
use crate::lower::streamed::streamed_weight;
use crate::precision::measure::Sample;
use flashmem_plan_format::random::SplitMix64;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Noise that is sent through a node, relative to what it is added to.
const NOISE: f64 = 1e-2;

/// What a weight's errors do to a network's outputs: a factor for every output.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Effect {
    /// Of Σ importance · δ².
    pub weighed: Vec<f64>,
    /// Of Σ δ².
    pub plain: Vec<f64>,
}

/// What runs show.
pub struct Activity {
    /// By constant that is a weight of products or convolutions.
    pub importance: BTreeMap<NodeId, Arc<Importance>>,
    /// By constant.
    pub effects: BTreeMap<NodeId, Effect>,
    /// By sample, the outputs.
    pub outputs: Vec<Vec<Vec<u32>>>,
}

/// Mean squares of what a weight's elements are multiplied by, added up over samples and uses.
struct Squares {
    shape: Vec<usize>,
    sums: Vec<f64>,
    count: f64,
}

/// Runs a network with the exact constants; `stored` are those whose errors matter. Without `effects`, only importance is found.
pub fn observe(graph: &Graph, stored: &BTreeSet<NodeId>, samples: &[Sample], effects: bool) -> Activity {
    let mut pass = Pass::new(graph, stored, effects);
    let outputs: Vec<_> = samples.iter().map(|sample| walk(graph, sample, &mut |node| pass.visit(node))).collect();
    let mean = |(id, squares): (&NodeId, &Squares)| {
        let values = squares.sums.iter().map(|sum| (sum / squares.count) as f32).collect();
        (*id, Arc::new(Importance::new(&graph.node(*id).shape, &squares.shape, values)))
    };
    let importance = pass.squares.iter().map(mean).collect();
    let effects = if effects { pass.effects(samples.len() as f64) } else { BTreeMap::new() };
    Activity { importance, effects, outputs }
}

struct Pass<'a> {
    graph: &'a Graph,
    stored: &'a BTreeSet<NodeId>,
    /// Nodes that errors reach.
    reached: BTreeSet<NodeId>,
    with_gains: bool,
    squares: BTreeMap<NodeId, Squares>,
    /// By (reader, operand), added up over samples.
    gains: BTreeMap<(NodeId, NodeId), f64>,
    /// By (reader, weight): mean square behind the reader for Σ importance · δ² = 1, added up over samples.
    sources: BTreeMap<(NodeId, NodeId), f64>,
    /// Mean squares of outputs, added up over samples.
    signals: BTreeMap<NodeId, f64>,
}

impl<'a> Pass<'a> {
    fn new(graph: &'a Graph, stored: &'a BTreeSet<NodeId>, with_gains: bool) -> Self {
        let mut reached = stored.clone();
        for id in graph.topological_order() {
            if graph.operands(id).iter().any(|operand| reached.contains(operand)) {
                reached.insert(id);
            }
        }
        let (squares, gains, sources, signals) = Default::default();
        Self { graph, stored, reached, with_gains, squares, gains, sources, signals }
    }

    fn visit(&mut self, node: &Evaluated<'_>) {
        let ids = self.graph.operands(node.id);
        let own = self.graph.op_operand_count(node.id);
        let weight = streamed_weight(self.graph, node.id).map(|weight| weight.position);
        let weight = weight.filter(|position| self.stored.contains(&ids[*position]));
        let result = node.result.unwrap_or(node.value);
        let behind =
            if self.with_gains && self.reached.contains(&node.id) { self.epilogue_gain(node, own) } else { 0.0 };
        if let Some(position) = weight {
            let other = node.operands[usize::from(position == 0)];
            let (shape, sums, rows) = squares_of(self.graph, node.id, position, other);
            if self.with_gains {
                let each = behind * rows / result.words.len().max(1) as f64;
                *self.sources.entry((node.id, ids[position])).or_default() += each;
            }
            let squares = self.squares.entry(ids[position]).or_insert_with(|| Squares {
                sums: vec![0.0; sums.len()],
                shape,
                count: 0.0,
            });
            // Uses of one weight by operators of different kinds are of different shapes: the first one counts.
            if squares.sums.len() == sums.len() {
                squares.sums.iter_mut().zip(sums).for_each(|(sum, more)| *sum += more);
                squares.count += 1.0;
            }
        }
        if !self.with_gains || !self.reached.contains(&node.id) {
            return;
        }
        for (position, operand) in ids.iter().enumerate() {
            if !self.reached.contains(operand) || weight == Some(position) {
                continue;
            }
            let gain = if position < own {
                behind * self.operator_gain(node, position, own, result)
            } else {
                let made = |operands: &[&Tensor]| epilogue(self.graph, node.id, result, &operands[own..]);
                gain_of(node.operands, position, node.value, made)
            };
            *self.gains.entry((node.id, *operand)).or_default() += gain;
        }
        if self.graph.outputs.iter().any(|port| port.node == node.id) {
            *self.signals.entry(node.id).or_default() += mean_square(node.value);
        }
    }

    /// What the epilogue makes of noise in the operator's result.
    fn epilogue_gain(&self, node: &Evaluated<'_>, own: usize) -> f64 {
        let Some(result) = node.result else { return 1.0 };
        let made = |operands: &[&Tensor]| epilogue(self.graph, node.id, operands[0], &node.operands[own..]);
        gain_of(&[result], 0, node.value, made)
    }

    /// What the operator makes of noise in an operand.
    fn operator_gain(&self, node: &Evaluated<'_>, position: usize, own: usize, result: &Tensor) -> f64 {
        let operands = &node.operands[..own];
        let other = |operand: usize| operands[usize::from(operand == 0)];
        let share = || operands[position].words.len() as f64 / result.words.len().max(1) as f64;
        match &self.graph.node(node.id).op {
            Op::Einsum { a, b, output } => {
                let labels = a.iter().zip(&operands[0].shape).chain(b.iter().zip(&operands[1].shape));
                let summed: BTreeMap<u8, usize> =
                    labels.filter(|(label, _)| !output.contains(label)).map(|(label, size)| (*label, *size)).collect();
                summed.values().product::<usize>() as f64 * mean_square(other(position))
            }
            Op::Conv { .. } if position == 0 => {
                let taps: usize = operands[1].shape[1..].iter().product();
                taps as f64 * mean_square(operands[1])
            }
            Op::Reshape | Op::Transpose { .. } | Op::Broadcast | Op::Slice { .. } | Op::Unfold { .. } => 1.0,
            Op::Gather { .. } if position == 0 => 1.0,
            Op::Concat { .. } => share(),
            Op::Pad { .. } => share().min(1.0),
            op @ (Op::Input
            | Op::Constant(_)
            | Op::Pointwise(_)
            | Op::Conv { .. }
            | Op::Fold { .. }
            | Op::Pool { .. }
            | Op::Softmax { .. }
            | Op::Normalize { .. }
            | Op::Attention { .. }
            | Op::Reduce { .. }
            | Op::ArgReduce { .. }
            | Op::Gather { .. }
            | Op::Scatter { .. }
            | Op::Resize { .. }
            | Op::Kernel(_)) => gain_of(operands, position, result, |operands| evaluate(op, operands, &result.shape)),
        }
    }

    /// Sensitivities from the outputs backwards, and with them the effects.
    fn effects(&self, samples: f64) -> BTreeMap<NodeId, Effect> {
        let outputs = self.graph.outputs.len();
        let mut sensitivity: BTreeMap<NodeId, Vec<f64>> = BTreeMap::new();
        for (index, port) in self.graph.outputs.iter().enumerate() {
            let signal = self.signals.get(&port.node).copied().unwrap_or(0.0) / samples;
            let of_node = sensitivity.entry(port.node).or_insert_with(|| vec![0.0; outputs]);
            of_node[index] += if signal > 0.0 { 1.0 / signal } else { 0.0 };
        }
        for id in self.graph.topological_order().into_iter().rev() {
            let Some(behind) = sensitivity.get(&id).cloned() else { continue };
            let mut operands = self.graph.operands(id);
            operands.sort_unstable();
            operands.dedup();
            for operand in operands {
                let Some(gain) = self.gains.get(&(id, operand)) else { continue };
                let before = sensitivity.entry(operand).or_insert_with(|| vec![0.0; outputs]);
                before.iter_mut().zip(&behind).for_each(|(sum, more)| *sum += gain / samples * more);
            }
        }
        let none = || vec![0.0; outputs];
        let mut effects: BTreeMap<NodeId, Effect> = BTreeMap::new();
        for id in self.stored {
            let elements = self.graph.node(*id).shape.iter().product::<usize>().max(1) as f64;
            let plain = sensitivity.get(id).map_or_else(none, |list| list.iter().map(|s| s / elements).collect());
            effects.insert(*id, Effect { weighed: none(), plain });
        }
        for ((reader, weight), source) in &self.sources {
            let Some(behind) = sensitivity.get(reader) else { continue };
            let effect = effects.entry(*weight).or_default();
            effect.weighed.iter_mut().zip(behind).for_each(|(sum, more)| *sum += source / samples * more);
        }
        effects
    }
}

/// Mean squares of what the elements of the weight at a position are multiplied by: their shape, they themselves, and the elements
/// of the result that each adds to.
fn squares_of(graph: &Graph, id: NodeId, position: usize, x: &Tensor) -> (Vec<usize>, Vec<f64>, f64) {
    let node = graph.node(id);
    let weight = &graph.node(graph.operands(id)[position]).shape;
    // For each axis of the weight, the axis of x that goes with it.
    let mut in_x: Vec<Option<usize>> = vec![None; weight.len()];
    let mut groups = 1;
    if let Op::Einsum { a, b, .. } = &node.op {
        let (own, other) = if position == 0 { (a, b) } else { (b, a) };
        in_x = own.iter().map(|label| other.iter().position(|l| l == label)).collect();
    }
    if let Op::Conv { groups: own, .. } = &node.op {
        groups = *own;
        in_x[1] = Some(1);
    }
    let outer = if groups > 1 { weight.first().copied().unwrap_or(1) } else { 1 };
    let mut shape: Vec<usize> =
        weight.iter().zip(&in_x).map(|(size, axis)| if axis.is_some() { *size } else { 1 }).collect();
    if let Some(first) = shape.first_mut() {
        *first = (*first).max(outer);
    }
    let strides = crate::graph::tensor::strides(&x.shape);
    // Sums by index along the axes of x that matter.
    let kept: Vec<usize> = in_x.iter().flatten().copied().collect();
    let sizes: Vec<usize> = kept.iter().map(|axis| x.shape[*axis]).collect();
    let mut sums = vec![0.0_f64; sizes.iter().product()];
    for index in 0..x.words.len() {
        let place = kept.iter().zip(&sizes).fold(0, |place, (axis, size)| place * size + index / strides[*axis] % size);
        sums[place] += x.value(index).powi(2);
    }
    let each = (x.words.len() / sums.len().max(1)).max(1) as f64;
    sums.iter_mut().for_each(|sum| *sum /= each);
    if !matches!(node.op, Op::Conv { .. }) {
        return (shape, sums, each);
    }
    let pixels = node.shape[0] * node.shape[2..].iter().product::<usize>();
    if groups > 1 {
        let (channels, each) = (weight[1], weight[0] / groups);
        let of_filter = |o: usize| (0..channels).map(move |c| o / each * channels + c);
        sums = (0..weight[0]).flat_map(of_filter).map(|channel| sums[channel]).collect();
    }
    (shape, sums, pixels as f64)
}

fn mean_square(tensor: &Tensor) -> f64 {
    let squares = (0..tensor.words.len()).map(|i| tensor.value(i).powi(2)).filter(|square| square.is_finite());
    squares.sum::<f64>() / tensor.words.len().max(1) as f64
}

/// The quotient of mean squares behind and before: of a little noise in an operand.
fn gain_of(operands: &[&Tensor], position: usize, exact: &Tensor, made: impl Fn(&[&Tensor]) -> Tensor) -> f64 {
    let operand = operands[position];
    let size = mean_square(operand).sqrt() * NOISE;
    if operand.dtype != Dtype::F32 || size == 0.0 {
        return 0.0;
    }
    let mut random = SplitMix64(position as u64);
    let noisy = (0..operand.words.len()).map(|i| {
        let sign = if random.next_u64() >> 63 == 0 { size } else { -size };
        (operand.value(i) + sign) as f32
    });
    let noisy = Tensor::from_f32(operand.shape.clone(), noisy);
    let mut changed = operands.to_vec();
    changed[position] = &noisy;
    let found = made(&changed);
    let difference = (0..exact.words.len()).map(|i| (found.value(i) - exact.value(i)).powi(2));
    let behind: f64 = difference.filter(|square| square.is_finite()).sum();
    behind / exact.words.len().max(1) as f64 / (size * size)
}
