//! What a bundle says about half precision: which weights were brought into its range, and which stay in f32.
//!
//! Stored among the options of a plan, an entry a weight, and only where there is something to say.

use crate::lower::half::HalfReport;
use flashmem_plan_format::plan::{Encoding, Provenance};
use std::fmt;

/// Option of a plan with the encoding of its weights.
pub const WEIGHTS_OPTION: &str = "weights";
/// Option of a weight that was brought into range.
const SCALED: &str = "weight scaled into f16";
/// Option of a constant that stays in f32.
const KEPT: &str = "constant kept in f32";
/// Option of the largest relative L2 error of a channel of the weights that were scaled.
const ERROR: &str = "largest error of scaled weights";

/// Weights that a text lists.
const LISTED: usize = 4;

/// How a plan's weights are stored, apart from those that only f32 holds; `None` where the plan does not say.
pub fn stored_encoding(provenance: &Provenance) -> Option<Encoding> {
    let (_, name) = provenance.options.iter().find(|(option, _)| option == WEIGHTS_OPTION)?;
    Encoding::NAMED.into_iter().find(|encoding| encoding.to_string() == *name)
}

/// What was done for half precision.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct HalfSummary {
    /// Names of the weights that were brought into range by powers of two.
    pub scaled: Vec<String>,
    /// Names of the constants that stay in f32.
    pub kept_f32: Vec<String>,
    /// Largest relative L2 error of a channel of the scaled weights.
    pub worst_error: Option<f64>,
}

impl HalfSummary {
    /// That of a compilation.
    pub fn of_report(report: &HalfReport) -> Self {
        Self {
            scaled: report.scaled.iter().map(|weight| weight.name.clone()).collect(),
            kept_f32: report.kept_f32.clone(),
            worst_error: report.scaled.iter().map(|weight| weight.error).reduce(f64::max),
        }
    }

    /// That of a plan.
    pub fn of_plan(provenance: &Provenance) -> Self {
        let named = |option: &str| {
            let found = provenance.options.iter().filter(|(name, _)| name == option);
            found.map(|(_, value)| value.clone()).collect::<Vec<String>>()
        };
        let worst_error = named(ERROR).first().and_then(|error| error.parse().ok());
        Self { scaled: named(SCALED), kept_f32: named(KEPT), worst_error }
    }

    /// Whether nothing was done.
    pub fn is_empty(&self) -> bool {
        self.scaled.is_empty() && self.kept_f32.is_empty()
    }

    /// The entries among a plan's options.
    pub fn options(&self) -> Vec<(String, String)> {
        let entry = |option: &str, value: &String| (option.to_owned(), value.clone());
        let error = self.worst_error.map(|error| (ERROR.to_owned(), format!("{error:.2e}")));
        let scaled = self.scaled.iter().map(|name| entry(SCALED, name));
        scaled.chain(error).chain(self.kept_f32.iter().map(|name| entry(KEPT, name))).collect()
    }
}

impl fmt::Display for HalfSummary {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |names: &[String]| {
            let shown: Vec<String> = names.iter().take(LISTED).map(|name| format!("`{name}`")).collect();
            let more = names.len().saturating_sub(LISTED);
            shown.join(", ") + &if more > 0 { format!(" and {more} more") } else { String::new() }
        };
        let weights = |count: usize| if count == 1 { "1 weight".to_owned() } else { format!("{count} weights") };
        let mut parts = Vec::new();
        if !self.scaled.is_empty() {
            let error =
                self.worst_error.map_or_else(String::new, |error| format!(", relative error at most {error:.1e}"));
            parts.push(format!("{} scaled into range: {}{error}", weights(self.scaled.len()), list(&self.scaled)));
        }
        if !self.kept_f32.is_empty() {
            parts.push(format!("{} kept in f32: {}", weights(self.kept_f32.len()), list(&self.kept_f32)));
        }
        if parts.is_empty() {
            parts.push("every weight in range".to_owned());
        }
        out.write_str(&parts.join("; "))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::HalfSummary;
    use crate::lower::half::{HalfReport, ScaledWeight};
    use flashmem_plan_format::plan::Provenance;

    #[test]
    fn what_was_done_comes_back_from_a_plan() {
        let weight = |name: &str, error| ScaledWeight { name: name.to_owned(), error };
        let scaled = vec![weight("a, b", 1e-4), weight("c", 3e-4)];
        let summary = HalfSummary::of_report(&HalfReport { scaled, kept_f32: vec!["table".to_owned()] });
        let provenance = Provenance { options: summary.options(), ..provenance() };
        assert_eq!(HalfSummary::of_plan(&provenance), summary);
        assert_eq!(
            summary.to_string(),
            "2 weights scaled into range: `a, b`, `c`, relative error at most 3.0e-4; 1 weight kept in f32: `table`"
        );
        assert!(HalfSummary::of_plan(&self::provenance()).is_empty());
    }

    /// An empty one.
    pub fn provenance() -> Provenance {
        Provenance {
            model: String::new(),
            model_hash: String::new(),
            compiler: String::new(),
            options: Vec::new(),
            strategy: String::new(),
            solver: String::new(),
            solver_status: String::new(),
            solver_gap: 0.0,
            profile: String::new(),
            disk_bytes_per_second: 1.0,
            upload_bytes_per_second: 1.0,
        }
    }
}
