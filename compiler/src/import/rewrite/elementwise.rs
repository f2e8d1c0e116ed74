//! Element-wise operators that tract reads differently from the specification, or types more widely than is needed.

use super::legacy::broadcast;
use super::outcome::Rewritten;
use super::steps::{Attribute, Steps};
use super::wide::wide_comparison;
use crate::import::reason::Reason;
use tract_onnx::pb::tensor_proto::DataType;

/// Celu(x, α) is max(x, 0) + min(0, α · (exp(x / α) − 1)); tract forgets the second α.
pub fn celu(s: &mut Steps<'_>) -> Result<Rewritten, Reason> {
    let alpha = s.float_attribute("alpha").unwrap_or(1.0);
    if alpha == 1.0 {
        return Ok(Rewritten::Unchanged);
    }
    let x = s.needed(0)?;
    let alpha = s.number_like(alpha, x);
    let (zero, one) = (s.number_like(0.0, x), s.number_like(1.0, x));
    let inner = s.op("Div", &[x, &alpha], &[]);
    let power = s.op("Exp", &[&inner], &[]);
    let below = s.op("Sub", &[&power, &one], &[]);
    let scaled = s.op("Mul", &[&below, &alpha], &[]);
    let negative = s.op("Min", &[&scaled, &zero], &[]);
    let positive = s.op("Relu", &[x], &[]);
    let y = s.op("Add", &[&positive, &negative], &[]);
    s.give(0, &y);
    Ok(Rewritten::Replaced)
}

/// tract rounds the default factors of Selu to six digits.
pub fn selu(s: &mut Steps<'_>) -> Result<Rewritten, Reason> {
    // The first version had its own.
    let (alpha, gamma) = if s.known.opset < 6 { (1.6732, 1.0507) } else { (1.673_263_2, 1.050_701) };
    let factors = (s.float_attribute("alpha"), s.float_attribute("gamma"));
    if factors.0.is_some() && factors.1.is_some() {
        return Ok(Rewritten::Unchanged);
    }
    let factors = [
        ("alpha", Attribute::Float(factors.0.unwrap_or(alpha))),
        ("gamma", Attribute::Float(factors.1.unwrap_or(gamma))),
    ];
    let x = s.needed(0)?;
    let y = s.op("Selu", &[x], &factors);
    s.give(0, &y);
    Ok(Rewritten::Replaced)
}

/// Softplus is max(x, 0) + ln(1 + exp(−|x|)); tract's ln(1 + exp(x)) overflows. Optimisation makes one function of it.
pub fn softplus(s: &mut Steps<'_>) -> Result<Rewritten, Reason> {
    let x = s.needed(0)?;
    let one = s.number_like(1.0, x);
    let magnitude = s.op("Abs", &[x], &[]);
    let negative = s.op("Neg", &[&magnitude], &[]);
    let power = s.op("Exp", &[&negative], &[]);
    let sum = s.op("Add", &[&power, &one], &[]);
    let rest = s.op("Log", &[&sum], &[]);
    let positive = s.op("Relu", &[x], &[]);
    let y = s.op("Add", &[&positive, &rest], &[]);
    s.give(0, &y);
    Ok(Rewritten::Replaced)
}

/// Mish is x · tanh(softplus(x)), with the softplus that does not overflow.
pub fn mish(s: &mut Steps<'_>) -> Result<Rewritten, Reason> {
    let x = s.needed(0)?;
    let soft = s.op("Softplus", &[x], &[]);
    let gate = s.op("Tanh", &[&soft], &[]);
    let y = s.op("Mul", &[x, &gate], &[]);
    s.give(0, &y);
    Ok(Rewritten::Replaced)
}

/// Swish(x, α) is x · sigmoid(α x); tract leaves α out.
pub fn swish(s: &mut Steps<'_>) -> Result<Rewritten, Reason> {
    let alpha = s.float_attribute("alpha").unwrap_or(1.0);
    if alpha == 1.0 {
        return Ok(Rewritten::Unchanged);
    }
    let x = s.needed(0)?;
    let alpha = s.number_like(alpha, x);
    let inner = s.op("Mul", &[x, &alpha], &[]);
    let gate = s.op("Sigmoid", &[&inner], &[]);
    let y = s.op("Mul", &[x, &gate], &[]);
    s.give(0, &y);
    Ok(Rewritten::Replaced)
}

/// Swish of the first operand, times the second.
pub fn swiglu(s: &mut Steps<'_>) -> Result<Rewritten, Reason> {
    let (gate, value) = (s.needed(0)?, s.needed(1)?);
    let gate = gated(s, gate);
    let y = s.op("Mul", &[&gate, value], &[]);
    s.give(0, &y);
    Ok(Rewritten::Replaced)
}

fn gated(s: &mut Steps<'_>, x: &str) -> String {
    let alpha = s.float_attribute("alpha").unwrap_or(1.0);
    let bent = if alpha == 1.0 {
        x.to_owned()
    } else {
        let alpha = s.number_like(alpha, x);
        s.op("Mul", &[x, &alpha], &[])
    };
    let gate = s.op("Sigmoid", &[&bent], &[]);
    s.op("Mul", &[x, &gate], &[])
}

/// Bits read as another type of the width. Among integers of 8 bits that is a conversion that wraps; a device may change the bits
/// of floats, so that they are read as nothing else.
pub fn bit_cast(s: &mut Steps<'_>) -> Result<Rewritten, Reason> {
    let (x, to) = (s.needed(0)?, s.int_attribute("to").ok_or("without a type")?);
    let of = |element: i64| i32::try_from(element).ok().and_then(|element| DataType::try_from(element).ok());
    let from = s.known.element_type(x).and_then(|element| of(element.into()));
    let (Some(from), Some(target)) = (from, of(to)) else { return Err("between types that are not known".into()) };
    let y = match (from, target) {
        (from, target) if from == target => s.op("Identity", &[x], &[]),
        (DataType::Uint8 | DataType::Int8 | DataType::Bool, DataType::Uint8 | DataType::Int8) => {
            s.op("Cast", &[x], &[("to", Attribute::Int(to))])
        }
        (from, target) => {
            return Err(Reason::form("{} to {}", [from.into(), target.into()]));
        }
    };
    s.give(0, &y);
    Ok(Rewritten::Replaced)
}

/// An equation that has no meaning is refused; the others stay (`import/einsum.rs`).
pub fn einsum(s: &mut Steps<'_>) -> Result<Rewritten, Reason> {
    crate::import::einsum::check(s.node).map(|()| Rewritten::Unchanged).map_err(Reason::from)
}

/// A float to the power of an integer has the float's type; tract would compute in 64 bits.
pub fn pow(s: &mut Steps<'_>) -> Result<Rewritten, Reason> {
    if broadcast(s)? == Rewritten::Replaced {
        return Ok(Rewritten::Replaced);
    }
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

/// Two booleans are equal where they do not differ; tract compares constants as numbers only.
pub fn equal(s: &mut Steps<'_>) -> Result<Rewritten, Reason> {
    if broadcast(s)? == Rewritten::Replaced {
        return Ok(Rewritten::Replaced);
    }
    let (a, b) = (s.needed(0)?, s.needed(1)?);
    if ![a, b].iter().any(|name| s.known.element_type(name) == Some(DataType::Bool as i32)) {
        return wide_comparison(s);
    }
    let differ = s.op("Xor", &[a, b], &[]);
    let y = s.op("Not", &[&differ], &[]);
    s.give(0, &y);
    Ok(Rewritten::Replaced)
}
