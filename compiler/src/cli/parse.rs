//! Values of `--input`, `--set`, `--state`, `--slack` and `--max-error`.

use anyhow::{Context as _, ensure};
use flashmem_compiler::compile::Slack;
use flashmem_compiler::import::{Dim, StateOptions, StatePair, Value};

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

/// What all `--state` say together: `auto`, or `OUT=IN`, parted by the first `=`.
pub fn states(texts: &[String]) -> anyhow::Result<StateOptions> {
    let mut states = StateOptions::default();
    for text in texts {
        if text == "auto" {
            states.recognised = true;
            continue;
        }
        let (output, input) =
            text.split_once('=').with_context(|| format!("--state {text}: expected OUT=IN, or auto"))?;
        ensure!(!output.is_empty() && !input.is_empty(), "--state {text}: a name is empty");
        states.pairs.push(StatePair { output: output.to_owned(), input: input.to_owned() });
    }
    Ok(states)
}

/// What `--set` gives.
#[derive(Debug, Clone, PartialEq)]
pub enum Setting {
    /// A size of a dimension, or the value of an input.
    Size(u64),
    /// The value of an input.
    Value(Value),
}

/// `NAME=VALUE`. A name may hold `=`; the value is a number, `true` or `false`.
pub fn setting(text: &str) -> anyhow::Result<(String, Setting)> {
    let (name, value) = text.rsplit_once('=').with_context(|| format!("--set {text}: expected NAME=VALUE"))?;
    ensure!(!name.trim().is_empty(), "--set {text}: the name is empty");
    let value = value.trim();
    let setting = match value {
        "true" | "True" => Setting::Value(Value::Bool(true)),
        "false" | "False" => Setting::Value(Value::Bool(false)),
        _ => value
            .parse()
            .map(Setting::Size)
            .or_else(|_| value.parse().map(|number| Setting::Value(Value::Integer(number))))
            .or_else(|_| value.parse().map(|number| Setting::Value(Value::Float(number))))
            .with_context(|| format!("--set {text}: `{value}` is no size, no number and no boolean"))?,
    };
    Ok((name.trim().to_owned(), setting))
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

/// `1%` or `0.01`, above 0.
pub fn max_error(text: &str) -> anyhow::Result<f64> {
    let trimmed = text.trim();
    let (number, scale) = trimmed.strip_suffix('%').map_or((trimmed, 1.0), |percent| (percent.trim_end(), 100.0));
    let value: f64 =
        number.parse().with_context(|| format!("--max-error {text}: expected an error like 1% or 0.01"))?;
    ensure!(value.is_finite() && value > 0.0, "--max-error {text}: must be above 0");
    Ok(value / scale)
}

#[cfg(test)]
mod tests {
    use super::{Setting, Slack, Value, max_error, setting, slack};

    #[test]
    fn errors_are_percentages_or_fractions_above_nothing() {
        for (text, error) in [("1%", 0.01), ("0.02", 0.02), (" 12.5 % ", 0.125)] {
            assert_eq!(max_error(text).expect("an error"), error, "{text}");
        }
        for text in ["", "%", "0", "-1%", "nan", "inf", "few"] {
            assert!(max_error(text).is_err(), "{text}");
        }
    }

    #[test]
    fn settings_are_sizes_numbers_or_booleans() {
        for (text, name, expected) in [
            ("batch=4", "batch", Setting::Size(4)),
            ("past + length = 4", "past + length", Setting::Size(4)),
            ("offset=-3", "offset", Setting::Value(Value::Integer(-3))),
            ("scale=0.5", "scale", Setting::Value(Value::Float(0.5))),
            ("use_cache_branch=true", "use_cache_branch", Setting::Value(Value::Bool(true))),
        ] {
            assert_eq!(setting(text).expect("a setting"), (name.to_owned(), expected), "{text}");
        }
        for text in ["batch", "=4", "batch=", "batch=many"] {
            assert!(setting(text).is_err(), "{text}");
        }
    }

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
