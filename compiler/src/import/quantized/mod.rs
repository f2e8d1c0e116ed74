//! Quantized weights of a model: integers, scales and zero points that nodes put together become constants.
//!
//! Takes the graph and the weights outside it, before anything is rewritten; gives the graph without the nodes that dequantize
//! constants, and with a weight for each of their results, which keeps its integers (`graph/quantized.rs`). `QuantizeLinear` of
//! constants is computed on the way. Products and gathers of ONNX Runtime's own that read packed weights become standard ones
//! with such a weight, and so do products of integers, after fused ones are spelled out. A `DequantizeLinear` with one scale
//! behind a gather or view of integers goes in front of it. What depends on data is left to `rewrite/quantization.rs`; bodies of
//! loops are not looked into.

mod constants;
mod dequantize;
mod elements;
mod products;

use super::error::ImportError;
use super::protobuf::LARGE_BYTES;
use super::reason::{Reason, Unsupported};
use super::rewrite::outcome::Rewritten;
use super::rewrite::steps::{Attribute, Known, Steps};
use super::support::find;
use super::weights::{MappedIntegers, Weight};
use crate::graph::constant::{Constant, Storage};
use crate::graph::quantized::{Floats, Width};
use constants::{Constants, floats_of, reads};
use dequantize::{BlockZeros, Blockwise, Layout, linear, packed_rows, quantized};
use elements::{Element, Stored};
use std::collections::{BTreeMap, BTreeSet};
use tract_onnx::pb::{GraphProto, NodeProto, TensorProto, tensor_proto::DataType};

/// Why a node is not taken.
enum Fault {
    /// The model cannot be imported.
    Fatal(ImportError),
    /// The node says something that is not implemented or makes no sense.
    Refused(Reason),
}

impl From<ImportError> for Fault {
    fn from(error: ImportError) -> Self {
        Self::Fatal(error)
    }
}

impl From<Reason> for Fault {
    fn from(reason: Reason) -> Self {
        Self::Refused(reason)
    }
}

fn refused<T>(reason: &'static str) -> Result<T, Fault> {
    Err(Fault::Refused(reason.into()))
}

/// The nodes that take the place of one; `None` when it stays.
type Taken = Result<Option<Vec<NodeProto>>, Fault>;

/// Takes the quantized weights of a graph.
///
/// # Errors
/// Data that does not fill its shape, and every node that no constant can be made for though it needs one.
pub fn take(
    graph: &mut GraphProto,
    weights: &mut Vec<Weight>,
    integers: &MappedIntegers,
    opset: i64,
) -> Result<(), ImportError> {
    spell_out(graph, opset)?;
    taken_by(reader, graph, weights, integers, opset)?;
    // What still reads rows of integers needs them as integers.
    taken_by(row_reader, graph, weights, integers, opset)
}

/// Operators that are a `MatMulInteger` and more, and whose weights are kept as its.
const FUSED_PRODUCTS: [&str; 2] = ["DynamicQuantizeMatMul", "MatMulIntegerToFloat"];

/// Replaces fused products of 8-bit integers by the operators that they are made of, as the registry says.
fn spell_out(graph: &mut GraphProto, opset: i64) -> Result<(), ImportError> {
    let is_fused = |node: &NodeProto| node.domain == "com.microsoft" && FUSED_PRODUCTS.contains(&node.op_type.as_str());
    if !graph.node.iter().any(is_fused) {
        return Ok(());
    }
    let known = Known::of(graph, opset);
    let mut unsupported = Unsupported::default();
    let mut done = Vec::with_capacity(graph.node.len());
    for node in std::mem::take(&mut graph.node) {
        let rule = find(&node.domain, &node.op_type).filter(|_| is_fused(&node)).and_then(|row| row.rewrite);
        let mut steps = Steps::new(&node, &known);
        match rule.map_or(Ok(Rewritten::Unchanged), |rule| rule(&mut steps)) {
            Ok(Rewritten::Unchanged) => done.push(node),
            Ok(Rewritten::Replaced) => {
                let (nodes, initialisers) = steps.into_parts();
                done.extend(nodes);
                graph.initializer.extend(initialisers);
            }
            Err(reason) => unsupported.add(&node.op_type, Some(reason), &node.name),
        }
    }
    graph.node = done;
    unsupported.or(())
}

fn taken_by(
    reader: fn(&NodeProto) -> Option<Reader>,
    graph: &mut GraphProto,
    weights: &mut Vec<Weight>,
    integers: &MappedIntegers,
    opset: i64,
) -> Result<(), ImportError> {
    if !graph.node.iter().any(|node| reader(node).is_some()) {
        return Ok(());
    }
    let mut pass = Pass::new(graph, weights, integers, opset);
    let mut places: BTreeMap<usize, Vec<NodeProto>> = BTreeMap::new();
    let mut unsupported = Unsupported::default();
    for index in 0..graph.node.len() {
        let Some(read) = reader(&graph.node[index]) else { continue };
        let node = graph.node[index].clone();
        match read(&mut pass, graph, &node) {
            Ok(None) => {}
            Ok(Some(nodes)) => {
                places.insert(index, nodes);
            }
            Err(Fault::Fatal(error)) => return Err(error),
            Err(Fault::Refused(reason)) => unsupported.add(&node.op_type, Some(reason), &node.name),
        }
    }
    unsupported.or(())?;
    let nodes = std::mem::take(&mut graph.node).into_iter().enumerate();
    graph.node = nodes.flat_map(|(index, node)| places.remove(&index).unwrap_or_else(|| vec![node])).collect();
    pass.settle(graph);
    Ok(())
}

type Reader = fn(&mut Pass<'_>, &mut GraphProto, &NodeProto) -> Taken;

/// What takes a node, if anything does.
fn reader(node: &NodeProto) -> Option<Reader> {
    reader_of(&node.domain, &node.op_type)
}

/// What takes a gather, if it may be of integers.
fn row_reader(node: &NodeProto) -> Option<Reader> {
    let is_gather = matches!(node.domain.as_str(), "" | "ai.onnx") && node.op_type == "Gather";
    is_gather.then_some(|pass, graph, node| pass.integer_rows(graph, node))
}

/// Whether nodes of an operator with constant weights are taken.
#[cfg(test)]
pub fn takes(domain: &str, op: &str) -> bool {
    reader_of(domain, op).is_some()
}

fn reader_of(domain: &str, op: &str) -> Option<Reader> {
    match (domain, op) {
        ("" | "ai.onnx", "QuantizeLinear") => Some(|pass, graph, node| pass.quantize(graph, node)),
        ("" | "ai.onnx", "DequantizeLinear") => Some(|pass, graph, node| pass.dequantize(graph, node)),
        ("" | "ai.onnx", "MatMulInteger" | "ConvInteger" | "QLinearMatMul" | "QLinearConv") => {
            Some(|pass, graph, node| pass.integer_product(graph, node))
        }
        ("com.microsoft", "QGemm") => Some(|pass, graph, node| pass.integer_product(graph, node)),
        ("com.microsoft", "MatMulNBits") => Some(|pass, graph, node| pass.product(graph, node)),
        ("com.microsoft", "GatherBlockQuantized") => Some(|pass, graph, node| pass.gather(graph, node)),
        _ => None,
    }
}

/// Operators whose result holds elements of their first operand and nothing else.
const MOVES: [&str; 10] = [
    "Flatten",
    "Gather",
    "GatherElements",
    "GatherND",
    "Identity",
    "Reshape",
    "Slice",
    "Squeeze",
    "Transpose",
    "Unsqueeze",
];

fn moves(node: &NodeProto) -> bool {
    matches!(node.domain.as_str(), "" | "ai.onnx") && MOVES.contains(&node.op_type.as_str())
}

/// The operand at a position, when it is given.
fn operand(node: &NodeProto, position: usize) -> Option<&str> {
    node.input.get(position).map(String::as_str).filter(|name| !name.is_empty())
}

fn needed(node: &NodeProto, position: usize) -> Result<&str, Fault> {
    operand(node, position).ok_or_else(|| Reason::form("without operand {}", [position.into()]).into())
}

fn integer(node: &NodeProto, name: &str) -> Option<i64> {
    node.attribute.iter().find(|attribute| attribute.name == name).map(|attribute| attribute.i)
}

struct Pass<'w> {
    known: Known,
    constants: Constants<'w>,
    weights: &'w mut Vec<Weight>,
    /// Names of the graph.
    taken: BTreeSet<String>,
    /// Names of constants, by what they are made of.
    made: BTreeMap<String, String>,
    /// Outputs of nodes that may be needless now.
    spent: BTreeSet<String>,
    /// Initialisers whose names are those of weights now.
    replaced: BTreeSet<String>,
    /// Weights outside the message that may be needless now.
    read: BTreeSet<String>,
    /// Constants that become initialisers.
    initialisers: Vec<TensorProto>,
}

impl<'w> Pass<'w> {
    fn new(graph: &GraphProto, weights: &'w mut Vec<Weight>, integers: &'w MappedIntegers, opset: i64) -> Self {
        let mut taken = reads(graph);
        taken.extend(graph.node.iter().flat_map(|node| node.output.iter().cloned()));
        taken.extend(graph.initializer.iter().map(|tensor| tensor.name.clone()));
        taken.extend(graph.input.iter().map(|input| input.name.clone()));
        taken.extend(weights.iter().map(|weight| weight.name.clone()));
        Self {
            known: Known::of(graph, opset),
            constants: Constants::new(integers),
            weights,
            taken,
            made: BTreeMap::new(),
            spent: BTreeSet::new(),
            replaced: BTreeSet::new(),
            read: BTreeSet::new(),
            initialisers: Vec::new(),
        }
    }

    /// Removes what nothing reads any more.
    fn settle(mut self, graph: &mut GraphProto) {
        loop {
            let (read, before) = (reads(graph), graph.node.len());
            let needless = |name: &String| self.spent.contains(name) && !read.contains(name);
            graph.node.retain(|node| node.output.is_empty() || !node.output.iter().all(needless));
            if graph.node.len() == before {
                break;
            }
        }
        let read = reads(graph);
        self.read.retain(|name| !read.contains(name));
        self.weights.retain(|weight| !self.read.contains(&weight.name));
        graph.input.retain(|input| !self.read.contains(&input.name));
        self.constants.settle(graph, &self.replaced);
        graph.initializer.extend(self.initialisers);
    }

    fn floats(&mut self, graph: &mut GraphProto, name: &str) -> Result<Option<(Vec<usize>, Floats)>, ImportError> {
        let found = floats_of(graph, self.weights, name)?;
        if found.is_some() {
            self.read.insert(name.to_owned());
        }
        Ok(found)
    }

    /// The quantized elements of a constant, also under another shape; `None` when there is no such constant or it has others.
    fn stored(&mut self, graph: &mut GraphProto, name: &str) -> Result<Option<Stored>, ImportError> {
        if let Some(stored) = self.constants.stored(graph, name)? {
            return Ok(Some(stored));
        }
        let maker = graph.node.iter().find(|node| node.op_type == "Reshape" && node.output.iter().any(|o| o == name));
        let Some((x, shape)) =
            maker.and_then(|node| Some((operand(node, 0)?.to_owned(), operand(node, 1)?.to_owned())))
        else {
            return Ok(None);
        };
        let (Some(stored), Some(shape)) = (self.stored(graph, &x)?, constants::sizes(graph, &shape)) else {
            return Ok(None);
        };
        let reshaped = stored.reshaped(&shape);
        if let Some(reshaped) = &reshaped {
            self.constants.add(name, reshaped.clone());
            self.spent.insert(name.to_owned());
        }
        Ok(reshaped)
    }

    /// A name that nothing has.
    fn fresh(&mut self, base: &str) -> String {
        let mut name = format!("{base}.dequantized");
        while !self.taken.insert(name.clone()) {
            name.push('_');
        }
        name
    }

    /// Makes a constant part of the graph: a weight, or an initialiser where that is small and has no integers to keep.
    fn place(&mut self, name: &str, constant: Constant) {
        let keeps = constant.as_quantized().is_some() && constant.shape.len() > 1;
        if keeps || constant.len() * 4 >= LARGE_BYTES {
            self.weights.push(Weight { name: name.to_owned(), constant });
            return;
        }
        let dense = constant.dense();
        let data_type = if dense.storage == Storage::F16 { DataType::Float16 } else { DataType::Float };
        self.initialisers.push(TensorProto {
            name: name.to_owned(),
            dims: dense.shape.iter().map(|dim| *dim as i64).collect(),
            data_type: data_type as i32,
            raw_data: dense.dense_bytes().map(<[u8]>::to_vec).unwrap_or_default(),
            ..TensorProto::default()
        });
    }

    /// The name of the constant with this key, which is made if there is none yet: under the name of the initialiser `of` where
    /// nothing but the node itself reads that.
    fn weight(
        &mut self,
        graph: &GraphProto,
        node: &NodeProto,
        of: &str,
        key: String,
        make: impl FnOnce() -> Result<Constant, Reason>,
    ) -> Result<String, Fault> {
        if let Some(name) = self.made.get(&key) {
            return Ok(name.clone());
        }
        let constant = make()?;
        let is_initialiser = graph.initializer.iter().any(|tensor| tensor.name == of);
        let is_own = node.input.iter().any(|input| input == of) && constants::readers(graph, of) == 1;
        let name = if is_initialiser && is_own && self.replaced.insert(of.to_owned()) {
            of.to_owned()
        } else {
            self.fresh(of)
        };
        self.place(&name, constant);
        self.made.insert(key, name.clone());
        Ok(name)
    }

    /// Integers for constant floats.
    fn quantize(&mut self, graph: &mut GraphProto, node: &NodeProto) -> Taken {
        let (x, scale) = (needed(node, 0)?, needed(node, 1)?);
        let (Some((shape, x)), Some((scale_shape, scales))) = (self.floats(graph, x)?, self.floats(graph, scale)?)
        else {
            return Ok(None);
        };
        let zeros = match operand(node, 2) {
            None => None,
            Some(name) => match self.stored(graph, name)? {
                Some(zeros) => Some(zeros),
                None => return Ok(None),
            },
        };
        let stated = integer(node, "output_dtype").filter(|stated| *stated != 0);
        let element = match (&zeros, stated) {
            (Some(zeros), _) => Some(zeros.element),
            (None, Some(stated)) => i32::try_from(stated).ok().and_then(Element::of),
            (None, None) => Element::of(DataType::Uint8 as i32),
        };
        let (axis, block) = (integer(node, "axis").unwrap_or(1), integer(node, "block_size").unwrap_or(0));
        let layout = Layout::of(&shape, &scale_shape, axis, block)?;
        let stored = element.and_then(|element| quantized(&shape, &x, &scales, zeros.as_ref(), &layout, element));
        if let (Some(stored), [output]) = (stored, node.output.as_slice()) {
            self.constants.add(output, stored);
            self.spent.insert(output.clone());
        }
        Ok(None)
    }

    /// The constant that a value is moved from, and the nodes that move it, first to last.
    fn source(
        &mut self,
        graph: &mut GraphProto,
        x: &str,
    ) -> Result<Option<(String, Stored, Vec<NodeProto>)>, ImportError> {
        let mut chain: Vec<NodeProto> = Vec::new();
        let mut name = x.to_owned();
        loop {
            if let Some(stored) = self.stored(graph, &name)? {
                chain.reverse();
                return Ok(Some((name, stored, chain)));
            }
            let maker = graph.node.iter().find(|node| node.output.contains(&name));
            let Some(maker) = maker.filter(|node| moves(node) && node.output.len() == 1) else { return Ok(None) };
            let Some(next) = maker.input.first().filter(|input| !input.is_empty()) else { return Ok(None) };
            name.clone_from(next);
            chain.push(maker.clone());
        }
    }

    /// Floats for constant integers, with one scale also where they are moved in between.
    fn dequantize(&mut self, graph: &mut GraphProto, node: &NodeProto) -> Taken {
        let (x, scale) = (needed(node, 0)?, needed(node, 1)?);
        let Some((source, stored, chain)) = self.source(graph, x)? else { return Ok(None) };
        let Some((scale_shape, scales)) = self.floats(graph, scale)? else {
            return if stored.packed().is_none_or(|packed| packed.width != Width::Eight) {
                refused("integers of other than 8 bits with scales that are computed, or not float or float16")
            } else {
                Ok(None)
            };
        };
        let stated = integer(node, "output_dtype").filter(|stated| *stated != 0);
        let own = if scales.half { DataType::Float16 } else { DataType::Float };
        if stated.is_some_and(|stated| stated != i64::from(own as i32)) {
            return refused("output_dtype of another type than the scales");
        }
        let zeros = match operand(node, 2).map(|name| self.stored(graph, name)).transpose()? {
            None => None,
            Some(Some(zeros)) if zeros.element == stored.element => Some(zeros),
            Some(_) => return refused("zero points that are computed, or of another type than the data"),
        };
        let (axis, block) = (integer(node, "axis").unwrap_or(1), integer(node, "block_size").unwrap_or(0));
        let layout = Layout::of(&stored.shape, &scale_shape, axis, block)?;
        if layout != Layout::Tensor && !chain.is_empty() {
            return if block == 0 { Ok(None) } else { refused("blocks of integers that are moved before") };
        }
        let key = format!("{source}\0{scale}\0{:?}\0{layout:?}", operand(node, 2));
        let [output] = node.output.as_slice() else { return Ok(None) };
        if chain.is_empty() && !self.made.contains_key(&key) {
            let constant = linear(&stored, &scales, zeros.as_ref(), &layout)?;
            self.place(output, constant);
            self.made.insert(key, output.clone());
            return Ok(Some(vec![]));
        }
        let make = || linear(&stored, &scales, zeros.as_ref(), &layout);
        let mut value = self.weight(graph, node, &source, key, make)?;
        let mut nodes = Vec::new();
        for (step, mover) in chain.iter().enumerate() {
            self.spent.extend(mover.output.iter().cloned());
            let mut copy = mover.clone();
            copy.name = format!("{}.{}", node.name, step + 1);
            copy.input[0] = value;
            value = copy.name.clone();
            copy.output = vec![value.clone()];
            nodes.push(copy);
        }
        let mut last = NodeProto { name: node.name.clone(), op_type: "Identity".to_owned(), ..NodeProto::default() };
        (last.input, last.output) = (vec![value], vec![output.clone()]);
        nodes.push(last);
        Ok(Some(nodes))
    }

    /// A product with a packed weight (N, K). `accuracy_level` says how coarsely ONNX Runtime may compute; here sums are of f32.
    fn product(&mut self, graph: &mut GraphProto, node: &NodeProto) -> Taken {
        let size = |name| integer(node, name).and_then(|size| usize::try_from(size).ok()).filter(|size| *size > 0);
        let (Some(n), Some(k)) = (size("N"), size("K")) else { return refused("N or K below 1") };
        let Some(block_size) = size("block_size").filter(|size| size.is_power_of_two() && *size >= 16) else {
            return refused("block_size that is no power of two from 16 on");
        };
        let bits = integer(node, "bits").unwrap_or(4);
        let width = u64::try_from(bits).ok().and_then(Width::of_bits);
        let width = width.ok_or_else(|| Reason::form("bits = {}", [bits.into()]))?;
        let (a, b_name, scale) = (needed(node, 0)?, needed(node, 1)?, needed(node, 2)?);
        let b = self.stored(graph, b_name)?.ok_or_else(|| Reason::from("B that is no constant of uint8"))?;
        let scales = self.floats(graph, scale)?;
        let (_, scales) = scales.ok_or_else(|| Reason::from("scales that are no constant of float or float16"))?;
        let (mut packed, mut floats) = (None, None);
        if let Some(name) = operand(node, 3) {
            packed = self.stored(graph, name)?;
            floats = if packed.is_none() { self.floats(graph, name)? } else { None };
            if packed.is_none() && floats.is_none() {
                return refused("zero_points that are no constant of uint8, float or float16");
            }
        }
        if !std::iter::once(&b).chain(&packed).all(is_bytes) {
            return refused("B or zero_points that are not of uint8");
        }
        let zeros = match (&packed, &floats) {
            (Some(list), _) => Some(BlockZeros::Packed(list)),
            (None, Some((_, list))) => Some(BlockZeros::Floats(list)),
            (None, None) => None,
        };
        let key = format!("{b_name}\0{scale}\0{:?}\0{n} {k} {block_size} {bits}", operand(node, 3));
        let make = || Blockwise { b: &b, scales: &scales, zeros, n, k, block_size, width }.constant();
        let weight = self.weight(graph, node, b_name, key, make)?;
        let mut s = Steps::new(node, &self.known);
        let turned = s.op("Transpose", &[&weight], &[("perm", Attribute::Ints(&[1, 0]))]);
        let mut y = s.op("MatMul", &[a, &turned], &[]);
        if let Some(bias) = operand(node, 5) {
            y = s.op("Add", &[&y, bias], &[]);
        }
        s.give(0, &y);
        Ok(Some(s.into_parts().0))
    }

    /// Rows of a table of 8-bit integers, as floats that are such integers: a table of floats stays in the file.
    fn integer_rows(&mut self, graph: &mut GraphProto, node: &NodeProto) -> Taken {
        let (name, indices) = (needed(node, 0)?, needed(node, 1)?);
        let is_large =
            |tensor: &TensorProto| tensor.name == name && tensor.dims.iter().product::<i64>() >= LARGE_BYTES as i64;
        if !graph.initializer.iter().any(is_large) {
            return Ok(None);
        }
        let Some(stored) = self.stored(graph, name)? else { return Ok(None) };
        let element = match stored.element {
            Element::Packed { width: Width::Eight, signed: false } => DataType::Uint8,
            Element::Packed { width: Width::Eight, signed: true } => DataType::Int8,
            Element::Packed { .. } | Element::Sixteen { .. } | Element::ThirtyTwo | Element::Float8(_) => {
                return Ok(None);
            }
        };
        let make = || linear(&stored, &Floats::from_f32(&[1.0]), None, &Layout::Tensor);
        let table = self.weight(graph, node, name, format!("{name}\0integers"), make)?;
        let mut s = Steps::new(node, &self.known);
        let rows = s.like(node, "Gather", &[&table, indices]);
        let y = s.op("Cast", &[&rows], &[("to", Attribute::Int(element as i64))]);
        s.give(0, &y);
        Ok(Some(s.into_parts().0))
    }

    /// Rows of a packed table.
    fn gather(&mut self, graph: &mut GraphProto, node: &NodeProto) -> Taken {
        let block_size = integer(node, "block_size").unwrap_or(128);
        if !usize::try_from(block_size).is_ok_and(|size| size.is_power_of_two() && size >= 16) {
            return refused("block_size that is no power of two from 16 on");
        }
        let bits = integer(node, "bits").unwrap_or(4);
        let along = integer(node, "quantize_axis").unwrap_or(1);
        let gather_axis = integer(node, "gather_axis").unwrap_or(0);
        let (data_name, indices, scale) = (needed(node, 0)?, needed(node, 1)?, needed(node, 2)?);
        let data = self.stored(graph, data_name)?;
        let data = data.ok_or_else(|| Reason::from("data that is no constant of int4, uint4 or uint8"))?;
        let scales = self.floats(graph, scale)?;
        let (scale_shape, scales) =
            scales.ok_or_else(|| Reason::from("scales that are no constant of float or float16"))?;
        let zeros = match operand(node, 3).map(|name| self.stored(graph, name)).transpose()? {
            None => None,
            Some(Some(zeros)) if zeros.element == data.element => Some(zeros),
            Some(_) => return refused("zero_points that are no constant of the type of the data"),
        };
        let rank = data.shape.len() as i64;
        let from_start = |axis: i64| if axis < 0 { axis + rank } else { axis };
        if !(0..rank).contains(&from_start(gather_axis)) {
            return Err(Reason::form("gather_axis = {} of {} axes", [gather_axis.into(), rank.into()]).into());
        }
        let make = || match data.element {
            Element::Packed { width: Width::Four, .. } if bits == 4 => {
                let layout = Layout::of(&data.shape, &scale_shape, along, block_size)?;
                linear(&data, &scales, zeros.as_ref(), &layout)
            }
            Element::Packed { width: Width::Eight, signed: false } => {
                if from_start(gather_axis) != 0 || (bits < 8 && from_start(along) == 0) {
                    return Err("uint8 data gathered along another axis than the first, or quantized along that".into());
                }
                let width = u64::try_from(bits)
                    .ok()
                    .and_then(Width::of_bits)
                    .ok_or_else(|| Reason::form("bits = {}", [bits.into()]))?;
                packed_rows(&data, (&scale_shape, &scales), zeros.as_ref(), width, along, block_size)
            }
            Element::Packed { .. } | Element::Sixteen { .. } | Element::ThirtyTwo | Element::Float8(_) => {
                Err("data of another type than int4, uint4 and uint8, or bits that are not theirs".into())
            }
        };
        let key = format!("{data_name}\0{scale}\0{:?}\0table {bits} {block_size} {along}", operand(node, 3));
        let table = self.weight(graph, node, data_name, key, make)?;
        let mut s = Steps::new(node, &self.known);
        let y = s.op("Gather", &[&table, indices], &[("axis", Attribute::Int(gather_axis))]);
        s.give(0, &y);
        Ok(Some(s.into_parts().0))
    }
}

fn is_bytes(stored: &Stored) -> bool {
    stored.element == Element::Packed { width: Width::Eight, signed: false }
}
