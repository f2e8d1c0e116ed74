//! Runs tract.
//!
//! Takes a model; returns tract's typed, decluttered model. Shape inference, constant folding and decluttering are tract's;
//! nothing here knows an operator.

use super::axes;
use super::error::ImportError;
use super::failure::Stage;
use super::guarded::{guarded, onnx};
use super::model::Model;
use super::opaque::{self, Kept};
use super::preflight::{Invalid, fold, guard};
use super::shapes;
use super::stopped::stopped;
use tract_onnx::pb::{GraphProto, ModelProto, NodeProto};
use tract_onnx::prelude::{InferenceModel, InferenceModelExt, TypedModel};

/// The model as tract parses it, every operator under guard.
pub fn inferred(model: &Model) -> Result<InferenceModel, ImportError> {
    let parsed = guarded(Stage::Read, || onnx().parse(&model.proto, None));
    let parsed = parsed.map_err(|error| culprit(model).map_or(error, ImportError::from))?;
    if let Some(name) = parsed.unresolved_inputs.first() {
        return Err(Invalid::NotComputed { name: name.clone() }.into());
    }
    let mut inferred = parsed.model;
    super::kernel_op::put(&mut inferred, &model.kernel_ops);
    if let Some(graph) = &model.proto.graph {
        guard::put(&mut inferred, graph);
    }
    Ok(inferred)
}

/// The node at which tract stops when it reads a model, if it is one.
fn culprit(model: &Model) -> Option<Invalid> {
    let onnx = onnx();
    let alone = |node: &NodeProto| {
        let graph = GraphProto { node: vec![node.clone()], ..GraphProto::default() };
        let opset_import = model.proto.opset_import.clone();
        let proto = ModelProto { graph: Some(graph), opset_import, ..ModelProto::default() };
        stopped(|| drop(onnx.parse(&proto, None))).err()?;
        Some(Invalid::Unsupported { node: node.name.clone(), op: node.op_type.clone(), operands: Vec::new() })
    };
    model.proto.graph.as_ref()?.node.iter().find_map(alone)
}

/// The typed, decluttered model.
pub fn decluttered(model: &Model) -> Result<TypedModel, ImportError> {
    let mut inferred = inferred(model)?;
    let analysed = guarded(Stage::Infer, || inferred.analyse(false));
    // Before tract's own failure, which they may be the cause of.
    let misplaced = axes::misplaced(&model.claims, &inferred);
    if !misplaced.is_empty() {
        return Err(ImportError::Axes(misplaced));
    }
    let unfit = shapes::unfit(&model.shape_claims, &inferred);
    if !unfit.is_empty() {
        return Err(ImportError::Shapes(unfit));
    }
    let with_operands = |error: ImportError, inferred: &InferenceModel| {
        if let ImportError::Failed(failure) = error { failure.with_operands(inferred).into() } else { error }
    };
    analysed.map_err(|error| with_operands(error, &inferred))?;
    let typed = guarded(Stage::Infer, || inferred.clone().into_typed());
    let typed = typed.map_err(|error| with_operands(error, &inferred))?;
    drop(inferred);
    let again = typed.clone();
    let simplify = |model: TypedModel| guarded(Stage::Simplify, || fold::decluttered(model));
    let kept = |kept| simplify(opaque::made_opaque(again.clone(), kept)).map(opaque::made_transparent);
    // The first failure says most.
    simplify(typed).or_else(|error| kept(Kept::Views).or_else(|_| kept(Kept::Everything)).map_err(|_| error))
}
