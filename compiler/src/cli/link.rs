//! `flashmem-compile link`: bundles of one network each become one of several, and what that needs is printed.

use super::args::{LinkArgs, StatesArg};
use super::error::Stopped;
use super::progress_bar;
use anyhow::{Context as _, bail, ensure};
use flashmem_compiler::link::{ConnectionRequest, LinkInput, LinkOptions, LinkReport, NetworkReport, link};
use flashmem_compiler::profile::{DEFAULT_PROFILE, DeviceProfile};
use flashmem_compiler::schedule::SolverKind;
use flashmem_plan_format::byte_size;
use flashmem_plan_format::files::{Named, OutputFile, check_outputs};
use flashmem_plan_format::linked::{Connection, Linked, MAX_NETWORKS};
use std::path::Path;

/// Most runs of a sequence.
const MAX_SEQUENCE: usize = 1_000_000;

/// Links.
pub fn run(args: &LinkArgs) -> Result<(), Stopped> {
    let (inputs, options) = parsed(args).map_err(Stopped::Usage)?;
    let read: Vec<_> = inputs.iter().map(|input| Named::new("a bundle", &input.path)).collect();
    let writable =
        OutputFile::check(&args.output).and_then(|()| check_outputs(&read, &[Named::new("the output", &args.output)]));
    writable?;
    let bar = progress_bar(args.quiet);
    bar.set_message("link");
    let linked = link(&inputs, &args.output, &options, &mut |done, total| {
        bar.set_length(total);
        bar.set_position(done);
    });
    bar.finish_and_clear();
    let report = linked.map_err(anyhow::Error::from)?;
    if !args.quiet {
        print(&args.output, &report);
    }
    Ok(())
}

fn parsed(args: &LinkArgs) -> anyhow::Result<(Vec<LinkInput>, LinkOptions)> {
    let inputs = args.bundles.iter().map(|text| input(text)).collect::<anyhow::Result<Vec<_>>>()?;
    ensure!(inputs.len() <= MAX_NETWORKS as usize, "at most {MAX_NETWORKS} networks can be linked");
    for (index, input) in inputs.iter().enumerate() {
        let earlier = inputs[..index].iter().any(|other| other.name == input.name);
        ensure!(!earlier, "two networks are called `{}`; name one by NAME=BUNDLE", input.name);
    }
    let names: Vec<&str> = inputs.iter().map(|input| input.name.as_str()).collect();
    let budget_bytes = args.budget.as_deref().map(byte_size::parse).transpose().context("--budget")?;
    let sequence = args.sequence.as_deref().map(|text| sequence(text, &names)).transpose().context("--sequence")?;
    let sequence = sequence.unwrap_or_default();
    let calls = match args.calls.as_deref() {
        Some(text) => calls(text, &names).context("--calls")?,
        None if sequence.is_empty() => vec![1.0; names.len()],
        // As often as in the sequence; what is not in it still may run.
        None => (0_u32..)
            .zip(&names)
            .map(|(network, _)| sequence.iter().filter(|run| **run == network).count() as f64)
            .collect(),
    };
    let connections = args.connect.iter().map(|text| connection(text, &names)).collect::<anyhow::Result<Vec<_>>>()?;
    let profile = DeviceProfile::load(args.device.as_deref().unwrap_or(DEFAULT_PROFILE)).context("--device")?;
    let described = [
        args.calls.as_ref().map(|text| ("calls".to_owned(), text.clone())),
        args.sequence.as_ref().map(|text| ("sequence".to_owned(), text.clone())),
    ];
    let connected = args.connect.iter().map(|text| ("connect".to_owned(), text.clone()));
    let options = LinkOptions {
        budget_bytes,
        calls,
        sequence,
        shares_states: args.states == StatesArg::Shared,
        limits: profile.limits,
        solver: SolverKind::default(),
        options: described.into_iter().flatten().chain(connected).collect(),
        connections,
    };
    Ok((inputs, options))
}

/// `NAME=BUNDLE`, or a bundle that is called as its file is.
fn input(text: &str) -> anyhow::Result<LinkInput> {
    if let Some((name, path)) = text.split_once('=').filter(|(name, _)| !name.contains(['/', '\\'])) {
        ensure!(!name.is_empty() && !path.is_empty(), "`{text}` is not NAME=BUNDLE");
        return Ok(LinkInput { name: name.to_owned(), path: path.into() });
    }
    let path = Path::new(text);
    let name = path.file_stem().and_then(|stem| stem.to_str()).with_context(|| format!("`{text}` names no file"))?;
    Ok(LinkInput { name: name.to_owned(), path: path.to_owned() })
}

/// `unet.out=vae.in`. Names of networks and tensors may have dots and equals signs of their own: the first reading with networks on both
/// sides counts, and of two networks the one with the longer name.
fn connection(text: &str, names: &[&str]) -> anyhow::Result<ConnectionRequest> {
    let port = |text: &str| {
        let of = |(network, name): (u32, &&str)| {
            let port = text.strip_prefix(*name)?.strip_prefix('.').filter(|port| !port.is_empty())?;
            Some((name.len(), (network, port.to_owned())))
        };
        (0_u32..).zip(names).filter_map(of).max_by_key(|(length, _)| *length).map(|(_, port)| port)
    };
    let mut readings = text.match_indices('=').map(|(at, _)| (port(&text[..at]), port(&text[at + 1..])));
    let found = readings.find_map(|(from, to)| Some(ConnectionRequest { from: from?, to: to? }));
    found.with_context(|| {
        format!("--connect {text} is not NETWORK.OUTPUT=NETWORK.INPUT, with networks of {}", names.join(", "))
    })
}

/// `a=10,b=1`; networks that are not named run once.
pub(super) fn calls(text: &str, names: &[&str]) -> anyhow::Result<Vec<f64>> {
    let mut calls = vec![1.0; names.len()];
    for part in text.split(',') {
        let (name, number) = part.split_once('=').with_context(|| format!("`{part}` is not NAME=NUMBER"))?;
        let number: f64 = number.trim().parse().with_context(|| format!("`{number}` is no number"))?;
        ensure!(number.is_finite() && (0.0..=1e9).contains(&number), "{number} is not from 0 to 1e9");
        calls[position(name.trim(), names)? as usize] = number;
    }
    Ok(calls)
}

/// `text unet*20 vae`.
pub(super) fn sequence(text: &str, names: &[&str]) -> anyhow::Result<Vec<u32>> {
    let mut runs = Vec::new();
    for part in text.split_whitespace() {
        let (name, times) = match part.rsplit_once('*') {
            Some((name, times)) => (name, times.parse().with_context(|| format!("`{times}` is no number of runs"))?),
            None => (part, 1_usize),
        };
        ensure!(runs.len().saturating_add(times) <= MAX_SEQUENCE, "a sequence has at most {MAX_SEQUENCE} runs");
        runs.extend(std::iter::repeat_n(position(name, names)?, times));
    }
    ensure!(!runs.is_empty(), "no runs");
    Ok(runs)
}

fn position(name: &str, names: &[&str]) -> anyhow::Result<u32> {
    match (0_u32..).zip(names).find(|(_, known)| **known == name) {
        Some((position, _)) => Ok(position),
        None => bail!("`{name}` is none of {}", names.join(", ")),
    }
}

/// What a linked bundle needs.
pub(super) fn print(output: &Path, report: &LinkReport) {
    let linked = &report.linked;
    let page_bytes = linked.networks.first().map_or(0, |network| network.plan.page.page_bytes());
    outln!("{}: {}", output.display(), byte_size::format(report.summary.file_bytes));
    outln!(
        "  {} networks; {} pages of {}, {} of them stored once for several",
        linked.networks.len(),
        linked.page_count,
        byte_size::format(page_bytes),
        report.pages_given - linked.page_count,
    );
    let budget = linked.budget_bytes.map_or_else(|| "none".to_owned(), byte_size::format);
    let declared = linked.memory.total_bytes().unwrap_or(u64::MAX);
    outln!("  declared peak {} (budget {budget})", byte_size::format(declared));
    outln!(
        "  arena of {} slots: {} keep their pages, {} are everybody's; ring of {}",
        linked.slot_count,
        linked.kept_slots,
        linked.slot_count - linked.kept_slots,
        linked.staging_pages(),
    );
    if let Some(note) = streaming_without_budget(linked.budget_bytes, linked.page_count, linked.slot_count) {
        outln!("  {note}");
    }
    report.networks.iter().for_each(|network| print_network(network, report));
    linked.connections.iter().for_each(|connection| print_connection(connection, linked));
    if let Some((us, bound_us)) = report.sequence_us {
        let gap = (us - bound_us) / us * 100.0;
        outln!(
            "  predicted time of the sequence {:.1} ms; with as many slots at least {:.1} ms (gap {gap:.1} %)",
            us / 1e3,
            bound_us / 1e3
        );
    }
}

/// What to say where nothing limits memory and an arena has too few slots all the same.
fn streaming_without_budget(budget_bytes: Option<u64>, pages: u32, slots: u32) -> Option<String> {
    let over = pages.saturating_sub(slots);
    (budget_bytes.is_none() && over > 0).then(|| {
        format!("no budget, but {over} pages more than an arena has slots: networks stream; compile them with larger pages (--page)")
    })
}

fn print_network(network: &NetworkReport, report: &LinkReport) {
    let ms = |us: f64| format!("{:.1} ms", us / 1e3);
    outln!(
        "  {}: {} of {} pages kept; predicted cold {}, after others {}",
        network.name,
        network.kept,
        network.pages,
        ms(network.cold_us),
        ms(network.returned_us)
    );
    for (next, pages, after_us) in &network.next {
        let next = &report.networks[*next as usize];
        outln!("    loads {pages} pages for `{}`, which then takes {}", next.name, ms(*after_us));
    }
}

fn print_connection(connection: &Connection, linked: &Linked) {
    let [from, to] = [connection.from, connection.to].map(|network| &linked.networks[network as usize]);
    let (output, input) = (&from.plan.outputs[connection.output as usize], &to.plan.inputs[connection.input as usize]);
    outln!("  {}.{} goes to {}.{} on the device", from.name, output.name, to.name, input.name);
}

#[cfg(test)]
mod tests {
    use super::{calls, connection, input, sequence, streaming_without_budget};

    #[test]
    fn pages_beyond_the_slots_are_mentioned_only_without_a_budget() {
        assert_eq!(streaming_without_budget(None, 2048, 2048), None);
        assert_eq!(streaming_without_budget(Some(1 << 30), 4970, 288), None);
        let note = streaming_without_budget(None, 4970, 2048).expect("said");
        assert!(note.contains("2922 pages") && note.contains("--page"), "{note}");
    }

    #[test]
    fn networks_are_called_as_their_files_or_as_requested() {
        assert_eq!(input("a/unet.fmplan").unwrap().name, "unet");
        let named = input("unet=a/b=c.fmplan").unwrap();
        assert_eq!((named.name.as_str(), named.path.to_str()), ("unet", Some("a/b=c.fmplan")));
        assert!(input("=a.fmplan").is_err() && input("a=").is_err());
    }

    #[test]
    fn connections_find_networks_in_names_with_dots_and_equals_signs() {
        let names = ["unet", "unet.v2", "a=b"];
        let read = |text| connection(text, &names).map(|found| (found.from, found.to)).ok();
        let port = |network: u32, name: &str| (network, name.to_owned());
        assert_eq!(read("unet.out=a=b.x"), Some((port(0, "out"), port(2, "x"))));
        assert_eq!(read("unet.v2.out.0=unet.x=y"), Some((port(1, "out.0"), port(0, "x=y"))));
        assert_eq!(read("a=b.out=unet.in"), Some((port(2, "out"), port(0, "in"))));
        for wrong in ["", "unet.out", "unet.out=vae.in", "unet=unet.x", "unet.=unet.x", "unet.out="] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn sequences_and_frequencies_name_networks() {
        let names = ["text", "unet", "vae"];
        assert_eq!(sequence("text unet*3 vae", &names).unwrap(), [0, 1, 1, 1, 2]);
        assert_eq!(calls("unet=20,vae=0.5", &names).unwrap(), [1.0, 20.0, 0.5]);
        for wrong in ["", "unet*", "other", "unet*-1", "unet*99999999999"] {
            assert!(sequence(wrong, &names).is_err(), "{wrong}");
        }
        for wrong in ["unet", "unet=x", "unet=-1", "unet=inf", "other=1"] {
            assert!(calls(wrong, &names).is_err(), "{wrong}");
        }
    }
}
