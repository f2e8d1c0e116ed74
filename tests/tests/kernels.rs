//! Kernels as they are written give the same bits as unrolled: a kernel of every file with marked loops, on small shapes.
//!
//! Bundles are compiled as always; then the sources of their pipelines are replaced by the written form of the same kernels.

use anyhow::{Context as _, ensure};
use flashmem_compiler::compile::CompileOptions;
use flashmem_compiler::emit::{Form, link, link_form};
use flashmem_compiler::kernels::Kernel;
use flashmem_compiler::profile::DeviceProfile;
use flashmem_plan_format::plan::{Encoding, MemoryDeclaration, PageId, Requirements};
use flashmem_plan_format::{Bundle, BundleWriter, FileSource, ReadAt};
use flashmem_runtime::{Context, Outputs, Session, npz};
use flashmem_tests::{compile_quietly, models, options};
use std::collections::BTreeSet;
use std::path::Path;

/// Device profiles, which decide the tiles, and operator models whose kernels have no epilogue. Drivers take seconds to compile
/// a wide kernel that is not unrolled, so there is one of each file.
const CASES: [(&str, &str); 13] = [
    ("software", "attention_plain"),
    ("software", "conv_2d_no_bias"),
    ("software", "conv_3d"),
    ("software", "half_depthwise_apart"),
    ("software", "matmul_activations_3d"),
    ("software", "matmul_m1_odd"),
    ("software", "matmul_n1"),
    ("software", "ms_gqa_decode"),
    ("desktop", "attention_plain"),
    ("desktop", "conv_2d_no_bias"),
    ("desktop", "matmul_activations_3d"),
    ("desktop", "matmul_m1_odd"),
    ("desktop", "matmul_odd_65x33x130"),
];

/// Each device's kernels are compared with weights of another encoding.
fn encoding_on(device: &str) -> Encoding {
    if device == "software" { Encoding::F32 } else { Encoding::F16 }
}

fn options_on(device: &str) -> anyhow::Result<CompileOptions> {
    Ok(CompileOptions { profile: DeviceProfile::load(device)?, ..options(encoding_on(device)) })
}

/// The encoding of the weights that a kernel reads, if it reads any.
fn weights_of(kernel: Kernel, encoding: Encoding) -> Option<Encoding> {
    kernel.row().uses_weights.then_some(encoding)
}

/// Files of the kernels that unrolling changes.
fn marked() -> BTreeSet<&'static str> {
    let written = |kernel| link_form(kernel, weights_of(kernel, Encoding::F32), None, Form::Written).ok();
    let unrolled = |kernel| link(kernel, weights_of(kernel, Encoding::F32), None).ok();
    let changed = Kernel::all().filter(|kernel| written(*kernel) != unrolled(*kernel));
    changed.map(|kernel| kernel.row().body.name).collect()
}

/// Writes the bundle anew with kernels as they are written, where nothing else is linked with them; their files.
fn rewrite(bundle: &Path, encoding: Encoding, rewritten: &Path) -> anyhow::Result<BTreeSet<&'static str>> {
    let source = FileSource::open(bundle)?;
    let opened = Bundle::open(&source)?;
    let (mut plan, constants) = (opened.plan.clone(), opened.constants.len() as u64);
    ensure!(plan.row_tables.is_empty(), "rows are not copied here");
    let mut files = BTreeSet::new();
    for pipeline in &mut plan.pipelines {
        let Some(kernel) = Kernel::all().find(|kernel| kernel.name() == pipeline.label) else { continue };
        if let Ok(written) = link_form(kernel, weights_of(kernel, encoding), None, Form::Written) {
            files.extend((written.source != pipeline.source).then_some(kernel.row().body.name));
            pipeline.source = written.source;
        }
    }
    plan.requirements = Requirements::of(&plan, constants);
    plan.memory = MemoryDeclaration::of(&plan, constants).context("small numbers")?;
    let mut writer = BundleWriter::create(rewritten, &plan, &opened.constants, None)?;
    let mut page = vec![0; plan.page.page_bytes() as usize];
    for number in 0..plan.page_count {
        source.read_at(opened.page_offset_bytes(PageId(number)), &mut page)?;
        writer.push_page(&page)?;
    }
    writer.finish()?;
    Ok(files)
}

/// Compares the outputs of both forms of a bundle; the files of the kernels that were compared.
fn compare(
    context: &Context,
    bundle: &Path,
    encoding: Encoding,
    arrays: &Path,
) -> anyhow::Result<BTreeSet<&'static str>> {
    let rewritten = bundle.with_extension("written.fmplan");
    let files = rewrite(bundle, encoding, &rewritten)?;
    let run = |path: &Path| -> anyhow::Result<Outputs> {
        let mut session = Session::builder(path).on(context).open()?;
        Ok(session.run(&npz::read(arrays, &session.inputs())?)?)
    };
    let (expected, found) = (run(bundle)?, run(&rewritten)?);
    ensure!(expected.tensors.iter().any(|(_, t)| t.bytes.iter().any(|byte| *byte != 0)), "only zeros");
    for ((name, expected), (_, found)) in expected.tensors.iter().zip(&found.tensors) {
        ensure!(expected.bytes == found.bytes, "{name} differs: {files:?}");
    }
    Ok(files)
}

#[test]
fn kernels_give_the_same_bits_as_they_are_written() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let context = Context::open(None)?;
    let mut compared = BTreeSet::new();
    for (device, name) in CASES {
        let bundle = folder.path().join(format!("{name}-{device}.fmplan"));
        let model = models("ops").join(name);
        compile_quietly(&model.with_extension("onnx"), &bundle, &options_on(device)?)?;
        let arrays = model.with_extension("npz");
        compared.extend(
            compare(&context, &bundle, encoding_on(device), &arrays).with_context(|| format!("{name} {device}"))?,
        );
    }
    assert_eq!(compared, marked(), "a kernel of every file with marks is compared");
    Ok(())
}
