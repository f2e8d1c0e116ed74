//! Runs that follow each other: the same bits whatever stays resident, the reads that the plan says, recovery from a run that
//! failed, and an arena without a slot too many.

use anyhow::Context as _;
use flashmem_compiler::compile::{CompileOptions, Objective, Slack};
use flashmem_compiler::options::Keep;
use flashmem_compiler::schedule::Strategy;
use flashmem_plan_format::container::Bundle;
use flashmem_plan_format::plan::{Command, Encoding, PageId, Plan};
use flashmem_plan_format::source::{FileSource, MemorySource, ReadAt};
use flashmem_runtime::{Error, Session, Source, npz};
use flashmem_tests::{compile_quietly, models, options, run, smallest_budget};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const NETWORKS: [&str; 3] = ["resnet50", "vit", "gptneo-s"];

fn tiny(name: &str) -> (PathBuf, PathBuf) {
    let folder = models("tiny");
    (folder.join(format!("{name}.onnx")), folder.join(format!("{name}.npz")))
}

fn bundle_of(path: &Path) -> anyhow::Result<Bundle> {
    Ok(Bundle::open(&FileSource::open(path)?)?)
}

fn loads(commands: &[Command]) -> u64 {
    commands.iter().filter(|command| matches!(command, Command::Load { .. })).count() as u64
}

/// Budgets from the least to more than everything.
fn budgets(model: &Path, bundle: &Path, options: &CompileOptions) -> anyhow::Result<Vec<u64>> {
    let least = smallest_budget(model, bundle, options)?;
    Ok([0, 60_000, 150_000, 400_000, 2_000_000].map(|more| least + more).to_vec())
}

#[test]
fn runs_give_the_same_bits_whatever_stays_resident() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let bundle = folder.path().join("a.fmplan");
    for name in NETWORKS {
        let (model, inputs) = tiny(name);
        let options = options(Encoding::F16);
        let mut all = Vec::new();
        let mut kept = Vec::new();
        for budget_bytes in budgets(&model, &bundle, &options)?.into_iter().map(Some).chain([None]) {
            for keep in Keep::ALL {
                let options = CompileOptions { budget_bytes, keep, ..options.clone() };
                let compiled = match compile_quietly(&model, &bundle, &options) {
                    Err(error) if keep == Keep::All && error.to_string().starts_with("keeping every page") => continue,
                    compiled => compiled?,
                };
                let plan = &compiled.plan;
                let ran = run(&bundle, &inputs, 4, 2)?;
                all.extend(ran.outputs);
                assert!(budget_bytes.is_none_or(|b| ran.stats.memory.measured_peak_bytes <= b), "{name}: over budget");
                let again = if plan.repeat_commands.is_empty() { &plan.commands } else { &plan.repeat_commands };
                let page_bytes = plan.page.page_bytes();
                let of_pages = |read: u64| read / page_bytes;
                let expected = [loads(&plan.commands), loads(again), loads(again), loads(again)];
                let read: Vec<u64> = ran.stats.runs.iter().map(|run| of_pages(run.bytes_read)).collect();
                assert_eq!(read, expected, "{name} {budget_bytes:?} {keep:?}");
                match keep {
                    Keep::None => assert!(plan.repeat_commands.is_empty()),
                    Keep::All => assert_eq!((loads(again), plan.slot_count), (0, plan.page_count)),
                    Keep::Auto => kept.push(u64::from(plan.page_count) - loads(again)),
                }
            }
        }
        assert!(all.iter().all(|o| o.tensors == all[0].tensors), "{name}: outputs differ");
        // Nothing at the least budget and without one; everything where the budget is large.
        assert!(kept[0] == 0 && kept.last() == Some(&0), "{name}: {kept:?}");
        assert!(kept.iter().any(|pages| *pages > 0), "{name}: {kept:?}");
    }
    Ok(())
}

#[test]
fn everything_resident_reads_nothing_after_the_first_run() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let bundle = folder.path().join("a.fmplan");
    for name in ["resnet50", "vit", "gptneo-s"] {
        let (model, inputs) = tiny(name);
        let options = options(Encoding::F32);
        let variants = [
            CompileOptions { keep: Keep::All, ..options.clone() },
            CompileOptions { strategy: Strategy::PreloadAll, ..options.clone() },
            CompileOptions { budget_bytes: Some(1 << 30), ..options.clone() },
        ];
        for options in variants {
            let cold_us = compile_quietly(&model, &bundle, &CompileOptions { keep: Keep::None, ..options.clone() })?
                .plan
                .predicted_cold_us;
            let compiled = compile_quietly(&model, &bundle, &options)?;
            assert_eq!(compiled.plan.predicted_cold_us, cold_us, "{name}: keeping pages costs the first run nothing");
            let mut session = Session::builder(&bundle).open()?;
            let arrays = npz::read(&inputs, &session.inputs())?;
            let first = session.run(&arrays)?;
            let read = session.stats().io.bytes_read;
            for _ in 0..3 {
                assert!(session.run(&arrays)? == first, "{name}: outputs differ");
            }
            let stats = session.stats();
            assert_eq!((stats.io.bytes_read, stats.plan.loads_repeat), (read, 0), "{name}");
            assert!(stats.runs[1..].iter().all(|run| run.bytes_read == 0) && stats.runs.len() == 4, "{name}");
        }
    }
    Ok(())
}

#[test]
fn objective_memory_keeps_nothing() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let bundle = folder.path().join("a.fmplan");
    let options = CompileOptions {
        objective: Objective::Memory { slack: Slack::Unlimited },
        budget_bytes: Some(1 << 30),
        ..options(Encoding::F16)
    };
    assert!(compile_quietly(&tiny("vit").0, &bundle, &options)?.plan.repeat_commands.is_empty());
    Ok(())
}

/// A source in which one page can be made to fail.
struct Failing {
    bytes: MemorySource,
    page: std::ops::Range<u64>,
    active: AtomicBool,
}

impl ReadAt for Failing {
    fn size_bytes(&self) -> u64 {
        self.bytes.size_bytes()
    }

    fn read_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> io::Result<()> {
        if self.active.load(Ordering::Relaxed) && self.page.contains(&offset_bytes) {
            return Err(io::Error::other("injected"));
        }
        self.bytes.read_at(offset_bytes, buffer)
    }
}

#[test]
fn a_failed_second_run_starts_over() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("a.fmplan");
    let (model, inputs) = tiny("resnet50");
    let options = options(Encoding::F32);
    let least = smallest_budget(&model, &path, &options)?;
    let last_load = |commands: &[Command]| {
        commands.iter().rev().find_map(|command| match command {
            Command::Load { page, .. } => Some(*page),
            Command::Drop { .. } | Command::Dispatch { .. } | Command::Submit => None,
        })
    };
    // A budget at which later runs keep some pages and load others.
    let mut found: Option<(Plan, PageId)> = None;
    for more in (1..60).map(|step| step * 10_000) {
        let plan =
            compile_quietly(&model, &path, &CompileOptions { budget_bytes: Some(least + more), ..options.clone() })?
                .plan;
        if let Some(page) =
            last_load(&plan.repeat_commands).filter(|_| loads(&plan.repeat_commands) < loads(&plan.commands))
        {
            found = Some((plan, page));
            break;
        }
    }
    let (plan, page) = found.context("some budget keeps some pages")?;
    assert!(bundle_of(&path)?.replay.kept_pages > 0);
    let start = bundle_of(&path)?.page_offset_bytes(page);
    let source = Arc::new(Failing {
        bytes: MemorySource::from(std::fs::read(&path)?),
        page: start..start + plan.page.page_bytes(),
        active: AtomicBool::new(false),
    });
    let mut session = Session::builder(Source::Blocking(source.clone())).open()?;
    let arrays = npz::read(&inputs, &session.inputs())?;
    let expected = session.run(&arrays)?;
    source.active.store(true, Ordering::Relaxed);
    let error = session.run(&arrays).err().context("the second run fails")?;
    assert!(matches!(error, Error::PageRead { page: found, .. } if found == page), "{error}");
    source.active.store(false, Ordering::Relaxed);
    for _ in 0..2 {
        assert!(session.run(&arrays)? == expected, "outputs differ after a failed run");
    }
    let stats = session.stats();
    // Rows aside, which a run on the same indices does not read again.
    let read: Vec<u64> = stats.runs.iter().map(|run| run.bytes_read / plan.page.page_bytes()).collect();
    assert_eq!(read[0], read[1], "the run after a failed one reads everything");
    assert!(read[2] < read[1], "the next one does not: {read:?}");
    Ok(())
}

/// Slots come from a free list and pages are found by table, so that a slot is never free where a page cannot use it.
#[test]
fn the_arena_has_no_slot_too_many() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let bundle = folder.path().join("a.fmplan");
    for name in NETWORKS {
        let (model, _) = tiny(name);
        for strategy in [Strategy::Optimal, Strategy::Greedy, Strategy::OnDemand] {
            let options = CompileOptions { strategy, ..options(Encoding::F16) };
            for budget_bytes in budgets(&model, &bundle, &options)?.into_iter().map(Some).chain([None]) {
                let options = CompileOptions { budget_bytes, ..options.clone() };
                let plan = compile_quietly(&model, &bundle, &options)?.plan;
                let replayed = bundle_of(&bundle)?.replay;
                assert_eq!(plan.slot_count, replayed.peak_pages, "{name} {budget_bytes:?} {strategy:?}");
                let arena_bytes = u64::from(replayed.peak_pages) * plan.page.page_bytes();
                assert_eq!(plan.memory.weight_arena_bytes, arena_bytes.next_multiple_of(64 << 10));
            }
        }
    }
    Ok(())
}
