//! Ranges through element-wise programs, and programs that say where a 64-bit result needs more than 32 bits.
//!
//! The test is exact for every function but `Pow`, where results within 0.0001 % of the limit count as beyond it, and
//! conversions of floats, of which those that ONNX leaves undefined (beyond 64 bits, infinite, no number) pass.

use super::range::{Range, UNKNOWN, WORD, binary, unary};
use crate::graph::constant::Dtype;
use crate::graph::pointwise::{BinaryOp, Instruction, Literal, Operand, Pointwise, UnaryOp};
use crate::narrow::index32;

/// Below this a power fits, whatever f32 has rounded.
const SAFE_POWER: f32 = 2_147_480_000.0;

/// First magnitudes that 32 and 64 bits do not hold.
const BEYOND: [f32; 2] = [2_147_483_648.0, 9_223_372_036_854_775_808.0];

/// The range of a program's value, and the instructions whose integers may need more than 32 bits.
pub fn ranges(program: &Pointwise, inputs: &[Range]) -> (Range, Vec<u32>) {
    let mut results: Vec<Range> = Vec::with_capacity(program.instructions.len());
    let mut leaving = Vec::new();
    for (index, instruction) in (0_u32..).zip(&program.instructions) {
        let at = |operand: Operand| match operand {
            Operand::Input(i) => inputs[i as usize],
            Operand::Result(i) => results[i as usize],
        };
        let exact = match *instruction {
            Instruction::Literal(Literal::F32(bits)) => Range::around([f64::from(f32::from_bits(bits))]),
            Instruction::Literal(Literal::I32(value)) => Range::around([f64::from(value)]),
            Instruction::Literal(Literal::Bool(value)) => Range::around([f64::from(u8::from(value))]),
            Instruction::Unary(op, a) => unary(op, program.operand_dtype(a), at(a)),
            Instruction::Binary(op, a, b) => binary(op, program.operand_dtype(a), at(a), at(b)),
            Instruction::Select { then, otherwise, .. } => at(then).union(at(otherwise)),
            Instruction::Cast(a, to) => cast(program.operand_dtype(a), to, at(a)),
        };
        let is_integer = program.instruction_dtype(index) == Dtype::I32;
        if is_integer && !exact.fits() {
            leaving.push(index);
        }
        results.push(if is_integer && !exact.fits() { WORD } else { exact });
    }
    (results.last().copied().unwrap_or(UNKNOWN), leaving)
}

fn cast(from: Dtype, to: Dtype, x: Range) -> Range {
    match (from, to) {
        (Dtype::F32 | Dtype::I32 | Dtype::Bool, Dtype::Bool) => Range::new(0.0, 1.0),
        (Dtype::F32, Dtype::I32) => Range::new(x.low.trunc(), x.high.trunc()),
        (Dtype::I32 | Dtype::Bool, Dtype::F32) => x.rounded(),
        (Dtype::F32, Dtype::F32) | (Dtype::I32 | Dtype::Bool, Dtype::I32) => x,
    }
}

/// The program with more instructions behind it.
struct Extended(Pointwise);

impl Extended {
    fn push(&mut self, instruction: Instruction) -> Operand {
        self.0.instructions.push(instruction);
        Operand::Result(index32(self.0.instructions.len()) - 1)
    }

    fn unary(&mut self, op: UnaryOp, a: Operand) -> Operand {
        self.push(Instruction::Unary(op, a))
    }

    fn binary(&mut self, op: BinaryOp, a: Operand, b: Operand) -> Operand {
        self.push(Instruction::Binary(op, a, b))
    }

    fn integer(&mut self, value: i32) -> Operand {
        self.push(Instruction::Literal(Literal::I32(value)))
    }

    fn float(&mut self, value: f32) -> Operand {
        self.push(Instruction::Literal(Literal::F32(value.to_bits())))
    }

    fn is_negative(&mut self, a: Operand) -> Operand {
        let zero = self.integer(0);
        self.binary(BinaryOp::Less, a, zero)
    }

    fn is_least(&mut self, a: Operand) -> Operand {
        let least = self.integer(i32::MIN);
        self.binary(BinaryOp::Equal, a, least)
    }

    /// Whether instruction `index` has left 32 bits; `None` for functions that cannot.
    fn has_left(&mut self, index: u32) -> Option<Operand> {
        let result = Operand::Result(index);
        match self.0.instructions[index as usize] {
            Instruction::Unary(UnaryOp::Neg | UnaryOp::Abs, a) => Some(self.is_least(a)),
            Instruction::Cast(a, _) => {
                let magnitude = self.unary(UnaryOp::Abs, a);
                let [word, long] = BEYOND.map(|limit| self.float(limit));
                let least = self.float(-BEYOND[0]);
                let beyond = self.binary(BinaryOp::GreaterEqual, magnitude, word);
                let defined = self.binary(BinaryOp::Less, magnitude, long);
                // The least integer of 32 bits is there.
                let other = self.binary(BinaryOp::NotEqual, a, least);
                let both = self.binary(BinaryOp::And, beyond, defined);
                Some(self.binary(BinaryOp::And, both, other))
            }
            Instruction::Binary(op, a, b) => self.arithmetic_has_left(op, a, b, result),
            Instruction::Unary(..) | Instruction::Literal(_) | Instruction::Select { .. } => None,
        }
    }

    fn arithmetic_has_left(&mut self, op: BinaryOp, a: Operand, b: Operand, result: Operand) -> Option<Operand> {
        match op {
            // The signs of both terms differ from that of the sum.
            BinaryOp::Add => {
                let (left, right) =
                    (self.binary(BinaryOp::BitXor, a, result), self.binary(BinaryOp::BitXor, b, result));
                let both = self.binary(BinaryOp::BitAnd, left, right);
                Some(self.is_negative(both))
            }
            // The signs of the terms differ, and that of the difference from the first.
            BinaryOp::Sub => {
                let (terms, left) = (self.binary(BinaryOp::BitXor, a, b), self.binary(BinaryOp::BitXor, a, result));
                let both = self.binary(BinaryOp::BitAnd, terms, left);
                Some(self.is_negative(both))
            }
            BinaryOp::Mul => {
                let (zero, minus_one) = (self.integer(0), self.integer(-1));
                let quotient = self.binary(BinaryOp::Div, result, a);
                let differs = self.binary(BinaryOp::NotEqual, quotient, b);
                let divides = self.binary(BinaryOp::NotEqual, a, zero);
                let wrong = self.binary(BinaryOp::And, differs, divides);
                let negates = self.binary(BinaryOp::Equal, a, minus_one);
                let least = self.is_least(b);
                let wraps = self.binary(BinaryOp::And, negates, least);
                Some(self.binary(BinaryOp::Or, wrong, wraps))
            }
            BinaryOp::Div => {
                let minus_one = self.integer(-1);
                let (negates, least) = (self.binary(BinaryOp::Equal, b, minus_one), self.is_least(a));
                Some(self.binary(BinaryOp::And, negates, least))
            }
            BinaryOp::ShiftLeft => {
                let back = self.binary(BinaryOp::ShiftRight, result, b);
                Some(self.binary(BinaryOp::NotEqual, back, a))
            }
            BinaryOp::Pow => {
                let [base, exponent] = [a, b].map(|operand| self.push(Instruction::Cast(operand, Dtype::F32)));
                let base = self.unary(UnaryOp::Abs, base);
                let zero = self.integer(0);
                let power = self.binary(BinaryOp::Pow, base, exponent);
                let limit = self.float(SAFE_POWER);
                let large = self.binary(BinaryOp::GreaterEqual, power, limit);
                let grows = self.binary(BinaryOp::Greater, b, zero);
                Some(self.binary(BinaryOp::And, large, grows))
            }
            BinaryOp::Min
            | BinaryOp::Max
            | BinaryOp::Fmod
            | BinaryOp::FloorMod
            | BinaryOp::Equal
            | BinaryOp::NotEqual
            | BinaryOp::Less
            | BinaryOp::LessEqual
            | BinaryOp::Greater
            | BinaryOp::GreaterEqual
            | BinaryOp::And
            | BinaryOp::Or
            | BinaryOp::Xor
            | BinaryOp::BitAnd
            | BinaryOp::BitOr
            | BinaryOp::BitXor
            | BinaryOp::ShiftRight => None,
        }
    }
}

/// A program over the same operands: 1 where one of these instructions has left 32 bits, else 0.
pub fn overflow(program: &Pointwise, leaving: &[u32]) -> Pointwise {
    let mut extended = Extended(program.clone());
    let mut any = extended.push(Instruction::Literal(Literal::Bool(false)));
    for index in leaving {
        if let Some(left) = extended.has_left(*index) {
            any = extended.binary(BinaryOp::Or, any, left);
        }
    }
    extended.push(Instruction::Cast(any, Dtype::I32));
    extended.0
}

#[cfg(test)]
mod tests {
    use super::{BinaryOp, Dtype, Instruction, Operand, Pointwise, Range, UnaryOp, WORD, overflow, ranges};

    const ENDS: [i32; 13] = [0, 1, -1, 2, -2, 3, 31, 32, 46_341, 65_536, i32::MAX, i32::MIN, i32::MIN + 1];

    /// What a function of 64-bit integers gives, where it is defined.
    fn wide(op: BinaryOp, a: i64, b: i64) -> Option<i64> {
        let small = (0..31).contains(&b);
        [
            (BinaryOp::Add, Some(a + b)),
            (BinaryOp::Sub, Some(a - b)),
            (BinaryOp::Mul, Some(a * b)),
            (BinaryOp::Div, Some(a.checked_div(b).unwrap_or(0))),
            (BinaryOp::ShiftLeft, small.then(|| a << b)),
            (BinaryOp::Pow, (small && a.abs() < 4).then(|| a.pow(b as u32))),
        ]
        .into_iter()
        .find_map(|(known, value)| value.filter(|_| known == op))
    }

    #[test]
    fn what_leaves_32_bits_is_found_and_nothing_else() {
        for op in [BinaryOp::Add, BinaryOp::Sub, BinaryOp::Mul, BinaryOp::Div, BinaryOp::ShiftLeft, BinaryOp::Pow] {
            let test = overflow(&Pointwise::binary(op, Dtype::I32), &[0]);
            for (a, b) in ENDS.iter().flat_map(|a| ENDS.map(|b| (*a, b))) {
                let Some(exact) = wide(op, a.into(), b.into()) else { continue };
                let leaves = u32::from(i32::try_from(exact).is_err());
                assert_eq!(test.evaluate(&[a as u32, b as u32]), leaves, "{op:?}({a}, {b})");
            }
        }
        for op in [UnaryOp::Neg, UnaryOp::Abs] {
            let test = overflow(&Pointwise::unary(op, Dtype::I32), &[0]);
            ENDS.iter().for_each(|a| assert_eq!(test.evaluate(&[*a as u32]), u32::from(*a == i32::MIN)));
        }
        let test = overflow(&Pointwise::cast(Dtype::F32, Dtype::I32), &[0]);
        for (value, leaves) in [
            (3e9_f32, 1),
            (-3e9, 1),
            (2_147_483_520.0, 0),
            (2_147_483_648.0, 1),
            (-2_147_483_648.0, 0),
            (-2_147_483_904.0, 1),
            (f32::NAN, 0),
            (f32::INFINITY, 0),
            (1e30, 0),
        ] {
            assert_eq!(test.evaluate(&[value.to_bits()]), leaves, "{value}");
        }
    }

    #[test]
    fn ranges_hold_every_value() {
        let narrow = Range::new(-7.0, 9.0);
        for op in BinaryOp::ALL {
            let program = Pointwise::binary(op, Dtype::I32);
            let (range, leaving) = ranges(&program, &[narrow, narrow]);
            for (a, b) in (-7..=9).flat_map(|a| (-7..=9).map(move |b| (a, b))) {
                let found = f64::from(program.evaluate(&[a as u32, b as u32]) as i32);
                let held = range.low <= found && found <= range.high;
                assert!(held || !leaving.is_empty(), "{op:?}({a}, {b}) = {found} is outside {range:?}");
            }
        }
        let sum = Pointwise {
            inputs: vec![Dtype::I32; 2],
            instructions: vec![Instruction::Binary(BinaryOp::Add, Operand::Input(0), Operand::Input(1))],
        };
        assert_eq!(ranges(&sum, &[WORD, narrow]), (WORD, vec![0]));
        assert_eq!(ranges(&sum, &[narrow, narrow]), (Range::new(-14.0, 18.0), vec![]));
    }
}
