//! Every operator model of `models/ops` against ONNX Runtime's stored outputs, at full residency and at the smallest budget; and
//! what happens to indices outside their axis.
//!
//! A model that is refused must stand in `models/ops/refused.txt` with a part of its reason, and one that stands there must be
//! refused for that.

use flashmem_compiler::compile::CompileOptions;
use flashmem_compiler::profile::DeviceProfile;
use flashmem_plan_format::container::Bundle;
use flashmem_plan_format::indices::IndexPort;
use flashmem_plan_format::plan::Encoding;
use flashmem_runtime::{Context, ElementType, Error, FileSource, InputError, Session, Source, Tensor, npz};
use flashmem_tests::{compile_quietly, error_against, models, onnx_files, options, run_on, smallest_budget};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// Relative L2: one operator, sums of at most a few thousand terms.
const TOLERANCE: f64 = 1e-5;

fn options_of(name: &str) -> CompileOptions {
    let mut options = options(Encoding::F32);
    if name == "symbolic_batch" {
        options.import.dims.push(("batch".to_owned(), 3));
    }
    options
}

/// Beginnings of the names of models whose kernels are others on devices with fast workgroup memory.
const WITH_WORKGROUPS: &[&str] = &["attention", "conv_2d", "matmul", "recovered_norms"];

/// The same models with the kernels of graphics processors.
#[test]
fn kernels_with_workgroup_memory() -> anyhow::Result<()> {
    let (folder, context) = (tempfile::tempdir()?, Context::open(None)?);
    let bundle = folder.path().join("a.fmplan");
    // The largest tiles, however few workgroups they give; the smallest; and these with sums in as many parts as may be.
    for busy_workgroups in [Some(1), None, Some(1 << 20)] {
        let profile = DeviceProfile { busy_workgroups, ..DeviceProfile::load("desktop")? };
        let options = CompileOptions { profile, ..options(Encoding::F32) };
        let mut checked = 0;
        for model in onnx_files(&models("ops"))? {
            let name = model.file_stem().expect("a file").to_string_lossy();
            let has_them = WITH_WORKGROUPS.iter().any(|start| name.starts_with(start));
            if !has_them || compile_quietly(&model, &bundle, &options).is_err() {
                continue;
            }
            let npz = model.with_extension("npz");
            let run = run_on(&context, &bundle, &npz, 1, 1)?;
            let error = error_against(&run.outputs[0], &npz, &run.ports)?;
            anyhow::ensure!(error <= TOLERANCE, "{name}: relative L2 error {error:.2e}");
            checked += 1;
        }
        anyhow::ensure!(checked > 60, "{checked} models");
    }
    Ok(())
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
    check_bounds(context, &bundle, &npz)?;
    let error = error_against(&resident.outputs[0], &npz, &resident.ports)?;
    anyhow::ensure!(error <= TOLERANCE, "relative L2 error {error:.2e}");

    let least = smallest_budget(model, &bundle, &options)?;
    compile_quietly(model, &bundle, &CompileOptions { budget_bytes: Some(least), ..options })?;
    let streamed = run_on(context, &bundle, &npz, 1, 1)?;
    anyhow::ensure!(streamed.outputs[0].tensors == resident.outputs[0].tensors, "the smallest budget changes bits");
    Ok(None)
}

/// Models whose inputs hold indices, that each has a bound on.
const INDEXED: &[&str] =
    &["gather_nd_batch", "gather_nd_joined_inputs", "scatter_elements_max_i64", "scatter_nd_elements_mul"];

/// Every index of an input just outside its bound is refused before the run, with its place, and the session goes on.
fn check_bounds(context: &Context, bundle: &Path, npz: &Path) -> anyhow::Result<()> {
    let source = Arc::new(FileSource::open(bundle)?);
    let bounds = Bundle::open(&*source)?.plan.index_bounds;
    let name = bundle.file_stem().expect("a file").to_string_lossy();
    anyhow::ensure!(!INDEXED.contains(&&*name) || !bounds.is_empty(), "its indices have no bound");
    let mut session = Session::builder(Source::Blocking(source)).on(context).open()?;
    let inputs = npz::read(npz, &session.inputs())?;
    for bound in bounds {
        let IndexPort::Input(input) = bound.port else { continue };
        let last = bound.walk.positions().last().expect("a bound has an element");
        for index in [bound.least - 1, bound.most + 1] {
            let mut wrong = inputs.clone();
            let tensor = &mut wrong[input as usize].1;
            let at = last as usize;
            match tensor.element {
                ElementType::I64 => tensor.bytes[8 * at..][..8].copy_from_slice(&index.to_le_bytes()),
                ElementType::I32 => tensor.bytes[4 * at..][..4].copy_from_slice(&(index as i32).to_le_bytes()),
                // No such index can be given.
                ElementType::U8 | ElementType::I8 | ElementType::Bool if i8::try_from(index).is_err() => continue,
                ElementType::F32 | ElementType::F16 | ElementType::U8 | ElementType::I8 | ElementType::Bool => {
                    anyhow::bail!("indices of type {:?}", tensor.element)
                }
            }
            match session.run(&wrong) {
                Err(Error::Input(InputError::IndexRange { position, index: found, .. })) => {
                    anyhow::ensure!((position, found) == (last, index), "another place: {position}, {found}");
                }
                Err(error) => return Err(error.into()),
                Ok(_) => anyhow::bail!("index {index} of {bound:?} is accepted"),
            }
        }
    }
    session.run(&inputs)?;
    Ok(())
}

#[test]
fn computed_indices_are_limited_or_found() -> anyhow::Result<()> {
    let (folder, context) = (tempfile::tempdir()?, Context::open(None)?);
    let (bundle, model) = (folder.path().join("a.fmplan"), models("ops").join("gather_computed_indices.onnx"));
    let mut options = options(Encoding::F32);
    let rows: Vec<f32> = (0..15).map(|i| i as f32).collect();
    let inputs = |place: i64| {
        [
            ("x0", Tensor::from_i64(&[4], &[0, 1, 2, place])),
            ("x1", Tensor::from_i64(&[4], &[0; 4])),
            ("x2", Tensor::from_f32(&[5, 3], &rows)),
        ]
    };
    compile_quietly(&model, &bundle, &options)?;
    let mut session = Session::builder(&bundle).on(&context).open()?;
    for (place, row) in [(-5, 0), (-6, 0), (4, 4), (1000, 4)] {
        let outputs = session.run(&inputs(place))?;
        let found = outputs.tensors[0].1.as_f32().expect("floats");
        assert_eq!(found[9..], rows[3 * row..][..3], "index {place}");
    }
    options.import.check_indices = true;
    compile_quietly(&model, &bundle, &options)?;
    let mut session = Session::builder(&bundle).on(&context).open()?;
    for place in [5, -6] {
        let error = session.run(&inputs(place)).expect_err("no such row").to_string();
        let text = format!("node `/gather_1`: computed index {place}, element 3, is outside -5 to 4");
        assert_eq!(error, text);
        let other = pollster::block_on(session.run_async(&inputs(place)));
        assert!(matches!(other, Err(Error::ComputedIndex { position: 3, .. })), "without blocking");
    }
    let outputs = session.run(&inputs(-5))?;
    let indices = outputs.get("indices of /gather_1").and_then(Tensor::as_i32);
    assert_eq!(indices.as_deref(), Some(&[0, 1, 2, -5][..]));
    Ok(())
}

#[test]
fn a_computed_row_outside_its_table_is_refused() -> anyhow::Result<()> {
    let (folder, context) = (tempfile::tempdir()?, Context::open(None)?);
    let (bundle, model) = (folder.path().join("a.fmplan"), models("ops").join("large_table_other_ranks.onnx"));
    compile_quietly(&model, &bundle, &options(Encoding::F32))?;
    let source = Arc::new(FileSource::open(&bundle)?);
    let plan = Bundle::open(&*source)?.plan;
    assert_eq!(plan.row_gathers.len(), 2, "the host reads the rows");
    let rows = i64::from(plan.row_tables.iter().map(|table| table.rows).min().expect("two tables"));
    let mut session = Session::builder(Source::Blocking(source)).on(&context).open()?;
    let inputs = |id: i64| [("x0", Tensor::from_i64(&[6], &[0, 1, 2, id, 4, 5]))];
    for id in [rows * 48, -rows * 48, i64::from(i32::MIN)] {
        match session.run(&inputs(id)) {
            Err(Error::Input(InputError::ComputedRowIndex { position: 3, value, index, .. })) => {
                assert_eq!((value, index), (id, i64::from((id as i32).wrapping_abs())));
            }
            other => panic!("{other:?}"),
        }
    }
    match session.run(&inputs(1 << 40)) {
        Err(Error::Input(InputError::IntegerRange { index: 3, value, .. })) => assert_eq!(value, 1 << 40),
        other => panic!("{other:?}"),
    }
    let last = [session.run(&inputs(rows - 1))?, session.run(&inputs(1 - rows))?];
    assert_eq!(last[0].tensors, last[1].tensors);
    compile_quietly(&models("ops").join("large_table_floats.onnx"), &bundle, &options(Encoding::F32))?;
    let mut session = Session::builder(&bundle).on(&context).open()?;
    let halves = [half::f16::ONE; 7];
    let inputs = |id: f32| {
        let mut ids = [1.5; 10];
        ids[7] = id;
        [
            ("x0", Tensor::from_f32(&[2, 5], &ids)),
            ("x1", Tensor::from_f16(&[7], &halves)),
            ("x2", Tensor::from_f32(&[4, 3], &[0.0; 12])),
        ]
    };
    session.run(&inputs(-0.9))?;
    let least = i64::from(i32::MIN);
    for (id, found) in [(1e6, 1_000_000), (f32::INFINITY, least), (f32::NAN, least), (-1e6, -1_000_000)] {
        match session.run(&inputs(id)) {
            Err(Error::Input(InputError::ComputedRowIndex { position: 7, index, .. })) => {
                assert_eq!(index, found);
            }
            other => panic!("{other:?}"),
        }
    }
    Ok(())
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
