//! Pooling.
//!
//! An average that counts padding and whose last window reaches past it divides by what is inside the padding; ours counts
//! all padding or none, so such padding becomes an operator of its own. A sum is an average times the window's size.

use super::context::{Outcome, Translator, variant};
use super::convolution::{channels_first, forward_window, in_format};
use super::program::Program;
use crate::graph::constant::Dtype;
use crate::graph::op::{Op, PadMode, PoolKind};
use crate::graph::pointwise::BinaryOp;
use tract_onnx::prelude::TypedNode;
use tract_onnx::tract_core::ops::cnn::{MaxPool, SumPool};

/// Maximum.
pub fn max_pool(t: &mut Translator<'_>, node: &TypedNode, op: &MaxPool) -> Outcome {
    if op.with_index_outputs.is_some() {
        return variant("with indices");
    }
    let x = t.input(node, 0)?;
    let x = channels_first(t, x, op.pool_spec.data_format)?;
    let (window, _) = forward_window(&op.pool_spec, &t.shape(x))?;
    let y = t.emit(Op::Pool { window, kind: PoolKind::Max }, &[x])?;
    Ok(vec![in_format(t, y, op.pool_spec.data_format)?])
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
        let mut p = Program::default();
        let mean = p.input(Dtype::F32);
        let size = p.float(size as f32);
        p.binary(BinaryOp::Mul, mean, size);
        y = t.pointwise(p.finish(), &[y])?;
    }
    Ok(vec![in_format(t, y, op.pool_spec.data_format)?])
}
