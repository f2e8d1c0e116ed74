//! Squeeze: axes in any order, as an attribute or an operand, or left out, when every axis of size 1 goes.

use super::built::{Built, integers};
use tract_onnx::model::ParsingContext;
use tract_onnx::pb::NodeProto;
use tract_onnx::prelude::{TractError, TractResult, TypedModel};
use tract_onnx::tract_hir::internal::{
    Expansion, InferenceResult, OutletId, Solver, StaticName, TDim, TVec, Tensor, TensorProxy, check_output_arity,
    expand,
};
use tract_onnx::tract_hir::ops::array::RmDims;

/// Axes as they are written: none for every axis of size 1.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Squeeze {
    attribute: Option<Vec<i64>>,
}

pub fn build(_context: &ParsingContext<'_>, node: &NodeProto) -> Built {
    let attribute = integers(node, "axes").map(<[i64]>::to_vec);
    Ok((expand(Squeeze { attribute }), vec![]))
}

/// Axes of a shape that go, in ascending order.
fn removed(shape: &[TDim], axes: Option<&[i64]>) -> TractResult<Vec<usize>> {
    let one = |axis: &usize| shape[*axis] == TDim::from(1);
    let Some(axes) = axes else { return Ok((0..shape.len()).filter(one).collect()) };
    let mut found = Vec::with_capacity(axes.len());
    for axis in axes {
        let rank = shape.len() as i64;
        let from_start = if *axis < 0 { axis.checked_add(rank) } else { Some(*axis) };
        let axis = from_start.and_then(|axis| usize::try_from(axis).ok()).filter(|axis| *axis < shape.len());
        let axis = axis.ok_or_else(|| TractError::msg(format!("axes {axes:?} of a tensor of {rank} axes")))?;
        if !one(&axis) || found.contains(&axis) {
            return Err(TractError::msg(format!(
                "axis {axis} of size {} cannot be squeezed by axes {axes:?}",
                shape[axis]
            )));
        }
        found.push(axis);
    }
    found.sort_unstable();
    Ok(found)
}

fn listed(axes: &Tensor) -> TractResult<Vec<i64>> {
    let axes = axes.cast_to::<i64>()?;
    Ok(axes.try_as_plain_ram()?.as_slice::<i64>()?.to_vec())
}

impl Expansion for Squeeze {
    fn name(&self) -> StaticName {
        "Squeeze".into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        s: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        check_output_arity(outputs, 1)?;
        let Some(data) = inputs.first() else { return Err(TractError::msg("Squeeze without operands")) };
        s.equals(&outputs[0].datum_type, &data.datum_type)?;
        let rest = |shape: &[TDim], axes: Option<&[i64]>| -> TractResult<TVec<TDim>> {
            let gone = removed(shape, axes)?;
            Ok((0..shape.len()).filter(|axis| !gone.contains(axis)).map(|axis| shape[axis].clone()).collect())
        };
        match inputs.get(1) {
            Some(axes) => s.given_2(&data.shape, &axes.value, move |s, shape, axes| {
                s.equals(&outputs[0].shape, rest(&shape, Some(&listed(&axes)?))?)
            }),
            None => s.given(&data.shape, move |s, shape| {
                s.equals(&outputs[0].shape, rest(&shape, self.attribute.as_deref())?)
            }),
        }
    }

    fn wire(&self, prefix: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        let axes = match inputs.get(1) {
            Some(axes) => {
                let axes = model.outlet_fact(*axes)?.konst.clone();
                Some(listed(&*axes.ok_or_else(|| TractError::msg("axes that are computed"))?)?)
            }
            None => self.attribute.clone(),
        };
        let shape = model.outlet_fact(inputs[0])?.shape.to_tvec();
        let gone = removed(&shape, axes.as_deref())?;
        RmDims::new(gone.into_iter().map(|axis| axis as isize).collect()).wire(prefix, model, &inputs[..1])
    }
}
