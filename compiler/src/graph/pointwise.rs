//! Element-wise programs: what one output element is computed from, as a list of instructions.
//!
//! A chain of element-wise ONNX nodes becomes one [`Pointwise`], run by one kernel, or hung behind a matmul, convolution or
//! norm as its epilogue. Operands broadcast outside this file: an instruction sees single elements. `evaluate` is the
//! reference for kernels and folds constants; it deliberately knows no shapes.

use super::constant::Dtype;
use crate::narrow::index32;

/// Element-wise functions of one operand. Unless noted they take and give f32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names are the ONNX or mathematical ones")]
pub enum UnaryOp {
    /// f32 or i32.
    Abs,
    /// f32 or i32.
    Neg,
    Exp,
    Log,
    Sqrt,
    /// 1 / √x.
    Rsqrt,
    Reciprocal,
    Sigmoid,
    Tanh,
    Erf,
    Relu,
    /// x · sigmoid(x).
    Silu,
    /// 0.5 x (1 + erf(x / √2)).
    GeluErf,
    /// 0.5 x (1 + tanh(√(2/π) (x + 0.044715 x³))).
    GeluTanh,
    Softplus,
    HardSwish,
    Floor,
    Ceil,
    /// Half to even.
    Round,
    /// To the nearest f16, half to even, kept as f32.
    RoundToF16,
    /// f32 or i32.
    Sign,
    Sin,
    Cos,
    Tan,
    Asin,
    Acos,
    Atan,
    Sinh,
    Cosh,
    Asinh,
    Acosh,
    Atanh,
    /// f32 to Bool.
    IsNan,
    /// f32 to Bool.
    IsInf,
    /// Bool to Bool.
    Not,
    /// i32 to i32.
    BitNot,
}

/// Element-wise functions of two operands of one type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names are the ONNX or mathematical ones")]
pub enum BinaryOp {
    Add,
    Sub,
    Mul,
    /// Integers truncate towards zero and give 0 for a divisor of 0.
    Div,
    /// A negative base with an integral exponent gives a signed power, as in C. Integers wrap; a negative exponent
    /// truncates towards zero.
    Pow,
    /// NaN where an operand is.
    Min,
    /// NaN where an operand is.
    Max,
    /// Sign of the dividend (C `fmod`). Integers: 0 for a divisor of 0.
    Fmod,
    /// Sign of the divisor (Python `%`).
    FloorMod,
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    /// Bool.
    And,
    /// Bool.
    Or,
    /// Bool.
    Xor,
    /// i32.
    BitAnd,
    /// i32.
    BitOr,
    /// i32.
    BitXor,
    /// i32. By 32 bits or more, or a negative number of them: 0.
    ShiftLeft,
    /// i32, arithmetic. By 32 bits or more, or a negative number of them: all bits are the sign.
    ShiftRight,
}

impl UnaryOp {
    /// All of them.
    pub const ALL: [Self; 36] = [
        Self::Abs,
        Self::Neg,
        Self::Exp,
        Self::Log,
        Self::Sqrt,
        Self::Rsqrt,
        Self::Reciprocal,
        Self::Sigmoid,
        Self::Tanh,
        Self::Erf,
        Self::Relu,
        Self::Silu,
        Self::GeluErf,
        Self::GeluTanh,
        Self::Softplus,
        Self::HardSwish,
        Self::Floor,
        Self::Ceil,
        Self::Round,
        Self::RoundToF16,
        Self::Sign,
        Self::Sin,
        Self::Cos,
        Self::Tan,
        Self::Asin,
        Self::Acos,
        Self::Atan,
        Self::Sinh,
        Self::Cosh,
        Self::Asinh,
        Self::Acosh,
        Self::Atanh,
        Self::IsNan,
        Self::IsInf,
        Self::Not,
        Self::BitNot,
    ];
}

impl BinaryOp {
    /// All of them.
    pub const ALL: [Self; 23] = [
        Self::Add,
        Self::Sub,
        Self::Mul,
        Self::Div,
        Self::Pow,
        Self::Min,
        Self::Max,
        Self::Fmod,
        Self::FloorMod,
        Self::Equal,
        Self::NotEqual,
        Self::Less,
        Self::LessEqual,
        Self::Greater,
        Self::GreaterEqual,
        Self::And,
        Self::Or,
        Self::Xor,
        Self::BitAnd,
        Self::BitOr,
        Self::BitXor,
        Self::ShiftLeft,
        Self::ShiftRight,
    ];

    /// Whether the result is a boolean.
    pub const fn compares(self) -> bool {
        matches!(
            self,
            Self::Equal
                | Self::NotEqual
                | Self::Less
                | Self::LessEqual
                | Self::Greater
                | Self::GreaterEqual
                | Self::And
                | Self::Or
                | Self::Xor
        )
    }
}

/// Where an instruction takes an operand from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Operand {
    /// Input of the program.
    Input(u32),
    /// Result of an earlier instruction.
    Result(u32),
}

/// A literal; floats are held by their bits so that programs compare and hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Literal {
    /// Bits of an f32.
    F32(u32),
    /// An i32.
    I32(i32),
    /// A boolean.
    Bool(bool),
}

/// One instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Instruction {
    /// A literal.
    Literal(Literal),
    /// f(a).
    Unary(UnaryOp, Operand),
    /// f(a, b).
    Binary(BinaryOp, Operand, Operand),
    /// `condition ? then : otherwise`.
    Select {
        /// Bool.
        condition: Operand,
        /// Any type.
        then: Operand,
        /// The type of `then`.
        otherwise: Operand,
    },
    /// Conversion: f32 to i32 truncates and saturates, NaN giving 0; anything to Bool compares with zero.
    Cast(Operand, Dtype),
}

/// An element-wise program; its value is that of its last instruction.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pointwise {
    /// Types of the inputs.
    pub inputs: Vec<Dtype>,
    /// Instructions, each seeing only earlier ones. Never empty.
    pub instructions: Vec<Instruction>,
}

impl Pointwise {
    /// f(x).
    pub fn unary(op: UnaryOp, input: Dtype) -> Self {
        Self { inputs: vec![input], instructions: vec![Instruction::Unary(op, Operand::Input(0))] }
    }

    /// f(x, y), both of one type.
    pub fn binary(op: BinaryOp, input: Dtype) -> Self {
        let instruction = Instruction::Binary(op, Operand::Input(0), Operand::Input(1));
        Self { inputs: vec![input; 2], instructions: vec![instruction] }
    }

    /// Conversion of x.
    pub fn cast(from: Dtype, to: Dtype) -> Self {
        Self { inputs: vec![from], instructions: vec![Instruction::Cast(Operand::Input(0), to)] }
    }

    /// `condition ? then : otherwise`, inputs in this order.
    pub fn select(value: Dtype) -> Self {
        let instruction =
            Instruction::Select { condition: Operand::Input(0), then: Operand::Input(1), otherwise: Operand::Input(2) };
        Self { inputs: vec![Dtype::Bool, value, value], instructions: vec![instruction] }
    }

    /// Type of an operand.
    pub fn operand_dtype(&self, operand: Operand) -> Dtype {
        match operand {
            Operand::Input(i) => self.inputs[i as usize],
            Operand::Result(i) => self.instruction_dtype(i),
        }
    }

    /// Type of the result of instruction `index`.
    pub fn instruction_dtype(&self, index: u32) -> Dtype {
        match self.instructions[index as usize] {
            Instruction::Literal(Literal::F32(_)) => Dtype::F32,
            Instruction::Literal(Literal::I32(_)) => Dtype::I32,
            Instruction::Literal(Literal::Bool(_)) => Dtype::Bool,
            Instruction::Unary(UnaryOp::IsNan | UnaryOp::IsInf | UnaryOp::Not, _) => Dtype::Bool,
            Instruction::Unary(_, a) => self.operand_dtype(a),
            Instruction::Binary(op, a, _) => {
                if op.compares() {
                    Dtype::Bool
                } else {
                    self.operand_dtype(a)
                }
            }
            Instruction::Select { then, .. } => self.operand_dtype(then),
            Instruction::Cast(_, to) => to,
        }
    }

    /// Type of the program's value.
    pub fn dtype(&self) -> Dtype {
        self.instruction_dtype(index32(self.instructions.len()) - 1)
    }

    /// `consumer` with its input `position` computed by `self`. The inputs of the result are the consumer's without
    /// `position`, in order, followed by those of `self`.
    pub fn then(&self, consumer: &Self, position: u32) -> Self {
        let kept = index32(consumer.inputs.len()) - 1;
        let mut inputs: Vec<Dtype> = consumer.inputs.clone();
        inputs.remove(position as usize);
        inputs.extend_from_slice(&self.inputs);
        let producer_operand = |operand: Operand| match operand {
            Operand::Input(i) => Operand::Input(kept + i),
            Operand::Result(i) => Operand::Result(i),
        };
        let base = index32(self.instructions.len());
        let consumer_operand = |operand: Operand| match operand {
            Operand::Input(i) if i == position => Operand::Result(base - 1),
            Operand::Input(i) if i > position => Operand::Input(i - 1),
            Operand::Input(i) => Operand::Input(i),
            Operand::Result(i) => Operand::Result(base + i),
        };
        let mut instructions: Vec<Instruction> =
            self.instructions.iter().map(|i| i.map_operands(producer_operand)).collect();
        instructions.extend(consumer.instructions.iter().map(|i| i.map_operands(consumer_operand)));
        Self { inputs, instructions }
    }

    /// The same program reading input `from` wherever it read `to_be_removed`, which disappears from the inputs.
    pub fn merge_inputs(&self, from: u32, to_be_removed: u32) -> Self {
        assert_ne!(from, to_be_removed, "an input is merged with another one");
        let rename = |operand: Operand| match operand {
            Operand::Input(i) => {
                let i = if i == to_be_removed { from } else { i };
                Operand::Input(if i > to_be_removed { i - 1 } else { i })
            }
            Operand::Result(i) => Operand::Result(i),
        };
        let mut inputs = self.inputs.clone();
        inputs.remove(to_be_removed as usize);
        Self { inputs, instructions: self.instructions.iter().map(|i| i.map_operands(rename)).collect() }
    }

    /// The same program with input `position` replaced by a literal.
    pub fn with_literal(&self, position: u32, literal: Literal) -> Self {
        let producer = Self { inputs: vec![], instructions: vec![Instruction::Literal(literal)] };
        producer.then(self, position)
    }

    /// The same program with the f32 input `position` times a number before anything else. A program without instructions
    /// stands for its input 0.
    pub fn scaled_input(&self, position: u32, factor: f32) -> Self {
        let literal = Instruction::Literal(Literal::F32(factor.to_bits()));
        let product = Instruction::Binary(BinaryOp::Mul, Operand::Input(position), Operand::Result(0));
        self.behind(position, &[literal, product])
    }

    /// The same program with input 0 times a further input, the last, before anything else. A program without instructions
    /// stands for its input 0.
    pub fn scaled_by_last_input(&self) -> Self {
        let last = index32(self.inputs.len());
        let product = Instruction::Binary(BinaryOp::Mul, Operand::Input(0), Operand::Input(last));
        let mut program = self.behind(0, &[product]);
        program.inputs.push(Dtype::F32);
        program
    }

    /// The same program with the result of `first` wherever it read input `position`.
    fn behind(&self, position: u32, first: &[Instruction]) -> Self {
        let base = index32(first.len());
        let rename = |operand: Operand| match operand {
            Operand::Input(i) if i == position => Operand::Result(base - 1),
            Operand::Input(i) => Operand::Input(i),
            Operand::Result(i) => Operand::Result(base + i),
        };
        let own = self.instructions.iter().map(|instruction| instruction.map_operands(rename));
        Self { inputs: self.inputs.clone(), instructions: first.iter().copied().chain(own).collect() }
    }
}

impl Instruction {
    /// The same instruction with every operand replaced.
    pub fn map_operands(&self, f: impl Fn(Operand) -> Operand) -> Self {
        match *self {
            Self::Literal(l) => Self::Literal(l),
            Self::Unary(op, a) => Self::Unary(op, f(a)),
            Self::Binary(op, a, b) => Self::Binary(op, f(a), f(b)),
            Self::Select { condition, then, otherwise } => {
                Self::Select { condition: f(condition), then: f(then), otherwise: f(otherwise) }
            }
            Self::Cast(a, to) => Self::Cast(f(a), to),
        }
    }
}
