//! Sizes and values that the user gives: shapes of inputs, sizes of symbolic dimensions, inputs bound to one value.
//!
//! Takes a decoded graph and the options; returns the graph with fixed shapes, and with constants in the place of bound inputs.
//! A dimension that is named by a sum, difference or product of others (`past_length + length`, as exporters write it)
//! follows from them. What is still open is reported all at once. It deliberately looks at no node.

use super::error::{ImportError, OpenSize, Unbindable};
use super::options::{Dim, ImportOptions, Value};
use std::collections::{BTreeMap, BTreeSet};
use tract_onnx::pb::tensor_shape_proto::{Dimension, dimension};
use tract_onnx::pb::{GraphProto, TensorProto, TensorShapeProto, ValueInfoProto, tensor_proto::DataType, type_proto};

/// Elements of an input that is bound to a value at most: it becomes a constant of the model.
const MAX_BOUND_ELEMENTS: u64 = 1 << 20;

/// A dimension of this size.
pub fn fixed(size: i64) -> Dimension {
    Dimension { value: Some(dimension::Value::DimValue(size)), ..Dimension::default() }
}

/// Replaces the shapes of public inputs by sizes, and bound inputs by constants.
///
/// # Errors
/// Options that name nothing of the model, sizes that stay open, and values that an input cannot have.
pub fn fix(graph: &mut GraphProto, options: &ImportOptions) -> Result<(), ImportError> {
    give_shapes(graph, options)?;
    let symbols = symbols(graph);
    let sizes: BTreeMap<&str, u64> = options.dims.iter().map(|(name, size)| (name.as_str(), *size)).collect();
    let mut open: Vec<OpenSize> = Vec::new();
    for input in &mut graph.input {
        fix_input(input, &sizes, &mut open);
    }
    let of_inputs = options.dims.iter().filter(|(name, _)| !symbols.contains(name));
    let of_inputs = of_inputs.map(|(name, size)| (name.as_str(), Value::Integer(*size as i64)));
    let values: Vec<(&str, Value)> =
        of_inputs.chain(options.values.iter().map(|(name, value)| (name.as_str(), *value))).collect();
    for (name, _) in &values {
        if !graph.input.iter().any(|input| input.name == *name) {
            let inputs = graph.input.iter().map(|input| input.name.clone()).collect();
            return Err(ImportError::NoSuchDimension {
                name: (*name).to_owned(),
                dims: symbols.into_iter().collect(),
                inputs,
            });
        }
    }
    if !open.is_empty() {
        return Err(ImportError::OpenSizes(open));
    }
    values.into_iter().try_for_each(|(name, value)| bind(graph, name, value))
}

/// The shapes of `--input`.
fn give_shapes(graph: &mut GraphProto, options: &ImportOptions) -> Result<(), ImportError> {
    for (name, dims) in &options.inputs {
        let names = || graph.input.iter().map(|input| input.name.clone()).collect();
        let Some(position) = graph.input.iter().position(|input| input.name == *name) else {
            return Err(ImportError::NoSuchInput { name: name.clone(), inputs: names() });
        };
        let dim = dims.iter().map(|dim| match dim {
            Dim::Size(size) => fixed(*size as i64),
            Dim::Symbol(symbol) => {
                Dimension { value: Some(dimension::Value::DimParam(symbol.clone())), ..Dimension::default() }
            }
        });
        let shape = TensorShapeProto { dim: dim.collect() };
        if let Some(tensor) = tensor_type(&mut graph.input[position]) {
            tensor.shape = Some(shape);
        }
    }
    Ok(())
}

fn tensor_type(info: &mut ValueInfoProto) -> Option<&mut type_proto::Tensor> {
    let type_proto::Value::TensorType(tensor) = info.r#type.as_mut()?.value.as_mut()?;
    Some(tensor)
}

/// Names of dimensions, and the names that these are made of.
fn symbols(graph: &mut GraphProto) -> BTreeSet<String> {
    let mut symbols = BTreeSet::new();
    for shape in graph.input.iter_mut().filter_map(|input| tensor_type(input)?.shape.as_ref()) {
        for dim in &shape.dim {
            if let Some(dimension::Value::DimParam(symbol)) = &dim.value
                && !symbol.is_empty()
            {
                symbols.insert(symbol.clone());
                symbols.extend(names_in(symbol));
            }
        }
    }
    symbols
}

fn fix_input(input: &mut ValueInfoProto, sizes: &BTreeMap<&str, u64>, open: &mut Vec<OpenSize>) {
    let name = input.name.clone();
    let Some(shape) = tensor_type(input).and_then(|tensor| tensor.shape.as_mut()) else {
        open.push(OpenSize::Shape { input: name, known: None });
        return;
    };
    let mut unnamed = false;
    for (axis, dim) in shape.dim.iter_mut().enumerate() {
        match &dim.value {
            Some(dimension::Value::DimValue(size)) if *size >= 0 => {}
            Some(dimension::Value::DimParam(symbol)) if !symbol.is_empty() => {
                match sizes.get(symbol.as_str()).copied().or_else(|| evaluate(symbol, sizes)) {
                    Some(size) => *dim = fixed(size as i64),
                    None => note(open, symbol, sizes, &name, axis),
                }
            }
            Some(dimension::Value::DimValue(_) | dimension::Value::DimParam(_)) | None => unnamed = true,
        }
    }
    if unnamed {
        let known = shape.dim.iter().map(|dim| match &dim.value {
            Some(dimension::Value::DimValue(size)) if *size >= 0 => size.to_string(),
            Some(dimension::Value::DimParam(symbol)) if !symbol.is_empty() => symbol.clone(),
            Some(dimension::Value::DimValue(_) | dimension::Value::DimParam(_)) | None => "?".to_owned(),
        });
        open.push(OpenSize::Shape { input: name, known: Some(known.collect()) });
    }
}

/// Notes a symbol that has no size; one that is made of others asks for those that have none.
fn note(open: &mut Vec<OpenSize>, symbol: &str, sizes: &BTreeMap<&str, u64>, input: &str, axis: usize) {
    let parts = names_in(symbol);
    let computable = !parts.is_empty() && {
        let all: BTreeMap<&str, u64> = parts.iter().map(|part| (part.as_str(), 1)).collect();
        evaluate(symbol, &all).is_some()
    };
    let missing = if computable { parts } else { vec![symbol.to_owned()] };
    for symbol in missing.into_iter().filter(|part| !sizes.contains_key(part.as_str())) {
        let known = open.iter_mut().find_map(|size| match size {
            OpenSize::Symbol { symbol: known, places } if *known == symbol => Some(places),
            OpenSize::Symbol { .. } | OpenSize::Shape { .. } => None,
        });
        let place = (input.to_owned(), axis);
        match known {
            Some(places) => places.push(place),
            None => open.push(OpenSize::Symbol { symbol, places: vec![place] }),
        }
    }
}

/// A name or an operator of an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Token<'a> {
    Name(&'a str),
    Number(u64),
    Sign(u8),
}

fn tokens(text: &str) -> Option<Vec<Token<'_>>> {
    let mut found = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.bytes().next() {
        let length = match first {
            b'+' | b'-' | b'*' | b'(' | b')' => 1,
            b'0'..=b'9' => rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len()),
            b'_' | b'a'..=b'z' | b'A'..=b'Z' => {
                rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '.')).unwrap_or(rest.len())
            }
            _ => return None,
        };
        let (token, after) = rest.split_at(length);
        found.push(match first {
            b'0'..=b'9' => Token::Number(token.parse().ok()?),
            b'+' | b'-' | b'*' | b'(' | b')' => Token::Sign(first),
            _ => Token::Name(token),
        });
        rest = after.trim_start();
    }
    Some(found)
}

/// Names in an expression of more than one token.
fn names_in(symbol: &str) -> Vec<String> {
    let found = tokens(symbol).filter(|tokens| tokens.len() > 1).unwrap_or_default();
    let names = found.into_iter().filter_map(|token| match token {
        Token::Name(name) => Some(name.to_owned()),
        Token::Number(_) | Token::Sign(_) => None,
    });
    names.collect()
}

/// The size that an expression of sums, differences and products gives; `None` when it is none, a name has no size, or the
/// result is no size.
fn evaluate(symbol: &str, sizes: &BTreeMap<&str, u64>) -> Option<u64> {
    let tokens = tokens(symbol)?;
    let mut at = 0;
    let value = sum(&tokens, &mut at, sizes, 0)?;
    (at == tokens.len()).then_some(value).and_then(|value| u64::try_from(value).ok())
}

/// Parentheses inside each other at most.
const MAX_NESTED: u32 = 16;

fn sum(tokens: &[Token<'_>], at: &mut usize, sizes: &BTreeMap<&str, u64>, depth: u32) -> Option<i64> {
    let mut value = product(tokens, at, sizes, depth)?;
    while let Some(Token::Sign(sign @ (b'+' | b'-'))) = tokens.get(*at) {
        *at += 1;
        let next = product(tokens, at, sizes, depth)?;
        value = if *sign == b'+' { value.checked_add(next)? } else { value.checked_sub(next)? };
    }
    Some(value)
}

fn product(tokens: &[Token<'_>], at: &mut usize, sizes: &BTreeMap<&str, u64>, depth: u32) -> Option<i64> {
    let mut value = factor(tokens, at, sizes, depth)?;
    while tokens.get(*at) == Some(&Token::Sign(b'*')) {
        *at += 1;
        value = value.checked_mul(factor(tokens, at, sizes, depth)?)?;
    }
    Some(value)
}

fn factor(tokens: &[Token<'_>], at: &mut usize, sizes: &BTreeMap<&str, u64>, depth: u32) -> Option<i64> {
    let token = tokens.get(*at)?;
    *at += 1;
    match token {
        Token::Number(number) => i64::try_from(*number).ok(),
        Token::Name(name) => i64::try_from(*sizes.get(name)?).ok(),
        Token::Sign(b'(') if depth < MAX_NESTED => {
            let value = sum(tokens, at, sizes, depth + 1)?;
            *at += 1;
            (tokens.get(*at - 1) == Some(&Token::Sign(b')'))).then_some(value)
        }
        Token::Sign(_) => None,
    }
}

/// Puts a constant in the place of an input whose shape is fixed.
fn bind(graph: &mut GraphProto, name: &str, value: Value) -> Result<(), ImportError> {
    let refused = |reason: Unbindable| ImportError::Binding { name: name.to_owned(), value: value.to_string(), reason };
    let Some(position) = graph.input.iter().position(|input| input.name == name) else {
        return Err(refused(Unbindable::GivenTwice));
    };
    let tensor = tensor_type(&mut graph.input[position]).ok_or_else(|| refused(Unbindable::NoTensor))?;
    let dims: Vec<i64> = tensor.shape.iter().flat_map(|shape| &shape.dim).map(size).collect();
    let elements = dims.iter().try_fold(1_u64, |n, dim| n.checked_mul(dim.unsigned_abs()));
    let elements = elements
        .filter(|n| *n <= MAX_BOUND_ELEMENTS)
        .ok_or_else(|| refused(Unbindable::TooLarge { shape: dims.clone(), limit: MAX_BOUND_ELEMENTS }))?;
    let element = element_bytes(tensor.elem_type, value).map_err(&refused)?;
    let constant = TensorProto {
        name: name.to_owned(),
        dims,
        data_type: tensor.elem_type,
        raw_data: element.repeat(elements as usize),
        ..TensorProto::default()
    };
    graph.input.remove(position);
    graph.initializer.push(constant);
    Ok(())
}

/// The size of a fixed dimension.
fn size(dim: &Dimension) -> i64 {
    match &dim.value {
        Some(dimension::Value::DimValue(size)) => *size,
        Some(dimension::Value::DimParam(_)) | None => 0,
    }
}

/// The value as an element of an ONNX type.
#[expect(clippy::wildcard_enum_match_arm, reason = "ONNX's types: those that are taken are few")]
fn element_bytes(elem_type: i32, value: Value) -> Result<Vec<u8>, Unbindable> {
    let data_type = DataType::try_from(elem_type).map_err(|_| Unbindable::UnknownElement(elem_type))?;
    let unfit = || Unbindable::Element(data_type.as_str_name());
    let integer = match value {
        Value::Integer(integer) => Some(integer),
        Value::Bool(boolean) => Some(i64::from(boolean)),
        Value::Float(_) => None,
    };
    let float = match value {
        Value::Integer(integer) => integer as f64,
        Value::Float(float) => float,
        Value::Bool(boolean) => f64::from(u8::from(boolean)),
    };
    let bytes = match data_type {
        DataType::Float => (float as f32).to_le_bytes().to_vec(),
        DataType::Double => float.to_le_bytes().to_vec(),
        DataType::Float16 => half::f16::from_f64(float).to_le_bytes().to_vec(),
        DataType::Int64 => integer.map(|v| v.to_le_bytes().to_vec()).ok_or_else(unfit)?,
        DataType::Int32 => narrow::<i32>(integer).map(|v| v.to_le_bytes().to_vec()).ok_or_else(unfit)?,
        DataType::Int8 => narrow::<i8>(integer).map(|v| v.to_le_bytes().to_vec()).ok_or_else(unfit)?,
        DataType::Uint8 => narrow::<u8>(integer).map(|v| vec![v]).ok_or_else(unfit)?,
        DataType::Bool => integer.filter(|v| matches!(v, 0 | 1)).map(|v| vec![v as u8]).ok_or_else(unfit)?,
        // Types that no interface has.
        _ => return Err(unfit()),
    };
    Ok(bytes)
}

fn narrow<T: TryFrom<i64>>(integer: Option<i64>) -> Option<T> {
    integer.and_then(|integer| T::try_from(integer).ok())
}

#[cfg(test)]
mod tests {
    use super::{element_bytes, evaluate, names_in};
    use crate::import::Value;
    use std::collections::BTreeMap;
    use tract_onnx::pb::tensor_proto::DataType;

    #[test]
    fn names_made_of_others_follow_from_them() {
        let sizes = BTreeMap::from([("past_length", 7), ("length", 3), ("b.1", 2)]);
        for (symbol, size) in [
            ("past_length + length", Some(10)),
            ("past_length+length", Some(10)),
            ("2*(past_length - length)*b.1", Some(16)),
            ("length - past_length", None),
            ("length + other", None),
            ("length +", None),
            ("(length", None),
            ("floor(length/2)", None),
        ] {
            assert_eq!(evaluate(symbol, &sizes), size, "{symbol}");
        }
        assert_eq!(names_in("past_length + length"), ["past_length", "length"]);
        assert!(names_in("batch").is_empty());
        let nested = format!("{}length{}", "(".repeat(1000), ")".repeat(1000));
        assert_eq!(evaluate(&nested, &sizes), None);
    }

    #[test]
    fn values_become_elements_of_the_input_type_or_are_refused() {
        let bytes = |kind: DataType, value| element_bytes(kind as i32, value).ok();
        assert_eq!(bytes(DataType::Int64, Value::Integer(16000)), Some(16000_i64.to_le_bytes().to_vec()));
        assert_eq!(bytes(DataType::Bool, Value::Bool(true)), Some(vec![1]));
        assert_eq!(bytes(DataType::Bool, Value::Integer(2)), None);
        assert_eq!(bytes(DataType::Float, Value::Float(0.5)), Some(0.5_f32.to_le_bytes().to_vec()));
        assert_eq!(bytes(DataType::Int32, Value::Float(0.5)), None);
        assert_eq!(bytes(DataType::Int8, Value::Integer(300)), None);
        assert_eq!(bytes(DataType::String, Value::Integer(1)), None);
    }
}
