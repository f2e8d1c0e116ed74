//! A scheduled program with its linked kernels becomes a plan, which declares what it needs; no weight is touched.
//!
//! Checked by plan-format's own validation and abstract replay. It deliberately chooses nothing: page size, slots and ring come
//! from the search.

use crate::emit::{LinkKey, Linked, ParamError};
use crate::lower::program::{Program, Step, Weight};
use crate::narrow::{count32, index32};
use crate::profile::DeviceProfile;
use crate::schedule::{CommandStream, Problem, Schedule, SolverKind, StepData, Strategy};
use flashmem_plan_format::plan::{
    BINDING_ALIGNMENT, Dispatch, DispatchWeights, MAX_PREDICTED_US, MemoryDeclaration, PageId, Pipeline, Plan,
    Provenance, Requirements, SlotId,
};
use std::collections::BTreeMap;
use std::ops::Range;
use std::rc::Rc;

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

/// A program cannot be made a plan.
#[derive(Debug, thiserror::Error)]
pub enum AssembleError {
    /// Lowering and the kernel disagree about the parameter block: a mistake of lowering.
    #[error("node `{node}`: {mistake}")]
    Params {
        /// ONNX names.
        node: String,
        /// What does not fit the kernel's block.
        mistake: ParamError,
    },
    /// Sizes overflow.
    #[error("the plan's memory exceeds 64 bits")]
    MemoryOverflow,
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
    let range = |t: &Range<u64>| count32(t.start / size)..count32((t.end - 1) / size + 1);
    program.steps.iter().map(|s| s.weight_texels.as_ref().filter(|t| !t.is_empty()).map(range)).collect()
}

/// Makes the plan of a scheduled program; `linked` are the kernels of its steps.
///
/// # Errors
/// See [`AssembleError`].
pub fn assemble(
    program: &Program,
    problem: &Problem,
    schedule: &Schedule,
    stream: &CommandStream,
    linked: &[Rc<Linked>],
    assembly: &Assembly<'_>,
) -> Result<Plan, AssembleError> {
    let pages = step_pages(program);
    let mut calls = Calls::default();
    for (index, step) in program.steps.iter().enumerate() {
        calls.push(
            program,
            step,
            &problem.steps[index],
            &linked[index],
            pages[index].as_ref(),
            &stream.slots_of_step[index],
        )?;
    }
    let report = &schedule.report;
    let has_pages = program.pages() > 0;
    let mut plan = Plan {
        names: program.names.clone(),
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
        states: program.states.clone(),
        page: program.page,
        page_count: count32(program.pages()),
        slot_count: stream.slot_count,
        slot_cap: problem.slot_cap,
        staging_pages: if has_pages { assembly.staging_pages } else { 0 },
        weight_bytes: weight_bytes(program),
        row_tables: program.row_sources.iter().map(|s| s.table.clone()).collect(),
        row_gathers: program.row_gathers.clone(),
        index_bounds: program.index_bounds.clone(),
        pipelines: calls.pipelines,
        params: calls.params,
        dispatches: calls.dispatches,
        commands: stream.commands.clone(),
        repeat_commands: Vec::new(),
        activation_bytes: program.activation_bytes,
        memory: MemoryDeclaration::default(),
        budget_bytes: assembly.budget_bytes,
        predicted_cold_us: schedule.finish_us.ceil() as u64,
        predicted_warm_us: schedule.finish_us.ceil() as u64,
    };
    let constant_bytes = program.constants.len() as u64;
    plan.requirements = Requirements::of(&plan, constant_bytes);
    plan.memory = MemoryDeclaration::of(&plan, constant_bytes).ok_or(AssembleError::MemoryOverflow)?;
    Ok(plan)
}

/// Pipelines, parameters and dispatches so far.
#[derive(Default)]
struct Calls {
    pipelines: Vec<Pipeline>,
    pipeline_of: BTreeMap<LinkKey, u32>,
    params: Vec<u8>,
    dispatches: Vec<Dispatch>,
}

impl Calls {
    /// Appends a call, which finds its pages in these slots.
    fn push(
        &mut self,
        program: &Program,
        step: &Step,
        data: &StepData,
        linked: &Linked,
        pages: Option<&Range<u32>>,
        slots: &[SlotId],
    ) -> Result<(), AssembleError> {
        let pipeline = self.pipeline(step, linked);
        let wrong = |mistake| AssembleError::Params { node: program.name(step.node).to_owned(), mistake };
        let (params_offset_bytes, slots_offset_bytes) = self.parameters(step, linked, slots).map_err(wrong)?;
        let weights = pages.map(|range| DispatchWeights {
            first_page: PageId(range.start),
            page_count: range.end - range.start,
            slots_offset_bytes,
        });
        self.dispatches.push(Dispatch {
            pipeline,
            params_offset_bytes,
            bindings: step.bindings.clone(),
            workgroups: step.workgroups,
            weights,
            node: step.node,
            loop_rounds: step.rounds,
            class: data.class,
            predicted_us: data.execute_us.min(MAX_PREDICTED_US),
            capacity_pages: data.capacity_pages,
        });
        Ok(())
    }

    /// The pipeline of a linked kernel, in order of first use.
    fn pipeline(&mut self, step: &Step, linked: &Linked) -> u32 {
        *self.pipeline_of.entry(step.link_key()).or_insert_with(|| {
            self.pipelines.push(Pipeline {
                label: linked.label.clone(),
                source: linked.source.clone(),
                cooperative: linked.cooperative.clone(),
                params_bytes: linked.block.size_bytes(),
                uses_weights: linked.uses_weights,
                storage_bindings: linked.storage_bindings,
                workgroup_size: linked.workgroup_size,
                workgroup_bytes: linked.workgroup_bytes,
            });
            index32(self.pipelines.len()) - 1
        })
    }

    /// Appends a parameter block: its offset, and that of the table of slots within it.
    fn parameters(&mut self, step: &Step, linked: &Linked, slots: &[SlotId]) -> Result<(u64, u32), ParamError> {
        let mut block = linked.block.bytes(&step.params)?;
        let slots_offset_bytes = linked.block.slots_offset().unwrap_or(linked.block.size_bytes());
        let table = block[slots_offset_bytes as usize..].chunks_exact_mut(4);
        table.zip(slots).for_each(|(to, slot)| to.copy_from_slice(&slot.0.to_le_bytes()));
        let start = self.params.len().next_multiple_of(BINDING_ALIGNMENT as usize);
        self.params.resize(start, 0);
        self.params.extend(block);
        Ok((start as u64, slots_offset_bytes))
    }
}

/// Bytes of weights at the stored precision: elements of streamed weights and of row tables, without padding.
fn weight_bytes(program: &Program) -> u64 {
    let columns = |w: &Weight| w.packing.groups as u64 * w.packing.n() as u64;
    let line_bytes = |w: &Weight| w.encoding.line_bytes(w.packing.k() as u64);
    let streamed: u64 = program.weights.iter().map(|w| columns(w) * line_bytes(w)).sum();
    let rows: u64 = program.row_sources.iter().map(|s| s.table.row_bytes() * u64::from(s.table.rows)).sum();
    streamed + rows
}
