//! Gathers: rows of a constant table at indices that the host knows are read by the host, everything else by a kernel.
//!
//! Row gathers read only the rows that a run needs, straight from the file. The host knows the elements of integer inputs, and
//! what it computes of them (`indices.rs`): that is asked of it for tables above 16 MiB only, which do not stay resident for a
//! kernel. Such a table at indices that are computed on the device is refused.

pub mod host;
mod indices;
pub mod places;

use super::copy::copy_into;
use super::strided::{cost, linear, walk};
use crate::cost::OperatorClass;
use crate::graph::NodeId;
use crate::graph::constant::{Constant, Dtype};
use crate::kernels::Kernel;
use crate::kernels::params::Params;
use crate::lower::blocks::exact;
use crate::lower::context::{Call, Lowering};
use crate::lower::error::LowerError;
use crate::lower::program::RowSource;
use crate::lower::view::{View, dense_strides};
use crate::narrow::index32;
use flashmem_plan_format::encoding::Encoding;
use flashmem_plan_format::plan::{Buffer, BufferSlice, RowGather, RowTable};
use indices::Piece;
use places::{RowPlaces, is_large};

/// Lowers a gather; its epilogue is left.
pub fn lower(lowering: &mut Lowering<'_>, id: NodeId, axis: usize) -> Result<(), LowerError> {
    match lowering.host().row_places(id).cloned() {
        Some(places) => {
            gather_rows(lowering, id, places);
            Ok(())
        }
        None => gather_elements(lowering, id, axis),
    }
}

fn gather_rows(lowering: &mut Lowering<'_>, id: NodeId, places: RowPlaces) {
    let graph = lowering.graph();
    let name = lowering.name_of(id);
    let node = graph.node(id);
    let table_node = graph.operands(id)[0];
    let constant = graph.constant(table_node).expect("a row gather has a constant table");
    let table = row_source(lowering, table_node, constant);
    let row = &constant.shape[1..];
    // The arena slice is filled in when tensors are placed.
    let destination = BufferSlice { buffer: Buffer::Activations, offset_bytes: 0, size_bytes: 0 };
    let out = lowering.output(&node.shape);
    let whole = [&places.shape[..], row].concat();
    for Piece { starts, shape, indices } in places.pieces {
        let gather = RowGather { table, indices, destination, node: name };
        if shape == places.shape {
            lowering.gather_rows(gather, out.tensor);
            continue;
        }
        let part = lowering.output(&[&shape[..], row].concat());
        lowering.gather_rows(gather, part.tensor);
        let strides = dense_strides(&whole);
        let offset = starts.iter().zip(&strides).map(|(start, stride)| *start as i64 * stride).sum();
        copy_into(lowering, &part, &View { tensor: out.tensor, offset, shape: part.shape.clone(), strides });
    }
    lowering.set_view(id, out);
}

/// Position of a table among those of the program, to which it is added if it is not there.
fn row_source(lowering: &mut Lowering<'_>, table_node: NodeId, constant: &Constant) -> u32 {
    let graph = lowering.graph();
    let places: Vec<usize> = (0..constant.shape[1..].iter().product()).collect();
    let kept = constant.as_quantized().and_then(|quantized| exact(quantized, &places));
    let encoding = kept.map_or_else(|| lowering.encoding_of(table_node), Encoding::Block);
    let same = |s: &RowSource| {
        s.constant.address() == constant.address()
            && s.table.encoding == encoding
            && (&s.constant.shape, s.constant.storage) == (&constant.shape, constant.storage)
    };
    if let Some(position) = lowering.row_sources().iter().position(same) {
        return index32(position);
    }
    let end = |s: &RowSource| s.table.offset_bytes + s.table.row_stride_bytes() * u64::from(s.table.rows);
    let table = RowTable {
        name: unique(&graph.label(table_node), lowering.row_sources()),
        offset_bytes: lowering.row_sources().last().map_or(0, end),
        rows: index32(constant.shape[0]),
        row_elements: index32(constant.shape[1..].iter().product()),
        encoding,
    };
    let importance = graph.importance.get(&table_node).cloned();
    lowering.add_row_source(RowSource { table, constant: constant.clone(), importance })
}

/// A name that no table has: one constant is several tables where it is read in several shapes.
fn unique(name: &str, tables: &[RowSource]) -> String {
    let numbered = (2..).map(|number| format!("{name} ({number})"));
    let taken = |name: &String| tables.iter().any(|source| source.table.name == *name);
    let found = [name.to_owned()].into_iter().chain(numbered).find(|name| !taken(name));
    found.expect("there is a number that no table has")
}

fn gather_elements(lowering: &mut Lowering<'_>, id: NodeId, axis: usize) -> Result<(), LowerError> {
    let graph = lowering.graph();
    let node = graph.node(id);
    let no_kernel = |reason| LowerError::NoKernel { node: graph.label(id), op: "Gather", reason };
    let operands = graph.operands(id);
    if let Some(table) = graph.constant(operands[0]).filter(|table| is_large(table)) {
        if table.dtype() != Dtype::F32 {
            return Err(no_kernel(
                "its table exceeds 16 MiB and holds integers or booleans: only rows of floats, and of integers of 8 bits, are \
                 looked up in the file",
            ));
        }
        return Err(no_kernel(
            "its table exceeds 16 MiB, and its indices are computed on the device: only rows (along axis 0, of floats) at \
             indices that follow from inputs of the model by casts to integers, views, joins, element-wise integer operators \
             and lists of integers are looked up in the file; compute the indices outside and make them an input",
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
