//! Constants, views, einsum labels, duplicates and scales.

use super::{Build, check, operators};
use crate::graph::constant::{Constant, Storage};
use crate::graph::op::{Op, Window};
use crate::graph::pointwise::BinaryOp;
use crate::graph::quantized::{Blocks, Floats, Packed, Places, Quantized, Width, ZeroPoints};
use std::sync::Arc;

#[test]
fn transposes_become_labels() {
    let mut b = Build::default();
    let x = b.input(&[8, 6]);
    let w = b.constant(&[10, 8]);
    let (xt, wt) = (b.transpose(x, &[1, 0]), b.transpose(w, &[1, 0]));
    let y = b.einsum("mk", "kn", "mn", [xt, wt]);
    let y = b.transpose(y, &[1, 0]);
    b.output(y);
    let (graph, report) = check(b);
    assert_eq!(operators(&graph), ["Einsum"]);
    assert_eq!(report.transposes_absorbed, 3);
}

#[test]
fn a_transpose_that_keeps_contracted_axes_together_stays() {
    let mut b = Build::default();
    let x = b.input(&[3, 5, 4]);
    let w = b.constant(&[3, 4, 7]);
    let x = b.transpose(x, &[1, 0, 2]);
    let y = b.einsum("mbk", "bkn", "mn", [x, w]);
    b.output(y);
    let (graph, _) = check(b);
    assert_eq!(operators(&graph), ["Transpose", "Einsum"]);
}

#[test]
fn views_merge_and_vanish() {
    let mut b = Build::default();
    let x = b.input(&[2, 3, 4]);
    let y = b.reshape(x, &[6, 4]);
    let y = b.reshape(y, &[2, 3, 4]);
    let y = b.transpose(y, &[2, 0, 1]);
    let y = b.transpose(y, &[1, 2, 0]);
    let y = b.with(BinaryOp::Add, y, 1.0);
    b.output(y);
    let (graph, _) = check(b);
    assert_eq!(operators(&graph), ["Pointwise"]);
}

#[test]
fn moved_constants_keep_half_precision() {
    let mut b = Build::default();
    let x = b.input(&[3, 2]);
    let halves: Vec<u8> = (0..6).flat_map(|i| half::f16::from_f32(i as f32 * 0.5).to_le_bytes()).collect();
    let constant = Constant::new(vec![2, 3], Storage::F16, Arc::new(halves)).expect("six elements");
    let c = b.graph.add_constant(constant, "c");
    let c = b.transpose(c, &[1, 0]);
    let y = b.binary(BinaryOp::Add, x, c);
    b.output(y);
    let (graph, _) = check(b);
    let storage = graph.node_ids().into_iter().find_map(|id| graph.constant(id).map(|c| c.storage));
    assert_eq!(storage, Some(Storage::F16));
}

#[test]
fn moved_constants_keep_their_integers() {
    let mut b = Build::default();
    let x = b.input(&[2, 3, 2]);
    let integers =
        Packed { width: Width::Four, signed: true, bytes: Arc::new(vec![0x21, 0x43, 0x65, 0x87, 0xa9, 0xcb]) };
    let blocks = Blocks {
        lengths: vec![1, 2],
        scales: Floats::from_f32(&[0.5, -1.5, 0.25, 2.0, -1.0, 4.0]),
        scale_places: Places::dense(&[3, 2]),
        zeros: ZeroPoints::Same(-1),
        zero_places: Places::dense(&[3, 2]),
    };
    let weight = Quantized::new(vec![3, 4], integers, Places::dense(&[3, 4]), blocks, false).expect("it fits");
    let c = b.graph.add_constant(Constant::from_quantized(weight), "c");
    let c = b.transpose(c, &[1, 0]);
    let c = b.shaped(Op::Slice { starts: vec![2, 0], steps: vec![1, 1] }, c, &[2, 3]);
    let c = b.reshape(c, &[2, 3, 1]);
    let y = b.binary(BinaryOp::Add, x, c);
    b.output(y);
    let (graph, _) = check(b);
    let constant = graph.node_ids().into_iter().find_map(|id| graph.constant(id)).expect("it is not folded away");
    assert_eq!(constant.as_quantized().map(Quantized::shape), Some([2, 3, 1].as_slice()));
}

#[test]
fn constants_are_not_blown_up() {
    let mut b = Build::default();
    let c = b.constant(&[1, 3]);
    let y = b.shaped(Op::Broadcast, c, &[4, 3]);
    b.output(y);
    let (graph, _) = check(b);
    assert_eq!(operators(&graph), ["Broadcast"]);
}

#[test]
fn equal_nodes_become_one() {
    let mut b = Build::default();
    let x = b.input(&[4, 4]);
    let (one, two) = (b.constant(&[1, 4]), b.constant(&[1, 4]));
    let (l, r) = (b.binary(BinaryOp::Min, x, one), b.binary(BinaryOp::Min, x, two));
    let y = b.einsum("mk", "kn", "mn", [l, r]);
    b.output(y);
    let (graph, report) = check(b);
    assert_eq!(operators(&graph), ["Pointwise", "Einsum"]);
    assert_eq!(report.duplicates, 2);
}

fn window() -> Window {
    Window {
        kernel: vec![3, 3],
        strides: vec![1, 1],
        dilations: vec![1, 1],
        pads_before: vec![1, 1],
        pads_after: vec![1, 1],
    }
}

#[test]
fn batch_norm_goes_into_the_weight_behind_a_bias() {
    let mut b = Build::default();
    let x = b.input(&[1, 4, 5, 5]);
    let w = b.constant(&[6, 2, 3, 3]);
    let mut y = b.add(Op::Conv { window: window(), groups: 2 }, &[x, w]);
    for op in [BinaryOp::Add, BinaryOp::Mul, BinaryOp::Add] {
        let c = b.constant(&[1, 6, 1, 1]);
        y = b.binary(op, y, c);
    }
    b.output(y);
    let (graph, report) = check(b);
    assert_eq!(report.scales_folded, 1);
    assert_eq!(operators(&graph), ["Conv"]);
}

#[test]
fn a_convolution_that_is_read_twice_keeps_its_weight() {
    let mut b = Build::default();
    let x = b.input(&[1, 4, 5, 5]);
    let w = b.constant(&[4, 4, 3, 3]);
    let c = b.constant(&[1, 4, 1, 1]);
    let y = b.add(Op::Conv { window: window(), groups: 1 }, &[x, w]);
    let z = b.binary(BinaryOp::Mul, y, c);
    b.output(y);
    b.output(z);
    let (_, report) = check(b);
    assert_eq!(report.scales_folded, 0);
}
