//! What a model may ask for: versions, attributes, operands, names. Messages are made here; nothing is read or inferred.

use super::ImportError;
use super::admission::{opset, unsupported};
use super::reason::UnsupportedOp;
use super::structure::flaws;
use crate::import::schema::{Absent, Arity, Kind, Schema, newest_opset, versions};
use crate::import::support::{OPERATORS, Operator, Support};
use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, ValueInfoProto,
};

fn node(op: &str, inputs: &[&str], outputs: &[&str]) -> NodeProto {
    let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let name = format!("node_{}", outputs.first().unwrap_or(&""));
    NodeProto { name, op_type: op.to_owned(), input: list(inputs), output: list(outputs), ..NodeProto::default() }
}

fn int(name: &str, i: i64) -> AttributeProto {
    AttributeProto { name: name.to_owned(), r#type: AttributeType::Int as i32, i, ..AttributeProto::default() }
}

fn text(name: &str, value: &str) -> AttributeProto {
    let (name, s) = (name.to_owned(), value.as_bytes().to_vec());
    AttributeProto { name, r#type: AttributeType::String as i32, s, ..AttributeProto::default() }
}

fn graph(nodes: Vec<NodeProto>, inputs: &[&str], outputs: &[&str]) -> GraphProto {
    let info = |name: &&str| ValueInfoProto { name: (*name).to_owned(), ..ValueInfoProto::default() };
    let (input, output) = (inputs.iter().map(info).collect(), outputs.iter().map(info).collect());
    GraphProto { node: nodes, input, output, ..GraphProto::default() }
}

/// What stands against one node.
fn refused(node: NodeProto, opset: i64) -> Vec<String> {
    let text = |entry: &UnsupportedOp| entry.to_string().rsplit_once(": 1 node").expect("one node").0.to_owned();
    unsupported(&[node], opset).0.iter().map(text).collect()
}

#[test]
fn versions_are_those_in_force() {
    let swish = || node("Swish", &["x"], &["y"]);
    assert_eq!(refused(swish(), 24), Vec::<String>::new());
    assert_eq!(refused(swish(), 23), ["Swish (opset 23 does not have it)"]);
    assert_eq!(refused(node("LpPool", &["x"], &["y"]), 1), ["LpPool (version 1 of the operator)"]);
    let split = |opset| refused(node("Split", &["x", "p"], &["y"]), opset);
    assert_eq!(split(1), Vec::<String>::new());
    assert_eq!(split(2), ["Split (2 inputs instead of at most 1)"]);
    assert_eq!(split(13), Vec::<String>::new());
    // Axes became an operand in version 13.
    let squeeze = |opset| {
        let mut node = node("Squeeze", &["x"], &["y"]);
        let axes = AttributeProto { r#type: AttributeType::Ints as i32, ints: vec![0], ..int("axes", 0) };
        node.attribute.push(axes);
        refused(node, opset)
    };
    assert_eq!(squeeze(11), Vec::<String>::new());
    assert_eq!(squeeze(13), ["Squeeze (attribute axes, which version 13 of the operator does not have)"]);
}

#[test]
fn attributes_are_implemented_or_at_their_default() {
    let with = |op: &str, attributes: &[AttributeProto]| {
        let mut node = node(op, &["x", "z"], &["y"]);
        node.attribute = attributes.to_vec();
        refused(node, 28)
    };
    assert_eq!(with("Relu", &[int("alpha", 1)]).len(), 2, "an attribute and an operand that Relu does not have");
    let accepted = Vec::<String>::new();
    let quantize = |value| with("QuantizeLinear", &[int("precision", value)]);
    assert_eq!((quantize(0), quantize(1)), (accepted.clone(), accepted.clone()));
    assert_eq!(quantize(10), ["QuantizeLinear (attribute precision = 10)"]);
    let blocks = |mode| {
        refused(
            NodeProto {
                attribute: vec![int("blocksize", 2), text("mode", mode)],
                ..node("DepthToSpace", &["x"], &["y"])
            },
            13,
        )
    };
    assert_eq!((blocks("DCR"), blocks("CRD")), (accepted.clone(), accepted));
    assert_eq!(blocks("RCD"), ["DepthToSpace (attribute mode = RCD)"]);
    assert_eq!(refused(node("Cast", &["x"], &["y"]), 13), ["Cast (without attribute to)"]);
    let twice = [int("exclusive", 1), int("exclusive", 0)];
    assert_eq!(with("CumSum", &twice), ["CumSum (attribute exclusive twice)"]);
    assert_eq!(with("CumSum", &[text("exclusive", "1")]), ["CumSum (attribute exclusive of type String)"]);
}

#[test]
fn operands_are_implemented() {
    let inputs = ["x", "k", "v", "", "", "", "n"];
    assert_eq!(refused(node("Add", &["x"], &["y"]), 14), ["Add (without B)"]);
    assert_eq!(refused(node("Add", &["x", "x", "x"], &["y"]), 14), ["Add (3 inputs instead of at most 2)"]);
    assert_eq!(
        refused(node("Concat", &[], &["y"]), 13),
        ["Concat (without attribute axis)", "Concat (without inputs)"]
    );
    assert_eq!(refused(node("Relu", &["x"], &["y", "z"]), 14), ["Relu (2 outputs instead of at most 1)"]);
    let normal = node("BatchNormalization", &["x"; 5], &["y", "mean"]);
    assert_eq!(refused(normal, 9), ["BatchNormalization (with mean)"]);
    assert_eq!(refused(node("Attention", &inputs, &["y"]), 23), ["Attention (7 inputs instead of at most 6)"]);
}

#[test]
fn bodies_of_nodes_are_looked_into() {
    let mut scan = node("Scan", &["x"], &["y"]);
    let mut inner = node("Celu", &["a"], &["b"]);
    inner.attribute.push(int("beta", 1));
    let body = graph(vec![inner, node("NonZero", &["b"], &["c"])], &["a"], &["c"]);
    let body = AttributeProto {
        name: "body".to_owned(),
        r#type: AttributeType::Graph as i32,
        g: Some(body),
        ..AttributeProto::default()
    };
    scan.attribute = vec![int("num_scan_inputs", 1), body];
    let found = unsupported(&[scan], 16).0;
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].to_string().starts_with("Celu (attribute beta") && found[0].nodes == ["node_y"], "{found:?}");
}

/// A node of a version with everything that it must have.
fn min_node(row: &Operator, schema: &Schema) -> NodeProto {
    let operands = |arity: Arity| match arity {
        Arity::Needed => 1,
        Arity::Optional => 0,
        Arity::Repeated(least) => least.max(1),
    };
    let names = |formals: &[crate::import::schema::Formal]| -> Vec<String> {
        let count = |f: &crate::import::schema::Formal| {
            std::iter::repeat_n(if operands(f.arity) > 0 { "v" } else { "" }.to_owned(), operands(f.arity).max(1))
        };
        formals.iter().flat_map(count).collect()
    };
    let needed = schema.attributes.iter().filter(|formal| formal.absent == Absent::Forbidden);
    let attribute = needed.map(|formal| other_value(row, formal.name, formal.kind, true)).collect();
    let (input, output) = (names(&schema.inputs), names(&schema.outputs));
    NodeProto {
        name: "n".to_owned(),
        op_type: row.name.to_owned(),
        domain: row.domain.to_owned(),
        input,
        output,
        attribute,
        ..NodeProto::default()
    }
}

/// A value that is no default; an implemented one if that is requested.
fn other_value(row: &Operator, name: &str, kind: Kind, implemented: bool) -> AttributeProto {
    let kinds = [
        (Kind::Float, AttributeType::Float),
        (Kind::Int, AttributeType::Int),
        (Kind::String, AttributeType::String),
        (Kind::Tensor, AttributeType::Tensor),
        (Kind::Graph, AttributeType::Graph),
        (Kind::SparseTensor, AttributeType::SparseTensor),
        (Kind::TypeProto, AttributeType::TypeProto),
        (Kind::Floats, AttributeType::Floats),
        (Kind::Ints, AttributeType::Ints),
        (Kind::Strings, AttributeType::Strings),
    ];
    let r#type = kinds.iter().find(|(own, _)| *own == kind).expect("every kind has a type").1 as i32;
    let known = row.values_of(name).and_then(|values| values.first().copied()).filter(|_| implemented);
    let (i, s) = (known.and_then(|v| v.parse().ok()).unwrap_or(77), known.unwrap_or("other").as_bytes().to_vec());
    let (ints, floats, strings) = (vec![77], vec![0.77], vec![b"other".to_vec()]);
    AttributeProto { name: name.to_owned(), r#type, i, f: 0.77, s, ints, floats, strings, ..AttributeProto::default() }
}

/// Every version of every accepted operator: a node with the least is taken, and each attribute and operand of the schema is taken or
/// refused as the row says.
#[test]
fn every_attribute_of_every_version_is_implemented_or_refused() {
    let mut seen = 0;
    for row in OPERATORS.iter().filter(|row| !matches!(row.support, Support::Refused(_))) {
        let all = versions(&row.full_name());
        for (index, schema) in all.iter().enumerate() {
            let last = all.get(index + 1).map_or(newest_opset(), |next| i64::from(next.since) - 1);
            let opset = if row.domain.is_empty() { last } else { 1 };
            let least = min_node(row, schema);
            if !row.versions.contains(&schema.since) {
                assert!(refused(least, opset)[0].contains("version"), "{} {}", row.name, schema.since);
                continue;
            }
            assert_eq!(refused(least.clone(), opset), Vec::<String>::new(), "{} {}", row.name, schema.since);
            let optional = schema.attributes.iter().filter(|formal| formal.absent != Absent::Forbidden);
            for formal in optional.filter(|formal| formal.name != "consumed_inputs") {
                let mut node = least.clone();
                node.attribute.push(other_value(row, formal.name, formal.kind, false));
                let taken = row.values_of(formal.name).is_some_and(|values| values.is_empty());
                assert_eq!(refused(node, opset).is_empty(), taken, "{} {} {}", row.name, schema.since, formal.name);
                seen += 1;
            }
            for side in [0, 1] {
                let formals = [&schema.inputs, &schema.outputs][side];
                for (position, formal) in formals.iter().enumerate().filter(|(_, f)| f.arity == Arity::Optional) {
                    let mut node = least.clone();
                    [&mut node.input, &mut node.output][side][position] = "w".to_owned();
                    assert_eq!(refused(node, opset).is_empty(), row.takes(formal.name), "{} {}", row.name, formal.name);
                    seen += 1;
                }
            }
        }
    }
    assert!(seen > 500, "{seen}");
}

fn with_opsets(sets: &[(&str, i64)], node: NodeProto) -> ModelProto {
    let set = |(domain, version): &(&str, i64)| OperatorSetIdProto { domain: (*domain).to_owned(), version: *version };
    let graph = Some(graph(vec![node], &["x"], &["y"]));
    ModelProto { ir_version: 8, opset_import: sets.iter().map(set).collect(), graph, ..ModelProto::default() }
}

#[test]
fn the_opset_is_known_and_said_once() {
    let relu = || node("Relu", &["x"], &["y"]);
    let of = |sets: &[(&str, i64)]| opset(&with_opsets(sets, relu()));
    assert!(matches!(of(&[("", 28)]), Ok(28)));
    assert!(matches!(of(&[("ai.onnx", 17), ("", 17)]), Ok(17)));
    assert!(matches!(of(&[("", 999)]), Err(ImportError::OpsetUnknown { version: 999, newest: 28, .. })));
    assert!(matches!(of(&[("", 0)]), Err(ImportError::OpsetUnknown { .. })));
    assert!(matches!(of(&[("", 17), ("com.microsoft", 2)]), Err(ImportError::OpsetUnknown { version: 2, .. })));
    assert!(matches!(of(&[("", 17), ("ai.onnx", 13)]), Err(ImportError::OpsetTwice { .. })));
    assert!(matches!(of(&[("com.microsoft", 1)]), Err(ImportError::OpsetMissing { node }) if node == "node_y"));
    let old = ModelProto { ir_version: 2, ..with_opsets(&[], relu()) };
    assert!(matches!(opset(&old), Ok(1)));
    let contributed = NodeProto { domain: "com.microsoft".to_owned(), ..node("QuickGelu", &["x"], &["y"]) };
    assert!(matches!(opset(&with_opsets(&[], contributed)), Ok(28)), "rewrites write the newest form");
}

#[test]
fn names_are_made_once_and_before_they_are_used() {
    let complaints = |nodes: Vec<NodeProto>, inputs: &[&str], initialisers: &[&str]| -> Vec<String> {
        let mut graph = graph(nodes, inputs, &["y"]);
        let tensor = |name: &&str| TensorProto { name: (*name).to_owned(), ..TensorProto::default() };
        graph.initializer = initialisers.iter().map(tensor).collect();
        flaws(&graph, std::iter::once("outside")).iter().map(ToString::to_string).collect()
    };
    let relu = |input: &str, output: &str| node("Relu", &[input], &[output]);
    assert_eq!(complaints(vec![relu("x", "y")], &["x"], &["x"]), Vec::<String>::new(), "a default of an input");
    assert_eq!(complaints(vec![relu("outside", "y")], &[], &[]), Vec::<String>::new());
    let twice = [
        (
            vec![relu("x", "y"), relu("x", "y")],
            &["x"][..],
            &[][..],
            "`y` is made by node `node_y` and again by node `node_y`",
        ),
        (vec![relu("x", "y")], &["x", "x"], &[], "`x` is made by an input and again by an input"),
        (vec![relu("x", "y")], &["x", "y"], &[], "`y` is made by an input and again by node `node_y`"),
        (vec![relu("x", "y")], &["x"], &["y"], "`y` is made by an initialiser and again by node `node_y`"),
        (vec![relu("x", "y")], &["x"], &["w", "w"], "`w` is made by an initialiser and again by an initialiser"),
        (vec![relu("x", "y")], &["x"], &["outside"], "`outside` is made by an initialiser and again by an initialiser"),
        (vec![relu("z", "y")], &["x"], &[], "node `node_y` uses `z`, which nothing makes"),
        (vec![relu("x", "z")], &["x"], &[], "the output `y` is made by nothing"),
        (
            vec![relu("z", "y"), relu("x", "z")],
            &["x"],
            &[],
            "node `node_y` uses `z`, which node `node_z` makes only after it",
        ),
    ];
    for (nodes, inputs, initialisers, expected) in twice {
        assert_eq!(complaints(nodes, inputs, initialisers), [expected]);
    }
    let cycle = complaints(vec![node("Add", &["x", "z"], &["y"]), relu("y", "z")], &["x"], &[]);
    assert_eq!(cycle, ["node `node_y` uses `z`, which depends on the node's own result"]);
    let own = complaints(vec![relu("y", "y")], &["x"], &[]);
    assert_eq!(own, ["node `node_y` uses `y`, which depends on the node's own result"]);
}
