//! Solves schedules with every built-in profile at several numbers of slots, and prints status, gap, time and memory.
//!
//! `cargo run --release -p flashmem-compiler --example solver_bench [-- NAME|MODEL.onnx…]`: synthetic networks the size of the
//! paper's solver table (all by default), or the real graph of a model at several page sizes. Weights of synthetic networks and
//! their times follow from shapes; weights are f16, and a matrix of more than 64 pages is cut into several steps, as lowering
//! does. Each schedule is turned into commands and checked. It deliberately writes no bundle.

use flashmem_compiler::bundle::step_pages;
use flashmem_compiler::cost::OperatorClass;
use flashmem_compiler::import::{ImportOptions, import};
use flashmem_compiler::lower::program::{Program, Step};
use flashmem_compiler::lower::{LowerOptions, lower};
use flashmem_compiler::optimize::{OptimizeOptions, optimize, split_large};
use flashmem_compiler::profile::{DeviceLimits, DeviceProfile, built_in_names};
use flashmem_compiler::schedule::{
    Problem, SolverKind, StepData, Strategy, emit_commands, page_uses, schedule_with, smallest_slots, verify,
};
use flashmem_plan_format::plan::{Encoding, PageGeometry};
use std::ops::Range;
use std::path::Path;

/// Most bytes of one tensor.
const MAX_BINDING_BYTES: u64 = DeviceLimits::GUARANTEED.storage_binding_bytes;
/// Most pages that one step reads.
const PAGES_PER_STEP: u64 = 64;
/// Buffers of the staging ring.
const STAGING_PAGES: u32 = 8;

/// A transformer by its shape.
struct Network {
    name: &'static str,
    blocks: u32,
    rows: u64,
    width: u64,
    /// Columns of keys and values together.
    key_value_width: u64,
    hidden: u64,
    /// A gated feed-forward layer has three matrices.
    gated: bool,
    /// Columns of the output head.
    outputs: u64,
    page_bytes: u64,
}

/// The six networks of the paper's solver table.
const NETWORKS: [Network; 6] = [
    network("GPT-Neo-S", 12, 128, 768, 1536, 3072, false, 50257, 1 << 20),
    network("GPT-Neo-1.3B", 24, 128, 2048, 4096, 8192, false, 50257, 2 << 20),
    network("GPT-Neo-2.7B", 32, 128, 2560, 5120, 10240, false, 50257, 2 << 20),
    network("ViT-8B", 40, 257, 4096, 8192, 16384, false, 1000, 4 << 20),
    network("Llama2-13B", 40, 128, 5120, 10240, 13824, true, 32000, 4 << 20),
    network("Llama2-70B", 80, 128, 8192, 2048, 28672, true, 32000, 4 << 20),
];

#[expect(clippy::too_many_arguments, reason = "one row of a table")]
const fn network(
    name: &'static str,
    blocks: u32,
    rows: u64,
    width: u64,
    key_value_width: u64,
    hidden: u64,
    gated: bool,
    outputs: u64,
    page_bytes: u64,
) -> Network {
    Network { name, blocks, rows, width, key_value_width, hidden, gated, outputs, page_bytes }
}

/// Steps with the bytes of the weight stream that they read.
struct Steps<'a> {
    profile: &'a DeviceProfile,
    page_bytes: u64,
    stream_bytes: u64,
    steps: Vec<StepData>,
    pages: Vec<Option<Range<u32>>>,
}

impl Steps<'_> {
    fn push(&mut self, class: OperatorClass, flops: u64, bytes: u64, weight_bytes: u64) {
        let execute_us = self.profile.step_cost(class, flops, bytes);
        let capacity_pages = self.profile.capacity_pages(class, execute_us, self.page_bytes);
        let start = self.stream_bytes;
        self.stream_bytes += weight_bytes;
        let range = (start / self.page_bytes) as u32..self.stream_bytes.div_ceil(self.page_bytes) as u32;
        self.pages.push((weight_bytes > 0).then_some(range));
        self.steps.push(StepData { class, execute_us, capacity_pages });
    }

    fn passes(&mut self, class: OperatorClass, elements: u64) {
        self.push(class, 0, 8 * elements, 0);
    }

    /// A product with a stored matrix, cut into as many steps as its pages demand.
    fn product(&mut self, rows: u64, depth: u64, columns: u64) {
        let parts = (2 * depth * columns).div_ceil((PAGES_PER_STEP - 1) * self.page_bytes);
        for part in 0..parts {
            let columns = columns * (part + 1) / parts - columns * part / parts;
            let weight_bytes = 2 * depth * columns;
            let bytes = 4 * rows * (depth + columns) + weight_bytes;
            self.push(OperatorClass::Reusable, 2 * rows * depth * columns, bytes, weight_bytes);
        }
    }

    fn block(&mut self, network: &Network) {
        let Network { rows, width, key_value_width, hidden, .. } = *network;
        let elements = rows * width;
        self.passes(OperatorClass::Hierarchical, elements);
        self.product(rows, width, width);
        self.product(rows, width, key_value_width);
        self.passes(OperatorClass::Elemental, elements);
        self.push(OperatorClass::Reusable, 2 * rows * elements, 8 * elements, 0);
        self.passes(OperatorClass::Hierarchical, rows * rows * 16);
        self.push(OperatorClass::Reusable, 2 * rows * elements, 8 * elements, 0);
        self.product(rows, width, width);
        self.passes(OperatorClass::Elemental, elements);
        self.passes(OperatorClass::Hierarchical, elements);
        if network.gated {
            self.product(rows, width, hidden);
        }
        self.product(rows, width, hidden);
        self.passes(OperatorClass::Elemental, rows * hidden);
        self.product(rows, hidden, width);
        self.passes(OperatorClass::Elemental, elements);
    }
}

/// The scheduling problem of a network, with a slot for every page.
fn problem(network: &Network, profile: &DeviceProfile) -> (Problem, Vec<Option<Range<u32>>>) {
    let page_bytes = network.page_bytes;
    let mut steps = Steps { profile, page_bytes, stream_bytes: 0, steps: Vec::new(), pages: Vec::new() };
    for _ in 0..network.blocks {
        steps.block(network);
    }
    steps.passes(OperatorClass::Hierarchical, network.rows * network.width);
    steps.product(network.rows, network.width, network.outputs);
    let page_count = steps.stream_bytes.div_ceil(page_bytes) as u32;
    let pages = page_uses(&steps.pages, page_count).expect("the stream is read in order");
    let problem = Problem {
        page_bytes,
        steps: steps.steps,
        pages,
        slot_cap: page_count,
        staging_pages: STAGING_PAGES,
        disk_bytes_per_us: profile.disk_bytes_per_us(),
        upload_bytes_per_us: profile.upload_bytes_per_us(),
    };
    (problem, steps.pages)
}

/// The scheduling problem of a real graph, with a slot for every page.
fn real_problem(program: &Program, profile: &DeviceProfile) -> (Problem, Vec<Option<Range<u32>>>) {
    let page_bytes = program.page.page_bytes();
    let step = |step: &Step| {
        let execute_us = profile.step_cost(step.cost.class, step.cost.flops as u64, step.cost.bytes as u64);
        let capacity_pages = profile.capacity_pages(step.cost.class, execute_us, page_bytes);
        StepData { class: step.cost.class, execute_us, capacity_pages }
    };
    let (step_pages, slot_cap) = (step_pages(program), program.pages() as u32);
    let problem = Problem {
        page_bytes,
        steps: program.steps.iter().map(step).collect(),
        pages: page_uses(&step_pages, slot_cap).expect("the stream is read in order"),
        slot_cap,
        staging_pages: STAGING_PAGES,
        disk_bytes_per_us: profile.disk_bytes_per_us(),
        upload_bytes_per_us: profile.upload_bytes_per_us(),
    };
    (problem, step_pages)
}

/// Solves the graph of an ONNX file with pages of 0.5, 1, 2 and 4 MiB.
fn real(model: &Path) {
    let imported = import(model, &ImportOptions::default()).expect("the model can be imported");
    let mut graph = imported.graph;
    optimize(&mut graph, &OptimizeOptions::default()).expect("the graph can be optimised");
    split_large(&mut graph, MAX_BINDING_BYTES).expect("large tensors can be split");
    for device in built_in_names() {
        let profile = DeviceProfile::load(device).expect("built in");
        for rows in [128, 256, 512, 1024] {
            let options = LowerOptions {
                encoding: Encoding::F16,
                page: PageGeometry { rows },
                max_pages_per_call: PAGES_PER_STEP as u32,
                max_binding_bytes: MAX_BINDING_BYTES,
                max_rounds: None,
                ..LowerOptions::on(&profile)
            };
            let program = lower(&graph, &options).expect("the graph can be lowered");
            let (problem, step_pages) = real_problem(&program, &profile);
            report(&imported.name, device, &problem, &step_pages);
        }
    }
}

fn report(name: &str, device: &str, problem: &Problem, step_pages: &[Option<Range<u32>>]) {
    let smallest = smallest_slots(problem, Strategy::Optimal).expect("consistent");
    for (budget, slot_cap) in [
        ("least", smallest),
        ("+4", smallest + 4),
        ("×1.5", smallest + smallest / 2),
        ("×3", 3 * smallest),
        ("none", problem.page_count()),
    ] {
        let problem = Problem { slot_cap, ..problem.clone() };
        let schedule = schedule_with(&problem, Strategy::Optimal, SolverKind::default()).expect("feasible");
        let stream = emit_commands(&problem, &schedule, step_pages);
        assert_eq!(verify::verify(&problem, &schedule, &stream, step_pages), vec![], "the checker");
        let report = &schedule.report;
        println!(
            "| {name} | {} | {} × {} KiB | {device} | {budget} ({slot_cap}) | {:.1} | {} | {} | {:.4} | {}{} | {:.0} | {:.0} |",
            problem.step_count(),
            problem.page_count(),
            problem.page_bytes / 1024,
            schedule.finish_us / 1e3,
            report.solver,
            report.status.name(),
            report.gap * 100.0,
            schedule.peak_pages,
            if report.peak_lower_bound_pages == schedule.peak_pages { "" } else { " (not proven)" },
            report.ms,
            peak_resident_mib(),
        );
    }
}

/// Most memory that this process has had, where Linux reports it.
fn peak_resident_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|text| text.trim().trim_end_matches("kB").trim().parse::<f64>().ok());
    kib.map_or(f64::NAN, |kib| kib / 1024.0)
}

fn main() {
    let requested: Vec<String> = std::env::args().skip(1).collect();
    println!(
        "| network | steps | pages | profile | slots | predicted ms | solver | status | gap % | peak pages | ms | peak MiB |"
    );
    println!("|---|--:|--:|---|---|--:|---|---|--:|--:|--:|--:|");
    for network in &NETWORKS {
        if requested.is_empty() || requested.iter().any(|name| name == network.name) {
            for device in built_in_names() {
                let (problem, step_pages) = problem(network, &DeviceProfile::load(device).expect("built in"));
                report(network.name, device, &problem, &step_pages);
            }
        }
    }
    for model in requested.iter().filter(|name| name.ends_with(".onnx")) {
        real(Path::new(model));
    }
}
