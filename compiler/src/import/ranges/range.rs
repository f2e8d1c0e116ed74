//! Ranges of values, and what element-wise functions make of them.
//!
//! Bounds are f64, which holds every integer that matters here exactly; beyond that only the comparison with 32 bits counts.
//! Ranges of floats are widened by what f32 may round. NaN is in no range: what a conversion makes of it, ONNX leaves open.

use crate::graph::constant::Dtype;
use crate::graph::pointwise::{BinaryOp, UnaryOp};

/// All values from `low` to `high`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Range {
    pub low: f64,
    pub high: f64,
}

/// Any value.
pub const UNKNOWN: Range = Range { low: f64::NEG_INFINITY, high: f64::INFINITY };

/// What the device holds of an integer.
pub const WORD: Range = Range { low: -2_147_483_648.0, high: 2_147_483_647.0 };

/// Relative error of f32 functions, generously.
const ROUNDING: f64 = 1e-5;

impl Range {
    /// From the smaller to the larger bound; anything when one is no number.
    pub fn new(low: f64, high: f64) -> Self {
        if low.is_nan() || high.is_nan() { UNKNOWN } else { Self { low, high } }
    }

    /// The smallest range with all values.
    pub fn around(values: impl IntoIterator<Item = f64>) -> Self {
        let nothing = Self { low: f64::INFINITY, high: f64::NEG_INFINITY };
        let all = values
            .into_iter()
            .try_fold(nothing, |all, v| (!v.is_nan()).then(|| Self { low: all.low.min(v), high: all.high.max(v) }));
        all.filter(|r| r.low <= r.high).unwrap_or(UNKNOWN)
    }

    /// Values of either.
    pub fn union(self, other: Self) -> Self {
        Self { low: self.low.min(other.low), high: self.high.max(other.high) }
    }

    /// Whether 32 bits hold every value.
    pub fn fits(self) -> bool {
        self.low >= WORD.low && self.high <= WORD.high
    }

    /// Largest magnitude.
    pub fn magnitude(self) -> f64 {
        self.low.abs().max(self.high.abs())
    }

    /// Sums of `count` values.
    pub fn times(self, count: usize) -> Self {
        self.product(Self::new(count as f64, count as f64))
    }

    /// Products of a value of each.
    pub fn product(self, other: Self) -> Self {
        // Zero times an infinite bound is zero: the bound is reached by no value.
        let times = |a: f64, b: f64| if a == 0.0 || b == 0.0 { 0.0 } else { a * b };
        let (a, b) = (self, other);
        Self::around([times(a.low, b.low), times(a.low, b.high), times(a.high, b.low), times(a.high, b.high)])
    }

    /// The range with what f32 may have rounded.
    pub fn rounded(self) -> Self {
        Self { low: self.low - self.low.abs() * ROUNDING, high: self.high + self.high.abs() * ROUNDING }
    }

    fn map(self, f: impl Fn(f64) -> f64) -> Self {
        Self::new(f(self.low), f(self.high))
    }
}

/// Values of a function of one operand.
pub fn unary(op: UnaryOp, dtype: Dtype, x: Range) -> Range {
    let value = match op {
        UnaryOp::Abs if x.low >= 0.0 => x,
        UnaryOp::Abs if x.high <= 0.0 => Range::new(-x.high, -x.low),
        UnaryOp::Abs => Range::new(0.0, x.magnitude()),
        UnaryOp::Neg => Range::new(-x.high, -x.low),
        UnaryOp::Relu => x.map(|v| v.max(0.0)),
        UnaryOp::Floor => x.map(f64::floor),
        UnaryOp::Ceil => x.map(f64::ceil),
        UnaryOp::Round => Range::new(x.low.floor(), x.high.ceil()),
        UnaryOp::BitNot => Range::new(-x.high - 1.0, -x.low - 1.0),
        UnaryOp::Exp => x.map(f64::exp),
        UnaryOp::Log if x.low > 0.0 => x.map(f64::ln),
        UnaryOp::Sqrt if x.low >= 0.0 => x.map(f64::sqrt),
        UnaryOp::Sigmoid | UnaryOp::IsNan | UnaryOp::IsInf | UnaryOp::Not => Range::new(0.0, 1.0),
        UnaryOp::Sign | UnaryOp::Tanh | UnaryOp::Erf | UnaryOp::Sin | UnaryOp::Cos => Range::new(-1.0, 1.0),
        UnaryOp::Log
        | UnaryOp::Sqrt
        | UnaryOp::Rsqrt
        | UnaryOp::Reciprocal
        | UnaryOp::Silu
        | UnaryOp::GeluErf
        | UnaryOp::GeluTanh
        | UnaryOp::Softplus
        | UnaryOp::HardSwish
        | UnaryOp::RoundToF16
        | UnaryOp::Tan
        | UnaryOp::Asin
        | UnaryOp::Acos
        | UnaryOp::Atan
        | UnaryOp::Sinh
        | UnaryOp::Cosh
        | UnaryOp::Asinh
        | UnaryOp::Acosh
        | UnaryOp::Atanh => UNKNOWN,
    };
    if dtype == Dtype::F32 && !matches!(op, UnaryOp::Floor | UnaryOp::Ceil | UnaryOp::Round) {
        value.rounded()
    } else {
        value
    }
}

/// Values of a function of two operands, before anything wraps.
pub fn binary(op: BinaryOp, dtype: Dtype, a: Range, b: Range) -> Range {
    let value = match op {
        BinaryOp::Add => Range::new(a.low + b.low, a.high + b.high),
        BinaryOp::Sub => Range::new(a.low - b.high, a.high - b.low),
        BinaryOp::Mul => a.product(b),
        BinaryOp::Min => Range::new(a.low.min(b.low), a.high.min(b.high)),
        BinaryOp::Max => Range::new(a.low.max(b.low), a.high.max(b.high)),
        BinaryOp::Div => quotient(dtype, a, b),
        BinaryOp::Equal
        | BinaryOp::NotEqual
        | BinaryOp::Less
        | BinaryOp::LessEqual
        | BinaryOp::Greater
        | BinaryOp::GreaterEqual
        | BinaryOp::And
        | BinaryOp::Or
        | BinaryOp::Xor => return Range::new(0.0, 1.0),
        BinaryOp::Pow | BinaryOp::Fmod | BinaryOp::FloorMod if dtype == Dtype::F32 => UNKNOWN,
        BinaryOp::Pow => power(a, b),
        BinaryOp::Fmod if a.low >= 0.0 => Range::new(0.0, a.high.min(b.magnitude())),
        BinaryOp::Fmod | BinaryOp::FloorMod => Range::new(-b.magnitude(), b.magnitude()),
        BinaryOp::BitAnd => match (a.low >= 0.0, b.low >= 0.0) {
            (true, true) => Range::new(0.0, a.high.min(b.high)),
            (true, false) => Range::new(0.0, a.high),
            (false, true) => Range::new(0.0, b.high),
            (false, false) => WORD,
        },
        BinaryOp::BitOr | BinaryOp::BitXor => WORD,
        BinaryOp::ShiftLeft if b.low >= 0.0 => a.product(Range::new(1.0, b.high.min(64.0).exp2())),
        BinaryOp::ShiftLeft => UNKNOWN,
        BinaryOp::ShiftRight => a.union(Range::new(0.0, 0.0)),
    };
    if dtype == Dtype::F32 { value.rounded() } else { value }
}

fn quotient(dtype: Dtype, a: Range, b: Range) -> Range {
    match dtype {
        Dtype::F32 if b.low > 0.0 => a.product(Range::new(1.0 / b.high, 1.0 / b.low)),
        Dtype::F32 => UNKNOWN,
        // A quotient of integers is no larger than the dividend; by 0 it is 0.
        Dtype::I32 | Dtype::Bool if b.low >= 0.0 => a.union(Range::new(0.0, 0.0)),
        Dtype::I32 | Dtype::Bool => Range::new(-a.magnitude(), a.magnitude()),
    }
}

fn power(a: Range, b: Range) -> Range {
    let largest = a.magnitude().max(1.0).powf(b.high.max(0.0));
    Range::new(if a.low >= 0.0 { 0.0 } else { -largest }, largest)
}
