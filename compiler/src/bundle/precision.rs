//! What a bundle says about how each of its weights is stored, and what that was predicted to cost.
//!
//! Stored among the options of a plan, an entry a weight, and only where weights are not all in one format of floats.

use crate::precision::{Method, PrecisionReport};
use flashmem_plan_format::byte_size;
use flashmem_plan_format::plan::Provenance;
use std::fmt;

/// Value of the option of weights for an encoding for every weight.
pub const AUTO: &str = "auto";
/// Option of a weight: encoding, bytes, share of the error, name.
const WEIGHT: &str = "stored weight";
/// Option of what is known about errors.
const ERRORS: &str = "precision";
/// Between the parts of a weight's option; the name is the last one, and may hold it.
const SEPARATOR: char = '|';
/// What stands for a number that is not known.
const NONE: &str = "-";

/// Whether an option of a plan is an entry of a weight, or of errors.
pub fn is_entry(option: &str) -> bool {
    [WEIGHT, ERRORS].contains(&option)
}

/// A weight and how it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct WeightSummary {
    /// ONNX initialiser name.
    pub name: String,
    /// Name of the encoding.
    pub encoding: String,
    /// Bytes in pages and rows.
    pub bytes: u64,
    /// Share of the square of the predicted error.
    pub share: Option<f64>,
}

/// What is known about errors, relative L2 of the worst output.
#[derive(Debug, Clone, PartialEq)]
pub struct ErrorSummary {
    /// `measured` or `estimated`: how errors of single weights came about.
    pub method: String,
    /// What they add up to.
    pub predicted: Option<f64>,
    /// What a run gave.
    pub measured: Option<f64>,
    /// What no choice costs less than: bytes, or an error.
    pub bound: Option<f64>,
    /// How much less another choice might cost, as a share; 0 where the choice is proven optimal.
    pub gap: f64,
}

/// How weights are stored.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PrecisionSummary {
    /// In the order of the stream, tables of rows behind it.
    pub weights: Vec<WeightSummary>,
    /// What is known about errors.
    pub errors: Option<ErrorSummary>,
}

impl PrecisionSummary {
    /// That of a compilation.
    pub fn of_report(report: &PrecisionReport) -> Self {
        let weights = report.weights.iter().map(|weight| WeightSummary {
            name: weight.name.clone(),
            encoding: weight.encoding.to_string(),
            bytes: weight.bytes,
            share: weight.share,
        });
        let errors = report.errors.as_ref().map(|errors| ErrorSummary {
            method: match errors.method {
                Method::Measured => "measured",
                Method::Estimated => "estimated",
            }
            .to_owned(),
            predicted: errors.predicted,
            measured: errors.measured,
            bound: errors.bound,
            gap: errors.gap,
        });
        Self { weights: weights.collect(), errors }
    }

    /// That of a plan.
    pub fn of_plan(provenance: &Provenance) -> Self {
        let named = |option: &'static str| {
            provenance.options.iter().filter(move |(name, _)| name == option).map(|(_, value)| value.as_str())
        };
        let errors = named(ERRORS).next().map(|value| {
            let part = |key: &str| {
                let mut parts = value.split(' ').filter_map(|part| part.split_once('='));
                parts.find(|(name, _)| *name == key).map(|(_, value)| value)
            };
            let number = |key: &str| part(key).and_then(|value| value.parse().ok());
            ErrorSummary {
                method: part("method").unwrap_or(NONE).to_owned(),
                predicted: number("predicted"),
                measured: number("measured"),
                bound: number("bound"),
                gap: number("gap").unwrap_or(f64::INFINITY),
            }
        });
        Self { weights: named(WEIGHT).filter_map(weight).collect(), errors }
    }

    /// Whether there is nothing to say.
    pub const fn is_empty(&self) -> bool {
        self.weights.is_empty() && self.errors.is_none()
    }

    /// Bytes of all weights.
    pub fn bytes(&self) -> u64 {
        self.weights.iter().fold(0, |sum, weight| sum.saturating_add(weight.bytes))
    }

    /// The entries among a plan's options.
    pub fn options(&self) -> Vec<(String, String)> {
        let number = |value: Option<f64>| value.map_or_else(|| NONE.to_owned(), |value| format!("{value:.4e}"));
        let weights = self.weights.iter().map(|weight| {
            let WeightSummary { name, encoding, bytes, share } = weight;
            let share = number(*share);
            (WEIGHT.to_owned(), format!("{encoding}{SEPARATOR}{bytes}{SEPARATOR}{share}{SEPARATOR}{name}"))
        });
        let errors = self.errors.iter().map(|errors| {
            let ErrorSummary { method, predicted, measured, bound, gap } = errors;
            let [predicted, measured, bound] = [*predicted, *measured, *bound].map(number);
            let value =
                format!("method={method} predicted={predicted} measured={measured} bound={bound} gap={gap:.4e}");
            (ERRORS.to_owned(), value)
        });
        errors.chain(weights).collect()
    }

    /// Lines for people, one a weight.
    pub fn lines(&self) -> Vec<String> {
        let weight = |weight: &WeightSummary| {
            let share = weight.share.map_or_else(String::new, |share| format!("{:6.2} %  ", share * 100.0));
            format!("{:<8} {:>11}  {share}{}", weight.encoding, byte_size::format(weight.bytes), weight.name)
        };
        self.weights.iter().map(weight).collect()
    }
}

/// A weight from its option.
fn weight(value: &str) -> Option<WeightSummary> {
    let mut parts = value.splitn(4, SEPARATOR);
    let (encoding, bytes, share) = (parts.next()?.to_owned(), parts.next()?.parse().ok()?, parts.next()?);
    Some(WeightSummary { encoding, bytes, share: share.parse().ok(), name: parts.next()?.to_owned() })
}

/// Bytes, and errors where they are known, in a line.
impl fmt::Display for PrecisionSummary {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut by_encoding: Vec<(&str, usize)> = Vec::new();
        for weight in &self.weights {
            match by_encoding.iter_mut().find(|(name, _)| *name == weight.encoding) {
                Some((_, count)) => *count += 1,
                None => by_encoding.push((&weight.encoding, 1)),
            }
        }
        let counts: Vec<String> = by_encoding.iter().map(|(name, count)| format!("{count} in {name}")).collect();
        write!(out, "{} weights, {}: {}", self.weights.len(), byte_size::format(self.bytes()), counts.join(", "))?;
        let Some(errors) = &self.errors else { return Ok(()) };
        let error = |value: Option<f64>| value.map_or_else(|| "unknown".to_owned(), |value| format!("{value:.2e}"));
        match errors.predicted {
            Some(_) => {
                let (predicted, measured) = (error(errors.predicted), error(errors.measured));
                write!(out, "; error {predicted} predicted (single errors {}), {measured} measured", errors.method)?;
                if errors.bound.is_some() {
                    write!(out, "; gap {:.2} %", errors.gap * 100.0)?;
                }
                Ok(())
            }
            None => write!(out, "; error {} measured", error(errors.measured)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::PrecisionSummary;
    use crate::bundle::half::tests::provenance;
    use crate::precision::{ChosenWeight, Method, PrecisionReport, Prediction};
    use flashmem_plan_format::encoding::Encoding;
    use flashmem_plan_format::plan::Provenance;

    #[test]
    fn how_weights_are_stored_comes_back_from_a_plan() {
        let weight = |name: &str, encoding, share| ChosenWeight { name: name.to_owned(), encoding, bytes: 4096, share };
        let errors = Prediction {
            method: Method::Estimated,
            predicted: Some(0.0125),
            measured: None,
            bound: Some(8192.0),
            gap: 0.0,
        };
        let weights = vec![weight("a|b, c", Encoding::Q4, Some(0.25)), weight("d", Encoding::F32, None)];
        let summary = PrecisionSummary::of_report(&PrecisionReport { weights, errors: Some(errors) });
        let provenance = Provenance { options: summary.options(), ..provenance() };
        assert_eq!(PrecisionSummary::of_plan(&provenance), summary);
        assert_eq!(
            summary.to_string(),
            "2 weights, 8.0 KiB: 1 in q4, 1 in f32; error 1.25e-2 predicted (single errors estimated), unknown measured; gap 0.00 %"
        );
        assert_eq!(summary.lines()[0], "q4           4.0 KiB   25.00 %  a|b, c");
        assert!(PrecisionSummary::of_plan(&self::provenance()).is_empty());
    }
}
