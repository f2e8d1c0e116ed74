//! Loops that are marked, among the tokens of a kernel: `for (var NAME = START; NAME < END; NAME += STEP)`.

use super::mistake::{MAX_ROUNDS, Mistake, UnrollError};
use super::place::Place;
use super::registers::assigns;
use super::tokens::{Constants, Mark, Token, closing, evaluate, spelled};

/// A marked loop among tokens.
pub struct Loop<'t, 'a> {
    place: Place,
    /// Its variable.
    pub variable: &'t str,
    /// Start, end and step.
    pub bounds: [&'t [Token<'a>]; 3],
    /// What is between its braces.
    pub body: &'t [Token<'a>],
    /// What is asked of it.
    mark: Mark,
    /// Position behind its `}`.
    pub end: usize,
}

impl<'t, 'a> Loop<'t, 'a> {
    /// The loop at the word `for`, if it is marked.
    pub fn at(tokens: &'t [Token<'a>], at: usize) -> Result<Option<Self>, UnrollError> {
        if !tokens.get(at + 1).is_some_and(|token| token.is("(")) {
            return Ok(None);
        }
        let head_end = closing(tokens, at + 1)?;
        let Some(mark) = tokens.get(head_end + 1).and_then(|token| token.mark) else { return Ok(None) };
        let end = closing(tokens, head_end + 1)?;
        let head: Vec<&[Token<'a>]> = tokens[at + 2..head_end].split(|token| token.is(";")).collect();
        let place = tokens[at].place;
        let form = UnrollError { place, mistake: Mistake::LoopForm };
        let [[var, variable, equals, start @ ..], [tested, less, limit @ ..], [stepped, plus, step @ ..]] =
            head.as_slice()
        else {
            return Err(form);
        };
        let words = var.is("var") && equals.is("=") && less.is("<") && plus.is("+=");
        if !words || tested.text != variable.text || stepped.text != variable.text {
            return Err(form);
        }
        let body = &tokens[head_end + 2..end];
        Ok(Some(Self { place, variable: &variable.text, bounds: [start, limit, step], body, mark, end: end + 1 }))
    }

    /// The values of its variable; none where it has more rounds than are unrolled by choice.
    pub fn rounds(&self, constants: &Constants) -> Result<Option<Vec<u32>>, UnrollError> {
        let mut values = [0; 3];
        for ((value, bound), name) in values.iter_mut().zip(self.bounds).zip(["start", "end", "step"]) {
            let found = evaluate(bound, constants).filter(|found| *found > 0 || name != "step");
            *value = found.ok_or_else(|| UnrollError {
                place: self.place,
                mistake: Mistake::OpenBound { bound: name, expression: spelled(bound) },
            })?;
        }
        let [start, limit, step] = values;
        let rounds = limit.saturating_sub(start).div_ceil(step);
        if rounds > MAX_ROUNDS {
            return Err(UnrollError { place: self.place, mistake: Mistake::TooManyRounds { rounds } });
        }
        let most = match self.mark {
            Mark::Unroll { most } => most,
            Mark::Rotate | Mark::Registers => 0,
        };
        Ok((rounds <= most).then(|| (0..rounds).map(|round| start + round * step).collect()))
    }

    /// Refuses `break` and `continue` of this loop, and an assignment to its variable.
    pub fn no_jumps(&self) -> Result<(), UnrollError> {
        let mut inner: Vec<bool> = Vec::new();
        let mut opens_loop = false;
        for (at, token) in self.body.iter().enumerate() {
            let assigned = token.is(self.variable) && self.body.get(at + 1).is_some_and(assigns);
            match token.text.as_ref() {
                "for" | "while" | "loop" | "switch" => opens_loop = true,
                "{" => inner.push(std::mem::take(&mut opens_loop) && token.mark.is_none()),
                "}" => _ = inner.pop(),
                "break" | "continue" if !inner.contains(&true) => {
                    let mistake = Mistake::Jump { statement: token.text.to_string() };
                    return Err(UnrollError { place: token.place, mistake });
                }
                _ if assigned => return Err(UnrollError { place: token.place, mistake: Mistake::LoopForm }),
                _ => {}
            }
        }
        Ok(())
    }
}
