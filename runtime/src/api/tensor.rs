//! Dense row-major tensors at the API: element type, shape and little-endian bytes.
//!
//! They deliberately know no arithmetic and no device layout; see `replay/convert.rs` for the latter.

use flashmem_plan_format::plan::{ElementType, Plan, Port, State};
use half::f16;

/// A dense row-major tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tensor {
    /// Element type.
    pub element: ElementType,
    /// Dimensions; empty for a scalar.
    pub shape: Vec<u64>,
    /// Elements, little endian, without padding; one byte of 0 or 1 for a boolean.
    pub bytes: Vec<u8>,
}

/// A constructor and a reader for one element type: its name, type, bytes, and how it is printed.
macro_rules! elements {
    ($($from:ident $read:ident $rust:ty, $element:ident, $bytes:literal, $what:literal;)*) => {
        $(
            #[doc = concat!("A tensor of ", $what, ". The caller guarantees that `values` fill the shape; a run checks it.")]
            pub fn $from(shape: &[u64], values: &[$rust]) -> Self {
                let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
                Self { element: ElementType::$element, shape: shape.to_vec(), bytes }
            }

            #[doc = concat!("The elements of a tensor of ", $what, "; `None` for any other type.")]
            pub fn $read(&self) -> Option<Vec<$rust>> {
                let elements = self.bytes.as_chunks::<$bytes>().0.iter();
                let read = || elements.map(|bytes| <$rust>::from_le_bytes(*bytes)).collect();
                (self.element == ElementType::$element).then(read)
            }
        )*
    };
}

impl Tensor {
    elements! {
        from_f32 as_f32 f32, F32, 4, "f32";
        from_f16 as_f16 f16, F16, 2, "f16 (of the crate `half`)";
        from_i64 as_i64 i64, I64, 8, "i64";
        from_i32 as_i32 i32, I32, 4, "i32";
        from_i8 as_i8 i8, I8, 1, "i8";
        from_u8 as_u8 u8, U8, 1, "u8";
    }

    /// A tensor of booleans. The caller guarantees that `values` fill the shape; a run checks it.
    pub fn from_bool(shape: &[u64], values: &[bool]) -> Self {
        let bytes = values.iter().map(|value| u8::from(*value)).collect();
        Self { element: ElementType::Bool, shape: shape.to_vec(), bytes }
    }

    /// The elements of a tensor of booleans; `None` for any other type.
    pub fn as_bool(&self) -> Option<Vec<bool>> {
        (self.element == ElementType::Bool).then(|| self.bytes.iter().map(|byte| *byte != 0).collect())
    }
}

/// The outputs of a run, in the model's order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outputs {
    /// Name and value of every output.
    pub tensors: Vec<(String, Tensor)>,
}

impl Outputs {
    /// The output of this name.
    pub fn get(&self, name: &str) -> Option<&Tensor> {
        self.tensors.iter().find(|(output, _)| output == name).map(|(_, tensor)| tensor)
    }
}

/// A public input or output of the model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortInfo {
    /// The ONNX name.
    pub name: String,
    /// Element type.
    pub element: ElementType,
    /// Dimensions; empty for a scalar.
    pub shape: Vec<u64>,
}

impl PortInfo {
    pub(crate) fn of(port: &Port) -> Self {
        Self { name: port.name.clone(), element: port.element, shape: port.shape.clone() }
    }

    pub(crate) fn of_state(state: &State) -> Self {
        Self { name: state.input.clone(), element: state.element, shape: state.shape.clone() }
    }
}

/// One of the networks of a bundle that was linked of several.
#[derive(Debug, Clone, PartialEq)]
pub struct NetworkInfo {
    /// What it is called.
    pub name: String,
    /// What a run takes, in the model's order.
    pub inputs: Vec<PortInfo>,
    /// What a run gives.
    pub outputs: Vec<PortInfo>,
    /// What lives from run to run. States that several networks have in common are one.
    pub states: Vec<PortInfo>,
    /// Predicted time of a run that finds nothing in memory, in milliseconds.
    pub predicted_cold_ms: f64,
    /// The same of a run that finds the pages that the network keeps, when others ran in between.
    pub predicted_returned_ms: f64,
    /// For networks that it loads for when they are announced: their names, and the predicted times of their runs then.
    pub predicted_next_ms: Vec<(String, f64)>,
    /// Inputs that take outputs of other networks, or of its own last run, on the device.
    pub connections: Vec<ConnectionInfo>,
}

/// An input that takes an output on the device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionInfo {
    /// The input.
    pub input: String,
    /// The network whose runs hand it over.
    pub network: String,
    /// The output.
    pub output: String,
}

impl NetworkInfo {
    pub(crate) fn of(
        name: &str,
        plan: &Plan,
        predicted_next_ms: Vec<(String, f64)>,
        connections: Vec<ConnectionInfo>,
    ) -> Self {
        Self {
            connections,
            name: name.to_owned(),
            predicted_next_ms,
            inputs: plan.inputs.iter().map(PortInfo::of).collect(),
            outputs: plan.outputs.iter().map(PortInfo::of).collect(),
            states: plan.states.iter().map(PortInfo::of_state).collect(),
            predicted_cold_ms: plan.predicted_cold_us as f64 / 1e3,
            predicted_returned_ms: plan.predicted_warm_us as f64 / 1e3,
        }
    }
}

impl std::fmt::Display for PortInfo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "`{}` ({:?} {:?})", self.name, self.element, self.shape)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_element_type_is_written_and_read_and_no_other_one_is() {
        let halves = [f16::from_f32(0.5), f16::NEG_INFINITY];
        let tensors = [
            Tensor::from_f32(&[2], &[0.5, f32::MIN]),
            Tensor::from_f16(&[2], &halves),
            Tensor::from_i64(&[2], &[i64::MIN, 7]),
            Tensor::from_i32(&[2], &[i32::MIN, 7]),
            Tensor::from_i8(&[2], &[-128, 7]),
            Tensor::from_u8(&[2], &[255, 7]),
            Tensor::from_bool(&[2], &[true, false]),
        ];
        for tensor in &tensors {
            assert_eq!(tensor.bytes.len() as u64, 2 * tensor.element.api_bytes(), "{:?}", tensor.element);
            let read = [
                tensor.as_f32().is_some_and(|values| values == [0.5, f32::MIN]),
                tensor.as_f16().is_some_and(|values| values == halves),
                tensor.as_i64().is_some_and(|values| values == [i64::MIN, 7]),
                tensor.as_i32().is_some_and(|values| values == [i32::MIN, 7]),
                tensor.as_i8().is_some_and(|values| values == [-128, 7]),
                tensor.as_u8().is_some_and(|values| values == [255, 7]),
                tensor.as_bool().is_some_and(|values| values == [true, false]),
            ];
            let expected = tensors.each_ref().map(|other| other.element == tensor.element);
            assert_eq!(read, expected, "{:?}", tensor.element);
        }
    }
}
