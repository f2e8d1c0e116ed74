//! A tokenizer, by the `tokenizers` crate: text to tokens, and tokens to text as soon as it is whole.
//!
//! Characters may take several tokens: what ends inside one waits for the next, and shows as U+FFFD where none comes. Special tokens of a
//! prompt are found by their names, and those that a model gives are not shown.

use super::error::TextError;
use std::path::{Path, PathBuf};
use tokenizers::Tokenizer;

/// A tokenizer, and where it was read.
pub struct Vocabulary {
    tokenizer: Tokenizer,
    path: PathBuf,
}

impl Vocabulary {
    pub fn open(path: &Path) -> Result<Self, TextError> {
        let bytes = std::fs::read(path).map_err(|error| TextError::Unreadable(path.to_owned(), error))?;
        let tokenizer = Tokenizer::from_bytes(bytes).map_err(|error| TextError::NoTokenizer(path.to_owned(), error))?;
        Ok(Self { tokenizer, path: path.to_owned() })
    }

    /// The tokens of a text, with those that the tokenizer puts around it.
    pub fn encode(&self, text: &str) -> Result<Vec<i64>, TextError> {
        let encoded = self.tokenizer.encode_fast(text, true);
        let encoded = encoded.map_err(|error| TextError::NotEncoded(self.path.clone(), error))?;
        let tokens: Vec<i64> = encoded.get_ids().iter().map(|id| i64::from(*id)).collect();
        if tokens.is_empty() { Err(TextError::Empty) } else { Ok(tokens) }
    }

    /// The token of this name.
    pub fn token(&self, name: &str) -> Option<i64> {
        self.tokenizer.token_to_id(name).map(i64::from)
    }

    /// The text of tokens that come one by one.
    pub const fn stream(&self) -> Stream<'_> {
        Stream { vocabulary: self, shown: Vec::new(), waiting: Vec::new() }
    }

    fn decode(&self, ids: &[u32]) -> Result<String, TextError> {
        let text = self.tokenizer.decode(ids, true);
        text.map_err(|error| TextError::NotDecoded(ids.last().copied().unwrap_or_default(), error))
    }
}

/// The text of tokens that come one by one.
///
/// Decoders treat the beginning of a text in their own way, so tokens are read behind the last ones that gave text. Unlike the crate's own
/// stream, it goes on where a decoder writes these otherwise in front of others.
pub struct Stream<'a> {
    vocabulary: &'a Vocabulary,
    /// The last tokens that gave text, and what came without any before or behind them.
    shown: Vec<u32>,
    /// Those behind them, which end inside a character.
    waiting: Vec<u32>,
}

impl Stream<'_> {
    /// The text that is whole with one more token.
    pub fn push(&mut self, token: i64) -> Result<String, TextError> {
        let Vocabulary { tokenizer, path } = self.vocabulary;
        let id = u32::try_from(token).ok().filter(|id| tokenizer.id_to_token(*id).is_some());
        self.waiting.push(id.ok_or_else(|| TextError::UnknownToken { token, path: path.clone() })?);
        self.text(false)
    }

    /// What waits in vain.
    pub fn finish(&mut self) -> Result<String, TextError> {
        self.text(true)
    }

    /// The text of what waits, if it is whole, or wanted as it is.
    fn text(&mut self, last: bool) -> Result<String, TextError> {
        let both = self.vocabulary.decode(&[self.shown.as_slice(), &self.waiting].concat())?;
        if both.ends_with(char::REPLACEMENT_CHARACTER) && !last {
            return Ok(String::new());
        }
        let before = self.vocabulary.decode(&self.shown)?;
        let waiting = std::mem::take(&mut self.waiting);
        let text =
            both.strip_prefix(&before).map(str::to_owned).map_or_else(|| self.vocabulary.decode(&waiting), Ok)?;
        // What gave no text may yet be the beginning of one.
        if text.is_empty() {
            self.shown.extend(waiting);
        } else {
            self.shown = waiting;
        }
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Shown, stops};
    use super::{TextError, Vocabulary};

    /// Bytes as tokens, in GPT-2's letters for them: `é` is `Ã` `©`.
    const BYTES: &str = r#"{
        "version": "1.0",
        "added_tokens": [{
            "id": 5, "content": "<s>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true
        }],
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
        "decoder": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
        "model": {"type": "BPE", "vocab": {"a": 0, "Ġ": 1, "Ã": 2, "©": 3, "Ġa": 4}, "merges": ["Ġ a"]}
    }"#;

    fn vocabulary(json: &str) -> Result<Vocabulary, TextError> {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("tokenizer.json");
        std::fs::write(&file, json).expect("written");
        Vocabulary::open(&file)
    }

    #[test]
    fn text_is_tokens_and_tokens_are_text_again() {
        let vocabulary = vocabulary(BYTES).expect("a tokenizer");
        assert_eq!(vocabulary.encode("a a<s>é").expect("tokens"), [0, 4, 5, 2, 3]);
        let mut shown = Shown::with(Some(&vocabulary));
        let pieces: Vec<String> = [0, 4, 5, 2, 3, 1].into_iter().map(|id| shown.push(id).expect("text")).collect();
        assert_eq!(pieces, ["a", " a", "", "", "é", " "]);
        assert_eq!(shown.finish().expect("nothing waits"), "");
        assert_eq!(stops(&["<s>".to_owned(), "7".to_owned()], Some(&vocabulary)).expect("tokens"), [5, 7]);
    }

    #[test]
    fn half_a_character_waits_and_shows_as_such_at_the_end() {
        let vocabulary = vocabulary(BYTES).expect("a tokenizer");
        let mut shown = Shown::with(Some(&vocabulary));
        assert_eq!(shown.push(2).expect("text"), "");
        assert_eq!(shown.finish().expect("text"), "\u{fffd}");
        assert_eq!(shown.finish().expect("text"), "");
        // Text goes on behind it, and a special token shows nothing.
        assert_eq!(shown.push(4).expect("text"), " a");
        assert_eq!(shown.push(5).expect("text"), "");
        assert_eq!(shown.finish().expect("text"), "");
    }

    #[test]
    fn a_text_in_pieces_is_the_text_at_once() {
        // The first mark of a space is left out, and no other.
        let words = vocabulary(
            r#"{
                "version": "1.0",
                "decoder": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true},
                "model": {"type": "WordLevel", "vocab": {"▁a": 0, "a": 1, "▁": 2}, "unk_token": "a"}
            }"#,
        )
        .expect("a tokenizer");
        for ids in [[2, 0, 1, 2], [0, 0, 2, 1], [2, 2, 0, 0], [1, 2, 2, 0]] {
            let mut stream = words.stream();
            let pieces: String = ids.into_iter().map(|id| stream.push(i64::from(id)).expect("text")).collect();
            assert_eq!(pieces, words.decode(&ids).expect("text"), "{ids:?}");
        }
    }

    #[test]
    fn what_is_no_text_is_refused_by_name() {
        let bytes = vocabulary(BYTES).expect("a tokenizer");
        assert!(matches!(bytes.encode(""), Err(TextError::Empty)));
        for token in [-1, 6, 1 << 40] {
            let said = bytes.stream().push(token).expect_err("unknown").to_string();
            assert!(said.contains(&format!("token {token},")) && said.contains("tokenizer.json"), "{said}");
        }
        assert!(stops(&["</s>".to_owned()], Some(&bytes)).expect_err("unknown").to_string().contains("--stop </s>"));
        let said = vocabulary("{}").err().expect("no tokenizer").to_string();
        assert!(said.contains("tokenizer.json is no tokenizer.json: "), "{said}");
        let said = Vocabulary::open("none.json".as_ref()).err().expect("no file").to_string();
        assert!(said.starts_with("cannot read none.json: "), "{said}");
    }
}
