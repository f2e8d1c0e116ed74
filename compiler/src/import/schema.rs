//! What ONNX says about the form of every operator: operands and their element types, attributes and their defaults, version by
//! version.
//!
//! The table is `compiler/schemas/schemas.txt`, written from the `onnx` package and ONNX Runtime by the script beside it. It says
//! what a node may look like, the registry which of that is implemented. Meanings are deliberately not here.

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

/// Names of ONNX's element types, by their numbers.
const ELEMENT_TYPES: &[&str] = &[
    "undefined",
    "float",
    "uint8",
    "int8",
    "uint16",
    "int16",
    "int32",
    "int64",
    "string",
    "bool",
    "float16",
    "double",
    "uint32",
    "uint64",
    "complex64",
    "complex128",
    "bfloat16",
    "float8e4m3fn",
    "float8e4m3fnuz",
    "float8e5m2",
    "float8e5m2fnuz",
    "uint4",
    "int4",
    "float4e2m1",
    "float8e8m0",
    "uint2",
    "int2",
    "float6e2m3",
    "float6e3m2",
];

/// The name of an element type.
pub fn element_name(element: i32) -> &'static str {
    usize::try_from(element).ok().and_then(|number| ELEMENT_TYPES.get(number)).copied().unwrap_or("unknown")
}

/// The number of an element type.
pub fn element_number(name: &str) -> Option<i32> {
    ELEMENT_TYPES.iter().position(|known| *known == name).and_then(|number| i32::try_from(number).ok())
}

/// A set of element types, a bit each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Elements(u64);

impl Elements {
    /// The set of these.
    fn of(names: &str) -> Option<Self> {
        let bits = names.split_whitespace().map(|name| Some(1_u64 << element_number(name)?));
        bits.sum::<Option<u64>>().map(Self)
    }

    /// Whether it has an element type.
    pub const fn has(self, element: i32) -> bool {
        element >= 0 && element < u64::BITS as i32 && self.0 >> element & 1 == 1
    }

    /// The only one, where there is no other.
    pub fn only(self) -> Option<i32> {
        self.0.is_power_of_two().then_some(self.0.trailing_zeros()).and_then(|number| i32::try_from(number).ok())
    }

    /// Their names.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        ELEMENT_TYPES.iter().enumerate().filter(move |(number, _)| self.0 >> number & 1 == 1).map(|(_, name)| *name)
    }
}

/// An input or output of an operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Formal {
    /// Its name.
    pub name: &'static str,
    /// How often it may be given.
    pub arity: Arity,
    /// The variable that stands for its element type, which all operands of the variable share; `None` where it has one of its
    /// own, or every repetition has.
    pub variable: Option<&'static str>,
    /// The element types that it may have.
    pub elements: Elements,
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
    let mut sets = Vec::new();
    for line in TEXT.lines().filter(|line| !line.starts_with('#')) {
        if let Some(set) = line.strip_prefix('=') {
            let (_, names) = set.split_once(' ').unwrap_or_default();
            sets.push(Elements::of(names).expect("the table names known element types"));
            continue;
        }
        let (name, schema) = parse(line, &sets).expect("the table is well formed");
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

/// Variables of element types, with the types that each may stand for.
type Variables = BTreeMap<&'static str, Elements>;

fn parse(line: &'static str, sets: &[Elements]) -> Option<(&'static str, Schema)> {
    let line = line.strip_suffix(" deprecated").unwrap_or(line);
    let (sides, rest) = line.split_once(" |")?;
    let (attributes, variables) = rest.split_once(" |")?;
    let variable = |word: &'static str| {
        let (name, set) = word.split_once('=')?;
        Some((name, *sets.get(set.parse::<usize>().ok()?)?))
    };
    let variables: Variables = variables.split_whitespace().map(variable).collect::<Option<_>>()?;
    let (left, outputs) = sides.split_once(" ->")?;
    let mut words = left.split_whitespace();
    let (name, since) = (words.next()?, words.next()?.parse().ok()?);
    let schema = Schema {
        since,
        inputs: words.map(|word| formal(word, &variables)).collect::<Option<_>>()?,
        outputs: outputs.split_whitespace().map(|word| formal(word, &variables)).collect::<Option<_>>()?,
        attributes: attributes.split_whitespace().map(formal_attribute).collect::<Option<_>>()?,
    };
    Some((name, schema))
}

fn formal(word: &'static str, variables: &Variables) -> Option<Formal> {
    let (operand, element) = word.split_once(':')?;
    let (name, arity) = if let Some(name) = operand.strip_suffix('?') {
        (name, Arity::Optional)
    } else if let Some((name, least)) = operand.split_once('*') {
        (name, Arity::Repeated(least.parse().ok()?))
    } else {
        (operand, Arity::Needed)
    };
    let (element, shared) = element.strip_suffix('!').map_or((element, true), |element| (element, false));
    let formal = match variables.get_key_value(element) {
        Some((variable, elements)) => Formal { name, arity, variable: shared.then_some(variable), elements: *elements },
        // What is no tensor has no element type.
        None if element == "-" => Formal { name, arity, variable: None, elements: Elements(0) },
        None => Formal { name, arity, variable: None, elements: Elements::of(element)? },
    };
    Some(formal)
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
