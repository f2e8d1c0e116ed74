//! Every kernel links and validates with every kind of expression; generated text is compared with golden files.
//!
//! `BLESS=1` rewrites the golden files.

mod unroll;

use super::{EmitError, Expression, Form, KernelCache, codegen, link, link_form};
use crate::graph::constant::Dtype;
use crate::graph::pointwise::{BinaryOp, Instruction, Literal, Operand, Pointwise, UnaryOp};
use crate::kernels::{Hook, Kernel, Math};
use flashmem_plan_format::encoding::{BlockEncoding, BlockLength, CodeBits, CodeOffset, Encoding, ScaleFormat};

const DTYPES: [Dtype; 3] = [Dtype::F32, Dtype::I32, Dtype::Bool];

fn pointwise(program: Pointwise) -> Result<super::Linked, EmitError> {
    link(Kernel::Pointwise, None, Some(&Expression::of_distinct(Kernel::Pointwise, program)))
}

/// (value + x1) · (x2 ? value : 0.5), the shape of a residual with a mask.
fn residual() -> Pointwise {
    Pointwise {
        inputs: vec![Dtype::F32, Dtype::F32, Dtype::Bool],
        instructions: vec![
            Instruction::Binary(BinaryOp::Add, Operand::Input(0), Operand::Input(1)),
            Instruction::Literal(Literal::F32(0.5_f32.to_bits())),
            Instruction::Select {
                condition: Operand::Input(2),
                then: Operand::Input(0),
                otherwise: Operand::Result(1),
            },
            Instruction::Binary(BinaryOp::Mul, Operand::Result(0), Operand::Result(2)),
            Instruction::Unary(UnaryOp::GeluErf, Operand::Result(3)),
        ],
    }
}

fn sample(kernel: Kernel) -> Option<Expression> {
    let program = match kernel.hook() {
        Hook::None => return None,
        Hook::Epilogue | Hook::Pointwise => residual(),
        Hook::ScoreMask => Pointwise::binary(BinaryOp::Add, Dtype::F32),
    };
    Some(Expression::of_distinct(kernel, program))
}

/// Those that are linked: every name, and every other way to store a block.
const ENCODINGS: [Encoding; 6] = [
    Encoding::F32,
    Encoding::F16,
    Encoding::Q8,
    Encoding::Q4,
    Encoding::Block(BlockEncoding {
        bits: CodeBits::Four,
        length: BlockLength::L16,
        scale: ScaleFormat::F16,
        offset: CodeOffset::Minimum,
        rounded: true,
    }),
    Encoding::Block(BlockEncoding {
        bits: CodeBits::Eight,
        length: BlockLength::Whole,
        scale: ScaleFormat::F32,
        offset: CodeOffset::ZeroPoint,
        rounded: false,
    }),
];

/// All kernels, each with the encodings that it is linked with.
fn kernels() -> impl Iterator<Item = (Kernel, Option<Encoding>)> {
    let encodings = |kernel: Kernel| {
        let some = ENCODINGS.into_iter().filter(move |_| kernel.row().uses_weights).map(Some);
        some.chain((!kernel.row().uses_weights).then_some(None)).map(move |encoding| (kernel, encoding))
    };
    Kernel::all().flat_map(encodings)
}

/// naga's validation apart, `KernelCache` is what links both: the block, bindings and tiles are compared here.
#[test]
fn cooperative_sources_have_the_layout_of_their_kernels() {
    let cache = KernelCache::new(Math::Mixed);
    let mut found = 0;
    for kernel in Kernel::all().filter(|kernel| kernel.row().cooperative) {
        for (expression, has_scale) in [(None, false), (sample(kernel), false), (None, true), (sample(kernel), true)] {
            let halves = kernel.row().uses_weights.then_some(Encoding::F16);
            if halves.is_none() && has_scale {
                continue;
            }
            let both = cache.get((kernel, halves, has_scale, expression.clone())).unwrap();
            let other = both.cooperative.as_ref().expect("weights of halves, and none, have one");
            assert_ne!(other.source, both.source);
            assert_eq!(other.source.contains("SCALE_IS_GIVEN:u32=1u"), has_scale, "{kernel:?}");
            found += 1;
            if halves.is_some() {
                let f32_weights = cache.get((kernel, Some(Encoding::F32), false, expression)).unwrap();
                assert_eq!(f32_weights.cooperative, None, "{kernel:?}");
            }
        }
    }
    assert_eq!(found, 28);
    let plain = KernelCache::default().get((Kernel::MatmulTiled, Some(Encoding::F16), false, None)).unwrap();
    assert_eq!(plain.cooperative, None);
}

#[test]
fn a_kernel_has_an_encoding_if_it_reads_weights() {
    for (kernel, encoding) in [(Kernel::MatmulVec, None), (Kernel::Copy, Some(Encoding::F16))] {
        let refused = link(kernel, encoding, None).err().map(|error| error.to_string());
        assert!(refused.is_some(), "{kernel:?}");
    }
}

#[test]
fn every_kernel_links_with_and_without_an_expression() {
    let mut failures = Vec::new();
    for (kernel, encoding) in kernels() {
        for form in [Form::Unrolled, Form::Written] {
            failures.extend(link_form(kernel, encoding, sample(kernel).as_ref(), form).err().map(|e| e.to_string()));
            if kernel.hook() != Hook::Pointwise {
                failures.extend(link_form(kernel, encoding, None, form).err().map(|e| e.to_string()));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn every_function_of_every_type_links_or_is_refused() {
    let mut refused = Vec::new();
    let mut judge = |name: String, result: Result<super::Linked, EmitError>| match result {
        Ok(_) => {}
        Err(EmitError::Unsupported { .. }) => refused.push(name),
        Err(error) => panic!("{name}: {error}"),
    };
    for dtype in DTYPES {
        for op in UnaryOp::ALL {
            judge(format!("{op:?} {dtype:?}"), pointwise(Pointwise::unary(op, dtype)));
        }
        for op in BinaryOp::ALL {
            judge(format!("{op:?} {dtype:?}"), pointwise(Pointwise::binary(op, dtype)));
        }
        for to in DTYPES {
            judge(format!("cast {dtype:?} {to:?}"), pointwise(Pointwise::cast(dtype, to)));
        }
        judge(format!("select {dtype:?}"), pointwise(Pointwise::select(dtype)));
    }
    golden("refused.txt", &(refused.join("\n") + "\n"));
}

#[test]
fn literals_of_any_bits_link() {
    for literal in [
        Literal::F32(f32::NAN.to_bits()),
        Literal::F32(f32::INFINITY.to_bits()),
        Literal::F32(f32::MIN.to_bits()),
        Literal::F32(1),
        Literal::F32((-0.0_f32).to_bits()),
        Literal::F32(1e-7_f32.to_bits()),
        Literal::I32(i32::MIN),
        Literal::Bool(true),
    ] {
        let program = Pointwise { inputs: vec![], instructions: vec![Instruction::Literal(literal)] };
        pointwise(program).unwrap_or_else(|e| panic!("{literal:?}: {e}"));
    }
}

#[test]
fn views_of_one_tensor_share_a_binding() {
    let program = Pointwise::select(Dtype::F32);
    let (expression, buffers) = Expression::shared(Kernel::Pointwise, program, &[7, 9, 9]);
    assert_eq!((expression.buffers.as_slice(), buffers.as_slice()), (&[0, 1, 1][..], &[7, 9][..]));
    let linked = link(Kernel::Pointwise, None, Some(&expression)).expect("links");
    assert_eq!(linked.storage_bindings, 3);
    golden("shared.wgsl", &generated(Kernel::Pointwise, Some(&expression)));

    let add = Pointwise::binary(BinaryOp::Add, Dtype::F32);
    let (expression, buffers) = Expression::shared(Kernel::Normalize, add, &[4, 4]);
    assert_eq!((expression.buffers.as_slice(), buffers.as_slice()), (&[0][..], &[4][..]));
    assert_eq!(link(Kernel::Normalize, None, Some(&expression)).expect("links").storage_bindings, 2);
}

#[test]
fn generated_text_is_as_recorded() {
    for (name, kernel) in [
        ("pointwise.wgsl", Kernel::Pointwise),
        ("epilogue.wgsl", Kernel::Normalize),
        ("score_mask.wgsl", Kernel::Attention),
    ] {
        golden(name, &generated(kernel, sample(kernel).as_ref()));
    }
}

#[test]
fn mistakes_are_reported_with_their_place() {
    let no_expression = link(Kernel::Pointwise, None, None).expect_err("it needs one").to_string();
    let excess = link(Kernel::Copy, None, Some(&Expression { program: residual(), buffers: vec![] }));
    let excess = excess.expect_err("it takes none").to_string();
    let wgsl = super::reflect::reflect(
        Kernel::Copy,
        (None, super::reflect::Arithmetic::Single),
        "fn main() { let x = y; }\n",
        &[],
        0,
    );
    let wgsl = wgsl.err().expect("y is unknown").to_string();
    golden("errors.txt", &[no_expression, excess, wgsl].join("\n"));
}

/// The text that is generated for an expression.
fn generated(kernel: Kernel, expression: Option<&Expression>) -> String {
    let text = codegen::generate(kernel, expression).expect("links").text;
    text.lines().map(str::trim).filter(|line| !line.is_empty()).flat_map(|line| [line, "\n"]).collect()
}

fn golden(name: &str, found: &str) {
    crate::blessed::check(&format!("emit/{name}"), found);
}
