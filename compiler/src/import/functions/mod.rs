//! Local functions: every call is replaced by the nodes of the function, before anything else looks at the graph.
//!
//! As in ONNX Runtime, an operator of the registry is never a function, whatever functions a model has under its name; an
//! attribute that a call leaves out has the function's default, or is left out inside as well; operands that are left out are
//! left out inside. Nodes keep their names behind that of the call. Functions that are not called are not looked at. What
//! becomes of it is bounded: nodes, bytes, and calls inside calls. Deliberately not here: what the operators of a body mean.

use super::admission::canonical;
use super::error::ImportError;
use super::preflight::invalid::Invalid;
use super::preflight::limits::{MAX_CALL_DEPTH, MAX_INLINED_BYTES, MAX_NODES};
use super::schema::in_force;
use super::structure::label;
use super::support::find;
use body::{Call, visit};
use message::{Function, Functions};
use prost::Message as _;
use std::collections::{BTreeMap, BTreeSet};
use tract_onnx::pb::{GraphProto, ModelProto, NodeProto, OperatorSetIdProto};
use uncallable::Uncallable;

mod body;
mod message;
#[cfg(test)]
mod tests;
pub mod uncallable;

/// Replaces the calls of a model's functions; `bytes` are its message.
///
/// # Errors
/// Functions that have no meaning, and more of what becomes of them than the limits allow.
pub fn inline(proto: &mut ModelProto, bytes: &[u8]) -> Result<(), ImportError> {
    if proto.functions.is_empty() {
        return Ok(());
    }
    proto.functions = Vec::new();
    let Some(mut graph) = proto.graph.take() else { return Ok(()) };
    // The message was decoded before, these parts of it but for attributes that have a default.
    let decoded = Functions::decode(bytes).map_err(|e| ImportError::Functions { reason: e.to_string() })?;
    let mut inliner = Inliner::of(&decoded.functions, &graph, &mut proto.opset_import)?;
    graph.node = inliner.expanded(std::mem::take(&mut graph.node), &mut Vec::new())?;
    proto.graph = Some(graph);
    Ok(())
}

/// The place of a function in the list.
type Place = usize;

struct Inliner<'a> {
    functions: &'a [Function],
    /// By domain and name.
    places: BTreeMap<(&'a str, &'a str), Place>,
    /// Versions of operators of the model; those of functions that are called, where the model has none.
    opsets: &'a mut Vec<OperatorSetIdProto>,
    /// Functions whose versions are known to be the model's.
    compared: BTreeSet<Place>,
    /// Every name of a value, as far as nodes are expanded.
    names: BTreeSet<String>,
    /// How often a label of a call was taken.
    taken: BTreeMap<String, u64>,
    nodes: u64,
    calls: u64,
    bytes: u64,
}

fn too_many(what: &'static str, limit: u64) -> ImportError {
    Invalid::TooMany { what, limit }.into()
}

impl<'a> Inliner<'a> {
    fn of(
        functions: &'a [Function],
        graph: &GraphProto,
        opsets: &'a mut Vec<OperatorSetIdProto>,
    ) -> Result<Self, ImportError> {
        let mut places = BTreeMap::new();
        for (place, function) in functions.iter().enumerate() {
            if places.insert((canonical(&function.domain), function.name.as_str()), place).is_some() {
                return Err(Uncallable::Twice { function: function.full_name() }.into());
            }
        }
        let mut names = BTreeSet::new();
        collect(graph, &mut names);
        let (compared, taken) = (BTreeSet::new(), BTreeMap::new());
        Ok(Self { functions, places, opsets, compared, names, taken, nodes: 0, calls: 0, bytes: 0 })
    }

    /// The function that a node calls, unless it is an operator.
    fn called(&self, node: &NodeProto) -> Option<(Place, &'a Function)> {
        let domain = canonical(&node.domain);
        let place = *self.places.get(&(domain, node.op_type.as_str()))?;
        find(domain, &node.op_type).is_none().then(|| (place, &self.functions[place]))
    }

    /// Nodes with calls replaced, those in bodies of nodes and of functions included; `around` are the calls around them, and
    /// `None` for the body of a node.
    fn expanded(
        &mut self,
        nodes: Vec<NodeProto>,
        around: &mut Vec<Option<Place>>,
    ) -> Result<Vec<NodeProto>, ImportError> {
        if around.len() as u64 > MAX_CALL_DEPTH {
            return Err(too_many("calls of functions inside one another", MAX_CALL_DEPTH));
        }
        let mut done = Vec::with_capacity(nodes.len());
        for mut node in nodes {
            for graph in node.attribute.iter_mut().flat_map(|a| a.g.iter_mut().chain(&mut a.graphs)) {
                around.push(None);
                graph.node = self.expanded(std::mem::take(&mut graph.node), around)?;
                around.pop();
            }
            let Some((place, function)) = self.called(&node) else {
                self.nodes += 1;
                if self.nodes > MAX_NODES {
                    return Err(too_many("nodes", MAX_NODES));
                }
                done.push(node);
                continue;
            };
            self.admit(&node, place, function, around)?;
            let body = self.body(&node, function)?;
            around.push(Some(place));
            done.extend(self.expanded(body, around)?);
            around.pop();
        }
        Ok(done)
    }

    /// Refuses calls that do not fit their function.
    fn admit(
        &mut self,
        node: &NodeProto,
        place: Place,
        function: &'a Function,
        around: &[Option<Place>],
    ) -> Result<(), ImportError> {
        let (name, function_name) = (label(node), function.full_name());
        if around.contains(&Some(place)) {
            return Err(Uncallable::Recursive { function: function_name, node: name }.into());
        }
        self.calls += 1;
        if self.calls > MAX_NODES {
            return Err(too_many("calls of functions", MAX_NODES));
        }
        let sides = [("inputs", &node.input, &function.input), ("outputs", &node.output, &function.output)];
        for (side, given, formal) in sides {
            if given.len() > formal.len() {
                let (found, most) = (given.len(), formal.len());
                return Err(Uncallable::TooMany { function: function_name, node: name, side, found, most }.into());
            }
        }
        self.spend(function.interface_bytes())?;
        let defaults = function.attribute_proto.iter().map(|a| &a.name);
        let mut left: BTreeSet<&String> = function.attribute.iter().chain(defaults).collect();
        let wrong = node.attribute.iter().find(|a| !left.remove(&a.name));
        if let Some(wrong) = wrong {
            let attribute = wrong.name.clone();
            return Err(Uncallable::Attribute { function: function_name, node: name, attribute }.into());
        }
        if self.compared.insert(place) {
            self.compare_versions(function)?;
        }
        Ok(())
    }

    /// Takes over the versions of a function that the model does not say; refuses operators that are others in the model's.
    fn compare_versions(&mut self, function: &Function) -> Result<(), ImportError> {
        let version_of = |sets: &[OperatorSetIdProto], domain: &str| {
            sets.iter().find(|set| canonical(&set.domain) == domain).map(|set| set.version)
        };
        for set in &function.opset_import {
            if version_of(self.opsets, canonical(&set.domain)).is_none() {
                self.opsets.push(set.clone());
            }
        }
        let (Some(version), Some(models)) = (version_of(&function.opset_import, ""), version_of(self.opsets, ""))
        else {
            return Ok(());
        };
        let mut other = None;
        for node in &function.node {
            visit(node, &mut |node| {
                let since = |version| in_force(&node.op_type, version).map(|schema| schema.since);
                if canonical(&node.domain).is_empty() && since(version) != since(models) {
                    other.get_or_insert_with(|| node.op_type.clone());
                }
            });
        }
        let function = function.full_name();
        other.map_or(Ok(()), |op| Err(Uncallable::Version { function, op, version, models }.into()))
    }

    /// The nodes of a function in the place of a call, none of them expanded yet.
    fn body(&mut self, node: &NodeProto, function: &Function) -> Result<Vec<NodeProto>, ImportError> {
        let prefix = self.prefix(&label(node));
        let (call, copied) = Call::of(node, function, &prefix);
        let mut body = Vec::with_capacity(function.node.len() + copied.len());
        for inner in &function.node {
            self.spend(call.bytes_of(inner))?;
            if self.nodes + body.len() as u64 > MAX_NODES {
                return Err(too_many("nodes", MAX_NODES));
            }
            body.push(call.node(inner));
        }
        body.extend(copied.into_iter().map(|(formal, actual)| NodeProto {
            name: format!("{prefix}{formal}"),
            op_type: "Identity".to_owned(),
            input: vec![call.name(formal)],
            output: vec![actual.to_owned()],
            ..NodeProto::default()
        }));
        body.iter().for_each(|node| collect_node(node, &mut self.names));
        Ok(body)
    }

    /// Counts bytes towards the limit.
    fn spend(&mut self, bytes: u64) -> Result<(), ImportError> {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes > MAX_INLINED_BYTES {
            return Err(too_many("bytes of nodes in calls of functions", MAX_INLINED_BYTES));
        }
        Ok(())
    }

    /// A prefix that no name begins with.
    fn prefix(&mut self, label: &str) -> String {
        loop {
            let count = self.taken.entry(label.to_owned()).or_default();
            *count += 1;
            let prefix = if *count == 1 { format!("{label}/") } else { format!("{label}#{count}/") };
            let next = self.names.range(prefix.clone()..).next();
            if next.is_none_or(|name| !name.starts_with(&prefix)) {
                return prefix;
            }
        }
    }
}

/// Names of values in a graph, those of its bodies included.
fn collect(graph: &GraphProto, names: &mut BTreeSet<String>) {
    let infos = graph.input.iter().chain(&graph.output).map(|info| &info.name);
    names.extend(infos.chain(graph.initializer.iter().map(|tensor| &tensor.name)).cloned());
    graph.node.iter().for_each(|node| collect_node(node, names));
}

fn collect_node(node: &NodeProto, names: &mut BTreeSet<String>) {
    names.extend(node.input.iter().chain(&node.output).cloned());
    let graphs = node.attribute.iter().flat_map(|a| a.g.iter().chain(&a.graphs));
    graphs.for_each(|graph| collect(graph, names));
}
