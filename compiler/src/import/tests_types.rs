//! Element types of operands against the schemas: what follows, what is refused, and what is left alone.

use super::ports::give_types;
use super::schema::{element_name, element_number, in_force};
use super::types::{declared, followed};
use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::{
    AttributeProto, GraphProto, NodeProto, TensorProto, TypeProto, ValueInfoProto, tensor_proto::DataType, type_proto,
};

fn node(op: &str, inputs: &[&str], outputs: &[&str]) -> NodeProto {
    let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let name = format!("node_{}", outputs.first().unwrap_or(&""));
    NodeProto { name, op_type: op.to_owned(), input: list(inputs), output: list(outputs), ..NodeProto::default() }
}

fn with(mut node: NodeProto, attribute: AttributeProto) -> NodeProto {
    node.attribute.push(attribute);
    node
}

fn int(name: &str, element: DataType) -> AttributeProto {
    let i = i64::from(element as i32);
    AttributeProto { name: name.to_owned(), r#type: AttributeType::Int as i32, i, ..AttributeProto::default() }
}

fn body(name: &str, graph: GraphProto) -> AttributeProto {
    AttributeProto { name: name.to_owned(), g: Some(graph), ..AttributeProto::default() }
}

fn infos(values: &[(&str, DataType)]) -> Vec<ValueInfoProto> {
    let info = |(name, element): &(&str, DataType)| {
        let tensor = type_proto::Tensor { elem_type: *element as i32, shape: None };
        let value = Some(type_proto::Value::TensorType(tensor));
        let r#type = Some(TypeProto { value, ..TypeProto::default() });
        ValueInfoProto { name: (*name).to_owned(), r#type, ..ValueInfoProto::default() }
    };
    values.iter().map(info).collect()
}

fn graph(nodes: Vec<NodeProto>, inputs: &[(&str, DataType)], outputs: &[(&str, DataType)]) -> GraphProto {
    GraphProto { node: nodes, input: infos(inputs), output: infos(outputs), ..GraphProto::default() }
}

fn said(graph: &GraphProto, opset: i64) -> Vec<String> {
    let (_, found) = followed(graph, [("weight", Float16 as i32)].into_iter(), opset);
    found.iter().map(ToString::to_string).collect()
}

use DataType::{Bool, Float, Float16, Int8, Int32, Int64, Uint8};

#[test]
fn indices_and_other_operands_have_the_types_of_their_schemas() {
    let nodes = vec![
        node("Gather", &["x", "x"], &["a"]),
        node("GatherElements", &["x", "b"], &["c"]),
        node("Where", &["i", "x", "x"], &["d"]),
        node("Gather", &["x", "i"], &["e"]),
    ];
    let found = said(&graph(nodes, &[("x", Float), ("i", Int64), ("b", Bool)], &[]), 17);
    assert_eq!(
        found,
        [
            "node `node_a` (Gather): indices `x` has elements of type float; ONNX has int32, int64",
            "node `node_c` (GatherElements): indices `b` has elements of type bool; ONNX has int32, int64",
            "node `node_d` (Where): condition `i` has elements of type int64; ONNX has bool",
        ]
    );
}

#[test]
fn operands_of_one_variable_have_one_type() {
    let inputs = [("x", Float), ("i", Int64), ("j", Int32)];
    let nodes = vec![node("Add", &["x", "i"], &["a"]), node("Concat", &["i", "i", "j"], &["b"])];
    let found = said(&graph(nodes, &inputs, &[]), 17);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].contains("B `i` has elements of type int64 where A has float"), "{}", found[0]);
    assert!(found[1].contains("inputs `j` has elements of type int32 where inputs has int64"), "{}", found[1]);
    // Weights outside the message have types too.
    let found = said(&graph(vec![node("MatMul", &["x", "weight"], &["y"])], &inputs, &[]), 17);
    assert!(found[0].contains("float16 where A has float"), "{found:?}");
    // Repetitions of their own types, and versions whose types differ.
    let mixed = graph(vec![node("QuantizeLinear", &["x", "x", "z"], &["y"])], &[("x", Float), ("z", Int8)], &[]);
    assert!(said(&mixed, 17).is_empty());
    let old = graph(vec![node("Equal", &["x", "x"], &["y"])], &[("x", Float)], &[]);
    assert_eq!((said(&old, 7).len(), said(&old, 11).len()), (2, 0), "Equal of floats came with version 11");
}

#[test]
fn types_of_results_follow() {
    let constant = TensorProto { data_type: Int64 as i32, ..TensorProto::default() };
    let value = AttributeProto { name: "value".to_owned(), t: Some(constant), ..AttributeProto::default() };
    let nodes = vec![
        with(node("Cast", &["x"], &["cast"]), int("to", Bool)),
        with(node("Constant", &[], &["constant"]), value.clone()),
        node("ConstantOfShape", &["constant"], &["floats"]),
        with(node("ConstantOfShape", &["constant"], &["integers"]), value),
        node("Shape", &["x"], &["shape"]),
        node("QuantizeLinear", &["x", "x"], &["bytes"]),
        node("TopK", &["x", "constant"], &["largest", "places"]),
        with(node("HannWindow", &["constant"], &["window"]), int("output_datatype", Float)),
        node("CastLike", &["x", "cast"], &["like"]),
    ];
    let expected = [
        ("cast", Bool),
        ("constant", Int64),
        ("floats", Float),
        ("integers", Int64),
        ("shape", Int64),
        ("bytes", Uint8),
        ("largest", Float),
        ("places", Int64),
        ("window", Float),
        ("like", Bool),
    ];
    assert_eq!(said(&graph(nodes.clone(), &[("x", Float)], &expected), 21), Vec::<String>::new());
    let other = expected.map(|(name, _)| (name, Int32));
    assert_eq!(said(&graph(nodes, &[("x", Float)], &other), 21).len(), expected.len());
    let old = AttributeProto {
        name: "to".to_owned(),
        r#type: AttributeType::String as i32,
        s: b"INT64".to_vec(),
        ..AttributeProto::default()
    };
    let old = graph(vec![with(node("Cast", &["x"], &["y"]), old)], &[("x", Float)], &[("y", Int64)]);
    assert!(said(&old, 5).is_empty());
}

#[test]
fn bodies_see_the_types_around_them() {
    let branch = |outputs: &[(&str, DataType)]| graph(vec![node("Add", &["x", "i"], &["s"])], &[], outputs);
    let choice = node("If", &["b"], &["y"]);
    let choice = with(choice, body("then_branch", branch(&[("s", Float)])));
    let choice = with(choice, body("else_branch", branch(&[("s", Float)])));
    let found = said(&graph(vec![choice], &[("x", Float), ("i", Int64), ("b", Bool)], &[("y", Float)]), 17);
    assert_eq!(found.len(), 2, "{found:?}");
    // Inputs of a body that say no type have those of the operands; those that say another are refused.
    let step = graph(vec![node("Not", &["element"], &["z"])], &[], &[("z", Bool)]);
    let untyped = ValueInfoProto { name: "element".to_owned(), ..ValueInfoProto::default() };
    let scan = |input| with(node("Scan", &["x"], &["y"]), body("body", GraphProto { input, ..step.clone() }));
    let untyped = said(&graph(vec![scan(vec![untyped])], &[("x", Float)], &[]), 17);
    assert_eq!(untyped, ["node `node_z` (Not): X `element` has elements of type float; ONNX has bool"]);
    let other = said(&graph(vec![scan(infos(&[("element", Bool)]))], &[("x", Float)], &[]), 17);
    assert_eq!(other, ["`x` has elements of type float, and the graph says bool"]);
}

#[test]
fn what_does_not_follow_is_left_alone() {
    let nodes = vec![
        node("Invented", &["x"], &["a"]),
        node("Gather", &["x", "a"], &["b"]),
        node("SimplifiedLayerNormalization", &["x", "half"], &["c"]),
    ];
    let free = graph(nodes, &[("x", Float), ("half", Float16)], &[("a", Float)]);
    assert_eq!(said(&free, 17), Vec::<String>::new());
}

#[test]
fn the_table_names_element_types() {
    assert_eq!((element_number("int64"), element_name(7), element_name(99)), (Some(7), "int64", "unknown"));
    let gather = in_force("Gather", 17).expect("it is there");
    let [data, indices] = gather.inputs.as_slice() else { panic!("{gather:?}") };
    assert!(data.elements.has(Float as i32) && !indices.elements.has(Float as i32));
    assert_eq!(indices.elements.names().collect::<Vec<_>>(), ["int32", "int64"]);
    assert_eq!(gather.outputs[0].variable, data.variable);
    let scan = in_force("Scan", 17).expect("it is there");
    assert_eq!(scan.inputs[0].variable, None, "every repetition has a type of its own");
}

/// A port that says nothing but its name.
fn untyped(name: &str) -> ValueInfoProto {
    ValueInfoProto { name: name.to_owned(), ..ValueInfoProto::default() }
}

#[test]
fn outputs_without_a_type_have_the_one_that_follows() {
    let nodes = || vec![node("Relu", &["x"], &["y"]), node("Shape", &["y"], &["s"])];
    let typed = |mut graph: GraphProto| {
        let (types, _) = followed(&graph, std::iter::empty(), 17);
        give_types(&mut graph, &types).map(|()| graph.output).map_err(|error| error.to_string())
    };
    let mut wanting = graph(nodes(), &[("x", Float16)], &[("s", DataType::Undefined)]);
    wanting.output.push(untyped("y"));
    let found = typed(wanting).expect("both follow");
    assert_eq!(found.iter().map(declared).collect::<Vec<_>>(), [Some(Int64 as i32), Some(Float16 as i32)]);

    let mut unknown = graph(vec![node("NoSuchOperator", &["x"], &["y"])], &[("x", Float)], &[]);
    unknown.output.push(untyped("y"));
    let checker = "has no element type: that of a tensor is for the model to say, and sequences, maps and optional values are \
                   not supported";
    assert_eq!(typed(unknown), Err(format!("output `y` {checker}")));
    let mut nothing = graph(nodes(), &[], &[("y", Float)]);
    nothing.input.push(untyped("x"));
    assert_eq!(typed(nothing), Err(format!("input `x` {checker}")));
}
