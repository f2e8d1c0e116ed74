//! Bundles for mixed precision: a device without units for it runs them as bundles of f32, bit for bit; one that has them stays
//! close, and repeats its bits.

use flashmem_compiler::compile::CompileOptions;
use flashmem_compiler::kernels::Math;
use flashmem_compiler::profile::DeviceProfile;
use flashmem_plan_format::Bundle;
use flashmem_plan_format::plan::Encoding;
use flashmem_runtime::{Context, FileSource};
use flashmem_tests::{compile_quietly, error_against, models, run_on};

#[test]
fn a_device_without_matrix_units_gives_the_bits_of_f32() -> anyhow::Result<()> {
    let (folder, context) = (tempfile::tempdir()?, Context::open(None)?);
    let has_units = !context.adapter().contains("llvmpipe");
    for (network, pipeline) in [("resnet50", "conv"), ("vit", "attention")] {
        let (model, bundle) = (models("tiny").join(format!("{network}.onnx")), folder.path().join("a.fmplan"));
        let mut outputs = Vec::new();
        for math in [Math::F32, Math::Mixed] {
            // No tiles depend on how busy a device is, so that both have the same.
            let profile = DeviceProfile { busy_workgroups: None, ..DeviceProfile::load("desktop")? };
            compile_quietly(&model, &bundle, &CompileOptions { math, ..CompileOptions::new(profile, Encoding::F16) })?;
            let plan = Bundle::open(&FileSource::open(&bundle)?)?.plan;
            let mut both = plan.pipelines.iter().filter(|pipeline| pipeline.cooperative.is_some());
            let found = both.any(|both| both.label.starts_with(pipeline));
            anyhow::ensure!(found == (math == Math::Mixed), "{network}: cooperative sources of {pipeline}: {found}");
            let result = run_on(&context, &bundle, &model.with_extension("npz"), 2, 2)?;
            anyhow::ensure!(
                result.outputs[0].tensors == result.outputs[1].tensors,
                "{network}: {math:?} repeats no bits"
            );
            let error = error_against(&result.outputs[0], &model.with_extension("npz"), &result.ports)?;
            anyhow::ensure!(error <= 3e-3, "{network}: {math:?} is {error:.1e} away");
            outputs.push(result.outputs);
        }
        anyhow::ensure!(has_units || outputs[0][0].tensors == outputs[1][0].tensors, "{network}: other bits");
    }
    Ok(())
}
