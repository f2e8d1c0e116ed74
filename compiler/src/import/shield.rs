//! More chances for models on which tract's simplification fails.
//!
//! Some of tract's rewrites fail instead of leaving alone what they do not fit: strides that are pulled over a reshape of their axis,
//! broadcasts that are pulled into a product. Here operators are wrapped before, in one that no rewrite knows, and
//! unwrapped after. Constants are folded all the same. Only what failed otherwise comes here, since less is simplified.

use tract_onnx::prelude::{TVec, TractResult, TypedFact, TypedModel};
use tract_onnx::tract_core::internal::{
    AxisOp, EvalContext, EvalOp, Op, StaticName, TValue, TypedOp, as_op, op_as_typed_op,
};
use tract_onnx::tract_core::ops::Downsample;
use tract_onnx::tract_core::ops::array::MultiBroadcastTo;
use tract_onnx::tract_core::ops::konst::Const;
use tract_onnx::tract_core::ops::source::TypedSource;

/// What is kept from simplification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// Reshapes, strided slices and broadcasts.
    Views,
    /// Every operator.
    Everything,
}

/// Wraps operators.
pub fn shielded(mut model: TypedModel, kept: Kept) -> TypedModel {
    for node in &mut model.nodes {
        let is_view = matches!(node.op_as::<AxisOp>(), Some(AxisOp::Reshape(..)))
            || node.op_is::<Downsample>()
            || node.op_is::<MultiBroadcastTo>();
        let is_value = node.op_is::<Const>() || node.op_is::<TypedSource>();
        let shields = match kept {
            Kept::Views => is_view,
            Kept::Everything => !is_value,
        };
        if shields {
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
