//! Element-wise operators that tract reads differently from the specification, or types more widely than is needed.

use super::Rewritten;
use super::steps::Steps;
use tract_onnx::pb::tensor_proto::DataType;

/// Celu(x, α) is α · Elu(x / α); tract forgets to multiply its negative part by α.
pub fn celu(s: &mut Steps<'_>) -> Result<Rewritten, String> {
    let alpha = s.float_attribute("alpha").unwrap_or(1.0);
    if alpha == 1.0 {
        return Ok(Rewritten::Unchanged);
    }
    let x = s.needed(0)?;
    let alpha = s.number_like(alpha, x);
    let inner = s.op("Div", &[x, &alpha], &[]);
    let bent = s.op("Elu", &[&inner], &[]);
    let y = s.op("Mul", &[&bent, &alpha], &[]);
    s.give(0, &y);
    Ok(Rewritten::Replaced)
}

/// A float to the power of an integer has the float's type; tract would compute in 64 bits.
pub fn pow(s: &mut Steps<'_>) -> Result<Rewritten, String> {
    let (base, exponent) = (s.needed(0)?, s.needed(1)?);
    let of = |name: &str| s.known.element_type(name).and_then(|t| DataType::try_from(t).ok());
    let float = |t| matches!(t, Some(DataType::Float | DataType::Float16));
    let integer = |t| matches!(t, Some(DataType::Int32 | DataType::Int64));
    if !(float(of(base)) && integer(of(exponent))) {
        return Ok(Rewritten::Unchanged);
    }
    let exponent = s.op("CastLike", &[exponent, base], &[]);
    let y = s.op("Pow", &[base, &exponent], &[]);
    s.give(0, &y);
    Ok(Rewritten::Replaced)
}

/// Two truth values are equal where they do not differ; tract compares constants as numbers only.
pub fn equal(s: &mut Steps<'_>) -> Result<Rewritten, String> {
    let (a, b) = (s.needed(0)?, s.needed(1)?);
    if ![a, b].iter().any(|name| s.known.element_type(name) == Some(DataType::Bool as i32)) {
        return Ok(Rewritten::Unchanged);
    }
    let differ = s.op("Xor", &[a, b], &[]);
    let y = s.op("Not", &[&differ], &[]);
    s.give(0, &y);
    Ok(Rewritten::Replaced)
}
