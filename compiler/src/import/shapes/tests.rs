//! Every kind of rule: operands that fit, and operands that do not.

use super::{claims, wrong};
use crate::import::rewrite::steps::Known;
use std::collections::BTreeMap;
use tract_onnx::pb::{AttributeProto, GraphProto, NodeProto, TensorProto, tensor_proto::DataType};

/// The operand that does not fit, of a node with operands of these shapes.
fn misfit(op: &str, opset: i64, shapes: &[&[usize]], attributes: &[(&str, &[i64])]) -> Option<String> {
    let names: Vec<String> = (0..shapes.len()).map(|position| format!("v{position}")).collect();
    let attribute = |(name, values): &(&str, &[i64])| {
        let (i, ints) = (values.first().copied().unwrap_or_default(), values.to_vec());
        let s = if i == i64::from(b'b') { b"bidirectional".to_vec() } else { vec![] };
        AttributeProto { name: (*name).to_owned(), i, ints, s, ..AttributeProto::default() }
    };
    let (domain, op_type) = op.rsplit_once('.').unwrap_or(("", op));
    let node = NodeProto {
        name: "n".to_owned(),
        domain: domain.to_owned(),
        op_type: op_type.to_owned(),
        input: names.clone(),
        output: vec!["y".to_owned(), "z".to_owned()],
        attribute: attributes.iter().map(attribute).collect(),
        ..NodeProto::default()
    };
    let known = Known::of(&GraphProto::default(), opset);
    let claims = claims(&[node], &known);
    let shapes: BTreeMap<&str, Vec<usize>> =
        names.iter().map(String::as_str).zip(shapes.iter().map(|shape| shape.to_vec())).collect();
    wrong(claims.first()?, &shapes).map(|unfit| unfit.value)
}

/// An operator of a version, shapes of its operands, its attributes, and the operand that does not fit.
type Row =
    (&'static str, i64, &'static [&'static [usize]], &'static [(&'static str, &'static [i64])], Option<&'static str>);

#[test]
fn operands_of_another_shape_are_found() {
    const X: &[usize] = &[2, 3, 4, 5];
    let rows: &[Row] = &[
        ("Add", 13, &[X, &[4, 5]], &[], None),
        ("Add", 13, &[X, &[2]], &[], Some("v1")),
        ("Where", 16, &[&[5], X, &[3, 1, 1]], &[], None),
        ("Where", 16, &[&[5], X, &[4]], &[], Some("v2")),
        ("Max", 8, &[X, &[5]], &[], None),
        ("Max", 6, &[X, &[5]], &[], Some("v1")),
        ("BatchNormalization", 15, &[X, &[3], &[3], &[3], &[3]], &[], None),
        ("BatchNormalization", 15, &[X, &[3], &[3], &[1], &[3]], &[], Some("v3")),
        ("BatchNormalization", 7, &[X, &[3, 4, 5]], &[("spatial", &[0])], None),
        ("GroupNormalization", 18, &[X, &[2], &[2]], &[("num_groups", &[2])], None),
        ("GroupNormalization", 21, &[X, &[3], &[2]], &[("num_groups", &[2])], Some("v2")),
        ("LayerNormalization", 17, &[X, &[4, 5], &[5]], &[], None),
        ("LayerNormalization", 17, &[&[2, 1], &[4]], &[], Some("v1")),
        ("DequantizeLinear", 13, &[X, &[3], &[3]], &[], None),
        ("DequantizeLinear", 13, &[X, &[1], &[]], &[], None),
        ("DequantizeLinear", 13, &[X, &[2]], &[], Some("v1")),
        ("QuantizeLinear", 13, &[X, &[3], &[]], &[], Some("v2")),
        ("QuantizeLinear", 10, &[X, &[3]], &[], Some("v1")),
        ("QuantizeLinear", 21, &[X, &[2, 3, 4, 1]], &[("block_size", &[5])], None),
        ("Gemm", 13, &[&[2, 3], &[3, 4], &[4]], &[], None),
        ("Gemm", 13, &[&[1, 3], &[3, 4], &[2, 4]], &[], Some("v2")),
        ("Gemm", 13, &[&[3, 2], &[4, 3], &[4]], &[("transA", &[1]), ("transB", &[1])], None),
        ("Conv", 11, &[X, &[6, 3, 3, 3], &[6]], &[], None),
        ("Conv", 11, &[X, &[6, 3, 3, 3], &[1]], &[], Some("v2")),
        ("Conv", 11, &[X, &[6, 1, 3, 3], &[6]], &[("group", &[3])], None),
        ("Conv", 11, &[X, &[6, 1, 3, 3], &[6]], &[], Some("v1")),
        ("ConvTranspose", 11, &[X, &[3, 2, 3, 3], &[2]], &[], None),
        ("ConvTranspose", 11, &[X, &[3, 2, 3, 3], &[1]], &[], Some("v2")),
        ("GRU", 14, &[&[7, 2, 3], &[1, 12, 3], &[1, 12, 4], &[1, 24], &[2]], &[("hidden_size", &[4])], None),
        ("GRU", 14, &[&[7, 2, 3], &[1, 12, 3], &[1, 12, 4], &[1, 12]], &[], Some("v3")),
        ("LSTM", 14, &[&[7, 2, 3], &[1, 12, 3], &[1, 12, 3]], &[("hidden_size", &[1])], Some("v1")),
        ("RNN", 14, &[&[7, 2, 3], &[1, 4, 3], &[1, 4, 4]], &[("direction", &[98])], Some("v1")),
        ("GatherElements", 13, &[X, &[2, 3, 9, 1]], &[("axis", &[2])], None),
        ("GatherElements", 13, &[X, &[2, 3, 9, 1]], &[], Some("v1")),
        ("ScatterElements", 13, &[X, &[1, 1, 1, 1], &[1, 1, 1, 2]], &[], Some("v2")),
        ("GatherND", 13, &[X, &[2, 7, 3]], &[("batch_dims", &[1])], None),
        ("GatherND", 13, &[X, &[3, 7, 3]], &[("batch_dims", &[1])], Some("v1")),
        ("GatherND", 13, &[X, &[7, 5]], &[], Some("v1")),
        ("ScatterND", 13, &[X, &[7, 2], &[7, 4, 5]], &[], None),
        ("ScatterND", 13, &[X, &[7, 2], &[7, 5]], &[], Some("v2")),
        ("Compress", 11, &[X, &[3]], &[("axis", &[1])], None),
        ("Compress", 11, &[X, &[6]], &[("axis", &[1])], Some("v1")),
        ("GridSample", 20, &[X, &[2, 7, 7, 2]], &[], None),
        ("GridSample", 20, &[X, &[1, 7, 7, 2]], &[], Some("v1")),
        ("ReverseSequence", 10, &[X, &[2]], &[], Some("v1")),
        ("RoiAlign", 16, &[X, &[6, 4], &[5]], &[], Some("v2")),
        ("NegativeLogLikelihoodLoss", 13, &[X, &[2, 4, 5], &[3]], &[], None),
        ("NegativeLogLikelihoodLoss", 13, &[X, &[1, 4, 5]], &[], Some("v1")),
        ("Split", 11, &[X], &[("axis", &[1]), ("split", &[1, 2])], None),
        ("Split", 11, &[X], &[("axis", &[1]), ("split", &[1, 1])], Some("v0")),
        ("Split", 11, &[X], &[("axis", &[2])], None),
        ("Split", 11, &[X], &[("axis", &[1])], Some("v0")),
        ("Split", 18, &[X], &[("axis", &[1]), ("num_outputs", &[2])], None),
        ("Tile", 13, &[X, &[3]], &[], Some("v1")),
        ("Pad", 13, &[X, &[8]], &[], None),
        ("Pad", 13, &[X, &[6]], &[], Some("v1")),
        ("Pad", 18, &[X, &[4], &[], &[2]], &[], None),
        ("MaxPool", 12, &[X], &[("kernel_shape", &[2, 2]), ("ceil_mode", &[1])], None),
        ("MaxPool", 12, &[X], &[("kernel_shape", &[2, 6]), ("ceil_mode", &[1])], Some("v0")),
        ("MaxPool", 12, &[X], &[("kernel_shape", &[2, 6]), ("pads", &[0, 1, 0, 0])], None),
        ("AveragePool", 19, &[X], &[("kernel_shape", &[2, 3]), ("dilations", &[1, 3])], Some("v0")),
        ("SpaceToDepth", 13, &[&[1, 2, 4, 6]], &[("blocksize", &[2])], None),
        ("SpaceToDepth", 13, &[X], &[("blocksize", &[2])], Some("v0")),
        ("Resize", 10, &[X, &[4]], &[], None),
        ("Resize", 10, &[X, &[1]], &[], Some("v1")),
        ("Resize", 19, &[X, &[0], &[0], &[2]], &[("axes", &[2, 3])], None),
        ("Resize", 19, &[X, &[0], &[3]], &[], Some("v2")),
        ("Upsample", 9, &[X, &[2]], &[], Some("v1")),
        ("Clip", 13, &[X, &[], &[2]], &[], Some("v2")),
        ("OneHot", 11, &[X, &[1], &[3]], &[], Some("v2")),
        ("MatMulInteger", 10, &[&[2, 3], &[3, 4], &[2], &[4]], &[], None),
        ("MatMulInteger", 10, &[&[2, 3], &[3, 4], &[3], &[4]], &[], Some("v2")),
        ("Attention", 23, &[&[2, 4, 7, 8], &[2, 2, 9, 8], &[2, 2, 9, 3], &[7, 9]], &[], None),
        ("Attention", 23, &[&[2, 4, 7, 8], &[1, 2, 9, 8], &[1, 2, 9, 3]], &[], Some("v1")),
        ("Attention", 23, &[&[2, 4, 7, 8], &[2, 2, 9, 8], &[2, 2, 8, 3]], &[], Some("v2")),
        ("Attention", 23, &[&[2, 4, 7, 8], &[2, 2, 9, 8], &[2, 2, 9, 3], &[3, 9]], &[], Some("v3")),
        ("com.microsoft.BiasGelu", 17, &[&[2, 8], &[8]], &[], None),
        ("com.microsoft.BiasGelu", 17, &[&[2, 8], &[1]], &[], Some("v1")),
        ("com.microsoft.SkipLayerNormalization", 17, &[&[2, 3, 8], &[3, 8], &[8]], &[], None),
        ("com.microsoft.SkipLayerNormalization", 17, &[&[2, 3, 1], &[2, 3, 8], &[1]], &[], Some("v1")),
        ("com.microsoft.EmbedLayerNormalization", 1, &[&[2, 5], &[1, 5], &[9, 8], &[3, 8]], &[], Some("v1")),
    ];
    for (op, opset, shapes, attributes, expected) in rows {
        let found = misfit(op, *opset, shapes, attributes);
        assert_eq!(found.as_deref(), *expected, "{op} of version {opset} at {shapes:?} with {attributes:?}");
    }
}

#[test]
fn sizes_that_are_an_operand_add_up() {
    let sizes = |raw_data: Vec<u8>| TensorProto {
        name: "sizes".to_owned(),
        dims: vec![2],
        data_type: DataType::Int64 as i32,
        raw_data,
        ..TensorProto::default()
    };
    let node = NodeProto {
        op_type: "Split".to_owned(),
        input: vec!["x".to_owned(), "sizes".to_owned()],
        output: vec!["a".to_owned(), "b".to_owned()],
        ..NodeProto::default()
    };
    for (second, fits) in [(3_i64, true), (2, false), (4, false)] {
        let bytes = [2_i64, second].iter().flat_map(|size| size.to_le_bytes()).collect();
        let graph = GraphProto { initializer: vec![sizes(bytes)], ..GraphProto::default() };
        let claims = claims(std::slice::from_ref(&node), &Known::of(&graph, 13));
        let found = wrong(&claims[0], &BTreeMap::from([("x", vec![5, 2])]));
        assert_eq!(found.is_none(), fits, "{found:?}");
    }
}
