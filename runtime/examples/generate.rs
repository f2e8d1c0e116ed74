//! Generates tokens with a bundle that has states: `generate BUNDLE.fmplan ROOM COUNT TOKEN...`
//!
//! The bundle takes `input_ids` and `attention_mask`, of as many places as ROOM, one token a run; docs/state.md says how it is compiled.

use flashmem_runtime::{Error, Session, Tensor};

/// A session in the middle of a text.
struct Generator {
    session: Session,
    /// Ones for the tokens so far.
    mask: Vec<i64>,
    length: usize,
}

impl Generator {
    fn open(bundle: &str, room: usize) -> Result<Self, Error> {
        Ok(Self { session: Session::builder(bundle).open()?, mask: vec![0; room], length: 0 })
    }

    /// The most likely token behind another one.
    fn next(&mut self, token: i64) -> Result<i64, Error> {
        self.mask[self.length] = 1;
        self.length += 1;
        let inputs = [
            ("input_ids", Tensor::from_i64(&[1, 1], &[token])),
            ("attention_mask", Tensor::from_i64(&[1, self.mask.len() as u64], &self.mask)),
        ];
        let outputs = self.session.run(&inputs)?;
        let logits = outputs.get("logits").and_then(Tensor::as_f32).unwrap_or_default();
        let best = (0..logits.len()).max_by(|a, b| logits[*a].total_cmp(&logits[*b]).then(b.cmp(a)));
        Ok(best.unwrap_or(0) as i64)
    }
}

fn main() -> Result<(), Error> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [bundle, numbers @ ..] = arguments.as_slice() else { return Ok(()) };
    let numbers: Vec<i64> = numbers.iter().filter_map(|text| text.parse().ok()).collect();
    let [room, count, prompt @ ..] = numbers.as_slice() else { return Ok(()) };
    let mut generator = Generator::open(bundle, *room as usize)?;
    let mut token = 0;
    for given in prompt {
        token = generator.next(*given)?;
    }
    for _ in 0..*count {
        println!("{token}");
        token = generator.next(token)?;
    }
    Ok(())
}
