//! Errors as the program tells them: wrong usage apart, and behind the path of the model that they are about.

use flashmem_compiler::compile::CompileError;
use flashmem_compiler::import::ImportError;
use flashmem_plan_format::files::FileError;
use std::path::Path;

/// Why a task ends without what it was for.
#[derive(Debug)]
pub enum Stopped {
    /// Wrong usage that clap cannot see.
    Usage(anyhow::Error),
    /// The input or the plan is at fault.
    Fault(anyhow::Error),
}

impl From<anyhow::Error> for Stopped {
    fn from(error: anyhow::Error) -> Self {
        Self::Fault(error)
    }
}

impl From<FileError> for Stopped {
    fn from(error: FileError) -> Self {
        Self::Fault(error.into())
    }
}

/// An error about a model, behind the model's path, unless the error names that file itself.
pub fn about(model: &Path, error: impl Into<CompileError>) -> anyhow::Error {
    let error = error.into();
    let names_it = matches!(
        &error,
        CompileError::Import(ImportError::Read { path, .. } | ImportError::NotOnnx { path, .. }) if path == model
    );
    let error = anyhow::Error::new(error);
    if names_it { error } else { error.context(model.display().to_string()) }
}
