//! The compiler as a list of stages, with a check between them.
//!
//! import → (optimise → (lower → schedule → assemble, over page sizes and ring), again with other fusions where these are
//! faster) → keep pages → golden → pack and write. Each stage is one
//! call; the types between them are the stages' own. It deliberately prints nothing: progress goes to a callback.

use crate::bundle::budget::BudgetError;
use crate::bundle::{self, BundleError, FusionReport, GoldenError, GoldenSource, Keep, golden};
use crate::graph::verify::{Violation, verify};
use crate::import::{Dim, ImportError, ImportOptions, import};
use crate::optimize::{OptimizeError, OptimizeReport};
use crate::profile::DeviceProfile;
use crate::schedule::{SolverKind, SolverReport, Strategy};
use flashmem_plan_format::container::Summary;
use flashmem_plan_format::plan::{Plan, Provenance, TexelFormat};
use std::path::Path;

mod solve;

pub use solve::SPLIT_OPTION;
use solve::{Solution, solve};

/// Most bytes of one tensor: the storage binding that every WebGPU device offers.
pub const MAX_BINDING_BYTES: u64 = 128 << 20;

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

/// Time that may be given up for memory.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Slack {
    /// Any: the least memory, whatever the time.
    Unlimited,
    /// This fraction of the best predicted time under the budget, at least 0: 0.05 is 5 %.
    Fraction(f64),
}

impl Objective {
    const fn name(self) -> &'static str {
        match self {
            Self::Latency => "latency",
            Self::Memory { .. } => "memory",
        }
    }
}

/// Options of a compilation.
#[derive(Debug, Clone)]
pub struct CompileOptions {
    /// Stored precision of weights.
    pub weights: TexelFormat,
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
    /// Self-test to store.
    pub golden: Option<GoldenSource>,
}

/// What a compilation is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// A stage begins.
    Stage(&'static str),
    /// Weight bytes written so far, and in all.
    Writing(u64, u64),
}

/// What came of a compilation.
#[derive(Debug)]
pub struct Compiled {
    /// The plan.
    pub plan: Plan,
    /// The file.
    pub summary: Summary,
    /// The solver's report.
    pub solver: SolverReport,
    /// What the optimiser did.
    pub optimize: OptimizeReport,
    /// What adaptive fusion decided.
    pub fusion: FusionReport,
}

/// A model cannot be compiled.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// It cannot be imported.
    #[error(transparent)]
    Import(#[from] ImportError),
    /// It cannot be optimised.
    #[error(transparent)]
    Optimize(#[from] OptimizeError),
    /// A stage left a malformed graph behind: our mistake.
    #[error("{stage} left a malformed graph: {}", .violations.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Malformed {
        /// The stage.
        stage: &'static str,
        /// What is wrong.
        violations: Vec<Violation>,
    },
    /// It cannot be lowered, or not within the budget.
    #[error(transparent)]
    Budget(#[from] BudgetError),
    /// The self-test cannot be made.
    #[error(transparent)]
    Golden(#[from] GoldenError),
    /// It cannot be written.
    #[error(transparent)]
    Bundle(#[from] BundleError),
}

/// Compiles `model` into the bundle `output`.
///
/// # Errors
/// See [`CompileError`].
pub fn compile(
    model: &Path,
    output: &Path,
    options: &CompileOptions,
    progress: &mut dyn FnMut(Progress),
) -> Result<Compiled, CompileError> {
    progress(Progress::Stage("import"));
    let imported = import(model, &options.import)?;
    check("import", &imported.graph)?;

    progress(Progress::Stage("optimise, schedule"));
    let provenance = Provenance {
        model: imported.name,
        model_hash: imported.model_hash,
        compiler: concat!("flashmem-compile ", env!("CARGO_PKG_VERSION")).to_owned(),
        options: described(options),
        strategy: String::new(),
        solver: String::new(),
        solver_status: String::new(),
        solver_gap: 0.0,
        profile: options.profile.name.clone(),
        disk_bytes_per_second: options.profile.disk_bytes_per_second as u64,
    };
    let Solution { graph, optimized, program, assembled, fusion } = solve(&imported.graph, options, &provenance)?;

    let golden = match &options.golden {
        Some(source) => {
            progress(Progress::Stage("golden"));
            Some(golden(model, &options.import, &graph, source, options.weights)?)
        }
        None => None,
    };

    progress(Progress::Stage("pack"));
    let summary = bundle::write(output, &program, &assembled.plan, golden.as_ref(), &mut |done, total| {
        progress(Progress::Writing(done, total));
    })?;
    Ok(Compiled { plan: assembled.plan, summary, solver: assembled.schedule.report, optimize: optimized, fusion })
}

fn check(stage: &'static str, graph: &crate::graph::Graph) -> Result<(), CompileError> {
    let violations = verify(graph);
    if violations.is_empty() { Ok(()) } else { Err(CompileError::Malformed { stage, violations }) }
}

/// The options that shape a bundle, normalised. The budget is a field of the plan.
fn described(options: &CompileOptions) -> Vec<(String, String)> {
    let weights = match options.weights {
        TexelFormat::Rgba32Float => "f32",
        TexelFormat::Rgba16Float => "f16",
    };
    let mut list =
        vec![("weights".to_owned(), weights.to_owned()), ("objective".to_owned(), options.objective.name().to_owned())];
    if let Objective::Memory { slack: Slack::Fraction(fraction) } = options.objective {
        list.push(("slack".to_owned(), fraction.to_string()));
    }
    if options.solver != SolverKind::default() {
        list.push(("solver".to_owned(), options.solver.name().to_owned()));
    }
    list.push(("keep".to_owned(), options.keep.name().to_owned()));
    list.extend(options.import.dims.iter().map(|(name, size)| (format!("set {name}"), size.to_string())));
    list.extend(options.import.inputs.iter().map(|(name, dims)| {
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
