//! Bundles for mixed precision: a device without units for it runs them as bundles of f32, bit for bit.

use flashmem_compiler::compile::CompileOptions;
use flashmem_compiler::kernels::Math;
use flashmem_compiler::profile::DeviceProfile;
use flashmem_plan_format::Bundle;
use flashmem_plan_format::plan::Encoding;
use flashmem_runtime::{Context, FileSource};
use flashmem_tests::{compile_quietly, models, run_on};

#[test]
fn a_device_without_matrix_units_gives_the_bits_of_f32() -> anyhow::Result<()> {
    let (folder, context) = (tempfile::tempdir()?, Context::open(None)?);
    let (model, bundle) = (models("tiny").join("resnet50.onnx"), folder.path().join("a.fmplan"));
    let mut outputs = Vec::new();
    for math in [Math::F32, Math::Mixed] {
        // No tiles depend on how busy a device is, so that both have the same.
        let profile = DeviceProfile { busy_workgroups: None, ..DeviceProfile::load("desktop")? };
        compile_quietly(&model, &bundle, &CompileOptions { math, ..CompileOptions::new(profile, Encoding::F16) })?;
        let plan = Bundle::open(&FileSource::open(&bundle)?)?.plan;
        let with_both = plan.pipelines.iter().filter(|pipeline| pipeline.cooperative.is_some()).count();
        anyhow::ensure!((with_both > 0) == (math == Math::Mixed), "{with_both} pipelines have cooperative sources");
        outputs.push(run_on(&context, &bundle, &model.with_extension("npz"), 2, 2)?.outputs);
    }
    let has_units = !context.adapter().contains("llvmpipe");
    anyhow::ensure!(has_units || outputs[0][0].tensors == outputs[1][0].tensors, "mixed precision changes bits");
    Ok(())
}
