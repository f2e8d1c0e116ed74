//! Poolings in terms of averages, reductions and scatters. Windows that the device pools itself are deliberately not here.

use super::Rewritten;
use super::steps::{Attribute, Steps, attribute};
use tract_onnx::pb::NodeProto;

/// (Σ |x|^p)^(1/p) over a window: p-th powers, an average that counts padding times the window's size, and the root.
pub fn lp_pool(s: &mut Steps<'_>) -> Result<Rewritten, String> {
    let node = s.node;
    let x = s.needed(0)?;
    let p = s.int_attribute("p").unwrap_or(2);
    if p < 1 {
        return Err(format!("p = {p}"));
    }
    if s.int_attribute("ceil_mode").unwrap_or(0) != 0 {
        // An average over a window that reaches past the padding divides by less than the window's size.
        return Err("ceil_mode".to_owned());
    }
    let size: i64 = s.ints_attribute("kernel_shape").ok_or("without kernel_shape")?.iter().product();
    let magnitude = s.op("Abs", &[x], &[]);
    let exponent = s.number_like(p as f32, x);
    let power = s.op("Pow", &[&magnitude, &exponent], &[]);
    let average = format!("{}.average", node.name);
    let mut attributes: Vec<_> = node.attribute.iter().filter(|a| a.name != "p").cloned().collect();
    attributes.push(attribute("count_include_pad", Attribute::Int(1)));
    s.nodes.push(NodeProto {
        name: average.clone(),
        op_type: "AveragePool".to_owned(),
        input: vec![power],
        output: vec![average.clone()],
        attribute: attributes,
        ..NodeProto::default()
    });
    let size = s.number_like(size as f32, x);
    let sum = s.op("Mul", &[&average, &size], &[]);
    let root = s.number_like(1.0 / p as f32, x);
    let y = s.op("Pow", &[&sum, &root], &[]);
    s.give(0, &y);
    Ok(Rewritten::Replaced)
}

/// (Σ |x|^p)^(1/p) over all axes but batch and channels.
pub fn global_lp_pool(s: &mut Steps<'_>) -> Result<Rewritten, String> {
    let x = s.needed(0)?;
    let (rank, _) = s.known.rank(x).ok_or("of a tensor whose number of axes is not known")?;
    // The first version has a float.
    let p = match s.float_attribute("p") {
        Some(p) if s.known.opset < 2 => p,
        _ => s.int_attribute("p").unwrap_or(2) as f32,
    };
    if p.is_nan() || p < 1.0 || rank < 3 {
        return Err(format!("p = {p} over {} axes", rank.saturating_sub(2)));
    }
    let axes: Vec<i64> = (2..rank as i64).collect();
    let y = if p == 1.0 || p == 2.0 {
        s.reduce(if p == 1.0 { "ReduceL1" } else { "ReduceL2" }, x, &axes, true)
    } else {
        let magnitude = s.op("Abs", &[x], &[]);
        let (exponent, root) = (s.number_like(p, x), s.number_like(1.0 / p, x));
        let power = s.op("Pow", &[&magnitude, &exponent], &[]);
        let sum = s.reduce("ReduceSum", &power, &axes, true);
        s.op("Pow", &[&sum, &root], &[])
    };
    s.give(0, &y);
    Ok(Rewritten::Replaced)
}

/// Every element at its index in zeros of the size that the pooling had read: a scatter. In an output of another size an
/// index counts elements of the smaller one for the specification's tests, of the output for ONNX Runtime: no reshape is
/// possible then, and the model is refused.
pub fn max_unpool(s: &mut Steps<'_>) -> Result<Rewritten, String> {
    let (x, indices) = (s.needed(0)?, s.needed(1)?);
    let kernel = s.ints_attribute("kernel_shape").ok_or("without kernel_shape")?.to_vec();
    let axes = kernel.len();
    let strides = s.sizes_attribute("strides", &vec![1; axes])?;
    let pads = s.sizes_attribute("pads", &vec![0; 2 * axes])?;
    let given = match s.operand(2) {
        Some(shape) => Some(s.known.integers(shape).ok_or("an output shape that is computed")?.to_vec()),
        None => None,
    };
    if let (Some(x), Some(given)) = (s.known.shape(x), &given)
        && x.len() == axes + 2
    {
        let along =
            |i: usize| (x[2 + i] as i64 - 1) * strides[i] as i64 + kernel[i] - (pads[i] + pads[axes + i]) as i64;
        let size = (x[0] * x[1]) as i64 * (0..axes).map(along).product::<i64>();
        if size != given.iter().product::<i64>() {
            return Err("an output larger than what was pooled, in which the meaning of indices is disputed".to_owned());
        }
    }
    let strides: Vec<i64> = strides.iter().map(|v| *v as i64).collect();
    // (size − 1) · stride + kernel − pads, as size · stride + rest.
    let rest = |i: usize| kernel[i] - strides[i] - pads[i] as i64 - pads[axes + i] as i64;
    let rest: Vec<i64> = (0..axes).map(rest).collect();
    let spatial = s.shape(x, 2, 2 + axes as i64);
    let (strides, rest) = (s.ints(&strides), s.ints(&rest));
    let spatial = s.op("Mul", &[&spatial, &strides], &[]);
    let spatial = s.op("Add", &[&spatial, &rest], &[]);
    let leading = s.shape(x, 0, 2);
    let whole = s.op("Concat", &[&leading, &spatial], &[("axis", Attribute::Int(0))]);
    let (zero, flat) = (s.number_like(0.0, x), s.ints(&[-1]));
    let zeros = s.op("Expand", &[&zero, &whole], &[]);
    let zeros = s.op("Reshape", &[&zeros, &flat], &[]);
    let places = s.op("Reshape", &[indices, &flat], &[]);
    let values = s.op("Reshape", &[x, &flat], &[]);
    let scattered = s.op("ScatterElements", &[&zeros, &places, &values], &[("axis", Attribute::Int(0))]);
    let shape = given.map_or(whole, |shape| s.ints(&shape));
    let y = s.op("Reshape", &[&scattered, &shape], &[]);
    s.give(0, &y);
    Ok(Rewritten::Replaced)
}
