//! Every kernel with a loop, at lengths around and beyond what the CPU adapter loops: 65,535 rounds in all, without an
//! error. The results are compared with the interpreter's.

use anyhow::Context as _;
use flashmem_compiler::bundle::{Assembly, write};
use flashmem_compiler::emit::KernelCache;
use flashmem_compiler::graph::constant::{Constant, Dtype};
use flashmem_compiler::graph::interpret::interpret;
use flashmem_compiler::graph::kernel_op::{
    Accumulation, CachedAttention, Cumulative, LinearAttention, MaxRoiPool, RoiAlign, TopK,
};
use flashmem_compiler::graph::op::{NormKind, Op, PoolKind, ReduceKind, ScatterKind, Taps, Window};
use flashmem_compiler::graph::pointwise::{BinaryOp, Pointwise};
use flashmem_compiler::graph::{Graph, GraphPort, NodeId};
use flashmem_compiler::kernels::Kernel;
use flashmem_compiler::optimize::{OptimizeOptions, optimize, split_long_sums};
use flashmem_compiler::options::CompileOptions;
use flashmem_compiler::profile::DeviceProfile;
use flashmem_compiler::schedule::{SolverKind, Strategy};
use flashmem_compiler::search::{Search, search};
use flashmem_plan_format::Bundle;
use flashmem_plan_format::plan::{ElementType, Encoding, Provenance};
use flashmem_runtime::{Context, Error, FileSource, Outputs, Session, Tensor};
use flashmem_tests::relative_l2;
use std::collections::BTreeSet;
use std::path::Path;

/// Below the limit with some terms a round, above it, and thrice as many.
const LENGTHS: [usize; 3] = [60_000, 66_000, 200_000];

/// A relative error that sums of 200,000 terms in f32 have, and far from what a lost term in a hundred gives.
const TOLERANCE: f64 = 1e-4;

/// Numbers between −0.5 and 1, so that every term counts.
fn noise(shape: &[usize], seed: u32) -> Constant {
    let mut state = seed;
    let values: Vec<f32> = (0..shape.iter().product::<usize>())
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 24) as f32 * 1.5 - 0.5
        })
        .collect();
    Constant::from_f32(shape.to_vec(), &values)
}

/// A graph and the values of its inputs.
#[derive(Default)]
struct Case {
    graph: Graph,
    values: Vec<Constant>,
}

impl Case {
    fn input(&mut self, value: Constant) -> NodeId {
        let (name, element) = match value.dtype() {
            Dtype::F32 => (format!("x{}", self.values.len()), ElementType::F32),
            Dtype::I32 | Dtype::Bool => (format!("i{}", self.values.len()), ElementType::I32),
        };
        let node = self.graph.add_shaped(Op::Input, &[], &name, value.shape.clone(), value.dtype());
        self.graph.inputs.push(GraphPort { name, element, node });
        self.values.push(value);
        node
    }

    fn noise(&mut self, shape: &[usize]) -> NodeId {
        self.input(noise(shape, 1 + self.values.len() as u32))
    }

    fn weight(&mut self, shape: &[usize]) -> NodeId {
        self.graph.add_constant(noise(shape, 77), "weight")
    }

    fn output(&mut self, op: impl Into<Op>, operands: &[NodeId]) {
        let node = self.node(op, operands);
        let element = match self.graph.node(node).dtype {
            Dtype::F32 => ElementType::F32,
            Dtype::I32 | Dtype::Bool => ElementType::I32,
        };
        self.graph.outputs.push(GraphPort { name: format!("y{}", self.graph.outputs.len()), element, node });
    }

    fn node(&mut self, op: impl Into<Op>, operands: &[NodeId]) -> NodeId {
        self.graph.add(op.into(), operands, "node").expect("the case is well formed")
    }
}

fn product() -> Op {
    Op::Einsum { a: vec![0, 1], b: vec![1, 2], output: vec![0, 2] }
}

fn window(kernel: &[usize], pad: usize) -> Window {
    let one = vec![1; kernel.len()];
    Window {
        kernel: kernel.to_vec(),
        strides: one.clone(),
        dilations: one,
        pads_before: vec![pad; kernel.len()],
        pads_after: vec![pad; kernel.len()],
    }
}

/// The side of a square of at least `n` elements.
fn side(n: usize) -> usize {
    n.isqrt() + 1
}

type Build = fn(&mut Case, usize);

/// Kernels with loops that no case calls, and why.
const ELSEWHERE: &[(&str, &str)] = &[
    ("attention", GRAPHICS),
    ("attention_128", GRAPHICS),
    ("conv_tiled", GRAPHICS),
    ("conv_tiled_64", GRAPHICS),
    ("conv_tiled_128", GRAPHICS),
    ("matmul_dyn_tiled", GRAPHICS),
    ("matmul_slices", GRAPHICS),
    ("matmul_slices_4", GRAPHICS),
    ("matmul_slices_4_narrow", GRAPHICS),
    ("matmul_slices_narrow", GRAPHICS),
    ("matmul_tiled", GRAPHICS),
    ("matmul_tiled_64", GRAPHICS),
    ("matmul_tiled_128", GRAPHICS),
    ("moments", GRAPHICS),
    ("normalize_parts", GRAPHICS),
    ("det", "a matrix has at most 48 rows"),
    ("inverse", "a matrix has at most 32 rows"),
];

/// Sessions on CPU adapters refuse what is too long for them, as the last test here sees.
const GRAPHICS: &str = "not in plans for CPU adapters";

/// What is computed, by name, for a length.
const CASES: &[(&str, Build)] = &[
    ("products with weights", |c, n| {
        let weight = c.weight(&[n, 3]);
        for rows in [1, 5, 24, 40] {
            let x = c.noise(&[rows, n]);
            c.output(product(), &[x, weight]);
        }
    }),
    ("computed product", |c, n| {
        let (a, b) = (c.noise(&[2, n]), c.noise(&[n, 3]));
        c.output(product(), &[a, b]);
    }),
    ("convolution of many channels", |c, n| {
        let (x, weight) = (c.noise(&[1, n / 9 + 1, 3, 4]), c.weight(&[2, n / 9 + 1, 3, 3]));
        c.output(Op::Conv { window: window(&[3, 3], 1), groups: 1 }, &[x, weight]);
    }),
    ("convolution of a long window", |c, n| {
        let (x, weight) = (c.noise(&[1, 1, n]), c.weight(&[2, 1, n]));
        c.output(Op::Conv { window: window(&[n], 2), groups: 1 }, &[x, weight]);
    }),
    ("depthwise convolution", |c, n| {
        let (x, weight) = (c.noise(&[1, 2, side(n), side(n)]), c.weight(&[2, 1, side(n), side(n)]));
        c.output(Op::Conv { window: window(&[side(n), side(n)], 1), groups: 2 }, &[x, weight]);
    }),
    ("pools", |c, n| {
        let (x, flat) = (c.noise(&[1, 1, side(n), side(n)]), c.noise(&[1, 2, n]));
        for count_include_pad in [false, true] {
            let kind = PoolKind::Average { count_include_pad };
            c.output(Op::Pool { window: window(&[side(n), side(n)], 1), kind }, &[x]);
        }
        for kind in [PoolKind::Max, PoolKind::MaxIndex] {
            c.output(Op::Pool { window: window(&[n], 2), kind }, &[flat]);
        }
        for p in [1, 2, 3] {
            c.output(Op::Pool { window: window(&[n], 2), kind: PoolKind::Norm { p } }, &[flat]);
            c.output(Op::Pool { window: window(&[side(n), side(n)], 1), kind: PoolKind::Norm { p } }, &[x]);
        }
    }),
    ("reductions", |c, n| {
        let x = c.noise(&[2, n]);
        for kind in [ReduceKind::Sum, ReduceKind::Max, ReduceKind::L2] {
            c.output(Op::Reduce { kind, axes: vec![1] }, &[x]);
        }
        c.output(Op::ArgReduce { axis: 1, max: true, last: false }, &[x]);
        c.output(Op::Softmax { axis: 1, log: false }, &[x]);
        c.output(Op::Normalize { kind: NormKind::Layer, axes: vec![1], epsilon: 1e-5 }, &[x]);
        c.output(Cumulative { accumulation: Accumulation::Sum, axis: 1, exclusive: false, reverse: true }, &[x]);
    }),
    ("first of a line", |c, n| {
        // Every element is compared with every other.
        let x = c.noise(&[1, n / 10]);
        c.output(TopK { axis: 1, k: 5, largest: true }, &[x]);
    }),
    ("scatter", |c, n| {
        let rows: Vec<i32> = (0..n as i32).map(|i| i * 7 % 5).collect();
        let (data, rows) = (c.noise(&[5, 1]), c.input(Constant::from_i32(vec![n], &rows)));
        let updates = c.noise(&[n, 1]);
        c.output(Op::Scatter { reduction: ScatterKind::Add }, &[data, rows, updates]);
    }),
    ("sum of overlapping windows", |c, n| {
        let k = side(n);
        let x = c.noise(&[1, 1, k, k, 2, 2]);
        let window = Window { pads_before: vec![k / 2; 2], pads_after: vec![k / 2; 2], ..window(&[k, k], 0) };
        c.output(Op::Fold { window, output_padding: vec![0, 0] }, &[x]);
    }),
    ("resampling", |c, n| {
        let taps = |count: usize| Taps {
            window: count,
            indices: (0..count as i32).collect(),
            weights: (0..count).map(|i| 1.0 + (i % 7) as f32).collect(),
        };
        let (flat, plane) = (c.noise(&[2, n]), c.noise(&[side(n), side(n)]));
        let both = Op::Resize { axes: vec![taps(side(n)), taps(side(n))], fill: 0.0 };
        let flat_out = c.graph.add_shaped(
            Op::Resize { axes: vec![Taps::kept(), taps(n)], fill: 0.0 },
            &[flat],
            "flat",
            vec![2, 1],
            Dtype::F32,
        );
        let plane_out = c.graph.add_shaped(both, &[plane], "plane", vec![1, 1], Dtype::F32);
        for (name, node) in [("flat", flat_out), ("plane", plane_out)] {
            c.graph.outputs.push(GraphPort { name: name.into(), element: ElementType::F32, node });
        }
    }),
    ("attention", |c, n| {
        // Heads of 8, 60 and 100 elements, whose kernels take more rounds for fewer keys.
        for (keys, head) in [(n, 8), (n / 16, 60), (n / 16, 100)] {
            let (q, k, v) = (c.noise(&[3, head]), c.noise(&[keys, head]), c.noise(&[keys, head]));
            let scores = c.node(Op::Einsum { a: vec![0, 1], b: vec![2, 1], output: vec![0, 2] }, &[q, k]);
            let shares = c.node(Op::Softmax { axis: 1, log: false }, &[scores]);
            c.output(product(), &[shares, v]);
        }
    }),
    ("attention to a cache", |c, n| {
        let (q, k, v) = (c.noise(&[1, 1, 2, 8]), c.noise(&[1, 1, n, 8]), c.noise(&[1, 1, n, 8]));
        let places = c.input(Constant::from_i32(vec![1], &[n as i32 - 2]));
        c.output(
            CachedAttention { causal: true, sinks: false, bias: false, scale: None, softcap: None, window: None },
            &[q, k, v, places],
        );
    }),
    ("attention as a recurrence", |c, n| {
        let (q, k, v) = (c.noise(&[1, n, 4]), c.noise(&[1, n, 4]), c.noise(&[1, n, 2]));
        let plain = LinearAttention { heads: 1, group: 1, scale: None, past: false, decay: false, beta: false };
        c.output(plain, &[q, k, v]);
    }),
    ("regions of interest", |c, n| {
        let k = side(n);
        let (x, last) = (c.noise(&[1, 1, k, k]), k as f32);
        let corners = [0.0, 0.0, last, last, 3.0, -5.0, last + 40.0, 9.0, -3.0, 2.0, last - 8.0, last + 9.0];
        let regions = c.input(Constant::from_f32(vec![3, 4], &corners));
        let entries = c.input(Constant::from_i32(vec![3], &[0; 3]));
        for (size, max) in [([1, 1], false), ([1, 2], true)] {
            c.output(RoiAlign { size, samples: 0, scale: 1.0, half_pixel: true, max }, &[x, regions, entries]);
        }
        let corners = [0.0, 0.0, 0.0, last, last, 0.0, 3.0, 5.0, last, last - 2.0];
        let regions = c.input(Constant::from_f32(vec![2, 5], &corners));
        c.output(MaxRoiPool { size: [1, 1], scale: 1.0 }, &[x, regions]);
    }),
    ("a remainder behind a product", |c, n| {
        // The remainder takes a round for every bit of the quotient, for each of an invocation's results.
        let (x, weight) = (c.noise(&[140, 4]), c.weight(&[4, 300]));
        let divisor = c.graph.add_constant(Constant::from_f32(vec![1, 1], &[3e-30]), "divisor");
        let large = c.graph.add_constant(Constant::from_f32(vec![1, 1], &[n as f32]), "large");
        let sum = c.node(product(), &[x, weight]);
        let scaled = c.node(Op::Pointwise(Pointwise::binary(BinaryOp::Mul, Dtype::F32)), &[sum, large]);
        // What is left of a multiple of the divisor is zero or near the divisor, so both are brought to one value.
        let rest = c.node(Op::Pointwise(Pointwise::binary(BinaryOp::Fmod, Dtype::F32)), &[scaled, divisor]);
        c.output(Op::Pointwise(Pointwise::binary(BinaryOp::Less, Dtype::F32)), &[rest, divisor]);
    }),
];

fn provenance() -> Provenance {
    Provenance {
        model: "long sums".into(),
        model_hash: String::new(),
        compiler: String::new(),
        options: Vec::new(),
        strategy: String::new(),
        solver: String::new(),
        solver_status: String::new(),
        solver_gap: 0.0,
        profile: String::new(),
        disk_bytes_per_second: 0.0,
        upload_bytes_per_second: 0.0,
    }
}

/// Compiles a graph for a device.
fn compile(graph: &Graph, device: &str, bundle: &Path) -> anyhow::Result<()> {
    let (mut graph, profile, provenance) = (graph.clone(), DeviceProfile::load(device)?, provenance());
    let max_loop_rounds = profile.limits.loop_rounds.map(u64::from);
    optimize(&mut graph, &OptimizeOptions { max_loop_rounds, ..OptimizeOptions::default() })?;
    if let Some(most) = max_loop_rounds {
        split_long_sums(&mut graph, most)?;
    }
    let options = CompileOptions::new(profile.clone(), Encoding::F32);
    let search_for = Search {
        options: &options,
        lower: options.lower_options(Encoding::F32),
        assembly: Assembly {
            profile: &profile,
            strategy: Strategy::Optimal,
            solver: SolverKind::default(),
            slot_cap: profile.limits.texture_array_layers,
            staging_pages: 2,
            budget_bytes: None,
            provenance: &provenance,
        },
    };
    let planned = search(&graph, &KernelCache::default(), &search_for)?;
    write(bundle, &planned.program, &planned.assembled.plan, None, &mut |_, _| ())?;
    Ok(())
}

fn run(context: &Context, bundle: &Path, values: &[Constant]) -> anyhow::Result<Outputs> {
    let mut session = Session::builder(bundle).on(context).open()?;
    let inputs: Vec<(String, Tensor)> = session
        .inputs()
        .iter()
        .zip(values)
        .map(|(port, value)| match value.dtype() {
            Dtype::F32 => (port.name.clone(), Tensor::from_f32(&port.shape, &value.to_f32())),
            Dtype::I32 | Dtype::Bool => {
                let integers: Vec<i32> = (0..value.len()).map(|i| value.device_word_at(i) as i32).collect();
                (port.name.clone(), Tensor::from_i32(&port.shape, &integers))
            }
        })
        .collect();
    Ok(session.run(&inputs)?)
}

/// Compiles a case for the CPU adapter, runs it and compares with the interpreter; the kernels that it called.
fn check(
    context: &Context,
    bundle: &Path,
    name: &str,
    build: Build,
    length: usize,
) -> anyhow::Result<BTreeSet<String>> {
    let mut case = Case::default();
    build(&mut case, length);
    compile(&case.graph, "software", bundle).with_context(|| format!("{name}, {length}"))?;
    let outputs = run(context, bundle, &case.values).with_context(|| format!("{name}, {length}"))?;
    let words: Vec<Vec<u32>> =
        case.values.iter().map(|v| (0..v.len()).map(|i| v.device_word_at(i)).collect()).collect();
    for ((output, found), expected) in outputs.tensors.iter().zip(interpret(&case.graph, &words)) {
        if let Some(found) = found.as_f32() {
            let expected: Vec<f32> = expected.iter().map(|word| f32::from_bits(*word)).collect();
            let error = relative_l2(&found, &expected);
            assert!(error <= TOLERANCE, "{name}, {length}: `{output}` is off by {error:.1e}");
        } else {
            let expected: Vec<i32> = expected.iter().map(|word| *word as i32).collect();
            assert_eq!(found.as_i32(), Some(expected), "{name}, {length}: `{output}`");
        }
    }
    let plan = Bundle::open(&FileSource::open(bundle)?)?.plan;
    let kernel = |label: &str| label.split('+').next().unwrap_or(label).to_owned();
    Ok(plan.pipelines.iter().map(|pipeline| kernel(&pipeline.label)).collect())
}

#[test]
fn long_loops_reach_their_end_on_the_software_adapter() -> anyhow::Result<()> {
    let (context, folder) = (Context::open(None)?, tempfile::tempdir()?);
    let bundle = folder.path().join("a.fmplan");
    let mut called = BTreeSet::new();
    for (name, build) in CASES {
        for length in LENGTHS {
            called.append(&mut check(&context, &bundle, name, *build, length)?);
        }
    }
    let has_loops = |kernel: &Kernel| !kernel.row().rounds.fields.is_empty();
    let elsewhere = |kernel: &Kernel| ELSEWHERE.iter().any(|(name, _)| *name == kernel.name());
    let missing =
        Kernel::all().filter(|kernel| has_loops(kernel) && called.contains(kernel.name()) == elsewhere(kernel));
    let missing: Vec<&str> = missing.map(Kernel::name).collect();
    assert!(missing.is_empty(), "no case for {missing:?}, or a reason too many");
    Ok(())
}

#[test]
fn lines_that_are_too_long_for_the_invocations_that_share_them_are_cut() -> anyhow::Result<()> {
    let (context, folder) = (Context::open(None)?, tempfile::tempdir()?);
    let bundle = folder.path().join("a.fmplan");
    let build: Build = |c, n| {
        let x = c.noise(&[1, n]);
        for kind in [ReduceKind::Sum, ReduceKind::Mean, ReduceKind::Max, ReduceKind::L2] {
            c.output(Op::Reduce { kind, axes: vec![1] }, &[x]);
        }
        c.output(Op::Softmax { axis: 1, log: true }, &[x]);
        c.output(Op::Normalize { kind: NormKind::Layer, axes: vec![1], epsilon: 1e-5 }, &[x]);
    };
    // 64 invocations of 65,000 rounds reach 4.2 million elements.
    check(&context, &bundle, "long lines", build, 5_000_000)?;
    Ok(())
}

#[test]
fn a_plan_for_hardware_whose_loops_are_too_long_is_refused_on_software() -> anyhow::Result<()> {
    let (context, folder) = (Context::open(None)?, tempfile::tempdir()?);
    let bundle = folder.path().join("a.fmplan");
    let mut case = Case::default();
    let x = case.noise(&[1, 1, 400, 400]);
    case.output(Op::Pool { window: window(&[400, 400], 0), kind: PoolKind::Max }, &[x]);
    compile(&case.graph, "desktop", &bundle)?;
    match Session::builder(&bundle).on(&context).open() {
        Ok(session) => assert!(!session.stats().software, "the CPU adapter takes what it does not finish"),
        Err(error @ Error::LoopRounds { needed, .. }) => {
            assert!(needed > 160_000 && error.to_string().contains("--device software"), "{error}");
        }
        Err(error) => return Err(error.into()),
    }
    Ok(())
}
