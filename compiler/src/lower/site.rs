//! What is lowered, and what it is called: names are text for people, kept in one table of the program.
//!
//! A name is found by what it is the name of, never by its text: a model under other names has as many in the same order.

use crate::graph::origin::OriginSet;
use crate::graph::{Graph, NodeId};
use crate::narrow::index32;
use flashmem_plan_format::plan::NameId;
use std::collections::BTreeMap;

/// What is being lowered: where the calls come from that are appended.
#[derive(Debug, Clone, Copy)]
pub enum Site {
    /// A node.
    Node(NodeId),
    /// Products that are computed in one call, by position among the graph's.
    Siblings(usize),
    /// The copy for a check or a public output, by position among the results.
    Result(usize),
}

impl Site {
    /// Its name.
    pub fn label(self, graph: &Graph) -> String {
        match self {
            Self::Node(id) => graph.label(id),
            Self::Siblings(position) => graph.origins.label(graph.siblings[position].origin, OriginSet::NONE),
            Self::Result(position) => {
                let port = graph.results().nth(position).expect("sites are of the graph's results");
                port.name.clone()
            }
        }
    }
}

/// What a name is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Named {
    /// Origins of an operator and of its epilogue.
    Origins(OriginSet, OriginSet),
    /// A result, by position.
    Result(usize),
}

/// The names of a program so far, in order of first use.
#[derive(Debug, Clone, Default)]
pub struct Names {
    texts: Vec<String>,
    ids: BTreeMap<Named, NameId>,
}

impl Names {
    /// The name of what is lowered.
    pub fn of(&mut self, graph: &Graph, site: Site) -> NameId {
        let named = match site {
            Site::Node(id) => Named::Origins(graph.node(id).origin, graph.node(id).epilogue_origin),
            Site::Siblings(position) => Named::Origins(graph.siblings[position].origin, OriginSet::NONE),
            Site::Result(position) => Named::Result(position),
        };
        self.id(named, || site.label(graph))
    }

    /// The name of origins.
    pub fn of_origin(&mut self, graph: &Graph, origin: OriginSet) -> NameId {
        self.id(Named::Origins(origin, OriginSet::NONE), || graph.origins.label(origin, OriginSet::NONE))
    }

    /// All of them.
    pub fn into_texts(self) -> Vec<String> {
        self.texts
    }

    fn id(&mut self, named: Named, text: impl FnOnce() -> String) -> NameId {
        *self.ids.entry(named).or_insert_with(|| {
            self.texts.push(text());
            NameId(index32(self.texts.len()) - 1)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Names, Site};
    use crate::graph::Graph;
    use crate::graph::constant::Dtype;
    use crate::graph::op::Op;
    use crate::graph::origin::OriginSet;

    #[test]
    fn names_follow_from_what_they_are_of() {
        let mut graph = Graph::default();
        let [first, second] = ["same", "same"].map(|name| graph.add_shaped(Op::Input, &[], name, vec![2], Dtype::F32));
        let mut names = Names::default();
        let ids = [first, second, first].map(|node| names.of(&graph, Site::Node(node)).0);
        assert_eq!(ids, [0, 1, 0], "equal texts of two nodes are two names");
        assert_eq!(names.of_origin(&graph, graph.node(second).origin).0, 1);
        assert_eq!(names.of_origin(&graph, OriginSet::NONE).0, 2);
        assert_eq!(names.into_texts(), ["same", "same", ""]);
    }
}
