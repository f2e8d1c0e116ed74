//! Kernels as they are written give the same bits as unrolled: every kernel with marked loops, on small shapes.
//!
//! Bundles are compiled as always; then the sources of their pipelines are replaced by the written form of the same kernels.

use anyhow::{Context as _, ensure};
use flashmem_compiler::compile::{CompileOptions, Prepared, compile_prepared};
use flashmem_compiler::emit::{Form, link, link_form};
use flashmem_compiler::graph::constant::Dtype;
use flashmem_compiler::graph::op::{EmptyRow, Op};
use flashmem_compiler::graph::{Graph, GraphPort};
use flashmem_compiler::kernels::Kernel;
use flashmem_compiler::profile::DeviceProfile;
use flashmem_plan_format::plan::{MemoryDeclaration, PageId, Requirements, TexelFormat};
use flashmem_plan_format::{Bundle, BundleWriter, FileSource, ReadAt};
use flashmem_runtime::{Context, ElementType, Outputs, Session, Tensor, npz};
use flashmem_tests::{compile_quietly, models, options};
use std::collections::BTreeSet;
use std::path::Path;

/// Operator models whose kernels have no epilogue: products, of activations too, and convolutions.
const MODELS: [&str; 8] = [
    "attention_plain",
    "conv_2d_no_bias",
    "conv_3d",
    "half_depthwise_apart",
    "matmul_activations_3d",
    "matmul_m1_odd",
    "matmul_n1",
    "matmul_odd_65x33x130",
];

fn options_on(device: &str) -> anyhow::Result<CompileOptions> {
    Ok(CompileOptions { profile: DeviceProfile::load(device)?, ..options(TexelFormat::Rgba32Float) })
}

/// Kernels that unrolling changes.
fn marked() -> BTreeSet<&'static str> {
    let written = |kernel| link_form(kernel, None, Form::Written).ok();
    let changed = Kernel::all().filter(|kernel| written(*kernel) != link(*kernel, None).ok());
    changed.map(Kernel::name).collect()
}

/// Writes the bundle anew with kernels as they are written, where nothing else is linked with them; their names.
fn rewrite(bundle: &Path, rewritten: &Path) -> anyhow::Result<BTreeSet<&'static str>> {
    let source = FileSource::open(bundle)?;
    let opened = Bundle::open(&source)?;
    let (mut plan, constants) = (opened.plan.clone(), opened.constants.len() as u64);
    ensure!(plan.row_tables.is_empty(), "rows are not copied here");
    let mut names = BTreeSet::new();
    for pipeline in &mut plan.pipelines {
        let Some(kernel) = Kernel::all().find(|kernel| kernel.name() == pipeline.label) else { continue };
        if let Ok(written) = link_form(kernel, None, Form::Written) {
            names.extend((written.source != pipeline.source).then_some(kernel.name()));
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
    Ok(names)
}

/// Outputs of both forms of a bundle, and the kernels that were compared.
fn compare(context: &Context, bundle: &Path, arrays: Option<&Path>) -> anyhow::Result<BTreeSet<&'static str>> {
    let rewritten = bundle.with_extension("written.fmplan");
    let names = rewrite(bundle, &rewritten)?;
    let run = |path: &Path| -> anyhow::Result<Outputs> {
        let mut session = Session::builder(path).on(context).open()?;
        match arrays {
            Some(arrays) => Ok(session.run(&npz::read(arrays, &session.inputs())?)?),
            None => Ok(session.run(&heads())?),
        }
    };
    let (expected, found) = (run(bundle)?, run(&rewritten)?);
    ensure!(expected.tensors.iter().any(|(_, t)| t.bytes.iter().any(|byte| *byte != 0)), "only zeros");
    for ((name, expected), (_, found)) in expected.tensors.iter().zip(&found.tensors) {
        ensure!(expected.bytes == found.bytes, "{name} differs: {names:?}");
    }
    Ok(names)
}

/// Two heads of 72 elements, 9 queries and 35 keys.
const SHAPES: [(&str, [usize; 3]); 3] = [("q", [2, 9, 72]), ("k", [2, 35, 72]), ("v", [2, 35, 72])];

fn heads() -> Vec<(&'static str, Tensor)> {
    let value = |i: usize| (i.wrapping_mul(2_654_435_761) % 2000) as f32 / 1000.0 - 1.0;
    SHAPES
        .iter()
        .map(|(name, shape)| {
            let bytes = (0..shape.iter().product()).flat_map(|i| value(i + name.len()).to_le_bytes()).collect();
            (*name, Tensor { element: ElementType::F32, shape: shape.map(|n| n as u64).to_vec(), bytes })
        })
        .collect()
}

/// Attention over heads larger than 64 without a mask.
fn attention(bundle: &Path, device: &str) -> anyhow::Result<()> {
    let mut graph = Graph::default();
    let nodes = SHAPES.map(|(name, shape)| graph.add_shaped(Op::Input, &[], name, shape.to_vec(), Dtype::F32));
    for ((name, _), node) in SHAPES.iter().zip(nodes) {
        graph.inputs.push(GraphPort { name: (*name).to_owned(), element: ElementType::F32, node });
    }
    let op = Op::Attention { scale: 0.11, score: None, empty_row: EmptyRow::Nan };
    let node = graph.add(op, &nodes, "y")?;
    graph.outputs.push(GraphPort { name: "y".to_owned(), element: ElementType::F32, node });
    compile_prepared(&Prepared::from_graph(graph, "attention"), bundle, &options_on(device)?)?;
    Ok(())
}

#[test]
fn kernels_give_the_same_bits_as_they_are_written() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let context = Context::open(None)?;
    let mut compared = BTreeSet::new();
    for device in ["software", "desktop"] {
        for name in MODELS {
            let bundle = folder.path().join(format!("{name}-{device}.fmplan"));
            let model = models("ops").join(name);
            compile_quietly(&model.with_extension("onnx"), &bundle, &options_on(device)?)?;
            let arrays = model.with_extension("npz");
            compared.extend(compare(&context, &bundle, Some(&arrays)).with_context(|| format!("{name} {device}"))?);
        }
        let bundle = folder.path().join(format!("heads-{device}.fmplan"));
        attention(&bundle, device)?;
        compared.extend(compare(&context, &bundle, None).with_context(|| format!("heads {device}"))?);
    }
    assert_eq!(compared, marked(), "every kernel with marked loops is compared");
    Ok(())
}
