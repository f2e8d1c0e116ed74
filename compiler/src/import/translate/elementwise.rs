//! Element-wise operators, each as one program.
//!
//! Narrow integers are 32-bit signed on the device; what leaves the range of their type wraps, as in ONNX.

use super::context::{Outcome, Refusal, Translator, dtype, variant};
use crate::graph::NodeId;
use crate::graph::constant::Dtype;
use crate::graph::pointwise::{BinaryOp, Operand, Pointwise, UnaryOp};
use crate::import::expression::ExpressionBuilder;
use crate::import::reason::Reason;
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
    let mut p = ExpressionBuilder::default();
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
                (false, false) => p.boolean(false),
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

fn constant_power(p: &mut ExpressionBuilder, x: Operand, exponent: f32) {
    if exponent == 3.0 {
        let square = p.binary(BinaryOp::Mul, x, x);
        p.binary(BinaryOp::Mul, square, x);
    } else if exponent == -1.0 {
        p.unary(UnaryOp::Reciprocal, x);
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
    let y = t.pointwise(program, &[x])?;
    let leaves = op.0.is::<math::Neg>() || op.0.is::<math::Abs>() || op.0.is::<BitNot>() || op.0.is::<math::Square>();
    if leaves { Ok(vec![wrapped(t, node, y)?]) } else { Ok(vec![y]) }
}

/// A value of the type of the node's first output, which arithmetic may have left.
pub fn wrapped(t: &mut Translator<'_>, node: &TypedNode, value: NodeId) -> Result<NodeId, Refusal> {
    let Some(width) = narrow(node.outputs[0].fact.datum_type) else { return Ok(value) };
    let mut p = ExpressionBuilder::default();
    let x = p.input(Dtype::I32);
    wrap(&mut p, x, width);
    t.pointwise(p.finish(), &[value])
}

/// The low bits of an integer, read as a narrow type.
fn wrap(p: &mut ExpressionBuilder, value: Operand, (bits, signed): (i32, bool)) -> Operand {
    if signed {
        let unused = p.integer(32 - bits);
        let high = p.binary(BinaryOp::ShiftLeft, value, unused);
        p.binary(BinaryOp::ShiftRight, high, unused)
    } else {
        let mask = p.integer((1 << bits) - 1);
        p.binary(BinaryOp::BitAnd, value, mask)
    }
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
        return variant(Reason::form("operands of types {} and {}", [input.into(), t.dtype(b).into()]));
    }
    let ours = if op.0.is::<math::SubF>() {
        std::mem::swap(&mut a, &mut b);
        BinaryOp::Sub
    } else {
        simple_binary(&*op.0, input).ok_or(Refusal::Operator)?
    };
    let (_, output) = t.output_fact(node)?;
    let ours = match undivided(t, node, ours) {
        Some(divisor) => {
            b = divisor;
            BinaryOp::Div
        }
        None => ours,
    };
    let mut p = ExpressionBuilder::default();
    let (x, y) = (p.input(input), p.input(input));
    // On integers these ask whether the operands are zero.
    let asks = input == Dtype::I32 && matches!(ours, BinaryOp::And | BinaryOp::Or | BinaryOp::Xor);
    let (x, y) = if asks { (p.cast(x, Dtype::Bool), p.cast(y, Dtype::Bool)) } else { (x, y) };
    let value = p.binary(ours, x, y);
    let given = if ours.compares() { Dtype::Bool } else { input };
    if given != output {
        p.cast(value, output);
    }
    let y = t.pointwise(p.finish(), &[a, b])?;
    let leaves = matches!(
        ours,
        BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul | BinaryOp::Div | BinaryOp::Pow | BinaryOp::ShiftLeft
    );
    if leaves { Ok(vec![wrapped(t, node, y)?]) } else { Ok(vec![y]) }
}

/// The divisor of a quotient that tract made a product with a reciprocal, which overflows where the quotient does not.
fn undivided(t: &mut Translator<'_>, node: &TypedNode, ours: BinaryOp) -> Option<NodeId> {
    if ours != BinaryOp::Mul {
        return None;
    }
    let reciprocal = t.producer(node, 1);
    let is_reciprocal = reciprocal.op_as::<ElementWiseOp>().is_some_and(|op| op.0.is::<math::Recip>());
    if !is_reciprocal || reciprocal.name != format!("{}-recip", node.name) {
        return None;
    }
    t.input(reciprocal, 0).ok()
}

/// `condition ? then : otherwise`.
pub fn select(t: &mut Translator<'_>, node: &TypedNode, _op: &Iff) -> Outcome {
    let inputs = t.inputs(node)?;
    let value = t.dtype(inputs[1]);
    Ok(vec![t.pointwise(Pointwise::select(value), &inputs)?])
}

/// Bits of a narrow integer type; `None` for types that fill a device word.
#[expect(clippy::wildcard_enum_match_arm, reason = "tract's types: those that bundles have are few")]
fn narrow(datum: DatumType) -> Option<(i32, bool)> {
    match datum {
        DatumType::U8 => Some((8, false)),
        DatumType::I8 => Some((8, true)),
        DatumType::U16 => Some((16, false)),
        DatumType::I16 => Some((16, true)),
        _ => None,
    }
}

/// The float of which an integer of 64 bits is converted back to a float: without its fraction, it need not fit an integer.
fn truncated(t: &mut Translator<'_>, node: &TypedNode, op: &Cast) -> Option<NodeId> {
    let integral = t.producer(node, 0);
    let wide = integral.op_as::<Cast>().is_some_and(|c| matches!(c.to, DatumType::I64 | DatumType::TDim));
    if !wide || op.to != DatumType::F32 || t.datum_type(integral, 0).ok()? != DatumType::F32 {
        return None;
    }
    let x = t.input(integral, 0).ok()?;
    let mut p = ExpressionBuilder::default();
    let value = p.input(Dtype::F32);
    let zero = p.float(0.0);
    let (down, up) = (p.unary(UnaryOp::Floor, value), p.unary(UnaryOp::Ceil, value));
    let negative = p.binary(BinaryOp::Less, value, zero);
    p.select(negative, up, down);
    t.pointwise(p.finish(), &[x]).ok()
}

/// Conversion. From f16 to f32, and between integers that fill a word, it is nothing on the device; to f16 it rounds.
pub fn cast(t: &mut Translator<'_>, node: &TypedNode, op: &Cast) -> Outcome {
    let Some(to) = dtype(op.to) else {
        return variant(Reason::form("to {}", [op.to.into()]));
    };
    if let Some(y) = truncated(t, node, op) {
        return Ok(vec![y]);
    }
    let x = t.input(node, 0)?;
    let from = t.dtype(x);
    let given = t.datum_type(node, 0)?;
    let wraps = from != Dtype::Bool && narrow(op.to).is_some() && op.to != given;
    let rounds = op.to == DatumType::F16 && given != DatumType::F16 && from != Dtype::Bool;
    if from == to && !wraps && !rounds {
        return Ok(vec![x]);
    }
    let mut p = ExpressionBuilder::default();
    let value = p.input(from);
    let value = if from == to { value } else { p.cast(value, to) };
    if rounds {
        p.unary(UnaryOp::RoundToF16, value);
    }
    if let (true, Some(width)) = (wraps, narrow(op.to)) {
        wrap(&mut p, value, width);
    }
    Ok(vec![t.pointwise(p.finish(), &[x])?])
}
