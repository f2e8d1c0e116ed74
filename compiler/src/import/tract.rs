//! Runs tract.
//!
//! Takes a path; returns the model with what tract infers, then tract's typed, decluttered model. Shape inference, constant folding
//! and decluttering are tract's; nothing here knows an operator.

use super::axes;
use super::error::ImportError;
use super::failure::Stage;
use super::guarded::{guarded, onnx};
use super::model::{self, Model};
use super::notes::{self, Notes};
use super::opaque::{self, Kept};
use super::options::ImportOptions;
use super::preflight::invalid::Invalid;
use super::preflight::{fold, guard};
use super::shapes;
use super::stopped::stopped;
use std::path::Path;
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

/// How often a model is read with the notes of its file; each time those that did not hold are corrected.
const MAX_READINGS: usize = 4;

/// A model as it is read, with what tract infers. What the file notes about intermediate values holds, or does not count.
pub fn read(path: &Path, options: &ImportOptions, own_weights: bool) -> Result<(Model, InferenceModel), ImportError> {
    let mut notes = Notes::default();
    let mut failure = None;
    for _ in 0..MAX_READINGS {
        match Reading::of(path, options, own_weights, &mut notes) {
            Ok(reading) => {
                // Before any failure, which they may be the cause of.
                let found = notes::contradicted(&reading.model.notes, &reading.inferred);
                if found.is_empty() {
                    return reading.checked();
                }
                if !notes.correct(found) {
                    break;
                }
            }
            Err(error) if notes.found => {
                failure = Some(error);
                break;
            }
            Err(error) => return Err(error),
        }
    }
    let without = Reading::of(path, options, own_weights, &mut Notes::ignored()).and_then(Reading::checked);
    without.map_err(|error| failure.unwrap_or(error))
}

/// A model as it is read once, with what tract infers, and whether that came to an end.
struct Reading {
    model: Model,
    inferred: InferenceModel,
    analysed: Result<bool, ImportError>,
}

impl Reading {
    fn of(path: &Path, options: &ImportOptions, own_weights: bool, notes: &mut Notes) -> Result<Self, ImportError> {
        let model = model::read(path, options, own_weights, notes)?;
        let (inferred, analysed) = analysed(&model).map_err(|error| error.with_names(&model.names))?;
        Ok(Self { model, inferred, analysed })
    }

    fn checked(self) -> Result<(Model, InferenceModel), ImportError> {
        let Self { model, inferred, analysed } = self;
        checked(&model, &inferred, analysed).map_err(|error| error.with_names(&model.names))?;
        Ok((model, inferred))
    }
}

/// The model with what tract infers, and whether it came to an end.
fn analysed(model: &Model) -> Result<(InferenceModel, Result<bool, ImportError>), ImportError> {
    let mut inferred = inferred(model)?;
    let analysed = guarded(Stage::Infer, || inferred.analyse(false));
    Ok((inferred, analysed))
}

/// What tract infers of a model without notes.
#[cfg(test)]
pub fn checked_alone(model: &Model) -> Result<InferenceModel, ImportError> {
    let (inferred, analysed) = analysed(model)?;
    checked(model, &inferred, analysed)?;
    Ok(inferred)
}

/// Holds what is inferred against what the nodes need.
fn checked(model: &Model, inferred: &InferenceModel, analysed: Result<bool, ImportError>) -> Result<(), ImportError> {
    // Before tract's own failure, which they may be the cause of.
    let misplaced = axes::misplaced(&model.claims, inferred);
    if !misplaced.is_empty() {
        return Err(ImportError::Axes(misplaced));
    }
    let unfit = shapes::unfit(&model.shape_claims, inferred);
    if !unfit.is_empty() {
        return Err(ImportError::Shapes(unfit));
    }
    analysed.map(drop).map_err(|error| with_operands(error, inferred))
}

fn with_operands(error: ImportError, inferred: &InferenceModel) -> ImportError {
    if let ImportError::Failed(failure) = error { failure.with_operands(inferred).into() } else { error }
}

/// The typed, decluttered model.
pub fn decluttered(inferred: InferenceModel) -> Result<TypedModel, ImportError> {
    let typed = guarded(Stage::Infer, || inferred.clone().into_typed());
    let typed = typed.map_err(|error| with_operands(error, &inferred))?;
    drop(inferred);
    let again = typed.clone();
    let simplify = |model: TypedModel| guarded(Stage::Simplify, || fold::decluttered(model));
    let kept = |kept| simplify(opaque::made_opaque(again.clone(), kept)).map(opaque::made_transparent);
    // The first failure says most.
    simplify(typed).or_else(|error| kept(Kept::Views).or_else(|_| kept(Kept::Everything)).map_err(|_| error))
}
