//! Models in f16 as models in f32: what the device computes in, and tract shall too.
//!
//! Takes a message; every tensor, type and type-valued attribute of f16 in it becomes one of f32, subgraphs included. So the
//! constants that tract computes while it reads a model — 1 / n of a mean, ε of a norm, a folded batch normalisation — are
//! not rounded to f16, where 1 / 65,536 and 1e-8 are 0. Conversions to f16 round as before: such a `Cast` becomes one there
//! and back. The elements of public inputs and outputs stay those of the model, and so do weights outside the message, which
//! keep their two bytes an element. It deliberately rounds no other intermediate result, as the device does not.

use super::reason::Unsupported;
use std::collections::BTreeSet;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{
    AttributeProto, GraphProto, NodeProto, TensorProto, ValueInfoProto, attribute_proto::AttributeType, type_proto,
};

const HALF: i32 = DataType::Float16 as i32;
const FLOAT: i32 = DataType::Float as i32;

/// Attributes that name an element type, but for the `to` of a conversion.
const TYPE_ATTRIBUTES: [&str; 6] =
    ["dtype", "output_dtype", "output_datatype", "stash_type", "softmax_precision", "precision"];

/// Widens a graph; `weights` are the names of weights in f16 outside it. Returns what is not widened: quantized products with
/// scales in f16, whose rounding their results depend on.
pub fn widen(graph: &mut GraphProto, weights: impl IntoIterator<Item = String>) -> Unsupported {
    let mut halves: BTreeSet<String> = weights.into_iter().collect();
    widen_graph(graph, &mut halves);
    let scaled = graph
        .node
        .iter()
        .filter(|node| node.op_type.starts_with("QLinear") && node.input.iter().any(|name| halves.contains(name)));
    let mut refused = Unsupported::default();
    scaled.for_each(|node| refused.add(&node.op_type, Some("scales in float16".into()), &node.name));
    refused
}

/// `halves` collects the names of values that are f16 in the model.
fn widen_graph(graph: &mut GraphProto, halves: &mut BTreeSet<String>) {
    for tensor in &mut graph.initializer {
        if widen_tensor(tensor) {
            halves.insert(tensor.name.clone());
        }
    }
    for info in graph.input.iter_mut().chain(&mut graph.output).chain(&mut graph.value_info) {
        if widen_info(info) {
            halves.insert(info.name.clone());
        }
    }
    for mut node in std::mem::take(&mut graph.node) {
        let half = gives_half(&node, halves);
        for attribute in &mut node.attribute {
            widen_attribute(attribute, halves);
        }
        if half {
            halves.extend(node.output.iter().filter(|name| !name.is_empty()).cloned());
        }
        graph.node.extend(conversion(&node, halves).unwrap_or_else(|| vec![node]));
    }
}

/// Whether a node's results are f16, as far as it is known without inference.
fn gives_half(node: &NodeProto, halves: &BTreeSet<String>) -> bool {
    let of = |position: usize| node.input.get(position).is_some_and(|name| halves.contains(name));
    let attribute = |name: &str| node.attribute.iter().find(|a| a.name == name);
    match node.op_type.as_str() {
        "Cast" => attribute("to").is_some_and(|a| a.i == i64::from(HALF)),
        "CastLike" | "Where" | "DequantizeLinear" => of(1),
        "Constant" | "ConstantOfShape" => {
            attribute("value").and_then(|a| a.t.as_ref()).is_some_and(|t| t.data_type == HALF)
        }
        "And" | "Or" | "Xor" | "Not" | "Equal" | "Greater" | "GreaterOrEqual" | "Less" | "LessOrEqual" | "IsNaN"
        | "IsInf" | "Shape" | "Size" | "ArgMax" | "ArgMin" | "NonZero" | "QuantizeLinear" => false,
        _ => of(0),
    }
}

/// A conversion to f16, which the widened model has to round by: to f16 and back to f32. What is f16 already is rounded.
fn conversion(node: &NodeProto, halves: &BTreeSet<String>) -> Option<Vec<NodeProto>> {
    let converts = match node.op_type.as_str() {
        "Cast" => node.attribute.iter().any(|a| a.name == "to" && a.i == i64::from(HALF)),
        "CastLike" => node.input.get(1).is_some_and(|like| halves.contains(like)),
        _ => false,
    };
    let (true, Some(x), Some(output)) = (converts, node.input.first(), node.output.first()) else { return None };
    let cast = |name: &str, from: &str, output: &str, to: i32| NodeProto {
        name: name.to_owned(),
        op_type: "Cast".to_owned(),
        input: vec![from.to_owned()],
        output: vec![output.to_owned()],
        attribute: vec![AttributeProto {
            name: "to".to_owned(),
            r#type: AttributeType::Int as i32,
            i: i64::from(to),
            ..AttributeProto::default()
        }],
        ..NodeProto::default()
    };
    if halves.contains(x) {
        return Some(vec![cast(&node.name, x, output, FLOAT)]);
    }
    let rounded = format!("{}.half", node.name);
    Some(vec![cast(&rounded, x, &rounded, HALF), cast(&node.name, &rounded, output, FLOAT)])
}

fn widen_attribute(attribute: &mut AttributeProto, halves: &mut BTreeSet<String>) {
    if attribute.i == i64::from(HALF) && TYPE_ATTRIBUTES.contains(&attribute.name.as_str()) {
        attribute.i = i64::from(FLOAT);
    }
    for tensor in attribute.t.iter_mut().chain(&mut attribute.tensors) {
        widen_tensor(tensor);
    }
    for graph in attribute.g.iter_mut().chain(&mut attribute.graphs) {
        widen_graph(graph, halves);
    }
}

/// Whether the value was f16.
fn widen_info(info: &mut ValueInfoProto) -> bool {
    let tensor = info.r#type.as_mut().and_then(|t| t.value.as_mut());
    let Some(type_proto::Value::TensorType(tensor)) = tensor else { return false };
    let half = tensor.elem_type == HALF;
    if half {
        tensor.elem_type = FLOAT;
    }
    half
}

/// Whether the tensor was f16. Its elements lie in `raw_data`, or as bits in `int32_data`.
fn widen_tensor(tensor: &mut TensorProto) -> bool {
    if tensor.data_type != HALF {
        return false;
    }
    let bits: Vec<u16> = if tensor.raw_data.is_empty() {
        tensor.int32_data.iter().map(|v| *v as u16).collect()
    } else {
        tensor.raw_data.as_chunks().0.iter().map(|b| u16::from_le_bytes(*b)).collect()
    };
    tensor.raw_data = bits.iter().flat_map(|b| half::f16::from_bits(*b).to_f32().to_le_bytes()).collect();
    tensor.int32_data.clear();
    tensor.data_type = FLOAT;
    true
}

#[cfg(test)]
mod tests {
    use super::{FLOAT, HALF, widen};
    use tract_onnx::pb::{AttributeProto, GraphProto, NodeProto, TensorProto};

    fn node(op: &str, inputs: &[&str], output: &str, attributes: Vec<AttributeProto>) -> NodeProto {
        NodeProto {
            name: output.to_owned(),
            op_type: op.to_owned(),
            input: inputs.iter().map(|i| (*i).to_owned()).collect(),
            output: vec![output.to_owned()],
            attribute: attributes,
            ..NodeProto::default()
        }
    }

    fn int(name: &str, i: i32) -> AttributeProto {
        AttributeProto { name: name.to_owned(), i: i64::from(i), ..AttributeProto::default() }
    }

    fn half(name: &str) -> TensorProto {
        // 1 and −65,504 as bits of two spellings.
        TensorProto { name: name.to_owned(), dims: vec![2], data_type: HALF, ..TensorProto::default() }
    }

    #[test]
    fn tensors_of_both_spellings_keep_their_values() {
        let bits = TensorProto { int32_data: vec![0x3c00, 0xfbff], ..half("a") };
        let raw = TensorProto { raw_data: vec![0x00, 0x3c, 0xff, 0xfb], ..half("b") };
        let inner = GraphProto { initializer: vec![raw], ..GraphProto::default() };
        let body = AttributeProto { name: "body".to_owned(), g: Some(inner), ..AttributeProto::default() };
        let mut graph = GraphProto {
            initializer: vec![bits],
            node: vec![node("Scan", &["a"], "s", vec![body])],
            ..GraphProto::default()
        };
        assert!(widen(&mut graph, []).is_empty());
        let expected: Vec<u8> = [1.0_f32, -65_504.0].iter().flat_map(|v| v.to_le_bytes()).collect();
        let inner = graph.node[0].attribute[0].g.as_ref().expect("a body");
        for tensor in graph.initializer.iter().chain(&inner.initializer) {
            assert_eq!((tensor.data_type, &tensor.raw_data, tensor.int32_data.len()), (FLOAT, &expected, 0));
        }
    }

    #[test]
    fn only_conversions_of_other_types_round() {
        let mut graph = GraphProto {
            node: vec![
                node("Cast", &["w"], "same", vec![int("to", HALF)]),
                node("Cast", &["x"], "y", vec![int("to", HALF)]),
                node("CastLike", &["x", "y"], "z", vec![]),
                node("CastLike", &["y", "x"], "back", vec![]),
                node("EyeLike", &["y"], "eye", vec![int("dtype", HALF)]),
            ],
            ..GraphProto::default()
        };
        assert!(widen(&mut graph, ["w".to_owned()]).is_empty());
        let targets: Vec<(&str, i64)> =
            graph.node.iter().map(|n| (n.name.as_str(), n.attribute.first().map_or(0, |a| a.i))).collect();
        let (to_half, to_float) = (i64::from(HALF), i64::from(FLOAT));
        let expected = [
            ("same", to_float),
            ("y.half", to_half),
            ("y", to_float),
            ("z.half", to_half),
            ("z", to_float),
            ("back", 0),
            ("eye", to_float),
        ];
        assert_eq!(targets, expected);
    }
}
