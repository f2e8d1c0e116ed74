//! Pooling of one to three spatial axes.

use super::strided::{cost, linear, reversed, window_parts, word};
use crate::cost::OperatorClass;
use crate::graph::NodeId;
use crate::graph::constant::Dtype;
use crate::graph::op::{PoolKind, Window};
use crate::kernels::Kernel;
use crate::kernels::params::{Code, Params};
use crate::lower::context::{Call, Lowering};
use crate::lower::error::LowerError;

const MAX: Code = Code::new("MAX", 0);
const AVERAGE: Code = Code::new("AVERAGE", 1);
const AVERAGE_PADDED: Code = Code::new("AVERAGE_PADDED", 2);
const MAX_INDEX: Code = Code::new("MAX_INDEX", 3);

/// Lowers a pooling; its epilogue is left.
pub fn lower(lowering: &mut Lowering<'_>, id: NodeId, window: &Window, kind: PoolKind) -> Result<(), LowerError> {
    let graph = lowering.graph();
    let node = graph.node(id);
    let no_kernel = |reason| LowerError::NoKernel { node: graph.label(id), op: "Pool", reason };
    let operand = graph.operands(id)[0];
    let x = lowering.view(operand);
    if x.shape.len() > 5 {
        return Err(no_kernel("it has more than three spatial axes"));
    }
    if graph.node(operand).dtype != Dtype::F32 {
        return Err(no_kernel("its elements are not f32"));
    }
    let out = lowering.output(&node.shape);
    lowering.set_view(id, out.clone());
    let count = out.len();
    if count == 0 {
        return Ok(());
    }
    let mode = match kind {
        PoolKind::Max => Some(MAX),
        PoolKind::Average { count_include_pad: false } => Some(AVERAGE),
        PoolKind::Average { count_include_pad: true } => Some(AVERAGE_PADDED),
        PoolKind::MaxIndex => Some(MAX_INDEX),
        PoolKind::Norm { .. } => None,
    };
    let words = |list: &[usize], padding: usize| reversed::<usize, 4>(list, padding);
    let (workgroups, width) = linear(count);
    let taps = words(&window.kernel, 1);
    let params = Params::new()
        .set("count", count)
        .set("channels", x.shape[1])
        .set("width", width)
        .set("offset", x.offset)
        .set("stride_batch", x.strides[0])
        .set("stride_channel", x.strides[1])
        .set("extents", words(&node.shape[2..], 1))
        .set("x_extents", words(&x.shape[2..], 1))
        .set("x_strides", reversed::<u32, 4>(&x.strides[2..].iter().map(|s| word(*s)).collect::<Vec<_>>(), 0))
        .set("taps", taps)
        .set("steps", words(&window.strides, 1))
        .set("dilations", words(&window.dilations, 1))
        .set("pads_before", words(&window.pads_before, 0))
        .set("pads_after", words(&window.pads_after, 0));
    let call = |kernel, params, read: usize| {
        Call::of(kernel, out.tensor).params(params).reads([x.tensor]).over(workgroups).cost(cost(
            OperatorClass::Elemental,
            count * read,
            count,
            count * read,
        ))
    };
    if let PoolKind::Norm { p } = kind {
        lowering.call(call(Kernel::PoolNorm, params.set("power", p), window.kernel.iter().product()));
        return Ok(());
    }
    let params = mode.iter().fold(params, |params, mode| params.code("mode", *mode));
    for (first, end) in window_parts(taps, lowering.max_rounds()) {
        let read: usize = (0..4).map(|axis| end[axis] - first[axis]).product();
        let params = params.clone().set("tap_first", first).set("tap_end", end);
        lowering.call(call(Kernel::Pool, params, read));
    }
    Ok(())
}
