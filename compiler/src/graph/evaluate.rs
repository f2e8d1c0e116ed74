//! The CPU reference of every element-wise function, on the device's 4-byte words.
//!
//! It folds constants and is the oracle of the kernels' element-wise functions. Transcendental functions go through f64 so
//! that the oracle is better than what it judges; it is deliberately not fast.

use super::constant::Dtype;
use super::pointwise::{BinaryOp, Instruction, Literal, Operand, Pointwise, UnaryOp};

impl Pointwise {
    /// The value for one element of every input, in the device's 4-byte words (f32 bits, i32, 0 or 1).
    pub fn evaluate(&self, inputs: &[u32]) -> u32 {
        let mut results: Vec<u32> = Vec::with_capacity(self.instructions.len());
        for instruction in &self.instructions {
            let value = |operand: Operand| match operand {
                Operand::Input(i) => inputs[i as usize],
                Operand::Result(i) => results[i as usize],
            };
            let word = match *instruction {
                Instruction::Literal(Literal::F32(bits)) => bits,
                Instruction::Literal(Literal::I32(v)) => v as u32,
                Instruction::Literal(Literal::Bool(v)) => u32::from(v),
                Instruction::Unary(op, a) => unary(op, self.operand_dtype(a), value(a)),
                Instruction::Binary(op, a, b) => binary(op, self.operand_dtype(a), value(a), value(b)),
                Instruction::Select { condition, then, otherwise } => {
                    if value(condition) != 0 {
                        value(then)
                    } else {
                        value(otherwise)
                    }
                }
                Instruction::Cast(a, to) => cast(self.operand_dtype(a), to, value(a)),
            };
            results.push(word);
        }
        *results.last().expect("a program has at least one instruction")
    }
}

/// A float without its fraction; where it does not fit, infinities and NaN included, the least integer, as x86 has it.
fn without_fraction(x: f32) -> i32 {
    if x.abs() < 2_147_483_648.0 { x as i32 } else { i32::MIN }
}

/// erf(x) to about 1e-15: Taylor series near zero, a continued fraction of erfc elsewhere.
pub fn erf(x: f64) -> f64 {
    if x.is_nan() {
        return x;
    }
    let a = x.abs();
    if a > 6.0 {
        return x.signum();
    }
    if a < 2.5 {
        let mut term = a;
        let mut sum = a;
        for n in 1..200 {
            term *= -a * a / f64::from(n);
            let add = term / f64::from(2 * n + 1);
            sum += add;
            if add.abs() < 1e-18 {
                break;
            }
        }
        return x.signum() * sum * std::f64::consts::FRAC_2_SQRT_PI;
    }
    x.signum() * (1.0 - erfc_far(a))
}

/// 1 − erf(a) for a of at least 2.5, by a continued fraction.
fn erfc_far(a: f64) -> f64 {
    let mut fraction = 0.0;
    for n in (1..=80).rev() {
        fraction = f64::from(n) / 2.0 / (a + fraction);
    }
    (-a * a).exp() / (std::f64::consts::PI.sqrt() * (a + fraction))
}

/// The smaller number; NaN where either is.
fn smaller(a: f64, b: f64) -> f64 {
    if a.is_nan() {
        a
    } else if b.is_nan() {
        b
    } else {
        a.min(b)
    }
}

/// The larger number; NaN where either is.
fn larger(a: f64, b: f64) -> f64 {
    if a.is_nan() {
        a
    } else if b.is_nan() {
        b
    } else {
        a.max(b)
    }
}

fn unary_f32(op: UnaryOp, v: f32) -> f32 {
    let x = f64::from(v);
    let y = match op {
        UnaryOp::Abs => x.abs(),
        UnaryOp::Neg => -x,
        UnaryOp::Exp => x.exp(),
        UnaryOp::Log => x.ln(),
        UnaryOp::Sqrt => x.sqrt(),
        UnaryOp::Rsqrt => 1.0 / x.sqrt(),
        UnaryOp::Reciprocal => 1.0 / x,
        UnaryOp::Sigmoid => 1.0 / (1.0 + (-x).exp()),
        UnaryOp::Tanh => x.tanh(),
        UnaryOp::Erf => erf(x),
        UnaryOp::Relu => larger(x, 0.0),
        UnaryOp::Silu => x / (1.0 + (-x).exp()),
        UnaryOp::GeluErf if x < -3.6 => 0.5 * x * erfc_far(-x * std::f64::consts::FRAC_1_SQRT_2),
        UnaryOp::GeluErf => 0.5 * x * (1.0 + erf(x * std::f64::consts::FRAC_1_SQRT_2)),
        // (1 + tanh(y)) / 2 = sigmoid(2 y), which does not cancel.
        UnaryOp::GeluTanh => {
            x / (1.0 + (-2.0 * (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x * x * x)).exp())
        }
        UnaryOp::Softplus => larger(x, 0.0) + (-x.abs()).exp().ln_1p(),
        UnaryOp::HardSwish => x * (x / 6.0 + 0.5).clamp(0.0, 1.0),
        UnaryOp::Floor => x.floor(),
        UnaryOp::Ceil => x.ceil(),
        UnaryOp::Round => x.round_ties_even(),
        UnaryOp::RoundToF16 => half::f16::from_f32(v).into(),
        UnaryOp::Sign => {
            if x > 0.0 {
                1.0
            } else if x < 0.0 {
                -1.0
            } else {
                x
            }
        }
        UnaryOp::Sin => x.sin(),
        UnaryOp::Cos => x.cos(),
        UnaryOp::Tan => x.tan(),
        UnaryOp::Asin => x.asin(),
        UnaryOp::Acos => x.acos(),
        UnaryOp::Atan => x.atan(),
        UnaryOp::Sinh => x.sinh(),
        UnaryOp::Cosh => x.cosh(),
        UnaryOp::Asinh => x.asinh(),
        UnaryOp::Acosh => x.acosh(),
        UnaryOp::Atanh => x.atanh(),
        UnaryOp::IsNan | UnaryOp::IsInf | UnaryOp::Not | UnaryOp::BitNot => {
            unreachable!("{op:?} gives no f32; `unary` handles it")
        }
    };
    y as f32
}

/// f(a) for a word of type `dtype`.
pub fn unary(op: UnaryOp, dtype: Dtype, a: u32) -> u32 {
    match (op, dtype) {
        (UnaryOp::IsNan, _) => u32::from(f32::from_bits(a).is_nan()),
        (UnaryOp::IsInf, _) => u32::from(f32::from_bits(a).is_infinite()),
        (UnaryOp::Not, _) => u32::from(a == 0),
        (UnaryOp::BitNot, _) => !a,
        (UnaryOp::Abs, Dtype::I32) => (a as i32).wrapping_abs() as u32,
        (UnaryOp::Neg, Dtype::I32) => (a as i32).wrapping_neg() as u32,
        (UnaryOp::Sign, Dtype::I32) => (a as i32).signum() as u32,
        (UnaryOp::Relu, Dtype::I32) => (a as i32).max(0) as u32,
        (_, Dtype::F32 | Dtype::I32 | Dtype::Bool) => unary_f32(op, f32::from_bits(a)).to_bits(),
    }
}

fn binary_f32(op: BinaryOp, a: f32, b: f32) -> u32 {
    let boolean = u32::from;
    match op {
        BinaryOp::Add => (a + b).to_bits(),
        BinaryOp::Sub => (a - b).to_bits(),
        BinaryOp::Mul => (a * b).to_bits(),
        BinaryOp::Div => (a / b).to_bits(),
        BinaryOp::Pow => (f64::from(a).powf(f64::from(b)) as f32).to_bits(),
        BinaryOp::Min => (smaller(a.into(), b.into()) as f32).to_bits(),
        BinaryOp::Max => (larger(a.into(), b.into()) as f32).to_bits(),
        BinaryOp::Fmod => (a % b).to_bits(),
        BinaryOp::FloorMod => {
            let rest = a % b;
            (if rest != 0.0 && (rest < 0.0) != (b < 0.0) { rest + b } else { rest }).to_bits()
        }
        BinaryOp::Equal => boolean(a == b),
        BinaryOp::NotEqual => boolean(a != b),
        BinaryOp::Less => boolean(a < b),
        BinaryOp::LessEqual => boolean(a <= b),
        BinaryOp::Greater => boolean(a > b),
        BinaryOp::GreaterEqual => boolean(a >= b),
        BinaryOp::And
        | BinaryOp::Or
        | BinaryOp::Xor
        | BinaryOp::BitAnd
        | BinaryOp::BitOr
        | BinaryOp::BitXor
        | BinaryOp::ShiftLeft
        | BinaryOp::ShiftRight => unreachable!("{op:?} takes no f32; import checks operand types"),
    }
}

/// The rest of a division that truncates; 0 for a divisor of 0.
fn remainder_i32(a: i32, b: i32) -> i32 {
    if b == 0 { 0 } else { a.wrapping_rem(b) }
}

/// Wraps. A negative exponent truncates towards zero; zero to it gives 0.
fn power_i32(a: i32, b: i32) -> i32 {
    match u32::try_from(b) {
        Ok(exponent) => a.wrapping_pow(exponent),
        Err(_) if a == 1 => 1,
        Err(_) if a == -1 => 1 - 2 * (b & 1),
        Err(_) => 0,
    }
}

fn binary_i32(op: BinaryOp, a: i32, b: i32) -> u32 {
    let boolean = u32::from;
    match op {
        BinaryOp::Add => a.wrapping_add(b) as u32,
        BinaryOp::Sub => a.wrapping_sub(b) as u32,
        BinaryOp::Mul => a.wrapping_mul(b) as u32,
        BinaryOp::Div => (if b == 0 { 0 } else { a.wrapping_div(b) }) as u32,
        BinaryOp::Pow => power_i32(a, b) as u32,
        BinaryOp::Min => a.min(b) as u32,
        BinaryOp::Max => a.max(b) as u32,
        BinaryOp::Fmod => remainder_i32(a, b) as u32,
        BinaryOp::FloorMod => {
            let r = remainder_i32(a, b);
            (if r != 0 && (r < 0) != (b < 0) { r.wrapping_add(b) } else { r }) as u32
        }
        BinaryOp::Equal => boolean(a == b),
        BinaryOp::NotEqual => boolean(a != b),
        BinaryOp::Less => boolean(a < b),
        BinaryOp::LessEqual => boolean(a <= b),
        BinaryOp::Greater => boolean(a > b),
        BinaryOp::GreaterEqual => boolean(a >= b),
        BinaryOp::And => boolean(a != 0 && b != 0),
        BinaryOp::Or => boolean(a != 0 || b != 0),
        BinaryOp::Xor => boolean((a != 0) != (b != 0)),
        BinaryOp::BitAnd => (a & b) as u32,
        BinaryOp::BitOr => (a | b) as u32,
        BinaryOp::BitXor => (a ^ b) as u32,
        BinaryOp::ShiftLeft => a.checked_shl(b as u32).unwrap_or(0) as u32,
        BinaryOp::ShiftRight => (a >> (b as u32).min(31)) as u32,
    }
}

/// f(a, b) for words of type `dtype`.
pub fn binary(op: BinaryOp, dtype: Dtype, a: u32, b: u32) -> u32 {
    match dtype {
        Dtype::F32 => binary_f32(op, f32::from_bits(a), f32::from_bits(b)),
        Dtype::I32 | Dtype::Bool => binary_i32(op, a as i32, b as i32),
    }
}

/// Conversion of a word from one type to another; f32 to i32 truncates and saturates.
pub fn cast(from: Dtype, to: Dtype, a: u32) -> u32 {
    match (from, to) {
        (Dtype::F32, Dtype::F32) | (Dtype::I32 | Dtype::Bool, Dtype::I32) | (Dtype::Bool, Dtype::Bool) => a,
        (Dtype::F32, Dtype::I32) => without_fraction(f32::from_bits(a)).cast_unsigned(),
        (Dtype::F32, Dtype::Bool) => u32::from(f32::from_bits(a) != 0.0),
        (Dtype::I32 | Dtype::Bool, Dtype::F32) => (a as i32 as f32).to_bits(),
        (Dtype::I32, Dtype::Bool) => u32::from(a != 0),
    }
}

#[cfg(test)]
mod tests {
    use super::{BinaryOp, Dtype, UnaryOp, binary, erf, unary};

    fn float(word: u32) -> f32 {
        f32::from_bits(word)
    }

    #[test]
    fn nan_passes_through() {
        let nan = f32::NAN.to_bits();
        for op in [UnaryOp::Relu, UnaryOp::Softplus, UnaryOp::HardSwish, UnaryOp::Sign, UnaryOp::GeluTanh] {
            assert!(float(unary(op, Dtype::F32, nan)).is_nan(), "{op:?}");
        }
        for op in [BinaryOp::Min, BinaryOp::Max] {
            for (a, b) in [(nan, 0), (0, nan), (nan, f32::INFINITY.to_bits())] {
                assert!(float(binary(op, Dtype::F32, a, b)).is_nan(), "{op:?}");
            }
        }
    }

    #[test]
    fn integers_wrap_and_shift_bit_by_bit() {
        let i32_of = |op, a: i32, b: i32| binary(op, Dtype::I32, a as u32, b as u32) as i32;
        assert_eq!(i32_of(BinaryOp::Div, i32::MIN, -1), i32::MIN);
        assert_eq!((i32_of(BinaryOp::Div, -7, 2), i32_of(BinaryOp::Div, 5, 0)), (-3, 0));
        assert_eq!((i32_of(BinaryOp::Fmod, -7, 2), i32_of(BinaryOp::FloorMod, -7, 2)), (-1, 1));
        assert_eq!((i32_of(BinaryOp::Pow, 10, 10), i32_of(BinaryOp::Pow, 2, -1)), (1_410_065_408, 0));
        assert_eq!((i32_of(BinaryOp::Pow, -1, -3), i32_of(BinaryOp::Pow, -1, -2)), (-1, 1));
        assert_eq!((i32_of(BinaryOp::ShiftLeft, 1, 32), i32_of(BinaryOp::ShiftRight, -5, 40)), (0, -1));
    }

    #[test]
    fn erf_matches_tabulated_values() {
        for (x, y) in [(0.5, 0.520_499_877_813_046_5), (1.0, 0.842_700_792_949_714_9), (3.0, 0.999_977_909_503_001_4)] {
            assert!((erf(x) - y).abs() < 1e-14, "erf({x})");
            assert!((erf(-x) + y).abs() < 1e-14, "erf(-{x})");
        }
    }
}
