//! Every message of import's errors, with its causes as programs print it, against `tests/golden/import_errors.txt`.
//!
//! The messages that models lead to are in `tests_messages.rs`.

use super::axes::Misplaced;
use super::error::{ImportError, OpenSize, Unbindable};
use super::failure::{Failure, Stage};
use super::functions::uncallable::Uncallable;
use super::kernel_op::NotTaken;
use super::preflight::invalid::Invalid;
use super::reason::{EquationError, Reason, Unsupported, UnsupportedOp};
use super::shapes::Unfit;
use super::states::StateError;
use super::structure::{Flaw, Maker};
use super::types::Mistyped;
use crate::graph::ShapeError;
use crate::graph::constant::Dtype;
use crate::graph::verify::Violation;
use flashmem_plan_format::examples;
use flashmem_plan_format::plan::ElementType;
use flashmem_plan_format::testing::messages::chain;
use std::io::ErrorKind;
use tract_onnx::pb::attribute_proto::AttributeType;

fn text(text: &str) -> String {
    text.to_owned()
}

fn node() -> String {
    text("/layer/MatMul")
}

fn op() -> String {
    text("MatMul")
}

fn unfit() -> ShapeError {
    ShapeError::Shape { op: "MatMul", operand: 1, shape: vec![4, 4], reason: "its k is not the other operand's" }
}

fn misplaced() -> Misplaced {
    Misplaced { node: node(), op: text("Softmax"), axes: vec![7], value: text("x"), rank: 2 }
}

fn misshaped() -> Unfit {
    Unfit {
        node: node(),
        op: op(),
        operand: "B",
        value: text("weight"),
        shape: vec![4, 4],
        needed: text("[3, …] of 2 axes"),
    }
}

fn reasons() -> String {
    let reasons = examples!(Reason {
        NotYet(9);
        Version(22);
        UnknownAttribute { name: text("axis"), since: 14 };
        AttributeTwice(text("axis"));
        AttributeReference(text("axis"));
        AttributeType { name: text("axis"), found: AttributeType::Floats };
        Attribute { name: text("mode"), value: Some(text("cubic")) };
        WithoutAttribute("kernel_shape");
        WithoutOperand("scales");
        Operand("roi");
        TooMany { side: "inputs", found: 5, most: 3 };
        Form { text: "a recurrence of {} steps of {}", values: vec![9_i64.into(), (vec![2, 3], Dtype::F32).into()] };
        Equation(EquationError::Arrows);
        Body { op: text("Relu"), reason: Some(Box::new(Reason::from("of integers"))) };
    });
    let equations = examples!(EquationError {
        Character('#');
        Ellipses(text("...i..."));
        Arrows;
        Operands { terms: 2, operands: 3 };
        Unknown('k');
        Twice('i');
    });
    reasons + &equations
}

fn invalid() -> String {
    let flaws = examples!(Flaw {
        MadeTwice { value: text("y"), first: Maker::Input, second: Maker::Node(node()) };
        NeverMade { value: text("y"), node: node() };
        OutputNeverMade { value: text("y") };
        MadeLater { value: text("y"), node: node(), maker: text("/layer/Add") };
        Cycle { value: text("y"), node: node() };
    });
    let invalid = examples!(Invalid {
        TooMany { what: "nodes", limit: 1_000_000 };
        Cycle { node: node() };
        OutputNotComputed { name: text("y") };
        NotComputed { name: text("y") };
        Shape { name: text("weight"), shape: vec![-1, 4] };
        TooLarge { node: node(), shape: text("[100000, 100000]") };
        Attribute {
            node: node(), op: text("MaxPool"), attribute: text("kernel_shape"), value: text("0"), expected: text("1 to 9 is allowed")
        };
        Operand { node: node(), op: text("Pad"), position: 1, value: text("-1"), expected: text("0 to 9 is allowed") };
        FoldTooLarge { node: node(), bytes: 1 << 40 };
        Unsupported { node: node(), op: op(), operands: vec![text("F32 [5, 5]"), text("F32 [4, 4]")] };
        Empty { node: node(), shape: vec![0, 4] };
    });
    let types = examples!(Mistyped {
        Element {
            node: node(), op: op(), operand: "B", value: text("weight"), found: "bool", allowed: vec!["float", "int32"]
        };
        Unequal {
            node: node(), op: op(), operand: "B", value: text("weight"), found: "float", other: "A", expected: "int32"
        };
        Declared { value: text("y"), found: "float", said: "int32" };
    });
    let functions = examples!(Uncallable {
        Twice { function: text("local.Block") };
        Recursive { function: text("local.Block"), node: node() };
        TooMany { function: text("local.Block"), node: node(), side: "inputs", found: 3, most: 2 };
        Attribute { function: text("local.Block"), node: node(), attribute: text("axis") };
        Version { function: text("local.Block"), op: text("Softmax"), version: 11, models: 13 };
    });
    let states = examples!(StateError {
        Unknown { kind: "output", name: text("hn"), known: vec![text("y"), text("h1")] };
        Twice { kind: "output", name: text("h1") };
        Shape { output: text("h1"), input: text("h0"), found: vec![1, 9], expected: vec![1, 8] };
        Element { output: text("h1"), input: text("h0"), found: ElementType::F32, expected: ElementType::I64 };
        Length { node: node(), input: text("past") };
        Unmasked { input: text("past") };
        NothingRecognised;
    });
    [flaws, invalid, types, functions, states].concat()
}

fn imports() -> String {
    let unsupported = || {
        let nodes = ["a", "b", "c", "d"].map(text).to_vec();
        let forms = UnsupportedOp { op: text("Scan"), reason: Some(Reason::from("a recurrence of 0 steps")), nodes };
        Unsupported(vec![forms, UnsupportedOp { op: text("Invented"), reason: None, nodes: vec![node()] }])
    };
    let places = || vec![(text("ids"), 0), (text("mask"), 0)];
    let sizes = || {
        let known = Some(vec![text("1"), text("?")]);
        vec![
            OpenSize::Symbol { symbol: text("batch"), places: places() },
            OpenSize::Shape { input: text("x"), known },
            OpenSize::Shape { input: text("z"), known: None },
        ]
    };
    let mistyped = || Mistyped::Declared { value: text("y"), found: "float", said: "int32" };
    let binding = examples!(Unbindable {
        GivenTwice;
        NoTensor;
        TooLarge { shape: vec![1, 4096], limit: 1024 };
        UnknownElement(99);
        Element("bool");
    });
    let imports = examples!(ImportError {
        State(StateError::Twice { kind: "output", name: text("h1") });
        Read { path: "model.onnx".into(), source: ErrorKind::NotFound.into() };
        NotOnnx { path: "model.onnx".into(), reason: text("it is a text") };
        Uncallable(Uncallable::Twice { function: text("local.Block") });
        Functions { reason: text("unexpected end") };
        OpsetUnknown { domain: text(""), version: 99, newest: 26 };
        OpsetTwice { domain: text("com.microsoft"), versions: vec![1, 2] };
        OpsetMissing { node: node() };
        Flawed(vec![Flaw::OutputNeverMade { value: text("y") }, Flaw::Cycle { value: text("y"), node: node() }]);
        Failed(Failure::new(Stage::Infer, String::new()).at("/layer/MatMul", Some("MatMul")));
        Invalid(Invalid::Cycle { node: node() });
        Unsupported(unsupported());
        Axes(vec![misplaced()]);
        Shapes(vec![misshaped()]);
        Types(vec![mistyped()]);
        OpenSizes(sizes());
        Binding { name: text("past"), value: text("0"), reason: Unbindable::GivenTwice };
        NoSuchInput { name: text("idx"), inputs: vec![text("ids"), text("mask")] };
        NoSuchDimension { name: text("bach"), dims: vec![text("batch")], inputs: vec![text("ids")] };
        InterfaceUntyped { port: "output", name: text("y") };
        InterfaceElement { name: text("y"), element: text("STRING") };
        PortName { name: text("yyyy"), bytes: 70_000, limit: 65_531 };
        ExternalEscape { tensor: text("weight"), location: text("../weights.bin") };
        ExternalEntry { tensor: text("weight"), key: "offset" };
        ExternalMissing { tensor: text("weight"), path: "weights.bin".into(), source: ErrorKind::NotFound.into() };
        ExternalTooShort { tensor: text("weight"), path: "weights.bin".into(), offset: 64, end: 128, file_bytes: 100 };
        TensorBytes { tensor: text("weight"), shape: vec![2, 3], expected: 24, found: 20 };
        IntegerRange { name: text("weight"), value: 1 << 40 };
        IndexRange { node: text("/embedding/Gather"), position: 3, index: 9, least: -8, most: 7 };
        WideInteger { node: node(), op: "MatMul" };
        Disagreement { node: node(), ours: (vec![2, 3], Dtype::F32), tract: (vec![2, 4], Dtype::I32) };
        Rejected { node: node(), error: unfit() };
        Malformed(vec![Violation::Cycle { node: node() }]);
        ReferenceInput { name: text("ids"), reason: text("no value is given") };
    });
    binding + &imports
}

#[test]
fn messages_are_as_committed() {
    let taken = NotTaken { node: node(), error: unfit() };
    let records = [("Misplaced", chain(&misplaced())), ("Unfit", chain(&misshaped())), ("NotTaken", chain(&taken))];
    let records: String = records.iter().map(|(name, message)| format!("{name}\n    {message}\n")).collect();
    crate::blessed::check("import_errors.txt", &[reasons(), invalid(), records, imports()].concat());
}
