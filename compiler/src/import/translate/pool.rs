//! Pooling.
//!
//! An average that counts padding and whose last window reaches past it divides by what is inside the padding; ours counts
//! all padding or none, so such padding becomes an operator of its own. A sum is an average times the window's size.

use super::context::{Outcome, Translator, variant};
use super::convolution::{channels_first, in_format};
use crate::graph::NodeId;
use crate::graph::constant::{Constant, Dtype};
use crate::graph::op::{Op, PadMode, PoolKind};
use crate::graph::pointwise::{BinaryOp, Pointwise};
use crate::import::expression::ExpressionBuilder;
use crate::import::reason::Reason;
use crate::import::windows::forward_window;
use tract_onnx::prelude::TypedNode;
use tract_onnx::tract_core::ops::cnn::{MaxPool, SumPool};

/// Maximum. Integers of up to 16 bits are exact as floats.
pub fn max_pool(t: &mut Translator<'_>, node: &TypedNode, op: &MaxPool) -> Outcome {
    let format = op.pool_spec.data_format;
    if op.with_index_outputs.is_some() && (format.c_is_last() || !format.has_n()) {
        return variant("with indices, channels last");
    }
    let mut x = t.input(node, 0)?;
    let dtype = t.dtype(x);
    if dtype != Dtype::F32 {
        let datum = t.datum_type(node, 0)?;
        if dtype != Dtype::I32 || datum.size_of() > 2 {
            return variant(Reason::form("of {}", [datum.into()]));
        }
        x = t.pointwise(Pointwise::cast(dtype, Dtype::F32), &[x])?;
    }
    let x = channels_first(t, x, format)?;
    let (window, _) = forward_window(&op.pool_spec, &t.shape(x))?;
    let mut y = t.emit(Op::Pool { window: window.clone(), kind: PoolKind::Max }, &[x])?;
    if dtype != Dtype::F32 {
        y = t.pointwise(Pointwise::cast(Dtype::F32, dtype), &[y])?;
    }
    let y = in_format(t, y, format)?;
    if op.with_index_outputs.is_none() {
        return Ok(vec![y]);
    }
    Ok(vec![y, t.emit(Op::Pool { window, kind: PoolKind::MaxIndex }, &[x])?])
}

/// The name of tract's operator that makes indices within a channel indices into the whole tensor. Its type is private to
/// tract, so that it is known by its name and its parameters by what it prints.
const FLAT_INDICES: &str = "OnnxMaxPoolIndices";

/// Indices of maxima: within their channel in row-major order to within the whole tensor, by rows or by columns.
pub fn flat_indices(t: &mut Translator<'_>, node: &TypedNode) -> Option<Outcome> {
    (node.op.name() == FLAT_INDICES).then(|| {
        let printed = format!("{:?}", node.op);
        let by_columns = printed.contains("column_major: true");
        if by_columns == printed.contains("column_major: false") {
            return variant("an order of indices that is not known");
        }
        let index = t.input(node, 0)?;
        let Some(spatial) = t.pooled_shape(index) else {
            return variant("indices of something that is no pooling");
        };
        plane_offsets(t, index, &spatial, by_columns)
    })
}

fn plane_offsets(t: &mut Translator<'_>, index: NodeId, spatial: &[usize], by_columns: bool) -> Outcome {
    let shape = t.shape(index);
    let plane: usize = spatial.iter().product();
    let planes: usize = shape[..2].iter().product();
    if i32::try_from(plane * planes).is_err() {
        return variant("data too large for 32-bit indices");
    }
    let starts: Vec<i32> = (0..planes).map(|p| (p * plane) as i32).collect();
    let starts_shape = [&shape[..2], vec![1; spatial.len()].as_slice()].concat();
    let starts = t.emit_constant(Constant::from_i32(starts_shape, &starts));
    let mut p = ExpressionBuilder::default();
    let (index_value, start) = (p.input(Dtype::I32), p.input(Dtype::I32));
    let mut within = index_value;
    if by_columns {
        // Coordinates are peeled off from the innermost axis, whose stride is the product of all others.
        let mut rest = index_value;
        within = p.integer(0);
        for axis in (0..spatial.len()).rev() {
            let size = p.integer(spatial[axis] as i32);
            let stride = p.integer(spatial[..axis].iter().product::<usize>() as i32);
            let coordinate = p.binary(BinaryOp::Fmod, rest, size);
            let part = p.binary(BinaryOp::Mul, coordinate, stride);
            within = p.binary(BinaryOp::Add, within, part);
            rest = p.binary(BinaryOp::Div, rest, size);
        }
    }
    p.binary(BinaryOp::Add, within, start);
    Ok(vec![t.pointwise(p.finish(), &[index, starts])?])
}

/// Sum or average.
pub fn sum_pool(t: &mut Translator<'_>, node: &TypedNode, op: &SumPool) -> Outcome {
    let x = t.input(node, 0)?;
    if t.dtype(x) != Dtype::F32 {
        return variant("of integers");
    }
    let mut x = channels_first(t, x, op.pool_spec.data_format)?;
    let (mut window, asked) = forward_window(&op.pool_spec, &t.shape(x))?;
    let mut count_include_pad = op.count_include_pad || !op.normalize;
    let overhangs = window.pads_after.iter().zip(&asked).any(|(grown, asked)| grown > asked);
    if op.count_include_pad && op.normalize && overhangs {
        let pads = |pads: &[usize]| [0, 0].iter().chain(pads).copied().collect::<Vec<_>>();
        let (before, after) = (pads(&window.pads_before), pads(&asked));
        x = t.emit(Op::Pad { before, after, mode: PadMode::Constant(0.0) }, &[x])?;
        window.pads_before.fill(0);
        for (grown, asked) in window.pads_after.iter_mut().zip(&asked) {
            *grown = grown.saturating_sub(*asked);
        }
        count_include_pad = false;
    }
    let size: usize = window.kernel.iter().product();
    let mut y = t.emit(Op::Pool { window, kind: PoolKind::Average { count_include_pad } }, &[x])?;
    if !op.normalize {
        let mut p = ExpressionBuilder::default();
        let mean = p.input(Dtype::F32);
        let size = p.float(size as f32);
        p.binary(BinaryOp::Mul, mean, size);
        y = t.pointwise(p.finish(), &[y])?;
    }
    Ok(vec![in_format(t, y, op.pool_spec.data_format)?])
}
