//! Every operator model of `models/ops` against ONNX Runtime's stored outputs, at full residency and at the smallest budget.
//!
//! A model that is refused must stand in `models/ops/refused.txt` with a part of its reason, and one that stands there must be
//! refused for that.

use flashmem_compiler::compile::CompileOptions;
use flashmem_plan_format::plan::TexelFormat;
use flashmem_runtime::Context;
use flashmem_tests::{compile_quietly, error_against, models, onnx_files, options, run_on, smallest_budget};
use std::collections::BTreeMap;
use std::path::Path;

/// Relative L2: one operator, sums of at most a few thousand terms.
const TOLERANCE: f64 = 1e-5;

fn options_of(name: &str) -> CompileOptions {
    let mut options = options(TexelFormat::Rgba32Float);
    if name == "symbolic_batch" {
        options.import.dims.push(("batch".to_owned(), 3));
    }
    options
}

/// `Ok(None)` when it passes, `Ok(Some(reason))` when it is refused at compile time.
fn check(context: &Context, model: &Path, folder: &Path) -> anyhow::Result<Option<String>> {
    let name = model.file_stem().expect("a file").to_string_lossy().into_owned();
    let bundle = folder.join(format!("{name}.fmplan"));
    let options = options_of(&name);
    if let Err(error) = compile_quietly(model, &bundle, &options) {
        return Ok(Some(error.to_string().replace('\n', "; ")));
    }
    let npz = model.with_extension("npz");
    let resident = run_on(context, &bundle, &npz, 2, 2)?;
    anyhow::ensure!(resident.outputs[0].tensors == resident.outputs[1].tensors, "run 2 differs from run 1");
    let error = error_against(&resident.outputs[0], &npz, &resident.ports)?;
    anyhow::ensure!(error <= TOLERANCE, "relative L2 error {error:.2e}");

    let least = smallest_budget(model, &bundle, &options)?;
    compile_quietly(model, &bundle, &CompileOptions { budget_bytes: Some(least), ..options })?;
    let streamed = run_on(context, &bundle, &npz, 1, 1)?;
    anyhow::ensure!(streamed.outputs[0].tensors == resident.outputs[0].tensors, "the smallest budget changes bits");
    Ok(None)
}

#[test]
fn operators_match_onnx_runtime() -> anyhow::Result<()> {
    let (folder, context) = (tempfile::tempdir()?, Context::open(None)?);
    let listed = std::fs::read_to_string(models("ops").join("refused.txt"))?;
    let refused: BTreeMap<&str, &str> = listed.lines().filter_map(|l| l.split_once(": ")).collect();
    let only = std::env::var("FLASHMEM_ONLY").unwrap_or_default();
    let mut problems = Vec::new();
    let mut passed = 0;
    for model in onnx_files(&models("ops"))?.iter().filter(|m| m.to_string_lossy().contains(&only)) {
        let name = model.file_stem().expect("a file").to_string_lossy().into_owned();
        match (check(&context, model, folder.path()), refused.get(name.as_str())) {
            (Ok(None), None) => passed += 1,
            (Ok(Some(reason)), Some(part)) if reason.contains(part) => {}
            (Ok(None), Some(_)) => problems.push(format!("{name}: passes, but stands in refused.txt")),
            (Ok(Some(reason)), _) => problems.push(format!("{name}: refused: {reason}")),
            (Err(error), _) => problems.push(format!("{name}: WRONG: {error:#}")),
        }
    }
    println!("{passed} operator models pass, {} are refused as listed", refused.len());
    assert!(problems.is_empty(), "{} problems:\n{}", problems.len(), problems.join("\n"));
    Ok(())
}
