//! Simplification of tract's typed model: tract's own passes, with a budget on what they fold and a limit on their steps.
//!
//! tract computes a constant first and asks for its size then. The pass that takes the place of its first does the same, but
//! asks first: what tract would throw away is not computed. Shapes are bounded before and after.

use super::super::failure::type_name;
use super::super::opaque::{Exactness, made_transparent};
use super::super::stopped::stopped;
use super::invalid::Invalid;
use super::limits::{MAX_FOLDED_BYTES, SMALL_BYTES, bounded};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tract_onnx::prelude::{
    DatumType, IntoArcTensor, TVec, TractError, TractResult, TypedModel, TypedNode, tract_data::TooEarly,
};
use tract_onnx::tract_core::internal::{IntoTValue, OutletId, SpecialOps, TValue, TypedModelPatch};
use tract_onnx::tract_core::ops::array::Slice;
use tract_onnx::tract_core::ops::dummy::Dummy;
use tract_onnx::tract_core::ops::konst::Const;
use tract_onnx::tract_core::ops::source::TypedSource;
use tract_onnx::tract_core::optim::{CONST_FOLD_MEM_BUDGET, Optimizer, OptimizerSession, TypedPass};

/// Steps that any model may take, and those for each of its nodes. Real models take less than ten for a node.
const STEPS: usize = 10_000;
const STEPS_PER_NODE: usize = 100;

/// The decluttered model.
///
/// # Errors
/// tract's, and those of a tensor that is too large.
pub fn decluttered(mut model: TypedModel) -> TractResult<TypedModel> {
    check(&model)?;
    let steps = STEPS + STEPS_PER_NODE * model.nodes.len();
    let mut optimizer = Optimizer::declutter().stopping_at(steps);
    if let Some(first) = optimizer.passes.first_mut() {
        *first = Box::new(Fold { next: 0, folded: Arc::new(AtomicU64::new(0)) });
    }
    if let Some(simplifying) = optimizer.passes.iter().position(|pass| simplifies(&**pass)) {
        optimizer.add_pass(simplifying, Box::new(Exactness));
    }
    optimizer.session().optimize(&mut model)?;
    check(&model)?;
    Ok(made_transparent(model))
}

/// Whether a pass of tract's simplifies single operators.
fn simplifies(pass: &dyn TypedPass) -> bool {
    format!("{pass:?}") == "declutter"
}

/// Bounds the shape of every tensor.
fn check(model: &TypedModel) -> TractResult<()> {
    for node in &model.nodes {
        for output in &node.outputs {
            let sizes = output.fact.shape.iter().map(|dim| dim.to_i64().ok());
            if !bounded(sizes) {
                let (node, shape) = (node.name.clone(), format!("{:?}", output.fact.shape));
                return Err(TractError::new(Invalid::TooLarge { node, shape }));
            }
        }
    }
    Ok(())
}

/// tract's folding of constants, with sizes asked for first.
#[derive(Debug, Clone)]
struct Fold {
    next: usize,
    /// Bytes that were folded, in all passes over the model.
    folded: Arc<AtomicU64>,
}

impl Fold {
    /// Bytes that all results of a node have, when they are known.
    fn result_bytes(node: &TypedNode) -> Option<u64> {
        let bytes = node.outputs.iter().map(|output| output.fact.mem_size().to_i64().ok());
        bytes.map(|bytes| u64::try_from(bytes?).ok()).try_fold(0_u64, |sum, bytes| sum.checked_add(bytes?))
    }

    /// The values of a node's results, where they may be computed and kept.
    fn values(&self, node: &TypedNode, inputs: TVec<TValue>, max_bytes: u64) -> TractResult<Option<TVec<TValue>>> {
        let Some(bytes) = Self::result_bytes(node).filter(|bytes| *bytes <= max_bytes) else { return Ok(None) };
        let counted = if bytes > SMALL_BYTES { bytes } else { 0 };
        let before = self.folded.fetch_add(counted, Ordering::Relaxed);
        if counted > 0 && before.saturating_add(counted) > MAX_FOLDED_BYTES {
            return Ok(None);
        }
        let operands: Vec<(DatumType, Vec<usize>)> =
            inputs.iter().map(|value| (value.datum_type(), value.shape().to_vec())).collect();
        let evaluated = stopped(|| node.op.eval_out_of_plan(inputs)).unwrap_or_else(|_| {
            let (node, op) = (node.name.clone(), "an operator".to_owned());
            let operands = operands.iter().map(|(datum, shape)| format!("{} {shape:?}", type_name(*datum))).collect();
            Err(TractError::new(Invalid::Unsupported { node, op, operands }))
        });
        match evaluated {
            Err(error) if error.root_cause().is::<TooEarly>() => Ok(None),
            Err(error) => Err(error.context(format!("computing {}", node.name))),
            Ok(values) => Ok(values),
        }
    }

    /// Whether an operand is a constant that is not copied for several readers by folding.
    fn is_foldable(model: &TypedModel, node: &TypedNode, outlet: OutletId) -> TractResult<bool> {
        let fact = model.outlet_fact(outlet)?;
        let readers = model.node(outlet.node).outputs[outlet.slot].successors.len();
        let is_small = || fact.mem_size().to_i64().is_ok_and(|bytes| bytes as u64 <= CONST_FOLD_MEM_BUDGET);
        let copies = readers == 1 || node.op_is::<Slice>() || (fact.datum_type.is_number() && is_small());
        Ok(fact.konst.is_some() && copies)
    }
}

impl TypedPass for Fold {
    fn reset(&mut self) -> TractResult<()> {
        self.next = 0;
        Ok(())
    }

    fn next(&mut self, _: &mut OptimizerSession<'_>, model: &TypedModel) -> TractResult<Option<TypedModelPatch>> {
        for node in &model.nodes[self.next..] {
            if let Some(constant) = node.op_as::<Const>() {
                if node.outputs[0].fact.konst.is_none() {
                    self.next = node.id;
                    let mut patch = TypedModelPatch::default();
                    let wire = patch.add_const(&node.name, constant.val().clone())?;
                    patch.shunt_outside(model, node.id.into(), wire)?;
                    return Ok(Some(patch));
                }
                continue;
            }
            if node.op_is::<Dummy>() || node.op_is::<TypedSource>() {
                continue;
            }
            let mut foldable = true;
            for outlet in &node.inputs {
                foldable &= Self::is_foldable(model, node, *outlet)?;
            }
            if foldable && let Some(patch) = self.fold(model, node)? {
                return Ok(Some(patch));
            }
        }
        Ok(None)
    }
}

impl Fold {
    /// Replaces a node, and the chain of sole readers behind it, by what they compute.
    fn fold(&mut self, model: &TypedModel, node: &TypedNode) -> TractResult<Option<TypedModelPatch>> {
        let facts = model.node_input_facts(node.id)?;
        let operand_bytes: u64 = facts.iter().map(|f| f.mem_size().to_i64().unwrap_or(i64::MAX) as u64).sum();
        let max_bytes = operand_bytes.max(CONST_FOLD_MEM_BUDGET);
        let inputs: Option<TVec<TValue>> = facts.iter().map(|f| Some(f.konst.clone()?.into_tvalue())).collect();
        let Some(mut values) = inputs.map(|i| self.values(node, i, max_bytes)).transpose()?.flatten() else {
            return Ok(None);
        };
        let mut node = node;
        while let Some(reader) = model.single_succ(node.id)?.filter(|reader| reader.inputs.len() == 1) {
            let Ok(Some(next)) = self.values(reader, values.clone(), max_bytes) else { break };
            (values, node) = (next, reader);
        }
        let mut patch = TypedModelPatch::default();
        for (slot, value) in values.into_iter().enumerate() {
            let outlet = OutletId::new(node.id, slot);
            let exotic = model.outlet_fact(outlet)?.exotic_fact.clone();
            let name = if slot > 0 { format!("{}.{slot}", node.name) } else { node.name.clone() };
            let constant = Const::new_with_opt_exotic_fact(value.into_arc_tensor(), exotic)?;
            let wire = patch.wire_node(name, constant, &[])?[0];
            patch.shunt_outside(model, outlet, wire)?;
        }
        self.next = node.id;
        Ok(Some(patch))
    }
}

#[cfg(test)]
mod tests {
    use super::{Optimizer, simplifies};

    #[test]
    fn the_pass_that_is_replaced_is_the_one_that_folds() {
        let first = format!("{:?}", Optimizer::declutter().passes[0]);
        assert!(first.starts_with("PropConst"), "{first}");
    }

    #[test]
    fn one_pass_simplifies_single_operators() {
        assert_eq!(Optimizer::declutter().passes.iter().filter(|pass| simplifies(&***pass)).count(), 1);
    }
}
