//! The compiler as a list of stages, with a check between them.
//!
//! import → (optimise → (lower → schedule → assemble, over page sizes and ring), again with other fusions where these are
//! faster) → keep pages → golden → pack and write. Each stage is one
//! call; the types between them are the stages' own. It deliberately prints nothing: progress goes to a callback.

use crate::bundle::budget::{BudgetError, Planned};
use crate::bundle::{self, BundleError, FusionReport, GoldenError, GoldenSource, Keep, golden};
use crate::graph::Graph;
use crate::graph::verify::{Violation, verify};
use crate::import::{Dim, ImportError, ImportOptions, Imported, import};
use crate::optimize::{OptimizeError, OptimizeReport};
use crate::profile::{DeviceProfile, ExceededLimit};
use crate::schedule::{SolverKind, SolverReport, Strategy};
use flashmem_plan_format::container::{Golden, Summary};
use flashmem_plan_format::files::{FileError, Named, check_outputs};
use flashmem_plan_format::plan::{Plan, Provenance, TexelFormat};
use std::path::{Path, PathBuf};

pub mod half;
mod solve;

pub use crate::bundle::budget::Slack;
pub use solve::SPLIT_OPTION;
use solve::{Solution, solve};

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
    /// The device cannot hold or bind what the plan needs.
    #[error("device `{profile}` has {} = {}, and the plan needs {}", exceeded.limit, exceeded.available, exceeded.needed)]
    Limit {
        /// Name of the profile.
        profile: String,
        /// The limit.
        exceeded: ExceededLimit,
    },
    /// The self-test cannot be made.
    #[error(transparent)]
    Golden(#[from] GoldenError),
    /// It cannot be written.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// What is to be written cannot be, or would overwrite what is read.
    #[error(transparent)]
    Output(#[from] FileError),
}

/// A model that was imported: what every plan of it starts from, whatever the budget.
#[derive(Debug)]
pub struct Prepared {
    graph: Graph,
    name: String,
    model_hash: String,
    files: Vec<PathBuf>,
}

impl Prepared {
    /// A graph that was made by hand, which stands for a model of this name.
    pub fn from_graph(graph: Graph, name: &str) -> Self {
        Self { graph, name: name.to_owned(), model_hash: String::new(), files: Vec::new() }
    }

    /// Name of the model: its file stem.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the model was read from; no output may be one of these.
    pub fn files(&self) -> Vec<Named> {
        let roles = ["the model"].into_iter().chain(std::iter::repeat("the model's external data"));
        roles.zip(&self.files).map(|(role, path)| Named::new(role, path)).collect()
    }

    /// Bytes of all tensors of the graph, as an estimate of the work that planning is.
    pub fn tensor_bytes(&self) -> u64 {
        let bytes = |shape: &[usize]| shape.iter().fold(4_u64, |product, size| product.saturating_mul(*size as u64));
        let ids = self.graph.node_ids();
        ids.into_iter().fold(0, |sum: u64, id| sum.saturating_add(bytes(&self.graph.node(id).shape)))
    }
}

/// Imports `model`.
///
/// # Errors
/// See [`CompileError`].
pub fn prepare(
    model: &Path,
    options: &CompileOptions,
    progress: &mut dyn FnMut(Progress),
) -> Result<Prepared, CompileError> {
    progress(Progress::Stage("import"));
    let imported = import(model, &options.import)?;
    check("import", &imported.graph)?;
    let Imported { graph, name, model_hash, files } = imported;
    Ok(Prepared { graph, name, model_hash, files })
}

/// The plan that compiling a prepared model with these options would write.
///
/// # Errors
/// See [`CompileError`].
pub fn plan(prepared: &Prepared, options: &CompileOptions) -> Result<Planned, CompileError> {
    let Solution { program, assembled, .. } = solution(prepared, options)?;
    Ok(Planned { program, assembled })
}

/// Optimises, lowers, schedules and assembles; refuses what the device cannot hold or bind.
fn solution(prepared: &Prepared, options: &CompileOptions) -> Result<Solution, CompileError> {
    let provenance = Provenance {
        model: prepared.name.clone(),
        model_hash: prepared.model_hash.clone(),
        compiler: concat!("flashmem-compile ", env!("CARGO_PKG_VERSION")).to_owned(),
        options: described(options),
        strategy: String::new(),
        solver: String::new(),
        solver_status: String::new(),
        solver_gap: 0.0,
        profile: options.profile.name.clone(),
        disk_bytes_per_second: options.profile.disk_bytes_per_second as u64,
    };
    let solution = solve(&prepared.graph, options, &provenance)?;
    match options.profile.limits.exceeded_by(&solution.assembled.plan.requirements) {
        None => Ok(solution),
        Some(exceeded) => Err(CompileError::Limit { profile: options.profile.name.clone(), exceeded }),
    }
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
    let prepared = prepare(model, options, progress)?;
    check_outputs(&prepared.files(), &[Named::new("the output", output)])?;

    progress(Progress::Stage("optimise, schedule"));
    let solution = solution(&prepared, options)?;

    let golden = match &options.golden {
        Some(source) => {
            progress(Progress::Stage("golden"));
            Some(golden(model, &options.import, &solution.graph, source, options.weights)?)
        }
        None => None,
    };
    write(output, solution, golden.as_ref(), progress)
}

/// Compiles a prepared model into the bundle `output`, without a self-test.
///
/// # Errors
/// See [`CompileError`].
pub fn compile_prepared(
    prepared: &Prepared,
    output: &Path,
    options: &CompileOptions,
) -> Result<Compiled, CompileError> {
    check("the caller", &prepared.graph)?;
    write(output, solution(prepared, options)?, None, &mut |_| ())
}

fn write(
    output: &Path,
    solution: Solution,
    golden: Option<&Golden>,
    progress: &mut dyn FnMut(Progress),
) -> Result<Compiled, CompileError> {
    let Solution { optimized, program, assembled, fusion, .. } = solution;
    progress(Progress::Stage("pack"));
    let summary = bundle::write(output, &program, &assembled.plan, golden, &mut |done, total| {
        progress(Progress::Writing(done, total));
    })?;
    Ok(Compiled { plan: assembled.plan, summary, solver: assembled.schedule.report, optimize: optimized, fusion })
}

fn check(stage: &'static str, graph: &Graph) -> Result<(), CompileError> {
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
    if options.import.check_indices {
        list.push(("check indices".to_owned(), "yes".to_owned()));
    }
    list.extend(options.import.dims.iter().map(|(name, size)| (format!("set {name}"), size.to_string())));
    list.extend(options.import.values.iter().map(|(name, value)| (format!("set {name}"), value.to_string())));
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

#[cfg(test)]
mod tests {
    use super::{CompileOptions, Objective, plan, prepare};
    use crate::bundle::Keep;
    use crate::import::ImportOptions;
    use crate::profile::{DeviceLimits, DeviceProfile};
    use crate::schedule::{SolverKind, Strategy};
    use flashmem_plan_format::plan::{Requirements, TexelFormat};

    /// A small network planned for a device with these limits: what the plan needs, or the message.
    fn needs_with(change: fn(&mut DeviceLimits), strategy: Strategy) -> Result<Requirements, String> {
        let model = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/models/tiny/vit.onnx");
        let mut profile = DeviceProfile::default();
        change(&mut profile.limits);
        let options = CompileOptions {
            weights: TexelFormat::Rgba32Float,
            budget_bytes: None,
            import: ImportOptions::default(),
            profile,
            objective: Objective::Latency,
            strategy,
            solver: SolverKind::default(),
            keep: Keep::None,
            golden: None,
        };
        let prepared = prepare(&model, &options, &mut |_| ()).map_err(|error| error.to_string())?;
        let planned = plan(&prepared, &options).map_err(|error| error.to_string())?;
        Ok(planned.assembled.plan.requirements)
    }

    #[test]
    fn what_the_device_cannot_hold_or_bind_is_refused() {
        let all = needs_with(|_| (), Strategy::PreloadAll).expect("the desktop holds everything");
        assert!(all.texture_array_layers > 3 && all.storage_binding_bytes > 8192, "{all:?}");
        let few = needs_with(|limits| limits.texture_array_layers = 3, Strategy::Optimal);
        assert!(few.as_ref().is_ok_and(|needs| needs.texture_array_layers <= 3), "{few:?}");
        // Large tensors are cut; what cannot be is refused with the limit.
        match needs_with(|limits| limits.storage_binding_bytes = 8192, Strategy::Optimal) {
            Ok(needs) => assert!(needs.storage_binding_bytes <= 8192, "{needs:?}"),
            Err(message) => assert!(message.contains("8192"), "{message}"),
        }
        let refused = |change, expected: &str| {
            let message = needs_with(change, Strategy::PreloadAll).expect_err("it does not fit");
            assert!(message.contains(expected), "{message}");
        };
        refused(
            |limits| limits.texture_array_layers = 0,
            "device `desktop` has max_texture_array_layers = 0, and at least",
        );
        refused(|limits| limits.buffer_bytes = 5000, "device `desktop` has max_buffer_size = 5000, and the plan needs");
        refused(
            |limits| limits.texture_side = 255,
            "device `desktop` has max_texture_dimension_2d = 255, and the plan needs 256",
        );
    }
}
