//! Products of one x with several weights run in one call, with the bits that they have on their own.
//!
//! What is asked of the smallest budget, where they run one by one if that takes less memory, is asked of all budgets: the same
//! bits. So graphs of products are compared with each product alone in a graph.

use anyhow::{Context as _, ensure};
use flashmem_compiler::compile::{CompileOptions, Prepared, compile_prepared};
use flashmem_compiler::graph::constant::{Constant, Dtype};
use flashmem_compiler::graph::op::Op;
use flashmem_compiler::graph::pointwise::{BinaryOp, Instruction, Operand, Pointwise, UnaryOp};
use flashmem_compiler::graph::{Graph, GraphPort, NodeId};
use flashmem_compiler::profile::DeviceProfile;
use flashmem_plan_format::plan::{ElementType, Encoding};
use flashmem_runtime::{Context, Session, Tensor};
use flashmem_tests::{options, relative_l2};
use std::path::Path;

/// A number between -1 and 1 that follows from two.
fn noise(index: usize, seed: usize) -> f32 {
    let mixed =
        (index as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (seed as u64).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let bits = (mixed ^ mixed >> 29).wrapping_mul(0x94d0_49bb_1331_11eb) >> 40;
    bits as f32 / 8_388_608.0 - 1.0
}

/// What follows a product.
#[derive(Debug, Clone, Copy)]
enum Then {
    Nothing,
    Bias,
    /// A factor, then a bias.
    Scaled,
}

/// Columns of the products, and what follows each.
type Products = [(usize, Then)];

const K: usize = 96;

fn constant(graph: &mut Graph, shape: &[usize], seed: usize) -> NodeId {
    let values: Vec<f32> = (0..shape.iter().product()).map(|i| noise(i, seed)).collect();
    graph.add_constant(Constant::from_f32(shape.to_vec(), &values), format!("constant {seed}"))
}

/// Products of `rows` rows of x with weights that are the same whichever of them there are, each negated behind.
fn graph(rows: usize, products: &Products, only: Option<usize>) -> anyhow::Result<Graph> {
    let mut graph = Graph::default();
    let x = graph.add_shaped(Op::Input, &[], "x", vec![rows, K], Dtype::F32);
    graph.inputs.push(GraphPort { name: "x".into(), element: ElementType::F32, node: x });
    for (index, (columns, then)) in products.iter().enumerate().filter(|(index, _)| only.is_none_or(|o| o == *index)) {
        let weight = constant(&mut graph, &[*columns, K], 3 * index);
        let mut operands = vec![x, weight];
        let mut steps = Vec::new();
        let of_columns = [(BinaryOp::Mul, 3 * index + 1), (BinaryOp::Add, 3 * index + 2)];
        let taken = match then {
            Then::Nothing => &of_columns[..0],
            Then::Bias => &of_columns[1..],
            Then::Scaled => &of_columns[..],
        };
        for (position, (op, seed)) in (0_u32..).zip(taken) {
            operands.push(constant(&mut graph, &[1, *columns], *seed));
            let before = position.checked_sub(1).map_or(Operand::Input(0), Operand::Result);
            steps.push(Instruction::Binary(*op, before, Operand::Input(position + 1)));
        }
        let op = Op::Einsum { a: b"mk".to_vec(), b: b"nk".to_vec(), output: b"mn".to_vec() };
        let product = graph.add_shaped(op, &operands, "product", vec![rows, *columns], Dtype::F32);
        if !steps.is_empty() {
            graph.node_mut(product).epilogue =
                Some(Pointwise { inputs: vec![Dtype::F32; 1 + steps.len()], instructions: steps });
        }
        let negative = Op::Pointwise(Pointwise::unary(UnaryOp::Abs, Dtype::F32));
        // A view that strides can say, and that no epilogue is behind.
        let turned = graph.add(Op::Transpose { permutation: vec![1, 0] }, &[product], "turned")?;
        let both = graph.add(Op::Concat { axis: 0 }, &[turned, turned], "both")?;
        let y = graph.add(negative, &[both], "y")?;
        graph.outputs.push(GraphPort { name: format!("y{index}"), element: ElementType::F32, node: y });
    }
    Ok(graph)
}

struct Ran {
    outputs: Vec<Vec<f32>>,
    /// Calls that read weights.
    products: usize,
}

fn run(graph: &Graph, bundle: &Path, context: &Context, options: &CompileOptions) -> anyhow::Result<Ran> {
    let compiled = compile_prepared(&Prepared::from_graph(graph.clone(), "siblings"), bundle, options)?;
    let mut session = Session::builder(bundle).on(context).open()?;
    let shape = session.inputs()[0].shape.clone();
    let count = shape.iter().product::<u64>() as usize;
    let bytes = (0..count).map(|i| noise(i, 1000)).flat_map(f32::to_le_bytes).collect();
    let outputs = session.run(&[("x".to_owned(), Tensor { element: ElementType::F32, shape, bytes })])?;
    let values = outputs.tensors.iter().map(|(_, tensor)| tensor.as_f32().context("floats"));
    Ok(Ran {
        outputs: values.collect::<anyhow::Result<_>>()?,
        products: compiled.plan.dispatches.iter().filter(|dispatch| dispatch.weights.is_some()).count(),
    })
}

/// The smallest budget of a graph.
fn smallest(graph: &Graph, bundle: &Path, options: &CompileOptions) -> anyhow::Result<u64> {
    let options = CompileOptions { budget_bytes: Some(1), ..options.clone() };
    let refused = compile_prepared(&Prepared::from_graph(graph.clone(), "siblings"), bundle, &options).err();
    let text = refused.context("a budget of one byte is refused")?.to_string();
    let (_, rest) = text.split_once("smallest feasible budget: ").context("it names the smallest")?;
    Ok(rest.trim_end_matches(" bytes").parse()?)
}

#[test]
fn siblings_run_in_one_call_with_their_own_bits_at_any_budget() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let (context, bundle) = (Context::open(None)?, folder.path().join("a.fmplan"));
    let heads: &Products = &[(64, Then::Bias), (64, Then::Nothing), (64, Then::Bias)];
    let grouped: &Products = &[(128, Then::Nothing), (32, Then::Scaled), (32, Then::Bias)];
    // The second does not fill its last panel.
    let odd: &Products = &[(96, Then::Scaled), (120, Then::Bias), (40, Then::Nothing)];
    for products in [heads, grouped, odd] {
        for rows in [1, 3, 24, 70] {
            for (device, weights) in [
                ("software", Encoding::F32),
                ("software", Encoding::Q8),
                ("desktop", Encoding::F32),
                ("desktop", Encoding::F16),
                ("desktop", Encoding::Q4),
            ] {
                let what = format!("{products:?}, {rows} rows, {device}, {weights}");
                let options = CompileOptions { profile: DeviceProfile::load(device)?, ..options(weights) };
                let together = graph(rows, products, None)?;
                let found = run(&together, &bundle, &context, &options)?;
                ensure!(found.products == 1, "{what}: {} calls", found.products);
                for (index, output) in found.outputs.iter().enumerate() {
                    let alone = run(&graph(rows, products, Some(index))?, &bundle, &context, &options)?;
                    let (error, same) = (relative_l2(output, &alone.outputs[0]), *output == alone.outputs[0]);
                    // A sum may be cut otherwise where more columns keep the device busy.
                    ensure!(
                        error < 1e-6 && (same || device == "desktop"),
                        "{what}: product {index} is off by {error:e}"
                    );
                }
                let budget_bytes = Some(smallest(&together, &bundle, &options)?);
                let least = run(&together, &bundle, &context, &CompileOptions { budget_bytes, ..options })?;
                ensure!(found.outputs == least.outputs, "{what}: other bits at the smallest budget");
            }
        }
    }
    Ok(())
}
