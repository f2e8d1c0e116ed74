//! Generates tokens with a bundle of a language model, linked of entries that share its states: `generate BUNDLE.fmplan COUNT TOKEN...`
//!
//! Entries take `input_ids` and `attention_mask`, one of them one token; docs/networks.md says how they are made.

use flashmem_runtime::{Error, NetworkInfo, RunRequest, Session, Tensor};

/// A session in the middle of a text.
struct Generator {
    session: Session,
    /// Widest first.
    entries: Vec<NetworkInfo>,
    length: usize,
}

/// Elements of an input: of `input_ids` the tokens of a run, of `attention_mask` the room of the cache.
fn size(entry: &NetworkInfo, input: &str) -> usize {
    entry.inputs.iter().find(|port| port.name == input).map_or(1, |port| port.shape.iter().product::<u64>() as usize)
}

impl Generator {
    fn open(bundle: &str) -> Result<Self, Error> {
        let session = Session::builder(bundle).open()?;
        let mut entries = session.networks();
        entries.sort_by_key(|entry| std::cmp::Reverse(size(entry, "input_ids")));
        Ok(Self { session, entries, length: 0 })
    }

    /// The most likely token behind others, which go through the widest entries that they fill.
    fn next(&mut self, mut tokens: &[i64]) -> Result<i64, Error> {
        let mut best = 0;
        while let Some(entry) = self.entries.iter().find(|entry| size(entry, "input_ids") <= tokens.len()) {
            let (piece, rest) = tokens.split_at(size(entry, "input_ids"));
            (tokens, self.length) = (rest, self.length + piece.len());
            let mask: Vec<i64> = (0..size(entry, "attention_mask")).map(|i| i64::from(i < self.length)).collect();
            let inputs = [
                ("input_ids", Tensor::from_i64(&[1, piece.len() as u64], piece)),
                ("attention_mask", Tensor::from_i64(&[1, mask.len() as u64], &mask)),
            ];
            let outputs = self.session.run(RunRequest::new(&inputs).with_network(&entry.name))?;
            let logits = outputs.get("logits").and_then(Tensor::as_f32).unwrap_or_default();
            let last = &logits[logits.len() - logits.len() / piece.len()..];
            let likely = (0..last.len()).max_by(|a, b| last[*a].total_cmp(&last[*b]).then(b.cmp(a)));
            best = likely.unwrap_or(0) as i64;
        }
        Ok(best)
    }
}

fn main() -> Result<(), Error> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [bundle, numbers @ ..] = arguments.as_slice() else { return Ok(()) };
    let numbers: Vec<i64> = numbers.iter().filter_map(|text| text.parse().ok()).collect();
    let [count, prompt @ ..] = numbers.as_slice() else { return Ok(()) };
    let mut generator = Generator::open(bundle)?;
    let mut token = generator.next(prompt)?;
    for _ in 0..*count {
        println!("{token}");
        token = generator.next(&[token])?;
    }
    Ok(())
}
