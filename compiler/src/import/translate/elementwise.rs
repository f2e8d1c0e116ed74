//! Element-wise operators, each as one program.
//!
//! Unsigned and narrow integers are 32-bit signed on the device; a conversion to a narrow type wraps as in ONNX, arithmetic
//! on them deliberately does not.

use super::context::{Outcome, Refusal, Translator, dtype, variant};
use super::program::Program;
use crate::graph::constant::Dtype;
use crate::graph::pointwise::{BinaryOp, Operand, Pointwise, UnaryOp};
use tract_onnx::prelude::{DatumType, TypedNode};
use tract_onnx::tract_core::ops::binary::{BinMiniOp, TypedBinOp};
use tract_onnx::tract_core::ops::cast::Cast;
use tract_onnx::tract_core::ops::element_wise::{ElementWiseMiniOp, ElementWiseOp};
use tract_onnx::tract_core::ops::logic::{
    And, BitAnd, BitNot, BitOr, BitXor, CompEq, CompGT, CompGTE, CompLT, CompLTE, CompNE, Iff, Not, Or, Xor,
};
use tract_onnx::tract_core::ops::{math, nn};

/// Functions that are one instruction; the first that matches the operator's type is taken.
fn simple_unary(op: &dyn ElementWiseMiniOp) -> Option<UnaryOp> {
    macro_rules! table {
        ($($tract:ty => $ours:ident,)*) => {
            [$((op.is::<$tract>(), UnaryOp::$ours)),*]
        };
    }
    let table = table! {
        math::Abs => Abs,
        math::Neg => Neg,
        math::Exp => Exp,
        math::Ln => Log,
        math::Sqrt => Sqrt,
        math::Rsqrt => Rsqrt,
        math::Recip => Reciprocal,
        math::Erf => Erf,
        math::Tanh => Tanh,
        math::Floor => Floor,
        math::Ceil => Ceil,
        math::RoundHalfToEven => Round,
        math::Sign => Sign,
        math::Sin => Sin,
        math::Cos => Cos,
        math::Tan => Tan,
        math::Asin => Asin,
        math::Acos => Acos,
        math::Atan => Atan,
        math::Sinh => Sinh,
        math::Cosh => Cosh,
        math::Asinh => Asinh,
        math::Acosh => Acosh,
        math::Atanh => Atanh,
        nn::Sigmoid => Sigmoid,
        nn::HardSwish => HardSwish,
        nn::Silu => Silu,
        nn::GeluExact => GeluErf,
        Not => Not,
    };
    table.into_iter().find_map(|(is, ours)| is.then_some(ours))
}

fn program_of(op: &dyn ElementWiseMiniOp, input: Dtype) -> Result<Pointwise, Refusal> {
    let integral = input != Dtype::F32;
    if integral && (op.is::<math::Floor>() || op.is::<math::Ceil>() || op.is::<math::RoundHalfToEven>()) {
        return Ok(Pointwise::cast(input, input));
    }
    if let Some(simple) = simple_unary(op) {
        return Ok(Pointwise::unary(simple, input));
    }
    let mut p = Program::default();
    let x = p.input(input);
    if op.is::<BitNot>() {
        p.unary(if input == Dtype::Bool { UnaryOp::Not } else { UnaryOp::BitNot }, x);
    } else if op.is::<math::Square>() {
        p.binary(BinaryOp::Mul, x, x);
    } else if op.is::<math::Round>() {
        // Half away from zero: sign(x) · ⌊|x| + ½⌋.
        let magnitude = p.unary(UnaryOp::Abs, x);
        let half = p.float(0.5);
        let shifted = p.binary(BinaryOp::Add, magnitude, half);
        let rounded = p.unary(UnaryOp::Floor, shifted);
        let sign = p.unary(UnaryOp::Sign, x);
        p.binary(BinaryOp::Mul, sign, rounded);
    } else if let Some(power) = op.downcast_ref::<math::PowConst>() {
        constant_power(&mut p, x, power.exponent);
    } else if let Some(leaky) = op.downcast_ref::<nn::LeakyRelu>() {
        let zero = p.float(0.0);
        let alpha = p.float(leaky.alpha);
        let negative = p.binary(BinaryOp::Less, x, zero);
        let scaled = p.binary(BinaryOp::Mul, x, alpha);
        p.select(negative, scaled, x);
    } else if let Some(gelu) = op.downcast_ref::<nn::GeluApproximate>() {
        if gelu.fast_impl {
            return variant("GELU with a squared term");
        }
        p.unary(UnaryOp::GeluTanh, x);
    } else if op.is::<math::IsNan>() {
        p.unary(UnaryOp::IsNan, x);
    } else {
        return infinity(op).map_or(Err(Refusal::Operator), |(positive, negative)| {
            if positive && negative {
                p.unary(UnaryOp::IsInf, x);
                return Ok(p.finish());
            }
            let infinite = p.unary(UnaryOp::IsInf, x);
            let zero = p.float(0.0);
            let sided = match (positive, negative) {
                (true, _) => p.binary(BinaryOp::Greater, x, zero),
                (false, true) => p.binary(BinaryOp::Less, x, zero),
                (false, false) => p.truth(false),
            };
            p.binary(BinaryOp::And, infinite, sided);
            Ok(p.finish())
        });
    }
    Ok(p.finish())
}

/// Which infinities an `IsInf` finds: positive, negative.
fn infinity(op: &dyn ElementWiseMiniOp) -> Option<(bool, bool)> {
    let is_inf = op.downcast_ref::<math::IsInf>()?;
    Some((is_inf.detect_positive, is_inf.detect_negative))
}

fn constant_power(p: &mut Program, x: Operand, exponent: f32) {
    if exponent == 3.0 {
        let square = p.binary(BinaryOp::Mul, x, x);
        p.binary(BinaryOp::Mul, square, x);
    } else if exponent == -1.0 {
        p.unary(UnaryOp::Reciprocal, x);
    } else if exponent == -0.5 {
        p.unary(UnaryOp::Rsqrt, x);
    } else if exponent == -2.0 {
        let square = p.binary(BinaryOp::Mul, x, x);
        p.unary(UnaryOp::Reciprocal, square);
    } else {
        let exponent = p.float(exponent);
        p.binary(BinaryOp::Pow, x, exponent);
    }
}

/// One operand.
pub fn unary(t: &mut Translator<'_>, node: &TypedNode, op: &ElementWiseOp) -> Outcome {
    let x = t.input(node, 0)?;
    let program = program_of(&*op.0, t.dtype(x))?;
    Ok(vec![t.pointwise(program, &[x])?])
}

fn simple_binary(op: &dyn BinMiniOp, input: Dtype) -> Option<BinaryOp> {
    macro_rules! table {
        ($($tract:ty => $ours:ident,)*) => {
            [$((op.is::<$tract>(), BinaryOp::$ours)),*]
        };
    }
    let table = table! {
        math::Add => Add,
        math::Sub => Sub,
        math::Mul => Mul,
        math::Div => Div,
        math::Rem => Fmod,
        math::Min => Min,
        math::Max => Max,
        math::Pow => Pow,
        math::ShiftLeft => ShiftLeft,
        math::ShiftRight => ShiftRight,
        And => And,
        Or => Or,
        Xor => Xor,
        BitAnd => BitAnd,
        BitOr => BitOr,
        BitXor => BitXor,
        CompEq => Equal,
        CompNE => NotEqual,
        CompLT => Less,
        CompLTE => LessEqual,
        CompGT => Greater,
        CompGTE => GreaterEqual,
    };
    let found = table.into_iter().find_map(|(is, ours)| is.then_some(ours))?;
    Some(match (found, input) {
        (BinaryOp::BitAnd, Dtype::Bool) => BinaryOp::And,
        (BinaryOp::BitOr, Dtype::Bool) => BinaryOp::Or,
        (BinaryOp::BitXor, Dtype::Bool) => BinaryOp::Xor,
        (other, _) => other,
    })
}

/// Two operands.
pub fn binary(t: &mut Translator<'_>, node: &TypedNode, op: &TypedBinOp) -> Outcome {
    let (mut a, mut b) = (t.input(node, 0)?, t.input(node, 1)?);
    let input = t.dtype(a);
    if t.dtype(b) != input {
        return variant(format!("operands of types {input:?} and {:?}", t.dtype(b)));
    }
    let ours = if op.0.is::<math::SubF>() {
        std::mem::swap(&mut a, &mut b);
        BinaryOp::Sub
    } else {
        simple_binary(&*op.0, input).ok_or(Refusal::Operator)?
    };
    let (_, output) = t.output_fact(node)?;
    let mut p = Program::default();
    let (x, y) = (p.input(input), p.input(input));
    let (x, y) = match (ours, input) {
        // On integers these ask whether the operands are zero.
        (BinaryOp::And | BinaryOp::Or | BinaryOp::Xor, Dtype::I32) => (p.cast(x, Dtype::Bool), p.cast(y, Dtype::Bool)),
        _ => (x, y),
    };
    let value = p.binary(ours, x, y);
    let given = if ours.compares() { Dtype::Bool } else { input };
    if given != output {
        p.cast(value, output);
    }
    Ok(vec![t.pointwise(p.finish(), &[a, b])?])
}

/// `condition ? then : otherwise`.
pub fn select(t: &mut Translator<'_>, node: &TypedNode, _op: &Iff) -> Outcome {
    let inputs = t.inputs(node)?;
    let value = t.dtype(inputs[1]);
    Ok(vec![t.pointwise(Pointwise::select(value), &inputs)?])
}

/// Bits of a narrow integer type; `None` for types that fill a device word.
fn narrow(datum: DatumType) -> Option<(i32, bool)> {
    match datum {
        DatumType::U8 => Some((8, false)),
        DatumType::I8 => Some((8, true)),
        DatumType::U16 => Some((16, false)),
        DatumType::I16 => Some((16, true)),
        _ => None,
    }
}

/// Conversion. From f16 to f32, and between integers that fill a word, it is nothing on the device; to f16 it rounds.
pub fn cast(t: &mut Translator<'_>, node: &TypedNode, op: &Cast) -> Outcome {
    let Some(to) = dtype(op.to) else {
        return variant(format!("to {:?}", op.to));
    };
    let x = t.input(node, 0)?;
    let from = t.dtype(x);
    let given = t.datum_type(node, 0)?;
    let wraps = from == Dtype::I32 && narrow(op.to).is_some() && op.to != given;
    let rounds = op.to == DatumType::F16 && given != DatumType::F16 && from != Dtype::Bool;
    if from == to && !wraps && !rounds {
        return Ok(vec![x]);
    }
    let mut p = Program::default();
    let value = p.input(from);
    let value = if from == to { value } else { p.cast(value, to) };
    if rounds {
        p.unary(UnaryOp::RoundToF16, value);
    }
    if let (true, Some((bits, signed))) = (wraps, narrow(op.to)) {
        let unused = p.integer(32 - bits);
        if signed {
            let high = p.binary(BinaryOp::ShiftLeft, value, unused);
            p.binary(BinaryOp::ShiftRight, high, unused);
        } else {
            let mask = p.integer((1 << bits) - 1);
            p.binary(BinaryOp::BitAnd, value, mask);
        }
    }
    Ok(vec![t.pointwise(p.finish(), &[x])?])
}
