//! tract under guard: its errors become ours, and it reads what our builders read.

use super::error::ImportError;
use super::failure::{Failure, Stage};
use super::kernel_op::NotTaken;
use super::preflight::invalid::Invalid;
use super::stopped::{one_line, stopped};
use tract_onnx::Onnx;
use tract_onnx::prelude::TractResult;

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

/// tract's reader, with our builders where it reads some forms of an operator only.
pub fn onnx() -> Onnx {
    let mut onnx = tract_onnx::onnx().with_ignore_value_info(true);
    super::builders::register(&mut onnx.op_register);
    onnx
}
