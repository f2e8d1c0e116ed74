//! What the device sees of the element types of tract.

use crate::graph::constant::Dtype;
use tract_onnx::prelude::DatumType;

/// What the device sees of a tract type; `None` for types that have no counterpart.
pub fn dtype(datum: DatumType) -> Option<Dtype> {
    if matches!(datum, DatumType::F32 | DatumType::F16) {
        Some(Dtype::F32)
    } else if datum == DatumType::Bool {
        Some(Dtype::Bool)
    } else if matches!(datum, DatumType::U32 | DatumType::U64) {
        // From 2³¹ on, the device's word means another number to quotients, comparisons and conversions.
        None
    } else if datum == DatumType::TDim || (datum.is_integer() && !datum.is_quantized()) {
        Some(Dtype::I32)
    } else {
        None
    }
}
