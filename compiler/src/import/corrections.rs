//! ONNX nodes that tract 0.23.9 reads differently from the specification, rewritten into ones that it reads right.
//!
//! Both the import and the reference run see the rewritten model. It deliberately changes no meaning: what cannot be said
//! in other operators is not corrected here.

use tract_onnx::pb::{AttributeProto, GraphProto, NodeProto, TensorProto, attribute_proto, tensor_proto::DataType};

/// Corrects a graph in place.
pub fn correct(graph: &mut GraphProto) {
    super::branches::take(graph);
    state_fill_values(graph);
    scale_celu(graph);
    super::quantisation::rewrite(graph);
}

fn float_tensor(name: &str, dims: Vec<i64>, value: f32) -> TensorProto {
    TensorProto {
        name: name.to_owned(),
        dims,
        data_type: DataType::Float as i32,
        raw_data: value.to_le_bytes().to_vec(),
        ..TensorProto::default()
    }
}

/// `ConstantOfShape` without a value fills with a 32-bit zero; tract takes a 64-bit one.
fn state_fill_values(graph: &mut GraphProto) {
    let unstated = |node: &&mut NodeProto| node.op_type == "ConstantOfShape" && node.attribute.is_empty();
    for node in graph.node.iter_mut().filter(unstated) {
        node.attribute.push(AttributeProto {
            name: "value".to_owned(),
            r#type: attribute_proto::AttributeType::Tensor as i32,
            t: Some(float_tensor("", vec![1], 0.0)),
            ..AttributeProto::default()
        });
    }
}

/// Celu(x, α) is α · Elu(x / α); tract forgets to multiply its negative part by α.
fn scale_celu(graph: &mut GraphProto) {
    let mut nodes = Vec::with_capacity(graph.node.len());
    for node in std::mem::take(&mut graph.node) {
        let alpha = node.attribute.iter().find(|a| a.name == "alpha").map_or(1.0, |a| a.f);
        let (Some(input), Some(output)) = (node.input.first(), node.output.first()) else {
            nodes.push(node);
            continue;
        };
        if node.op_type != "Celu" || alpha == 1.0 {
            nodes.push(node);
            continue;
        }
        let part = |suffix: &str| format!("{}.{suffix}", node.name);
        let step = |op: &str, name: String, inputs: &[&str], output: &str| NodeProto {
            name,
            op_type: op.to_owned(),
            input: inputs.iter().map(|i| (*i).to_owned()).collect(),
            output: vec![output.to_owned()],
            ..NodeProto::default()
        };
        graph.initializer.push(float_tensor(&part("alpha"), vec![], alpha));
        nodes.push(step("Div", part("inner"), &[input, &part("alpha")], &part("inner")));
        nodes.push(step("Elu", part("elu"), &[&part("inner")], &part("elu")));
        nodes.push(step("Mul", node.name.clone(), &[&part("elu"), &part("alpha")], output));
    }
    graph.node = nodes;
}
