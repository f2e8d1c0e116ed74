//! Reductions and indices of extrema.

use super::copy::dense;
use super::strided::{by_rows, cost, four, lanes, other_axes, parts, word};
use crate::cost::OperatorClass;
use crate::graph::NodeId;
use crate::graph::constant::Dtype;
use crate::graph::op::ReduceKind;
use crate::kernels::Kernel;
use crate::lower::context::{Call, Lowering};
use crate::lower::error::LowerError;

/// `combine`, `map` and `finish` of the kernel.
const fn codes(kind: ReduceKind) -> [u32; 3] {
    match kind {
        ReduceKind::Sum => [0, 0, 0],
        ReduceKind::Mean => [0, 0, 1],
        ReduceKind::SumSquare => [0, 1, 0],
        ReduceKind::MeanSquare => [0, 1, 1],
        ReduceKind::Max => [1, 0, 0],
        ReduceKind::Min => [2, 0, 0],
        ReduceKind::MaxNumber => [8, 0, 0],
        ReduceKind::Product => [3, 0, 0],
        ReduceKind::L1 => [0, 2, 0],
        ReduceKind::L2 => [0, 1, 2],
    }
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
    let codes = match (exact, dtype) {
        (true, _) => [u32::from(kind == ReduceKind::L2), 0, 0],
        (false, Dtype::F32) => codes(kind),
        (false, Dtype::I32 | Dtype::Bool) => {
            let [combine, map, finish] = codes(kind);
            [combine + 4, map, finish]
        }
    };
    let mut params = vec![rows as u32, columns as u32, lanes, workgroups[0]];
    params.extend(codes);
    params.push(word(x.offset));
    params.extend(row_axes.extents);
    params.extend(row_axes.strides[0]);
    params.extend(column_axes.extents);
    params.extend(column_axes.strides[0]);
    lowering.call(Call {
        kernel: if exact { Kernel::ReduceExact } else { Kernel::Reduce },
        expression: None,
        params,
        output: out.tensor,
        inputs: vec![x.tensor],
        workgroups,
        weight_texels: None,
        cost: cost(OperatorClass::Hierarchical, rows * columns, rows, rows * columns),
    });
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
    let mut params = vec![rows as u32, columns as u32, lanes, workgroups[0]];
    params.extend([u32::from(!max), u32::from(last), u32::from(dtype != Dtype::F32), word(x.offset)]);
    params.extend(row_axes.extents);
    params.extend(row_axes.strides[0]);
    params.push(word(x.strides[axis]));
    let rounds = columns.div_ceil(lanes as usize);
    for range in parts(rounds, 0, lowering.most_rounds()) {
        let (first, end) = (range.start * lanes as usize, (range.end * lanes as usize).min(columns));
        let read = rows * (end - first);
        lowering.call(Call {
            kernel: Kernel::ArgReduce,
            expression: None,
            params: [&params[..], &[first as u32, end as u32, 0]].concat(),
            output: out.tensor,
            inputs: vec![x.tensor],
            workgroups,
            weight_texels: None,
            cost: cost(OperatorClass::Hierarchical, read, rows, read),
        });
    }
    Ok(())
}
