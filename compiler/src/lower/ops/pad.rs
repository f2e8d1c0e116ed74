//! Padding by a value, by mirroring or by the edge.

use super::strided::{cost, linear, reversed, word};
use crate::cost::OperatorClass;
use crate::graph::NodeId;
use crate::graph::constant::Dtype;
use crate::graph::op::PadMode;
use crate::kernels::Kernel;
use crate::kernels::params::{Code, Params};
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

const CONSTANT: Code = Code::new("CONSTANT", 0);
const REFLECT: Code = Code::new("REFLECT", 1);
const EDGE: Code = Code::new("EDGE", 2);

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
        PadMode::Constant(value) => (CONSTANT, fill_word(value, graph.node(operand).dtype)),
        PadMode::Reflect if (0..rank).all(reaches_once) => (REFLECT, 0),
        PadMode::Reflect => return Err(no_kernel("it mirrors more elements than the axis has")),
        PadMode::Edge if !x.is_empty() => (EDGE, 0),
        PadMode::Edge => return Err(no_kernel("an empty tensor has no edge")),
    };
    let out = lowering.output(&node.shape);
    lowering.set_view(id, out.clone());
    let count = out.len();
    if count == 0 {
        return Ok(());
    }
    let (workgroups, width) = linear(count);
    let params = Params::new()
        .set("count", count)
        .set("rank", rank.max(1))
        .set("width", width)
        .code("mode", code)
        .set("extents", reversed::<usize, 8>(&node.shape, 1))
        .set("x_extents", reversed::<usize, 8>(&x.shape, 1))
        .set("before", reversed::<usize, 8>(before, 0))
        .set("strides", reversed::<u32, 8>(&x.strides.iter().map(|s| word(*s)).collect::<Vec<_>>(), 0))
        .set("offset", x.offset)
        .set("fill", fill);
    lowering.call(Call::of(Kernel::Pad, out.tensor).params(params).reads([x.tensor]).over(workgroups).cost(cost(
        OperatorClass::Elemental,
        count,
        count,
        0,
    )));
    Ok(())
}
