//! Errors as the program tells them: wrong usage apart, and behind the path of the model that they are about.

use flashmem_compiler::compile::CompileError;
use flashmem_compiler::import::ImportError;
use std::path::Path;

/// Wrong usage that clap cannot see.
#[derive(Debug)]
pub struct Usage(pub anyhow::Error);

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
