//! Which values of an element-wise program the compiler of a driver must not see through.
//!
//! WGSL lets a compiler take 0 · x and x − x for 0, a · b + a · c for a · (b + c), (x + 1) − x for 1 and the product of two literals
//! for one, and (x + y) + 1 for (x + 1) + y: right for most numbers, wrong where something is infinite, NaN, or leaves the range on
//! its way, and where x + y is small. Where a program has such a form,
//! the values in it pass an exclusive or with a number that is 0 whenever the kernel runs, and of which no compiler knows that. Programs
//! without such a form are left as they are. It deliberately does not look into functions.wgsl.

use crate::graph::constant::Dtype;
use crate::graph::pointwise::{BinaryOp, Instruction, Literal, Operand, Pointwise, UnaryOp};
use std::collections::BTreeMap;

/// What is hidden of a program.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Hidden {
    /// Results, by instruction.
    results: Vec<bool>,
    /// Second operands, by instruction: where both operands are one value.
    second_operands: Vec<bool>,
}

impl Hidden {
    /// Finds them.
    pub fn of(program: &Pointwise) -> Self {
        let count = program.instructions.len();
        let mut finder =
            Finder { program, hidden: Self { results: vec![false; count], second_operands: vec![false; count] } };
        for index in 0..count {
            finder.judge(index);
        }
        finder.hidden
    }

    /// Whether there is anything.
    pub fn is_empty(&self) -> bool {
        !self.results.iter().chain(&self.second_operands).any(|hidden| *hidden)
    }

    /// Whether the result of an instruction is hidden from whatever reads it.
    pub fn result(&self, index: usize) -> bool {
        self.results[index]
    }

    /// Whether an instruction hides its second operand from itself.
    pub fn second_operand(&self, index: usize) -> bool {
        self.second_operands[index]
    }
}

/// Factors that take few products out of the range, or into it.
const MODERATE: std::ops::Range<f32> = 1e-6..1e6;

struct Finder<'a> {
    program: &'a Pointwise,
    hidden: Hidden,
}

/// A sum or product taken apart.
#[derive(Debug, Default)]
struct Terms {
    /// Results inside, without that of the whole.
    inner: Vec<usize>,
    /// What is added or multiplied, and whether it is subtracted.
    atoms: Vec<(Operand, bool)>,
    /// How many literals there are.
    literals: usize,
    /// Whether one of them may take a product of two values out of the range, or into it.
    extreme: bool,
    /// Results that have been taken apart, and whether they were subtracted: each is once, or programs of n sums of a value with
    /// itself would have 2ⁿ terms.
    visited: BTreeMap<usize, bool>,
    /// Whether a result is there twice with one sign.
    repeats: bool,
    /// Whether a result is there with both signs.
    cancels: bool,
}

impl Terms {
    /// Whether a result is met for the first time.
    fn is_new(&mut self, index: usize, minus: bool) -> bool {
        let before = self.visited.insert(index, minus);
        self.repeats |= before == Some(minus);
        self.cancels |= before == Some(!minus);
        before.is_none()
    }

    /// Whether there is more than one literal, of those in results that are there twice each twice.
    fn has_literals(&self) -> bool {
        self.literals > 1 || (self.literals == 1 && self.repeats)
    }

    /// Whether there is more than one other atom.
    fn has_atoms(&self) -> bool {
        self.atoms.len() > 1 || self.repeats
    }
}

impl Finder<'_> {
    fn instruction(&self, operand: Operand) -> Option<(usize, Instruction)> {
        match operand {
            Operand::Input(_) => None,
            Operand::Result(index) => Some((index as usize, self.program.instructions[index as usize])),
        }
    }

    fn literal(&self, operand: Operand) -> Option<f32> {
        let (_, Instruction::Literal(Literal::F32(bits))) = self.instruction(operand)? else { return None };
        Some(f32::from_bits(bits))
    }

    fn judge(&mut self, index: usize) {
        match self.program.instructions[index] {
            Instruction::Binary(op, a, b) if self.program.operand_dtype(a) == Dtype::F32 => match op {
                BinaryOp::Add | BinaryOp::Sub => self.sum(index, op, a, b),
                BinaryOp::Mul | BinaryOp::Div => self.product(index, op, a, b),
                BinaryOp::Equal
                | BinaryOp::NotEqual
                | BinaryOp::Less
                | BinaryOp::LessEqual
                | BinaryOp::Greater
                | BinaryOp::GreaterEqual => self.comparison(a, b),
                BinaryOp::Pow
                | BinaryOp::Min
                | BinaryOp::Max
                | BinaryOp::Fmod
                | BinaryOp::FloorMod
                | BinaryOp::And
                | BinaryOp::Or
                | BinaryOp::Xor
                | BinaryOp::BitAnd
                | BinaryOp::BitOr
                | BinaryOp::BitXor
                | BinaryOp::ShiftLeft
                | BinaryOp::ShiftRight => {}
            },
            Instruction::Unary(UnaryOp::Reciprocal, a) => self.divisor(a),
            Instruction::Unary(..)
            | Instruction::Binary(..)
            | Instruction::Literal(_)
            | Instruction::Select { .. }
            | Instruction::Cast(..) => {}
        }
    }

    /// x − x; and sums in which a value may cancel, that have a literal beside others, or whose products share a factor.
    fn sum(&mut self, index: usize, op: BinaryOp, a: Operand, b: Operand) {
        self.hidden.second_operands[index] = op == BinaryOp::Sub && a == b;
        let mut parts = Terms::default();
        self.terms(a, false, &mut parts);
        self.terms(b, op == BinaryOp::Sub, &mut parts);
        let atoms = &parts.atoms;
        let pairs = || atoms.iter().enumerate().flat_map(|(i, a)| atoms[..i].iter().map(move |b| (a, b)));
        let cancels = parts.cancels || pairs().any(|((a, minus), (b, other))| a == b && minus != other);
        let is_product = |(atom, _): &(Operand, bool)| !self.factors(*atom).is_empty();
        let repeats_product = || parts.repeats && atoms.iter().any(is_product);
        let shares = || repeats_product() || pairs().any(|((a, _), (b, _))| self.shared_factor(*a, *b));
        let chooses = || atoms.iter().any(|(a, _)| self.factors(*a).iter().any(|factor| self.is_choice(*factor)));
        // A literal that is added to one term first is lost where the terms are large and their sum is not.
        let joins = parts.has_literals() || (parts.literals == 1 && parts.has_atoms());
        if cancels || joins || shares() || chooses() {
            self.hide(&parts.inner);
        }
    }

    /// The terms of a sum.
    fn terms(&self, operand: Operand, minus: bool, parts: &mut Terms) {
        if self.literal(operand).is_some() {
            parts.literals += 1;
            return;
        }
        let Some((index, instruction)) = self.instruction(operand) else {
            parts.atoms.push((operand, minus));
            return;
        };
        if !parts.is_new(index, minus) {
            return;
        }
        match instruction {
            Instruction::Binary(op @ (BinaryOp::Add | BinaryOp::Sub), a, b) => {
                parts.inner.push(index);
                self.terms(a, minus, parts);
                self.terms(b, minus != (op == BinaryOp::Sub), parts);
            }
            Instruction::Unary(UnaryOp::Neg, a) => {
                parts.inner.push(index);
                self.terms(a, !minus, parts);
            }
            // What gives some numbers back as they are: a compiler may know that it has these.
            Instruction::Unary(UnaryOp::Abs | UnaryOp::Relu | UnaryOp::Floor | UnaryOp::Ceil | UnaryOp::Round, a) => {
                parts.inner.push(index);
                parts.atoms.push((a, minus));
            }
            Instruction::Binary(BinaryOp::Mul, a, b) => {
                parts.inner.push(index);
                match (self.literal(a), self.literal(b)) {
                    (_, Some(factor)) => self.scaled(a, minus != (factor < 0.0), parts),
                    (Some(factor), _) => self.scaled(b, minus != (factor < 0.0), parts),
                    (None, None) => parts.atoms.push((operand, minus)),
                }
            }
            Instruction::Binary(..)
            | Instruction::Unary(..)
            | Instruction::Literal(_)
            | Instruction::Select { .. }
            | Instruction::Cast(..) => parts.atoms.push((operand, minus)),
        }
    }

    /// A multiple of a value: the value itself, and not what it is the sum of.
    fn scaled(&self, operand: Operand, minus: bool, parts: &mut Terms) {
        match self.instruction(operand) {
            Some((index, Instruction::Unary(UnaryOp::Neg, a))) => {
                parts.inner.push(index);
                self.scaled(a, !minus, parts);
            }
            Some(_) | None => parts.atoms.push((operand, minus)),
        }
    }

    /// The factors of a product of two values; nothing of anything else.
    fn factors(&self, operand: Operand) -> Vec<Operand> {
        match self.instruction(operand) {
            Some((_, Instruction::Binary(BinaryOp::Mul, a, b))) => vec![a, b],
            Some(_) | None => Vec::new(),
        }
    }

    fn shared_factor(&self, a: Operand, b: Operand) -> bool {
        let of_b = self.factors(b);
        self.factors(a).iter().any(|factor| of_b.contains(factor))
    }

    /// Whether a value is 0 or 1 by a boolean, or 1 less such a value: a compiler may make a selection of a sum with it.
    fn is_choice(&self, operand: Operand) -> bool {
        match self.instruction(operand) {
            Some((_, Instruction::Cast(a, Dtype::F32))) => self.program.operand_dtype(a) == Dtype::Bool,
            Some((_, Instruction::Select { then, otherwise, .. })) => {
                self.literal(then).is_some() && self.literal(otherwise).is_some()
            }
            Some((_, Instruction::Binary(BinaryOp::Sub | BinaryOp::Add, a, b))) => {
                (self.literal(a).is_some() && self.is_choice(b)) || (self.literal(b).is_some() && self.is_choice(a))
            }
            Some((_, Instruction::Unary(UnaryOp::Neg, a))) => self.is_choice(a),
            Some(_) | None => false,
        }
    }

    /// 0 · x, 0 / x, x / x and √x · √x; and products with two literals.
    fn product(&mut self, index: usize, op: BinaryOp, a: Operand, b: Operand) {
        for factor in [a, b] {
            if let (Some(0.0), Operand::Result(literal)) = (self.literal(factor), factor) {
                self.hidden.results[literal as usize] = true;
            }
        }
        self.hidden.second_operands[index] = op == BinaryOp::Div && a == b;
        if op == BinaryOp::Div {
            self.divisor(b);
        }
        if let (true, Some((root, Instruction::Unary(UnaryOp::Sqrt, _)))) = (a == b, self.instruction(a)) {
            self.hide(&[root]);
        }
        let mut parts = Terms::default();
        self.literal_factors(a, &mut parts);
        self.literal_factors(b, &mut parts);
        let leaves_range = parts.extreme && parts.has_atoms();
        if parts.has_literals() || leaves_range {
            self.hide(&parts.inner);
        }
    }

    /// The literals and other factors of a product, and the products inside.
    fn literal_factors(&self, operand: Operand, parts: &mut Terms) {
        if let Some(factor) = self.literal(operand) {
            parts.literals += 1;
            parts.extreme |= !MODERATE.contains(&factor.abs());
            return;
        }
        match self.instruction(operand) {
            Some((index, _)) if !parts.is_new(index, false) => {}
            Some((index, Instruction::Binary(BinaryOp::Mul | BinaryOp::Div, a, b))) => {
                parts.inner.push(index);
                self.literal_factors(a, parts);
                self.literal_factors(b, parts);
            }
            Some((index, Instruction::Unary(UnaryOp::Neg, a))) => {
                parts.inner.push(index);
                self.literal_factors(a, parts);
            }
            Some(_) | None => parts.atoms.push((operand, false)),
        }
    }

    /// 1 / (1 / x) and 1 / √x: the inner one may leave the range, or be −0.
    fn divisor(&mut self, operand: Operand) {
        if let Some((index, Instruction::Unary(UnaryOp::Reciprocal, _) | Instruction::Binary(BinaryOp::Div, ..))) =
            self.instruction(operand)
        {
            self.hide(&[index]);
        }
    }

    /// x + 1 < 2 and x + y < x.
    fn comparison(&mut self, a: Operand, b: Operand) {
        for operand in [a, b] {
            if let Some((
                index,
                Instruction::Binary(BinaryOp::Add | BinaryOp::Sub, ..) | Instruction::Unary(UnaryOp::Neg, _),
            )) = self.instruction(operand)
            {
                self.hide(&[index]);
            }
        }
    }

    fn hide(&mut self, results: &[usize]) {
        for index in results {
            self.hidden.results[*index] = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Hidden;
    use crate::graph::constant::Dtype;
    use crate::graph::pointwise::{BinaryOp, Instruction, Literal, Operand, Pointwise, UnaryOp};

    const X: Operand = Operand::Input(0);
    const Y: Operand = Operand::Input(1);
    const Z: Operand = Operand::Input(2);

    /// Results that are hidden, and instructions that hide their second operand.
    fn found(instructions: &[Instruction]) -> (Vec<usize>, Vec<usize>) {
        let program =
            Pointwise { inputs: vec![Dtype::F32, Dtype::F32, Dtype::Bool], instructions: instructions.to_vec() };
        let hidden = Hidden::of(&program);
        let all = 0..instructions.len();
        assert_eq!(hidden.is_empty(), !all.clone().any(|i| hidden.result(i) || hidden.second_operand(i)));
        (all.clone().filter(|i| hidden.result(*i)).collect(), all.filter(|i| hidden.second_operand(*i)).collect())
    }

    fn number(value: f32) -> Instruction {
        Instruction::Literal(Literal::F32(value.to_bits()))
    }

    fn of(op: BinaryOp, a: Operand, b: Operand) -> Instruction {
        Instruction::Binary(op, a, b)
    }

    fn at(index: u32) -> Operand {
        Operand::Result(index)
    }

    #[test]
    fn zeros_and_equal_operands_are_hidden() {
        use BinaryOp::{Div, Mul, Sub};
        assert_eq!(found(&[number(0.0), of(Mul, X, at(0))]), (vec![0], vec![]));
        assert_eq!(found(&[number(-0.0), of(Mul, at(0), X)]), (vec![0], vec![]));
        assert_eq!(found(&[number(0.0), of(Div, at(0), X)]), (vec![0], vec![]));
        assert_eq!(found(&[of(Sub, X, X)]), (vec![], vec![0]));
        assert_eq!(found(&[of(Div, X, X)]), (vec![], vec![0]));
        let root = Instruction::Unary(UnaryOp::Sqrt, X);
        assert_eq!(found(&[root, of(Mul, at(0), at(0))]), (vec![0], vec![]));
    }

    #[test]
    fn sums_that_may_be_reordered_are_hidden() {
        use BinaryOp::{Add, Mul, Sub};
        let negated = Instruction::Unary(UnaryOp::Neg, X);
        assert_eq!(found(&[negated, of(Add, X, at(0))]).0, [0]);
        assert_eq!(found(&[number(3.0), of(Add, X, at(0)), of(Sub, at(1), X)]).0, [1]);
        let (power, magnitude) = (Instruction::Unary(UnaryOp::Exp, X), Instruction::Unary(UnaryOp::Abs, at(0)));
        assert_eq!(found(&[power, magnitude, of(Sub, at(0), at(1))]).0, [1]);
        assert_eq!(found(&[number(-1.0), of(Mul, X, at(0)), of(Add, at(1), X)]).0, [1]);
        assert_eq!(found(&[number(3.0), of(Add, X, at(0)), of(Sub, at(1), at(0))]).0, [1]);
        assert_eq!(found(&[of(Mul, X, X), of(Mul, X, Y), of(Add, at(0), at(1))]).0, [0, 1]);
        let chosen = Instruction::Cast(Z, Dtype::F32);
        let rest = [number(1.0), of(Sub, at(1), at(0)), of(Mul, X, at(2)), of(Mul, Y, at(0)), of(Add, at(3), at(4))];
        assert_eq!(found(&[&[chosen], &rest[..]].concat()).0, [3, 4]);
    }

    #[test]
    fn results_that_are_there_twice_are_followed_once() {
        use BinaryOp::{Add, Mul, Sub};
        for op in [Add, Sub, Mul] {
            let mut instructions = vec![of(op, X, X)];
            instructions.extend((0..200).map(|i| of(op, at(i), at(i))));
            let all: Vec<usize> = (0..200).collect();
            assert_eq!(found(&instructions).0, if op == Sub { all } else { vec![] }, "{op:?}");
        }
        assert_eq!(found(&[of(Mul, X, Y), of(Add, at(0), at(0))]).0, [0]);
        assert_eq!(found(&[number(3.0), of(Add, X, at(0)), of(Add, at(1), at(1))]).0, [1]);
        assert_eq!(found(&[number(3.0), of(Mul, X, at(0)), of(Mul, at(1), at(1))]).0, [1]);
        assert_eq!(found(&[of(Add, X, Y), of(Sub, at(0), at(0))]), (vec![0], vec![1]));
    }

    #[test]
    fn products_of_literals_and_shifted_comparisons_are_hidden() {
        use BinaryOp::{Add, Div, Less, Mul};
        assert_eq!(found(&[number(1e30), of(Mul, X, at(0)), of(Mul, at(1), at(0))]).0, [1]);
        assert_eq!(found(&[number(1e30), of(Div, X, at(0)), of(Div, at(1), at(0))]).0, [1]);
        assert_eq!(found(&[number(1.0), of(Add, X, at(0)), of(Less, at(1), X)]).0, [1]);
        assert_eq!(found(&[of(Mul, X, Y), number(1e-25), of(Mul, at(0), at(1))]).0, [0]);
        assert_eq!(found(&[of(Add, X, Y), number(1e-5), of(Add, at(0), at(1))]).0, [0]);
    }

    #[test]
    fn usual_programs_are_left_alone() {
        use BinaryOp::{Add, Div, Mul, Sub};
        let none = (vec![], vec![]);
        assert_eq!(found(&[of(Add, X, Y), of(Mul, at(0), X)]), none);
        assert_eq!(found(&[of(Mul, X, X), of(Add, at(0), Y)]), none);
        assert_eq!(found(&[of(Mul, X, Y), number(0.125), of(Mul, at(0), at(1))]), none);
        assert_eq!(
            found(&[number(1.0), of(Sub, at(0), X), of(Mul, at(1), Y), of(Mul, X, X), of(Add, at(2), at(3))]),
            none
        );
        assert_eq!(found(&[number(0.5), of(Mul, X, at(0)), of(Add, at(1), Y), of(Div, at(2), Y)]), none);
        let chosen = Instruction::Cast(Z, Dtype::F32);
        assert_eq!(found(&[chosen, number(-1e9), of(Mul, at(0), at(1)), of(Add, X, at(2))]), none);
    }
}
