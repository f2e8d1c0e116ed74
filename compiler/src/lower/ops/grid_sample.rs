//! Grid sampling of two or three spatial axes.

use super::strided::{cost, linear, reversed, word};
use crate::graph::NodeId;
use crate::graph::op::{SampleKind, SamplePadding};
use crate::kernels::Kernel;
use crate::lower::LowerError;
use crate::lower::context::{Call, Lowering};
use crate::schedule::OperatorClass;

/// Lowers a grid sample; its epilogue is left.
pub fn lower(
    lowering: &mut Lowering<'_>,
    id: NodeId,
    kind: SampleKind,
    padding: SamplePadding,
    align_corners: bool,
) -> Result<(), LowerError> {
    let graph = lowering.graph();
    let node = graph.node(id);
    let operands = graph.operands(id);
    let (x, grid) = (lowering.view(operands[0]), lowering.view(operands[1]));
    let out = lowering.output(&node.shape);
    lowering.set_view(id, out.clone());
    let count = out.len();
    if count == 0 {
        return Ok(());
    }
    let axes = x.shape.len() - 2;
    let (mode, taps) = match kind {
        SampleKind::Nearest => (0, 1),
        SampleKind::Linear => (1, 1 << axes),
        SampleKind::Cubic => (2, 16),
    };
    let padding = match padding {
        SamplePadding::Zeros => 0,
        SamplePadding::Border => 1,
        SamplePadding::Reflection => 2,
    };
    let sizes = |list: &[usize]| reversed::<4>(&list.iter().map(|v| *v as u32).collect::<Vec<_>>(), 1);
    let strides = |list: &[i64]| reversed::<4>(&list.iter().map(|s| word(*s)).collect::<Vec<_>>(), 0);
    let (workgroups, width) = linear(count);
    let mut params = vec![count as u32, x.shape[1] as u32, width, mode];
    params.extend([padding, u32::from(align_corners), axes as u32, word(x.offset)]);
    params.extend([word(x.strides[0]), word(x.strides[1]), word(grid.offset), word(grid.strides[0])]);
    params.extend(sizes(&node.shape[2..]));
    params.extend(sizes(&x.shape[2..]));
    params.extend(strides(&x.strides[2..]));
    params.extend(strides(&grid.strides[1..=axes]));
    params.extend([word(grid.strides[axes + 1]), 0, 0, 0]);
    lowering.call(Call {
        kernel: Kernel::GridSample,
        expression: None,
        params,
        output: out.tensor,
        inputs: vec![x.tensor, grid.tensor],
        workgroups,
        weight_texels: None,
        node: node.name.clone(),
        cost: cost(OperatorClass::Elemental, count * (taps + axes), count, 4 * count * taps),
    });
    Ok(())
}
