//! An einsum of two operands read as a matrix product: its labels by kind, which operand is a weight, and how that is packed.
//!
//! It deliberately looks at the graph only.

use super::program::Packing;
use super::view::element_strides;
use crate::graph::op::Op;
use crate::graph::{Graph, NodeId};
use crate::kernels::PANEL;

/// The labels of an einsum by kind, each in output order (k: in the order of the first operand).
pub(super) struct Kinds {
    pub batch: Vec<u8>,
    pub m: Vec<u8>,
    pub n: Vec<u8>,
    pub k: Vec<u8>,
}

/// `None` when an axis larger than 1 occurs in one operand only. Such axes of size 1 carry nothing and are left out.
fn classify(a: &[u8], b: &[u8], output: &[u8], size: impl Fn(u8) -> usize) -> Option<Kinds> {
    let pick = |in_a: bool, in_b: bool| -> Vec<u8> {
        output.iter().copied().filter(|l| a.contains(l) == in_a && b.contains(l) == in_b).collect()
    };
    let k: Vec<u8> = a.iter().copied().filter(|l| b.contains(l) && !output.contains(l)).collect();
    let lonely =
        |labels: &[u8], other: &[u8]| labels.iter().any(|l| !other.contains(l) && !output.contains(l) && size(*l) != 1);
    (!lonely(a, b) && !lonely(b, a)).then(|| Kinds {
        batch: pick(true, true),
        m: pick(true, false),
        n: pick(false, true),
        k,
    })
}

/// An einsum as the kernels take it: a streamed weight is the second operand.
pub(super) struct Product {
    pub a: Vec<u8>,
    pub b: Vec<u8>,
    pub output: Vec<u8>,
    pub first: NodeId,
    pub second: NodeId,
    /// Whether the operands changed places.
    pub swapped: bool,
    pub kinds: Kinds,
}

/// `None` when an axis occurs in one operand and not in the output.
pub(super) fn product(graph: &Graph, id: NodeId) -> Option<Product> {
    let Op::Einsum { a, b, output } = &graph.node(id).op else { return None };
    let operands = graph.operands(id);
    let streams = |weight: &[u8], other: &[u8]| weight.iter().all(|l| !other.contains(l) || !output.contains(l));
    let (mut a, mut b) = (a.clone(), b.clone());
    let (mut first, mut second) = (operands[0], operands[1]);
    let swapped = graph.constant(first).is_some() && graph.constant(second).is_none() && streams(&a, &b);
    if swapped {
        std::mem::swap(&mut a, &mut b);
        std::mem::swap(&mut first, &mut second);
    }
    let size = |label: u8| {
        let in_a = a.iter().position(|l| *l == label).map(|i| graph.node(first).shape[i]);
        let in_b = b.iter().position(|l| *l == label).map(|i| graph.node(second).shape[i]);
        in_a.or(in_b).unwrap_or(1)
    };
    let kinds = classify(&a, &b, output, size)?;
    Some(Product { a, b, output: output.clone(), first, second, swapped, kinds })
}

impl Product {
    /// Whether the second operand is a streamed weight.
    pub fn is_weighted(&self, graph: &Graph) -> bool {
        graph.constant(self.second).is_some() && self.kinds.batch.is_empty()
    }

    /// Size of a label.
    pub fn size(&self, graph: &Graph, label: u8) -> usize {
        let of = |labels: &[u8], node: NodeId| {
            labels.iter().position(|l| *l == label).map(|axis| graph.node(node).shape[axis])
        };
        of(&self.a, self.first).or_else(|| of(&self.b, self.second)).expect("a label is in an operand")
    }

    /// How the second operand is packed, which is a weight.
    pub fn packing(&self, graph: &Graph) -> Packing {
        let constant = graph.constant(self.second).expect("the caller checked").clone();
        let strides = element_strides(&constant.shape);
        let axes = |labels: &[u8]| -> (Vec<usize>, Vec<usize>) {
            let at = |l: &u8| self.b.iter().position(|x| x == l).expect("a k or n label is in the weight");
            (labels.iter().map(|l| self.size(graph, *l)).collect(), labels.iter().map(|l| strides[at(l)]).collect())
        };
        let (k_shape, k_strides) = axes(&self.kinds.k);
        let (n_shape, n_strides) = axes(&self.kinds.n);
        Packing { constant, group_stride: 0, k_shape, k_strides, n_shape, n_strides, groups: 1, panel_width: PANEL }
    }
}

/// The axes of a node in the order in which its result lies in memory: that of its only reader when this is a transpose, so that
/// the transpose costs nothing.
pub(super) fn memory_order(graph: &Graph, id: NodeId) -> Vec<usize> {
    let natural = || (0..graph.node(id).shape.len()).collect();
    match graph.users(id).as_slice() {
        [user] if graph.use_count(id) == 1 => {
            if let Op::Transpose { permutation } = &graph.node(*user).op {
                permutation.clone()
            } else {
                natural()
            }
        }
        _ => natural(),
    }
}
