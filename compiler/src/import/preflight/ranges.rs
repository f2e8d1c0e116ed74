//! Ranges of attributes, and of small constant operands that are parameters: the one table.
//!
//! A range is what any model could mean, not what an operator supports: it keeps arithmetic on parameters away from overflow.
//! Where the rank of the first operand is known, axes and lists are held against it. What has no row is a number within 32 bits.

use super::invalid::Invalid;
use super::limits::{MAX_DIMENSION, MAX_ELEMENTS, MAX_RANK};
use std::ops::RangeInclusive;
use tract_onnx::pb::{AttributeProto, NodeProto, attribute_proto::AttributeType};

/// Longest list of integers that is an attribute, where it is no value.
const MAX_LIST: usize = 1 << 16;

/// Most taps of a window: a pool of more is cut into hundreds of calls on a software adapter.
const MAX_TAPS: i64 = 1 << 24;

const AXIS: RangeInclusive<i64> = -MAX_RANK..=MAX_RANK;
const FLAG: RangeInclusive<i64> = 0..=1;
const SIZE: RangeInclusive<i64> = 0..=MAX_DIMENSION;
const POSITIVE: RangeInclusive<i64> = 1..=MAX_DIMENSION;
const SIGNED: RangeInclusive<i64> = -MAX_DIMENSION..=MAX_DIMENSION;

/// The range of an integer attribute, or of every entry of a list; `None` where any number has a meaning.
fn of_attribute(op: &str, name: &str) -> Option<RangeInclusive<i64>> {
    Some(match (op, name) {
        // Values, and bounds that mean "to the end".
        ("Constant", "value_int" | "value_ints") | ("Slice", "starts" | "ends") | (_, "seed") => return None,
        (
            _,
            "align_corners"
            | "antialias"
            | "broadcast"
            | "ceil_mode"
            | "count_include_pad"
            | "detect_negative"
            | "detect_positive"
            | "exclude_outside"
            | "exclusive"
            | "fmod"
            | "interleaved"
            | "inverse"
            | "is_causal"
            | "is_test"
            | "keepdims"
            | "largest"
            | "layout"
            | "linear_before_reset"
            | "noop_with_empty_axes"
            | "onesided"
            | "output_sequence"
            | "periodic"
            | "reverse"
            | "saturate"
            | "select_last_index"
            | "sorted"
            | "spatial"
            | "storage_order"
            | "training_mode"
            | "transA"
            | "transB"
            | "transBatchA"
            | "transBatchB"
            | "upper",
        ) => FLAG,
        ("Pad", "pads" | "paddings") => SIGNED,
        ("Reshape", "shape") => -1..=MAX_DIMENSION,
        ("EyeLike", "k") => SIGNED,
        ("LRN", "size") => 1..=MAX_TAPS,
        (_, "axis" | "axes" | "batch_axis" | "time_axis" | "batch_dims" | "scan_input_axes" | "scan_output_axes") => {
            AXIS
        }
        (_, "perm") => 0..=MAX_RANK - 1,
        (
            _,
            "strides" | "dilations" | "kernel_shape" | "group" | "pooled_shape" | "blocksize" | "num_groups" | "size"
            | "hidden_size" | "num_outputs" | "offset_group" | "num_scan_inputs",
        ) => POSITIVE,
        (
            _,
            "pads"
            | "output_padding"
            | "output_shape"
            | "split"
            | "k"
            | "sampling_ratio"
            | "output_height"
            | "output_width"
            | "num_heads"
            | "q_num_heads"
            | "kv_num_heads"
            | "rotary_embedding_dim",
        ) => SIZE,
        _ => SIGNED,
    })
}

/// The range of every element of an integer operand that is a parameter.
fn of_operand(op: &str, position: usize) -> Option<RangeInclusive<i64>> {
    Some(match (op, position) {
        ("Reshape" | "Expand", 1) => -1..=MAX_DIMENSION,
        ("Tile" | "CenterCropPad" | "AffineGrid" | "Upsample" | "TopK" | "Split", 1)
        | ("ConstantOfShape" | "HannWindow" | "HammingWindow" | "BlackmanWindow", 0)
        | ("Resize", 2 | 3)
        | ("MaxUnpool", 2)
        | ("MelWeightMatrix", 0..=2) => SIZE,
        ("Col2Im", 1 | 2) | ("DFT", 1) | ("STFT", 1 | 3) | ("OneHot", 1) => POSITIVE,
        ("Pad", 1) => SIGNED,
        ("Unsqueeze" | "Squeeze" | "CumSum", 1) | ("Pad" | "Slice", 3) | ("DFT", 2) => AXIS,
        (reduction, 1) if reduction.starts_with("Reduce") => AXIS,
        _ => return None,
    })
}

/// Whether an operand holds factors of sizes: of Resize the third, or the second where there are two.
fn is_scale(node: &NodeProto, position: usize) -> bool {
    match node.op_type.as_str() {
        "Upsample" => position == 1,
        "Resize" => position == if node.input.len() == 2 { 1 } else { 2 },
        _ => false,
    }
}

fn expected(range: &RangeInclusive<i64>) -> String {
    format!("{} to {} is allowed", range.start(), range.end())
}

fn refused(node: &NodeProto, attribute: &str, value: impl ToString, expected: impl Into<String>) -> Invalid {
    Invalid::Attribute {
        node: node.name.clone(),
        op: node.op_type.clone(),
        attribute: attribute.to_owned(),
        value: value.to_string(),
        expected: expected.into(),
    }
}

/// Checks every attribute of a node.
pub fn attributes(node: &NodeProto) -> Result<(), Invalid> {
    node.attribute.iter().try_for_each(|attribute| one_attribute(node, attribute))
}

fn one_attribute(node: &NodeProto, attribute: &AttributeProto) -> Result<(), Invalid> {
    let name = attribute.name.as_str();
    if let Some(range) = of_attribute(&node.op_type, name) {
        // Old models do not say the type; 0 is then what is there when nothing was given.
        let is_integer = attribute.r#type == AttributeType::Int as i32 || (attribute.r#type == 0 && attribute.i != 0);
        let single = is_integer.then_some(attribute.i);
        if let Some(value) = attribute.ints.iter().copied().chain(single).find(|value| !range.contains(value)) {
            return Err(refused(node, name, value, expected(&range)));
        }
        if attribute.ints.len() > MAX_LIST {
            return Err(refused(node, name, format!("a list of {}", attribute.ints.len()), "lists are shorter"));
        }
    }
    let taps = || attribute.ints.iter().fold(1_i64, |taps, size| taps.saturating_mul(*size));
    if name == "kernel_shape" && taps() > MAX_TAPS {
        let value = format!("{:?}", attribute.ints);
        return Err(refused(node, name, value, format!("a window has at most {MAX_TAPS} elements")));
    }
    if name == "perm" {
        let mut sorted = attribute.ints.clone();
        sorted.sort_unstable();
        if sorted.iter().zip(0..).any(|(found, axis)| *found != axis) {
            return Err(refused(node, name, format!("{:?}", attribute.ints), "it has to name every axis once"));
        }
    }
    if node.op_type == "Upsample" && attribute.floats.iter().any(|scale| !is_factor(f64::from(*scale))) {
        return Err(refused(node, name, format!("{:?}", attribute.floats), "scales are positive and finite"));
    }
    Ok(())
}

/// Whether a size can be multiplied by it.
fn is_factor(scale: f64) -> bool {
    scale > 0.0 && scale <= MAX_DIMENSION as f64
}

/// Elements of a constant operand.
#[derive(Debug, Clone, Copy)]
pub enum Elements<'a> {
    /// Integers, or booleans.
    Integers(&'a [i64]),
    /// Floats.
    Floats(&'a [f32]),
}

/// Checks a constant operand of a node.
pub fn operand(node: &NodeProto, position: usize, elements: Elements<'_>) -> Result<(), Invalid> {
    let op = node.op_type.as_str();
    let refused = |value: String, expected: String| {
        Err(Invalid::Operand { node: node.name.clone(), op: op.to_owned(), position, value, expected })
    };
    match elements {
        Elements::Integers(values) => {
            if let Some(range) = of_operand(op, position)
                && let Some(value) = values.iter().find(|value| !range.contains(value))
            {
                return refused(value.to_string(), expected(&range));
            }
            if (op, position) == ("Slice", 4) && values.contains(&0) {
                return refused("0".to_owned(), "a step is not 0".to_owned());
            }
        }
        Elements::Floats(values) if is_scale(node, position) => {
            if let Some(value) = values.iter().find(|value| !is_factor(f64::from(**value))) {
                return refused(value.to_string(), "scales are positive and finite".to_owned());
            }
        }
        Elements::Floats(_) => {}
    }
    Ok(())
}

/// Checks the bounds of a `Range`.
pub fn range_of(node: &NodeProto, [start, limit, delta]: [f64; 3]) -> Result<(), Invalid> {
    let count = ((limit - start) / delta).ceil();
    if count.is_finite() && count <= MAX_ELEMENTS.min(MAX_DIMENSION as u64) as f64 {
        return Ok(());
    }
    Err(Invalid::Operand {
        node: node.name.clone(),
        op: node.op_type.clone(),
        position: 2,
        value: delta.to_string(),
        expected: format!("a step from {start} to {limit} that gives at most {MAX_DIMENSION} elements is needed"),
    })
}

/// Lists whose length follows from the rank of the first operand.
fn expected_length(op: &str, name: &str, rank: usize) -> Option<usize> {
    let spatial = rank.checked_sub(2)?;
    match (op, name) {
        ("Transpose", "perm") => Some(rank),
        (
            "Conv" | "ConvTranspose" | "ConvInteger" | "QLinearConv" | "MaxPool" | "AveragePool" | "LpPool"
            | "MaxUnpool",
            "kernel_shape" | "strides" | "dilations" | "output_padding",
        ) => Some(spatial),
        (
            "Conv" | "ConvTranspose" | "ConvInteger" | "QLinearConv" | "MaxPool" | "AveragePool" | "LpPool"
            | "MaxUnpool",
            "pads",
        ) => Some(2 * spatial),
        _ => None,
    }
}

/// The axis that a node names, with the attribute.
fn axis_of(node: &NodeProto) -> Option<(i64, &'static str)> {
    let attribute = |name: &str| node.attribute.iter().find(|a| a.name == name).map(|a| a.i);
    match node.op_type.as_str() {
        "LayerNormalization" | "RMSNormalization" | "SimplifiedLayerNormalization" => {
            Some((attribute("axis").unwrap_or(-1), "axis"))
        }
        "Softmax" | "LogSoftmax" | "Hardmax" | "LpNormalization" | "Gather" | "GatherElements" | "ScatterElements"
        | "Scatter" | "Concat" | "Split" | "ArgMax" | "ArgMin" | "TopK" => Some((attribute("axis")?, "axis")),
        _ => None,
    }
}

/// How far behind the last axis an axis may be: old versions of these see a matrix, whose second half may be empty.
fn behind(op: &str) -> i64 {
    i64::from(matches!(op, "Softmax" | "LogSoftmax" | "Hardmax"))
}

/// Holds axes and lists of a node against the rank of its first operand.
pub fn with_rank(node: &NodeProto, rank: usize) -> Result<(), Invalid> {
    if let Some((axis, name)) = axis_of(node)
        && !(-(rank as i64)..rank as i64 + behind(&node.op_type)).contains(&axis)
    {
        return Err(refused(node, name, axis, format!("its operand has {rank} axes")));
    }
    for attribute in node.attribute.iter().filter(|attribute| !attribute.ints.is_empty()) {
        if let Some(length) = expected_length(&node.op_type, &attribute.name, rank)
            && attribute.ints.len() != length
        {
            let value = format!("{:?}", attribute.ints);
            return Err(refused(node, &attribute.name, value, format!("{length} numbers are needed")));
        }
    }
    Ok(())
}
