//! `flashmem-compile inspect`: what a bundle holds and needs, as text or JSON.
//!
//! Opening checks everything but pages and rows; `--verify` reads these too. `solver.ms` is measured by solving the
//! bundle's own scheduling problem again, since a bundle deliberately holds no wall-clock time.

use super::inspect_linked::{self, port, state};
use anyhow::Context as _;
use flashmem_compiler::bundle::half::{HalfSummary, WEIGHTS_OPTION, stored_encoding};
use flashmem_compiler::bundle::precision::{PrecisionSummary, is_entry};
use flashmem_compiler::compile::SPLIT_OPTION;
use flashmem_compiler::schedule::SolverReport;
use flashmem_compiler::stages::schedule_of_plan;
use flashmem_plan_format::byte_size;
use flashmem_plan_format::container::{Bundle, OpenedBundle};
use flashmem_plan_format::plan::{Command, Encoding, Plan};
use flashmem_plan_format::source::FileSource;
use serde_json::{Value, json};
use std::path::Path;

/// Prints a bundle.
pub fn inspect(path: &Path, as_json: bool, verify: bool) -> anyhow::Result<()> {
    let source = FileSource::open(path).with_context(|| path.display().to_string())?;
    let opened = OpenedBundle::open(&source).with_context(|| path.display().to_string())?;
    if !opened.networks.is_empty() {
        if verify {
            opened.verify_contents(&source, &mut |_, _| ()).with_context(|| path.display().to_string())?;
        }
        return inspect_linked::print(path, &opened, as_json, verify);
    }
    let mut bundle = opened.bundle;
    bundle.golden = bundle.read_golden(&source).with_context(|| path.display().to_string())?;
    if verify {
        bundle.verify_contents(&source, &mut |_, _| ()).with_context(|| path.display().to_string())?;
    }
    let solver = schedule_of_plan(&bundle.plan).context("the bundle's schedule cannot be solved again")?.report;
    if as_json {
        outln!("{}", serde_json::to_string_pretty(&as_value(&bundle, &solver))?);
    } else {
        print_text(path, &bundle, verify);
    }
    Ok(())
}

fn steps(plan: &Plan) -> usize {
    plan.commands.iter().filter(|c| matches!(c, Command::Dispatch { .. })).count()
}

/// Loads of a run after a completed one.
fn repeat_loads(plan: &Plan) -> usize {
    let commands = if plan.repeat_commands.is_empty() { &plan.commands } else { &plan.repeat_commands };
    commands.iter().filter(|c| matches!(c, Command::Load { .. })).count()
}

/// Fused kernels whose epilogues run on their own for the sake of load capacity.
fn split_epilogues(plan: &Plan) -> Vec<&str> {
    let options = plan.provenance.options.iter().filter(|(name, _)| name == SPLIT_OPTION);
    options.map(|(_, node)| node.as_str()).collect()
}

/// How weights are stored, apart from those that only f32 holds.
fn stored_as(plan: &Plan) -> String {
    let options = &plan.provenance.options;
    let named = options.iter().find(|(name, _)| name == WEIGHTS_OPTION);
    named.map_or_else(|| "unknown".to_owned(), |(_, encoding)| encoding.clone())
}

/// What was done so that half precision can hold the weights.
fn half_precision(plan: &Plan) -> Value {
    let half = HalfSummary::of_plan(&plan.provenance);
    json!({ "scaled": half.scaled, "kept_f32": half.kept_f32, "worst_relative_error": half.worst_error })
}

/// How every weight is stored, where that is not in one format of floats.
fn precision(plan: &Plan) -> Value {
    let PrecisionSummary { weights, errors } = PrecisionSummary::of_plan(&plan.provenance);
    let weights = weights.iter().map(|weight| {
        json!({ "name": weight.name, "encoding": weight.encoding, "bytes": weight.bytes, "error_share": weight.share })
    });
    let errors = errors.map(|errors| {
        json!({
            "single_errors": errors.method,
            "predicted": errors.predicted,
            "measured": errors.measured,
            "bound": errors.bound,
            "gap": errors.gap,
        })
    });
    json!({ "weights": weights.collect::<Vec<_>>(), "error": errors })
}

/// Runs after a completed one, in words.
pub fn later_runs(plan: &Plan) -> String {
    let (loads, warm_ms) = (repeat_loads(plan), plan.predicted_warm_us as f64 / 1e3);
    match (loads, plan.page_count) {
        (_, 0) => "no pages to read".to_owned(),
        (0, _) => format!("no reads, predicted {warm_ms:.1} ms"),
        (loads, pages) => format!("{loads} loads of {pages} pages, predicted {warm_ms:.1} ms"),
    }
}

/// Share of the arena's slots that are free even when most pages are resident.
fn fragmentation(bundle: &Bundle) -> f64 {
    let slots = bundle.plan.slot_count;
    f64::from(slots - bundle.replay.peak_pages) / f64::from(slots.max(1))
}

fn as_value(bundle: &Bundle, solver: &SolverReport) -> Value {
    let plan = &bundle.plan;
    let memory = &plan.memory;
    let r = &plan.requirements;
    json!({
        "inputs": plan.inputs.iter().map(port).collect::<Vec<_>>(),
        "outputs": plan.outputs.iter().map(port).collect::<Vec<_>>(),
        "states": plan.states.iter().map(state).collect::<Vec<_>>(),
        "checks": plan.checks.iter().map(|check| plan.name(check.node)).collect::<Vec<_>>(),
        "weight_bytes": plan.weight_bytes,
        "weights": stored_as(plan),
        "page_bytes": plan.page.page_bytes(),
        "pages": plan.page_count,
        "slots": plan.slot_count,
        "staging_pages": plan.staging_pages,
        "steps": steps(plan),
        "commands": plan.commands.len(),
        "pipelines": plan.pipelines.len(),
        "budget_bytes": plan.budget_bytes,
        "declared_peak_bytes": memory.total_bytes(),
        "memory": {
            "weight_arena_bytes": memory.weight_arena_bytes,
            "staging_bytes": memory.staging_bytes,
            "activation_bytes": memory.activation_bytes,
            "constant_bytes": memory.constant_bytes,
            "params_bytes": memory.params_bytes,
            "state_bytes": memory.state_bytes,
            "input_staging_bytes": memory.input_staging_bytes,
            "readback_bytes": memory.readback_bytes,
            "host_bytes": memory.host_bytes,
        },
        "predicted_cold_ms": plan.predicted_cold_us as f64 / 1e3,
        "predicted_warm_ms": plan.predicted_warm_us as f64 / 1e3,
        "kept_pages": bundle.replay.kept_pages,
        "repeat_loads": repeat_loads(plan),
        "split_epilogues": split_epilogues(plan),
        "half_precision": half_precision(plan),
        "precision": precision(plan),
        "fragmentation": fragmentation(bundle),
        "strategy": plan.provenance.strategy,
        "solver": {
            "name": plan.provenance.solver,
            "status": plan.provenance.solver_status,
            "gap": plan.provenance.solver_gap,
            "ms": solver.ms,
        },
        "requirements": {
            "features": [],
            "max_texture_array_layers": r.texture_array_layers,
            "max_texture_dimension_2d": r.texture_side,
            "max_buffer_size": r.buffer_bytes,
            "max_storage_buffer_binding_size": r.storage_binding_bytes,
            "max_uniform_buffer_binding_size": r.uniform_binding_bytes,
            "max_storage_buffers_per_shader_stage": r.storage_buffers,
            "max_compute_workgroup_storage_size": r.workgroup_bytes,
            "max_compute_invocations_per_workgroup": r.workgroup_invocations,
            "max_compute_workgroup_size": r.workgroup_size,
            "max_compute_workgroups_per_dimension": r.workgroups_per_dimension,
            "loop_rounds": r.loop_rounds,
        },
        "row_tables": plan.row_tables.iter().map(|t| json!({
            "name": t.name, "rows": t.rows, "row_elements": t.row_elements,
        })).collect::<Vec<_>>(),
        "golden": bundle.golden.as_ref().map(|g| json!({ "tolerance_relative_l2": g.tolerance_relative_l2 })),
        "provenance": {
            "model": plan.provenance.model,
            "model_blake3": plan.provenance.model_hash,
            "compiler": plan.provenance.compiler,
            "profile": plan.provenance.profile,
            "disk_bytes_per_second": plan.provenance.disk_bytes_per_second as u64,
            "upload_bytes_per_second": plan.provenance.upload_bytes_per_second as u64,
            "options": plan.provenance.options.iter().map(|(k, v)| json!([k, v])).collect::<Vec<_>>(),
        },
        "bundle_blake3": hex(&bundle.hash),
    })
}

fn hex(hash: &[u8; 32]) -> String {
    hash.iter().map(|b| format!("{b:02x}")).collect()
}

fn print_text(path: &Path, bundle: &Bundle, verified: bool) {
    let plan = &bundle.plan;
    let line = |label: &str, value: String| outln!("{label:<18} {value}");
    outln!("{}", path.display());
    for (label, ports) in [("input", &plan.inputs), ("output", &plan.outputs)] {
        for p in ports {
            line(label, format!("`{}` {:?} {:?}", p.name, p.element, p.shape));
        }
    }
    let size = byte_size::format;
    line("weights", format!("{} ({})", size(plan.weight_bytes), stored_as(plan)));
    line("pages", format!("{} of {}", plan.page_count, size(plan.page.page_bytes())));
    for table in &plan.row_tables {
        line("rows on demand", format!("`{}`: {} rows of {}", table.name, table.rows, size(table.row_bytes())));
    }
    line(
        "steps",
        format!("{} dispatches, {} pipelines, {} commands", steps(plan), plan.pipelines.len(), plan.commands.len()),
    );
    line("budget", plan.budget_bytes.map_or_else(|| "none".to_owned(), size));
    line("declared peak", plan.memory.total_bytes().map_or_else(|| "overflow".to_owned(), size));
    let m = &plan.memory;
    for (label, bytes) in [
        ("  weight arena", m.weight_arena_bytes),
        ("  staging", m.staging_bytes),
        ("  activations", m.activation_bytes),
        ("  constants", m.constant_bytes),
        ("  parameters", m.params_bytes),
        ("  input staging", m.input_staging_bytes),
        ("  read-back", m.readback_bytes),
        ("  host", m.host_bytes),
    ] {
        line(label, size(bytes));
    }
    if m.state_bytes > 0 {
        line("  states", size(m.state_bytes));
    }
    let p = &plan.provenance;
    line("predicted cold", format!("{:.1} ms on `{}`", plan.predicted_cold_us as f64 / 1e3, p.profile));
    line("later runs", format!("{}; {} pages stay resident", later_runs(plan), bundle.replay.kept_pages));
    let split = split_epilogues(plan);
    let fusion = if split.is_empty() { "whole".to_owned() } else { format!("split: {}", split.join(", ")) };
    line("fusion", fusion);
    if stored_encoding(&plan.provenance).is_some_and(|encoding| encoding != Encoding::F32) {
        line("half precision", HalfSummary::of_plan(p).to_string());
    }
    let precision = PrecisionSummary::of_plan(p);
    if !precision.is_empty() {
        line("precision", precision.to_string());
        precision.lines().into_iter().for_each(|text| line("", text));
    }
    line("fragmentation", format!("{:.1} % of the arena", fragmentation(bundle) * 100.0));
    line("schedule", format!("{}, {} by {}, gap {:.3} %", p.strategy, p.solver_status, p.solver, p.solver_gap * 100.0));
    let r = &plan.requirements;
    line(
        "needs",
        format!(
            "{} texture layers of {}², buffers of {}, bindings of {}",
            r.texture_array_layers,
            r.texture_side,
            size(r.buffer_bytes),
            size(r.storage_binding_bytes)
        ),
    );
    line(
        "",
        format!(
            "{} storage buffers, {} of workgroup memory, {} invocations a workgroup, no optional feature",
            r.storage_buffers,
            size(r.workgroup_bytes.into()),
            r.workgroup_invocations
        ),
    );
    line(
        "self-test",
        bundle
            .golden
            .as_ref()
            .map_or_else(|| "none".to_owned(), |g| format!("within {:e} relative L2", g.tolerance_relative_l2)),
    );
    line("model", format!("{} (BLAKE3 {})", p.model, p.model_hash));
    let options = p.options.iter().filter(|(name, _)| !is_entry(name));
    let options: Vec<String> = options.map(|(k, v)| format!("{k}={v}")).collect();
    line("compiler", format!("{} {}", p.compiler, options.join(" ")));
    line("bundle", format!("BLAKE3 {}{}", hex(&bundle.hash), if verified { ", every byte verified" } else { "" }));
}
