//! Caches that grow by `Concat`, in models that count positions from the length of their past: new entries go where the caller says.
//!
//! A past of fixed size has another length than the text so far. A model that is told its positions does not mind: its valid
//! entries stand last. One that takes them from the size of its past, as Optimum exports Gemma, Whisper, T5 and BART, would
//! give other tokens. Here it gets an input `past_length`, the number of tokens before those of the run. Its pasts have room for the new
//! tokens too, which are put behind the valid ones (`TensorScatter`), and what counts from the size of a past counts from that
//! number. Entry i of a cache is token i then, and the model's own comparison of places hides what is not there yet.
//!
//! Takes a graph whose inputs have fixed shapes; all other sizes stay as they are. A model that uses the length in a way that is not
//! followed (`uses.rs`) is refused by the node's name. It deliberately changes no model whose positions are an input, nor one that
//! counts from nothing, nor one of which only some of the pasts are states.

mod tables;
mod uses;
mod written;

use super::rewrite::steps::Known;
use super::sizes::fixed;
use super::states::{StateError, StateOptions, present_of};
use std::collections::{BTreeMap, BTreeSet};
use tract_onnx::pb::{
    AttributeProto, GraphProto, NodeProto, TensorShapeProto, TypeProto, ValueInfoProto, attribute_proto::AttributeType,
    tensor_proto::DataType, type_proto,
};
use uses::Uses;
use written::{Growing, Written, shape_of};

/// The input that such a model gets: how many tokens there are before those of the run.
const PAST_LENGTH: &str = "past_length";

/// Inputs whose second axis is the tokens of a run.
const TOKENS: [&str; 3] = ["input_ids", "decoder_input_ids", "inputs_embeds"];

/// See the file's header.
///
/// # Errors
/// A model that uses the length of its past in another way, and one in which nothing hides what is not there yet.
pub fn append(graph: &mut GraphProto, options: &StateOptions, opset: i64) -> Result<(), StateError> {
    if *options == StateOptions::default() {
        return Ok(());
    }
    tables::choose(graph, opset);
    if options.recognised {
        drop_empty(graph);
    }
    let growing = growing(graph, options);
    let all = StateOptions { recognised: true, pairs: options.pairs.clone() };
    // The entries of a past that is no state stand elsewhere.
    if self::growing(graph, &all).len() > growing.len() {
        return Ok(());
    }
    let told = graph.input.iter().any(|input| input.name.contains("position") || input.name == PAST_LENGTH);
    let Some(first) = growing.first().filter(|_| !told) else { return Ok(()) };
    let uses = Uses::of(graph, &growing, &Known::of(graph, opset));
    let masked = has_mask(graph, &growing);
    if uses.starts.is_empty() {
        let silent = options.recognised && first.shape.len() == 4 && !masked && uses.other.is_none();
        return if silent { Err(StateError::Unmasked { input: first.past.clone() }) } else { Ok(()) };
    }
    let not_followed =
        |node: usize| StateError::Length { node: graph.node[node].name.clone(), input: first.past.clone() };
    if let Some(node) = uses.other {
        return Err(not_followed(node));
    }
    if !masked && !uses.compared {
        return Err(StateError::Unmasked { input: first.past.clone() });
    }
    let count = TOKENS.iter().find_map(|name| shape_of(graph, name)?.get(1).copied());
    let count = count.ok_or_else(|| not_followed(first.node))?;
    let (mut steps, mut nodes) = (BTreeMap::new(), Vec::with_capacity(graph.node.len()));
    for (node, operand) in uses.starts {
        steps.insert(node, count_from_input(&graph.node[node], operand, first.shape[first.axis]));
    }
    for cache in &growing {
        nodes.extend(own_size(graph, cache, count));
        steps.insert(cache.node, put_behind(graph, cache));
    }
    for (index, node) in std::mem::take(&mut graph.node).into_iter().enumerate() {
        match steps.remove(&index) {
            Some(steps) => nodes.extend(steps),
            None => nodes.push(node),
        }
    }
    graph.node = nodes;
    graph.input.push(length_input());
    Ok(())
}

/// Leaves out presents that are constants without elements: a merged decoder gives them for what it was given of the encoder.
fn drop_empty(graph: &mut GraphProto) {
    let empty = |node: &NodeProto| {
        let mut tensors = node.attribute.iter().filter_map(|attribute| attribute.t.as_ref());
        node.op_type == "Constant" && tensors.any(|tensor| tensor.dims.contains(&0))
    };
    let constants = graph.node.iter().filter(|node| empty(node)).flat_map(|node| node.output.iter().cloned());
    let mut empty: BTreeSet<String> = constants.collect();
    empty.extend(graph.initializer.iter().filter(|tensor| tensor.dims.contains(&0)).map(|tensor| tensor.name.clone()));
    let copies = |node: &&NodeProto| node.op_type == "Identity" && node.input.iter().all(|input| empty.contains(input));
    let copied: Vec<String> = graph.node.iter().filter(copies).flat_map(|node| node.output.iter().cloned()).collect();
    empty.extend(copied);
    let presents = graph.input.iter().filter_map(|input| present_of(&input.name, |name| empty.contains(name)));
    let presents: BTreeSet<String> = presents.collect();
    graph.output.retain(|output| !presents.contains(&output.name));
}

/// The pasts that grow, by the user's pairs and the names of exporters.
fn growing(graph: &GraphProto, options: &StateOptions) -> Vec<Growing> {
    let makers: BTreeMap<&str, usize> = graph
        .node
        .iter()
        .enumerate()
        .flat_map(|(index, node)| node.output.iter().map(move |o| (o.as_str(), index)))
        .collect();
    let has = |name: &str| graph.output.iter().any(|output| output.name == name);
    let present = |input: &str| {
        let pair = options.pairs.iter().find(|pair| pair.input == input).map(|pair| pair.output.clone());
        pair.or_else(|| options.recognised.then(|| present_of(input, has)).flatten())
    };
    let one = |input: &ValueInfoProto| {
        let (past, shape) = (input.name.clone(), shape_of(graph, &input.name)?);
        let mut node = *makers.get(present(&past)?.as_str())?;
        while graph.node[node].op_type == "Identity" {
            node = *makers.get(graph.node[node].input.first()?.as_str())?;
        }
        let concat = &graph.node[node];
        let axis = concat.attribute.iter().find(|a| a.name == "axis").map_or(1, |a| a.i);
        let axis = usize::try_from(if axis < 0 { axis + shape.len() as i64 } else { axis }).ok()?;
        let grows = concat.op_type == "Concat" && concat.input.len() == 2 && concat.input[0] == past;
        (grows && (1..shape.len()).contains(&axis)).then_some(Growing { past, shape, node, axis })
    };
    graph.input.iter().filter_map(one).collect()
}

/// Whether an input has a place for every entry of the caches: a mask, which says what is there.
fn has_mask(graph: &GraphProto, growing: &[Growing]) -> bool {
    let pasts = |name: &str| growing.iter().any(|cache| cache.past == name);
    let mut masks = graph.input.iter().filter(|input| !pasts(&input.name) && input.name.contains("mask"));
    masks.any(|input| !input.name.contains("encoder"))
}

/// A `Range`, or a sum or difference, that counts from the input instead of from a past of `length` entries.
fn count_from_input(node: &NodeProto, operand: usize, length: usize) -> Vec<NodeProto> {
    let mut w = Written::new(node);
    let start = node.input[operand].as_str();
    let length = w.constant(&[length as i64]);
    let length = w.op("CastLike", &[&length, start], vec![]);
    let more = w.op("Sub", &[start, &length], vec![]);
    let past = w.op("CastLike", &[PAST_LENGTH, start], vec![]);
    let start_now = w.op("Add", &[&past, &more], vec![]);
    if node.op_type == "Range" {
        let zero = w.op("Sub", &[start, start], vec![]);
        let end = w.op("Sub", &[&node.input[1], start], vec![]);
        let range = w.op("Range", &[&zero, &end, &node.input[2]], vec![]);
        w.op("Add", &[&range, &start_now], vec![]);
    } else {
        let operands: Vec<&str> = node
            .input
            .iter()
            .enumerate()
            .map(|(i, own)| if i == operand { &start_now } else { own }.as_str())
            .collect();
        w.op(&node.op_type, &operands, vec![]);
    }
    w.done()
}

/// Gives a past room for `count` new entries, and shows its readers as much of it as it had.
fn own_size(graph: &mut GraphProto, cache: &Growing, count: usize) -> Vec<NodeProto> {
    let Growing { past, shape, node, axis } = cache;
    let whole = format!("{}.past", graph.node[*node].name);
    let stand_in = NodeProto { name: whole.clone(), output: vec![whole.clone()], ..NodeProto::default() };
    for reader in &mut graph.node {
        reader.input.iter_mut().filter(|input| *input == past).for_each(|input| input.clone_from(&whole));
    }
    resize(graph, past, *axis, shape[*axis] + count);
    let mut w = Written::new(&stand_in);
    let [start, end, along] = [0, shape[*axis] as i64, *axis as i64].map(|value| w.constant(&[value]));
    w.op("Slice", &[past, &start, &end, &along], vec![]);
    w.done()
}

/// Puts the new entries behind the valid ones of a past that has room for them.
fn put_behind(graph: &GraphProto, cache: &Growing) -> Vec<NodeProto> {
    let node = &graph.node[cache.node];
    let mut w = Written::new(node);
    let batch = w.constant(&[cache.shape[0] as i64]);
    let places = w.op("Expand", &[PAST_LENGTH, &batch], vec![]);
    let along = AttributeProto {
        name: "axis".to_owned(),
        r#type: AttributeType::Int as i32,
        i: cache.axis as i64,
        ..AttributeProto::default()
    };
    w.op("TensorScatter", &[&cache.past, &node.input[1], &places], vec![along]);
    w.done()
}

fn resize(graph: &mut GraphProto, name: &str, axis: usize, size: usize) {
    let input = graph.input.iter_mut().find(|input| input.name == name);
    let value = input.and_then(|input| input.r#type.as_mut()).and_then(|r#type| r#type.value.as_mut());
    let Some(type_proto::Value::TensorType(tensor)) = value else { return };
    if let Some(dim) = tensor.shape.as_mut().and_then(|shape| shape.dim.get_mut(axis)) {
        *dim = fixed(size as i64);
    }
}

fn length_input() -> ValueInfoProto {
    let shape = Some(TensorShapeProto { dim: vec![fixed(1)] });
    let tensor = type_proto::Tensor { elem_type: DataType::Int64 as i32, shape };
    ValueInfoProto {
        name: PAST_LENGTH.to_owned(),
        r#type: Some(TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..TypeProto::default() }),
        ..ValueInfoProto::default()
    }
}

#[cfg(test)]
mod tests {
    use super::{PAST_LENGTH, append, shape_of};
    use crate::import::sizes::fixed;
    use crate::import::states::{StateError, StateOptions};
    use tract_onnx::pb::{
        AttributeProto, GraphProto, NodeProto, TensorProto, TensorShapeProto, TypeProto, ValueInfoProto, type_proto,
    };

    fn port(name: &str, shape: &[i64]) -> ValueInfoProto {
        let shape = Some(TensorShapeProto { dim: shape.iter().map(|size| fixed(*size)).collect() });
        let value = Some(type_proto::Value::TensorType(type_proto::Tensor { elem_type: 1, shape }));
        ValueInfoProto {
            name: name.to_owned(),
            r#type: Some(TypeProto { value, ..TypeProto::default() }),
            ..ValueInfoProto::default()
        }
    }

    /// `RESULT = OP OPERAND …`; the axis of a `Concat` is 2.
    fn node(text: &str) -> NodeProto {
        let mut words = text.split(' ').map(str::to_owned);
        let output: Vec<String> = words.next().into_iter().collect();
        let op_type = words.nth(1).expect("an operator");
        let axis = AttributeProto { name: "axis".to_owned(), i: 2, ..AttributeProto::default() };
        let attribute = if op_type == "Concat" { vec![axis] } else { vec![] };
        NodeProto {
            name: format!("<{}>", output[0]),
            op_type,
            input: words.collect(),
            output,
            attribute,
            ..NodeProto::default()
        }
    }

    /// A cache of 7 entries, of which a run of 2 tokens counts positions.
    fn decoder(nodes: &[&str], inputs: &[ValueInfoProto]) -> GraphProto {
        let whole = |name: &str, value: i64| TensorProto {
            name: name.to_owned(),
            data_type: 7,
            int64_data: vec![value],
            ..TensorProto::default()
        };
        let own =
            ["sizes = Shape past", "length = Gather sizes two", "end = Add length two", "present = Concat past new"];
        GraphProto {
            node: own.iter().chain(nodes).map(|text| node(text)).collect(),
            input: [port("past", &[1, 4, 7, 8]), port("input_ids", &[1, 2])].iter().chain(inputs).cloned().collect(),
            output: vec![port("present", &[1, 4, 9, 8])],
            initializer: vec![whole("zero", 0), whole("one", 1), whole("two", 2)],
            ..GraphProto::default()
        }
    }

    fn auto(graph: &mut GraphProto) -> Result<(), StateError> {
        append(graph, &StateOptions { recognised: true, ..StateOptions::default() }, 17)
    }

    const COUNTED: [&str; 2] = ["positions = Range length end one", "places = Range zero end one"];

    #[test]
    fn what_counts_from_the_length_counts_from_the_input() {
        let mut graph = decoder(&[COUNTED[0], COUNTED[1], "seen = LessOrEqual places positions"], &[]);
        auto(&mut graph).expect("it is followed");
        assert_eq!(shape_of(&graph, "past"), Some(vec![1, 4, 9, 8]));
        assert_eq!(graph.input.last().map(|input| input.name.as_str()), Some(PAST_LENGTH));
        let of = |output: &str| graph.node.iter().find(|node| node.output == [output]).expect("the node is there");
        assert_eq!(
            (of("present").op_type.as_str(), &of("present").input[..2]),
            ("TensorScatter", &["past", "new"].map(str::to_owned)[..])
        );
        assert_eq!((of("positions").op_type.as_str(), of("places").op_type.as_str()), ("Add", "Range"));
        // Sizes stay those of the past as it was.
        assert_eq!(of(&of("sizes").input[0]).input[0], "past");
        let made = |name: &String| graph.node.iter().position(|node| node.output.contains(name));
        let in_order =
            |(index, node): (usize, &NodeProto)| node.input.iter().filter_map(made).all(|maker| maker < index);
        assert!(graph.node.iter().enumerate().all(in_order));
    }

    #[test]
    fn a_length_that_is_added_counts_as_well() {
        let nodes = ["rows = Range zero two one", "positions = Add rows length", "seen = Greater positions places"];
        let mut graph = decoder(&nodes, &[]);
        auto(&mut graph).expect("it is followed");
        let sum = graph.node.iter().find(|node| node.output == ["positions"]).expect("the node is there");
        assert!(sum.op_type == "Add" && sum.input[0] == "rows" && sum.input[1] != "length", "{sum:?}");
    }

    #[test]
    fn other_uses_and_models_that_hide_nothing_are_refused() {
        let refused =
            |nodes: &[&str], inputs: &[ValueInfoProto]| auto(&mut decoder(nodes, inputs)).expect_err("it is refused");
        let other = |nodes: &[&str]| match refused(nodes, &[]) {
            StateError::Length { node, input } => (node, input),
            error @ (StateError::Unknown { .. }
            | StateError::Twice { .. }
            | StateError::Shape { .. }
            | StateError::Element { .. }
            | StateError::Unmasked { .. }
            | StateError::NothingRecognised) => unreachable!("{error}"),
        };
        let past = || "past".to_owned();
        assert_eq!(other(&[COUNTED[0], "part = Slice table length end"]), ("<part>".to_owned(), past()));
        assert_eq!(
            other(&[COUNTED[0], "twice = Add length length", "more = Range twice end one"]),
            ("<more>".to_owned(), past())
        );
        assert!(matches!(refused(&[COUNTED[0]], &[]), StateError::Unmasked { .. }));
        assert!(matches!(refused(&[], &[]), StateError::Unmasked { .. }));
        assert!(matches!(refused(&[], &[port("encoder_attention_mask", &[1, 9])]), StateError::Unmasked { .. }));
    }

    #[test]
    fn models_that_are_told_or_do_not_count_stay_as_they_are() {
        let mask = port("attention_mask", &[1, 9]);
        for (nodes, inputs) in [
            (&COUNTED[..], vec![port("position_ids", &[1, 2])]),
            (&["part = Slice table length end"], vec![mask.clone()]),
            (&[COUNTED[1]], vec![mask]),
        ] {
            let mut graph = decoder(nodes, &inputs);
            let before = graph.clone();
            auto(&mut graph).expect("nothing is wrong");
            assert_eq!(graph, before);
            append(&mut graph, &StateOptions::default(), 17).expect("nothing is asked");
            assert_eq!(graph, before);
        }
    }

    #[test]
    fn presents_without_elements_are_left_out() {
        let mut graph = decoder(&[], &[port("past.encoder", &[1, 4, 5, 8]), port("position_ids", &[1, 2])]);
        let empty = TensorProto { name: "none".to_owned(), dims: vec![0, 4, 1, 8], ..TensorProto::default() };
        graph.initializer.push(empty);
        graph.node.push(node("present.encoder = Identity none"));
        graph.output.push(port("present.encoder", &[0, 4, 1, 8]));
        auto(&mut graph).expect("nothing is wrong");
        assert_eq!(graph.output.iter().map(|output| output.name.as_str()).collect::<Vec<_>>(), ["present"]);
    }
}
