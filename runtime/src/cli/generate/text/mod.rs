//! Text to tokens and back, by the `tokenizer.json` that comes with a model.
//!
//! What a tokenizer does is the `tokenizers` crate's, in `vocabulary.rs`; programs without the feature `text` have `absent.rs` in its
//! place, which refuses. It knows no chat templates: the prompt is the text as the model is to read it.

#[cfg(any(not(feature = "text"), test))]
#[cfg_attr(feature = "text", expect(dead_code, reason = "only that it refuses is tested"))]
mod absent;
mod error;
#[cfg(feature = "text")]
mod vocabulary;

#[cfg(not(feature = "text"))]
pub use absent::{Stream, Vocabulary};
use clap::Args;
pub use error::TextError;
use std::path::PathBuf;
#[cfg(feature = "text")]
pub use vocabulary::{Stream, Vocabulary};

/// A prompt in words.
#[derive(Debug, Clone, Args)]
pub struct TextArguments {
    /// The prompt, as text; special tokens by their names.
    #[arg(long, value_name = "TEXT", requires = "tokenizer", conflicts_with = "prompt_ids")]
    pub prompt: Option<String>,
    /// What makes tokens of text, and text of tokens, which then is shown instead of their numbers.
    #[arg(long, value_name = "TOKENIZER.json")]
    pub tokenizer: Option<PathBuf>,
}

impl TextArguments {
    /// The tokenizer, if one is named.
    pub fn open(&self) -> Result<Option<Vocabulary>, TextError> {
        self.tokenizer.as_deref().map(Vocabulary::open).transpose()
    }
}

/// The tokens of a prompt, which the model must know.
pub fn check(tokens: &[i64], vocabulary: usize) -> Result<(), TextError> {
    let beyond = tokens.iter().find(|token| usize::try_from(**token).is_ok_and(|token| token >= vocabulary));
    beyond.map_or(Ok(()), |token| Err(TextError::BeyondModel { token: *token, vocabulary }))
}

/// The tokens that end a text: numbers, and names that the tokenizer knows.
pub fn stops(names: &[String], tokenizer: Option<&Vocabulary>) -> Result<Vec<i64>, TextError> {
    let stop = |name: &String| {
        let number = name.parse().ok();
        let Some(tokenizer) = tokenizer else { return number.ok_or_else(|| TextError::NoStopNumber(name.clone())) };
        number.or_else(|| tokenizer.token(name)).ok_or_else(|| TextError::NoStop(name.clone()))
    };
    names.iter().map(stop).collect()
}

/// What there is to show of tokens as they come.
pub enum Shown<'a> {
    /// Their numbers, with this in front of the next one.
    Numbers(&'static str),
    /// Their text.
    Text(Stream<'a>),
}

impl<'a> Shown<'a> {
    /// Text where there is a tokenizer.
    pub fn with(tokenizer: Option<&'a Vocabulary>) -> Self {
        tokenizer.map_or(Self::Numbers(""), |tokenizer| Self::Text(tokenizer.stream()))
    }

    /// What there is to show behind a token.
    pub fn push(&mut self, token: i64) -> Result<String, TextError> {
        match self {
            Self::Numbers(between) => Ok(format!("{}{token}", std::mem::replace(between, " "))),
            Self::Text(stream) => stream.push(token),
        }
    }

    /// What is left to show behind the last one.
    pub fn finish(&mut self) -> Result<String, TextError> {
        match self {
            Self::Numbers(_) => Ok(String::new()),
            Self::Text(stream) => stream.finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Shown, absent, check, stops};

    #[test]
    fn without_a_tokenizer_tokens_are_numbers() {
        let mut shown = Shown::with(None);
        let text: String = [7, 8].into_iter().map(|token| shown.push(token).expect("a number")).collect();
        assert_eq!((text.as_str(), shown.finish().expect("nothing").as_str()), ("7 8", ""));
        assert_eq!(stops(&["2".to_owned(), "-1".to_owned()], None).expect("numbers"), [2, -1]);
        let said = stops(&["</s>".to_owned()], None).expect_err("a name").to_string();
        assert!(said.contains("--stop </s>") && said.contains("without --tokenizer"), "{said}");
    }

    #[test]
    fn a_program_without_text_says_how_to_get_it() {
        let said = absent::Vocabulary::open("a.json".as_ref()).err().expect("there is none").to_string();
        assert!(said.contains("--tokenizer a.json") && said.contains("--features text"), "{said}");
    }

    #[test]
    fn a_prompt_of_another_model_is_refused_by_its_token() {
        assert!(check(&[0, 79], 80).is_ok());
        let said = check(&[0, 80], 80).expect_err("beyond").to_string();
        assert!(said.contains("token 80") && said.contains("knows 80"), "{said}");
    }
}
