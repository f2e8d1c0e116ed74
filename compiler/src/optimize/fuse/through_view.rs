//! Where an element-wise node behind a view can be computed before it.

use crate::graph::op::Op;
use crate::graph::{Graph, NodeId};

/// The shape that `operand`, which broadcasts to the view's result, has as an operand that broadcasts to the view's source.
/// `None` when there is none, or when an activation would have to be transposed for it.
pub fn shape_before_view(graph: &Graph, view: NodeId, operand: NodeId) -> Option<Vec<usize>> {
    let node = graph.node(view);
    let source = &graph.node(*graph.operands(view).first()?).shape;
    let shape = &graph.node(operand).shape;
    match &node.op {
        Op::Reshape => before_reshape(source, &node.shape, shape),
        Op::Transpose { permutation } => {
            let mut before = vec![1; shape.len()];
            permutation.iter().zip(shape).for_each(|(from, dim)| before[*from] = *dim);
            let vector = shape.iter().filter(|d| **d != 1).count() <= 1;
            (vector || graph.constant(operand).is_some()).then_some(before)
        }
        Op::Input
        | Op::Constant(_)
        | Op::Pointwise(_)
        | Op::Einsum { .. }
        | Op::Conv { .. }
        | Op::Fold { .. }
        | Op::Unfold { .. }
        | Op::Pool { .. }
        | Op::Softmax { .. }
        | Op::Normalize { .. }
        | Op::Attention { .. }
        | Op::Reduce { .. }
        | Op::ArgReduce { .. }
        | Op::Gather { .. }
        | Op::Scatter { .. }
        | Op::Broadcast
        | Op::Slice { .. }
        | Op::Concat { .. }
        | Op::Pad { .. }
        | Op::Resize { .. }
        | Op::Kernel(_) => None,
    }
}

/// Shape for the source of a reshape of an operand that broadcasts to its result. Axes are matched in the smallest groups
/// of equal size; in each group the operand has all elements, or one, or the group is one axis on both sides.
pub fn before_reshape(source: &[usize], result: &[usize], operand: &[usize]) -> Option<Vec<usize>> {
    let mut before = vec![1; source.len()];
    let (mut s, mut r) = (0, 0);
    while s < source.len() || r < result.len() {
        let (from_s, from_r) = (s, r);
        let (mut size_s, mut size_r) = (1, 1);
        loop {
            if size_s <= size_r && s < source.len() {
                size_s *= source[s];
                s += 1;
            } else if r < result.len() {
                size_r *= result[r];
                r += 1;
            } else if s < source.len() {
                size_s *= source[s];
                s += 1;
            }
            if size_s == size_r || (s == source.len() && r == result.len()) {
                break;
            }
        }
        let varies = operand[from_r..r].iter().any(|d| *d != 1);
        let full = operand[from_r..r] == result[from_r..r];
        if varies && !full {
            return None;
        }
        if varies {
            before[from_s..s].copy_from_slice(&source[from_s..s]);
        }
    }
    Some(before)
}

#[cfg(test)]
mod tests {
    use super::before_reshape;

    #[test]
    fn operands_move_before_a_reshape_group_by_group() {
        let check = |source: &[usize], result: &[usize], operand: &[usize]| before_reshape(source, result, operand);
        assert_eq!(check(&[16, 48], &[1, 16, 48], &[1, 1, 48]), Some(vec![1, 48]));
        assert_eq!(check(&[16, 48], &[1, 16, 48], &[1, 16, 48]), Some(vec![16, 48]));
        assert_eq!(check(&[16, 48], &[16, 3, 16], &[1, 3, 16]), Some(vec![1, 48]));
        assert_eq!(check(&[16, 48], &[16, 3, 16], &[1, 1, 16]), None);
        assert_eq!(check(&[2, 3, 4], &[24], &[1]), Some(vec![1, 1, 1]));
        assert_eq!(check(&[1, 1], &[1], &[1]), Some(vec![1, 1]));
        assert_eq!(check(&[6, 1, 4], &[2, 3, 4, 1], &[1, 1, 4, 1]), Some(vec![1, 1, 4]));
    }
}
