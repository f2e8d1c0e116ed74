//! `--entry`: one model at several sizes in one bundle.

use super::args::CompileArgs;
use super::error::{Stopped, about};
use super::{link, parse, progress_bar};
use anyhow::{Context as _, ensure};
use flashmem_compiler::compile::{CompileOptions, Progress};
use flashmem_compiler::entries::{EntriesError, Entry, compile_entries};
use flashmem_compiler::import::{Dim, ImportOptions};
use flashmem_compiler::link::LinkOptions;
use flashmem_compiler::options::Keep;
use flashmem_plan_format::linked::MAX_NETWORKS;
use std::path::Path;

/// Compiles all entries into one bundle, and prints what that needs.
pub fn run(args: &CompileArgs, model: &Path, output: &Path, options: &CompileOptions) -> Result<(), Stopped> {
    let entries = entries(&args.entry, &options.import).map_err(Stopped::Usage)?;
    let link = link_options(args, &entries, options).map_err(Stopped::Usage)?;
    let bar = progress_bar(args.plan.quiet);
    let made = compile_entries(model, output, &entries, (options, &link), &mut |entry, progress| match progress {
        Progress::Stage(stage) => {
            bar.set_message(entry.map_or_else(|| stage.to_owned(), |name| format!("{name}: {stage}")))
        }
        Progress::Writing(done, total) => {
            bar.set_length(total);
            bar.set_position(done);
        }
    });
    bar.finish_and_clear();
    let report = made.map_err(|error| told(model, error))?;
    if !args.plan.quiet {
        link::print(output, &report);
    }
    Ok(())
}

/// As errors of a single model are told, behind the entry's name.
fn told(model: &Path, error: EntriesError) -> anyhow::Error {
    match error {
        EntriesError::Compile { entry, source } => about(model, *source).context(format!("entry `{entry}`")),
        EntriesError::Link(_) | EntriesError::Read { .. } | EntriesError::Bundle { .. } => error.into(),
    }
}

fn link_options(args: &CompileArgs, entries: &[Entry], options: &CompileOptions) -> anyhow::Result<LinkOptions> {
    ensure!(
        options.keep == Keep::Auto,
        "--keep is for one network: what entries keep follows from --budget and --calls"
    );
    let names: Vec<&str> = entries.iter().map(|entry| entry.name.as_str()).collect();
    let calls = args.calls.as_deref().map(|text| link::calls(text, &names)).transpose().context("--calls")?;
    let described = args.calls.iter().map(|text| ("calls".to_owned(), text.clone()));
    Ok(LinkOptions {
        budget_bytes: options.budget_bytes,
        calls: calls.unwrap_or_else(|| vec![1.0; names.len()]),
        sequence: Vec::new(),
        shares_states: true,
        limits: options.profile.limits,
        solver: options.solver,
        options: described.collect(),
        connections: Vec::new(),
    })
}

/// What all `--entry` say together: `NAME:SIZES`, sizes as in `--set` and `--input`, which they go before; those of one name add up.
fn entries(texts: &[String], common: &ImportOptions) -> anyhow::Result<Vec<Entry>> {
    let mut entries: Vec<Entry> = Vec::new();
    for text in texts {
        let (name, sizes) = text.split_once(':').unwrap_or((text, ""));
        ensure!(!name.is_empty(), "--entry {text}: expected NAME:SIZES");
        let place = entries.iter().position(|entry| entry.name == name).unwrap_or_else(|| {
            entries.push(Entry { name: name.to_owned(), import: common.clone() });
            entries.len() - 1
        });
        for size in sizes.split(',').filter(|size| !size.trim().is_empty()) {
            set(&mut entries[place].import, size.trim()).with_context(|| format!("--entry {text}"))?;
        }
    }
    ensure!(entries.len() <= MAX_NETWORKS as usize, "at most {MAX_NETWORKS} entries can be made");
    Ok(entries)
}

/// Sets a size, a value or a shape, whatever it was before.
fn set(import: &mut ImportOptions, text: &str) -> anyhow::Result<()> {
    if !text.contains('=') {
        let (name, shape): (String, Vec<Dim>) = parse::input(text)?;
        import.inputs.retain(|(other, _)| *other != name);
        import.inputs.push((name, shape));
        return Ok(());
    }
    let (name, setting) = parse::setting(text)?;
    import.dims.retain(|(other, _)| *other != name);
    import.values.retain(|(other, _)| *other != name);
    match setting {
        parse::Setting::Size(size) => import.dims.push((name, size)),
        parse::Setting::Value(value) => import.values.push((name, value)),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::entries;
    use flashmem_compiler::import::{Dim, ImportOptions, Value};

    #[test]
    fn sizes_of_entries_go_before_those_of_all() {
        let common =
            ImportOptions { dims: vec![("batch".into(), 1), ("length".into(), 8)], ..ImportOptions::default() };
        let texts = ["a:length=64, image:1x3x8", "b", "a:cached=true"].map(str::to_owned);
        let made = entries(&texts, &common).expect("entries");
        assert_eq!(made.iter().map(|entry| entry.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(made[0].import.dims, [("batch".to_owned(), 1), ("length".to_owned(), 64)]);
        assert_eq!(made[0].import.inputs, [("image".to_owned(), [1, 3, 8].map(Dim::Size).to_vec())]);
        assert_eq!(made[0].import.values, [("cached".to_owned(), Value::Bool(true))]);
        assert_eq!(made[1].import.dims, common.dims);
        for wrong in [":length=1", "a:length", "a:length=", "a:=1", "a:x:1xx-"] {
            assert!(entries(&[wrong.to_owned()], &common).is_err(), "{wrong}");
        }
    }
}
