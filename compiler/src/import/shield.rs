//! A second chance for models on which tract's simplification fails.
//!
//! tract pulls strided slices, and the strides of convolutions, over the operators before them, and fails where that is a reshape of
//! the same axis. Here reshapes and strided slices are wrapped before, in operators that simplification leaves alone, and unwrapped
//! after. Only what failed otherwise comes here, since less is simplified.

use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::*;
use tract_onnx::tract_core::ops::Downsample;

/// Wraps reshapes and strided slices.
pub fn shielded(mut model: TypedModel) -> TypedModel {
    for node in &mut model.nodes {
        let reshapes = matches!(node.op_as::<AxisOp>(), Some(AxisOp::Reshape(..)));
        if reshapes || node.op_is::<Downsample>() {
            node.op = Box::new(Shield(node.op.clone()));
        }
    }
    model
}

/// Unwraps them.
pub fn unshielded(mut model: TypedModel) -> TypedModel {
    for node in &mut model.nodes {
        if let Some(Shield(op)) = node.op_as::<Shield>() {
            node.op = op.clone();
        }
    }
    model
}

/// An operator that computes the same and is never rewritten.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Shield(Box<dyn TypedOp>);

impl Op for Shield {
    fn name(&self) -> StaticName {
        self.0.name()
    }

    op_as_typed_op!();
}

impl EvalOp for Shield {
    fn eval(&self, context: &EvalContext, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        self.0.eval(context, inputs)
    }

    fn eval_out_of_plan(&self, inputs: TVec<TValue>) -> TractResult<Option<TVec<TValue>>> {
        self.0.eval_out_of_plan(inputs)
    }
}

impl TypedOp for Shield {
    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        self.0.output_facts(inputs)
    }

    as_op!();
}
