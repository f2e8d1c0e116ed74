//! `flashmem-compile inspect` of a bundle of several networks.

use flashmem_plan_format::byte_size;
use flashmem_plan_format::container::{OpenedBundle, OpenedNetwork};
use flashmem_plan_format::linked::Connection;
use flashmem_plan_format::plan::{Command, Plan, Port, State};
use serde_json::{Value, json};
use std::path::Path;

/// Prints a bundle of several networks.
pub fn print(path: &Path, opened: &OpenedBundle, as_json: bool, verified: bool) -> anyhow::Result<()> {
    if as_json {
        outln!("{}", serde_json::to_string_pretty(&as_value(opened))?);
        return Ok(());
    }
    let plan = &opened.bundle.plan;
    let bytes = |bytes: u64| byte_size::format(bytes);
    outln!("{}: {}, {} networks", path.display(), bytes(opened.bundle.file_bytes()), opened.networks.len());
    let budget = plan.budget_bytes.map_or_else(|| "none".to_owned(), bytes);
    outln!("  declared peak {} (budget {budget})", bytes(declared_bytes(plan)));
    outln!(
        "  {} pages of {}; arena of {} slots, ring of {}",
        plan.page_count,
        bytes(plan.page.page_bytes()),
        plan.slot_count,
        plan.staging_pages
    );
    for (option, value) in &plan.provenance.options {
        outln!("  {option}: {value}");
    }
    for network in &opened.networks {
        let own = &network.bundle.plan;
        outln!(
            "  {}: {} dispatches, {} loads cold, {} after others; {} pages kept; predicted {:.1} ms and {:.1} ms",
            network.name,
            own.dispatches.len(),
            loads(&own.commands),
            loads(returned(own)),
            network.turns.kept.len(),
            own.predicted_cold_us as f64 / 1e3,
            own.predicted_warm_us as f64 / 1e3,
        );
        for hand_over in &network.turns.hand_overs {
            let next = &opened.networks[hand_over.successor as usize].name;
            let (pages, ms) = (hand_over.before.len(), hand_over.successor_us as f64 / 1e3);
            outln!("    loads {pages} pages for `{next}`, which then takes {ms:.1} ms");
        }
    }
    for (output, input) in connections(opened) {
        outln!("  {output} goes to {input} on the device");
    }
    if verified {
        outln!("  every page and row matches its hash");
    }
    Ok(())
}

/// Output and input of every connection, each behind its network's name.
fn connections(opened: &OpenedBundle) -> Vec<(String, String)> {
    let network = |position: u32| &opened.networks[position as usize];
    let named = |connection: &Connection| {
        let (from, to) = (network(connection.from), network(connection.to));
        let output = &from.bundle.plan.outputs[connection.output as usize].name;
        let input = &to.bundle.plan.inputs[connection.input as usize].name;
        (format!("{}.{output}", from.name), format!("{}.{input}", to.name))
    };
    opened.connections.iter().map(named).collect()
}

pub(super) fn port(port: &Port) -> Value {
    json!({ "name": port.name, "element": format!("{:?}", port.element).to_lowercase(), "shape": port.shape })
}

pub(super) fn state(state: &State) -> Value {
    json!({
        "input": state.input,
        "output": state.output,
        "element": format!("{:?}", state.element).to_lowercase(),
        "shape": state.shape,
        "in_place": state.next.is_none(),
    })
}

fn declared_bytes(plan: &Plan) -> u64 {
    plan.memory.total_bytes().unwrap_or(u64::MAX)
}

fn loads(commands: &[Command]) -> usize {
    commands.iter().filter(|command| matches!(command, Command::Load { .. })).count()
}

/// The command list of a run that finds its kept pages.
fn returned(plan: &Plan) -> &[Command] {
    if plan.repeat_commands.is_empty() { &plan.commands } else { &plan.repeat_commands }
}

fn as_value(opened: &OpenedBundle) -> Value {
    let plan = &opened.bundle.plan;
    json!({
        "file_bytes": opened.bundle.file_bytes(),
        "declared_peak_bytes": declared_bytes(plan),
        "budget_bytes": plan.budget_bytes,
        "memory": memory(plan),
        "pages": plan.page_count,
        "page_bytes": plan.page.page_bytes(),
        "slots": plan.slot_count,
        "staging_pages": plan.staging_pages,
        "options": plan.provenance.options,
        "states": plan.states.iter().map(state).collect::<Vec<_>>(),
        "connections": connections(opened),
        "networks": opened.networks.iter().map(|network| network_value(network, opened)).collect::<Vec<_>>(),
    })
}

fn memory(plan: &Plan) -> Value {
    let memory = plan.memory;
    json!({
        "weight_arena_bytes": memory.weight_arena_bytes,
        "staging_bytes": memory.staging_bytes,
        "activation_bytes": memory.activation_bytes,
        "constant_bytes": memory.constant_bytes,
        "state_bytes": memory.state_bytes,
        "params_bytes": memory.params_bytes,
        "input_staging_bytes": memory.input_staging_bytes,
        "readback_bytes": memory.readback_bytes,
        "host_bytes": memory.host_bytes,
    })
}

fn network_value(network: &OpenedNetwork, opened: &OpenedBundle) -> Value {
    let plan = &network.bundle.plan;
    let hand_over = |hand_over: &flashmem_plan_format::linked::HandOver| {
        json!({
            "next": opened.networks[hand_over.successor as usize].name,
            "pages": hand_over.before.len(),
            "predicted_us": hand_over.successor_us,
        })
    };
    json!({
        "name": network.name,
        "model": plan.provenance.model,
        "inputs": plan.inputs.iter().map(port).collect::<Vec<_>>(),
        "outputs": plan.outputs.iter().map(port).collect::<Vec<_>>(),
        "states": plan.states.iter().map(state).collect::<Vec<_>>(),
        "dispatches": plan.dispatches.len(),
        "loads": loads(&plan.commands),
        "loads_after_others": loads(returned(plan)),
        "kept_pages": network.turns.kept.len(),
        "predicted_cold_us": plan.predicted_cold_us,
        "predicted_after_others_us": plan.predicted_warm_us,
        "hand_overs": network.turns.hand_overs.iter().map(hand_over).collect::<Vec<_>>(),
    })
}
