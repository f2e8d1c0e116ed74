//! Why text is not tokens, or tokens are not text.

use std::path::PathBuf;

/// Why text is not tokens, or tokens are not text.
#[derive(Debug, thiserror::Error)]
pub enum TextError {
    #[cfg(any(not(feature = "text"), test))]
    #[error(
        "--tokenizer {0}: this program was built without text; build it with its default features, or with --features text, or give \
         the prompt with --prompt-ids"
    )]
    NotBuilt(PathBuf),
    #[cfg(feature = "text")]
    #[error("cannot read {0}: {1}")]
    Unreadable(PathBuf, std::io::Error),
    #[cfg(feature = "text")]
    #[error("{0} is no tokenizer.json: {1}")]
    NoTokenizer(PathBuf, tokenizers::Error),
    #[cfg(feature = "text")]
    #[error("--prompt is no text for {0}: {1}")]
    NotEncoded(PathBuf, tokenizers::Error),
    #[cfg(feature = "text")]
    #[error("--prompt has no tokens")]
    Empty,
    #[error("--prompt has token {token}, and the model knows {vocabulary}: the tokenizer is another model's")]
    BeyondModel { token: i64, vocabulary: usize },
    #[cfg(feature = "text")]
    #[error("the model chose token {token}, which {path} does not have: the tokenizer is another model's")]
    UnknownToken { token: i64, path: PathBuf },
    #[cfg(feature = "text")]
    #[error("token {0} cannot be shown: {1}")]
    NotDecoded(u32, tokenizers::Error),
    #[error("--stop {0}: it is no number, and no token of the tokenizer")]
    NoStop(String),
    #[error("--stop {0}: it is no number, and without --tokenizer tokens are numbers")]
    NoStopNumber(String),
}

#[cfg(all(test, feature = "text"))]
mod tests {
    use super::TextError;
    use flashmem_plan_format::examples;
    use flashmem_plan_format::testing::messages::check;
    use std::path::Path;

    #[test]
    fn messages_are_as_committed() {
        let path = || "tokenizer.json".into();
        let found = examples!(TextError {
            NotBuilt(path());
            Unreadable(path(), std::io::ErrorKind::NotFound.into());
            NoTokenizer(path(), "expected value at line 1 column 1".into());
            NotEncoded(path(), "a normaliser failed".into());
            Empty;
            BeyondModel { token: 60_000, vocabulary: 50_257 };
            UnknownToken { token: 60_000, path: path() };
            NotDecoded(7, "it has no decoder".into());
            NoStop("<end>".to_owned());
            NoStopNumber("<end>".to_owned());
        });
        check(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/text_errors.txt"), &found);
    }
}
