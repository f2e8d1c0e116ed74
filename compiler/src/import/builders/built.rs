//! What builders give, and what they read of a node.

use tract_onnx::pb::NodeProto;
use tract_onnx::prelude::TractResult;
use tract_onnx::tract_hir::internal::InferenceOp;

/// What a builder gives: the operator, and the names that its subgraphs read from outside.
pub type Built = TractResult<(Box<dyn InferenceOp>, Vec<String>)>;

/// A list of integers.
pub fn integers<'a>(node: &'a NodeProto, name: &str) -> Option<&'a [i64]> {
    let attribute = node.attribute.iter().find(|attribute| attribute.name == name)?;
    Some(&attribute.ints)
}
