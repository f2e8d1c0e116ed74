//! Fuses element-wise nodes into each other, and into the operator before them as its epilogue.
//!
//! A producer must be read by the fused node alone and have its shape, so that nothing is computed twice. An epilogue's other
//! operands cannot depend on the operator: they would have to pass through the fused node itself. Of two possible operators
//! (a residual sum) the later one in execution order takes the node, because the other's result exists by then. A view
//! between the operator and the node does not prevent fusion where the node can be computed before the view.

use super::nodes::{program, reshape, single_user, transpose};
use super::pass::{OptimizeError, OptimizeOptions, OptimizeReport};
use super::programs::merge_equal_operands;
use crate::graph::op::Op;
use crate::graph::pointwise::{Operand, Pointwise};
use crate::graph::{Graph, NodeId};
use crate::narrow::index32;
use std::collections::BTreeMap;

mod fits;
mod refine;
mod through_view;

pub use fits::epilogue_operand_fits;
use through_view::shape_before_view;

/// See the file's header.
pub fn run(graph: &mut Graph, options: &OptimizeOptions, report: &mut OptimizeReport) -> Result<(), OptimizeError> {
    refine::refine_norms(graph);
    let order = graph.topological_order();
    let rank: BTreeMap<NodeId, usize> = order.iter().enumerate().map(|(i, id)| (*id, i)).collect();
    for id in &order {
        if program(graph, *id).is_some() && !apart(graph, *id, options) && fuse_epilogue(graph, *id, &rank, options)? {
            report.epilogues_fused += 1;
        }
    }
    for id in order {
        if program(graph, id).is_none() {
            continue;
        }
        while let Some(producer) = pointwise_producer(graph, id, options) {
            fuse_pointwise(graph, id, producer);
            report.pointwise_fused += 1;
        }
    }
    Ok(())
}

/// Whether scheduling needs the node, or one that was fused into it, to be no epilogue.
fn apart(graph: &Graph, id: NodeId, options: &OptimizeOptions) -> bool {
    graph.origins.ids(graph.node(id).origin).iter().any(|origin| options.keep_apart.contains(origin))
}

/// Whether an operator can have an epilogue.
fn takes_epilogue(op: &Op) -> bool {
    matches!(op, Op::Einsum { .. } | Op::Conv { .. } | Op::Normalize { .. })
}

/// An element-wise operand of an element-wise node that can be computed inside it.
fn pointwise_producer(graph: &Graph, id: NodeId, options: &OptimizeOptions) -> Option<NodeId> {
    let operands = graph.operands(id);
    operands.iter().copied().find(|producer| {
        let fits = single_user(graph, *producer) == Some(id) && graph.node(*producer).shape == graph.node(id).shape;
        fits && program(graph, *producer).is_some() && {
            let (fused, operands) = fused_program(graph, id, *producer);
            operands.len() <= options.max_pointwise_operands && fused.instructions.len() <= options.max_instructions
        }
    })
}

/// The program of `id` with that of `producer` inside, and its operands: those of the producer stand where it stood. So the graph's
/// order, and with it that of the weights, is the same whatever is fused, and entries of one model have the same pages.
fn fused_program(graph: &Graph, id: NodeId, producer: NodeId) -> (Pointwise, Vec<NodeId>) {
    let consumer = program(graph, id).expect("the caller checked that it is element-wise").clone();
    let (consumer, mut operands) = merge_equal_operands(consumer, graph.operands(id));
    let position = operands.iter().position(|o| *o == producer).expect("the producer is an operand");
    let inner = program(graph, producer).expect("the caller checked that it is element-wise");
    let fused = inner.then(&consumer, index32(position));
    operands.remove(position);
    let (behind, own) = (operands.split_off(position), graph.operands(producer));
    let fused = rotated(&fused, position, own.len());
    operands.extend(own);
    operands.extend(behind);
    merge_equal_operands(fused, operands)
}

fn fuse_pointwise(graph: &mut Graph, id: NodeId, producer: NodeId) {
    let (fused, operands) = fused_program(graph, id, producer);
    let origin = graph.origins.merge(graph.node(producer).origin, graph.node(id).origin);
    graph.set_operands(id, &operands);
    graph.set_operands(producer, &[]);
    let node = graph.node_mut(id);
    node.op = Op::Pointwise(fused);
    node.origin = origin;
}

/// A way to fuse: the operator, the view between it and the node, if any, and the new epilogue.
struct Fusion {
    producer: NodeId,
    view: Option<NodeId>,
    epilogue: Pointwise,
    /// Of the epilogue, after the operator's result, as they are now: of the node's shape where there is a view.
    operands: Vec<(NodeId, Option<Vec<usize>>)>,
}

fn fuse_epilogue(
    graph: &mut Graph,
    id: NodeId,
    rank: &BTreeMap<NodeId, usize>,
    options: &OptimizeOptions,
) -> Result<bool, OptimizeError> {
    let candidates = graph.operands(id).into_iter().filter_map(|operand| epilogue_fusion(graph, id, operand, options));
    let Some(fusion) = candidates.max_by_key(|f| rank.get(&f.producer)) else { return Ok(false) };
    let (producer, origin) = (fusion.producer, graph.node(id).origin);
    let permutation = fusion.view.and_then(|view| {
        if let Op::Transpose { permutation } = &graph.node(view).op { Some(permutation.clone()) } else { None }
    });
    let own = graph.op_operand_count(producer);
    let mut operands = graph.operands(producer)[..own].to_vec();
    for (operand, shape) in &fusion.operands {
        operands.push(match (shape, &permutation) {
            (None, _) => *operand,
            (Some(shape), None) => reshape(graph, *operand, shape, origin),
            (Some(_), Some(permutation)) => {
                let mut back = vec![0; permutation.len()];
                permutation.iter().enumerate().for_each(|(to, from)| back[*from] = to);
                transpose(graph, *operand, back, origin)?
            }
        });
    }
    let dtype = fusion.epilogue.dtype();
    graph.set_operands(id, &[]);
    graph.set_operands(producer, &operands);
    let epilogue_origin = graph.origins.merge(graph.node(producer).epilogue_origin, origin);
    let node = graph.node_mut(producer);
    node.epilogue_origin = epilogue_origin;
    node.epilogue = Some(fusion.epilogue);
    node.dtype = dtype;
    let last = fusion.view.unwrap_or(producer);
    graph.node_mut(last).dtype = dtype;
    graph.replace_uses(id, last);
    // The node is unread; until it is pruned nothing may take it for an element-wise node.
    graph.node_mut(id).op = Op::Input;
    Ok(true)
}

/// How `id` fuses into what makes its operand `direct`, if it can.
fn epilogue_fusion(graph: &Graph, id: NodeId, direct: NodeId, options: &OptimizeOptions) -> Option<Fusion> {
    if single_user(graph, direct) != Some(id) || graph.node(direct).shape != graph.node(id).shape {
        return None;
    }
    let view = matches!(graph.node(direct).op, Op::Reshape | Op::Transpose { .. }).then_some(direct);
    let producer = match view {
        Some(view) => *graph.operands(view).first()?,
        None => direct,
    };
    let node = graph.node(producer);
    if !takes_epilogue(&node.op) || single_user(graph, producer).is_none() {
        return None;
    }
    let (consumer, mut inputs) = merge_equal_operands(program(graph, id)?.clone(), graph.operands(id));
    let position = inputs.iter().position(|o| *o == direct)?;
    inputs.remove(position);
    let mut operands = Vec::new();
    for input in inputs {
        let shape = match view {
            None => None,
            Some(view) => Some(shape_before_view(graph, view, input)?),
        };
        operands.push((input, shape));
    }
    let (epilogue, own) = match &node.epilogue {
        None => (consumer, index32(position)),
        // The inputs of the result: the node's others, the operator's result, the epilogue's others.
        Some(first) => (first.then(&consumer, index32(position)), index32(operands.len())),
    };
    let epilogue = input_first(&epilogue, own);
    let all = graph.operands(producer);
    operands.extend(all[graph.op_operand_count(producer)..].iter().map(|o| (*o, None)));
    let fits = |(operand, shape): &(NodeId, Option<Vec<usize>>)| {
        let shape = shape.as_ref().unwrap_or(&graph.node(*operand).shape);
        epilogue_operand_fits(&node.op, &node.shape, shape)
    };
    let (epilogue, operands) = merge_repeated(epilogue, operands);
    let small =
        operands.len() <= options.max_epilogue_operands && epilogue.instructions.len() <= options.max_instructions;
    (small && operands.iter().all(fits)).then_some(Fusion { producer, view, epilogue, operands })
}

/// The same program with its last `count` inputs from `position` on.
fn rotated(program: &Pointwise, position: usize, count: usize) -> Pointwise {
    let (position, moved) = (index32(position), index32(count));
    let first_moved = index32(program.inputs.len()) - moved;
    let rename = |operand: Operand| match operand {
        Operand::Input(i) if i >= first_moved => Operand::Input(i - first_moved + position),
        Operand::Input(i) if i >= position => Operand::Input(i + moved),
        Operand::Input(_) | Operand::Result(_) => operand,
    };
    let mut inputs = program.inputs.clone();
    inputs[position as usize..].rotate_right(count);
    Pointwise { inputs, instructions: program.instructions.iter().map(|i| i.map_operands(rename)).collect() }
}

/// The same program with input `position` as input 0.
pub fn input_first(program: &Pointwise, position: u32) -> Pointwise {
    let rename = |operand: Operand| match operand {
        Operand::Input(i) if i == position => Operand::Input(0),
        Operand::Input(i) if i < position => Operand::Input(i + 1),
        Operand::Input(_) | Operand::Result(_) => operand,
    };
    let mut inputs = program.inputs.clone();
    let first = inputs.remove(position as usize);
    inputs.insert(0, first);
    Pointwise { inputs, instructions: program.instructions.iter().map(|i| i.map_operands(rename)).collect() }
}

type EpilogueOperand = (NodeId, Option<Vec<usize>>);

/// One input for every distinct operand of an epilogue.
fn merge_repeated(mut epilogue: Pointwise, mut operands: Vec<EpilogueOperand>) -> (Pointwise, Vec<EpilogueOperand>) {
    let mut position = 1;
    while position < operands.len() {
        match operands[..position].iter().position(|o| *o == operands[position]) {
            Some(first) => {
                epilogue = epilogue.merge_inputs(index32(first) + 1, index32(position) + 1);
                operands.remove(position);
            }
            None => position += 1,
        }
    }
    (epilogue, operands)
}
