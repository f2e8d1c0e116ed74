//! Where tract gives up on a model, without tract's words: the node of the model, its operands as far as they are
//! known, and what is wrong with them where that can be read.
//!
//! tract's errors are chains of texts. They name nodes by their marks (`names.rs`), which gives the ONNX node; of the
//! texts, three kinds are read: rules about operands that do not hold, operands that have to be constant, and what is
//! not read. The others say nothing that a reader of the model could use, and stay in [`Failure`]'s `Debug` form.

use super::names::NodeNames;
use std::fmt::{Display, Formatter};
use tract_onnx::prelude::{DatumType, InferenceFact, InferenceModel};
use tract_onnx::tract_hir::infer::{DimFact, Factoid};

/// Elements of a constant that are shown.
const SHOWN_ELEMENTS: usize = 8;

/// What was being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Nodes and attributes are read.
    Read,
    /// Shapes and types are inferred.
    Infer,
    /// Constants are computed and operators simplified.
    Simplify,
    /// Operators become those of our graph.
    Translate,
    /// The model is run, for a reference.
    Run,
}

impl Stage {
    const fn of_node(self) -> &'static str {
        match self {
            Self::Read => "it cannot be read",
            Self::Infer => "the shapes and types of its results cannot be inferred",
            Self::Simplify => "it cannot be simplified",
            Self::Translate => "it cannot be translated",
            Self::Run => "it cannot be run",
        }
    }

    const fn of_model(self) -> &'static str {
        match self {
            Self::Read => "the model cannot be read",
            Self::Infer => "the model's shapes and types cannot be inferred",
            Self::Simplify => "the model cannot be simplified",
            Self::Translate => "the model cannot be translated",
            Self::Run => "the model cannot be run",
        }
    }
}

/// tract gave up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    stage: Stage,
    /// tract's error chain, outermost first, in one line, with marks.
    said: String,
    /// Name and operator type of the ONNX node.
    node: Option<(String, String)>,
    /// Types and shapes of its operands.
    operands: Vec<String>,
}

impl std::error::Error for Failure {}

impl Failure {
    /// What tract said when it gave up.
    pub const fn new(stage: Stage, said: String) -> Self {
        Self { stage, said, node: None, operands: Vec::new() }
    }

    /// The same with the operands of the node that tract names.
    pub fn with_operands(mut self, model: &InferenceModel) -> Self {
        let number = self.said.split_once("node #").map(|(_, rest)| rest);
        let number = number.and_then(|rest| rest.split(|c: char| !c.is_ascii_digit()).next()?.parse::<usize>().ok());
        if let Some(node) = number.and_then(|id| model.nodes().iter().find(|node| node.id == id)) {
            let facts = node.inputs.iter().filter_map(|outlet| model.outlet_fact(*outlet).ok());
            self.operands = facts.map(described).collect();
        }
        self
    }

    /// The same at a node, if none is known yet.
    pub fn at(mut self, node: &str, op: Option<&str>) -> Self {
        let op = op.unwrap_or("an operator");
        self.node.get_or_insert_with(|| (node.to_owned(), op.to_owned()));
        self
    }

    /// The same with the ONNX node whose mark tract names first.
    pub fn named(self, names: &NodeNames) -> Self {
        match names.first_in(&self.said) {
            Some(index) => {
                let (node, op) = (names.name(index).to_owned(), names.op_type(index).to_owned());
                Self { node: Some((node, op)), ..self }
            }
            None => self,
        }
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        match &self.node {
            Some((name, op)) => write!(f, "node `{name}` ({op}): {}", self.stage.of_node())?,
            None => f.write_str(self.stage.of_model())?,
        }
        if let Some(reason) = reason(&self.said) {
            write!(f, ": {reason}")?;
        }
        f.write_str(&operands_are(&self.operands))
    }
}

/// A clause that says what operands are; nothing of none.
pub fn operands_are(operands: &[String]) -> String {
    match operands {
        [] => String::new(),
        [one] => format!("; its operand is {one}"),
        [most @ .., last] => format!("; its operands are {} and {last}", most.join(", ")),
    }
}

/// Type and shape, as far as they are known.
pub fn described(fact: &InferenceFact) -> String {
    let datum = fact.datum_type.concretize().map_or_else(|| "of unknown type".to_owned(), type_name);
    if fact.shape.is_open() {
        return format!("{datum} of unknown shape");
    }
    let size = |dim: &DimFact| dim.concretize()?.to_i64().ok().map(|size| size.to_string());
    let sizes: Vec<String> = fact.shape.dims().map(|dim| size(dim).unwrap_or_else(|| "?".to_owned())).collect();
    format!("{datum} [{}]{}", sizes.join(", "), known_integers(fact))
}

/// Name of a type; sizes, of which tract makes a type of its own, are integers.
pub fn type_name(datum: DatumType) -> String {
    if datum == DatumType::TDim { "I64".to_owned() } else { format!("{datum:?}") }
}

/// Elements of a small constant of integers, in parentheses.
fn known_integers(fact: &InferenceFact) -> String {
    let value = fact.value.concretize().filter(|value| (1..=SHOWN_ELEMENTS).contains(&value.volume()));
    let integers = value.filter(|value| value.datum_type().is_integer()).and_then(|value| {
        let cast = value.cast_to::<i64>().ok()?;
        let plain = cast.try_as_plain_ram().ok()?;
        Some(plain.as_slice::<i64>().ok()?.iter().map(i64::to_string).collect::<Vec<_>>())
    });
    integers.map_or_else(String::new, |integers| format!(" ({})", integers.join(", ")))
}

/// What is wrong, in words about the operands of a node.
fn reason(said: &str) -> Option<String> {
    rule(said).or_else(|| constant(said)).or_else(|| unread(said))
}

/// What nodes have that is not read: `Unknown DatumType Int4`, and a body whose inputs are not described.
fn unread(said: &str) -> Option<String> {
    let element = said.split_once("Unknown DatumType ").and_then(|(_, behind)| behind.split([' ', ':']).next());
    let element = element.map(|element| format!("the element type {element} is not supported"));
    element.or_else(|| said.ends_with(" has no type").then(|| "an input of its body has no type".to_owned()))
}

/// A rule that does not hold: `Applying rule inputs[2].rank == 0: Impossible to unify 1 with 0`.
fn rule(said: &str) -> Option<String> {
    let (rule, rest) = said.split_once("Applying rule ")?.1.split_once(": ")?;
    let (left, right) = rule.split_once(" == ")?;
    let found =
        rest.strip_prefix("Impossible to unify ").and_then(|values| values.trim_end_matches('.').split_once(" with "));
    match (words(left)?, words(right)) {
        (left, Some(right)) => Some(format!("{left} and {right} differ")),
        (left, None) => {
            let expected: i64 = right.trim().parse().ok()?;
            let (a, b) = found?;
            let found =
                [a, b].into_iter().filter_map(|value| value.trim().parse::<i64>().ok()).find(|v| *v != expected)?;
            Some(format!("{left} is {found} instead of {expected}"))
        }
    }
}

/// `inputs[2].rank` in words.
fn words(place: &str) -> Option<String> {
    let (side, rest) = place.trim().split_once('[')?;
    let (position, rest) = rest.split_once(']')?;
    let position: usize = position.parse().ok()?;
    let tensor = match side {
        "inputs" => format!("operand {position}"),
        "outputs" => format!("result {position}"),
        _ => return None,
    };
    match rest {
        ".rank" => Some(format!("the rank of {tensor}")),
        ".shape" => Some(format!("the shape of {tensor}")),
        ".datum_type" => Some(format!("the type of {tensor}")),
        _ => {
            let axis: usize = rest.strip_prefix(".shape[")?.strip_suffix(']')?.parse().ok()?;
            Some(format!("axis {axis} of {tensor}"))
        }
    }
}

/// An operand that has to be constant: `y_scale must be a const`, `Non constant seq_len is not supported`.
fn constant(said: &str) -> Option<String> {
    let before = || said.split_once(" must be a const").and_then(|(before, _)| before.rsplit([' ', ':']).next());
    let behind = || said.split_once("Non constant ").and_then(|(_, behind)| behind.split(' ').next());
    let name = before().or_else(behind)?;
    let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    is_name.then(|| format!("its operand {name} has to be a constant"))
}

#[cfg(test)]
mod tests {
    use super::{Failure, NodeNames, Stage, operands_are};
    use tract_onnx::pb::{GraphProto, NodeProto};

    #[test]
    fn nodes_and_reasons_are_told_without_the_words_that_they_come_in() {
        let node = |name: &str, op: &str| NodeProto { name: name.into(), op_type: op.into(), ..NodeProto::default() };
        let mut graph = GraphProto { node: vec![node("a", "Pad"), node("b", "Mod")], ..GraphProto::default() };
        let mut names = NodeNames::of(&graph, &[]);
        names.mark(&mut graph);
        let (a, b) = (&graph.node[0].name, &graph.node[1].name);
        let message = |stage, said: String| Failure::new(stage, said).named(&names).to_string();
        for (said, expected) in [
            (
                format!(
                    "Failed analyse for node #7 \"{a}.2\" Pad: Applying rule inputs[2].rank == 0: Impossible to unify 1 with 0."
                ),
                "node `a` (Pad): the shapes and types of its results cannot be inferred: the rank of operand 2 is 1 instead of 0",
            ),
            (
                format!(
                    "Failed analyse for node #7 \"{b}\" M: Applying rule inputs[0].shape == inputs[1].shape: Impossible to unify 1,2 with 3"
                ),
                "node `b` (Mod): the shapes and types of its results cannot be inferred: the shape of operand 0 and the shape of \
                 operand 1 differ",
            ),
            (
                format!("Translating node #1 \"{a}\" QuantizeLinear ToTypedTranslator: y_scale must be a const"),
                "node `a` (Pad): the shapes and types of its results cannot be inferred: its operand y_scale has to be a constant",
            ),
            (
                format!("Building node {b} (Cast): Unknown DatumType Int4"),
                "node `b` (Mod): the shapes and types of its results cannot be inferred: the element type Int4 is not supported",
            ),
            ("c.0 and y.max.fix-rank: no way".to_owned(), "the model's shapes and types cannot be inferred"),
        ] {
            assert_eq!(message(Stage::Infer, said), expected);
        }
        assert_eq!(
            message(Stage::Read, format!("Building node {b} (Scan): nothing")),
            "node `b` (Mod): it cannot be read"
        );
        assert_eq!(operands_are(&["F32 [2]".into(), "I64 []".into()]), "; its operands are F32 [2] and I64 []");
    }
}
