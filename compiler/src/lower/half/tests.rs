//! That scaled graphs compute what they computed before, for every kind of weight, and that f16 then holds them.

use super::{HalfReport, into_range};
use crate::graph::constant::{Constant, Dtype};
use crate::graph::interpret::interpret;
use crate::graph::op::{Op, Window};
use crate::graph::pointwise::{BinaryOp, Pointwise};
use crate::graph::verify::verify;
use crate::graph::{Graph, GraphPort, NodeId};
use flashmem_plan_format::plan::ElementType;

/// Values around `scale`, none of them small beside it.
fn values(shape: &[usize], scale: impl Fn(usize) -> f32) -> Constant {
    let value =
        |i: usize| ((i * 37 % 19) as f32 + 1.0) / 19.0 * scale(i) * if i.is_multiple_of(3) { -1.0 } else { 1.0 };
    Constant::from_f32(shape.to_vec(), &(0..shape.iter().product::<usize>()).map(value).collect::<Vec<_>>())
}

fn input(graph: &mut Graph, shape: &[usize], dtype: Dtype) -> NodeId {
    let node = graph.add_shaped(Op::Input, &[], "x", shape.to_vec(), dtype);
    let element = match dtype {
        Dtype::F32 => ElementType::F32,
        Dtype::I32 => ElementType::I32,
        Dtype::Bool => ElementType::Bool,
    };
    graph.inputs.push(GraphPort { name: "x".into(), element, node });
    node
}

/// Brings a graph of one output into range; what it computes must stay the same but for the rounding of weights.
fn check(mut graph: Graph, output: NodeId, input_scale: f32) -> HalfReport {
    graph.outputs.push(GraphPort { name: "y".into(), element: ElementType::F32, node: output });
    let x = graph.node(graph.inputs[0].node);
    let words: Vec<u32> = match x.dtype {
        Dtype::F32 => values(&x.shape, |_| input_scale).to_f32().iter().map(|v| v.to_bits()).collect(),
        Dtype::I32 | Dtype::Bool => (0..x.shape.iter().product::<usize>() as u32).collect(),
    };
    let before = interpret(&graph, std::slice::from_ref(&words));
    let report = into_range(&mut graph);
    assert_eq!(verify(&graph), vec![]);
    let after = interpret(&graph, &[words]);
    let (mut difference, mut norm) = (0.0_f64, 0.0_f64);
    for (a, b) in before[0].iter().zip(&after[0]) {
        let (a, b) = (f64::from(f32::from_bits(*a)), f64::from(f32::from_bits(*b)));
        difference += (a - b).powi(2);
        norm += a.powi(2);
    }
    assert!(difference <= norm * 1e-6 && norm > 0.0, "{difference:e} of {norm:e}");
    assert!(report.scaled.iter().all(|weight| weight.error <= 1.0 / 2048.0), "{report:?}");
    let again = into_range(&mut graph);
    assert!(again.scaled.is_empty(), "{again:?}");
    report
}

fn product(scale: impl Fn(usize) -> f32, x_scale: f32, bias: bool, weight_first: bool) -> HalfReport {
    let mut graph = Graph::default();
    let x = input(&mut graph, &[2, 3, 8], Dtype::F32);
    let weight = graph.add_constant(values(&[8, 5, 2], |i| scale(i / 2 % 5)), "w");
    let (op, operands) = if weight_first {
        (Op::Einsum { a: vec![3, 4, 5], b: vec![0, 1, 3], output: vec![5, 0, 1, 4] }, [weight, x])
    } else {
        (Op::Einsum { a: vec![0, 1, 3], b: vec![3, 4, 5], output: vec![5, 0, 1, 4] }, [x, weight])
    };
    let y = graph.add(op, &operands, "y").expect("fits");
    if bias {
        let bias = graph.add_constant(values(&[2, 1, 1, 5], |i| scale(i % 5) * x_scale), "bias");
        graph.set_operands(y, &[operands[0], operands[1], bias]);
        graph.node_mut(y).epilogue = Some(Pointwise::binary(BinaryOp::Add, Dtype::F32));
    }
    check(graph, y, x_scale)
}

#[test]
fn products_with_one_factor_or_one_a_channel_with_and_without_epilogue() {
    for (bias, first) in [(false, false), (true, false), (false, true), (true, true)] {
        assert!(product(|_| 1.0, 1.0, bias, first).scaled.is_empty());
        for scale in [1e-6, 1e-8, 1e-20, 1e5] {
            assert_eq!(product(|_| scale, 1.0, bias, first).scaled.len(), 1, "{scale}");
        }
        let apart = |channel: usize| [1e-8, 1.0, 1e-3, 1e6, 1e-6][channel];
        assert_eq!(product(apart, 1.0, bias, first).scaled.len(), 1);
    }
    product(|_| 1e-20, 1e20, true, false);
}

fn convolution(groups: usize, outputs: usize, scale: impl Fn(usize) -> f32) -> HalfReport {
    let mut graph = Graph::default();
    let x = input(&mut graph, &[1, 4, 5, 5], Dtype::F32);
    let per_output = 4 / groups * 9;
    let weight = graph.add_constant(values(&[outputs, 4 / groups, 3, 3], |i| scale(i / per_output)), "w");
    let pads = vec![1, 1];
    let window = Window {
        kernel: vec![3, 3],
        strides: vec![1, 1],
        dilations: vec![1, 1],
        pads_before: pads.clone(),
        pads_after: pads,
    };
    let y = graph.add(Op::Conv { window, groups }, &[x, weight], "y").expect("fits");
    check(graph, y, 1.0)
}

#[test]
fn convolutions_of_any_groups() {
    for (groups, outputs) in [(1, 6), (2, 6), (4, 4), (4, 8)] {
        assert!(convolution(groups, outputs, |_| 0.1).scaled.is_empty());
        assert_eq!(convolution(groups, outputs, |_| 1e-8).scaled.len(), 1);
        assert_eq!(convolution(groups, outputs, |c| if c == 1 { 1e-9 } else { 10.0 }).scaled.len(), 1);
    }
}

#[test]
fn one_weight_of_two_products_is_scaled_once() {
    let mut graph = Graph::default();
    let x = input(&mut graph, &[3, 8], Dtype::F32);
    let weight = graph.add_constant(values(&[8, 8], |i| if i % 8 == 0 { 1e-7 } else { 1.0 }), "w");
    let op = || Op::Einsum { a: vec![0, 1], b: vec![1, 2], output: vec![0, 2] };
    let first = graph.add(op(), &[x, weight], "first").expect("fits");
    let second = graph.add(op(), &[first, weight], "second").expect("fits");
    assert_eq!(check(graph, second, 1.0).scaled.len(), 1);
}

#[test]
fn tables_stay_in_f32_when_a_row_does_not_fit() {
    for (scale, kept) in [(1.0, 0), (1e-7, 1), (1e6, 1)] {
        let mut graph = Graph::default();
        let x = input(&mut graph, &[4], Dtype::I32);
        let table = graph.add_constant(values(&[4, 8], |i| if i / 8 == 2 { scale } else { 1.0 }), "table");
        let y = graph.add(Op::Gather { axis: 0 }, &[table, x], "y").expect("fits");
        assert_eq!(check(graph, y, 1.0).kept_f32.len(), kept, "{scale}");
    }
}

#[test]
fn large_element_wise_constants_are_scaled_or_stay_in_f32() {
    let rows = 256;
    for (scale, scaled, kept) in [
        ([1.0, 1.0], 0, 0),
        ([1e-7, 1e-7], 1, 0),
        ([1e-7, 1.0], 1, 0),
        ([1e-4, 1e-8], 1, 0),
        ([1e-12, 1.0], 0, 1),
        ([1e6, 1e6], 0, 1),
    ] {
        for position in [0, 1] {
            let mut graph = Graph::default();
            let x = input(&mut graph, &[rows, 512], Dtype::F32);
            let constant = values(&[rows, 512], |i| if i / 512 == 7 { scale[1] } else { scale[0] });
            let constant = graph.add_constant(constant, "table");
            let operands = if position == 0 { [constant, x] } else { [x, constant] };
            let op = Op::Pointwise(Pointwise::binary(BinaryOp::Mul, Dtype::F32));
            let y = graph.add(op, &operands, "y").expect("fits");
            let report = check(graph, y, 1.0);
            assert_eq!((report.scaled.len(), report.kept_f32.len()), (scaled, kept), "{scale:?}");
        }
    }
}

#[test]
fn a_table_stays_in_f32_for_its_gather_alone() {
    let mut graph = Graph::default();
    let x = input(&mut graph, &[4], Dtype::I32);
    // A row that half precision cannot hold is a term of every column, where it does not count.
    let table = graph.add_constant(values(&[8, 8], |i| if i / 8 == 2 { 1e-7 } else { 1.0 }), "table");
    let rows = graph.add(Op::Gather { axis: 0 }, &[table, x], "rows").expect("fits");
    let op = Op::Einsum { a: vec![0, 1], b: vec![1, 2], output: vec![0, 2] };
    let y = graph.add(op, &[rows, table], "y").expect("fits");
    graph.outputs.push(GraphPort { name: "y".into(), element: ElementType::F32, node: y });
    let report = into_range(&mut graph);
    assert_eq!(verify(&graph), vec![]);
    assert_eq!((report.scaled.len(), report.kept_f32.len()), (0, 1));
    assert!(
        graph.encodings.contains_key(&graph.operands(rows)[0]) && !graph.encodings.contains_key(&graph.operands(y)[1])
    );
}
