//! The tiny networks: right answers, streaming, determinism, budgets, damage.

use anyhow::Context as _;
use flashmem_compiler::bundle::GoldenSource;
use flashmem_compiler::compile::CompileOptions;
use flashmem_compiler::schedule::Strategy;
use flashmem_plan_format::plan::Encoding;
use flashmem_runtime::{Error, Session, npz};
use flashmem_tests::{compile_quietly, error_against, models, options, run, smallest_budget};
use std::path::{Path, PathBuf};

/// Small forms of the eleven networks; Whisper is two graphs.
const ALL: [&str; 12] = [
    "deepvit",
    "depthanything-l",
    "depthanything-s",
    "gptneo-1.3b",
    "gptneo-2.7b",
    "gptneo-s",
    "resnet50",
    "sam2",
    "sd-unet",
    "vit",
    "whisper-medium-decoder",
    "whisper-medium-encoder",
];

/// What the tests that compile and run many times take: a convolutional network, a transformer, embedding rows.
const NETWORKS: [&str; 3] = ["resnet50", "vit", "gptneo-s"];

fn tiny(name: &str) -> (PathBuf, PathBuf) {
    let folder = models("tiny");
    (folder.join(format!("{name}.onnx")), folder.join(format!("{name}.npz")))
}

/// Compiles a network for its smallest budget and with everything resident; both must be right and give the same bits.
fn right_at_both_ends(name: &str, format: Encoding, tolerance: f64) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let bundle = folder.path().join("a.fmplan");
    let (model, reference) = tiny(name);
    let least = smallest_budget(&model, &bundle, &options(format))?;
    let mut all = Vec::new();
    for (budget_bytes, strategy) in [(Some(least), Strategy::Optimal), (None, Strategy::PreloadAll)] {
        let compiled = compile_quietly(&model, &bundle, &CompileOptions { budget_bytes, strategy, ..options(format) })?;
        let resident = compiled.plan.slot_count == compiled.plan.page_count;
        assert_eq!(resident, budget_bytes.is_none(), "{name} {format:?}: streams at the smallest budget only");
        let ran = run(&bundle, &reference, 2, 2)?;
        assert!(
            budget_bytes.is_none_or(|b| ran.stats.memory.measured_peak_bytes <= b),
            "{name} {format:?}: over budget"
        );
        let error = error_against(&ran.outputs[0], &reference, &Session::builder(&bundle).open()?.outputs())?;
        assert!(error <= tolerance, "{name} {format:?}: relative L2 error {error:.2e} exceeds {tolerance:e}");
        all.extend(ran.outputs);
    }
    assert!(all.iter().all(|o| o.tensors == all[0].tensors), "{name} {format:?}: outputs differ");
    Ok(())
}

#[test]
fn every_network_is_right_in_f32_at_its_smallest_budget_and_fully_resident() -> anyhow::Result<()> {
    // Sums are rounded in another order.
    ALL.iter().try_for_each(|name| right_at_both_ends(name, Encoding::F32, 1e-5).context(*name))
}

#[test]
fn every_network_is_right_in_f16_at_its_smallest_budget_and_fully_resident() -> anyhow::Result<()> {
    // Weights are rounded to 11 bits.
    ALL.iter().try_for_each(|name| right_at_both_ends(name, Encoding::F16, 5e-3).context(*name))
}

#[test]
fn external_data_gives_the_same_bits() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let outputs: Vec<_> = ["gptneo-s", "gptneo-s-external"]
        .iter()
        .map(|name| {
            let bundle = folder.path().join(name);
            compile_quietly(&tiny(name).0, &bundle, &options(Encoding::F32))?;
            Ok(run(&bundle, &tiny("gptneo-s").1, 1, 2)?.outputs.remove(0).tensors)
        })
        .collect::<anyhow::Result<_>>()?;
    assert!(outputs[0] == outputs[1], "inline and external weights give different bits");
    Ok(())
}

#[test]
fn weights_that_stay_in_the_file_give_the_same_bundle_as_weights_in_memory() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    for name in ["gptneo-2.7b", "whisper-medium-encoder"] {
        let bytes: Vec<Vec<u8>> = [false, true]
            .iter()
            .map(|own_weights| {
                let path = folder.path().join("a.fmplan");
                let mut options = options(Encoding::F16);
                options.import.own_weights = *own_weights;
                compile_quietly(&tiny(name).0, &path, &options)?;
                Ok(std::fs::read(path)?)
            })
            .collect::<anyhow::Result<_>>()?;
        assert!(bytes[0] == bytes[1], "{name}: two bundles differ");
    }
    Ok(())
}

#[test]
fn outputs_are_bit_identical_at_any_budget_thread_count_and_run() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    for name in NETWORKS {
        let (model, inputs) = tiny(name);
        let bundle = folder.path().join("a.fmplan");
        let options = options(Encoding::F16);
        let least = smallest_budget(&model, &bundle, &options)?;
        let mut all = Vec::new();
        for (budget_bytes, strategy) in [
            (Some(least), Strategy::Optimal),
            (Some(least + 200_000), Strategy::Optimal),
            (None, Strategy::Optimal),
            (None, Strategy::PreloadAll),
        ] {
            let options = CompileOptions { budget_bytes, strategy, ..options.clone() };
            let compiled = compile_quietly(&model, &bundle, &options)?;
            if strategy == Strategy::PreloadAll {
                assert_eq!(compiled.plan.slot_count, compiled.plan.page_count, "{name}: everything is resident");
            }
            if budget_bytes == Some(least) {
                assert!(compiled.plan.slot_count < compiled.plan.page_count, "{name}: the smallest budget streams");
            }
            for threads in [1, 4] {
                let ran = run(&bundle, &inputs, 3, threads)?;
                assert!(budget_bytes.is_none_or(|b| ran.stats.memory.measured_peak_bytes <= b), "{name}: over budget");
                all.extend(ran.outputs);
            }
        }
        assert!(all.iter().all(|o| o.tensors == all[0].tensors), "{name}: outputs differ");
    }
    Ok(())
}

#[test]
fn the_smallest_budget_works_and_one_byte_less_does_not() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let bundle = folder.path().join("a.fmplan");
    for name in NETWORKS {
        for format in [Encoding::F32, Encoding::F16] {
            let options = options(format);
            let least = smallest_budget(&tiny(name).0, &bundle, &options)?;
            let with = |budget| CompileOptions { budget_bytes: Some(budget), ..options.clone() };
            let compiled = compile_quietly(&tiny(name).0, &bundle, &with(least))?;
            assert!(compiled.plan.memory.total_bytes().is_some_and(|total| total <= least));
            let refused = compile_quietly(&tiny(name).0, &bundle, &with(least - 1)).err().context("one byte less")?;
            assert!(refused.to_string().contains(&format!("smallest feasible budget: {least} bytes")), "{refused}");
        }
    }
    Ok(())
}

#[test]
fn compiling_twice_gives_the_same_bytes() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    for name in NETWORKS {
        let mut options = options(Encoding::F16);
        options.golden = Some(GoldenSource::Seed);
        let bytes: Vec<Vec<u8>> = ["a", "b"]
            .iter()
            .map(|file| {
                let path = folder.path().join(file);
                compile_quietly(&tiny(name).0, &path, &options)?;
                Ok(std::fs::read(path)?)
            })
            .collect::<anyhow::Result<_>>()?;
        assert!(bytes[0] == bytes[1], "{name}: two compilations differ");
    }
    Ok(())
}

#[test]
fn the_golden_self_test_passes() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let bundle = folder.path().join("a.fmplan");
    for name in NETWORKS {
        let mut options = options(Encoding::F32);
        options.golden = Some(GoldenSource::Seed);
        compile_quietly(&tiny(name).0, &bundle, &options)?;
        Session::builder(&bundle).open()?.self_test().with_context(|| name.to_owned())?;
    }
    Ok(())
}

/// Opens and runs a bundle; the error, if there is any.
fn attempt(bundle: &Path, inputs: &Path) -> Result<(), Error> {
    let mut session = Session::builder(bundle).open()?;
    let arrays = npz::read(inputs, &session.inputs()).expect("the reference file is sound");
    session.run(&arrays).map(|_| ())
}

#[test]
fn damage_is_noticed() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let bundle = folder.path().join("a.fmplan");
    let (model, inputs) = tiny("vit");
    compile_quietly(&model, &bundle, &options(Encoding::F16))?;
    attempt(&bundle, &inputs)?;
    let good = std::fs::read(&bundle)?;
    let damaged = folder.path().join("damaged.fmplan");
    for i in 0..100 {
        std::fs::write(&damaged, &good[..good.len() * i / 100])?;
        assert!(attempt(&damaged, &inputs).is_err(), "truncated at {i} %");
    }
    // A stride that is coprime to every alignment reaches headers, plan, kernels, padding and pages.
    let step = (good.len() / 61) | 1;
    for at in (0..good.len()).step_by(step) {
        let mut bytes = good.clone();
        bytes[at] ^= 0x20;
        std::fs::write(&damaged, &bytes)?;
        assert!(attempt(&damaged, &inputs).is_err(), "byte {at} flipped");
    }
    Ok(())
}
