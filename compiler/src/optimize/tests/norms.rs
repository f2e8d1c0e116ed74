//! Spellings of layer and RMS normalisation.

use super::{Build, check, operators};
use crate::graph::NodeId;
use crate::graph::op::{NormKind, Op, ReduceKind};
use crate::graph::pointwise::{BinaryOp, UnaryOp};

fn mean(b: &mut Build, x: NodeId, axes: &[usize]) -> NodeId {
    let count: usize = axes.iter().map(|a| b.graph.node(x).shape[*a]).product();
    let sum = b.add(Op::Reduce { kind: ReduceKind::Sum, axes: axes.to_vec() }, &[x]);
    b.with(BinaryOp::Mul, sum, 1.0 / count as f32)
}

/// The norm alone is left, of this kind.
fn expect(b: Build, kind: NormKind, nodes: &[&str]) {
    let (graph, report) = check(b);
    assert_eq!(report.norms, 1);
    assert_eq!(operators(&graph), nodes);
    let found = graph
        .node_ids()
        .into_iter()
        .find_map(|id| if let Op::Normalize { kind, .. } = graph.node(id).op { Some(kind) } else { None });
    assert_eq!(found, Some(kind));
}

#[test]
fn layer_with_one_difference_scale_and_shift() {
    let mut b = Build::default();
    let x = b.input(&[2, 5, 24]);
    let m = mean(&mut b, x, &[2]);
    let d = b.binary(BinaryOp::Sub, x, m);
    let square = b.binary(BinaryOp::Mul, d, d);
    let v = mean(&mut b, square, &[2]);
    let v = b.with(BinaryOp::Add, v, 1e-5);
    let s = b.unary(UnaryOp::Sqrt, v);
    let y = b.binary(BinaryOp::Div, d, s);
    let (gamma, beta) = (b.constant(&[1, 1, 24]), b.constant(&[1, 1, 24]));
    let y = b.binary(BinaryOp::Mul, y, gamma);
    let y = b.binary(BinaryOp::Add, y, beta);
    b.output(y);
    expect(b, NormKind::Layer, &["Normalize"]);
}

#[test]
fn layer_with_two_differences_and_rsqrt() {
    let mut b = Build::default();
    let x = b.input(&[3, 10]);
    let (m1, m2) = (mean(&mut b, x, &[1]), mean(&mut b, x, &[1]));
    let (d1, d2) = (b.binary(BinaryOp::Sub, x, m1), b.binary(BinaryOp::Sub, x, m2));
    let square = b.with(BinaryOp::Pow, d2, 2.0);
    let v = mean(&mut b, square, &[1]);
    let v = b.with(BinaryOp::Add, v, 1e-6);
    let r = b.unary(UnaryOp::Rsqrt, v);
    let y = b.binary(BinaryOp::Mul, r, d1);
    b.output(y);
    expect(b, NormKind::Layer, &["Normalize"]);
}

#[test]
fn rms_with_power() {
    let mut b = Build::default();
    let x = b.input(&[3, 10]);
    let v = b.add(Op::Reduce { kind: ReduceKind::MeanSquare, axes: vec![1] }, &[x]);
    let v = b.with(BinaryOp::Add, v, 1e-6);
    let r = b.with(BinaryOp::Pow, v, -0.5);
    let y = b.binary(BinaryOp::Mul, x, r);
    b.output(y);
    expect(b, NormKind::Rms, &["Normalize"]);
}

#[test]
fn layer_from_rms_of_a_difference_over_channels() {
    let mut b = Build::default();
    let x = b.input(&[1, 6, 4, 5]);
    let m = mean(&mut b, x, &[1]);
    let d = b.binary(BinaryOp::Sub, x, m);
    let y = b.add(Op::Normalize { kind: NormKind::Rms, axes: vec![1], epsilon: 1e-5 }, &[d]);
    let gamma = b.constant(&[1, 6, 1, 1]);
    let y = b.binary(BinaryOp::Mul, y, gamma);
    b.output(y);
    expect(b, NormKind::Layer, &["Transpose", "Normalize", "Transpose"]);
}

#[test]
fn group_norm_takes_its_channel_scale_and_activation() {
    let mut b = Build::default();
    let x = b.input(&[2, 8, 3, 5]);
    let groups = b.reshape(x, &[2, 4, 30]);
    let m = mean(&mut b, groups, &[2]);
    let d = b.binary(BinaryOp::Sub, groups, m);
    let y = b.add(Op::Normalize { kind: NormKind::Rms, axes: vec![2], epsilon: 1e-5 }, &[d]);
    let y = b.reshape(y, &[2, 8, 3, 5]);
    let (gamma, beta) = (b.constant(&[1, 8, 1, 1]), b.constant(&[1, 8, 1, 1]));
    let y = b.binary(BinaryOp::Mul, y, gamma);
    let y = b.binary(BinaryOp::Add, y, beta);
    let s = b.unary(UnaryOp::Sigmoid, y);
    let y = b.binary(BinaryOp::Mul, y, s);
    b.output(y);
    // With two images the leading axes (image, group) are neither all broadcast nor all full: the scale stays outside.
    expect(b, NormKind::Layer, &["Reshape", "Normalize", "Reshape", "Pointwise"]);

    let mut b = Build::default();
    let x = b.input(&[1, 8, 3, 5]);
    let groups = b.reshape(x, &[1, 4, 30]);
    let m = mean(&mut b, groups, &[2]);
    let d = b.binary(BinaryOp::Sub, groups, m);
    let y = b.add(Op::Normalize { kind: NormKind::Rms, axes: vec![2], epsilon: 1e-5 }, &[d]);
    let y = b.reshape(y, &[1, 8, 3, 5]);
    let gamma = b.constant(&[1, 8, 1, 1]);
    let y = b.binary(BinaryOp::Mul, y, gamma);
    let s = b.unary(UnaryOp::Sigmoid, y);
    let y = b.binary(BinaryOp::Mul, y, s);
    b.output(y);
    expect(b, NormKind::Layer, &["Reshape", "Normalize", "Reshape"]);
}

#[test]
fn a_mean_over_other_axes_is_no_layer_norm() {
    let mut b = Build::default();
    let x = b.input(&[3, 10]);
    let m = mean(&mut b, x, &[0]);
    let d = b.binary(BinaryOp::Sub, x, m);
    let v = b.add(Op::Reduce { kind: ReduceKind::MeanSquare, axes: vec![1] }, &[d]);
    let v = b.with(BinaryOp::Add, v, 1e-6);
    let s = b.unary(UnaryOp::Sqrt, v);
    let y = b.binary(BinaryOp::Div, d, s);
    b.output(y);
    expect(b, NormKind::Rms, &["Reduce", "Pointwise", "Normalize"]);
}
