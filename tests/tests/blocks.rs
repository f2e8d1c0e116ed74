//! Weights in blocks of small integers: kernels decode what is stored, bit for bit, and what is stored is close.
//!
//! Weights that lie on the grid of an encoding lose nothing, so a bundle of blocks must give the bits that the bundle of f32
//! gives: every kernel with weights sums in the same order, whatever its weights are encoded in.

use anyhow::{Context as _, ensure};
use flashmem_compiler::bundle::GoldenSource;
use flashmem_compiler::compile::{CompileOptions, Prepared, compile_prepared};
use flashmem_compiler::graph::constant::{Constant, Dtype};
use flashmem_compiler::graph::op::{Op, Window};
use flashmem_compiler::graph::quantized::{Blocks, Floats, Packed, Places, Quantized, Width, ZeroPoints};
use flashmem_compiler::graph::{Graph, GraphPort, NodeId};
use flashmem_compiler::precision::{Goal, PrecisionOptions};
use flashmem_compiler::profile::DeviceProfile;
use flashmem_plan_format::plan::{ElementType, Encoding};
use flashmem_runtime::{Context, Outputs, Session, Tensor};
use flashmem_tests::{compile_quietly, models, options};
use std::path::Path;
use std::sync::Arc;

/// A number from 0 to `below` - 1 that follows from two.
fn noise(index: usize, seed: usize, below: usize) -> usize {
    let mixed =
        (index as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (seed as u64).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    ((mixed ^ mixed >> 29).wrapping_mul(0x94d0_49bb_1331_11eb) >> 33) as usize % below
}

/// How the weight of a case is made.
#[derive(Debug, Clone, Copy)]
enum Made {
    /// Floats on the grid of 4-bit codes about the middle: a scale for every 32 along k, about half of them negative.
    Four,
    /// The same with 8-bit codes.
    Eight,
    /// Floats that are a minimum and codes of 4 bits.
    Minimum,
    /// Integers of this width as a file keeps them, blocks of so many along k.
    Kept(Width, usize, Zeros),
    /// The same in f16: scales are, and elements are rounded to it.
    Halves(Width, usize, Zeros),
}

/// Zero points of integers of a file.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Zeros {
    /// None.
    No,
    /// Integers.
    Integers,
    /// Floats.
    Floats,
}

const MADE: [Made; 13] = [
    Made::Four,
    Made::Eight,
    Made::Minimum,
    Made::Kept(Width::Two, 32, Zeros::Integers),
    Made::Kept(Width::Four, 16, Zeros::No),
    Made::Kept(Width::Four, 64, Zeros::Integers),
    Made::Kept(Width::Four, 128, Zeros::No),
    Made::Kept(Width::Eight, 32, Zeros::Integers),
    Made::Kept(Width::Eight, usize::MAX, Zeros::No),
    Made::Kept(Width::Four, 32, Zeros::Floats),
    Made::Halves(Width::Four, 32, Zeros::Integers),
    Made::Halves(Width::Eight, usize::MAX, Zeros::No),
    Made::Halves(Width::Eight, 64, Zeros::Floats),
];

/// A weight of `k` terms for `n` columns; its shape is (n, k) and then as it is wanted.
fn weight(made: Made, n: usize, k: usize, shape: &[usize], seed: usize) -> Constant {
    let scale = |column: usize, block: usize| -> f32 {
        let size: f32 = [0.0078125, 0.011_718_75, 0.015625][noise(column * 1000 + block, seed, 3)];
        if noise(column * 1000 + block, seed + 1, 2) == 0 { size } else { -size }
    };
    let on_grid = |codes: usize, minimum: bool| {
        let value = |i: usize| {
            let (column, block) = (i / k, i % k / 32);
            // Both ends of the codes are in every block.
            let code = if i % k % 32 < 2 { i % 2 * (codes - 1) } else { noise(i, seed, codes) } as f32;
            let scale = scale(column, block);
            if minimum { code * scale.abs() - 0.125 } else { (code - (codes / 2) as f32) * scale }
        };
        Constant::from_f32(shape.to_vec(), &(0..n * k).map(value).collect::<Vec<_>>())
    };
    match made {
        Made::Four => on_grid(16, false),
        Made::Eight => on_grid(256, false),
        Made::Minimum => on_grid(16, true),
        Made::Kept(width, length, zeros) | Made::Halves(width, length, zeros) => {
            let half = matches!(made, Made::Halves(..));
            let length = length.min(k);
            let blocks = k.div_ceil(length);
            let bytes: Vec<u8> = (0..(n * k).div_ceil(width.per_byte())).map(|i| noise(i, seed, 256) as u8).collect();
            let integers = Packed { width, signed: zeros == Zeros::No, bytes: Arc::new(bytes) };
            let scales: Vec<f32> = (0..n * blocks).map(|i| scale(i / blocks, i % blocks) * 1.001).collect();
            let points: Vec<u8> =
                (0..(n * blocks).div_ceil(width.per_byte())).map(|i| noise(i, seed + 2, 256) as u8).collect();
            let floats = |values: &[f32]| match half {
                false => Floats::from_f32(values),
                true => {
                    let bytes = values.iter().flat_map(|v| half::f16::from_f32(*v).to_le_bytes()).collect::<Vec<u8>>();
                    Floats { half, bytes: Arc::new(bytes) }
                }
            };
            let fractions: Vec<f32> = (0..n * blocks).map(|i| noise(i, seed + 3, 900) as f32 / 64.0 + 1.0).collect();
            let zeros = match zeros {
                Zeros::Integers => ZeroPoints::Integers(Packed { width, signed: false, bytes: Arc::new(points) }),
                Zeros::No => ZeroPoints::Same(0),
                Zeros::Floats => ZeroPoints::Floats(floats(&fractions)),
            };
            let places = Places::dense(&[n, blocks]);
            let blocks = Blocks {
                lengths: vec![1, length],
                scales: floats(&scales),
                scale_places: places.clone(),
                zeros,
                zero_places: places,
            };
            let quantized = Quantized::new(vec![n, k], integers, Places::dense(&[n, k]), blocks, half);
            let constant = Constant::from_quantized(quantized.expect("as many of all as the shape needs"));
            constant.reshaped(shape.to_vec()).expect("as many elements")
        }
    }
}

/// A graph of one operator.
struct Case {
    graph: Graph,
    is_packed: bool,
    x: Vec<f32>,
}

impl Case {
    fn new(op: Op, x_shape: &[usize], weight: Constant, made: Made) -> Self {
        let is_packed = !matches!(made, Made::Kept(..) | Made::Halves(..)) || weight.as_quantized().is_some();
        let mut graph = Graph::default();
        let x = graph.add_shaped(Op::Input, &[], "x", x_shape.to_vec(), Dtype::F32);
        graph.inputs.push(GraphPort { name: "x".into(), element: ElementType::F32, node: x });
        let weight: NodeId = graph.add_constant(weight, "weight");
        let y = graph.add(op, &[x, weight], "y").expect("shapes fit");
        graph.outputs.push(GraphPort { name: "y".into(), element: ElementType::F32, node: y });
        let x = (0..x_shape.iter().product()).map(|i| noise(i, 7, 2001) as f32 / 1000.0 - 1.0).collect();
        Self { graph, is_packed, x }
    }

    fn product(made: Made, rows: usize, k: usize, n: usize) -> Self {
        let op = Op::Einsum { a: b"ab".to_vec(), b: b"cb".to_vec(), output: b"ac".to_vec() };
        Self::new(op, &[rows, k], weight(made, n, k, &[n, k], rows + k + n), made)
    }

    fn convolution(made: Made, channels: usize, n: usize, kernel: [usize; 2], groups: usize) -> Self {
        let window = Window {
            kernel: kernel.to_vec(),
            strides: vec![1, 1],
            dilations: vec![1, 1],
            pads_before: vec![kernel[0] / 2, kernel[1] / 2],
            pads_after: vec![kernel[0] / 2, kernel[1] / 2],
        };
        let k = channels / groups * kernel[0] * kernel[1];
        let shape = [n, channels / groups, kernel[0], kernel[1]];
        Self::new(Op::Conv { window, groups }, &[1, channels, 6, 7], weight(made, n, k, &shape, channels + n), made)
    }

    fn run(&self, context: &Context, device: &str, weights: Encoding, bundle: &Path) -> anyhow::Result<(Outputs, u64)> {
        let options = CompileOptions { profile: DeviceProfile::load(device)?, ..options(weights) };
        let compiled = compile_prepared(&Prepared::from_graph(self.graph.clone(), "blocks"), bundle, &options)?;
        let mut session = Session::builder(bundle).on(context).open()?;
        let shape: Vec<u64> = session.inputs()[0].shape.clone();
        let bytes = self.x.iter().flat_map(|v| v.to_le_bytes()).collect();
        let outputs = session.run(&[("x".to_owned(), Tensor { element: ElementType::F32, shape, bytes })])?;
        Ok((outputs, compiled.plan.weight_bytes))
    }
}

/// The same graph with its weight as floats.
fn in_floats(case: &Case) -> Case {
    let mut graph = case.graph.clone();
    for id in graph.node_ids() {
        if let Some(constant) = graph.constant(id).map(Constant::dense) {
            graph.node_mut(id).op = Op::Constant(constant);
        }
    }
    Case { graph, is_packed: false, x: case.x.clone() }
}

#[test]
fn blocks_give_the_bits_of_the_floats_that_they_stand_for() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let (context, bundle) = (Context::open(None)?, folder.path().join("a.fmplan"));
    for made in MADE {
        // One row, few, and tiles; sums that fill no texel, no block; more than a panel and less.
        let products = [(1, 75, 40), (1, 256, 33), (3, 130, 70), (24, 64, 100), (70, 96, 65), (33, 45, 5)];
        // Enough columns to keep a graphics processor busy.
        let wide = [(1, 40, 8200), (3, 40, 8200)];
        let mut cases: Vec<Case> =
            products.into_iter().chain(wide).map(|(rows, k, n)| Case::product(made, rows, k, n)).collect();
        cases.push(Case::convolution(made, 5, 34, [3, 3], 1));
        cases.push(Case::convolution(made, 40, 6, [1, 1], 1));
        cases.push(Case::convolution(made, 24, 10, [3, 1], 2));
        // Filters of one channel are floats, unless the file has integers for them.
        if matches!(made, Made::Kept(..) | Made::Halves(..)) {
            cases.push(Case::convolution(made, 90, 90, [3, 3], 90));
            cases.push(Case::convolution(made, 32, 64, [5, 5], 32));
            cases.push(Case::convolution(made, 60, 60, [7, 3], 60));
        }
        let asked = match made {
            Made::Four | Made::Minimum => Encoding::Q4,
            Made::Eight => Encoding::Q8,
            Made::Kept(..) | Made::Halves(..) => Encoding::F32,
        };
        for (index, case) in cases.iter().enumerate() {
            for device in ["software", "desktop"] {
                let (expected, all) = in_floats(case).run(&context, device, Encoding::F32, &bundle)?;
                let (found, packed) = case.run(&context, device, asked, &bundle)?;
                ensure!(expected.tensors[0].1.bytes.iter().any(|byte| *byte != 0), "only zeros");
                ensure!(expected.tensors == found.tensors, "{made:?}, case {index} on {device}");
                // Blocks that a reshape takes apart are floats again.
                ensure!(!case.is_packed || packed * 2 < all, "{made:?}, case {index}: {packed} bytes of {all}");
            }
        }
    }
    Ok(())
}

#[test]
fn rows_of_blocks_are_the_floats_that_they_stand_for() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let (context, bundle) = (Context::open(None)?, folder.path().join("a.fmplan"));
    // Larger than what is gathered on the device.
    let (rows, elements) = (33_000, 131);
    for made in [
        Made::Four,
        Made::Eight,
        Made::Kept(Width::Four, 32, Zeros::Integers),
        Made::Kept(Width::Eight, usize::MAX, Zeros::No),
        Made::Halves(Width::Eight, 32, Zeros::Floats),
    ] {
        let table = weight(made, rows, elements, &[rows, elements], 3);
        let mut graph = Graph::default();
        let ids = graph.add_shaped(Op::Input, &[], "ids", vec![5], Dtype::I32);
        graph.inputs.push(GraphPort { name: "ids".into(), element: ElementType::I32, node: ids });
        let table_id = graph.add_constant(table.clone(), "table");
        let y = graph.add(Op::Gather { axis: 0 }, &[table_id, ids], "y")?;
        graph.outputs.push(GraphPort { name: "y".into(), element: ElementType::F32, node: y });
        let asked = match made {
            Made::Four | Made::Minimum => Encoding::Q4,
            Made::Eight => Encoding::Q8,
            Made::Kept(..) | Made::Halves(..) => Encoding::F16,
        };
        let compiled = compile_prepared(&Prepared::from_graph(graph, "rows"), &bundle, &options(asked))?;
        ensure!(compiled.plan.row_tables.len() == 1, "rows are read on demand");
        ensure!(matches!(compiled.plan.row_tables[0].encoding, Encoding::Block(_)), "{made:?}");
        let mut session = Session::builder(&bundle).on(&context).open()?;
        let wanted = [0_i32, 32_999, 17, 4096, 17];
        let bytes = wanted.iter().flat_map(|id| id.to_le_bytes()).collect();
        let input = Tensor { element: ElementType::I32, shape: vec![5], bytes };
        let outputs = session.run(&[("ids".to_owned(), input)])?;
        let values = |id: &i32| (0..elements).map(|i| table.f32_at(*id as usize * elements + i)).collect::<Vec<f32>>();
        let expected: Vec<u8> = wanted.iter().flat_map(values).flat_map(f32::to_le_bytes).collect();
        let pairs = outputs.tensors[0].1.bytes.as_chunks().0.iter().zip(expected.as_chunks().0);
        let mut pairs = pairs.map(|(a, b)| (f32::from_le_bytes(*a), f32::from_le_bytes(*b))).enumerate();
        // Zeros may differ in sign.
        let differs = pairs.find(|(_, (a, b))| a != b);
        ensure!(differs.is_none(), "{made:?}: element, found, expected: {differs:?}");
    }
    Ok(())
}

#[test]
fn networks_with_an_encoding_for_every_weight_are_as_near_as_was_measured() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let (context, bundle) = (Context::open(None)?, folder.path().join("a.fmplan"));
    for name in ["vit", "gptneo-s", "whisper-medium-encoder"] {
        let model = models("tiny").join(name).with_extension("onnx");
        let inputs = model.with_extension("npz");
        let run = |options: CompileOptions| -> anyhow::Result<(Outputs, Vec<flashmem_runtime::PortInfo>)> {
            compile_quietly(&model, &bundle, &options)?;
            let mut session = Session::builder(&bundle).on(&context).open()?;
            if options.golden.is_some() {
                session.self_test().with_context(|| name.to_owned())?;
            }
            let outputs = session.run(&flashmem_runtime::npz::read(&inputs, &session.inputs())?)?;
            Ok((outputs, session.outputs()))
        };
        let (expected, _) = run(options(Encoding::F32))?;
        let goal = Some(Goal::MaxError(0.02));
        let prepared = flashmem_compiler::compile::prepare(&model, &options(Encoding::F16), &mut |_| ())?;
        let session = Session::builder(&bundle).on(&context).open()?;
        let arrays = flashmem_runtime::npz::read(&inputs, &session.inputs())?;
        let arrays: Vec<Vec<u8>> = arrays.into_iter().map(|(_, tensor)| tensor.bytes).collect();
        let precision =
            PrecisionOptions { goal, samples: vec![prepared.sample(&arrays)], ..PrecisionOptions::default() };
        let mixed = CompileOptions { precision, golden: Some(GoldenSource::Seed), ..options(Encoding::F16) };
        let (found, ports) = run(mixed)?;
        for (index, port) in ports.iter().enumerate() {
            let floats = |outputs: &Outputs| outputs.tensors[index].1.as_f32().unwrap_or_default();
            let error = flashmem_tests::relative_l2(&floats(&found), &floats(&expected));
            ensure!(error > 1e-3 && error < 0.0202, "{name}, `{}`: {error}", port.name);
        }
    }
    Ok(())
}

#[test]
fn networks_with_small_integers_keep_their_self_test_and_lose_little() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let (context, bundle) = (Context::open(None)?, folder.path().join("a.fmplan"));
    for (name, weights, tolerance) in
        [("vit", Encoding::Q8, 0.01), ("vit", Encoding::Q4, 0.12), ("resnet50", Encoding::Q8, 0.1)]
    {
        let model = models("tiny").join(name).with_extension("onnx");
        let run = |options: CompileOptions| -> anyhow::Result<(Outputs, u64)> {
            let plan = compile_quietly(&model, &bundle, &options)?.plan;
            let mut session = Session::builder(&bundle).on(&context).open()?;
            if options.golden.is_some() {
                session.self_test().with_context(|| format!("{name} {weights}"))?;
            }
            let inputs = flashmem_runtime::npz::read(&model.with_extension("npz"), &session.inputs())?;
            Ok((session.run(&inputs)?, plan.weight_bytes))
        };
        let (expected, all) = run(options(Encoding::F32))?;
        let (found, packed) = run(CompileOptions { golden: Some(GoldenSource::Seed), ..options(weights) })?;
        let floats = |outputs: &Outputs| -> Vec<f64> {
            let bytes = &outputs.tensors[0].1.bytes;
            bytes.as_chunks().0.iter().map(|b| f64::from(f32::from_le_bytes(*b))).collect()
        };
        let (expected, found) = (floats(&expected), floats(&found));
        let square = |list: &mut dyn Iterator<Item = f64>| list.map(|v| v * v).sum::<f64>().sqrt();
        let error =
            square(&mut expected.iter().zip(&found).map(|(a, b)| a - b)) / square(&mut expected.iter().copied());
        ensure!(error > 1e-6 && error < tolerance, "{name} {weights}: {error}");
        ensure!(packed * 3 < all, "{name} {weights}: {packed} of {all} bytes");
    }
    Ok(())
}
