//! Cuts sums that are longer than the loops of one invocation may be, for devices that end these too soon.
//!
//! A product becomes one over the first part of its terms, whose result the product over the next part is added to, and
//! so on in ascending order; so does a convolution, along its input channels or along its window. It runs behind the
//! other passes, and changes nothing where the device sets no limit. Lines that are reduced are cut by `long_lines.rs`,
//! norms of windows by `long_windows.rs`, loops over windows of other pools and the like by lowering.

use super::long_lines::{norm, reduction, softmax};
use super::long_windows::norm_pool;
use super::nodes::add;
use super::parts::{part, part_of_window, parts_of, with_epilogue};
use super::pass::OptimizeError;
use super::split::ranges;
use crate::graph::op::Op;
use crate::graph::pointwise::{BinaryOp, Pointwise};
use crate::graph::{Graph, NodeId};

/// Rounds that a kernel has beside those of its sum, at most.
pub(super) const OTHER_ROUNDS: u64 = 4096;

/// Rounds that a product takes for each of its terms, at most: those of the loop over steps in a row of a panel count, too.
const ROUNDS_OF_TERM: usize = 2;

/// Cuts what an invocation does not sum up within `max_rounds`; returns the number of operators that are computed in parts now.
///
/// # Errors
/// When a part is not well formed: a mistake of this pass.
pub fn split_long_sums(graph: &mut Graph, max_rounds: u64) -> Result<usize, OptimizeError> {
    let terms = max_rounds.saturating_sub(OTHER_ROUNDS).max(1) as usize;
    let mut count = 0;
    loop {
        let mut changed = false;
        for id in graph.topological_order() {
            let parts = match &graph.node(id).op {
                Op::Einsum { .. } => product(graph, id, (terms / ROUNDS_OF_TERM).max(1))?,
                Op::Conv { .. } => convolution(graph, id, (terms / ROUNDS_OF_TERM).max(1))?,
                Op::Reduce { .. } => reduction(graph, id, terms)?,
                Op::Softmax { .. } => softmax(graph, id, terms)?,
                Op::Normalize { .. } => norm(graph, id, terms)?,
                Op::Pool { .. } => norm_pool(graph, id, terms)?,
                Op::Input
                | Op::Constant(_)
                | Op::Pointwise(_)
                | Op::Fold { .. }
                | Op::Unfold { .. }
                | Op::Attention { .. }
                | Op::ArgReduce { .. }
                | Op::Gather { .. }
                | Op::Scatter { .. }
                | Op::Reshape
                | Op::Transpose { .. }
                | Op::Broadcast
                | Op::Slice { .. }
                | Op::Concat { .. }
                | Op::Pad { .. }
                | Op::Resize { .. }
                | Op::Kernel(_) => None,
            };
            if let Some(whole) = parts {
                graph.replace_uses(id, whole);
                count += 1;
                changed = true;
            }
        }
        graph.prune();
        if !changed {
            return Ok(count);
        }
    }
}

/// A product of few enough terms at a time.
fn product(graph: &mut Graph, id: NodeId, terms: usize) -> Result<Option<NodeId>, OptimizeError> {
    let node = graph.node(id).clone();
    let Op::Einsum { a, b, output } = &node.op else { return Ok(None) };
    let operands = graph.operands(id);
    let shape = graph.node(operands[0]).shape.clone();
    let summed = (0..a.len()).filter(|axis| b.contains(&a[*axis]) && !output.contains(&a[*axis]));
    let all: usize = summed.clone().map(|axis| shape[axis]).product();
    let Some(axis) = summed.max_by_key(|axis| shape[*axis]) else { return Ok(None) };
    let Some(ranges) = parts_of(shape[axis], all, terms) else { return Ok(None) };
    let other = b.iter().position(|label| *label == a[axis]).expect("a summed label is in both operands");
    let mut products = Vec::new();
    for range in ranges {
        let parts = [part(graph, operands[0], axis, &range), part(graph, operands[1], other, &range)];
        products.push((node.op.clone(), parts));
    }
    sum(graph, id, products).map(Some)
}

/// A convolution of few enough terms at a time.
fn convolution(graph: &mut Graph, id: NodeId, terms: usize) -> Result<Option<NodeId>, OptimizeError> {
    let node = graph.node(id).clone();
    let Op::Conv { window, groups } = &node.op else { return Ok(None) };
    let operands = graph.operands(id);
    let (x, weight) = (operands[0], operands[1]);
    let channels = graph.node(x).shape[1] / groups;
    let taps: usize = window.kernel.iter().product();
    if channels * taps <= terms {
        return Ok(None);
    }
    if *groups > 1 && channels > 1 {
        return by_groups(graph, id).map(Some);
    }
    let mut products = Vec::new();
    if let Some(ranges) = parts_of(channels, channels * taps, terms) {
        for range in ranges {
            products.push((node.op.clone(), [part(graph, x, 1, &range), part(graph, weight, 1, &range)]));
        }
        return sum(graph, id, products).map(Some);
    }
    let Some(axis) = (0..window.kernel.len()).max_by_key(|axis| window.kernel[*axis]) else { return Ok(None) };
    let Some(ranges) = parts_of(window.kernel[axis], taps, terms) else { return Ok(None) };
    for range in ranges {
        let size = graph.node(x).shape[2 + axis];
        let Some((read, window)) = part_of_window(window, axis, &range, size, node.shape[2 + axis]) else { continue };
        let parts = [part(graph, x, 2 + axis, &read), part(graph, weight, 2 + axis, &range)];
        products.push((Op::Conv { window, groups: *groups }, parts));
    }
    // A window that lies in the padding everywhere stays whole.
    if products.is_empty() { Ok(None) } else { sum(graph, id, products).map(Some) }
}

/// Every group of a convolution by itself.
fn by_groups(graph: &mut Graph, id: NodeId) -> Result<NodeId, OptimizeError> {
    let node = graph.node(id).clone();
    let Op::Conv { window, groups } = &node.op else { unreachable!("the caller has a convolution") };
    let operands = graph.operands(id);
    let (channels, outputs) = (graph.node(operands[0]).shape[1], node.shape[1]);
    let origin = graph.result_origin(id);
    let mut list = Vec::new();
    for (read, written) in ranges(channels, *groups).zip(ranges(outputs, *groups)) {
        let parts = [part(graph, operands[0], 1, &read), part(graph, operands[1], 0, &written)];
        list.push(add(graph, Op::Conv { window: window.clone(), groups: 1 }, &parts, origin)?);
    }
    let joined = add(graph, Op::Concat { axis: 1 }, &list, origin)?;
    Ok(with_epilogue(graph, id, joined))
}

/// The sum of operators of two operands, each added to those before it, with the epilogue of the node that they stand for.
fn sum(graph: &mut Graph, id: NodeId, parts: Vec<(Op, [NodeId; 2])>) -> Result<NodeId, OptimizeError> {
    let (origin, dtype) = (graph.result_origin(id), graph.node(id).dtype);
    let mut before: Option<NodeId> = None;
    for (op, operands) in parts {
        let product = add(graph, op, &operands, origin)?;
        if let Some(before) = before {
            graph.set_operands(product, &[operands[0], operands[1], before]);
            graph.node_mut(product).epilogue = Some(Pointwise::binary(BinaryOp::Add, dtype));
        }
        before = Some(product);
    }
    Ok(with_epilogue(graph, id, before.expect("there is a part")))
}

#[cfg(test)]
mod tests {
    use super::{convolution, split_long_sums};
    use crate::graph::constant::{Constant, Dtype};
    use crate::graph::interpret::interpret;
    use crate::graph::op::{Op, Window};
    use crate::graph::pointwise::{BinaryOp, Pointwise, UnaryOp};
    use crate::graph::verify::verify;
    use crate::graph::{Graph, GraphPort, NodeId, ShapeError};
    use flashmem_plan_format::plan::ElementType;

    /// Whole numbers, so that sums are exact in any order.
    fn whole(shape: &[usize], seed: u32) -> Constant {
        let values: Vec<f32> =
            (0..shape.iter().product::<usize>()).map(|i| ((i as u32 * 7 + seed) % 11) as f32 - 5.0).collect();
        Constant::from_f32(shape.to_vec(), &values)
    }

    fn input(graph: &mut Graph, shape: &[usize]) -> NodeId {
        let node = graph.add_shaped(Op::Input, &[], "x", shape.to_vec(), Dtype::F32);
        graph.inputs.push(GraphPort { name: "x".into(), element: ElementType::F32, node });
        node
    }

    /// Cuts sums of more than `terms`; the result must be the same, and no longer sum may be left.
    fn check(mut graph: Graph, output: NodeId, terms: usize, least: usize) {
        let negated = Op::Pointwise(Pointwise::unary(UnaryOp::Neg, Dtype::F32));
        let output = graph.add(negated, &[output], "y").expect("fits");
        graph.outputs.push(GraphPort { name: "y".into(), element: ElementType::F32, node: output });
        let x = whole(&graph.node(graph.inputs[0].node).shape.clone(), 3);
        let words: Vec<u32> = x.to_f32().iter().map(|v| v.to_bits()).collect();
        let before = interpret(&graph, std::slice::from_ref(&words));
        let count = split_long_sums(&mut graph, terms as u64 + super::OTHER_ROUNDS).expect("well formed");
        assert!(count >= least, "{count} cuts");
        assert_eq!(verify(&graph), vec![]);
        for id in graph.topological_order() {
            if matches!(graph.node(id).op, Op::Conv { .. }) {
                assert_eq!(convolution(&mut graph, id, terms).expect("well formed"), None);
            }
        }
        assert_eq!(before, interpret(&graph, &[words]));
    }

    #[test]
    fn a_product_over_two_axes_is_a_sum_of_products() -> Result<(), ShapeError> {
        let mut graph = Graph::default();
        let x = input(&mut graph, &[3, 6, 50]);
        let weight = graph.add_constant(whole(&[50, 6, 4], 1), "weight");
        let bias = graph.add_constant(whole(&[1, 4], 2), "bias");
        let product = Op::Einsum { a: vec![0, 1, 2], b: vec![2, 1, 3], output: vec![0, 3] };
        let y = graph.add(product, &[x, weight], "product")?;
        graph.set_operands(y, &[x, weight, bias]);
        graph.node_mut(y).epilogue = Some(Pointwise::binary(BinaryOp::Add, Dtype::F32));
        // 50 elements of the longer axis alone are too many, so both are cut.
        check(graph, y, 5, 2);
        Ok(())
    }

    fn conv(
        channels: usize,
        outputs: usize,
        kernel: [usize; 2],
        groups: usize,
        terms: usize,
    ) -> Result<(), ShapeError> {
        let mut graph = Graph::default();
        let x = input(&mut graph, &[2, channels, 7, 9]);
        let weight = graph.add_constant(whole(&[outputs, channels / groups, kernel[0], kernel[1]], 1), "weight");
        let window = Window {
            kernel: kernel.to_vec(),
            strides: vec![2, 1],
            dilations: vec![1, 2],
            pads_before: vec![3, 4],
            pads_after: vec![2, 5],
        };
        let y = graph.add(Op::Conv { window, groups }, &[x, weight], "conv")?;
        check(graph, y, terms, 1);
        Ok(())
    }

    #[test]
    fn a_convolution_is_cut_along_channels_groups_and_its_window() -> Result<(), ShapeError> {
        conv(6, 4, [3, 3], 1, 20)?;
        conv(6, 4, [3, 3], 2, 20)?;
        conv(6, 4, [3, 3], 1, 4)?;
        conv(4, 8, [5, 4], 4, 6)?;
        conv(1, 2, [7, 6], 1, 5)
    }
}
