//! Splits the axes of a norm so that a per-channel scale behind it becomes expressible as its epilogue.
//!
//! Group normalisation comes as a norm of (batch, groups, rest), a reshape to (batch, channels, spatial…), and a scale and
//! shift by channel. In (batch, groups, rest) a channel is no axis; in (batch, groups, channels / groups, spatial…) it is,
//! and the norm is the same over more axes.

use super::fits::epilogue_operand_fits;
use super::through_view::before_reshape;
use crate::graph::op::Op;
use crate::graph::{Graph, NodeId};
use crate::optimize::nodes::{program, reshape, single_user};

/// Splits the axes of every norm where that lets its reader become the epilogue.
pub fn refine_norms(graph: &mut Graph) {
    for id in graph.topological_order() {
        if let Some((shape, axes)) = refinement(graph, id) {
            let (origin, x) = (graph.node(id).origin, graph.operands(id)[0]);
            let x = reshape(graph, x, &shape, origin);
            graph.set_operands(id, &[x]);
            let node = graph.node_mut(id);
            node.shape = shape;
            if let Op::Normalize { axes: old, .. } = &mut node.op {
                *old = axes;
            }
        }
    }
}

/// The norm's new shape and axes, when its reader cannot be its epilogue now and can be then.
fn refinement(graph: &Graph, id: NodeId) -> Option<(Vec<usize>, Vec<usize>)> {
    let node = graph.node(id);
    let Op::Normalize { axes, .. } = &node.op else { return None };
    let view = single_user(graph, id).filter(|v| matches!(graph.node(*v).op, Op::Reshape))?;
    let reader = single_user(graph, view).filter(|r| program(graph, *r).is_some())?;
    let shape = &graph.node(view).shape;
    if node.epilogue.is_some() || graph.node(reader).shape != *shape {
        return None;
    }
    let operands = graph.operands(reader);
    let others = || operands.iter().filter(|o| **o != view).map(|o| graph.node(*o).shape.as_slice());
    let fit = |norm_shape: &[usize]| {
        others().all(|operand| {
            before_reshape(norm_shape, shape, operand).is_some_and(|o| epilogue_operand_fits(&node.op, norm_shape, &o))
        })
    };
    let (refined, refined_axes) = common_refinement(&node.shape, axes, shape)?;
    (!fit(&node.shape) && fit(&refined)).then_some((refined, refined_axes))
}

/// The coarsest shape of which both `from` and `to` are mergers of neighbouring axes (without axes of size 1), and which of
/// its axes come from `axes` of `from`.
fn common_refinement(from: &[usize], axes: &[usize], to: &[usize]) -> Option<(Vec<usize>, Vec<usize>)> {
    let (mut shape, mut refined_axes) = (Vec::new(), Vec::new());
    let mut targets = to.iter().copied().filter(|d| *d != 1);
    let mut target = 1;
    for (axis, dim) in from.iter().enumerate() {
        let mut rest = *dim;
        while rest != 1 {
            if target == 1 {
                target = targets.next()?;
            }
            let part = rest.min(target);
            if part == 0 || rest % part != 0 || target % part != 0 {
                return None;
            }
            if axes.contains(&axis) {
                refined_axes.push(shape.len());
            }
            shape.push(part);
            rest /= part;
            target /= part;
        }
    }
    (!refined_axes.is_empty()).then_some((shape, refined_axes))
}

#[cfg(test)]
mod tests {
    use super::common_refinement;

    #[test]
    fn axes_are_cut_where_either_shape_cuts() {
        let refined = common_refinement(&[1, 8, 512], &[2], &[1, 16, 16, 16]);
        assert_eq!(refined, Some((vec![8, 2, 16, 16], vec![1, 2, 3])));
        assert_eq!(common_refinement(&[4, 6], &[1], &[3, 8]), None);
    }
}
