//! Siblings: products of one x whose weights follow each other in the stream, and may be computed in one call.
//!
//! The columns of each weight fill whole panels, and the panels of weights with equal sums and encodings lie one after the other: a call
//! can read them as one matrix. Its result is one tensor, of which the products are views. Siblings are found here
//! where their epilogues can be one (`siblings/epilogue.rs`) and no reader of theirs needs one more copy
//! (`siblings/readers.rs`). Whether they are computed in one call is said by lowering's options, and changes no bit: kernels are chosen
//! for all of them either way. Nor does it change the order of the stream, since only weights that follow each other anyway
//! are siblings. It deliberately looks at the graph only; `ops/siblings.rs` makes the call.

mod epilogue;
mod readers;
#[cfg(test)]
mod tests;

use super::blocks::exact;
use super::product::{Product, memory_order, product};
use super::streamed::{streamed_constants, streamed_weight};
use super::view::{TensorId, View, dense_strides, merge_axes};
use crate::graph::constant::{Dtype, Storage};
use crate::graph::op::Op;
use crate::graph::origin::OriginSet;
use crate::graph::pointwise::Pointwise;
use crate::graph::{Graph, NodeId, Siblings};
use crate::kernels::PANEL;
use epilogue::{Columns, Link};
use flashmem_plan_format::plan::Encoding;

/// A part of all columns that may lie between siblings, where one does not fill its last panel: one in so many.
const COLUMNS_BETWEEN: usize = 4;

/// A product that may have siblings.
struct Member {
    id: NodeId,
    product: Product,
    /// Axes of x that are summed over, ascending.
    k_axes: Vec<usize>,
    /// How its weight is stored, where that is not how floats are by default.
    encoding: Option<Encoding>,
    links: Vec<Link>,
    rows: usize,
    columns: usize,
}

/// One of the siblings of a call.
pub(super) struct Part {
    /// The product.
    pub id: NodeId,
    /// Its operands and labels.
    pub product: Product,
    /// Its first column among those of the call.
    pub first_column: usize,
}

/// How siblings are computed in one call.
pub(super) struct Joined {
    /// The siblings, in the order of their weights.
    pub parts: Vec<Part>,
    /// What follows for every element.
    pub epilogue: Option<Pointwise>,
    /// Its operands: a number a column.
    pub vectors: Vec<Vec<f32>>,
    /// Axes of x that are summed over, ascending; the others are rows.
    pub k_axes: Vec<usize>,
}

/// Finds the siblings of a graph whose tensor has at most so many bytes.
pub fn find(graph: &mut Graph, max_bytes: u64) {
    let mut runs: Vec<Vec<Member>> = Vec::new();
    for id in graph.topological_order() {
        if streamed_weight(graph, id).is_none() && streamed_constants(graph, id).is_empty() {
            continue;
        }
        match (Member::of(graph, id), runs.last_mut()) {
            (Some(member), Some(run)) if member.joins(graph, run, max_bytes) => run.push(member),
            (member, _) => runs.push(member.into_iter().collect()),
        }
    }
    graph.siblings = runs.iter().filter(|run| run.len() > 1).map(|run| siblings(graph, run)).collect();
    for position in 0..graph.siblings.len() {
        let members = graph.siblings[position].members.clone();
        for member in members {
            let origin = graph.result_origin(member);
            graph.siblings[position].origin = graph.origins.merge(graph.siblings[position].origin, origin);
        }
    }
}

fn siblings(graph: &Graph, run: &[Member]) -> Siblings {
    let common = epilogue::common(&lists(run)).expect("they have one");
    let own = run.iter().map(|m| graph.operands(m.id).len() - graph.op_operand_count(m.id)).max().unwrap_or(0);
    Siblings {
        members: run.iter().map(|member| member.id).collect(),
        origin: OriginSet::NONE,
        rows: run[0].rows,
        columns: columns(run.iter().map(|member| member.columns)),
        operands: common.operands().max(own),
    }
}

fn lists(run: &[Member]) -> Vec<&[Link]> {
    run.iter().map(|member| member.links.as_slice()).collect()
}

/// Columns of all, where each begins with a panel.
fn columns(of_each: impl Iterator<Item = usize>) -> usize {
    of_each.fold(0, |before, own| before.next_multiple_of(PANEL) + own)
}

/// How siblings are computed in one call.
pub(super) fn joined(graph: &Graph, siblings: &Siblings) -> Joined {
    let found = siblings.members.iter().map(|id| Member::of(graph, *id).expect("it was one when siblings were found"));
    let run: Vec<Member> = found.collect();
    let common = epilogue::common(&lists(&run)).expect("it was found with them");
    let starts = (0..run.len()).map(|i| columns(run[..=i].iter().map(|member| member.columns)) - run[i].columns);
    let starts: Vec<usize> = starts.collect();
    let lines =
        run.iter().zip(&starts).map(|(m, start)| Columns { product: &m.product, links: &m.links, first: *start });
    let vectors = common.vectors(graph, &lines.collect::<Vec<_>>(), siblings.columns);
    let (k_axes, epilogue) = (run[0].k_axes.clone(), common.program());
    let parts = run.into_iter().zip(starts);
    let parts = parts.map(|(m, first_column)| Part { id: m.id, product: m.product, first_column }).collect();
    Joined { parts, epilogue, vectors, k_axes }
}

impl Member {
    /// A product that can be a view of a larger tensor.
    fn of(graph: &Graph, id: NodeId) -> Option<Self> {
        let product = product(graph, id).filter(|product| product.is_weighted(graph))?;
        let (x, weight, node) = (graph.node(product.first), product.second, graph.node(id));
        let floats = x.dtype == Dtype::F32 && node.dtype == Dtype::F32 && !matches!(x.op, Op::Constant(_));
        if !floats || graph.use_count(weight) != 1 || !streamed_constants(graph, id).is_empty() {
            return None;
        }
        let is_k = |axis: &usize| product.kinds.k.contains(&product.a[*axis]);
        let (k_axes, row_axes): (Vec<usize>, Vec<usize>) = (0..x.shape.len()).partition(is_k);
        let rows = row_axes.iter().map(|axis| x.shape[*axis]).product();
        let columns: usize = product.kinds.n.iter().map(|label| product.size(graph, *label)).product();
        let packing = product.packing(graph);
        let kept = packing.constant.as_quantized();
        let blocks = kept.and_then(|quantized| exact(quantized, &packing.k_places())).map(Encoding::Block);
        let floats = kept.map(|_| match packing.constant.storage {
            Storage::F16 => Encoding::F16,
            Storage::F32 | Storage::I32 | Storage::Bool => Encoding::F32,
        });
        let encoding = blocks.or_else(|| graph.encodings.get(&weight).copied()).or(floats);
        let links = epilogue::links(graph, id, &product)?;
        let has_elements = rows > 0 && columns > 0 && packing.k() > 0;
        let whole = View::dense(TensorId(0), &joined_shape(graph, product.first, &k_axes, 2 * columns));
        let part = part_of(graph, &product, &k_axes, &whole, 0);
        let member = Self { id, product, k_axes, encoding, links, rows, columns };
        (has_elements && readers::fit(graph, id, &part, &member.own_view(graph))).then_some(member)
    }

    /// Whether it can be computed with these.
    fn joins(&self, graph: &Graph, run: &[Self], max_bytes: u64) -> bool {
        let Some(first) = run.first() else { return false };
        let all = || run.iter().chain([self]);
        let columns = columns(all().map(|member| member.columns));
        let of_members: usize = all().map(|member| member.columns).sum();
        let bytes = 4 * (self.rows as u64).saturating_mul(columns as u64);
        let mut lists = lists(run);
        lists.push(&self.links);
        let scale = |member: &Self| graph.scales.get(&member.id).copied();
        (self.product.first, &self.k_axes, self.encoding) == (first.product.first, &first.k_axes, first.encoding)
            && scale(self) == scale(first)
            && (columns - of_members) * COLUMNS_BETWEEN <= columns
            && bytes <= max_bytes
            && epilogue::common(&lists).is_some()
    }

    /// Where its elements lie when it is computed on its own.
    fn own_view(&self, graph: &Graph) -> View {
        let shape = &graph.node(self.id).shape;
        let places = |labels: &[u8]| -> Vec<usize> {
            labels.iter().filter_map(|label| self.product.output.iter().position(|l| l == label)).collect()
        };
        let natural = ordered(shape, &memory_order(graph, self.id));
        let n = places(&self.product.kinds.n);
        let of_n = |list: &[i64]| n.iter().map(|axis| list[*axis]).collect::<Vec<_>>();
        let (merged, _) = merge_axes(&n.iter().map(|axis| shape[*axis]).collect::<Vec<_>>(), &[of_n(&natural.strides)]);
        if merged.len() <= 1 { natural } else { ordered(shape, &[places(&self.product.kinds.m), n].concat()) }
    }
}

/// A dense tensor whose axes lie in memory in this order, seen in their own.
fn ordered(shape: &[usize], order: &[usize]) -> View {
    let dense = View::dense(TensorId(0), &order.iter().map(|axis| shape[*axis]).collect::<Vec<_>>());
    let mut inverse = vec![0; order.len()];
    order.iter().enumerate().for_each(|(position, axis)| inverse[*axis] = position);
    dense.transposed(&inverse)
}

/// Axes of the tensor of all siblings: those of x that are rows, and `columns`.
pub(super) fn joined_shape(graph: &Graph, x: NodeId, k_axes: &[usize], columns: usize) -> Vec<usize> {
    let shape = graph.node(x).shape.iter().enumerate();
    let rows = shape.filter(|(axis, _)| !k_axes.contains(axis)).map(|(_, size)| *size);
    rows.chain([columns]).collect()
}

/// A sibling as a view of the tensor of all of them, from its first column on.
pub(super) fn part_of(graph: &Graph, product: &Product, k_axes: &[usize], whole: &View, first_column: usize) -> View {
    let row_axes: Vec<usize> = (0..product.a.len()).filter(|axis| !k_axes.contains(axis)).collect();
    let n_shape: Vec<usize> = product.kinds.n.iter().map(|label| product.size(graph, *label)).collect();
    let column = whole.strides[row_axes.len()];
    let stride = |label: &u8| match product.kinds.n.iter().position(|l| l == label) {
        Some(n) => dense_strides(&n_shape)[n] * column,
        None => {
            let axis = product.a.iter().position(|l| l == label);
            axis.and_then(|axis| row_axes.iter().position(|row| *row == axis)).map_or(0, |row| whole.strides[row])
        }
    };
    View {
        tensor: whole.tensor,
        offset: whole.offset + first_column as i64 * column,
        shape: product.output.iter().map(|label| product.size(graph, *label)).collect(),
        strides: product.output.iter().map(stride).collect(),
    }
}
