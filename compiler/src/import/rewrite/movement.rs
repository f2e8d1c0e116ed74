//! Operators that move elements, in the forms that tract knows.

use super::Rewritten;
use super::steps::{Attribute, Steps, attribute};
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{AttributeProto, NodeProto, TensorProto, attribute_proto::AttributeType};

/// `ConstantOfShape` without a value fills with a 32-bit zero; tract takes a 64-bit one.
pub fn constant_of_shape(node: &NodeProto, s: &mut Steps<'_>) -> Result<Rewritten, String> {
    if !node.attribute.is_empty() {
        return Ok(Rewritten::Unchanged);
    }
    let zero = TensorProto {
        dims: vec![1],
        data_type: DataType::Float as i32,
        raw_data: 0.0_f32.to_le_bytes().to_vec(),
        ..TensorProto::default()
    };
    let value = AttributeProto {
        name: "value".to_owned(),
        r#type: AttributeType::Tensor as i32,
        t: Some(zero),
        ..AttributeProto::default()
    };
    s.nodes.push(NodeProto { attribute: vec![value], ..node.clone() });
    Ok(Rewritten::Replaced)
}

/// Padding with a computed value, or without a value but with axes: tract wants a constant.
pub fn pad(node: &NodeProto, s: &mut Steps<'_>) -> Result<Rewritten, String> {
    let constant = s.text_attribute("mode").unwrap_or("constant") == "constant";
    let given = s.operand(2);
    if !constant || s.operand(1).is_none() || given.is_some_and(|value| s.known.is_constant(value)) {
        return Ok(Rewritten::Unchanged);
    }
    if given.is_none() && s.operand(3).is_none() {
        return Ok(Rewritten::Unchanged);
    }
    let (x, pads) = (s.needed(0)?, s.needed(1)?);
    let padded = |s: &mut Steps<'_>, x: &str, value: f32| {
        let fill = s.floats(&[], &[value]);
        // Not by name of its type, which need not be known: tract folds the conversion.
        let fill = if s.known.element_type(x) == Some(DataType::Float as i32) {
            fill
        } else {
            s.op("CastLike", &[&fill, x], &[])
        };
        // Known to be constant, so that it is not rewritten again.
        let mut inputs = vec![x.to_owned(), pads.to_owned(), fill];
        inputs.extend(node.input.get(3).cloned());
        let name = format!("{}.padded{}", node.name, s.nodes.len());
        s.nodes.push(NodeProto { name: name.clone(), input: inputs, output: vec![name.clone()], ..node.clone() });
        name
    };
    let y = padded(s, x, 0.0);
    let Some(value) = given else {
        s.give(0, &y);
        return Ok(Rewritten::Replaced);
    };
    let shape = s.op("Shape", &[x], &[]);
    let one = s.number_like(1.0, x);
    let inside = s.op("Expand", &[&one, &shape], &[]);
    let inside = padded(s, &inside, 0.0);
    let inside = s.op("Cast", &[&inside], &[("to", Attribute::Int(DataType::Bool as i64))]);
    let y = s.op("Where", &[&inside, &y, value], &[]);
    s.give(0, &y);
    Ok(Rewritten::Replaced)
}

/// Each axis padded or cropped to a size, evenly; the odd element goes to the end.
pub fn center_crop_pad(_node: &NodeProto, s: &mut Steps<'_>) -> Result<Rewritten, String> {
    let (x, sizes) = (s.needed(0)?, s.needed(1)?);
    let count = s.known.integers(sizes).ok_or("a shape that is computed")?.len() as i64;
    let axes: Vec<i64> = s.ints_attribute("axes").map_or_else(|| (0..count).collect(), <[i64]>::to_vec);
    let axes = s.ints(&axes);
    let two = s.ints(&[2]);
    let shape = s.op("Shape", &[x], &[]);
    let before = s.op("Gather", &[&shape, &axes], &[]);
    let padded = s.op("Max", &[&before, sizes], &[]);
    let missing = s.op("Sub", &[&padded, &before], &[]);
    let left = s.op("Div", &[&missing, &two], &[]);
    let right = s.op("Sub", &[&missing, &left], &[]);
    let pads = s.op("Concat", &[&left, &right], &[("axis", Attribute::Int(0))]);
    let padded_x = s.op("Pad", &[x, &pads, "", &axes], &[]);
    let surplus = s.op("Sub", &[&padded, sizes], &[]);
    let starts = s.op("Div", &[&surplus, &two], &[]);
    let ends = s.op("Add", &[&starts, sizes], &[]);
    let y = s.op("Slice", &[&padded_x, &starts, &ends, &axes], &[]);
    s.give(0, &y);
    Ok(Rewritten::Replaced)
}

/// The elements or slices whose constant condition is true.
pub fn compress(_node: &NodeProto, s: &mut Steps<'_>) -> Result<Rewritten, String> {
    let (x, condition) = (s.needed(0)?, s.needed(1)?);
    let kept: Vec<i64> = s
        .known
        .integers(condition)
        .ok_or("a condition that is computed decides the shape")?
        .iter()
        .enumerate()
        .filter(|(_, keep)| **keep != 0)
        .map(|(index, _)| index as i64)
        .collect();
    if kept.is_empty() {
        return Err("an empty result".to_owned());
    }
    let kept = s.ints(&kept);
    let y = match s.int_attribute("axis") {
        Some(axis) => s.op("Gather", &[x, &kept], &[("axis", Attribute::Int(axis))]),
        None => {
            let all = s.ints(&[-1]);
            let flat = s.op("Reshape", &[x, &all], &[]);
            s.op("Gather", &[&flat, &kept], &[("axis", Attribute::Int(0))])
        }
    };
    s.give(0, &y);
    Ok(Rewritten::Replaced)
}

/// The operator that `Resize` took the place of.
pub fn upsample(node: &NodeProto, s: &mut Steps<'_>) -> Result<Rewritten, String> {
    let (x, scales) = (s.needed(0)?, s.needed(1)?);
    let mode = s.text_attribute("mode").unwrap_or("nearest").to_owned();
    s.nodes.push(NodeProto {
        op_type: "Resize".to_owned(),
        input: vec![x.to_owned(), String::new(), scales.to_owned()],
        attribute: vec![
            attribute("mode", Attribute::Text(&mode)),
            attribute("coordinate_transformation_mode", Attribute::Text("asymmetric")),
            attribute("nearest_mode", Attribute::Text("floor")),
        ],
        ..node.clone()
    });
    Ok(Rewritten::Replaced)
}

/// Coordinates of an output of constant size, mapped by matrices.
pub fn affine_grid(_node: &NodeProto, s: &mut Steps<'_>) -> Result<Rewritten, String> {
    let (theta, size) = (s.needed(0)?, s.needed(1)?);
    let size = s.known.integers(size).ok_or("a size that is computed")?.to_vec();
    let align = s.int_attribute("align_corners").unwrap_or(0) != 0;
    let spatial: Option<Vec<usize>> = size.iter().skip(2).map(|d| usize::try_from(*d).ok()).collect();
    let spatial = spatial.filter(|d| matches!(d.len(), 2 | 3)).ok_or("a size of neither four nor five entries")?;
    let count: usize = spatial.iter().product();
    if count > 1 << 24 {
        return Err("a grid of more than 2^24 places".to_owned());
    }
    let coordinate = |index: usize, size: usize| {
        let (index, size) = (index as f32, size as f32);
        match (align, size > 1.0) {
            (true, true) => -1.0 + 2.0 * index / (size - 1.0),
            (true, false) => 0.0,
            (false, _) => (2.0 * index + 1.0) / size - 1.0,
        }
    };
    // Rows are (x, y, 1) or (x, y, z, 1): the last axis comes first.
    let mut base = Vec::with_capacity(count * (spatial.len() + 1));
    for place in 0..count {
        let mut rest = place;
        for extent in spatial.iter().rev() {
            base.push(coordinate(rest % extent, *extent));
            rest /= extent;
        }
        base.push(1.0);
    }
    let base = s.floats(&[count, spatial.len() + 1], &base);
    let turned = s.op("Transpose", &[theta], &[("perm", Attribute::Ints(&[0, 2, 1]))]);
    let grid = s.op("MatMul", &[&base, &turned], &[]);
    let shape: Vec<i64> =
        [size[0]].into_iter().chain(spatial.iter().map(|d| *d as i64)).chain([spatial.len() as i64]).collect();
    let shape = s.ints(&shape);
    let y = s.op("Reshape", &[&grid, &shape], &[]);
    s.give(0, &y);
    Ok(Rewritten::Replaced)
}
