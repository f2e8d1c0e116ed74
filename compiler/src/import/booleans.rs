//! Booleans as 0 and 1.
//!
//! ONNX says nothing of bytes of a boolean other than 0 and 1, and engines disagree on them. Here everything but 0 is true, in
//! files as in the inputs of a run. tract must not see such a byte: in Rust it is no `bool`.

use tract_onnx::pb::{GraphProto, TensorProto, tensor_proto::DataType};

/// Makes every true element of a graph's tensors 1, in its attributes and subgraphs, too.
pub fn normalize(graph: &mut GraphProto) {
    graph.initializer.iter_mut().for_each(tensor);
    for attribute in graph.node.iter_mut().flat_map(|node| &mut node.attribute) {
        attribute.t.iter_mut().chain(&mut attribute.tensors).for_each(tensor);
        attribute.g.iter_mut().chain(&mut attribute.graphs).for_each(normalize);
    }
}

fn tensor(tensor: &mut TensorProto) {
    if tensor.data_type == DataType::Bool as i32 {
        tensor.raw_data.iter_mut().for_each(|byte| *byte = u8::from(*byte != 0));
        tensor.int32_data.iter_mut().for_each(|value| *value = i32::from(*value != 0));
    }
}

#[cfg(test)]
mod tests {
    use super::{DataType, GraphProto, TensorProto, normalize};
    use tract_onnx::pb::{AttributeProto, NodeProto};

    #[test]
    fn every_true_byte_becomes_one() {
        let values =
            TensorProto { data_type: DataType::Bool as i32, raw_data: vec![0, 1, 2, 255], ..TensorProto::default() };
        let bytes = TensorProto { data_type: DataType::Uint8 as i32, ..values.clone() };
        let listed = TensorProto { raw_data: vec![], int32_data: vec![0, -1], ..values.clone() };
        let attribute = AttributeProto { t: Some(listed), ..AttributeProto::default() };
        let node = NodeProto { attribute: vec![attribute], ..NodeProto::default() };
        let inner = GraphProto { initializer: vec![values, bytes], node: vec![node], ..GraphProto::default() };
        let holder = AttributeProto { g: Some(inner), ..AttributeProto::default() };
        let node = NodeProto { attribute: vec![holder], ..NodeProto::default() };
        let mut graph = GraphProto { node: vec![node], ..GraphProto::default() };
        normalize(&mut graph);
        let inner = graph.node[0].attribute[0].g.as_ref().expect("it was put there");
        assert_eq!(inner.initializer[0].raw_data, [0, 1, 1, 1]);
        assert_eq!(inner.initializer[1].raw_data, [0, 1, 2, 255]);
        assert_eq!(inner.node[0].attribute[0].t.as_ref().map(|t| t.int32_data.clone()), Some(vec![0, 1]));
    }
}
