//! The last stage: a scheduled program becomes a plan, and plan, constants, rows and pages become a `.fmplan` file.
//!
//! `assemble` makes the plan (no weight is touched), `write` packs and writes it page by page. Both are checked by
//! plan-format's own validation and abstract replay. It deliberately chooses nothing: page size, slots and ring come from
//! `budget.rs`.

pub mod budget;
mod fusion;
mod golden;
mod keep;
mod least_memory;
#[cfg(test)]
mod tests;

pub use fusion::{FusionReport, Proposal, Split, propose};
pub use keep::{Keep, keep_pages};

pub use golden::{GoldenError, GoldenSource, golden};

use crate::cost::OperatorClass;
use crate::emit::{EmitError, Expression, Linked, link};
use crate::kernels::Kernel;
use crate::lower::program::Program;
use crate::pack::{self, PackError};
use crate::profile::DeviceProfile;
use crate::schedule::{
    Problem, Schedule, ScheduleError, SolverKind, SolverReport, StepData, Strategy, emit_commands, page_uses, schedule,
    schedule_with, smallest_slots, verify as verify_schedule,
};
use flashmem_plan_format::container::{BundleWriter, Golden, Summary, WriteError};
use flashmem_plan_format::plan::{
    BINDING_ALIGNMENT, Dispatch, DispatchWeights, MemoryDeclaration, PageId, Pipeline, Plan, Provenance, Requirements,
};
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

/// Most threads that pack pages: writing and hashing, which one thread does, keep up with no more.
const MOST_PACKING_THREADS: u32 = 8;

/// Linked kernels by kernel and expression; shared by all candidates of one compilation.
#[derive(Debug, Default)]
pub struct Links {
    linked: BTreeMap<(Kernel, Option<Expression>), Linked>,
}

impl Links {
    /// The linked form of a kernel, linked on first use.
    ///
    /// # Errors
    /// See [`EmitError`].
    pub fn get(&mut self, kernel: Kernel, expression: Option<&Expression>) -> Result<&Linked, EmitError> {
        let key = (kernel, expression.cloned());
        if !self.linked.contains_key(&key) {
            let linked = link(kernel, expression)?;
            self.linked.insert(key.clone(), linked);
        }
        Ok(&self.linked[&key])
    }
}

/// A plan cannot be made or written.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// A kernel does not link.
    #[error(transparent)]
    Emit(#[from] EmitError),
    /// There is no schedule.
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
    /// The independent checker found violations: a mistake of the scheduler.
    #[error("the schedule violates its own rules: {}", .0.join("; "))]
    ScheduleInvalid(Vec<String>),
    /// Lowering and the kernel disagree about the parameter block: a mistake of lowering.
    #[error(
        "node `{node}`: lowering gives {found} bytes of parameters before the slots, kernel {kernel:?} expects {expected}"
    )]
    Params {
        /// ONNX names.
        node: String,
        /// The kernel.
        kernel: Kernel,
        /// What the kernel declares.
        expected: u32,
        /// What lowering made.
        found: u32,
    },
    /// All pages shall stay resident, and the budget does not allow it.
    #[error("keeping every page resident needs {needed_bytes} bytes, more than the budget of {budget_bytes} bytes")]
    KeepAll {
        /// The declared peak with every page resident.
        needed_bytes: u64,
        /// The budget.
        budget_bytes: u64,
    },
    /// Sizes overflow.
    #[error("the plan's memory exceeds 64 bits")]
    MemoryOverflow,
    /// A weight cannot be stored.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// The file cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// What a plan is made of besides the program.
#[derive(Debug, Clone)]
pub struct Assembly<'a> {
    /// Device profile, for predictions.
    pub profile: &'a DeviceProfile,
    /// Strategy.
    pub strategy: Strategy,
    /// What searches for the optimal schedule.
    pub solver: SolverKind,
    /// Most slots of the arena.
    pub slot_cap: u32,
    /// Buffers of the ring.
    pub staging_pages: u32,
    /// The budget, stored in the plan.
    pub budget_bytes: Option<u64>,
    /// Provenance without the solver's part.
    pub provenance: &'a Provenance,
}

/// A plan and how its schedule came about.
#[derive(Debug)]
pub struct Assembled {
    /// The plan, memory and requirements declared.
    pub plan: Plan,
    /// The schedule.
    pub schedule: Schedule,
}

/// Pages that each step reads.
pub fn step_pages(program: &Program) -> Vec<Option<Range<u32>>> {
    let size = u64::from(program.page.texels());
    let range = |t: &Range<u64>| (t.start / size) as u32..((t.end - 1) / size + 1) as u32;
    program.steps.iter().map(|s| s.weight_texels.as_ref().filter(|t| !t.is_empty()).map(range)).collect()
}

/// The scheduling problem of a program.
///
/// # Errors
/// [`BundleError::Schedule`] when the page ranges contradict each other.
pub fn problem(program: &Program, assembly: &Assembly<'_>) -> Result<Problem, BundleError> {
    let page_bytes = program.page.page_bytes();
    let profile = assembly.profile;
    let steps = program
        .steps
        .iter()
        .map(|s| {
            let execute_us = profile.step_cost(s.cost.class, s.cost.flops as u64, s.cost.bytes as u64);
            let capacity_pages = profile.capacity_pages(s.cost.class, execute_us, page_bytes);
            StepData { node: s.node.clone(), class: s.cost.class, execute_us, capacity_pages }
        })
        .collect();
    let pages = page_uses(&step_pages(program), program.pages() as u32).map_err(ScheduleError::from)?;
    Ok(Problem {
        page_bytes,
        steps,
        pages,
        slot_cap: assembly.slot_cap,
        staging_pages: assembly.staging_pages,
        disk_bytes_per_us: profile.disk_bytes_per_us(),
        upload_bytes_per_us: profile.upload_bytes_per_us(),
    })
}

/// Schedules a program and makes its plan.
///
/// # Errors
/// See [`BundleError`].
pub fn assemble(program: &Program, links: &mut Links, assembly: &Assembly<'_>) -> Result<Assembled, BundleError> {
    let problem = problem(program, assembly)?;
    let pages = step_pages(program);
    let schedule = schedule_with(&problem, assembly.strategy, assembly.solver)?;
    let stream = emit_commands(&problem, &schedule, &pages);
    let violations = verify_schedule::verify(&problem, &schedule, &stream, &pages);
    if !violations.is_empty() {
        return Err(BundleError::ScheduleInvalid(violations.iter().map(ToString::to_string).collect()));
    }

    let mut pipelines: Vec<Pipeline> = Vec::new();
    let mut pipeline_of: BTreeMap<(Kernel, Option<Expression>), u32> = BTreeMap::new();
    let mut params: Vec<u8> = Vec::new();
    let mut dispatches = Vec::with_capacity(program.steps.len());
    for (index, step) in program.steps.iter().enumerate() {
        let linked = links.get(step.kernel, step.expression.as_ref())?;
        let pipeline = *pipeline_of.entry((step.kernel, step.expression.clone())).or_insert_with(|| {
            pipelines.push(Pipeline {
                label: linked.label.clone(),
                source: linked.source.clone(),
                params_bytes: linked.params_bytes,
                uses_weights: linked.uses_weights,
                storage_bindings: linked.storage_bindings,
                workgroup_size: linked.workgroup_size,
                workgroup_bytes: linked.workgroup_bytes,
            });
            pipelines.len() as u32 - 1
        });
        let expected = linked.slots_offset.unwrap_or(linked.params_bytes);
        let found = step.params.len() as u32 * 4;
        // A uniform block is padded to 16 bytes; what precedes the slots is not.
        if found > expected || found.next_multiple_of(16) < expected {
            return Err(BundleError::Params { node: step.node.clone(), kernel: step.kernel, expected, found });
        }
        params.resize(params.len().next_multiple_of(BINDING_ALIGNMENT as usize), 0);
        let params_offset_bytes = params.len() as u64;
        params.extend(step.params.iter().flat_map(|w| w.to_le_bytes()));
        params.resize(params_offset_bytes as usize + expected as usize, 0);
        let slots = &stream.slots_of_step[index];
        params.extend(slots.iter().flat_map(|s| s.0.to_le_bytes()));
        params.resize(params_offset_bytes as usize + linked.params_bytes as usize, 0);
        let weights = pages[index].as_ref().map(|range| DispatchWeights {
            first_page: PageId(range.start),
            page_count: range.end - range.start,
            slots_offset_bytes: expected,
        });
        dispatches.push(Dispatch {
            pipeline,
            params_offset_bytes,
            bindings: step.bindings.clone(),
            workgroups: step.workgroups,
            weights,
            node: step.node.clone(),
            loop_rounds: step.rounds,
            predicted_us: problem.steps[index].execute_us.round() as u32,
        });
    }
    let report = &schedule.report;
    let has_pages = program.pages() > 0;
    let mut plan = Plan {
        provenance: Provenance {
            strategy: assembly.strategy.name().to_owned(),
            solver: report.solver.to_owned(),
            solver_status: report.status.name().to_owned(),
            solver_gap: report.gap,
            ..assembly.provenance.clone()
        },
        requirements: Requirements::default(),
        inputs: program.inputs.clone(),
        outputs: program.outputs.clone(),
        checks: program.checks.clone(),
        page: program.page,
        page_count: program.pages() as u32,
        slot_count: stream.slot_count,
        staging_pages: if has_pages { assembly.staging_pages } else { 0 },
        weight_bytes: weight_bytes(program),
        row_tables: program.row_sources.iter().map(|s| s.table.clone()).collect(),
        row_gathers: program.row_gathers.clone(),
        index_bounds: program.index_bounds.clone(),
        pipelines,
        params,
        dispatches,
        commands: stream.commands,
        repeat_commands: Vec::new(),
        activation_bytes: program.activation_bytes,
        memory: MemoryDeclaration::default(),
        budget_bytes: assembly.budget_bytes,
        predicted_cold_us: schedule.finish_us.ceil() as u64,
        predicted_warm_us: schedule.finish_us.ceil() as u64,
    };
    let constant_bytes = program.constants.len() as u64;
    plan.requirements = Requirements::of(&plan, constant_bytes);
    plan.memory = MemoryDeclaration::of(&plan, constant_bytes).ok_or(BundleError::MemoryOverflow)?;
    Ok(Assembled { plan, schedule })
}

/// Bytes of weights at the stored precision: elements of streamed weights and of row tables, without padding.
fn weight_bytes(program: &Program) -> u64 {
    let element = u64::from(program.page.format.texel_bytes() / 4);
    let streamed: u64 =
        program.weights.iter().map(|w| w.packing.groups as u64 * w.packing.k() as u64 * w.packing.n() as u64).sum();
    let rows: u64 = program.row_sources.iter().map(|s| s.table.row_bytes() * u64::from(s.table.rows)).sum();
    streamed * element + rows
}

/// Packs and writes a bundle; `progress` hears (bytes done, bytes in all).
///
/// # Errors
/// See [`BundleError`].
pub fn write(
    path: &Path,
    program: &Program,
    plan: &Plan,
    golden: Option<&Golden>,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Summary, BundleError> {
    let mut writer = BundleWriter::create(path, plan, &program.constants, golden)?;
    let page_bytes = plan.page.page_bytes();
    let total = page_bytes * u64::from(plan.page_count)
        + plan.row_tables.iter().map(|t| t.row_bytes() * u64::from(t.rows)).sum::<u64>();
    let mut done = 0;
    for source in &program.row_sources {
        for row in 0..source.table.rows {
            writer.push_rows(&pack::row(source, row)?)?;
            done += source.table.row_bytes();
            if row % 1024 == 0 {
                progress(done, total);
            }
        }
    }
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get() as u32).min(MOST_PACKING_THREADS);
    pack::pages(program, threads, |page| {
        writer.push_page(&page)?;
        done += page_bytes;
        progress(done, total);
        Ok::<(), BundleError>(())
    })?;
    Ok(writer.finish()?)
}

/// Solves the scheduling problem of a bundle again, from its dispatches, pages and slots, with its own strategy; the report's
/// wall clock is that of this run.
///
/// # Errors
/// See [`ScheduleError`].
pub fn replan(plan: &Plan) -> Result<SolverReport, ScheduleError> {
    let pages: Vec<Option<Range<u32>>> = plan
        .dispatches
        .iter()
        .map(|d| d.weights.as_ref().map(|w| w.first_page.0..w.first_page.0 + w.page_count))
        .collect();
    let steps = plan
        .dispatches
        .iter()
        .map(|d| StepData {
            node: d.node.clone(),
            class: OperatorClass::Reusable,
            execute_us: f64::from(d.predicted_us),
            capacity_pages: 0,
        })
        .collect();
    let rate = plan.provenance.disk_bytes_per_second as f64 / 1e6;
    let mut problem = Problem {
        page_bytes: plan.page.page_bytes(),
        steps,
        pages: page_uses(&pages, plan.page_count)?,
        slot_cap: plan.slot_count,
        staging_pages: plan.staging_pages,
        disk_bytes_per_us: rate,
        upload_bytes_per_us: 10.0 * rate,
    };
    let strategy =
        Strategy::ALL.into_iter().find(|s| s.name() == plan.provenance.strategy).unwrap_or(Strategy::Optimal);
    // A bundle does not hold the classes of its steps, on which the slots of one baseline depend.
    problem.slot_cap = problem.slot_cap.max(smallest_slots(&problem, strategy)?);
    Ok(schedule(&problem, strategy)?.report)
}
