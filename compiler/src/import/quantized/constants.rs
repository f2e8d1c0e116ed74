//! The constants of a graph that quantization reads: by name, wherever they are kept.
//!
//! Integers come from initialisers and `Constant` nodes, whose data moves out once and is shared from then on; floats also from
//! weights that are outside the message. [`Constants::settle`] puts back what other nodes still read and removes the rest.

use super::elements::{Stored, floats};
use crate::graph::constant::{Constant, Storage};
use crate::graph::quantized::Floats;
use crate::import::error::ImportError;
use crate::import::rewrite::steps::integers;
use crate::import::weights::{MappedIntegers, Weight};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tract_onnx::pb::{GraphProto, TensorProto};

/// See the file's header.
pub struct Constants<'i> {
    integers: &'i MappedIntegers,
    stored: BTreeMap<String, Stored>,
}

impl<'i> Constants<'i> {
    /// None yet; `integers` has the data that is outside the message.
    pub const fn new(integers: &'i MappedIntegers) -> Self {
        Self { integers, stored: BTreeMap::new() }
    }

    /// The quantized elements of a constant; `None` when there is no such constant or it has other elements.
    pub fn stored(&mut self, graph: &mut GraphProto, name: &str) -> Result<Option<Stored>, ImportError> {
        if let Some(known) = self.stored.get(name) {
            return Ok(Some(known.clone()));
        }
        let found = tensor(graph, name).and_then(|tensor| Stored::of(tensor, self.integers.of(tensor).cloned()));
        let Some(found) = found else { return Ok(None) };
        let found = found?;
        self.stored.insert(name.to_owned(), found.clone());
        Ok(Some(found))
    }

    /// Makes integers that were computed known by the name of their node's output.
    pub fn add(&mut self, name: &str, stored: Stored) {
        self.stored.insert(name.to_owned(), stored);
    }

    /// Removes the constants that nothing reads any more, and gives the others their data back.
    /// `replaced` are those whose names are those of weights now.
    pub fn settle(self, graph: &mut GraphProto, replaced: &BTreeSet<String>) {
        let mut read = reads(graph);
        read.retain(|name| !replaced.contains(name));
        let unread = |name: &str| self.stored.contains_key(name) && !read.contains(name);
        graph.initializer.retain(|tensor| !unread(&tensor.name));
        graph.input.retain(|input| !unread(&input.name));
        let constant = |op: &str| op == "Constant";
        graph.node.retain(|node| !constant(&node.op_type) || !node.output.iter().all(|name| unread(name)));
        for (name, stored) in self.stored.iter().filter(|(name, _)| read.contains(*name)) {
            if let Some(tensor) = tensor(graph, name)
                && tensor.int32_data.is_empty()
                && self.integers.of(tensor).is_none()
            {
                tensor.raw_data = (*stored.bytes).as_ref().to_vec();
            }
        }
    }
}

/// The tensor of an initialiser or a `Constant` node.
fn tensor<'a>(graph: &'a mut GraphProto, name: &str) -> Option<&'a mut TensorProto> {
    if let Some(position) = graph.initializer.iter().position(|tensor| tensor.name == name) {
        return Some(&mut graph.initializer[position]);
    }
    let is_it = |output: &[String]| output.len() == 1 && output[0] == name;
    let node = graph.node.iter_mut().find(|node| node.op_type == "Constant" && is_it(&node.output))?;
    node.attribute.iter_mut().find(|attribute| attribute.name == "value")?.t.as_mut()
}

/// The elements of a constant of 64-bit integers.
pub fn sizes(graph: &mut GraphProto, name: &str) -> Option<Vec<i64>> {
    tensor(graph, name).and_then(|tensor| integers(tensor))
}

/// The floats of a constant with their shape; `None` when there is no such constant or it has other elements.
pub fn floats_of(
    graph: &mut GraphProto,
    weights: &[Weight],
    name: &str,
) -> Result<Option<(Vec<usize>, Floats)>, ImportError> {
    if let Some(weight) = weights.iter().find(|weight| weight.name == name) {
        let constant: &Constant = &weight.constant;
        let floats = constant
            .dense_bytes()
            .map(|bytes| Floats { half: constant.storage == Storage::F16, bytes: Arc::new(bytes.to_vec()) });
        return Ok(floats.map(|floats| (constant.shape.clone(), floats)));
    }
    tensor(graph, name).and_then(|tensor| floats(tensor)).transpose()
}

/// All names that nodes, bodies and outputs read.
pub fn reads(graph: &GraphProto) -> BTreeSet<String> {
    let mut read = BTreeSet::new();
    each_read(graph, |name| {
        read.insert(name.to_owned());
    });
    read
}

/// How often nodes, bodies and outputs read a name.
pub fn readers(graph: &GraphProto, name: &str) -> usize {
    let mut count = 0;
    each_read(graph, |read| count += usize::from(read == name));
    count
}

fn each_read(graph: &GraphProto, mut note: impl FnMut(&str)) {
    let mut waiting = vec![graph];
    while let Some(graph) = waiting.pop() {
        graph.output.iter().for_each(|output| note(&output.name));
        for node in &graph.node {
            node.input.iter().for_each(|input| note(input));
            waiting.extend(node.attribute.iter().flat_map(|attribute| attribute.g.iter().chain(&attribute.graphs)));
        }
    }
}
