//! Quantising ONNX nodes, rewritten into divisions, roundings and conversions.
//!
//! tract multiplies by the reciprocal of a scale where ONNX divides, which rounds some elements to the next integer, and takes
//! constant scales only. A node stays as it is where the rank or type that its operands need cannot be read from the model;
//! tract or the translation then refuses what it would get wrong. Blocked quantisation and f16 scales are left alone, too.

use tract_onnx::pb::{
    AttributeProto, GraphProto, NodeProto, TensorProto, attribute_proto, tensor_proto::DataType, type_proto,
};

/// Rewrites every quantising node that can be.
pub fn rewrite(graph: &mut GraphProto) {
    let mut nodes = Vec::with_capacity(graph.node.len());
    for node in std::mem::take(&mut graph.node) {
        let mut writer = Writer { graph, node: &node, nodes: Vec::new() };
        let rewritten = match (node.domain.as_str(), node.op_type.as_str()) {
            ("" | "ai.onnx", "QuantizeLinear") => writer.quantise(),
            ("" | "ai.onnx", "DequantizeLinear") => writer.dequantise(),
            ("" | "ai.onnx", "DynamicQuantizeLinear") => writer.dynamically_quantise(),
            _ => None,
        };
        let steps = writer.nodes;
        match rewritten {
            Some(()) => nodes.extend(steps),
            None => nodes.push(node),
        }
    }
    graph.node = nodes;
}

/// Writes the nodes that stand for one node.
struct Writer<'a> {
    graph: &'a mut GraphProto,
    node: &'a NodeProto,
    nodes: Vec<NodeProto>,
}

/// What is known of a tensor.
#[derive(Clone, Copy)]
struct Known {
    data_type: i32,
    rank: usize,
    elements: Option<i64>,
}

fn integer_attribute(node: &NodeProto, name: &str, default: i64) -> i64 {
    node.attribute.iter().find(|a| a.name == name).map_or(default, |a| a.i)
}

/// Smallest and largest value of a narrow integer type.
fn range(data_type: i32) -> Option<(f32, f32)> {
    match DataType::try_from(data_type).ok()? {
        DataType::Uint8 => Some((0.0, 255.0)),
        DataType::Int8 => Some((-128.0, 127.0)),
        DataType::Uint16 => Some((0.0, 65_535.0)),
        DataType::Int16 => Some((-32_768.0, 32_767.0)),
        _ => None,
    }
}

impl Writer<'_> {
    fn input(&self, position: usize) -> Option<&str> {
        self.node.input.get(position).map(String::as_str).filter(|name| !name.is_empty())
    }

    fn known(&self, name: &str) -> Option<Known> {
        if let Some(t) = self.graph.initializer.iter().find(|t| t.name == name) {
            return Some(Known { data_type: t.data_type, rank: t.dims.len(), elements: Some(t.dims.iter().product()) });
        }
        let infos = self.graph.input.iter().chain(&self.graph.value_info);
        let info = infos.into_iter().find(|i| i.name == name)?;
        let type_proto::Value::TensorType(tensor) = info.r#type.as_ref()?.value.as_ref()?;
        let rank = tensor.shape.as_ref()?.dim.len();
        let one = rank == 0;
        Some(Known { data_type: tensor.elem_type, rank, elements: one.then_some(1) })
    }

    /// Appends a step; gives the name of its result.
    fn step(&mut self, op: &str, inputs: &[&str]) -> String {
        let name = format!("{}.{}{}", self.node.name, op.to_lowercase(), self.nodes.len());
        self.nodes.push(NodeProto {
            name: name.clone(),
            op_type: op.to_owned(),
            input: inputs.iter().map(|i| (*i).to_owned()).collect(),
            output: vec![name.clone()],
            ..NodeProto::default()
        });
        name
    }

    fn cast(&mut self, input: &str, to: DataType) -> String {
        let name = self.step("Cast", &[input]);
        if let Some(node) = self.nodes.last_mut() {
            node.attribute.push(AttributeProto {
                name: "to".to_owned(),
                r#type: attribute_proto::AttributeType::Int as i32,
                i: i64::from(to as i32),
                ..AttributeProto::default()
            });
        }
        name
    }

    fn constant(&mut self, suffix: &str, tensor: TensorProto) -> String {
        let name = format!("{}.{suffix}", self.node.name);
        if !self.graph.initializer.iter().any(|t| t.name == name) {
            self.graph.initializer.push(TensorProto { name: name.clone(), ..tensor });
        }
        name
    }

    fn float(&mut self, suffix: &str, value: f32) -> String {
        let raw_data = value.to_le_bytes().to_vec();
        self.constant(suffix, TensorProto { data_type: DataType::Float as i32, raw_data, ..TensorProto::default() })
    }

    /// The last step's result is the node's output `position`.
    fn give(&mut self, position: usize) -> Option<()> {
        let output = self.node.output.get(position)?.clone();
        self.nodes.last_mut()?.output = vec![output];
        Some(())
    }

    /// A scale or zero point as floats that broadcast to the quantised tensor.
    fn parameter(&mut self, name: &str, x: &str) -> Option<String> {
        let known = self.known(name)?;
        if known.data_type == DataType::Float16 as i32 || known.data_type == DataType::Bfloat16 as i32 {
            return None;
        }
        let float = self.cast(name, DataType::Float);
        if known.elements == Some(1) {
            let shape = self.shape_constant("scalar", &[]);
            return Some(self.step("Reshape", &[&float, &shape]));
        }
        let rank = self.known(x)?.rank;
        let axis = integer_attribute(self.node, "axis", 1);
        let axis = usize::try_from(if axis < 0 { axis + rank as i64 } else { axis }).ok()?;
        if known.rank != 1 || axis >= rank {
            return None;
        }
        let dims: Vec<i64> = (0..rank).map(|i| if i == axis { -1 } else { 1 }).collect();
        let shape = self.shape_constant("along_axis", &dims);
        Some(self.step("Reshape", &[&float, &shape]))
    }

    fn shape_constant(&mut self, suffix: &str, dims: &[i64]) -> String {
        let raw_data = dims.iter().flat_map(|d| d.to_le_bytes()).collect();
        let tensor = TensorProto {
            data_type: DataType::Int64 as i32,
            dims: vec![dims.len() as i64],
            raw_data,
            ..TensorProto::default()
        };
        self.constant(suffix, tensor)
    }

    /// x / scale to the last bit or nearly so, where a device's own division may be a few units off: a quotient that lies on
    /// a half must not miss it.
    fn quotient(&mut self, x: &str, scale: &str) -> String {
        let (low, high) = (self.float("quotient_low", -1e9), self.float("quotient_high", 1e9));
        let quotient = self.step("Div", &[x, scale]);
        // Infinities stay out of the difference below.
        let quotient = self.step("Clip", &[&quotient, &low, &high]);
        let product = self.step("Mul", &[&quotient, scale]);
        let rest = self.step("Sub", &[x, &product]);
        let correction = self.step("Div", &[&rest, scale]);
        self.step("Add", &[&quotient, &correction])
    }

    /// saturate(round(x / scale) + zero point) as `to`.
    fn rounded(&mut self, x: &str, scale: &str, zero: Option<&str>, to: i32) -> Option<()> {
        let (low, high) = range(to)?;
        let (low, high) = (self.float("low", low), self.float("high", high));
        let quotient = self.quotient(x, scale);
        let mut value = self.step("Round", &[&quotient]);
        if let Some(zero) = zero {
            value = self.step("Add", &[&value, zero]);
        }
        let bounded = self.step("Clip", &[&value, &low, &high]);
        self.cast(&bounded, DataType::try_from(to).ok()?);
        Some(())
    }

    fn quantise(&mut self) -> Option<()> {
        if integer_attribute(self.node, "block_size", 0) != 0 {
            return None;
        }
        let (x, scale) = (self.input(0)?.to_owned(), self.input(1)?.to_owned());
        let zero = self.input(2).map(str::to_owned);
        let stated = integer_attribute(self.node, "output_dtype", 0) as i32;
        let to = match &zero {
            Some(zero) => self.known(zero)?.data_type,
            None if stated != 0 => stated,
            None => DataType::Uint8 as i32,
        };
        range(to)?;
        let scale = self.parameter(&scale, &x)?;
        let zero = match zero {
            Some(zero) => Some(self.parameter(&zero, &x)?),
            None => None,
        };
        let float = self.cast(&x, DataType::Float);
        self.rounded(&float, &scale, zero.as_deref(), to)?;
        self.give(0)
    }

    fn dequantise(&mut self) -> Option<()> {
        if integer_attribute(self.node, "block_size", 0) != 0 {
            return None;
        }
        let (x, scale) = (self.input(0)?.to_owned(), self.input(1)?.to_owned());
        let zero = self.input(2).map(str::to_owned);
        let scale = self.parameter(&scale, &x)?;
        let zero = match zero {
            Some(zero) => Some(self.parameter(&zero, &x)?),
            None => None,
        };
        let mut value = self.cast(&x, DataType::Float);
        if let Some(zero) = zero {
            value = self.step("Sub", &[&value, &zero]);
        }
        self.step("Mul", &[&value, &scale]);
        self.give(0)
    }

    /// As [`Self::quantise`], with the scale and zero point of the range that the tensor and zero span.
    fn dynamically_quantise(&mut self) -> Option<()> {
        let x = self.input(0)?.to_owned();
        if self.node.output.len() != 3 {
            return None;
        }
        let zero = self.float("zero", 0.0);
        let (one, steps) = (self.float("one", 1.0), self.float("steps", 255.0));
        let mut extreme = |reduce: &str, extend: &str| {
            let extreme = self.step(reduce, &[&x]);
            if let Some(node) = self.nodes.last_mut() {
                node.attribute.push(AttributeProto {
                    name: "keepdims".to_owned(),
                    r#type: attribute_proto::AttributeType::Int as i32,
                    i: 0,
                    ..AttributeProto::default()
                });
            }
            self.step(extend, &[&extreme, &zero])
        };
        let (low, high) = (extreme("ReduceMin", "Min"), extreme("ReduceMax", "Max"));
        let span = self.step("Sub", &[&high, &low]);
        let divided = self.step("Div", &[&span, &steps]);
        let flat = self.step("Equal", &[&high, &low]);
        let scale = self.step("Where", &[&flat, &one, &divided]);
        self.give(1)?;
        let scale = self.node.output.get(1).filter(|o| !o.is_empty()).cloned().unwrap_or(scale);
        let below = self.step("Sub", &[&zero, &low]);
        self.rounded(&below, &scale, None, DataType::Uint8 as i32)?;
        self.give(2)?;
        let point = self.cast(&self.node.output[2].clone(), DataType::Float);
        self.rounded(&x, &scale, Some(&point), DataType::Uint8 as i32)?;
        self.give(0)
    }
}
