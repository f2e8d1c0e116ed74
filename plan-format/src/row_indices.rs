//! Which rows of a table a gather needs: elements of inputs and constants, and what the host computes of them.
//!
//! The program is what a kernel would run for each index: instructions on 32-bit words that wrap, each seeing only earlier ones.
//! So that the host need not stop half way, every instruction has a result for all words. It deliberately reads no tensor: the
//! runtime does.

use crate::indices::Walk;
use serde::{Deserialize, Serialize};

/// Most operands of a program.
pub const MAX_OPERANDS: usize = 16;
/// Most instructions of a program.
pub const MAX_INSTRUCTIONS: usize = 64;
/// Most elements of a constant operand.
pub const MAX_CONSTANT_ELEMENTS: usize = 1 << 16;
/// Most tables of a program.
pub const MAX_TABLES: usize = 8;
/// Most numbers of a table: a vocabulary's.
pub const MAX_TABLE_ELEMENTS: usize = 1 << 18;

/// The indices of a gather, one for each place of its operands' walks, in row-major order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowIndices {
    /// What they are computed from; the walks of all have one shape.
    pub operands: Vec<IndexOperand>,
    /// What instructions look numbers up in.
    pub tables: Vec<Vec<i32>>,
    /// How; the last result is the index. Without instructions, operand 0 is.
    pub instructions: Vec<IndexInstruction>,
}

/// A tensor, seen as the indices see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexOperand {
    /// The tensor.
    pub source: IndexSource,
    /// Its elements, one for each place.
    pub walk: Walk,
}

/// Where the elements of an operand are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum IndexSource {
    /// A public input, by position in `Plan::inputs`. Where there are instructions, its integers must fit 32 bits; its floats
    /// are their bits as f32. Without instructions it has no floats.
    Input(u32),
    /// These.
    Constant(Vec<i32>),
}

/// What an instruction takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum IndexValue {
    /// The element of an operand.
    Operand(u32),
    /// The result of an earlier instruction.
    Result(u32),
}

/// One instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum IndexInstruction {
    /// A number.
    Literal(i32),
    /// f(a).
    Unary(IndexUnary, IndexValue),
    /// f(a, b).
    Binary(IndexBinary, IndexValue, IndexValue),
    /// `condition ≠ 0 ? then : otherwise`.
    Select {
        /// A boolean.
        condition: IndexValue,
        /// The result where it is not 0.
        then: IndexValue,
        /// The result where it is.
        otherwise: IndexValue,
    },
    /// The number of a table at a place that counts from the end where it is negative; beyond the table, its first or last one.
    Lookup {
        /// Which of the program's tables.
        table: u32,
        /// The place.
        at: IndexValue,
    },
}

/// Functions of one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum IndexUnary {
    /// |a|; the least number stays.
    Abs,
    /// −a; the least number stays.
    Neg,
    /// −1, 0 or 1.
    Sign,
    /// Whether a is not 0.
    Bool,
    /// Whether a is 0.
    Not,
    /// Every bit exchanged.
    BitNot,
    /// The f32 of these bits without its fraction; the least number where that does not fit, or it is a NaN.
    Truncate,
}

/// Functions of two words. Comparisons give 0 or 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names are the mathematical ones")]
pub enum IndexBinary {
    Add,
    Sub,
    Mul,
    /// Truncates towards zero; 0 for a divisor of 0.
    Div,
    /// Sign of the dividend; 0 for a divisor of 0.
    Fmod,
    /// Sign of the divisor; 0 for a divisor of 0.
    FloorMod,
    Min,
    Max,
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    /// Of booleans.
    And,
    /// Of booleans.
    Or,
    /// Of booleans.
    Xor,
    BitAnd,
    BitOr,
    BitXor,
    /// By 32 bits or more, or a negative number of them: 0.
    ShiftLeft,
    /// Arithmetic. By 32 bits or more, or a negative number of them: all bits are the sign.
    ShiftRight,
}

/// Why indices cannot be computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are described by the messages")]
pub enum BrokenIndices {
    /// No operands, or too many.
    #[error("its indices have {operands} operands; 1 to {MAX_OPERANDS} are allowed")]
    Operands { operands: usize },
    /// A constant that is too long.
    #[error("operand {operand} of its indices has {elements} elements, more than {MAX_CONSTANT_ELEMENTS}")]
    Constant { operand: usize, elements: usize },
    /// Too many tables.
    #[error("its indices have {tables} tables, more than {MAX_TABLES}")]
    Tables { tables: usize },
    /// A table without numbers, or with too many.
    #[error("table {table} of its indices has {elements} numbers; 1 to {MAX_TABLE_ELEMENTS} are allowed")]
    Table { table: usize, elements: usize },
    /// An operand with other places than the first.
    #[error("operand {operand} of its indices has another shape than the first")]
    Shape { operand: usize },
    /// Too many instructions.
    #[error("its indices have {instructions} instructions, more than {MAX_INSTRUCTIONS}")]
    Instructions { instructions: usize },
    /// An instruction that takes what is not there yet.
    #[error("instruction {instruction} of its indices takes what is neither an operand, a table nor an earlier result")]
    Value { instruction: usize },
}

impl RowIndices {
    /// Elements of an input as they are.
    pub fn of_input(input: u32, walk: Walk) -> Self {
        let operands = vec![IndexOperand { source: IndexSource::Input(input), walk }];
        Self { operands, tables: vec![], instructions: vec![] }
    }

    /// How many they are; `None` on overflow. 0 without operands.
    pub fn count(&self) -> Option<u64> {
        self.operands.first().map_or(Some(0), |operand| operand.walk.count())
    }

    /// What is wrong with them by themselves: all but whether the walks fit their tensors.
    pub fn broken(&self) -> Option<BrokenIndices> {
        let (operands, tables, instructions) = (self.operands.len(), self.tables.len(), self.instructions.len());
        if !(1..=MAX_OPERANDS).contains(&operands) {
            return Some(BrokenIndices::Operands { operands });
        }
        if instructions > MAX_INSTRUCTIONS {
            return Some(BrokenIndices::Instructions { instructions });
        }
        if tables > MAX_TABLES {
            return Some(BrokenIndices::Tables { tables });
        }
        let out_of_bounds = |numbers: &Vec<i32>| !(1..=MAX_TABLE_ELEMENTS).contains(&numbers.len());
        if let Some(table) = self.tables.iter().position(out_of_bounds) {
            return Some(BrokenIndices::Table { table, elements: self.tables[table].len() });
        }
        for (operand, found) in self.operands.iter().enumerate() {
            match &found.source {
                IndexSource::Constant(values) if values.len() > MAX_CONSTANT_ELEMENTS => {
                    return Some(BrokenIndices::Constant { operand, elements: values.len() });
                }
                IndexSource::Constant(_) | IndexSource::Input(_) => {}
            }
            if found.walk.shape != self.operands[0].walk.shape {
                return Some(BrokenIndices::Shape { operand });
            }
        }
        let there = |at: usize| {
            move |value: IndexValue| match value {
                IndexValue::Operand(operand) => (operand as usize) < operands,
                IndexValue::Result(result) => (result as usize) < at,
            }
        };
        let has_table = |instruction: &IndexInstruction| match instruction {
            IndexInstruction::Lookup { table, .. } => (*table as usize) < tables,
            IndexInstruction::Literal(_)
            | IndexInstruction::Unary(..)
            | IndexInstruction::Binary(..)
            | IndexInstruction::Select { .. } => true,
        };
        let fits = |(at, found): (usize, &IndexInstruction)| found.values().all(there(at)) && has_table(found);
        let instruction = self.instructions.iter().enumerate().position(|found| !fits(found))?;
        Some(BrokenIndices::Value { instruction })
    }

    /// The index for one element of every operand. `results` is room for results, whatever it holds. They must be validated.
    pub fn evaluate(&self, operands: &[i32], results: &mut Vec<i32>) -> i32 {
        results.clear();
        for instruction in &self.instructions {
            let value = |value: IndexValue| match value {
                IndexValue::Operand(operand) => operands[operand as usize],
                IndexValue::Result(result) => results[result as usize],
            };
            let result = match *instruction {
                IndexInstruction::Literal(number) => number,
                IndexInstruction::Unary(function, a) => function.of(value(a)),
                IndexInstruction::Binary(function, a, b) => function.of(value(a), value(b)),
                IndexInstruction::Select { condition, then, otherwise } => {
                    value(if value(condition) != 0 { then } else { otherwise })
                }
                IndexInstruction::Lookup { table, at } => looked_up(&self.tables[table as usize], value(at)),
            };
            results.push(result);
        }
        results.last().copied().unwrap_or_else(|| operands[0])
    }
}

/// The number of a table at a place.
fn looked_up(table: &[i32], at: i32) -> i32 {
    let from_start = if at < 0 { i64::from(at) + table.len() as i64 } else { at.into() };
    table[from_start.clamp(0, table.len() as i64 - 1) as usize]
}

impl IndexInstruction {
    /// What it takes.
    fn values(&self) -> impl Iterator<Item = IndexValue> {
        let values = match *self {
            Self::Literal(_) => [None; 3],
            Self::Unary(_, a) => [Some(a), None, None],
            Self::Binary(_, a, b) => [Some(a), Some(b), None],
            Self::Select { condition, then, otherwise } => [Some(condition), Some(then), Some(otherwise)],
            Self::Lookup { table: _, at } => [Some(at), None, None],
        };
        values.into_iter().flatten()
    }
}

impl IndexUnary {
    fn of(self, a: i32) -> i32 {
        match self {
            Self::Abs => a.wrapping_abs(),
            Self::Neg => a.wrapping_neg(),
            Self::Sign => a.signum(),
            Self::Bool => i32::from(a != 0),
            Self::Not => i32::from(a == 0),
            Self::BitNot => !a,
            Self::Truncate => {
                let x = f32::from_bits(a.cast_unsigned());
                if x.abs() < 2_147_483_648.0 { x as i32 } else { i32::MIN }
            }
        }
    }
}

impl IndexBinary {
    fn of(self, a: i32, b: i32) -> i32 {
        let rest = || if b == 0 { 0 } else { a.wrapping_rem(b) };
        match self {
            Self::Add => a.wrapping_add(b),
            Self::Sub => a.wrapping_sub(b),
            Self::Mul => a.wrapping_mul(b),
            Self::Div => {
                if b == 0 {
                    0
                } else {
                    a.wrapping_div(b)
                }
            }
            Self::Fmod => rest(),
            Self::FloorMod if rest() != 0 && (rest() < 0) != (b < 0) => rest().wrapping_add(b),
            Self::FloorMod => rest(),
            Self::Min => a.min(b),
            Self::Max => a.max(b),
            Self::Equal => i32::from(a == b),
            Self::NotEqual => i32::from(a != b),
            Self::Less => i32::from(a < b),
            Self::LessEqual => i32::from(a <= b),
            Self::Greater => i32::from(a > b),
            Self::GreaterEqual => i32::from(a >= b),
            Self::And => i32::from(a != 0 && b != 0),
            Self::Or => i32::from(a != 0 || b != 0),
            Self::Xor => i32::from((a != 0) != (b != 0)),
            Self::BitAnd => a & b,
            Self::BitOr => a | b,
            Self::BitXor => a ^ b,
            Self::ShiftLeft => a.checked_shl(b as u32).unwrap_or(0),
            Self::ShiftRight => a >> (b as u32).min(31),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{IndexBinary, IndexInstruction, IndexUnary, IndexValue, RowIndices};
    use crate::indices::Walk;
    use crate::testing::computed_plan;

    #[test]
    fn a_program_computes_indices_and_none_is_the_operand() {
        let indices = &computed_plan().row_gathers[0].indices;
        let mut results = vec![9; 3];
        assert_eq!([3, 77].map(|id| indices.evaluate(&[id, 77], &mut results)), [3, -2]);
        assert_eq!(RowIndices::of_input(0, Walk::all(4)).evaluate(&[-7], &mut results), -7);
        assert_eq!((indices.count(), indices.broken()), (Some(2), None));
    }

    #[test]
    fn every_function_has_a_result_for_all_words() {
        let edges = [i32::MIN, -33, -1, 0, 1, 31, 32, i32::MAX];
        for a in edges {
            for b in edges {
                let found = [IndexBinary::Div, IndexBinary::Fmod, IndexBinary::FloorMod].map(|f| f.of(a, b));
                let (a, b) = (i64::from(a), i64::from(b));
                let exact = if b == 0 { [0; 3] } else { [a / b, a % b, a - b * a.div_euclid(b)] };
                assert_eq!(found[..2], [exact[0] as i32, exact[1] as i32], "{a} {b}");
                if b > 0 {
                    assert_eq!(i64::from(found[2]), exact[2], "{a} {b}");
                }
                let shifted = [IndexBinary::ShiftLeft, IndexBinary::ShiftRight].map(|f| f.of(a as i32, b as i32));
                let by = if (0..32).contains(&b) { b } else { 40 };
                assert_eq!(shifted, [(a << by) as i32, (a >> by) as i32], "{a} {b}");
            }
            assert_eq!(IndexUnary::Abs.of(a), a.wrapping_abs());
            assert_eq!(IndexUnary::Bool.of(a), 1 - IndexUnary::Not.of(a));
        }
    }

    #[test]
    fn a_table_has_a_number_for_all_words() {
        let x = IndexValue::Operand(0);
        let mut indices = RowIndices::of_input(0, Walk::all(1));
        indices.tables = vec![vec![0], vec![40, 50, 60]];
        indices.instructions = vec![IndexInstruction::Lookup { table: 1, at: x }];
        let mut results = Vec::new();
        let found = [i32::MIN, -4, -3, -1, 0, 2, 3, i32::MAX].map(|at| indices.evaluate(&[at], &mut results));
        assert_eq!((found, indices.broken()), ([40, 40, 40, 60, 40, 60, 60, 60], None));
    }

    #[test]
    fn a_float_is_an_integer_without_its_fraction() {
        let floats = [2.9, -2.9, -0.0, 3e9, f32::NEG_INFINITY, f32::NAN, 16_777_216.0];
        let found = floats.map(|float| IndexUnary::Truncate.of(float.to_bits().cast_signed()));
        assert_eq!(found, [2, -2, 0, i32::MIN, i32::MIN, i32::MIN, 1 << 24]);
    }

    #[test]
    fn a_narrow_integer_wraps() {
        let (x, result) = (IndexValue::Operand(0), IndexValue::Result);
        let mut indices = RowIndices::of_input(0, Walk::all(1));
        indices.instructions = vec![
            IndexInstruction::Literal(24),
            IndexInstruction::Binary(IndexBinary::ShiftLeft, x, result(0)),
            IndexInstruction::Binary(IndexBinary::ShiftRight, result(1), result(0)),
        ];
        let mut results = Vec::new();
        assert_eq!([127, 128, -129].map(|x| indices.evaluate(&[x], &mut results)), [127, -128, 127]);
    }
}
