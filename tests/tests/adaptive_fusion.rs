//! Adaptive fusion: epilogues are split where load capacity binds, for less predicted time and the same bits; and nowhere else.

use flashmem_compiler::compile::{CompileOptions, SPLIT_OPTION};
use flashmem_compiler::profile::{DeviceProfile, built_in_names};
use flashmem_compiler::schedule::Strategy;
use flashmem_plan_format::plan::Encoding;
use flashmem_tests::{compile_quietly, models, options, run, short_of_capacity};

#[test]
fn a_split_wins_where_capacity_binds() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let bundle = folder.path().join("a.fmplan");
    for name in ["vit", "deepvit"] {
        let model = models("tiny").join(format!("{name}.onnx"));
        let inputs = models("tiny").join(format!("{name}.npz"));
        let whole = options(Encoding::F32);
        let short = short_of_capacity(whole.clone(), 20.0);
        let compiled = compile_quietly(&model, &bundle, &short)?;
        let fusion = &compiled.fusion;
        assert!(fusion.capacity_binds && !fusion.splits.is_empty(), "{name}: {fusion}");
        let split_us = compiled.solver.objective_us;
        assert!(split_us < fusion.whole_us, "{name}: {split_us} us with splits, {} us without", fusion.whole_us);
        assert!(fusion.splits.iter().all(|split| split.saves_us > 0.0 && split.node.contains('+')), "{name}: {fusion}");
        let stored = compiled.plan.provenance.options.iter().filter(|(option, _)| option == SPLIT_OPTION);
        assert!(stored.map(|(_, node)| node).eq(fusion.splits.iter().map(|split| &split.node)), "{name}");
        // What was split is a step of its own: the operator's name stands without the epilogue's.
        for split in &fusion.splits {
            assert!(
                compiled.plan.dispatches.iter().all(|dispatch| compiled.plan.name(dispatch.node) != split.node),
                "{name}: {split:?}"
            );
        }
        let bytes = std::fs::read(&bundle)?;
        let split = run(&bundle, &inputs, 1, 2)?.outputs.remove(0).tensors;
        compile_quietly(&model, &bundle, &short)?;
        assert!(std::fs::read(&bundle)? == bytes, "{name}: two compilations differ");
        let compiled = compile_quietly(&model, &bundle, &whole)?;
        assert!(compiled.fusion.splits.is_empty(), "{name}");
        assert!(run(&bundle, &inputs, 1, 2)?.outputs.remove(0).tensors == split, "{name}: outputs differ");
    }
    Ok(())
}

#[test]
fn naive_strategies_and_normal_devices_keep_fusions_whole() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let bundle = folder.path().join("a.fmplan");
    for name in ["resnet50", "vit", "gptneo-s"] {
        let model = models("tiny").join(format!("{name}.onnx"));
        let normal = options(Encoding::F16);
        for profile in built_in_names() {
            let options = CompileOptions { profile: DeviceProfile::load(profile)?, ..normal.clone() };
            let fusion = compile_quietly(&model, &bundle, &options)?.fusion;
            assert!(fusion.splits.is_empty(), "{name} on {profile}: {fusion}");
            assert!(fusion.to_string().starts_with("whole: "), "{fusion}");
        }
        let naive = CompileOptions { strategy: Strategy::OnDemand, ..short_of_capacity(normal, 20.0) };
        assert!(compile_quietly(&model, &bundle, &naive)?.fusion.splits.is_empty(), "{name}");
    }
    Ok(())
}
