//! The operators of `operators/`, and those of `composed.rs`, inside a tract model.
//!
//! A rewrite leaves a node of a type that tract does not know, and the operator beside it. [`put`] puts the operator in the
//! node's place, so that tract can infer shapes around it, and run it when it computes reference outputs: with the
//! operator's own inference and oracle. It deliberately knows no operator.

use super::composed::Composed;
use crate::graph::ShapeError;
use crate::graph::constant::Dtype;
use crate::graph::kernel_op::{KernelOp, Operands};
use crate::graph::tensor::Tensor as Words;
use std::collections::BTreeMap;
use tract_onnx::prelude::{DatumType, InferenceModel, Tensor, TractError, TractResult, TypedFact, TypedModel};
use tract_onnx::tract_hir::internal::{
    DatumTypeExt, DimLike, EvalContext, EvalOp, Expansion, InferenceResult, IntoTValue, Op, OutletId, Solver,
    SpecialOps, StaticName, TDim, TValue, TVec, TensorProxy, ToDim, TypedOp, as_op, check_output_arity, expand,
    op_as_typed_op, op_out_of_plan, tvec,
};
use tract_onnx::tract_hir::ops::scan::InferenceScan;

/// The type of the nodes that stand for operators until tract has read the model: one that it does not know.
pub const STAND_IN: &str = "flashmem.KernelOperator";

/// Which operator.
#[derive(Debug, Clone, PartialEq)]
pub enum OwnOp {
    /// One with a kernel of its own.
    Kernel(KernelOp),
    /// One that our graph spells.
    Composed(Composed),
}

impl OwnOp {
    const fn name(&self) -> &'static str {
        match self {
            Self::Kernel(op) => op.kind().name(),
            Self::Composed(op) => op.name(),
        }
    }
}

/// An operator as tract sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct KernelNode {
    /// The operator.
    pub op: OwnOp,
    /// The ONNX node that it is of.
    pub node: String,
}

/// Why an operator does not take its operands, on its way through tract's errors.
#[derive(Debug, Clone, thiserror::Error)]
#[error("node `{node}`: {error}")]
pub struct NotTaken {
    /// The ONNX node.
    pub node: String,
    /// Why.
    pub error: ShapeError,
}

impl Eq for KernelNode {}

/// Puts operators in the place of the nodes of their names, in bodies too.
pub fn put(model: &mut InferenceModel, operators: &BTreeMap<String, KernelNode>) {
    for node in model.nodes_mut() {
        if let Some(op) = operators.get(&node.name) {
            node.op = expand(op.clone());
        }
        if let Some(scan) = node.op_as_mut::<InferenceScan>() {
            put(&mut scan.body, operators);
        }
    }
}

/// Shape and type of the result, from those of the operands. A result of the first operand's kind has its very type.
fn result(node: &KernelNode, operands: &[(Vec<usize>, DatumType)]) -> TractResult<(Vec<usize>, DatumType)> {
    let op = &node.op;
    let kind = |datum: DatumType| {
        let unknown = || TractError::msg(format!("{}: element type {datum:?}", op.name()));
        super::dtype::dtype(datum).ok_or_else(unknown)
    };
    let kinds = operands.iter().map(|(_, datum)| kind(*datum)).collect::<TractResult<Vec<_>>>()?;
    let list: Vec<(&[usize], Dtype)> = operands.iter().zip(kinds).map(|(o, kind)| (o.0.as_slice(), kind)).collect();
    let inferred = match (op, list.as_slice()) {
        (OwnOp::Kernel(op), list) => op.behaviour().infer(&Operands::new(op.kind().name(), list)),
        (OwnOp::Composed(op), [(shape, dtype)]) => op.infer(shape, *dtype).map(|shape| (shape, *dtype)),
        (OwnOp::Composed(op), other) => {
            Err(ShapeError::OperandCount { op: op.name(), expected: "1", found: other.len() })
        }
    };
    let (shape, dtype) = inferred.map_err(|error| TractError::new(NotTaken { node: node.node.clone(), error }))?;
    let datum = match dtype {
        own if list.first().is_some_and(|(_, first)| *first == own) => operands[0].1,
        Dtype::F32 => DatumType::F32,
        Dtype::I32 => DatumType::I64,
        Dtype::Bool => DatumType::Bool,
    };
    Ok((shape, datum))
}

fn fixed(shape: &[TDim]) -> TractResult<Vec<usize>> {
    shape.iter().map(|dim| Ok(dim.to_usize()?)).collect()
}

impl Expansion for KernelNode {
    fn name(&self) -> StaticName {
        self.op.name().into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        s: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        check_output_arity(outputs, 1)?;
        s.given_all(inputs.iter().map(|i| &i.shape), move |s, shapes| {
            s.given_all(inputs.iter().map(|i| &i.datum_type), move |s, types| {
                let shapes = shapes.iter().map(|shape| fixed(shape)).collect::<TractResult<Vec<_>>>()?;
                let operands: Vec<_> = shapes.into_iter().zip(types).collect();
                let (shape, datum) = result(self, &operands)?;
                let dims: TVec<TDim> = shape.iter().map(|d| d.to_dim()).collect();
                s.equals(&outputs[0].shape, dims)?;
                s.equals(&outputs[0].datum_type, datum)
            })
        })
    }

    fn wire(&self, prefix: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        model.wire_node(prefix, self.clone(), inputs)
    }
}

impl Op for KernelNode {
    fn name(&self) -> StaticName {
        self.op.name().into()
    }

    op_as_typed_op!();
}

impl EvalOp for KernelNode {
    op_out_of_plan!();

    fn eval(&self, _context: &EvalContext, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let described: Vec<_> = inputs.iter().map(|i| (i.shape().to_vec(), i.datum_type())).collect();
        let (shape, datum) = result(self, &described)?;
        let operands = inputs.iter().map(|input| words(input)).collect::<TractResult<Vec<_>>>()?;
        let value = match &self.op {
            OwnOp::Kernel(op) => op.behaviour().evaluate(&operands.iter().collect::<Vec<_>>(), &shape),
            OwnOp::Composed(op) => op
                .evaluate(&operands[0])
                .map_err(|error| TractError::new(NotTaken { node: self.node.clone(), error }))?,
        };
        Ok(tvec!(tensor(&value, datum)?.into_tvalue()))
    }
}

impl TypedOp for KernelNode {
    as_op!();

    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        let shape = |fact: &TypedFact| fixed(&fact.shape.to_tvec());
        let operands = inputs.iter().map(|i| Ok((shape(i)?, i.datum_type))).collect::<TractResult<Vec<_>>>()?;
        let (shape, datum) = result(self, &operands)?;
        Ok(tvec!(datum.fact(&shape)))
    }
}

/// A tensor of tract as device words.
fn words(tensor: &Tensor) -> TractResult<Words> {
    let dtype = super::dtype::dtype(tensor.datum_type());
    let dtype = dtype.ok_or_else(|| TractError::msg(format!("element type {:?}", tensor.datum_type())))?;
    let words = match dtype {
        Dtype::F32 => elements::<f32>(tensor)?.into_iter().map(f32::to_bits).collect(),
        Dtype::I32 => elements::<i64>(tensor)?.into_iter().map(|v| v as i32 as u32).collect(),
        Dtype::Bool => elements::<bool>(tensor)?.into_iter().map(u32::from).collect(),
    };
    Ok(Words { shape: tensor.shape().to_vec(), dtype, words })
}

fn elements<T: tract_onnx::prelude::Datum + Copy>(tensor: &Tensor) -> TractResult<Vec<T>> {
    let cast = tensor.cast_to::<T>()?;
    let plain = cast.try_as_plain_ram()?;
    Ok(plain.as_slice::<T>()?.to_vec())
}

/// Device words as a tensor of tract.
fn tensor(value: &Words, datum: DatumType) -> TractResult<Tensor> {
    let tensor = match value.dtype {
        Dtype::F32 => Tensor::from_shape(&value.shape, &value.to_f32())?,
        Dtype::I32 => Tensor::from_shape(&value.shape, &value.words.iter().map(|w| *w as i32).collect::<Vec<_>>())?,
        Dtype::Bool => Tensor::from_shape(&value.shape, &value.words.iter().map(|w| *w != 0).collect::<Vec<_>>())?,
    };
    Ok(tensor.cast_to_dt(datum)?.into_owned())
}
