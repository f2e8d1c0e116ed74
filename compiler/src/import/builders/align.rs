//! The second operand of an old operator, laid along axes of the first: axes of size 1 are put behind its own.

use super::built::Built;
use tract_onnx::model::ParsingContext;
use tract_onnx::pb::NodeProto;
use tract_onnx::prelude::{TractError, TractResult, TypedModel};
use tract_onnx::tract_hir::internal::{
    AxisOp, Expansion, InferenceResult, OutletId, Solver, SpecialOps, StaticName, TDim, TVec, TensorProxy,
    check_input_arity, check_output_arity, expand,
};

/// The type of the nodes that align: none of ONNX.
pub const ALIGN: &str = "flashmem.Align";

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Align {
    axis: i64,
}

pub fn build(_context: &ParsingContext<'_>, node: &NodeProto) -> Built {
    let axis = node.attribute.iter().find(|attribute| attribute.name == "axis").map_or(0, |attribute| attribute.i);
    Ok((expand(Align { axis }), vec![]))
}

impl Align {
    /// Axes of size 1 that follow those of the second operand. One element lies everywhere.
    fn behind(&self, first: &[TDim], second: &[TDim]) -> TractResult<usize> {
        if second.iter().all(|dim| *dim == TDim::from(1)) && second.len() <= first.len() {
            return Ok(0);
        }
        let from_start = if self.axis < 0 { self.axis.saturating_add(first.len() as i64) } else { self.axis };
        let end = usize::try_from(from_start).ok().and_then(|axis| axis.checked_add(second.len()));
        end.and_then(|end| first.len().checked_sub(end)).ok_or_else(|| {
            TractError::msg(format!("an operand of shape {second:?} from axis {} of shape {first:?} on", self.axis))
        })
    }
}

impl Expansion for Align {
    fn name(&self) -> StaticName {
        "Align".into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        s: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        check_input_arity(inputs, 2)?;
        check_output_arity(outputs, 1)?;
        s.equals(&inputs[1].datum_type, &outputs[0].datum_type)?;
        s.given_2(&inputs[0].shape, &inputs[1].shape, |s, first, second| {
            let mut shape = second.clone();
            shape.extend(vec![TDim::from(1); self.behind(&first, &second)?]);
            s.equals(&outputs[0].shape, shape)
        })
    }

    fn wire(&self, prefix: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        let (first, second) =
            (model.outlet_fact(inputs[0])?.shape.to_tvec(), model.outlet_fact(inputs[1])?.shape.to_tvec());
        let mut aligned = inputs[1];
        for axis in 0..self.behind(&first, &second)? {
            let name = format!("{prefix}.axis{axis}");
            aligned = model.wire_node(name, AxisOp::Add(second.len() + axis), &[aligned])?[0];
        }
        Ok(TVec::from_elem(aligned, 1))
    }
}
