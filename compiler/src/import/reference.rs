//! What the original model computes, by tract on the CPU: the oracle of golden outputs.
//!
//! tract owns every weight here and optimises as it likes; nothing of our translation takes part, but for the
//! operators of `operators/`, which tract runs with their own oracles. It deliberately takes and
//! gives raw little-endian bytes in the element types of the API, as bundles hold them.

use super::error::ImportError;
use super::failure::Stage;
use super::guarded::guarded;
use super::options::ImportOptions;
use super::preflight::fold;
use super::tract;
use super::{model, ports};
use flashmem_plan_format::plan::ElementType;
use std::path::Path;
use tract_onnx::prelude::{
    DatumType, InferenceModel, InferenceModelExt, IntoRunnable, IntoTValue, TValue, TVec, Tensor, TypedModel,
};

fn datum_type(element: ElementType) -> DatumType {
    match element {
        ElementType::F32 => DatumType::F32,
        ElementType::F16 => DatumType::F16,
        ElementType::I32 => DatumType::I32,
        ElementType::I64 => DatumType::I64,
        ElementType::U8 => DatumType::U8,
        ElementType::I8 => DatumType::I8,
        ElementType::Bool => DatumType::Bool,
    }
}

/// Runs the original model: its outputs with their names, in ONNX order. `inputs` are named and may come in any order.
///
/// # Errors
/// Those of import, and [`ImportError::ReferenceInput`] when an input is missing or has the wrong size.
pub fn reference(
    path: &Path,
    options: &ImportOptions,
    inputs: &[(&str, &[u8])],
) -> Result<Vec<(String, Vec<u8>)>, ImportError> {
    let (model, inferred) = tract::read(path, options, true)?;
    let names = std::rc::Rc::clone(&model.names);
    run(model, inferred, inputs).map_err(|error| error.with_names(&names))
}

fn run(
    mut model: model::Model,
    inferred: InferenceModel,
    inputs: &[(&str, &[u8])],
) -> Result<Vec<(String, Vec<u8>)>, ImportError> {
    model.proto = tract_onnx::pb::ModelProto::default();
    let optimized = guarded(Stage::Simplify, || {
        let mut typed = fold::decluttered(inferred.into_typed()?)?;
        typed.optimize()?;
        Ok(typed)
    })?;
    let mut values: TVec<TValue> = TVec::new();
    for (position, port) in model.inputs.iter().enumerate() {
        let bytes_of_input = inputs.iter().find(|(name, _)| *name == port.name).map(|(_, bytes)| *bytes);
        values.push(value(&optimized, position, port, bytes_of_input)?);
    }
    let outputs = guarded(Stage::Run, || optimized.into_runnable()?.run(values))?;
    let ports = model.outputs.iter().zip(outputs);
    ports
        .map(|(port, output)| {
            guarded(Stage::Run, || {
                let converted = output.cast_to_dt(datum_type(port.element))?;
                Ok((port.name.clone(), converted.as_bytes().to_vec()))
            })
        })
        .collect()
}

fn value(model: &TypedModel, position: usize, port: &ports::Port, bytes: Option<&[u8]>) -> Result<TValue, ImportError> {
    let refused = |reason: String| ImportError::ReferenceInput { name: port.name.clone(), reason };
    let fact = guarded(Stage::Run, || Ok(model.input_fact(position)?.clone()))?;
    let shape = fact.shape.as_concrete().ok_or_else(|| refused("its shape is not fixed".to_owned()))?;
    let bytes = bytes.ok_or_else(|| refused("no value is given".to_owned()))?;
    let datum = datum_type(port.element);
    let expected = shape.iter().product::<usize>() * datum.size_of();
    if bytes.len() != expected {
        return Err(refused(format!("{} bytes are given instead of {expected}", bytes.len())));
    }
    if port.element == ElementType::Bool && bytes.iter().any(|b| *b > 1) {
        return Err(refused("a boolean is neither 0 nor 1".to_owned()));
    }
    guarded(Stage::Run, || {
        // SAFETY: the length fits the shape, and every bit pattern is a value of these types (booleans are checked).
        let tensor = unsafe { Tensor::from_raw_dt(datum, shape, bytes)? };
        Ok(tensor.cast_to_dt(fact.datum_type)?.into_owned().into_tvalue())
    })
}
