//! Reductions and indices of extrema.

use super::copy::dense;
use super::strided::{by_rows, cost, four, lanes, other_axes, parts};
use crate::cost::OperatorClass;
use crate::graph::NodeId;
use crate::graph::constant::Dtype;
use crate::graph::op::ReduceKind;
use crate::kernels::Kernel;
use crate::kernels::params::{Code, Params};
use crate::lower::context::{Call, Lowering};
use crate::lower::error::LowerError;

const SUM: Code = Code::new("SUM", 0);
const GREATEST: Code = Code::new("GREATEST", 1);
const LEAST: Code = Code::new("LEAST", 2);
const PRODUCT: Code = Code::new("PRODUCT", 3);
const SUM_OF_INTEGERS: Code = Code::new("SUM_OF_INTEGERS", 4);
const GREATEST_INTEGER: Code = Code::new("GREATEST_INTEGER", 5);
const MIN_INTEGER: Code = Code::new("MIN_INTEGER", 6);
const PRODUCT_OF_INTEGERS: Code = Code::new("PRODUCT_OF_INTEGERS", 7);
const GREATEST_NUMBER: Code = Code::new("GREATEST_NUMBER", 8);

const VALUE: Code = Code::new("VALUE", 0);
const SQUARE: Code = Code::new("SQUARE", 1);
const MAGNITUDE: Code = Code::new("MAGNITUDE", 2);

const WHOLE: Code = Code::new("WHOLE", 0);
const MEAN: Code = Code::new("MEAN", 1);
const ROOT: Code = Code::new("ROOT", 2);

/// `combine`, `map` and `finish` of the kernels.
fn codes(kind: ReduceKind, dtype: Dtype) -> [Code; 3] {
    let (map, finish) = match kind {
        ReduceKind::Sum | ReduceKind::Max | ReduceKind::Min | ReduceKind::MaxNumber | ReduceKind::Product => {
            (VALUE, WHOLE)
        }
        ReduceKind::Mean => (VALUE, MEAN),
        ReduceKind::SumSquare => (SQUARE, WHOLE),
        ReduceKind::MeanSquare => (SQUARE, MEAN),
        ReduceKind::L1 => (MAGNITUDE, WHOLE),
        ReduceKind::L2 => (SQUARE, ROOT),
    };
    let (of_floats, of_integers) = match kind {
        ReduceKind::Max => (GREATEST, GREATEST_INTEGER),
        ReduceKind::MaxNumber => (GREATEST_NUMBER, GREATEST_INTEGER),
        ReduceKind::Min => (LEAST, MIN_INTEGER),
        ReduceKind::Product => (PRODUCT, PRODUCT_OF_INTEGERS),
        ReduceKind::Sum
        | ReduceKind::Mean
        | ReduceKind::SumSquare
        | ReduceKind::MeanSquare
        | ReduceKind::L1
        | ReduceKind::L2 => (SUM, SUM_OF_INTEGERS),
    };
    let combine = match dtype {
        Dtype::F32 => of_floats,
        Dtype::I32 | Dtype::Bool => of_integers,
    };
    [combine, map, finish]
}

/// Lowers a reduction; its epilogue is left.
pub fn lower(lowering: &mut Lowering<'_>, id: NodeId, kind: ReduceKind, axes: &[usize]) -> Result<(), LowerError> {
    let graph = lowering.graph();
    let node = graph.node(id);
    let operand = graph.operands(id)[0];
    let dtype = graph.node(operand).dtype;
    let kind = match (kind, dtype) {
        (ReduceKind::MaxNumber, Dtype::I32 | Dtype::Bool) => ReduceKind::Max,
        (kind, _) => kind,
    };
    if dtype != Dtype::F32 && kind == ReduceKind::L2 {
        let reason = "a root of integers is not an integer";
        return Err(LowerError::NoKernel { node: graph.label(id), op: "Reduce", reason });
    }
    let mut x = lowering.view(operand);
    let mut outer = other_axes(x.shape.len(), axes);
    let mut axes = axes.to_vec();
    if four(&outer, &[&x]).is_none() || four(&axes, &[&x]).is_none() {
        let order: Vec<usize> = outer.iter().chain(&axes).copied().collect();
        x = dense(lowering, &x.transposed(&order));
        axes = (outer.len()..order.len()).collect();
        outer = (0..outer.len()).collect();
    }
    let (row_axes, column_axes) = match (four(&outer, &[&x]), four(&axes, &[&x])) {
        (Some(rows), Some(columns)) => (rows, columns),
        _ => unreachable!("a dense tensor merges its leading and its trailing axes"),
    };
    let out = lowering.output(&node.shape);
    lowering.set_view(id, out.clone());
    let (rows, columns) = (out.len(), axes.iter().map(|a| x.shape[*a]).product::<usize>());
    if rows == 0 {
        return Ok(());
    }
    let lanes = lanes(rows, columns, i64::from(column_axes.strides[0][3] as i32));
    let workgroups = by_rows(rows, lanes);
    let exact = dtype == Dtype::F32 && matches!(kind, ReduceKind::Mean | ReduceKind::L2);
    let [combine, map, finish] = codes(kind, dtype);
    let params = Params::new()
        .set("rows", rows)
        .set("columns", columns)
        .set("lanes", lanes)
        .set("width", workgroups[0])
        .code("combine", combine)
        .code("map", map)
        .code("finish", finish)
        .set("x_offset", x.offset)
        .set("row_extents", row_axes.extents)
        .set("row_strides", row_axes.strides[0])
        .set("column_extents", column_axes.extents)
        .set("column_strides", column_axes.strides[0]);
    lowering.call(
        Call::of(if exact { Kernel::ReduceExact } else { Kernel::Reduce }, out.tensor)
            .params(params)
            .reads([x.tensor])
            .over(workgroups)
            .cost(cost(OperatorClass::Hierarchical, rows * columns, rows, rows * columns)),
    );
    Ok(())
}

/// Lowers an index of an extremum; its epilogue is left.
pub fn lower_arg(
    lowering: &mut Lowering<'_>,
    id: NodeId,
    axis: usize,
    max: bool,
    last: bool,
) -> Result<(), LowerError> {
    let graph = lowering.graph();
    let node = graph.node(id);
    let operand = graph.operands(id)[0];
    let dtype = graph.node(operand).dtype;
    let mut x = lowering.view(operand);
    let outer = other_axes(x.shape.len(), &[axis]);
    if four(&outer, &[&x]).is_none() {
        x = dense(lowering, &x);
    }
    let row_axes = four(&outer, &[&x]).expect("a dense tensor merges the axes on either side of one");
    let out = lowering.output(&node.shape);
    lowering.set_view(id, out.clone());
    let (rows, columns) = (out.len(), x.shape[axis]);
    if rows == 0 {
        return Ok(());
    }
    let lanes = lanes(rows, columns, x.strides[axis]);
    let workgroups = by_rows(rows, lanes);
    let params = Params::new()
        .set("rows", rows)
        .set("columns", columns)
        .set("lanes", lanes)
        .set("width", workgroups[0])
        .set("smallest", !max)
        .set("last", last)
        .set("integer", dtype != Dtype::F32)
        .set("x_offset", x.offset)
        .set("extents", row_axes.extents)
        .set("row_strides", row_axes.strides[0])
        .set("x_stride", x.strides[axis]);
    let rounds = columns.div_ceil(lanes as usize);
    for range in parts(rounds, 0, lowering.max_rounds()) {
        let (first, end) = (range.start * lanes as usize, (range.end * lanes as usize).min(columns));
        let read = rows * (end - first);
        lowering.call(
            Call::of(Kernel::ArgReduce, out.tensor)
                .params(params.clone().set("first", first).set("end", end))
                .reads([x.tensor])
                .over(workgroups)
                .cost(cost(OperatorClass::Hierarchical, read, rows, read)),
        );
    }
    Ok(())
}
