//! Running tract without letting its errors or panics out as they are.
//!
//! Takes a model; gives tract's typed, decluttered model. Shape inference, constant folding and decluttering are tract's;
//! nothing here knows an operator.

use super::error::ImportError;
use super::kernel_op::NotTaken;
use super::model::Model;
use super::shield::{self, Kept};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;
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

/// Runs tract; its errors and panics become ours, and a panic prints nothing.
pub fn guarded<T>(action: &'static str, run: impl FnOnce() -> TractResult<T>) -> Result<T, ImportError> {
    HOOK.call_once(|| {
        let previous = take_hook();
        set_hook(Box::new(move |info| {
            if !QUIET.get() {
                previous(info);
            }
        }));
    });
    QUIET.set(true);
    let outcome = catch_unwind(AssertUnwindSafe(run));
    QUIET.set(false);
    match outcome {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(match error.chain().find_map(|cause| cause.downcast_ref::<NotTaken>()) {
            Some(NotTaken { node, error }) => ImportError::Rejected { node: node.clone(), error: error.clone() },
            None => ImportError::Tract { action, reason: one_line(&error) },
        }),
        Err(payload) => {
            let text = payload.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("no message");
            Err(ImportError::TractPanicked { action, reason: text.split_whitespace().collect::<Vec<_>>().join(" ") })
        }
    }
}

/// The model as tract parses it.
pub fn inferred(model: &Model) -> TractResult<InferenceModel> {
    let onnx = tract_onnx::onnx().with_ignore_value_info(true);
    let parsed = onnx.parse(&model.proto, None)?;
    if let Some(name) = parsed.unresolved_inputs.first() {
        return Err(TractError::msg(format!("tensor `{name}` is used but nothing computes it")));
    }
    let mut inferred = parsed.model;
    super::kernel_op::put(&mut inferred, &model.kernel_ops);
    Ok(inferred)
}

/// The typed, decluttered model.
pub fn decluttered(model: &Model) -> Result<TypedModel, ImportError> {
    let inferred = guarded("read the model", || inferred(model))?;
    let typed = guarded("infer the model's shapes", || inferred.into_typed())?;
    let again = typed.clone();
    let simplify = |model: TypedModel| guarded("simplify the model", || model.into_decluttered());
    let kept = |kept| simplify(shield::shielded(again.clone(), kept)).map(shield::unshielded);
    // The first failure tells most.
    simplify(typed).or_else(|error| kept(Kept::Views).or_else(|_| kept(Kept::Everything)).map_err(|_| error))
}
