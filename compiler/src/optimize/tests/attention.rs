//! Layouts, scales and masks of attention, and what must not match.

use super::{Build, check, operators};
use crate::graph::NodeId;
use crate::graph::constant::{Constant, Dtype};
use crate::graph::op::{EmptyRow, Op, ReduceKind};
use crate::graph::pointwise::{BinaryOp, Instruction, Pointwise, UnaryOp};

fn softmax(b: &mut Build, x: NodeId) -> NodeId {
    let axis = b.graph.node(x).shape.len() - 1;
    b.add(Op::Softmax { axis, log: false }, &[x])
}

/// where(mask, scores, fill) with a constant mask given by position.
fn masked(b: &mut Build, scores: NodeId, fill: f32, keep: impl Fn(usize, usize) -> bool) -> NodeId {
    let shape = b.graph.node(scores).shape.clone();
    let (rows, keys) = (shape[shape.len() - 2], shape[shape.len() - 1]);
    let values: Vec<bool> = (0..rows * keys).map(|i| keep(i / keys, i % keys)).collect();
    let mut mask_shape = vec![1; shape.len() - 2];
    mask_shape.extend([rows, keys]);
    let mask = b.graph.add_constant(Constant::from_bool(mask_shape, &values), "mask");
    let fill = b.scalar(scores, fill);
    b.add(Op::Pointwise(Pointwise::select(Dtype::F32)), &[mask, scores, fill])
}

/// Expects one attention with a scale and a number of operands of its score program; returns that program.
fn expect(b: Build, nodes: &[&str], scale: f32, operands: usize) -> (Option<Pointwise>, EmptyRow) {
    let (graph, report) = check(b);
    assert_eq!(report.attentions, 1, "{}", super::dump(&graph));
    assert_eq!(operators(&graph), nodes);
    let found = graph.node_ids().into_iter().find_map(|id| {
        let Op::Attention { scale, score, empty_row } = &graph.node(id).op else { return None };
        Some((*scale, score.clone(), *empty_row))
    });
    let (found_scale, score, empty_row) = found.expect("an attention was reported");
    assert!((found_scale - scale).abs() < 1e-6);
    assert_eq!(score.as_ref().map_or(0, |score| score.inputs.len() - 1), operands);
    (score, empty_row)
}

/// q, k and v of two heads, five queries and six keys.
fn sides(b: &mut Build) -> [NodeId; 3] {
    [b.input(&[2, 5, 8]), b.input(&[2, 6, 8]), b.input(&[2, 6, 8])]
}

/// A boolean for every row and key, from rows of 0 and 1.
fn rows(b: &mut Build, rows: &[[u8; 6]; 5]) -> NodeId {
    let values: Vec<bool> = rows.iter().flatten().map(|v| *v == 1).collect();
    b.graph.add_constant(Constant::from_bool(vec![1, 5, 6], &values), "rows")
}

/// Row 1 hides every key, row 3 shows them all.
const HALF_HIDDEN: [[u8; 6]; 5] = [[1, 0, 1, 0, 0, 0], [0; 6], [0, 0, 0, 0, 0, 1], [1; 6], [0, 1, 1, 1, 0, 0]];

#[test]
fn plain_with_scale() {
    let mut b = Build::default();
    let (q, k, v) = (b.input(&[1, 2, 5, 8]), b.input(&[1, 2, 6, 8]), b.input(&[1, 2, 6, 8]));
    let s = b.einsum("abmk", "abnk", "abmn", [q, k]);
    let s = b.with(BinaryOp::Div, s, 8.0_f32.sqrt());
    let p = softmax(&mut b, s);
    let y = b.einsum("abmn", "abnk", "abmk", [p, v]);
    b.output(y);
    expect(b, &["Reshape", "Reshape", "Reshape", "Attention", "Reshape"], 1.0 / 8.0_f32.sqrt(), 0);
}

#[test]
fn values_of_another_size_are_left_alone() {
    let mut b = Build::default();
    let (q, k, v) = (b.input(&[1, 2, 5, 8]), b.input(&[1, 2, 6, 8]), b.input(&[1, 2, 6, 4]));
    let s = b.einsum("abmk", "abnk", "abmn", [q, k]);
    let p = softmax(&mut b, s);
    let y = b.einsum("abmn", "abnk", "abmk", [p, v]);
    b.output(y);
    assert_eq!(check(b).1.attentions, 0);
}

#[test]
fn probabilities_that_are_rounded_to_f16_match() {
    let mut b = Build::default();
    let (q, k, v) = (b.input(&[2, 5, 8]), b.input(&[2, 6, 8]), b.input(&[2, 6, 8]));
    let s = b.einsum("bmk", "bnk", "bmn", [q, k]);
    let p = softmax(&mut b, s);
    let p = b.add(Op::Pointwise(Pointwise::unary(UnaryOp::RoundToF16, Dtype::F32)), &[p]);
    let y = b.einsum("bmn", "bnk", "bmk", [p, v]);
    b.output(y);
    let graph = {
        let mut graph = b.graph;
        let options = crate::optimize::OptimizeOptions::default();
        let report = crate::optimize::optimize(&mut graph, &options).expect("a sound graph");
        assert_eq!(report.attentions, 1);
        graph
    };
    assert_eq!(operators(&graph), ["Attention"]);
}

#[test]
fn heads_between_tokens_with_scaled_queries_and_a_causal_mask() {
    let mut b = Build::default();
    let (q, k, v) = (b.input(&[5, 3, 8]), b.input(&[5, 3, 8]), b.input(&[5, 3, 8]));
    let q = b.with(BinaryOp::Mul, q, 0.25);
    let s = b.einsum("mbk", "nbk", "bmn", [q, k]);
    let s = b.reshape(s, &[1, 3, 5, 5]);
    let s = masked(&mut b, s, f32::MIN, |i, j| j <= i);
    let p = softmax(&mut b, s);
    let y = b.einsum("abmk", "kbn", "mbn", [p, v]);
    b.output(y);
    expect(b, &["Transpose", "Transpose", "Transpose", "Attention", "Transpose"], 0.25, 1);
}

#[test]
fn keys_first_and_a_runtime_mask() {
    let mut b = Build::default();
    let (q, k, v) = (b.input(&[2, 5, 8]), b.input(&[2, 8, 6]), b.input(&[2, 6, 8]));
    let mask = b.input(&[1, 1, 6]);
    let s = b.einsum("bkn", "bmk", "bmn", [k, q]);
    let s = b.binary(BinaryOp::Add, mask, s);
    let p = softmax(&mut b, s);
    let y = b.einsum("bnk", "bmn", "bmk", [v, p]);
    b.output(y);
    expect(b, &["Transpose", "Attention"], 1.0, 1);
}

#[test]
fn rows_dropped_after_the_softmax() {
    let mut b = Build::default();
    let (q, k, v) = (b.input(&[2, 6, 8]), b.input(&[2, 6, 8]), b.input(&[2, 6, 8]));
    let s = b.einsum("bmk", "bnk", "bmn", [q, k]);
    let s = b.with(BinaryOp::Mul, s, 0.5);
    let p = softmax(&mut b, s);
    let p = b.shaped(Op::Slice { starts: vec![0, 1, 0], steps: vec![1; 3] }, p, &[2, 5, 6]);
    let y = b.einsum("bmn", "bnk", "bmk", [p, v]);
    b.output(y);
    expect(b, &["Slice", "Attention"], 0.5, 0);
}

#[test]
fn one_query() {
    let mut b = Build::default();
    let (q, k, v) = (b.input(&[2, 1, 8]), b.input(&[2, 6, 8]), b.input(&[2, 6, 8]));
    let s = b.einsum("bmk", "bnk", "bmn", [q, k]);
    let p = softmax(&mut b, s);
    let y = b.einsum("bmn", "bnk", "bmk", [p, v]);
    b.output(y);
    expect(b, &["Attention"], 1.0, 0);
}

/// Nothing is recovered from these.
fn expect_none(b: Build) {
    let (_, report) = check(b);
    assert_eq!(report.attentions, 0);
}

/// Masks that hide all keys of a row, and replacements of any size, are what they are when written out.
#[test]
fn replaced_scores_stay_replaced() {
    for fill in [-1.0, -1e9, f32::MIN, f32::NEG_INFINITY] {
        let mut b = Build::default();
        let [q, k, v] = sides(&mut b);
        let s = b.einsum("bmk", "bnk", "bmn", [q, k]);
        let s = b.with(BinaryOp::Mul, s, 1_048_576.0);
        let (keep, fill) = (rows(&mut b, &HALF_HIDDEN), b.scalar(s, fill));
        let s = b.add(Op::Pointwise(Pointwise::select(Dtype::F32)), &[keep, s, fill]);
        let p = softmax(&mut b, s);
        let y = b.einsum("bmn", "bnk", "bmk", [p, v]);
        b.output(y);
        let (_, empty_row) = expect(b, &["Attention"], 1_048_576.0, 1);
        assert_eq!(empty_row, EmptyRow::Nan);
    }
}

#[test]
fn a_cap_in_front_of_a_mask_stays_there() {
    let mut b = Build::default();
    let [q, k, v] = sides(&mut b);
    let mask = b.input(&[1, 5, 6]);
    let s = b.einsum("bmk", "bnk", "bmn", [q, k]);
    let s = b.with(BinaryOp::Mul, s, 0.25);
    let s = b.unary(UnaryOp::Tanh, s);
    let s = b.with(BinaryOp::Mul, s, 3.0);
    let s = b.binary(BinaryOp::Add, s, mask);
    let p = softmax(&mut b, s);
    let y = b.einsum("bmn", "bnk", "bmk", [p, v]);
    b.output(y);
    let (score, _) = expect(b, &["Attention"], 0.25, 1);
    let last = score.and_then(|score| score.instructions.last().copied());
    assert!(matches!(last, Some(Instruction::Binary(BinaryOp::Add, ..))));
}

/// where(row has a key, softmax(hide(scores)), 0) times values.
fn guarded(hide: impl Fn(&mut Build, NodeId, NodeId, NodeId) -> NodeId) -> Build {
    let mut b = Build::default();
    let [q, k, v] = sides(&mut b);
    let keep = rows(&mut b, &HALF_HIDDEN);
    let s = b.einsum("bmk", "bnk", "bmn", [q, k]);
    let hidden = b.scalar(s, f32::NEG_INFINITY);
    let s = hide(&mut b, keep, s, hidden);
    let p = softmax(&mut b, s);
    let seen = b.add(Op::Pointwise(Pointwise::cast(Dtype::Bool, Dtype::F32)), &[keep]);
    let seen = b.add(Op::Reduce { kind: ReduceKind::Max, axes: vec![2] }, &[seen]);
    let seen = b.add(Op::Pointwise(Pointwise::cast(Dtype::F32, Dtype::Bool)), &[seen]);
    let zero = b.scalar(s, 0.0);
    let p = b.add(Op::Pointwise(Pointwise::select(Dtype::F32)), &[seen, p, zero]);
    let y = b.einsum("bmn", "bnk", "bmk", [p, v]);
    b.output(y);
    b
}

#[test]
fn weights_of_rows_without_any_key_are_0() {
    let added = guarded(|b, keep, s, hidden| {
        let zero = b.scalar(s, 0.0);
        let bias = b.add(Op::Pointwise(Pointwise::select(Dtype::F32)), &[keep, zero, hidden]);
        b.binary(BinaryOp::Add, s, bias)
    });
    let (_, empty_row) = expect(added, &["Attention"], 1.0, 2);
    assert_eq!(empty_row, EmptyRow::Zero);
    // A row that is hidden could not be told from one whose own scores are −∞.
    let replaced =
        guarded(|b, keep, s, hidden| b.add(Op::Pointwise(Pointwise::select(Dtype::F32)), &[keep, s, hidden]));
    assert_eq!(check(replaced).1.attentions, 0);
}

#[test]
fn constants_that_are_added_are_one_and_others_stay_apart() {
    let mut b = Build::default();
    let [q, k, v] = sides(&mut b);
    let (bias, mask, run_time) = (b.constant(&[2, 5, 6]), b.constant(&[1, 5, 6]), b.input(&[1, 1, 6]));
    let s = b.einsum("bmk", "bnk", "bmn", [q, k]);
    let s = b.binary(BinaryOp::Add, s, bias);
    let s = b.binary(BinaryOp::Add, mask, s);
    let s = b.binary(BinaryOp::Add, s, run_time);
    let p = softmax(&mut b, s);
    let y = b.einsum("bmn", "bnk", "bmk", [p, v]);
    b.output(y);
    expect(b, &["Attention"], 1.0, 2);
}

#[test]
fn more_operands_than_the_kernels_read_are_added_up_or_left_alone() {
    for (op, attentions) in [(BinaryOp::Add, 1), (BinaryOp::Mul, 0)] {
        let mut b = Build::default();
        let [q, k, v] = sides(&mut b);
        let mut s = b.einsum("bmk", "bnk", "bmn", [q, k]);
        for _ in 0..4 {
            let mask = b.input(&[1, 5, 6]);
            s = b.binary(op, s, mask);
        }
        let p = softmax(&mut b, s);
        let y = b.einsum("bmn", "bnk", "bmk", [p, v]);
        b.output(y);
        assert_eq!(check(b).1.attentions, attentions);
    }
}

#[test]
fn mixed_heads_are_left_alone() {
    let mut b = Build::default();
    let (q, k, v) = (b.input(&[3, 4, 8]), b.input(&[3, 4, 8]), b.input(&[3, 4, 8]));
    let mixing = b.constant(&[3, 3]);
    let s = b.einsum("bmk", "bnk", "bmn", [q, k]);
    let p = softmax(&mut b, s);
    let p = b.einsum("bmn", "bc", "cmn", [p, mixing]);
    let y = b.einsum("bmn", "bnk", "bmk", [p, v]);
    b.output(y);
    expect_none(b);
}

#[test]
fn probabilities_that_are_read_twice_are_left_alone() {
    let mut b = Build::default();
    let (q, k, v) = (b.input(&[3, 4, 8]), b.input(&[3, 4, 8]), b.input(&[3, 4, 8]));
    let s = b.einsum("bmk", "bnk", "bmn", [q, k]);
    let p = softmax(&mut b, s);
    let y = b.einsum("bmn", "bnk", "bmk", [p, v]);
    b.output(y);
    b.output(p);
    expect_none(b);
}

#[test]
fn large_heads_are_left_alone() {
    let mut b = Build::default();
    let (q, k, v) = (b.input(&[2, 160]), b.input(&[3, 160]), b.input(&[3, 4]));
    let s = b.einsum("mk", "nk", "mn", [q, k]);
    let p = softmax(&mut b, s);
    let y = b.einsum("mn", "nk", "mk", [p, v]);
    b.output(y);
    expect_none(b);
}
