//! What the host computes of indices against the interpreter, and what it leaves to the device.

use super::pieces;
use crate::graph::constant::{Constant, Dtype};
use crate::graph::interpret::interpret;
use crate::graph::op::{Op, PadMode, ReduceKind};
use crate::graph::pointwise::{BinaryOp, Instruction, Literal, Operand, Pointwise, UnaryOp};
use crate::graph::{Graph, GraphPort, NodeId};
use flashmem_plan_format::plan::ElementType;
use flashmem_plan_format::row_indices::IndexSource;

/// Indices under construction; the values of inputs are those of their positions.
#[derive(Default)]
struct Case(Graph);

impl Case {
    fn input(&mut self, element: ElementType, shape: &[usize]) -> NodeId {
        let dtype = if element == ElementType::Bool { Dtype::Bool } else { Dtype::I32 };
        let node = self.0.add_shaped(Op::Input, &[], "input", shape.to_vec(), dtype);
        self.0.inputs.push(GraphPort { name: "input".into(), element, node });
        node
    }

    fn ids(&mut self, shape: &[usize]) -> NodeId {
        self.input(ElementType::I64, shape)
    }

    fn constant(&mut self, shape: &[usize], values: &[i32]) -> NodeId {
        self.0.add_constant(Constant::from_i32(shape.to_vec(), values), "constant")
    }

    fn add(&mut self, op: Op, operands: &[NodeId]) -> NodeId {
        self.0.add(op, operands, "node").expect("the case is well formed")
    }

    fn shaped(&mut self, op: Op, operand: NodeId, shape: &[usize]) -> NodeId {
        let dtype = self.0.node(operand).dtype;
        self.0.add_shaped(op, &[operand], "node", shape.to_vec(), dtype)
    }

    fn binary(&mut self, op: BinaryOp, a: NodeId, b: NodeId) -> NodeId {
        let dtype = self.0.node(a).dtype;
        self.add(Op::Pointwise(Pointwise::binary(op, dtype)), &[a, b])
    }

    fn join(&mut self, axis: usize, operands: &[NodeId]) -> NodeId {
        self.add(Op::Concat { axis }, operands)
    }

    /// The values of inputs: different ones, of both signs.
    fn values(&self) -> Vec<Vec<u32>> {
        let value = |port: &GraphPort, at: usize, position: usize| {
            let word = 1000 * position as i32 + 7 * at as i32 - 9;
            match port.element {
                ElementType::Bool => u32::from(at % 3 == 1),
                ElementType::F32 | ElementType::F16 => (word as f32 * 0.3).to_bits(),
                ElementType::I32 | ElementType::I64 | ElementType::U8 | ElementType::I8 => word as u32,
            }
        };
        let of = |(position, port): (usize, &GraphPort)| {
            let elements: usize = self.0.node(port.node).shape.iter().product();
            (0..elements).map(|at| value(port, at, position)).collect()
        };
        self.0.inputs.iter().enumerate().map(of).collect()
    }

    /// Compares the host's indices with the interpreter's, and their number of boxes with what is expected.
    fn check(mut self, id: NodeId, boxes: usize) {
        self.0.outputs.push(GraphPort { name: "indices".into(), element: ElementType::I32, node: id });
        let (values, shape) = (self.values(), self.0.node(id).shape.clone());
        let expected = interpret(&self.0, &values).remove(0);
        let pieces = pieces(&self.0, id).expect("the host can compute them");
        assert_eq!(pieces.len(), boxes, "{pieces:?}");
        let mut found: Vec<Option<u32>> = vec![None; expected.len()];
        let mut results = Vec::new();
        for piece in &pieces {
            assert_eq!(piece.indices.broken(), None);
            let mut walks: Vec<_> = piece.indices.operands.iter().map(|operand| operand.walk.positions()).collect();
            for place in places(&shape, &piece.starts, &piece.shape) {
                let elements = piece.indices.operands.iter().zip(&mut walks).map(|(operand, walk)| {
                    let position = walk.next().expect("as long as the box") as usize;
                    match &operand.source {
                        IndexSource::Input(input) => values[*input as usize][position] as i32,
                        IndexSource::Constant(values) => values[position],
                    }
                });
                let elements: Vec<i32> = elements.collect();
                assert_eq!(found[place].replace(piece.indices.evaluate(&elements, &mut results) as u32), None);
            }
            assert!(walks.iter_mut().all(|walk| walk.next().is_none()));
        }
        let found: Option<Vec<u32>> = found.into_iter().collect();
        assert_eq!(found, Some(expected));
    }
}

/// Flat places of a box, in order.
fn places(shape: &[usize], starts: &[usize], extents: &[usize]) -> Vec<usize> {
    let mut places = vec![0];
    for axis in 0..shape.len() {
        let along = starts[axis]..starts[axis] + extents[axis];
        places = places.iter().flat_map(|place| along.clone().map(move |at| place * shape[axis] + at)).collect();
    }
    places
}

#[test]
fn an_input_is_its_own_index() {
    let mut case = Case::default();
    let ids = case.ids(&[2, 3]);
    let found = pieces(&case.0, ids).expect("the input");
    assert!(found[0].indices.instructions.is_empty() && found[0].indices.operands.len() == 1);
    case.check(ids, 1);
}

#[test]
fn programs_and_views_are_followed() {
    let mut case = Case::default();
    let ids = case.input(ElementType::I8, &[4, 6]);
    let mask = case.input(ElementType::Bool, &[6]);
    let offsets = case.constant(&[3, 1], &[5, -4, 100]);
    let turned = case.add(Op::Transpose { permutation: vec![1, 0] }, &[ids]);
    let some = case.shaped(Op::Slice { starts: vec![4, 3], steps: vec![-2, -1] }, turned, &[3, 4]);
    let sum = case.binary(BinaryOp::Add, some, offsets);
    let three = Operand::Result(0);
    let clipped = Pointwise {
        inputs: vec![Dtype::I32],
        instructions: vec![
            Instruction::Literal(Literal::I32(50)),
            Instruction::Binary(BinaryOp::Min, Operand::Input(0), three),
            Instruction::Unary(UnaryOp::Neg, Operand::Result(1)),
            Instruction::Cast(Operand::Result(2), Dtype::Bool),
            Instruction::Select { condition: Operand::Result(3), then: Operand::Result(2), otherwise: three },
        ],
    };
    let clipped = case.add(Op::Pointwise(clipped), &[sum]);
    let column = case.shaped(Op::Slice { starts: vec![2], steps: vec![1] }, mask, &[3]);
    let column = case.shaped(Op::Reshape, column, &[3, 1]);
    let wide = case.shaped(Op::Broadcast, column, &[3, 4]);
    let chosen = case.add(Op::Pointwise(Pointwise::select(Dtype::I32)), &[wide, clipped, some]);
    let cube = case.shaped(Op::Reshape, chosen, &[3, 1, 4]);
    case.check(cube, 1);
}

#[test]
fn an_epilogue_is_part_of_the_program() {
    let mut case = Case::default();
    let (ids, others) = (case.ids(&[2, 3]), case.ids(&[3, 1]));
    let turned = case.add(Op::Transpose { permutation: vec![1, 0] }, &[ids]);
    case.0.set_operands(turned, &[ids, others]);
    case.0.node_mut(turned).epilogue = Some(Pointwise::binary(BinaryOp::Mul, Dtype::I32));
    case.check(turned, 1);
}

#[test]
fn joins_fall_into_boxes() {
    let mut case = Case::default();
    let (ids, more) = (case.ids(&[2, 3]), case.ids(&[2, 2]));
    let first = case.constant(&[2, 1], &[101, 102]);
    let row = case.join(1, &[first, ids, more]);
    let two = case.constant(&[1, 6], &[2, 2, 2, 2, 2, 2]);
    let doubled = case.binary(BinaryOp::Mul, row, two);
    let last = case.ids(&[1, 6]);
    let all = case.join(0, &[doubled, last]);
    let turned = case.add(Op::Transpose { permutation: vec![1, 0] }, &[all]);
    let reversed = case.shaped(Op::Slice { starts: vec![5, 2], steps: vec![-1, -1] }, turned, &[5, 3]);
    let cube = case.shaped(Op::Reshape, reversed, &[5, 1, 3]);
    case.check(cube, 3);
}

#[test]
fn a_part_of_a_join_is_one_box() {
    let mut case = Case::default();
    let (ids, more) = (case.ids(&[2, 3]), case.ids(&[2, 4]));
    let row = case.join(1, &[ids, more]);
    let part = case.shaped(Op::Slice { starts: vec![0, 4], steps: vec![1, 2] }, row, &[2, 2]);
    case.check(part, 1);
}

#[test]
fn joined_rows_that_are_reshaped_are_cut_apart() {
    let mut case = Case::default();
    let (ids, more) = (case.ids(&[4]), case.ids(&[4]));
    let line = case.join(0, &[ids, more]);
    let rows = case.shaped(Op::Reshape, line, &[2, 4]);
    case.check(rows, 2);
}

#[test]
fn two_joins_are_cut_where_either_is() {
    let mut case = Case::default();
    let (ids, more) = (case.ids(&[3]), case.ids(&[4]));
    let (a, b) = (case.join(0, &[ids, more]), case.join(0, &[more, ids]));
    let sum = case.binary(BinaryOp::Add, a, b);
    case.check(sum, 3);
}

#[test]
fn padding_is_a_join_with_one_number() {
    let pad = |before: [usize; 2], after: [usize; 2]| Op::Pad {
        before: before.to_vec(),
        after: after.to_vec(),
        mode: PadMode::Constant(-7.0),
    };
    let mut case = Case::default();
    let ids = case.ids(&[2, 3]);
    let padded = case.add(pad([0, 1], [0, 2]), &[ids]);
    case.check(padded, 3);
    let mut case = Case::default();
    let ids = case.ids(&[2, 3]);
    let padded = case.add(pad([1, 1], [2, 0]), &[ids]);
    let two = case.constant(&[1, 1], &[2]);
    let sum = case.binary(BinaryOp::Add, padded, two);
    case.check(sum, 4);
    let mut case = Case::default();
    let ids = case.ids(&[2, 3]);
    let padded = case.add(pad([0, 0], [3, 0]), &[ids]);
    let turned = case.shaped(Op::Transpose { permutation: vec![1, 0] }, padded, &[3, 5]);
    case.check(turned, 2);
    // Mirrors are the device's.
    let mut case = Case::default();
    let ids = case.ids(&[2, 3]);
    let op = Op::Pad { before: vec![0, 1], after: vec![0, 1], mode: PadMode::Reflect };
    let mirrored = case.add(op, &[ids]);
    assert_eq!(pieces(&case.0, mirrored), None);
}

#[test]
fn constant_indices_need_no_input() {
    let mut case = Case::default();
    let (seven, ids) = (case.constant(&[3], &[7, 7, 7]), case.ids(&[2]));
    let line = case.join(0, &[seven, ids]);
    case.check(line, 2);
}

#[test]
fn numbers_of_lists_are_looked_up() {
    let gather = Op::Gather { axis: 0 };
    let mut case = Case::default();
    let ids = case.input(ElementType::I8, &[2, 3]);
    let (list, other) =
        (case.constant(&[60], &(0..60).map(|i| 7 - i).collect::<Vec<_>>()), case.constant(&[8], &[9; 8]));
    let turned = case.add(Op::Transpose { permutation: vec![1, 0] }, &[ids]);
    let first = case.add(gather.clone(), &[list, turned]);
    let again = case.add(gather.clone(), &[list, first]);
    let nine = case.constant(&[1, 1], &[3]);
    let nine = case.add(gather.clone(), &[other, nine]);
    let sum = case.binary(BinaryOp::Add, again, first);
    let sum = case.binary(BinaryOp::Sub, sum, nine);
    let found = pieces(&case.0, sum).expect("lists");
    assert_eq!(found[0].indices.tables.iter().map(Vec::len).collect::<Vec<_>>(), [60, 8]);
    let column = case.shaped(Op::Slice { starts: vec![0, 1], steps: vec![2, 1] }, sum, &[2, 1]);
    case.check(column, 1);
    // Rows of a table are the device's.
    let mut case = Case::default();
    let (rows, ids) = (case.constant(&[3, 2], &[0; 6]), case.ids(&[2]));
    let at = case.add(gather, &[rows, ids]);
    assert_eq!(pieces(&case.0, at), None);
}

#[test]
fn floats_are_cut_to_integers() {
    let mut case = Case::default();
    let floats = case.0.add_shaped(Op::Input, &[], "input", vec![2, 3], Dtype::F32);
    case.0.inputs.push(GraphPort { name: "input".into(), element: ElementType::F32, node: floats });
    let turned = case.add(Op::Transpose { permutation: vec![1, 0] }, &[floats]);
    let pad = Op::Pad { before: vec![0, 1], after: vec![0, 0], mode: PadMode::Constant(-2.75) };
    let padded = case.add(pad, &[turned]);
    let cut = case.add(Op::Pointwise(Pointwise::cast(Dtype::F32, Dtype::I32)), &[padded]);
    let doubled = case.binary(BinaryOp::Add, cut, cut);
    case.check(doubled, 2);
}

#[test]
fn floats_sums_and_gathered_indices_are_the_devices() {
    let mut case = Case::default();
    let ids = case.ids(&[2, 3]);
    let sum = case.add(Op::Reduce { kind: ReduceKind::Sum, axes: vec![1] }, &[ids]);
    let float = case.add(Op::Pointwise(Pointwise::cast(Dtype::I32, Dtype::F32)), &[ids]);
    let back = case.add(Op::Pointwise(Pointwise::cast(Dtype::F32, Dtype::I32)), &[float]);
    let column = case.add(Op::Transpose { permutation: vec![1, 0] }, &[ids]);
    let flat = case.shaped(Op::Reshape, column, &[6]);
    let power = case.binary(BinaryOp::Pow, ids, ids);
    for id in [sum, back, flat, power] {
        assert_eq!(pieces(&case.0, id), None, "{:?}", case.0.node(id).op);
    }
}

#[test]
fn long_programs_are_the_devices() {
    let mut case = Case::default();
    let ids = case.ids(&[3]);
    let mut doubled = ids;
    for _ in 0..50 {
        doubled = case.binary(BinaryOp::Add, doubled, doubled);
    }
    let sum = case.binary(BinaryOp::Add, doubled, ids);
    assert!(pieces(&case.0, sum).is_some(), "what is used twice is computed once");
    for _ in 0..20 {
        doubled = case.binary(BinaryOp::Add, doubled, ids);
    }
    assert_eq!(pieces(&case.0, doubled), None);
}
