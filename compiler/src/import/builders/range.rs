//! Range: operands that are known, in either direction, as a constant.
//!
//! The length is max(0, ⌈(limit − start) / delta⌉), in the operands' own type, as ONNX says. tract's own takes rising ranges
//! only.

use super::built::Built;
use tract_onnx::model::ParsingContext;
use tract_onnx::pb::NodeProto;
use tract_onnx::prelude::{DatumType, IntoArcTensor, TractError, TractResult, TypedModel};
use tract_onnx::tract_hir::internal::{
    Expansion, InferenceResult, OutletId, Solver, SpecialOps, StaticName, TVec, Tensor, TensorProxy, check_input_arity,
    check_output_arity, expand, tensor1, tvec,
};

/// Elements of a range at most.
const MAX_ELEMENTS: usize = 1 << 26;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Range;

pub fn build(_context: &ParsingContext<'_>, _node: &NodeProto) -> Built {
    Ok((expand(Range), vec![]))
}

fn scalar<T: tract_onnx::prelude::Datum + Copy>(tensor: &Tensor) -> TractResult<T> {
    let cast = tensor.cast_to::<T>()?;
    let value = cast.try_as_plain_ram()?.as_slice::<T>()?.first().copied();
    value.ok_or_else(|| TractError::msg("an operand without elements"))
}

fn checked(count: f64) -> TractResult<usize> {
    if count.is_nan() || count > MAX_ELEMENTS as f64 {
        return Err(TractError::msg(format!("a range of {count} elements: at most {MAX_ELEMENTS} are made")));
    }
    Ok(count.max(0.0) as usize)
}

/// The elements, in the type of the operands; sizes of tensors count as 64-bit integers.
fn elements(start: &Tensor, limit: &Tensor, delta: &Tensor) -> TractResult<Tensor> {
    if start.datum_type().is_float() {
        let (first, last, step) = (scalar::<f64>(start)?, scalar::<f64>(limit)?, scalar::<f64>(delta)?);
        let count = checked(((last - first) / step).ceil())?;
        // Element i is start + i · delta, in 32 bits.
        let (first, step) = (scalar::<f32>(start)?, scalar::<f32>(delta)?);
        let values: Vec<f32> = (0..count).map(|i| first + i as f32 * step).collect();
        return Ok(tensor1(&values).cast_to_dt(start.datum_type())?.into_owned());
    }
    let (first, last, step) = (scalar::<i64>(start)?, scalar::<i64>(limit)?, scalar::<i64>(delta)?);
    if step == 0 {
        return Err(TractError::msg("a delta of 0"));
    }
    // ⌈a / b⌉ = −⌊−a / b⌋, and Euclidean division rounds down for positive divisors.
    let (distance, width) = (i128::from(last) - i128::from(first), i128::from(step));
    let (distance, width) = if width < 0 { (-distance, -width) } else { (distance, width) };
    let whole = -(-distance).div_euclid(width);
    let count = checked(whole as f64)?;
    let values: Vec<i64> = (0..count as i64).map(|i| first + i * step).collect();
    let values = tensor1(&values);
    let datum = if start.datum_type() == DatumType::TDim { DatumType::I64 } else { start.datum_type() };
    Ok(values.cast_to_dt(datum)?.into_owned())
}

impl Expansion for Range {
    fn name(&self) -> StaticName {
        "Range".into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        s: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        check_input_arity(inputs, 3)?;
        check_output_arity(outputs, 1)?;
        s.equals(&outputs[0].rank, 1)?;
        s.given_3(&inputs[0].value, &inputs[1].value, &inputs[2].value, move |s, start, limit, delta| {
            let values = elements(&start, &limit, &delta)?;
            s.equals(&outputs[0].value, values.into_arc_tensor())
        })
    }

    fn wire(&self, prefix: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        let known =
            inputs.iter().map(|input| Ok(model.outlet_fact(*input)?.konst.clone())).collect::<TractResult<Vec<_>>>()?;
        let [Some(start), Some(limit), Some(delta)] = known.as_slice() else {
            return Err(TractError::msg("operands that are computed from data"));
        };
        let values = elements(start, limit, delta)?;
        Ok(tvec!(model.add_const(prefix, values)?))
    }
}

#[cfg(test)]
mod tests {
    use super::elements;
    use tract_onnx::tract_hir::internal::{tensor0, tensor1};

    #[test]
    fn ranges_go_both_ways_and_may_be_empty() {
        let whole = |a: i64, b: i64, c: i64| elements(&tensor0(a), &tensor0(b), &tensor0(c)).expect("a range");
        assert_eq!(whole(5, -3, -2), tensor1(&[5_i64, 3, 1, -1]));
        assert_eq!(whole(5, -4, -2), tensor1(&[5_i64, 3, 1, -1, -3]));
        assert_eq!(whole(0, 7, 3), tensor1(&[0_i64, 3, 6]));
        assert_eq!(whole(3, 3, 1).len(), 0);
        assert_eq!(whole(0, 5, -1).len(), 0);
        assert_eq!(whole(5, 0, 2).len(), 0);
        let float = elements(&tensor0(5.0_f32), &tensor0(0.5_f32), &tensor0(-1.25_f32)).expect("a range");
        assert_eq!(float, tensor1(&[5.0_f32, 3.75, 2.5, 1.25]));
        assert!(elements(&tensor0(0_i64), &tensor0(i64::MAX), &tensor0(1_i64)).is_err());
        assert!(elements(&tensor0(0_i64), &tensor0(1_i64), &tensor0(0_i64)).is_err());
        assert!(elements(&tensor0(0.0_f32), &tensor0(1.0_f32), &tensor0(0.0_f32)).is_err());
    }
}
