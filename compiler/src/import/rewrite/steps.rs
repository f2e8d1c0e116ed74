//! Writing ONNX nodes: what a rewrite of one node consists of.
//!
//! Every new value and node is named after the node that is rewritten, so that reports lead back to it. Operators whose
//! parameters moved from attributes to operands are written in the form of the model's own version. It deliberately knows no
//! rewrite.

use super::super::composed::Composed;
use super::super::kernel_op::{KernelNode, OwnOp, STAND_IN};
use super::super::types::of_results;
use crate::graph::kernel_op::KernelOp;
use crate::import::reason::Reason;
use std::collections::BTreeMap;
use tract_onnx::pb::{
    AttributeProto, GraphProto, NodeProto, TensorProto,
    attribute_proto::AttributeType,
    tensor_proto::DataType,
    tensor_shape_proto::{Dimension, dimension},
    type_proto,
};

/// From this version on, `Slice` takes its bounds as operands.
const OPERANDS_10: i64 = 10;

/// From this version on, `Clip` takes its bounds as operands.
const OPERANDS_11: i64 = 11;

/// From this version on, `Squeeze`, `Unsqueeze`, `Split` and `ReduceSum` take their axes or sizes as an operand.
const OPERANDS_13: i64 = 13;

/// From this version on, all reductions do.
const OPERANDS_18: i64 = 18;

/// What is known about the values of a graph before any inference.
#[derive(Debug, Default)]
pub struct Known {
    /// Version of the standard operators.
    pub opset: i64,
    integers: BTreeMap<String, Vec<i64>>,
    floats: BTreeMap<String, Vec<f32>>,
    constants: std::collections::BTreeSet<String>,
    types: BTreeMap<String, i32>,
    /// Shapes of inputs, initialisers and constants.
    pub(in crate::import) shapes: BTreeMap<String, Vec<usize>>,
    /// Rank, and the number of elements of a tensor that is known to have one.
    ranks: BTreeMap<String, (usize, bool)>,
    /// Caches that new entries were put into, by what they are then: its shape is theirs.
    caches: BTreeMap<String, String>,
}

impl Known {
    /// Looks at a graph.
    pub fn of(graph: &GraphProto, opset: i64) -> Self {
        let mut known = Self { opset, ..Self::default() };
        for info in graph.input.iter().chain(&graph.value_info) {
            let tensor = info.r#type.as_ref().and_then(|t| t.value.as_ref());
            if let Some(type_proto::Value::TensorType(tensor)) = tensor {
                if tensor.elem_type != DataType::Undefined as i32 {
                    known.types.insert(info.name.clone(), tensor.elem_type);
                }
                if let Some(shape) = &tensor.shape {
                    let one = |d: &Dimension| d.value == Some(dimension::Value::DimValue(1));
                    known.ranks.insert(info.name.clone(), (shape.dim.len(), shape.dim.iter().all(one)));
                }
            }
        }
        for tensor in &graph.initializer {
            known.add_tensor(&tensor.name, tensor);
        }
        for node in &graph.node {
            known.add_node(node);
        }
        known
    }

    pub(in crate::import) fn add_tensor(&mut self, name: &str, tensor: &TensorProto) {
        self.types.insert(name.to_owned(), tensor.data_type);
        self.ranks.insert(name.to_owned(), (tensor.dims.len(), tensor.dims.iter().all(|d| *d == 1)));
        self.constants.insert(name.to_owned());
        self.shapes.insert(name.to_owned(), tensor.dims.iter().map(|d| *d as usize).collect());
        if let Some(values) = integers(tensor) {
            self.integers.insert(name.to_owned(), values);
        }
        if let Some(values) = floats(tensor) {
            self.floats.insert(name.to_owned(), values);
        }
    }

    fn add_integers(&mut self, name: &str, values: Vec<i64>, shape: Vec<usize>) {
        self.types.insert(name.to_owned(), DataType::Int64 as i32);
        self.ranks.insert(name.to_owned(), (shape.len(), values.len() == 1));
        self.shapes.insert(name.to_owned(), shape);
        self.integers.insert(name.to_owned(), values);
    }

    /// Learns what a node's outputs are.
    pub fn add_node(&mut self, node: &NodeProto) {
        if node.op_type == "Constant"
            && let [output] = node.output.as_slice()
            && let [attribute] = node.attribute.as_slice()
        {
            self.constants.insert(output.clone());
            if let Some(tensor) = &attribute.t {
                self.add_tensor(output, tensor);
            } else if attribute.name == "value_int" {
                self.add_integers(output, vec![attribute.i], vec![]);
            } else if attribute.name == "value_ints" {
                self.add_integers(output, attribute.ints.clone(), vec![attribute.ints.len()]);
            }
            return;
        }
        let all_constant = node.input.iter().all(|x| self.constants.contains(x));
        if matches!(node.op_type.as_str(), "CastLike" | "Reshape") && all_constant
            || node.op_type == "CastLike" && node.input.first().is_some_and(|x| self.constants.contains(x))
        {
            self.constants.extend(node.output.iter().cloned());
        }
        if let ("CastLike" | "Cast" | "Identity", [output], Some(x)) =
            (node.op_type.as_str(), node.output.as_slice(), node.input.first())
            && let Some(rank) = self.ranks.get(x).copied()
        {
            self.ranks.insert(output.clone(), rank);
        }
        if let ("TensorScatter", [output], Some(cache)) =
            (node.op_type.as_str(), node.output.as_slice(), node.input.first())
        {
            self.caches.insert(output.clone(), cache.clone());
        }
        if node.op_type == "DynamicQuantizeLinear" {
            for parameter in node.output.iter().skip(1) {
                self.ranks.insert(parameter.clone(), (0, true));
            }
        }
        let of = |name: &str| self.types.get(name).copied();
        // What stands for an operator of our own has the type of its first operand, as far as that is known.
        let types = of_results(node, self.opset, of).unwrap_or_else(|| vec![node.input.first().and_then(|x| of(x))]);
        let known = node.output.iter().zip(types).filter_map(|(output, element)| Some((output.clone(), element?)));
        let known: Vec<(String, i32)> = known.collect();
        self.types.extend(known);
    }

    /// ONNX element type of a value, as far as it is known.
    pub fn element_type(&self, name: &str) -> Option<i32> {
        self.types.get(name).copied()
    }

    /// Shape of an input, an initialiser or a constant, or of one of these that new entries were put into.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        let cache = || self.shapes.get(self.caches.get(name)?);
        self.shapes.get(name).or_else(cache).map(Vec::as_slice)
    }

    /// Number of axes of a value, and whether it has exactly one element, as far as it is known.
    pub fn rank(&self, name: &str) -> Option<(usize, bool)> {
        self.ranks.get(name).copied()
    }

    /// Elements of a small integer constant.
    pub fn integers(&self, name: &str) -> Option<&[i64]> {
        self.integers.get(name).map(Vec::as_slice)
    }

    /// Elements of a small f32 constant.
    pub fn floats(&self, name: &str) -> Option<&[f32]> {
        self.floats.get(name).map(Vec::as_slice)
    }

    /// Whether the value is an initialiser or a constant.
    pub fn is_constant(&self, name: &str) -> bool {
        self.constants.contains(name)
    }
}

/// Constants of more elements are no parameters.
const MAX_FLOATS: usize = 64;

/// Elements of a small f32 tensor.
pub fn floats(tensor: &TensorProto) -> Option<Vec<f32>> {
    if tensor.data_type != DataType::Float as i32 || tensor.raw_data.len() > 4 * MAX_FLOATS {
        return None;
    }
    if tensor.raw_data.is_empty() {
        return Some(tensor.float_data.iter().take(MAX_FLOATS).copied().collect());
    }
    Some(tensor.raw_data.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect())
}

/// Elements of an integer tensor, or of booleans as 0 and 1.
#[expect(clippy::wildcard_enum_match_arm, reason = "ONNX's types: those that are taken are few")]
pub fn integers(tensor: &TensorProto) -> Option<Vec<i64>> {
    let raw = tensor.raw_data.as_slice();
    let wide = DataType::try_from(tensor.data_type).ok()?;
    match wide {
        DataType::Int64 if raw.is_empty() => Some(tensor.int64_data.clone()),
        DataType::Int64 => Some(raw.as_chunks().0.iter().map(|b| i64::from_le_bytes(*b)).collect()),
        DataType::Int32 | DataType::Bool if raw.is_empty() => {
            Some(tensor.int32_data.iter().map(|v| i64::from(*v)).collect())
        }
        DataType::Int32 => Some(raw.as_chunks().0.iter().map(|b| i64::from(i32::from_le_bytes(*b))).collect()),
        DataType::Bool => Some(raw.iter().map(|b| i64::from(*b != 0)).collect()),
        _ => None,
    }
}

/// The value of an attribute.
#[derive(Debug, Clone, Copy)]
pub enum Attribute<'a> {
    /// An integer.
    Int(i64),
    /// A list of integers.
    Ints(&'a [i64]),
    /// A float.
    Float(f32),
    /// A text.
    Text(&'a str),
}

/// One attribute.
pub fn attribute(name: &str, value: Attribute<'_>) -> AttributeProto {
    let mut attribute = AttributeProto { name: name.to_owned(), ..AttributeProto::default() };
    let kind = match value {
        Attribute::Int(i) => {
            attribute.i = i;
            AttributeType::Int
        }
        Attribute::Ints(ints) => {
            attribute.ints = ints.to_vec();
            AttributeType::Ints
        }
        Attribute::Float(f) => {
            attribute.f = f;
            AttributeType::Float
        }
        Attribute::Text(text) => {
            attribute.s = text.as_bytes().to_vec();
            AttributeType::String
        }
    };
    attribute.r#type = kind as i32;
    attribute
}

/// The nodes that take the place of one.
#[derive(Debug)]
pub struct Steps<'a> {
    /// What is known about the node's operands.
    pub known: &'a Known,
    /// The node that is rewritten.
    pub(in crate::import) node: &'a NodeProto,
    count: usize,
    pub(in crate::import) nodes: Vec<NodeProto>,
    pub(in crate::import) initialisers: Vec<TensorProto>,
    pub(in crate::import) kernel_ops: Vec<(String, KernelNode)>,
}

impl<'a> Steps<'a> {
    /// Nothing yet, in place of `node`.
    pub const fn new(node: &'a NodeProto, known: &'a Known) -> Self {
        Self { known, node, count: 0, nodes: Vec::new(), initialisers: Vec::new(), kernel_ops: Vec::new() }
    }

    /// The nodes and initialisers that were written.
    pub fn into_parts(self) -> (Vec<NodeProto>, Vec<TensorProto>) {
        (self.nodes, self.initialisers)
    }

    /// Adds a node with the attributes of another.
    pub fn like(&mut self, node: &NodeProto, op: &str, inputs: &[&str]) -> String {
        let name = self.op(op, inputs, &[]);
        if let Some(added) = self.nodes.last_mut() {
            added.attribute.clone_from(&node.attribute);
        }
        name
    }

    fn fresh(&mut self) -> String {
        self.count += 1;
        format!("{}.{}", self.node.name, self.count)
    }

    /// The operand at a position, when it is given.
    pub fn operand(&self, position: usize) -> Option<&'a str> {
        self.node.input.get(position).map(String::as_str).filter(|name| !name.is_empty())
    }

    /// An operand that has to be there.
    pub fn needed(&self, position: usize) -> Result<&'a str, Reason> {
        self.operand(position).ok_or_else(|| Reason::form("without operand {}", [position.into()]))
    }

    /// An integer attribute.
    pub fn int_attribute(&self, name: &str) -> Option<i64> {
        self.node.attribute.iter().find(|a| a.name == name).map(|a| a.i)
    }

    /// A float attribute.
    pub fn float_attribute(&self, name: &str) -> Option<f32> {
        self.node.attribute.iter().find(|a| a.name == name).map(|a| a.f)
    }

    /// A list of integers.
    pub fn ints_attribute(&self, name: &str) -> Option<&'a [i64]> {
        self.node.attribute.iter().find(|a| a.name == name).map(|a| a.ints.as_slice())
    }

    /// A list of floats.
    pub fn floats_attribute(&self, name: &str) -> Option<&'a [f32]> {
        self.node.attribute.iter().find(|a| a.name == name).map(|a| a.floats.as_slice())
    }

    /// A list of sizes that are not negative, `or` when the attribute is not there.
    ///
    /// # Errors
    /// The attribute, when it has another length than `or` or a negative entry.
    pub fn sizes_attribute(&self, name: &str, or: &[usize]) -> Result<Vec<usize>, Reason> {
        let Some(list) = self.ints_attribute(name) else { return Ok(or.to_vec()) };
        let sizes: Option<Vec<usize>> = list.iter().map(|v| usize::try_from(*v).ok()).collect();
        sizes.filter(|s| s.len() == or.len()).ok_or_else(|| Reason::form("{} of {}", [name.into(), list.into()]))
    }

    /// A text attribute.
    pub fn text_attribute(&self, name: &str) -> Option<&'a str> {
        let found = self.node.attribute.iter().find(|a| a.name == name)?;
        std::str::from_utf8(&found.s).ok()
    }

    /// Whether the output at a position is requested.
    pub fn uses_output(&self, position: usize) -> bool {
        self.node.output.get(position).is_some_and(|name| !name.is_empty())
    }

    /// Adds a node with one output.
    pub fn op(&mut self, op: &str, inputs: &[&str], attributes: &[(&str, Attribute<'_>)]) -> String {
        let name = self.fresh();
        self.nodes.push(NodeProto {
            name: name.clone(),
            op_type: op.to_owned(),
            input: inputs.iter().map(|i| (*i).to_owned()).collect(),
            output: vec![name.clone()],
            attribute: attributes.iter().map(|(name, value)| attribute(name, *value)).collect(),
            ..NodeProto::default()
        });
        name
    }

    /// Adds a node with three outputs.
    pub fn three(&mut self, op: &str, inputs: &[&str], attributes: &[(&str, Attribute<'_>)]) -> [String; 3] {
        let first = self.op(op, inputs, attributes);
        let names = [first.clone(), format!("{first}.b"), format!("{first}.c")];
        if let Some(added) = self.nodes.last_mut() {
            added.output = names.to_vec();
        }
        names
    }

    /// Adds an operator with a file in `operators/`.
    pub fn kernel_op(&mut self, op: impl Into<KernelOp>, inputs: &[&str]) -> String {
        self.own_op(OwnOp::Kernel(op.into()), inputs)
    }

    /// Adds an operator that our graph spells.
    pub fn composed(&mut self, op: Composed, x: &str) -> String {
        self.own_op(OwnOp::Composed(op), &[x])
    }

    fn own_op(&mut self, op: OwnOp, inputs: &[&str]) -> String {
        let name = self.op(STAND_IN, inputs, &[]);
        let node = KernelNode { op, node: self.node.name.clone() };
        self.kernel_ops.push((name.clone(), node));
        name
    }

    /// Makes a value an output of the rewritten node, if that is requested.
    pub fn give(&mut self, position: usize, value: &str) {
        let Some(output) = self.node.output.get(position).filter(|name| !name.is_empty()).cloned() else { return };
        let name = if position == 0 { self.node.name.clone() } else { self.fresh() };
        self.nodes.push(NodeProto {
            name,
            op_type: "Identity".to_owned(),
            input: vec![value.to_owned()],
            output: vec![output],
            ..NodeProto::default()
        });
    }

    fn tensor(&mut self, dims: Vec<i64>, data_type: DataType, raw_data: Vec<u8>) -> String {
        let name = self.fresh();
        let tensor =
            TensorProto { name: name.clone(), dims, data_type: data_type as i32, raw_data, ..TensorProto::default() };
        self.initialisers.push(tensor);
        name
    }

    /// A list of 64-bit integers.
    pub fn ints(&mut self, values: &[i64]) -> String {
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.tensor(vec![values.len() as i64], DataType::Int64, bytes)
    }

    /// 64-bit integers of a shape.
    pub fn shaped_ints(&mut self, dims: &[usize], values: &[i64]) -> String {
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.tensor(dims.iter().map(|d| *d as i64).collect(), DataType::Int64, bytes)
    }

    /// A 64-bit integer.
    pub fn int(&mut self, value: i64) -> String {
        self.tensor(vec![], DataType::Int64, value.to_le_bytes().to_vec())
    }

    /// f32 values.
    pub fn floats(&mut self, dims: &[usize], values: &[f32]) -> String {
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.tensor(dims.iter().map(|d| *d as i64).collect(), DataType::Float, bytes)
    }

    /// A number in the type of another value.
    pub fn number_like(&mut self, value: f32, like: &str) -> String {
        let number = self.floats(&[], &[value]);
        if self.known.element_type(like) == Some(DataType::Float as i32) {
            return number;
        }
        self.op("CastLike", &[&number, like], &[])
    }

    /// Floats brought between two bounds.
    pub fn clip(&mut self, x: &str, low: f32, high: f32) -> String {
        if self.known.opset < OPERANDS_11 {
            return self.op("Clip", &[x], &[("min", Attribute::Float(low)), ("max", Attribute::Float(high))]);
        }
        let (low, high) = (self.floats(&[], &[low]), self.floats(&[], &[high]));
        self.op("Clip", &[x, &low, &high], &[])
    }

    /// Axes of size 1 taken away.
    pub fn squeeze(&mut self, x: &str, axes: &[i64]) -> String {
        self.with_list("Squeeze", x, axes, OPERANDS_13, &[])
    }

    /// Axes of size 1 put in.
    pub fn unsqueeze(&mut self, x: &str, axes: &[i64]) -> String {
        self.with_list("Unsqueeze", x, axes, OPERANDS_13, &[])
    }

    /// A reduction over some axes.
    pub fn reduce(&mut self, op: &str, x: &str, axes: &[i64], keep: bool) -> String {
        let since = if op == "ReduceSum" { OPERANDS_13 } else { OPERANDS_18 };
        self.with_list(op, x, axes, since, &[("keepdims", Attribute::Int(i64::from(keep)))])
    }

    /// A reduction over all axes.
    pub fn reduce_all(&mut self, op: &str, x: &str) -> String {
        self.op(op, &[x], &[("keepdims", Attribute::Int(0))])
    }

    fn with_list(
        &mut self,
        op: &str,
        x: &str,
        axes: &[i64],
        operand_since: i64,
        attributes: &[(&str, Attribute<'_>)],
    ) -> String {
        if self.known.opset >= operand_since {
            let axes = self.ints(axes);
            self.op(op, &[x, &axes], attributes)
        } else {
            let all = [attributes, &[("axes", Attribute::Ints(axes))]].concat();
            self.op(op, &[x], &all)
        }
    }

    /// Entries `from..to` of a value's shape, as a list.
    pub fn shape(&mut self, x: &str, from: i64, to: i64) -> String {
        let shape = self.op("Shape", &[x], &[]);
        if self.known.opset < OPERANDS_10 {
            let bounds = [("starts", Attribute::Ints(&[from])), ("ends", Attribute::Ints(&[to]))];
            return self.op("Slice", &[&shape], &bounds);
        }
        let (from, to) = (self.ints(&[from]), self.ints(&[to]));
        self.op("Slice", &[&shape, &from, &to], &[])
    }
}
