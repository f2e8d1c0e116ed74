//! What lowering decides without a device: row gathers, outputs, shared bindings, refusals.
//!
//! That the kernels compute the right values is tested where there is a device, in the tests crate.

use super::super::{LowerError, LowerOptions, lower};
use crate::graph::constant::{Constant, Dtype};
use crate::graph::kernel_op::{KernelOpKind, TensorScatter};
use crate::graph::op::{Op, ReduceKind, Window};
use crate::graph::pointwise::{BinaryOp, Pointwise, UnaryOp};
use crate::graph::{Graph, GraphPort, NodeId};
use crate::kernels::Kernel;
use crate::lower::program::Program;
use flashmem_plan_format::plan::{Buffer, ElementType, Encoding, PageGeometry};

fn options() -> LowerOptions {
    let page = PageGeometry { rows: 16 };
    LowerOptions { encoding: Encoding::F16, page, ..LowerOptions::default() }
}

fn input(graph: &mut Graph, shape: &[usize], dtype: Dtype) -> NodeId {
    let node = graph.add_shaped(Op::Input, &[], "input", shape.to_vec(), dtype);
    let element = if dtype == Dtype::F32 { ElementType::F32 } else { ElementType::I64 };
    graph.inputs.push(GraphPort { name: "input".into(), element, node });
    node
}

fn output(graph: &mut Graph, node: NodeId) {
    graph.outputs.push(GraphPort { name: "output".into(), element: ElementType::F32, node });
}

fn lowered(graph: &Graph) -> Program {
    lower(graph, &options()).unwrap_or_else(|e| panic!("{e}"))
}

fn table(graph: &mut Graph, rows: usize, columns: usize) -> NodeId {
    graph.add_constant(Constant::from_f32(vec![rows, columns], &vec![0.5; rows * columns]), "table")
}

#[test]
fn rows_at_public_indices_are_gathered_by_the_host_once_a_table() {
    let mut graph = Graph::default();
    let indices = input(&mut graph, &[2, 4], Dtype::I32);
    let table = table(&mut graph, 50, 12);
    let flat = graph.add_shaped(Op::Reshape, &[indices], "flat", vec![8], Dtype::I32);
    for operand in [indices, flat] {
        let rows = graph.add(Op::Gather { axis: 0 }, &[table, operand], "rows").expect("fits");
        output(&mut graph, rows);
    }
    let program = lowered(&graph);
    assert_eq!((program.row_sources.len(), program.row_gathers.len(), program.steps.len()), (1, 2, 0));
    assert!(program.inputs[0].slice.is_none(), "only the host reads the indices");
    assert!(program.row_gathers.iter().all(|g| g.destination.size_bytes == 8 * 12 * 4));
}

#[test]
fn indices_that_a_kernel_reads_too_stay_on_the_device() {
    let mut graph = Graph::default();
    let indices = input(&mut graph, &[4], Dtype::I32);
    let table = table(&mut graph, 50, 12);
    let rows = graph.add(Op::Gather { axis: 0 }, &[table, indices], "rows").expect("fits");
    let negative = Op::Pointwise(Pointwise::unary(UnaryOp::Neg, Dtype::I32));
    let negative = graph.add(negative, &[indices], "negative").expect("fits");
    output(&mut graph, rows);
    output(&mut graph, negative);
    let program = lowered(&graph);
    assert!(program.inputs[0].slice.is_some());
    assert_eq!((program.row_gathers.len(), program.steps.len()), (1, 1));
}

#[test]
fn the_host_computes_indices_of_a_large_table() {
    let mut graph = Graph::default();
    let indices = input(&mut graph, &[2, 3], Dtype::I32);
    let table = table(&mut graph, 1 << 16, 65);
    let negative = Op::Pointwise(Pointwise::unary(UnaryOp::Neg, Dtype::I32));
    let negative = graph.add(negative, &[indices], "negative").expect("fits");
    let joined = graph.add(Op::Concat { axis: 1 }, &[indices, negative], "joined").expect("fits");
    for operand in [negative, joined] {
        let rows = graph.add(Op::Gather { axis: 0 }, &[table, operand], "rows").expect("fits");
        output(&mut graph, rows);
    }
    let program = lowered(&graph);
    assert!(program.inputs[0].slice.is_none(), "only the host reads the indices");
    assert_eq!((program.row_sources.len(), program.row_gathers.len()), (1, 3));
    assert!(program.steps.iter().all(|step| step.kernel == Kernel::Copy) && program.steps.len() == 2);
    output(&mut graph, negative);
    let program = lowered(&graph);
    assert!(program.inputs[0].slice.is_some(), "the device computes the output");
    assert_eq!((program.row_gathers.len(), program.steps.len()), (3, 3));
}

#[test]
fn indices_of_a_large_table_that_the_device_computes_are_refused() {
    let mut graph = Graph::default();
    let indices = input(&mut graph, &[4, 2], Dtype::I32);
    let table = table(&mut graph, 1 << 16, 65);
    let last = graph.add(Op::Reduce { kind: ReduceKind::Max, axes: vec![1] }, &[indices], "last").expect("fits");
    let rows = graph.add(Op::Gather { axis: 0 }, &[table, last], "rows").expect("fits");
    output(&mut graph, rows);
    let refused = lower(&graph, &options()).expect_err("17 MB");
    assert!(matches!(refused, LowerError::NoKernel { op: "Gather", .. }), "{refused}");
    assert!(refused.to_string().contains("make them an input"), "{refused}");
}

#[test]
fn narrow_indices_are_gathered_on_the_device() {
    let mut graph = Graph::default();
    let indices = input(&mut graph, &[4], Dtype::I32);
    graph.inputs[0].element = ElementType::U8;
    let table = table(&mut graph, 50, 12);
    let rows = graph.add(Op::Gather { axis: 0 }, &[table, indices], "rows").expect("fits");
    output(&mut graph, rows);
    let program = lowered(&graph);
    assert!(program.inputs[0].slice.is_some() && program.row_gathers.is_empty());
}

#[test]
fn every_output_is_a_tensor_of_its_own() {
    let mut graph = Graph::default();
    let x = input(&mut graph, &[3, 4], Dtype::F32);
    let turned = graph.add(Op::Transpose { permutation: vec![1, 0] }, &[x], "turned").expect("fits");
    let relu = graph.add(Op::Pointwise(Pointwise::unary(UnaryOp::Relu, Dtype::F32)), &[x], "relu").expect("fits");
    for node in [x, turned, relu, relu] {
        output(&mut graph, node);
    }
    let program = lowered(&graph);
    let mut offsets: Vec<u64> = program.outputs.iter().map(|p| p.slice.expect("on the device").offset_bytes).collect();
    offsets.sort_unstable();
    offsets.dedup();
    assert_eq!(offsets.len(), 4);
    let copies = program.steps.iter().filter(|s| s.kernel == Kernel::Copy).count();
    assert_eq!(copies, 3, "the input, the view and the second use of relu");
}

#[test]
fn two_views_of_one_tensor_are_bound_once() {
    let mut graph = Graph::default();
    let x = input(&mut graph, &[4, 4], Dtype::F32);
    let turned = graph.add(Op::Transpose { permutation: vec![1, 0] }, &[x], "turned").expect("fits");
    let add = Op::Pointwise(Pointwise::binary(BinaryOp::Add, Dtype::F32));
    let sum = graph.add(add.clone(), &[x, turned], "sum").expect("fits");
    let twice = graph.add(add, &[sum, sum], "twice").expect("fits");
    output(&mut graph, twice);
    let program = lowered(&graph);
    let views: Vec<usize> =
        program.steps.iter().map(|s| s.expression.as_ref().map_or(0, |e| e.buffers.len())).collect();
    assert_eq!(views, [2, 1], "different views are two operands, equal ones are one");
    assert!(program.steps.iter().all(|s| s.bindings.len() == 2));
}

#[test]
fn constants_that_only_f32_holds_stream_beside_others() {
    let mut graph = Graph::default();
    let x = input(&mut graph, &[512, 300], Dtype::F32);
    let constant = |graph: &mut Graph, shape: [usize; 2]| {
        graph.add_constant(Constant::from_f32(shape.to_vec(), &vec![0.5; shape[0] * shape[1]]), "constant")
    };
    let (table, weight) = (constant(&mut graph, [512, 300]), constant(&mut graph, [300, 40]));
    let op = || Op::Einsum { a: vec![0, 1], b: vec![1, 2], output: vec![0, 2] };
    let first = graph.add(op(), &[x, weight], "first").expect("fits");
    let add = Op::Pointwise(Pointwise::binary(BinaryOp::Add, Dtype::F32));
    let sum = graph.add(add, &[x, table], "sum").expect("fits");
    let second = graph.add(op(), &[sum, weight], "second").expect("fits");
    output(&mut graph, first);
    output(&mut graph, second);
    graph.encodings.insert(table, Encoding::F32);
    let program = lowered(&graph);
    assert_eq!(crate::lower::verify::verify(&program), []);
    let [half, wide] = program.weights.as_slice() else { panic!("{:?}", program.weights.len()) };
    assert_eq!((half.encoding, wide.encoding), (Encoding::F16, Encoding::F32));
    // Two panels of 300 k in four texels each; then a quad a texel, from a border of eight on.
    assert_eq!((half.texels, wide.texel_offset, wide.texels), (2400, 2400, 512 * 75));
    let of = |kernel| program.steps.iter().find(|step| step.kernel == kernel).and_then(|step| step.encoding);
    assert_eq!((of(Kernel::Unpack), of(Kernel::MatmulTiled)), (Some(Encoding::F32), Some(Encoding::F16)));
}

/// Makes an output of `y`, to which a transposed operand is added and by another of which it is multiplied.
fn with_turned_operands(graph: &mut Graph, y: NodeId, turned: &[usize], permutation: &[usize]) {
    let shape = graph.node(y).shape.clone();
    let program = Pointwise::binary(BinaryOp::Add, Dtype::F32).then(&Pointwise::binary(BinaryOp::Mul, Dtype::F32), 0);
    let mut operands = graph.operands(y).to_vec();
    for _ in 0..2 {
        let operand = input(graph, turned, Dtype::F32);
        operands.push(graph.add_shaped(
            Op::Transpose { permutation: permutation.to_vec() },
            &[operand],
            "turned",
            shape.clone(),
            Dtype::F32,
        ));
    }
    graph.set_operands(y, &operands);
    graph.node_mut(y).epilogue = Some(program);
    output(graph, y);
}

#[test]
fn parts_of_a_sum_leave_room_for_an_epilogue_apart() {
    let constant = |graph: &mut Graph, shape: &[usize]| {
        graph.add_constant(Constant::from_f32(shape.to_vec(), &vec![0.5; shape.iter().product()]), "weight")
    };
    let mut graph = Graph::default();
    let (x, w) = (input(&mut graph, &[2, 3, 32, 1024], Dtype::F32), constant(&mut graph, &[1024, 64]));
    let product = Op::Einsum { a: vec![0, 1, 2, 3], b: vec![3, 4], output: vec![0, 1, 2, 4] };
    let y = graph.add(product, &[x, w], "product").expect("fits");
    with_turned_operands(&mut graph, y, &[3, 2, 32, 64], &[1, 0, 2, 3]);
    let (x, w) = (input(&mut graph, &[1, 128, 8, 12], Dtype::F32), constant(&mut graph, &[64, 128, 3, 3]));
    let window = Window {
        kernel: vec![3, 3],
        strides: vec![1, 1],
        dilations: vec![1, 1],
        pads_before: vec![1, 1],
        pads_after: vec![1, 1],
    };
    let y = graph.add(Op::Conv { window, groups: 1 }, &[x, w], "convolution").expect("fits");
    with_turned_operands(&mut graph, y, &[1, 64, 12, 8], &[0, 1, 3, 2]);
    let options = LowerOptions { busy_workgroups: Some(256), ..options() };
    let program = lower(&graph, &options).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(crate::lower::verify::verify(&program), []);
    let kernels: Vec<Kernel> = program.steps.iter().map(|step| step.kernel).collect();
    assert_eq!(kernels, [Kernel::MatmulTiled, Kernel::Pointwise, Kernel::ConvTiled, Kernel::Pointwise]);
    let buffers = program.steps.iter().map(|step| step.bindings.len());
    assert_eq!(buffers.collect::<Vec<_>>(), [2, 4, 2, 4], "sums lie in one tensor, beside two operands");
}

#[test]
fn what_an_invocation_adds_up_does_not_follow_the_pages() {
    for (rows, columns, kernel) in [
        (1, 8192, Kernel::MatmulSlices),
        (1, 8160, Kernel::MatmulSlicesNarrow),
        (3, 8192, Kernel::MatmulSlices4),
        (5, 4096, Kernel::MatmulSlices4),
        (3, 64, Kernel::MatmulSlices4Narrow),
    ] {
        let mut graph = Graph::default();
        let x = input(&mut graph, &[rows, 128], Dtype::F32);
        let w = graph.add_constant(Constant::from_f32(vec![128, columns], &vec![0.5; 128 * columns]), "weight");
        let product = Op::Einsum { a: vec![0, 1], b: vec![1, 2], output: vec![0, 2] };
        let y = graph.add(product, &[x, w], "product").expect("fits");
        output(&mut graph, y);
        let calls = [64, 2].map(|max_pages_per_call| {
            let options = LowerOptions { busy_workgroups: Some(256), max_pages_per_call, ..options() };
            let program = lower(&graph, &options).unwrap_or_else(|e| panic!("{e}"));
            assert!(program.steps.iter().all(|step| step.kernel == kernel), "{rows} x {columns}");
            program.steps.len()
        });
        assert!(columns < 1000 || calls[0] < calls[1], "{calls:?} calls");
    }
}

const APPEND: Kernel = Kernel::Of(KernelOpKind::TensorScatter);

/// A cache of 6 rows with an update of 2, the last input and output of which is a state; `reader` also reads the cache.
fn cached(reader: bool) -> Program {
    let mut graph = Graph::default();
    let update = input(&mut graph, &[1, 2, 4], Dtype::F32);
    let cache = input(&mut graph, &[1, 6, 4], Dtype::F32);
    let append = Op::Kernel(TensorScatter { axis_from_end: 2, circular: false }.into());
    let next = graph.add(append, &[cache, update], "append").expect("fits");
    let read = if reader { cache } else { next };
    let sum = graph.add(Op::Reduce { kind: ReduceKind::Sum, axes: vec![1] }, &[read], "sum").expect("fits");
    output(&mut graph, sum);
    output(&mut graph, next);
    graph.states = 1;
    lowered(&graph)
}

#[test]
fn a_state_is_updated_where_it_lies_where_nobody_else_reads_it() {
    let kernels = |program: &Program| program.steps.iter().map(|step| step.kernel).collect::<Vec<_>>();
    let program = cached(false);
    assert_eq!((program.inputs.len(), program.outputs.len(), program.states.len()), (1, 1, 1));
    assert_eq!(kernels(&program), [APPEND, Kernel::Reduce]);
    let state = &program.states[0];
    assert_eq!((state.slice.buffer, state.slice.size_bytes, state.next), (Buffer::States, 96, None));
    assert_eq!(program.steps[0].bindings[0], state.slice);
    assert_eq!(program.steps[1].bindings[1], state.slice);

    let program = cached(true);
    let state = &program.states[0];
    let next = state.next.expect("the cache is read as it was before");
    assert_eq!((next.buffer, next.size_bytes), (Buffer::Activations, 96));
    assert!(kernels(&program).windows(2).any(|two| two == [Kernel::Copy, APPEND]), "a copy is changed");
    assert!(program.steps.iter().all(|step| step.bindings[0] != state.slice), "it is replaced behind the run");
}

#[test]
fn a_state_that_nothing_changes_is_no_copy() {
    let mut graph = Graph::default();
    let kept = input(&mut graph, &[2, 3], Dtype::F32);
    input(&mut graph, &[2, 3], Dtype::F32);
    let negative = Op::Pointwise(Pointwise::unary(UnaryOp::Neg, Dtype::F32));
    let y = graph.add(negative, &[kept], "negative").expect("fits");
    // The second state becomes what the first is.
    for node in [y, kept, kept] {
        output(&mut graph, node);
    }
    graph.states = 2;
    let program = lowered(&graph);
    let nexts: Vec<bool> = program.states.iter().map(|state| state.next.is_some()).collect();
    assert_eq!((nexts, program.states[1].slice.offset_bytes), (vec![false, true], 256));
}
