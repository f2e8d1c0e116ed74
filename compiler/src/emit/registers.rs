//! Arrays in registers: every element of a marked array → a variable of its own. `unroll` has the rules.

use super::mistake::{Mistake, UnrollError};
use super::names::{Names, declares, names};
use super::place::Place;
use super::tokens::{Constants, Gap, Mark, Token, beside, closing, evaluate, spelled};

/// Takes all marked arrays apart.
pub fn taken_apart<'a>(
    mut tokens: Vec<Token<'a>>,
    constants: &Constants,
    new_names: &mut Names<'_>,
) -> Result<Vec<Token<'a>>, UnrollError> {
    while let Some(end) = tokens.iter().position(|token| token.mark == Some(Mark::Registers)) {
        let array = Array::declared(&tokens, end, constants)?;
        tokens = array.apart(tokens, constants, new_names)?;
    }
    Ok(tokens)
}

/// A marked declaration.
struct Array<'a> {
    name: String,
    /// Outermost first.
    sizes: Vec<u32>,
    element: Vec<Token<'a>>,
    /// Positions of the word `var` and behind the `;`.
    declaration: std::ops::Range<usize>,
    /// Position of the `}` that ends its block.
    scope_end: usize,
}

/// How one element is used at a place.
struct Use {
    /// Position among the tokens of the scope.
    at: usize,
    /// Whether it is assigned there, wholly or in part.
    assigned: bool,
    /// Whether a statement of the array's own block begins with its assignment.
    begins: bool,
}

impl<'a> Array<'a> {
    fn declared(tokens: &[Token<'a>], end: usize, constants: &Constants) -> Result<Self, UnrollError> {
        let mistake = || UnrollError { place: tokens[end].place, mistake: Mistake::Declaration };
        let start = tokens[..end].iter().rposition(|token| token.is("var")).ok_or_else(mistake)?;
        let [_, name, colon, kind @ ..] = &tokens[start..end] else { return Err(mistake()) };
        let (sizes, element) = array_type(kind, constants).ok_or_else(mistake)?;
        if !colon.is(":") || sizes.is_empty() || sizes.contains(&0) {
            return Err(mistake());
        }
        let mut depth = 0_usize;
        let mut scope_end = end + 1;
        while let Some(token) = tokens.get(scope_end) {
            match token.text.as_ref() {
                "{" => depth += 1,
                "}" if depth == 0 => break,
                "}" => depth -= 1,
                _ => {}
            }
            scope_end += 1;
        }
        let element = element.to_vec();
        Ok(Self { name: name.text.to_string(), sizes, element, declaration: start..end + 1, scope_end })
    }

    /// The variables' names, in the order of the elements.
    fn variables(&self, at: &Token<'_>, new_names: &mut Names<'_>) -> Result<Vec<String>, UnrollError> {
        let mut variables = vec![self.name.clone()];
        for size in &self.sizes {
            let mut longer = Vec::new();
            for prefix in &variables {
                for index in 0..*size {
                    longer.push(new_names.numbered(prefix, index, at.place)?);
                }
            }
            variables = longer;
        }
        Ok(variables)
    }

    /// The module with variables in the place of this array.
    fn apart(
        &self,
        mut tokens: Vec<Token<'a>>,
        constants: &Constants,
        new_names: &mut Names<'_>,
    ) -> Result<Vec<Token<'a>>, UnrollError> {
        let mut rest = tokens.split_off(self.scope_end);
        let scope = tokens.split_off(self.declaration.end);
        let var = tokens[self.declaration.start].clone();
        tokens.truncate(self.declaration.start);
        let variables = self.variables(&var, new_names)?;
        let (scope, uses) = self.scope(scope, &variables, constants)?;

        let mut words: Vec<Option<&str>> = vec![None; scope.len()];
        for (variable, uses) in variables.iter().zip(&uses) {
            match first_value(&scope, uses) {
                Some((at, word)) => words[at] = Some(word),
                None => self.zero(&var, variable, &mut tokens),
            }
        }
        for (mut token, word) in scope.into_iter().zip(words) {
            if let Some(word) = word {
                tokens.push(Token { gap: token.gap, ..beside(&token, word) });
                token.gap = Gap::Space;
            }
            tokens.push(token);
        }
        tokens.append(&mut rest);
        Ok(tokens)
    }

    /// `var VARIABLE = TYPE();`
    fn zero(&self, var: &Token<'_>, variable: &str, out: &mut Vec<Token<'a>>) {
        let of = |text: &str, gap| Token { gap, ..beside(var, text.to_owned()) };
        out.push(of("var", Gap::Line));
        out.push(of(variable, Gap::Space));
        out.push(of("=", Gap::Space));
        let spaced = |(at, token): (usize, &Token<'a>)| {
            let gap = if at == 0 { Gap::Space } else { token.gap };
            Token { gap, ..token.clone() }
        };
        out.extend(self.element.iter().enumerate().map(spaced));
        out.extend(["(", ")", ";"].map(|text| of(text, Gap::None)));
    }

    /// The tokens of the array's scope with its elements as variables, and the uses of each.
    fn scope(
        &self,
        mut tokens: Vec<Token<'a>>,
        variables: &[String],
        constants: &Constants,
    ) -> Result<(Vec<Token<'a>>, Vec<Vec<Use>>), UnrollError> {
        let mut scope: Vec<Token<'a>> = Vec::with_capacity(tokens.len());
        let mut uses: Vec<Vec<Use>> = variables.iter().map(|_| Vec::new()).collect();
        let (mut at, mut depth) = (0, 0_usize);
        while at < tokens.len() {
            let is_array = names(&tokens, at, &self.name);
            if is_array && declares(scope.last(), tokens.get(at + 1)) {
                let mistake = Mistake::NameClash { name: self.name.clone() };
                return Err(UnrollError { place: tokens[at].place, mistake });
            }
            // A `.` before the next token is still looked for.
            let token = if tokens[at].is(".") { tokens[at].clone() } else { std::mem::take(&mut tokens[at]) };
            at += 1;
            depth = match token.text.as_ref() {
                "{" => depth + 1,
                "}" => depth.saturating_sub(1),
                _ => depth,
            };
            if !is_array {
                scope.push(token);
                continue;
            }
            let element;
            (element, at) = self.element_at(&tokens, at, token.place, constants)?;
            let before = scope.last();
            let taken = before.is_some_and(|token| token.is("&"));
            let begins = depth == 0 && before.is_none_or(|token| [";", "{", "}"].contains(&token.text.as_ref()));
            uses[element].push(Use {
                at: scope.len(),
                assigned: taken || is_assigned(&tokens, at)?,
                begins: begins && tokens.get(at).is_some_and(|token| token.is("=")),
            });
            scope.push(Token { text: variables[element].clone().into(), ..token });
        }
        Ok((scope, uses))
    }

    /// The number of the element whose indices begin at `at`, and the position behind them.
    fn element_at(
        &self,
        tokens: &[Token<'a>],
        mut at: usize,
        place: Place,
        constants: &Constants,
    ) -> Result<(usize, usize), UnrollError> {
        let mut element = 0_usize;
        for size in &self.sizes {
            let name = self.name.clone();
            if !tokens.get(at).is_some_and(|token| token.is("[")) {
                let mistake = Mistake::ComputedIndex { name, index: "there is none".to_owned() };
                return Err(UnrollError { place, mistake });
            }
            let close = closing(tokens, at)?;
            let expression = &tokens[at + 1..close];
            let Some(index) = evaluate(expression, constants) else {
                let mistake = Mistake::ComputedIndex { name, index: spelled(expression) };
                return Err(UnrollError { place, mistake });
            };
            if index >= *size {
                let mistake = Mistake::IndexOutOfRange { name, size: *size, index };
                return Err(UnrollError { place, mistake });
            }
            element = element * *size as usize + index as usize;
            at = close + 1;
        }
        Ok((element, at))
    }
}

/// Where an element gets its first value in the array's own block, as a statement that does not read it, and whether it keeps
/// that value.
fn first_value(scope: &[Token<'_>], uses: &[Use]) -> Option<(usize, &'static str)> {
    let (first, others) = uses.split_first()?;
    let end = scope[first.at..].iter().position(|token| token.is(";")).map_or(scope.len(), |end| first.at + end);
    let reads_itself = others.first().is_some_and(|second| second.at < end);
    let word = if others.iter().any(|used| used.assigned) { "var" } else { "let" };
    (first.begins && !reads_itself).then_some((first.at, word))
}

/// Whether a token assigns to what stands before it.
pub fn assigns(token: &Token<'_>) -> bool {
    let text = token.text.as_ref();
    let compound = text.len() == 2 && text.ends_with('=') && !["==", "!=", "<=", ">="].contains(&text);
    text == "=" || compound || text == "++" || text == "--"
}

/// Whether what ends before `at` is assigned there, wholly or by components.
fn is_assigned(tokens: &[Token<'_>], mut at: usize) -> Result<bool, UnrollError> {
    loop {
        match tokens.get(at) {
            Some(token) if token.is(".") => at += 2,
            Some(token) if token.is("[") => at = closing(tokens, at)? + 1,
            Some(token) => return Ok(assigns(token)),
            None => return Ok(false),
        }
    }
}

/// Sizes, outermost first, and the element of `array<…, SIZE>`; of any other type no sizes.
pub fn array_type<'t, 'a>(kind: &'t [Token<'a>], constants: &Constants) -> Option<(Vec<u32>, &'t [Token<'a>])> {
    let [array, open, inner @ .., close] = kind else { return Some((vec![], kind)) };
    if !array.is("array") || !open.is("<") || !close.is(">") {
        return Some((vec![], kind));
    }
    let comma = inner.iter().rposition(|token| token.is(","))?;
    let size = evaluate(&inner[comma + 1..], constants)?;
    let (mut sizes, element) = array_type(&inner[..comma], constants)?;
    sizes.insert(0, size);
    Some((sizes, element))
}
