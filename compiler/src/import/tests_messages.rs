//! What refusals say: a golden file of one of each kind, and no word of tract's nor a name that the model does not have in any.
//!
//! `BLESS=1` rewrites `tests/golden/messages.txt`.

use super::tests::{error_of, field, fixed, info, model, node, number, write};
use super::{ImportOptions, OPERATORS, import};
use std::fmt::Write as _;
use std::path::Path;

/// Words of tract's, of its panics, and of our own steps.
const FORBIDDEN: &[&str] = &[
    "tract",
    "⟦",
    "⟧",
    "Val(",
    "Sym(",
    "fix-rank",
    "-recip",
    "Fold {",
    "OpOptim",
    "panicked",
    "unwrap",
    "Impossible to unify",
    "Applying rule",
    "Failed analyse",
    "index out of bounds",
    "divide by zero",
    "ToTyped",
    "MultiBroadcast",
    "IfThenElse",
    "TDim",
    "broadcast(",
];

/// An attribute of a node, encoded: integers.
fn ints(name: &str, values: &[u8]) -> Vec<u8> {
    let values: Vec<u8> = values.iter().flat_map(|value| number(8, *value)).collect();
    field(5, &[field(1, name.as_bytes()), values, vec![0xa0, 1, 7]].concat())
}

/// One integer.
fn int(name: &str, value: u8) -> Vec<u8> {
    field(5, &[field(1, name.as_bytes()), number(3, value), vec![0xa0, 1, 2]].concat())
}

/// A node of two operands of these shapes, and attributes.
fn of(op: &str, operands: &[&[u8]], attributes: &[Vec<u8>]) -> Vec<u8> {
    let names = &["a", "b", "c", "d"][..operands.len()];
    let node = [node(op, "the_node", names, "y"), attributes.concat()].concat();
    let shape = |sizes: &[u8]| sizes.iter().map(|size| fixed(*size)).collect::<Vec<_>>();
    let inputs: Vec<Vec<u8>> = names.iter().zip(operands).map(|(name, sizes)| info(name, &shape(sizes))).collect();
    model(&[node], &[], &inputs, &[info("y", &[])])
}

/// What is wrong with a message.
fn complaint(message: &str) -> Option<String> {
    let word = FORBIDDEN.iter().find(|word| message.contains(**word)).map(|word| format!("says `{word}`"));
    let mut named = message.match_indices("node `").map(|(at, found)| &message[at + found.len()..]);
    let invented = named.find(|rest| !rest.starts_with("the_node`")).map(|_| "names another node".to_owned());
    word.or(invented)
}

#[test]
fn messages_are_as_recorded() {
    let cases: &[(&str, Vec<u8>)] = &[
        ("operands that do not fit each other", of("MatMul", &[&[5, 5], &[4, 4]], &[])),
        ("shapes that do not broadcast", of("Add", &[&[2, 3], &[2, 4]], &[])),
        ("operands of different shapes", of("Concat", &[&[2, 3], &[4, 4]], &[int("axis", 0)])),
        ("a weight that does not fit", of("Conv", &[&[1, 3, 8, 8], &[4, 2, 3, 3]], &[])),
        ("too few axes", of("Conv", &[&[3], &[4, 3, 3]], &[])),
        ("an axis that the tensor does not have", of("Softmax", &[&[2, 3]], &[int("axis", 7)])),
        ("a permutation of other axes", of("Transpose", &[&[2, 3]], &[ints("perm", &[0, 1, 2])])),
        ("a window without sizes", of("MaxPool", &[&[1, 2, 4, 4]], &[])),
        ("a window of no size", of("MaxPool", &[&[1, 2, 4, 4]], &[ints("kernel_shape", &[0, 2])])),
        ("a norm with a scale of another size", of("LayerNormalization", &[&[2, 3], &[4]], &[])),
        ("a shape that is computed", of("Reshape", &[&[2, 3], &[2]], &[])),
        ("an operand too few", of("Where", &[&[2, 3], &[2, 3]], &[])),
        ("an operator that there is not", of("Invented", &[&[2]], &[])),
        ("an attribute that there is not", of("Relu", &[&[2]], &[int("invented", 1)])),
        ("an operator that is refused", of("NonMaxSuppression", &[&[1, 2, 4], &[1, 1, 2]], &[])),
        ("a tensor without elements", of("Relu", &[&[0]], &[])),
        ("a matrix that is not square", of("Det", &[&[2, 3]], &[])),
    ];
    let mut text = String::new();
    for (what, bytes) in cases {
        let message = error_of(bytes, &ImportOptions::default()).to_string();
        assert_eq!(complaint(&message), None, "{message}");
        writeln!(text, "{what}\n    {}\n", message.replace('\n', "\n    ")).expect("writing to a string");
    }
    crate::blessed::check("messages.txt", &text);
}

#[test]
fn no_refusal_of_any_operator_says_what_the_model_does_not() {
    let operands: [&[&[u8]]; 6] = [
        &[&[2, 3]],
        &[&[2, 3], &[4, 5]],
        &[&[1, 3, 8, 8], &[4, 2, 3, 3]],
        &[&[2], &[2], &[2]],
        &[&[2, 3, 4], &[7], &[1], &[9, 9]],
        &[&[], &[2, 0]],
    ];
    let attributes: [Vec<Vec<u8>>; 3] =
        [vec![], vec![int("axis", 5)], vec![ints("kernel_shape", &[9, 9]), ints("axes", &[1, 1])]];
    let (directory, mut complaints, mut refused) = (tempfile::tempdir().expect("a folder"), Vec::new(), 0);
    for operator in OPERATORS.iter().filter(|operator| operator.domain.is_empty()) {
        for operands in operands {
            for attributes in &attributes {
                let path = write(directory.path(), &of(operator.name, operands, attributes));
                let Err(error) = import(&path, &ImportOptions::default()) else { continue };
                refused += 1;
                let message = error.to_string();
                complaints.extend(complaint(&message).map(|wrong| format!("{}: {wrong}: {message}", operator.name)));
            }
        }
    }
    assert!(refused > 500, "{refused} refusals");
    assert!(complaints.is_empty(), "{} complaints:\n{}", complaints.len(), complaints.join("\n"));
}

#[test]
fn refusals_of_committed_models_say_nothing_of_tract() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/models/ops");
    for line in include_str!("../../../tests/models/ops/refused.txt").lines() {
        let name = line.split(':').next().unwrap_or_default();
        if let Err(error) = import(&folder.join(format!("{name}.onnx")), &ImportOptions::default()) {
            let message = error.to_string();
            assert_eq!(FORBIDDEN.iter().find(|word| message.contains(**word)), None, "{name}: {message}");
        }
    }
}
