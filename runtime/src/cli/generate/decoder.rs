//! A text that goes through the entries of a bundle: its next tokens in pieces, the widest that fit first.
//!
//! Nothing is padded: what is left when no wider entry fits goes through the entry of one token. Which entry comes next is announced,
//! so that its pages are loaded early.

use super::entry::{Entry, entries};
use anyhow::Context as _;
use flashmem_runtime::{RunRequest, Session, Tensor};

/// A session, and where it is in a text.
pub struct Decoder<'s> {
    session: &'s mut Session,
    /// Widest first; the last one takes one token.
    entries: Vec<Entry>,
    /// Tokens so far.
    length: u64,
}

impl<'s> Decoder<'s> {
    /// Looks at what a session takes and gives, and sets it to the start of a text, with which come the inputs that
    /// [`given`](super::entry::given) names.
    pub fn of(session: &'s mut Session, given: &[(String, Tensor)]) -> anyhow::Result<Self> {
        let entries = entries(session, given)?;
        session.reset_state()?;
        Ok(Self { session, entries, length: 0 })
    }

    /// Most tokens of a text, as far as the inputs of the entry of one token say it.
    pub fn room(&self) -> Option<u64> {
        self.entries.last().and_then(Entry::room)
    }

    /// How many tokens the model knows.
    pub fn vocabulary(&self) -> usize {
        self.entries.last().map_or(0, Entry::vocabulary)
    }

    /// Bytes read so far, opening included.
    pub fn bytes_read(&self) -> u64 {
        self.session.stats().io.bytes_read
    }

    /// The tokens of each run that would read so many more.
    pub fn pieces(&self, tokens: u64) -> Vec<u64> {
        pieces(&self.entries, self.length, tokens).into_iter().map(|entry| self.entries[entry].width).collect()
    }

    /// The logits behind more tokens, of which there must be one. With `continues`, another one follows.
    pub fn read(&mut self, tokens: &[i64], continues: bool) -> anyhow::Result<Vec<f32>> {
        let mut order = pieces(&self.entries, self.length, tokens.len() as u64);
        order.extend(continues.then(|| self.entries.len() - 1));
        let (mut rest, mut logits) = (tokens, Vec::new());
        for (place, entry) in order.iter().enumerate() {
            if rest.is_empty() {
                break;
            }
            let (piece, behind) = rest.split_at(self.entries[*entry].width as usize);
            if let Some(next) = order.get(place + 1).and_then(|next| self.entries[*next].network.as_deref()) {
                self.session.next(next)?;
            }
            logits = self.run(*entry, piece)?;
            rest = behind;
        }
        Ok(logits)
    }

    /// The logits behind a piece that is as wide as its entry.
    fn run(&mut self, entry: usize, piece: &[i64]) -> anyhow::Result<Vec<f32>> {
        let (entry, position) = (&mut self.entries[entry], self.length);
        entry.feed(piece, position);
        let request = RunRequest::new(entry.inputs());
        let outputs = self.session.run(match &entry.network {
            Some(name) => request.with_network(name),
            None => request,
        });
        let outputs = outputs.with_context(|| format!("token {position} failed"))?;
        self.length += piece.len() as u64;
        entry.last_logits(outputs.get("logits").context("the run gave no logits")?)
    }
}

/// The entries that `tokens` more go through: at every place the widest of which there are tokens enough and which has the room.
fn pieces(entries: &[Entry], mut length: u64, tokens: u64) -> Vec<usize> {
    let end = length + tokens;
    let mut order = Vec::new();
    while length < end {
        let fits = |entry: &Entry| {
            let behind = length + entry.width;
            behind <= end && entry.room().is_none_or(|room| behind <= room)
        };
        // The entry of one token is always taken: a text that does not fit it is refused before.
        let entry = entries.iter().position(fits).unwrap_or(entries.len() - 1);
        length += entries[entry].width;
        order.push(entry);
    }
    order
}
