//! WGSL as tokens: text → tokens with their places, integer expressions of constants, and back to text.
//!
//! naga's lexer is not public, and what linking changes in a kernel (`unroll`) is about names and brackets only. Comments are
//! dropped, but for the three marks; of white space only its kind is kept. So the text that comes out has a statement a line
//! at most, however the source is broken, without indentation and empty lines: what a bundle carries and a session holds in
//! memory. It deliberately knows no grammar beyond brackets and integer expressions.

use super::mistake::{MAX_ROUNDS, Mistake, UnrollError};
use super::place::Place;
use crate::narrow::index32;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// What a comment behind a token asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// `// unroll` behind the `{` of a loop, or behind its `}` in the same line.
    Unroll {
        /// Rounds up to which it is unrolled.
        most: u32,
    },
    /// `// registers` behind the `;` of the declaration of an array.
    Registers,
    /// `// rotate`, where `// unroll` may stand.
    Rotate,
}

/// What stands between a token and the one before it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Gap {
    /// Nothing.
    #[default]
    None,
    /// A space.
    Space,
    /// The end of a line.
    Line,
}

/// A word, a number or an operator.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Token<'a> {
    /// Its text.
    pub text: Cow<'a, str>,
    /// What stands in front of it.
    pub gap: Gap,
    /// Where it comes from.
    pub place: Place,
    /// The mark behind it.
    pub mark: Option<Mark>,
}

impl Token<'_> {
    /// Whether the text is this.
    pub fn is(&self, text: &str) -> bool {
        self.text == text
    }

    /// Whether this is a name or a keyword.
    pub fn is_word(&self) -> bool {
        self.text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
    }

    /// The value of an unsigned literal with suffix.
    pub fn literal(&self) -> Option<u32> {
        self.text.strip_suffix('u').and_then(number)
    }
}

/// A literal without its suffix.
fn number(digits: &str) -> Option<u32> {
    match digits.strip_prefix("0x") {
        Some(hex) => u32::from_str_radix(hex, 16).ok(),
        None => digits.parse().ok(),
    }
}

/// Operators of two characters. `<<` and `>>` are two tokens each, since `>>` also ends two lists of types.
const PAIRS: [&str; 17] =
    ["==", "!=", "<=", ">=", "&&", "||", "->", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "++", "--"];

/// Length of the token that a text begins with; 0 for an empty text.
fn length(text: &str) -> usize {
    let first = text.chars().next().unwrap_or(' ');
    if first.is_ascii_digit() {
        let mut before = ' ';
        let mut inside = |c: char| {
            let exponent = matches!(before, 'e' | 'E') && !text.starts_with("0x") && matches!(c, '+' | '-');
            before = c;
            c.is_ascii_alphanumeric() || c == '.' || exponent
        };
        return text.find(|c: char| !inside(c)).unwrap_or(text.len());
    }
    if first.is_ascii_alphabetic() || first == '_' {
        return text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    }
    if PAIRS.iter().any(|pair| text.starts_with(pair)) { 2 } else { first.len_utf8().min(text.len()) }
}

/// The tokens of a file.
///
/// # Errors
/// [`Mistake::MisplacedMark`] for a mark where it says nothing.
pub fn tokens<'a>(file: &'static str, source: &'a str) -> Result<Vec<Token<'a>>, UnrollError> {
    let mut tokens: Vec<Token<'a>> = Vec::new();
    // Open round brackets: the head of a loop stays in one line.
    let mut round = 0_usize;
    for (index, line) in source.lines().enumerate() {
        let place = Place { file, line: index32(index) + 1 };
        let (code, comment) = line.split_once("//").unwrap_or((line, ""));
        let first = tokens.len();
        let mut rest = code;
        while !rest.trim_start().is_empty() {
            let trimmed = rest.trim_start();
            let (text, after) = trimmed.split_at(length(trimmed));
            let ends = |token: &Token<'_>| token.is(";") || token.is("{") || (token.is("}") && text != "else");
            let gap = match tokens.last() {
                _ if tokens.len() == first => Gap::Line,
                Some(before) if round == 0 && (ends(before) || text == "}") => Gap::Line,
                Some(_) | None if trimmed.len() < rest.len() => Gap::Space,
                Some(_) | None => Gap::None,
            };
            match text {
                "(" => round += 1,
                ")" => round = round.saturating_sub(1),
                _ => {}
            }
            tokens.push(Token { text: text.into(), gap, place, mark: None });
            rest = after;
        }
        let (mark, behind) = match comment.trim().split_once(' ').unwrap_or((comment.trim(), "")) {
            ("unroll", "") => (Mark::Unroll { most: MAX_ROUNDS }, "{"),
            ("unroll", most) => match most.parse() {
                Ok(most) => (Mark::Unroll { most }, "{"),
                Err(_) => continue,
            },
            ("registers", "") => (Mark::Registers, ";"),
            ("rotate", "") => (Mark::Rotate, "{"),
            _ => continue,
        };
        let at = match tokens.last() {
            Some(last) if last.is("}") && behind == "{" => opening(&tokens[first..]).map(|offset| first + offset),
            Some(_) | None => tokens.len().checked_sub(1),
        };
        let marked = at.map(|at| &mut tokens[at]).filter(|token| token.is(behind) && token.mark.is_none());
        let marked = marked.ok_or(UnrollError { place, mistake: Mistake::MisplacedMark { behind } })?;
        marked.mark = Some(mark);
    }
    Ok(tokens)
}

/// Position of the `{` that the last of these tokens, a `}`, closes.
fn opening(tokens: &[Token<'_>]) -> Option<usize> {
    let mut depth = 0_usize;
    tokens.iter().rposition(|token| {
        match token.text.as_ref() {
            "}" => depth += 1,
            "{" => depth = depth.saturating_sub(1),
            _ => return false,
        }
        depth == 0
    })
}

/// A text and the place of each of its lines.
#[derive(Debug, Clone)]
pub struct Text {
    /// WGSL.
    pub source: String,
    /// As many as the source has lines.
    pub places: Vec<Place>,
}

/// The text of tokens. A space is left out where no two tokens could be read as one.
pub fn text(tokens: &[Token<'_>]) -> Text {
    let mut source = String::new();
    let mut places = Vec::new();
    for token in tokens {
        match token.gap {
            Gap::None => {}
            Gap::Space if runs_together(&source, &token.text) => source.push(' '),
            Gap::Space => {}
            Gap::Line if source.is_empty() => {}
            Gap::Line => source.push('\n'),
        }
        if token.gap == Gap::Line || places.is_empty() {
            places.push(token.place);
        }
        source.push_str(&token.text);
    }
    if !source.is_empty() {
        source.push('\n');
    }
    Text { source, places }
}

/// Whether what is written so far and what follows are read otherwise without a space: two words, two operators. Where types
/// stand in `<` and `>`, the spaces stay.
fn runs_together(written: &str, next: &str) -> bool {
    let [before, after] = [written.chars().next_back(), next.chars().next()].map(|c| c.unwrap_or(';'));
    let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.');
    let apart = |c: char| matches!(c, '(' | ')' | '[' | ']' | '{' | '}' | ',' | ';');
    let angle = |c: char| matches!(c, '<' | '>');
    angle(before) || angle(after) || (!apart(before) && !apart(after) && word(before) == word(after))
}

/// Position of the bracket that closes the one at `open`.
///
/// # Errors
/// [`Mistake::Unbalanced`].
pub fn closing(tokens: &[Token<'_>], open: usize) -> Result<usize, UnrollError> {
    let mut depth = 0_usize;
    for (offset, token) in tokens[open..].iter().enumerate() {
        match token.text.as_ref() {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth = depth.saturating_sub(1),
            _ => continue,
        }
        if depth == 0 {
            return Ok(open + offset);
        }
    }
    Err(UnrollError { place: tokens[open].place, mistake: Mistake::Unbalanced })
}

/// Tokens as messages print them.
pub fn spelled(tokens: &[Token<'_>]) -> String {
    text(tokens).source.trim().replace('\n', " ")
}

/// A token beside another: of its place, with a space before it.
pub fn beside<'a>(token: &Token<'_>, text: impl Into<Cow<'a, str>>) -> Token<'a> {
    Token { text: text.into(), gap: Gap::Space, place: token.place, mark: None }
}

/// Values of the constants of a module, by name.
pub type Constants = BTreeMap<String, u32>;

/// Sets the constants that a variant of a kernel names, and gives the values of all that are unsigned integers.
///
/// # Errors
/// [`Mistake::UnknownConstant`] for one that the module does not declare.
pub fn set_constants(tokens: &mut Vec<Token<'_>>, variant: &[(&'static str, u32)]) -> Result<Constants, UnrollError> {
    let mut constants = Constants::new();
    // Of what is declared further down, in another file perhaps.
    let mut open = Vec::new();
    let mut at = 0;
    while let Some(offset) = tokens[at..].iter().position(|token| token.is("const")) {
        let declared = at + offset;
        let find = |text| tokens[declared..].iter().position(|token| token.is(text)).map(|offset| declared + offset);
        let (Some(equals), Some(mut end)) = (find("="), find(";")) else { break };
        let name = tokens[declared + 1].text.to_string();
        let is_unsigned = tokens[declared + 2..equals].last().is_some_and(|kind| kind.is("u32"));
        if let Some((_, value)) = variant.iter().find(|(constant, _)| is_unsigned && *constant == name) {
            let literal = Token { text: format!("{value}u").into(), gap: Gap::Space, ..tokens[equals].clone() };
            tokens.splice(equals + 1..end, [literal]);
            end = equals + 2;
        }
        open.push((name, equals + 1..end));
        at = end;
    }
    // Setting a constant moves only what stands behind it, which has not been noted yet.
    let mut before = usize::MAX;
    while open.len() < before {
        before = open.len();
        open.retain(|(name, value)| match evaluate(&tokens[value.clone()], &constants) {
            Some(value) => constants.insert(name.clone(), value).is_some(),
            None => true,
        });
    }
    match variant.iter().find(|(name, value)| constants.get(*name) != Some(value)) {
        Some((name, _)) => {
            let place = tokens.first().map_or(Place { file: "", line: 1 }, |token| token.place);
            Err(UnrollError { place, mistake: Mistake::UnknownConstant { name } })
        }
        None => Ok(constants),
    }
}

/// The value of an expression of unsigned literals, constants, `min` and `max`; `None` for anything else, and where it
/// overflows.
pub fn evaluate(tokens: &[Token<'_>], constants: &Constants) -> Option<u32> {
    let mut reader = Reader { tokens, at: 0, constants };
    let value = reader.binary(0)?;
    (reader.at == tokens.len()).then_some(value)
}

struct Reader<'t, 'a> {
    tokens: &'t [Token<'a>],
    at: usize,
    constants: &'t Constants,
}

impl Reader<'_, '_> {
    /// The operator that is next, how tightly it binds, and its tokens.
    fn operator(&self) -> Option<(char, u8, usize)> {
        let token = self.tokens.get(self.at)?;
        let twice = |text: &str| {
            token.is(text) && self.tokens.get(self.at + 1).is_some_and(|next| next.is(text) && next.gap == Gap::None)
        };
        if twice("<") || twice(">") {
            return Some((token.text.chars().next()?, 4, 2));
        }
        let strength = match token.text.as_ref() {
            "|" => 1,
            "^" => 2,
            "&" => 3,
            "+" | "-" => 5,
            "*" | "/" | "%" => 6,
            _ => return None,
        };
        Some((token.text.chars().next()?, strength, 1))
    }

    /// Operands joined by operators that bind more tightly than `weakest`.
    fn binary(&mut self, weakest: u8) -> Option<u32> {
        let mut left = self.operand()?;
        while let Some((operator, strength, size)) = self.operator().filter(|found| found.1 > weakest) {
            self.at += size;
            let right = self.binary(strength)?;
            left = match operator {
                '|' => left | right,
                '^' => left ^ right,
                '&' => left & right,
                '<' => left.checked_shl(right)?,
                '>' => left.checked_shr(right)?,
                '+' => left.checked_add(right)?,
                '-' => left.checked_sub(right)?,
                '*' => left.checked_mul(right)?,
                '/' => left.checked_div(right)?,
                _ => left.checked_rem(right)?,
            };
        }
        Some(left)
    }

    /// The value of what follows a token.
    fn after(&mut self, text: &str) -> Option<u32> {
        let found = self.tokens.get(self.at).is_some_and(|token| token.is(text));
        self.at += 1;
        if found { self.binary(0) } else { None }
    }

    fn operand(&mut self) -> Option<u32> {
        let token = self.tokens.get(self.at)?;
        self.at += 1;
        if token.is("(") {
            let value = self.binary(0)?;
            let closed = self.tokens.get(self.at).is_some_and(|token| token.is(")"));
            self.at += 1;
            return closed.then_some(value);
        }
        if token.is("~") {
            return self.operand().map(|value| !value);
        }
        if token.is("min") || token.is("max") {
            let (a, b) = (self.after("(")?, self.after(",")?);
            let closed = self.tokens.get(self.at).is_some_and(|token| token.is(")"));
            self.at += 1;
            return closed.then_some(if token.is("min") { a.min(b) } else { a.max(b) });
        }
        if token.is_word() {
            return self.constants.get(token.text.as_ref()).copied();
        }
        number(token.text.strip_suffix('u').unwrap_or(&token.text))
    }
}
