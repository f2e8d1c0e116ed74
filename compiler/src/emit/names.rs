//! The names of a kernel's source, and new ones that unrolling makes of them.

use super::mistake::{Mistake, UnrollError};
use super::place::Place;
use super::tokens::Token;
use std::collections::{BTreeMap, BTreeSet};

/// The names of the source, and what each new one is made of.
pub struct Names<'s> {
    source: BTreeSet<&'s str>,
    made: BTreeMap<String, String>,
}

impl<'s> Names<'s> {
    /// The names that a source has.
    pub fn of(tokens: &'s [Token<'_>]) -> Self {
        let source = tokens.iter().filter(|token| token.is_word()).map(|token| token.text.as_ref()).collect();
        Self { source, made: BTreeMap::new() }
    }

    /// `name` with a number behind it.
    pub fn numbered(&mut self, name: &str, number: u32, place: Place) -> Result<String, UnrollError> {
        let bar = if name.ends_with(|c: char| c.is_ascii_digit()) { "_" } else { "" };
        let new = format!("{name}{bar}{number}");
        let base = self.made.entry(new.clone()).or_insert_with(|| name.to_owned());
        if base != name || self.source.contains(new.as_str()) {
            return Err(UnrollError { place, mistake: Mistake::NameClash { name: new } });
        }
        Ok(new)
    }
}

/// Whether the token at `at` is this name, and not a member's.
pub fn names(tokens: &[Token<'_>], at: usize, name: &str) -> bool {
    tokens[at].is(name) && !at.checked_sub(1).is_some_and(|before| tokens[before].is("."))
}

/// Whether a name between these tokens is declared there, by `let`, `var` or as a parameter.
pub fn declares(before: Option<&Token<'_>>, next: Option<&Token<'_>>) -> bool {
    let Some(before) = before else { return false };
    let is_parameter = next.is_some_and(|token| token.is(":")) && (before.is("(") || before.is(","));
    before.is("let") || before.is("var") || is_parameter
}
