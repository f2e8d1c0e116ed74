//! Reductions, softmax and norms whose lines are longer than the loops of one invocation may be.
//!
//! A reduction becomes one over parts of an axis in ascending order, and one over what these give. A softmax and a norm are spelled out: a
//! maximum or a mean, what is left beside it, a sum, and the quotient, each in a kernel of its own, with reductions that are cut in turn.
//! `long_sums.rs` calls this, only for devices that set a limit.

use super::nodes::add;
use super::parts::{part, parts_of, with_epilogue};
use super::pass::OptimizeError;
use crate::graph::constant::Dtype;
use crate::graph::op::{NormKind, Op, ReduceKind};
use crate::graph::pointwise::{BinaryOp, Instruction, Literal, Operand, Pointwise, UnaryOp};
use crate::graph::{Graph, NodeId};
use crate::kernels::rounds::of_program;

/// Invocations that share a long line, where there are fewer lines than this; elsewhere each may have one for itself.
const SHARING: usize = 64;
const MANY_LINES: usize = 4096;

/// Passes of the kernels of softmax and norms over a line.
const PASSES: usize = 3;

/// Elements of a line of `columns` that an invocation sees.
fn rounds(graph: &Graph, x: NodeId, columns: usize) -> usize {
    let lines = graph.node(x).shape.iter().product::<usize>() / columns.max(1);
    columns.div_ceil(if lines >= MANY_LINES { 1 } else { SHARING })
}

/// Elements along axes.
fn columns_of(graph: &Graph, x: NodeId, axes: &[usize]) -> usize {
    axes.iter().map(|axis| graph.node(x).shape[*axis]).product()
}

/// A reduction in parts.
pub fn reduction(graph: &mut Graph, id: NodeId, terms: usize) -> Result<Option<NodeId>, OptimizeError> {
    let node = graph.node(id).clone();
    let Op::Reduce { kind, axes } = &node.op else { return Ok(None) };
    let x = graph.operands(id)[0];
    let (shape, dtype) = (graph.node(x).shape.clone(), graph.node(x).dtype);
    let columns = columns_of(graph, x, axes);
    let Some(axis) = axes.iter().copied().max_by_key(|axis| shape[*axis]) else { return Ok(None) };
    let (first, second) = match (kind, dtype) {
        (ReduceKind::Sum | ReduceKind::Mean, _) => (ReduceKind::Sum, ReduceKind::Sum),
        (ReduceKind::SumSquare | ReduceKind::MeanSquare, _) => (ReduceKind::SumSquare, ReduceKind::Sum),
        (ReduceKind::L1, _) => (ReduceKind::L1, ReduceKind::Sum),
        (ReduceKind::Max | ReduceKind::Min | ReduceKind::MaxNumber | ReduceKind::Product, _) => (*kind, *kind),
        (ReduceKind::L2, Dtype::F32) => (*kind, *kind),
        // Lowering refuses it.
        (ReduceKind::L2, Dtype::I32 | Dtype::Bool) => return Ok(None),
    };
    let averages = matches!(kind, ReduceKind::Mean | ReduceKind::MeanSquare);
    // A mean of floats is that of the means of parts, since their sums may leave the range.
    let first = if averages && dtype == Dtype::F32 { *kind } else { first };
    let Some(ranges) = parts_of(shape[axis], rounds(graph, x, columns), terms) else { return Ok(None) };
    let origin = graph.result_origin(id);
    let mut parts = Vec::new();
    for range in ranges {
        let read = part(graph, x, axis, &range);
        let reduced = add(graph, Op::Reduce { kind: first, axes: axes.clone() }, &[read], origin)?;
        parts.push(match (averages, dtype) {
            (true, Dtype::F32) => {
                let share = range.len() as f64 / shape[axis] as f64;
                scaled(graph, reduced, BinaryOp::Mul, Literal::F32((share as f32).to_bits()))?
            }
            (true, Dtype::I32 | Dtype::Bool) | (false, _) => reduced,
        });
    }
    let joined = add(graph, Op::Concat { axis }, &parts, origin)?;
    let whole = add(graph, Op::Reduce { kind: second, axes: vec![axis] }, &[joined], origin)?;
    let whole = match (averages, dtype) {
        (true, Dtype::I32 | Dtype::Bool) => scaled(graph, whole, BinaryOp::Div, Literal::I32(columns as i32))?,
        (true, Dtype::F32) | (false, _) => whole,
    };
    Ok(Some(with_epilogue(graph, id, whole)))
}

/// `value` op a literal.
fn scaled(graph: &mut Graph, value: NodeId, op: BinaryOp, literal: Literal) -> Result<NodeId, OptimizeError> {
    let dtype = graph.node(value).dtype;
    let steps = [Instruction::Literal(literal), Instruction::Binary(op, Operand::Input(0), Operand::Result(0))];
    pointwise(graph, &[value], dtype, &steps)
}

/// A program over nodes that broadcast to the shape of the first.
fn pointwise(
    graph: &mut Graph,
    operands: &[NodeId],
    dtype: Dtype,
    instructions: &[Instruction],
) -> Result<NodeId, OptimizeError> {
    let inputs = vec![dtype; operands.len()];
    let origin = graph.node(operands[0]).origin;
    add(graph, Op::Pointwise(Pointwise { inputs, instructions: instructions.to_vec() }), operands, origin)
}

const fn at(index: u32) -> Operand {
    Operand::Result(index)
}

/// A softmax spelled out.
pub fn softmax(graph: &mut Graph, id: NodeId, terms: usize) -> Result<Option<NodeId>, OptimizeError> {
    use Operand::Input;
    let Op::Softmax { axis, log } = graph.node(id).op else { return Ok(None) };
    let x = graph.operands(id)[0];
    if PASSES * rounds(graph, x, graph.node(x).shape[axis]) <= terms {
        return Ok(None);
    }
    let origin = graph.result_origin(id);
    let largest = add(graph, Op::Reduce { kind: ReduceKind::Max, axes: vec![axis] }, &[x], origin)?;
    let difference = Instruction::Binary(BinaryOp::Sub, Input(0), Input(1));
    let power = Instruction::Unary(UnaryOp::Exp, at(0));
    let powers = pointwise(graph, &[x, largest], Dtype::F32, &[difference, power])?;
    let sum = add(graph, Op::Reduce { kind: ReduceKind::Sum, axes: vec![axis] }, &[powers], origin)?;
    let last = if log {
        let logarithm = Instruction::Unary(UnaryOp::Log, Input(2));
        [difference, logarithm, Instruction::Binary(BinaryOp::Sub, at(0), at(1))]
    } else {
        [difference, power, Instruction::Binary(BinaryOp::Div, at(1), Input(2))]
    };
    let shares = pointwise(graph, &[x, largest, sum], Dtype::F32, &last)?;
    Ok(Some(with_epilogue(graph, id, shares)))
}

/// A norm spelled out: what is left beside the mean, over √(s² + ε), of which s is the length of that over √n. The root is taken of
/// a number from 1 to 2, so that no square leaves the range.
pub fn norm(graph: &mut Graph, id: NodeId, terms: usize) -> Result<Option<NodeId>, OptimizeError> {
    use BinaryOp::{Add, Div, Max, Min, Mul, Sub};
    use Operand::Input;
    let node = graph.node(id).clone();
    let Op::Normalize { kind, axes, epsilon } = &node.op else { return Ok(None) };
    let x = graph.operands(id)[0];
    let columns = columns_of(graph, x, axes);
    let of_epilogue = node.epilogue.as_ref().map_or(0, of_program) as usize;
    if (PASSES + of_epilogue) * rounds(graph, x, columns) <= terms {
        return Ok(None);
    }
    let origin = graph.result_origin(id);
    let reduce = |graph: &mut Graph, kind, x| add(graph, Op::Reduce { kind, axes: axes.clone() }, &[x], origin);
    let rest = match kind {
        NormKind::Rms => x,
        NormKind::Layer => {
            let mut rest = x;
            // The second time takes out the rounding of the mean.
            for _ in 0..2 {
                let mean = reduce(graph, ReduceKind::Mean, rest)?;
                rest = pointwise(graph, &[rest, mean], Dtype::F32, &[Instruction::Binary(Sub, Input(0), Input(1))])?;
            }
            rest
        }
    };
    let length = reduce(graph, ReduceKind::L2, rest)?;
    let float = |value: f64| Instruction::Literal(Literal::F32((value as f32).to_bits()));
    let steps = [
        float(1.0 / (columns as f64).sqrt()),
        Instruction::Binary(Mul, Input(1), at(0)),
        float(f64::from(*epsilon).sqrt()),
        Instruction::Binary(Max, at(1), at(2)),
        Instruction::Binary(Min, at(1), at(2)),
        Instruction::Binary(Div, at(4), at(3)),
        Instruction::Binary(Mul, at(5), at(5)),
        float(1.0),
        Instruction::Binary(Add, at(6), at(7)),
        Instruction::Unary(UnaryOp::Sqrt, at(8)),
        Instruction::Binary(Mul, at(3), at(9)),
        Instruction::Binary(Div, Input(0), at(10)),
    ];
    let normalized = pointwise(graph, &[rest, length], Dtype::F32, &steps)?;
    Ok(Some(with_epilogue(graph, id, normalized)))
}

#[cfg(test)]
mod tests {
    use crate::graph::constant::{Constant, Dtype};
    use crate::graph::interpret::interpret;
    use crate::graph::op::{NormKind, Op, ReduceKind};
    use crate::graph::pointwise::{Pointwise, UnaryOp};
    use crate::graph::verify::verify;
    use crate::graph::{Graph, GraphPort};
    use crate::optimize::long_sums::{OTHER_ROUNDS, split_long_sums};
    use flashmem_plan_format::plan::ElementType;

    /// Cuts one operator over `values`, so that an invocation sees `terms` of a line at a time; what it gives must stay the same, and
    /// there must be `reductions` in the end.
    fn check(op: Op, values: &Constant, terms: usize, reductions: usize) {
        let (dtype, mut graph) = (values.dtype(), Graph::default());
        let element = if dtype == Dtype::F32 { ElementType::F32 } else { ElementType::I32 };
        let x = graph.add_shaped(Op::Input, &[], "x", values.shape.clone(), dtype);
        graph.inputs.push(GraphPort { name: "x".into(), element, node: x });
        let y = graph.add(op.clone(), &[x], "y").expect("fits");
        if dtype == Dtype::F32 {
            graph.node_mut(y).epilogue = Some(Pointwise::unary(UnaryOp::Neg, dtype));
        }
        graph.outputs.push(GraphPort { name: "y".into(), element, node: y });
        let words: Vec<u32> = (0..values.len()).map(|i| values.device_word_at(i)).collect();
        let before = interpret(&graph, std::slice::from_ref(&words));
        let count = split_long_sums(&mut graph, terms as u64 + OTHER_ROUNDS).expect("well formed");
        assert_eq!(verify(&graph), vec![], "{op:?}");
        let left = graph.topological_order().into_iter().filter(|id| matches!(graph.node(*id).op, Op::Reduce { .. }));
        assert_eq!(left.count(), reductions, "{op:?}, {count} cuts");
        let after = interpret(&graph, &[words]);
        for (before, after) in before[0].iter().zip(&after[0]) {
            if dtype == Dtype::F32 {
                let (before, after) = (f32::from_bits(*before), f32::from_bits(*after));
                let near = (before - after).abs() <= 1e-5 * before.abs().max(1e-20);
                assert!(near || (before.is_nan() && after.is_nan()) || before == after, "{op:?}: {before} {after}");
            } else {
                assert_eq!(before, after, "{op:?}");
            }
        }
    }

    fn line(shape: &[usize]) -> Constant {
        let values = (0..shape.iter().product::<usize>()).map(|i| ((i * 7 + 3) % 11) as f32 * 0.125 + 0.5);
        Constant::from_f32(shape.to_vec(), &values.collect::<Vec<f32>>())
    }

    const KINDS: [ReduceKind; 10] = [
        ReduceKind::MaxNumber,
        ReduceKind::Sum,
        ReduceKind::Mean,
        ReduceKind::SumSquare,
        ReduceKind::MeanSquare,
        ReduceKind::Max,
        ReduceKind::Min,
        ReduceKind::Product,
        ReduceKind::L1,
        ReduceKind::L2,
    ];

    #[test]
    fn reductions_are_those_of_what_their_parts_give() {
        for kind in KINDS {
            // 10 rounds in parts of 4, then none; and the longer of two axes.
            check(Op::Reduce { kind, axes: vec![1] }, &line(&[2, 640]), 4, 4);
            check(Op::Reduce { kind, axes: vec![0, 2] }, &line(&[40, 3, 16]), 4, 4);
            check(Op::Reduce { kind, axes: vec![1] }, &line(&[2, 640]), 10, 1);
            if kind != ReduceKind::L2 {
                let integers: Vec<i32> = (0..1280).map(|i| i % 5 - 2).collect();
                check(Op::Reduce { kind, axes: vec![1] }, &Constant::from_i32(vec![2, 640], &integers), 4, 4);
            }
        }
    }

    #[test]
    fn parts_that_are_infinite_or_large_stay_what_they_are() {
        let mut values = vec![1.0_f32; 640];
        values[3] = f32::INFINITY;
        for (at, value) in [(600, f32::INFINITY), (600, f32::NEG_INFINITY), (600, f32::NAN), (600, 3e38)] {
            values[at] = value;
            for kind in KINDS {
                check(Op::Reduce { kind, axes: vec![1] }, &Constant::from_f32(vec![1, 640], &values), 4, 4);
            }
        }
        let large = Constant::from_f32(vec![1, 640], &[3e36; 640]);
        check(Op::Reduce { kind: ReduceKind::Mean, axes: vec![1] }, &large, 4, 4);
        check(Op::Reduce { kind: ReduceKind::L2, axes: vec![1] }, &large, 4, 4);
    }

    #[test]
    fn a_softmax_and_a_norm_are_spelled_out() {
        for log in [false, true] {
            check(Op::Softmax { axis: 1, log }, &line(&[2, 640, 1]), 12, 2);
            check(Op::Softmax { axis: 1, log }, &line(&[2, 640]), 4, 8);
        }
        for (kind, reductions) in [(NormKind::Rms, 1), (NormKind::Layer, 3)] {
            let op = Op::Normalize { kind, axes: vec![1, 2], epsilon: 1e-3 };
            check(op.clone(), &line(&[2, 320, 2]), 12, reductions);
            check(op, &line(&[2, 320, 2]), 4, 4 * reductions);
        }
        let zeros = Constant::from_f32(vec![1, 640], &[0.0; 640]);
        check(Op::Normalize { kind: NormKind::Layer, axes: vec![1], epsilon: 1e-5 }, &zeros, 4, 12);
    }
}
