//! Scatters: a copy of the data, then one kernel that combines its rows with the updates in their order.

use super::copy::{copied, dense};
use super::strided::{ROUNDS_PER_CALL, cost, linear, word};
use crate::cost::OperatorClass;
use crate::graph::NodeId;
use crate::graph::constant::Dtype;
use crate::graph::op::ScatterKind;
use crate::kernels::Kernel;
use crate::lower::context::{Call, Lowering};
use crate::lower::error::LowerError;

/// Invocations among which rows are shared out: more would read the indices more often.
const INVOCATIONS: usize = 1024;

/// Lowers a scatter; its epilogue is left.
pub fn lower(lowering: &mut Lowering<'_>, id: NodeId, kind: ScatterKind) -> Result<(), LowerError> {
    let graph = lowering.graph();
    let operands = graph.operands(id);
    let dtype = graph.node(operands[0]).dtype;
    if dtype == Dtype::Bool && kind != ScatterKind::Replace {
        let reason = "truth values cannot be combined";
        return Err(LowerError::NoKernel { node: graph.label(id), op: "Scatter", reason });
    }
    let (data, rows) = (lowering.view(operands[0]), lowering.view(operands[1]));
    let updates = lowering.view(operands[2]);
    let rows = dense(lowering, &rows);
    let out = copied(lowering, &data);
    lowering.set_view(id, out.clone());
    let (out_rows, inner) = (out.shape[0], out.shape[1]);
    if out.is_empty() || updates.is_empty() {
        return Ok(());
    }
    let combine = match kind {
        ScatterKind::Replace => 0,
        ScatterKind::Add => 1,
        ScatterKind::Mul => 2,
        ScatterKind::Min => 3,
        ScatterKind::Max => 4,
    };
    let mode = if combine == 0 || dtype == Dtype::F32 { combine } else { combine + 4 };
    let lanes = (INVOCATIONS / inner).clamp(1, out_rows);
    let (workgroups, width) = linear(lanes * inner);
    // One call after the other goes on where the last has stopped, so that the order of updates stays.
    for first in (0..rows.len()).step_by(ROUNDS_PER_CALL) {
        let count = ROUNDS_PER_CALL.min(rows.len() - first);
        let at = |offset: i64, stride: i64| word(offset + first as i64 * stride);
        let mut params = vec![(lanes * inner) as u32, inner as u32, lanes as u32, width];
        params.extend([out_rows as u32, count as u32, mode, at(rows.offset, 1), 1]);
        params.extend([at(updates.offset, updates.strides[0]), word(updates.strides[0]), word(updates.strides[1])]);
        let read = count * inner;
        lowering.call(Call {
            kernel: Kernel::Scatter,
            expression: None,
            params,
            output: out.tensor,
            inputs: vec![rows.tensor, updates.tensor],
            workgroups,
            weight_texels: None,
            cost: cost(OperatorClass::Elemental, read + lanes * count, read, read),
        });
    }
    Ok(())
}
