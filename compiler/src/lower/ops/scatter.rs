//! Scatters: a copy of the data, then one kernel that combines its rows with the updates in their order.

use super::copy::{copied, dense};
use super::strided::{ROUNDS_PER_CALL, cost, linear};
use crate::cost::OperatorClass;
use crate::graph::NodeId;
use crate::graph::constant::Dtype;
use crate::graph::op::ScatterKind;
use crate::kernels::Kernel;
use crate::kernels::params::{Code, Params};
use crate::lower::context::{Call, Lowering};
use crate::lower::error::LowerError;

/// Invocations among which rows are shared out: more would read the indices more often.
const INVOCATIONS: usize = 1024;

const REPLACE: Code = Code::new("REPLACE", 0);
const ADD: Code = Code::new("ADD", 1);
const MULTIPLY: Code = Code::new("MULTIPLY", 2);
const LEAST: Code = Code::new("LEAST", 3);
const GREATEST: Code = Code::new("GREATEST", 4);
const ADD_INTEGERS: Code = Code::new("ADD_INTEGERS", 5);
const MULTIPLY_INTEGERS: Code = Code::new("MULTIPLY_INTEGERS", 6);
const MIN_INTEGER: Code = Code::new("MIN_INTEGER", 7);
const GREATEST_INTEGER: Code = Code::new("GREATEST_INTEGER", 8);

/// Lowers a scatter; its epilogue is left.
pub fn lower(lowering: &mut Lowering<'_>, id: NodeId, kind: ScatterKind) -> Result<(), LowerError> {
    let graph = lowering.graph();
    let operands = graph.operands(id);
    let dtype = graph.node(operands[0]).dtype;
    if dtype == Dtype::Bool && kind != ScatterKind::Replace {
        let reason = "booleans cannot be combined";
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
    let is_float = dtype == Dtype::F32;
    let mode = match kind {
        ScatterKind::Replace => REPLACE,
        ScatterKind::Add => {
            if is_float {
                ADD
            } else {
                ADD_INTEGERS
            }
        }
        ScatterKind::Mul => {
            if is_float {
                MULTIPLY
            } else {
                MULTIPLY_INTEGERS
            }
        }
        ScatterKind::Min => {
            if is_float {
                LEAST
            } else {
                MIN_INTEGER
            }
        }
        ScatterKind::Max => {
            if is_float {
                GREATEST
            } else {
                GREATEST_INTEGER
            }
        }
    };
    let lanes = (INVOCATIONS / inner).clamp(1, out_rows);
    let (workgroups, width) = linear(lanes * inner);
    // One call after the other goes on where the last has stopped, so that the order of updates stays.
    for first in (0..rows.len()).step_by(ROUNDS_PER_CALL) {
        let count = ROUNDS_PER_CALL.min(rows.len() - first);
        let at = |offset: i64, stride: i64| offset + first as i64 * stride;
        let params = Params::new()
            .set("count", lanes * inner)
            .set("inner", inner)
            .set("lanes", lanes)
            .set("width", width)
            .set("out_rows", out_rows)
            .set("updates", count)
            .code("mode", mode)
            .set("row_offset", at(rows.offset, 1))
            .set("row_stride", 1_u32)
            .set("update_offset", at(updates.offset, updates.strides[0]))
            .set("update_stride", updates.strides[0])
            .set("inner_stride", updates.strides[1]);
        let read = count * inner;
        lowering.call(
            Call::of(Kernel::Scatter, out.tensor)
                .params(params)
                .reads([rows.tensor, updates.tensor])
                .over(workgroups)
                .cost(cost(OperatorClass::Elemental, read + lanes * count, read, read)),
        );
    }
    Ok(())
}
