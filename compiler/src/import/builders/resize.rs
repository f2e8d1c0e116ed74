//! `Resize` of version 10 in a model of any version: what `Upsample` is, whose coordinates it has.

use super::built::Built;
use tract_onnx::model::ParsingContext;
use tract_onnx::pb::NodeProto;

/// The type of these nodes: none of ONNX.
pub const RESIZE_10: &str = "flashmem.Resize10";

/// The version whose `Resize` it is.
const VERSION: i64 = 10;

pub fn build(context: &ParsingContext<'_>, node: &NodeProto) -> Built {
    let own = tract_onnx::onnx().op_register.0;
    let context = ParsingContext { onnx_operator_set_version: VERSION, ..context.clone() };
    (own["Resize"])(&context, node)
}
