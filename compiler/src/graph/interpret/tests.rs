//! Hand-computed values of the reference interpreter.

use super::{Tensor, evaluate, interpret};
use crate::graph::Graph;
use crate::graph::GraphPort;
use crate::graph::constant::{Constant, Dtype};
use crate::graph::op::{EmptyRow, Op, PadMode, PoolKind, ReduceKind, ScatterKind, Taps, Window};
use crate::graph::pointwise::{BinaryOp, Instruction, Literal, Operand, Pointwise};
use flashmem_plan_format::plan::ElementType;

fn t(shape: &[usize], values: &[f32]) -> Tensor {
    Tensor::from_f32(shape.to_vec(), values.iter().copied())
}

fn window(kernel: &[usize], stride: usize, pad: usize) -> Window {
    let n = kernel.len();
    Window {
        kernel: kernel.to_vec(),
        strides: vec![stride; n],
        dilations: vec![1; n],
        pads_before: vec![pad; n],
        pads_after: vec![pad; n],
    }
}

#[test]
fn convolutions_and_their_windows() {
    let x = t(&[1, 1, 4], &[1., 2., 3., 4.]);
    let w = t(&[1, 1, 3], &[1., 0., -1.]);
    let conv = Op::Conv { window: window(&[3], 1, 1), groups: 1 };
    assert_eq!(evaluate(&conv, &[&x, &w], &[1, 1, 4]).to_f32(), [-2., -2., -2., 3.]);
    let columns = t(&[1, 1, 3, 2], &[1., 2., 10., 20., 100., 200.]);
    let fold = Op::Fold { window: window(&[3], 2, 0), output_padding: vec![0] };
    let y = evaluate(&fold, &[&columns], &[1, 1, 5]).to_f32();
    assert_eq!(y, [1., 10., 102., 20., 200.]);
    let unfold = Op::Unfold { kernel: vec![2], strides: vec![1], dilations: vec![2] };
    assert_eq!(evaluate(&unfold, &[&x], &[1, 1, 2, 2]).to_f32(), [1., 2., 3., 4.]);
}

#[test]
fn pools_ignore_or_count_padding() {
    let x = t(&[1, 1, 3], &[1., 2., -6.]);
    let pool = |kind| evaluate(&Op::Pool { window: window(&[3], 1, 1), kind }, &[&x], &[1, 1, 3]).to_f32();
    assert_eq!(pool(PoolKind::Max), [2., 2., 2.]);
    let index = Op::Pool { window: window(&[3], 1, 1), kind: PoolKind::MaxIndex };
    assert_eq!(evaluate(&index, &[&x], &[1, 1, 3]).words, [1, 1, 1]);
    assert_eq!(pool(PoolKind::Average { count_include_pad: false }), [1.5, -1., -2.]);
    assert_eq!(pool(PoolKind::Average { count_include_pad: true }), [1., -1., -4. / 3.]);
}

#[test]
fn a_nan_is_the_largest_and_the_smallest() {
    let nan = f32::NAN;
    let x = t(&[3, 3], &[1., nan, 2., nan, 0., nan, 5., 7., 6.]);
    for kind in [ReduceKind::Max, ReduceKind::Min] {
        let y = evaluate(&Op::Reduce { kind, axes: vec![1] }, &[&x], &[3, 1]).to_f32();
        assert!(y[0].is_nan() && y[1].is_nan() && y[2] == if kind == ReduceKind::Max { 7. } else { 5. });
    }
    let arg = |max, last| evaluate(&Op::ArgReduce { axis: 1, max, last }, &[&x], &[3, 1]).words;
    assert_eq!([arg(true, false), arg(true, true), arg(false, false)], [[1, 0, 1], [1, 2, 1], [1, 0, 0]]);
}

#[test]
fn norms_of_windows_have_room() {
    let large = 2_f32.powi(100);
    let x = t(&[1, 1, 4], &[3. * large, -4. * large, 0., 0.]);
    let pool = |p| evaluate(&Op::Pool { window: window(&[2], 2, 0), kind: PoolKind::Norm { p } }, &[&x], &[1, 1, 2]);
    assert_eq!(pool(2).to_f32(), [5. * large, 0.]);
    assert_eq!(pool(1).to_f32(), [7. * large, 0.]);
}

#[test]
fn attention_is_softmax_of_scores_times_values() {
    let (q, k) = (t(&[1, 2], &[1., 0.]), t(&[2, 2], &[0., 5., 0., 7.]));
    let v = t(&[2, 1], &[10., 20.]);
    let plain = Op::Attention { scale: 0.5, score: None, empty_row: EmptyRow::Nan };
    assert_eq!(evaluate(&plain, &[&q, &k, &v], &[1, 1]).to_f32(), [15.]);
    // −∞ where the row is hidden, else the score and a mask.
    let hide = Pointwise {
        inputs: vec![Dtype::F32, Dtype::Bool, Dtype::F32],
        instructions: vec![
            Instruction::Binary(BinaryOp::Add, Operand::Input(0), Operand::Input(2)),
            Instruction::Literal(Literal::F32(f32::NEG_INFINITY.to_bits())),
            Instruction::Select {
                condition: Operand::Input(1),
                then: Operand::Result(1),
                otherwise: Operand::Result(0),
            },
        ],
    };
    let hidden = f32::NEG_INFINITY;
    let masked = |k: &Tensor, mask: [f32; 2], empty_row| {
        let op = Op::Attention { scale: 0.5, score: Some(hide.clone()), empty_row };
        let row = Tensor::from_constant(&Constant::from_bool(vec![1, 1], &[mask == [hidden, hidden]]));
        evaluate(&op, &[&q, k, &v, &row, &t(&[1, 2], &mask)], &[1, 1]).to_f32()[0]
    };
    assert_eq!(masked(&k, [0., hidden], EmptyRow::Nan), 10.);
    assert_eq!(masked(&k, [f32::MIN, f32::MIN], EmptyRow::Zero), 15.);
    assert_eq!(masked(&k, [hidden, hidden], EmptyRow::Zero), 0.);
    assert!(masked(&k, [hidden, hidden], EmptyRow::Nan).is_nan());
    assert!(masked(&k, [0., f32::NAN], EmptyRow::Zero).is_nan());
    // Scores that are −∞ of themselves hide nothing.
    let far = t(&[2, 2], &[hidden, 5., hidden, 7.]);
    assert!(masked(&far, [0., hidden], EmptyRow::Zero).is_nan());
    assert_eq!(masked(&far, [hidden, hidden], EmptyRow::Zero), 0.);
}

#[test]
fn movement() {
    let x = t(&[1, 3], &[1., 2., 3.]);
    let pad = |mode| evaluate(&Op::Pad { before: vec![0, 2], after: vec![0, 1], mode }, &[&x], &[1, 6]).to_f32();
    assert_eq!(pad(PadMode::Constant(9.)), [9., 9., 1., 2., 3., 9.]);
    assert_eq!(pad(PadMode::Reflect), [3., 2., 1., 2., 3., 2.]);
    assert_eq!(pad(PadMode::Edge), [1., 1., 1., 2., 3., 3.]);
    let slice = Op::Slice { starts: vec![0, 2], steps: vec![1, -2] };
    assert_eq!(evaluate(&slice, &[&x], &[1, 2]).to_f32(), [3., 1.]);
    let indices = Tensor { shape: vec![2], dtype: Dtype::I32, words: vec![-1_i32 as u32, 0] };
    assert_eq!(evaluate(&Op::Gather { axis: 1 }, &[&x, &indices], &[1, 2]).to_f32(), [3., 1.]);
    let data = t(&[3, 1], &[1., 2., 3.]);
    let rows = Tensor { shape: vec![3], dtype: Dtype::I32, words: vec![2, 0, 2] };
    let updates = t(&[3, 1], &[10., 20., 30.]);
    let scatter = |reduction| evaluate(&Op::Scatter { reduction }, &[&data, &rows, &updates], &[3, 1]).to_f32();
    assert_eq!(scatter(ScatterKind::Replace), [20., 2., 30.]);
    assert_eq!(scatter(ScatterKind::Add), [21., 2., 43.]);
    let resize = |window, indices: &[i32], weights: &[f32]| {
        let taps = Taps { window, indices: indices.to_vec(), weights: weights.to_vec() };
        let op = Op::Resize { axes: vec![Taps::kept(), taps], fill: 7.0 };
        evaluate(&op, &[&x], &[1, 2]).to_f32()
    };
    assert_eq!(resize(2, &[0, 1, 1, 2], &[0.75, 0.25, 0.5, 0.5]), [1.25, 2.5]);
    assert_eq!(resize(1, &[2, -1], &[1.0, 0.0]), [3., 7.]);
}

#[test]
fn a_graph_with_an_epilogue() {
    let mut graph = Graph::default();
    let a = graph.add_shaped(Op::Input, &[], "a", vec![1, 2], Dtype::F32);
    let b = graph.add_shaped(Op::Input, &[], "b", vec![2, 2], Dtype::F32);
    let op = Op::Einsum { a: vec![0, 1], b: vec![1, 2], output: vec![0, 2] };
    let y = graph.add(op, &[a, b], "y").expect("the shapes fit");
    let c = graph.add_shaped(Op::Input, &[], "c", vec![1, 1], Dtype::F32);
    graph.set_operands(y, &[a, b, c]);
    graph.node_mut(y).epilogue = Some(Pointwise::binary(BinaryOp::Add, Dtype::F32));
    for (name, node) in [("a", a), ("b", b), ("c", c)] {
        graph.inputs.push(GraphPort { name: name.into(), element: ElementType::F32, node });
    }
    graph.outputs.push(GraphPort { name: "y".into(), element: ElementType::F32, node: y });
    let words = |v: &[f32]| v.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    let y = interpret(&graph, &[words(&[1., 2.]), words(&[3., 4., 5., 6.]), words(&[100.])]);
    assert_eq!(y, [words(&[113., 116.])]);
}

/// Floats of a few bits and many, positive and negative, zeros among them.
fn noise(count: usize, seed: u32) -> Vec<f32> {
    let at = |i: usize| (i as u32).wrapping_mul(2_654_435_761).wrapping_add(seed.wrapping_mul(40_503)) >> 7;
    (0..count).map(|i| if i % 11 == 3 { -0.0 } else { at(i) as f32 / 1.7e7 - 1.0 }).collect()
}

#[test]
fn large_products_have_the_bits_of_plain_sums() {
    let (a, b) = (t(&[3, 9, 37], &noise(3 * 9 * 37, 1)), t(&[3, 37, 70], &noise(3 * 37 * 70, 2)));
    let product = Op::Einsum { a: b"bmk".to_vec(), b: b"bkn".to_vec(), output: b"nbm".to_vec() };
    let found = evaluate(&product, &[&a, &b], &[70, 3, 9]).to_f32();
    for (n, batch, m) in (0..70).flat_map(|n| (0..3).flat_map(move |b| (0..9).map(move |m| (n, b, m)))) {
        let term = |k: usize| a.value((batch * 9 + m) * 37 + k) * b.value((batch * 37 + k) * 70 + n);
        let sum: f64 = (0..37).map(term).sum();
        assert_eq!(found[(n * 3 + batch) * 9 + m].to_bits(), (sum as f32).to_bits());
    }
    // A sum over nothing, and only negative zeros.
    let (none, zeros) = (t(&[80, 0], &[]), t(&[0, 80], &[]));
    let product = Op::Einsum { a: b"mk".to_vec(), b: b"kn".to_vec(), output: b"mn".to_vec() };
    assert_eq!(evaluate(&product, &[&none, &zeros], &[80, 80]).to_f32(), vec![0.0; 6400]);
}

#[test]
fn convolutions_have_the_bits_of_plain_sums() {
    let (groups, channels, outputs) = (2, 6, 10);
    let (x, mut w) = (noise(2 * 6 * 7 * 8, 3), noise(10 * 3 * 3 * 3, 4));
    for infinite in [false, true] {
        if infinite {
            w[5] = f32::INFINITY;
        }
        let (x, w) = (t(&[2, channels, 7, 8], &x), t(&[outputs, 3, 3, 3], &w));
        let conv = Op::Conv { window: window(&[3, 3], 2, 1), groups };
        let found = evaluate(&conv, &[&x, &w], &[2, outputs, 4, 4]).to_f32();
        let mut places = found.iter();
        for (n, o) in (0..2).flat_map(|n| (0..outputs).map(move |o| (n, o))) {
            for (row, column) in (0..4).flat_map(|r| (0..4).map(move |c| (r, c))) {
                let mut sum = 0.0;
                for (tap_row, tap_column) in (0..3).flat_map(|r| (0..3).map(move |c| (r, c))) {
                    let (y, z) = (2 * row + tap_row, 2 * column + tap_column);
                    if !(1..8).contains(&y) || !(1..9).contains(&z) {
                        continue;
                    }
                    for c in 0..3 {
                        let channel = o / 5 * 3 + c;
                        let value = x.value(((n * channels + channel) * 7 + y - 1) * 8 + z - 1);
                        sum += value * w.value(((o * 3 + c) * 3 + tap_row) * 3 + tap_column);
                    }
                }
                let found = places.next().expect("as many");
                assert!(found.to_bits() == (sum as f32).to_bits() || (found.is_nan() && sum.is_nan()));
            }
        }
    }
}
