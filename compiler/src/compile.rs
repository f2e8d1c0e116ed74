//! The compiler as a list: one call a stage, the types between them the stages' own, and a check behind every producer.
//!
//! `compile` is the list: import, search, golden, write. The search takes every candidate through optimisation (`search/`) and
//! the stages behind it (`stages/`). It deliberately prints nothing: progress goes to a callback.

use crate::bundle::{self, BundleError, GoldenError, golden};
use crate::graph::Graph;
use crate::graph::interpret::words_of;
use crate::import::{ImportError, Imported, golden_inputs, import};
use crate::optimize::OptimizeReport;
use crate::precision::{Decision, PrecisionOptions, PrecisionReport, Sample};
use crate::profile::ExceededLimit;
use crate::schedule::SolverReport;
use crate::search::{FusionReport, Planned, Solution, SolveError, check, solve};
use flashmem_plan_format::container::Summary;
use flashmem_plan_format::files::{FileError, Named, ScratchFile, check_outputs};
use flashmem_plan_format::plan::{Encoding, Plan, Provenance};
use flashmem_plan_format::{PlanViolation, ReplayViolation, Violations, replay, validate};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

pub use crate::options::{CompileOptions, Objective, Slack};
pub use crate::search::SPLIT_OPTION;

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
    /// How every weight is stored, where that is not in one format of floats.
    pub precision: Option<PrecisionReport>,
}

/// A model cannot be compiled.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// It cannot be imported.
    #[error(transparent)]
    Import(#[from] ImportError),
    /// It cannot be optimised, or lowered, or not within the budget.
    #[error(transparent)]
    Solve(#[from] SolveError),
    /// The plan breaks the rules of its own format: a mistake of ours, or a model beyond what a bundle can say.
    #[error("the plan is invalid: {0}")]
    Invalid(Violations<PlanViolation>),
    /// The plan's program is wrong: our mistake.
    #[error("the plan cannot be replayed: {0}")]
    Replay(Violations<ReplayViolation>),
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
    /// How weights are stored, with what that was decided for: plans for several budgets decide it once.
    decided: Mutex<Option<(DecidedFor, Decision)>>,
}

/// Device profile, precision of floats, and what else decides how weights are stored.
type DecidedFor = (String, Encoding, PrecisionOptions);

impl Prepared {
    /// A graph that was made by hand, which stands for a model of this name.
    pub fn from_graph(graph: Graph, name: &str) -> Self {
        Self { graph, name: name.to_owned(), model_hash: String::new(), files: Vec::new(), decided: Mutex::default() }
    }

    /// What the interpreter takes for raw inputs in the API's element types and port order.
    pub fn sample(&self, inputs: &[Vec<u8>]) -> Sample {
        self.graph.inputs.iter().zip(inputs).map(|(port, bytes)| words_of(port.element, bytes)).collect()
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
    Ok(Prepared { graph, name, model_hash, files, decided: Mutex::default() })
}

/// The plan that compiling a prepared model with these options would write.
///
/// # Errors
/// See [`CompileError`].
pub fn plan(prepared: &Prepared, options: &CompileOptions) -> Result<Planned, CompileError> {
    let Solution { program, assembled, .. } = solution(prepared, options)?;
    Ok(Planned { program, assembled })
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
    finish(&prepared, options, Target::Bundle { output, model: Some(model) }, progress)
}

/// Compiles `model` into a file beside `output` that is to be linked.
///
/// # Errors
/// See [`CompileError`].
pub fn compile_scratch(
    model: &Path,
    output: &Path,
    options: &CompileOptions,
    progress: &mut dyn FnMut(Progress),
) -> Result<ScratchFile, CompileError> {
    let prepared = prepare(model, options, progress)?;
    check_outputs(&prepared.files(), &[Named::new("the output", output)])?;
    let scratch = ScratchFile::beside(output)?;
    finish(&prepared, options, Target::Scratch(&scratch), progress)?;
    Ok(scratch)
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
    finish(prepared, options, Target::Bundle { output, model: None }, &mut |_| ())
}

/// Where a bundle goes.
enum Target<'a> {
    /// To its file, with a self-test if one is asked for and the model is there to make it of.
    Bundle { output: &'a Path, model: Option<&'a Path> },
    /// To a file that is to be linked, without a self-test.
    Scratch(&'a ScratchFile),
}

/// Search, golden and write: what follows import, whatever is made.
fn finish(
    prepared: &Prepared,
    options: &CompileOptions,
    target: Target<'_>,
    progress: &mut dyn FnMut(Progress),
) -> Result<Compiled, CompileError> {
    progress(Progress::Stage("optimise, schedule"));
    let solution = solution(prepared, options)?;
    let (program, plan) = (&solution.program, &solution.assembled.plan);
    let summary = match target {
        Target::Bundle { output, model } => {
            let test = match (&options.golden, model) {
                (Some(source), Some(model)) => {
                    progress(Progress::Stage("golden"));
                    let mixed = options.precision.goal.is_some();
                    let made = (&solution.graph, program);
                    Some(golden(model, &options.import, made, source, options.weights, mixed)?)
                }
                (None, _) | (_, None) => None,
            };
            progress(Progress::Stage("pack"));
            let writing = &mut |done, total| progress(Progress::Writing(done, total));
            bundle::write(output, program, plan, test.as_ref(), writing)?
        }
        Target::Scratch(file) => {
            progress(Progress::Stage("pack"));
            let writing = &mut |done, total| progress(Progress::Writing(done, total));
            bundle::write_scratch(file, program, plan, writing)?
        }
    };
    let Solution { optimized, assembled, fusion, precision, .. } = solution;
    let solver = assembled.schedule.report;
    Ok(Compiled { plan: assembled.plan, summary, solver, optimize: optimized, fusion, precision })
}

/// The best plan. Refuses what the device cannot hold or bind, and what breaks the rules of the format.
fn solution(prepared: &Prepared, options: &CompileOptions) -> Result<Solution, CompileError> {
    let options = &with_samples(prepared, options);
    let decided_for = (options.profile.name.clone(), options.weights, options.precision.clone());
    let mut decided = prepared.decided.lock().unwrap_or_else(PoisonError::into_inner);
    let known = decided.take().filter(|(known_for, _)| *known_for == decided_for).map(|(_, decision)| decision);
    let mut solution = solve(&prepared.graph, options, &provenance(prepared, options), known)?;
    *decided = solution.decision.take().map(|decision| (decided_for, decision));
    let plan = &solution.assembled.plan;
    if let Some(exceeded) = options.profile.limits.exceeded_by(&plan.requirements) {
        return Err(CompileError::Limit { profile: options.profile.name.clone(), exceeded });
    }
    validate(plan, solution.program.constants.len() as u64).map_err(CompileError::Invalid)?;
    replay(plan).map_err(CompileError::Replay)?;
    Ok(solution)
}

/// The options with inputs that exercise the model, where it is to be run and none are given.
fn with_samples(prepared: &Prepared, options: &CompileOptions) -> CompileOptions {
    let mut options = options.clone();
    if options.precision.needs_samples() && options.precision.samples.is_empty() {
        options.precision.samples = vec![prepared.sample(&golden_inputs(&prepared.graph))];
    }
    options
}

/// Where a plan comes from, without what the search adds.
fn provenance(prepared: &Prepared, options: &CompileOptions) -> Provenance {
    Provenance {
        model: prepared.name.clone(),
        model_hash: prepared.model_hash.clone(),
        compiler: concat!("flashmem-compile ", env!("CARGO_PKG_VERSION")).to_owned(),
        options: options.described(),
        strategy: String::new(),
        solver: String::new(),
        solver_status: String::new(),
        solver_gap: 0.0,
        profile: options.profile.name.clone(),
        disk_bytes_per_second: options.profile.disk_bytes_per_second,
        upload_bytes_per_second: options.profile.upload_bytes_per_second,
    }
}

#[cfg(test)]
mod tests {
    use super::{CompileOptions, plan, prepare};
    use crate::bundle::Assembly;
    use crate::options::Keep;
    use crate::profile::{DeviceLimits, DeviceProfile};
    use crate::schedule::{Schedule, SolverKind, SolverReport, Strategy};
    use crate::stages::{problem, problem_of_plan, schedule_of_plan};
    use flashmem_plan_format::plan::{Encoding, Requirements};

    const MODEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/models/tiny/vit.onnx");

    fn options(profile: DeviceProfile, strategy: Strategy) -> CompileOptions {
        CompileOptions { strategy, keep: Keep::None, ..CompileOptions::new(profile, Encoding::F32) }
    }

    #[test]
    fn a_plan_holds_the_problem_that_it_was_scheduled_for() {
        let profile = DeviceProfile::load("flagship-phone").expect("built in");
        let all = Strategy::ALL.into_iter().map(|strategy| options(profile.clone(), strategy));
        let budget = |keep| CompileOptions {
            budget_bytes: Some(1_500_000),
            keep,
            ..options(profile.clone(), Strategy::Optimal)
        };
        let microlp = CompileOptions { solver: SolverKind::Microlp, ..budget(Keep::None) };
        let everything = CompileOptions { keep: Keep::All, ..options(profile.clone(), Strategy::Optimal) };
        let prepared = prepare(MODEL.as_ref(), &everything, &mut |_| ()).expect("the model is supported");
        for options in all.chain([budget(Keep::None), budget(Keep::Auto), microlp, everything]) {
            let what =
                format!("{:?} {:?} {:?} {:?}", options.strategy, options.keep, options.solver, options.budget_bytes);
            let planned = plan(&prepared, &options).expect("the budget works");
            let (plan, schedule) = (&planned.assembled.plan, &planned.assembled.schedule);
            let assembly = Assembly {
                profile: &profile,
                strategy: options.strategy,
                solver: options.solver,
                slot_cap: plan.slot_cap,
                staging_pages: plan.staging_pages,
                budget_bytes: None,
                provenance: &plan.provenance,
            };
            let own = problem(&planned.program, &assembly).expect("consistent");
            assert!(own == problem_of_plan(plan).expect("consistent"), "{what}: another problem");
            let again = schedule_of_plan(plan).expect("it has a schedule");
            let report = SolverReport { ms: schedule.report.ms, ..again.report.clone() };
            assert_eq!(Schedule { report, ..again }, *schedule, "{what}");
        }
    }

    /// A small network planned for a device with these limits: what the plan needs, or the message.
    fn needs_with(change: fn(&mut DeviceLimits), strategy: Strategy) -> Result<Requirements, String> {
        let mut profile = DeviceProfile::default();
        change(&mut profile.limits);
        let options = options(profile, strategy);
        let prepared = prepare(MODEL.as_ref(), &options, &mut |_| ()).map_err(|error| error.to_string())?;
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
