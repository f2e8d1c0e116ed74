//! Operators that move elements, in the forms that tract knows.

use super::outcome::Rewritten;
use super::steps::{Attribute, Steps, attribute};
use crate::import::builders::RESIZE_10;
use crate::import::reason::Reason;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{AttributeProto, NodeProto, TensorProto, attribute_proto::AttributeType};

/// `ConstantOfShape` without a value fills with a 32-bit zero; tract takes a 64-bit one.
pub fn constant_of_shape(s: &mut Steps<'_>) -> Result<Rewritten, Reason> {
    let node = s.node;
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

/// Blocks of height and width moved in front of the channels, or behind them (mode `CRD`, which tract does not know).
pub fn space_to_depth(s: &mut Steps<'_>) -> Result<Rewritten, Reason> {
    let x = s.needed(0)?;
    let block = s.int_attribute("blocksize").filter(|block| *block > 0).ok_or("blocksize that is not positive")?;
    if s.text_attribute("mode").unwrap_or("DCR") == "DCR" {
        return Ok(Rewritten::Unchanged);
    }
    // (batch, channels, rows, block, columns, block): the size of the last axis follows.
    let (leading, height) = (s.shape(x, 0, 2), s.shape(x, 2, 3));
    let size = s.ints(&[block]);
    let (rows, rest) = (s.op("Div", &[&height, &size], &[]), s.ints(&[-1]));
    let apart = s.op("Concat", &[&leading, &rows, &size, &rest, &size], &[("axis", Attribute::Int(0))]);
    let blocks = s.op("Reshape", &[x, &apart], &[]);
    let turned = s.op("Transpose", &[&blocks], &[("perm", Attribute::Ints(&[0, 1, 3, 5, 2, 4]))]);
    let (batch, columns) = (s.shape(x, 0, 1), s.shape(&turned, 5, 6));
    let merged = s.op("Concat", &[&batch, &rest, &rows, &columns], &[("axis", Attribute::Int(0))]);
    let y = s.op("Reshape", &[&turned, &merged], &[]);
    s.give(0, &y);
    Ok(Rewritten::Replaced)
}

/// Padding with a computed value, or without a value but with axes: tract requires a constant.
pub fn pad(s: &mut Steps<'_>) -> Result<Rewritten, Reason> {
    let node = s.node;
    let constant = s.text_attribute("mode").unwrap_or("constant") == "constant";
    if s.text_attribute("mode") == Some("wrap") {
        return wrap(s);
    }
    let given = s.operand(2);
    if let Some(value) = given
        && s.known.rank(value) == Some((1, true))
    {
        let mut whole = node.clone();
        // Rewritten again, whose steps need names of their own.
        whole.name = format!("{}.with_scalar", node.name);
        whole.input[2] = scalar(s, value);
        s.nodes.push(whole);
        return Ok(Rewritten::Replaced);
    }
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

/// The scalar of a list of one, where runtimes take both and tract only the scalar.
fn scalar(s: &mut Steps<'_>, list: &str) -> String {
    if let Some(value) = s.known.floats(list) {
        return s.floats(&[], value);
    }
    match (s.known.integers(list), s.known.element_type(list)) {
        (Some([value]), Some(element)) if element == DataType::Int64 as i32 => s.int(*value),
        _ => {
            let shape = s.ints(&[]);
            s.op("Reshape", &[list, &shape], &[])
        }
    }
}

/// Most elements that an axis is padded by with what is at its other end.
const MAX_WRAPPED: i64 = 1 << 20;

/// Padding with what is at the other end of each axis: a gather at constant places. What is cropped is not repeated.
fn wrap(s: &mut Steps<'_>) -> Result<Rewritten, Reason> {
    let (x, pads) = (s.needed(0)?, s.needed(1)?);
    let pads = s.known.integers(pads).ok_or("pads that are computed")?.to_vec();
    let count = pads.len() / 2;
    let axes = match s.operand(3) {
        Some(axes) => s.known.integers(axes).ok_or("axes that are computed")?.to_vec(),
        None => (0..count as i64).collect(),
    };
    if pads.len() != 2 * axes.len() {
        return Err(Reason::form("pads of {} for the axes {}", [pads.as_slice().into(), axes.as_slice().into()]));
    }
    // A place is a constant for each of them.
    if pads.iter().any(|pad| *pad > MAX_WRAPPED) {
        return Err(Reason::form("pads of {} in mode wrap", [pads.as_slice().into()]));
    }
    let mut y = x.to_owned();
    for (axis, (before, after)) in axes.iter().zip(pads.iter().zip(&pads[count..])) {
        if (*before, *after) != (0, 0) {
            y = wrapped_axis(s, &y, *axis, *before, *after);
        }
    }
    s.give(0, &y);
    Ok(Rewritten::Replaced)
}

fn wrapped_axis(s: &mut Steps<'_>, x: &str, axis: i64, before: i64, after: i64) -> String {
    let mut x = x.to_owned();
    if before < 0 || after < 0 {
        let end = if after < 0 { after } else { i64::MAX };
        let (start, end, axes) = (s.ints(&[(-before).max(0)]), s.ints(&[end]), s.ints(&[axis]));
        x = s.op("Slice", &[&x, &start, &end, &axes], &[]);
    }
    let size = s.shape(&x, axis, if axis == -1 { i64::MAX } else { axis + 1 });
    let size = s.squeeze(&size, &[0]);
    let (start, after, one) = (s.int(-before.max(0)), s.int(after.max(0)), s.int(1));
    let end = s.op("Add", &[&size, &after], &[]);
    let places = s.op("Range", &[&start, &end, &one], &[]);
    let places = s.op("Mod", &[&places, &size], &[]);
    s.op("Gather", &[&x, &places], &[("axis", Attribute::Int(axis))])
}

/// The diagonal of a triangle as a list of one.
pub fn triangle(s: &mut Steps<'_>) -> Result<Rewritten, Reason> {
    let Some(diagonal) = s.operand(1).filter(|diagonal| s.known.rank(diagonal) == Some((1, true))) else {
        return Ok(Rewritten::Unchanged);
    };
    let mut node = s.node.clone();
    node.input[1] = scalar(s, diagonal);
    s.nodes.push(node);
    Ok(Rewritten::Replaced)
}

/// Parts of one size, of which the last may be smaller, and the sizes of the first version, which are an operand.
pub fn split(s: &mut Steps<'_>) -> Result<Rewritten, Reason> {
    let x = s.needed(0)?;
    if let Some(sizes) = s.operand(1).filter(|_| s.known.opset < 2) {
        let whole = |sizes: &[f32]| sizes.iter().map(|size| *size as i64).collect();
        let sizes: Option<Vec<i64>> =
            s.known.floats(sizes).map(whole).or_else(|| Some(s.known.integers(sizes)?.to_vec()));
        let mut node = s.node.clone();
        node.input.truncate(1);
        node.attribute.push(attribute("split", Attribute::Ints(&sizes.ok_or("sizes that are computed")?)));
        s.nodes.push(node);
        return Ok(Rewritten::Replaced);
    }
    let Some(count) = s.int_attribute("num_outputs") else { return Ok(Rewritten::Unchanged) };
    if count != s.node.output.len() as i64 {
        return Err(Reason::form("num_outputs {} for {} outputs", [count.into(), s.node.output.len().into()]));
    }
    let axis = s.int_attribute("axis").unwrap_or(0);
    let axes = s.ints(&[axis]);
    let size = s.shape(x, axis, if axis == -1 { i64::MAX } else { axis + 1 });
    let (less, parts) = (s.ints(&[count - 1]), s.ints(&[count]));
    let rounded = s.op("Add", &[&size, &less], &[]);
    let part = s.op("Div", &[&rounded, &parts], &[]);
    for position in 0..s.node.output.len() {
        let (first, next) = (s.ints(&[position as i64]), s.ints(&[position as i64 + 1]));
        let (start, end) = (s.op("Mul", &[&part, &first], &[]), s.op("Mul", &[&part, &next], &[]));
        let y = s.op("Slice", &[x, &start, &end, &axes], &[]);
        s.give(position, &y);
    }
    Ok(Rewritten::Replaced)
}

/// Each axis padded or cropped to a size, evenly; the odd element goes to the end.
pub fn center_crop_pad(s: &mut Steps<'_>) -> Result<Rewritten, Reason> {
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

/// A running sum along an axis that is a list of one.
pub fn cumulative_sum(s: &mut Steps<'_>) -> Result<Rewritten, Reason> {
    let (x, axis) = (s.needed(0)?, s.needed(1)?);
    let value = match s.known.integers(axis) {
        Some([value]) if !matches!(s.known.rank(axis), Some((0, _))) => *value,
        Some(_) | None => return Ok(Rewritten::Unchanged),
    };
    let axis = s.int(value);
    let node = NodeProto { input: vec![x.to_owned(), axis], ..s.node.clone() };
    s.nodes.push(node);
    Ok(Rewritten::Replaced)
}

/// The elements or slices whose constant condition is true.
pub fn compress(s: &mut Steps<'_>) -> Result<Rewritten, Reason> {
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
        return Err("an empty result".into());
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

/// The operator that `Resize` took the place of. Whole scales repeat every element; all others are a resize with the coordinates
/// that it then had (`builders/resize.rs`).
pub fn upsample(s: &mut Steps<'_>) -> Result<Rewritten, Reason> {
    let x = s.needed(0)?;
    let linear = match s.text_attribute("mode").unwrap_or("nearest") {
        "nearest" => false,
        "linear" | "bilinear" | "trilinear" => true,
        other => return Err(Reason::form("mode {}", [other.into()])),
    };
    // The first version names the scales of two axes.
    let two = ["height_scale", "width_scale"].map(|name| s.float_attribute(name));
    let named = if let [Some(height), Some(width)] = two { Some([1.0, 1.0, height, width]) } else { None };
    let given = named.as_ref().map(<[f32; 4]>::as_slice);
    let given = given.or_else(|| s.floats_attribute("scales")).or_else(|| s.known.floats(s.operand(1)?));
    let scales = given.ok_or("scales that are computed")?.to_vec();
    if linear || scales.iter().any(|scale| scale.fract() != 0.0 || *scale < 1.0) {
        return resampled(s, x, &scales, linear);
    }
    let scales: Vec<i64> = scales.iter().map(|scale| *scale as i64).collect();
    let beside: Vec<i64> = (0..scales.len() as i64).map(|axis| 2 * axis + 1).collect();
    let apart = s.unsqueeze(x, &beside);
    let repeats: Vec<i64> = scales.iter().flat_map(|scale| [1, *scale]).collect();
    let (repeats, factors) = (s.ints(&repeats), s.ints(&scales));
    let repeated = s.op("Expand", &[&apart, &repeats], &[]);
    let shape = s.op("Shape", &[x], &[]);
    let shape = s.op("Mul", &[&shape, &factors], &[]);
    let y = s.op("Reshape", &[&repeated, &shape], &[]);
    s.give(0, &y);
    Ok(Rewritten::Replaced)
}

/// A resize of the versions that do not say how. ONNX Runtime rounds the places of nearest elements up where an axis shrinks, and
/// down elsewhere.
fn resampled(s: &mut Steps<'_>, x: &str, scales: &[f32], linear: bool) -> Result<Rewritten, Reason> {
    let (smaller, larger) = (scales.iter().any(|scale| *scale < 1.0), scales.iter().any(|scale| *scale > 1.0));
    let rounding = match (smaller, larger) {
        (true, true) if !linear => return Err("nearest elements of axes that grow and of axes that shrink".into()),
        (true, _) => "ceil",
        (false, _) => "floor",
    };
    let scales = s.floats(&[scales.len()], scales);
    let mode = if linear { "linear" } else { "nearest" };
    let attributes = [("mode", Attribute::Text(mode)), ("nearest_mode", Attribute::Text(rounding))];
    let y = s.op(RESIZE_10, &[x, &scales], &attributes);
    s.give(0, &y);
    Ok(Rewritten::Replaced)
}

/// Before version 11, `Resize` is `Upsample` under another name.
pub fn resize(s: &mut Steps<'_>) -> Result<Rewritten, Reason> {
    if s.known.opset < 11 { upsample(s) } else { Ok(Rewritten::Unchanged) }
}

/// The first elements of each sequence backwards, as many as its length says: a gather at computed places.
pub fn reverse_sequence(s: &mut Steps<'_>) -> Result<Rewritten, Reason> {
    let (x, lengths) = (s.needed(0)?, s.needed(1)?);
    let time = s.int_attribute("time_axis").unwrap_or(0);
    let batch = s.int_attribute("batch_axis").unwrap_or(1);
    if !matches!((time, batch), (0, 1) | (1, 0)) {
        return Err(Reason::form("time_axis {} and batch_axis {}", [time.into(), batch.into()]));
    }
    let size = s.shape(x, time, time + 1);
    let size = s.squeeze(&size, &[0]);
    let (zero, one) = (s.int(0), s.int(1));
    let places = s.op("Range", &[&zero, &size, &one], &[]);
    let places = s.unsqueeze(&places, &[batch]);
    let lengths = s.op("Cast", &[lengths], &[("to", Attribute::Int(DataType::Int64 as i64))]);
    let lengths = s.unsqueeze(&lengths, &[time]);
    let last = s.op("Sub", &[&lengths, &one], &[]);
    let back = s.op("Sub", &[&last, &places], &[]);
    let inside = s.op("Less", &[&places, &lengths], &[]);
    let sources = s.op("Where", &[&inside, &back, &places], &[]);
    // Places have the two axes; every other axis of x takes the same ones.
    let shape = s.op("Shape", &[x], &[]);
    let outer = s.shape(x, 0, 2);
    let rest = s.shape(x, 2, i64::MAX);
    let ones = s.op("Div", &[&rest, &rest], &[]);
    let column = s.op("Concat", &[&outer, &ones], &[("axis", Attribute::Int(0))]);
    let sources = s.op("Reshape", &[&sources, &column], &[]);
    let sources = s.op("Expand", &[&sources, &shape], &[]);
    let y = s.op("GatherElements", &[x, &sources], &[("axis", Attribute::Int(time))]);
    s.give(0, &y);
    Ok(Rewritten::Replaced)
}

/// Largest depth of a `OneHot`: its places are a constant.
const MAX_DEPTH: i64 = 1 << 24;

/// `values[1]` where the place along a new axis is the index, `values[0]` elsewhere, for computed values.
pub fn one_hot(s: &mut Steps<'_>) -> Result<Rewritten, Reason> {
    let (indices, depth, values) = (s.needed(0)?, s.needed(1)?, s.needed(2)?);
    let known_depth = s.known.integers(depth).and_then(<[i64]>::first).copied();
    let known_depth = known_depth.or_else(|| s.known.floats(depth)?.first().map(|d| *d as i64));
    if let Some(depth) = known_depth.filter(|depth| !(1..=MAX_DEPTH).contains(depth)) {
        return Err(Reason::form("a depth of {}, which is not 1 to {}", [depth.into(), MAX_DEPTH.into()]));
    }
    // tract counts axes from the end up to the last but one only.
    if s.known.is_constant(values) && s.int_attribute("axis").unwrap_or(-1) >= -1 {
        return Ok(Rewritten::Unchanged);
    }
    let depth = known_depth.ok_or("a depth that is computed")?;
    let (rank, _) = s.known.rank(indices).ok_or("indices whose number of axes is not known")?;
    let rank = rank as i64;
    let axis = s.int_attribute("axis").unwrap_or(-1);
    let axis = if axis < 0 { axis + rank + 1 } else { axis };
    let size = s.int(depth);
    let wide = s.op("Cast", &[indices], &[("to", Attribute::Int(DataType::Int64 as i64))]);
    let zero = s.int(0);
    let negative = s.op("Less", &[&wide, &zero], &[]);
    let from_end = s.op("Add", &[&wide, &size], &[]);
    let index = s.op("Where", &[&negative, &from_end, &wide], &[]);
    let index = s.unsqueeze(&index, &[axis]);
    let places = s.ints(&(0..depth).collect::<Vec<_>>());
    let after: Vec<i64> = (1..=rank - axis).collect();
    let places = if after.is_empty() { places } else { s.unsqueeze(&places, &after) };
    let here = s.op("Equal", &[&index, &places], &[]);
    let (first, second) = (s.int(0), s.int(1));
    let off = s.op("Gather", &[values, &first], &[("axis", Attribute::Int(0))]);
    let on = s.op("Gather", &[values, &second], &[("axis", Attribute::Int(0))]);
    let y = s.op("Where", &[&here, &on, &off], &[]);
    s.give(0, &y);
    Ok(Rewritten::Replaced)
}

/// Constant indices from the start of their axes, where some count from the end: tract folds none that do.
fn from_start(s: &mut Steps<'_>, data: &str, indices: &str) -> Option<String> {
    let batch = usize::try_from(s.int_attribute("batch_dims").unwrap_or(0)).ok()?;
    let (sizes, dims) = (s.known.shape(data)?.get(batch..)?.to_vec(), s.known.shape(indices)?.to_vec());
    let axes = *dims.last().filter(|axes| (1..=sizes.len()).contains(*axes))?;
    let values = s.known.integers(indices)?;
    if values.iter().all(|index| *index >= 0) {
        return None;
    }
    let counted = |(place, index): (usize, &i64)| {
        let size = sizes[place % axes] as i64;
        // What is outside is refused where indices are checked.
        if (-size..0).contains(index) { index + size } else { *index }
    };
    let values: Vec<i64> = values.iter().enumerate().map(counted).collect();
    Some(s.shaped_ints(&dims, &values))
}

/// Elements that lists of constant indices choose, some of them from the end.
pub fn scatter_nd(s: &mut Steps<'_>) -> Result<Rewritten, Reason> {
    let (data, indices, updates) = (s.needed(0)?, s.needed(1)?, s.needed(2)?);
    if !s.known.is_constant(data) {
        return Ok(Rewritten::Unchanged);
    }
    let Some(indices) = from_start(s, data, indices) else { return Ok(Rewritten::Unchanged) };
    let y = s.like(s.node, "ScatterND", &[data, &indices, updates]);
    s.give(0, &y);
    Ok(Rewritten::Replaced)
}

/// Elements of a list, which tract does not gather by lists of one index each, and of constants at constant indices.
pub fn gather_nd(s: &mut Steps<'_>) -> Result<Rewritten, Reason> {
    let (data, indices) = (s.needed(0)?, s.needed(1)?);
    if s.known.is_constant(data)
        && let Some(indices) = from_start(s, data, indices)
    {
        let y = s.like(s.node, "GatherND", &[data, &indices]);
        s.give(0, &y);
        return Ok(Rewritten::Replaced);
    }
    if s.known.rank(data).is_none_or(|(rank, _)| rank != 1) || s.int_attribute("batch_dims").unwrap_or(0) != 0 {
        return Ok(Rewritten::Unchanged);
    }
    let indices = s.squeeze(indices, &[-1]);
    let y = s.op("Gather", &[data, &indices], &[("axis", Attribute::Int(0))]);
    s.give(0, &y);
    Ok(Rewritten::Replaced)
}

/// Blocks (batch, channels · block size, blocks) summed into images where they overlap: a transposed convolution whose weights
/// are a unit matrix, each row one element of a block.
pub fn col2im(s: &mut Steps<'_>) -> Result<Rewritten, Reason> {
    let (x, image, block) = (s.needed(0)?, s.needed(1)?, s.needed(2)?);
    let image = s.known.integers(image).ok_or("an image shape that is computed")?.to_vec();
    let block = s.known.integers(block).ok_or("a block shape that is computed")?.to_vec();
    let axes = image.len();
    let size: i64 = block.iter().product();
    if block.len() != axes || !(1..=3).contains(&axes) || !(1..=4096).contains(&size) {
        return Err(Reason::form("blocks of {} in {}", [block.as_slice().into(), image.as_slice().into()]));
    }
    let list = |name: &str, count: usize, or: i64| s.ints_attribute(name).map_or(vec![or; count], <[i64]>::to_vec);
    let (strides, dilations, pads) = (list("strides", axes, 1), list("dilations", axes, 1), list("pads", 2 * axes, 0));
    if [strides.len(), dilations.len(), pads.len()] != [axes, axes, 2 * axes] || strides.contains(&0) {
        return Err("attributes that do not fit the image".into());
    }
    // Blocks along each axis, and elements of the image behind the last one.
    let span = |i: usize| image[i] + pads[i] + pads[axes + i] - dilations[i] * (block[i] - 1) - 1;
    if (0..axes).any(|i| span(i) < 0) {
        return Err("an image smaller than a block".into());
    }
    let counts: Vec<i64> = (0..axes).map(|i| span(i) / strides[i] + 1).collect();
    let behind: Vec<i64> = (0..axes).map(|i| span(i) % strides[i]).collect();

    // Channels are independent of each other, as the batch is.
    let apart: Vec<i64> = [-1, size].into_iter().chain(counts).collect();
    let apart = s.ints(&apart);
    let blocks = s.op("Reshape", &[x, &apart], &[]);
    let unit: Vec<f32> = (0..size * size).map(|i| if i / size == i % size { 1.0 } else { 0.0 }).collect();
    let dims: Vec<usize> = [size, 1].iter().chain(&block).map(|d| *d as usize).collect();
    let unit = s.floats(&dims, &unit);
    let unit = s.op("CastLike", &[&unit, x], &[]);
    let attributes = [
        ("kernel_shape", Attribute::Ints(&block)),
        ("strides", Attribute::Ints(&strides)),
        ("dilations", Attribute::Ints(&dilations)),
        ("pads", Attribute::Ints(&pads)),
        ("output_padding", Attribute::Ints(&behind)),
    ];
    let images = s.op("ConvTranspose", &[&blocks, &unit], &attributes);
    let batch = s.shape(x, 0, 1);
    let rest: Vec<i64> = [-1].into_iter().chain(image.iter().copied()).collect();
    let rest = s.ints(&rest);
    let shape = s.op("Concat", &[&batch, &rest], &[("axis", Attribute::Int(0))]);
    let y = s.op("Reshape", &[&images, &shape], &[]);
    s.give(0, &y);
    Ok(Rewritten::Replaced)
}

/// Coordinates of an output of constant size, mapped by matrices.
pub fn affine_grid(s: &mut Steps<'_>) -> Result<Rewritten, Reason> {
    let (theta, size) = (s.needed(0)?, s.needed(1)?);
    let size = s.known.integers(size).ok_or("a size that is computed")?.to_vec();
    let align = s.int_attribute("align_corners").unwrap_or(0) != 0;
    let spatial: Option<Vec<usize>> = size.iter().skip(2).map(|d| usize::try_from(*d).ok()).collect();
    let spatial = spatial.filter(|d| matches!(d.len(), 2 | 3)).ok_or("a size of neither four nor five entries")?;
    let count: usize = spatial.iter().product();
    if count > 1 << 24 {
        return Err("a grid of more than 2^24 places".into());
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
