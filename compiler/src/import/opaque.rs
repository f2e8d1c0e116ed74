//! What is kept from tract's simplification: operators are wrapped before, in one that no rewrite knows, and unwrapped
//! after. Constants are folded all the same.
//!
//! Some of tract's rewrites fail instead of leaving alone what they do not fit: strides that are pulled over a reshape of
//! their axis, broadcasts that are pulled into a product. Models on which they do have another chance with [`made_opaque`],
//! which simplifies less.
//!
//! Others give something else than the model says, and [`Exactness`] keeps them from every model: 0 · x is 0 for them,
//! √x · √x is x, a quotient is a product with a reciprocal, a product of two numbers may leave the range of f32, a power of ½ is a
//! root, and the remainders of a by b and of b by a are one.

use tract_onnx::prelude::{DatumType, TVec, Tensor, TractResult, TypedFact, TypedModel, TypedNode};
use tract_onnx::tract_core::internal::{
    AxisOp, EvalContext, EvalOp, Op, StaticName, TValue, TypedModelPatch, TypedOp, as_op, op_as_typed_op,
};
use tract_onnx::tract_core::ops::Downsample;
use tract_onnx::tract_core::ops::array::MultiBroadcastTo;
use tract_onnx::tract_core::ops::binary::{BinMiniOp, TypedBinOp};
use tract_onnx::tract_core::ops::element_wise::ElementWiseOp;
use tract_onnx::tract_core::ops::konst::Const;
use tract_onnx::tract_core::ops::math::{Div, Mul, Pow, Rem, Sqrt, Square};
use tract_onnx::tract_core::ops::scan::Scan;
use tract_onnx::tract_core::ops::source::TypedSource;
use tract_onnx::tract_core::optim::{OptimizerSession, TypedPass};

/// What is kept from simplification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// Reshapes, strided slices and broadcasts.
    Views,
    /// Every operator.
    Everything,
}

/// Wraps operators.
pub fn made_opaque(mut model: TypedModel, kept: Kept) -> TypedModel {
    for node in &mut model.nodes {
        let is_view = matches!(node.op_as::<AxisOp>(), Some(AxisOp::Reshape(..)))
            || node.op_is::<Downsample>()
            || node.op_is::<MultiBroadcastTo>();
        let is_value = node.op_is::<Const>() || node.op_is::<TypedSource>();
        let hides = match kept {
            Kept::Views => is_view,
            Kept::Everything => !is_value,
        };
        if hides {
            node.op = Box::new(Opaque(node.op.clone()));
        }
    }
    model
}

/// Unwraps them, in the bodies of recurrences too.
pub fn made_transparent(mut model: TypedModel) -> TypedModel {
    for node in &mut model.nodes {
        if let Some(Opaque(op)) = node.op_as::<Opaque>() {
            node.op = op.clone();
        } else if let Some((Exact(op), datum_type)) = node.op_as::<TypedBinOp>().and_then(exact) {
            node.op = Box::new(TypedBinOp(op.clone(), datum_type));
        } else if let Some(scan) = node.op_as_mut::<Scan>() {
            scan.body = made_transparent(std::mem::take(&mut scan.body));
        }
    }
    model
}

fn exact(op: &TypedBinOp) -> Option<(&Exact, Option<DatumType>)> {
    Some((op.0.downcast_ref::<Exact>()?, op.1))
}

/// Factors of which two or three multiplied are within the range of f32.
const MODERATE: std::ops::Range<f64> = 1e-12..1e12;

/// A pass that wraps what tract would not keep the values of. It runs in front of the one that takes such operators apart.
#[derive(Debug, Clone)]
pub struct Exactness;

impl TypedPass for Exactness {
    fn reset(&mut self) -> TractResult<()> {
        Ok(())
    }

    fn next(&mut self, _: &mut OptimizerSession<'_>, _: &TypedModel) -> TractResult<Option<TypedModelPatch>> {
        Ok(None)
    }

    fn run_direct(&mut self, model: &mut TypedModel) -> TractResult<bool> {
        let mut wrapped: Vec<(usize, Box<dyn TypedOp>)> = Vec::new();
        for node in &model.nodes {
            if let Some(TypedBinOp(op, datum_type)) = node.op_as::<TypedBinOp>() {
                if inexact(model, node, &**op)? {
                    wrapped.push((node.id, Box::new(TypedBinOp(Box::new(Exact(op.clone())), *datum_type))));
                }
            } else if is_squared_root(model, node)? {
                wrapped.push((node.id, Box::new(Opaque(node.op.clone()))));
            }
        }
        let changed = !wrapped.is_empty();
        for (node, op) in wrapped {
            model.nodes[node].op = op;
        }
        Ok(changed)
    }
}

/// Whether tract would make something else of an operator.
fn inexact(model: &TypedModel, node: &TypedNode, op: &dyn BinMiniOp) -> TractResult<bool> {
    let facts = model.node_input_facts(node.id)?;
    if op.is::<Rem>() {
        return Ok(true);
    }
    if !facts.iter().all(|fact| fact.datum_type.is_float()) {
        return Ok(false);
    }
    // tract multiplies by the reciprocal, which may leave the range where the quotient does not.
    if op.is::<Div>() && facts[1].konst.is_none() {
        return Ok(true);
    }
    if op.is::<Mul>() || op.is::<Div>() {
        return Ok(facts.iter().any(|fact| is_extreme(fact)));
    }
    Ok(op.is::<Pow>() && number(facts[1]).is_some_and(|exponent| exponent.abs() == 0.5))
}

/// The one value of an operand.
fn number(fact: &TypedFact) -> Option<f64> {
    let single = |tensor: &Tensor| tensor.len() == 1;
    let uniform = fact.uniform.as_deref().or(fact.konst.as_deref().filter(|tensor| single(tensor)))?;
    uniform.cast_to_scalar::<f64>().ok()
}

/// Whether one of a constant's values is far from 1; of those that are not all the same, zeros, NaN and infinities are none of these.
fn is_extreme(fact: &TypedFact) -> bool {
    if let Some(factor) = number(fact) {
        return !MODERATE.contains(&factor.abs());
    }
    let values = fact.konst.as_deref().and_then(|tensor| tensor.cast_to::<f64>().ok());
    let far = |value: &f64| *value != 0.0 && value.is_finite() && !MODERATE.contains(&value.abs());
    let slice = values.as_deref().and_then(|values| values.try_as_plain_ram().ok()?.as_slice::<f64>().ok());
    slice.is_some_and(|values| values.iter().any(far))
}

/// Whether a node is a root that a reader squares.
fn is_squared_root(model: &TypedModel, node: &TypedNode) -> TractResult<bool> {
    if !node.op_as::<ElementWiseOp>().is_some_and(|op| op.0.is::<Sqrt>()) {
        return Ok(false);
    }
    for reader in &node.outputs[0].successors {
        let reader = model.node(reader.node);
        let facts = model.node_input_facts(reader.id)?;
        let squares = reader.op_as::<ElementWiseOp>().is_some_and(|op| op.0.is::<Square>());
        let multiplies = reader.inputs.len() == 2 && reader.inputs[0] == reader.inputs[1];
        let binary = |is: fn(&dyn BinMiniOp) -> bool| reader.op_as::<TypedBinOp>().is_some_and(|op| is(&*op.0));
        let powers = || binary(|op| op.is::<Pow>()) && number(facts[1]) == Some(2.0);
        if squares || (multiplies && binary(|op| op.is::<Mul>())) || powers() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A binary operator that computes the same, and is neither taken apart nor turned round.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Exact(Box<dyn BinMiniOp>);

impl BinMiniOp for Exact {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn operating_datum_type(&self, a: DatumType, b: DatumType) -> TractResult<DatumType> {
        self.0.operating_datum_type(a, b)
    }

    fn result_datum_type(&self, a: DatumType, b: DatumType) -> TractResult<DatumType> {
        self.0.result_datum_type(a, b)
    }

    fn eval_in_a(&self, a: &mut Tensor, b: &Tensor) -> TractResult<()> {
        self.0.eval_in_a(a, b)
    }

    fn eval_out_of_place(&self, c: &mut Tensor, a: &Tensor, b: &Tensor) -> TractResult<()> {
        self.0.eval_out_of_place(c, a, b)
    }

    fn eval(&self, a: TValue, b: TValue, datum_type: DatumType) -> TractResult<Tensor> {
        self.0.eval(a, b, datum_type)
    }

    fn is_commutative(&self) -> bool {
        self.0.is_commutative() && !self.0.is::<Rem>()
    }

    fn neutral_element(&self) -> Option<i64> {
        self.0.neutral_element()
    }
}

/// An operator that computes the same and is never rewritten.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Opaque(Box<dyn TypedOp>);

impl Op for Opaque {
    fn name(&self) -> StaticName {
        self.0.name()
    }

    op_as_typed_op!();
}

impl EvalOp for Opaque {
    fn eval(&self, context: &EvalContext, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        self.0.eval(context, inputs)
    }

    fn eval_out_of_plan(&self, inputs: TVec<TValue>) -> TractResult<Option<TVec<TValue>>> {
        self.0.eval_out_of_plan(inputs)
    }
}

impl TypedOp for Opaque {
    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        self.0.output_facts(inputs)
    }

    as_op!();
}
