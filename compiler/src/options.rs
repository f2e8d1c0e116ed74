//! What is asked of a compilation: one value that every stage is handed whole, or from which its own options are made here.
//!
//! A new option has its field, its default and its line in the bundle's provenance here, and is read where it matters. It deliberately
//! checks nothing: what cannot be planned is refused by the stage that finds it.

use crate::bundle::GoldenSource;
use crate::bundle::half::WEIGHTS_OPTION;
use crate::bundle::precision::AUTO;
use crate::import::{Dim, ImportOptions};
use crate::kernels::Math;
use crate::lower::LowerOptions;
use crate::precision::{Goal, PrecisionOptions};
use crate::profile::DeviceProfile;
use crate::schedule::{SolverKind, Strategy};
use flashmem_plan_format::byte_size;
use flashmem_plan_format::plan::Encoding;

/// Time that may be given up for memory.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Slack {
    /// Any: the least memory, whatever the time.
    Unlimited,
    /// This fraction of the best predicted time under the budget, at least 0: 0.05 is 5 %.
    Fraction(f64),
}

/// What stays resident between runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Keep {
    /// What a budget leaves after the best first run; without a budget nothing. Preloading all keeps all.
    #[default]
    Auto,
    /// Nothing: every run starts with an empty arena.
    None,
    /// Every page.
    All,
}

impl Keep {
    /// All values.
    pub const ALL: [Self; 3] = [Self::Auto, Self::None, Self::All];

    /// Name on the command line and in bundles.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::None => "none",
            Self::All => "all",
        }
    }
}

/// What to optimise for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Objective {
    /// Least predicted time, then least memory.
    Latency,
    /// Least memory, then least predicted time.
    Memory {
        /// How much slower than the best the plan may be predicted.
        slack: Slack,
    },
}

impl Objective {
    /// Name on the command line and in bundles.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Latency => "latency",
            Self::Memory { .. } => "memory",
        }
    }

    /// How much time may be given up, when the least memory is requested.
    pub const fn slack(self) -> Option<Slack> {
        match self {
            Self::Latency => None,
            Self::Memory { slack } => Some(slack),
        }
    }
}

/// Options of a compilation.
#[derive(Debug, Clone)]
pub struct CompileOptions {
    /// Stored precision of weights; that of floats, where every weight has an encoding of its own.
    pub weights: Encoding,
    /// What else decides how weights are stored.
    pub precision: PrecisionOptions,
    /// What products with weights are computed in.
    pub math: Math,
    /// Most bytes that a session may hold.
    pub budget_bytes: Option<u64>,
    /// Input shapes and symbolic dimensions.
    pub import: ImportOptions,
    /// Device profile, for predictions.
    pub profile: DeviceProfile,
    /// Objective.
    pub objective: Objective,
    /// Strategy.
    pub strategy: Strategy,
    /// What searches for the optimal schedule.
    pub solver: SolverKind,
    /// What stays resident between runs.
    pub keep: Keep,
    /// Bytes of a page, one of [`page_sizes`](crate::search::page_sizes); the search chooses where none are requested.
    pub page_bytes: Option<u64>,
    /// Self-test to store.
    pub golden: Option<GoldenSource>,
}

impl CompileOptions {
    /// What the program does when nothing else is asked of it: the fastest plan, without a budget.
    pub fn new(profile: DeviceProfile, weights: Encoding) -> Self {
        Self {
            weights,
            precision: PrecisionOptions::default(),
            math: Math::F32,
            budget_bytes: None,
            import: ImportOptions::default(),
            profile,
            objective: Objective::Latency,
            strategy: Strategy::Optimal,
            solver: SolverKind::default(),
            keep: Keep::Auto,
            page_bytes: None,
            golden: None,
        }
    }

    /// What lowering may assume, with this encoding of what is not in blocks.
    pub fn lower_options(&self, encoding: Encoding) -> LowerOptions {
        LowerOptions { encoding, math: self.math, ..LowerOptions::on(&self.profile) }
    }

    /// The options that shape a bundle, normalised. The budget is a field of the plan.
    pub fn described(&self) -> Vec<(String, String)> {
        let weights = if self.precision.goal.is_some() { AUTO.to_owned() } else { self.weights.to_string() };
        let mut list =
            vec![(WEIGHTS_OPTION.to_owned(), weights), ("objective".to_owned(), self.objective.name().to_owned())];
        match self.precision.goal {
            Some(Goal::MaxError(error)) => list.push(("max error".to_owned(), error.to_string())),
            Some(Goal::MaxBytes(bytes)) => list.push(("max weight bytes".to_owned(), bytes.to_string())),
            None => {}
        }
        if self.precision.weighed {
            list.push(("calibrated by".to_owned(), format!("{} inputs", self.precision.samples.len())));
        }
        if self.math != Math::F32 {
            list.push(("math".to_owned(), self.math.name().to_owned()));
        }
        if let Objective::Memory { slack: Slack::Fraction(fraction) } = self.objective {
            list.push(("slack".to_owned(), fraction.to_string()));
        }
        if self.solver != SolverKind::default() {
            list.push(("solver".to_owned(), self.solver.name().to_owned()));
        }
        list.push(("keep".to_owned(), self.keep.name().to_owned()));
        if let Some(bytes) = self.page_bytes {
            list.push(("page".to_owned(), byte_size::format(bytes)));
        }
        if self.import.check_indices {
            list.push(("check indices".to_owned(), "yes".to_owned()));
        }
        if self.import.states.recognised {
            list.push(("state".to_owned(), "auto".to_owned()));
        }
        list.extend(self.import.states.pairs.iter().map(|p| ("state".to_owned(), format!("{}={}", p.output, p.input))));
        list.extend(self.import.dims.iter().map(|(name, size)| (format!("set {name}"), size.to_string())));
        list.extend(self.import.values.iter().map(|(name, value)| (format!("set {name}"), value.to_string())));
        list.extend(self.import.inputs.iter().map(|(name, dims)| {
            let dims: Vec<String> = dims
                .iter()
                .map(|dim| match dim {
                    Dim::Size(size) => size.to_string(),
                    Dim::Symbol(name) => name.clone(),
                })
                .collect();
            (format!("input {name}"), dims.join("x"))
        }));
        list
    }
}
