//! The results of one of two branches, by a condition of one element: what an `If` is once both branches are computed.

use super::built::Built;
use tract_onnx::model::ParsingContext;
use tract_onnx::pb::NodeProto;
use tract_onnx::prelude::{DatumType, TractError, TractResult, TypedModel};
use tract_onnx::tract_hir::internal::{
    AxisOp, Expansion, InferenceResult, OutletId, Solver, SpecialOps, StaticName, TDim, TVec, TensorProxy,
    check_input_arity, check_output_arity, expand,
};
use tract_onnx::tract_hir::ops::logic::Iff;

/// The type of the nodes that select: none of ONNX.
pub const SELECT: &str = "flashmem.Select";

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Select;

pub fn build(_context: &ParsingContext<'_>, _node: &NodeProto) -> Built {
    Ok((expand(Select), vec![]))
}

impl Expansion for Select {
    fn name(&self) -> StaticName {
        "Select".into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        s: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        check_input_arity(inputs, 3)?;
        check_output_arity(outputs, 1)?;
        s.equals(&inputs[0].datum_type, DatumType::Bool)?;
        s.equals(&inputs[1].datum_type, &outputs[0].datum_type)?;
        s.equals(&inputs[2].datum_type, &outputs[0].datum_type)?;
        s.given_2(&inputs[1].shape, &inputs[2].shape, |_, taken, other| {
            if taken == other {
                return Ok(());
            }
            let reason =
                "the condition of an If depends on data, and the results of its branches have different shapes";
            Err(TractError::msg(format!("{reason}: {taken:?} and {other:?}")))
        })?;
        s.equals(&inputs[1].shape, &outputs[0].shape)
    }

    fn wire(&self, prefix: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        let shape = model.outlet_fact(inputs[0])?.shape.to_tvec();
        if shape.iter().any(|dim| *dim != TDim::from(1)) {
            return Err(TractError::msg(format!("the condition of an If has shape {shape:?}")));
        }
        let mut condition = inputs[0];
        for axis in 0..shape.len() {
            condition = model.wire_node(format!("{prefix}.condition{axis}"), AxisOp::Rm(0), &[condition])?[0];
        }
        Iff.wire(prefix, model, &[condition, inputs[1], inputs[2]])
    }
}
