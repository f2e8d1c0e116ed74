//! Products of matrices.

use super::outcome::Rewritten;
use super::steps::{Attribute, Steps};
use crate::import::reason::Reason;
use tract_onnx::pb::tensor_proto::DataType;

/// α · op(A) · op(B) + β · C in 16 bits: tract scales by f32 constants, which then do not fit the operands.
pub fn gemm(s: &mut Steps<'_>) -> Result<Rewritten, Reason> {
    let (a, b) = (s.needed(0)?, s.needed(1)?);
    let half = |name: &&str| s.known.element_type(name) == Some(DataType::Float16 as i32);
    if ![Some(a), Some(b), s.operand(2)].iter().flatten().any(half) {
        return Ok(Rewritten::Unchanged);
    }
    let exchange = [("perm", Attribute::Ints(&[1, 0]))];
    let turned = |s: &mut Steps<'_>, name: &str, x: &str| match s.int_attribute(name).unwrap_or(0) {
        0 => x.to_owned(),
        _ => s.op("Transpose", &[x], &exchange),
    };
    let (left, right) = (turned(s, "transA", a), turned(s, "transB", b));
    let product = s.op("MatMul", &[&left, &right], &[]);
    let scaled = |s: &mut Steps<'_>, name: &str, x: String| match s.float_attribute(name) {
        Some(factor) if factor != 1.0 => {
            let factor = s.number_like(factor, a);
            s.op("Mul", &[&x, &factor], &[])
        }
        Some(_) | None => x,
    };
    let product = scaled(s, "alpha", product);
    let y = match s.operand(2) {
        Some(c) => {
            let c = scaled(s, "beta", c.to_owned());
            s.op("Add", &[&product, &c], &[])
        }
        None => product,
    };
    s.give(0, &y);
    Ok(Rewritten::Replaced)
}
