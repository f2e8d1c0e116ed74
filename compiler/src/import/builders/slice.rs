//! Slice: bounds as ONNX clamps them, whatever their size, in all its versions.
//!
//! tract takes some large bounds for the end of the axis whatever the direction, and the distance of bounds that lie the wrong way round
//! for a length.

use super::built::{Built, integers};
use tract_onnx::model::ParsingContext;
use tract_onnx::pb::NodeProto;
use tract_onnx::prelude::{TractError, TractResult, TypedModel};
use tract_onnx::tract_core::ops::Downsample;
use tract_onnx::tract_core::ops::array::Slice as Range;
use tract_onnx::tract_hir::internal::{
    Expansion, InferenceResult, OutletId, Solver, SpecialOps, StaticName, TDim, TVec, Tensor, TensorProxy,
    check_output_arity, expand,
};

/// Where the lists are: attributes, or operands by position.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Slice {
    /// Before version 10.
    Attributes(Lists),
    /// Since then. Axes and steps may be left out.
    Operands { axes: Option<usize>, steps: Option<usize> },
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Lists {
    starts: Vec<i64>,
    ends: Vec<i64>,
    axes: Option<Vec<i64>>,
    steps: Option<Vec<i64>>,
}

pub fn build(_context: &ParsingContext<'_>, node: &NodeProto) -> Built {
    let list = |name: &str| integers(node, name).map(<[i64]>::to_vec);
    let slice = match (list("starts"), list("ends")) {
        (Some(starts), Some(ends)) => Slice::Attributes(Lists { starts, ends, axes: list("axes"), steps: None }),
        (Some(_) | None, _) => {
            // Operands that are left out do not arrive.
            let has_operand = |position: usize| node.input.get(position).is_some_and(|name| !name.is_empty());
            let axes = has_operand(3).then_some(3);
            Slice::Operands { axes, steps: has_operand(4).then_some(if axes.is_some() { 4 } else { 3 }) }
        }
    };
    Ok((expand(slice), vec![]))
}

/// The elements of one axis: the first, how many, and how far apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cut {
    axis: usize,
    first: i64,
    count: i64,
    step: i64,
}

/// An end that stands for the end of the axis, beside the greatest integer.
const END_32: i64 = i32::MAX as i64;

/// Bounds of an axis of `size` elements, clamped as ONNX says.
fn cut(axis: usize, size: i64, start: i64, end: i64, step: i64) -> TractResult<Cut> {
    let from_front = |bound: i64| if bound < 0 { bound.saturating_add(size) } else { bound };
    // These two are the end of the axis whatever the direction, as in ONNX Runtime.
    let end = match end {
        i64::MAX | END_32 if step < 0 => -1,
        _ => from_front(end),
    };
    let start = from_front(start);
    let distance = match step {
        0 => return Err(TractError::msg("a step of 0")),
        1.. => (start.clamp(0, size), end.clamp(0, size)),
        _ => (start.clamp(0, (size - 1).max(0)), end.clamp(-1, size - 1)),
    };
    let (first, last) = distance;
    let span = if step > 0 { last - first } else { first - last };
    let width = i64::try_from(step.unsigned_abs()).unwrap_or(i64::MAX);
    let count = if size == 0 || span <= 0 { 0 } else { (span - 1) / width + 1 };
    // The distance of two elements is at most the size.
    let step = if count > 1 { step } else { 1 };
    Ok(Cut { axis, first, count, step })
}

impl Lists {
    fn cuts(&self, shape: &[TDim]) -> TractResult<Vec<Cut>> {
        let count = self.starts.len();
        let lists = [Some(&self.ends), self.axes.as_ref(), self.steps.as_ref()];
        if lists.into_iter().flatten().any(|list| list.len() != count) || self.axes.is_none() && count > shape.len() {
            return Err(TractError::msg(format!("{self:?} of a tensor of {} axes", shape.len())));
        }
        let one = |index: usize| {
            let axis = self.axes.as_ref().map_or(index as i64, |axes| axes[index]);
            let axis = if axis < 0 { axis.saturating_add(shape.len() as i64) } else { axis };
            let axis = usize::try_from(axis).ok().filter(|axis| *axis < shape.len());
            let axis = axis.ok_or_else(|| TractError::msg(format!("axes {:?}", self.axes)))?;
            let step = self.steps.as_ref().map_or(1, |steps| steps[index]);
            cut(axis, shape[axis].to_i64()?, self.starts[index], self.ends[index], step)
        };
        (0..count).map(one).collect()
    }
}

fn listed(tensor: &Tensor) -> TractResult<Vec<i64>> {
    let cast = tensor.cast_to::<i64>()?;
    Ok(cast.try_as_plain_ram()?.as_slice::<i64>()?.to_vec())
}

impl Slice {
    /// The lists, of the operands behind the first.
    fn lists(&self, operands: &[&Tensor]) -> TractResult<Lists> {
        match self {
            Self::Attributes(lists) => Ok(lists.clone()),
            Self::Operands { axes, steps } => {
                let at = |position: usize| {
                    listed(operands.get(position - 1).ok_or_else(|| TractError::msg("an operand too few"))?)
                };
                Ok(Lists {
                    starts: at(1)?,
                    ends: at(2)?,
                    axes: axes.map(at).transpose()?,
                    steps: steps.map(at).transpose()?,
                })
            }
        }
    }
}

impl Expansion for Slice {
    fn name(&self) -> StaticName {
        "Slice".into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        s: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        check_output_arity(outputs, 1)?;
        let Some((data, operands)) = inputs.split_first() else { return Err(TractError::msg("no operands")) };
        s.equals(&outputs[0].datum_type, &data.datum_type)?;
        s.equals(&outputs[0].rank, &data.rank)?;
        s.given(&data.shape, move |s, shape| {
            s.given_all(operands.iter().map(|operand| &operand.value), move |s, values| {
                let values: Vec<&Tensor> = values.iter().map(|value| &**value).collect();
                let mut shape = shape.clone();
                for cut in self.lists(&values)?.cuts(&shape.clone())? {
                    shape[cut.axis] = cut.count.into();
                }
                s.equals(&outputs[0].shape, shape)
            })
        })
    }

    fn wire(&self, prefix: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        let known = inputs[1..].iter().map(|input| Ok(model.outlet_fact(*input)?.konst.clone()));
        let known: Option<Vec<_>> = known.collect::<TractResult<Vec<_>>>()?.into_iter().collect();
        let known = known.ok_or_else(|| TractError::msg("starts, ends, axes or steps that are computed from data"))?;
        let values: Vec<&Tensor> = known.iter().map(|value| &**value).collect();
        let shape = model.outlet_fact(inputs[0])?.shape.to_tvec();
        let mut wire = inputs[0];
        for Cut { axis, first, count, step } in self.lists(&values)?.cuts(&shape)? {
            let last = first + (count - 1).max(0) * step;
            let (from, to) = (first.min(last), if count == 0 { first.min(last) } else { first.max(last) + 1 });
            let whole = from == 0 && shape[axis] == TDim::from(to);
            if !whole {
                let range = Range::new(axis, from, to);
                wire = model.wire_node(format!("{prefix}.slice-axis-{axis}"), range, &[wire])?[0];
            }
            if step != 1 {
                let strided = Downsample::new(axis, step as isize, 0);
                wire = model.wire_node(format!("{prefix}.stride-axis-{axis}"), strided, &[wire])?[0];
            }
        }
        if wire != inputs[0] {
            model.rename_node(wire.node, prefix)?;
        }
        Ok([wire].into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::cut;

    #[test]
    fn bounds_are_clamped_in_the_direction_of_the_step() {
        for (size, start, end, step, expected) in [
            (5, 0, i64::MAX, 1, (0, 5, 1)),
            (5, 1, -1, 2, (1, 2, 2)),
            (5, 0, i64::MIN, 1, (0, 0, 1)),
            (5, 3, 1, 1, (3, 0, 1)),
            (5, -1, i64::MIN, -1, (4, 5, -1)),
            (5, i64::MAX, i64::MIN, -2, (4, 3, -2)),
            (5, 4, i64::from(i32::MAX), -1, (4, 5, -1)),
            (5, 4, i64::from(i32::MAX) - 1, -1, (4, 0, 1)),
            (5, -100, 100, 3, (0, 2, 3)),
            (5, -100, i64::MIN, -1, (0, 1, 1)),
            (5, 2, 3, i64::MIN, (2, 0, 1)),
            (5, 4, 0, i64::MIN, (4, 1, 1)),
            (0, 0, 10, 1, (0, 0, 1)),
        ] {
            let found = cut(0, size, start, end, step).expect("a step");
            assert_eq!((found.first, found.count, found.step), expected, "{start}..{end} by {step} of {size}");
        }
        assert!(cut(0, 5, 0, 1, 0).is_err());
    }
}
