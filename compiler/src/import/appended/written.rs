//! What finding and replacing have in common: pasts that grow, shapes of inputs, and nodes in the place of another.

use tract_onnx::pb::{
    AttributeProto, GraphProto, NodeProto, TensorProto, attribute_proto::AttributeType, tensor_proto::DataType,
    tensor_shape_proto::dimension, type_proto,
};

/// A past, and the node that puts new entries behind it.
pub(super) struct Growing {
    pub(super) past: String,
    /// The past's shape.
    pub(super) shape: Vec<usize>,
    pub(super) node: usize,
    pub(super) axis: usize,
}

pub(super) fn shape_of(graph: &GraphProto, name: &str) -> Option<Vec<usize>> {
    let input = graph.input.iter().find(|input| input.name == name)?;
    let type_proto::Value::TensorType(tensor) = input.r#type.as_ref()?.value.as_ref()?;
    let size = |dim: &tract_onnx::pb::tensor_shape_proto::Dimension| match dim.value {
        Some(dimension::Value::DimValue(size)) => usize::try_from(size).ok(),
        Some(dimension::Value::DimParam(_)) | None => None,
    };
    tensor.shape.as_ref()?.dim.iter().map(size).collect()
}

/// Nodes in the place of another, named after it.
pub(super) struct Written<'n> {
    pub(super) instead_of: &'n NodeProto,
    pub(super) nodes: Vec<NodeProto>,
}

impl<'n> Written<'n> {
    pub(super) const fn new(instead_of: &'n NodeProto) -> Self {
        Self { instead_of, nodes: Vec::new() }
    }

    pub(super) fn op(&mut self, op: &str, inputs: &[&str], attributes: Vec<AttributeProto>) -> String {
        let name = format!("{}.{}", self.instead_of.name, self.nodes.len());
        let input = inputs.iter().map(|input| (*input).to_owned()).collect();
        let (op_type, output) = (op.to_owned(), vec![name.clone()]);
        self.nodes.push(NodeProto {
            name: name.clone(),
            op_type,
            input,
            output,
            attribute: attributes,
            ..NodeProto::default()
        });
        name
    }

    pub(super) fn constant(&mut self, values: &[i64]) -> String {
        let data = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.tensor(TensorProto {
            dims: vec![values.len() as i64],
            data_type: DataType::Int64 as i32,
            raw_data: data,
            ..TensorProto::default()
        })
    }

    pub(super) fn tensor(&mut self, tensor: TensorProto) -> String {
        let value = AttributeProto {
            name: "value".to_owned(),
            r#type: AttributeType::Tensor as i32,
            t: Some(tensor),
            ..AttributeProto::default()
        };
        self.op("Constant", &[], vec![value])
    }

    /// The last node gives this value.
    pub(super) fn give(&mut self, output: &str) {
        if let Some(last) = self.nodes.last_mut() {
            last.output = vec![output.to_owned()];
        }
    }

    /// The last node gives what the other gave.
    pub(super) fn done(mut self) -> Vec<NodeProto> {
        if let Some(output) = self.instead_of.output.first() {
            self.give(output);
        }
        self.nodes
    }
}
