//! Element-wise programs as hash-consed expressions: the place where instructions are simplified.
//!
//! Interning an expression first applies the rewrite rules: literal arithmetic, neutral elements, powers, casts, and the
//! spelled-out forms of activations. Equal subexpressions are one. Every rule keeps the value to about 1e-6 relative;
//! signs of zero are not kept. It deliberately knows nothing about graphs.

use crate::graph::constant::Dtype;
use crate::graph::pointwise::{BinaryOp, Instruction, Literal, Operand, Pointwise, UnaryOp};
use crate::narrow::index32;
use std::collections::BTreeMap;

mod activation;

/// Index of an expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Id(u32);

/// One expression over earlier ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Expression {
    /// Input of the program.
    Input(u32),
    /// A literal.
    Literal(Literal),
    /// f(a).
    Unary(UnaryOp, Id),
    /// f(a, b).
    Binary(BinaryOp, Id, Id),
    /// Condition, then, otherwise.
    Select(Id, Id, Id),
    /// Conversion.
    Cast(Id, Dtype),
}

/// The expressions of one program.
pub struct Expressions {
    inputs: Vec<Dtype>,
    nodes: Vec<Expression>,
    dtypes: Vec<Dtype>,
    index: BTreeMap<Expression, Id>,
}

/// What is left of a program: an input unchanged, or another program.
#[derive(Debug, PartialEq, Eq)]
pub enum Simplified {
    /// The value is that input.
    Identity(u32),
    /// A program over the same inputs, some perhaps unused.
    Pointwise(Pointwise),
}

/// Simplifies a program.
pub fn simplify(program: &Pointwise) -> Simplified {
    let mut expressions =
        Expressions { inputs: program.inputs.clone(), nodes: Vec::new(), dtypes: Vec::new(), index: BTreeMap::new() };
    let mut results: Vec<Id> = Vec::new();
    for instruction in &program.instructions {
        let mut at = |operand: Operand| match operand {
            Operand::Input(i) => expressions.intern(Expression::Input(i)),
            Operand::Result(i) => results[i as usize],
        };
        let expression = match *instruction {
            Instruction::Literal(l) => Expression::Literal(l),
            Instruction::Unary(op, a) => Expression::Unary(op, at(a)),
            Instruction::Binary(op, a, b) => Expression::Binary(op, at(a), at(b)),
            Instruction::Select { condition, then, otherwise } => {
                Expression::Select(at(condition), at(then), at(otherwise))
            }
            Instruction::Cast(a, to) => Expression::Cast(at(a), to),
        };
        let id = expressions.make(expression);
        results.push(id);
    }
    let root = *results.last().expect("a program has at least one instruction");
    if let Expression::Input(i) = expressions.get(root) {
        Simplified::Identity(i)
    } else {
        Simplified::Pointwise(expressions.emit(root))
    }
}

/// Relative equality of coefficients.
fn close(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-6 * b.abs().max(1e-30)
}

impl Expressions {
    fn get(&self, id: Id) -> Expression {
        self.nodes[id.0 as usize]
    }

    fn dtype(&self, id: Id) -> Dtype {
        self.dtypes[id.0 as usize]
    }

    fn f32(&self, id: Id) -> Option<f64> {
        let Expression::Literal(Literal::F32(bits)) = self.get(id) else { return None };
        Some(f64::from(f32::from_bits(bits)))
    }

    fn literal_f32(&mut self, value: f64) -> Id {
        self.intern(Expression::Literal(Literal::F32((value as f32).to_bits())))
    }

    /// The expression as it is, once.
    fn intern(&mut self, expression: Expression) -> Id {
        if let Some(id) = self.index.get(&expression) {
            return *id;
        }
        let dtype = match expression {
            Expression::Input(i) => self.inputs[i as usize],
            Expression::Literal(Literal::F32(_)) => Dtype::F32,
            Expression::Literal(Literal::I32(_)) => Dtype::I32,
            Expression::Literal(Literal::Bool(_))
            | Expression::Unary(UnaryOp::IsNan | UnaryOp::IsInf | UnaryOp::Not, _) => Dtype::Bool,
            Expression::Binary(op, _, _) if op.compares() => Dtype::Bool,
            Expression::Unary(_, a) | Expression::Binary(_, a, _) | Expression::Select(_, a, _) => self.dtype(a),
            Expression::Cast(_, to) => to,
        };
        let id = Id(index32(self.nodes.len()));
        self.nodes.push(expression);
        self.dtypes.push(dtype);
        self.index.insert(expression, id);
        id
    }

    /// The expression, simplified.
    fn make(&mut self, expression: Expression) -> Id {
        let expression = self.ordered(expression);
        if let Some(literal) = self.fold(expression) {
            return self.intern(Expression::Literal(literal));
        }
        match expression {
            Expression::Input(_) | Expression::Literal(_) => self.intern(expression),
            Expression::Unary(op, a) => self.unary(op, a),
            Expression::Binary(op, a, b) => self.binary(op, a, b),
            Expression::Select(_, then, otherwise) if then == otherwise => then,
            Expression::Select(condition, then, otherwise) => match self.get(condition) {
                Expression::Literal(Literal::Bool(true)) => then,
                Expression::Literal(Literal::Bool(false)) => otherwise,
                Expression::Unary(UnaryOp::Not, c) => self.make(Expression::Select(c, otherwise, then)),
                Expression::Unary(..)
                | Expression::Literal(_)
                | Expression::Input(_)
                | Expression::Binary(..)
                | Expression::Select(..)
                | Expression::Cast(..) => self.intern(expression),
            },
            Expression::Cast(a, to) => self.cast(a, to),
        }
    }

    /// Literals stand on the right of sums and products.
    fn ordered(&self, expression: Expression) -> Expression {
        if let Expression::Binary(op @ (BinaryOp::Add | BinaryOp::Mul | BinaryOp::Min | BinaryOp::Max), a, b) =
            expression
            && matches!(self.get(a), Expression::Literal(_))
        {
            Expression::Binary(op, b, a)
        } else {
            expression
        }
    }

    /// The value of an expression of literals.
    fn fold(&self, expression: Expression) -> Option<Literal> {
        let operands = match expression {
            Expression::Input(_) | Expression::Literal(_) => return None,
            Expression::Unary(_, a) | Expression::Cast(a, _) => vec![a],
            Expression::Binary(_, a, b) => vec![a, b],
            Expression::Select(c, a, b) => vec![c, a, b],
        };
        let mut instructions = Vec::new();
        for operand in &operands {
            let Expression::Literal(l) = self.get(*operand) else { return None };
            instructions.push(Instruction::Literal(l));
        }
        let at = Operand::Result;
        instructions.push(match expression {
            Expression::Unary(op, _) => Instruction::Unary(op, at(0)),
            Expression::Cast(_, to) => Instruction::Cast(at(0), to),
            Expression::Binary(op, _, _) => Instruction::Binary(op, at(0), at(1)),
            Expression::Select(..) => Instruction::Select { condition: at(0), then: at(1), otherwise: at(2) },
            Expression::Input(_) | Expression::Literal(_) => return None,
        });
        let program = Pointwise { inputs: vec![], instructions };
        let word = program.evaluate(&[]);
        Some(match program.dtype() {
            Dtype::F32 => Literal::F32(word),
            Dtype::I32 => Literal::I32(word as i32),
            Dtype::Bool => Literal::Bool(word != 0),
        })
    }

    fn cast(&mut self, a: Id, to: Dtype) -> Id {
        if self.dtype(a) == to {
            return a;
        }
        if let Expression::Cast(b, _) = self.get(a)
            && self.dtype(b) == Dtype::Bool
        {
            // From a boolean every way leads to the same number.
            self.cast(b, to)
        } else {
            self.intern(Expression::Cast(a, to))
        }
    }

    fn unary(&mut self, op: UnaryOp, a: Id) -> Id {
        match (op, self.get(a)) {
            (UnaryOp::Neg, Expression::Unary(UnaryOp::Neg, x)) | (UnaryOp::Not, Expression::Unary(UnaryOp::Not, x)) => {
                x
            }
            (UnaryOp::Reciprocal, Expression::Unary(UnaryOp::Sqrt, x)) => self.unary(UnaryOp::Rsqrt, x),
            (UnaryOp::Reciprocal, Expression::Unary(UnaryOp::Rsqrt, x)) => self.unary(UnaryOp::Sqrt, x),
            (UnaryOp::Relu, Expression::Unary(UnaryOp::Relu, _)) => a,
            (UnaryOp::Reciprocal, _) => match self.sigmoid_denominator(a) {
                Some(x) => self.unary(UnaryOp::Sigmoid, x),
                None => self.intern(Expression::Unary(op, a)),
            },
            _ => self.intern(Expression::Unary(op, a)),
        }
    }

    /// x of 1 + exp(−x).
    fn sigmoid_denominator(&self, a: Id) -> Option<Id> {
        let Expression::Binary(BinaryOp::Add, e, one) = self.get(a) else { return None };
        let Expression::Unary(UnaryOp::Exp, negated) = self.get(e) else { return None };
        let Expression::Unary(UnaryOp::Neg, x) = self.get(negated) else { return None };
        (self.f32(one) == Some(1.0)).then_some(x)
    }

    fn binary(&mut self, op: BinaryOp, a: Id, b: Id) -> Id {
        let integer = if let Expression::Literal(Literal::I32(v)) = self.get(b) { Some(f64::from(v)) } else { None };
        let literal = self.f32(b);
        match (op, literal.or(integer)) {
            (BinaryOp::Add | BinaryOp::Sub, Some(0.0)) | (BinaryOp::Mul | BinaryOp::Div, Some(1.0)) => return a,
            (BinaryOp::Min | BinaryOp::Max, _) if a == b => return a,
            (BinaryOp::Pow, Some(exponent)) if literal.is_some() => {
                if let Some(power) = self.power(a, exponent) {
                    return power;
                }
            }
            _ => {}
        }
        if op == BinaryOp::Add
            && let Some(x) = self.softplus_argument(a, b).or_else(|| self.softplus_argument(b, a))
        {
            return self.intern(Expression::Unary(UnaryOp::Softplus, x));
        }
        if op == BinaryOp::Max && literal == Some(0.0) {
            return self.unary(UnaryOp::Relu, a);
        }
        if op == BinaryOp::Div && self.f32(a) == Some(1.0) {
            return self.unary(UnaryOp::Reciprocal, b);
        }
        if op == BinaryOp::Mul && self.dtype(a) == Dtype::F32 {
            return self.product(a, b);
        }
        if op == BinaryOp::Div && self.dtype(a) == Dtype::F32 {
            if let Some(activation) = self.activation(Expression::Binary(op, a, b)) {
                return activation;
            }
            if let Some(x) = self.sigmoid_denominator(b) {
                let sigmoid = self.unary(UnaryOp::Sigmoid, x);
                return self.product(a, sigmoid);
            }
        }
        self.intern(Expression::Binary(op, a, b))
    }

    fn product(&mut self, a: Id, b: Id) -> Id {
        if let (Some(outer), Expression::Binary(BinaryOp::Mul, x, inner)) = (self.f32(b), self.get(a))
            && let Some(inner) = self.f32(inner)
            && (1e-30..1e30).contains(&(outer * inner).abs())
        {
            let factor = outer * inner;
            if close(factor, 1.0) {
                return x;
            }
            let factor = self.literal_f32(factor);
            return self.product(x, factor);
        }
        let expression = Expression::Binary(BinaryOp::Mul, a, b);
        match self.activation(expression) {
            Some(id) => id,
            None => self.intern(expression),
        }
    }

    /// x to a small power, without `Pow`.
    fn power(&mut self, x: Id, exponent: f64) -> Option<Id> {
        let mut times = |a, b| self.intern(Expression::Binary(BinaryOp::Mul, a, b));
        Some(if exponent == 1.0 {
            x
        } else if exponent == 2.0 {
            times(x, x)
        } else if exponent == 3.0 {
            let square = times(x, x);
            times(square, x)
        } else if exponent == 4.0 {
            let square = times(x, x);
            times(square, square)
        } else if exponent == -1.0 {
            self.unary(UnaryOp::Reciprocal, x)
        } else {
            return None;
        })
    }

    /// The program of what `root` needs.
    fn emit(&self, root: Id) -> Pointwise {
        let mut needed = vec![false; self.nodes.len()];
        let mut stack = vec![root];
        while let Some(id) = stack.pop() {
            if !std::mem::replace(&mut needed[id.0 as usize], true) {
                match self.get(id) {
                    Expression::Input(_) | Expression::Literal(_) => {}
                    Expression::Unary(_, a) | Expression::Cast(a, _) => stack.push(a),
                    Expression::Binary(_, a, b) => stack.extend([a, b]),
                    Expression::Select(c, a, b) => stack.extend([c, a, b]),
                }
            }
        }
        let mut instructions = Vec::new();
        let mut place: BTreeMap<Id, Operand> = BTreeMap::new();
        for id in (0..=root.0).map(Id).filter(|id| needed[id.0 as usize]) {
            let instruction = match self.get(id) {
                Expression::Input(i) => {
                    place.insert(id, Operand::Input(i));
                    continue;
                }
                Expression::Literal(l) => Instruction::Literal(l),
                Expression::Unary(op, a) => Instruction::Unary(op, place[&a]),
                Expression::Binary(op, a, b) => Instruction::Binary(op, place[&a], place[&b]),
                Expression::Select(c, a, b) => {
                    Instruction::Select { condition: place[&c], then: place[&a], otherwise: place[&b] }
                }
                Expression::Cast(a, to) => Instruction::Cast(place[&a], to),
            };
            place.insert(id, Operand::Result(index32(instructions.len())));
            instructions.push(instruction);
        }
        Pointwise { inputs: self.inputs.clone(), instructions }
    }
}
