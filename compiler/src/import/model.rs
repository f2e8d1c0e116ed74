//! An ONNX file as a message that tract can type: shapes fixed, large weights replaced by inputs.
//!
//! Takes a path and the options; returns the decoded message, the weights that were taken out of it (each is now a graph input
//! of known shape, after the public ones), and the public ports. It deliberately does not interpret operators, beyond knowing
//! which of them need the value of a weight at compile time.

use super::absent;
use super::admission;
use super::axes;
use super::branches;
use super::conditions::{Needed, chooses};
use super::error::ImportError;
use super::functions;
use super::kernel_op::KernelNode;
use super::names::NodeNames;
use super::notes::{self, Notes};
use super::options::ImportOptions;
use super::ports::{self, Port, port};
use super::preflight;
use super::protobuf::{Skeleton, skim};
use super::quantized;
use super::reason::Unsupported;
use super::rewrite::outcome::Shapes;
use super::rewrite::steps::Known;
use super::rewriting::rewrite;
use super::shapes;
use super::sizes::{self, fixed};
use super::structure;
use super::weights::{
    ExternalFiles, MappedIntegers, Weight, from_decoded, from_model_file, hash_file, into_initialiser, map_file,
};
use crate::graph::constant::Storage;
use crate::import::support::find;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use tract_onnx::pb::tensor_shape_proto::{Dimension, dimension};
use tract_onnx::pb::{
    GraphProto, ModelProto, NodeProto, TensorShapeProto, TypeProto, ValueInfoProto, tensor_proto::DataType, type_proto,
};
use tract_onnx::prelude::Framework;

/// A model that tract can type.
#[derive(Debug)]
pub struct Model {
    /// The message.
    pub proto: ModelProto,
    /// Public inputs, in ONNX order.
    pub inputs: Vec<Port>,
    /// Public outputs, in ONNX order.
    pub outputs: Vec<Port>,
    /// Weights, in the order of the graph inputs that follow the public ones.
    pub weights: Vec<Weight>,
    /// The ONNX nodes.
    pub names: Rc<NodeNames>,
    /// Names of the initialisers, weights included.
    pub initialisers: BTreeSet<String>,
    /// Operators with a file in `operators/`, by the name of the node that stands for each.
    pub kernel_ops: BTreeMap<String, KernelNode>,
    /// What nodes say about axes.
    pub claims: Vec<axes::Claim>,
    /// What nodes need of the shapes of their operands.
    pub shape_claims: Vec<shapes::Claim>,
    /// What the file notes about its values.
    pub notes: Vec<notes::Note>,
    /// BLAKE3 of the file, followed by its files of external data in path order, in hexadecimal.
    pub hash: String,
    /// Name of the file without its extension.
    pub name: String,
    /// The file, then its files of external data in path order.
    pub files: Vec<PathBuf>,
}

/// Reads a model. With `own_weights`, tract gets every initialiser, as it would by itself; `notes` say which notes of the file
/// count.
pub fn read(path: &Path, options: &ImportOptions, own_weights: bool, notes: &mut Notes) -> Result<Model, ImportError> {
    let read_error = |source| ImportError::Read { path: path.to_owned(), source };
    preflight::given_sizes(options)?;
    let map = map_file(path).map_err(read_error)?;
    let Skeleton { bytes, large, integers } = skim(&map);
    preflight::message::check(&bytes)?;
    let not_onnx = |reason: String| ImportError::NotOnnx { path: path.to_owned(), reason };
    let mut proto = tract_onnx::onnx()
        .proto_model_for_read(&mut bytes.as_slice())
        .map_err(|e| not_onnx(super::stopped::one_line(&e)))?;
    functions::inline(&mut proto, &bytes)?;
    drop(bytes);
    let opset = admission::opset(&proto)?;
    let graph = proto.graph.as_mut().ok_or_else(|| not_onnx("it holds no graph".to_owned()))?;
    let mut weights = large.iter().map(|t| from_model_file(&map, t)).collect::<Result<Vec<_>, _>>()?;
    let mut external = ExternalFiles::beside(path);
    let mut integers = MappedIntegers::of_model(&map, &integers, graph);
    external.resolve_graph(graph, &mut weights, &mut integers)?;
    let flaws = structure::flaws(graph, weights.iter().map(|weight| weight.name.as_str()));
    if !flaws.is_empty() {
        return Err(ImportError::Flawed(flaws));
    }
    super::booleans::normalize(graph);
    take_constants(graph, &mut weights)?;
    let weight_names: Vec<&str> = weights.iter().map(|weight| weight.name.as_str()).collect();
    let mut names = NodeNames::of(graph, &weight_names);
    names.mark(graph);
    preflight::graph(graph).map_err(|error| error.with_names(&names))?;
    preflight::outputs(graph, |name| weights.iter().any(|weight| weight.name == name))?;
    branches::take(graph, &BTreeMap::new());
    names.mark(graph);
    admission::check(&graph.node, opset).map_err(|error| error.with_names(&names))?;
    absent::drop_trailing(&mut graph.node, opset);
    let types = check_types(graph, &weights, opset).map_err(|error| error.with_names(&names))?;
    ports::give_types(graph, &types)?;
    let initialisers = names_of_initialisers(graph, &weights);
    graph.input.retain(|input| !initialisers.contains(&input.name));
    let inputs: BTreeSet<String> = graph.input.iter().map(|input| input.name.clone()).collect();
    notes.settle(graph, &types, |name| initialisers.contains(name) || inputs.contains(name));
    let notes = notes::noted(graph, &types);
    let mut claims = Claims::of(&graph.node, &Known::of(graph, opset));
    quantized::take(graph, &mut weights, &integers, opset).map_err(|error| error.with_names(&names))?;
    integers.restore(graph);
    sizes::fix(graph, options)?;
    // Values that inputs are bound to decide branches.
    let bound = branches::take(graph, &BTreeMap::new());
    claims.add(inside(graph, &bound, &mut weights, opset, &mut names).map_err(|error| error.with_names(&names))?);
    super::appended::append(graph, &options.states, opset)
        .map_err(|error| ImportError::from(error).with_names(&names))?;
    let inputs = graph.input.iter().map(port).collect::<Result<Vec<_>, _>>()?;
    let outputs = graph.output.iter().map(port).collect::<Result<Vec<_>, _>>()?;
    let halves = weights.iter().filter(|w| w.constant.storage == Storage::F16);
    let not_widened = super::widen::widen(graph, halves.map(|w| w.name.clone()));
    if !not_widened.is_empty() {
        return Err(ImportError::Unsupported(not_widened).with_names(&names));
    }
    let mut kernel_ops = rewritten(graph, opset, &weights).map_err(|error| error.with_names(&names))?;
    let inside = take_branches(&mut proto, &mut weights, opset, &mut kernel_ops, &mut names);
    claims.add(inside.map_err(|error| error.with_names(&names))?);
    let graph = proto.graph.as_mut().ok_or_else(|| not_onnx("it holds no graph".to_owned()))?;

    let initialisers = names_of_initialisers(graph, &weights);
    copy_inputs_that_are_outputs(graph);
    let requested = if own_weights { None } else { Some(names_with_needed_values(graph)) };
    weights = split_weights(graph, weights, requested.as_ref());

    let mut hasher = blake3::Hasher::new();
    let files: Vec<PathBuf> = [path].into_iter().chain(external.paths()).map(Path::to_owned).collect();
    for file in &files {
        hash_file(&mut hasher, file)?;
    }
    let name = path.file_stem().map_or_else(String::new, |s| s.to_string_lossy().into_owned());
    let hash = hasher.finalize().to_hex().to_string();
    let names = Rc::new(names);
    let Claims { axes: claims, shapes: shape_claims } = claims;
    Ok(Model {
        proto,
        inputs,
        outputs,
        weights,
        names,
        initialisers,
        kernel_ops,
        claims,
        shape_claims,
        notes,
        hash,
        name,
        files,
    })
}

/// Refuses operands of element types that their operators do not take; gives the types that follow.
fn check_types(graph: &GraphProto, weights: &[Weight], opset: i64) -> Result<BTreeMap<String, i32>, ImportError> {
    let element = |weight: &Weight| match weight.constant.storage {
        Storage::F16 => DataType::Float16 as i32,
        Storage::F32 | Storage::I32 | Storage::Bool => DataType::Float as i32,
    };
    let outside = weights.iter().map(|weight| (weight.name.as_str(), element(weight)));
    let (types, found) = super::types::followed(graph, outside, opset);
    if found.is_empty() { Ok(types) } else { Err(ImportError::Types(found)) }
}

/// Large tensors of `Constant` nodes are weights like any other.
fn take_constants(graph: &mut GraphProto, weights: &mut Vec<Weight>) -> Result<(), ImportError> {
    let mut kept = Vec::with_capacity(graph.node.len());
    for mut node in std::mem::take(&mut graph.node) {
        if node.op_type == "Constant"
            && let [output] = node.output.as_slice()
            && let [attribute] = node.attribute.as_mut_slice()
            && let Some(weight) = attribute.t.as_mut().and_then(|t| from_decoded(output, t))
        {
            weights.push(weight?);
            continue;
        }
        kept.push(node);
    }
    graph.node = kept;
    Ok(())
}

/// An input that is an output as well goes through a node of its own: tract forgets the shape of what it gives out.
fn copy_inputs_that_are_outputs(graph: &mut GraphProto) {
    let inputs: BTreeSet<&str> = graph.input.iter().map(|input| input.name.as_str()).collect();
    for output in graph.output.iter_mut().filter(|output| inputs.contains(output.name.as_str())) {
        let copy = format!("{}.output", output.name);
        graph.node.push(NodeProto {
            name: copy.clone(),
            op_type: "Identity".to_owned(),
            input: vec![std::mem::replace(&mut output.name, copy.clone())],
            output: vec![copy],
            ..NodeProto::default()
        });
    }
}

/// Rewrites a graph; returns the operators of `operators/` by the names of the nodes that stand for them.
fn rewritten(
    graph: &mut GraphProto,
    opset: i64,
    weights: &[Weight],
) -> Result<BTreeMap<String, KernelNode>, ImportError> {
    let shapes = known_shapes(graph, weights);
    let (kernel_ops, refused) = rewrite(graph, opset, shapes);
    refused.or(kernel_ops)
}

/// What nodes say about axes, and need of shapes.
#[derive(Default)]
struct Claims {
    axes: Vec<axes::Claim>,
    shapes: Vec<shapes::Claim>,
}

impl Claims {
    fn of(nodes: &[NodeProto], known: &Known) -> Self {
        Self { axes: axes::claims(nodes, known), shapes: shapes::claims(nodes, known) }
    }

    fn add(&mut self, other: Self) {
        self.axes.extend(other.axes);
        self.shapes.extend(other.shapes);
    }
}

/// Takes the branches whose conditions follow from constants and shapes, those inside taken branches included; of what is left
/// then, both branches are computed. Returns what their nodes say about axes.
fn take_branches(
    proto: &mut ModelProto,
    weights: &mut Vec<Weight>,
    opset: i64,
    kernel_ops: &mut BTreeMap<String, KernelNode>,
    names: &mut NodeNames,
) -> Result<Claims, ImportError> {
    let mut claims = Claims::default();
    while proto.graph.iter().flat_map(|g| &g.node).any(chooses) {
        let Some(graph) = proto.graph.as_ref() else { return Ok(claims) };
        let mut needed = Needed::of(graph);
        let requested = names_with_needed_values(&needed.graph);
        let read = weights.iter().filter(|weight| needed.reads(&weight.name)).cloned().collect();
        split_weights(&mut needed.graph, read, Some(&requested));
        let conditions = needed.known(proto, kernel_ops);
        let Some(graph) = proto.graph.as_mut() else { return Ok(claims) };
        let count = graph.node.iter().filter(|node| chooses(node)).count();
        let mut came = branches::take(graph, &conditions);
        if conditions.is_empty() && came.is_empty() {
            came = branches::compute_both(graph);
        }
        let none = came.is_empty();
        let left: Vec<String> = graph.node.iter().filter(|node| chooses(node)).map(|node| node.name.clone()).collect();
        if none && left.len() == count {
            let reason = "its branches have inputs, or not as many outputs as it has";
            let mut refused = Unsupported::default();
            left.iter().for_each(|node| refused.add("If", Some(reason.into()), node));
            return Err(ImportError::Unsupported(refused));
        }
        claims.add(inside(graph, &came, weights, opset, names)?);
        kernel_ops.extend(rewritten(graph, opset, weights)?);
    }
    Ok(claims)
}

/// Looks at nodes that came out of branches as at those of the graph. Returns what they say about axes.
fn inside(
    graph: &mut GraphProto,
    came: &BTreeSet<String>,
    weights: &mut Vec<Weight>,
    opset: i64,
    names: &mut NodeNames,
) -> Result<Claims, ImportError> {
    let places: Vec<usize> = (0..graph.node.len()).filter(|i| came.contains(&graph.node[*i].name)).collect();
    names.mark_at(graph, &places);
    let nodes: Vec<NodeProto> = places.iter().map(|i| graph.node[*i].clone()).collect();
    admission::check(&nodes, opset)?;
    places.iter().for_each(|i| absent::drop_trailing(&mut graph.node[*i..=*i], opset));
    let claims = Claims::of(&nodes, &Known::of(graph, opset));
    quantized::take(graph, weights, &MappedIntegers::default(), opset)?;
    Ok(claims)
}

/// Shapes of the weights, which are outside the message by now, and of the inputs.
fn known_shapes(graph: &GraphProto, weights: &[Weight]) -> Shapes {
    let mut shapes: Shapes = weights.iter().map(|w| (w.name.clone(), w.constant.shape.clone())).collect();
    for input in &graph.input {
        let Some(type_proto::Value::TensorType(tensor)) = input.r#type.as_ref().and_then(|t| t.value.as_ref()) else {
            continue;
        };
        let size = |dim: &Dimension| match &dim.value {
            Some(dimension::Value::DimValue(size)) => usize::try_from(*size).ok(),
            Some(dimension::Value::DimParam(_)) | None => None,
        };
        let shape: Option<Vec<usize>> = tensor.shape.as_ref().and_then(|shape| shape.dim.iter().map(size).collect());
        shapes.extend(shape.map(|shape| (input.name.clone(), shape)));
    }
    shapes
}

fn names_of_initialisers(graph: &GraphProto, weights: &[Weight]) -> BTreeSet<String> {
    let small = graph.initializer.iter().map(|t| t.name.clone());
    small.chain(weights.iter().map(|w| w.name.clone())).collect()
}

/// Names that an operator needs the value of, or that a subgraph may refer to, or that are outputs themselves.
fn names_with_needed_values(graph: &GraphProto) -> BTreeSet<String> {
    fn subgraph_names(graph: &GraphProto, names: &mut BTreeSet<String>) {
        for node in &graph.node {
            names.extend(node.input.iter().cloned());
            for inner in node.attribute.iter().flat_map(|a| a.g.iter().chain(&a.graphs)) {
                subgraph_names(inner, names);
            }
        }
        names.extend(graph.output.iter().map(|o| o.name.clone()));
    }
    let mut names: BTreeSet<String> = graph.output.iter().map(|o| o.name.clone()).collect();
    for node in &graph.node {
        if find(&node.domain, &node.op_type).is_some_and(|operator| operator.needs_values) {
            names.extend(node.input.iter().cloned());
        }
        for inner in node.attribute.iter().flat_map(|a| a.g.iter().chain(&a.graphs)) {
            subgraph_names(inner, &mut names);
        }
    }
    names
}

/// Weights that are requested by value go back into the message, the others become graph inputs.
fn split_weights(graph: &mut GraphProto, weights: Vec<Weight>, requested: Option<&BTreeSet<String>>) -> Vec<Weight> {
    let mut outside = Vec::new();
    for weight in weights {
        if requested.is_none_or(|names| names.contains(&weight.name)) {
            graph.initializer.push(into_initialiser(&weight));
        } else {
            graph.input.push(weight_input(&weight));
            outside.push(weight);
        }
    }
    outside
}

fn weight_input(weight: &Weight) -> ValueInfoProto {
    let dim = weight.constant.shape.iter().map(|d| fixed(*d as i64)).collect();
    let tensor = type_proto::Tensor { elem_type: DataType::Float as i32, shape: Some(TensorShapeProto { dim }) };
    let value = Some(type_proto::Value::TensorType(tensor));
    ValueInfoProto {
        name: weight.name.clone(),
        r#type: Some(TypeProto { value, ..TypeProto::default() }),
        ..ValueInfoProto::default()
    }
}
