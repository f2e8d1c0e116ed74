//! The names of a graph: every value is made once, and made before it is used.
//!
//! Takes a graph as it is in the file, with the names of weights that are kept outside the message; returns its flaws. Bodies of
//! nodes see what is made before their node. It deliberately interprets no operator.

use std::collections::{BTreeMap, BTreeSet};
use tract_onnx::pb::{GraphProto, NodeProto};

/// What makes a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Maker {
    /// An input of the graph.
    Input,
    /// An initialiser.
    Initialiser,
    /// A node, by name.
    Node(String),
}

impl std::fmt::Display for Maker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Input => f.write_str("an input"),
            Self::Initialiser => f.write_str("an initialiser"),
            Self::Node(name) => write!(f, "node `{name}`"),
        }
    }
}

/// Why a graph has no meaning.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// A value has two makers.
    #[error("`{value}` is made by {first} and again by {second}")]
    MadeTwice {
        /// The value.
        value: String,
        /// Its maker.
        first: Maker,
        /// The other one.
        second: Maker,
    },
    /// A value has no maker.
    #[error("node `{node}` uses `{value}`, which nothing makes")]
    NeverMade {
        /// The value.
        value: String,
        /// A node that uses it.
        node: String,
    },
    /// An output of the graph has no maker.
    #[error("the output `{value}` is made by nothing")]
    OutputNeverMade {
        /// The output.
        value: String,
    },
    /// A value is used before it is made.
    #[error("node `{node}` uses `{value}`, which node `{maker}` makes only after it")]
    MadeLater {
        /// The value.
        value: String,
        /// The node that uses it.
        node: String,
        /// The node that makes it.
        maker: String,
    },
    /// A value is used to make itself.
    #[error("node `{node}` uses `{value}`, which depends on the node's own result")]
    Cycle {
        /// The value.
        value: String,
        /// The node that uses it.
        node: String,
    },
}

/// What a node is called: its first output's name where it has none.
pub fn label(node: &NodeProto) -> String {
    let output = || node.output.iter().find(|output| !output.is_empty()).cloned().unwrap_or_default();
    if node.name.is_empty() { output() } else { node.name.clone() }
}

/// Flaws that are looked for in one graph.
const MAX_FLAWS: usize = 16;

/// Every flaw of a graph, its bodies included; `outside` are names of initialisers that are not in the message.
pub fn flaws<'a>(graph: &'a GraphProto, outside: impl Iterator<Item = &'a str>) -> Vec<Flaw> {
    let mut found = Vec::new();
    check(graph, outside, &BTreeSet::new(), &mut found);
    found.truncate(MAX_FLAWS);
    found
}

fn check<'a>(
    graph: &'a GraphProto,
    outside: impl Iterator<Item = &'a str>,
    around: &BTreeSet<&'a str>,
    found: &mut Vec<Flaw>,
) {
    let mut makers: BTreeMap<&str, Maker> = BTreeMap::new();
    let mut make = |value: &'a str, second: Maker, found: &mut Vec<Flaw>| match makers.get(value) {
        // An input with an initialiser has a default.
        Some(Maker::Input) if second == Maker::Initialiser => {}
        Some(first) => found.push(Flaw::MadeTwice { value: value.to_owned(), first: first.clone(), second }),
        None => {
            makers.insert(value, second);
        }
    };
    graph.input.iter().for_each(|input| make(&input.name, Maker::Input, found));
    let mut initialisers = BTreeSet::new();
    for name in graph.initializer.iter().map(|tensor| tensor.name.as_str()).chain(outside) {
        if !initialisers.insert(name) {
            let [first, second] = [Maker::Initialiser, Maker::Initialiser];
            found.push(Flaw::MadeTwice { value: name.to_owned(), first, second });
        } else {
            make(name, Maker::Initialiser, found);
        }
    }
    for node in &graph.node {
        let outputs = node.output.iter().filter(|output| !output.is_empty());
        outputs.for_each(|output| make(output, Maker::Node(label(node)), found));
    }

    let mut made: BTreeSet<&str> = around.clone();
    made.extend(makers.iter().filter(|(_, maker)| !matches!(maker, Maker::Node(_))).map(|(value, _)| *value));
    for node in &graph.node {
        for value in node.input.iter().filter(|input| !input.is_empty() && !made.contains(input.as_str())) {
            let (value, name) = (value.clone(), label(node));
            found.push(match makers.get(value.as_str()) {
                Some(Maker::Node(_)) if depends(graph, &value, &node.output) => Flaw::Cycle { value, node: name },
                Some(Maker::Node(maker)) => Flaw::MadeLater { value, node: name, maker: maker.clone() },
                Some(Maker::Input | Maker::Initialiser) | None => Flaw::NeverMade { value, node: name },
            });
            if found.len() >= MAX_FLAWS {
                return;
            }
        }
        for body in node.attribute.iter().flat_map(|attribute| attribute.g.iter().chain(&attribute.graphs)) {
            check(body, std::iter::empty(), &made, found);
        }
        made.extend(node.output.iter().map(String::as_str));
    }
    let outputs = graph.output.iter().filter(|output| !made.contains(output.name.as_str()));
    found.extend(outputs.map(|output| Flaw::OutputNeverMade { value: output.name.clone() }));
}

/// Whether a value is computed from one of others.
fn depends(graph: &GraphProto, value: &str, on: &[String]) -> bool {
    let mut waiting = vec![value];
    let mut seen = BTreeSet::new();
    while let Some(value) = waiting.pop() {
        if on.iter().any(|output| output == value) {
            return true;
        }
        if seen.insert(value) {
            let makers = graph.node.iter().filter(|node| node.output.iter().any(|output| output == value));
            waiting.extend(makers.flat_map(|node| node.input.iter().map(String::as_str).filter(|i| !i.is_empty())));
        }
    }
    false
}
