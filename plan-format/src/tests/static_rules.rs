//! Every kind of static violation is caught, and the small plan has none.

use crate::indices::{IndexBound, IndexPort, Walk};
use crate::plan::{
    Buffer, BufferSlice, Command, Cooperative, ElementType, IntegerCheck, MemoryDeclaration, NameId, PageId, Plan,
    Port, Requirements, SlotId, State,
};
use crate::row_indices::{
    IndexBinary, IndexInstruction, IndexOperand, IndexSource, IndexUnary, IndexValue, MAX_CONSTANT_ELEMENTS,
    MAX_INSTRUCTIONS, MAX_OPERANDS, MAX_TABLE_ELEMENTS, MAX_TABLES, RowIndices,
};
use crate::testing::{computed_plan, constants, declare, small_plan};
use crate::tests::kinds;
use crate::validate::{PlanViolation, validate};
use std::collections::BTreeSet;

kinds!(PlanViolation: TooMany, WeightCounts, PageGeometry, Index, SliceAlignment, SliceSize, SliceEnd,
    NotInActivations, StateOrder, StateBinding, StateWritten, StateReadEarly, OutputWithoutSlice, Rank, Elements, TensorBytes, NameEmpty, NameTooLong, NameRepeated,
    HostWritesOverlap, RowTableSize, RowTableOffset, RowIndices, IndexElement, IndexWalk, IndexRange, SourceEmpty, ParamsBytes,
    WorkgroupSize, PipelineOrder,
    ParamsAlignment, ParamsEnd, BindingCount, WorkgroupsZero, WeightsUse, PagesOfDispatch, PageRange, SlotTable,
    CommandPage, CommandSlot, Requirement, ConstantBytes, WeightBytes, SolverGap, Rate, Predicted, Memory, MemoryOverflow, Budget);

/// The kind that an edit must cause, and the edit.
struct Case(&'static str, fn(&mut Plan));

const CASES: &[Case] = &[
    Case("TooMany", |plan| plan.staging_pages = 1025),
    Case("TooMany", |plan| plan.page_count = (4 << 20) + 1),
    Case("WeightCounts", |plan| plan.slot_count = 0),
    Case("WeightCounts", |plan| plan.staging_pages = 0),
    Case("PageGeometry", |plan| plan.page.rows = 0),
    Case("PageGeometry", |plan| plan.page.rows = 6),
    Case("PageGeometry", |plan| plan.page.rows = 1 << 31),
    Case("Index", |plan| plan.dispatches[0].pipeline = 2),
    Case("Index", |plan| plan.commands[3] = Command::Dispatch { index: 3 }),
    Case("Index", |plan| plan.row_gathers[0].table = 1),
    Case("Index", |plan| operand(plan).source = IndexSource::Input(2)),
    Case("SliceAlignment", |plan| plan.dispatches[0].bindings[0].offset_bytes = 128),
    Case("SliceSize", |plan| plan.dispatches[0].bindings[0].size_bytes = 0),
    Case("SliceSize", |plan| plan.dispatches[0].bindings[0].size_bytes = 6),
    Case("SliceEnd", |plan| plan.dispatches[0].bindings[0].size_bytes = 1284),
    Case("SliceEnd", |plan| plan.dispatches[0].bindings[0].offset_bytes = u64::MAX - 255),
    Case("SliceEnd", |plan| plan.dispatches[2].bindings[1].size_bytes = 260),
    Case("NotInActivations", |plan| output(plan).buffer = Buffer::Constants),
    Case("NotInActivations", |plan| plan.row_gathers[0].destination.buffer = Buffer::Constants),
    Case("OutputWithoutSlice", |plan| plan.outputs[0].slice = None),
    Case("Index", |plan| plan.dispatches[0].node = NameId(5)),
    Case("Index", |plan| plan.row_gathers[0].node = NameId(5)),
    Case("Index", |plan| plan.index_bounds[0].node = NameId(5)),
    Case("Index", |plan| {
        let slice = *output(plan);
        plan.checks.push(IntegerCheck { node: NameId(5), slice });
    }),
    Case("TensorBytes", |plan| {
        let slice = *output(plan);
        plan.checks.push(IntegerCheck { node: NameId(0), slice });
    }),
    Case("StateOrder", |plan| remember(plan, true).slice.offset_bytes = 256),
    Case("StateOrder", |plan| remember(plan, true).slice.buffer = Buffer::Activations),
    Case("StateOrder", |plan| {
        let first = remember(plan, true).clone();
        plan.states.push(State { input: "g".into(), output: "next g".into(), ..first });
    }),
    Case("NameRepeated", |plan| remember(plan, true).input = "x".into()),
    Case("NameRepeated", |plan| remember(plan, true).output = "y".into()),
    Case("TensorBytes", |plan| remember(plan, true).shape = vec![63]),
    Case("TensorBytes", |plan| next(plan).size_bytes = 128),
    Case("NotInActivations", |plan| next(plan).buffer = Buffer::States),
    Case("SliceEnd", |plan| next(plan).offset_bytes = 5 * 256),
    Case("StateBinding", |plan| {
        remember(plan, true);
        plan.dispatches[1].bindings[1] = BufferSlice { size_bytes: 128, ..KEPT };
    }),
    Case("StateBinding", |plan| plan.dispatches[1].bindings[1] = KEPT),
    Case("StateWritten", |plan| {
        remember(plan, true);
        plan.dispatches[1].bindings[0] = KEPT;
    }),
    Case("StateWritten", |plan| {
        remember(plan, false);
        plan.dispatches[0].bindings[0] = KEPT;
        plan.dispatches[1].bindings[0] = KEPT;
    }),
    Case("StateReadEarly", |plan| {
        remember(plan, false);
        plan.dispatches[0].bindings[1] = KEPT;
        plan.dispatches[1].bindings[0] = KEPT;
    }),
    Case("Rank", |plan| plan.inputs[0].shape = vec![1; 17]),
    Case("Elements", |plan| plan.inputs[0].shape = vec![0, 64]),
    Case("Elements", |plan| plan.inputs[0].shape = vec![1 << 31, 2]),
    Case("Elements", |plan| plan.inputs.push(unread("none", vec![1 << 31, 0, 2]))),
    Case("Elements", |plan| plan.outputs.push(Port { slice: plan.outputs[0].slice, ..unread("none", vec![0]) })),
    Case("Elements", |plan| plan.inputs[0].shape = vec![u64::MAX, u64::MAX]),
    Case("Elements", |plan| {
        operand(plan).walk = Walk { offset: 0, shape: vec![1 << 30], strides: vec![0] };
        plan.row_tables[0].row_elements = 1 << 20;
    }),
    Case("TensorBytes", |plan| plan.outputs[0].shape = vec![63]),
    Case("TensorBytes", |plan| operand(plan).walk = Walk { offset: 0, shape: vec![3], strides: vec![0] }),
    Case("NameEmpty", |plan| plan.outputs[0].name.clear()),
    Case("NameTooLong", |plan| plan.outputs[0].name = "n".repeat(70_000)),
    Case("NameRepeated", |plan| plan.inputs[1].name = "x".into()),
    Case("HostWritesOverlap", |plan| plan.row_gathers[0].destination.offset_bytes = 0),
    Case("RowTableSize", |plan| plan.row_tables[0].rows = 0),
    Case("RowTableSize", |plan| plan.row_tables[0].row_elements = 0),
    Case("RowTableSize", |plan| plan.row_tables[0].row_elements = u32::MAX),
    Case("RowTableOffset", |plan| plan.row_tables[0].offset_bytes = 4),
    Case("RowTableOffset", |plan| plan.row_tables.push(plan.row_tables[0].clone())),
    Case("IndexElement", |plan| plan.inputs[1].element = ElementType::F32),
    Case("IndexElement", |plan| operand(plan).source = IndexSource::Input(0)),
    Case("IndexWalk", |plan| operand(plan).walk.offset = 1),
    Case("IndexWalk", |plan| operand(plan).walk.strides = vec![-1]),
    Case("IndexWalk", |plan| operand(plan).walk = Walk { offset: 0, shape: vec![], strides: vec![1] }),
    Case("IndexWalk", |plan| operand(plan).source = IndexSource::Constant(vec![1])),
    Case("RowIndices", |plan| indices(plan).operands.clear()),
    Case("RowIndices", |plan| indices(plan).operands = vec![operand(plan).clone(); MAX_OPERANDS + 1]),
    Case("RowIndices", |plan| operand(plan).source = IndexSource::Constant(vec![0; MAX_CONSTANT_ELEMENTS + 1])),
    Case("RowIndices", |plan| {
        let longer =
            IndexOperand { source: IndexSource::Input(1), walk: Walk { offset: 0, shape: vec![3], strides: vec![0] } };
        indices(plan).operands.push(longer);
    }),
    Case("RowIndices", |plan| {
        let same = IndexInstruction::Unary(IndexUnary::Abs, IndexValue::Operand(0));
        indices(plan).instructions = vec![same; MAX_INSTRUCTIONS + 1];
    }),
    Case("RowIndices", |plan| {
        indices(plan).instructions = vec![IndexInstruction::Unary(IndexUnary::Neg, IndexValue::Operand(1))];
    }),
    Case("RowIndices", |plan| {
        let (this, first) = (IndexValue::Result(0), IndexValue::Operand(0));
        indices(plan).instructions = vec![IndexInstruction::Select { condition: first, then: first, otherwise: this }];
    }),
    Case("RowIndices", |plan| {
        let (later, first) = (IndexValue::Result(1), IndexValue::Operand(0));
        indices(plan).instructions = vec![IndexInstruction::Binary(IndexBinary::Add, first, later); 2];
    }),
    Case("RowIndices", |plan| indices(plan).tables = vec![vec![0]; MAX_TABLES + 1]),
    Case("RowIndices", |plan| indices(plan).tables = vec![vec![]]),
    Case("RowIndices", |plan| indices(plan).tables = vec![vec![0; MAX_TABLE_ELEMENTS + 1]]),
    Case("RowIndices", |plan| {
        indices(plan).tables = vec![vec![0]];
        indices(plan).instructions = vec![IndexInstruction::Lookup { table: 1, at: IndexValue::Operand(0) }];
    }),
    Case("Index", |plan| bound(plan).port = IndexPort::Output(1)),
    Case("IndexElement", |plan| bound(plan).port = IndexPort::Input(0)),
    Case("IndexWalk", |plan| bound(plan).walk.offset = 1),
    Case("IndexWalk", |plan| bound(plan).walk.shape = vec![3]),
    Case("IndexWalk", |plan| bound(plan).walk.shape = vec![0]),
    Case("IndexWalk", |plan| bound(plan).walk.shape = vec![u64::MAX]),
    Case("IndexWalk", |plan| bound(plan).walk.strides = vec![-1]),
    Case("IndexWalk", |plan| bound(plan).walk.strides = vec![i64::MIN]),
    Case("IndexWalk", |plan| bound(plan).walk.strides.clear()),
    Case("IndexWalk", |plan| {
        bound(plan).walk.shape = vec![3];
        bound(plan).walk.strides = vec![0];
    }),
    Case("IndexRange", |plan| bound(plan).least = 6),
    Case("SourceEmpty", |plan| plan.pipelines[1].source.clear()),
    Case("SourceEmpty", |plan| {
        plan.pipelines[1].cooperative = Some(Cooperative { source: String::new(), workgroup_bytes: 0 });
    }),
    Case("ParamsBytes", |plan| plan.pipelines[1].params_bytes = 0),
    Case("ParamsBytes", |plan| plan.pipelines[1].params_bytes = 15),
    Case("WorkgroupSize", |plan| plan.pipelines[0].workgroup_size = [64, 0, 1]),
    Case("PipelineOrder", |plan| plan.pipelines.push(plan.pipelines[0].clone())),
    Case("PipelineOrder", |plan| {
        plan.pipelines.swap(0, 1);
        for dispatch in &mut plan.dispatches {
            dispatch.pipeline = 1 - dispatch.pipeline;
        }
    }),
    Case("ParamsAlignment", |plan| plan.dispatches[1].params_offset_bytes = 384),
    Case("ParamsEnd", |plan| plan.params.truncate(1024 + 12)),
    Case("ParamsEnd", |plan| plan.dispatches[1].params_offset_bytes = u64::MAX - 255),
    Case("BindingCount", |plan| plan.dispatches[2].bindings.truncate(3)),
    Case("WorkgroupsZero", |plan| plan.dispatches[2].workgroups[2] = 0),
    Case("WeightsUse", |plan| plan.dispatches[1].weights = None),
    Case("WeightsUse", |plan| plan.pipelines[0].uses_weights = false),
    Case("PagesOfDispatch", |plan| weights(plan).page_count = 0),
    Case("PagesOfDispatch", |plan| weights(plan).page_count = 65),
    Case("PageRange", |plan| weights(plan).first_page = PageId(3)),
    Case("PageRange", |plan| weights(plan).first_page = PageId(u32::MAX)),
    Case("SlotTable", |plan| weights(plan).slots_offset_bytes = 268),
    Case("SlotTable", |plan| weights(plan).slots_offset_bytes = 17),
    Case("SlotTable", |plan| weights(plan).slots_offset_bytes = u32::MAX - 3),
    Case("CommandPage", |plan| plan.commands[0] = Command::Load { page: PageId(4), slot: SlotId(0) }),
    Case("CommandPage", |plan| plan.commands[5] = Command::Drop { page: PageId(4) }),
    Case("CommandSlot", |plan| plan.commands[0] = Command::Load { page: PageId(0), slot: SlotId(3) }),
    Case("Index", |plan| plan.repeat_commands = vec![Command::Dispatch { index: 3 }]),
    Case("CommandPage", |plan| plan.repeat_commands = vec![Command::Drop { page: PageId(4) }]),
    Case("CommandPage", |plan| plan.repeat_commands = vec![Command::Load { page: PageId(4), slot: SlotId(0) }]),
    Case("CommandSlot", |plan| plan.repeat_commands = vec![Command::Load { page: PageId(0), slot: SlotId(3) }]),
    Case("WeightBytes", |plan| plan.weight_bytes = 4 * 4096 + 5 * 20 + 1),
    Case("SolverGap", |plan| plan.provenance.solver_gap = f64::NAN),
    Case("SolverGap", |plan| plan.provenance.solver_gap = -0.1),
    Case("Rate", |plan| plan.provenance.disk_bytes_per_second = f64::NAN),
    Case("Rate", |plan| plan.provenance.upload_bytes_per_second = -1.0),
    Case("Predicted", |plan| plan.dispatches[1].predicted_us = f64::NAN),
    Case("Predicted", |plan| plan.dispatches[1].predicted_us = -1.0),
    Case("Predicted", |plan| plan.dispatches[1].predicted_us = f64::INFINITY),
    Case("Memory", |plan| plan.memory.host_bytes += 1),
    Case("MemoryOverflow", |plan| plan.outputs[0].shape = vec![u64::MAX, 2]),
    Case("MemoryOverflow", |plan| plan.memory.host_bytes = u64::MAX),
    Case("Budget", |plan| plan.budget_bytes = Some(1000)),
];

/// Where the state of these tests lies.
const KEPT: BufferSlice = BufferSlice { buffer: Buffer::States, offset_bytes: 0, size_bytes: 256 };

/// Gives the plan a state, which is replaced behind a run or changed where it lies.
fn remember(plan: &mut Plan, replaced: bool) -> &mut State {
    let next = BufferSlice { buffer: Buffer::Activations, offset_bytes: 2 * 256, size_bytes: 256 };
    plan.states = vec![State {
        input: "h".into(),
        output: "next h".into(),
        element: ElementType::F32,
        shape: vec![8, 8],
        slice: KEPT,
        next: replaced.then_some(next),
    }];
    declare(plan, constants().len() as u64);
    &mut plan.states[0]
}

fn next(plan: &mut Plan) -> &mut BufferSlice {
    remember(plan, true).next.as_mut().expect("it is replaced")
}

/// A port that lies nowhere.
fn unread(name: &str, shape: Vec<u64>) -> Port {
    Port { name: name.into(), element: ElementType::F32, shape, slice: None }
}

fn output(plan: &mut Plan) -> &mut BufferSlice {
    plan.outputs[0].slice.as_mut().expect("the output has a slice")
}

fn indices(plan: &mut Plan) -> &mut RowIndices {
    &mut plan.row_gathers[0].indices
}

fn operand(plan: &mut Plan) -> &mut IndexOperand {
    &mut indices(plan).operands[0]
}

fn bound(plan: &mut Plan) -> &mut IndexBound {
    &mut plan.index_bounds[0]
}

fn weights(plan: &mut Plan) -> &mut crate::plan::DispatchWeights {
    plan.dispatches[1].weights.as_mut().expect("the dispatch reads weights")
}

fn violations(plan: &Plan, constant_bytes: u64) -> Vec<PlanViolation> {
    validate(plan, constant_bytes).err().map_or(Vec::new(), |violations| violations.list)
}

#[test]
fn the_small_plans_are_valid() {
    for plan in [small_plan(), computed_plan()] {
        assert_eq!(violations(&plan, constants().len() as u64), []);
    }
}

#[test]
fn states_are_replaced_or_changed_where_they_lie() {
    let valid = |edit: fn(&mut Plan)| {
        let mut plan = small_plan();
        edit(&mut plan);
        declare(&mut plan, constants().len() as u64);
        assert_eq!(violations(&plan, constants().len() as u64), []);
        assert_eq!(plan.memory.state_bytes, 4096);
    };
    valid(|plan| {
        remember(plan, true);
        plan.dispatches[0].bindings[1] = KEPT;
    });
    valid(|plan| {
        remember(plan, false);
        plan.dispatches[0].bindings[0] = KEPT;
        plan.dispatches[1].bindings[1] = KEPT;
    });
    // Nobody changes it.
    valid(|plan| {
        remember(plan, false);
        plan.dispatches[1].bindings[1] = KEPT;
    });
}

#[test]
fn an_input_that_nothing_reads_may_have_no_elements() {
    let mut plan = small_plan();
    plan.inputs.push(unread("past", vec![1, 2, 0, 16]));
    declare(&mut plan, constants().len() as u64);
    assert_eq!(violations(&plan, constants().len() as u64), []);
}

#[test]
fn every_kind_is_caught() {
    for (index, Case(expected, edit)) in CASES.iter().enumerate() {
        let mut plan = small_plan();
        edit(&mut plan);
        let found = violations(&plan, constants().len() as u64);
        assert!(found.iter().any(|violation| kind(violation) == *expected), "case {index} {expected}: {found:?}");
    }
}

#[test]
fn every_kind_has_a_case() {
    let mut covered: BTreeSet<_> = CASES.iter().map(|case| case.0).collect();
    covered.extend(["Requirement", "ConstantBytes"]);
    assert_eq!(covered, KINDS.iter().copied().collect());
}

#[test]
fn constants_have_whole_elements() {
    let found = violations(&small_plan(), 258);
    assert!(found.contains(&PlanViolation::ConstantBytes { constant_bytes: 258 }), "{found:?}");
}

#[test]
fn every_requirement_is_needed() {
    type Lower = fn(&mut Requirements);
    let lower: [Lower; 12] = [
        |limits| limits.texture_array_layers -= 1,
        |limits| limits.texture_side -= 1,
        |limits| limits.buffer_bytes -= 1,
        |limits| limits.storage_binding_bytes -= 1,
        |limits| limits.uniform_binding_bytes -= 1,
        |limits| limits.storage_buffers -= 1,
        |limits| limits.workgroup_invocations -= 1,
        |limits| limits.workgroup_size[0] -= 1,
        |limits| limits.workgroup_size[1] -= 1,
        |limits| limits.workgroup_size[2] -= 1,
        |limits| limits.workgroups_per_dimension -= 1,
        |limits| limits.loop_rounds -= 1,
    ];
    for lower in lower {
        let mut plan = small_plan();
        lower(&mut plan.requirements);
        let found = violations(&plan, constants().len() as u64);
        assert!(!found.is_empty() && found.iter().all(|violation| kind(violation) == "Requirement"), "{found:?}");
    }
    let mut plan = small_plan();
    plan.pipelines[1].workgroup_bytes = 16;
    declare(&mut plan, 256);
    plan.requirements.workgroup_bytes = 15;
    let found = validate(&plan, 256).expect_err("the workgroup memory is not covered");
    let text = "pipeline 1 (add_rest): needs max_compute_workgroup_storage_size of 16, and the plan requires 15";
    assert_eq!(found.to_string(), format!("1 violation(s):\n  {text}"));
}

#[test]
fn memory_is_what_the_formula_says() {
    let plan = small_plan();
    let memory = MemoryDeclaration::of(&plan, 256).expect("small");
    let granule = 4 << 10;
    assert_eq!(memory.weight_arena_bytes, 64 << 10);
    assert_eq!(memory.staging_bytes, 2 * granule);
    assert_eq!([memory.activation_bytes, memory.constant_bytes, memory.params_bytes], [granule; 3]);
    assert_eq!([memory.input_staging_bytes, memory.readback_bytes], [granule; 2]);
    let encoded = crate::codec::encode(&plan).expect("small").len() as u64;
    assert_eq!(memory.host_bytes, 256 + 3 * encoded + 4 * 4 + 256 + 64 * 20 + 12 * 2 + 2 * 4096);
}

#[test]
fn places_tell_the_programs_apart() {
    let mut plan = small_plan();
    plan.commands[3] = Command::Dispatch { index: 3 };
    plan.repeat_commands = vec![Command::Submit, Command::Dispatch { index: 4 }];
    declare(&mut plan, 256);
    let text = validate(&plan, 256).expect_err("two indices are out of range").to_string();
    assert!(text.contains("\n  command 3: index 3 is out of range; the plan has 3 dispatches"), "{text}");
    assert!(text.contains("\n  repeat command 1: index 4 is out of range; the plan has 3 dispatches"), "{text}");
}

#[test]
fn names_in_messages_are_short() {
    let mut plan = small_plan();
    plan.outputs[0] = Port { name: "y".repeat(10_000), slice: None, ..plan.outputs[0].clone() };
    declare(&mut plan, 256);
    let text = validate(&plan, 256).expect_err("the output has no slice").to_string();
    assert!(text.len() < 200, "{text}");
}
