//! MatMul: the inner product of two vectors beside what tract's own covers.

use super::built::Built;
use tract_onnx::model::ParsingContext;
use tract_onnx::pb::NodeProto;
use tract_onnx::prelude::{TractResult, TypedModel};
use tract_onnx::tract_hir::internal::{
    AxisOp, Expansion, InferenceResult, OutletId, Solver, SpecialOps, StaticName, TVec, TensorProxy, expand,
};
use tract_onnx::tract_hir::ops::matmul::MatMulInference;

/// tract's product, with two vectors as a matrix of one row and one of one column.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
struct MatMul(MatMulInference);

pub fn build(_context: &ParsingContext<'_>, _node: &NodeProto) -> Built {
    Ok((expand(MatMul::default()), vec![]))
}

impl Expansion for MatMul {
    fn name(&self) -> StaticName {
        "MatMul".into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        s: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        self.0.rules(s, inputs, outputs)
    }

    fn wire(&self, prefix: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        let vectors =
            inputs.iter().map(|input| Ok(model.outlet_fact(*input)?.rank() == 1)).collect::<TractResult<Vec<_>>>()?;
        if vectors != [true, true] {
            return self.0.wire(prefix, model, inputs);
        }
        let row = model.wire_node(format!("{prefix}.row"), AxisOp::Add(0), &inputs[..1])?;
        let column = model.wire_node(format!("{prefix}.column"), AxisOp::Add(1), &inputs[1..])?;
        let product = self.0.wire(&format!("{prefix}.product"), model, &[row[0], column[0]])?;
        let line = model.wire_node(format!("{prefix}.line"), AxisOp::Rm(1), &product)?;
        model.wire_node(prefix, AxisOp::Rm(0), &line)
    }
}
