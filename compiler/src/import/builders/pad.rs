//! The first Pad, whose pads are `paddings`; later ones are tract's.

use super::built::{Built, integers};
use std::sync::Arc;
use tract_onnx::model::ParsingContext;
use tract_onnx::pb::NodeProto;
use tract_onnx::prelude::TractError;
use tract_onnx::tract_hir::ops::array::{Pad, PadMode};

pub fn build(context: &ParsingContext<'_>, node: &NodeProto) -> Built {
    let Some(list) = integers(node, "paddings") else {
        let own = tract_onnx::onnx().op_register.0;
        return (own["Pad"])(context, node);
    };
    let sizes: Option<Vec<usize>> = list.iter().map(|size| usize::try_from(*size).ok()).collect();
    let sizes = sizes.filter(|sizes| sizes.len() % 2 == 0);
    let sizes = sizes.ok_or_else(|| TractError::msg(format!("paddings of {list:?}")))?;
    let (before, after) = sizes.split_at(sizes.len() / 2);
    let attribute = |name: &str| node.attribute.iter().find(|attribute| attribute.name == name);
    let mode = match attribute("mode").map(|mode| mode.s.as_slice()) {
        None | Some(b"constant") => {
            let value = attribute("value").map_or(0.0, |value| value.f);
            PadMode::Constant(Arc::new(value.into()))
        }
        Some(b"reflect") => PadMode::Reflect,
        Some(b"edge") => PadMode::Edge,
        Some(other) => return Err(TractError::msg(format!("mode {}", String::from_utf8_lossy(other)))),
    };
    Ok((Box::new(Pad::new(before.iter().copied().zip(after.iter().copied()).collect(), mode)), vec![]))
}
