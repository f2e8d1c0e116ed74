//! Padding by a value, by mirroring or by the edge.

use super::strided::{cost, linear, reversed, word};
use crate::cost::OperatorClass;
use crate::graph::NodeId;
use crate::graph::constant::Dtype;
use crate::graph::op::PadMode;
use crate::kernels::Kernel;
use crate::lower::context::{Call, Lowering};
use crate::lower::error::LowerError;

/// A padding value as the word that a buffer holds.
const fn fill_word(value: f32, dtype: Dtype) -> u32 {
    match dtype {
        Dtype::F32 => value.to_bits(),
        Dtype::I32 => (value as i32) as u32,
        Dtype::Bool => (value != 0.0) as u32,
    }
}

/// Lowers a padding; its epilogue is left.
pub fn lower(lowering: &mut Lowering<'_>, id: NodeId, before: &[usize], mode: PadMode) -> Result<(), LowerError> {
    let graph = lowering.graph();
    let node = graph.node(id);
    let no_kernel = |reason| LowerError::NoKernel { node: graph.label(id), op: "Pad", reason };
    let operand = graph.operands(id)[0];
    let x = lowering.view(operand);
    let rank = x.shape.len();
    if rank > 8 {
        return Err(no_kernel("it has more than eight axes"));
    }
    let reaches_once = |i: usize| {
        let after = node.shape[i] - before[i] - x.shape[i];
        before[i].max(after) < x.shape[i].max(1)
    };
    let (code, fill) = match mode {
        PadMode::Constant(value) => (0, fill_word(value, graph.node(operand).dtype)),
        PadMode::Reflect if (0..rank).all(reaches_once) => (1, 0),
        PadMode::Reflect => return Err(no_kernel("it mirrors more elements than the axis has")),
        PadMode::Edge if !x.is_empty() => (2, 0),
        PadMode::Edge => return Err(no_kernel("an empty tensor has no edge")),
    };
    let out = lowering.output(&node.shape);
    lowering.set_view(id, out.clone());
    let count = out.len();
    if count == 0 {
        return Ok(());
    }
    let words = |list: &[usize]| list.iter().map(|v| *v as u32).collect::<Vec<_>>();
    let (workgroups, width) = linear(count);
    let mut params = vec![count as u32, rank.max(1) as u32, width, code];
    params.extend(reversed::<8>(&words(&node.shape), 1));
    params.extend(reversed::<8>(&words(&x.shape), 1));
    params.extend(reversed::<8>(&words(before), 0));
    params.extend(reversed::<8>(&x.strides.iter().map(|s| word(*s)).collect::<Vec<_>>(), 0));
    params.extend([word(x.offset), fill, 0, 0]);
    lowering.call(Call {
        kernel: Kernel::Pad,
        expression: None,
        params,
        output: out.tensor,
        inputs: vec![x.tensor],
        workgroups,
        weight_texels: None,
        cost: cost(OperatorClass::Elemental, count, count, 0),
    });
    Ok(())
}
