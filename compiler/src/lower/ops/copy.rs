//! Copies of strided views: what views alone cannot say.
//!
//! Words are copied whatever their type. A copy with more than eight axes left after merging is cut along its outermost axis.

use super::strided::{cost, linear, walk};
use crate::cost::OperatorClass;
use crate::graph::NodeId;
use crate::kernels::Kernel;
use crate::kernels::params::Params;
use crate::lower::context::{Call, Lowering};
use crate::lower::error::LowerError;
use crate::lower::site::Site;
use crate::lower::view::{TensorId, View};

/// The same elements in dense row-major order: the view itself when it is dense already.
pub fn dense(lowering: &mut Lowering<'_>, view: &View) -> View {
    if view.is_dense() {
        return view.clone();
    }
    copied(lowering, view)
}

/// A dense copy in a tensor of its own.
pub fn copied(lowering: &mut Lowering<'_>, view: &View) -> View {
    let out = lowering.output(&view.shape);
    copy_into(lowering, view, &out);
    out
}

/// Copies the elements of one view to another of the same shape.
pub fn copy_into(lowering: &mut Lowering<'_>, from: &View, to: &View) {
    if from.is_empty() {
        return;
    }
    let Some(walk) = walk(&from.shape, &[to.strides.clone(), from.strides.clone()]) else {
        for index in 0..from.shape[0] {
            copy_into(lowering, &row(from, index), &row(to, index));
        }
        return;
    };
    let (workgroups, width) = linear(walk.count);
    let params = Params::new()
        .set("count", walk.count)
        .set("rank", walk.rank)
        .set("width", width)
        .set("extents", walk.extents)
        .set("offsets", [to.offset, from.offset, 0])
        .set("strides", walk.strides.concat());
    lowering.call(Call::of(Kernel::Copy, to.tensor).params(params).reads([from.tensor]).over(workgroups).cost(cost(
        OperatorClass::Elemental,
        walk.count,
        walk.count,
        0,
    )));
}

fn row(view: &View, index: usize) -> View {
    View {
        tensor: view.tensor,
        offset: view.offset + index as i64 * view.strides[0],
        shape: view.shape[1..].to_vec(),
        strides: view.strides[1..].to_vec(),
    }
}

/// Gives every check, public output and next value of a state a dense tensor of its own: views, constants, inputs and tensors that
/// two outputs share are copied. A state that was changed where it lies is its own next value.
pub fn lower_outputs(lowering: &mut Lowering<'_>) -> Result<(), LowerError> {
    let graph = lowering.graph();
    let inputs: Vec<NodeId> = graph.inputs.iter().map(|i| i.node).filter(|id| lowering.has_view(*id)).collect();
    let mut taken: Vec<TensorId> = inputs.into_iter().map(|id| lowering.view(id).tensor).collect();
    for (position, output) in graph.results().enumerate() {
        lowering.enter(Site::Result(position));
        let view = lowering.view(output.node);
        let own = lowering.is_state(position, &view);
        let view = if own || lowering.is_whole_activation(&view) && !taken.contains(&view.tensor) {
            view
        } else {
            copied(lowering, &view)
        };
        taken.push(view.tensor);
        lowering.push_output(view);
    }
    Ok(())
}
