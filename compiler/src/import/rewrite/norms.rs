//! Normalisations: those that tract computes differently from the specification, or only with constant parameters.

use super::outcome::Rewritten;
use super::steps::{Attribute, Steps};
use crate::import::reason::Reason;

/// (x − mean) / √(variance + ε) · scale + shift along axis 1, for parameters that are not constants.
pub fn batch_normalization(s: &mut Steps<'_>) -> Result<Rewritten, Reason> {
    if s.int_attribute("training_mode").unwrap_or(0) != 0 {
        return trained_batch_normalization(s);
    }
    if s.uses_output(1) {
        return Err("training outputs without training_mode".into());
    }
    let each = s.int_attribute("spatial") == Some(0);
    if !each && (1..5).all(|position| s.operand(position).is_some_and(|name| s.known.is_constant(name))) {
        return Ok(Rewritten::Unchanged);
    }
    let x = s.needed(0)?;
    // Parameters as (channels, 1, …), whatever the rank: the shape is 1 for every axis, then −1 in the channels' place.
    let ones = {
        let rest = s.shape(x, 2, i64::MAX);
        let same = s.op("Div", &[&rest, &rest], &[]);
        let channels = s.ints(&[-1]);
        s.op("Concat", &[&channels, &same], &[("axis", Attribute::Int(0))])
    };
    let mut columns = Vec::new();
    for position in 1..5 {
        let parameter = s.needed(position)?;
        // Before version 9, parameters may be those of every element.
        let column = if each { parameter.to_owned() } else { s.op("Reshape", &[parameter, &ones], &[]) };
        columns.push(column);
    }
    let epsilon = s.float_attribute("epsilon").unwrap_or(1e-5);
    let epsilon = s.number_like(epsilon, x);
    let spread = s.op("Add", &[&columns[3], &epsilon], &[]);
    let spread = s.op("Sqrt", &[&spread], &[]);
    let centred = s.op("Sub", &[x, &columns[2]], &[]);
    let normal = s.op("Div", &[&centred, &spread], &[]);
    let scaled = s.op("Mul", &[&normal, &columns[0]], &[]);
    let y = s.op("Add", &[&scaled, &columns[1]], &[]);
    s.give(0, &y);
    Ok(Rewritten::Replaced)
}

/// The same by mean and variance of the batch itself, as training does and standardised weights of convolutions are
/// written; further outputs are momentum · given + (1 − momentum) · found. All places of a channel are one axis:
/// (batch, channels, places).
fn trained_batch_normalization(s: &mut Steps<'_>) -> Result<Rewritten, Reason> {
    let x = s.needed(0)?;
    let planes = s.ints(&[0, 0, -1]);
    let flat = s.op("Reshape", &[x, &planes], &[]);
    let mean = s.reduce("ReduceMean", &flat, &[0, 2], true);
    let centred = s.op("Sub", &[&flat, &mean], &[]);
    let square = s.op("Mul", &[&centred, &centred], &[]);
    let variance = s.reduce("ReduceMean", &square, &[0, 2], true);
    let epsilon = s.number_like(s.float_attribute("epsilon").unwrap_or(1e-5), x);
    let spread = s.op("Add", &[&variance, &epsilon], &[]);
    let spread = s.op("Sqrt", &[&spread], &[]);
    let normal = s.op("Div", &[&centred, &spread], &[]);
    let column = s.ints(&[1, -1, 1]);
    let (scale, bias) = (s.needed(1)?, s.needed(2)?);
    let (scale, bias) = (s.op("Reshape", &[scale, &column], &[]), s.op("Reshape", &[bias, &column], &[]));
    let scaled = s.op("Mul", &[&normal, &scale], &[]);
    let shifted = s.op("Add", &[&scaled, &bias], &[]);
    let shape = s.op("Shape", &[x], &[]);
    let y = s.op("Reshape", &[&shifted, &shape], &[]);
    s.give(0, &y);
    let (line, momentum) = (s.ints(&[-1]), s.float_attribute("momentum").unwrap_or(0.9));
    for (output, found) in [(1, &mean), (2, &variance)] {
        if s.uses_output(output) {
            let before = s.needed(output + 2)?;
            let (kept, taken) = (s.number_like(momentum, before), s.number_like(1.0 - momentum, before));
            let found = s.op("Reshape", &[found, &line], &[]);
            let (before, found) = (s.op("Mul", &[before, &kept], &[]), s.op("Mul", &[&found, &taken], &[]));
            let running = s.op("Add", &[&before, &found], &[]);
            s.give(output, &running);
        }
    }
    Ok(Rewritten::Replaced)
}

/// x / (bias + α · mean of squares over `size` neighbouring channels) ^ β: the mean is a pooling over axis 1.
pub fn local_response(s: &mut Steps<'_>) -> Result<Rewritten, Reason> {
    let x = s.needed(0)?;
    let size = s.int_attribute("size").ok_or("without size")?;
    let (alpha, beta) = (s.float_attribute("alpha").unwrap_or(1e-4), s.float_attribute("beta").unwrap_or(0.75));
    let bias = s.float_attribute("bias").unwrap_or(1.0);
    let square = s.op("Mul", &[x, x], &[]);
    // (batch, 1, channels, all places): the window runs along the channels, and padding counts in the mean.
    let channels = s.shape(x, 1, 2);
    let batch = s.shape(x, 0, 1);
    let (one, rest) = (s.ints(&[1]), s.ints(&[-1]));
    let flat = s.op("Concat", &[&batch, &one, &channels, &rest], &[("axis", Attribute::Int(0))]);
    let plane = s.op("Reshape", &[&square, &flat], &[]);
    let before = (size - 1) / 2;
    let mean = s.op(
        "AveragePool",
        &[&plane],
        &[
            ("kernel_shape", Attribute::Ints(&[size, 1])),
            ("pads", Attribute::Ints(&[before, 0, size - 1 - before, 0])),
            ("count_include_pad", Attribute::Int(1)),
        ],
    );
    let whole = s.op("Shape", &[x], &[]);
    let mean = s.op("Reshape", &[&mean, &whole], &[]);
    let (alpha, beta, bias) = (s.number_like(alpha, x), s.number_like(beta, x), s.number_like(bias, x));
    let scaled = s.op("Mul", &[&mean, &alpha], &[]);
    let base = s.op("Add", &[&scaled, &bias], &[]);
    let divisor = s.op("Pow", &[&base, &beta], &[]);
    let y = s.op("Div", &[x, &divisor], &[]);
    s.give(0, &y);
    Ok(Rewritten::Replaced)
}

/// A normalisation of a sum, which may itself be requested: ONNX Runtime's SkipLayerNormalization, and the simplified one. tract
/// has another ε where none is given, and leaves out the bias of the simplified one.
pub fn skip_normalization(s: &mut Steps<'_>) -> Result<Rewritten, Reason> {
    let (x, skip, scale) = (s.needed(0)?, s.needed(1)?, s.needed(2)?);
    if s.uses_output(1) || s.uses_output(2) {
        return Err("mean or deviation as outputs".into());
    }
    let simplified = s.node.op_type == "SkipSimplifiedLayerNormalization";
    let (shift, bias) = if simplified { (None, s.operand(3)) } else { (s.operand(3), s.operand(4)) };
    let mut sum = s.op("Add", &[x, skip], &[]);
    if let Some(bias) = bias {
        sum = s.op("Add", &[&sum, bias], &[]);
    }
    let epsilon = s.float_attribute("epsilon").unwrap_or(1e-12);
    let attributes = [("axis", Attribute::Int(-1)), ("epsilon", Attribute::Float(epsilon))];
    let operands: Vec<&str> = [sum.as_str(), scale].into_iter().chain(shift).collect();
    let norm = if simplified { "SimplifiedLayerNormalization" } else { "LayerNormalization" };
    let y = s.op(norm, &operands, &attributes);
    s.give(0, &y);
    s.give(3, &sum);
    Ok(Rewritten::Replaced)
}
