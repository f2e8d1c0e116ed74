//! One step of a language model: what its inputs are at a position, and which output has the logits.
//!
//! A cache to which new entries are appended has its valid tokens at the start, so the mask is ones up to the position; one that is
//! shifted has them at the end, and so has the mask.

use anyhow::{Context as _, bail, ensure};
use flashmem_runtime::{ElementType, PortInfo, Session, Tensor};

/// A session, and where it is in a text.
pub struct Decoder<'s> {
    session: &'s mut Session,
    inputs: Vec<(PortInfo, Fed)>,
    logits: String,
    /// Tokens so far.
    length: u64,
}

/// What an input is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fed {
    /// The token.
    Token,
    /// Its position.
    Position,
    /// Ones for what there is, from the first place on.
    MaskFromStart,
    /// Ones for what there is, up to the last place.
    MaskToEnd,
}

impl<'s> Decoder<'s> {
    /// Looks at what a session takes and gives, and sets it to the start of a text.
    pub fn of(session: &'s mut Session) -> anyhow::Result<Self> {
        let states = session.states();
        ensure!(!states.is_empty(), "the bundle has no states: compile it with --state auto, or with --state OUT=IN");
        let inputs = session.inputs().into_iter().map(|port| {
            let fed = fed(&port, &states)?;
            Ok((port, fed))
        });
        let inputs = inputs.collect::<anyhow::Result<Vec<_>>>()?;
        ensure!(inputs.iter().any(|(_, fed)| *fed == Fed::Token), "the bundle has no input `input_ids`");
        let logits = session.outputs().into_iter().find(|port| port.name == "logits");
        let logits = logits.context("the bundle has no output `logits`")?.name;
        session.reset_state()?;
        Ok(Self { session, inputs, logits, length: 0 })
    }

    /// Most tokens of a text, as far as the inputs say it.
    pub fn room(&self) -> Option<u64> {
        let masks = self.inputs.iter().filter(|(_, fed)| matches!(fed, Fed::MaskFromStart | Fed::MaskToEnd));
        masks.map(|(port, _)| elements(port)).min()
    }

    /// The logits behind another token.
    pub fn step(&mut self, token: i64) -> anyhow::Result<Vec<f32>> {
        let position = self.length;
        let inputs = self.inputs.iter().map(|(port, fed)| {
            let count = elements(port);
            let values: Vec<i64> = match fed {
                Fed::Token => vec![token],
                Fed::Position => vec![position as i64],
                Fed::MaskFromStart => (0..count).map(|i| i64::from(i <= position)).collect(),
                Fed::MaskToEnd => (0..count).map(|i| i64::from(i + position + 1 >= count)).collect(),
            };
            (port.name.as_str(), tensor(port, &values))
        });
        let inputs: Vec<(&str, Tensor)> = inputs.collect();
        let outputs = self.session.run(&inputs).with_context(|| format!("token {position} failed"))?;
        self.length += 1;
        let logits = outputs.get(&self.logits).context("the run gave no logits")?;
        let floats = logits.as_f32().or_else(|| Some(logits.as_f16()?.into_iter().map(f32::from).collect()));
        floats.with_context(|| format!("logits of type {:?}", logits.element))
    }
}

fn elements(port: &PortInfo) -> u64 {
    port.shape.iter().product()
}

/// What an input is given, by its name and shape.
fn fed(port: &PortInfo, states: &[PortInfo]) -> anyhow::Result<Fed> {
    ensure!(matches!(port.element, ElementType::I64 | ElementType::I32), "{port}: integers are needed to generate");
    let one = || {
        ensure!(
            elements(port) == 1,
            "{port}: a bundle of one token a run is needed to generate: --set sequence_length=1"
        );
        Ok(())
    };
    Ok(match port.name.as_str() {
        "input_ids" => {
            one()?;
            Fed::Token
        }
        "position_ids" => {
            one()?;
            Fed::Position
        }
        "attention_mask" => {
            let appended = states.iter().any(|state| state.shape.get(2) == Some(&elements(port)));
            if appended { Fed::MaskFromStart } else { Fed::MaskToEnd }
        }
        _ => bail!("{port}: nothing is known of this input; input_ids, attention_mask and position_ids are fed"),
    })
}

fn tensor(port: &PortInfo, values: &[i64]) -> Tensor {
    if port.element == ElementType::I32 {
        let narrow: Vec<i32> = values.iter().map(|value| *value as i32).collect();
        return Tensor::from_i32(&port.shape, &narrow);
    }
    Tensor::from_i64(&port.shape, values)
}

#[cfg(test)]
mod tests {
    use super::{Fed, fed};
    use flashmem_runtime::{ElementType, PortInfo};

    fn port(name: &str, element: ElementType, shape: &[u64]) -> PortInfo {
        PortInfo { name: name.to_owned(), element, shape: shape.to_vec() }
    }

    #[test]
    fn inputs_are_fed_by_name_and_shape() {
        let cache = |rows| [port("past_key_values.0.key", ElementType::F32, &[1, 2, rows, 16])];
        let fed_i64 = |name: &str, shape: &[u64], rows| fed(&port(name, ElementType::I64, shape), &cache(rows));
        assert_eq!(fed_i64("input_ids", &[1, 1], 8).expect("one token"), Fed::Token);
        assert_eq!(fed_i64("position_ids", &[1, 1], 8).expect("one token"), Fed::Position);
        assert_eq!(fed_i64("attention_mask", &[1, 8], 8).expect("a mask"), Fed::MaskFromStart);
        assert_eq!(fed_i64("attention_mask", &[1, 8], 7).expect("a mask"), Fed::MaskToEnd);
        let said = |name: &str, shape: &[u64]| fed_i64(name, shape, 8).expect_err("it is not fed").to_string();
        assert!(said("input_ids", &[1, 4]).contains("--set sequence_length=1"));
        assert!(said("token_type_ids", &[1, 1]).contains("nothing is known of this input"));
        let floats = fed(&port("input_ids", ElementType::F32, &[1, 1]), &cache(8));
        assert!(floats.expect_err("no integers").to_string().contains("integers are needed"));
    }
}
