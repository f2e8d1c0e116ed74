//! `flashmem-run generate`: tokens one after another from a network that remembers.
//!
//! Tokens go in, logits come out, and what the bundle remembers is its state. Of a linked bundle of one model at several lengths, a
//! prompt takes the widest entries that fit, and what is generated the entry of one token. `entry.rs` says what these take, `decoder.rs`
//! runs them, `sampling.rs` chooses the next token. Tokens are numbers everywhere but in `text/`, which makes them of text and text of
//! them.

mod decoder;
mod entry;
mod sampling;
mod text;

use super::opening::{cannot_open, open, parse_io_mode};
use super::report;
use anyhow::{Context as _, bail, ensure};
use clap::Args;
use decoder::Decoder;
use flashmem_plan_format::byte_size;
use flashmem_plan_format::files::{Named, check_outputs};
use flashmem_runtime::{ElementType, IoMode, Options, Session, Tensor, npz};
use sampling::Sampler;
use std::path::{Path, PathBuf};
use std::time::Instant;
use text::{Shown, TextArguments, Vocabulary};

/// Generates tokens from a prompt, one at a time.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  flashmem-compile model.onnx --state auto --set batch_size=1 --set sequence_length=1 --set past_sequence_length=512 \\
      --set total_sequence_length=512
  flashmem-run generate model.fmplan --prompt 'Once upon a time' --tokenizer tokenizer.json --tokens 64
  flashmem-run generate model.fmplan --prompt-ids prompt.npz --tokens 64
  flashmem-run generate model.fmplan --prompt-ids prompt.npz --tokens 64 --temperature 0.8 --top-p 0.95 --seed 7

tokenizer.json comes with a model. A chat is written as the model's template has it, its special tokens by their names:

  --prompt $'<|im_start|>user\nWhat is gravity?<|im_end|>\n<|im_start|>assistant\n' --stop '<|im_end|>'

prompt.npz holds `input_ids`, integers of shape (1, n). Text, or without a tokenizer the numbers of tokens, goes to standard output as it comes. The bundle takes one token a run
(`input_ids`, and where the model has them `attention_mask`, `position_ids` and `past_length`), gives `logits`, and has states. Of a bundle of several
entries of one model, which share their states, a prompt goes through the widest that fit, and then through narrower ones. What else the bundle takes, as
`encoder_hidden_states` or an encoder's keys and values, comes from prompt.npz by its name, and is the same in every run.")]
pub struct GenerateArguments {
    /// The bundle.
    #[arg(value_name = "BUNDLE.fmplan")]
    pub bundle: PathBuf,
    /// The prompt: `input_ids`, integers of shape (1, n), and inputs that do not follow from tokens (.npz).
    #[arg(long, value_name = "IN.npz", required_unless_present = "prompt")]
    pub prompt_ids: Option<PathBuf>,
    /// The prompt in words.
    #[command(flatten)]
    pub text: TextArguments,
    /// Most tokens to generate.
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..))]
    pub tokens: u32,
    /// Where the tokens go: `tokens`, integers of shape (1, n) (.npz).
    #[arg(long, value_name = "OUT.npz")]
    pub outputs: Option<PathBuf>,
    /// Also store `logits`, floats of shape (1, n, vocabulary), that every token was chosen from.
    #[arg(long, requires = "outputs")]
    pub logits: bool,
    /// A token that ends the text, by its number, or by its name in the tokenizer; repeatable.
    #[arg(long, value_name = "TOKEN", allow_hyphen_values = true)]
    pub stop: Vec<String>,
    /// What logits are divided by before a token is drawn; 0 takes the most likely one.
    #[arg(long, value_name = "T", default_value_t = 0.0, value_parser = parse_temperature)]
    pub temperature: f64,
    /// Draw from the K most likely tokens; 0 for all.
    #[arg(long, value_name = "K", default_value_t = 0)]
    pub top_k: u32,
    /// Draw from the most likely tokens that have this much of the probability together.
    #[arg(long, value_name = "P", default_value_t = 1.0, value_parser = parse_share)]
    pub top_p: f64,
    /// Of the random numbers: equal seeds draw equal tokens.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// Use the first adapter whose name contains this text, in any case.
    #[arg(long, value_name = "NAME")]
    pub adapter: Option<String>,
    /// Threads that read weight pages.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=32))]
    pub reader_threads: u32,
    /// How the bundle is read: buffered, cached, direct, mmap or auto.
    #[arg(long, value_name = "MODE", default_value = "auto", value_parser = parse_io_mode)]
    pub io: IoMode,
    /// Refuse a bundle whose declared peak exceeds this, e.g. 64MiB.
    #[arg(long, value_name = "SIZE", value_parser = byte_size::parse)]
    pub budget: Option<u64>,
}

fn parse_temperature(text: &str) -> Result<f64, String> {
    let value: f64 = text.parse().map_err(|_| "expected a number".to_owned())?;
    if value.is_finite() && value >= 0.0 { Ok(value) } else { Err("expected a number from 0 up".to_owned()) }
}

fn parse_share(text: &str) -> Result<f64, String> {
    let value: f64 = text.parse().map_err(|_| "expected a number".to_owned())?;
    if value > 0.0 && value <= 1.0 { Ok(value) } else { Err("expected a number above 0, at most 1".to_owned()) }
}

/// Does what the arguments say.
pub fn run(arguments: &GenerateArguments) -> anyhow::Result<()> {
    let named = |role: &'static str, path: &Option<PathBuf>| path.as_deref().map(|path| Named::new(role, path));
    let read = [
        Some(Named::new("the bundle", &arguments.bundle)),
        named("--prompt-ids", &arguments.prompt_ids),
        named("--tokenizer", &arguments.text.tokenizer),
    ];
    let read: Vec<Named> = read.into_iter().flatten().collect();
    let written: Vec<Named> = arguments.outputs.iter().map(|path| Named::new("--outputs", path)).collect();
    check_outputs(&read, &written)?;
    let tokenizer = arguments.text.open()?;
    let prompt = prompt(arguments, tokenizer.as_ref())?;
    let stops = text::stops(&arguments.stop, tokenizer.as_ref())?;
    let options = Options {
        adapter: arguments.adapter.clone(),
        reader_threads: arguments.reader_threads,
        budget_bytes: arguments.budget,
        io_mode: arguments.io,
        ..Options::default()
    };
    let mut session = open(&arguments.bundle, options).map_err(|error| cannot_open(&arguments.bundle, error))?;
    report::opened(&session.stats());
    let text = generate(&mut session, &prompt, &stops, Shown::with(tokenizer.as_ref()), arguments)?;
    if let Some(path) = &arguments.outputs {
        npz::write(path, &text.tensors())?;
    }
    report::memory(&session.stats());
    Ok(())
}

/// The tokens of the prompt: of text, or as they are.
fn prompt(arguments: &GenerateArguments, tokenizer: Option<&Vocabulary>) -> anyhow::Result<Vec<i64>> {
    if let Some((prompt, tokenizer)) = arguments.text.prompt.as_deref().zip(tokenizer) {
        return Ok(tokenizer.encode(prompt)?);
    }
    prompt_ids(arguments.prompt_ids.as_deref().expect("it is required without --prompt, which requires --tokenizer"))
}

/// The tokens of a file.
fn prompt_ids(path: &Path) -> anyhow::Result<Vec<i64>> {
    let port =
        flashmem_runtime::PortInfo { name: "input_ids".to_owned(), element: ElementType::I64, shape: Vec::new() };
    let arrays = npz::read(path, &[port])?;
    let (_, ids) = arrays.first().with_context(|| format!("{} has no `input_ids`", path.display()))?;
    let line = matches!(ids.shape.as_slice(), [_] | [1, _]);
    let tokens = ids.as_i64().or_else(|| Some(ids.as_i32()?.into_iter().map(i64::from).collect()));
    let tokens = tokens.filter(|tokens| line && !tokens.is_empty());
    tokens.with_context(|| {
        let (element, shape) = (ids.element, &ids.shape);
        format!(
            "{}: `input_ids` has type {element:?} and shape {shape:?}; integers of shape (1, n) are needed",
            path.display()
        )
    })
}

/// The inputs that do not follow from tokens, from the file of the prompt.
fn given(session: &Session, prompt_ids: Option<&Path>) -> anyhow::Result<Vec<(String, Tensor)>> {
    let ports = entry::given(session)?;
    match (prompt_ids, ports.first()) {
        (Some(path), _) => Ok(npz::read(path, &ports)?),
        (None, None) => Ok(Vec::new()),
        (None, Some(port)) => bail!("{port}: it does not follow from text, and comes with --prompt-ids"),
    }
}

/// What was generated.
struct Text {
    tokens: Vec<i64>,
    /// Of every token, where they are wanted.
    logits: Option<Vec<f32>>,
}

impl Text {
    fn tensors(&self) -> Vec<(String, Tensor)> {
        let count = self.tokens.len() as u64;
        let mut tensors = vec![("tokens".to_owned(), Tensor::from_i64(&[1, count], &self.tokens))];
        if let Some(logits) = &self.logits {
            let shape = [1, count, logits.len() as u64 / count.max(1)];
            tensors.push(("logits".to_owned(), Tensor::from_f32(&shape, logits)));
        }
        tensors
    }
}

fn generate(
    session: &mut Session,
    prompt: &[i64],
    stops: &[i64],
    mut shown: Shown<'_>,
    arguments: &GenerateArguments,
) -> anyhow::Result<Text> {
    let given = given(session, arguments.prompt_ids.as_deref())?;
    let mut decoder = Decoder::of(session, &given)?;
    let runs = prompt.len() as u64 + u64::from(arguments.tokens) - 1;
    if let Some(room) = decoder.room() {
        ensure!(
            runs <= room,
            "a prompt of {} tokens and {} generated ones need room for {runs}, and the bundle has room for {room}",
            prompt.len(),
            arguments.tokens
        );
    }
    if arguments.text.prompt.is_some() {
        text::check(prompt, decoder.vocabulary())?;
    }
    let mut sampler = Sampler::new(arguments.temperature, arguments.top_k, arguments.top_p, arguments.seed);
    let mut generated = Text { tokens: Vec::new(), logits: arguments.logits.then(Vec::new) };
    let pieces = decoder.pieces(prompt.len() as u64);
    let start = Instant::now();
    let mut logits = decoder.read(prompt, arguments.tokens > 1)?;
    let (read, read_bytes) = (start.elapsed(), decoder.bytes_read());
    loop {
        let token = sampler.choose(&logits)?;
        generated.tokens.push(token);
        if let Some(all) = &mut generated.logits {
            all.extend(&logits);
        }
        super::output::write(format_args!("{}", shown.push(token)?));
        if generated.tokens.len() as u64 == u64::from(arguments.tokens) || stops.contains(&token) {
            break;
        }
        logits = decoder.read(&[token], generated.tokens.len() as u64 + 1 < u64::from(arguments.tokens))?;
    }
    outln!("{}", shown.finish()?);
    let written = (generated.tokens.len() - 1, start.elapsed().saturating_sub(read));
    report::generated((&pieces, read), written, decoder.bytes_read() - read_bytes);
    Ok(generated)
}
