//! Before weights are stored in half precision: those that it cannot hold are brought into its range.
//!
//! A streamed weight whose channels do not fit (`range.rs`) is multiplied by powers of two, one for all or one for each output
//! channel, and the operator's epilogue undoes it, exactly: before anything else happens to the result. A streamed element-wise
//! constant has one power for all, undone in the program that reads it. Row tables, and what no such power helps, stay in f32, as
//! a constant of its own if others read it too. Graph in, graph out: what follows, the interpreter included, sees an ordinary
//! graph. What fits is left alone, so that nothing changes for ordinary networks.

pub(super) mod range;

use super::ops::gather::places::row_table;
use super::streamed::{streamed_constants, streamed_weight};
use crate::graph::constant::{Constant, Dtype};
use crate::graph::op::Op;
use crate::graph::pointwise::Pointwise;
use crate::graph::{Graph, NodeId};
use crate::narrow::index32;
use flashmem_plan_format::encoding::Encoding;
use range::{Channels, Fit, Reader, exp2, fit, shifted};
use std::collections::BTreeMap;

/// Most threads that look at weights.
const MAX_THREADS: usize = 8;

/// A weight that was brought into range.
#[derive(Debug, Clone, PartialEq)]
pub struct ScaledWeight {
    /// ONNX initialiser name.
    pub name: String,
    /// Largest relative L2 error of a channel.
    pub error: f64,
}

/// What was done for half precision.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct HalfReport {
    /// Weights that were brought into range.
    pub scaled: Vec<ScaledWeight>,
    /// Names of constants that stay in f32.
    pub kept_f32: Vec<String>,
}

/// What reads a stored constant.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Use {
    /// A product or convolution, whose result has the weight's channels along these axes.
    Channels(Vec<usize>),
    /// An element-wise program.
    Elements,
    /// The host, row by row.
    Rows,
}

/// A constant that is stored in half precision, and where it is read.
#[derive(Debug)]
struct Stored {
    node: NodeId,
    position: usize,
    constant: NodeId,
    channels: Channels,
    used: Use,
}

/// Brings what a graph stores into the range of half precision, or has it stored in f32.
pub fn into_range(graph: &mut Graph) -> HalfReport {
    let list = stored(graph);
    let mut keys: Vec<(NodeId, &Channels, Reader)> = list.iter().map(key).collect();
    keys.sort_unstable_by_key(|(constant, channels, reader)| (*constant, *channels, *reader == Reader::Host));
    keys.dedup();
    let fits: Vec<Fit> = in_parallel(&keys, |(id, channels, reader)| {
        fit(graph.constant(*id).expect("only constants are stored"), channels, *reader)
    });
    let (report, scaled, factors, kept) = (HalfReport::default(), BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    let mut change = Change { graph, report, scaled, factors, kept };
    for stored in &list {
        let position = keys.iter().position(|k| *k == key(stored)).expect("every key is in the list");
        change.apply(stored, &fits[position]);
    }
    change.report
}

fn key(stored: &Stored) -> (NodeId, &Channels, Reader) {
    (stored.constant, &stored.channels, if stored.used == Use::Rows { Reader::Host } else { Reader::Device })
}

/// Everything that a graph stores in half precision, in the order of its nodes.
fn stored(graph: &Graph) -> Vec<Stored> {
    let mut list = Vec::new();
    let lines = |constant: NodeId| {
        let shape = &graph.node(constant).shape;
        Channels::of(shape, &(0..shape.len().saturating_sub(1)).collect::<Vec<_>>())
    };
    for node in graph.topological_order() {
        if let Some(weight) = streamed_weight(graph, node) {
            let constant = graph.operands(node)[weight.position];
            let channels = Channels::of(&graph.node(constant).shape, &weight.channel_axes);
            let used = Use::Channels(weight.output_axes);
            list.push(Stored { node, position: weight.position, constant, channels, used });
        }
        if let Some(constant) = row_table(graph, node) {
            list.push(Stored { node, position: 0, constant, channels: lines(constant), used: Use::Rows });
        }
        for (position, constant) in streamed_constants(graph, node) {
            list.push(Stored { node, position, constant, channels: lines(constant), used: Use::Elements });
        }
    }
    list.retain(|stored| {
        let integers = graph.constant(stored.constant).is_some_and(|constant| constant.as_quantized().is_some());
        !integers && !graph.encodings.contains_key(&stored.constant)
    });
    list
}

/// `run` of every item, by several threads.
pub(crate) fn in_parallel<T: Sync, R: Send>(items: &[T], run: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get()).clamp(1, MAX_THREADS);
    let share = |first: usize| items.iter().enumerate().skip(first).step_by(threads).map(|(i, item)| (i, run(item)));
    let mut results: Vec<(usize, R)> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|first| scope.spawn(move || share(first).collect::<Vec<_>>())).collect();
        let join = |worker: std::thread::ScopedJoinHandle<'_, Vec<(usize, R)>>| match worker.join() {
            Ok(results) => results,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        workers.into_iter().flat_map(join).collect()
    });
    results.sort_unstable_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}

/// The changes to a graph, each weight scaled once.
struct Change<'a> {
    graph: &'a mut Graph,
    report: HalfReport,
    scaled: BTreeMap<(NodeId, Channels), NodeId>,
    factors: BTreeMap<(NodeId, Vec<usize>), NodeId>,
    kept: BTreeMap<NodeId, NodeId>,
}

impl Change<'_> {
    fn apply(&mut self, stored: &Stored, fit: &Fit) {
        match (&stored.used, fit) {
            (_, Fit::AsIs) => {}
            (Use::Channels(_), Fit::Uniform(shift)) => {
                self.replace(stored, |_| *shift);
                self.undo(stored.node, |program| program.scaled_input(0, exp2(-*shift) as f32));
            }
            (Use::Channels(axes), Fit::PerChannel(shifts)) => {
                self.replace(stored, |channel| shifts[channel]);
                let factor = self.factor(stored, axes, shifts);
                let operands: Vec<NodeId> = self.graph.operands(stored.node).into_iter().chain([factor]).collect();
                self.undo(stored.node, Pointwise::scaled_by_last_input);
                self.graph.set_operands(stored.node, &operands);
            }
            (Use::Elements, Fit::Uniform(shift)) if *shift > 0 => {
                self.replace(stored, |_| *shift);
                self.undo_in_reader(stored, exp2(-*shift) as f32);
            }
            (Use::Channels(_), Fit::Never)
            | (Use::Elements | Use::Rows, Fit::Uniform(_) | Fit::PerChannel(_) | Fit::Never) => self.keep(stored),
        }
    }

    /// Lets the node read the constant in f32. Others may read it in half precision, so this is one of its own, of the same bytes.
    fn keep(&mut self, stored: &Stored) {
        let kept = match self.kept.get(&stored.constant) {
            Some(kept) => *kept,
            None => {
                self.report.kept_f32.push(self.graph.label(stored.constant));
                let constant = self.graph.constant(stored.constant).expect("only constants are stored").clone();
                let origin = self.graph.node(stored.constant).origin;
                let kept = self.graph.add_constant(constant, origin);
                self.graph.encodings.insert(kept, Encoding::F32);
                self.kept.insert(stored.constant, kept);
                kept
            }
        };
        let mut operands = self.graph.operands(stored.node);
        operands[stored.position] = kept;
        self.graph.set_operands(stored.node, &operands);
    }

    /// Lets the node read the scaled constant.
    fn replace(&mut self, stored: &Stored, shift: impl Fn(usize) -> i32) {
        let key = (stored.constant, stored.channels.clone());
        let scaled = match self.scaled.get(&key) {
            Some(scaled) => *scaled,
            None => {
                let constant = self.graph.constant(stored.constant).expect("only constants are stored");
                let (constant, error) = shifted(constant, &stored.channels, shift);
                let name = self.graph.label(stored.constant);
                self.report.scaled.push(ScaledWeight { name, error });
                let origin = self.graph.node(stored.constant).origin;
                let scaled = self.graph.add_constant(constant, origin);
                self.scaled.insert(key, scaled);
                scaled
            }
        };
        let mut operands = self.graph.operands(stored.node);
        operands[stored.position] = scaled;
        self.graph.set_operands(stored.node, &operands);
    }

    /// The factors that undo the shifts of channels, as an operand that broadcasts to the node.
    fn factor(&mut self, stored: &Stored, axes: &[usize], shifts: &[i32]) -> NodeId {
        let mut shape = vec![1; self.graph.node(stored.node).shape.len()];
        axes.iter().for_each(|axis| shape[*axis] = self.graph.node(stored.node).shape[*axis]);
        let strides: Vec<usize> = axes.iter().map(|axis| shape[*axis + 1..].iter().product()).collect();
        let mut values = vec![1.0_f32; shifts.len()];
        for (channel, shift) in shifts.iter().enumerate() {
            let (mut rest, mut at) = (channel, 0);
            for (axis, stride) in axes.iter().zip(&strides).rev() {
                at += rest % shape[*axis] * stride;
                rest /= shape[*axis];
            }
            values[at] = exp2(-shift) as f32;
        }
        let key = (self.graph.operands(stored.node)[stored.position], shape.clone());
        let origin = self.graph.node(stored.constant).origin;
        let graph = &mut *self.graph;
        *self.factors.entry(key).or_insert_with(|| graph.add_constant(Constant::from_f32(shape, &values), origin))
    }

    /// Changes what happens to the result of a node first.
    fn undo(&mut self, node: NodeId, change: impl Fn(&Pointwise) -> Pointwise) {
        let node = self.graph.node_mut(node);
        let same = Pointwise { inputs: vec![Dtype::F32], instructions: Vec::new() };
        node.epilogue = Some(change(node.epilogue.as_ref().unwrap_or(&same)));
    }

    /// Undoes the scale of a constant in the program that reads it.
    fn undo_in_reader(&mut self, stored: &Stored, factor: f32) {
        let own = self.graph.op_operand_count(stored.node);
        let node = self.graph.node_mut(stored.node);
        match (&mut node.op, &mut node.epilogue) {
            (Op::Pointwise(program), _) if stored.position < own => {
                *program = program.scaled_input(index32(stored.position), factor);
            }
            (_, Some(epilogue)) => *epilogue = epilogue.scaled_input(index32(stored.position - own) + 1, factor),
            (_, None) => unreachable!("element-wise constants are read by a program"),
        }
    }
}

#[cfg(test)]
mod tests;
