//! Recovers attention: scores, what is done with each of them, softmax, weighted sum of values.
//!
//! The axes of the scores are followed by label from the first einsum to the second, through views that only permute axes or
//! add and drop axes of size 1, so that any layout of q, k, v and the result matches; transposes and reshapes put them into
//! the order that `Op::Attention` needs. Every value in between must have a single reader. Weights that are 0 in rows without
//! any key belong to it. Anything else between the scores and the values (heads mixed after the softmax, a softmax over another
//! axis) deliberately does not match.

use super::nodes::{add, program, single_user};
use super::pass::{OptimizeError, OptimizeOptions, OptimizeReport};
use super::pattern::{value, with_literal};
use crate::graph::constant::Dtype;
use crate::graph::op::{EmptyRow, Op};
use crate::graph::pointwise::{BinaryOp, Pointwise, UnaryOp};
use crate::graph::{Graph, NodeId};
use crate::kernels::rounds::of_program;
use crate::kernels::{MAX_SCORE_OPERANDS, attention_rounds};

mod arrange;
mod axes;
mod rows;
mod scores;
mod terms;

use arrange::arrange;
use axes::{Axes, axes_of};
use rows::hide_rows;
use scores::{Scores, labels_after_view};

/// See the file's header.
pub fn run(graph: &mut Graph, options: &OptimizeOptions, report: &mut OptimizeReport) -> Result<(), OptimizeError> {
    let mut order = graph.topological_order();
    // Building prunes, so that other nodes may be gone; a softmax goes only when it is visited itself.
    order.retain(|id| matches!(graph.node(*id).op, Op::Softmax { .. }));
    for id in order {
        if let Some(found) = find(graph, id, options) {
            build(graph, &found)?;
            report.attentions += 1;
        }
    }
    Ok(())
}

/// The parts of an attention. All labels are those of the einsum that makes the scores, except `width`.
struct Found {
    scores: Scores,
    empty_row: EmptyRow,
    q: NodeId,
    q_axes: Axes,
    k: NodeId,
    k_axes: Axes,
    v: NodeId,
    v_axes: Axes,
    /// The einsum of probabilities and values, and its axes.
    result: NodeId,
    result_axes: Axes,
    batch: Vec<u8>,
    rows: Option<u8>,
    keys: u8,
    depth: Option<u8>,
    width: Option<u8>,
}

/// At most one label, or no match.
fn at_most_one(labels: &[u8]) -> Option<Option<u8>> {
    (labels.len() <= 1).then(|| labels.first().copied())
}

fn find(graph: &Graph, softmax: NodeId, options: &OptimizeOptions) -> Option<Found> {
    let node = graph.node(softmax);
    let Op::Softmax { axis, log: false } = &node.op else { return None };
    if node.epilogue.is_some() {
        return None;
    }
    let mut scores = terms::scores_of(graph, graph.operands(softmax)[0])?;
    let mut empty_row = EmptyRow::Nan;
    let keys = scores.axes[*axis]?;
    let (q, k, batch, rows, depth) = classify_scores(graph, &scores, keys)?;

    // Forward from the softmax to the einsum with the values.
    let (mut last, mut axes) = (softmax, scores.axes.clone());
    let result = loop {
        let user = single_user(graph, last)?;
        match &graph.node(user).op {
            Op::Einsum { .. } => break user,
            // Probabilities stay f32 inside the kernel: more exact than the rounding that is left out.
            Op::Pointwise(step) if *step == Pointwise::unary(UnaryOp::RoundToF16, Dtype::F32) => {}
            Op::Pointwise(_) if empty_row == EmptyRow::Nan => {
                hide_rows(graph, user, last, &axes, keys, &mut scores)?;
                empty_row = EmptyRow::Zero;
            }
            Op::Input
            | Op::Constant(_)
            | Op::Pointwise(_)
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
            | Op::Kernel(_) => axes = labels_after_view(graph, user, &axes)?,
        }
        last = user;
    };
    if scores.operands.len() > MAX_SCORE_OPERANDS {
        return None;
    }
    let (v, v_axes, result_axes, width) = classify_values(graph, result, last, &axes, &batch, rows, keys)?;
    let size = |id: NodeId, axes: &Axes, label: Option<u8>| {
        label.map_or(Some(1), |l| axes.iter().position(|a| *a == Some(l)).map(|axis| graph.node(id).shape[axis]))
    };
    let (depth_size, width_size) = (size(q.0, &q.1, depth)?, size(v, &v_axes, width)?);
    // The kernels keep a query and a result of one size in registers.
    if depth_size != width_size || depth_size > options.max_head_size {
        return None;
    }
    let score_rounds = scores.program.as_ref().map_or(0, of_program);
    let rounds = attention_rounds(size(k.0, &k.1, Some(keys))?, depth_size, score_rounds);
    if options.max_loop_rounds.is_some_and(|most| rounds > most) {
        return None;
    }
    let ((q, q_axes), (k, k_axes)) = (q, k);
    Some(Found {
        scores,
        empty_row,
        q,
        q_axes,
        k,
        k_axes,
        v,
        v_axes,
        result,
        result_axes,
        batch,
        rows,
        keys,
        depth,
        width,
    })
}

type Side = (NodeId, Axes);
type ScoreSides = (Side, Side, Vec<u8>, Option<u8>, Option<u8>);

/// q and k with their axes, and the labels' parts: batch, rows, depth.
fn classify_scores(graph: &Graph, scores: &Scores, keys: u8) -> Option<ScoreSides> {
    let Op::Einsum { a, b, output } = &graph.node(scores.einsum).op else { return None };
    let operands = graph.operands(scores.einsum);
    let sides = [(a, operands[0]), (b, operands[1])].map(|(l, id)| (id, axes_of(l, &graph.node(id).shape)));
    let [a, b] = sides;
    let (q, k) = match (a.1.contains(&Some(keys)), b.1.contains(&Some(keys))) {
        (false, true) => (a, b),
        (true, false) => (b, a),
        (true, true) | (false, false) => return None,
    };
    let (mut batch, mut rows, mut depth) = (vec![], vec![], vec![]);
    for label in axes_of(output, &graph.node(scores.einsum).shape).into_iter().flatten() {
        match (q.1.contains(&Some(label)), k.1.contains(&Some(label))) {
            (true, true) => batch.push(label),
            (true, false) => rows.push(label),
            (false, _) if label == keys => {}
            (false, _) => return None,
        }
    }
    for label in q.1.iter().chain(&k.1).flatten().filter(|l| !output.contains(l)) {
        if !(q.1.contains(&Some(*label)) && k.1.contains(&Some(*label))) {
            return None;
        }
        if !depth.contains(label) {
            depth.push(*label);
        }
    }
    Some((q, k, batch, at_most_one(&rows)?, at_most_one(&depth)?))
}

/// v, its axes and the result's in the labels of the scores, and the label of v's own axis.
fn classify_values(
    graph: &Graph,
    result: NodeId,
    probabilities: NodeId,
    axes: &Axes,
    batch: &[u8],
    rows: Option<u8>,
    keys: u8,
) -> Option<(NodeId, Axes, Axes, Option<u8>)> {
    let node = graph.node(result);
    let Op::Einsum { a, b, output } = &node.op else { return None };
    let operands = graph.operands(result);
    if node.epilogue.is_some() || operands[0] == operands[1] {
        return None;
    }
    let (own, other, v) = if operands[0] == probabilities { (a, b, operands[1]) } else { (b, a, operands[0]) };
    // The einsum's own labels for the axes of the probabilities, in the labels of the scores.
    let translate = |label: u8| own.iter().position(|l| *l == label).and_then(|axis| axes[axis]);
    const OWN: u8 = 0x80;
    let translated = |labels: &[u8], shape: &[usize]| -> Axes {
        axes_of(labels, shape).into_iter().map(|l| l.map(|l| translate(l).unwrap_or(l | OWN))).collect()
    };
    let (v_axes, result_axes) = (translated(other, &graph.node(v).shape), translated(output, &node.shape));
    let has = |axes: &Axes, label: u8| axes.contains(&Some(label));
    let shared = batch.iter().all(|l| has(&v_axes, *l) && has(&result_axes, *l));
    let row_kept = rows.is_none_or(|l| !has(&v_axes, l) && has(&result_axes, l));
    let summed = has(&v_axes, keys) && !has(&result_axes, keys);
    let width: Vec<u8> = v_axes.iter().flatten().copied().filter(|l| !batch.contains(l) && *l != keys).collect();
    let width = at_most_one(&width)?;
    let width_kept = width.is_none_or(|l| has(&result_axes, l));
    (shared && row_kept && summed && width_kept).then_some((v, v_axes, result_axes, width))
}

/// Replaces what was found.
fn build(graph: &mut Graph, found: &Found) -> Result<(), OptimizeError> {
    let origin = graph.node(found.result).origin;
    let order = |inner: [Option<u8>; 2]| -> Axes { found.batch.iter().map(|l| Some(*l)).chain(inner).collect() };
    let q = arrange(graph, found.q, &found.q_axes, &order([found.rows, found.depth]), origin)?;
    let k = arrange(graph, found.k, &found.k_axes, &order([Some(found.keys), found.depth]), origin)?;
    let v = arrange(graph, found.v, &found.v_axes, &order([Some(found.keys), found.width]), origin)?;
    let (mut scale, mut operands) = (found.scores.scale, vec![q, k, v]);
    for terms in &found.scores.operands {
        let mut sum = None;
        for term in terms {
            let term = arrange(graph, term.node, &term.axes, &order([found.rows, Some(found.keys)]), origin)?;
            let plus = Op::Pointwise(Pointwise::binary(BinaryOp::Add, Dtype::F32));
            sum = Some(sum.map_or(Ok(term), |sum| add(graph, plus, &[sum, term], origin))?);
        }
        operands.extend(sum);
    }
    let op = |scale: f64| {
        let (score, empty_row) = (found.scores.program.clone(), found.empty_row);
        Op::Attention { scale: scale as f32, score, empty_row }
    };
    let attention = add(graph, op(scale), &operands, origin)?;
    let from = order([found.rows, found.width]);
    let out = arrange(graph, attention, &from, &found.result_axes, origin)?;
    graph.replace_uses(found.result, out);
    // The old einsums are unread now, and must not count as readers of q and k.
    graph.prune();
    for operand in [q, k] {
        // A tensor in two roles would be scaled in both.
        let roles = operands.iter().filter(|o| **o == operand).count();
        while roles == 1
            && let Some(factor) = take_scale(graph, operand)
        {
            scale *= factor;
        }
    }
    graph.node_mut(attention).op = op(scale);
    Ok(())
}

/// Takes a product with a literal out of what alone makes an operand, behind any views.
fn take_scale(graph: &mut Graph, operand: NodeId) -> Option<f64> {
    let mut at = operand;
    loop {
        single_user(graph, at)?;
        if !matches!(graph.node(at).op, Op::Reshape | Op::Transpose { .. }) {
            break;
        }
        at = graph.operands(at)[0];
    }
    let step = program(graph, at).filter(|_| graph.operands(at).len() == 1)?;
    let source = graph.operands(at)[0];
    if graph.node(source).shape != graph.node(at).shape || step.inputs[0] != Dtype::F32 {
        return None;
    }
    let factor = |op| {
        let (x, factor) = with_literal(graph, value(graph, at), op)?;
        // The product must be all that the node does.
        (x == value(graph, source)).then_some(f64::from(factor))
    };
    let scale = factor(BinaryOp::Mul).or_else(|| factor(BinaryOp::Div).map(|d| 1.0 / d))?;
    graph.replace_uses(at, source);
    graph.prune();
    Some(scale)
}
