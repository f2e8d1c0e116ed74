//! Pooling of one to three spatial axes.

use super::strided::{cost, linear, reversed, window_parts, word};
use crate::cost::OperatorClass;
use crate::graph::NodeId;
use crate::graph::constant::Dtype;
use crate::graph::op::{PoolKind, Window};
use crate::kernels::Kernel;
use crate::lower::context::{Call, Lowering};
use crate::lower::error::LowerError;

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
        PoolKind::Max => 0,
        PoolKind::Average { count_include_pad: false } => 1,
        PoolKind::Average { count_include_pad: true } => 2,
        PoolKind::MaxIndex => 3,
        PoolKind::Norm { p } => p,
    };
    let words =
        |list: &[usize], padding: u32| reversed::<4>(&list.iter().map(|v| *v as u32).collect::<Vec<_>>(), padding);
    let (workgroups, width) = linear(count);
    let mut params = vec![count as u32, x.shape[1] as u32, width, mode];
    params.extend([word(x.offset), word(x.strides[0]), word(x.strides[1]), 0]);
    params.extend(words(&node.shape[2..], 1));
    params.extend(words(&x.shape[2..], 1));
    params.extend(reversed::<4>(&x.strides[2..].iter().map(|s| word(*s)).collect::<Vec<_>>(), 0));
    let taps = words(&window.kernel, 1);
    params.extend(taps);
    params.extend(words(&window.strides, 1));
    params.extend(words(&window.dilations, 1));
    params.extend(words(&window.pads_before, 0));
    params.extend(words(&window.pads_after, 0));
    let call = |kernel, params, read: usize| Call {
        kernel,
        expression: None,
        params,
        output: out.tensor,
        inputs: vec![x.tensor],
        workgroups,
        weight_texels: None,
        cost: cost(OperatorClass::Elemental, count * read, count, count * read),
    };
    if let PoolKind::Norm { .. } = kind {
        lowering.call(call(Kernel::PoolNorm, params, window.kernel.iter().product()));
        return Ok(());
    }
    for (first, end) in window_parts(taps, lowering.most_rounds()) {
        let read: usize = (0..4).map(|axis| (end[axis] - first[axis]) as usize).product();
        lowering.call(call(Kernel::Pool, [&params[..], &first, &end].concat(), read));
    }
    Ok(())
}
