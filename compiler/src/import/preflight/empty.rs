//! What a reduction gives where it has nothing to reduce.
//!
//! tract gives the largest and the lowest finite number for a minimum and a maximum of nothing, and stops at a sum.
//! ONNX says what else there is, and leaves a mean open: ours is 0, as ONNX Runtime's. It deliberately knows no
//! operator but reductions.

use tract_onnx::pb::NodeProto;
use tract_onnx::prelude::tract_data::half::f16;
use tract_onnx::prelude::{DatumType, InferenceFact, Tensor, tensor0};
use tract_onnx::tract_hir::internal::{DimLike, Factoid};

/// The result of a reduction whose operand has no elements, while the result has some.
pub fn reduced(node: &NodeProto, operand: Option<&InferenceFact>, result: Option<&InferenceFact>) -> Option<Tensor> {
    if !matches!(node.domain.as_str(), "" | "ai.onnx") || !node.op_type.starts_with("Reduce") {
        return None;
    }
    let (operand, result) = (operand?, result?);
    let has_none =
        operand.shape.dims().any(|dim| dim.concretize().is_some_and(|dim| dim.to_i64().is_ok_and(|d| d == 0)));
    if !has_none {
        return None;
    }
    let shape: Option<Vec<usize>> = result.shape.concretize()?.iter().map(|dim| dim.to_usize().ok()).collect();
    let shape = shape.filter(|shape| !shape.contains(&0))?;
    let datum = result.datum_type.concretize().or_else(|| operand.datum_type.concretize())?;
    let value = match node.op_type.as_str() {
        "ReduceMax" => lowest(datum)?,
        "ReduceMin" => highest(datum)?,
        "ReduceSum" | "ReduceL1" | "ReduceL2" | "ReduceSumSquare" | "ReduceMean" => tensor0(0_i64),
        "ReduceProd" => tensor0(1_i64),
        "ReduceLogSum" | "ReduceLogSumExp" if datum.is_float() => tensor0(f32::NEG_INFINITY),
        _ => return None,
    };
    value.cast_to_dt(datum).ok()?.broadcast_scalar_to_shape(&shape).ok()
}

/// What every value of a type is at least.
#[expect(clippy::wildcard_enum_match_arm, reason = "tract's types: those that bundles have are few")]
fn lowest(datum: DatumType) -> Option<Tensor> {
    Some(match datum {
        DatumType::F16 => tensor0(f16::NEG_INFINITY),
        DatumType::F32 => tensor0(f32::NEG_INFINITY),
        DatumType::F64 => tensor0(f64::NEG_INFINITY),
        DatumType::I8 => tensor0(i8::MIN),
        DatumType::I16 => tensor0(i16::MIN),
        DatumType::I32 => tensor0(i32::MIN),
        DatumType::I64 => tensor0(i64::MIN),
        DatumType::U8 | DatumType::U16 | DatumType::U32 | DatumType::U64 => tensor0(0_i64),
        DatumType::Bool => tensor0(false),
        _ => return None,
    })
}

/// What every value of a type is at most.
#[expect(clippy::wildcard_enum_match_arm, reason = "tract's types: those that bundles have are few")]
fn highest(datum: DatumType) -> Option<Tensor> {
    Some(match datum {
        DatumType::F16 => tensor0(f16::INFINITY),
        DatumType::F32 => tensor0(f32::INFINITY),
        DatumType::F64 => tensor0(f64::INFINITY),
        DatumType::I8 => tensor0(i8::MAX),
        DatumType::I16 => tensor0(i16::MAX),
        DatumType::I32 => tensor0(i32::MAX),
        DatumType::I64 => tensor0(i64::MAX),
        DatumType::U8 => tensor0(u8::MAX),
        DatumType::U16 => tensor0(u16::MAX),
        DatumType::U32 => tensor0(u32::MAX),
        DatumType::U64 => tensor0(u64::MAX),
        DatumType::Bool => tensor0(true),
        _ => return None,
    })
}
