//! Random graphs compute the same before and after.

use super::{Build, check};
use crate::graph::NodeId;
use crate::graph::op::{NormKind, Op, ReduceKind};
use crate::graph::pointwise::{BinaryOp, UnaryOp};
use proptest::prelude::{any, proptest};

/// Grows a graph by one node, chosen by `choice`; `a` and `b` choose operands.
fn grow(build: &mut Build, nodes: &mut Vec<NodeId>, choice: u8, a: u8, b: u8) {
    let x = nodes[a as usize % nodes.len()];
    let shape = build.graph.node(x).shape.clone();
    let other = nodes[b as usize % nodes.len()];
    let other_shape = build.graph.node(other).shape.clone();
    let rank = shape.len();
    let node = match choice % 16 {
        0 => build.unary([UnaryOp::Tanh, UnaryOp::Relu, UnaryOp::Sigmoid, UnaryOp::Neg][b as usize % 4], x),
        1 => build.with([BinaryOp::Add, BinaryOp::Mul, BinaryOp::Sub][b as usize % 3], x, f32::from(b % 3)),
        2 | 3 if other_shape == shape => {
            build.binary([BinaryOp::Add, BinaryOp::Mul, BinaryOp::Max][choice as usize % 3], x, other)
        }
        4 => {
            let mut small = vec![1; rank];
            small[rank - 1] = shape[rank - 1];
            let c = build.constant(&small);
            build.binary([BinaryOp::Add, BinaryOp::Mul][b as usize % 2], x, c)
        }
        5 => {
            let mut permutation: Vec<usize> = (0..rank).collect();
            permutation.rotate_left(b as usize % rank);
            build.transpose(x, &permutation)
        }
        6 => {
            let mut to = shape.clone();
            if b.is_multiple_of(2) {
                to.insert(b as usize % (rank + 1), 1)
            } else {
                to = vec![shape.iter().product(), 1]
            }
            if to.len() > 4 { x } else { build.reshape(x, &to) }
        }
        7 => {
            let kind = [ReduceKind::Mean, ReduceKind::Max, ReduceKind::SumSquare][b as usize % 3];
            let y = build.add(Op::Reduce { kind, axes: vec![a as usize % rank] }, &[x]);
            if b.is_multiple_of(2) { build.binary(BinaryOp::Sub, x, y) } else { y }
        }
        8 | 9 => {
            let k = shape[rank - 1];
            let w = build.constant(&[k, 3]);
            let labels: String = "abcd"[..rank - 1].to_owned();
            build.einsum(&format!("{labels}k"), "kn", &format!("{labels}n"), [x, w])
        }
        10 => build.add(Op::Normalize { kind: NormKind::Layer, axes: vec![b as usize % rank], epsilon: 1e-1 }, &[x]),
        14 => {
            let axis = b as usize % rank;
            let mut to = shape.clone();
            let mut starts = vec![0; rank];
            starts[axis] = shape[axis] / 2;
            to[axis] -= starts[axis];
            build.shaped(Op::Slice { starts, steps: vec![1; rank] }, x, &to)
        }
        15 => build.add(Op::Softmax { axis: b as usize % rank, log: false }, &[x]),
        11 => build.add(Op::Concat { axis: 0 }, &[x]),
        12 => {
            let c = build.constant(&shape);
            build.binary(BinaryOp::Add, c, x)
        }
        _ => {
            let y = build.with(BinaryOp::Pow, x, f32::from(b % 3 + 1));
            let t = build.unary(UnaryOp::Tanh, y);
            build.binary(BinaryOp::Mul, x, t)
        }
    };
    // Values stay small, so that differences mean something.
    let bounded = build.unary(UnaryOp::Tanh, node);
    nodes.push(if choice.is_multiple_of(5) { bounded } else { node });
}

proptest! {
    #[test]
    fn random_graphs_keep_their_values(steps in proptest::collection::vec(any::<(u8, u8, u8)>(), 1..14), outputs in 1_usize..3) {
        let mut build = Build::default();
        let mut nodes = vec![build.input(&[2, 3]), build.input(&[2, 1, 4]), build.input(&[2, 3])];
        for (choice, a, b) in steps {
            grow(&mut build, &mut nodes, choice, a, b);
        }
        for node in nodes.iter().rev().take(outputs) {
            build.output(*node);
        }
        check(build);
    }
}
