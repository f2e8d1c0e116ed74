//! Sums of overlapping windows, one to three spatial axes: the second half of a transposed convolution.

use super::strided::{cost, linear, reversed, window_parts, word};
use crate::cost::OperatorClass;
use crate::graph::NodeId;
use crate::graph::constant::Dtype;
use crate::graph::op::Window;
use crate::kernels::Kernel;
use crate::kernels::params::Params;
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
    let sizes = |list: &[usize], padding: usize| reversed::<usize, 4>(list, padding);
    let strides = |list: &[i64]| reversed::<u32, 4>(&list.iter().map(|s| word(*s)).collect::<Vec<_>>(), 0);
    let (workgroups, width) = linear(count);
    let params = Params::new()
        .set("count", count)
        .set("channels", x.shape[1])
        .set("width", width)
        .set("offset", x.offset)
        .set("stride_batch", x.strides[0])
        .set("stride_channel", x.strides[1])
        .set("extents", sizes(&node.shape[2..], 1))
        .set("x_extents", sizes(&x.shape[2 + n..], 1))
        .set("x_strides", strides(&x.strides[2 + n..]))
        .set("tap_strides", strides(&x.strides[2..2 + n]))
        .set("steps", sizes(&window.strides, 1))
        .set("dilations", sizes(&window.dilations, 1))
        .set("pads", sizes(&window.pads_before, 0));
    let taps: usize = window.kernel.iter().zip(&window.strides).map(|(k, s)| k.div_ceil(*s)).product();
    let parts = window_parts(sizes(&window.kernel, 1), lowering.max_rounds());
    for (first, end) in &parts {
        let read = (count * taps).div_ceil(parts.len());
        lowering.call(
            Call::of(Kernel::Fold, out.tensor)
                .params(params.clone().set("tap_first", *first).set("tap_end", *end))
                .reads([x.tensor])
                .over(workgroups)
                .cost(cost(OperatorClass::Elemental, read, count, read)),
        );
    }
    Ok(())
}
