//! Pools of norms whose windows have more taps than the loops of one invocation may see.
//!
//! The norm of a window is the norm of the norms of its parts, so a pool becomes one over each part of the longest axis of its window, and
//! one over what these give: every part of its own scale, NaN and infinities kept. Parts that are still too long are cut
//! in turn. `long_sums.rs` calls this, only for devices that set a limit; other pools go on in further calls of their kernel.

use super::nodes::add;
use super::parts::{part, part_of_window, parts_of, with_epilogue};
use super::pass::OptimizeError;
use crate::graph::op::{Op, PoolKind, Window};
use crate::graph::{Graph, NodeId};

/// Rounds for each tap beside those of its power: one for the maximum, and one each for power and sum.
const ROUNDS_OF_TAP: usize = 3;

/// A pool of norms in parts.
pub fn norm_pool(graph: &mut Graph, id: NodeId, terms: usize) -> Result<Option<NodeId>, OptimizeError> {
    let node = graph.node(id).clone();
    let Op::Pool { window, kind: kind @ PoolKind::Norm { p } } = &node.op else { return Ok(None) };
    let x = graph.operands(id)[0];
    let most = (terms / (ROUNDS_OF_TAP + *p as usize)).max(1);
    let Some(axis) = (0..window.kernel.len()).max_by_key(|axis| window.kernel[*axis]) else { return Ok(None) };
    let Some(ranges) = parts_of(window.kernel[axis], window.kernel.iter().product(), most) else { return Ok(None) };
    let (origin, size) = (graph.result_origin(id), graph.node(x).shape[2 + axis]);
    let places: usize = node.shape.iter().product();
    let mut norms = Vec::new();
    for range in ranges {
        let read = part_of_window(window, axis, &range, size, node.shape[2 + axis]);
        let Some((read, window)) = read else { continue };
        let read = part(graph, x, 2 + axis, &read);
        let norm = add(graph, Op::Pool { window, kind: *kind }, &[read], origin)?;
        norms.push(graph.add_shaped(Op::Reshape, &[norm], origin, vec![places, 1, 1], node.dtype));
    }
    // A window that lies in the padding everywhere stays whole.
    let count = norms.len();
    if count == 0 {
        return Ok(None);
    }
    let joined = if count == 1 { norms[0] } else { add(graph, Op::Concat { axis: 2 }, &norms, origin)? };
    let window =
        Window { kernel: vec![count], strides: vec![1], dilations: vec![1], pads_before: vec![0], pads_after: vec![0] };
    let whole = add(graph, Op::Pool { window, kind: *kind }, &[joined], origin)?;
    let whole = graph.add_shaped(Op::Reshape, &[whole], origin, node.shape, node.dtype);
    Ok(Some(with_epilogue(graph, id, whole)))
}

#[cfg(test)]
mod tests {
    use crate::graph::constant::Dtype;
    use crate::graph::interpret::interpret;
    use crate::graph::op::{Op, PoolKind, Window};
    use crate::graph::pointwise::{Pointwise, UnaryOp};
    use crate::graph::verify::verify;
    use crate::graph::{Graph, GraphPort};
    use crate::optimize::long_sums::{OTHER_ROUNDS, split_long_sums};
    use flashmem_plan_format::plan::ElementType;

    /// Cuts a pool, so that an invocation sees few taps at a time; what it gives must stay the same. Gives the number of pools.
    fn check(window: &Window, p: u32, shape: &[usize], terms: usize, values: impl Fn(usize) -> f32) -> usize {
        let mut graph = Graph::default();
        let x = graph.add_shaped(Op::Input, &[], "x", shape.to_vec(), Dtype::F32);
        graph.inputs.push(GraphPort { name: "x".into(), element: ElementType::F32, node: x });
        let op = Op::Pool { window: window.clone(), kind: PoolKind::Norm { p } };
        let y = graph.add(op, &[x], "y").expect("fits");
        graph.node_mut(y).epilogue = Some(Pointwise::unary(UnaryOp::Neg, Dtype::F32));
        graph.outputs.push(GraphPort { name: "y".into(), element: ElementType::F32, node: y });
        let words: Vec<u32> = (0..shape.iter().product()).map(|i| values(i).to_bits()).collect();
        let before = interpret(&graph, std::slice::from_ref(&words));
        split_long_sums(&mut graph, terms as u64 + OTHER_ROUNDS).expect("well formed");
        assert_eq!(verify(&graph), vec![]);
        let after = interpret(&graph, &[words]);
        for (before, after) in before[0].iter().zip(&after[0]) {
            let (before, after) = (f32::from_bits(*before), f32::from_bits(*after));
            let near = (before - after).abs() <= 2e-6 * before.abs();
            assert!(near || before.is_nan() && after.is_nan() || before == after, "{before} {after}");
        }
        graph.topological_order().into_iter().filter(|id| matches!(graph.node(*id).op, Op::Pool { .. })).count()
    }

    fn window(kernel: &[usize], stride: usize, dilation: usize, pads: (usize, usize)) -> Window {
        let all = |size: usize| vec![size; kernel.len()];
        Window {
            kernel: kernel.to_vec(),
            strides: all(stride),
            dilations: all(dilation),
            pads_before: all(pads.0),
            pads_after: all(pads.1),
        }
    }

    #[test]
    fn the_norm_of_a_window_is_that_of_the_norms_of_its_parts() {
        let values = |i: usize| ((i * 7 + 3) % 11) as f32 * 0.25 - 1.0;
        for p in [1, 2, 3, 7] {
            let terms = 12 * (3 + p as usize);
            assert_eq!(check(&window(&[4, 3], 1, 1, (0, 0)), p, &[1, 2, 6, 7], terms, values), 1);
            assert!(check(&window(&[6, 5], 2, 1, (3, 2)), p, &[2, 2, 9, 11], terms, values) > 2);
            assert!(check(&window(&[6, 5], 1, 2, (1, 4)), p, &[1, 3, 13, 12], terms, values) > 2);
            assert!(check(&window(&[40], 3, 1, (7, 30)), p, &[1, 2, 50], terms, values) > 3);
            assert!(check(&window(&[3, 5, 4], 1, 1, (1, 1)), p, &[1, 1, 4, 6, 5], 7 * (3 + p as usize), values) > 4);
        }
    }

    #[test]
    fn parts_keep_what_is_large_infinite_or_no_number() {
        for special in [3e38, 1e-38, f32::INFINITY, f32::NEG_INFINITY, f32::NAN] {
            let values = |i: usize| if i == 17 { special } else { 1e-30 };
            assert!(check(&window(&[40], 3, 1, (7, 30)), 2, &[1, 2, 50], 60, values) > 3);
        }
    }
}
