//! Rotation: a loop that stays a loop, over elements of arrays in registers → the same loop over their first elements, behind each
//! round of which the arrays are turned on by one.
//!
//! A register cannot be indexed by what is known only when the kernel runs, and what a kernel does with its results, an expression
//! and a store, is too much text to be written out for each. So the last loops of a kernel are marked `// rotate` behind their `{`,
//! and have the form `for (var NAME = 0u; NAME < SIZE; NAME += 1u)`: `acc[NAME]` becomes `acc[0u]`, and behind the body every
//! element moves to the place before its own, the first one to the last. SIZE is that of the array, or 4 for the components of a
//! vector, so that all is in its place behind the loop. Of an array of several dimensions, only what the body names is turned.

use super::loops::Loop;
use super::mistake::{Mistake, UnrollError};
use super::names::Names;
use super::registers::array_type;
use super::tokens::{Constants, Gap, Mark, Token, beside, closing, evaluate};

/// Components of a vector.
const COMPONENTS: u32 = 4;

/// Has all loops that are marked so turn what they index.
///
/// # Errors
/// See [`Mistake`].
pub fn rotated<'a>(
    mut tokens: Vec<Token<'a>>,
    constants: &Constants,
    names: &mut Names<'_>,
) -> Result<Vec<Token<'a>>, UnrollError> {
    while let Some(open) = tokens.iter().position(|token| token.mark == Some(Mark::Rotate)) {
        let end = closing(&tokens, open)?;
        let head = tokens[..open].iter().rposition(|token| token.is("for"));
        let found = head.and_then(|head| Loop::at(&tokens, head).transpose()).transpose()?;
        let place = tokens[open].place;
        let form = || UnrollError { place, mistake: Mistake::RotationForm };
        let found = found.ok_or_else(form)?;
        found.no_jumps()?;
        let [start, limit, step] = found.bounds.map(|bound| evaluate(bound, constants));
        let (Some(0), Some(size), Some(1)) = (start, limit, step) else { return Err(form()) };
        let variable = found.variable.to_owned();
        let mut turned: Vec<Slice> = Vec::new();
        let mut at = open;
        while at < end {
            let slice = Slice::at(&tokens, at, &variable, constants).ok_or_else(form);
            at += 1;
            if !(tokens[at - 1].is("[") && tokens[at].is(&variable) && tokens[at + 1].is("]")) {
                continue;
            }
            let slice = slice?;
            if slice.size() != size {
                return Err(form());
            }
            if slice.is_vector() {
                tokens[at - 1].text = ".".into();
                tokens[at].text = "x".into();
                tokens[at + 1].text = "".into();
            } else {
                tokens[at].text = "0u".into();
            }
            if !turned.contains(&slice) {
                turned.push(slice);
            }
        }
        let mut statements = Vec::new();
        for slice in &turned {
            slice.turn(&tokens[open], names, &mut statements)?;
        }
        tokens.splice(end..end, statements);
        tokens[open].mark = None;
        tokens.retain(|token| !token.text.is_empty());
    }
    Ok(tokens)
}

/// Elements of an array along one of its dimensions.
#[derive(Debug, PartialEq)]
struct Slice {
    array: String,
    sizes: Vec<u32>,
    /// The index in each dimension, where it is constant.
    indices: Vec<Option<u32>>,
    /// The dimension that is turned; behind all others, the components of vectors.
    dimension: usize,
}

impl Slice {
    /// What is named by the index that opens at `open`; none if that indexes no array in registers.
    fn at(tokens: &[Token<'_>], open: usize, variable: &str, constants: &Constants) -> Option<Self> {
        let mut name = open.checked_sub(1)?;
        let mut dimension = 0;
        while tokens[name].is("]") {
            name = tokens[..name].iter().rposition(|token| token.is("["))?.checked_sub(1)?;
            dimension += 1;
        }
        let declared = (0..name).rev().find(|at| tokens[*at].is("var") && tokens[at + 1].text == tokens[name].text)?;
        let end = declared + tokens[declared..].iter().position(|token| token.is(";"))?;
        if tokens[end].mark != Some(Mark::Registers) {
            return None;
        }
        let (sizes, _) = array_type(&tokens[declared + 3..end], constants)?;
        let mut indices = Vec::new();
        let mut at = name + 1;
        for _ in &sizes {
            let close = closing(tokens, at).ok().filter(|_| tokens[at].is("["))?;
            let index = &tokens[at + 1..close];
            let is_variable = matches!(index, [token] if token.is(variable));
            indices.push(if is_variable { None } else { evaluate(index, constants) });
            at = close + 1;
        }
        let array = tokens[name].text.to_string();
        (dimension <= sizes.len()).then_some(Self { array, sizes, indices, dimension })
    }

    fn is_vector(&self) -> bool {
        self.dimension == self.sizes.len()
    }

    fn size(&self) -> u32 {
        self.sizes.get(self.dimension).copied().unwrap_or(COMPONENTS)
    }

    /// Indices of all lines of elements along the dimension.
    fn lines(&self) -> Vec<Vec<u32>> {
        let mut lines = vec![Vec::new()];
        for (dimension, (size, index)) in self.sizes.iter().zip(&self.indices).enumerate() {
            let range = match index {
                _ if dimension == self.dimension => 0..1,
                Some(index) => *index..index + 1,
                None => 0..*size,
            };
            lines = range.flat_map(|index| lines.iter().map(move |line| [&line[..], &[index]].concat())).collect();
        }
        lines
    }

    /// The statements that turn it by one.
    fn turn<'a>(&self, near: &Token<'_>, names: &mut Names<'_>, out: &mut Vec<Token<'a>>) -> Result<(), UnrollError> {
        let element = |line: &[u32]| {
            let indices: Vec<Token<'a>> = line
                .iter()
                .flat_map(|index| ["[".into(), format!("{index}u"), "]".into()])
                .map(|text: String| Token { gap: Gap::None, ..beside(near, text) })
                .collect();
            [vec![beside(near, self.array.clone())], indices].concat()
        };
        let mut statement = |to: Vec<Token<'a>>, from: Vec<Token<'a>>| {
            let first = out.len();
            out.extend(to);
            out.push(beside(near, "="));
            out.extend(from);
            out.push(Token { gap: Gap::None, ..beside(near, ";") });
            out[first].gap = Gap::Line;
        };
        for (number, mut line) in (0..).zip(self.lines()) {
            if self.is_vector() {
                let turned = [".", "yzwx"].map(|text| Token { gap: Gap::None, ..beside(near, text) });
                statement(element(&line), [element(&line), turned.to_vec()].concat());
                continue;
            }
            if self.size() < 2 {
                continue;
            }
            let first = names.numbered(&format!("{}_turned", self.array), number, near.place)?;
            statement(vec![beside(near, "let"), beside(near, first.clone())], element(&line));
            for next in 1..self.size() {
                line[self.dimension] = next - 1;
                let to = element(&line);
                line[self.dimension] = next;
                statement(to, element(&line));
            }
            statement(element(&line), vec![beside(near, first)]);
        }
        Ok(())
    }
}
