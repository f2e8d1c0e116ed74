//! What ONNX says about the form of every operator: operands, attributes and their defaults, version by version.
//!
//! The table is `compiler/schemas/schemas.txt`, written from the `onnx` package and ONNX Runtime by the script beside it. It says
//! what a node may look like, the registry which of that is implemented. Element types and meanings are deliberately not here.

use std::collections::BTreeMap;
use std::sync::LazyLock;

const TEXT: &str = include_str!("../../schemas/schemas.txt");

/// The newest version of the standard operators, which the table's first line has.
static NEWEST_OPSET: LazyLock<i64> = LazyLock::new(|| {
    let number = TEXT.split_once("opset ").and_then(|(_, rest)| rest.split_once(';'));
    number.and_then(|(number, _)| number.parse().ok()).expect("the table says its version")
});

/// The newest version of the standard operators that is known.
pub fn newest_opset() -> i64 {
    *NEWEST_OPSET
}

/// The type of an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A float.
    Float,
    /// An integer.
    Int,
    /// A text.
    String,
    /// A tensor.
    Tensor,
    /// A graph.
    Graph,
    /// A sparse tensor.
    SparseTensor,
    /// A type.
    TypeProto,
    /// Floats.
    Floats,
    /// Integers.
    Ints,
    /// Texts.
    Strings,
}

const KINDS: &[(&str, Kind)] = &[
    ("FLOAT", Kind::Float),
    ("INT", Kind::Int),
    ("STRING", Kind::String),
    ("TENSOR", Kind::Tensor),
    ("GRAPH", Kind::Graph),
    ("SPARSE_TENSOR", Kind::SparseTensor),
    ("TYPE_PROTO", Kind::TypeProto),
    ("FLOATS", Kind::Floats),
    ("INTS", Kind::Ints),
    ("STRINGS", Kind::Strings),
];

/// How often an operand may be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arity {
    /// Once.
    Needed,
    /// Once or not at all.
    Optional,
    /// Any number of times from this number of operands in all.
    Repeated(usize),
}

/// An input or output of an operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Formal {
    /// Its name.
    pub name: &'static str,
    /// How often it may be given.
    pub arity: Arity,
}

/// What holds where an attribute is not given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absent {
    /// It must be given.
    Forbidden,
    /// The operator says what then holds.
    Unsaid,
    /// This value, in JSON.
    Value(&'static str),
}

/// An attribute of an operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FormalAttribute {
    /// Its name.
    pub name: &'static str,
    /// Its type.
    pub kind: Kind,
    /// What holds without it.
    pub absent: Absent,
}

/// A version of an operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schema {
    /// The version of the domain that brought it.
    pub since: u32,
    /// Inputs, in order.
    pub inputs: Vec<Formal>,
    /// Outputs, in order.
    pub outputs: Vec<Formal>,
    /// Attributes, by name.
    pub attributes: Vec<FormalAttribute>,
}

type Table = BTreeMap<&'static str, Vec<Schema>>;

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let mut table = Table::new();
    for line in TEXT.lines().filter(|line| !line.starts_with('#')) {
        let (name, schema) = parse(line).expect("the table is well formed");
        table.entry(name).or_default().push(schema);
    }
    table
});

/// Every version of an operator, oldest first. The name has its domain in front unless that is the standard one.
pub fn versions(full_name: &str) -> &'static [Schema] {
    TABLE.get(full_name).map_or(&[], Vec::as_slice)
}

/// Names of all operators.
#[cfg(test)]
pub fn names() -> impl Iterator<Item = &'static str> {
    TABLE.keys().copied()
}

/// The version of an operator that holds in a version of its domain.
pub fn in_force(full_name: &str, opset: i64) -> Option<&'static Schema> {
    versions(full_name).iter().rev().find(|schema| i64::from(schema.since) <= opset)
}

fn parse(line: &'static str) -> Option<(&'static str, Schema)> {
    let line = line.strip_suffix(" deprecated").unwrap_or(line);
    let (sides, attributes) = line.split_once(" |")?;
    let (left, outputs) = sides.split_once(" ->")?;
    let mut words = left.split_whitespace();
    let (name, since) = (words.next()?, words.next()?.parse().ok()?);
    let schema = Schema {
        since,
        inputs: words.map(formal).collect::<Option<_>>()?,
        outputs: outputs.split_whitespace().map(formal).collect::<Option<_>>()?,
        attributes: attributes.split_whitespace().map(formal_attribute).collect::<Option<_>>()?,
    };
    Some((name, schema))
}

fn formal(word: &'static str) -> Option<Formal> {
    if let Some(name) = word.strip_suffix('?') {
        return Some(Formal { name, arity: Arity::Optional });
    }
    match word.split_once('*') {
        Some((name, least)) => Some(Formal { name, arity: Arity::Repeated(least.parse().ok()?) }),
        None => Some(Formal { name: word, arity: Arity::Needed }),
    }
}

fn formal_attribute(word: &'static str) -> Option<FormalAttribute> {
    let (name, rest) = word.split_once(':')?;
    let (kind, absent) = match (rest.strip_suffix('!'), rest.split_once('=')) {
        (Some(kind), _) => (kind, Absent::Forbidden),
        (None, Some((kind, value))) => (kind, Absent::Value(value)),
        (None, None) => (rest, Absent::Unsaid),
    };
    let kind = KINDS.iter().find(|(word, _)| *word == kind)?.1;
    Some(FormalAttribute { name, kind, absent })
}
