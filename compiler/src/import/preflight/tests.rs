//! Tests of the limits: what is outside of one of them, each with a message that names the node.
//!
//! Whatever would make tract fail by itself is shown to be refused before tract sees it, and is mild enough to be harmless if it
//! were not.

use super::super::ImportError;
use super::super::model::Model;
use super::super::names::NodeNames;
use super::super::{Dim, ImportOptions, tract};
use super::limits::{MAX_FIELDS, MAX_NODES};
use super::ranges::{range_of, with_rank};
use super::{given_sizes, graph, message, outputs};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::tensor_shape_proto::{Dimension, dimension};
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, TensorShapeProto, TypeProto,
    ValueInfoProto, type_proto,
};

fn ints(name: &str, values: &[i64]) -> AttributeProto {
    AttributeProto {
        name: name.to_owned(),
        r#type: AttributeType::Ints as i32,
        ints: values.to_vec(),
        ..AttributeProto::default()
    }
}

fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto { name: name.to_owned(), r#type: AttributeType::Int as i32, i: value, ..AttributeProto::default() }
}

fn node(op: &str, inputs: &[&str], attributes: Vec<AttributeProto>) -> NodeProto {
    NodeProto {
        name: "the_node".to_owned(),
        op_type: op.to_owned(),
        input: inputs.iter().map(|name| (*name).to_owned()).collect(),
        output: vec!["y".to_owned()],
        attribute: attributes,
        ..NodeProto::default()
    }
}

fn tensor(name: &str, data_type: DataType, dims: &[i64], raw_data: Vec<u8>) -> TensorProto {
    TensorProto {
        name: name.to_owned(),
        data_type: data_type as i32,
        dims: dims.to_vec(),
        raw_data,
        ..TensorProto::default()
    }
}

fn integers(name: &str, values: &[i64]) -> TensorProto {
    let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    tensor(name, DataType::Int64, &[values.len() as i64], bytes)
}

fn of(node: NodeProto, initializer: Vec<TensorProto>) -> GraphProto {
    let output = vec![ValueInfoProto { name: "y".to_owned(), ..ValueInfoProto::default() }];
    GraphProto { node: vec![node], initializer, output, ..GraphProto::default() }
}

fn refusal(graph_proto: &GraphProto) -> String {
    graph(graph_proto).expect_err("it is outside the limits").to_string()
}

#[test]
fn attributes_are_held_against_their_ranges() {
    for (op, attribute, expected) in [
        ("Softmax", int("axis", 1_000_000_000_000_000_000), "attribute `axis` is 1000000000000000000; -32 to 32"),
        ("LRN", int("size", i64::MIN), "attribute `size` is -9223372036854775808; 1 to 16777216"),
        ("LRN", int("size", i64::from(i32::MAX)), "attribute `size` is 2147483647; 1 to 16777216"),
        (
            "MaxPool",
            ints("kernel_shape", &[1 << 20, 17]),
            "attribute `kernel_shape` is [1048576, 17]; a window has at most",
        ),
        ("MaxPool", ints("strides", &[1, 0]), "attribute `strides` is 0; 1 to"),
        ("Conv", ints("dilations", &[0, 1]), "attribute `dilations` is 0; 1 to"),
        ("Conv", int("group", 0), "attribute `group` is 0; 1 to"),
        ("AveragePool", ints("pads", &[0, -1]), "attribute `pads` is -1; 0 to"),
        ("ConvTranspose", ints("output_shape", &[1 << 40]), "attribute `output_shape` is 1099511627776; 0 to"),
        ("Transpose", ints("perm", &[0, 2, 2]), "attribute `perm` is [0, 2, 2]; it has to name every axis once"),
        ("EyeLike", int("k", i64::MAX), "attribute `k` is 9223372036854775807"),
        ("Relu", int("anything", 1 << 40), "attribute `anything` is 1099511627776; -2147483647 to 2147483647"),
    ] {
        let message = refusal(&of(node(op, &["x"], vec![attribute]), vec![]));
        assert!(message.starts_with(&format!("node `the_node` ({op}): {expected}")), "{message}");
    }
    let meant = [
        node("Slice", &["x"], vec![ints("ends", &[i64::MAX])]),
        node("Constant", &[], vec![int("value_int", i64::MIN)]),
    ];
    for node in meant {
        assert!(graph(&of(node, vec![])).is_ok());
    }
}

#[test]
fn constant_operands_are_held_against_their_ranges() {
    for (op, values, expected) in [
        ("Tile", &[2, 1 << 60][..], "operand 1 is 1152921504606846976; 0 to 2147483647 is allowed"),
        ("Expand", &[-2], "operand 1 is -2; -1 to"),
        ("OneHot", &[0], "operand 1 is 0; 1 to"),
        ("Pad", &[i64::MIN], "operand 1 is -9223372036854775808"),
        ("Reshape", &[-2], "operand 1 is -2; -1 to"),
        ("ReduceSum", &[99], "operand 1 is 99; -32 to 32"),
    ] {
        let message = refusal(&of(node(op, &["x", "p"], vec![]), vec![integers("p", values)]));
        assert!(message.starts_with(&format!("node `the_node` ({op}): {expected}")), "{message}");
    }
    let scale = tensor("p", DataType::Float, &[1], f32::INFINITY.to_le_bytes().to_vec());
    let message = refusal(&of(node("Upsample", &["x", "p"], vec![]), vec![scale]));
    assert!(message.contains("operand 1 is inf; scales are positive and finite"), "{message}");
    // The second operand of this form is a region, in which zeros are usual.
    let region = tensor("p", DataType::Float, &[1], 0_f32.to_le_bytes().to_vec());
    assert!(graph(&of(node("Resize", &["x", "p", "s"], vec![]), vec![region])).is_ok());
    let range = node("Range", &["a", "b", "c"], vec![]);
    assert!(range_of(&range, [0.0, 10.0, 0.5]).is_ok() && range_of(&range, [0.0, 1.0, -1.0]).is_ok());
    for bounds in [[0.0, 1.0, 0.0], [0.0, 1e18, 1.0], [0.0, f64::NAN, 1.0]] {
        assert!(range_of(&range, bounds).is_err(), "{bounds:?}");
    }
}

#[test]
fn axes_and_lists_are_held_against_the_rank() {
    let message = |node: NodeProto, rank| with_rank(&node, rank).expect_err("it does not fit").to_string();
    let found = message(node("LayerNormalization", &["x"], vec![]), 0);
    assert_eq!(found, "node `the_node` (LayerNormalization): attribute `axis` is -1; its operand has 0 axes");
    let found = message(node("LayerNormalization", &["x"], vec![int("axis", 2)]), 2);
    assert!(found.ends_with("attribute `axis` is 2; its operand has 2 axes"), "{found}");
    let found = message(node("Conv", &["x"], vec![ints("strides", &[1, 1])]), 3);
    assert!(found.ends_with("attribute `strides` is [1, 1]; 1 numbers are needed"), "{found}");
    assert!(with_rank(&node("LayerNormalization", &["x"], vec![int("axis", -2)]), 2).is_ok());
}

#[test]
fn graphs_are_bounded_and_ordered() {
    let mut cycle = of(node("Relu", &["y"], vec![]), vec![]);
    assert_eq!(refusal(&cycle), "node `the_node` depends on its own result");
    cycle.node[0].input[0] = "x".to_owned();
    assert!(graph(&cycle).is_ok());
    // A long chain is walked without recursion.
    cycle.node = (0..MAX_NODES)
        .map(|i| NodeProto { input: vec![format!("{i}")], output: vec![format!("{}", i + 1)], ..NodeProto::default() })
        .collect();
    assert!(graph(&cycle).is_ok());
    cycle.node.push(NodeProto::default());
    assert_eq!(refusal(&cycle), "the model has more than 32768 nodes, the most that are read");
    let lost = outputs(&cycle, |_| false).expect_err("nothing computes it");
    assert_eq!(lost.to_string(), "output `y` is not computed by any node");
    assert!(outputs(&cycle, |name| name == "y").is_ok());
}

#[test]
fn tensors_have_the_bytes_of_their_shapes() {
    for (shape, bytes, expected) in [
        (&[2, -1][..], 0, "tensor `t` has the shape [2, -1]"),
        (&[1 << 20, 1 << 20, 2], 0, "tensor `t` has the shape [1048576, 1048576, 2]"),
        (&[1 << 33], 0, "tensor `t` has the shape [8589934592]"),
        (&[1; 33], 4, "tensor `t` has the shape [1, 1"),
        (&[1_000_000], 4, "tensor `t` of shape [1000000] has 4 bytes of data instead of 8000000"),
        (&[], 0, "tensor `t` of shape [] has 0 bytes of data instead of 8"),
    ] {
        let message =
            refusal(&of(node("Relu", &["t"], vec![]), vec![tensor("t", DataType::Int64, shape, vec![0; bytes])]));
        assert!(message.starts_with(expected), "{message}");
    }
}

#[test]
fn messages_of_many_fields_are_refused_before_they_are_decoded() {
    let nodes = |count: u64| {
        let fields = [1 << 3 | 2, 0].repeat(count as usize);
        let mut bytes = vec![7 << 3 | 2];
        let mut length = fields.len();
        while length >= 0x80 {
            bytes.push(length as u8 | 0x80);
            length >>= 7;
        }
        bytes.push(length as u8);
        [bytes, fields].concat()
    };
    assert!(message::check(&nodes(MAX_FIELDS - 1)).is_ok());
    let refused = message::check(&nodes(MAX_FIELDS)).expect_err("one more than there may be");
    assert_eq!(refused.to_string(), "the model has more than 4194304 fields, the most that are read");
    assert!(message::check(&[0xff; 40]).is_ok(), "what cannot be followed is the decoder's");
}

#[test]
fn sizes_on_the_command_line_are_bounded() {
    let input =
        |size| ImportOptions { inputs: vec![("x".to_owned(), vec![Dim::Size(size)])], ..ImportOptions::default() };
    assert!(
        given_sizes(&input(1 << 31)).is_err()
            && given_sizes(&input(u64::MAX)).is_err()
            && given_sizes(&input(9)).is_ok()
    );
    let set = ImportOptions { dims: vec![("n".to_owned(), u64::MAX)], ..ImportOptions::default() };
    assert!(given_sizes(&set).is_err());
}

/// What tract makes of a graph under guard.
fn typed(graph: GraphProto) -> Result<(), ImportError> {
    let opset = OperatorSetIdProto { version: 17, ..OperatorSetIdProto::default() };
    let mut graph = graph;
    let mut names = NodeNames::of(&graph, &[]);
    names.mark(&mut graph);
    let names = Rc::new(names);
    let model = Model {
        proto: ModelProto { graph: Some(graph), opset_import: vec![opset], ..ModelProto::default() },
        inputs: vec![],
        outputs: vec![],
        weights: vec![],
        files: vec![],
        names: Rc::clone(&names),
        initialisers: BTreeSet::new(),
        claims: vec![],
        shape_claims: Vec::new(),
        notes: vec![],
        kernel_ops: BTreeMap::new(),
        hash: String::new(),
        name: String::new(),
    };
    let checked = tract::checked_alone(&model).and_then(tract::decluttered);
    checked.map(drop).map_err(|error| error.with_names(&names))
}

#[test]
fn constants_that_are_too_large_to_fold_are_refused_by_their_node() {
    let expanded = |size: i64| {
        let one = tensor("one", DataType::Float, &[1], 1_f32.to_le_bytes().to_vec());
        typed(of(node("Expand", &["one", "shape"], vec![]), vec![one, integers("shape", &[size, size])]))
    };
    assert!(expanded(100).is_ok());
    let message = expanded(20_000).expect_err("1.6 GB are more than is folded").to_string();
    let expected = "node `the_node`: its value is constant and has 1600000000 bytes";
    assert!(message.starts_with(expected), "{message}");
    let message = expanded(2_000_000).expect_err("4 terms of elements").to_string();
    assert!(message.starts_with("node `the_node`: a tensor of shape"), "{message}");
}

#[test]
fn the_node_is_named_where_tract_stops_at_a_check_of_its_own() {
    let one = tensor("one", DataType::Float, &[1], 1_f32.to_le_bytes().to_vec());
    let message = typed(of(node("ReduceMax", &["one"], vec![ints("axes", &[7])]), vec![one]))
        .expect_err("no such axis")
        .to_string();
    assert!(message.starts_with("node `the_node`"), "{message}");
    assert!(!message.contains("panicked"), "{message}");
}

#[test]
fn results_are_bounded_before_they_are_made() {
    const FAR: i64 = 1_000_000_000_000_000_000;
    let floats = |name: &str, values: &[f32]| {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        tensor(name, DataType::Float, &[values.len() as i64], bytes)
    };
    let scalar = |name: &str, value: i64| tensor(name, DataType::Int64, &[], value.to_le_bytes().to_vec());
    let named = |op: &str, inputs: &[&str], attributes, constants: Vec<TensorProto>| {
        let made = of(node(op, inputs, attributes), constants);
        // What the graph's own check lets pass is refused under guard.
        let error = graph(&made).and_then(|()| typed(made.clone())).expect_err(op).to_string();
        assert!(error.starts_with("node `the_node`") || error.starts_with("tensor `x`"), "{op}: {error}");
        assert!(!error.contains("panicked") && !error.contains("tract"), "{op}: {error}");
    };
    let image = || tensor("x", DataType::Float, &[1, 1, 2, 2], vec![0; 16]);
    for size in [FAR, i64::MIN, 1 << 40, i64::MAX, 1 << 31] {
        named(
            "OneHot",
            &["i", "d", "v"],
            vec![],
            vec![integers("i", &[0, 1]), scalar("d", size), floats("v", &[0.0, 1.0])],
        );
        named("ConstantOfShape", &["s"], vec![], vec![integers("s", &[size, 3])]);
        named(
            "AffineGrid",
            &["t", "s"],
            vec![],
            vec![tensor("t", DataType::Float, &[1, 2, 3], vec![0; 24]), integers("s", &[1, 1, size, 2])],
        );
        named("Resize", &["x", "", "", "s"], vec![], vec![image(), integers("s", &[1, 1, size, 2])]);
        named("Range", &["a", "b", "c"], vec![], vec![scalar("a", 0), scalar("b", size.max(FAR)), scalar("c", 1)]);
        named("MaxPool", &["x"], vec![ints("kernel_shape", &[size, 1])], vec![image()]);
        named("LRN", &["x"], vec![int("size", size)], vec![image()]);
        named(
            "ConvTranspose",
            &["x", "w"],
            vec![ints("output_shape", &[size, 2])],
            vec![image(), TensorProto { name: "w".to_owned(), ..image() }],
        );
        named("Tile", &["x", "s"], vec![], vec![image(), integers("s", &[1, 1, size, 2])]);
        named("Pad", &["x", "s"], vec![], vec![image(), integers("s", &[0, 0, size, 0, 0, 0, 0, 0])]);
    }
    for scale in [1e30, f32::INFINITY, f32::NAN, 0.0, -2.0] {
        named("Resize", &["x", "", "s"], vec![], vec![image(), floats("s", &[1.0, 1.0, scale, 1.0])]);
    }
    // Lists that would be made on the way: 2⁴⁰ numbers of a window, and of an identity.
    named("HannWindow", &["s"], vec![], vec![scalar("s", 1 << 40)]);
    named("EyeLike", &["x"], vec![], vec![tensor("x", DataType::Float, &[1 << 30, 1 << 30], vec![])]);
    let bands = ["n", "d", "r", "l", "u"];
    let of_bands = |count: i64| {
        vec![
            scalar("n", count),
            scalar("d", 16),
            scalar("r", 8000),
            tensor("l", DataType::Float, &[], vec![0; 4]),
            tensor("u", DataType::Float, &[], 4000_f32.to_le_bytes().to_vec()),
        ]
    };
    named("MelWeightMatrix", &bands, vec![], of_bands(FAR));
}

#[test]
fn bodies_are_under_the_guard_of_their_model() {
    let float = |name: &str, dims: &[i64]| {
        let dim = dims
            .iter()
            .map(|size| Dimension { value: Some(dimension::Value::DimValue(*size)), ..Dimension::default() });
        let shape = Some(TensorShapeProto { dim: dim.collect() });
        let tensor = type_proto::Tensor { elem_type: DataType::Float as i32, shape };
        let value = Some(type_proto::Value::TensorType(tensor));
        ValueInfoProto {
            name: name.to_owned(),
            r#type: Some(TypeProto { value, ..TypeProto::default() }),
            ..ValueInfoProto::default()
        }
    };
    let scanned = |inner: NodeProto, initializer: Vec<TensorProto>| {
        let result =
            NodeProto { name: "sum".to_owned(), output: vec!["b".to_owned()], ..node("Add", &["a", "y"], vec![]) };
        let body = GraphProto {
            node: vec![inner, result],
            input: vec![float("a", &[3])],
            output: vec![float("b", &[3])],
            initializer,
            ..GraphProto::default()
        };
        let body = AttributeProto {
            name: "body".to_owned(),
            r#type: AttributeType::Graph as i32,
            g: Some(body),
            ..AttributeProto::default()
        };
        let scan = NodeProto { name: "scan".to_owned(), ..node("Scan", &["x"], vec![int("num_scan_inputs", 1), body]) };
        typed(GraphProto { input: vec![float("x", &[2, 3])], ..of(scan, vec![]) })
    };
    let one = || tensor("one", DataType::Float, &[1], 1_f32.to_le_bytes().to_vec());
    assert!(scanned(node("Relu", &["a"], vec![]), vec![]).is_ok());
    let message = scanned(node("Softmax", &["a"], vec![int("axis", 7)]), vec![]).expect_err("no such axis").to_string();
    assert_eq!(message, "node `the_node` (Softmax): attribute `axis` is 7; its operand has 1 axes");
    let expand = node("Expand", &["one", "shape"], vec![]);
    let message = scanned(expand, vec![one(), integers("shape", &[20_000, 20_000])]).expect_err("1.6 GB").to_string();
    assert!(message.starts_with("node `the_node`: its value is constant and has 1600000000 bytes"), "{message}");
}
