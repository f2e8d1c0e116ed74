//! Every element-wise function on the device against the compiler's own evaluation, at the ends of its range.
//!
//! One program computes all functions of a kind; which one an element is, a second input says. So there is one kernel a kind.

use flashmem_compiler::compile::{Prepared, compile_prepared};
use flashmem_compiler::graph::constant::Dtype;
use flashmem_compiler::graph::op::Op;
use flashmem_compiler::graph::pointwise::{BinaryOp, Instruction, Literal, Operand, Pointwise, UnaryOp};
use flashmem_compiler::graph::{Graph, GraphPort};
use flashmem_plan_format::plan::Encoding;
use flashmem_runtime::{Context, ElementType, Session, Tensor};
use flashmem_tests::options;

/// Zeros, infinities, NaN, subnormals, the ends of exponential functions, halves, and large angles.
const FLOATS: [f32; 53] = [
    0.0,
    -0.0,
    f32::INFINITY,
    f32::NEG_INFINITY,
    f32::NAN,
    1e-30,
    -1e-30,
    1e30,
    -1e30,
    88.0,
    -88.0,
    88.7,
    88.8,
    -88.8,
    104.0,
    -104.0,
    1e-40,
    -1e-40,
    f32::MAX,
    f32::MIN,
    f32::MIN_POSITIVE,
    1.0,
    -1.0,
    0.5,
    -0.5,
    1.5,
    -1.5,
    2.5,
    -2.5,
    0.499_999_97,
    0.999_999_94,
    -0.999_999_94,
    2.0,
    -2.0,
    3.0,
    -3.0,
    7.0,
    -7.0,
    20.0,
    -20.0,
    44.0,
    -44.0,
    178.0,
    -178.0,
    1e4,
    -12_345.678,
    1e5,
    65_504.0,
    65_520.0,
    1e10,
    8_388_609.0,
    1e-5,
    -0.3,
];

/// Zero, the ends, and the widths of shifts.
const INTEGERS: [i32; 21] = [
    0,
    1,
    -1,
    2,
    -2,
    3,
    -3,
    7,
    -7,
    8,
    31,
    32,
    33,
    40,
    255,
    65_536,
    -65_537,
    i32::MAX,
    i32::MIN,
    i32::MAX - 1,
    i32::MIN + 1,
];

/// A function of a kind: what it is called, its operands, and the instructions that compute it from inputs 0 and 1.
struct Function {
    name: String,
    instructions: Vec<Instruction>,
}

fn function(name: impl std::fmt::Debug, instructions: impl IntoIterator<Item = Instruction>) -> Function {
    Function { name: format!("{name:?}"), instructions: instructions.into_iter().collect() }
}

/// Whether a type has the function; `emit` has a test that lists those it has not.
fn links(instruction: Instruction, dtype: Dtype) -> bool {
    use flashmem_compiler::emit::{Expression, link};
    use flashmem_compiler::kernels::Kernel;
    let program = Pointwise { inputs: vec![dtype; 2], instructions: vec![instruction] };
    link(Kernel::Pointwise, None, Some(&Expression::of_distinct(Kernel::Pointwise, program))).is_ok()
}

/// All functions of operands of a type, each as a value of that type.
fn functions(dtype: Dtype) -> Vec<Function> {
    let (a, b) = (Operand::Input(0), Operand::Input(1));
    let unary = UnaryOp::ALL.map(|op| (format!("{op:?}"), Instruction::Unary(op, a)));
    let binary = BinaryOp::ALL.map(|op| (format!("{op:?}"), Instruction::Binary(op, a, b)));
    let casts = [Dtype::F32, Dtype::I32, Dtype::Bool].map(|to| (format!("Cast{to:?}"), Instruction::Cast(a, to)));
    let mut list: Vec<Function> = Vec::new();
    for (name, instruction) in unary.into_iter().chain(binary).chain(casts) {
        if !links(instruction, dtype) {
            continue;
        }
        let given = Pointwise { inputs: vec![dtype; 2], instructions: vec![instruction] }.dtype();
        let back = (given != dtype).then_some(Instruction::Cast(Operand::Result(0), dtype));
        list.push(function(name, [instruction].into_iter().chain(back)));
    }
    list
}

/// A program over two operands and a number that says which function is requested.
fn program(dtype: Dtype, functions: &[Function]) -> Pointwise {
    let mut instructions = Vec::new();
    let mut chosen = Operand::Input(0);
    for (number, function) in functions.iter().enumerate() {
        let base = instructions.len() as u32;
        let moved = |operand| match operand {
            Operand::Input(_) => operand,
            Operand::Result(i) => Operand::Result(base + i),
        };
        instructions.extend(function.instructions.iter().map(|i| i.map_operands(moved)));
        let value = instructions.len() as u32 - 1;
        instructions.push(Instruction::Literal(Literal::I32(number as i32)));
        instructions.push(Instruction::Binary(BinaryOp::Equal, Operand::Input(2), Operand::Result(value + 1)));
        instructions.push(Instruction::Select {
            condition: Operand::Result(value + 2),
            then: Operand::Result(value),
            otherwise: chosen,
        });
        chosen = Operand::Result(value + 3);
    }
    Pointwise { inputs: vec![dtype, dtype, Dtype::I32], instructions }
}

/// The program on the device, over all pairs of words for every function.
fn on_device(program: &Pointwise, count: usize, words: &[u32], element: ElementType) -> anyhow::Result<Vec<u32>> {
    let (dtype, n) = (program.inputs[0], words.len());
    let mut graph = Graph::default();
    let shapes = [("a", vec![1, n, 1], dtype), ("b", vec![1, 1, n], dtype), ("k", vec![count, 1, 1], Dtype::I32)];
    let nodes = shapes.map(|(name, shape, dtype)| graph.add_shaped(Op::Input, &[], name, shape, dtype));
    for ((name, node), element) in ["a", "b", "k"].iter().zip(nodes).zip([element, element, ElementType::I32]) {
        graph.inputs.push(GraphPort { name: (*name).to_owned(), element, node });
    }
    let y = graph.add(Op::Pointwise(program.clone()), &nodes, "y")?;
    graph.outputs.push(GraphPort { name: "y".to_owned(), element, node: y });

    let folder = tempfile::tempdir()?;
    let bundle = folder.path().join("pointwise.fmplan");
    compile_prepared(&Prepared::from_graph(graph, "pointwise"), &bundle, &options(Encoding::F32))?;
    let context = Context::open(None)?;
    let mut session = Session::builder(&bundle).on(&context).open()?;
    let bytes: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
    let operand = |shape: Vec<u64>| Tensor { element, shape, bytes: bytes.clone() };
    let numbers: Vec<i32> = (0..count as i32).collect();
    let inputs = [
        ("a", operand(vec![1, n as u64, 1])),
        ("b", operand(vec![1, 1, n as u64])),
        ("k", Tensor::from_i32(&[count as u64, 1, 1], &numbers)),
    ];
    let outputs = session.run(&inputs)?;
    Ok(outputs.tensors[0].1.bytes.as_chunks().0.iter().map(|b| u32::from_le_bytes(*b)).collect())
}

/// Relative: functions are within 1e-6, and a power as much worse as its exponent is large. Subnormal numbers may be zero. The
/// left tail of a GELU is small beside its argument, and its error is, too.
fn close(name: &str, argument: f32, found: f32, expected: f32) -> bool {
    if found.is_nan() || expected.is_nan() {
        return found.is_nan() && expected.is_nan();
    }
    let relative = if name.contains("Pow") { 1e-5 } else { 3e-6 };
    let difference = (f64::from(found) - f64::from(expected)).abs();
    let tail = if name.contains("Gelu") && (-20.0..0.0).contains(&argument) { 2e-8 * -argument } else { 0.0 };
    found == expected || difference <= relative * f64::from(expected.abs()) + f64::from(tail) + 1.2e-38
}

fn check(dtype: Dtype, words: &[u32], element: ElementType) -> anyhow::Result<()> {
    let functions = functions(dtype);
    let program = program(dtype, &functions);
    let found = on_device(&program, functions.len(), words, element)?;
    let mut found = found.into_iter();
    let mut wrong = Vec::new();
    for (number, function) in functions.iter().enumerate() {
        for a in words {
            for b in words {
                let expected = program.evaluate(&[*a, *b, number as u32]);
                let got = found.next().expect("a word for every element");
                let (got_f32, expected_f32) = (f32::from_bits(got), f32::from_bits(expected));
                let (is_right, text) = match dtype {
                    Dtype::F32 => (
                        close(&function.name, f32::from_bits(*a), got_f32, expected_f32),
                        format!(
                            "({:e}, {:e}): {got_f32:e} for {expected_f32:e}",
                            f32::from_bits(*a),
                            f32::from_bits(*b)
                        ),
                    ),
                    Dtype::I32 | Dtype::Bool => (
                        got == expected,
                        format!("({}, {}): {} for {}", *a as i32, *b as i32, got as i32, expected as i32),
                    ),
                };
                if !is_right {
                    wrong.push(format!("{}{text}", function.name));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {dtype:?} differ:\n{}", wrong.len(), wrong.join("\n"));
    Ok(())
}

#[test]
fn float_functions_are_right_at_their_ends() -> anyhow::Result<()> {
    check(Dtype::F32, &FLOATS.map(f32::to_bits), ElementType::F32)
}

#[test]
fn integer_functions_are_right_at_their_ends() -> anyhow::Result<()> {
    check(Dtype::I32, &INTEGERS.map(|v| v as u32), ElementType::I32)
}
