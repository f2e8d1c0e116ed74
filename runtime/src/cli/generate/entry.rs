//! The networks of a bundle that a text goes through: how many tokens each takes at once, and what its inputs are at a position.
//!
//! A bundle of one network has one entry. In a linked one, every network that takes `input_ids` and gives `logits` is an entry,
//! and all of them remember the same. A cache to which new entries are appended has its valid tokens at the start, so the mask
//! is ones up to the last one; one that is shifted has them at the end, and so has the mask. Inputs that none of this is said
//! of, an encoder's values say, come with the prompt and stay the same in every run. It runs nothing.

use anyhow::{Context as _, bail, ensure};
use flashmem_runtime::{ElementType, PortInfo, Session, Tensor};

/// A network that takes some tokens of a text at once.
#[derive(Debug)]
pub struct Entry {
    /// What a linked bundle calls it.
    pub network: Option<String>,
    /// Tokens of a run.
    pub width: u64,
    ports: Vec<(PortInfo, Fed)>,
    /// What the last run was given, in the order of `ports`.
    inputs: Vec<(String, Tensor)>,
    /// Tokens that the states have room for, where `past_length` says how many there are.
    states_room: Option<u64>,
    /// Logits of a token.
    vocabulary: usize,
}

/// What an input is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fed {
    /// The tokens.
    Tokens,
    /// Their positions.
    Positions,
    /// How many tokens there are before them.
    Length,
    /// Ones for what there is, from the first place on.
    MaskFromStart,
    /// Ones for what there is, up to the last place.
    MaskToEnd,
    /// The same in every run, as it came with the prompt.
    Given,
}

/// What a network takes, gives and remembers.
struct Ports {
    network: Option<String>,
    inputs: Vec<PortInfo>,
    outputs: Vec<PortInfo>,
    states: Vec<PortInfo>,
}

/// The inputs of a bundle that are to come with the prompt. What cannot generate has none.
pub fn given(session: &Session) -> anyhow::Result<Vec<PortInfo>> {
    let networks = networks(session)?;
    check_states(&networks, &session.states())?;
    let mut ports: Vec<PortInfo> = Vec::new();
    for port in networks.into_iter().flat_map(|network| network.inputs) {
        if !FED.contains(&port.name.as_str()) && ports.iter().all(|other| other.name != port.name) {
            ports.push(port);
        }
    }
    Ok(ports)
}

/// The entries of a bundle, widest first; the last one takes one token. Inputs that came with the prompt stay the same in all runs.
pub fn entries(session: &Session, given: &[(String, Tensor)]) -> anyhow::Result<Vec<Entry>> {
    let networks = networks(session)?;
    check_states(&networks, &session.states())?;
    let mut entries = networks.iter().map(|ports| Entry::of(ports, given)).collect::<anyhow::Result<Vec<_>>>()?;
    entries.sort_by_key(|entry| std::cmp::Reverse(entry.width));
    let all = || entries.iter().map(Entry::described).collect::<Vec<_>>().join(", ");
    let takes_one = entries.last().is_some_and(|entry| entry.width == 1);
    ensure!(
        takes_one,
        "a run of one token is needed to generate, and the bundle takes {}: compile it, or link an entry, with --set sequence_length=1",
        all()
    );
    Ok(entries)
}

/// The only network, or all that take tokens and give logits.
fn networks(session: &Session) -> anyhow::Result<Vec<Ports>> {
    let networks = session.networks();
    if networks.is_empty() {
        let (inputs, outputs, states) = (session.inputs(), session.outputs(), session.states());
        return Ok(vec![Ports { network: None, inputs, outputs, states }]);
    }
    let names: Vec<String> = networks.iter().map(|network| format!("`{}`", network.name)).collect();
    let has = |ports: &[PortInfo], name: &str| ports.iter().any(|port| port.name == name);
    let entries =
        networks.into_iter().filter(|network| has(&network.inputs, "input_ids") && has(&network.outputs, "logits"));
    let entries: Vec<_> = entries
        .map(|network| Ports {
            network: Some(network.name),
            inputs: network.inputs,
            outputs: network.outputs,
            states: network.states,
        })
        .collect();
    ensure!(!entries.is_empty(), "none of the networks {} takes `input_ids` and gives `logits`", names.join(", "));
    Ok(entries)
}

/// All entries go on where another one has stopped.
fn check_states(networks: &[Ports], of_session: &[PortInfo]) -> anyhow::Result<()> {
    let mut sets = networks.iter().map(|ports| {
        let mut states = ports.states.clone();
        states.sort_by(|a, b| a.name.cmp(&b.name));
        (ports.network.as_deref().unwrap_or_default(), states)
    });
    let Some((first_name, first)) = sets.next() else { return Ok(()) };
    ensure!(!first.is_empty(), "the bundle has no states: compile it with --state auto, or with --state OUT=IN");
    for (name, states) in sets {
        let differing = states.iter().zip(&first).find(|(state, of_first)| state != of_first);
        if let Some((state, of_first)) = differing {
            bail!("networks `{first_name}` and `{name}` do not remember the same: {of_first} and {state}");
        }
        let (one, other) = (first.len(), states.len());
        ensure!(
            one == other,
            "networks `{first_name}` and `{name}` do not remember the same: {one} and {other} states"
        );
    }
    let shared = of_session.iter().filter(|state| first.iter().any(|own| own.name == state.name)).count();
    ensure!(shared == first.len(), "the networks have states of their own: link them with --states shared");
    Ok(())
}

impl Entry {
    fn of(network: &Ports, given: &[(String, Tensor)]) -> anyhow::Result<Self> {
        let ids = network.inputs.iter().find(|port| port.name == "input_ids");
        let ids = ids.context("the bundle has no input `input_ids`")?;
        let width = elements(ids);
        ensure!(ids.shape.last() == Some(&width), "{ids}: one text at a time is generated: --set batch_size=1");
        let (mut ports, mut inputs) = (Vec::new(), Vec::new());
        for port in &network.inputs {
            let fed = fed(port, width, &network.states)?;
            inputs.push((port.name.clone(), first_value(port, fed, given)?));
            ports.push((port.clone(), fed));
        }
        let logits = network.outputs.iter().find(|port| port.name == "logits");
        let logits = logits.context("the bundle has no output `logits`")?;
        let vocabulary = *logits.shape.last().with_context(|| format!("{logits}: it has no axis of tokens"))? as usize;
        let counts = ports.iter().any(|(_, fed)| *fed == Fed::Length);
        let states_room = network.states.iter().filter_map(|state| state.shape.get(2).copied()).max();
        let states_room = states_room.filter(|_| counts);
        Ok(Self { network: network.network.clone(), width, ports, inputs, states_room, vocabulary })
    }

    /// For people.
    fn described(&self) -> String {
        let name = self.network.as_ref().map_or_else(String::new, |name| format!(" (`{name}`)"));
        format!("{}{name}", self.width)
    }

    /// How many tokens there are logits of.
    pub const fn vocabulary(&self) -> usize {
        self.vocabulary
    }

    /// Most tokens of a text, the run's own included, as far as inputs and states say it.
    pub fn room(&self) -> Option<u64> {
        let masks = self.ports.iter().filter(|(_, fed)| matches!(fed, Fed::MaskFromStart | Fed::MaskToEnd));
        masks.map(|(port, _)| elements(port)).chain(self.states_room).min()
    }

    /// Makes the inputs those of a run of `tokens`, of which the first has this position.
    pub fn feed(&mut self, tokens: &[i64], position: u64) {
        let end = position + tokens.len() as u64;
        for ((port, fed), (_, input)) in self.ports.iter().zip(&mut self.inputs) {
            let count = elements(port);
            *input = match fed {
                Fed::Tokens => tensor(port, tokens),
                Fed::Positions => tensor(port, &(position..end).map(|place| place as i64).collect::<Vec<_>>()),
                Fed::Length => tensor(port, &[position as i64]),
                Fed::MaskFromStart => tensor(port, &(0..count).map(|i| i64::from(i < end)).collect::<Vec<_>>()),
                Fed::MaskToEnd => tensor(port, &(0..count).map(|i| i64::from(i + end >= count)).collect::<Vec<_>>()),
                Fed::Given => continue,
            };
        }
    }

    /// What [`Entry::feed`] made.
    pub fn inputs(&self) -> &[(String, Tensor)] {
        &self.inputs
    }

    /// Those of the last token, of all that a run gave.
    pub fn last_logits(&self, logits: &Tensor) -> anyhow::Result<Vec<f32>> {
        let floats = logits.as_f32().or_else(|| Some(logits.as_f16()?.into_iter().map(f32::from).collect()));
        let mut floats = floats.with_context(|| format!("logits of type {:?}", logits.element))?;
        Ok(floats.split_off(floats.len().saturating_sub(self.vocabulary)))
    }
}

fn elements(port: &PortInfo) -> u64 {
    port.shape.iter().product()
}

/// Names of the inputs that follow from the text.
const FED: [&str; 4] = ["input_ids", "position_ids", "past_length", "attention_mask"];

/// What an input is given, by its name and shape.
fn fed(port: &PortInfo, width: u64, states: &[PortInfo]) -> anyhow::Result<Fed> {
    if !FED.contains(&port.name.as_str()) {
        return Ok(Fed::Given);
    }
    ensure!(matches!(port.element, ElementType::I64 | ElementType::I32), "{port}: integers are needed to generate");
    Ok(match port.name.as_str() {
        "position_ids" => {
            ensure!(elements(port) == width, "{port}: a run of {width} tokens has as many positions");
            Fed::Positions
        }
        "past_length" => {
            ensure!(elements(port) == 1, "{port}: the number of tokens before a run is one number");
            Fed::Length
        }
        "attention_mask" => {
            let appended = states.iter().any(|state| state.shape.get(2) == Some(&elements(port)));
            if appended { Fed::MaskFromStart } else { Fed::MaskToEnd }
        }
        _ => Fed::Tokens,
    })
}

/// What is given before there is a text: nothing, or what came with the prompt.
fn first_value(port: &PortInfo, fed: Fed, given: &[(String, Tensor)]) -> anyhow::Result<Tensor> {
    if fed != Fed::Given {
        return Ok(Tensor::from_i64(&[0], &[]));
    }
    let found = given.iter().find(|(name, _)| *name == port.name);
    let (_, value) =
        found.with_context(|| format!("{port}: it does not follow from the text, and must come with it"))?;
    ensure!(
        value.element == port.element && value.shape == port.shape,
        "{port}: what came with the text has type {:?} and shape {:?}",
        value.element,
        value.shape
    );
    Ok(value.clone())
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
    use super::{Entry, Fed, Ports, check_states, fed};
    use flashmem_runtime::{ElementType, PortInfo, Tensor};

    fn port(name: &str, element: ElementType, shape: &[u64]) -> PortInfo {
        PortInfo { name: name.to_owned(), element, shape: shape.to_vec() }
    }

    fn cache(rows: u64) -> Vec<PortInfo> {
        vec![port("past_key_values.0.key", ElementType::F32, &[1, 2, rows, 16])]
    }

    fn ports(network: &str, width: u64, mask: u64, rows: u64) -> Ports {
        let of = |name: &str, shape: &[u64]| port(name, ElementType::I64, shape);
        let inputs =
            vec![of("input_ids", &[1, width]), of("position_ids", &[1, width]), of("attention_mask", &[1, mask])];
        let outputs = vec![port("logits", ElementType::F32, &[1, width, 80])];
        Ports { network: Some(network.to_owned()), inputs, outputs, states: cache(rows) }
    }

    #[test]
    fn inputs_are_fed_by_name_and_shape() {
        let fed_i64 = |name: &str, shape: &[u64], rows| fed(&port(name, ElementType::I64, shape), 4, &cache(rows));
        assert_eq!(fed_i64("input_ids", &[1, 4], 8).expect("tokens"), Fed::Tokens);
        assert_eq!(fed_i64("position_ids", &[1, 4], 8).expect("as many"), Fed::Positions);
        assert_eq!(fed_i64("past_length", &[1], 8).expect("one number"), Fed::Length);
        assert_eq!(fed_i64("attention_mask", &[1, 8], 8).expect("a mask"), Fed::MaskFromStart);
        assert_eq!(fed_i64("attention_mask", &[1, 8], 4).expect("a mask"), Fed::MaskToEnd);
        let said = |name: &str, shape: &[u64]| fed_i64(name, shape, 8).expect_err("it is not fed").to_string();
        assert!(said("position_ids", &[1, 1]).contains("a run of 4 tokens"));
        assert_eq!(fed_i64("token_type_ids", &[1, 1], 8).expect("it comes with the prompt"), Fed::Given);
        let floats = fed(&port("input_ids", ElementType::F32, &[1, 1]), 1, &cache(8));
        assert!(floats.expect_err("no integers").to_string().contains("integers are needed"));
    }

    #[test]
    fn several_tokens_have_positions_and_ones_for_all_that_is_there() {
        let values = |mask, rows| {
            let mut entry = Entry::of(&ports("a", 3, mask, rows), &[]).expect("an entry");
            assert_eq!((entry.width, entry.room()), (3, Some(mask)));
            entry.feed(&[7, 8, 9], 2);
            entry.inputs().iter().map(|(_, tensor)| tensor.as_i64().expect("integers")).collect::<Vec<_>>()
        };
        assert_eq!(values(8, 8), [vec![7, 8, 9], vec![2, 3, 4], vec![1, 1, 1, 1, 1, 0, 0, 0]]);
        assert_eq!(values(8, 5), [vec![7, 8, 9], vec![2, 3, 4], vec![0, 0, 0, 1, 1, 1, 1, 1]]);
        let mut batch = ports("a", 3, 8, 8);
        batch.inputs[0].shape = vec![2, 3];
        assert!(Entry::of(&batch, &[]).expect_err("two texts").to_string().contains("--set batch_size=1"));
    }

    #[test]
    fn what_does_not_follow_from_the_text_comes_with_it() {
        let mut ports = ports("a", 1, 8, 8);
        ports.inputs.push(port("encoder_hidden_states", ElementType::F32, &[1, 2, 3]));
        let values = |shape: &[u64]| vec![("encoder_hidden_states".to_owned(), Tensor::from_f32(shape, &[0.5; 6]))];
        let mut entry = Entry::of(&ports, &values(&[1, 2, 3])).expect("an entry");
        entry.feed(&[7], 2);
        assert_eq!(entry.inputs()[3], values(&[1, 2, 3])[0]);
        let said = |given: &[_]| Entry::of(&ports, given).expect_err("it is missing").to_string();
        assert!(said(&[]).contains("encoder_hidden_states") && said(&[]).contains("must come with it"));
        assert!(said(&values(&[1, 3, 2])).contains("shape [1, 3, 2]"));
    }

    #[test]
    fn room_is_that_of_the_states_where_the_length_is_told() {
        let mut ports = ports("a", 1, 8, 8);
        ports.inputs[2] = port("past_length", ElementType::I64, &[1]);
        let entry = Entry::of(&ports, &[]).expect("an entry");
        assert_eq!(entry.room(), Some(8));
    }

    #[test]
    fn entries_remember_the_same() {
        let said = |other: Ports, of_session: &[PortInfo]| {
            check_states(&[ports("a", 4, 8, 8), other], of_session).err().map(|error| error.to_string())
        };
        assert_eq!(said(ports("b", 1, 8, 8), &cache(8)), None);
        let apart = [cache(8), cache(8)].concat();
        assert!(said(ports("b", 1, 8, 8), &apart).is_some_and(|said| said.contains("--states shared")));
        let shapes = said(ports("b", 1, 9, 9), &[cache(8), cache(9)].concat()).expect("it is refused");
        assert!(shapes.contains("`a` and `b`") && shapes.contains("[1, 2, 9, 16]"), "{shapes}");
        let fewer = Ports { states: Vec::new(), ..ports("b", 1, 8, 8) };
        assert!(said(fewer, &cache(8)).is_some_and(|said| said.contains("1 and 0 states")));
        let none = check_states(&[Ports { states: Vec::new(), ..ports("a", 1, 8, 8) }], &[]);
        assert!(none.expect_err("no states").to_string().contains("--state auto"));
    }
}
