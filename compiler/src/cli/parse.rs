//! Values of `--input`, `--set` and `--slack`.

use anyhow::{Context as _, ensure};
use flashmem_compiler::compile::Slack;
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

/// `5%`, `0.05`, or `none` (also `inf`).
pub fn slack(text: &str) -> anyhow::Result<Slack> {
    let trimmed = text.trim();
    if matches!(trimmed, "none" | "inf") {
        return Ok(Slack::Unlimited);
    }
    let (number, scale) = trimmed.strip_suffix('%').map_or((trimmed, 1.0), |percent| (percent.trim_end(), 100.0));
    let value: f64 =
        number.parse().with_context(|| format!("--slack {text}: expected a percentage like 5%, or none"))?;
    ensure!(value.is_finite() && value >= 0.0, "--slack {text}: must be at least 0");
    Ok(Slack::Fraction(value / scale))
}

#[cfg(test)]
mod tests {
    use super::{Slack, slack};

    #[test]
    fn slack_is_a_percentage_a_fraction_or_none() {
        for (text, fraction) in [("5%", 0.05), ("0.05", 0.05), (" 12.5 % ", 0.125), ("0", 0.0)] {
            assert_eq!(slack(text).expect("a slack"), Slack::Fraction(fraction), "{text}");
        }
        assert_eq!(slack("none").expect("a slack"), Slack::Unlimited);
        for text in ["", "%", "-1%", "nan", "inf%", "lots"] {
            assert!(slack(text).is_err(), "{text}");
        }
    }
}
