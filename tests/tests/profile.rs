//! A machine that `flashmem-run profile` measures is a device that `flashmem-compile --device` plans for.

use flashmem_compiler::compile::CompileOptions;
use flashmem_compiler::cost::OperatorClass;
use flashmem_compiler::profile::{DeviceProfile, Tiles};
use flashmem_plan_format::plan::Encoding;
use flashmem_runtime::Session;
use flashmem_runtime::profile::{ProfileOptions, measure};
use flashmem_tests::{compile_quietly, models, options};

#[test]
fn a_measured_profile_compiles_and_its_bundle_runs() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let tiny = ProfileOptions {
        folder: folder.path().to_owned(),
        file_bytes: 4 << 20,
        repeats: 1,
        min_kernel_us: 1.0,
        ..ProfileOptions::default()
    };
    let mut heard = Vec::new();
    let measured = measure(&tiny, &mut |what| heard.push(what.to_owned())).expect("the machine can be measured");
    assert_eq!(heard.len(), 7, "{heard:?}");
    let path = folder.path().join("device.toml");
    std::fs::write(&path, measured.to_toml()).expect("writable");
    let profile = DeviceProfile::load(&path.to_string_lossy()).expect("what is measured is accepted");
    assert_eq!(profile.tiles == Tiles::Software, measured.software);
    // Rounded to four digits.
    let close = |a: f64, b: f64| (a - b).abs() <= 1e-3 * b;
    assert!(close(profile.disk_bytes_per_second, measured.disk.bytes_per_second));
    assert!(close(profile.throughput.reusable_flops_per_second, measured.reusable.work_per_second));
    // More uploads are hidden by longer kernels, and none beside those that allow no slowdown.
    let capacity = |class, us| profile.capacity_pages(class, us, 4096);
    assert!(capacity(OperatorClass::Reusable, 2e6) >= capacity(OperatorClass::Reusable, 1e6));
    for rate in [&measured.elemental, &measured.reusable, &measured.hierarchical] {
        assert!(rate.alone_us > 0.0 && rate.work_per_second > 0.0 && !rate.curve.is_empty(), "{rate:?}");
        assert!(rate.curve.is_sorted_by(|a, b| a[0] < b[0] && a[1] <= b[1]), "{rate:?}");
    }

    let bundle = folder.path().join("vit.fmplan");
    let options = CompileOptions { profile, ..options(Encoding::F16) };
    let compiled = compile_quietly(&models("tiny").join("vit.onnx"), &bundle, &options).expect("it compiles");
    assert_eq!(compiled.plan.provenance.profile, options.profile.name);
    Session::builder(&bundle).open().expect("the plan fits the machine that it was made for");
}
