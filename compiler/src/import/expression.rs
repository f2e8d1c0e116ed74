//! Writing element-wise programs instruction by instruction.
//!
//! It deliberately checks no types: `verify` does, on the finished graph.

use crate::graph::constant::Dtype;
use crate::graph::pointwise::{BinaryOp, Instruction, Literal, Operand, Pointwise, UnaryOp};
use crate::narrow::index32;

/// An element-wise program being written.
#[derive(Debug, Default)]
pub struct ExpressionBuilder {
    inputs: Vec<Dtype>,
    instructions: Vec<Instruction>,
}

impl ExpressionBuilder {
    fn push(&mut self, instruction: Instruction) -> Operand {
        self.instructions.push(instruction);
        Operand::Result(index32(self.instructions.len()) - 1)
    }

    /// The next input.
    pub fn input(&mut self, dtype: Dtype) -> Operand {
        self.inputs.push(dtype);
        Operand::Input(index32(self.inputs.len()) - 1)
    }

    /// A float.
    pub fn float(&mut self, value: f32) -> Operand {
        self.push(Instruction::Literal(Literal::F32(value.to_bits())))
    }

    /// An integer.
    pub fn integer(&mut self, value: i32) -> Operand {
        self.push(Instruction::Literal(Literal::I32(value)))
    }

    /// A boolean.
    pub fn boolean(&mut self, value: bool) -> Operand {
        self.push(Instruction::Literal(Literal::Bool(value)))
    }

    /// f(a).
    pub fn unary(&mut self, op: UnaryOp, a: Operand) -> Operand {
        self.push(Instruction::Unary(op, a))
    }

    /// f(a, b).
    pub fn binary(&mut self, op: BinaryOp, a: Operand, b: Operand) -> Operand {
        self.push(Instruction::Binary(op, a, b))
    }

    /// `condition ? then : otherwise`.
    pub fn select(&mut self, condition: Operand, then: Operand, otherwise: Operand) -> Operand {
        self.push(Instruction::Select { condition, then, otherwise })
    }

    /// Conversion.
    pub fn cast(&mut self, a: Operand, to: Dtype) -> Operand {
        self.push(Instruction::Cast(a, to))
    }

    /// The program, whose value is that of the last instruction.
    pub fn finish(self) -> Pointwise {
        Pointwise { inputs: self.inputs, instructions: self.instructions }
    }
}
