//! Sums or products of the elements up to each place of every line.
//!
//! ONNX's CumSum (`import/translate/selection.rs`) and CumProd are this. It deliberately goes in ascending order, one line an
//! invocation: a parallel scan would round otherwise.

use crate::cost::OperatorClass;
use crate::graph::constant::Dtype;
use crate::graph::kernel_op::{Accumulation, Cumulative, KernelOpKind, KernelOperator, Operands};
use crate::graph::tensor::{Tensor, word as word_of};
use crate::graph::{NodeId, ShapeError};
use crate::import::reason::Reason;
use crate::import::rewrite::outcome::Rewritten;
use crate::import::rewrite::steps::Steps;
use crate::kernels::rounds::{Rounds, once};
use crate::kernels::{Hook, Kernel, KernelRow, OwnKernel, SHARED_EACH, SHARED_ROWS, SHARED_WORDS, body, row};
use crate::lower::context::{Call, Lowering};
use crate::lower::error::LowerError;
use crate::lower::ops::kernel_op::LowerKernelOp;
use crate::lower::ops::lines::Lines;
use crate::lower::ops::strided::{ROUNDS_PER_CALL, cost, linear};

impl OwnKernel for Cumulative {
    const KERNEL: KernelRow =
        row(body!("cumulative"), Hook::None, &["out", "x"], Rounds::of(&["steps"], |p| once(p[0])))
            .shared(&[SHARED_WORDS, SHARED_EACH, SHARED_ROWS])
            .class(OperatorClass::Hierarchical);
}

impl Cumulative {
    /// ONNX's CumProd.
    pub fn from_onnx(s: &mut Steps<'_>) -> Result<Rewritten, Reason> {
        let (x, axis) = (s.needed(0)?, s.needed(1)?);
        let axis = match s.known.integers(axis) {
            Some([axis]) => *axis,
            _ => return Err("an axis that is computed".into()),
        };
        let from_end = |axis: i64| s.known.rank(x).map(|(rank, _)| axis + rank as i64);
        let axis = if axis < 0 { from_end(axis) } else { Some(axis) };
        let axis = axis.and_then(|axis| usize::try_from(axis).ok()).ok_or("an axis of an unknown number of axes")?;
        let flag = |name: &str| s.int_attribute(name).unwrap_or(0) != 0;
        let (exclusive, reverse) = (flag("exclusive"), flag("reverse"));
        let y = s.kernel_op(Self { accumulation: Accumulation::Product, axis, exclusive, reverse }, &[x]);
        s.give(0, &y);
        Ok(Rewritten::Replaced)
    }
}

/// Lines along an axis: the flat index of the first element of each, in row-major order, and the stride along it.
pub(super) fn lines(shape: &[usize], axis: usize) -> (Vec<usize>, usize) {
    let inner: usize = shape[axis + 1..].iter().product();
    let outer: usize = shape[..axis].iter().product();
    let starts = (0..outer).flat_map(|o| (0..inner).map(move |i| o * shape[axis] * inner + i)).collect();
    (starts, inner)
}

impl KernelOperator for Cumulative {
    fn infer(&self, operands: &Operands<'_>) -> Result<(Vec<usize>, Dtype), ShapeError> {
        let [(x, dtype)] = operands.exactly("1")?;
        operands.fits(0, self.axis < x.len(), "the axis is within the rank")?;
        Ok((x.to_vec(), dtype))
    }

    fn evaluate(&self, operands: &[&Tensor], _shape: &[usize]) -> Tensor {
        let x = operands[0];
        let (starts, stride) = lines(&x.shape, self.axis);
        let size = x.shape[self.axis];
        let mut words = vec![0; x.words.len()];
        for start in starts {
            let mut so_far = match self.accumulation {
                Accumulation::Sum => 0.0,
                Accumulation::Product => 1.0,
            };
            for step in 0..size {
                let at = start + stride * if self.reverse { size - 1 - step } else { step };
                let with = match self.accumulation {
                    Accumulation::Sum => so_far + x.value(at),
                    Accumulation::Product => so_far * x.value(at),
                };
                words[at] = word_of(if self.exclusive { so_far } else { with }, x.dtype);
                so_far = with;
            }
        }
        Tensor { shape: x.shape.clone(), dtype: x.dtype, words }
    }

    fn cut(&self, axis: usize) -> Option<Vec<Option<usize>>> {
        (axis != self.axis).then(|| vec![Some(axis)])
    }
}

impl LowerKernelOp for Cumulative {
    fn lower(&self, lowering: &mut Lowering<'_>, id: NodeId) -> Result<(), LowerError> {
        let node = lowering.graph().node(id);
        let lines = Lines::of(lowering, id, self.axis);
        let (x, out) = (&lines.x, &lines.out);
        if out.is_empty() {
            return Ok(());
        }
        let (workgroups, width) = linear(lines.count);
        let columns = x.shape[self.axis];
        for first in (0..columns).step_by(ROUNDS_PER_CALL) {
            let steps = ROUNDS_PER_CALL.min(columns - first);
            let params = lines
                .params()
                .set("count", lines.count)
                .set("columns", columns)
                .set("width", width)
                .set("is_float", node.dtype != Dtype::I32)
                .set("exclusive", self.exclusive)
                .set("reverse", self.reverse)
                .set("x_offset", x.offset)
                .set("x_stride", x.strides[self.axis])
                .set("out_stride", out.strides[self.axis])
                .set("first", first)
                .set("steps", steps)
                .set("is_product", self.accumulation == Accumulation::Product);
            let elements = lines.count * steps;
            lowering.call(
                Call::of(Kernel::Of(KernelOpKind::Cumulative), out.tensor)
                    .params(params)
                    .reads([x.tensor])
                    .over(workgroups)
                    .cost(cost(OperatorClass::Hierarchical, elements, elements, elements)),
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Accumulation, Cumulative};
    use crate::graph::kernel_op::KernelOperator;
    use crate::graph::tensor::Tensor;

    #[test]
    fn sums_may_leave_out_the_element_and_start_at_the_end() {
        let x = Tensor::from_f32(vec![1, 4], [2., 3., 3., 1.]);
        let sums = Cumulative { accumulation: Accumulation::Sum, axis: 1, exclusive: true, reverse: true };
        assert_eq!(sums.evaluate(&[&x], &[1, 4]).to_f32(), [7., 4., 1., 0.]);
        let products = Cumulative { accumulation: Accumulation::Product, ..sums };
        assert_eq!(products.evaluate(&[&x], &[1, 4]).to_f32(), [9., 3., 1., 1.]);
    }
}
