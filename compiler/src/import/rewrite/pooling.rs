//! Poolings in terms of averages.

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
