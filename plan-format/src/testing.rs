//! A small valid plan with runnable kernels, its pages, rows, constants and golden values, for tests.
//!
//! The model: `y[i] = x[i] + Σ_p page_p[i] + table[ids[i / 8 % 2]][i % 8] + constant[i]` over 64 elements and 4 pages, two
//! pages a dispatch; every value is a small integer, so every result is exact. It shows every feature of a plan once and
//! is deliberately no model of good scheduling.

pub(crate) mod device;
pub(crate) mod forge;
pub mod fuzz;
pub mod linked;
pub mod messages;
pub mod mutate;
pub mod random;

use crate::codec;
use crate::container::{BundleWriter, Golden};
use crate::indices::{IndexBound, IndexPort, Walk};
use crate::linked::StoredPlan;
use crate::plan::{
    Buffer, BufferSlice, Command, Cooperative, Dispatch, DispatchWeights, ElementType, Encoding, MemoryDeclaration,
    NameId, OperatorClass, PageGeometry, PageId, Pipeline, Plan, Port, Provenance, Requirements, RowGather, RowTable,
    SlotId,
};
use crate::row_indices::{
    IndexBinary, IndexInstruction, IndexOperand, IndexSource, IndexUnary, IndexValue, RowIndices,
};
use std::io::Cursor;

/// Elements of the input and the output.
pub const ELEMENTS: u32 = 64;
/// Pages.
pub const PAGE_COUNT: u32 = 4;
/// Rows of the table.
pub const TABLE_ROWS: u32 = 5;
/// Elements of a row.
pub const ROW_ELEMENTS: u32 = 8;

/// Bytes of a parameter block: `count` in the first 16 bytes, then the slot table.
const PARAMS_BYTES: u32 = 16 + 256;
/// Distance of parameter blocks.
const PARAMS_STRIDE: u64 = 512;

const ADD_PAGES: &str = "\
// y[i] = x[i] + first texels of the pages.
struct Params { count: u32, page_count: u32, slots: array<vec4<u32>, 16> }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var weights: texture_2d_array<u32>;
@group(0) @binding(2) var<storage, read_write> x: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = id.x;
    if (i >= params.count) { return; }
    var sum = x[i];
    for (var page = 0u; page < params.page_count; page++) {
        let slot = params.slots[page / 4u][page % 4u];
        let texel = bitcast<vec4<f32>>(textureLoad(weights, vec2<u32>(i / 4u, 0u), slot, 0));
        sum += texel[i % 4u];
    }
    y[i] = sum;
}
";

const ADD_REST: &str = "\
// y[i] = x[i] + constant[i] + rows[i % 16].
struct Params { count: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read_write> x: array<f32>;
@group(0) @binding(3) var<storage, read_write> constant: array<f32>;
@group(0) @binding(4) var<storage, read_write> rows: array<f32>;
@group(0) @binding(5) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = id.x;
    if (i >= params.count) { return; }
    y[i] = x[i] + constant[i] + rows[i % 16u];
}
";

/// The plan; valid for [`constants`].
pub fn small_plan() -> Plan {
    let mut plan = Plan {
        names: ["Gather_0", "Gather_1", "Add_0", "Add_1", "Add_2+Add_3"].map(str::to_owned).into(),
        provenance: provenance(),
        requirements: Requirements::default(),
        inputs: vec![
            Port { name: "x".into(), element: ElementType::F32, shape: vec![1, 64], slice: Some(activations(0)) },
            Port { name: "ids".into(), element: ElementType::I64, shape: vec![2], slice: None },
        ],
        outputs: vec![Port {
            name: "y".into(),
            element: ElementType::F32,
            shape: vec![1, 64],
            slice: Some(activations(3)),
        }],
        checks: vec![],
        states: vec![],
        page: PageGeometry { rows: 1 },
        page_count: PAGE_COUNT,
        slot_count: 3,
        slot_cap: 3,
        staging_pages: 2,
        weight_bytes: 4 * 4096 + 5 * 8 * 2,
        row_tables: vec![RowTable {
            name: "table".into(),
            offset_bytes: 0,
            rows: TABLE_ROWS,
            row_elements: ROW_ELEMENTS,
            encoding: Encoding::F16,
        }],
        row_gathers: vec![RowGather {
            table: 0,
            indices: RowIndices::of_input(1, Walk::all(2)),
            destination: BufferSlice { size_bytes: 64, ..activations(4) },
            node: NameId(0),
        }],
        // The row gather has its own, narrower range.
        index_bounds: vec![IndexBound {
            port: IndexPort::Input(1),
            walk: Walk::all(2),
            least: -8,
            most: 5,
            except: Some(77),
            node: NameId(1),
        }],
        pipelines: pipelines(),
        params: params(),
        dispatches: dispatches(),
        commands: commands(),
        repeat_commands: vec![],
        activation_bytes: 5 * 256,
        memory: MemoryDeclaration::default(),
        budget_bytes: Some(64 << 20),
        predicted_cold_us: 100,
        predicted_warm_us: 100,
    };
    declare(&mut plan, constants().len() as u64);
    plan
}

/// As [`small_plan`], but page 0 stays resident between runs, and page 1 is loaded for the next run at the end of each.
pub fn repeating_plan() -> Plan {
    let mut plan = small_plan();
    // Page 3 takes the slot of page 1 instead of that of page 0.
    plan.params[PARAMS_STRIDE as usize + 20] = 1;
    plan.commands = vec![
        load(0, 0),
        load(1, 1),
        Command::Submit,
        Command::Dispatch { index: 0 },
        load(2, 2),
        drop_page(1),
        Command::Submit,
        load(3, 1),
        Command::Dispatch { index: 1 },
        drop_page(2),
        drop_page(3),
        load(1, 1),
        Command::Dispatch { index: 2 },
        Command::Submit,
    ];
    plan.repeat_commands = vec![
        load(2, 2),
        Command::Dispatch { index: 0 },
        drop_page(1),
        Command::Submit,
        load(3, 1),
        Command::Dispatch { index: 1 },
        drop_page(2),
        drop_page(3),
        load(1, 1),
        Command::Dispatch { index: 2 },
        Command::Submit,
    ];
    plan.predicted_warm_us = 60;
    declare(&mut plan, constants().len() as u64);
    plan
}

/// As [`small_plan`], but the indices are computed: those of 77 are replaced by −2, and both exchange their places. It gives the
/// same as [`small_plan`] on the inputs of [`golden`] with both ids exchanged.
pub fn computed_plan() -> Plan {
    let mut plan = small_plan();
    let operand = |source, offset, strides| IndexOperand { source, walk: Walk { offset, shape: vec![2], strides } };
    let result = IndexValue::Result;
    plan.row_gathers[0].indices = RowIndices {
        operands: vec![
            operand(IndexSource::Input(1), 1, vec![-1]),
            operand(IndexSource::Constant(vec![77]), 0, vec![0]),
        ],
        tables: vec![vec![5, -2]],
        instructions: vec![
            IndexInstruction::Binary(IndexBinary::NotEqual, IndexValue::Operand(0), IndexValue::Operand(1)),
            IndexInstruction::Unary(IndexUnary::Not, result(0)),
            IndexInstruction::Lookup { table: 0, at: result(1) },
            IndexInstruction::Select { condition: result(1), then: result(2), otherwise: IndexValue::Operand(0) },
        ],
    };
    declare(&mut plan, constants().len() as u64);
    plan
}

/// Sets requirements and memory to what the plan implies.
pub fn declare(plan: &mut Plan, constant_bytes: u64) {
    plan.requirements = Requirements::of(plan, constant_bytes);
    plan.memory = MemoryDeclaration::of(plan, constant_bytes).expect("test plans are small");
}

/// The constants buffer: element `i` is `1000 + i`.
pub fn constants() -> Vec<u8> {
    (0..ELEMENTS).flat_map(|i| (1000.0 + i as f32).to_le_bytes()).collect()
}

/// Page `page`: f32 element `i` is `page + 1` in the first 64 elements and 0 elsewhere.
pub fn page(page: u32) -> Vec<u8> {
    let mut bytes = ((page + 1) as f32).to_le_bytes().repeat(ELEMENTS as usize);
    bytes.resize(4096, 0);
    bytes
}

/// All rows of the table, without checksums: element `j` of row `r` is `8 r + j`.
pub fn rows() -> Vec<u8> {
    (0..TABLE_ROWS * ROW_ELEMENTS).flat_map(half_of_small_integer).collect()
}

/// Inputs `x[i] = i`, `ids = [3, -1]`, and the output that they give.
pub fn golden() -> Golden {
    let x = (0..ELEMENTS).flat_map(|i| (i as f32).to_le_bytes()).collect();
    let ids = [3_i64, -1].iter().flat_map(|id| id.to_le_bytes()).collect();
    let y = (0..ELEMENTS).map(|i| {
        let row = if i / 8 % 2 == 0 { 3 } else { 4 };
        (i + (1 + 2 + 3 + 4) + (8 * row + i % 8) + (1000 + i)) as f32
    });
    Golden { inputs: vec![x, ids], outputs: vec![y.flat_map(f32::to_le_bytes).collect()], tolerance_relative_l2: 0.0 }
}

/// The whole bundle.
pub fn small_bundle() -> Vec<u8> {
    bundle_of(&small_plan(), Some(&golden()))
}

/// A bundle of a plan that differs from [`small_plan`] in nothing that its pages, rows and constants depend on.
pub fn bundle_of(plan: &Plan, golden: Option<&Golden>) -> Vec<u8> {
    let writer = BundleWriter::new(Cursor::new(Vec::new()), plan, &constants(), golden).expect("test plans are valid");
    finished(writer, PAGE_COUNT)
}

/// The bundle with the rows of the table and so many pages.
fn finished(mut writer: BundleWriter<Cursor<Vec<u8>>>, pages: u32) -> Vec<u8> {
    writer.push_rows(&rows()).expect("writing to memory succeeds");
    for index in 0..pages {
        writer.push_page(&page(index)).expect("writing to memory succeeds");
    }
    writer.finish_into().expect("writing to memory succeeds").0.into_inner()
}

/// Bytes that the plan section of [`small_bundle`] has.
pub fn plan_section_bytes() -> u64 {
    let mut plan = small_plan();
    plan.pipelines.iter_mut().for_each(|pipeline| pipeline.source.clear());
    codec::encoded_bytes(&StoredPlan::One(Box::new(plan))).expect("test plans can be encoded")
}

fn provenance() -> Provenance {
    Provenance {
        model: "small".into(),
        model_hash: "00".repeat(32),
        compiler: "by hand".into(),
        options: vec![("budget".into(), "64MiB".into())],
        strategy: "optimal".into(),
        solver: "none".into(),
        solver_status: "optimal".into(),
        solver_gap: 0.0,
        profile: "none".into(),
        disk_bytes_per_second: 1e9,
        upload_bytes_per_second: 1e10,
    }
}

/// The `index`-th 256 bytes of the activation arena: x, two intermediates, y and the gathered rows.
const fn activations(index: u64) -> BufferSlice {
    BufferSlice { buffer: Buffer::Activations, offset_bytes: index * 256, size_bytes: 256 }
}

fn pipelines() -> Vec<Pipeline> {
    vec![
        Pipeline {
            label: "add_pages".into(),
            source: ADD_PAGES.into(),
            cooperative: None,
            params_bytes: PARAMS_BYTES,
            uses_weights: true,
            storage_bindings: 2,
            workgroup_size: [64, 1, 1],
            workgroup_bytes: 0,
        },
        Pipeline {
            label: "add_rest".into(),
            source: ADD_REST.into(),
            cooperative: Some(Cooperative { source: "other".into(), workgroup_bytes: 16 }),
            params_bytes: 16,
            uses_weights: false,
            storage_bindings: 4,
            workgroup_size: [64, 1, 1],
            workgroup_bytes: 0,
        },
    ]
}

fn params() -> Vec<u8> {
    let mut params = vec![0; 2 * PARAMS_STRIDE as usize + 256];
    let mut put = |offset: u64, value: u32| {
        params[offset as usize..][..4].copy_from_slice(&value.to_le_bytes());
    };
    for (block, slots) in [(0, [0, 1]), (PARAMS_STRIDE, [2, 0])] {
        put(block, ELEMENTS);
        put(block + 4, 2);
        put(block + 16, slots[0]);
        put(block + 20, slots[1]);
    }
    put(2 * PARAMS_STRIDE, ELEMENTS);
    params
}

fn dispatches() -> Vec<Dispatch> {
    let add_pages = |index: u32| Dispatch {
        pipeline: 0,
        params_offset_bytes: u64::from(index) * PARAMS_STRIDE,
        bindings: vec![activations(index.into()), activations(u64::from(index) + 1)],
        workgroups: [1, 1, 1],
        weights: Some(DispatchWeights { first_page: PageId(2 * index), page_count: 2, slots_offset_bytes: 16 }),
        node: NameId(2 + index),
        loop_rounds: 5,
        class: OperatorClass::Elemental,
        predicted_us: 10.0,
        capacity_pages: 1,
    };
    let constant = BufferSlice { buffer: Buffer::Constants, offset_bytes: 0, size_bytes: 256 };
    let rows = BufferSlice { size_bytes: 64, ..activations(4) };
    let add_rest = Dispatch {
        pipeline: 1,
        params_offset_bytes: 2 * PARAMS_STRIDE,
        bindings: vec![activations(2), constant, rows, activations(3)],
        workgroups: [1, 1, 1],
        weights: None,
        node: NameId(4),
        loop_rounds: 5,
        class: OperatorClass::Elemental,
        predicted_us: 10.0,
        capacity_pages: 1,
    };
    vec![add_pages(0), add_pages(1), add_rest]
}

const fn load(page: u32, slot: u32) -> Command {
    Command::Load { page: PageId(page), slot: SlotId(slot) }
}

const fn drop_page(page: u32) -> Command {
    Command::Drop { page: PageId(page) }
}

fn commands() -> Vec<Command> {
    vec![
        load(0, 0),
        load(1, 1),
        Command::Submit,
        Command::Dispatch { index: 0 },
        load(2, 2),
        drop_page(0),
        drop_page(1),
        Command::Submit,
        load(3, 0),
        Command::Dispatch { index: 1 },
        drop_page(2),
        drop_page(3),
        Command::Dispatch { index: 2 },
        Command::Submit,
    ]
}

/// The f16 bytes of an integer below 2048, which f16 holds exactly.
fn half_of_small_integer(value: u32) -> [u8; 2] {
    let Some(exponent) = value.checked_ilog2() else {
        return [0; 2];
    };
    let mantissa = (value << (10 - exponent)) & 0x3ff;
    (((15 + exponent) << 10 | mantissa) as u16).to_le_bytes()
}
