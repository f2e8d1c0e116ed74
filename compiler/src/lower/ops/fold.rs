//! Sums of overlapping windows, one to three spatial axes: the second half of a transposed convolution.

use super::strided::{cost, linear, reversed, window_parts, word};
use crate::cost::OperatorClass;
use crate::graph::NodeId;
use crate::graph::constant::Dtype;
use crate::graph::op::Window;
use crate::kernels::Kernel;
use crate::lower::context::{Call, Lowering};
use crate::lower::error::LowerError;

/// Lowers a fold; its epilogue is left.
pub fn lower(lowering: &mut Lowering<'_>, id: NodeId, window: &Window) -> Result<(), LowerError> {
    let graph = lowering.graph();
    let node = graph.node(id);
    let operand = graph.operands(id)[0];
    if graph.node(operand).dtype != Dtype::F32 {
        let reason = "its elements are not f32";
        return Err(LowerError::NoKernel { node: graph.label(id), op: "Fold", reason });
    }
    let x = lowering.view(operand);
    let out = lowering.output(&node.shape);
    lowering.set_view(id, out.clone());
    let count = out.len();
    if count == 0 {
        return Ok(());
    }
    let n = window.kernel.len();
    let sizes =
        |list: &[usize], padding: u32| reversed::<4>(&list.iter().map(|v| *v as u32).collect::<Vec<_>>(), padding);
    let strides = |list: &[i64]| reversed::<4>(&list.iter().map(|s| word(*s)).collect::<Vec<_>>(), 0);
    let (workgroups, width) = linear(count);
    let mut params = vec![count as u32, x.shape[1] as u32, width, word(x.offset)];
    params.extend([word(x.strides[0]), word(x.strides[1]), 0, 0]);
    params.extend(sizes(&node.shape[2..], 1));
    params.extend(sizes(&x.shape[2 + n..], 1));
    params.extend(strides(&x.strides[2 + n..]));
    params.extend(strides(&x.strides[2..2 + n]));
    params.extend(sizes(&window.strides, 1));
    params.extend(sizes(&window.dilations, 1));
    params.extend(sizes(&window.pads_before, 0));
    let taps: usize = window.kernel.iter().zip(&window.strides).map(|(k, s)| k.div_ceil(*s)).product();
    let parts = window_parts(sizes(&window.kernel, 1), lowering.most_rounds());
    for (first, end) in &parts {
        let read = (count * taps).div_ceil(parts.len());
        lowering.call(Call {
            kernel: Kernel::Fold,
            expression: None,
            params: [&params[..], first, end].concat(),
            output: out.tensor,
            inputs: vec![x.tensor],
            workgroups,
            weight_texels: None,
            cost: cost(OperatorClass::Elemental, read, count, read),
        });
    }
    Ok(())
}
