//! Element-wise programs: one kernel call over operands of any strides, dense output.
//!
//! An input that reads the same view as another is merged with it; views of one tensor share its binding. Too many operands
//! are refused: splitting programs is the optimiser's.

use super::strided::{cost, linear, walk, word};
use crate::cost::OperatorClass;
use crate::graph::NodeId;
use crate::graph::pointwise::Pointwise;
use crate::kernels::Kernel;
use crate::kernels::params::Params;
use crate::lower::context::{Call, Lowering};
use crate::lower::error::LowerError;
use crate::lower::view::{TensorId, View, dense_strides};
use crate::narrow::index32;

/// Views that one call may read: the size of the kernel's tables.
pub const MAX_VIEWS: usize = 8;
/// Buffers that one call may read: plain WebGPU's eight without the output.
const MAX_BUFFERS: usize = 7;

/// Lowers an element-wise node, its epilogue included.
pub fn lower(lowering: &mut Lowering<'_>, id: NodeId, program: &Pointwise) -> Result<(), LowerError> {
    let graph = lowering.graph();
    let node = graph.node(id);
    let mut operands = graph.operands(id);
    let program = match &node.epilogue {
        None => program.clone(),
        Some(epilogue) => {
            operands.rotate_left(program.inputs.len());
            program.then(epilogue, 0)
        }
    };
    let views: Vec<View> = operands.iter().map(|o| lowering.view(*o)).collect();
    let view = apply(lowering, &program, &views, &node.shape)?;
    lowering.set_view(id, view);
    Ok(())
}

/// Runs the epilogue of a node whose kernel links none; the node's view becomes the result.
pub fn epilogue(lowering: &mut Lowering<'_>, id: NodeId) -> Result<(), LowerError> {
    let graph = lowering.graph();
    let node = graph.node(id);
    if let Some(program) = &node.epilogue {
        let mut views = vec![lowering.view(id)];
        views.extend(graph.operands(id)[graph.op_operand_count(id)..].iter().map(|o| lowering.view(*o)));
        let view = apply(lowering, program, &views, &node.shape)?;
        lowering.set_view(id, view);
    }
    Ok(())
}

/// Whether two views read the same elements.
fn same_elements(a: &View, b: &View) -> bool {
    let strides_agree = (0..a.shape.len()).all(|i| a.shape[i] == 1 || a.strides[i] == b.strides[i]);
    (a.tensor, a.offset) == (b.tensor, b.offset) && strides_agree
}

/// One call of a program on views that broadcast to `shape`; returns a dense tensor.
pub fn apply(
    lowering: &mut Lowering<'_>,
    program: &Pointwise,
    views: &[View],
    shape: &[usize],
) -> Result<View, LowerError> {
    let mut program = program.clone();
    let mut distinct: Vec<View> = Vec::new();
    for view in views.iter().map(|v| v.broadcast(shape)) {
        match distinct.iter().position(|d| same_elements(d, &view)) {
            Some(from) => program = program.merge_inputs(index32(from), index32(distinct.len())),
            None => distinct.push(view),
        }
    }
    let site = lowering.site_label();
    let no_kernel = |reason| LowerError::NoKernel { node: site.clone(), op: "Pointwise", reason };
    let mut tensors: Vec<TensorId> = distinct.iter().map(|v| v.tensor).collect();
    tensors.sort_unstable();
    tensors.dedup();
    if distinct.len() > MAX_VIEWS || tensors.len() > MAX_BUFFERS {
        return Err(no_kernel("it has too many operands for one call"));
    }
    let mut strides: Vec<Vec<i64>> = distinct.iter().map(|v| v.strides.clone()).collect();
    strides.push(dense_strides(shape));
    let walk = walk(shape, &strides).ok_or_else(|| no_kernel("its operands differ in more than eight axes"))?;
    let out = lowering.output(shape);
    if walk.count == 0 {
        return Ok(out);
    }
    let (workgroups, width) = linear(walk.count);
    let offsets: Vec<u32> = (0..MAX_VIEWS).map(|i| distinct.get(i).map_or(0, |v| word(v.offset))).collect();
    let strides = |i: usize| if i < distinct.len() { walk.strides[i] } else { [0; 8] };
    let params = Params::new()
        .set("count", walk.count)
        .set("rank", walk.rank)
        .set("width", width)
        .set("extents", walk.extents)
        .set("offsets", offsets)
        .set("strides", (0..MAX_VIEWS).flat_map(strides).collect::<Vec<_>>());
    let operations = program.instructions.len();
    lowering.call(
        Call::of(Kernel::Pointwise, out.tensor)
            .params(params)
            .reads(distinct.iter().map(|v| v.tensor))
            .link(Some(program))
            .over(workgroups)
            .cost(cost(OperatorClass::Elemental, walk.count * distinct.len(), walk.count, walk.count * operations)),
    );
    Ok(out)
}
