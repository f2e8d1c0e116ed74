//! What calls of functions become, and what is refused.

use super::super::error::ImportError;
use super::super::preflight::invalid::Invalid;
use super::message::{Function, Functions};
use super::{Uncallable, inline};
use prost::Message as _;
use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::{
    AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, ValueInfoProto,
};

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// An operator of ONNX, or a call of a function in the domain `my` where its name begins with a small letter.
fn node(op_type: &str, input: &[&str], output: &[&str]) -> NodeProto {
    let domain = if op_type.starts_with(char::is_lowercase) { "my" } else { "" };
    let (op_type, domain) = (op_type.to_owned(), domain.to_owned());
    NodeProto { op_type, domain, input: owned(input), output: owned(output), ..NodeProto::default() }
}

fn float(name: &str, f: f32) -> AttributeProto {
    AttributeProto { name: name.to_owned(), f, r#type: AttributeType::Float as i32, ..AttributeProto::default() }
}

fn reference(name: &str, to: &str) -> AttributeProto {
    AttributeProto { ref_attr_name: to.to_owned(), ..float(name, 0.0) }
}

fn versions(standard: i64) -> Vec<OperatorSetIdProto> {
    let of = |domain: &str, version| OperatorSetIdProto { domain: domain.to_owned(), version };
    vec![of("", standard), of("my", 1)]
}

fn function(name: &str, input: &[&str], output: &[&str], nodes: Vec<NodeProto>) -> Function {
    Function {
        name: name.to_owned(),
        domain: "my".to_owned(),
        input: owned(input),
        output: owned(output),
        node: nodes,
        opset_import: versions(18),
        ..Function::default()
    }
}

fn model(
    functions: Vec<Function>,
    nodes: Vec<NodeProto>,
    opset_import: Vec<OperatorSetIdProto>,
) -> (ModelProto, Vec<u8>) {
    let info = |name: &str| ValueInfoProto { name: name.to_owned(), ..ValueInfoProto::default() };
    let graph = GraphProto { node: nodes, input: vec![info("x")], output: vec![info("y")], ..GraphProto::default() };
    let known = vec![FunctionProto::default(); functions.len()];
    let proto = ModelProto { graph: Some(graph), functions: known, opset_import, ..ModelProto::default() };
    (proto, Functions { functions }.encode_to_vec())
}

fn inlined(functions: Vec<Function>, nodes: Vec<NodeProto>) -> Result<Vec<NodeProto>, ImportError> {
    let (mut proto, bytes) = model(functions, nodes, versions(18));
    inline(&mut proto, &bytes)?;
    Ok(proto.graph.expect("it had one").node)
}

fn refused(functions: Vec<Function>, nodes: Vec<NodeProto>) -> Uncallable {
    match inlined(functions, nodes) {
        Err(ImportError::Uncallable(why)) => why,
        other => panic!("{other:?}"),
    }
}

/// `op(inputs) -> outputs`, one a node.
fn listed(nodes: &[NodeProto]) -> Vec<String> {
    let one = |n: &NodeProto| format!("{}({}) -> {}", n.op_type, n.input.join(", "), n.output.join(", "));
    nodes.iter().map(one).collect()
}

#[test]
fn calls_become_nodes_under_names_of_their_own() {
    let inner =
        function("inner", &["a", "b"], &["r"], vec![node("Mul", &["a", "b"], &["t"]), node("Neg", &["t"], &["r"])]);
    let body = [node("inner", &["a", "t"], &["t2"]), node("Add", &["t2", "a"], &["r"]), node("Abs", &["a"], &["t"])];
    let body = vec![body[2].clone(), body[0].clone(), body[1].clone()];
    let outer = function("outer", &["a"], &["r"], body);
    let calls = vec![node("outer", &["x"], &["m"]), node("outer", &["m"], &["y"])];
    let found = inlined(vec![outer, inner], calls).expect("both fit");
    let expected = [
        "Abs(x) -> m/t",
        "Mul(x, m/t) -> m/t2/t",
        "Neg(m/t2/t) -> m/t2",
        "Add(m/t2, x) -> m",
        "Abs(m) -> y/t",
        "Mul(m, y/t) -> y/t2/t",
        "Neg(y/t2/t) -> y/t2",
        "Add(y/t2, m) -> y",
    ];
    assert_eq!(listed(&found), expected);
}

#[test]
fn names_of_a_body_meet_no_others() {
    let f = function("f", &["a"], &["r"], vec![node("Abs", &["a"], &["t"]), node("Neg", &["t"], &["r"])]);
    let g = function("g", &["a"], &["r"], vec![node("f", &["a"], &["b"]), node("Add", &["b", "b/t"], &["r"])]);
    let nodes = vec![node("Relu", &["x"], &["y/t"]), node("f", &["y/t"], &["y"])];
    assert_eq!(
        listed(&inlined(vec![f.clone()], nodes).expect("it fits"))[1..],
        ["Abs(y/t) -> y#2/t", "Neg(y#2/t) -> y"]
    );
    // What a function does not define stays undefined, though a call inside makes such a name.
    let found = listed(&inlined(vec![f, g], vec![node("g", &["x"], &["y"])]).expect("it fits"));
    assert_eq!(found, ["Abs(x) -> y/b#2/t", "Neg(y/b#2/t) -> y/b", "Add(y/b, y/b/t) -> y"]);
}

#[test]
fn operands_and_results_may_be_left_out_and_be_each_other() {
    let body = vec![node("Clip", &["a", "low", "high"], &["r"]), node("Abs", &["r"], &["s"])];
    let f = function("f", &["a", "low", "high"], &["r", "s", "a", "r"], body);
    let found = inlined(vec![f.clone()], vec![node("f", &["x"], &["", "y", "c", "d"])]).expect("it fits");
    let expected = ["Clip(x, , ) -> d", "Abs(d) -> y", "Identity(x) -> c"];
    assert_eq!(listed(&found), expected);
    let found = inlined(vec![f], vec![node("f", &["x"], &["b", "y", "c", "d"])]).expect("it fits");
    assert_eq!(listed(&found)[2..], ["Identity(x) -> c", "Identity(b) -> d"]);
}

#[test]
fn attributes_are_those_of_the_call_or_defaults_or_left_out() {
    let mut leaky = node("LeakyRelu", &["a"], &["r"]);
    leaky.attribute = vec![reference("alpha", "slope")];
    let inner = Function {
        attribute: owned(&["other"]),
        attribute_proto: vec![float("slope", 0.25)],
        ..function("inner", &["a"], &["r"], vec![leaky])
    };
    let mut call = node("inner", &["a"], &["r"]);
    call.attribute = vec![reference("slope", "outer_slope")];
    let outer = Function { attribute: owned(&["outer_slope"]), ..function("outer", &["a"], &["r"], vec![call]) };
    let found = |attribute: Vec<AttributeProto>| {
        let nodes = vec![NodeProto { attribute, ..node("outer", &["x"], &["y"]) }];
        let nodes = inlined(vec![inner.clone(), outer.clone()], nodes).expect("it fits");
        nodes[0].attribute.clone()
    };
    assert_eq!(found(vec![float("outer_slope", 0.5)]), [float("alpha", 0.5)]);
    assert_eq!(found(vec![]), [float("alpha", 0.25)]);
    let inner = Function { attribute_proto: vec![], attribute: owned(&["slope"]), ..inner };
    let nodes = inlined(vec![inner], vec![node("inner", &["x"], &["y"])]).expect("it fits");
    assert_eq!(nodes[0].attribute, []);
}

#[test]
fn bodies_of_nodes_are_renamed_and_expanded() {
    let f = function("f", &["a"], &["r"], vec![node("Abs", &["a"], &["r"])]);
    let info = |name: &str| ValueInfoProto { name: name.to_owned(), ..ValueInfoProto::default() };
    let mut slope = node("LeakyRelu", &["outer"], &["own"]);
    slope.attribute = vec![reference("alpha", "slope")];
    let branch = GraphProto {
        node: vec![slope, node("f", &["own"], &["last"])],
        output: vec![info("last")],
        ..GraphProto::default()
    };
    let mut choice = node("If", &["c"], &["r"]);
    choice.attribute = ["then_branch", "else_branch"]
        .map(|name| AttributeProto { name: name.to_owned(), g: Some(branch.clone()), ..AttributeProto::default() })
        .to_vec();
    let body = vec![node("Neg", &["a"], &["outer"]), choice];
    let g = Function { attribute: owned(&["slope"]), ..function("g", &["a", "c"], &["r"], body) };
    let mut call = node("g", &["x", "c"], &["y"]);
    call.attribute = vec![float("slope", 0.5)];
    let found = inlined(vec![f, g], vec![call]).expect("it fits");
    assert_eq!(listed(&found), ["Neg(x) -> y/outer", "If(c) -> y"]);
    let branch = found[1].attribute[0].g.as_ref().expect("a branch");
    assert_eq!(listed(&branch.node), ["LeakyRelu(y/outer) -> y/own", "Abs(y/own) -> y/last"]);
    assert_eq!((branch.output[0].name.as_str(), branch.node[0].attribute[0].f), ("y/last", 0.5));
}

#[test]
fn what_has_no_meaning_is_refused_by_name() {
    let f = || function("f", &["a"], &["r"], vec![node("Abs", &["a"], &["r"])]);
    let call = || node("f", &["x"], &["y"]);
    let name = || ("my.f".to_owned(), "y".to_owned());
    assert_eq!(refused(vec![f(), f()], vec![]), Uncallable::Twice { function: "my.f".to_owned() });
    let (function_name, node_name) = name();
    let [g, h] =
        [("g", "h"), ("h", "g")].map(|(own, other)| function(own, &["a"], &["r"], vec![node(other, &["a"], &["r"])]));
    let found = refused(vec![g, h], vec![node("g", &["x"], &["y"])]);
    assert_eq!(found, Uncallable::Recursive { function: "my.g".to_owned(), node: "y".to_owned() });
    let found = refused(vec![f()], vec![node("f", &["x", "x"], &["y"])]);
    let expected = Uncallable::TooMany { function: function_name, node: node_name, side: "inputs", found: 2, most: 1 };
    assert_eq!(found, expected);
    let given = NodeProto { attribute: vec![float("slope", 0.5)], ..call() };
    let (function_name, node_name) = name();
    let expected = Uncallable::Attribute { function: function_name, node: node_name, attribute: "slope".to_owned() };
    assert_eq!(refused(vec![f()], vec![given]), expected);
    let older = Function { opset_import: versions(12), ..f() };
    let found = refused(vec![older], vec![call()]);
    assert!(matches!(found, Uncallable::Version { op, version: 12, models: 18, .. } if op == "Abs"));
}

#[test]
fn an_operator_is_no_function_and_versions_are_taken_over() {
    let own = Function { domain: String::new(), ..function("Relu", &["a"], &["r"], vec![node("Neg", &["a"], &["r"])]) };
    let found = inlined(vec![own], vec![node("Relu", &["x"], &["y"])]).expect("it is an operator");
    assert_eq!(listed(&found), ["Relu(x) -> y"]);
    let f = function("f", &["a"], &["r"], vec![node("Abs", &["a"], &["r"])]);
    let (mut proto, bytes) = model(vec![f], vec![node("f", &["x"], &["y"])], vec![]);
    inline(&mut proto, &bytes).expect("it fits");
    assert_eq!(proto.opset_import, versions(18));
}

#[test]
fn what_calls_become_is_bounded() {
    let limit = |functions: Vec<Function>, nodes| match inlined(functions, nodes) {
        Err(ImportError::Invalid(Invalid::TooMany { what, .. })) => what,
        other => panic!("{other:?}"),
    };
    // Each calls the next one twice.
    let chain = |count: usize, times: usize| -> Vec<Function> {
        let name = |i: usize| format!("f{i}");
        let calls = |i: usize| vec![node(&name(i + 1), &["a"], &["r"]); times];
        let last = function(&name(count), &["a"], &["r"], vec![]);
        (0..count).map(|i| function(&name(i), &["a"], &["r"], calls(i))).chain([last]).collect()
    };
    let call = || vec![node("f0", &["x"], &["y"])];
    assert_eq!(limit(chain(60, 1), call()), "calls of functions inside one another");
    assert_eq!(limit(chain(30, 2), call()), "calls of functions");
    let wide = function("f0", &["a"], &["r"], vec![node("Abs", &["a"], &["r"]); 1 << 16]);
    assert_eq!(limit(vec![wide], call()), "nodes");
    let long = Function {
        attribute: owned(&["s"]),
        ..function(
            "f0",
            &["a"],
            &["r"],
            vec![{
                let mut node = node("Abs", &["a"], &["r"]);
                node.attribute = vec![reference("s", "s"); 1 << 12];
                node
            }],
        )
    };
    let mut call = node("f0", &["x"], &["y"]);
    call.attribute = vec![AttributeProto { s: vec![0; 1 << 20], ..float("s", 0.0) }];
    assert_eq!(limit(vec![long], vec![call]), "bytes of nodes in calls of functions");
}
