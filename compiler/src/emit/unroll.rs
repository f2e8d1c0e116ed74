//! Unrolling: a kernel with marked loops and arrays → the same kernel with statements one after the other and single variables.
//!
//! Devices keep single variables in registers; an array that is indexed goes to memory, and on a CPU adapter loops cost
//! five times what their statements do. So kernels are written with loops and arrays, are valid WGSL as they stand, and three
//! marks say what becomes of them when they are linked:
//!
//! ```wgsl
//! var acc: array<array<vec4<f32>, TEXELS>, ROWS>; // registers
//! for (var r = 0u; r < ROWS; r += 1u) { // unroll
//!     let value = x[i[r]];
//!     acc[r][0] += value * weight;
//! }
//! ```
//!
//! - `// unroll` behind the `{` of a loop `for (var NAME = START; NAME < END; NAME += STEP)`, or behind its `}` if the whole
//!   loop is one line: its body is repeated with the
//!   variable as a literal. START, END and STEP are integer expressions of module constants, literals and the variables of
//!   unrolled loops around it. Behind `// unroll 2`, a loop of more than 2 rounds stays a loop. What the body declares gets the
//!   round at the end of its name: `value0`, `value1`.
//! - `// registers` behind the `;` of an array declared without a value: its elements become variables, `acc[1][0]` is
//!   `acc1_0`, so after unrolling every index is constant. A variable is declared where it is assigned first, if that is in the
//!   block of the declaration, and else in the declaration's place, as zero.
//! - `// rotate` in the same place of a loop: it stays a loop, and turns the registers that its variable indexes (`rotate`).
//!
//! The order of what is computed does not change, and so no bit of a result. Constants are folded where they meet. No name may
//! appear twice: neither a new one that the source has, nor two in one block. It deliberately knows no types.

use super::loops::Loop;
use super::mistake::{Mistake, UnrollError};
use super::names::{Names, declares, names};
use super::registers;
use super::rotate;
use super::tokens::{Constants, Token};
use std::collections::BTreeSet;

/// Unrolls the marked loops of a module and takes its marked arrays apart.
///
/// # Errors
/// See [`Mistake`].
pub fn unroll<'a>(tokens: &[Token<'a>], constants: &Constants) -> Result<Vec<Token<'a>>, UnrollError> {
    let mut names = Names::of(tokens);
    let turning = rotate::rotated(tokens.to_vec(), constants, &mut names)?;
    let repeated = Unroller { constants, names: &mut names }.expanded(&turning)?;
    let mut single = registers::taken_apart(repeated, constants, &mut names)?;
    fold(&mut single);
    no_name_twice(&single)?;
    Ok(single)
}

struct Unroller<'s, 'n> {
    constants: &'s Constants,
    names: &'s mut Names<'n>,
}

impl Unroller<'_, '_> {
    fn expanded<'a>(&mut self, tokens: &[Token<'a>]) -> Result<Vec<Token<'a>>, UnrollError> {
        let mut out = Vec::with_capacity(tokens.len());
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            let marked = if token.is("for") { Loop::at(tokens, at)? } else { None };
            let rounds = marked.as_ref().map(|marked| marked.rounds(self.constants)).transpose()?.flatten();
            match marked.zip(rounds) {
                None => {
                    out.push(token.clone());
                    at += 1;
                }
                Some((marked, rounds)) => {
                    marked.no_jumps()?;
                    for value in rounds {
                        let round = self.round(&marked, value)?;
                        out.extend(self.expanded(&round)?);
                    }
                    at = marked.end;
                }
            }
        }
        Ok(out)
    }

    /// The body of a loop in one round: its variable a literal, and what it declares renamed.
    fn round<'a>(&mut self, marked: &Loop<'_, 'a>, value: u32) -> Result<Vec<Token<'a>>, UnrollError> {
        let mut body = marked.body.to_vec();
        for at in 0..body.len() {
            if names(&body, at, marked.variable) {
                if declares(at.checked_sub(1).map(|before| &body[before]), body.get(at + 1)) {
                    let mistake = Mistake::NameClash { name: marked.variable.to_owned() };
                    return Err(UnrollError { place: body[at].place, mistake });
                }
                body[at].text = format!("{value}u").into();
            }
        }
        for declared in own_declarations(&body) {
            let name = body[declared].text.clone();
            let new = self.names.numbered(&name, value, body[declared].place)?;
            let end = body[declared..].iter().position(|token| token.is(";")).map_or(body.len(), |end| declared + end);
            for at in (end..body.len()).filter(|at| names(marked.body, *at, &name)).chain([declared]) {
                body[at].text = new.clone().into();
            }
        }
        Ok(body)
    }
}

/// Positions of the names that a body declares itself, unrolled loops in it included.
fn own_declarations(body: &[Token<'_>]) -> Vec<usize> {
    let mut blocks: Vec<bool> = Vec::new();
    let mut found = Vec::new();
    for (at, token) in body.iter().enumerate() {
        let in_head = at.checked_sub(1).is_some_and(|before| body[before].is("("));
        match token.text.as_ref() {
            "{" => blocks.push(token.mark.is_none()),
            "}" => _ = blocks.pop(),
            "let" | "var" if !blocks.contains(&true) && !in_head => found.push(at + 1),
            _ => {}
        }
    }
    found.retain(|at| *at < body.len());
    found
}

/// Folds what unrolling has brought together: operations of two literals where nothing beside them binds more tightly,
/// brackets around a literal, and `+ 0u`.
fn fold(tokens: &mut Vec<Token<'_>>) {
    let mut out: Vec<Token<'_>> = Vec::with_capacity(tokens.len());
    let mut rest = std::mem::take(tokens).into_iter().peekable();
    while let Some(token) = rest.next() {
        out.push(token);
        while reduced(&mut out, rest.peek()) {}
    }
    *tokens = out;
}

/// Takes one step at the end of `out`; whether there was one to take.
fn reduced(out: &mut Vec<Token<'_>>, next: Option<&Token<'_>>) -> bool {
    let text = |back: usize| out.len().checked_sub(back).map_or("", |at| out[at].text.as_ref());
    let literal = |back: usize| out.len().checked_sub(back).and_then(|at| out[at].literal());
    let next = next.map_or("", |token| token.text.as_ref());
    if let (")", Some(_), "(") = (text(1), literal(2), text(3)) {
        let called =
            out.len().checked_sub(4).is_some_and(|at| (out[at].is_word() && !out[at].is("return")) || out[at].is(">"));
        if !called {
            let end = out.len();
            out[end - 2].gap = out[end - 3].gap;
            out.remove(end - 1);
            out.remove(end - 3);
        }
        return !called;
    }
    let ends_sum = matches!(next, ")" | "]" | "," | ";" | "+" | "-");
    let (Some(right), operator) = (literal(1), text(2)) else { return false };
    let Some(left) = literal(3) else {
        let nothing = right == 0 && operator == "+" && ends_sum;
        out.truncate(out.len() - if nothing { 2 } else { 0 });
        return nothing;
    };
    let starts = |loose: &[&str]| loose.contains(&text(4)) || text(4) == "return";
    let value = match operator {
        "*" if starts(&["(", "[", ",", "=", "+", "-", ";", "{", "+="]) => left.checked_mul(right),
        "/" if starts(&["(", "[", ",", "=", "+", "-"]) => left.checked_div(right),
        "%" if starts(&["(", "[", ",", "=", "+", "-"]) => left.checked_rem(right),
        "+" if starts(&["(", "[", ",", "="]) && ends_sum => left.checked_add(right),
        "-" if starts(&["(", "[", ",", "="]) && ends_sum => left.checked_sub(right),
        _ => None,
    };
    if let Some(value) = value {
        out.truncate(out.len() - 2);
        let last = out.len() - 1;
        out[last].text = format!("{value}u").into();
    }
    value.is_some()
}

/// No block declares a name twice.
fn no_name_twice(tokens: &[Token<'_>]) -> Result<(), UnrollError> {
    let mut blocks: Vec<BTreeSet<&str>> = vec![BTreeSet::new()];
    for (at, token) in tokens.iter().enumerate() {
        let in_head = at.checked_sub(1).is_some_and(|before| tokens[before].is("("));
        match token.text.as_ref() {
            "{" => blocks.push(BTreeSet::new()),
            "}" => _ = blocks.pop(),
            "let" | "var" if !in_head => {
                let Some(name) = tokens.get(at + 1).filter(|name| name.is_word()) else { continue };
                if !blocks.last_mut().is_none_or(|block| block.insert(&name.text)) {
                    let mistake = Mistake::NameClash { name: name.text.to_string() };
                    return Err(UnrollError { place: name.place, mistake });
                }
            }
            _ => {}
        }
    }
    Ok(())
}
