//! Checks indices that public tensors hold against the plan's bounds.
//!
//! Those of inputs before anything of a run happens; those of outputs, which a debugging bundle has for computed indices, before
//! these are returned. It deliberately knows no operator: the plan says which elements are indices, and of what.

use super::bound::Bound;
use crate::api::{Error, InputError, Outputs, Tensor};
use flashmem_plan_format::indices::{IndexBound, IndexPort};
use flashmem_plan_format::plan::{ElementType, Plan};
use half::f16;

/// The first element of a tensor that its bound does not allow: position and value.
fn outside(bound: &IndexBound, tensor: &Tensor) -> Option<(u64, i64)> {
    let value = |position: u64| (position, integer_at(tensor, position as usize));
    bound.walk.positions().map(value).find(|(_, value)| !bound.allows(*value))
}

/// An element of a tensor of integers or booleans, which are 0 or 1.
pub(super) fn integer_at(tensor: &Tensor, position: usize) -> i64 {
    let byte = || tensor.bytes[position];
    match tensor.element {
        ElementType::I64 => i64::from_le_bytes(tensor.bytes.as_chunks().0[position]),
        ElementType::I32 => i32::from_le_bytes(tensor.bytes.as_chunks().0[position]).into(),
        ElementType::U8 => byte().into(),
        ElementType::Bool => (byte() != 0).into(),
        ElementType::I8 => byte().cast_signed().into(),
        ElementType::F32 | ElementType::F16 => unreachable!("the caller has integers"),
    }
}

/// An element of a tensor of floats; `None` for other types.
pub(super) fn float_at(tensor: &Tensor, position: usize) -> Option<f32> {
    match tensor.element {
        ElementType::F32 => Some(f32::from_le_bytes(tensor.bytes.as_chunks().0[position])),
        ElementType::F16 => Some(f16::from_le_bytes(tensor.bytes.as_chunks().0[position]).to_f32()),
        ElementType::I64 | ElementType::I32 | ElementType::U8 | ElementType::I8 | ElementType::Bool => None,
    }
}

/// Checks the inputs of a run, which are in the plan's order.
pub(crate) fn check_inputs(plan: &Plan, inputs: &[Bound<'_>]) -> Result<(), InputError> {
    for bound in &plan.index_bounds {
        let IndexPort::Input(input) = bound.port else { continue };
        if let Some((position, index)) = outside(bound, inputs[input as usize].tensor()) {
            return Err(InputError::IndexRange {
                name: plan.inputs[input as usize].name.clone(),
                position,
                index,
                least: bound.least,
                most: bound.most,
                node: plan.name(bound.node).to_owned(),
            });
        }
    }
    Ok(())
}

/// Checks the outputs of a run, which are in the plan's order.
pub(crate) fn check_outputs(plan: &Plan, outputs: &Outputs) -> Result<(), Error> {
    for bound in &plan.index_bounds {
        let IndexPort::Output(output) = bound.port else { continue };
        if let Some((position, index)) = outside(bound, &outputs.tensors[output as usize].1) {
            let (least, most, node) = (bound.least, bound.most, plan.name(bound.node).to_owned());
            return Err(Error::ComputedIndex { node, position, index, least, most });
        }
    }
    Ok(())
}
