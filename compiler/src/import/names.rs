//! Names of ONNX nodes while rewrites and tract have the model: a mark of its own for every node, so that whatever they append
//! leads back to the node, however it and its neighbours are spelled.
//!
//! A node is called `⟦12⟧` from reading on, and steps that take its place `⟦12⟧.1`; tract appends more. No name of the model
//! contains the opening bracket: where one would, the bracket is doubled until none does. Names come back with
//! [`NodeNames::text`], in errors and labels.

use std::collections::BTreeSet;
use tract_onnx::pb::GraphProto;

/// An ONNX node as it was read.
#[derive(Debug)]
struct OnnxNode {
    name: String,
    op_type: String,
}

/// The ONNX nodes of a model, by mark.
#[derive(Debug)]
pub struct NodeNames {
    open: String,
    nodes: Vec<OnnxNode>,
}

const CLOSE: char = '⟧';

impl NodeNames {
    /// No nodes yet, for a model that has these names; `weights` are those of weights outside the graph.
    pub fn of(graph: &GraphProto, weights: &[&str]) -> Self {
        let mut open = "⟦".to_owned();
        while weights.iter().any(|name| name.contains(&open)) || mentions(graph, &open) {
            open.push('⟦');
        }
        Self { open, nodes: Vec::new() }
    }

    /// Gives every node that has none a mark, and keeps its name: its first output's where it has none, with its position
    /// where another node has the same.
    pub fn mark(&mut self, graph: &mut GraphProto) {
        self.mark_at(graph, &(0..graph.node.len()).collect::<Vec<_>>());
    }

    /// Does so for the nodes at these places.
    pub fn mark_at(&mut self, graph: &mut GraphProto, places: &[usize]) {
        let mut used: BTreeSet<String> = self.nodes.iter().map(|node| node.name.clone()).collect();
        for index in places.iter().copied() {
            let node = &mut graph.node[index];
            if self.index(&node.name).is_some_and(|known| node.name == self.mark_of(known)) {
                continue;
            }
            let mut name = self.text(&node.name);
            if name.is_empty() {
                name = node.output.iter().find(|o| !o.is_empty()).cloned().unwrap_or_default();
            }
            if name.is_empty() || used.contains(&name) {
                name = format!("{}#{index}", if name.is_empty() { &node.op_type } else { &name });
            }
            used.insert(name.clone());
            node.name = self.mark_of(self.nodes.len());
            self.nodes.push(OnnxNode { name, op_type: node.op_type.clone() });
        }
    }

    /// The ONNX node that a name made from its mark is of.
    pub fn index(&self, name: &str) -> Option<usize> {
        let (number, _) = name.strip_prefix(&self.open)?.split_once(CLOSE)?;
        number.parse().ok().filter(|index| *index < self.nodes.len())
    }

    /// Name of a node.
    pub fn name(&self, index: usize) -> &str {
        &self.nodes[index].name
    }

    /// Operator type of a node.
    pub fn op_type(&self, index: usize) -> &str {
        &self.nodes[index].op_type
    }

    /// The first node that a text has the mark of.
    pub fn first_in(&self, marked: &str) -> Option<usize> {
        marked.match_indices(&self.open).find_map(|(at, _)| self.index(&marked[at..]))
    }

    /// A text with the names of nodes in the place of their marks.
    pub fn text(&self, marked: &str) -> String {
        self.replaced(marked, |_| 0)
    }

    /// The same without what was appended to the marks: for people, who know the node by its name only.
    pub fn plain(&self, marked: &str) -> String {
        self.replaced(marked, appended)
    }

    /// Names in the place of marks, and of as many bytes behind each as `skipped` says.
    fn replaced(&self, marked: &str, skipped: impl Fn(&str) -> usize) -> String {
        let mut text = String::with_capacity(marked.len());
        let mut rest = marked;
        while let Some(at) = rest.find(&self.open) {
            text.push_str(&rest[..at]);
            rest = &rest[at..];
            match (self.index(rest), rest.find(CLOSE)) {
                (Some(index), Some(close)) => {
                    text.push_str(self.name(index));
                    rest = &rest[close + CLOSE.len_utf8()..];
                    rest = &rest[skipped(rest)..];
                }
                (None, _) | (_, None) => {
                    text.push_str(&self.open);
                    rest = &rest[self.open.len()..];
                }
            }
        }
        text + rest
    }

    fn mark_of(&self, index: usize) -> String {
        format!("{}{index}{CLOSE}", self.open)
    }
}

/// Bytes of what stands behind a mark and was appended to it: words of letters and digits, each behind a sign.
fn appended(behind: &str) -> usize {
    let mut length = 0;
    loop {
        let rest = &behind[length..];
        let signs = rest.len() - rest.trim_start_matches(['.', '-', '_', '#', '/']).len();
        let word = rest[signs..].find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len() - signs);
        if signs == 0 || word == 0 {
            return length;
        }
        length += signs + word;
    }
}

/// Whether a name in a graph or its subgraphs contains `text`.
fn mentions(graph: &GraphProto, text: &str) -> bool {
    let infos = graph.input.iter().chain(&graph.output).chain(&graph.value_info).map(|info| &info.name);
    let tensors = graph.initializer.iter().map(|tensor| &tensor.name);
    let nodes = graph.node.iter().flat_map(|node| [&node.name].into_iter().chain(&node.input).chain(&node.output));
    let mut inner = graph.node.iter().flat_map(|node| &node.attribute).flat_map(|a| a.g.iter().chain(&a.graphs));
    infos.chain(tensors).chain(nodes).any(|name| name.contains(text)) || inner.any(|graph| mentions(graph, text))
}

#[cfg(test)]
mod tests {
    use super::NodeNames;
    use tract_onnx::pb::{GraphProto, NodeProto};

    fn node(name: &str, output: &str) -> NodeProto {
        let output = vec![output.to_owned()];
        NodeProto { name: name.into(), op_type: "Relu".into(), output, ..NodeProto::default() }
    }

    #[test]
    fn every_spelling_comes_back() {
        let names = ["a", "a.1", "a", "", "⟦0⟧", "b + c …"];
        let mut graph = GraphProto { node: names.map(|name| node(name, "y")).to_vec(), ..GraphProto::default() };
        let mut found = NodeNames::of(&graph, &[]);
        found.mark(&mut graph);
        let read: Vec<&str> = (0..names.len()).map(|i| found.name(i)).collect();
        assert_eq!(read, ["a", "a.1", "a#2", "y", "⟦0⟧", "b + c …"]);
        for (index, node) in graph.node.iter().enumerate() {
            assert_eq!(found.index(&format!("{}.1.einsum", node.name)), Some(index));
        }
        assert_eq!(found.index("a.1"), None);
        let message = format!("`{}.3` reads `{}`, ⟦0⟧", graph.node[1].name, graph.node[4].name);
        assert_eq!(found.text(&message), "`a.1.3` reads `⟦0⟧`, ⟦0⟧");
        let message =
            format!("`{}.max.fix-rank` of {}-recip. {}.", graph.node[1].name, graph.node[0].name, graph.node[4].name);
        assert_eq!(found.plain(&message), "`a.1` of a. ⟦0⟧.");
        assert_eq!((found.first_in(&message), found.first_in("⟦0⟧ a.1")), (Some(1), None));
        // What a branch adds later gets marks of its own.
        graph.node.push(node(&format!("{}.inner", graph.node[0].name), "z"));
        let before: Vec<String> = graph.node[..names.len()].iter().map(|n| n.name.clone()).collect();
        found.mark(&mut graph);
        assert!(graph.node.iter().zip(&before).all(|(node, before)| node.name == *before));
        assert_eq!(found.name(names.len()), "a.inner");
    }
}
