//! How a model stores its float weights, by a look at its message: what `--weights` is when nobody says it.
//!
//! Counted are the initialisers of the graph and the tensors of its `Constant` nodes and of those of functions, by the bytes that
//! their shapes imply. No weight is read and no file of external data is opened. Subgraphs do not count.

use super::error::ImportError;
use super::protobuf::{FLOAT, FLOAT16, skim};
use super::weights::map_file;
use flashmem_plan_format::plan::Encoding;
use std::path::Path;
use tract_onnx::pb::{TensorProto, tensor_proto::DataType};
use tract_onnx::prelude::Framework as _;

/// f16 when more bytes of float weights are stored as f16 than as wider types, else f32.
///
/// # Errors
/// When the file cannot be read or is no ONNX model.
pub fn stored_precision(path: &Path) -> Result<Encoding, ImportError> {
    let map = map_file(path).map_err(|source| ImportError::Read { path: path.to_owned(), source })?;
    let skeleton = skim(&map);
    let not_onnx = |e| ImportError::NotOnnx { path: path.to_owned(), reason: super::stopped::one_line(&e) };
    let model = tract_onnx::onnx().proto_model_for_read(&mut skeleton.bytes.as_slice()).map_err(not_onnx)?;
    let graph = model.graph.unwrap_or_default();
    let nodes = graph.node.iter().chain(model.functions.iter().flat_map(|function| &function.node));
    let constants = nodes.filter(|node| node.op_type == "Constant").flat_map(|node| &node.attribute);
    let small = graph.initializer.iter().chain(constants.filter_map(|attribute| attribute.t.as_ref()));
    let small = small.map(|tensor: &TensorProto| (tensor.data_type, tensor.dims.as_slice()));
    let large = skeleton.large.iter().map(|tensor| (tensor.data_type, tensor.dims.as_slice()));
    Ok(max_bytes(small.chain(large)))
}

fn max_bytes<'a>(tensors: impl Iterator<Item = (i32, &'a [i64])>) -> Encoding {
    let (mut half_bytes, mut wider_bytes) = (0_u64, 0_u64);
    for (data_type, dims) in tensors {
        let elements = dims.iter().fold(1_u64, |product, dim| product.saturating_mul(dim.unsigned_abs()));
        let (sum, element_bytes) = match data_type {
            FLOAT16 => (&mut half_bytes, 2),
            FLOAT => (&mut wider_bytes, 4),
            // f16 has less range than this, though as many bytes.
            other if other == DataType::Bfloat16 as i32 => (&mut wider_bytes, 2),
            other if other == DataType::Double as i32 => (&mut wider_bytes, 8),
            _ => continue,
        };
        *sum = sum.saturating_add(elements.saturating_mul(element_bytes));
    }
    if half_bytes > wider_bytes { Encoding::F16 } else { Encoding::F32 }
}

#[cfg(test)]
mod tests {
    use super::{Encoding, FLOAT, FLOAT16, max_bytes};

    #[test]
    fn bytes_decide() {
        const INT8: i32 = 3;
        let of = |tensors: &[(i32, &'static [i64])]| max_bytes(tensors.iter().copied());
        assert_eq!(of(&[]), Encoding::F32);
        assert_eq!(of(&[(INT8, &[1000])]), Encoding::F32);
        assert_eq!(of(&[(FLOAT16, &[64, 64]), (FLOAT, &[64])]), Encoding::F16);
        assert_eq!(of(&[(FLOAT16, &[20]), (FLOAT, &[10])]), Encoding::F32, "as many bytes");
        assert_eq!(of(&[(FLOAT16, &[21]), (FLOAT, &[10])]), Encoding::F16);
        assert_eq!(of(&[(FLOAT16, &[i64::MAX, i64::MAX]), (FLOAT, &[i64::MIN])]), Encoding::F32);
    }
}
