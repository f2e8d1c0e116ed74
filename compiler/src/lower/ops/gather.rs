//! Gathers: rows of a constant table at public indices are read by the host, everything else by a kernel.
//!
//! Row gathers read only the rows that a run needs, straight from the file. A computed index needs its table resident, which
//! is refused above 16 MiB.

use super::strided::{cost, linear, walk};
use crate::cost::OperatorClass;
use crate::graph::constant::Dtype;
use crate::graph::op::Op;
use crate::graph::{Graph, NodeId};
use crate::kernels::Kernel;
use crate::kernels::params::Params;
use crate::lower::context::{Call, Lowering};
use crate::lower::error::LowerError;
use crate::lower::program::RowSource;
use flashmem_plan_format::plan::{Buffer, BufferSlice, ElementType, RowGather, RowTable, TexelFormat};

/// Largest table that stays in memory.
const MAX_RESIDENT_BYTES: usize = 16 << 20;

/// The public input of 32 or 64 bits whose elements, in order, are the indices `id`: itself, or reshaped.
fn public_indices(graph: &Graph, id: NodeId) -> Option<u32> {
    let mut id = id;
    while matches!(graph.node(id).op, Op::Reshape) && graph.node(id).epilogue.is_none() {
        id = graph.operands(id)[0];
    }
    let indexes = |element| matches!(element, ElementType::I32 | ElementType::I64);
    let position = graph.inputs.iter().position(|input| input.node == id && indexes(input.element));
    position.map(|position| position as u32)
}

/// The public input that indexes the rows of a gather's constant table, if this is what the node does.
fn row_indices(graph: &Graph, id: NodeId) -> Option<u32> {
    let Op::Gather { axis: 0 } = graph.node(id).op else { return None };
    let operands = graph.operands(id);
    let table = graph.constant(operands[0])?;
    let fits = table.shape.len() == 2 && table.dtype() == Dtype::F32 && !table.is_empty();
    public_indices(graph, operands[1]).filter(|_| fits)
}

/// The table of which a gather reads single rows from the file.
pub fn row_table(graph: &Graph, id: NodeId) -> Option<NodeId> {
    row_indices(graph, id).map(|_| graph.operands(id)[0])
}

/// Whether all that happens to a tensor, a public input or a reshape of one, is that the host gathers rows by it.
pub fn only_indexes_rows(lowering: &Lowering<'_>, id: NodeId) -> bool {
    let graph = lowering.graph();
    let reads_only_rows = |user: &NodeId| {
        let operands = graph.operands(*user);
        match graph.node(*user).op {
            Op::Gather { .. } => {
                operands.iter().filter(|o| **o == id).count() == 1
                    && operands[1] == id
                    && row_indices(graph, *user).is_some()
            }
            Op::Reshape => {
                operands.len() == 1 && graph.node(*user).epilogue.is_none() && only_indexes_rows(lowering, *user)
            }
            _ => false,
        }
    };
    graph.results().all(|o| o.node != id) && graph.users(id).iter().all(reads_only_rows)
}

/// Lowers a gather; its epilogue is left.
pub fn lower(lowering: &mut Lowering<'_>, id: NodeId, axis: usize) -> Result<(), LowerError> {
    match row_indices(lowering.graph(), id) {
        Some(input) => gather_rows(lowering, id, input),
        None => gather_elements(lowering, id, axis),
    }
}

fn gather_rows(lowering: &mut Lowering<'_>, id: NodeId, input: u32) -> Result<(), LowerError> {
    let graph = lowering.graph();
    let node = graph.node(id);
    let table_node = graph.operands(id)[0];
    let constant = graph.constant(table_node).expect("a row gather has a constant table").clone();
    let format =
        if graph.kept_f32.contains(&table_node) { TexelFormat::Rgba32Float } else { lowering.options().page.format };
    let same = |s: &RowSource| {
        s.constant.bytes().as_ptr() == constant.bytes().as_ptr()
            && s.table.format == format
            && (&s.constant.shape, s.constant.storage) == (&constant.shape, constant.storage)
    };
    let table = match lowering.row_sources().iter().position(same) {
        Some(position) => position as u32,
        None => {
            let end = |s: &RowSource| s.table.offset_bytes + s.table.row_stride_bytes() * u64::from(s.table.rows);
            let table = RowTable {
                name: graph.label(table_node),
                offset_bytes: lowering.row_sources().last().map_or(0, end),
                rows: constant.shape[0] as u32,
                row_elements: constant.shape[1] as u32,
                format,
            };
            lowering.add_row_source(RowSource { table, constant })
        }
    };
    let out = lowering.output(&node.shape);
    // The arena slice is filled in when tensors are placed.
    let destination = BufferSlice { buffer: Buffer::Activations, offset_bytes: 0, size_bytes: 0 };
    lowering.gather_rows(RowGather { table, input, destination, node: graph.label(id) }, out.tensor);
    lowering.set_view(id, out);
    Ok(())
}

fn gather_elements(lowering: &mut Lowering<'_>, id: NodeId, axis: usize) -> Result<(), LowerError> {
    let graph = lowering.graph();
    let node = graph.node(id);
    let no_kernel = |reason| LowerError::NoKernel { node: graph.label(id), op: "Gather", reason };
    let operands = graph.operands(id);
    if graph.constant(operands[0]).is_some_and(|c| c.len() * 4 > MAX_RESIDENT_BYTES) {
        return Err(no_kernel(
            "its table exceeds 16 MiB, and its indices are computed: only those that are an int32 or int64 input of the model, \
             reshaped or cast at most, are looked up in the file; compute the indices outside and make them an input",
        ));
    }
    let (x, indices) = (lowering.view(operands[0]), lowering.view(operands[1]));
    let (outer, inner) = (axis, x.shape.len() - axis - 1);
    let x_strides = [&x.strides[..axis], &vec![0; indices.shape.len()], &x.strides[axis + 1..]].concat();
    let index_strides = [&vec![0; outer][..], &indices.strides, &vec![0; inner]].concat();
    let out = lowering.output(&node.shape);
    lowering.set_view(id, out.clone());
    if out.is_empty() {
        return Ok(());
    }
    let walk = walk(&node.shape, &[x_strides, index_strides, out.strides.clone()])
        .ok_or_else(|| no_kernel("its operands differ in more than eight axes"))?;
    let (workgroups, width) = linear(walk.count);
    let params = Params::new()
        .set("count", walk.count)
        .set("rank", walk.rank)
        .set("width", width)
        .set("axis_extent", x.shape[axis])
        .set("extents", walk.extents)
        .set("offsets", [x.offset, indices.offset, 0])
        .set("strides", walk.strides[..2].concat())
        .set("axis_stride", x.strides[axis]);
    lowering.call(
        Call::of(Kernel::Gather, out.tensor)
            .params(params)
            .reads([x.tensor, indices.tensor])
            .over(workgroups)
            .cost(cost(OperatorClass::Elemental, 2 * walk.count, walk.count, 0)),
    );
    Ok(())
}
