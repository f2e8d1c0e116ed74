//! Which inputs are what outputs were in the run before: as the user says, or by the names that exporters give them.
//!
//! A pair becomes a state of the graph, which callers no longer see. An output that is longer than its input along one axis, as a
//! past with new entries behind it is, drops as many of its first entries. It deliberately changes nothing else: whether a state is
//! updated where it lies is lowering's to see.

use crate::graph::op::Op;
use crate::graph::{Graph, GraphPort};
use flashmem_plan_format::indices::IndexPort;
use flashmem_plan_format::plan::ElementType;

/// What the user says about states.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StateOptions {
    /// `--state auto`: pairs are recognised by their names.
    pub recognised: bool,
    /// `--state OUT=IN`: these.
    pub pairs: Vec<StatePair>,
}

/// An output and the input that it is in the next run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatePair {
    /// The output.
    pub output: String,
    /// The input.
    pub input: String,
}

/// A pair that is no state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// The model has no such input or output.
    #[error("--state: the model has no {kind} `{name}`; there are {}", known.join(", "))]
    Unknown {
        /// Input or output.
        kind: &'static str,
        /// The name.
        name: String,
        /// The names that there are.
        known: Vec<String>,
    },
    /// One of them is in two pairs.
    #[error("--state: the {kind} `{name}` is in two pairs")]
    Twice {
        /// Input or output.
        kind: &'static str,
        /// The name.
        name: String,
    },
    /// Shapes that do not go together.
    #[error(
        "--state {output}={input}: `{output}` has the shape {found:?}, and `{input}` has {expected:?}: equal ones are needed, or \
        an output that is longer along one axis, by no more than the input has there"
    )]
    Shape {
        /// The output.
        output: String,
        /// The input.
        input: String,
        /// Shape of the output.
        found: Vec<usize>,
        /// Shape of the input.
        expected: Vec<usize>,
    },
    /// Element types that differ, or are of integers of 64 bits.
    #[error(
        "--state {output}={input}: `{output}` has elements of type {found:?}, and `{input}` of {expected:?}: equal ones are \
        needed, of at most 32 bits"
    )]
    Element {
        /// The output.
        output: String,
        /// The input.
        input: String,
        /// Type of the output.
        found: ElementType,
        /// Type of the input.
        expected: ElementType,
    },
    /// The length of a past is used in a way that is not followed, and the model is not told its positions.
    #[error(
        "--state: node `{node}` computes from the length of `{input}`, which is fixed here: only a model that is told its positions \
        (`position_ids`), or counts them from that length on, can be given a past of fixed length"
    )]
    Length {
        /// The node.
        node: String,
        /// The past.
        input: String,
    },
    /// Nothing hides what is not there yet.
    #[error(
        "--state auto: nothing in the model hides the places of `{input}` that hold no token yet: it has no `attention_mask`, and \
        compares no places; where all are to be seen, name pairs by --state OUT=IN"
    )]
    Unmasked {
        /// The past.
        input: String,
    },
    /// No names that are known.
    #[error(
        "--state auto: no input is named as a past (`past_key_values.0.key`) whose present (`present.0.key`) is an output, nor as a \
        state (`h0`, `state`) whose next value (`hn`, `stateN`) is; name pairs by --state OUT=IN"
    )]
    NothingRecognised,
}

/// Makes the pairs states of the graph.
///
/// # Errors
/// See [`StateError`].
pub fn pair(graph: &mut Graph, options: &StateOptions) -> Result<(), StateError> {
    let mut pairs = options.pairs.clone();
    if options.recognised {
        let found = recognised(graph);
        let named = |pair: &StatePair| pairs.iter().any(|p| p.input == pair.input || p.output == pair.output);
        let new: Vec<StatePair> = found.into_iter().filter(|pair| !named(pair)).collect();
        pairs.extend(new);
        if pairs.is_empty() {
            return Err(StateError::NothingRecognised);
        }
    }
    let mut found = Vec::new();
    for pair in &pairs {
        let input = position("input", &graph.inputs, &pair.input, found.iter().map(|(input, _)| *input))?;
        let output = position("output", &graph.outputs, &pair.output, found.iter().map(|(_, output)| *output))?;
        next_value(graph, input, output)?;
        found.push((input, output));
    }
    found.sort_unstable();
    last(graph, &found);
    Ok(())
}

/// The output that is the present of a past, by the names that exporters give them; `has` says what outputs there are.
pub fn present_of(input: &str, has: impl Fn(&str) -> bool) -> Option<String> {
    let names = ["past_key_values", "past"].into_iter().flat_map(|past| {
        let by = |present: &str| input.contains(past).then(|| input.replacen(past, present, 1));
        ["present", "present_key_values"].map(by)
    });
    names.flatten().find(|name| has(name))
}

/// Inputs that are states by their whole names, as recurrent networks have them.
const WHOLE_NAMES: [&str; 4] = ["h", "c", "h0", "c0"];

/// Parts of the names of others.
const PARTS: [&str; 3] = ["state", "hidden", "cache"];

/// The output that is the next value of a recurrent network's state, by the names that exporters give them.
fn next_of(input: &str, has: impl Fn(&str) -> bool) -> Option<String> {
    let lower = input.to_lowercase();
    if !(WHOLE_NAMES.contains(&lower.as_str()) || PARTS.iter().any(|part| lower.contains(part))) {
        return None;
    }
    let mut names = vec![];
    for (end, next) in [("_in", "_out"), ("0", "n"), ("_0", "_n"), ("_prev", "_next"), ("", "n"), ("", "N"), ("", "_n")]
    {
        names.extend(input.strip_suffix(end).map(|stem| format!("{stem}{next}")));
    }
    names.extend(["_next", "_out", "_new"].map(|end| format!("{input}{end}")));
    for (start, next) in
        [("in_", "out_"), ("prev_", "next_"), ("prev_", ""), ("", "new_"), ("", "next_"), ("", "updated_")]
    {
        names.extend(input.strip_prefix(start).map(|stem| format!("{next}{stem}")));
    }
    names.into_iter().find(|name| name != input && has(name))
}

/// Pairs by the names that exporters give them: a present for every past, and the next value of a recurrent network's state, which
/// has its shape and type. What does not follow from the run, as the keys and values of an
/// encoder that a decoder hands on, is no state.
fn recognised(graph: &Graph) -> Vec<StatePair> {
    let pair = |port: &GraphPort| {
        let next =
            |output: &GraphPort| output.node != port.node && !matches!(graph.node(output.node).op, Op::Constant(_));
        let has = |name: &str| graph.outputs.iter().any(|output| output.name == name && next(output));
        let shape = &graph.node(port.node).shape;
        let same = |output: &&GraphPort| output.element == port.element && graph.node(output.node).shape == *shape;
        let has_same = |name: &str| {
            let of_name = graph.outputs.iter().filter(|output| output.name == name && next(output));
            port.element != ElementType::I64 && of_name.filter(same).count() > 0
        };
        let output = present_of(&port.name, has).or_else(|| next_of(&port.name, has_same))?;
        Some(StatePair { output, input: port.name.clone() })
    };
    graph.inputs.iter().filter_map(pair).collect()
}

fn position(
    kind: &'static str,
    ports: &[GraphPort],
    name: &str,
    mut taken: impl Iterator<Item = usize>,
) -> Result<usize, StateError> {
    let known = || ports.iter().map(|port| format!("`{}`", port.name)).collect();
    let unknown = || StateError::Unknown { kind, name: name.to_owned(), known: known() };
    let position = ports.iter().position(|port| port.name == name).ok_or_else(unknown)?;
    if taken.any(|other| other == position) {
        return Err(StateError::Twice { kind, name: name.to_owned() });
    }
    Ok(position)
}

/// Makes an output of the input's shape.
fn next_value(graph: &mut Graph, input: usize, output: usize) -> Result<(), StateError> {
    let (from, to) = (graph.outputs[output].clone(), &graph.inputs[input]);
    let names = || (from.name.clone(), to.name.clone());
    if from.element != to.element || from.element == ElementType::I64 {
        let (output, input) = names();
        return Err(StateError::Element { output, input, found: from.element, expected: to.element });
    }
    let (found, expected) = (graph.node(from.node).shape.clone(), graph.node(to.node).shape.clone());
    if found == expected {
        return Ok(());
    }
    let longer: Vec<usize> =
        found.iter().zip(&expected).map(|(found, expected)| found.saturating_sub(*expected)).collect();
    let fits = |axis: usize| found[axis] >= expected[axis] && longer[axis] <= expected[axis];
    let axes = longer.iter().filter(|more| **more > 0).count();
    if found.len() != expected.len() || axes != 1 || !(0..found.len()).all(fits) {
        let (output, input) = names();
        return Err(StateError::Shape { output, input, found, expected });
    }
    let (steps, dtype) = (vec![1; longer.len()], graph.node(from.node).dtype);
    let slice = Op::Slice { starts: longer, steps };
    graph.outputs[output].node = graph.add_shaped(slice, &[from.node], from.name, expected, dtype);
    Ok(())
}

/// Puts the inputs and outputs of the pairs behind the others.
fn last(graph: &mut Graph, pairs: &[(usize, usize)]) {
    let inputs: Vec<usize> = pairs.iter().map(|(input, _)| *input).collect();
    let outputs: Vec<usize> = pairs.iter().map(|(_, output)| *output).collect();
    let input_places = moved(&mut graph.inputs, &inputs);
    let output_places = moved(&mut graph.outputs, &outputs);
    for bound in &mut graph.index_bounds {
        let (place, places) = match &mut bound.port {
            IndexPort::Input(place) => (place, &input_places),
            IndexPort::Output(place) => (place, &output_places),
        };
        *place = places[*place as usize];
    }
    graph.states = pairs.len();
}

/// Moves entries to the end, in this order; gives every old position its new one.
fn moved(ports: &mut Vec<GraphPort>, last: &[usize]) -> Vec<u32> {
    let order: Vec<usize> = (0..ports.len()).filter(|i| !last.contains(i)).chain(last.iter().copied()).collect();
    *ports = order.iter().map(|i| ports[*i].clone()).collect();
    let mut places = vec![0; order.len()];
    (0_u32..).zip(order).for_each(|(new, old)| places[old] = new);
    places
}

#[cfg(test)]
mod tests {
    use super::{StateError, StateOptions, StatePair, pair};
    use crate::graph::constant::Dtype;
    use crate::graph::op::Op;
    use crate::graph::origin::OriginSet;
    use crate::graph::{Graph, GraphPort};
    use flashmem_plan_format::indices::{IndexBound, IndexPort, Walk};
    use flashmem_plan_format::plan::ElementType;

    fn graph(inputs: &[(&str, &[usize])], outputs: &[(&str, &[usize])]) -> Graph {
        let mut graph = Graph::default();
        let port = |graph: &mut Graph, (name, shape): &(&str, &[usize])| {
            let node = graph.add_shaped(Op::Input, &[], *name, shape.to_vec(), Dtype::F32);
            GraphPort { name: (*name).to_owned(), element: ElementType::F32, node }
        };
        graph.inputs = inputs.iter().map(|named| port(&mut graph, named)).collect();
        graph.outputs = outputs.iter().map(|named| port(&mut graph, named)).collect();
        graph
    }

    fn named(output: &str, input: &str) -> StateOptions {
        let pair = StatePair { output: output.to_owned(), input: input.to_owned() };
        StateOptions { pairs: vec![pair], ..StateOptions::default() }
    }

    fn auto() -> StateOptions {
        StateOptions { recognised: true, ..StateOptions::default() }
    }

    #[test]
    fn pasts_are_recognised_and_stand_last() {
        let shape: &[usize] = &[1, 2, 4, 8];
        let inputs = [("past_key_values.0.key", shape), ("ids", &[1]), ("past_1", shape), ("past_2", shape)];
        let outputs = [("present_1", shape), ("logits", &[1]), ("present.0.key", &[1, 2, 5, 8])];
        let mut graph = graph(&inputs, &outputs);
        graph.index_bounds = vec![IndexBound {
            port: IndexPort::Input(1),
            walk: Walk::all(1),
            least: 0,
            most: 3,
            except: None,
            node: OriginSet::NONE,
        }];
        pair(&mut graph, &auto()).expect("they fit");
        let names = |ports: &[GraphPort]| ports.iter().map(|port| port.name.clone()).collect::<Vec<_>>();
        assert_eq!(names(&graph.inputs), ["ids", "past_2", "past_key_values.0.key", "past_1"]);
        assert_eq!(names(&graph.outputs), ["logits", "present.0.key", "present_1"]);
        assert_eq!(graph.index_bounds[0].port, IndexPort::Input(0));
        let shifted = graph.node(graph.outputs[1].node);
        assert!(matches!(&shifted.op, Op::Slice { starts, .. } if *starts == [0, 0, 1, 0]), "{shifted:?}");
        assert_eq!((graph.states, shifted.shape.as_slice()), (2, shape));
    }

    #[test]
    fn states_of_recurrent_networks_are_recognised_where_they_fit() {
        let pairs = [
            ("h", "hn"),
            ("c0", "cn"),
            ("state", "stateN"),
            ("hidden_in", "hidden_out"),
            ("prev_state", "next_state"),
            ("cached_conv_0", "new_cached_conv_0"),
            ("cache_last_channel", "cache_last_channel_next"),
        ];
        for (input, output) in pairs {
            let mut known = graph(&[("x", &[2]), (input, &[1, 3])], &[("y", &[2]), (output, &[1, 3])]);
            pair(&mut known, &auto()).expect("it fits");
            assert_eq!((known.states, known.inputs[1].name.as_str()), (1, input));
            let mut other = graph(&[(input, &[1, 3])], &[(output, &[1, 4])]);
            assert!(matches!(pair(&mut other, &auto()), Err(StateError::NothingRecognised)), "{input}");
        }
        let mut image = graph(&[("x", &[2])], &[("x_out", &[2])]);
        assert!(matches!(pair(&mut image, &auto()), Err(StateError::NothingRecognised)));
    }

    #[test]
    fn what_is_no_pair_is_refused() {
        let refused = |outputs: &[(&str, &[usize])], options: &StateOptions| {
            let mut graph = graph(&[("h", &[2, 3]), ("x", &[1])], outputs);
            pair(&mut graph, options).expect_err("it is no pair")
        };
        assert!(matches!(refused(&[("y", &[2, 3])], &auto()), StateError::NothingRecognised));
        assert!(matches!(refused(&[("y", &[2, 3])], &named("z", "h")), StateError::Unknown { kind: "output", .. }));
        assert!(matches!(refused(&[("y", &[2, 3])], &named("y", "z")), StateError::Unknown { kind: "input", .. }));
        for shape in [&[2, 7], &[3, 4], &[1, 3], &[6]] as [&[usize]; 4] {
            assert!(matches!(refused(&[("y", shape)], &named("y", "h")), StateError::Shape { .. }), "{shape:?}");
        }
        let mut twice = named("y", "h");
        twice.pairs.extend(named("z", "h").pairs);
        assert!(matches!(refused(&[("y", &[2, 3]), ("z", &[2, 3])], &twice), StateError::Twice { kind: "input", .. }));
        let mut handed_on = graph(&[("past.0", &[2, 3])], &[("present.0", &[2, 3])]);
        handed_on.outputs[0].node = handed_on.inputs[0].node;
        assert!(matches!(pair(&mut handed_on, &auto()), Err(StateError::NothingRecognised)));
        let mut graph = graph(&[("h", &[2])], &[("y", &[2])]);
        graph.outputs[0].element = ElementType::F16;
        assert!(matches!(pair(&mut graph, &named("y", "h")), Err(StateError::Element { .. })));
    }
}
