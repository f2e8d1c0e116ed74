//! WGSL of an element-wise program: one `let` an instruction.
//!
//! f32, i32 and Bool values are WGSL `f32`, `i32` and `bool`; in buffers a Bool is a u32, 0 or 1. Functions whose built-in
//! is inexact on some driver come from functions.wgsl. Literals are exact: floats are written so that they read back to the
//! same bits, infinities and NaN through their bits. It deliberately does not simplify: that is the optimiser's.

use super::error::EmitError;
use super::expression::{Expression, operand_count};
use super::hidden::Hidden;
use crate::graph::constant::Dtype;
use crate::graph::pointwise::{BinaryOp, Instruction, Literal, Operand, UnaryOp};
use crate::kernels::{Hook, Kernel, MAX_SCORE_OPERANDS};
use crate::narrow::index32;
use std::fmt::Write;

/// Generated text and whether it calls functions.wgsl.
pub struct Generated {
    pub text: String,
    pub uses_functions: bool,
}

const EPILOGUE: &str = "fn epilogue(value: f32, batch: u32, m: u32, n: u32) -> f32 {\n";
const SCORE_MASK: &str = "fn score_mask(score: f32, batch: u32, head: u32, i: u32, j: u32) -> f32 {\n";
const IDENTITY_EPILOGUE: &str = "fn epilogue(value: f32, batch: u32, m: u32, n: u32) -> f32 {\n    return value;\n}\n";
const IDENTITY_MASK: &str =
    "fn score_mask(score: f32, batch: u32, head: u32, i: u32, j: u32) -> f32 {\n    return score;\n}\n";

/// The text that a kernel's body expects.
pub fn generate(kernel: Kernel, expression: Option<&Expression>) -> Result<Generated, EmitError> {
    let plain = |text: &str| Generated { text: text.to_owned(), uses_functions: false };
    match (kernel.hook(), expression) {
        (Hook::None, None) => Ok(plain("")),
        (Hook::None, Some(_)) => Err(misfit(kernel, "it takes none")),
        (Hook::Pointwise, None) => Err(misfit(kernel, "it needs one")),
        (Hook::Epilogue, None) => Ok(plain(IDENTITY_EPILOGUE)),
        (Hook::ScoreMask, None) => Ok(plain(&[IDENTITY_MASK, IDENTITY_EPILOGUE].concat())),
        (Hook::Epilogue | Hook::Pointwise | Hook::ScoreMask, Some(expression)) => function(kernel, expression),
    }
}

fn misfit(kernel: Kernel, reason: &'static str) -> EmitError {
    EmitError::Expression { kernel, hook: kernel.hook(), reason }
}

/// Name for people: the kernel and its operations.
pub fn label(kernel: Kernel, expression: Option<&Expression>) -> String {
    let mut label = kernel.name().to_owned();
    for instruction in expression.iter().flat_map(|e| &e.program.instructions) {
        let operation = match instruction {
            Instruction::Literal(_) => continue,
            Instruction::Unary(op, _) => format!("{op:?}"),
            Instruction::Binary(op, _, _) => format!("{op:?}"),
            Instruction::Select { .. } => "Select".to_owned(),
            Instruction::Cast(_, to) => format!("Cast{to:?}"),
        };
        label.push('+');
        label.push_str(&operation);
    }
    label
}

fn function(kernel: Kernel, expression: &Expression) -> Result<Generated, EmitError> {
    let program = &expression.program;
    let hook = kernel.hook();
    let takes_value = hook != Hook::Pointwise;
    if takes_value && program.inputs.first() != Some(&Dtype::F32) {
        return Err(misfit(kernel, "its input 0 is not f32"));
    }
    if takes_value && program.dtype() != Dtype::F32 {
        return Err(misfit(kernel, "its value is not f32"));
    }
    if expression.buffers.len() != operand_count(kernel, program) {
        return Err(misfit(kernel, "it has not one buffer an operand"));
    }
    if hook == Hook::ScoreMask && expression.buffers.len() > MAX_SCORE_OPERANDS {
        return Err(misfit(kernel, "it has more than three operands"));
    }
    if hook == Hook::Epilogue && expression.buffers.len() > 4 {
        return Err(misfit(kernel, "it has more than four operands"));
    }
    if hook == Hook::Pointwise && expression.buffers.len() > 8 {
        return Err(misfit(kernel, "it has more than eight operands"));
    }
    let mut text = declarations(kernel, expression);
    text.push_str(match hook {
        Hook::None => unreachable!("`generate` refuses it"),
        Hook::Epilogue => EPILOGUE,
        Hook::Pointwise => "fn pointwise(near: vec4<u32>, far: vec4<u32>) -> u32 {\n",
        Hook::ScoreMask => SCORE_MASK,
    });
    for operand in 0..expression.buffers.len() {
        load(kernel, expression, operand, &mut text);
    }
    let hidden = Hidden::of(program);
    if !hidden.is_empty() {
        writeln!(text, "    let zero = {} >> 31u;", some_offset(hook)).expect("writing to a string");
    }
    let mut body = Body { kernel, expression, hidden, uses_functions: false };
    for index in 0..program.instructions.len() {
        let value = body.result(index)?;
        writeln!(text, "    let r{index} = {value};").expect("writing to a string");
    }
    let result = format!("r{}", program.instructions.len() - 1);
    let result = if takes_value { result } else { word(program.dtype(), &result) };
    writeln!(text, "    return {result};\n}}").expect("writing to a string");
    if hook == Hook::ScoreMask {
        text.push('\n');
        text.push_str(IDENTITY_EPILOGUE);
    }
    Ok(Generated { text, uses_functions: body.uses_functions })
}

/// A parameter that is the offset of an element in a buffer, and so below 2^31, though no compiler knows that.
fn some_offset(hook: Hook) -> &'static str {
    match hook {
        Hook::None => unreachable!("`generate` refuses it"),
        Hook::Pointwise => "params.offsets[0].x",
        Hook::Epilogue => "params.operands[0].x",
        Hook::ScoreMask => "params.score_offsets.x",
    }
}

/// Type of a buffer's elements.
const fn element_type(dtype: Dtype) -> &'static str {
    match dtype {
        Dtype::F32 => "f32",
        Dtype::I32 => "i32",
        Dtype::Bool => "u32",
    }
}

/// A value as the word that a buffer holds.
fn word(dtype: Dtype, value: &str) -> String {
    match dtype {
        Dtype::F32 | Dtype::I32 => format!("bitcast<u32>({value})"),
        Dtype::Bool => format!("select(0u, 1u, {value})"),
    }
}

/// Input of the program that operand `operand` is.
fn input_of(kernel: Kernel, operand: usize) -> usize {
    operand + usize::from(kernel.hook() != Hook::Pointwise)
}

/// Name of a buffer by its position among all operand buffers.
fn buffer_name(kernel: Kernel, position: u32) -> String {
    let own = kernel.own_operands();
    match (position as usize).checked_sub(own) {
        None => kernel.row().buffers[position as usize + 1].to_owned(),
        Some(added) => format!("operand_{added}"),
    }
}

fn declarations(kernel: Kernel, expression: &Expression) -> String {
    let mut text = String::new();
    let own = index32(kernel.own_operands());
    for added in 0..expression.added_buffers(kernel) {
        let position = own + added;
        let first = expression.buffers.iter().position(|b| *b == position);
        let dtype = first.map_or(Dtype::F32, |operand| expression.program.inputs[input_of(kernel, operand)]);
        let (binding, name) = (position + 3, buffer_name(kernel, position));
        writeln!(
            text,
            "@group(0) @binding({binding}) var<storage, read_write> {name}: array<{}>;",
            element_type(dtype)
        )
        .expect("writing to a string");
    }
    if !text.is_empty() {
        text.push('\n');
    }
    text
}

fn load(kernel: Kernel, expression: &Expression, operand: usize, text: &mut String) {
    let input = input_of(kernel, operand);
    let place = match kernel.hook() {
        Hook::None => unreachable!("`generate` refuses it"),
        Hook::Pointwise => format!("element({operand}u, near, far)"),
        Hook::Epilogue => {
            writeln!(text, "    let p{operand} = params.operands[{operand}];").expect("writing to a string");
            format!("p{operand}.x + batch * p{operand}.y + m * p{operand}.z + n * p{operand}.w")
        }
        Hook::ScoreMask => format!(
            "params.score_offsets[{operand}u] + dot(vec4<u32>(batch, head, i, j), params.score_strides[{operand}u])"
        ),
    };
    let name = buffer_name(kernel, expression.buffers[operand]);
    let boolean = if expression.program.inputs[input] == Dtype::Bool { " != 0u" } else { "" };
    writeln!(text, "    let x{input} = {name}[{place}]{boolean};").expect("writing to a string");
}

struct Body<'a> {
    kernel: Kernel,
    expression: &'a Expression,
    hidden: Hidden,
    uses_functions: bool,
}

impl Body<'_> {
    fn name(&self, operand: Operand) -> String {
        match (operand, self.kernel.hook()) {
            (Operand::Input(0), Hook::Epilogue) => "value".to_owned(),
            (Operand::Input(0), Hook::ScoreMask) => "score".to_owned(),
            (Operand::Input(i), Hook::None | Hook::Epilogue | Hook::Pointwise | Hook::ScoreMask) => format!("x{i}"),
            (Operand::Result(i), _) => format!("r{i}"),
        }
    }

    /// The value of an instruction, hidden where it has to be.
    fn result(&mut self, index: usize) -> Result<String, EmitError> {
        let instruction = self.expression.program.instructions[index];
        let value = match instruction {
            Instruction::Binary(op @ (BinaryOp::Sub | BinaryOp::Div), a, b) if self.hidden.second_operand(index) => {
                let (a, b) = (self.name(a), self.name(b));
                let b = self.call("hidden_f32", &[&b, "zero"]);
                format!("{a} {} {b}", if op == BinaryOp::Sub { "-" } else { "/" })
            }
            Instruction::Literal(_)
            | Instruction::Unary(..)
            | Instruction::Binary(..)
            | Instruction::Select { .. }
            | Instruction::Cast(..) => self.value(instruction)?,
        };
        Ok(if self.hidden.result(index) { self.call("hidden_f32", &[&value, "zero"]) } else { value })
    }

    fn value(&mut self, instruction: Instruction) -> Result<String, EmitError> {
        let dtype = |operand| self.expression.program.operand_dtype(operand);
        match instruction {
            Instruction::Literal(literal) => Ok(self.literal(literal)),
            Instruction::Unary(op, a) => {
                let (dtype, a) = (dtype(a), self.name(a));
                self.unary(op, dtype, &a)
            }
            Instruction::Binary(op, a, b) => match dtype(a) {
                Dtype::F32 => self.binary_f32(op, (a, b)),
                of @ (Dtype::I32 | Dtype::Bool) => {
                    let (a, b) = (self.name(a), self.name(b));
                    self.binary_i32(op, of, &a, &b)
                }
            },
            Instruction::Select { condition, then, otherwise } => {
                Ok(format!("select({}, {}, {})", self.name(otherwise), self.name(then), self.name(condition)))
            }
            Instruction::Cast(a, to) => {
                let (from, a) = (dtype(a), self.name(a));
                Ok(self.cast(from, to, &a))
            }
        }
    }

    fn literal(&mut self, literal: Literal) -> String {
        match literal {
            Literal::F32(bits) => {
                let value = f32::from_bits(bits);
                if value.is_normal() || value == 0.0 {
                    format!("{value:?}f")
                } else {
                    self.call("float_from_bits", &[&format!("0x{bits:08x}u")])
                }
            }
            Literal::I32(value) => format!("i32({value})"),
            Literal::Bool(value) => value.to_string(),
        }
    }

    /// A call of functions.wgsl.
    fn call(&mut self, function: &str, arguments: &[&str]) -> String {
        self.uses_functions = true;
        format!("{function}({})", arguments.join(", "))
    }

    fn unsupported(&self, function: impl std::fmt::Debug, dtype: Dtype) -> EmitError {
        EmitError::Unsupported { kernel: self.kernel, function: format!("{function:?}"), dtype }
    }

    fn cast(&mut self, from: Dtype, to: Dtype, a: &str) -> String {
        match (from, to) {
            (Dtype::F32, Dtype::F32) | (Dtype::I32, Dtype::I32) | (Dtype::Bool, Dtype::Bool) => a.to_owned(),
            (Dtype::F32, Dtype::I32) => self.call("cast_f32_to_i32", &[a]),
            (Dtype::F32, Dtype::Bool) => format!("(bitcast<u32>({a}) & 0x7fffffffu) != 0u"),
            (Dtype::I32, Dtype::F32) => format!("f32({a})"),
            (Dtype::I32, Dtype::Bool) => format!("{a} != 0"),
            (Dtype::Bool, Dtype::F32) => format!("select(0.0, 1.0, {a})"),
            (Dtype::Bool, Dtype::I32) => format!("select(0, 1, {a})"),
        }
    }

    fn unary(&mut self, op: UnaryOp, dtype: Dtype, a: &str) -> Result<String, EmitError> {
        match (dtype, op) {
            (Dtype::F32, _) => self.unary_f32(op, a),
            (Dtype::I32, UnaryOp::Abs) => Ok(format!("abs({a})")),
            (Dtype::I32, UnaryOp::Neg) => Ok(format!("-{a}")),
            (Dtype::I32, UnaryOp::Relu) => Ok(format!("max({a}, 0)")),
            (Dtype::I32, UnaryOp::Sign) => Ok(format!("sign({a})")),
            (Dtype::I32, UnaryOp::Not) => Ok(format!("{a} == 0")),
            (Dtype::I32, UnaryOp::BitNot) => Ok(format!("~{a}")),
            (Dtype::Bool, UnaryOp::Not) => Ok(format!("!{a}")),
            // `unary_f32` is the exhaustive list; other types have only what stands above.
            (Dtype::I32 | Dtype::Bool, _) => Err(self.unsupported(op, dtype)),
        }
    }

    fn unary_f32(&mut self, op: UnaryOp, a: &str) -> Result<String, EmitError> {
        let function = match op {
            UnaryOp::Abs => return Ok(format!("abs({a})")),
            UnaryOp::Neg => return Ok(format!("-{a}")),
            UnaryOp::Sqrt => return Ok(format!("sqrt({a})")),
            UnaryOp::Reciprocal => return Ok(format!("1.0 / {a}")),
            UnaryOp::Silu => return Ok(format!("{a} * {}", self.call("sigmoid_f32", &[a]))),
            UnaryOp::Rsqrt => return Ok(format!("1.0 / sqrt({a})")),
            UnaryOp::Relu => return Ok(format!("select(max({a}, 0.0), {a}, {})", is_nan(a))),
            UnaryOp::Floor => return Ok(format!("floor({a})")),
            UnaryOp::Ceil => return Ok(format!("ceil({a})")),
            UnaryOp::Round => return Ok(format!("round({a})")),
            UnaryOp::Not | UnaryOp::BitNot => return Err(self.unsupported(op, Dtype::F32)),
            UnaryOp::RoundToF16 => "round_to_f16_f32",
            UnaryOp::Exp => "exp_f32",
            UnaryOp::Log => "log_f32",
            UnaryOp::Sigmoid => "sigmoid_f32",
            UnaryOp::Tanh => "tanh_f32",
            UnaryOp::Erf => "erf_f32",
            UnaryOp::GeluErf => "gelu_erf_f32",
            UnaryOp::GeluTanh => "gelu_tanh_f32",
            UnaryOp::Softplus => "softplus_f32",
            UnaryOp::HardSwish => "hard_swish_f32",
            UnaryOp::Sign => "sign_f32",
            UnaryOp::Sin => "sin_f32",
            UnaryOp::Cos => "cos_f32",
            UnaryOp::Tan => "tan_f32",
            UnaryOp::Asin => "asin_f32",
            UnaryOp::Acos => "acos_f32",
            UnaryOp::Atan => "atan_f32",
            UnaryOp::Sinh => "sinh_f32",
            UnaryOp::Cosh => "cosh_f32",
            UnaryOp::Asinh => "asinh_f32",
            UnaryOp::Acosh => "acosh_f32",
            UnaryOp::Atanh => "atanh_f32",
            UnaryOp::IsNan => "is_nan_f32",
            UnaryOp::IsInf => "is_inf_f32",
        };
        Ok(self.call(function, &[a]))
    }

    /// The float that an operand is by itself.
    fn literal_f32(&self, operand: Operand) -> Option<f32> {
        let Operand::Result(index) = operand else { return None };
        match self.expression.program.instructions[index as usize] {
            Instruction::Literal(Literal::F32(bits)) => Some(f32::from_bits(bits)),
            Instruction::Literal(Literal::I32(_) | Literal::Bool(_))
            | Instruction::Unary(..)
            | Instruction::Binary(..)
            | Instruction::Select { .. }
            | Instruction::Cast(..) => None,
        }
    }

    /// Whether an operand is a literal other than NaN, so that nothing need be tested.
    fn is_number(&self, operand: Operand) -> bool {
        let Operand::Result(index) = operand else { return false };
        match self.expression.program.instructions[index as usize] {
            Instruction::Literal(Literal::F32(bits)) => !f32::from_bits(bits).is_nan(),
            Instruction::Literal(Literal::I32(_) | Literal::Bool(_)) => true,
            Instruction::Unary(..) | Instruction::Binary(..) | Instruction::Select { .. } | Instruction::Cast(..) => {
                false
            }
        }
    }

    /// Names of the float operands that may be NaN: WGSL leaves open what a comparison, `min` or `max` makes of one.
    fn nans(&self, a: Operand, b: Operand) -> Vec<String> {
        let tested = [a, b].into_iter().filter(|operand| !self.is_number(*operand));
        let mut names: Vec<String> = tested.map(|operand| self.name(operand)).collect();
        names.dedup();
        names
    }

    /// Smaller or larger float; NaN where an operand is.
    fn extremum(&self, function: &str, (a, b): (Operand, Operand)) -> String {
        let value = format!("{function}({}, {})", self.name(a), self.name(b));
        self.nans(a, b).iter().rev().fold(value, |value, name| format!("select({value}, {name}, {})", is_nan(name)))
    }

    /// A comparison of floats that is `unordered` where an operand is NaN.
    fn compared(&self, symbol: &str, (a, b): (Operand, Operand), unordered: bool) -> String {
        let value = format!("({} {symbol} {})", self.name(a), self.name(b));
        self.nans(a, b).iter().fold(value, |value, name| {
            if unordered { format!("{value} || {}", is_nan(name)) } else { format!("{value} && !({})", is_nan(name)) }
        })
    }

    fn binary_f32(&mut self, op: BinaryOp, operands: (Operand, Operand)) -> Result<String, EmitError> {
        let (a, b) = (self.name(operands.0), self.name(operands.1));
        let infix = |symbol: &str| Ok(format!("{a} {symbol} {b}"));
        match op {
            BinaryOp::Add => infix("+"),
            BinaryOp::Sub => infix("-"),
            BinaryOp::Mul => infix("*"),
            BinaryOp::Div => infix("/"),
            BinaryOp::Min => Ok(self.extremum("min", operands)),
            BinaryOp::Max => Ok(self.extremum("max", operands)),
            BinaryOp::Equal => Ok(self.compared("==", operands, false)),
            BinaryOp::NotEqual => Ok(self.compared("!=", operands, true)),
            BinaryOp::Less => Ok(self.compared("<", operands, false)),
            BinaryOp::LessEqual => Ok(self.compared("<=", operands, false)),
            BinaryOp::Greater => Ok(self.compared(">", operands, false)),
            BinaryOp::GreaterEqual => Ok(self.compared(">=", operands, false)),
            BinaryOp::Pow => Ok(match self.literal_f32(operands.1) {
                Some(0.5) => self.call("pow_half_f32", &[&a]),
                Some(-0.5) => self.call("pow_minus_half_f32", &[&a]),
                Some(_) | None => self.call("pow_f32", &[&a, &b]),
            }),
            BinaryOp::Fmod => Ok(self.call("fmod_f32", &[&a, &b])),
            BinaryOp::FloorMod => Ok(self.call("floor_mod_f32", &[&a, &b])),
            BinaryOp::And
            | BinaryOp::Or
            | BinaryOp::Xor
            | BinaryOp::BitAnd
            | BinaryOp::BitOr
            | BinaryOp::BitXor
            | BinaryOp::ShiftLeft
            | BinaryOp::ShiftRight => Err(self.unsupported(op, Dtype::F32)),
        }
    }

    /// Of integers, or of booleans.
    fn binary_i32(&mut self, op: BinaryOp, dtype: Dtype, a: &str, b: &str) -> Result<String, EmitError> {
        let infix = |symbol: &str| Ok(format!("{a} {symbol} {b}"));
        // Booleans compare as numbers and combine as such where the result is one again.
        let (x, y) =
            if dtype == Dtype::Bool { (format!("u32({a})"), format!("u32({b})")) } else { (a.into(), b.into()) };
        let compare = |symbol: &str| Ok(format!("{x} {symbol} {y}"));
        let boolean = |v: &str| if dtype == Dtype::Bool { v.to_owned() } else { format!("({v} != 0)") };
        match (op, dtype) {
            (_, Dtype::F32) => Err(self.unsupported(op, dtype)),
            (BinaryOp::Equal, _) => compare("=="),
            (BinaryOp::NotEqual, _) => compare("!="),
            (BinaryOp::Less, _) => compare("<"),
            (BinaryOp::LessEqual, _) => compare("<="),
            (BinaryOp::Greater, _) => compare(">"),
            (BinaryOp::GreaterEqual, _) => compare(">="),
            (BinaryOp::And, _) => Ok(format!("{} && {}", boolean(a), boolean(b))),
            (BinaryOp::Or, _) => Ok(format!("{} || {}", boolean(a), boolean(b))),
            (BinaryOp::Xor, _) => Ok(format!("{} != {}", boolean(a), boolean(b))),
            (BinaryOp::Mul | BinaryOp::Min | BinaryOp::BitAnd, Dtype::Bool) => infix("&&"),
            (BinaryOp::Max | BinaryOp::BitOr, Dtype::Bool) => infix("||"),
            (BinaryOp::BitXor, Dtype::Bool) => infix("!="),
            (BinaryOp::Add, Dtype::I32) => infix("+"),
            (BinaryOp::Sub, Dtype::I32) => infix("-"),
            (BinaryOp::Mul, Dtype::I32) => infix("*"),
            (BinaryOp::Min, Dtype::I32) => Ok(format!("min({a}, {b})")),
            (BinaryOp::Max, Dtype::I32) => Ok(format!("max({a}, {b})")),
            (BinaryOp::Div, Dtype::I32) => Ok(self.call("div_i32", &[a, b])),
            (BinaryOp::Pow, Dtype::I32) => Ok(self.call("pow_i32", &[a, b])),
            (BinaryOp::Fmod, Dtype::I32) => Ok(self.call("fmod_i32", &[a, b])),
            (BinaryOp::FloorMod, Dtype::I32) => Ok(self.call("floor_mod_i32", &[a, b])),
            (BinaryOp::BitAnd, Dtype::I32) => infix("&"),
            (BinaryOp::BitOr, Dtype::I32) => infix("|"),
            (BinaryOp::BitXor, Dtype::I32) => infix("^"),
            (BinaryOp::ShiftLeft, Dtype::I32) => Ok(self.call("shift_left_i32", &[a, b])),
            (BinaryOp::ShiftRight, Dtype::I32) => Ok(self.call("shift_right_i32", &[a, b])),
            (
                BinaryOp::Add
                | BinaryOp::Sub
                | BinaryOp::Div
                | BinaryOp::Pow
                | BinaryOp::Fmod
                | BinaryOp::FloorMod
                | BinaryOp::ShiftLeft
                | BinaryOp::ShiftRight,
                Dtype::Bool,
            ) => Err(self.unsupported(op, dtype)),
        }
    }
}

/// A test for NaN on the bits: a compiler may assume of floats that none is.
fn is_nan(name: &str) -> String {
    format!("(bitcast<u32>({name}) & 0x7fffffffu) > 0x7f800000u")
}
