//! Running tract without letting its errors or panics out as they are.
//!
//! Takes a model; returns tract's typed, decluttered model. Shape inference, constant folding and decluttering are tract's;
//! nothing here knows an operator.

use super::axes;
use super::error::ImportError;
use super::failure::{Failure, Stage};
use super::kernel_op::NotTaken;
use super::model::Model;
use super::opaque::{self, Kept};
use super::preflight::{Invalid, fold, guard};
use super::shapes;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;
use tract_onnx::Onnx;
use tract_onnx::pb::{GraphProto, ModelProto, NodeProto};
use tract_onnx::prelude::{InferenceModel, InferenceModelExt, TractError, TractResult, TypedModel};

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

static HOOK: Once = Once::new();

/// Characters of one cause that are shown: some hold whole models.
const CAUSE_CHARACTERS: usize = 300;

/// An error chain in one line, outermost first.
pub fn one_line(error: &TractError) -> String {
    let mut parts: Vec<String> = Vec::new();
    for cause in error.chain() {
        let mut text = cause.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
        if let Some((end, _)) = text.char_indices().nth(CAUSE_CHARACTERS) {
            text.truncate(end);
            text.push('…');
        }
        if parts.last() != Some(&text) {
            parts.push(text);
        }
    }
    parts.join(": ")
}

/// Runs a part of tract; `Err` is what a check of its own says that ended it, of which nothing is printed.
pub fn stopped<T>(run: impl FnOnce() -> T) -> Result<T, String> {
    HOOK.call_once(|| {
        let previous = take_hook();
        set_hook(Box::new(move |info| {
            if !QUIET.get() {
                previous(info);
            }
        }));
    });
    let outer = QUIET.replace(true);
    let outcome = catch_unwind(AssertUnwindSafe(run));
    QUIET.set(outer);
    outcome.map_err(|payload| {
        let text = payload.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("no message");
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        text.chars().take(CAUSE_CHARACTERS).collect()
    })
}

/// Runs tract; its errors become ours, and so do those that it passes on.
pub fn guarded<T>(stage: Stage, run: impl FnOnce() -> TractResult<T>) -> Result<T, ImportError> {
    let error = match stopped(run) {
        Ok(Ok(value)) => return Ok(value),
        Ok(Err(error)) => error,
        Err(reason) => return Err(Failure::new(stage, reason).into()),
    };
    if let Some(invalid) = error.chain().find_map(|cause| cause.downcast_ref::<Invalid>()) {
        return Err(invalid.clone().into());
    }
    Err(match error.chain().find_map(|cause| cause.downcast_ref::<NotTaken>()) {
        Some(NotTaken { node, error }) => ImportError::Rejected { node: node.clone(), error: error.clone() },
        None => Failure::new(stage, one_line(&error)).into(),
    })
}

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

/// tract's reader, with our builders where it reads some forms of an operator only.
pub fn onnx() -> Onnx {
    let mut onnx = tract_onnx::onnx().with_ignore_value_info(true);
    super::builders::register(&mut onnx.op_register);
    onnx
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
