//! Cuts tensors that are larger than one binding may be.
//!
//! An operator whose result fits but which reads such a tensor is computed in parts: along one axis of its own result, through
//! all the large tensors before it, and the parts are joined (a wide hidden layer is computed for half of the rows at a time); a
//! slice of a product becomes a product with part of the weight; and a convolution becomes a sum over parts of its input channels.
//! So no large tensor exists at any time, and less memory is needed at once. What no such cut reaches stays, and lowering refuses
//! it by name. It runs once, behind the other passes, so that these see whole operators.

use super::nodes::add;
use super::pass::OptimizeError;
use crate::graph::constant::Constant;
use crate::graph::op::Op;
use crate::graph::pointwise::{BinaryOp, Pointwise};
use crate::graph::{Graph, NodeId};
use std::collections::BTreeMap;
use std::ops::Range;

/// Numbers of parts that are tried.
const PARTS: [usize; 8] = [2, 3, 4, 6, 8, 16, 32, 64];

/// Parts that exist already: of a node, along an axis, from and to.
type Known = BTreeMap<(NodeId, usize, usize, usize), NodeId>;

/// Cuts what exceeds `limit_bytes`, at 4 bytes an element; returns the number of operators that are computed in parts now.
///
/// # Errors
/// When a part is not well formed: a mistake of this pass.
pub fn split_large(graph: &mut Graph, limit_bytes: u64) -> Result<usize, OptimizeError> {
    let mut count = 0;
    loop {
        let readers: Vec<NodeId> = graph
            .topological_order()
            .into_iter()
            .filter(|id| fits(&graph.node(*id).shape, limit_bytes))
            .filter(|id| graph.operands(*id).iter().any(|o| is_large(graph, *o, limit_bytes)))
            .collect();
        let mut changed = false;
        for id in readers {
            let Some(joined) = in_parts(graph, id, limit_bytes)? else { continue };
            graph.replace_uses(id, joined);
            count += 1;
            changed = true;
            break;
        }
        graph.prune();
        if !changed {
            return Ok(count);
        }
    }
}

fn fits(shape: &[usize], limit_bytes: u64) -> bool {
    shape.iter().map(|d| *d as u64).product::<u64>() * 4 <= limit_bytes
}

/// Whether a tensor must not exist. Inputs and constants are what they are.
fn is_large(graph: &Graph, id: NodeId, limit_bytes: u64) -> bool {
    let node = graph.node(id);
    !matches!(node.op, Op::Input | Op::Constant(_)) && !fits(&node.shape, limit_bytes)
}

/// Parts of `size`, as equal as they can be.
pub(super) fn ranges(size: usize, parts: usize) -> impl Iterator<Item = Range<usize>> {
    (0..parts).map(move |i| size * i / parts..size * (i + 1) / parts)
}

fn in_parts(graph: &mut Graph, id: NodeId, limit_bytes: u64) -> Result<Option<NodeId>, OptimizeError> {
    if let Some(part) = instead_of_slice(graph, id, limit_bytes) {
        return Ok(Some(part));
    }
    let shape = graph.node(id).shape.clone();
    for parts in PARTS {
        for axis in (0..shape.len()).filter(|axis| shape[*axis] >= parts) {
            let mut cut = Cut { graph, limit_bytes, known: Known::new() };
            let list: Option<Vec<NodeId>> =
                ranges(shape[axis], parts).map(|range| cut.computed(id, axis, &range)).collect();
            if let Some(list) = list {
                let origin = graph.result_origin(id);
                return add(graph, Op::Concat { axis }, &list, origin).map(Some);
            }
        }
        if let Some(sum) = channel_sum(graph, id, parts, limit_bytes)? {
            return Ok(Some(sum));
        }
    }
    Ok(None)
}

/// What a slice along one axis reads, computed for the elements that it takes.
fn instead_of_slice(graph: &mut Graph, id: NodeId, limit_bytes: u64) -> Option<NodeId> {
    let node = graph.node(id);
    let Op::Slice { starts, steps } = &node.op else { return None };
    let operand = graph.operands(id)[0];
    let whole = &graph.node(operand).shape;
    let mut cut = (0..whole.len()).filter(|axis| node.shape[*axis] != whole[*axis]);
    let (axis, None) = (cut.next()?, cut.next()) else { return None };
    if node.epilogue.is_some() || steps.iter().any(|step| *step != 1) {
        return None;
    }
    let range = starts[axis]..starts[axis] + node.shape[axis];
    Cut { graph, limit_bytes, known: Known::new() }.part(operand, axis, &range)
}

/// A convolution as a sum over parts of its input channels.
fn channel_sum(graph: &mut Graph, id: NodeId, parts: usize, limit_bytes: u64) -> Result<Option<NodeId>, OptimizeError> {
    let node = graph.node(id).clone();
    let Op::Conv { groups: 1, .. } = &node.op else { return Ok(None) };
    let operands = graph.operands(id);
    let (x, Some(weight)) = (operands[0], graph.constant(operands[1]).cloned()) else { return Ok(None) };
    let channels = graph.node(x).shape[1];
    if channels < parts || !is_large(graph, x, limit_bytes) {
        return Ok(None);
    }
    let (origin, weight_origin) = (graph.result_origin(id), graph.node(operands[1]).origin);
    let mut sum: Option<NodeId> = None;
    for range in ranges(channels, parts) {
        let mut cut = Cut { graph, limit_bytes, known: Known::new() };
        let Some(part) = cut.part(x, 1, &range) else { return Ok(None) };
        let Some(slice) = weight.part(1, &range) else { return Ok(None) };
        let slice = graph.add_constant(slice, weight_origin);
        let product = add(graph, node.op.clone(), &[part, slice], origin)?;
        if let Some(before) = sum {
            graph.set_operands(product, &[part, slice, before]);
            graph.node_mut(product).epilogue = Some(Pointwise::binary(BinaryOp::Add, node.dtype));
        }
        sum = Some(product);
    }
    match (sum, node.epilogue) {
        (Some(sum), Some(epilogue)) => {
            let extra: Vec<NodeId> = [sum].into_iter().chain(operands[2..].iter().copied()).collect();
            Ok(Some(graph.add_shaped(Op::Pointwise(epilogue), &extra, origin, node.shape, node.dtype)))
        }
        (sum, _) => Ok(sum),
    }
}

/// One attempt at a cut. Nodes of an attempt that fails stay unread, and are pruned.
struct Cut<'a> {
    graph: &'a mut Graph,
    limit_bytes: u64,
    known: Known,
}

impl Cut<'_> {
    /// Elements `range` of a tensor along an axis: a slice of what exists, or computed when the whole is too large.
    fn part(&mut self, id: NodeId, axis: usize, range: &Range<usize>) -> Option<NodeId> {
        let key = (id, axis, range.start, range.end);
        if let Some(known) = self.known.get(&key) {
            return Some(*known);
        }
        let part = if is_large(self.graph, id, self.limit_bytes) {
            self.computed(id, axis, range)?
        } else {
            self.slice(id, axis, range)
        };
        self.known.insert(key, part);
        Some(part)
    }

    fn slice(&mut self, id: NodeId, axis: usize, range: &Range<usize>) -> NodeId {
        let node = self.graph.node(id);
        let mut shape = node.shape.clone();
        if *range == (0..shape[axis]) {
            return id;
        }
        let (mut starts, steps) = (vec![0; shape.len()], vec![1; shape.len()]);
        (starts[axis], shape[axis]) = (range.start, range.len());
        let (origin, dtype) = (node.origin, node.dtype);
        self.graph.add_shaped(Op::Slice { starts, steps }, &[id], origin, shape, dtype)
    }

    /// Part of a weight, which is laid out in the stream on its own.
    fn part_of_weight(&mut self, id: NodeId, weight: &Constant, axis: usize, range: &Range<usize>) -> Option<NodeId> {
        let origin = self.graph.node(id).origin;
        weight.part(axis, range).map(|part| self.graph.add_constant(part, origin))
    }

    /// An operand that broadcasts to the node.
    fn broadcast(&mut self, operand: NodeId, axis: usize, size: usize, range: &Range<usize>) -> Option<NodeId> {
        let own = self.graph.node(operand).shape[axis];
        if own == 1 && size != 1 { Some(operand) } else { self.part(operand, axis, range) }
    }

    /// The operator of a node, its epilogue included, for elements `range` along an axis of its result.
    fn computed(&mut self, id: NodeId, axis: usize, range: &Range<usize>) -> Option<NodeId> {
        let node = self.graph.node(id).clone();
        let mut shape = node.shape.clone();
        shape[axis] = range.len();
        if !fits(&shape, self.limit_bytes) {
            return None;
        }
        let operands = self.graph.operands(id);
        let (own, extra) = operands.split_at(self.graph.op_operand_count(id));
        let size = node.shape[axis];
        let (op, mut parts) = self.operator(&node.op, own, &node.shape, axis, range)?;
        for operand in extra {
            parts.push(self.broadcast(*operand, axis, size, range)?);
        }
        if parts.iter().any(|p| is_large(self.graph, *p, self.limit_bytes)) {
            return None;
        }
        let part = self.graph.add_shaped(op, &parts, node.origin, shape, node.dtype);
        let made = self.graph.node_mut(part);
        (made.epilogue, made.epilogue_origin) = (node.epilogue, node.epilogue_origin);
        Some(part)
    }

    /// The operator and its operands for a part of its result; `None` where the part depends on more than a part.
    fn operator(
        &mut self,
        op: &Op,
        own: &[NodeId],
        shape: &[usize],
        axis: usize,
        range: &Range<usize>,
    ) -> Option<(Op, Vec<NodeId>)> {
        let rank = shape.len();
        let mut op = op.clone();
        let parts = match &mut op {
            Op::Pointwise(_) | Op::Broadcast => {
                own.iter().map(|o| self.broadcast(*o, axis, shape[axis], range)).collect::<Option<Vec<_>>>()?
            }
            Op::Einsum { a, b, output } => {
                let mut parts = own.to_vec();
                for (labels, operand) in [a, b].into_iter().zip(&mut parts) {
                    if let Some(at) = labels.iter().position(|l| *l == output[axis]) {
                        *operand = match self.graph.constant(*operand).cloned() {
                            Some(weight) => self.part_of_weight(*operand, &weight, at, range)?,
                            None => self.part(*operand, at, range)?,
                        };
                    }
                }
                parts
            }
            Op::Conv { .. } if axis == 0 => vec![self.part(own[0], 0, range)?, own[1]],
            Op::Pool { .. } | Op::Fold { .. } | Op::Unfold { .. } if axis < 2 => vec![self.part(own[0], axis, range)?],
            Op::Kernel(kernel_op) => {
                let part = |(operand, axis): (&NodeId, Option<usize>)| match axis {
                    Some(axis) => self.part(*operand, axis, range),
                    None => Some(*operand),
                };
                let axes = kernel_op.behaviour().cut(axis)?;
                own.iter().zip(axes).map(part).collect::<Option<Vec<_>>>()?
            }
            Op::Softmax { axis: other, .. } if *other != axis => vec![self.part(own[0], axis, range)?],
            Op::Normalize { axes, .. } | Op::Reduce { axes, .. } if !axes.contains(&axis) => {
                vec![self.part(own[0], axis, range)?]
            }
            Op::Resize { axes, .. } if axes[axis].is_kept() => {
                vec![self.part(own[0], axis, range)?]
            }
            Op::Pad { before, after, .. } if before[axis] == 0 && after[axis] == 0 => {
                vec![self.part(own[0], axis, range)?]
            }
            Op::Attention { .. } if axis + 2 < rank => {
                own.iter().map(|o| self.broadcast(*o, axis, shape[axis], range)).collect::<Option<Vec<_>>>()?
            }
            Op::Attention { .. } if axis + 2 == rank => {
                let mut parts = own.to_vec();
                parts[0] = self.part(own[0], axis, range)?;
                for (part, operand) in parts.iter_mut().zip(own).skip(3) {
                    *part = self.broadcast(*operand, axis, shape[axis], range)?;
                }
                parts
            }
            Op::Transpose { permutation } => vec![self.part(own[0], permutation[axis], range)?],
            Op::Slice { starts, steps } if steps[axis] == 1 => {
                let first = std::mem::take(&mut starts[axis]);
                vec![self.part(own[0], axis, &(first + range.start..first + range.end))?]
            }
            Op::Concat { axis: other } if *other != axis => {
                own.iter().map(|o| self.part(*o, axis, range)).collect::<Option<Vec<_>>>()?
            }
            Op::Reshape => {
                let (axis, range) = before_reshape(&self.graph.node(own[0]).shape, shape, axis, range)?;
                vec![self.part(own[0], axis, &range)?]
            }
            Op::Input
            | Op::Constant(_)
            | Op::Conv { .. }
            | Op::Fold { .. }
            | Op::Unfold { .. }
            | Op::Scatter { .. }
            | Op::Pool { .. }
            | Op::Softmax { .. }
            | Op::Normalize { .. }
            | Op::Attention { .. }
            | Op::Reduce { .. }
            | Op::ArgReduce { .. }
            | Op::Gather { .. }
            | Op::Slice { .. }
            | Op::Concat { .. }
            | Op::Pad { .. }
            | Op::Resize { .. } => return None,
        };
        Some((op, parts))
    }
}

/// The axis of a reshape's input, and the range of it, that hold elements `range` along an axis of its result.
fn before_reshape(from: &[usize], to: &[usize], axis: usize, range: &Range<usize>) -> Option<(usize, Range<usize>)> {
    let product = |dims: &[usize]| dims.iter().product::<usize>();
    let at = (0..from.len()).find(|at| from[*at] != 1 && product(&from[..*at]) == product(&to[..axis]))?;
    let (inner_from, inner_to) = (product(&from[at + 1..]), product(&to[axis + 1..]));
    let (start, end) = (range.start * inner_to, range.end * inner_to);
    let aligned = inner_from > 0 && start % inner_from == 0 && end % inner_from == 0 && end / inner_from <= from[at];
    aligned.then(|| (at, start / inner_from..end / inner_from))
}

#[cfg(test)]
mod tests {
    use super::{before_reshape, is_large, split_large};
    use crate::graph::constant::{Constant, Dtype};
    use crate::graph::interpret::interpret;
    use crate::graph::op::{Op, Taps, Window};
    use crate::graph::pointwise::{BinaryOp, Pointwise, UnaryOp};
    use crate::graph::verify::verify;
    use crate::graph::{Graph, GraphPort, NodeId};
    use flashmem_plan_format::plan::ElementType;

    fn noise(shape: &[usize], seed: u32) -> Constant {
        let mut state = seed;
        let values: Vec<f32> = (0..shape.iter().product::<usize>())
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 8) as f32 / (1 << 24) as f32 - 0.5
            })
            .collect();
        Constant::from_f32(shape.to_vec(), &values)
    }

    fn input(graph: &mut Graph, shape: &[usize]) -> NodeId {
        let node = graph.add_shaped(Op::Input, &[], "x", shape.to_vec(), Dtype::F32);
        graph.inputs.push(GraphPort { name: "x".into(), element: ElementType::F32, node });
        node
    }

    /// Cuts at `limit`; the result must be the same but for the order of sums, and no large tensor may be left.
    fn check(mut graph: Graph, output: NodeId, limit: u64, expected: usize) {
        graph.outputs.push(GraphPort { name: "y".into(), element: ElementType::F32, node: output });
        let x = noise(&graph.node(graph.inputs[0].node).shape.clone(), 7);
        let words: Vec<u32> = x.to_f32().iter().map(|v| v.to_bits()).collect();
        let before = interpret(&graph, std::slice::from_ref(&words));
        assert_eq!(split_large(&mut graph, limit), Ok(expected));
        assert_eq!(verify(&graph), vec![]);
        assert!(graph.node_ids().into_iter().all(|id| !is_large(&graph, id, limit)), "a large tensor is left");
        let after = interpret(&graph, &[words]);
        for (a, b) in before[0].iter().zip(&after[0]) {
            let (a, b) = (f32::from_bits(*a), f32::from_bits(*b));
            assert!((a - b).abs() <= 1e-6, "{a} {b}");
        }
    }

    #[test]
    fn a_wide_hidden_layer_is_computed_for_some_rows_at_a_time() -> Result<(), crate::graph::ShapeError> {
        let mut graph = Graph::default();
        let x = input(&mut graph, &[1, 6, 4, 5]);
        let up = graph.add_constant(noise(&[5, 40], 1), "up");
        let down = graph.add_constant(noise(&[40, 5], 2), "down");
        let bias = graph.add_constant(noise(&[1, 1, 1, 40], 3), "bias");
        let labels = |inner: u8, outer: u8| Op::Einsum {
            a: vec![0, 1, 2, inner],
            b: vec![inner, outer],
            output: vec![0, 1, 2, outer],
        };
        let hidden = graph.add(labels(3, 4), &[x, up], "up")?;
        graph.set_operands(hidden, &[x, up, bias]);
        graph.node_mut(hidden).epilogue = Some(Pointwise::binary(BinaryOp::Add, Dtype::F32));
        let active = graph.add(Op::Pointwise(Pointwise::unary(UnaryOp::Relu, Dtype::F32)), &[hidden], "act")?;
        let flat = graph.add_shaped(Op::Reshape, &[active], "flat", vec![24, 40], Dtype::F32);
        let product = Op::Einsum { a: vec![0, 1], b: vec![1, 2], output: vec![0, 2] };
        let out = graph.add(product, &[flat, down], "down")?;
        check(graph, out, 2 * 6 * 4 * 40, 1);
        Ok(())
    }

    #[test]
    fn slices_of_a_wide_product_are_products_with_part_of_the_weight() -> Result<(), crate::graph::ShapeError> {
        let mut graph = Graph::default();
        let x = input(&mut graph, &[12, 5]);
        let weight = graph.add_constant(noise(&[5, 30], 1), "qkv");
        let product = Op::Einsum { a: vec![0, 1], b: vec![1, 2], output: vec![0, 2] };
        let wide = graph.add(product, &[x, weight], "qkv")?;
        let mut slice = |start: usize| {
            let op = Op::Slice { starts: vec![0, start], steps: vec![1, 1] };
            graph.add_shaped(op, &[wide], "slice", vec![12, 10], Dtype::F32)
        };
        let (q, k) = (slice(0), slice(20));
        let out = graph.add(Op::Pointwise(Pointwise::binary(BinaryOp::Mul, Dtype::F32)), &[q, k], "mul")?;
        check(graph, out, 4 * 12 * 20, 2);
        Ok(())
    }

    #[test]
    fn a_convolution_of_a_large_tensor_is_a_sum_over_channels() -> Result<(), crate::graph::ShapeError> {
        let mut graph = Graph::default();
        let x = input(&mut graph, &[1, 6, 4, 4]);
        let doubled = Taps { window: 1, indices: vec![0, 0, 1, 1, 2, 2, 3, 3], weights: vec![1.0; 8] };
        let op = Op::Resize { axes: vec![Taps::kept(), Taps::kept(), doubled.clone(), doubled], fill: 0.0 };
        let large = graph.add_shaped(op, &[x], "resize", vec![1, 6, 8, 8], Dtype::F32);
        let weight = graph.add_constant(noise(&[2, 6, 3, 3], 1), "weight");
        let bias = graph.add_constant(noise(&[1, 2, 1, 1], 2), "bias");
        let window = Window {
            kernel: vec![3, 3],
            strides: vec![1, 1],
            dilations: vec![1, 1],
            pads_before: vec![1, 1],
            pads_after: vec![1, 1],
        };
        let out = graph.add(Op::Conv { window, groups: 1 }, &[large, weight], "conv")?;
        graph.set_operands(out, &[large, weight, bias]);
        graph.node_mut(out).epilogue = Some(Pointwise::binary(BinaryOp::Add, Dtype::F32));
        check(graph, out, 4 * 3 * 64, 1);
        Ok(())
    }

    #[test]
    fn a_part_behind_a_reshape_is_a_part_before_it_where_borders_agree() {
        assert_eq!(before_reshape(&[1, 6, 4, 40], &[24, 40], 0, &(0..12)), Some((1, 0..3)));
        assert_eq!(before_reshape(&[1, 6, 4, 40], &[24, 40], 0, &(0..10)), None);
        assert_eq!(before_reshape(&[24, 40], &[1, 6, 4, 40], 1, &(2..4)), Some((0, 8..16)));
        assert_eq!(before_reshape(&[24, 40], &[24, 5, 8], 1, &(1..3)), Some((1, 8..24)));
    }
}
