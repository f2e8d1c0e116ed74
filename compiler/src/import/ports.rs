//! Public inputs and outputs: names, and element types that bundles can have.
//!
//! Every input of a graph says its element type. ONNX wants outputs to say theirs too, and some tools leave it out: it is the one that
//! follows from the schemas then. A sequence or a map is no tensor, and to the decoder as good as no type. Deliberately not here:
//! shapes (`sizes.rs`).

use super::error::ImportError;
use super::types::declared;
use flashmem_plan_format::plan::ElementType;
use flashmem_plan_format::validate::MAX_PORT_NAME_BYTES;
use std::collections::BTreeMap;
use tract_onnx::pb::{GraphProto, TypeProto, ValueInfoProto, tensor_proto::DataType, type_proto};

/// Characters of a name that is too long that are shown.
const SHOWN_NAME_CHARACTERS: usize = 96;

/// A public input or output.
#[derive(Debug, Clone)]
pub struct Port {
    /// ONNX name.
    pub name: String,
    /// Element type at the API.
    pub element: ElementType,
}

/// Gives outputs without an element type the one that follows; `types` are those of all values, as far as they follow.
///
/// # Errors
/// Inputs without an element type, and outputs for which none follows.
pub fn give_types(graph: &mut GraphProto, types: &BTreeMap<String, i32>) -> Result<(), ImportError> {
    let untyped = |info: &ValueInfoProto, port| ImportError::InterfaceUntyped { port, name: info.name.clone() };
    if let Some(input) = graph.input.iter().find(|input| !types.contains_key(&input.name)) {
        return Err(untyped(input, "input"));
    }
    for output in graph.output.iter_mut().filter(|output| declared(output).is_none()) {
        let elem_type = *types.get(&output.name).ok_or_else(|| untyped(output, "output"))?;
        let info = output.r#type.get_or_insert_with(TypeProto::default);
        let type_proto::Value::TensorType(tensor) =
            info.value.get_or_insert(type_proto::Value::TensorType(type_proto::Tensor { elem_type, shape: None }));
        tensor.elem_type = elem_type;
    }
    Ok(())
}

/// The port of a graph input or output that has a type.
///
/// # Errors
/// Names and element types that bundles cannot have.
#[expect(clippy::wildcard_enum_match_arm, reason = "ONNX's types: those that are taken are few")]
pub fn port(info: &ValueInfoProto) -> Result<Port, ImportError> {
    if info.name.len() > MAX_PORT_NAME_BYTES {
        let shown = info.name.chars().take(SHOWN_NAME_CHARACTERS).collect();
        return Err(ImportError::PortName { name: shown, bytes: info.name.len(), limit: MAX_PORT_NAME_BYTES });
    }
    let refused =
        |element: &str| ImportError::InterfaceElement { name: info.name.clone(), element: element.to_owned() };
    let number = declared(info).unwrap_or_default();
    let data_type = DataType::try_from(number).map_err(|_| refused(&number.to_string()))?;
    let element = match data_type {
        DataType::Float => ElementType::F32,
        DataType::Float16 => ElementType::F16,
        DataType::Int32 => ElementType::I32,
        DataType::Int64 => ElementType::I64,
        DataType::Uint8 => ElementType::U8,
        DataType::Int8 => ElementType::I8,
        DataType::Bool => ElementType::Bool,
        other => return Err(refused(&format!("{other:?}").to_uppercase())),
    };
    Ok(Port { name: info.name.clone(), element })
}
