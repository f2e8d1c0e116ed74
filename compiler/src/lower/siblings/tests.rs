//! Which products are siblings, and that lowering makes one call of them, or one each, with the same kernel and stream.

use super::find;
use crate::graph::constant::{Constant, Dtype};
use crate::graph::op::{Op, ReduceKind};
use crate::graph::pointwise::{BinaryOp, Instruction, Operand, Pointwise, UnaryOp};
use crate::graph::{Graph, GraphPort, NodeId};
use crate::kernels::Kernel;
use crate::lower::program::Program;
use crate::lower::verify::verify;
use crate::lower::{LowerOptions, lower};
use flashmem_plan_format::plan::{ElementType, Encoding, PageGeometry};

fn port(node: NodeId) -> GraphPort {
    GraphPort { name: String::new(), element: ElementType::F32, node }
}

fn constant(graph: &mut Graph, shape: &[usize]) -> NodeId {
    graph.add_constant(Constant::from_f32(shape.to_vec(), &vec![0.5; shape.iter().product()]), "constant")
}

/// A product of x with so many columns.
fn product(graph: &mut Graph, x: NodeId, columns: usize) -> NodeId {
    let k = graph.node(x).shape[1];
    let weight = constant(graph, &[k, columns]);
    let op = Op::Einsum { a: b"mk".to_vec(), b: b"kn".to_vec(), output: b"mn".to_vec() };
    graph.add(op, &[x, weight], "product").expect("fits")
}

/// Has an epilogue of one operation with a constant of this shape.
fn then(graph: &mut Graph, id: NodeId, op: BinaryOp, shape: &[usize]) {
    let other = constant(graph, shape);
    let mut operands = graph.operands(id);
    operands.push(other);
    graph.set_operands(id, &operands);
    let instructions = vec![Instruction::Binary(op, Operand::Input(0), Operand::Input(1))];
    graph.node_mut(id).epilogue = Some(Pointwise { inputs: vec![Dtype::F32; 2], instructions });
}

/// Makes an element-wise reader of a node a result.
fn read(graph: &mut Graph, id: NodeId) {
    let negative = Op::Pointwise(Pointwise::unary(UnaryOp::Neg, Dtype::F32));
    let y = graph.add(negative, &[id], "reader").expect("fits");
    graph.outputs.push(port(y));
}

fn input(rows: usize) -> (Graph, NodeId) {
    let mut graph = Graph::default();
    let x = graph.add_shaped(Op::Input, &[], "x", vec![rows, 64], Dtype::F32);
    graph.inputs.push(port(x));
    (graph, x)
}

/// Columns of the siblings that are found.
fn found(graph: &mut Graph) -> Vec<Vec<usize>> {
    find(graph, u64::MAX);
    let columns = |id: &NodeId| graph.node(*id).shape[1];
    graph.siblings.iter().map(|siblings| siblings.members.iter().map(columns).collect()).collect()
}

fn lowered(graph: &Graph, joins_siblings: bool, max_pages_per_call: u32) -> Program {
    let (page, busy_workgroups) = (PageGeometry { rows: 16 }, Some(256));
    let options = LowerOptions { page, joins_siblings, max_pages_per_call, busy_workgroups, ..LowerOptions::default() };
    let program = lower(graph, &options).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(verify(&program), []);
    program
}

fn products(program: &Program) -> Vec<(Kernel, u32, u32)> {
    let steps = program.steps.iter().filter(|step| step.weight_texels.is_some());
    steps.map(|step| (step.kernel, step.params.word("n_count"), step.params.word("parts"))).collect()
}

#[test]
fn siblings_are_one_call_or_one_each_of_the_same_kernel() {
    // Three times as many columns keep the device busy, or have their sums cut less.
    for (rows, columns) in [(1, 2752), (4, 2752), (40, 128), (40, 4096)] {
        let (mut graph, x) = input(rows);
        let ids: Vec<NodeId> = (0..3).map(|_| product(&mut graph, x, columns)).collect();
        then(&mut graph, ids[0], BinaryOp::Add, &[1, columns]);
        then(&mut graph, ids[2], BinaryOp::Add, &[1, columns]);
        ids.iter().for_each(|id| read(&mut graph, *id));
        assert_eq!(found(&mut graph), [vec![columns; 3]]);
        let (together, apart) = (lowered(&graph, true, 64), lowered(&graph, false, 64));
        let (one, three) = (products(&together), products(&apart));
        assert_eq!((one.len(), three.len()), (1, 3), "{rows} rows");
        assert_eq!(one[0].1 as usize, 3 * columns);
        let is_tiled = matches!(one[0].0, Kernel::MatmulTiled | Kernel::MatmulTiled64 | Kernel::MatmulTiled128);
        assert!(three.iter().all(|call| call.2 == one[0].2), "sums are cut alike");
        assert!(is_tiled || three.iter().all(|call| call.0 == one[0].0), "{rows} rows: {one:?}, {three:?}");
        let offsets = |program: &Program| program.weights.iter().map(|w| w.texel_offset).collect::<Vec<_>>();
        assert_eq!(offsets(&together), offsets(&apart));
        let cut = products(&lowered(&graph, true, 2));
        let columns_of_calls: u32 = cut.iter().map(|call| call.1).sum();
        assert_eq!(columns_of_calls as usize, 3 * columns);
        // 128 columns each are less than two pages in all.
        assert!(columns < 1000 || cut.len() > 1, "calls for few pages");
    }
}

#[test]
fn columns_between_siblings_fill_panels() {
    let (mut graph, x) = input(2);
    let ids = [56, 96, 40].map(|columns| product(&mut graph, x, columns));
    ids.iter().for_each(|id| read(&mut graph, *id));
    assert_eq!(found(&mut graph), [[56, 96, 40]]);
    assert_eq!(graph.siblings[0].columns, 64 + 96 + 40);
    assert_eq!(products(&lowered(&graph, true, 64)).len(), 1);

    let (mut graph, x) = input(2);
    let narrow = [1, 1].map(|columns| product(&mut graph, x, columns));
    narrow.iter().for_each(|id| read(&mut graph, *id));
    assert_eq!(found(&mut graph), Vec::<Vec<usize>>::new(), "most columns would lie between");
}

#[test]
fn what_another_epilogue_a_reader_or_a_weight_keeps_apart_is_no_sibling() {
    let none = Vec::<Vec<usize>>::new();
    let two = || {
        let (mut graph, x) = input(4);
        let ids = [product(&mut graph, x, 64), product(&mut graph, x, 32)];
        (graph, x, ids)
    };
    let (mut graph, _, ids) = two();
    then(&mut graph, ids[0], BinaryOp::Sub, &[1, 64]);
    ids.iter().for_each(|id| read(&mut graph, *id));
    assert_eq!(found(&mut graph), none, "a difference");

    let (mut graph, _, ids) = two();
    then(&mut graph, ids[0], BinaryOp::Add, &[4, 1]);
    ids.iter().for_each(|id| read(&mut graph, *id));
    assert_eq!(found(&mut graph), none, "a number a row");

    let (mut graph, _, ids) = two();
    read(&mut graph, ids[0]);
    graph.outputs.push(port(ids[1]));
    assert_eq!(found(&mut graph), none, "a result would be copied");

    let (mut graph, _, ids) = two();
    read(&mut graph, ids[0]);
    let sum = graph.add(Op::Reduce { kind: ReduceKind::Sum, axes: vec![0] }, &[ids[1]], "sum").expect("fits");
    graph.outputs.push(port(sum));
    assert_eq!(found(&mut graph), none, "a reader that is not known to take strides");

    let (mut graph, _, ids) = two();
    read(&mut graph, ids[0]);
    let flat = graph.add_shaped(Op::Reshape, &[ids[1]], "flat", vec![128], Dtype::F32);
    read(&mut graph, flat);
    assert_eq!(found(&mut graph), none, "a view that would be a copy");

    let (mut graph, _, ids) = two();
    let weight = graph.operands(ids[1])[1];
    graph.encodings.insert(weight, Encoding::F16);
    ids.iter().for_each(|id| read(&mut graph, *id));
    assert_eq!(found(&mut graph), none, "another encoding");

    let (mut graph, x, ids) = two();
    let other = graph.add(Op::Pointwise(Pointwise::unary(UnaryOp::Neg, Dtype::F32)), &[x], "other").expect("fits");
    let between = product(&mut graph, other, 64);
    [ids[0], between, ids[1]].iter().for_each(|id| read(&mut graph, *id));
    assert_eq!(found(&mut graph), none, "another weight lies between");

    let (mut graph, _, ids) = two();
    ids.iter().for_each(|id| read(&mut graph, *id));
    find(&mut graph, 4 * 4 * 96 - 1);
    assert!(graph.siblings.is_empty(), "a tensor that is too large");
    find(&mut graph, 4 * 4 * 96);
    assert_eq!(graph.siblings.len(), 1);
}
