//! ONNX Runtime's own operators as its graph optimiser writes them: fusions of standard ones, taken apart again.

use super::outcome::Rewritten;
use super::steps::{Attribute, Steps};
use crate::import::reason::Reason;
use tract_onnx::pb::{AttributeProto, NodeProto, tensor_proto::DataType};

/// The erf form of the operand, or, with BiasGelu, of the sum of both.
pub fn gelu(s: &mut Steps<'_>) -> Result<Rewritten, Reason> {
    let x = s.needed(0)?.to_owned();
    let x = match s.operand(1) {
        Some(bias) => s.op("Add", &[&x, bias], &[]),
        None => x,
    };
    let y = s.op("Gelu", &[&x], &[]);
    s.give(0, &y);
    Ok(Rewritten::Replaced)
}

/// α · op(A) · op(B), with the last two axes of either operand exchanged.
pub fn fused_matmul(s: &mut Steps<'_>) -> Result<Rewritten, Reason> {
    let (a, b) = (s.needed(0)?, s.needed(1)?);
    let exchanged = |name| s.int_attribute(name).unwrap_or(0) != 0;
    let left = match (exchanged("transA"), exchanged("transBatchA")) {
        (false, false) => "...ik",
        (true, false) => "...ki",
        (false, true) => "i...k",
        (true, true) => "k...i",
    };
    let right = match (exchanged("transB"), exchanged("transBatchB")) {
        (false, false) => "...kj",
        (true, false) => "...jk",
        (false, true) => "k...j",
        (true, true) => "j...k",
    };
    let mut product = if (left, right) != ("...ik", "...kj") {
        let equation = format!("{left},{right}->...ij");
        s.op("Einsum", &[a, b], &[("equation", Attribute::Text(&equation))])
    } else {
        s.op("MatMul", &[a, b], &[])
    };
    let alpha = s.float_attribute("alpha").unwrap_or(1.0);
    if alpha != 1.0 {
        let alpha = s.number_like(alpha, a);
        product = s.op("Mul", &[&product, &alpha], &[]);
    }
    s.give(0, &product);
    Ok(Rewritten::Replaced)
}

/// A convolution, to whose result another tensor may be added, and an activation.
pub fn fused_conv(s: &mut Steps<'_>) -> Result<Rewritten, Reason> {
    let activation = s.text_attribute("activation").unwrap_or("").to_owned();
    let parameters = s.floats_attribute("activation_params").unwrap_or(&[]).to_vec();
    let name = format!("{}.convolution", s.node.name);
    let kept = |name: &str| !matches!(name, "activation" | "activation_params");
    let mut input: Vec<String> = s.node.input.iter().take(3).cloned().collect();
    while input.last().is_some_and(String::is_empty) {
        input.pop();
    }
    s.nodes.push(NodeProto {
        name: name.clone(),
        op_type: "Conv".to_owned(),
        input,
        output: vec![name.clone()],
        attribute: s.node.attribute.iter().filter(|a| kept(&a.name)).cloned().collect(),
        ..NodeProto::default()
    });
    let sum = match s.operand(3) {
        Some(other) => s.op("Add", &[&name, other], &[]),
        None => name,
    };
    let y = activated(s, &activation, &parameters, &sum)?;
    s.give(0, &y);
    Ok(Rewritten::Replaced)
}

/// A Gemm, and an activation of standard ONNX whose attributes stand behind `activation_`.
pub fn fused_gemm(s: &mut Steps<'_>) -> Result<Rewritten, Reason> {
    let activation = s.text_attribute("activation").unwrap_or("").to_owned();
    if !GEMM_ACTIVATIONS.contains(&activation.as_str()) {
        return Err(Reason::form("activation `{}`", [activation.as_str().into()]));
    }
    let inputs: Vec<&str> = (0..3).filter_map(|position| s.operand(position)).collect();
    let product = s.op("Gemm", &inputs, &[]);
    let (of_activation, of_product): (Vec<_>, Vec<_>) =
        s.node.attribute.iter().filter(|a| a.name != "activation").cloned().partition(|a| a.name.starts_with(PREFIX));
    if let Some(gemm) = s.nodes.last_mut() {
        gemm.attribute = of_product;
    }
    let y = s.op(&activation, &[&product], &[]);
    if let Some(activated) = s.nodes.last_mut() {
        let short = |a: AttributeProto| AttributeProto { name: a.name.replacen(PREFIX, "", 1), ..a };
        activated.attribute = of_activation.into_iter().map(short).collect();
    }
    s.give(0, &y);
    Ok(Rewritten::Replaced)
}

/// What a FusedGemm calls the attributes of its activation.
const PREFIX: &str = "activation_";

/// Activations that ONNX Runtime takes into a FusedGemm.
const GEMM_ACTIVATIONS: &[&str] =
    &["Elu", "HardSigmoid", "LeakyRelu", "Relu", "Selu", "Sigmoid", "Softplus", "Softsign", "Tanh", "ThresholdedRelu"];

/// A product of 8-bit integers as floats: (A − its zero point) · (B − its zero point) · both scales + bias.
fn integer_product(
    s: &mut Steps<'_>,
    [a, a_scale, a_zero]: [&str; 3],
    [b, b_scale, b_zero]: [&str; 3],
    bias: Option<&str>,
) -> Result<Rewritten, Reason> {
    let inputs = if b_zero.is_empty() { vec![a, b, a_zero] } else { vec![a, b, a_zero, b_zero] };
    let sums = s.op("MatMulInteger", &inputs, &[]);
    let sums = s.op("Cast", &[&sums], &[("to", Attribute::Int(DataType::Float as i64))]);
    let scale = s.op("Mul", &[a_scale, b_scale], &[]);
    let mut y = s.op("Mul", &[&sums, &scale], &[]);
    if let Some(bias) = bias {
        y = s.op("Add", &[&y, bias], &[]);
    }
    s.give(0, &y);
    Ok(Rewritten::Replaced)
}

/// A MatMulInteger between a quantization of its first operand and a scaling of its result.
pub fn dynamically_quantized_product(s: &mut Steps<'_>) -> Result<Rewritten, Reason> {
    let (x, b, b_scale) = (s.needed(0)?, s.needed(1)?, s.needed(2)?);
    let [a, a_scale, a_zero] = s.three("DynamicQuantizeLinear", &[x], &[]);
    integer_product(s, [&a, &a_scale, &a_zero], [b, b_scale, s.operand(3).unwrap_or_default()], s.operand(4))
}

/// A MatMulInteger and a scaling of its result.
pub fn scaled_integer_product(s: &mut Steps<'_>) -> Result<Rewritten, Reason> {
    let (a, b, a_scale, b_scale) = (s.needed(0)?, s.needed(1)?, s.needed(2)?, s.needed(3)?);
    if !s.known.rank(a_scale).is_some_and(|(_, is_one)| is_one) {
        return Err("a scale of A that is not known to be one number".into());
    }
    // Both have one type, and that of a large constant is not known here.
    if ![a_scale, b_scale].iter().any(|scale| s.known.element_type(scale) == Some(DataType::Float as i32)) {
        return Err("scales that are not known to be f32".into());
    }
    let zeros = [4, 5].map(|position| s.operand(position).unwrap_or_default());
    integer_product(s, [a, a_scale, zeros[0]], [b, b_scale, zeros[1]], s.operand(6))
}

/// An activation by ONNX Runtime's name for it.
fn activated(s: &mut Steps<'_>, activation: &str, parameters: &[f32], x: &str) -> Result<String, Reason> {
    let refused =
        || Err(Reason::form("activation `{}` with {} parameters", [activation.into(), parameters.len().into()]));
    Ok(match (activation, parameters) {
        ("", _) => x.to_owned(),
        ("Relu" | "Tanh" | "Sigmoid", []) => s.op(activation, &[x], &[]),
        ("LeakyRelu", [alpha]) => s.op("LeakyRelu", &[x], &[("alpha", Attribute::Float(*alpha))]),
        ("HardSigmoid", [alpha, beta]) => {
            s.op("HardSigmoid", &[x], &[("alpha", Attribute::Float(*alpha)), ("beta", Attribute::Float(*beta))])
        }
        ("Clip", [low, high]) => {
            let (low, high) = (s.number_like(*low, x), s.number_like(*high, x));
            let above = s.op("Max", &[x, &low], &[]);
            s.op("Min", &[&above, &high], &[])
        }
        _ => return refused(),
    })
}

/// The sum of word, position and segment rows, and its norm. The mask's count of a line is a further output, whatever
/// `mask_index_type` says: ONNX Runtime 1.32 does not look at it.
pub fn embed_layer_normalization(s: &mut Steps<'_>) -> Result<Rewritten, Reason> {
    let (ids, words, positions) = (s.needed(0)?, s.needed(2)?, s.needed(3)?);
    let (scale, shift) = (s.needed(5)?, s.needed(6)?);
    let along = [("axis", Attribute::Int(0))];
    let words = s.op("Gather", &[words, ids], &along);
    let places = match s.operand(8) {
        Some(places) => s.op("Gather", &[positions, places], &along),
        None => {
            // The first rows of the table, as many as a line has words.
            let (first, length) = (s.ints(&[0]), s.shape(ids, 1, 2));
            s.op("Slice", &[positions, &first, &length], &[])
        }
    };
    let mut sum = s.op("Add", &[&words, &places], &[]);
    match (s.operand(1), s.operand(4)) {
        (Some(segments), Some(table)) => {
            let rows = s.op("Gather", &[table, segments], &along);
            sum = s.op("Add", &[&sum, &rows], &[]);
        }
        (None, None) => {}
        _ => return Err("segments without a table of them, or a table without segments".into()),
    }
    let epsilon = s.float_attribute("epsilon").unwrap_or(1e-12);
    let attributes = [("axis", Attribute::Int(-1)), ("epsilon", Attribute::Float(epsilon))];
    let y = s.op("LayerNormalization", &[&sum, scale, shift], &attributes);
    s.give(0, &y);
    if s.uses_output(1) {
        let counted = match s.operand(7) {
            Some(mask) => mask.to_owned(),
            None => s.op("Sub", &[ids, ids], &[]),
        };
        let counts = s.reduce("ReduceSum", &counted, &[1], false);
        let counts = s.op("Cast", &[&counts], &[("to", Attribute::Int(DataType::Int32 as i64))]);
        s.give(1, &counts);
    }
    s.give(2, &sum);
    Ok(Rewritten::Replaced)
}
