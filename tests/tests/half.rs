//! Weights that half precision cannot hold as they are give right results in it: `models/ops/half_*`, whose weights are tiny, large,
//! or of channels far apart.

use anyhow::Context as _;
use flashmem_compiler::bundle::half::HalfSummary;
use flashmem_compiler::compile::CompileOptions;
use flashmem_plan_format::plan::Encoding;
use flashmem_runtime::{Context, Outputs, PortInfo, Tensor, npz};
use flashmem_tests::{compile_quietly, error_against, models, onnx_files, options, run_on, smallest_budget};
use std::path::Path;

/// Relative L2: weights are rounded to 11 bits, whatever their size; where channels are apart, the few largest sums decide.
const TOLERANCE: f64 = 2e-3;

/// Elements that may be off by more than a hundredth: sums whose terms cancel.
const CANCELLING: f64 = 0.2;

/// The share of elements that are off by more than a hundredth of themselves, however small they are.
fn share_off(found: &Outputs, reference: &Path, ports: &[PortInfo]) -> anyhow::Result<f64> {
    let (mut off, mut all) = (0_u32, 0_u32);
    for (name, want) in npz::read(reference, ports)? {
        let got = found.get(&name).and_then(Tensor::as_f32).context("an output of f32")?;
        for (got, want) in got.into_iter().zip(want.as_f32().context("an array of f32")?) {
            all += 1;
            off += u32::from((got - want).abs() > want.abs() / 100.0);
        }
    }
    Ok(f64::from(off) / f64::from(all))
}

/// Models that are f16 themselves, with weights in range.
const OF_HALF_MODELS: [&str; 2] = ["half_casts", "half_planes"];

#[test]
fn weights_out_of_range_are_right_in_half_precision() -> anyhow::Result<()> {
    let (folder, context) = (tempfile::tempdir()?, Context::open(None)?);
    let bundle = folder.path().join("a.fmplan");
    let mut count = 0;
    for model in onnx_files(&models("ops"))? {
        let name = model.file_stem().expect("a file").to_string_lossy().into_owned();
        if !name.starts_with("half_") || OF_HALF_MODELS.contains(&name.as_str()) {
            continue;
        }
        count += 1;
        let options = options(Encoding::F16);
        let budget_bytes = Some(smallest_budget(&model, &bundle, &options)?);
        let mut all = Vec::new();
        for budget_bytes in [None, budget_bytes] {
            let compiled = compile_quietly(&model, &bundle, &CompileOptions { budget_bytes, ..options.clone() })?;
            let half = HalfSummary::of_plan(&compiled.plan.provenance);
            let (scaled, kept) = if name.starts_with("half_table") { (0, 1) } else { (1, 0) };
            assert!(half.scaled.len() >= scaled && half.kept_f32.len() == kept, "{name}: {half}");
            assert!(half.worst_error.is_none_or(|error| error <= 1.0 / 2048.0), "{name}: {half}");
            let ran = run_on(&context, &bundle, &model.with_extension("npz"), 1, 2)?;
            let error = error_against(&ran.outputs[0], &model.with_extension("npz"), &ran.ports)?;
            assert!(error <= TOLERANCE, "{name}: relative L2 error {error:.2e}");
            let off = share_off(&ran.outputs[0], &model.with_extension("npz"), &ran.ports)?;
            assert!(off <= CANCELLING, "{name}: {:.0} % of the elements are off", off * 100.0);
            all.extend(ran.outputs);
        }
        assert!(all.iter().all(|outputs| outputs.tensors == all[0].tensors), "{name}: a budget changes bits");
    }
    assert!(count > 30, "{count} models");
    Ok(())
}

#[test]
fn ordinary_networks_are_left_alone() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let bundle = folder.path().join("a.fmplan");
    for name in ["vit", "resnet50", "gptneo-s", "sd-unet"] {
        let model = models("tiny").join(format!("{name}.onnx"));
        let plan = compile_quietly(&model, &bundle, &options(Encoding::F16))?.plan;
        assert!(HalfSummary::of_plan(&plan.provenance).is_empty(), "{name}");
    }
    Ok(())
}
