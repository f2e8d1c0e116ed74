//! The functions of a file that a module calls, directly or through one another: what else the file declares is left out.
//!
//! A session holds the text of every kernel in memory, and a device's compiler reads it. It deliberately follows names, not calls: a
//! variable that is called as a function keeps that.

use super::mistake::UnrollError;
use super::tokens::{Token, closing};
use std::collections::BTreeSet;

/// The functions among `tokens`, in their order, that are named in `texts` or by one another.
///
/// # Errors
/// [`Mistake::Unbalanced`](super::mistake::Mistake::Unbalanced) brackets.
pub fn called<'a>(tokens: &[Token<'a>], texts: [&str; 2]) -> Result<Vec<Token<'a>>, UnrollError> {
    let functions = functions(tokens)?;
    let named = texts.iter().flat_map(|text| text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_'));
    let mut names: BTreeSet<&str> = named.collect();
    let mut kept = vec![false; functions.len()];
    loop {
        let is_new = |at: &usize| !kept[*at] && names.contains(functions[*at][1].text.as_ref());
        let Some(new) = (0..functions.len()).rev().find(is_new) else { break };
        kept[new] = true;
        names.extend(functions[new].iter().filter(|token| token.is_word()).map(|token| token.text.as_ref()));
    }
    let of_kept = functions.iter().zip(kept).filter(|(_, kept)| *kept);
    Ok(of_kept.flat_map(|(function, _)| function.iter().cloned()).collect())
}

/// The functions of a file, which declares nothing else.
fn functions<'t, 'a>(tokens: &'t [Token<'a>]) -> Result<Vec<&'t [Token<'a>]>, UnrollError> {
    let mut functions = Vec::new();
    let mut rest = tokens;
    while let Some(open) = rest.iter().position(|token| token.is("{")) {
        let (function, after) = rest.split_at(closing(rest, open)? + 1);
        functions.push(function);
        rest = after;
    }
    Ok(functions)
}

#[cfg(test)]
mod tests {
    use super::{called, functions};
    use crate::emit::tokens::{text, tokens};
    use crate::kernels::FUNCTIONS;

    const FILE: &str = "fn a(x: f32) -> f32 {\n    if (x > 0.0) {\n        return b(x);\n    }\n    return x;\n}\n\
                        fn b(x: f32) -> f32 {\n    return x;\n}\n\
                        fn c(x: f32) -> f32 {\n    return a(x);\n}\n";

    #[track_caller]
    fn check(texts: [&str; 2], kept: &[&str]) {
        let file = tokens("file", FILE).expect("tokens");
        let found = text(&called(&file, texts).expect("balanced")).source;
        let names: Vec<&str> = found.lines().filter_map(|line| line.strip_prefix("fn ")?.split('(').next()).collect();
        assert_eq!(names, kept);
        for line in found.lines() {
            assert!(tokens("file", line).is_ok_and(|line| !line.is_empty()), "{line}");
        }
    }

    #[test]
    fn what_is_called_stays_with_all_that_it_calls() {
        check(["let x = 1.0;", "let a1 = x;"], &[]);
        check(["let x = b(1.0);", ""], &["b"]);
        check(["", "let x = a(1.0);"], &["a", "b"]);
        check(["c(x)", "b(x)"], &["a", "b", "c"]);
    }

    #[test]
    fn the_file_of_functions_declares_nothing_else() {
        let file = tokens(FUNCTIONS.name, FUNCTIONS.text).expect("tokens");
        for function in functions(&file).expect("balanced") {
            assert!(function[0].is("fn"), "line {}", function[0].place.line);
        }
    }
}
