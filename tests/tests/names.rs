//! Names are data: a model under other names is the same plan under other names, and gives the same bits.

use flashmem_compiler::compile::{CompileOptions, SPLIT_OPTION};
use flashmem_compiler::report::{Subject, Timeline, page};
use flashmem_compiler::stages::schedule_of_plan;
use flashmem_plan_format::container::Bundle;
use flashmem_plan_format::plan::{Encoding, Plan};
use flashmem_plan_format::source::FileSource;
use flashmem_runtime::{Session, Tensor, npz};
use flashmem_tests::renamed::renamed;
use flashmem_tests::{compile_quietly, models, options, short_of_capacity};
use std::path::Path;

/// A plan without its texts, and without the memory that they take.
fn nameless(mut plan: Plan) -> Plan {
    plan.provenance.model_hash.clear();
    plan.provenance.options.retain(|(option, _)| option != SPLIT_OPTION);
    plan.inputs.iter_mut().chain(&mut plan.outputs).for_each(|port| port.name.clear());
    plan.row_tables.iter_mut().for_each(|table| table.name.clear());
    plan.names.iter_mut().for_each(String::clear);
    plan.memory.host_bytes = 0;
    plan
}

/// What a report draws, texts apart, and ticks of axes: one of them goes up to the peak, of which the bytes of names are a part.
fn marks(plan: &Plan) -> Vec<usize> {
    let subject = Subject::of_bundle(plan, None);
    let html = page(&subject, &Timeline::new(&subject));
    let html = html.replace(r#"<path class="grid""#, "").replace(r#"<text class="tick""#, "");
    ["<rect", "<path", "<line", "<text", "<tr", "<td", "<title"].map(|mark| html.matches(mark).count()).to_vec()
}

/// Outputs in port order; inputs are the arrays of the model's `.npz`, whose names are those of `ports`, in order.
fn outputs(bundle: &Path, inputs: &[Tensor]) -> anyhow::Result<Vec<Tensor>> {
    let mut session = Session::builder(bundle).open()?;
    let names = session.inputs();
    let named: Vec<(&str, Tensor)> = names.iter().map(|port| port.name.as_str()).zip(inputs.iter().cloned()).collect();
    let outputs = session.run(&named)?;
    Ok(session.outputs().iter().filter_map(|port| outputs.get(&port.name).cloned()).collect())
}

fn check(name: &str, options: &CompileOptions, splits: bool) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let (model, arrays) = (models("tiny").join(format!("{name}.onnx")), models("tiny").join(format!("{name}.npz")));
    let other = folder.path().join(format!("{name}.onnx"));
    std::fs::write(&other, renamed(&std::fs::read(&model)?))?;
    let bundle = folder.path().join("a.fmplan");
    let first = compile_quietly(&model, &bundle, options)?;
    assert_eq!(first.fusion.splits.is_empty(), !splits, "{name}: {}", first.fusion);
    let inputs = npz::read(&arrays, &Session::builder(&bundle).open()?.inputs())?;
    let inputs: Vec<Tensor> = inputs.into_iter().map(|(_, tensor)| tensor).collect();
    let expected = outputs(&bundle, &inputs)?;
    let pages = Bundle::open(&FileSource::open(&bundle)?)?.page_checksums;

    let second = compile_quietly(&other, &bundle, options)?;
    assert_eq!(second.fusion.splits.len(), first.fusion.splits.len(), "{name}: {}", second.fusion);
    assert_eq!(marks(&first.plan), marks(&second.plan), "{name}: another report");
    let split = |plan: &Plan| plan.provenance.options.iter().filter(|(option, _)| option == SPLIT_OPTION).count();
    assert_eq!((split(&first.plan), split(&second.plan)), (first.fusion.splits.len(), first.fusion.splits.len()));
    for plan in [&first.plan, &second.plan] {
        let bundle_of_its_own = schedule_of_plan(plan)?;
        assert_eq!(bundle_of_its_own.finish_us.ceil() as u64, plan.predicted_cold_us, "{name}: another problem");
    }
    assert!(first.plan.names != second.plan.names, "{name}: the names are others");
    assert!(nameless(first.plan) == nameless(second.plan), "{name}: another plan under other names");
    assert!(Bundle::open(&FileSource::open(&bundle)?)?.page_checksums == pages, "{name}: other pages");
    assert!(outputs(&bundle, &inputs)? == expected, "{name}: other bits");
    Ok(())
}

#[test]
fn renaming_everything_changes_nothing_but_names() -> anyhow::Result<()> {
    for name in ["vit", "resnet50", "gptneo-s", "sd-unet"] {
        check(name, &options(Encoding::F16), false)?;
    }
    Ok(())
}

#[test]
fn renaming_everything_splits_the_same_epilogues() -> anyhow::Result<()> {
    for name in ["vit", "deepvit"] {
        check(name, &short_of_capacity(options(Encoding::F32), 20.0), true)?;
    }
    Ok(())
}
