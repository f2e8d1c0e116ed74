//! Values of `--input` and `--set`.

use anyhow::{Context as _, ensure};
use flashmem_compiler::import::Dim;

/// `NAME:SHAPE`, the shape's dimensions separated by `x` or `,`; a dimension is a number or a name. An empty shape is a
/// scalar.
pub fn input(text: &str) -> anyhow::Result<(String, Vec<Dim>)> {
    let (name, shape) = text.rsplit_once(':').with_context(|| format!("--input {text}: expected NAME:SHAPE"))?;
    ensure!(!name.is_empty(), "--input {text}: the name is empty");
    let separator = if shape.contains(',') { ',' } else { 'x' };
    let dims = shape.split(separator).map(str::trim).filter(|d| !d.is_empty()).map(|dim| match dim.parse::<u64>() {
        Ok(size) => Ok(Dim::Size(size)),
        Err(_) if dim.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') => Ok(Dim::Symbol(dim.to_owned())),
        Err(_) => anyhow::bail!("--input {text}: `{dim}` is neither a size nor a name"),
    });
    Ok((name.to_owned(), dims.collect::<anyhow::Result<_>>()?))
}

/// `DIM=N`.
pub fn dimension(text: &str) -> anyhow::Result<(String, u64)> {
    let (name, size) = text.split_once('=').with_context(|| format!("--set {text}: expected DIM=N"))?;
    let size: u64 = size.trim().parse().with_context(|| format!("--set {text}: `{size}` is not a size"))?;
    ensure!(!name.trim().is_empty(), "--set {text}: the name is empty");
    Ok((name.trim().to_owned(), size))
}
