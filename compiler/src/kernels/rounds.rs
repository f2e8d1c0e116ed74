//! How many rounds the loops of one invocation take, all together: Mesa's CPU adapter ends them after 65,535 in all,
//! without an error.
//!
//! A kernel's row says it by a function of its parameters, so that it is counted from the call, in one place, whatever
//! lowering had in mind. A loop counts one round more than it has, the one that finds its end. What a function cannot know
//! (which branch is taken, how far data lead) it takes at its most. The names of the fields that it reads are compared with the
//! kernel's own parameter block by `emit`.

use super::params::Params;
use crate::graph::pointwise::{BinaryOp, Instruction, Pointwise};

/// The rounds of a kernel's loops as a function of its parameters.
#[derive(Debug, Clone, Copy)]
pub struct Rounds {
    /// Fields of the parameter block that decide, a component of a vector as `name.x`.
    pub fields: &'static [&'static str],
    /// Rounds apart from those of the linked expression, from the values of the fields.
    pub own: fn(&[u64]) -> u64,
    /// How often one invocation computes the linked expression, at most.
    pub expressions: fn(&[u64]) -> u64,
}

impl Rounds {
    /// No loop; the linked expression once.
    pub const NONE: Self = Self { fields: &[], own: |_| 0, expressions: |_| 1 };

    /// Loops whose rounds follow from these fields; the linked expression once.
    pub const fn of(fields: &'static [&'static str], own: fn(&[u64]) -> u64) -> Self {
        Self { fields, own, expressions: |_| 1 }
    }

    /// Computes the linked expression more than once.
    pub const fn expressions(self, expressions: fn(&[u64]) -> u64) -> Self {
        Self { expressions, ..self }
    }

    /// Rounds of a call with these parameters, whose linked expression takes `expression_rounds` each time.
    pub fn count(&self, params: &Params, expression_rounds: u64) -> u64 {
        let values: Vec<u64> = self.fields.iter().map(|field| params.word(field).into()).collect();
        let expressions = (self.expressions)(&values).saturating_mul(expression_rounds);
        (self.own)(&values).saturating_add(expressions)
    }
}

/// Rounds of the functions that an element-wise program calls, for one element.
pub fn of_program(program: &Pointwise) -> u64 {
    let rounds = |instruction: &Instruction| match instruction {
        Instruction::Binary(op, ..) => of_binary(*op),
        Instruction::Literal(_) | Instruction::Unary(..) | Instruction::Select { .. } | Instruction::Cast(..) => 0,
    };
    program.instructions.iter().map(rounds).sum()
}

/// Those of functions.wgsl, for the type that takes most.
const fn of_binary(op: BinaryOp) -> u64 {
    match op {
        // Bits of an integer exponent; and of one up to 8, for a negative exponent.
        BinaryOp::Pow => once(31) + once(4),
        // Bits of the quotient.
        BinaryOp::Fmod | BinaryOp::FloorMod => once(278),
        BinaryOp::Add
        | BinaryOp::Sub
        | BinaryOp::Mul
        | BinaryOp::Div
        | BinaryOp::Min
        | BinaryOp::Max
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
        | BinaryOp::ShiftLeft
        | BinaryOp::ShiftRight => 0,
    }
}

/// Rounds of one loop.
pub const fn once(rounds: u64) -> u64 {
    rounds.saturating_add(1)
}

/// Rounds of loops in each other, the outermost first.
pub fn nest(rounds: &[u64]) -> u64 {
    rounds.iter().rev().fold(0, |inner, rounds| once(rounds.saturating_mul(once(inner))))
}

/// Rounds of the tree in which `lanes` invocations, a power of two, combine what they have.
pub const fn tree(lanes: u64) -> u64 {
    once(lanes.ilog2() as u64)
}

/// Rounds of `passes` loops over a line that `lanes` invocations share, each followed by a tree but for the last.
pub fn lines(columns: u64, lanes: u64, passes: u64) -> u64 {
    passes * once(columns.div_ceil(lanes)) + (passes - 1) * tree(lanes)
}

#[cfg(test)]
mod tests {
    use super::{nest, tree};

    #[test]
    fn every_loop_counts_the_round_that_finds_its_end() {
        assert_eq!(nest(&[5]), 6);
        // Two rounds with a loop of three each: 2 · (1 + 4) + 1.
        assert_eq!(nest(&[2, 3]), 11);
        assert_eq!(nest(&[u64::MAX, 3]), u64::MAX);
        assert_eq!(tree(64), 7);
    }
}
