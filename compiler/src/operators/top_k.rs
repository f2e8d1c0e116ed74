//! The places of the first elements of every line by value.
//!
//! ONNX's TopK is this and a gather along the axis (`import/translate/selection.rs`). It deliberately gives no values.

use super::cumulative::lines;
use crate::cost::OperatorClass;
use crate::graph::constant::Dtype;
use crate::graph::kernel_op::{KernelOpKind, KernelOperator, Operands, TopK};
use crate::graph::tensor::Tensor;
use crate::graph::{NodeId, ShapeError};
use crate::kernels::rounds::{Rounds, once};
use crate::kernels::{Hook, Kernel, KernelRow, OwnKernel, SHARED_EACH, SHARED_ROWS, SHARED_WORDS, body, row};
use crate::lower::context::{Call, Lowering};
use crate::lower::error::LowerError;
use crate::lower::ops::kernel_op::LowerKernelOp;
use crate::lower::ops::lines::Lines;
use crate::lower::ops::strided::{cost, linear};

impl OwnKernel for TopK {
    const KERNEL: KernelRow =
        row(body!("top_k"), Hook::None, &["out", "x"], Rounds::of(&["columns"], |p| once(p[0].div_ceil(8))))
            .shared(&[SHARED_WORDS, SHARED_EACH, SHARED_ROWS])
            .class(OperatorClass::Hierarchical);
}

impl KernelOperator for TopK {
    fn infer(&self, operands: &Operands<'_>) -> Result<(Vec<usize>, Dtype), ShapeError> {
        let [(x, _)] = operands.exactly("1")?;
        operands.fits(0, self.axis < x.len(), "the axis is within the rank")?;
        operands.fits(0, self.k <= x[self.axis], "the axis has as many elements as are requested")?;
        let mut shape = x.to_vec();
        shape[self.axis] = self.k;
        Ok((shape, Dtype::I32))
    }

    fn evaluate(&self, operands: &[&Tensor], shape: &[usize]) -> Tensor {
        let x = operands[0];
        let (starts, stride) = lines(&x.shape, self.axis);
        let (targets, _) = lines(shape, self.axis);
        let mut words = vec![0; shape.iter().product()];
        for (start, target) in starts.into_iter().zip(targets) {
            let mut order: Vec<usize> = (0..x.shape[self.axis]).collect();
            order.sort_by(|a, b| {
                let (a, b) = (x.value(start + a * stride), x.value(start + b * stride));
                let ascending = a.partial_cmp(&b).unwrap_or_else(|| a.total_cmp(&b));
                if self.largest { ascending.reverse() } else { ascending }
            });
            for (place, index) in order.into_iter().take(self.k).enumerate() {
                words[target + place * stride] = index as u32;
            }
        }
        Tensor { shape: shape.to_vec(), dtype: Dtype::I32, words }
    }

    fn cut(&self, axis: usize) -> Option<Vec<Option<usize>>> {
        (axis != self.axis).then(|| vec![Some(axis)])
    }
}

impl LowerKernelOp for TopK {
    fn lower(&self, lowering: &mut Lowering<'_>, id: NodeId) -> Result<(), LowerError> {
        let graph = lowering.graph();
        let dtype = graph.node(graph.operands(id)[0]).dtype;
        let lines = Lines::of(lowering, id, self.axis);
        let (x, out) = (&lines.x, &lines.out);
        if out.is_empty() {
            return Ok(());
        }
        let columns = x.shape[self.axis];
        let count = lines.count * columns;
        let (workgroups, width) = linear(count);
        let params = lines
            .params()
            .set("count", count)
            .set("columns", columns)
            .set("k", self.k)
            .set("width", width)
            .set("largest", self.largest)
            .set("is_float", dtype == Dtype::F32)
            .set("x_offset", x.offset)
            .set("x_stride", x.strides[self.axis])
            .set("out_stride", out.strides[self.axis]);
        lowering.call(
            Call::of(Kernel::Of(KernelOpKind::TopK), out.tensor)
                .params(params)
                .reads([x.tensor])
                .over(workgroups)
                .cost(cost(OperatorClass::Hierarchical, count, out.len(), count * columns)),
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::TopK;
    use crate::graph::kernel_op::KernelOperator;
    use crate::graph::tensor::Tensor;

    #[test]
    fn equal_elements_keep_their_order() {
        let ties = Tensor::from_f32(vec![1, 4], [2., 3., 3., 1.]);
        let top = |largest| TopK { axis: 1, k: 3, largest }.evaluate(&[&ties], &[1, 3]).words;
        assert_eq!((top(true), top(false)), (vec![1, 2, 0], vec![3, 0, 1]));
    }
}
